//! What attempts at deliveries leave, and what they become.

use std::sync::Arc;

use postbridge::domain::attempt::{Attempt, AttemptEffect, Exchange};
use postbridge::domain::delivery::{DeliveryState, PlatformResponse, ReplyVerdict, SentRequest};
use postbridge::domain::reconcile::Observed;
use postbridge::domain::routing::Changes;
use postbridge::domain::time::Time;
use postbridge::store::contract::work::{AttemptOutcome, Claimed};

use crate::support::reasons;

/// An outcome that no other is recorded with.
pub fn one(outcome: AttemptOutcome) -> Arc<[AttemptOutcome]> {
    Arc::new([outcome])
}

/// What an attempt leaves, with a body that distinguishes attempts.
pub fn attempt(time: Time, body: &str, verdict: ReplyVerdict) -> Attempt {
    Attempt {
        at: time,
        took_ms: 12,
        exchange: Some(Arc::new(exchange(body, b"{\"events_received\":1}"))),
        verdict,
        remarks: vec![],
        sent: None,
        effect: AttemptEffect::Settled,
    }
}

/// A request with this body, and what was received for it.
pub fn exchange(body: &str, answer: &[u8]) -> Exchange {
    let request = SentRequest {
        method: "POST".to_owned(),
        url: "https://graph.example/events".to_owned(),
        headers: vec![("authorization".to_owned(), "Bearer ***".to_owned())],
        body: body.to_owned(),
    };
    let answer = PlatformResponse { status: 200, headers: vec![], body: answer.to_vec(), truncated: false };
    Exchange { request, answer: Some(answer) }
}

/// What an attempt knows of what was claimed, at a destination that does not hear of changes.
pub fn observed(work: &Claimed) -> Option<Observed> {
    Some(Observed { changes: work.conversion.history.len(), hears: Changes::Ignore })
}

pub fn delivered(work: &Claimed, time: Time) -> AttemptOutcome {
    AttemptOutcome {
        id: work.id.clone(),
        lease: work.lease.token,
        attempt: attempt(time, "body", ReplyVerdict::Delivered { warnings: vec![] }),
        state: DeliveryState::delivered(time),
        attempts: work.delivery.attempts + 1,
        observed: observed(work),
    }
}

pub fn failed(work: &Claimed, time: Time, due: Time) -> AttemptOutcome {
    AttemptOutcome {
        id: work.id.clone(),
        lease: work.lease.token,
        attempt: attempt(time, "body", reasons::retry()),
        state: DeliveryState::Waiting { due },
        attempts: work.delivery.attempts + 1,
        observed: observed(work),
    }
}

pub fn dead(work: &Claimed, time: Time) -> AttemptOutcome {
    AttemptOutcome {
        id: work.id.clone(),
        lease: work.lease.token,
        attempt: attempt(time, "body", ReplyVerdict::Dead { reason: reasons::rejected("bad token") }),
        state: reasons::dead(time),
        attempts: work.delivery.attempts + 1,
        observed: observed(work),
    }
}
