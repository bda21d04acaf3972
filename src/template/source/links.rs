//! The network's own links on pages: `link_param` and `link_query` of a source template.

use crate::template::diagnostic::Problem;
use crate::template::source::param_name::check_param;
use crate::template::toml_doc::table::Table;

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
pub(crate) fn read(root: &Table<'_>) -> Option<Links> {
    let query = query(root);
    if root.has("link_query") && !root.has("link_param") {
        root.problem(
            "link_query",
            "`link_query` finds links, and no `link_param` says what they are given",
            "add link_param = \"…\", the sub id that brings the click id back",
        );
    }
    Some(Links { param: root.text("link_param")?.value, query })
}

fn query(root: &Table<'_>) -> Vec<String> {
    if root.is_empty_list("link_query") {
        root.problem(
            "link_query",
            "`link_query` is empty, so no link has its shape",
            "name the parameters that every link of the network has, or leave the key out",
        );
    }
    let mut names: Vec<String> = Vec::new();
    for text in root.readable_texts("link_query") {
        let is_new = !names.iter().any(|known| known.eq_ignore_ascii_case(&text.value));
        let twice = || {
            let hint = "leave one of them out; upper and lower case are the same here";
            Problem::new(format!("{} is named twice in `link_query`", text.shown()), hint)
        };
        match is_new.then_some(()).ok_or_else(twice).and_then(|()| check_param(&text.value)) {
            Ok(()) => names.push(text.value),
            Err(problem) => root.document().problem(text.line, problem),
        }
    }
    names
}
