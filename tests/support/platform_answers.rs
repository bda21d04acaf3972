//! The answers of a platform, as the stories of its template have them.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::platform::Act;

/// What a platform may answer, by what it means.
pub struct PlatformAnswers {
    accepts: Act,
    /// To several events, and to how many of them the story has it.
    accepts_several: Option<(Act, u64)>,
    rows: Option<RowAnswer>,
    retries: Vec<Act>,
    refuses: Vec<Act>,
    /// The member by which a refusal names an event, where it is none of a text.
    index: Option<String>,
}

/// Where a platform's answers name events.
#[derive(Clone)]
pub struct RowsAt {
    /// The pointer of the list.
    pub at: String,
    /// The member of a row that is its event's number; `None`: there is a row for every event.
    pub index: Option<String>,
    /// Whether what is not named was taken.
    pub by_each: bool,
}

/// An answer with a row for every event, of which some are refused and some taken; or with a row for each that is refused.
struct RowAnswer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Value,
    /// The pointer of the rows.
    at: String,
    refused: Value,
    /// `None`: what is taken has no row, and the others have their number in this member.
    taken: Result<Value, String>,
    /// How many events the story has, and how many of them are taken.
    counts: (u64, u64),
}

impl PlatformAnswers {
    /// Those of the stories below a folder.
    pub fn of_stories(folder: &Path, rows_at: Option<RowsAt>) -> PlatformAnswers {
        let rows = rows_at.as_ref().filter(|rows| rows.by_each);
        let (mut accepts, mut accepts_several, mut row_answer) = (None, None, None);
        let (mut retries, mut refuses) = (Vec::new(), Vec::new());
        let mut found = Vec::new();
        stories(folder, &mut found);
        found.sort();
        for story in found {
            let toml: toml::Table = std::fs::read_to_string(&story).unwrap().parse().unwrap();
            let Some(reply) = toml.get("reply") else { continue };
            let Some(act) = act(reply) else { continue };
            let expected = std::fs::read_to_string(story.with_file_name("expected.json")).unwrap();
            let expected: Value = serde_json::from_str(&expected).unwrap();
            if let Some(several) = reply.get("events").and_then(toml::Value::as_integer) {
                let is_plain =
                    |event: &Value| event["verdict"] == "delivered" && event["warnings"] == json!([]);
                let placed = rows.filter(|rows| rows.index.is_none());
                let found = placed.and_then(|rows| RowAnswer::of_story(&act, &rows.at, &expected["events"]));
                row_answer = row_answer.or(found);
                if expected["events"].as_array().is_some_and(|events| events.iter().all(is_plain)) {
                    accepts_several.get_or_insert((act, several.unsigned_abs()));
                }
                continue;
            }
            let waits =
                expected["hold_ms"].is_number() || expected["after_ms"].as_i64().is_some_and(|ms| ms > 0);
            match expected["verdict"].as_str() {
                Some("delivered") if expected["warnings"] == json!([]) => {
                    accepts.get_or_insert(act);
                }
                // A test does not wait as long as a platform may ask for.
                Some("retry") if !waits => retries.push(act),
                // It is about the one event, and the request was taken.
                Some("dead") if rows.is_some_and(|rows| rows.index.is_some()) => {
                    let found = rows.and_then(|rows| RowAnswer::of_one(&act, rows));
                    row_answer = row_answer.or(found);
                }
                // What a status says of the account is not about an event among others.
                Some("dead") if !matches!(act, Act::Answer { status: 300..=399 | 401 | 403 | 429 | 500.., .. }) =>
                {
                    refuses.push(act);
                }
                _ => {}
            }
        }
        let accepts =
            accepts.unwrap_or_else(|| panic!("{} has no story of a plain success", folder.display()));
        assert!(rows.is_none() || row_answer.is_some(), "{} has no story of rows", folder.display());
        let index = rows_at.and_then(|rows| rows.index);
        PlatformAnswers { accepts, accepts_several, rows: row_answer, retries, refuses, index }
    }

