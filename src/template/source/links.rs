//! The network's own links on pages: `link_param` and `link_query` of a source template.

use toml::Spanned;
use toml::de::DeTable;

use crate::template::source::keys::param_name;
use crate::template::toml_reader::TomlReader;

/// What the tag knows of a network's links.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Links {
    /// The sub id that carries our click id.
    pub(crate) param: String,
    /// A link to another host is the network's where its query has all of these parameters, each a number.
    /// None: links are not known by their shape.
    pub(crate) query: Vec<String>,
}

/// Reads `link_param` and `link_query`; nothing where the template has no `link_param`.
pub(crate) fn read(reader: &mut TomlReader<'_>, root: &DeTable<'_>) -> Option<Links> {
    let query = query(reader, root);
    let param = reader.text(root, "link_param").map(Spanned::into_inner);
    match (param, root.get("link_query")) {
        (Some(param), _) => Some(Links { param, query }),
        (None, Some(value)) if !root.contains_key("link_param") => {
            reader.problem(
                &value.span(),
                "`link_query` finds links, and no `link_param` says what they are given",
                "add link_param = \"…\", the sub id that brings the click id back",
            );
            None
        }
        _ => None,
    }
}

fn query(reader: &mut TomlReader<'_>, root: &DeTable<'_>) -> Vec<String> {
    let Some(value) = root.get("link_query") else { return Vec::new() };
    let texts = reader.texts(root, "link_query");
    if value.get_ref().as_array().is_some_and(|names| names.is_empty()) {
        reader.problem(
            &value.span(),
            "`link_query` is empty, so no link has its shape",
            "name the parameters that every link of the network has, or leave the key out",
        );
    }
    let mut names: Vec<String> = Vec::new();
    for text in texts {
        let name = text.get_ref();
        if names.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            reader.problem(
                &text.span(),
                format!("`{name}` is named twice in `link_query`"),
                "leave one of them out; upper and lower case are the same here",
            );
        } else if param_name(reader, name, &text.span()) {
            names.push(text.into_inner());
        }
    }
    names
}
