//! The commands that change deliveries: attempts, retries, a destination that is gone, ended holds.

use std::collections::HashMap;
use std::sync::Arc;

use crate::domain::attempt::{Attempt, AttemptEffect, Exchange};
use crate::domain::delivery::{Delivery, DeliveryState};
use crate::domain::delivery_reason::RetryRefused;
use crate::domain::expiry::{AgeRule, expired};
use crate::domain::reconcile::{Observed, reconcile, superseded};
use crate::domain::routing;
use crate::domain::skip::SkipReason;
use crate::domain::time::Time;
use crate::store::codec::{LayoutError, corrupt};
use crate::store::commit::command::{Retry, STEP, Withdraw};
use crate::store::commit::group::CommitGroup;
use crate::store::commit::pending::NewAttempt;
use crate::store::contract::error::StoreError;
use crate::store::contract::work::{AttemptOutcome, LeaseToken, Recorded};
use crate::store::table::attempt::StoredAttempt;
use crate::store::table::conversion::Record;
use crate::store::table::delivery::{DeliverySlot, MAX_DELIVERIES};
use crate::store::table::exchange::ExchangePlace;

/// How an attempt at a delivery ended.
pub struct AttemptEnd<'a> {
    pub attempt: Attempt,
    /// `None`: no one had claimed the delivery.
    pub lease: Option<LeaseToken>,
    /// The state that it leads to, and how many attempts have counted then.
    pub state: &'a DeliveryState,
    pub attempts: u32,
}

fn recorded_as(effect: AttemptEffect) -> Recorded {
    match effect {
        AttemptEffect::Settled => Recorded::Settled,
        AttemptEffect::Late => Recorded::Late,
    }
}

/// How far withdrawing a destination has come.
pub enum Withdrawn {
    All(u64),
    Some(Withdraw),
}