    /// It took so many events.
    pub fn accept(&self, events: u64) -> Act {
        if events == 1 {
            return self.accepts.clone();
        }
        let (act, of) = self.accepts_several.clone().expect("a story of a success of several events");
        with_body(act, |body| match serde_json::from_str(body) {
            Ok(json) => of_as_many(&json, of, events).to_string(),
            Err(_) => body.replace(&format!(" {of} "), &format!(" {events} ")),
        })
    }

    /// A fault that passes, of a request with so many events: one that is about an event is of no request with several.
    pub fn retry(&self, number: u64, events: usize) -> Act {
        let names_one = |act: &&Act| match act {
            Act::Answer { body, .. } => {
                let of_index = self.index.as_ref().map(|index| format!("\"{index}\":0"));
                of_index.is_some_and(|index| body.replace(' ', "").contains(&index)) || body.contains("[0]")
            }
            _ => false,
        };
        let fit = self.retries.iter().filter(|act| events == 1 || !names_one(act)).cloned();
        choose(&fit.collect::<Vec<_>>(), number).unwrap_or(Act::status(503, ""))
    }

    /// Whether it may take some events of a request and refuse others.
    pub fn has_rows(&self) -> bool {
        self.rows.is_some()
    }

    /// Whether it always takes the others.
    pub fn takes_the_others(&self) -> bool {
        self.rows.as_ref().is_some_and(|rows| rows.taken.is_err())
    }

    /// It takes those events that are not bad, and says of each what became of it; `None` where it never does.
    pub fn by_rows(&self, is_bad: &[bool]) -> Option<Act> {
        self.rows.as_ref().map(|rows| rows.of(is_bad))
    }

    /// It takes nothing of a request, because of the event with this index; `None` where it never says so.
    pub fn refuse(&self, number: u64, index: usize) -> Option<Act> {
        let act = choose(&self.refuses, number)?;
        Some(with_body(act, |body| {
            let body = body.replace("[0]", &format!("[{index}]"));
            let Some(member) = &self.index else { return body };
            let named = |body: String, space: &str| {
                body.replace(&format!("\"{member}\":{space}0"), &format!("\"{member}\":{space}{index}"))
            };
            named(named(body, ""), " ")
        }))
    }
}

impl RowAnswer {
    fn of_story(act: &Act, at: &str, expected: &Value) -> Option<RowAnswer> {
        let Act::Answer { status, headers, body } = act else { return None };
        let body: Value = serde_json::from_str(body).ok()?;
        let (rows, expected) = (body.pointer(at)?.as_array()?.clone(), expected.as_array()?);
        let row = |verdict: &str| {
            let place = expected.iter().position(|event| event["verdict"] == verdict)?;
            rows.get(place).cloned()
        };
        let count =
            |verdict: &str| expected.iter().filter(|event| event["verdict"] == verdict).count() as u64;
        let counts = (expected.len() as u64, count("delivered"));
        let is_whole = rows.len() == expected.len() && counts.1 + count("dead") == counts.0;
        // Else it is not known which of them a number counts.
        let is_whole = is_whole && counts.0 != 2 * counts.1;
        let (refused, taken) = (row("dead")?, row("delivered")?);
        is_whole.then(|| RowAnswer {
            status: *status,
            headers: headers.clone(),
            body,
            at: at.to_owned(),
            refused,
            taken: Ok(taken),
            counts,
        })
    }

    /// By a story of one event that is refused.
    fn of_one(act: &Act, rows: &RowsAt) -> Option<RowAnswer> {
        let (Act::Answer { status: status @ 200, headers, body }, Some(index)) = (act, &rows.index) else {
            return None;
        };
        let body: Value = serde_json::from_str(body).ok()?;
        let [refused] = &body.pointer(&rows.at)?.as_array()?[..] else { return None };
        let refused = refused.clone();
        (refused[index.as_str()] == 0).then(|| RowAnswer {
            status: *status,
            headers: headers.clone(),
            body,
            at: rows.at.clone(),
            refused,
            taken: Err(index.clone()),
            counts: (1, 0),
        })
    }

