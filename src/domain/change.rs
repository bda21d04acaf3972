//! What a change of a conversion becomes at a destination that was sent it: restated, taken back, or nothing. Pure.

use crate::domain::change_rules::{ChangeRules, OnRejected, OnValue};
use crate::domain::conversion::Conversion;
use crate::domain::delivery::{Delivery, DeliveryState};
use crate::domain::delivery_reason::DeathReason;
use crate::domain::history::{FieldChange, FromTo};
use crate::domain::ids::{DestinationId, Occasion};
use crate::domain::money::Money;
use crate::domain::sent::{DeliveryKind, SentBefore, SentEvent};
use crate::domain::skip::{SkipReason, Unneeded};
use crate::domain::status::Status;
use crate::domain::time::{HOUR_MS, Time};

/// For how long a change waits at most until its turn while a platform has not said whether it took what it is a change
/// of: the verdict, once it is there, makes it due.
const LONGEST_VERDICT_MS: i64 = 25 * HOUR_MS;

/// How a change ends at its turn of which nothing is sent then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unchanged {
    /// There is nothing to send.
    Skipped(SkipReason),
    /// What it is a change of cannot be read.
    Dead(DeathReason),
    /// Whether the platform took what it is a change of is not known yet.
    Waits,
}

/// Whether a conversion of this status does not count.
pub fn is_taken_back(status: Status) -> bool {
    matches!(status, Status::Rejected | Status::Scrubbed)
}

/// The delivery of a change to a destination, whose earlier deliveries are `mine`: what it says, and its state; `None`
/// where the change is none of the destination's business. `fields`: what changed.
///
/// - What was not delivered before cannot be changed.
/// - What the platform cannot take back, or count again, is skipped as irreversible.
/// - A change waits until its first is delivered, and as old as the platform wants it.
pub fn planned<'a>(
    rules: &ChangeRules,
    conversion: &Conversion,
    mine: &[&Delivery],
    fields: impl Iterator<Item = &'a FieldChange>,
    now: Time,
) -> Option<PlannedChange> {
    let delivered = last_delivered(mine);
    let wanted = wanted(rules, conversion, delivered, &News::of(fields))?;
    let waiting = |not_before: Option<Time>| PlannedChange {
        kind: wanted.kind,
        state: DeliveryState::Waiting { due: not_before.map_or(now, |not_before| not_before.max(now)) },
        not_before,
    };
    let skipped = |reason| PlannedChange {
        kind: wanted.kind,
        state: DeliveryState::Skipped { at: now, reason },
        not_before: None,
    };
    // What was given up without an answer the platform may count; what it refused in the end it does not.
    let was_given_up = |reason: &DeathReason| {
        matches!(
            reason,
            DeathReason::GaveUp { .. } | DeathReason::TooOld { .. } | DeathReason::StaleClick { .. }
        )
    };
    let may_count = |one: &&Delivery| match &one.state {
        DeliveryState::Dead { reason, .. } => one.may_be_known && was_given_up(reason),
        _ => false,
    };
    let status = conversion.status;
    let unconfirmed = || mine.iter().any(|one| matches!(one.state, DeliveryState::Confirming { .. }));
    match (delivered, wanted.irreversible) {
        (Some(_), Some(reason)) => Some(skipped(reason)),
        // What the platform knows in the end is known only then, whatever was delivered before.
        _ if unconfirmed() => {
            let due = now.plus_millis(LONGEST_VERDICT_MS);
            Some(PlannedChange { state: DeliveryState::Waiting { due }, ..waiting(None) })
        }
        (None, _) if is_taken_back(status) && mine.iter().any(may_count) => {
            Some(skipped(SkipReason::Irreversible { status }))
        }
        // Where the platform can be informed of nothing, there was nothing to be done either.
        (None, Some(_)) => None,
        (None, None) => {
            let known = |one: &&&Delivery| matches!(&one.state, DeliveryState::Skipped { reason, .. } if is_unneeded(reason));
            let is_new = mine.iter().max_by_key(|one| one.occasion).filter(known).is_none();
            is_new.then(|| skipped(SkipReason::NothingToChange(Unneeded::NotDelivered)))
        }
        (Some(_), None) => Some(waiting(old_enough(rules, mine).filter(|at| *at > now))),
    }
}

