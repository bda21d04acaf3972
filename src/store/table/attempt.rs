//! Attempts, each with the one before it at the same delivery; kept for as many days as their conversion. The engine
//! packs them.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::domain::delivery::Attempt;
use crate::store::codec::{self, corrupt};
use crate::store::contract::error::StoreError;
use crate::store::engine::kv::Batch;
use crate::store::reader::Reader;

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
    pub attempt: Attempt,
}

/// Attempt `number` at a conversion of that day.
fn attempt_key(day: i32, number: u64) -> Vec<u8> {
    codec::dated(PREFIX, day, number)
}

impl Reader {
    /// Attempt `number` at a conversion of that day; `None` when it is purged.
    pub fn attempt(&self, day: i32, number: u64) -> Result<Option<StoredAttempt>, StoreError> {
        self.record(&attempt_key(day, number))
    }

    /// The attempts at a delivery of a conversion of that day that end with number `last`, in order.
    pub fn attempts(&self, day: i32, last: Option<u64>) -> Result<Vec<Attempt>, StoreError> {
        let mut found = VecDeque::new();
        let mut next = last;
        while let Some(number) = next {
            let Some(stored) = self.attempt(day, number)? else { break };
            found.push_front(stored.attempt);
            // A chain leads back in time; anything else would be a circle.
            next = stored.previous.filter(|previous| *previous < number);
        }
        Ok(found.into())
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

/// Takes an attempt out.
pub fn remove_attempt(batch: &mut Batch, day: i32, number: u64) {
    batch.remove(attempt_key(day, number));
}
