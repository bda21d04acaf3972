//! How the event is known: `[event]` of a source template.

use std::cmp::Ordering;

use crate::domain::event::EventName;
use crate::domain::status::Status;
use crate::template::diagnostic::Problem;
use crate::template::source::param_names::ParamNames;
use crate::template::source::words::{ANY, ParamWords};
use crate::template::toml_doc::table::Table;
use crate::template::toml_doc::text::Text;
use crate::template::typed_text::event_name;

/// How the event is reported.
#[derive(Debug, Clone, Default)]
pub(crate) struct EventRules {
    /// The network's event word (lower case) and our event.
    pub(crate) names: Vec<(String, EventName)>,
    /// The network's status word (lower case) and our event.
    pub(crate) by_status: Vec<(String, EventName)>,
    /// The events of a value above 0 and of 0.
    pub(crate) by_value: Option<(EventName, EventName)>,
    /// Events that mean nothing without a value.
    pub(crate) value_required: Vec<EventName>,
    /// The network's event words (lower case) that are no conversion.
    ignore: Vec<String>,
    /// Every event word is ignored that nothing names.
    ignores_others: bool,
    /// An event word that nothing names, and that is none of our own, is an event of that name. Else what follows
    /// decides, as if there were none.
    pub(crate) takes_others: bool,
    /// Go before all else, in this order.
    pub(crate) rules: Vec<EventRule>,
}

/// What a postback reports where it meets all conditions.
#[derive(Debug, Clone)]
pub(crate) struct EventRule {
    /// At least one.
    pub(crate) conditions: Vec<EventCondition>,
    /// `None`: nothing that counts.
    pub(crate) event: Option<EventName>,
}

#[derive(Debug, Clone)]
pub(crate) enum EventCondition {
    /// A parameter has one of the words.
    Words(ParamWords),
    /// The status is one of these.
    Status(Vec<Status>),
    /// The value is there, and is so to 0.
    Value(Ordering),
}

impl EventRule {
    /// Whether one of its conditions is of the value.
    pub(crate) fn asks_for_value(&self) -> bool {
        self.conditions.iter().any(|condition| matches!(condition, EventCondition::Value(_)))
    }
}

impl EventRules {
    /// Whether an event word, in lower case, is of no conversion; `is_named`: whether anything says what it means.
    pub(crate) fn ignores(&self, word: &str, is_named: bool) -> bool {
        let is_listed = self.ignore.iter().any(|known| known == word);
        is_listed || (self.ignores_others && !is_named)
    }

    /// Whether it says of any word that it is ignored.
    pub(crate) fn ignores_words(&self) -> bool {
        self.ignores_others || !self.ignore.is_empty()
    }

    /// The parameters that its conditions read.
    pub(crate) fn reads(&self, index: usize) -> bool {
        let mut conditions = self.rules.iter().flat_map(|rule| &rule.conditions);
        conditions.any(|one| matches!(one, EventCondition::Words(words) if words.param == index))
    }
}

/// Reads the section.
pub(crate) fn read(root: &Table<'_>, names: &mut ParamNames) -> EventRules {
    root.read_table("event", |table| rules(table, names)).unwrap_or_default()
}

fn rules(table: &Table<'_>, names: &mut ParamNames) -> EventRules {
    let by_value = table.read_table("by_value", |pair| {
        let positive = pair.required("positive", "\"Purchase\"", event_name);
        let zero = pair.required("zero", "\"Lead\"", event_name);
        positive.zip(zero)
    });
    let ignore = table.readable_texts("ignore");
    let (others, listed): (Vec<Text>, Vec<Text>) = ignore.into_iter().partition(|text| text.value == ANY);
    EventRules {
        names: words(table, "names", event_name),
        by_status: words(table, "by_status", event_name),
        by_value: by_value.flatten(),
        value_required: table.all_parsed("value_required", event_name).unwrap_or_default(),
        ignore: listed.iter().map(|text| text.value.trim().to_lowercase()).collect(),
        ignores_others: !others.is_empty(),
        takes_others: table
            .parsed("unnamed", |text| text.one_of(&[("custom", true), ("left_out", false)]))
            .unwrap_or(true),
        rules: table.read_tables("rules", |rule| event_rule(rule, names)).into_iter().flatten().collect(),
    }
}

fn event_rule(table: &Table<'_>, names: &mut ParamNames) -> Option<EventRule> {
    let mut conditions = Vec::new();
    let param = table.parsed("param", |text| names.read(&text.value));
    let is = table.readable_texts("is");
    if table.has("param") != table.has("is") {
        let hint = "write both: param = \"type\", is = [\"test\"]; is = \"*\" is any word";
        table.head_problem("a rule of [event] has one of `param` and `is`", hint);
    }
    if let Some(param) = param.filter(|_| !is.is_empty()) {
        conditions.push(EventCondition::Words(ParamWords::of(param, &is)));
    }
    let statuses = Status::ALL.map(|status| (status.as_str(), status));
    if let Some(statuses) = table.all_parsed("status", |text| text.one_of(&statuses)) {
        conditions.push(EventCondition::Status(statuses));
    }
    let signs =
        [("above_zero", Ordering::Greater), ("zero", Ordering::Equal), ("below_zero", Ordering::Less)];
    conditions.extend(table.parsed("value", |text| text.one_of(&signs)).map(EventCondition::Value));
    let event = table.parsed("event", event_name);
    let is_ignored = table.flag("ignore").unwrap_or_default();
    if table.has("event") == is_ignored {
        let hint = "write event = \"Purchase\", or ignore = true for what is no conversion";
        table.head_problem("a rule of [event] needs one of `event` and `ignore`", hint);
        return None;
    }
    if conditions.is_empty() {
        let hint = "add param = \"type\" with is = [\"test\"], status = \"pending\" or value = \"zero\"";
        table.head_problem("a rule of [event] has no condition, so that no later one would count", hint);
        return None;
    }
    (is_ignored || event.is_some()).then_some(EventRule { conditions, event })
}

/// The network's words, in lower case, and what each means here.
pub(crate) fn words<'a, T>(
    table: &Table<'a>,
    key: &'a str,
    meaning: impl Fn(&Text) -> Result<T, Problem>,
) -> Vec<(String, T)> {
    let Some(words) = table.table(key) else { return Vec::new() };
    let read = |word: &'a str| Some((word.trim().to_lowercase(), words.parsed(word, &meaning)?));
    words.keys().into_iter().filter_map(read).collect()
}