/// The delivery of a change, as it is planned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedChange {
    /// What it says of the conversion.
    pub kind: DeliveryKind,
    /// Waiting, or skipped.
    pub state: DeliveryState,
    /// When what it changes is old enough, where it is not yet.
    pub not_before: Option<Time>,
}

fn is_unneeded(reason: &SkipReason) -> bool {
    matches!(reason, SkipReason::NothingToChange(_))
}

/// What a change is of, as far as platforms can be informed of it.
struct News {
    value: bool,
    /// Whether it counts now and did not before, or the other way.
    status: bool,
    /// Whether its status is another, whatever that means.
    status_word: bool,
}

impl News {
    fn of<'a>(fields: impl Iterator<Item = &'a FieldChange>) -> News {
        let none = News { value: false, status: false, status_word: false };
        fields.fold(none, |news, field| match field {
            FieldChange::Value(_) => News { value: true, ..news },
            FieldChange::Status(FromTo { from, to }) => News {
                status: news.status || is_taken_back(*from) != is_taken_back(*to),
                status_word: true,
                ..news
            },
            _ => news,
        })
    }
}

/// What a change would say, and why the platform cannot be informed of it.
struct WantedChange {
    kind: DeliveryKind,
    irreversible: Option<SkipReason>,
}

fn wanted(
    rules: &ChangeRules,
    conversion: &Conversion,
    delivered: Option<&Delivery>,
    news: &News,
) -> Option<WantedChange> {
    let status = conversion.status;
    let was_retracted = delivered.is_some_and(|delivered| delivered.kind == DeliveryKind::Retract);
    let to = |kind| Some(WantedChange { kind, irreversible: None });
    let never = |kind| Some(WantedChange { kind, irreversible: Some(SkipReason::Irreversible { status }) });
    if is_taken_back(status) {
        return match rules.on_rejected {
            _ if was_retracted || !news.status => None,
            OnRejected::Retract => to(DeliveryKind::Retract),
            OnRejected::Zero => to(DeliveryKind::Restate),
            OnRejected::Status => to(DeliveryKind::Status),
            OnRejected::None => never(DeliveryKind::Retract),
        };
    }
    if was_retracted {
        return match rules.after_retract {
            // From rejected over pending to approved: where what is pending is not sent, it is restated in the end.
            _ if !news.status_word => None,
            OnValue::Restate => to(DeliveryKind::Restate),
            OnValue::None => never(DeliveryKind::Restate),
        };
    }
    // What changed while it did not count was not restated then.
    let changed_meanwhile = || {
        let of_value = |field: &FieldChange| matches!(field, FieldChange::Value(_));
        conversion.history.iter().flat_map(|change| &change.fields).any(of_value)
    };
    let restates = rules.on_value == OnValue::Restate;
    let is_restated = (restates && (news.value || (news.status && changed_meanwhile())))
        || (news.status && rules.on_rejected == OnRejected::Zero);
    if is_restated { to(DeliveryKind::Restate) } else { None }
}

/// The delivery by which the destination knows the conversion as it does: the one that was delivered last.
pub fn last_delivered<'a>(mine: &[&'a Delivery]) -> Option<&'a Delivery> {
    let delivered_at = |one: &&&Delivery| match one.state {
        DeliveryState::Delivered { at, .. } => Some((at, one.occasion)),
        _ => None,
    };
    let delivered = mine.iter().filter(|one| delivered_at(one).is_some());
    delivered.max_by_key(|one| delivered_at(one)).copied()
}

