//! What becomes of a delivery, before anything is sent and after an answer was received. Pure.

use crate::dispatch::schedule::{AgeRule, Limit, LimitKind, PATIENCE_MS, Schedule};
use crate::domain::code::ReasonCode;
use crate::domain::consent::ConsentNeed;
use crate::domain::delivery::{DeliveryState, ReplyVerdict, SkipCode};
use crate::domain::routing::{self, Changes, Forwarding, SourcePolicy, is_forwardable};
use crate::domain::status::Status;
use crate::domain::time::{DAY_MS, HOUR_MS, Time};
use crate::store::Claimed;
use crate::template::destination::ready::ReadyDestination;
use crate::template::destination::rendering::DestinationMode;

/// What a decision needs to know of the destination and of the conversion's source.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'a> {
    pub mode: DestinationMode,
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

/// Why a delivery is where it is, in few words: a label to count by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryClass {
    Delivered,
    Retry,
    Parked,
    /// The platform said that it will never take the event.
    Rejected,
    /// The event grew too old before an attempt could be made.
    TooOld,
    /// The next attempt would come too late.
    GaveUp,
    /// The request could not be made from the template.
    Unrendered,
    /// The address may not be reached from here.
    Forbidden,
    NotForwarded,
    Off,
    Shadow,
    /// The visitor's consent does not allow it.
    NoConsent,
    /// The template says that the platform certainly refuses it.
    Unfit,
}

impl DeliveryClass {
    pub const ALL: [DeliveryClass; 13] = [
        DeliveryClass::Delivered,
        DeliveryClass::Retry,
        DeliveryClass::Parked,
        DeliveryClass::Rejected,
        DeliveryClass::TooOld,
        DeliveryClass::GaveUp,
        DeliveryClass::Unrendered,
        DeliveryClass::Forbidden,
        DeliveryClass::NotForwarded,
        DeliveryClass::Off,
        DeliveryClass::Shadow,
        DeliveryClass::NoConsent,
        DeliveryClass::Unfit,
    ];
    /// Those that a delivery can die of.
    pub const DEADLY: [DeliveryClass; 5] = [
        DeliveryClass::Rejected,
        DeliveryClass::TooOld,
        DeliveryClass::GaveUp,
        DeliveryClass::Unrendered,
        DeliveryClass::Forbidden,
    ];
    /// Those that a delivery can be skipped for.
    pub const SKIPPING: [DeliveryClass; 6] = [
        DeliveryClass::TooOld,
        DeliveryClass::NotForwarded,
        DeliveryClass::Off,
        DeliveryClass::Shadow,
        DeliveryClass::NoConsent,
        DeliveryClass::Unfit,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            DeliveryClass::Delivered => "delivered",
            DeliveryClass::Retry => "retry",
            DeliveryClass::Parked => "parked",
            DeliveryClass::Rejected => "rejected",
            DeliveryClass::TooOld => "too_old",
            DeliveryClass::GaveUp => "gave_up",
            DeliveryClass::Unrendered => "unrendered",
            DeliveryClass::Forbidden => "forbidden_address",
            DeliveryClass::NotForwarded => "not_forwarded",
            DeliveryClass::Off => "off",
            DeliveryClass::Shadow => "shadow",
            DeliveryClass::NoConsent => "no_consent",
            DeliveryClass::Unfit => "unfit",
        }
    }
}

/// What is to be recorded: the attempt's verdict, and the delivery after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettledAttempt {
    pub verdict: ReplyVerdict,
    pub state: DeliveryState,
    pub attempts: u32,
    pub class: DeliveryClass,
}

impl SettledAttempt {
    /// Not sent, and not to be.
    pub fn skipped(claimed: &Claimed, class: DeliveryClass, reason: String, now: Time) -> SettledAttempt {
        SettledAttempt {
            verdict: ReplyVerdict::Skipped { code: None, reason: reason.clone() },
            state: DeliveryState::Skipped { at: now, code: None, reason },
            attempts: claimed.delivery.attempts,
            class,
        }
    }

    /// Not sent because the visitor's consent does not allow it.
    fn without_consent(claimed: &Claimed, code: SkipCode, now: Time) -> SettledAttempt {
        let reason = code.meaning().to_owned();
        SettledAttempt {
            verdict: ReplyVerdict::Skipped { code: Some(code), reason },
            state: routing::refused(code, now),
            attempts: claimed.delivery.attempts,
            class: DeliveryClass::NoConsent,
        }
    }

