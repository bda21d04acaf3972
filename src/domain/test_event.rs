//! A test event: what became of one, and why none is sent. It is of no sale, and nothing of it is kept.

use crate::domain::attempt::Attempt;
use crate::domain::code::{CodedReason, ReasonCode, codes};
use crate::domain::event::EventName;
use crate::domain::ids::DestinationId;
use crate::domain::skip::SkipReason;

/// What a person does who wants a test event sent that counts, or may.
const SEND_ANYWAY: &str = "`postbridge preview` shows a request without sending it; to send the test event all the same, say so: \
                           `--anyway` of the command, `anyway=true` of the API, the box next to the button";

codes! {
    /// Why no test event is sent.
    TestRefusedCode = "test_refused" {
        NoTestMode = "no_test_mode",
            "the platform has no test mode, so a test event would count as a sale",
            "see the request without sending it: `postbridge preview`, the preview on the page *Sources*, or \
             `mode = \"shadow\"` of the destination";
        SettingMissing = "test_setting_missing",
            "a setting is missing that the platform's test mode needs",
            "set it under [destination.settings], reload, then send the test event again";
        EventNotMapped = "event_without_name",
            "the destination has no name for the event",
            "choose another event, or name this one under [destination.events] and reload";
        Counts = "test_counts",
            "the platform uses a test event as it uses a sale, for bidding and in reports",
            SEND_ANYWAY;
        MayCount = "test_may_count",
            "it is not known whether the platform uses a test event for bidding or in reports",
            SEND_ANYWAY;
        SameAsLive = "same_as_live",
            "in test mode the template makes the same request as for a sale, so a test event would count",
            "have the template say in the request that it is a test (`in_test`), or take its [test] out";
        NothingToSend = "nothing_to_send",
            "of a made-up sale the template makes no request",
            "give [test.click] of the template the values that the platform's click has";
        Unrendered = "request_not_made",
            "the request could not be made",
            "correct the template or the setting that it names, reload, then send the test event again";
        TooSoon = "too_soon",
            "a test event was sent to the destination a moment ago, or is under way",
            "wait some seconds, then send it again";
        NotReady = "not_ready",
            "nothing is sent to the destination at the moment: the relay starts or stops, or the HTTP client could not be made",
            "look at the log, then send the test event again";
    }
}

/// Why no test event is sent, with what it is about.
#[allow(missing_docs, reason = "a variant is the code of the same name, which has its meaning above")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TestRefused {
    NoTestMode,
    SettingMissing(Vec<MissingSetting>),
    /// The names of ours that the destination knows.
    EventNotMapped {
        event: EventName,
        known: Vec<String>,
    },
    Counts,
    MayCount,
    SameAsLive,
    NothingToSend(SkipReason),
    /// What is wrong, and how to fix it.
    Unrendered {
        what: String,
        hint: String,
    },
    /// In how many seconds one can be sent again.
    TooSoon {
        seconds: u64,
    },
    NotReady,
}

/// Whether a platform may use a test event for bidding or in reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TestCounts {
    /// It uses none.
    No,
    /// The platform does not say.
    Unknown,
    /// It uses a test event as it uses a sale.
    Yes,
}

impl TestCounts {
    /// Each as a template and the API write it.
    pub const NAMES: [(&str, TestCounts); 3] =
        [("no", TestCounts::No), ("unknown", TestCounts::Unknown), ("yes", TestCounts::Yes)];

    /// As a template and the API write it.
    pub fn as_str(self) -> &'static str {
        match self {
            TestCounts::No => "no",
            TestCounts::Unknown => "unknown",
            TestCounts::Yes => "yes",
        }
    }

    /// For a person, as a sentence without its end.
    pub fn sentence(self) -> &'static str {
        match self {
            TestCounts::No => "the platform uses no test event, neither for bidding nor in reports",
            TestCounts::Unknown => TestRefusedCode::MayCount.meaning(),
            TestCounts::Yes => TestRefusedCode::Counts.meaning(),
        }
    }

    /// Why none is sent to a person who has not said that it may count; `None` where it does not.
    pub fn refusal(self) -> Option<TestRefused> {
        match self {
            TestCounts::No => None,
            TestCounts::Unknown => Some(TestRefused::MayCount),
            TestCounts::Yes => Some(TestRefused::Counts),
        }
    }
}

