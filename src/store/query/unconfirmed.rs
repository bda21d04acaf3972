//! What platforms accepted and are to be asked about.

use crate::domain::attempt::{Attempt, AttemptEffect, AttemptPurpose};
use crate::domain::delivery::DeliveryState;
use crate::domain::ids::DestinationId;
use crate::domain::time::Time;
use crate::store::contract::error::StoreError;
use crate::store::contract::work::Unconfirmed;
use crate::store::reader::without_panic;
use crate::store::records::StoreShared;
use crate::store::table::delivery::DeliverySlot;

/// The deliveries that are due, at most `limit` and then those that are due at the same moment as the last, since they may
/// be of one request; and when the next one is.
pub fn due(
    shared: &StoreShared,
    destination: &DestinationId,
    now: Time,
    limit: usize,
) -> Result<(Vec<DeliverySlot>, Option<Time>), StoreError> {
    shared.reader.check()?;
    let index = shared.index.lock();
    let Some(queues) = index.queues.of(destination) else { return Ok((Vec::new(), None)) };
    let (mut slots, mut last) = (Vec::new(), None);
    for (due, slot) in queues.unconfirmed(now) {
        if slots.len() >= limit && last != Some(due) {
            break;
        }
        last = Some(due);
        slots.push(slot);
    }
    Ok((slots, queues.next_poll(now)))
}

/// What is in these places and still to be confirmed. What cannot be read is left out until the next start, so that it is
/// not found again each time.
pub fn read(
    shared: &StoreShared,
    destination: &DestinationId,
    slots: &[DeliverySlot],
) -> Result<Vec<Unconfirmed>, StoreError> {
    let mut found = Vec::with_capacity(slots.len());
    for slot in slots {
        match without_panic(|| unconfirmed(shared, *slot)) {
            Ok(one) => found.extend(one),
            Err(error @ StoreError::Corrupt { .. }) => {
                tracing::error!(postback = slot.seq(), %error, "a delivery cannot be read and is not asked about");
                shared.index.lock().queues.change(destination, |queues| queues.forget_poll(*slot));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

fn unconfirmed(shared: &StoreShared, slot: DeliverySlot) -> Result<Option<Unconfirmed>, StoreError> {
    let Some(day) = shared.index.lock().days.of(slot.seq()) else { return Ok(None) };
    let Some(record) = shared.records.conversion(day, slot.seq())? else { return Ok(None) };
    let standing = &record.standing;
    let delivery = standing.deliveries.get(slot.place());
    let is_it = |delivery: &_| matches!(delivery, DeliveryState::Confirming { .. });
    let Some(delivery) = delivery.filter(|delivery| is_it(&delivery.state)) else { return Ok(None) };
    let last = standing.last_attempts.get(slot.place()).copied().flatten();
    let Some(accepted) = accepted(shared, day, last)? else { return Ok(None) };
    let click = match record.conversion.attribution.click() {
        Some(click) => shared.records.click_as_answered(click)?,
        None => None,
    };
    let (id, delivery) = (delivery.id(record.conversion.id), delivery.clone());
    Ok(Some(Unconfirmed { id, conversion: record.conversion.clone(), delivery, click, accepted }))
}

/// The newest attempt that counted and reported the event, of those that end with number `last`.
fn accepted(shared: &StoreShared, day: i32, last: Option<u64>) -> Result<Option<Attempt>, StoreError> {
    let mut next = last;
    while let Some(number) = next {
        let Some(stored) = shared.reader.stored_attempt(day, number)? else { break };
        next = stored.before(number);
        let attempt = stored.attempt;
        if attempt.effect == AttemptEffect::Settled && attempt.purpose == AttemptPurpose::Report {
            return Ok(Some(attempt));
        }
    }
    Ok(None)
}
