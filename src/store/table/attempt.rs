//! Attempts: in blocks by number, each with the attempt before it at the same delivery.

use std::collections::VecDeque;
use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use crate::domain::delivery::Attempt;
use crate::domain::sent::SentEvent;
use crate::store::codec::{self, BLOCK_BYTES, BLOCK_ENTRIES, corrupt};
use crate::store::contract::error::StoreError;
use crate::store::engine::kv::{Batch, Direction, Span};
use crate::store::reader::Reader;

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

/// A block of attempts; a purged one is `None`.
pub type Attempts = Vec<Option<StoredAttempt>>;

/// The block of attempts that begins with number `first`.
fn attempts_key(first: u64) -> Vec<u8> {
    codec::numbered(b'A', first)
}

impl Reader {
    /// The block of attempts that holds attempt `number`: its first number, and the attempts.
    pub fn attempt_block(&self, number: u64) -> Result<Option<(u64, Attempts)>, StoreError> {
        let mut found = None;
        let (from, to) = (attempts_key(0), attempts_key(number.saturating_add(1)));
        let span = Span { from: &from, to: &to, direction: Direction::Down };
        self.scan(span, &mut |key, bytes| {
            found = codec::number(key).map(|first| (first, bytes.to_vec()));
            ControlFlow::Break(())
        })?;
        let Some((first, bytes)) = found else { return Ok(None) };
        let attempts = codec::body(&bytes).map_err(|error| corrupt(&attempts_key(first), &error))?;
        Ok(Some((first, attempts)))
    }

    /// Attempt `number` of delivery `delivery` of conversion `seq`; `None` when it is purged.
    pub fn attempt(&self, number: u64) -> Result<Option<StoredAttempt>, StoreError> {
        let Some((first, mut block)) = self.attempt_block(number)? else { return Ok(None) };
        let place = usize::try_from(number - first).ok();
        Ok(place.and_then(|at| block.get_mut(at)).and_then(Option::take))
    }

    /// The attempts that end with number `last`, in order.
    pub fn attempts(&self, last: Option<u64>) -> Result<Vec<Attempt>, StoreError> {
        let mut found = VecDeque::new();
        let mut next = last;
        while let Some(number) = next {
            let Some(stored) = self.attempt(number)? else { break };
            found.push_front(stored.attempt);
            // A chain leads back in time; anything else would be a circle.
            next = stored.previous.filter(|previous| *previous < number);
        }
        Ok(found.into())
    }
}

/// Puts new attempts, of which the first has number `first`, into a batch.
pub fn add_attempts(batch: &mut Batch, mut first: u64, attempts: &[StoredAttempt]) -> Result<(), StoreError> {
    for block in split_attempts(attempts) {
        let key = attempts_key(first);
        let block: Vec<Option<&StoredAttempt>> = block.iter().map(Some).collect();
        let packed = codec::pack(&(), &block).map_err(|error| corrupt(&key, &error))?;
        batch.add(key, packed);
        first += block.len() as u64;
    }
    Ok(())
}

/// Puts a block of attempts over what was kept of it; one that is all purged is removed.
pub fn put_attempts(batch: &mut Batch, first: u64, attempts: &Attempts) -> Result<(), StoreError> {
    let key = attempts_key(first);
    if attempts.iter().all(Option::is_none) {
        batch.remove(key);
        return Ok(());
    }
    let packed = codec::pack(&(), attempts).map_err(|error| corrupt(&key, &error))?;
    batch.put(key, packed);
    Ok(())
}

/// Cuts attempts into blocks of bounded number and size.
fn split_attempts(attempts: &[StoredAttempt]) -> Vec<&[StoredAttempt]> {
    let mut blocks = Vec::new();
    let mut rest = attempts;
    while !rest.is_empty() {
        let mut bytes = 0;
        let fits = |stored: &&StoredAttempt| {
            bytes += attempt_size(stored);
            bytes <= BLOCK_BYTES
        };
        let length = rest.iter().take(BLOCK_ENTRIES).take_while(fits).count().max(1);
        let (block, after) = rest.split_at(length);
        blocks.push(block);
        rest = after;
    }
    blocks
}

fn attempt_size(stored: &StoredAttempt) -> usize {
    let pairs = |headers: &[(String, String)]| -> usize {
        headers.iter().map(|(name, value)| name.len() + value.len() + 2).sum()
    };
    let request = stored.attempt.request.as_ref();
    let request =
        request.map_or(0, |request| request.url.len() + request.body.len() + pairs(&request.headers));
    let answer = stored.attempt.answer.as_ref();
    let answer = answer.map_or(0, |answer| answer.body.len() + pairs(&answer.headers));
    let ids = |sent: &SentEvent| sent.ids.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
    let sent = stored.attempt.sent.as_deref().map_or(0, |sent| 48 + sent.event.len() + ids(sent));
    64 + request + answer + sent
}
