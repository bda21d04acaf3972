//! Makes what attempts became durable, all of one request together, then counts it.

use std::sync::Arc;
use std::time::Duration;

use crate::dispatch::context::AttemptContext;
use crate::dispatch::decide::SettledAttempt;
use crate::dispatch::error::DispatchError;
use crate::dispatch::open_leases::OpenLeases;
use crate::domain::attempt::{Attempt, AttemptEffect, AttemptPurpose, BatchPlace, Exchange};
use crate::domain::delivery::{DeliveryState, ReplyVerdict};
use crate::domain::ids::DestinationId;
use crate::domain::reconcile::Observed;
use crate::domain::remark::Remark;
use crate::domain::sent::SentEvent;
use crate::domain::time::Time;
use crate::store::contract::work::{AttemptOutcome, Claimed, Recorded, RepeatRisk};

/// What an attempt at a delivery became, before it is recorded.
pub struct FinishedAttempt {
    pub claimed: Claimed,
    /// When its request was made.
    pub at: Time,
    pub took: Duration,
    pub settled: SettledAttempt,
    pub observed: Observed,
    pub exchange: Option<Arc<Exchange>>,
    pub place: Option<BatchPlace>,
    /// What of the conversion is not in the request, or is otherwise in it.
    pub remarks: Vec<Remark>,
    /// What the request said, where the platform took it or may have.
    pub sent: Option<Box<SentEvent>>,
    pub repeat: RepeatRisk,
}

/// What is counted of an attempt once it is recorded.
pub struct Counted {
    pub destination: DestinationId,
    pub settled: SettledAttempt,
    pub took_ms: u32,
    pub received_at: Time,
}

/// Records attempts, then counts them.
pub async fn settle(shared: &AttemptContext, leases: &OpenLeases, finished: Vec<FinishedAttempt>) {
    if finished.is_empty() {
        return;
    }
    let now = shared.clock.now();
    let (mut outcomes, mut counted) =
        (Vec::with_capacity(finished.len()), Vec::with_capacity(finished.len()));
    for attempt in finished {
        let Some(took_ms) = whole_millis(attempt.took) else {
            let seconds = attempt.took.as_secs();
            return shared.faults.raise(DispatchError::TooLong { delivery: attempt.claimed.id, seconds });
        };
        let FinishedAttempt {
            claimed, at, settled, observed, exchange, place, remarks, sent, repeat, ..
        } = attempt;
        let destination = claimed.id.destination.clone();
        shared.tallies.change(&destination, |tally| tally.note(&settled, now));
        let (verdict, effect) = (settled.verdict.clone(), AttemptEffect::Settled);
        outcomes.push(AttemptOutcome {
            id: claimed.id,
            lease: claimed.lease.token,
            attempt: Attempt {
                at,
                took_ms,
                exchange,
                verdict,
                remarks,
                sent,
                place,
                effect,
                purpose: AttemptPurpose::Report,
            },
            state: settled.state.clone(),
            attempts: settled.attempts,
            observed: Some(observed),
            repeat,
        });
        counted.push(Counted { destination, settled, took_ms, received_at: claimed.conversion.received_at });
    }
    // All of one request are to one destination.
    let left = outcomes.iter().find(|outcome| has_left(&outcome.attempt));
    let left = left.map(|outcome| outcome.id.destination.clone());
    let tokens: Vec<_> = outcomes.iter().map(|outcome| outcome.lease).collect();
    let recorded = shared.record(outcomes).await;
    leases.forget(&tokens);
    for (recorded, counted) in recorded.unwrap_or_default().into_iter().zip(counted) {
        count(shared, recorded, &counted, now);
    }
    if let Some(destination) = left {
        shared.tried.note(destination).await;
    }
}

/// Counts what was recorded.
pub fn count(shared: &AttemptContext, recorded: Recorded, counted: &Counted, now: Time) {
    let Counted { destination, settled, took_ms, received_at } = counted;
    match recorded {
        Recorded::Settled => {}
        Recorded::Late => {
            tracing::warn!(%destination, "an attempt was recorded after its lease had run out, and changed nothing");
            return shared.meters.late();
        }
        Recorded::Gone | Recorded::Damaged => return,
    }
    shared.meters.recorded(settled, *took_ms, now.millis_since(*received_at));
    match settled.state {
        DeliveryState::Dead { .. } => shared.log_dead(destination, settled, now),
        DeliveryState::Delivered { confirmation, .. } => {
            shared.tallies.change(destination, |tally| {
                tally.delivered += 1;
                tally.confirmations.add(confirmation);
            });
        }
        DeliveryState::Waiting { due } => {
            let mut next_retry = shared.next_retry.lock();
            *next_retry = Some(next_retry.map_or(due, |earlier| earlier.min(due)));
            drop(next_retry);
            shared.poke.notify_one();
        }
        DeliveryState::Confirming { .. } => shared.accepted.notify_one(),
        _ => {}
    }
}

/// Whether a request was sent: not where one was only made, as in shadow mode.
fn has_left(attempt: &Attempt) -> bool {
    attempt.request().is_some() && !matches!(attempt.verdict, ReplyVerdict::Skipped { .. })
}

/// As an attempt keeps it; `None` where it cannot: a request is timed out long before 49 days.
pub fn whole_millis(span: Duration) -> Option<u32> {
    u32::try_from(span.as_millis()).ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::whole_millis;

    #[test]
    fn what_takes_longer_than_can_be_kept_is_not_kept_as_something_else() {
        assert_eq!(whole_millis(Duration::from_micros(1_999)), Some(1));
        assert_eq!(whole_millis(Duration::from_millis(u32::MAX.into())), Some(u32::MAX));
        assert_eq!(whole_millis(Duration::from_secs(50 * 24 * 3600)), None);
    }
}