    fn of(&self, is_bad: &[bool]) -> Act {
        let good = is_bad.iter().filter(|bad| !**bad).count() as u64;
        let mut body = self.body.clone();
        if let Err(index) = &self.taken {
            let row = |(number, bad): (usize, &bool)| {
                let mut row = self.refused.clone();
                row[index.as_str()] = number.into();
                bad.then_some(row)
            };
            *body.pointer_mut(&self.at).unwrap() = is_bad.iter().enumerate().filter_map(row).collect();
            return Act::Answer {
                status: self.status,
                headers: self.headers.clone(),
                body: body.to_string(),
            };
        }
        *body.pointer_mut(&self.at).unwrap() = Value::Null;
        let mut body = with_counts(&body, self.counts, (is_bad.len() as u64, good));
        let taken = self.taken.clone().unwrap_or_default();
        let row = |bad: &bool| if *bad { self.refused.clone() } else { taken.clone() };
        *body.pointer_mut(&self.at).unwrap() = is_bad.iter().map(row).collect();
        Act::Answer { status: self.status, headers: self.headers.clone(), body: body.to_string() }
    }
}

/// Numbers of all events, of those that are taken and of the others, as they are of other numbers of events.
fn with_counts(json: &Value, of: (u64, u64), new: (u64, u64)) -> Value {
    match json {
        Value::Number(number) if number.as_u64() == Some(of.0) => new.0.into(),
        Value::Number(number) if number.as_u64() == Some(of.1) => new.1.into(),
        Value::Number(number) if number.as_u64() == Some(of.0 - of.1) => (new.0 - new.1).into(),
        Value::Object(members) => {
            members.iter().map(|(name, member)| (name.clone(), with_counts(member, of, new))).collect()
        }
        other => other.clone(),
    }
}

fn choose(acts: &[Act], number: u64) -> Option<Act> {
    acts.get(usize::try_from(number).unwrap_or_default() % acts.len().max(1)).cloned()
}

fn with_body(act: Act, change: impl Fn(&str) -> String) -> Act {
    match act {
        Act::Answer { status, headers, body } => Act::Answer { status, headers, body: change(&body) },
        other => other,
    }
}

/// What a platform says of `of` events, of `events`: a count, a count in a text, or a row for each.
fn of_as_many(json: &Value, of: u64, events: u64) -> Value {
    match json {
        Value::Number(number) if number.as_u64() == Some(of) => events.into(),
        Value::String(text) => text.replace(&format!(" {of} "), &format!(" {events} ")).into(),
        Value::Array(rows) if rows.len() as u64 == of => (0..events).map(|_| rows[0].clone()).collect(),
        Value::Object(members) => {
            members.iter().map(|(name, member)| (name.clone(), of_as_many(member, of, events))).collect()
        }
        other => other.clone(),
    }
}

/// Every `story.toml` below a folder.
fn stories(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path()) {
        if entry.is_dir() {
            stories(&entry, found);
        } else if entry.ends_with("story.toml") {
            found.push(entry);
        }
    }
}

/// The answer of the story in this folder.
pub fn act_of_story(folder: &Path) -> Act {
    let text = std::fs::read_to_string(folder.join("story.toml")).unwrap();
    let story: toml::Table = text.parse().unwrap();
    act(&story["reply"]).unwrap()
}

/// The answer of a story.
fn act(reply: &toml::Value) -> Option<Act> {
    let status = u16::try_from(reply.get("status")?.as_integer()?).ok()?;
    let body = reply.get("body").and_then(toml::Value::as_str).unwrap_or_default();
    let mut act = Act::status(status, body);
    for (name, value) in reply.get("headers").and_then(toml::Value::as_table).into_iter().flatten() {
        act = act.with_header(name, value.as_str()?);
    }
    Some(act)
}
