//! What a platform's answer means: delivered, again, dead, or the account is refused. First rule that fits.

use std::borrow::Cow;

use serde_json::Value as Json;

use crate::domain::delivery::{PlatformResponse, Reply, ReplyVerdict};
use crate::domain::delivery_reason::{DeathReason, ParkReason, RetryReason};
use crate::domain::exchange::{PlatformAnswer, Said};
use crate::domain::time::Time;
use crate::template::destination::wait::{self, WaitPlace, WaitRule};
use crate::template::toml_doc::text::Scalar;

/// A request carries one event, so a platform that took all of it took one.
const EVENTS_IN_A_REQUEST: i64 = 1;
/// What an answer says, and each of its warnings, is cut at this many characters.
const MAX_WORDS: usize = 600;
/// Of an answer that names no reason, this much is shown.
const MAX_EXCERPT: usize = 200;

/// A template's reply rules, before the rules that hold for all.
#[derive(Debug, Default)]
pub(crate) struct ReplyRules {
    pub rules: Vec<Rule>,
    /// Where the answer says why, in the order a person wants to read it.
    pub reasons: Vec<ReasonPart>,
    /// Where an answer says how long to wait, in addition to `Retry-After`.
    pub waits: Vec<WaitPlace>,
}

#[derive(Debug)]
pub(crate) struct ReasonPart {
    pub label: Option<String>,
    pub at: String,
}

/// All conditions of a rule must hold; a rule without conditions always does.
#[derive(Debug)]
pub(crate) struct Rule {
    pub status: Vec<NumberRange>,
    pub not_json: bool,
    pub json: Vec<Condition<String>>,
    /// By lower-case name.
    pub headers: Vec<Condition<String>>,
    pub then: ReplyOutcome,
    pub why: Option<String>,
    /// Where a delivered answer keeps its warnings.
    pub warnings: Option<String>,
    /// Whom a wait that the answer asks for concerns.
    pub concerns: WaitRule,
}

/// Something at a place (a JSON pointer, a header's name) and what it must be.
#[derive(Debug)]
pub(crate) struct Condition<P> {
    pub at: P,
    pub test: ReplyCondition,
}

#[derive(Debug)]
pub(crate) enum ReplyCondition {
    Exists(bool),
    /// One of these; numbers may come as text.
    OneOf(Vec<ExpectedValue>),
    /// As many as were sent.
    EqualsSent,
    /// A text that holds this one, which is in lower case; ASCII letters are compared whatever their case.
    Contains(String),
}

#[derive(Debug)]
pub(crate) enum ExpectedValue {
    Scalar(Scalar),
    Range(NumberRange),
}

/// Whole numbers, both ends included.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NumberRange {
    pub first: i64,
    pub last: i64,
}

