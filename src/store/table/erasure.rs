//! Erasures: what is known of each, with the keyed hashes by which its records are known again, which of them are worked on,
//! and how far that is.

use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use crate::domain::erasure::identity::IdentityDigest;
use crate::domain::erasure::report::{Erasure, ErasureState};
use crate::domain::ids::ClickId;
use crate::store::codec::{self, LayoutError, corrupt};
use crate::store::contract::erasure::KeptErasure;
use crate::store::contract::error::StoreError;
use crate::store::engine::kv::{Batch, Direction, Span};
use crate::store::reader::Reader;

/// The first byte of its keys.
pub const PREFIX: u8 = b'Q';

/// Behind it: the erasures themselves, by number; by what the records of each are known; those that are not done; how far
/// the present pass is.
const KEPT: u8 = b'e';
const DIGESTS: u8 = b'd';
const OPEN: u8 = b'o';
const PASS: u8 = b'p';

/// The most erasures that one pass applies: those behind them wait for the next.
pub const MOST_AT_ONCE: usize = 64;

/// A pass through all records that applies some erasures.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErasurePass {
    /// By their numbers.
    pub erasures: Vec<u64>,
    /// What is looked at next.
    pub place: ScanPlace,
}

/// A place in a pass: first the postbacks with their conversions, by number, then the clicks, by id, then
/// their lines in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ScanPlace {
    /// From this number on.
    Postbacks(u64),
    /// Those behind this one; `None`: from the first.
    Clicks(Option<ClickId>),
    /// Lines of the log of clicks, from this day and number on.
    Lines(i32, u64),
}

impl Default for ScanPlace {
    fn default() -> ScanPlace {
        ScanPlace::Postbacks(0)
    }
}

impl ScanPlace {
    /// As a caller is given it.
    pub fn show(&self) -> String {
        match self {
            ScanPlace::Postbacks(number) => format!("p{number}"),
            ScanPlace::Clicks(after) => format!("c{}", after.as_ref().map_or("", |id| id.as_str())),
            ScanPlace::Lines(day, number) => format!("l{day}.{number}"),
        }
    }

    /// From what a caller was given.
    ///
    /// # Errors
    /// It was not.
    pub fn parse(text: &str) -> Result<ScanPlace, StoreError> {
        let place = || match text.split_at_checked(1)? {
            ("p", number) => number.parse().ok().map(ScanPlace::Postbacks),
            ("l", line) => {
                let (day, number) = line.split_once('.')?;
                Some(ScanPlace::Lines(day.parse().ok()?, number.parse().ok()?))
            }
            ("c", "") => Some(ScanPlace::Clicks(None)),
            ("c", id) => ClickId::parse(id).ok().map(|id| ScanPlace::Clicks(Some(id))),
            _ => None,
        };
        place().ok_or_else(|| StoreError::Cursor(text.to_owned()))
    }
}

fn key(of: u8, number: u64) -> Vec<u8> {
    [&[PREFIX, of][..], &number.to_be_bytes()].concat()
}

fn pass_key() -> Vec<u8> {
    vec![PREFIX, PASS]
}

impl Reader {
    /// What is known of an erasure.
    pub fn erasure(&self, number: u64) -> Result<Option<Erasure>, StoreError> {
        self.head(&key(KEPT, number))
    }

    /// By what its records are known.
    pub fn erasure_digests(&self, number: u64) -> Result<Vec<IdentityDigest>, StoreError> {
        let key = key(DIGESTS, number);
        self.body(&key)?.ok_or_else(|| corrupt(&key, &LayoutError::Missing))
    }

