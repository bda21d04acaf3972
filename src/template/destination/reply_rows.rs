//! Where an answer names events: its rows, and the number of the event in each.

use regex::Regex;
use serde_json::Value as Json;

use crate::template::destination::reply::whole_number;

/// Where an answer has a row for an event, and how the row says for which.
#[derive(Debug)]
pub(crate) struct RowPlace {
    /// The steps to a row, or to a list of them; a step of `*` is every member.
    pub at: Vec<String>,
    pub index: RowIndex,
    /// The number of the first event.
    pub first: i64,
}

/// How a row says which event it is about.
#[derive(Debug)]
pub(crate) enum RowIndex {
    /// By its own place: there is a row for every event, or its key is the number.
    Place,
    /// By the number at this JSON pointer in it.
    Member(String),
    /// By the first group of this pattern, in the text at this JSON pointer in it.
    Pattern(String, Regex),
}

/// A row that an answer has for an event.
pub(crate) struct Row<'a> {
    /// The event's number, counted from 0; `None` where it cannot be read.
    pub event: Option<usize>,
    pub content: &'a Json,
}

/// What a row is under.
#[derive(Clone, Copy)]
enum RowKey<'a> {
    /// Its number in a list, counted from 0.
    Position(usize),
    /// Its name in an object.
    Name(&'a str),
}

impl RowPlace {
    /// Every row of an answer to a request with `sent` events.
    pub(crate) fn rows<'a>(&self, json: &'a Json, sent: usize) -> Vec<Row<'a>> {
        let mut found = Vec::new();
        below(json, &self.at, None, &mut found);
        let steps_in = self.at.last().is_some_and(|step| step == "*");
        let mut rows = Vec::new();
        for (key, content) in found {
            match content {
                Json::Array(items) if !steps_in => {
                    let numbered = items.iter().enumerate();
                    rows.extend(numbered.map(|(number, item)| (Some(RowKey::Position(number)), item)));
                }
                Json::Null => {}
                other => rows.push((key, other)),
            }
        }
        // Rows that are an event's by their place in a list must be there for all: no one could say which is missing.
        let by_position = rows.iter().filter(|(key, _)| matches!(key, Some(RowKey::Position(_)))).count();
        if matches!(self.index, RowIndex::Place) && by_position > 0 && by_position != sent {
            return vec![Row { event: None, content: json }];
        }
        rows.into_iter().flat_map(|(key, content)| self.of(key, content)).collect()
    }

    fn of<'a>(&self, key: Option<RowKey<'_>>, content: &'a Json) -> Vec<Row<'a>> {
        let event = |number: i64| usize::try_from(number.checked_sub(self.first)?).ok();
        match &self.index {
            RowIndex::Place => {
                let event = match key {
                    Some(RowKey::Position(number)) => Some(number),
                    Some(RowKey::Name(name)) => name.parse().ok().and_then(event),
                    None => None,
                };
                vec![Row { event, content }]
            }
            RowIndex::Member(at) => match content.pointer(at).filter(|found| !found.is_null()) {
                Some(found) => vec![Row { event: whole_number(found).and_then(event), content }],
                // A row that names no event is about the request.
                None => Vec::new(),
            },
            RowIndex::Pattern(at, pattern) => {
                let Some(text) = content.pointer(at).and_then(Json::as_str) else { return Vec::new() };
                let number = |found: regex::Captures<'_>| found.get(1)?.as_str().parse().ok();
                let rows = pattern.captures_iter(text);
                rows.map(|found| Row { event: number(found).and_then(event), content }).collect()
            }
        }
    }
}

/// What these steps lead to, with the last key or number on the way that was a `*`.
fn below<'a>(
    json: &'a Json,
    steps: &[String],
    key: Option<RowKey<'a>>,
    found: &mut Vec<(Option<RowKey<'a>>, &'a Json)>,
) {
    let Some((step, rest)) = steps.split_first() else {
        found.push((key, json));
        return;
    };
    match (step.as_str(), json) {
        ("*", Json::Array(items)) => {
            for (number, item) in items.iter().enumerate() {
                below(item, rest, Some(RowKey::Position(number)), found);
            }
        }
        ("*", Json::Object(members)) => {
            for (name, member) in members {
                below(member, rest, Some(RowKey::Name(name)), found);
            }
        }
        (name, Json::Object(members)) => {
            if let Some(member) = members.get(name) {
                below(member, rest, key, found);
            }
        }
        (number, Json::Array(items)) => {
            if let Some(item) = number.parse::<usize>().ok().and_then(|number| items.get(number)) {
                below(item, rest, key, found);
            }
        }
        _ => {}
    }
}