/// From when on a change may be sent; `None`: at any time, or nothing was delivered yet.
fn old_enough(rules: &ChangeRules, mine: &[&Delivery]) -> Option<Time> {
    let delivered_at = |one: &&Delivery| match one.state {
        DeliveryState::Delivered { at, .. } => Some(at),
        _ => None,
    };
    let first = mine.iter().filter_map(delivered_at).min()?;
    rules.min_age_ms.map(|age| first.plus_millis(age))
}

/// What is sent of a change at its turn, by what the destination was sent before, whatever was planned.
///
/// # Errors
/// Nothing is sent now.
pub fn at_its_turn(
    rules: &ChangeRules,
    conversion: &Conversion,
    before: &SentBefore,
) -> Result<DeliveryKind, Unchanged> {
    let unneeded = |why| Err(Unchanged::Skipped(SkipReason::NothingToChange(why)));
    let sent = match before {
        SentBefore::Nothing => return unneeded(Unneeded::NotDelivered),
        SentBefore::Unconfirmed => return Err(Unchanged::Waits),
        SentBefore::Unreadable => {
            let what = "what the destination was sent before cannot be read".to_owned();
            return Err(Unchanged::Dead(DeathReason::Unrendered { what, hint: String::new() }));
        }
        SentBefore::Event(sent) | SentBefore::Unanswered(sent) => sent,
    };
    let status = conversion.status;
    let irreversible = || Err(Unchanged::Skipped(SkipReason::Irreversible { status }));
    let was_retracted = sent.kind == DeliveryKind::Retract;
    let is_zero = sent.value.is_some_and(|value| value.amount.is_zero());
    match (is_taken_back(status), was_retracted) {
        (true, true) => unneeded(Unneeded::AsSent),
        (true, false) => match rules.on_rejected {
            OnRejected::Retract => Ok(DeliveryKind::Retract),
            OnRejected::Zero if is_zero => unneeded(Unneeded::AsSent),
            OnRejected::Zero => Ok(DeliveryKind::Restate),
            OnRejected::Status => Ok(DeliveryKind::Status),
            OnRejected::None => irreversible(),
        },
        (false, true) if rules.after_retract == OnValue::Restate => Ok(DeliveryKind::Restate),
        (false, true) => irreversible(),
        (false, false) => {
            let restates =
                rules.on_value == OnValue::Restate || (rules.on_rejected == OnRejected::Zero && is_zero);
            match conversion.value {
                Some(value) if sent.value == Some(value) => unneeded(Unneeded::AsSent),
                Some(_) if restates => Ok(DeliveryKind::Restate),
                Some(_) => unneeded(Unneeded::NotRestated),
                None => unneeded(Unneeded::AsSent),
            }
        }
    }
}

/// The conversion as a change of this kind names it: what the platform knows it by is as it was sent, and what does not
/// count any more is worth nothing.
#[must_use]
pub fn as_known(conversion: &Conversion, kind: DeliveryKind, sent: &SentEvent) -> Conversion {
    let zeroed = kind == DeliveryKind::Restate && is_taken_back(conversion.status);
    let zero = |value: Money| Money { amount: rust_decimal::Decimal::ZERO, ..value };
    let value = if zeroed { sent.value.or(conversion.value).map(zero) } else { conversion.value };
    let (transaction_id, event_time) = (sent.transaction_id.clone(), sent.event_time);
    Conversion { transaction_id, event_time, value, ..conversion.clone() }
}

