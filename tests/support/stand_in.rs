//! An ad platform that is not there, by what its template's folder says of it and not by what we make of that: its
//! schema, the most events of a request, where they are in it, and the answers of its stories.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use postbridge::template::destination::schema::EventSchema;
use serde_json::Value;

use crate::support::platform::{Act, Platform, Received};

/// A running stand-in of one platform.
pub struct StandIn {
    pub name: String,
    pub platform: Platform,
    shared: Arc<Mutex<Ledger>>,
}

/// What it was sent.
#[derive(Default)]
struct Ledger {
    /// The text of every event that it took, in order.
    taken: Vec<String>,
    /// The same of those that it refused for ever.
    refused: Vec<String>,
    /// What was wrong with a request.
    faults: BTreeSet<String>,
    /// How often each event was not answered as it should be.
    failed: BTreeMap<String, usize>,
}

/// What the folder of a template says.
struct PlatformFolder {
    schema: EventSchema,
    most_events: usize,
    /// The pointer of the events in a request; `None`: it is one event.
    events_at: Option<String>,
    accepts: Act,
    retries: Vec<Act>,
    refuses: Vec<Act>,
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
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

/// The pointer of a value in a document.
fn pointer_of(value: &Value, wanted: &str, at: &str) -> Option<String> {
    match value {
        Value::String(text) if text == wanted => Some(at.to_owned()),
        Value::Object(members) => {
            members.iter().find_map(|(name, member)| pointer_of(member, wanted, &format!("{at}/{name}")))
        }
        _ => None,
    }
}

/// Where an envelope has its events.
fn events_at(envelope: &str) -> String {
    let mut json = String::new();
    let mut rest = envelope;
    while let Some((before, behind)) = rest.split_once("{{") {
        let (inside, after) = behind.split_once("}}").unwrap();
        json.push_str(before);
        json.push_str(if inside.trim() == "events" { "\"@events\"" } else { "null" });
        rest = after;
    }
    json.push_str(rest);
    pointer_of(&serde_json::from_str(&json).unwrap(), "@events", "").unwrap()
}

impl PlatformFolder {
    fn read(name: &str) -> PlatformFolder {
        let folder = repository().join("templates/destinations").join(name);
        let text = |file: &str| std::fs::read_to_string(folder.join(file));
        let toml: toml::Table = text("destination.toml").unwrap().parse().unwrap();
        let most = toml.get("batch").and_then(|batch| batch.get("max")).and_then(toml::Value::as_integer);
        let schema = EventSchema::parse("schema.json", &text("schema.json").unwrap()).unwrap();
        let (mut accepts, mut retries, mut refuses) = (None, Vec::new(), Vec::new());
        let mut found = Vec::new();
        stories(&repository().join("fixtures/destinations").join(name), &mut found);
        found.sort();
        for story in found {
            let toml: toml::Table = std::fs::read_to_string(&story).unwrap().parse().unwrap();
            let Some(reply) = toml.get("reply").filter(|reply| reply.get("events").is_none()) else {
                continue;
            };
            let Some(act) = act(reply) else { continue };
            let expected = std::fs::read_to_string(story.with_file_name("expected.json")).unwrap();
            let expected: Value = serde_json::from_str(&expected).unwrap();
            let waits =
                expected["hold_ms"].is_number() || expected["after_ms"].as_i64().is_some_and(|ms| ms > 0);
            match expected["verdict"].as_str() {
                Some("delivered") if expected["warnings"] == serde_json::json!([]) => {
                    accepts.get_or_insert(act);
                }
                // A test does not wait as long as a platform may ask for.
                Some("retry") if !waits => retries.push(act),
                Some("dead") => refuses.push(act),
                _ => {}
            }
        }
        let most_events = most.map_or(1, |most| usize::try_from(most).unwrap());
        let events_at = text("envelope.json.hbs").ok().map(|envelope| events_at(&envelope));
        let accepts = accepts.unwrap_or_else(|| panic!("{name} has a story of a plain success"));
        PlatformFolder { schema, most_events, events_at, accepts, retries, refuses }
    }

