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
    /// The JSON pointer, in a row that may be about several events, to how many it is about.
    pub count: Option<String>,
}

/// A row that may be about several events.
pub(crate) struct CountedRow<'a> {
    /// The events that it names, counted from 0; `None` of one that cannot be read.
    pub events: Vec<Option<usize>>,
    /// About how many it says that it is.
    pub count: Option<usize>,
    pub content: &'a Json,
}

/// Where an answer counts events.
#[derive(Debug)]
pub(crate) struct CountPlace {
    /// A JSON pointer: to a number, or to a text that holds one.
    pub at: String,
    /// In such a text the number is the first group of this pattern.
    pub pattern: Option<Regex>,
}

impl CountPlace {
    /// How many the answer counts; `None` where it does not say.
    pub(crate) fn count(&self, json: &Json) -> Option<usize> {
        let found = json.pointer(&self.at)?;
        match &self.pattern {
            None => usize::try_from(whole_number(found)?).ok(),
            Some(pattern) => pattern.captures(found.as_str()?)?.get(1)?.as_str().parse().ok(),
        }
    }
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
    /// Every row of an answer to a request with `sent` events; `None` where it has a list of rows that are an event's by
    /// their place, and not one for each: no one could say which is missing.
    pub(crate) fn rows<'a>(&self, json: &'a Json, sent: usize) -> Option<FoundRows<'a>> {
        let mut found = Vec::new();
        below(json, &self.at, None, &mut found);
        let steps_in = self.at.last().is_some_and(|step| step == "*");
        let mut places = Vec::new();
        for (key, content) in found {
            match content {
                Json::Array(items) if !steps_in => {
                    let numbered = items.iter().enumerate();
                    places.extend(numbered.map(|(number, item)| (Some(RowKey::Position(number)), item)));
                }
                other => places.push((key, other)),
            }
        }
        let by_position = places.iter().filter(|(key, _)| matches!(key, Some(RowKey::Position(_)))).count();
        let one_for_each = matches!(self.index, RowIndex::Place) && by_position > 0;
        if one_for_each && by_position != sent {
            return None;
        }
        let (mut rows, mut is_nameless) = (Vec::new(), false);
        // A row of null has nothing to say of its event.
        for (key, content) in places.into_iter().filter(|(_, content)| !content.is_null()) {
            let of_place = self.of_place(key, content);
            is_nameless |= of_place.is_empty();
            rows.extend(of_place);
        }
        Some(FoundRows { rows, one_for_each, is_nameless })
    }

    /// Every row of an answer, each with the events that it is about and how many those are.
    pub(crate) fn counted_rows<'a>(&self, json: &'a Json) -> Vec<CountedRow<'a>> {
        let mut found = Vec::new();
        below(json, &self.at, None, &mut found);
        let counted = |(key, content): (Option<RowKey<'_>>, &'a Json)| CountedRow {
            events: self.of_place(key, content).into_iter().map(|row| row.event).collect(),
            count: self
                .count
                .as_ref()
                .and_then(|at| usize::try_from(whole_number(content.pointer(at)?)?).ok()),
            content,
        };
        found.into_iter().filter(|(_, content)| !content.is_null()).map(counted).collect()
    }

    /// The events that one row is about: none where it names none.
    fn of_place<'a>(&self, key: Option<RowKey<'_>>, content: &'a Json) -> Vec<Row<'a>> {
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
                Some(Json::Array(numbers)) => {
                    let row = |number| Row { event: whole_number(number).and_then(event), content };
                    numbers.iter().map(row).collect()
                }
                Some(found) => vec![Row { event: whole_number(found).and_then(event), content }],
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

/// The rows of an answer.
pub(crate) struct FoundRows<'a> {
    pub rows: Vec<Row<'a>>,
    /// Whether there is one for each event, in their order.
    pub one_for_each: bool,
    /// Whether one of them names no event: it is about the request, or not understood.
    pub is_nameless: bool,
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
