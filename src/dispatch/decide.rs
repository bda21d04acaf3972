//! What becomes of a delivery after an answer was received, or when nothing is sent. Pure.

use crate::dispatch::schedule::Schedule;
use crate::domain::click::Click;
use crate::domain::code::{CodedReason, ReasonCode};
use crate::domain::conversion::Conversion;
use crate::domain::delivery::{Delivery, DeliveryState, ReplyVerdict};
use crate::domain::delivery_reason::{DeathReason, RetryReason};
use crate::domain::expiry::{AgeRule, ClickEnd, EndedUnsent, last_retry};
use crate::domain::ids::DeliveryId;
use crate::domain::time::{HOUR_MS, Time};
use crate::store::contract::work::Claimed;

/// What is to be recorded: the attempt's verdict, and the delivery after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettledAttempt {
    /// What was made of the answer, or why nothing was sent; kept with the attempt.
    pub verdict: ReplyVerdict,
    /// The state that the delivery is left in.
    pub state: DeliveryState,
    /// How many attempts count against the delivery then: a park and what was never sent add none.
    pub attempts: u32,
}

/// When a change is looked at again whose first is not confirmed; the verdict makes it due before.
const LOOK_AGAIN_MS: i64 = HOUR_MS;

/// The word by which a delivered attempt is counted.
pub const DELIVERED: &str = "delivered";
/// The same of one that the platform accepted, which says later whether it took the event.
pub const ACCEPTED: &str = "accepted";

impl SettledAttempt {
    /// Ended without a request that left.
    pub fn unsent(claimed: &Claimed, end: EndedUnsent, now: Time) -> SettledAttempt {
        SettledAttempt { state: end.state(now), verdict: end.verdict(), attempts: claimed.delivery.attempts }
    }

    /// A change whose turn it is before the platform has said whether it took what it is a change of. It is not charged.
    pub fn unconfirmed(claimed: &Claimed, now: Time) -> SettledAttempt {
        let reason = RetryReason::FirstUnconfirmed;
        let verdict = ReplyVerdict::Retry { reason, after_ms: Some(LOOK_AGAIN_MS), hold_ms: None };
        let due = now.plus_millis(LOOK_AGAIN_MS);
        SettledAttempt { verdict, state: DeliveryState::Waiting { due }, attempts: claimed.delivery.attempts }
    }

    /// What it is counted and logged by: `delivered`, `accepted`, or the code of its reason.
    pub fn code(&self) -> &'static str {
        match (&self.state, &self.verdict) {
            (DeliveryState::Dead { reason, .. }, _) => reason.code().as_str(),
            (DeliveryState::Skipped { reason, .. }, _) => reason.code().as_str(),
            (DeliveryState::Confirming { .. }, _) => ACCEPTED,
            (_, ReplyVerdict::Retry { reason, .. }) => reason.code().as_str(),
            (_, ReplyVerdict::Park { reason }) => reason.code().as_str(),
            _ => DELIVERED,
        }
    }
}

/// By what time a delivery is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryLimits {
    /// Whether the time may end it.
    pub age: AgeRule,
    /// How old its click may be that the platform takes, in milliseconds; `None`: of any age.
    pub click_ms: Option<i64>,
}

impl From<AgeRule> for RetryLimits {
    fn from(age: AgeRule) -> RetryLimits {
        RetryLimits { age, click_ms: None }
    }
}

/// What an answer makes of a delivery. A park charges no attempt and keeps the delivery's place in
/// the queue; a retry that would come after the limit is a dead letter now.
pub fn after(
    verdict: ReplyVerdict,
    claimed: &Claimed,
    limits: impl Into<RetryLimits>,
    schedule: &Schedule,
    now: Time,
) -> SettledAttempt {
    let attempts = claimed.delivery.attempts.saturating_add(1);
    let (state, attempts) = match &verdict {
        ReplyVerdict::Delivered { confirmation, .. } => {
            let confirmation = *confirmation;
            (DeliveryState::Delivered { at: now, confirmation, later: None }, attempts)
        }
        ReplyVerdict::Dead { reason } => {
            (DeliveryState::Dead { at: now, reason: Box::new(reason.clone()) }, attempts)
        }
        ReplyVerdict::Skipped { reason } => {
            (DeliveryState::Skipped { at: now, reason: reason.clone() }, attempts)
        }
        ReplyVerdict::Park { .. } => {
            let due = match claimed.delivery.state {
                DeliveryState::Waiting { due } => due,
                _ => now,
            };
            (DeliveryState::Waiting { due }, claimed.delivery.attempts)
        }
        ReplyVerdict::Retry { reason, after_ms, .. } => {
            let Claimed { id, delivery, conversion, click, .. } = claimed;
            let tried = TriedDelivery { id, delivery, conversion, click: click.as_deref(), attempts };
            (again(tried, (reason, *after_ms), limits.into(), schedule, now), attempts)
        }
    };
    SettledAttempt { verdict, state, attempts }
}

/// A delivery of which an attempt has ended.
#[derive(Clone, Copy)]
pub struct TriedDelivery<'a> {
    /// Whose it is.
    pub id: &'a DeliveryId,
    /// As it was when the attempt began.
    pub delivery: &'a Delivery,
    /// What was sent.
    pub conversion: &'a Conversion,
    /// The conversion's, where it is known.
    pub click: Option<&'a Click>,
    /// How many attempts count against the delivery now.
    pub attempts: u32,
}

/// What becomes of a delivery that is to be sent again: it waits, or it is dead where that would be after the limit.
pub fn again(
    tried: TriedDelivery<'_>,
    (reason, after_ms): (&RetryReason, Option<i64>),
    RetryLimits { age, click_ms }: RetryLimits,
    schedule: &Schedule,
    now: Time,
) -> DeliveryState {
    let TriedDelivery { id, delivery, conversion, click, attempts } = tried;
    let due = schedule.next(id, attempts, now, after_ms);
    let due = delivery.not_before.map_or(due, |not_before| due.max(not_before));
    let click_end = || Some(ClickEnd { click: click?.at, max_age_ms: click_ms? });
    let limit = match age {
        AgeRule::Counts => Some(last_retry(delivery, conversion, click_end(), now)),
        AgeRule::Suspended => None,
    };
    match limit.filter(|(until, _)| due > *until) {
        None => DeliveryState::Waiting { due },
        Some((_, limit)) => {
            let last = reason.clone();
            let reason = Box::new(DeathReason::GaveUp { attempts, next_due: due, limit, last });
            DeliveryState::Dead { at: now, reason }
        }
    }
}