    /// The events of a request, and what is wrong with it.
    fn events_of(&self, request: &Received) -> (Vec<Value>, Vec<String>) {
        let body = request.json();
        let events = match (&self.events_at, &body) {
            (Some(at), body) => body.pointer(at).and_then(Value::as_array).cloned().unwrap_or_default(),
            (None, Value::Null) => {
                let query = request.target.split_once('?').map_or("", |(_, query)| query);
                let pairs = form_urlencoded::parse(query.as_bytes());
                let pairs = pairs.map(|(name, value)| (name.into_owned(), Value::from(value.into_owned())));
                vec![Value::Object(pairs.collect())]
            }
            (None, body) => vec![body.clone()],
        };
        let mut faults = Vec::new();
        if events.is_empty() || events.len() > self.most_events {
            faults.push(format!("{} events in a request", events.len()));
        }
        for event in &events {
            let wrong = self.schema.faults(event);
            faults.extend(wrong.into_iter().map(|fault| format!("{}: {}", fault.at, fault.what)));
        }
        (events, faults)
    }
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

/// The same number for the same text, for chance that can be repeated.
fn chance(text: &str, seed: u64) -> u64 {
    let mut hash = seed ^ 0xcbf2_9ce4_8422_2325;
    for byte in text.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash ^ (hash >> 29)
}

impl StandIn {
    /// Starts one that goes by the folder of this template. Of a hundred events that it sees for the first time it fails
    /// about `failing`, each once, in one of the platform's own shapes or on the way.
    pub fn start(name: &str, failing: u64, seed: u64) -> StandIn {
        let folder = PlatformFolder::read(name);
        let shared: Arc<Mutex<Ledger>> = Arc::default();
        let ledger = Arc::clone(&shared);
        let platform =
            Platform::start(move |request| folder.answer(request, &mut ledger.lock(), failing, seed));
        StandIn { name: name.to_owned(), platform, shared }
    }

    /// How often it took an event that holds this text.
    pub fn taken(&self, text: &str) -> usize {
        self.shared.lock().taken.iter().filter(|event| event.contains(text)).count()
    }

    /// Whether it refused such an event for ever.
    pub fn refused(&self, text: &str) -> bool {
        self.shared.lock().refused.iter().any(|event| event.contains(text))
    }

    /// What was wrong with what it was sent.
    pub fn faults(&self) -> Vec<String> {
        self.shared.lock().faults.iter().cloned().collect()
    }

    /// How many events were not answered as they should be.
    pub fn failed(&self) -> usize {
        self.shared.lock().failed.len()
    }
}

impl PlatformFolder {
    fn answer(&self, request: &Received, ledger: &mut Ledger, failing: u64, seed: u64) -> Act {
        let (events, faults) = self.events_of(request);
        ledger.faults.extend(faults);
        // A value of a query is in the target alone.
        let texts: Vec<String> = events.iter().map(Value::to_string).collect();
        let whole = texts.join("\n");
        let drawn = chance(&whole, seed);
        if !ledger.failed.contains_key(&whole) && drawn % 100 < failing {
            ledger.failed.insert(whole, 1);
            let choice = drawn / 100 % 10;
            let of = |acts: &[Act]| {
                let number = usize::try_from(drawn / 1_000).unwrap_or_default();
                acts.get(number % acts.len().max(1)).cloned()
            };
            match choice {
                // The platform took it, and the answer is lost.
                0 | 1 => {
                    ledger.taken.extend(texts);
                    return Act::BreakOff;
                }
                2 => return Act::Reset,
                3 => {
                    if let Some(act) = of(&self.refuses) {
                        ledger.refused.extend(texts);
                        return act;
                    }
                }
                _ => {}
            }
            return of(&self.retries).unwrap_or(Act::status(503, ""));
        }
        ledger.taken.extend(texts);
        self.accepts.clone()
    }
}