impl NumberRange {
    pub(crate) fn contains(self, number: i64) -> bool {
        (self.first..=self.last).contains(&number)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReplyOutcome {
    Delivered,
    Retry,
    Dead,
    Park,
}

impl ReplyOutcome {
    pub(crate) const NAMES: [(ReplyOutcome, &'static str); 4] = [
        (ReplyOutcome::Delivered, "delivered"),
        (ReplyOutcome::Retry, "retry"),
        (ReplyOutcome::Dead, "dead"),
        (ReplyOutcome::Park, "park"),
    ];
}

impl ReplyRules {
    /// For a receiver that keeps no account of ours: 401 and 403 refuse what was sent, and no new
    /// setting fixes them for all, so nothing is parked.
    pub(crate) fn without_accounts() -> ReplyRules {
        let refused = Rule {
            status: vec![NumberRange { first: 401, last: 401 }, NumberRange { first: 403, last: 403 }],
            not_json: false,
            json: Vec::new(),
            headers: Vec::new(),
            then: ReplyOutcome::Dead,
            why: None,
            warnings: None,
            concerns: WaitRule::AsUsual,
        };
        ReplyRules { rules: vec![refused], ..ReplyRules::default() }
    }

    /// Classifies a reply. `now` is what a wait counts from.
    pub(crate) fn classify(&self, reply: &Reply, now: Time) -> ReplyVerdict {
        let answer = match reply {
            Reply::Failed(cause) => {
                let reason = RetryReason::NoAnswer(cause.clone());
                return ReplyVerdict::Retry { reason, after_ms: None, hold_ms: None };
            }
            Reply::Forbidden(refused) => {
                return ReplyVerdict::Dead { reason: DeathReason::Refused(refused.clone()) };
            }
            Reply::Answer(answer) => answer,
        };
        let json: Option<Json> = serde_json::from_slice(&answer.body).ok();
        let rule = self.rules.iter().find(|rule| rule.fits(answer, json.as_ref()));
        let outcome = rule.map_or_else(|| usual(answer.status), |rule| rule.then);
        let kept = || PlatformAnswer {
            status: answer.status,
            why: rule.and_then(|rule| rule.why.clone()),
            said: self.said(answer, json.as_ref()),
        };
        match outcome {
            ReplyOutcome::Delivered => {
                let at = rule.and_then(|rule| rule.warnings.as_deref());
                ReplyVerdict::Delivered { warnings: warnings(json.as_ref(), at) }
            }
            ReplyOutcome::Retry => {
                let concerns = rule.map_or(WaitRule::AsUsual, |rule| rule.concerns);
                let asked = wait::asked(&self.waits, concerns, answer, now);
                let reason = RetryReason::PlatformUnavailable(kept());
                ReplyVerdict::Retry { reason, after_ms: asked.after_ms, hold_ms: asked.hold_ms }
            }
            ReplyOutcome::Dead if (300..=399).contains(&answer.status) => {
                ReplyVerdict::Dead { reason: DeathReason::Redirected(kept()) }
            }
            ReplyOutcome::Dead => ReplyVerdict::Dead { reason: DeathReason::PlatformRejected(kept()) },
            ReplyOutcome::Park => ReplyVerdict::Park { reason: ParkReason::AccountRefused(kept()) },
        }
    }

    /// What the answer says why: what the template points at, else the beginning of the body.
    fn said(&self, answer: &PlatformResponse, json: Option<&Json>) -> Said {
        let mut parts = Vec::new();
        for part in &self.reasons {
            let found = json.and_then(|json| json.pointer(&part.at)).and_then(plain);
            if let Some(found) = found.filter(|text| !text.trim().is_empty()) {
                match &part.label {
                    Some(label) => parts.push(format!("{label} {found}")),
                    None => parts.push(found.into_owned()),
                }
            }
        }
        let body = String::from_utf8_lossy(&answer.body);
        match (parts.is_empty(), body.trim()) {
            (false, _) => Said::Words(shorten(&parts.join(", "), MAX_WORDS)),
            (true, "") => Said::EmptyBody,
            (true, body) => Said::Words(shorten(body, MAX_EXCERPT)),
        }
    }
}

/// What an answer means where a template does not say otherwise.
fn usual(status: u16) -> ReplyOutcome {
    match status {
        200..=299 => ReplyOutcome::Delivered,
        408 | 425 | 429 | 500..=599 => ReplyOutcome::Retry,
        401 | 403 => ReplyOutcome::Park,
        _ => ReplyOutcome::Dead,
    }
}

impl Rule {
    fn fits(&self, answer: &PlatformResponse, json: Option<&Json>) -> bool {
        let status = i64::from(answer.status);
        (self.status.is_empty() || self.status.iter().any(|range| range.contains(status)))
            && !(self.not_json && json.is_some())
            && self.json.iter().all(|condition| {
                json.is_some_and(|json| condition.test.holds(json.pointer(&condition.at).map(Cow::Borrowed)))
            })
            && self.headers.iter().all(|condition| {
                let header = answer.header(&condition.at);
                condition.test.holds(header.map(|text| Cow::Owned(Json::String(text.to_owned()))))
            })
    }
}

impl ReplyCondition {
    fn holds(&self, found: Option<Cow<'_, Json>>) -> bool {
        let found = found.filter(|found| !found.is_null());
        match (self, found) {
            (ReplyCondition::Exists(wanted), found) => found.is_some() == *wanted,
            (_, None) => false,
            (ReplyCondition::OneOf(wanted), Some(found)) => wanted.iter().any(|wanted| wanted.is(&found)),
            (ReplyCondition::EqualsSent, Some(found)) => whole_number(&found) == Some(EVENTS_IN_A_REQUEST),
            (ReplyCondition::Contains(wanted), Some(found)) => {
                found.as_str().is_some_and(|text| text.to_ascii_lowercase().contains(wanted.as_str()))
            }
        }
    }
}

impl ExpectedValue {
    fn is(&self, found: &Json) -> bool {
        match self {
            ExpectedValue::Scalar(Scalar::Text(text)) => found.as_str() == Some(text),
            ExpectedValue::Scalar(Scalar::Truth(truth)) => found.as_bool() == Some(*truth),
            ExpectedValue::Scalar(Scalar::Integer(number)) => whole_number(found) == Some(*number),
            ExpectedValue::Range(range) => whole_number(found).is_some_and(|number| range.contains(number)),
        }
    }
}

fn whole_number(found: &Json) -> Option<i64> {
    match found {
        Json::Number(number) => number.as_i64(),
        Json::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

fn warnings(json: Option<&Json>, at: Option<&str>) -> Vec<String> {
    let found = at.and_then(|at| json?.pointer(at));
    match found {
        None | Some(Json::Null) => Vec::new(),
        Some(Json::Array(items)) => items.iter().map(|item| shorten(&shown(item), MAX_WORDS)).collect(),
        Some(one) => vec![shorten(&shown(one), MAX_WORDS)],
    }
}

fn plain(found: &Json) -> Option<Cow<'_, str>> {
    match found {
        Json::Null => None,
        Json::String(text) => Some(Cow::Borrowed(text)),
        other => Some(Cow::Owned(other.to_string())),
    }
}

fn shown(found: &Json) -> String {
    plain(found).map(Cow::into_owned).unwrap_or_default()
}

/// One line of at most `most` characters.
fn shorten(text: &str, most: usize) -> String {
    let mut line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(most).collect();
    if text.chars().nth(most).is_some() {
        line.push('…');
    }
    line
}