/// What a person wants to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TestWish<'a> {
    /// The name of the event, as it was typed; empty for the usual one.
    pub event: &'a str,
    /// Whether it is sent although it counts, or may.
    pub anyway: bool,
}

/// A setting that a platform's test mode needs, and that the account has not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingSetting {
    /// As the configuration names it.
    pub name: String,
    /// As the platform's people call it.
    pub label: String,
    /// Where a person finds its value; empty where the template does not say.
    pub hint: String,
}

/// What became of a test event.
#[derive(Debug, Clone)]
pub struct TestReport {
    /// Where it was sent.
    pub destination: DestinationId,
    /// Our name of the event.
    pub event: EventName,
    /// The platform's.
    pub event_name: String,
    /// What was sent and received, secrets masked. It is no attempt at a delivery, and is not kept.
    pub attempt: Attempt,
    /// Whether the destination was parked and, because the test was taken, sends what waits longest now.
    pub is_probed: bool,
}

impl CodedReason for TestRefused {
    type Code = TestRefusedCode;

    fn code(&self) -> TestRefusedCode {
        match self {
            TestRefused::NoTestMode => TestRefusedCode::NoTestMode,
            TestRefused::SettingMissing(_) => TestRefusedCode::SettingMissing,
            TestRefused::EventNotMapped { .. } => TestRefusedCode::EventNotMapped,
            TestRefused::Counts => TestRefusedCode::Counts,
            TestRefused::MayCount => TestRefusedCode::MayCount,
            TestRefused::SameAsLive => TestRefusedCode::SameAsLive,
            TestRefused::NothingToSend(_) => TestRefusedCode::NothingToSend,
            TestRefused::Unrendered { .. } => TestRefusedCode::Unrendered,
            TestRefused::TooSoon { .. } => TestRefusedCode::TooSoon,
            TestRefused::NotReady => TestRefusedCode::NotReady,
        }
    }

    fn field(&self) -> Option<&str> {
        match self {
            TestRefused::SettingMissing(missing) => missing.first().map(|setting| setting.name.as_str()),
            TestRefused::EventNotMapped { .. } => Some("event"),
            TestRefused::NothingToSend(reason) => reason.field(),
            _ => None,
        }
    }

    fn value(&self) -> Option<&str> {
        match self {
            TestRefused::EventNotMapped { event, .. } => Some(event.as_str()),
            _ => None,
        }
    }

    fn sentence(&self) -> String {
        match self {
            TestRefused::SettingMissing(missing) => {
                let named =
                    missing.iter().map(|MissingSetting { name, label, .. }| format!("`{name}` ({label})"));
                let named: Vec<String> = named.collect();
                let word = if named.len() == 1 { "the setting" } else { "the settings" };
                format!("the platform's test mode needs {word} {}", named.join(" and "))
            }
            TestRefused::EventNotMapped { event, .. } => {
                format!("the destination has no name for the event `{event}`")
            }
            TestRefused::NothingToSend(reason) => {
                format!("of a made-up sale the template makes no request: {}", reason.sentence())
            }
            TestRefused::Unrendered { what, .. } => format!("the request could not be made: {what}"),
            _ => self.code().meaning().to_owned(),
        }
    }

    fn hint(&self) -> String {
        match self {
            TestRefused::SettingMissing(missing) => {
                let hints =
                    missing.iter().map(|setting| setting.hint.as_str()).filter(|hint| !hint.is_empty());
                let hints: Vec<&str> = hints.chain([self.code().fix()]).collect();
                hints.join("; ")
            }
            TestRefused::EventNotMapped { known, .. } if !known.is_empty() => {
                format!(
                    "choose one of {}, or name this one under [destination.events] and reload",
                    known.join(", ")
                )
            }
            TestRefused::Unrendered { hint, .. } if !hint.is_empty() => hint.clone(),
            TestRefused::TooSoon { seconds } => format!("wait {seconds} s, then send it again"),
            _ => self.code().fix().to_owned(),
        }
    }
}
