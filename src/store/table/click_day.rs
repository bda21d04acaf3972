//! How many clicks on each offer counted on each UTC day.

use std::ops::ControlFlow;

use crate::domain::ids::OfferId;
use crate::store::codec::{self, corrupt};
use crate::store::contract::error::StoreError;
use crate::store::engine::kv::{Batch, Direction, Span};
use crate::store::reader::Reader;

/// Days sort as they follow one another; without an offer, what is before every offer's.
fn day_key(day: i64, offer: Option<&OfferId>) -> Vec<u8> {
    let sorted = (day ^ i64::MIN).to_be_bytes();
    [b"D", &sorted[..], offer.map_or("", OfferId::as_str).as_bytes()].concat()
}

/// How many counted on that day.
pub fn count(reader: &Reader, day: i64, offer: &OfferId) -> Result<u64, StoreError> {
    Ok(reader.body(&day_key(day, Some(offer)))?.unwrap_or(0))
}

/// Puts the count of a day over what was kept.
pub fn put(batch: &mut Batch, day: i64, offer: &OfferId, count: u64) -> Result<(), StoreError> {
    let key = day_key(day, Some(offer));
    let packed = codec::pack(&(), &count).map_err(|error| corrupt(&key, &error))?;
    batch.put(key, packed);
    Ok(())
}

/// The keys of up to `most` counts of days before `day`. One that cannot be read stays where it is.
pub fn before(reader: &Reader, day: i64, most: usize) -> Result<Vec<Vec<u8>>, StoreError> {
    let mut keys = Vec::new();
    let (from, to) = (day_key(i64::MIN, None), day_key(day, None));
    reader.scan(Span { from: &from, to: &to, direction: Direction::Up }, &mut |key, count| {
        keys.extend(count.is_ok().then(|| key.to_vec()));
        if keys.len() < most { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    Ok(keys)
}
