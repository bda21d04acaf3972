//! Suppression lists: what is on them, and what became of each line of a change.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::suppression::{ChangedLine, LineEffect, ListChange, ListSummary, ListedEntry};
use crate::domain::time::Time;
use crate::view::reason::ReasonView;
use crate::view::schema::TimeText;

/// A list and how much is on it.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "List")]
pub struct ListView<'a> {
    /// Its name, as the path takes it.
    list: &'a str,
    entries: u64,
    /// When an entry was put on it or taken off last.
    #[schemars(with = "TimeText")]
    changed_at: Time,
}

impl<'a> ListView<'a> {
    pub fn of(list: &'a ListSummary) -> ListView<'a> {
        ListView { list: &list.name, entries: list.entries, changed_at: list.changed_at }
    }
}

/// An entry; of a hashed one there is no value.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Entry")]
pub struct EntryView<'a> {
    /// `email`, `phone`, `ip`, `order_id` or `click_id`.
    kind: &'static str,
    /// Null where it is hashed: no one can read it back.
    value: Option<&'a str>,
    hashed: bool,
    #[schemars(with = "TimeText")]
    added_at: Time,
    /// The name of the token that added it.
    actor: &'a str,
}

impl<'a> EntryView<'a> {
    pub fn of(entry: &'a ListedEntry) -> EntryView<'a> {
        EntryView {
            kind: entry.kind.as_str(),
            value: entry.value.as_deref(),
            hashed: entry.kind.is_hashed(),
            added_at: entry.added_at,
            actor: &entry.actor,
        }
    }
}

/// What a change of a list became.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ListChange")]
pub struct ListChangeView<'a> {
    /// The list that was changed; it begins with its first entry and ends with its last.
    pub list: &'a str,
    /// How many lines had which outcome: `added` and `already_there`, or `removed` and `not_there`.
    #[serde(flatten)]
    pub counts: BTreeMap<&'static str, usize>,
    /// How many lines could not be read; the others count all the same.
    pub refused: usize,
    /// One for each line that is not empty, in order.
    pub lines: Vec<LineView<'a>>,
}

impl<'a> ListChangeView<'a> {
    pub fn of(list: &'a str, wish: ListChange, lines: &'a [ChangedLine]) -> ListChangeView<'a> {
        let count = |effect| lines.iter().filter(|line| line.effect() == effect).count();
        let counted = |effect: LineEffect| (effect.as_str(wish), count(effect));
        ListChangeView {
            list,
            counts: [LineEffect::Changed, LineEffect::Unchanged].map(counted).into(),
            refused: count(LineEffect::Refused),
            lines: lines.iter().map(|line| LineView::of(line, wish)).collect(),
        }
    }
}

/// What one line of a change became.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Line")]
pub struct LineView<'a> {
    /// Its number in what was sent, from 1.
    line: u64,
    /// As it was received.
    received: &'a str,
    /// What it was read as; null where it was not.
    kind: Option<&'static str>,
    /// `added`, `already_there`, `removed`, `not_there` or `refused`.
    pub outcome: &'static str,
    /// Why it was refused.
    #[serde(flatten)]
    refused: ReasonView,
}

impl<'a> LineView<'a> {
    pub fn of(line: &'a ChangedLine, wish: ListChange) -> LineView<'a> {
        LineView {
            line: line.number,
            received: &line.received_text,
            kind: line.outcome.as_ref().ok().map(|(kind, _)| kind.as_str()),
            outcome: line.effect().as_str(wish),
            refused: line.outcome.as_ref().err().map(ReasonView::of).unwrap_or_default(),
        }
    }
}

/// A list that was removed, and how many entries it had.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RemovedList")]
pub struct RemovedListView<'a> {
    /// It can be begun again under the same name.
    pub list: &'a str,
    /// How many entries it had.
    pub removed: u64,
}
