//! What becomes of a delivery, before anything is sent and after an answer was received. Pure.

use crate::dispatch::schedule::{AgeRule, Limit, Schedule};
use crate::domain::code::{CodedReason, ReasonCode};
use crate::domain::consent::ConsentNeed;
use crate::domain::delivery::{DeliveryState, ReplyVerdict};
use crate::domain::delivery_reason::DeathReason;
use crate::domain::routing::{Changes, Forwarding, SourcePolicy, is_forwardable};
use crate::domain::skip::{ForwardedBy, SkipReason};
use crate::domain::status::Status;
use crate::domain::time::Time;
use crate::store::contract::work::Claimed;
use crate::template::destination::ready::ReadyDestination;
use crate::template::destination::rendering::DestinationMode;

/// What a decision needs to know of the destination and of the conversion's source.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'a> {
    /// Whether what is rendered leaves; `off` skips everything before it is rendered.
    pub mode: DestinationMode,
    /// Whether a destination that was sent the conversion hears of its changes.
    pub changes: Changes,
    /// The oldest event that the platform takes, counted from when it happened.
    pub age: AgeRule,
    /// Absent when the source is no longer configured.
    pub policy: Option<&'a SourcePolicy>,
    /// The statuses that an outgoing postback reports, whatever the source forwards.
    pub on: Option<&'a [Status]>,
    /// What it needs of the visitor's consent.
    pub consent: ConsentNeed,
}

impl<'a> Rules<'a> {
    /// Those of a destination, for conversions of one source.
    pub fn of(destination: &ReadyDestination, forwarding: Forwarding<'a>) -> Rules<'a> {
        Rules {
            mode: destination.mode(),
            changes: destination.changes(),
            age: AgeRule::Counts(destination.max_age_ms()),
            policy: forwarding.policy,
            on: forwarding.on,
            consent: destination.consent_need(),
        }
    }
}

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

/// The word by which a delivered attempt is counted.
pub const DELIVERED: &str = "delivered";

impl SettledAttempt {
    /// Not sent, and not to be.
    pub fn skipped(claimed: &Claimed, reason: SkipReason, now: Time) -> SettledAttempt {
        SettledAttempt {
            verdict: ReplyVerdict::Skipped { reason: reason.clone() },
            state: DeliveryState::Skipped { at: now, reason },
            attempts: claimed.delivery.attempts,
        }
    }

    /// A dead letter that never left.
    pub fn dead_unsent(claimed: &Claimed, reason: DeathReason, now: Time) -> SettledAttempt {
        SettledAttempt {
            verdict: ReplyVerdict::Dead { reason: reason.clone() },
            state: DeliveryState::Dead { at: now, reason: Box::new(reason) },
            attempts: claimed.delivery.attempts,
        }
    }

    /// What it is counted and logged by: `delivered`, or the code of its reason.
    pub fn code(&self) -> &'static str {
        match (&self.state, &self.verdict) {
            (DeliveryState::Dead { reason, .. }, _) => reason.code().as_str(),
            (DeliveryState::Skipped { reason, .. }, _) => reason.code().as_str(),
            (_, ReplyVerdict::Retry { reason, .. }) => reason.code().as_str(),
            (_, ReplyVerdict::Park { reason }) => reason.code().as_str(),
            _ => DELIVERED,
        }
    }
}

/// What ends a delivery before it is rendered; `None`: render and send it.
///
/// - A destination that is off takes nothing.
/// - A status that the source no longer forwards is not sent, except where the delivery reports a
///   change to a destination that hears of changes and was sent the conversion before. For a source
///   that is no longer configured, `approved` is what is forwarded, as by default.
/// - An outgoing postback has its own list of statuses, which holds for changes too. What is scrubbed
///   it never reports.
/// - What the visitor's consent does not allow is not sent, except a change to a conversion that the
///   destination knows; see [`by_ids_alone`].
/// - An event that was too old for the platform when its delivery first fell due is skipped: it
///   could never have been sent. One that grew too old while it waited here is dead.
pub fn before(rules: &Rules<'_>, claimed: &Claimed, now: Time) -> Option<SettledAttempt> {
    if rules.mode == DestinationMode::Off {
        return Some(SettledAttempt::skipped(claimed, SkipReason::Off, now));
    }
    if let Some(settled) = not_reported(rules, claimed, now) {
        return Some(settled);
    }
    if let Some(reason) = refusal(rules, claimed).filter(|_| !sends_change(rules, claimed)) {
        return Some(SettledAttempt::skipped(claimed, reason, now));
    }
    too_old(rules, claimed, now)
}

