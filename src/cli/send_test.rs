//! `postbridge send-test`: has the running relay send one test event to a destination, and shows request, answer and
//! verdict.

use std::fmt::Write;

use clap::Args;
use serde_json::Value;

use crate::cli::remote::{Remote, ServerReply, refusal};
use crate::cli::{Failure, print, print_json, run_to_end};
use crate::domain::test_event::TestCounts;
use crate::template::diagnostic::Problem;

#[derive(Args)]
pub struct SendTest {
    /// The id of the [[destination]].
    #[arg(value_name = "DESTINATION")]
    destination: String,
    /// The event that is sent [default: Purchase, or another where the destination takes none]
    #[arg(long, value_name = "EVENT")]
    event: Option<String>,
    /// Send it although the platform uses test events for bidding or in reports, or may.
    #[arg(long)]
    anyway: bool,
    /// Print one JSON document, that of POST /api/v1/destinations/{id}/test.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    remote: Remote,
}

impl SendTest {
    pub fn run(self) -> Result<(), Failure> {
        let config = self.remote.load()?;
        run_to_end(async move {
            match self.remote.post(&config, &self.path()).await? {
                ServerReply::Answered(200, document) => self.show(&document),
                ServerReply::Answered(status, document) => Err(refusal(status, &document)),
                ServerReply::NotThere { server, reason } => {
                    let what = format!("no relay answers at {server}: {reason}");
                    let hint = "a test event is sent by the relay that runs: start it by `postbridge serve`, or name \
                                another: --server URL";
                    Err(Failure::running(Problem::new(what, hint)))
                }
            }
        })
    }

    fn path(&self) -> String {
        let encoded = |text: &str| {
            percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
        };
        let path = format!("/api/v1/destinations/{}/test", encoded(&self.destination));
        let event = self.event.as_ref().map(|event| format!("event={}", encoded(event)));
        let query: Vec<String> =
            event.into_iter().chain(self.anyway.then(|| "anyway=true".to_owned())).collect();
        if query.is_empty() { path } else { format!("{path}?{}", query.join("&")) }
    }

    /// Ends with 1 where the platform did not take the event.
    fn show(&self, document: &Value) -> Result<(), Failure> {
        if self.json {
            print_json(document)?
        } else {
            print(&in_words(document))?
        }
        match document.get("outcome").and_then(Value::as_str) {
            Some("delivered") => Ok(()),
            // Its reason is printed already.
            _ => Err(Failure { code: 1, problems: Vec::new() }),
        }
    }
}

/// What the document says, for people.
fn in_words(document: &Value) -> String {
    let at = |pointer: &str| document.pointer(pointer);
    let text = |pointer: &str| at(pointer).and_then(Value::as_str).unwrap_or_default();
    // Another version's word is shown as it is.
    let known = TestCounts::NAMES.into_iter().find(|(word, _)| *word == text("/counts"));
    let counts = known.map_or(text("/counts"), |(_, counts)| counts.sentence());
    let mut words = format!("{}: {}\n", text("/destination"), text("/verdict"));
    for (name, value) in [
        ("event", text("/event")),
        ("as", text("/event_name")),
        ("reason code", text("/reason_code")),
        ("reason", text("/reason")),
        ("hint", text("/hint")),
        ("counts", counts),
        ("of a test", text("/note")),
    ] {
        if !value.is_empty() {
            line(&mut words, name, value);
        }
    }
    for warning in list(at("/warnings")).filter_map(Value::as_str) {
        line(&mut words, "warning", warning);
    }
    for remark in list(at("/remarks")) {
        line(&mut words, "note", remark.get("reason").and_then(Value::as_str).unwrap_or_default());
    }
    if at("/is_probed") == Some(&Value::Bool(true)) {
        line(
            &mut words,
            "next",
            "the destination was parked: what waits longest is sent now, then the others",
        );
    }
    match at("/request") {
        None | Some(Value::Null) => words.push_str("\nno request was sent\n"),
        Some(request) => {
            words.push_str("\nrequest (secrets masked)\n");
            words.push_str(&format!("  {} {}\n", text("/request/method"), text("/request/url")));
            message(&mut words, request);
        }
    }
    match at("/response") {
        None | Some(Value::Null) => words.push_str("\nno answer was received\n"),
        Some(response) => {
            let status = response.get("status").map(Value::to_string).unwrap_or_default();
            words.push_str(&format!("\nanswer\n  HTTP {status}\n"));
            message(&mut words, response);
        }
    }
    if !text("/setup").is_empty() {
        words.push_str("\nwhat the setup guide says\n");
        rows(&mut words, text("/setup"));
    }
    words
}

fn list(value: Option<&Value>) -> impl Iterator<Item = &Value> {
    value.and_then(Value::as_array).into_iter().flatten()
}

/// Headers and body of a request or an answer.
fn message(words: &mut String, message: &Value) {
    for header in list(message.get("headers")) {
        let part = |index: usize| header.get(index).and_then(Value::as_str).unwrap_or_default();
        words.push_str(&format!("  {}: {}\n", part(0), part(1)));
    }
    let body = message.get("body").and_then(Value::as_str).unwrap_or_default();
    match serde_json::from_str::<Value>(body) {
        Ok(json) => rows(words, &format!("{json:#}")),
        Err(_) => rows(words, body),
    }
}

fn rows(words: &mut String, text: &str) {
    for row in text.lines() {
        words.push_str(&format!("  {row}\n"));
    }
}

fn line(words: &mut String, name: &str, value: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(words, "  {name:<16} {value}");
}
