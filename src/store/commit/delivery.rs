//! The commands that change deliveries: attempts, retries, a destination that is gone, ended holds.

use crate::domain::delivery::{Delivery, DeliveryState};
use crate::domain::delivery_reason::RetryRefused;
use crate::domain::expiry::{AgeRule, expired};
use crate::domain::reconcile::{reconcile, superseded};
use crate::domain::routing;
use crate::domain::skip::SkipReason;
use crate::domain::time::Time;
use crate::store::codec::{LayoutError, corrupt};
use crate::store::commit::command::{Retry, STEP, Withdraw};
use crate::store::commit::group::CommitGroup;
use crate::store::contract::error::StoreError;
use crate::store::contract::work::AttemptOutcome;
use crate::store::table::attempt::StoredAttempt;
use crate::store::table::conversion::Record;
use crate::store::table::delivery::{DeliverySlot, MAX_DELIVERIES};

/// How far withdrawing a destination has come.
pub enum Withdrawn {
    All(u64),
    Some(Withdraw),
}

impl CommitGroup<'_> {
    /// Remembers an attempt and where it leads.
    pub fn record(&mut self, outcome: AttemptOutcome) -> Result<(), StoreError> {
        let Some((number, old, place)) = self.find_delivery(&outcome.id)? else {
            tracing::warn!(delivery.id = %outcome.id, "an attempt at a delivery that is not kept was left out");
            return Ok(());
        };
        let delivery = u32::try_from(place).map_err(|_| {
            let too_great = LayoutError::TooGreat { what: "delivery", number: place as u64 };
            corrupt(number.to_string().as_bytes(), &too_great)
        })?;
        let mut record = old.clone();
        let attempt = self.numbers.next_attempt;
        let mut previous = None;
        if let Some(last) = record.standing.last_attempts.get_mut(place) {
            previous = last.replace(attempt);
        }
        if let Some(delivery) = record.standing.deliveries.get_mut(place) {
            delivery.state = outcome.state;
            delivery.attempts = outcome.attempts;
            delivery.expires_at = self.shared.index.lock().queues.expires_at(&record.conversion, delivery);
        }
        let Record { conversion, standing, .. } = &mut record;
        let added = outcome.observed.is_some_and(|observed| {
            standing.deliveries.len() < MAX_DELIVERIES
                && reconcile(conversion, &mut standing.deliveries, place, observed)
        });
        standing.last_attempts.resize(standing.deliveries.len(), None);
        self.numbers.next_attempt += 1;
        self.attempts.push(StoredAttempt { seq: number, delivery, previous, attempt: outcome.attempt });
        self.ended.extend(DeliverySlot::new(number, place).map(|slot| (outcome.id.destination, slot)));
        self.change(number, &old, record, added);
        Ok(())
    }

    /// Makes a delivery due because a person asked.
    pub fn retry(&mut self, retry: &Retry) -> Result<Result<Delivery, RetryRefused>, StoreError> {
        let Some((number, old, place)) = self.find_delivery(&retry.id)? else {
            return Ok(Err(RetryRefused::Unknown));
        };
        let mut record = old.clone();
        let superseded = superseded(&record.standing.deliveries, &retry.id);
        let Some(delivery) = record.standing.deliveries.get_mut(place) else {
            return Ok(Err(RetryRefused::Unknown));
        };
        delivery.expires_at = self.shared.index.lock().queues.expires_at(&record.conversion, delivery);
        let too_old = retry.age == AgeRule::Counts
            && expired(delivery, record.conversion.event_time, retry.now).is_some();
        let leased = DeliverySlot::new(number, place)
            .is_some_and(|slot| self.shared.index.lock().is_leased(&retry.id.destination, slot));
        match delivery.state {
            DeliveryState::Delivered { .. } => return Ok(Err(RetryRefused::Delivered)),
            // Accepted: to send it again would count it twice, where the platform takes it.
            DeliveryState::Confirming { .. } => return Ok(Ok(delivery.clone())),
            // Due already, or on its way this very moment: nothing to hurry.
            DeliveryState::Waiting { due } if due <= retry.now || leased => return Ok(Ok(delivery.clone())),
            _ if superseded => return Ok(Err(RetryRefused::Superseded)),
            _ if too_old => return Ok(Err(RetryRefused::TooOld)),
            _ => delivery.state = DeliveryState::Waiting { due: retry.now },
        }
        let delivery = delivery.clone();
        self.manual.extend(DeliverySlot::new(number, place));
        self.change(number, &old, record, false);
        Ok(Ok(delivery))
    }

    /// Skips up to [`STEP`] deliveries of a destination that is gone.
    pub fn withdraw(&mut self, mut withdraw: Withdraw) -> Result<Withdrawn, StoreError> {
        let index = self.shared.index.lock();
        let slots = index.queues.of(&withdraw.destination).map(|queues| queues.unfinished(STEP));
        drop(index);
        let slots = slots.unwrap_or_default();
        let mut records = Vec::new();
        for slot in &slots {
            if let Some(record) = self.readable(slot.seq())? {
                records.push((slot.seq(), record));
            }
        }
        records.sort_by_key(|(number, _)| *number);
        records.dedup_by_key(|(number, _)| *number);
        let done_before = withdraw.done;
        for (number, old) in records {
            let mut record = old.clone();
            let mine = record.standing.deliveries.iter_mut().filter(|delivery| {
                delivery.destination == withdraw.destination && delivery.state.is_unfinished()
            });
            let mut count = 0;
            for delivery in mine {
                let (at, reason) = (withdraw.now, SkipReason::DestinationRemoved);
                // What was accepted was sent, and there is no one left to ask.
                delivery.state = match delivery.state {
                    DeliveryState::Confirming { .. } => DeliveryState::delivered(at),
                    _ => DeliveryState::Skipped { at, reason },
                };
                count += 1;
            }
            if count > 0 {
                withdraw.done += count;
                self.change(number, &old, record, false);
            }
        }
        // Where nothing was done, all that is left cannot be read.
        let more = slots.len() == STEP && withdraw.done > done_before;
        Ok(if more { Withdrawn::Some(withdraw) } else { Withdrawn::All(withdraw.done) })
    }

    /// Skips what was held too long. Answers of how many conversions.
    pub fn end_holds(&mut self, now: Time, limit: usize) -> Result<u64, StoreError> {
        let numbers = self.shared.index.lock().ended_holds(now, limit.min(STEP));
        let mut records = Vec::new();
        for number in numbers {
            match self.readable(number)? {
                Some(record) => records.push((number, record)),
                // It would come first again and again.
                None => self.shared.index.lock().forget_holds(number),
            }
        }
        let mut expired = 0;
        for (number, old) in records {
            let mut record = old.clone();
            if routing::expire_holds(&mut record.standing.deliveries, now) {
                expired += 1;
                self.change(number, &old, record, false);
            }
        }
        Ok(expired)
    }
}