    /// A dead letter that never left.
    pub fn dead_unsent(claimed: &Claimed, class: DeliveryClass, reason: String, now: Time) -> SettledAttempt {
        SettledAttempt {
            verdict: ReplyVerdict::Dead { reason: reason.clone() },
            state: DeliveryState::Dead { at: now, reason },
            attempts: claimed.delivery.attempts,
            class,
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
        let reason = "the destination is off".to_owned();
        return Some(SettledAttempt::skipped(claimed, DeliveryClass::Off, reason, now));
    }
    if let Some(settled) = not_reported(rules, claimed, now) {
        return Some(settled);
    }
    if let Some(code) = refusal(rules, claimed).filter(|_| !sends_change(rules, claimed)) {
        return Some(SettledAttempt::without_consent(claimed, code, now));
    }
    too_old(rules, claimed, now)
}

/// Whether the delivery restates or retracts what the destination was sent before the visitor's consent
/// ended: then it names ids and amounts, and nothing of the person.
pub fn by_ids_alone(rules: &Rules<'_>, claimed: &Claimed) -> bool {
    refusal(rules, claimed).is_some()
}

fn refusal(rules: &Rules<'_>, claimed: &Claimed) -> Option<SkipCode> {
    let consent = claimed.conversion.consent_with(claimed.click.as_deref());
    rules.consent.refusal(consent)
}

fn sends_change(rules: &Rules<'_>, claimed: &Claimed) -> bool {
    rules.changes == Changes::Send && claimed.sent_before
}

fn not_reported(rules: &Rules<'_>, claimed: &Claimed, now: Time) -> Option<SettledAttempt> {
    let conversion = &claimed.conversion;
    let status = conversion.status;
    let skipped = |who: &str| {
        let reason = format!("the status is `{}` now, which {who}", status.as_str());
        Some(SettledAttempt::skipped(claimed, DeliveryClass::NotForwarded, reason, now))
    };
    if let Some(on) = rules.on {
        return match on.contains(&status) && status != Status::Scrubbed {
            true => None,
            false => skipped("is not among those that this postback reports"),
        };
    }
    let forwardable =
        rules.policy.map_or(status == Status::Approved, |policy| is_forwardable(conversion, policy));
    if forwardable || sends_change(rules, claimed) { None } else { skipped("its source does not forward") }
}

fn too_old(rules: &Rules<'_>, claimed: &Claimed, now: Time) -> Option<SettledAttempt> {
    let conversion = &claimed.conversion;
    let AgeRule::Counts(Some(max_age)) = rules.age else { return None };
    let limit = Limit::of(Some(max_age), conversion.event_time, conversion.received_at);
    if !limit.is_over(now) {
        return None;
    }
    let never_in_time = match claimed.delivery.state {
        DeliveryState::Waiting { due } => claimed.delivery.attempts == 0 && limit.is_over(due),
        _ => claimed.delivery.attempts == 0,
    };
    let happened =
        format!("event_time {} is more than {} ago", conversion.event_time, duration_words(max_age));
    Some(if never_in_time {
        let reason = format!("too old: {happened}, and the platform takes no older event");
        SettledAttempt::skipped(claimed, DeliveryClass::TooOld, reason, now)
    } else {
        let reason =
            format!("too old: {happened}; it waited here until the platform would no longer take it");
        SettledAttempt::dead_unsent(claimed, DeliveryClass::TooOld, reason, now)
    })
}

fn duration_words(millis: i64) -> String {
    match millis {
        whole if whole > 0 && whole % DAY_MS == 0 => format!("{} days", whole / DAY_MS),
        whole if whole > 0 && whole % HOUR_MS == 0 => format!("{} hours", whole / HOUR_MS),
        other => format!("{} s", other / 1_000),
    }
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
    let (state, attempts, class) = match &verdict {
        ReplyVerdict::Delivered { .. } => {
            (DeliveryState::Delivered { at: now }, attempts, DeliveryClass::Delivered)
        }
        ReplyVerdict::Dead { reason } => {
            (DeliveryState::Dead { at: now, reason: reason.clone() }, attempts, DeliveryClass::Rejected)
        }
        ReplyVerdict::Skipped { code, reason } => (
            DeliveryState::Skipped { at: now, code: *code, reason: reason.clone() },
            attempts,
            DeliveryClass::Unfit,
        ),
        ReplyVerdict::Park { .. } => {
            let due = match claimed.delivery.state {
                DeliveryState::Waiting { due } => due,
                _ => now,
            };
            (DeliveryState::Waiting { due }, claimed.delivery.attempts, DeliveryClass::Parked)
        }
        ReplyVerdict::Retry { reason, after_ms, .. } => {
            let due = schedule.next(&claimed.id, attempts, now, *after_ms);
            let conversion = &claimed.conversion;
            let limit = match age {
                AgeRule::Counts(age) => Some(Limit::of(age, conversion.event_time, conversion.received_at)),
                AgeRule::Suspended => None,
            };
            match limit.filter(|limit| due > limit.until) {
                None => (DeliveryState::Waiting { due }, attempts, DeliveryClass::Retry),
                Some(limit) => {
                    let reason = gave_up(&limit, due, attempts, reason);
                    (DeliveryState::Dead { at: now, reason }, attempts, DeliveryClass::GaveUp)
                }
            }
        }
    };
    SettledAttempt { verdict, state, attempts, class }
}

fn gave_up(limit: &Limit, due: Time, attempts: u32, reason: &str) -> String {
    let end = match limit.kind {
        LimitKind::PlatformAge(age) => {
            format!("the platform takes no event older than {}", duration_words(age))
        }
        LimitKind::Patience => {
            format!("a delivery is tried for {}", duration_words(PATIENCE_MS))
        }
    };
    format!("gave up after attempt {attempts}: the next would be due {due} and {end}; last: {reason}")
}