/// Whether the delivery restates or retracts what the destination was sent before the visitor's consent
/// ended: then it names ids and amounts, and nothing of the person.
pub fn by_ids_alone(rules: &Rules<'_>, claimed: &Claimed) -> bool {
    refusal(rules, claimed).is_some()
}

fn refusal(rules: &Rules<'_>, claimed: &Claimed) -> Option<SkipReason> {
    let consent = claimed.conversion.consent_with(claimed.click.as_deref());
    rules.consent.refusal(consent)
}

fn sends_change(rules: &Rules<'_>, claimed: &Claimed) -> bool {
    rules.changes == Changes::Send && claimed.sent_before
}

fn not_reported(rules: &Rules<'_>, claimed: &Claimed, now: Time) -> Option<SettledAttempt> {
    let conversion = &claimed.conversion;
    let status = conversion.status;
    let skipped = |by: ForwardedBy| {
        Some(SettledAttempt::skipped(claimed, SkipReason::StatusNotForwarded { status, by }, now))
    };
    if let Some(on) = rules.on {
        return match on.contains(&status) && status != Status::Scrubbed {
            true => None,
            false => skipped(ForwardedBy::Postback),
        };
    }
    let forwardable =
        rules.policy.map_or(status == Status::Approved, |policy| is_forwardable(conversion, policy));
    if forwardable || sends_change(rules, claimed) { None } else { skipped(ForwardedBy::Source) }
}

fn too_old(rules: &Rules<'_>, claimed: &Claimed, now: Time) -> Option<SettledAttempt> {
    let conversion = &claimed.conversion;
    let AgeRule::Counts(Some(max_age_ms)) = rules.age else { return None };
    let limit = Limit::of(Some(max_age_ms), conversion.event_time, conversion.received_at);
    if !limit.is_over(now) {
        return None;
    }
    let never_in_time = match claimed.delivery.state {
        DeliveryState::Waiting { due } => claimed.delivery.attempts == 0 && limit.is_over(due),
        _ => claimed.delivery.attempts == 0,
    };
    let event_time = conversion.event_time;
    Some(if never_in_time {
        SettledAttempt::skipped(claimed, SkipReason::TooOld { event_time, max_age_ms }, now)
    } else {
        SettledAttempt::dead_unsent(claimed, DeathReason::TooOld { event_time, max_age_ms }, now)
    })
}

/// What an answer makes of a delivery. A park charges no attempt and keeps the delivery's place in
/// the queue; a retry that would come after the limit is a dead letter now.
pub fn after(
    verdict: ReplyVerdict,
    claimed: &Claimed,
    age: AgeRule,
    schedule: &Schedule,
    now: Time,
) -> SettledAttempt {
    let attempts = claimed.delivery.attempts.saturating_add(1);
    let (state, attempts) = match &verdict {
        ReplyVerdict::Delivered { .. } => (DeliveryState::Delivered { at: now }, attempts),
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
            let due = schedule.next(&claimed.id, attempts, now, *after_ms);
            let conversion = &claimed.conversion;
            let limit = match age {
                AgeRule::Counts(age) => Some(Limit::of(age, conversion.event_time, conversion.received_at)),
                AgeRule::Suspended => None,
            };
            let state = match limit.filter(|limit| due > limit.until) {
                None => DeliveryState::Waiting { due },
                Some(Limit { kind: limit, .. }) => {
                    let last = reason.clone();
                    let reason = Box::new(DeathReason::GaveUp { attempts, next_due: due, limit, last });
                    DeliveryState::Dead { at: now, reason }
                }
            };
            (state, attempts)
        }
    };
    SettledAttempt { verdict, state, attempts }
}
