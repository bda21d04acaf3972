//! What a platform's answer means: delivered, again, dead, or the account is refused. First rule that fits.

use std::borrow::Cow;

use serde_json::Value as Json;

use crate::domain::click::Pairs;
use crate::domain::delivery::{PlatformResponse, Reply, ReplyVerdict};
use crate::domain::delivery_reason::{DeathReason, ParkReason, RetryReason};
use crate::domain::exchange::{PlatformAnswer, Said};
use crate::domain::sent::Confirmation;
use crate::domain::time::Time;
use crate::template::destination::wait::{self, RetryAt, WaitPlace, WaitRule};
use crate::template::toml_doc::text::Scalar;

/// What an answer says, and each of its warnings, is cut at this many characters.
const MAX_WORDS: usize = 600;
/// By this status a platform says that a token is none.
const UNAUTHORIZED: u16 = 401;
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
    /// How certain it is that an event was taken, where an answer counts as delivered.
    pub confirmation: Confirmation,
}

/// An answer that was classified as a whole.
pub(crate) struct ClassifiedReply {
    pub verdict: ReplyVerdict,
    /// What the rule keeps of a delivered answer, by name.
    pub kept: Pairs,
}

impl ClassifiedReply {
    /// Where the event counts as confirmed, only as sure as this.
    pub(crate) fn sure_as(mut self, sure: Confirmation) -> ClassifiedReply {
        if let ReplyVerdict::Delivered { confirmation: confirmation @ Confirmation::Confirmed, .. } =
            &mut self.verdict
        {
            *confirmation = sure;
        }
        self
    }
}

/// An answer as rules look at it.
pub(crate) struct ReadReply<'a> {
    pub answer: &'a PlatformResponse,
    /// `None` where the body is no JSON.
    pub json: Option<Json>,
    /// How many events were sent.
    pub sent: usize,
}

#[derive(Debug)]
pub(crate) struct ReasonPart {
    pub label: Option<String>,
    pub at: String,
}

/// All conditions of a rule must hold; a rule without conditions always does.
#[derive(Debug, Default)]
pub(crate) struct Rule {
    pub status: Vec<NumberRange>,
    pub not_json: bool,
    /// A text that the body holds, and one that it does not: in lower case, since ASCII letters are compared whatever
    /// their case.
    pub text: Option<String>,
    pub text_not: Option<String>,
    /// What the whole body is, in lower case, but for white space around it.
    pub text_is: Option<String>,
    pub json: Vec<Condition<String>>,
    /// By lower-case name.
    pub headers: Vec<Condition<String>>,
    pub then: ReplyOutcome,
    pub why: Option<String>,
    /// Whether the answer refuses the token that the request had, as a 401 does.
    pub renew_token: bool,
    /// Where a delivered answer keeps its warnings.
    pub warnings: Option<String>,
    /// Whom a wait that the answer asks for concerns.
    pub concerns: WaitRule,
    /// How long to wait where the answer says nothing of it.
    pub after_ms: Option<i64>,
    /// Where the answer says at what time to come again.
    pub retry_at: Option<RetryAt>,
    /// What to keep of a delivered answer: a name and a JSON pointer.
    pub keep: Vec<(String, String)>,
    /// How certain a delivered answer is that the event was taken; `None`: as the template's answers are.
    pub confirmation: Option<Confirmation>,
    /// Of a row that is read later: whether an attempt at its event ended so that no one knows what became of it.
    pub after_unknown: Option<bool>,
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

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum ReplyOutcome {
    Delivered,
    /// The platform knew the event already.
    Duplicate,
    Retry,
    #[default]
    Dead,
    Park,
}

impl ReplyOutcome {
    pub(crate) const NAMES: [(ReplyOutcome, &'static str); 5] = [
        (ReplyOutcome::Delivered, "delivered"),
        (ReplyOutcome::Duplicate, "duplicate"),
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
            ..Rule::default()
        };
        let confirmation = Confirmation::Unverified;
        ReplyRules { rules: vec![refused], confirmation, ..ReplyRules::default() }
    }

    /// Classifies the reply to a request that carried one event. `now` is what a wait counts from.
    pub(crate) fn classify(&self, reply: &Reply, now: Time) -> ReplyVerdict {
        match ReadReply::of(reply, 1) {
            Ok(read) => self.of_answer(&read, now).verdict,
            Err(verdict) => verdict,
        }
    }