/// Makes due what waited for the verdict on the delivery at `place`, now that it is there; where that was not delivered,
/// there is nothing to change.
pub fn follow(deliveries: &mut [Delivery], place: usize, rules: Option<ChangeRules>) {
    let Some(ended) = deliveries.get(place).cloned() else { return };
    let at = match ended.state {
        DeliveryState::Delivered { at, .. }
        | DeliveryState::Dead { at, .. }
        | DeliveryState::Skipped { at, .. } => at,
        _ => return,
    };
    let all = deliveries.to_vec();
    let mine: Vec<&Delivery> = all.iter().filter(|one| one.destination == ended.destination).collect();
    let is_known = last_delivered(&mine).is_some();
    let due = rules.and_then(|rules| old_enough(&rules, &mine)).map_or(at, |old_enough| old_enough.max(at));
    let waits = |one: &&mut Delivery| {
        one.destination == ended.destination
            && one.occasion > ended.occasion
            && one.attempts == 0
            && matches!(one.kind, DeliveryKind::Restate | DeliveryKind::Retract)
            && matches!(one.state, DeliveryState::Waiting { .. })
    };
    for change in deliveries.iter_mut().filter(waits) {
        let reason = SkipReason::NothingToChange(Unneeded::NotDelivered);
        (change.state, change.not_before) = if is_known {
            (DeliveryState::Waiting { due }, Some(due).filter(|due| *due > at))
        } else {
            (DeliveryState::Skipped { at, reason }, None)
        };
    }
}

/// The destinations that count the conversion otherwise than it is now, and are not informed of it: they cannot be, or what
/// would have informed them was not sent in the end.
pub fn irreversible<'a>(conversion: &Conversion, deliveries: &'a [Delivery]) -> Vec<&'a DestinationId> {
    let mut found: Vec<&DestinationId> = Vec::new();
    for one in deliveries.iter().filter(|one| is_uninformed(one)) {
        let mine: Vec<&Delivery> =
            deliveries.iter().filter(|other| other.destination == one.destination).collect();
        let goes_on = mine.iter().any(|one| one.state.is_unfinished());
        let counts = counted(conversion, &mine);
        let is_otherwise = counts.is_some_and(|counts| counts == is_taken_back(conversion.status));
        if is_otherwise && !goes_on && !found.contains(&&one.destination) {
            found.push(&one.destination);
        }
    }
    found
}

/// Whether a delivery ended without informing its destination of a change.
fn is_uninformed(one: &Delivery) -> bool {
    let is_change = one.kind.is_change() || one.may_be_known;
    match &one.state {
        DeliveryState::Skipped { reason: SkipReason::Irreversible { .. }, .. } => true,
        DeliveryState::Skipped { reason: SkipReason::StatusNotForwarded { .. }, .. } => false,
        DeliveryState::Skipped { reason, .. } => is_change && !is_unneeded(reason),
        DeliveryState::Dead { .. } => is_change,
        _ => false,
    }
}

/// Whether a destination counts the conversion, by what it was sent; `None`: it was sent nothing that it may have taken.
fn counted(conversion: &Conversion, mine: &[&Delivery]) -> Option<bool> {
    let Some(last) = last_delivered(mine) else {
        return mine.iter().any(|one| one.may_be_known).then_some(true);
    };
    let status_of = |number: u32| conversion.history.iter().find(|change| change.number == number);
    let was_taken_back = match last.occasion {
        Occasion::First => false,
        Occasion::Change(number) => status_of(number).is_some_and(|change| is_taken_back(change.status)),
    };
    Some(match last.kind {
        DeliveryKind::Retract => false,
        // What is worth 0 by a person's choice is as they want it.
        DeliveryKind::Restate | DeliveryKind::Status => !was_taken_back,
        DeliveryKind::Event => true,
    })
}

/// The place of the delivery by which the destination of the one at `place` knew the conversion before; `None` where
/// nothing was delivered before.
pub fn known_by(all: &[Delivery], change: &Delivery) -> Option<usize> {
    let mine: Vec<&Delivery> = all.iter().filter(|one| one.destination == change.destination).collect();
    let known = last_delivered(&mine)?;
    all.iter().position(|one| std::ptr::eq(one, known))
}

/// Whether a platform has yet to say whether it took what the destination was sent on an earlier occasion.
pub fn is_unconfirmed(all: &[Delivery], destination: &DestinationId, occasion: Occasion) -> bool {
    all.iter().any(|one| {
        one.destination == *destination
            && one.occasion < occasion
            && matches!(one.state, DeliveryState::Confirming { .. })
    })
}