    /// Erasures with lower numbers than this, the highest first. One that cannot be read is logged and left out.
    pub fn erasures_below(&self, below: u64, most: usize) -> Result<Vec<(u64, Option<Erasure>)>, StoreError> {
        let (from, to) = (key(KEPT, 0), key(KEPT, below));
        let mut found = Vec::new();
        self.scan(Span { from: &from, to: &to, direction: Direction::Down }, &mut |key, bytes| {
            let Some(number) = number_of(key) else { return ControlFlow::Continue(()) };
            let erasure = bytes.and_then(|bytes| codec::head(bytes).map_err(|error| corrupt(key, &error)));
            let erasure = erasure.inspect_err(|error| tracing::error!(%error, "an erasure cannot be read"));
            found.push((number, erasure.ok()));
            if found.len() < most { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        Ok(found)
    }

    /// The number that the next erasure gets.
    pub fn next_erasure(&self) -> Result<u64, StoreError> {
        Ok(self.erasures_below(u64::MAX, 1)?.first().map_or(1, |(number, _)| number.saturating_add(1)))
    }

    /// The first of those that are not done.
    pub fn open_erasures(&self) -> Result<Vec<u64>, StoreError> {
        let (from, to) = (key(OPEN, 0), key(OPEN, u64::MAX));
        let mut found = Vec::new();
        self.scan(Span { from: &from, to: &to, direction: Direction::Up }, &mut |key, _| {
            found.extend(number_of(key));
            if found.len() < MOST_AT_ONCE { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        Ok(found)
    }

    /// The pass that goes on, if one does.
    pub fn erasure_pass(&self) -> Result<Option<ErasurePass>, StoreError> {
        self.record(&pass_key())
    }
}

fn number_of(key: &[u8]) -> Option<u64> {
    key.get(2..)?.try_into().ok().map(u64::from_be_bytes)
}

/// Keeps an erasure, over what was known of it.
pub fn put_erasure(batch: &mut Batch, erasure: &Erasure) -> Result<(), StoreError> {
    let key = key(KEPT, erasure.id);
    let packed = codec::pack(erasure, &()).map_err(|error| corrupt(&key, &error))?;
    batch.put(key, packed);
    Ok(())
}

/// Keeps by what its records are known: once.
pub fn put_digests(batch: &mut Batch, number: u64, digests: &[IdentityDigest]) -> Result<(), StoreError> {
    let key = key(DIGESTS, number);
    let packed = codec::pack(&(), &digests).map_err(|error| corrupt(&key, &error))?;
    batch.put(key, packed);
    Ok(())
}

/// An erasure as another copy of the store is given it: as it was when it was kept.
///
/// # Errors
/// One that cannot be written down.
pub fn write_for_copies(KeptErasure { erasure, digests }: &KeptErasure) -> Result<Vec<u8>, StoreError> {
    let begun = as_begun(erasure);
    codec::record(&(&begun, digests)).map_err(|error| corrupt(&key(KEPT, erasure.id), &error))
}

/// What [`write_for_copies`] wrote.
///
/// # Errors
/// It was not, or another version did.
pub fn read_of_copies(bytes: &[u8]) -> Result<KeptErasure, LayoutError> {
    codec::read(bytes).map(|(erasure, digests)| KeptErasure { erasure, digests })
}

/// An erasure that begins, or begins again: nothing was done for it.
pub fn as_begun(erasure: &Erasure) -> Erasure {
    let (erased, journal) = Default::default();
    Erasure { state: ErasureState::Working, erased, unreadable: 0, journal, ..erasure.clone() }
}

/// Notes whether an erasure is done.
pub fn put_open(batch: &mut Batch, number: u64, is_open: bool) {
    match is_open {
        true => batch.put(key(OPEN, number), vec![codec::VERSION]),
        false => batch.remove(key(OPEN, number)),
    }
}

/// Notes how far the present pass is; `None`: it has ended.
pub fn put_pass(batch: &mut Batch, pass: Option<&ErasurePass>) -> Result<(), StoreError> {
    match pass {
        Some(pass) => {
            let packed = codec::record(pass).map_err(|error| corrupt(&pass_key(), &error))?;
            batch.put(pass_key(), packed);
        }
        None => batch.remove(pass_key()),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_shown_is_a_place() {
        let click = ClickId::parse("c1").unwrap();
        let places = [ScanPlace::Postbacks(7), ScanPlace::Clicks(None), ScanPlace::Clicks(Some(click))];
        for place in places.into_iter().chain([ScanPlace::default(), ScanPlace::Lines(-7, 7)]) {
            assert_eq!(ScanPlace::parse(&place.show()).unwrap(), place);
        }
        for text in ["", "p", "px", "x1", "c#", "l7", "l.7", "\u{e4}"] {
            assert!(matches!(ScanPlace::parse(text), Err(StoreError::Cursor(bad)) if bad == text), "{text}");
        }
    }
}
