//! Attempts, each with the one before it at the same delivery; kept for as many days as their conversion. What was sent
//! and received is apart. The engine packs them.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::domain::attempt::{Attempt, AttemptEffect};
use crate::domain::delivery::ReplyVerdict;
use crate::domain::sent::{DeliveryKind, SentEvent};
use crate::store::codec::{self, corrupt};
use crate::store::contract::error::StoreError;
use crate::store::contract::work::LeaseToken;
use crate::store::engine::kv::Batch;
use crate::store::reader::Reader;
use crate::store::table::exchange::{ExchangePlace, ReadExchanges};

/// The first byte of its keys.
pub const PREFIX: u8 = b'A';

/// One attempt as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredAttempt {
    /// The postback number of the conversion, and the delivery's place in it.
    pub seq: u64,
    pub delivery: u32,
    /// The attempt before this one at the same delivery.
    pub previous: Option<u64>,
    /// By which lease it was recorded: it is recorded once. `None`: the store itself ended the delivery.
    pub lease: Option<LeaseToken>,
    pub exchange: Option<ExchangePlace>,
    pub attempt: Attempt,
}

impl StoredAttempt {
    /// The attempt before attempt `number`, which this is. A chain leads back in time; anything else would be a circle.
    pub fn before(&self, number: u64) -> Option<u64> {
        self.previous.filter(|previous| *previous < number)
    }
}

/// Attempt `number` at a conversion of that day.
fn attempt_key(day: i32, number: u64) -> Vec<u8> {
    codec::dated(PREFIX, day, number)
}

impl Reader {
    /// Attempt `number` at a conversion of that day, without its exchange; `None` when it is purged.
    pub fn stored_attempt(&self, day: i32, number: u64) -> Result<Option<StoredAttempt>, StoreError> {
        self.record(&attempt_key(day, number))
    }

    /// Attempt `number` at a conversion of that day; `None` when it is purged.
    pub fn attempt(
        &self,
        (day, number): (i32, u64),
        read: &mut ReadExchanges,
    ) -> Result<Option<Attempt>, StoreError> {
        self.stored_attempt(day, number)?.map(|stored| self.with_exchange(stored, read)).transpose()
    }

    fn with_exchange(&self, stored: StoredAttempt, read: &mut ReadExchanges) -> Result<Attempt, StoreError> {
        let StoredAttempt { mut attempt, exchange, .. } = stored;
        if let Some(place) = exchange {
            attempt.exchange = self.exchange(place, read)?;
        }
        Ok(attempt)
    }

    /// The attempts at a delivery of a conversion of that day that end with number `last`, in order.
    pub fn attempts(&self, day: i32, last: Option<u64>) -> Result<Vec<Attempt>, StoreError> {
        let (mut found, mut read) = (VecDeque::new(), ReadExchanges::new());
        let mut next = last;
        while let Some(number) = next {
            let Some(stored) = self.stored_attempt(day, number)? else { break };
            next = stored.before(number);
            found.push_front(self.with_exchange(stored, &mut read)?);
        }
        Ok(found.into())
    }

    /// What the latest of the attempts that end with number `last` sent: of one that its delivery was settled by, where
    /// there is one.
    pub fn last_sent(&self, day: i32, last: Option<u64>) -> Result<Option<Box<SentEvent>>, StoreError> {
        let (mut next, mut late) = (last, None);
        while let Some(number) = next {
            let Some(stored) = self.stored_attempt(day, number)? else { break };
            next = stored.before(number);
            match (stored.attempt.sent, stored.attempt.effect) {
                (Some(sent), AttemptEffect::Settled) => return Ok(Some(sent)),
                (sent, AttemptEffect::Late) => late = late.or(sent),
                (None, AttemptEffect::Settled) => {}
            }
        }
        Ok(late)
    }

    /// What the newest attempt said that left and got no answer in time, of those that end with number `last`: of the event,
    /// where one was of that.
    pub fn last_unanswered(&self, day: i32, last: Option<u64>) -> Result<Option<Box<SentEvent>>, StoreError> {
        let (mut next, mut change) = (last, None);
        while let Some(number) = next {
            let Some(stored) = self.stored_attempt(day, number)? else { break };
            next = stored.before(number);
            let attempt = stored.attempt;
            // What was accepted, and refused later, was answered.
            let is_settled = attempt.effect == AttemptEffect::Settled;
            let is_answered = is_settled && matches!(attempt.verdict, ReplyVerdict::Delivered { .. });
            if is_answered || !attempt.verdict.may_be_taken() {
                continue;
            }
            match attempt.sent {
                Some(sent) if sent.kind == DeliveryKind::Event => return Ok(Some(sent)),
                sent => change = change.or(sent),
            }
        }
        Ok(change)
    }

    /// The attempt that was recorded by this lease, among those that end with number `last`.
    pub fn attempt_by(
        &self,
        lease: LeaseToken,
        day: i32,
        last: Option<u64>,
    ) -> Result<Option<StoredAttempt>, StoreError> {
        let mut next = last;
        while let Some(number) = next {
            let Some(stored) = self.stored_attempt(day, number)? else { break };
            if stored.lease == Some(lease) {
                return Ok(Some(stored));
            }
            next = stored.before(number);
        }
        Ok(None)
    }
}

/// Puts a new attempt into a batch.
pub fn add_attempt(
    batch: &mut Batch,
    day: i32,
    number: u64,
    attempt: &StoredAttempt,
) -> Result<(), StoreError> {
    let key = attempt_key(day, number);
    let record = codec::record(attempt).map_err(|error| corrupt(&key, &error))?;
    batch.add(key, record);
    Ok(())
}

/// Puts an attempt over what was kept of it.
pub fn put_attempt(
    batch: &mut Batch,
    day: i32,
    number: u64,
    attempt: &StoredAttempt,
) -> Result<(), StoreError> {
    let key = attempt_key(day, number);
    let record = codec::record(attempt).map_err(|error| corrupt(&key, &error))?;
    batch.put(key, record);
    Ok(())
}

/// Takes an attempt out.
pub fn remove_attempt(batch: &mut Batch, day: i32, number: u64) {
    batch.remove(attempt_key(day, number));
}
