//! What a network has around our click id: `[click_id]` of a source template.

use crate::domain::text::trim;
use crate::template::source::number::separator;
use crate::template::toml_doc::table::Table;

/// Where in what was received the click id is.
#[derive(Debug, Clone, Default)]
pub(crate) struct ClickIdRules {
    /// What the network writes before it, which is taken off where it is there.
    prefix: Option<String>,
    part: Option<ClickIdPart>,
}

/// One of several that a sub id has, divided by a mark.
#[derive(Debug, Clone)]
struct ClickIdPart {
    separator: String,
    /// From 0.
    take: usize,
}

/// Reads the section.
pub(crate) fn read(root: &Table<'_>) -> ClickIdRules {
    let rules = root.read_table("click_id", |table| {
        let part = table.read_table("part", |part| {
            let separator = part.required("separator", "\"|\"", separator);
            let take = part.number("take", 0..=99).unwrap_or_default();
            Some(ClickIdPart { separator: separator?, take })
        });
        let prefix = table.text("prefix").map(|text| text.value);
        if prefix.as_deref().is_some_and(str::is_empty) {
            table.problem("prefix", "`prefix` is empty", "leave it out");
        }
        ClickIdRules { prefix, part: part.flatten() }
    });
    rules.unwrap_or_default()
}

impl ClickIdRules {
    /// Whether a value is the click id as it is.
    pub(crate) fn takes_whole(&self) -> bool {
        self.prefix.is_none() && self.part.is_none()
    }

    /// The click id in a value; `None` where the part that it would be in is not there, or is empty.
    pub(crate) fn within<'v>(&self, value: &'v str) -> Option<&'v str> {
        let mut id = match &self.part {
            None => trim(value),
            Some(ClickIdPart { separator, take }) => trim(value.split(separator.as_str()).nth(*take)?),
        };
        if let Some(rest) = self.prefix.as_deref().and_then(|prefix| id.strip_prefix(prefix)) {
            id = rest;
        }
        (!id.is_empty()).then_some(id)
    }
}