    /// The number of the rule that decides over this reply; `None`: what holds for all does.
    pub(crate) fn deciding(&self, reply: &Reply) -> Option<usize> {
        let read = ReadReply::of(reply, 1).ok()?;
        self.rules.iter().position(|rule| rule.fits(&read))
    }

    /// Whether the reply to a request with so many events refuses the token that the request had.
    pub(crate) fn refuses_token(&self, reply: &Reply, sent: usize) -> bool {
        let Ok(read) = ReadReply::of(reply, sent) else { return false };
        let rule = self.rules.iter().find(|rule| rule.fits(&read));
        read.answer.status == UNAUTHORIZED || rule.is_some_and(|rule| rule.renew_token)
    }

    /// What an answer means to the request as a whole.
    pub(crate) fn of_answer(&self, read: &ReadReply<'_>, now: Time) -> ClassifiedReply {
        let ReadReply { answer, json, .. } = read;
        let json = json.as_ref();
        let rule = self.rules.iter().find(|rule| rule.fits(read));
        let outcome = rule.map_or_else(|| usual(answer.status), |rule| rule.then);
        let said = || PlatformAnswer {
            status: answer.status,
            why: rule.and_then(|rule| rule.why.clone()),
            said: self.said(answer, json),
        };
        let delivered = |confirmation| {
            let at = rule.and_then(|rule| rule.warnings.as_deref());
            ReplyVerdict::Delivered { warnings: warnings(json, at), confirmation }
        };
        let verdict = match outcome {
            ReplyOutcome::Delivered => {
                delivered(rule.and_then(|rule| rule.confirmation).unwrap_or(self.confirmation))
            }
            ReplyOutcome::Duplicate => delivered(Confirmation::Duplicate),
            ReplyOutcome::Retry => {
                let concerns = rule.map_or(WaitRule::AsUsual, |rule| rule.concerns);
                let asked = wait::asked(&self.waits, concerns, answer, now);
                let by_rule = rule.and_then(|rule| rule.wait(answer, now));
                let reason = RetryReason::PlatformUnavailable(said());
                let after_ms = asked.after_ms.max(by_rule);
                let hold_ms = asked.hold_ms.max(by_rule.filter(|_| concerns == WaitRule::Destination));
                let hold_ms = hold_ms.filter(|wait| *wait > 0);
                ReplyVerdict::Retry { reason, after_ms, hold_ms }
            }
            ReplyOutcome::Dead if (300..=399).contains(&answer.status) => {
                ReplyVerdict::Dead { reason: DeathReason::Redirected(said()) }
            }
            ReplyOutcome::Dead => ReplyVerdict::Dead { reason: DeathReason::PlatformRejected(said()) },
            ReplyOutcome::Park => ReplyVerdict::Park { reason: ParkReason::AccountRefused(said()) },
        };
        let is_delivered = matches!(verdict, ReplyVerdict::Delivered { .. });
        let kept = rule.filter(|_| is_delivered).map(|rule| rule.kept(json)).unwrap_or_default();
        ClassifiedReply { verdict, kept }
    }

    /// Whether one of the rules is about this answer.
    pub(crate) fn any_fits(&self, read: &ReadReply<'_>) -> bool {
        self.rules.iter().any(|rule| rule.fits(read))
    }

    /// It says nothing of use: it is to be asked for again.
    pub(crate) fn unavailable(&self, read: &ReadReply<'_>) -> ReplyVerdict {
        let said = self.said(read.answer, read.json.as_ref());
        let answer = PlatformAnswer { status: read.answer.status, why: None, said };
        let reason = RetryReason::PlatformUnavailable(answer);
        ReplyVerdict::Retry { reason, after_ms: None, hold_ms: None }
    }

