//! The `[changes]` part of a destination.toml: what the platform can be informed of after it was sent an event.

use std::collections::BTreeMap;

use crate::domain::change_rules::{ChangeRules, OnRejected, OnValue};
use crate::domain::time::HOUR_MS;
use crate::template::destination::variant_file::VariantPart;
use crate::template::diagnostic::did_you_mean;
use crate::template::toml_doc::table::Table;
use crate::template::toml_doc::text::Text;

/// What `[changes]` says.
pub(crate) struct ChangesSpec {
    /// By default.
    pub rules: ChangeRules,
    /// What an account may have `on_rejected` be besides.
    pub choices: Vec<OnRejected>,
    /// Our events that it is about; empty: all.
    pub events: Vec<String>,
    /// What a change is asked of, where that is another address than the events'.
    pub request: Option<VariantPart>,
    /// Where the table begins, counted from 1; 0 where there is none.
    pub line: usize,
}

impl Default for ChangesSpec {
    fn default() -> ChangesSpec {
        let (choices, events) = (Vec::new(), Vec::new());
        ChangesSpec { rules: ChangeRules::NONE, choices, events, request: None, line: 0 }
    }
}

impl ChangesSpec {
    /// What `on_rejected` may be, the template's own word first.
    pub fn all_on_rejected(&self) -> Vec<OnRejected> {
        std::iter::once(self.rules.on_rejected).chain(self.choices.iter().copied()).collect()
    }
}

/// Reads `[changes]` of a destination.toml.
pub(crate) fn read_in(root: &Table<'_>, known: &BTreeMap<String, String>) -> ChangesSpec {
    if let Some(Text { value: word, .. }) = root.plain("changes").and_then(|_| root.text("changes")) {
        let hint = "write a table [changes] with on_value = \"restate\" or \"none\", and on_rejected = \"retract\", \"zero\", \
                    \"status\" or \"none\"";
        root.problem("changes", format!("`changes` is a table, and not {word:?}"), hint);
        return ChangesSpec::default();
    }
    root.read_table("changes", |table| read(table, known, root.has("confirm"))).unwrap_or_default()
}

/// Reads `[changes]`; what is wrong is kept as problems of its document. `known`: the template's events; `confirms`: whether
/// the platform is asked later what became of them.
fn read(table: &Table<'_>, known: &BTreeMap<String, String>, confirms: bool) -> ChangesSpec {
    let on_rejected = |text: &Text| text.one_of(&OnRejected::NAMES);
    let on_value = |key| table.parsed(key, |text| text.one_of(&OnValue::NAMES)).unwrap_or_default();
    let hours = |key: &'static str| {
        let hours = table.number(key, 1..=87_600);
        hours.map(|hours: i64| hours.saturating_mul(HOUR_MS))
    };
    let rules = ChangeRules {
        on_value: on_value("on_value"),
        on_rejected: table.parsed("on_rejected", on_rejected).unwrap_or_default(),
        after_retract: on_value("after_retract"),
        min_age_ms: hours("min_age_hours"),
        max_age_ms: hours("max_age_hours"),
    };
    let spec = ChangesSpec {
        rules,
        choices: table.all_parsed("on_rejected_choices", on_rejected).unwrap_or_default(),
        events: events(table, known),
        request: table.read_table("request", VariantPart::read).flatten(),
        line: table.line(),
    };
    check(table, &spec, confirms);
    spec
}

fn events(table: &Table<'_>, known: &BTreeMap<String, String>) -> Vec<String> {
    let named: Vec<String> = table.readable_texts("events").into_iter().map(|text| text.value).collect();
    for name in named.iter().filter(|name| !known.contains_key(*name)) {
        let hint = match did_you_mean(name, known.keys().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "add it to [events], or take it out".to_owned(),
        };
        table.problem("events", format!("`{name}` is not among the template's [events]"), hint);
    }
    named
}

fn check(table: &Table<'_>, spec: &ChangesSpec, confirms: bool) {
    let all = spec.all_on_rejected();
    let by_status = all.contains(&OnRejected::Status);
    if by_status && all.len() > 1 {
        let hint = "with \"status\" each change is sent: leave the other words to other templates";
        table.problem("on_rejected_choices", "\"status\" is a choice of its own", hint);
    }
    if by_status && confirms {
        let hint = "write \"retract\", \"zero\" or \"none\": such a change waits until the platform has said what it took";
        let what =
            "with [confirm], \"status\" would have a change sent before the platform has said what it took";
        table.problem("on_rejected", what, hint);
    }
    if by_status && spec.rules.min_age_ms.is_some() {
        let hint = "take it out: a change that is sent with its status waits for nothing";
        table.problem("min_age_hours", "`min_age_hours` is of what is restated or taken back", hint);
    }
    if table.has("after_retract") && !all.contains(&OnRejected::Retract) {
        let hint = "take it out, or write on_rejected = \"retract\"";
        table.problem("after_retract", "`after_retract` is of what was taken back, and nothing is", hint);
    }
}
