//! What changes deliveries: attempts, retries, a destination that is gone, ended holds.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::domain::attempt::{Attempt, AttemptEffect};
use crate::domain::change;
use crate::domain::delivery::{Delivery, DeliveryState};
use crate::domain::delivery_reason::RetryRefused;
use crate::domain::expiry::{AgeRule, expired};
use crate::domain::ids::{DeliveryId, DestinationId};
use crate::domain::reconcile::{Observed, reconcile, superseded};
use crate::domain::routing;
use crate::domain::skip::SkipReason;
use crate::domain::time::Time;
use crate::store::codec::{LayoutError, corrupt};
use crate::store::contract::error::StoreError;
use crate::store::contract::work::{AttemptOutcome, LeaseToken, Recorded, RepeatRisk};
use crate::store::decision::group::{CommitGroup, FoundDelivery};
use crate::store::decision::need::{Known, Undecided, all, unless_damaged};
use crate::store::decision::order::{Decided, Order, STEP};
use crate::store::decision::pending::NewAttempt;
use crate::store::decision::stored::UnreadableDue;
use crate::store::table::attempt::StoredAttempt;
use crate::store::table::conversion::Record;
use crate::store::table::delivery::{DeliverySlot, MAX_DELIVERIES};
use crate::store::weight::of_exchange;

/// How an attempt at a delivery ended.
pub struct AttemptEnd<'a> {
    pub attempt: Attempt,
    /// `None`: no one had claimed the delivery.
    pub lease: Option<LeaseToken>,
    /// See [`CommitGroup::ran_out`].
    pub ran_out: bool,
    /// The state that it leads to, and how many attempts have counted then.
    pub state: &'a DeliveryState,
    pub attempts: u32,
    pub repeat: RepeatRisk,
}

/// What an attempt was about.
struct AttemptedDelivery {
    /// Whether its lease holds.
    holds: bool,
    /// `None` where it is not kept.
    found: Option<FoundDelivery>,
    /// See [`CommitGroup::ran_out`].
    ran_out: bool,
    /// What an attempt meant that was recorded by the same lease before.
    before: Option<AttemptEffect>,
}

fn recorded_as(effect: AttemptEffect) -> Recorded {
    match effect {
        AttemptEffect::Settled => Recorded::Settled,
        AttemptEffect::Late => Recorded::Late,
    }
}

/// Attempts, and where they lead.
pub struct RecordAttempts(pub Arc<[AttemptOutcome]>);

impl Order for RecordAttempts {
    type Answer = Vec<Recorded>;

    fn decide<'a>(&'a self, group: &mut CommitGroup<'a>) -> Known<Decided<RecordAttempts>> {
        // Each is decided after the one before it, once all is at hand.
        if self.0.len() > 1 {
            group.look_up(&self.0)?;
        }
        group.record(&self.0).map(Decided::Whole)
    }

    fn look_ahead(&self, group: &CommitGroup<'_>) -> Known<()> {
        group.look_up(&self.0)
    }

    fn weight(&self) -> usize {
        // One that several share is stored once: they are next to one another.
        let mut exchanges: Vec<_> =
            self.0.iter().filter_map(|outcome| outcome.attempt.exchange.as_ref()).collect();
        exchanges.dedup_by(|one, other| Arc::ptr_eq(one, other));
        exchanges.into_iter().map(|exchange| of_exchange(exchange)).sum()
    }
}

/// A person wants a delivery sent.
pub struct Retry {
    pub id: DeliveryId,
    pub now: Time,
    pub age: AgeRule,
}

impl Order for Retry {
    type Answer = Result<Delivery, RetryRefused>;

    fn decide<'a>(&'a self, group: &mut CommitGroup<'a>) -> Known<Decided<Retry>> {
        group.retry(self).map(Decided::Whole)
    }

    fn look_ahead(&self, group: &CommitGroup<'_>) -> Known<()> {
        group.find_delivery(&self.id).map(drop)
    }
}

/// A destination is gone: what waits for it is skipped, in steps of [`STEP`] deliveries. Answers how many were.
pub struct Withdraw {
    pub destination: DestinationId,
    pub now: Time,
    /// How many earlier steps have skipped.
    pub done: u64,
}

impl Order for Withdraw {
    type Answer = u64;

    fn decide<'a>(&'a self, group: &mut CommitGroup<'a>) -> Known<Decided<Withdraw>> {
        let (count, is_full) = group.withdraw(self)?;
        let done = self.done + count;
        // Where nothing was done, all that is left cannot be read.
        if !is_full || count == 0 {
            return Ok(Decided::Whole(done));
        }
        Ok(Decided::Step(Withdraw { destination: self.destination.clone(), done, ..*self }))
    }
}

