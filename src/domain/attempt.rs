//! One try at a delivery, and the exchange with the platform that it made or shared with others.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::delivery::{PlatformResponse, ReplyVerdict, SentRequest};
use crate::domain::remark::Remark;
use crate::domain::sent::SentEvent;
use crate::domain::time::Time;

/// One HTTP request and what was received for it. All attempts that one request was about share it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exchange {
    /// Secrets masked. It left, unless the attempt's verdict is that nothing was sent.
    pub request: SentRequest,
    /// Secrets masked. `None`: nothing was sent, or no answer was received.
    pub answer: Option<PlatformResponse>,
    /// The requests of the same attempt that carried the same events before it, oldest first.
    pub before: Vec<EarlierRequest>,
}

impl Exchange {
    /// Every answer that is kept: to the request, and to those before it.
    pub fn answers_mut(&mut self) -> impl Iterator<Item = &mut PlatformResponse> {
        self.answer.iter_mut().chain(self.before.iter_mut().filter_map(|one| one.answer.as_mut()))
    }
}

/// A request that carried an event before, with the same bytes: among more events, where its answer did not say what became
/// of it, or with a token that the platform no longer took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EarlierRequest {
    /// When it was made.
    pub at: Time,
    /// From then to its whole answer, or to the failure.
    pub took_ms: u32,
    /// How many events it carried.
    pub events: u32,
    /// Secrets masked; the first of its body. `None`: it got none.
    pub answer: Option<PlatformResponse>,
}

/// What an attempt meant for its delivery.
///
/// It is stored: new variants go to the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum AttemptEffect {
    /// The delivery took the state that it led to.
    Settled,
    /// None: when it was recorded, its lease had run out and another attempt had the delivery. It is kept because
    /// the platform may have taken the event.
    Late,
}

/// What the request of an attempt was for.
///
/// It is stored: new variants go to the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum AttemptPurpose {
    /// To report the event.
    #[default]
    Report,
    /// To hear whether the platform took what it had accepted.
    Confirm,
}

impl AttemptPurpose {
    /// Every purpose.
    pub const ALL: [AttemptPurpose; 2] = [AttemptPurpose::Report, AttemptPurpose::Confirm];

    /// As API and pages write it.
    pub fn as_str(self) -> &'static str {
        match self {
            AttemptPurpose::Report => "report",
            AttemptPurpose::Confirm => "confirm",
        }
    }
}

/// Where an event is in a request that carried several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchPlace {
    /// Which of them it is, counted from 1.
    pub position: u32,
    /// How many there were.
    pub events: u32,
    /// Where it begins in the body of the request as it is kept, in bytes.
    pub start: u32,
    /// Where it ends there.
    pub end: u32,
}

/// The most of an earlier answer's body that is kept, in bytes: all requests that followed keep it.
const KEPT_OF_EARLIER: usize = 4 * 1024;

impl EarlierRequest {
    /// One that was made at `at`, with its masked answer; a request is timed out long before 49 days.
    pub fn of(
        (at, took): (Time, Duration),
        events: usize,
        answer: Option<PlatformResponse>,
    ) -> EarlierRequest {
        let took_ms = u32::try_from(took.as_millis()).unwrap_or(u32::MAX);
        let answer = answer.map(|answer| answer.cut_to(KEPT_OF_EARLIER));
        EarlierRequest { at, took_ms, events: u32::try_from(events).unwrap_or(u32::MAX), answer }
    }
}

impl BatchPlace {
    /// The event's own part of the body of its request.
    pub fn own_part(self, body: &str) -> Option<&str> {
        body.get(usize::try_from(self.start).ok()?..usize::try_from(self.end).ok()?)
    }
}

/// One try at a delivery, kept as long as its conversion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// When it began.
    pub at: Time,
    /// To make the request, send it and classify the answer; 0 where that failed inside this program.
    pub took_ms: u32,
    /// Absent when nothing left: skipped, or the payload could not be made. It is stored apart, once for all attempts
    /// that share it.
    #[serde(skip)]
    pub exchange: Option<Arc<Exchange>>,
    /// What the answer means, or that there was none.
    pub verdict: ReplyVerdict,
    /// What of the conversion is not in the request, or is otherwise in it.
    pub remarks: Vec<Remark>,
    /// What the request said, where the platform took it or may have.
    pub sent: Option<Box<SentEvent>>,
    /// Where in the request the event is; `None` where the request was about it alone.
    pub place: Option<BatchPlace>,
    /// What it meant for the delivery. The store says, whatever is recorded.
    pub effect: AttemptEffect,
    /// What its request was for.
    pub purpose: AttemptPurpose,
}

impl Attempt {
    /// Of a delivery that ends, or goes on, without a request.
    pub fn unsent(at: Time, verdict: ReplyVerdict) -> Attempt {
        let effect = AttemptEffect::Settled;
        Attempt {
            at,
            took_ms: 0,
            exchange: None,
            verdict,
            remarks: Vec::new(),
            sent: None,
            place: None,
            effect,
            purpose: AttemptPurpose::Report,
        }
    }

    /// The request that it made or shared.
    pub fn request(&self) -> Option<&SentRequest> {
        self.exchange.as_deref().map(|exchange| &exchange.request)
    }

    /// What was received for it.
    pub fn answer(&self) -> Option<&PlatformResponse> {
        self.exchange.as_deref()?.answer.as_ref()
    }

    /// The requests that carried its event before that one, oldest first.
    pub fn before(&self) -> &[EarlierRequest] {
        self.exchange.as_deref().map_or(&[], |exchange| &exchange.before)
    }
}
