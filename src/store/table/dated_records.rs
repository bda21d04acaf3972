//! Records of one day by their numbers, many at a time. What cannot be read is logged and left out, and holds up nothing
//! behind it.

use std::ops::{ControlFlow, Range};

use crate::store::codec::{self, LayoutError, corrupt};
use crate::store::contract::error::StoreError;
use crate::store::engine::kv::{Direction, Span};
use crate::store::reader::{Reader, readable};

/// How many records are looked up one by one at a time.
const ONE_BY_ONE: u64 = 512;

/// The key of a record by its day and its number.
pub type DatedKey = fn(i32, u64) -> Vec<u8>;

/// Some records, and what is left to be looked at.
pub struct SomeRecords<T> {
    /// In order, each with its number.
    pub found: Vec<(u64, T)>,
    /// The numbers that were not looked at.
    pub rest: Range<u64>,
    /// How many records were looked up one by one, because no scan goes on behind what is damaged.
    pub looked_up: u64,
    /// How many cannot be read.
    pub unreadable: u64,
}

impl<T> SomeRecords<T> {
    fn add(&mut self, number: u64, value: T, direction: Direction) {
        self.found.push((number, value));
        self.looked_at(number, direction);
    }

    fn looked_at(&mut self, number: u64, direction: Direction) {
        match direction {
            Direction::Up => self.rest.start = number.saturating_add(1),
            Direction::Down => self.rest.end = number,
        }
    }
}

/// Up to `most` of the day's records with these numbers.
///
/// # Errors
/// The store's failure.
pub fn read_some<T>(
    reader: &Reader,
    (key, day): (DatedKey, i32),
    (numbers, direction): (Range<u64>, Direction),
    most: usize,
    read: impl Fn(&[u8]) -> Result<T, LayoutError>,
) -> Result<SomeRecords<T>, StoreError> {
    let (from, to) = (key(day, numbers.start), key(day, numbers.end));
    let mut some = SomeRecords { found: Vec::new(), rest: numbers, looked_up: 0, unreadable: 0 };
    let (mut failed, mut is_full) = (None, false);
    let scanned = reader.scan(Span { from: &from, to: &to, direction }, &mut |key, bytes| {
        let Some((_, number)) = codec::date(key) else { return ControlFlow::Continue(()) };
        let value = bytes.and_then(|bytes| read(bytes).map_err(|error| corrupt(key, &error)));
        match readable(value, "a record") {
            Ok(Some(value)) => some.add(number, value, direction),
            Ok(None) => some.unreadable += 1,
            Err(error) => failed = Some(error),
        }
        is_full = some.found.len() >= most;
        if is_full || failed.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    if let Some(error) = failed {
        return Err(error);
    }
    let is_whole = readable(scanned, "a record")?.is_some();
    if !is_whole {
        read_each(reader, (key, day), direction, &mut some, read)?;
    } else if !is_full {
        some.rest = some.rest.end..some.rest.end;
    }
    Ok(some)
}

/// Goes on behind what no scan goes on behind, for so many numbers.
fn read_each<T>(
    reader: &Reader,
    (key, day): (DatedKey, i32),
    direction: Direction,
    some: &mut SomeRecords<T>,
    read: impl Fn(&[u8]) -> Result<T, LayoutError>,
) -> Result<(), StoreError> {
    let mut damaged: u64 = 0;
    while some.looked_up < ONE_BY_ONE && !some.rest.is_empty() {
        let number = match direction {
            Direction::Up => some.rest.start,
            Direction::Down => some.rest.end - 1,
        };
        let key = key(day, number);
        let read = |bytes: Vec<u8>| read(&bytes).map_err(|error| corrupt(&key, &error));
        match reader.get(&key).and_then(|bytes| bytes.map(read).transpose()) {
            Ok(Some(value)) => some.add(number, value, direction),
            Ok(None) => some.looked_at(number, direction),
            Err(StoreError::Corrupt { .. }) => {
                damaged += 1;
                some.looked_at(number, direction);
            }
            Err(error) => return Err(error),
        }
        some.looked_up += 1;
    }
    some.unreadable += damaged;
    if damaged > 0 {
        tracing::error!(records = damaged, "records cannot be read and are left out");
    }
    Ok(())
}
