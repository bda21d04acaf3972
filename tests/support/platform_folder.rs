//! What the folder of a template says of its platform, for a stand-in: its schema, how it is called and signed in to, and
//! what it answers.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use postbridge::template::destination::schema::EventSchema;
use serde_json::Value;

use crate::support::change_form::ChangeForm;
use crate::support::confirm_answers::ConfirmAnswers;
use crate::support::expected_request::ExpectedRequest;
use crate::support::platform::Received;
use crate::support::platform_answers::{PlatformAnswers, RowsAt};
use crate::support::token_server::TokenServer;

/// How it fails.
pub struct Failing {
    /// Of a hundred requests that it sees for the first time.
    pub of_hundred: u64,
    pub seed: u64,
}

/// What the folder of a template says.
pub struct PlatformFolder {
    pub schema: EventSchema,
    pub most_events: usize,
    pub request: ExpectedRequest,
    /// How much a second it takes, and whether that is events.
    pub rate: Option<(f64, bool)>,
    pub answers: PlatformAnswers,
    pub tokens: Option<Arc<TokenServer>>,
    /// `None`: its answer is all that it ever says.
    pub confirms: Option<ConfirmAnswers>,
    /// What is late is sent so; `None`: as any other.
    pub late: Option<(ExpectedRequest, EventSchema)>,
    /// `None`: it can be informed of nothing after an event.
    pub changes: Option<ChangeForm>,
    pub failing: Failing,
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

impl PlatformFolder {
    /// `is_test`: what it is sent is by the platform's test mode.
    pub fn read(
        name: &str,
        settings: &BTreeMap<String, String>,
        (failing, is_test): (Failing, bool),
    ) -> PlatformFolder {
        let folder = repository().join("templates/destinations").join(name);
        let text = |file: &str| {
            let text = std::fs::read_to_string(folder.join(file)).ok()?;
            Some(if is_test { of_test_mode(&text) } else { text })
        };
        let toml: toml::Table = text("destination.toml").unwrap().parse().unwrap();
        let most = toml.get("batch").and_then(|batch| batch.get("max")).and_then(toml::Value::as_integer);
        let schema = EventSchema::parse("schema.json", &text("schema.json").unwrap()).unwrap();
        let rate = toml.get("rate").map(|rate| {
            let number = rate["max_per_second"].as_integer().unwrap();
            (number as f64, rate.get("counts").and_then(toml::Value::as_str) == Some("events"))
        });
        let by_each = |batch: &toml::Value| batch.get("verdict").is_some_and(|v| v.as_str() == Some("each"));
        let rows = toml.get("batch").and_then(|batch| Some((batch.get("rows")?, by_each(batch))));
        let rows = rows.filter(|(rows, _)| rows.get("pattern").is_none());
        let rows = rows.map(|(rows, by_each)| RowsAt {
            at: rows["at"].as_str().unwrap().to_owned(),
            index: rows.get("index").and_then(toml::Value::as_str).map(str::to_owned),
            by_each,
        });
        let rows = rows.filter(|rows| !rows.at.contains('*'));
        let stories = repository().join("fixtures/destinations").join(name);
        let auth = toml["request"].get("auth").and_then(toml::Value::as_array).into_iter().flatten();
        let mut signs_in = auth.filter(|auth| auth["kind"].as_str() == Some("oauth2-refresh"));
        let tokens = signs_in.next().map(|auth| Arc::new(TokenServer::start(auth, settings)));
        PlatformFolder {
            schema,
            most_events: most.map_or(1, |most| usize::try_from(most).unwrap()),
            request: ExpectedRequest::read(&toml, text("envelope.json.hbs").as_deref(), settings),
            rate,
            answers: PlatformAnswers::of_stories(&stories, rows),
            tokens,
            // What is only a test has no later word.
            confirms: toml
                .get("confirm")
                .filter(|_| !is_test)
                .map(|confirm| ConfirmAnswers::read(confirm, &stories)),
            late: toml.get("late").map(|late| {
                let envelope = text("late.envelope.json.hbs");
                let request =
                    ExpectedRequest::read_of(&toml, &late["request"], envelope.as_deref(), settings);
                let schema = text("late.schema.json").unwrap();
                (request, EventSchema::parse("late.schema.json", &schema).unwrap())
            }),
            changes: ChangeForm::read(&folder, &toml, settings),
            failing,
        }
    }

    /// The events of a request, and what is wrong with it.
    pub fn events_of(&self, request: &Received, path: &str) -> ReadRequest {
        let elsewhere = self.changes.as_ref().and_then(|changes| changes.request.as_ref());
        let elsewhere = elsewhere.filter(|elsewhere| elsewhere.path() == path);
        let late = self.late.as_ref().filter(|(late, _)| late.path() == path);
        let expected = elsewhere.or(late.map(|(request, _)| request)).unwrap_or(&self.request);
        let mut faults = expected.faults(request, path);
        let shown = request.header("authorization");
        if self.tokens.as_ref().is_some_and(|tokens| !tokens.gave(shown)) {
            faults.push(format!("the token is {shown:?}, which was never given"));
        }
        let events = expected.events_of(request);
        if events.is_empty() || events.len() > self.most_events {
            faults.push(format!("{} events in a request", events.len()));
        }
        if (1..events.len()).any(|n| events[..n].contains(&events[n])) {
            faults.push("an event twice in a request".to_owned());
        }
        let read = |event: Value| {
            let form = self.changes.as_ref();
            let is_change = form.map_or(Some(false), |form| form.is_change(&event, elsewhere.is_some()));
            let of_change = form.and_then(|form| form.schema.as_ref()).filter(|_| is_change == Some(true));
            let of_late = late.map(|(_, schema)| schema);
            let wrong = of_change.or(of_late).unwrap_or(&self.schema).faults(&event);
            faults.extend(wrong.into_iter().map(|fault| format!("{}: {}", fault.at, fault.what)));
            let essence = form.filter(|_| is_change == Some(true)).map(|form| form.essence(event.clone()));
            let occasion = form.and_then(|form| form.occasion(&event));
            ReadEvent { text: essence.unwrap_or(event).to_string(), is_change, occasion }
        };
        let events = events.into_iter().map(read).collect();
        ReadRequest { events, faults, is_late: late.is_some() }
    }
}

/// A request as the platform reads it.
pub struct ReadRequest {
    pub events: Vec<ReadEvent>,
    /// What is wrong with it.
    pub faults: Vec<String>,
    /// Whether it was sent as what is late is.
    pub is_late: bool,
}

/// An event, or a change of one, in a request.
#[derive(Debug, Clone)]
pub struct ReadEvent {
    /// As it was sent, but for when a change was sent.
    pub text: String,
    /// Whether it is a change of what was sent before; `None`: what is around and in it is the same.
    pub is_change: Option<bool>,
    /// On which occasion it was sent, where it says so.
    pub occasion: Option<String>,
}

/// A template's text as it is of an account in test mode.
fn of_test_mode(text: &str) -> String {
    let Some((before, behind)) = text.split_once("in_test ") else { return text.to_owned() };
    match (before.strip_suffix('('), behind.split_once(')')) {
        (Some(before), Some((value, after))) => format!("{before}{value}{}", of_test_mode(after)),
        _ => format!("{before}{}", of_test_mode(behind)),
    }
}