    /// What the answer says why: what the template points at, else the beginning of the body.
    fn said(&self, answer: &PlatformResponse, json: Option<&Json>) -> Said {
        words(&self.reasons, json, &String::from_utf8_lossy(&answer.body))
    }
}

impl ReadReply<'_> {
    /// Reads the reply to a request with this many events.
    ///
    /// # Errors
    /// It is no answer: what that means to every one of them.
    pub(crate) fn of(reply: &Reply, sent: usize) -> Result<ReadReply<'_>, ReplyVerdict> {
        match reply {
            Reply::Failed(cause) => {
                let reason = RetryReason::NoAnswer(cause.clone());
                Err(ReplyVerdict::Retry { reason, after_ms: None, hold_ms: None })
            }
            Reply::Forbidden(refused) => {
                Err(ReplyVerdict::Dead { reason: DeathReason::Refused(refused.clone()) })
            }
            Reply::Answer(answer) => {
                Ok(ReadReply { answer, json: serde_json::from_slice(&answer.body).ok(), sent })
            }
        }
    }
}

/// What is said at these places of a document, else the beginning of `text`.
pub(crate) fn words(reasons: &[ReasonPart], json: Option<&Json>, text: &str) -> Said {
    let mut parts = Vec::new();
    for part in reasons {
        let found = json.and_then(|json| json.pointer(&part.at)).and_then(plain);
        if let Some(found) = found.filter(|text| !text.trim().is_empty()) {
            match &part.label {
                Some(label) => parts.push(format!("{label} {found}")),
                None => parts.push(found.into_owned()),
            }
        }
    }
    match (parts.is_empty(), text.trim()) {
        (false, _) => Said::Words(shorten(&parts.join(", "), MAX_WORDS)),
        (true, "") => Said::EmptyBody,
        (true, text) => Said::Words(shorten(text, MAX_EXCERPT)),
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
    fn fits(&self, read: &ReadReply<'_>) -> bool {
        let ReadReply { answer, json, sent } = read;
        let status = i64::from(answer.status);
        (self.status.is_empty() || self.status.iter().any(|range| range.contains(status)))
            && !(self.not_json && json.is_some())
            && self.fits_text(&answer.body)
            && self.fits_json(json.as_ref(), *sent)
            && self.headers.iter().all(|condition| {
                let header = answer.header(&condition.at);
                condition.test.holds(header.map(|text| Cow::Owned(Json::String(text.to_owned()))), *sent)
            })
    }

    fn fits_text(&self, body: &[u8]) -> bool {
        if self.text.is_none() && self.text_not.is_none() && self.text_is.is_none() {
            return true;
        }
        let body = String::from_utf8_lossy(body).to_ascii_lowercase();
        self.text.as_ref().is_none_or(|text| body.contains(text))
            && self.text_not.as_ref().is_none_or(|text| !body.contains(text))
            && self.text_is.as_ref().is_none_or(|text| body.trim() == text)
    }

    /// Whether what it says of a document holds of this one.
    pub(crate) fn fits_json(&self, json: Option<&Json>, sent: usize) -> bool {
        self.json.iter().all(|condition| {
            let found = json.map(|json| json.pointer(&condition.at).map(Cow::Borrowed));
            found.is_some_and(|found| condition.test.holds(found, sent))
        })
    }

    /// The wait that it says itself.
    fn wait(&self, answer: &PlatformResponse, now: Time) -> Option<i64> {
        let until = self.retry_at.as_ref().and_then(|place| place.wait(answer, now));
        self.after_ms.max(until)
    }

    /// What it keeps of a document.
    pub(crate) fn kept(&self, json: Option<&Json>) -> Pairs {
        let value = |(name, at): &(String, String)| {
            let found = json?.pointer(at).and_then(plain)?;
            Some((name.clone(), shorten(&found, MAX_WORDS)))
        };
        self.keep.iter().filter_map(value).collect()
    }
}

impl ReplyCondition {
    fn holds(&self, found: Option<Cow<'_, Json>>, sent: usize) -> bool {
        let found = found.filter(|found| !found.is_null());
        match (self, found) {
            (ReplyCondition::Exists(wanted), found) => found.is_some() == *wanted,
            (_, None) => false,
            (ReplyCondition::OneOf(wanted), Some(found)) => wanted.iter().any(|wanted| wanted.is(&found)),
            (ReplyCondition::EqualsSent, Some(found)) => whole_number(&found) == i64::try_from(sent).ok(),
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

pub(crate) fn whole_number(found: &Json) -> Option<i64> {
    match found {
        Json::Number(number) => number.as_i64(),
        Json::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

pub(crate) fn warnings(json: Option<&Json>, at: Option<&str>) -> Vec<String> {
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

pub(crate) fn shown(found: &Json) -> String {
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
