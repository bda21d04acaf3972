//! What a source template says to the person who installs it: its title, where its address is pasted, what to know.

use crate::template::toml_doc::table::Table;

/// For people; nothing is read by it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SourceGuide {
    /// What the sender calls itself; empty where the template does not say.
    pub(crate) title: String,
    /// The place in the sender's settings.
    pub(crate) paste_at: Option<String>,
    /// What a buyer must know, a sentence each.
    pub(crate) caveats: Vec<String>,
}

impl SourceGuide {
    /// Reads `title`, `paste_at` and `caveats`.
    pub(crate) fn read(root: &Table<'_>) -> SourceGuide {
        let said = |key: &'static str| {
            let text = root.text(key)?.value.trim().to_owned();
            if text.is_empty() {
                root.problem(key, format!("`{key}` is empty"), "say it, or leave the key out");
            }
            Some(text)
        };
        let caveats = root.readable_texts("caveats").into_iter().map(|text| text.value.trim().to_owned());
        let caveats: Vec<String> = caveats.collect();
        if caveats.iter().any(String::is_empty) || root.is_empty_list("caveats") {
            root.problem("caveats", "one of the `caveats` is empty", "say it, or leave it out");
        }
        SourceGuide { title: said("title").unwrap_or_default(), paste_at: said("paste_at"), caveats }
    }
}

/// A URL needs both how macros are written and which there are. A template with neither is of a webhook, which has no
/// macros: the sender posts what it knows to a bare address.
pub(crate) fn check_url(root: &Table<'_>) {
    let has_parameters = root.has("postback") || root.has("extra");
    match (root.has("macro"), root.has("postback")) {
        (true, false) => root.problem(
            "macro",
            "`macro` is there, and no `postback` parameters are named",
            "list the URL's parameters: postback = [\"click_id\", …]; a webhook has neither",
        ),
        (true, true) if root.is_empty_list("postback") => root.problem(
            "postback",
            "no `postback` parameters are named",
            "list the URL's parameters: postback = [\"click_id\", …]; a webhook has neither it nor `macro`",
        ),
        (false, _) if has_parameters => root.problem(
            if root.has("postback") { "postback" } else { "extra" },
            "parameters of a URL are named, and no `macro` says how the network writes what fills them",
            "add macro = \"{{}}\" for {x}, \"#{}#\" for #x#; a webhook has neither",
        ),
        _ => {}
    }
}
