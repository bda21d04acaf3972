//! An ad platform that is not there, by what its template's folder says of it and not by what we make of that: its
//! schema, the most events of a request, where they are in it, and the answers of its stories.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use postbridge::template::destination::schema::EventSchema;
use serde_json::Value;

use crate::support::platform::{Act, Platform, Received};
use crate::support::platform_answers::PlatformAnswers;

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
    /// The most events that a request carried.
    most_events: usize,
    /// The events whose request it did not answer as it should, each once.
    failed: BTreeSet<String>,
}

/// What the folder of a template says.
struct PlatformFolder {
    schema: EventSchema,
    most_events: usize,
    /// The pointer of the events in a request; `None`: it is one event.
    events_at: Option<String>,
    answers: PlatformAnswers,
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
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
        let most_events = most.map_or(1, |most| usize::try_from(most).unwrap());
        let events_at = text("envelope.json.hbs").ok().map(|envelope| events_at(&envelope));
        let answers = PlatformAnswers::of_stories(&repository().join("fixtures/destinations").join(name));
        PlatformFolder { schema, most_events, events_at, answers }
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

/// The same number for the same text, for chance that can be repeated.
fn chance(text: &str, seed: u64) -> u64 {
    let mut hash = seed ^ 0xcbf2_9ce4_8422_2325;
    for byte in text.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash ^ (hash >> 29)
}

impl StandIn {
    /// Starts one that goes by the folder of this template. Of a hundred requests with events that it sees for
    /// the first time it fails about `failing`, in one of the platform's own shapes or on the way; a quarter as many events
    /// it refuses for ever, and every request with one of them.
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

    /// The most events that one request carried.
    pub fn most_events(&self) -> usize {
        self.shared.lock().most_events
    }

    /// What was wrong with what it was sent.
    pub fn faults(&self) -> Vec<String> {
        self.shared.lock().faults.iter().cloned().collect()
    }

    /// How many events it did not answer as it should.
    pub fn failed(&self) -> usize {
        self.shared.lock().failed.len()
    }
}

impl PlatformFolder {
    fn answer(&self, request: &Received, ledger: &mut Ledger, failing: u64, seed: u64) -> Act {
        let (events, faults) = self.events_of(request);
        ledger.faults.extend(faults);
        ledger.most_events = ledger.most_events.max(events.len());
        // A value of a query is in the target alone.
        let texts: Vec<String> = events.iter().map(Value::to_string).collect();
        // One that it never takes, whatever it is sent with.
        let is_bad = |text: &String| chance(text, !seed) % 100 < failing / 4;
        let bad = texts.iter().position(is_bad);
        if let Some(refusal) = bad.and_then(|index| self.answers.refuse(chance(&texts[index], seed), index)) {
            ledger.refused.extend(texts.into_iter().filter(is_bad));
            return refusal;
        }
        let drawn = chance(&texts.concat(), seed);
        if drawn % 100 < failing && texts.iter().all(|text| !ledger.failed.contains(text)) {
            ledger.failed.extend(texts.iter().cloned());
            return match drawn / 100 % 10 {
                // The platform took it, and the answer is lost.
                0 | 1 => {
                    ledger.taken.extend(texts);
                    Act::BreakOff
                }
                2 => Act::Reset,
                _ => self.answers.retry(drawn / 1_000),
            };
        }
        let accepted = self.answers.accept(texts.len() as u64);
        ledger.taken.extend(texts);
        accepted
    }
}