impl CommitGroup<'_> {
    /// Remembers attempts and where they lead. One whose delivery is damaged is left out alone.
    pub fn record(&mut self, outcomes: &[AttemptOutcome]) -> Result<Vec<Recorded>, StoreError> {
        let first = self.attempts.len();
        let mut recorded = Vec::with_capacity(outcomes.len());
        for outcome in outcomes {
            let became = match self.settled.get(&outcome.lease) {
                Some(became) => *became,
                None => match self.record_one(outcome) {
                    Err(error @ StoreError::Corrupt { .. }) => {
                        tracing::error!(delivery.id = %outcome.id, %error, "an attempt could not be recorded");
                        Recorded::Damaged
                    }
                    recorded => recorded?,
                },
            };
            self.settled.insert(outcome.lease, became);
            recorded.push(became);
        }
        self.place_exchanges(first)?;
        Ok(recorded)
    }

    fn record_one(&mut self, outcome: &AttemptOutcome) -> Result<Recorded, StoreError> {
        // First: while it is decided and written, no one else may be given the delivery.
        let holds = self.shared.index.lock().queues.held.keep(outcome.lease);
        let Some(found) = self.find_delivery(&outcome.id)? else {
            tracing::warn!(delivery.id = %outcome.id, "an attempt at a delivery that is not kept was left out");
            return Ok(Recorded::Gone);
        };
        if !holds && let Some(effect) = self.effect_of(outcome.lease, &found)? {
            return Ok(recorded_as(effect));
        }
        let effect = if holds { AttemptEffect::Settled } else { AttemptEffect::Late };
        let attempt = Attempt { effect, ..outcome.attempt.clone() };
        let end = AttemptEnd {
            attempt,
            lease: Some(outcome.lease),
            state: &outcome.state,
            attempts: outcome.attempts,
        };
        self.settle(found, end, outcome.observed)?;
        Ok(recorded_as(effect))
    }

    /// What an attempt meant that was recorded by this lease before.
    fn effect_of(
        &self,
        lease: LeaseToken,
        (number, record, place): &(u64, Arc<Record>, usize),
    ) -> Result<Option<AttemptEffect>, StoreError> {
        let last = record.standing.last_attempts.get(*place).copied().flatten();
        // What the group has recorded of it is not stored yet, and by other leases.
        let last = self
            .attempts
            .iter()
            .rev()
            .fold(last, |last, new| if Some(new.number) == last { new.stored.previous } else { last });
        let stored = self.shared.reader.attempt_by(lease, self.day_of(*number)?, last)?;
        Ok(stored.map(|stored| stored.attempt.effect))
    }

    /// Adds an attempt to its delivery. Unless it is late, the delivery takes the state that it led to.
    pub fn settle(
        &mut self,
        (number, old, place): (u64, Arc<Record>, usize),
        end: AttemptEnd<'_>,
        observed: Option<Observed>,
    ) -> Result<(), StoreError> {
        let delivery = u32::try_from(place).map_err(|_| {
            let too_great = LayoutError::TooGreat { what: "delivery", number: place as u64 };
            corrupt(number.to_string().as_bytes(), &too_great)
        })?;
        let AttemptEnd { attempt, lease, state, attempts } = end;
        let is_late = attempt.effect == AttemptEffect::Late;
        let mut record = Record::clone(&old);
        let seq = self.numbers.next_attempt;
        let mut previous = None;
        if let Some(last) = record.standing.last_attempts.get_mut(place) {
            previous = last.replace(seq);
        }
        if let Some(delivery) = record.standing.deliveries.get_mut(place).filter(|_| !is_late) {
            delivery.state = state.clone();
            delivery.attempts = attempts;
            let index = self.shared.index.lock();
            delivery.expires_at = index.queues.expires_at(&record.conversion, delivery);
            let ran_out =
                DeliverySlot::new(number, place).is_some_and(|slot| index.queues.held.has_run_out(slot));
            let is_open = matches!(state, DeliveryState::Waiting { .. }) && attempt.verdict.may_be_taken();
            delivery.possible_repeat |= ran_out || is_open;
        }
        let Record { conversion, standing, .. } = &mut record;
        let added = observed.filter(|_| !is_late).is_some_and(|observed| {
            standing.deliveries.len() < MAX_DELIVERIES
                && reconcile(conversion, &mut standing.deliveries, place, observed)
        });
        standing.last_attempts.resize(standing.deliveries.len(), None);
        self.numbers.next_attempt += 1;
        let stored = StoredAttempt { seq: number, delivery, previous, lease, exchange: None, attempt };
        self.attempts.push(NewAttempt { number: seq, stored });
        self.change(number, &old, record, added);
        Ok(())
    }

    /// Gives every exchange of the attempts from the `first` one on its place: under the newest day of the conversions
    /// that it was about, since it goes with that one.
    fn place_exchanges(&mut self, first: usize) -> Result<(), StoreError> {
        let mut places: HashMap<*const Exchange, ExchangePlace> = HashMap::new();
        for new in self.attempts.iter().skip(first) {
            let Some(exchange) = &new.stored.attempt.exchange else { continue };
            let place = ExchangePlace { day: self.day_of(new.stored.seq)?, attempt: new.number };
            let known = places.entry(Arc::as_ptr(exchange)).or_insert(place);
            if known.day < place.day {
                *known = place;
            }
        }
        for new in self.attempts.iter_mut().skip(first) {
            let exchange = new.stored.attempt.exchange.as_ref();
            new.stored.exchange = exchange.and_then(|exchange| places.get(&Arc::as_ptr(exchange)).copied());
        }
        Ok(())
    }

    /// Makes a delivery due because a person asked.
    pub fn retry(&mut self, retry: &Retry) -> Result<Result<Delivery, RetryRefused>, StoreError> {
        let Some((number, old, place)) = self.find_delivery(&retry.id)? else {
            return Ok(Err(RetryRefused::Unknown));
        };
        let mut record = Record::clone(&old);
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
            let mut record = Record::clone(&old);
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
            let mut record = Record::clone(&old);
            if routing::expire_holds(&mut record.standing.deliveries, now) {
                expired += 1;
                self.change(number, &old, record, false);
            }
        }
        Ok(expired)
    }
}
