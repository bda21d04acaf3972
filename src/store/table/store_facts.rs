//! What the store knows of itself: its format, and the numbers that are given next.

use serde::{Deserialize, Serialize};

use crate::domain::presented::DigestKey;
use crate::store::codec::{self, corrupt};
use crate::store::contract::error::StoreError;
use crate::store::engine::kv::Batch;
use crate::store::reader::Reader;
use crate::store::table::delivery::DeliverySlot;

/// The name under `M` where the format is named.
pub const FORMAT: &[u8] = b"Mformat";

/// The name under `M` of the numbers that must not be given twice.
pub const NUMBERS: &[u8] = b"Mnumbers";

/// The name under `M` that is there while the store is closed: the deliveries of which something may have left without a
/// record of it.
const CLOSED: &[u8] = b"Mclosed";

/// The name under `M` of the key by which what senders presented is kept.
const DIGEST_KEY: &[u8] = b"Mdigestkey";

/// The name under `M` that a readiness probe writes.
const PROBE: &[u8] = b"Mprobe";

/// Numbers that go on even when everything that bore them is purged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct NumberSequences {
    pub next_postback: u64,
    pub next_attempt: u64,
    pub next_click: u64,
}

impl NumberSequences {
    /// Keeps them, because what bore them may be purged.
    pub fn put(&self, batch: &mut Batch) -> Result<(), StoreError> {
        let packed = codec::pack(self, &()).map_err(|error| corrupt(NUMBERS, &error))?;
        batch.put(NUMBERS.to_vec(), packed);
        Ok(())
    }
}

/// Remembers that the store is closed, and of which deliveries something may have left without a record of it.
pub fn close(reader: &Reader, unknown: &[DeliverySlot]) -> Result<(), StoreError> {
    let packed = codec::pack(&(), &unknown).map_err(|error| corrupt(CLOSED, &error))?;
    let mut batch = Batch::default();
    batch.put(CLOSED.to_vec(), packed);
    reader.kv().commit(batch, &mut |_| {}).map_err(|error| reader.fail("write", error))
}

/// What the process before remembered when it closed the store; `None`: it did not close it.
pub fn closed(reader: &Reader) -> Result<Option<Vec<DeliverySlot>>, StoreError> {
    let unknown = |bytes: Vec<u8>| codec::body(&bytes).map_err(|error| corrupt(CLOSED, &error));
    reader.get(CLOSED)?.map(unknown).transpose()
}

/// From now on the store is not closed.
pub fn reopen(reader: &Reader) -> Result<(), StoreError> {
    if reader.get(CLOSED)?.is_none() {
        return Ok(());
    }
    let mut batch = Batch::default();
    batch.remove(CLOSED.to_vec());
    reader.kv().commit(batch, &mut |_| {}).map_err(|error| reader.fail("write", error))
}

/// The key by which what senders presented is kept. A store that has none is given one: it is as old as the store, or as
/// the first program that asked for it, and goes wherever the store is copied.
pub fn digest_key(reader: &Reader) -> Result<DigestKey, StoreError> {
    if let Some(kept) = reader.head(DIGEST_KEY)? {
        return Ok(kept);
    }
    let mut batch = Batch::default();
    let key = put_digest_key(&mut batch)?;
    reader.kv().commit(batch, &mut |_| {}).map_err(|error| reader.fail("write", error))?;
    Ok(key)
}

/// Gives a store such a key, of random bytes of the system.
pub fn put_digest_key(batch: &mut Batch) -> Result<DigestKey, StoreError> {
    let mut bytes = [0; 32];
    let no_key = |error: getrandom::Error| StoreError::Unavailable {
        cause: format!("the system has no random bytes: {error}"),
    };
    getrandom::fill(&mut bytes).map_err(no_key)?;
    let key = DigestKey::new(bytes);
    batch.put(DIGEST_KEY.to_vec(), codec::pack(&key, &()).map_err(|error| corrupt(DIGEST_KEY, &error))?);
    Ok(key)
}

/// Writes what a readiness probe does.
pub fn put_probe(batch: &mut Batch) {
    batch.put(PROBE.to_vec(), vec![codec::VERSION]);
}