impl CommitGroup<'_> {
    /// Looks up what recording these will. What cannot be read is left to that.
    fn look_up(&self, outcomes: &[AttemptOutcome]) -> Known<()> {
        all(outcomes
            .iter()
            .map(|outcome| unless_damaged(self.attempted(outcome), "a delivery that was attempted")))
        .map(drop)
    }

    /// Remembers attempts and where they lead. One whose delivery is damaged is left out alone.
    fn record(&mut self, outcomes: &[AttemptOutcome]) -> Known<Vec<Recorded>> {
        let mut recorded = Vec::with_capacity(outcomes.len());
        for outcome in outcomes {
            let became = match self.settled.get(&outcome.lease) {
                Some(became) => *became,
                None => match self.record_one(outcome) {
                    Err(Undecided::Failed(error @ StoreError::Corrupt { .. })) => {
                        tracing::error!(delivery.id = %outcome.id, %error, "an attempt could not be recorded");
                        Recorded::Damaged
                    }
                    recorded => recorded?,
                },
            };
            self.settled.insert(outcome.lease, became);
            recorded.push(became);
        }
        Ok(recorded)
    }

    fn attempted(&self, outcome: &AttemptOutcome) -> Known<AttemptedDelivery> {
        // First: while it is decided and written, no one else may be given the delivery.
        let holds = self.facts.hold(outcome.lease)?;
        let found = self.find_delivery(&outcome.id)?;
        let (mut ran_out, mut before) = (false, None);
        if let Some(found @ (number, _, place)) = &found {
            ran_out = self.ran_out(*number, *place)?;
            before = if holds { None } else { self.effect_of(outcome.lease, found)? };
        }
        Ok(AttemptedDelivery { holds, found, ran_out, before })
    }

    /// Whether a lease of the delivery ran out, and nothing was recorded since.
    pub fn ran_out(&self, number: u64, place: usize) -> Known<bool> {
        DeliverySlot::new(number, place).map_or(Ok(false), |slot| self.facts.has_run_out(slot))
    }

    fn record_one(&mut self, outcome: &AttemptOutcome) -> Known<Recorded> {
        let AttemptedDelivery { holds, found, ran_out, before } = self.attempted(outcome)?;
        let Some(found) = found else {
            tracing::warn!(delivery.id = %outcome.id, "an attempt at a delivery that is not kept was left out");
            return Ok(Recorded::Gone);
        };
        if let Some(effect) = before {
            return Ok(recorded_as(effect));
        }
        let effect = if holds { AttemptEffect::Settled } else { AttemptEffect::Late };
        let attempt = Attempt { effect, ..outcome.attempt.clone() };
        let end = AttemptEnd {
            attempt,
            lease: Some(outcome.lease),
            ran_out,
            state: &outcome.state,
            attempts: outcome.attempts,
            repeat: outcome.repeat,
        };
        self.settle(found, end, outcome.observed)?;
        Ok(recorded_as(effect))
    }

    /// What an attempt meant that was recorded by this lease before.
    fn effect_of(
        &self,
        lease: LeaseToken,
        (number, record, place): &FoundDelivery,
    ) -> Known<Option<AttemptEffect>> {
        let last = record.standing.last_attempts.get(*place).copied().flatten();
        // What the group has recorded of it is not stored yet, and by other leases.
        let last = self
            .attempts
            .iter()
            .rev()
            .fold(last, |last, new| if Some(new.number) == last { new.stored.previous } else { last });
        self.facts.attempt_by(lease, *number, last)
    }

    /// Adds an attempt to its delivery. Unless it is late, the delivery takes the state that it led to.
    pub fn settle(
        &mut self,
        (number, old, place): FoundDelivery,
        end: AttemptEnd<'_>,
        observed: Option<Observed>,
    ) -> Result<(), StoreError> {
        let delivery = u32::try_from(place).map_err(|_| {
            let too_great = LayoutError::TooGreat { what: "delivery", number: place as u64 };
            corrupt(number.to_string().as_bytes(), &too_great)
        })?;
        let AttemptEnd { attempt, lease, ran_out, state, attempts, repeat } = end;
        let attempt = self.left_of(&old.conversion, attempt);
        let is_late = attempt.effect == AttemptEffect::Late;
        let mut record = Record::clone(&old);
        let seq = self.numbers.next_attempt;
        let mut previous = None;
        if let Some(last) = record.standing.last_attempts.get_mut(place) {
            previous = last.replace(seq);
        }
        if let Some(delivery) = record.standing.deliveries.get_mut(place).filter(|_| !is_late) {
            delivery.state = state.clone();
            if attempts > delivery.attempts {
                delivery.first_attempt_at.get_or_insert(attempt.at);
            }
            delivery.attempts = attempts;
            // What was taken is what counts, whatever was planned.
            let is_taken =
                matches!(state, DeliveryState::Delivered { .. } | DeliveryState::Confirming { .. });
            if let Some(sent) = attempt.sent.as_ref().filter(|_| is_taken) {
                delivery.kind = sent.kind;
            }
            delivery.expires_at = self.max_ages.expires_at(&record.conversion, None, delivery);
            let is_open = matches!(state, DeliveryState::Waiting { .. } | DeliveryState::Dead { .. })
                && attempt.verdict.may_be_taken();
            delivery.may_be_known |= ran_out || is_open || repeat == RepeatRisk::Certain;
            delivery.possible_repeat |= match repeat {
                RepeatRisk::AfterTheUnknown => ran_out || is_open,
                RepeatRisk::Certain => true,
                RepeatRisk::CountedOnce => false,
            };
        }
        if !is_late {
            self.follow(&mut record, place);
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

    /// Has the changes that waited for the delivery at `place` go on.
    pub fn follow(&self, record: &mut Record, place: usize) {
        let deliveries = &mut record.standing.deliveries;
        let Some(ended) = deliveries.get(place) else { return };
        let route = self.rules.routes.iter().find(|route| route.destination == ended.destination);
        change::follow(deliveries, place, route.and_then(|route| route.changes.rules()));
    }

    /// Makes a delivery due because a person asked.
    fn retry(&mut self, retry: &Retry) -> Known<Result<Delivery, RetryRefused>> {
        let Some((number, old, place)) = self.find_delivery(&retry.id)? else {
            return Ok(Err(RetryRefused::Unknown));
        };
        let mut record = Record::clone(&old);
        let superseded = superseded(&record.standing.deliveries, &retry.id);
        let Some(delivery) = record.standing.deliveries.get_mut(place) else {
            return Ok(Err(RetryRefused::Unknown));
        };
        delivery.expires_at = self.max_ages.expires_at(&record.conversion, None, delivery);
        let too_old = retry.age == AgeRule::Counts
            && expired(delivery, record.conversion.event_time, None, retry.now).is_some();
        let slot = DeliverySlot::new(number, place);
        let leased = slot.map(|slot| self.facts.is_leased(&retry.id.destination, slot)).transpose()?;
        let leased = leased.unwrap_or(false);
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

    /// Skips up to [`STEP`] deliveries of a destination that is gone. Answers how many, and whether there may be more.
    fn withdraw(&mut self, withdraw: &Withdraw) -> Known<(u64, bool)> {
        let slots = self.facts.unfinished(&withdraw.destination, STEP)?;
        let numbers: BTreeSet<u64> = slots.iter().map(|slot| slot.seq()).collect();
        let found = self.all_readable(numbers, |_| None)?;
        // All is at hand before anything changes.
        let unknown = found.iter().flat_map(|(number, old)| {
            let places = old.standing.deliveries.iter().enumerate();
            let waits = places
                .filter(|(_, one)| one.destination == withdraw.destination && one.state.is_to_be_sent());
            waits.map(|(place, _)| Ok(((*number, place), self.ran_out(*number, place)?)))
        });
        let unknown: HashMap<(u64, usize), bool> = all(unknown)?.into_iter().collect();
        let mut count = 0;
        for (number, old) in found {
            let mut record = Record::clone(&old);
            let before = count;
            for (place, delivery) in record.standing.deliveries.iter_mut().enumerate() {
                if delivery.destination != withdraw.destination {
                    continue;
                }
                let ran_out = unknown.get(&(number, place)).copied().unwrap_or_default();
                delivery.possible_repeat |= ran_out;
                delivery.may_be_known |= ran_out;
                let (at, reason) = (withdraw.now, SkipReason::DestinationRemoved);
                delivery.state = match delivery.state {
                    // It was sent, and there is no one left to ask.
                    DeliveryState::Confirming { accepted_at, .. } => DeliveryState::unverified(accepted_at),
                    _ if delivery.state.is_unfinished() => DeliveryState::Skipped { at, reason },
                    _ => continue,
                };
                count += 1;
            }
            if count > before {
                self.change(number, &old, record, false);
            }
        }
        Ok((count, slots.len() == STEP))
    }

    /// Skips what was held too long, of up to `most` conversions. Answers of how many.
    pub fn end_holds(&mut self, now: Time, most: usize) -> Known<usize> {
        let numbers = self.facts.ended_holds(now, most)?;
        let mut expired = 0;
        for (number, old) in self.all_readable(numbers, |number| Some(UnreadableDue::Holds(number)))? {
            let mut record = Record::clone(&old);
            if routing::expire_holds(&mut record.standing.deliveries, now) {
                expired += 1;
                self.change(number, &old, record, false);
            }
        }
        Ok(expired)
    }
}
