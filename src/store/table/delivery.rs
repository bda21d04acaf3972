//! The deliveries of conversions: as they are now, and the marks that say so next to a block.

use serde::{Deserialize, Serialize};

use crate::domain::delivery::{Delivery, DeliveryState};
use crate::domain::time::Time;
use crate::store::codec::{self, LayoutError, corrupt};
use crate::store::contract::error::StoreError;
use crate::store::engine::kv::Batch;
use crate::store::reader::Reader;

/// The most deliveries one conversion can have.
pub const MAX_DELIVERIES: usize = 1 << 11;

/// One delivery: its conversion's postback number and its place there, in 8 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliverySlot(u64);

impl DeliverySlot {
    /// Before every delivery.
    pub const FIRST: DeliverySlot = DeliverySlot(0);
    /// Behind every delivery.
    pub const LAST: DeliverySlot = DeliverySlot(u64::MAX);

    /// `None` for a place at or above [`MAX_DELIVERIES`].
    pub fn new(seq: u64, place: usize) -> Option<DeliverySlot> {
        let place = u64::try_from(place).ok().filter(|place| *place < MAX_DELIVERIES as u64)?;
        Some(DeliverySlot((seq << 11) | place))
    }

    pub fn seq(self) -> u64 {
        self.0 >> 11
    }

    pub fn place(self) -> usize {
        let [.., high, low] = self.0.to_be_bytes();
        usize::from(u16::from_be_bytes([high, low])) % MAX_DELIVERIES
    }
}

/// A conversion's deliveries as they stand, with the number of each one's latest attempt.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryStates {
    pub deliveries: Vec<Delivery>,
    /// As long as `deliveries`.
    pub last_attempts: Vec<Option<u64>>,
}

impl DeliveryStates {
    pub fn new(deliveries: Vec<Delivery>) -> DeliveryStates {
        let last_attempts = vec![None; deliveries.len()];
        DeliveryStates { deliveries, last_attempts }
    }

    /// Takes a later plan: the same deliveries in the same order, perhaps more.
    pub fn replan(&mut self, deliveries: Vec<Delivery>) {
        self.last_attempts.resize(deliveries.len(), None);
        self.deliveries = deliveries;
    }

    pub fn is_unfinished(&self) -> bool {
        self.deliveries.iter().any(|delivery| delivery.state.is_unfinished())
    }
}

/// The state of one delivery of a block now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryMark {
    pub entry: u16,
    pub delivery: u32,
    pub state: DeliveryState,
    pub expires_at: Option<Time>,
    pub attempts: u32,
    pub last_attempt: Option<u64>,
}

/// The marks next to a block, by entry and delivery.
pub type Marks = Vec<DeliveryMark>;

/// The marks next to the block that begins at `first`.
pub fn marks_key(first: u64) -> Vec<u8> {
    codec::numbered(b'X', first)
}

impl Reader {
    /// The marks next to the block that begins at `first`.
    pub fn marks(&self, first: u64) -> Result<Marks, StoreError> {
        Ok(self.body(&marks_key(first))?.unwrap_or_default())
    }
}

impl DeliveryStates {
    /// The deliveries of entry number `at` of a block, as the marks next to it say.
    ///
    /// # Errors
    /// A mark of a delivery that the conversion does not have.
    pub fn under(&self, marks: &Marks, at: u64) -> Result<DeliveryStates, LayoutError> {
        let mut states = self.clone();
        for mark in marks.iter().filter(|mark| u64::from(mark.entry) == at) {
            let place = usize::try_from(mark.delivery).ok();
            let (Some(delivery), Some(last)) = (
                place.and_then(|place| states.deliveries.get_mut(place)),
                place.and_then(|place| states.last_attempts.get_mut(place)),
            ) else {
                return Err(LayoutError::Dangling { what: "delivery", number: u64::from(mark.delivery) });
            };
            delivery.state = mark.state.clone();
            delivery.expires_at = mark.expires_at;
            delivery.attempts = mark.attempts;
            *last = mark.last_attempt;
        }
        Ok(states)
    }
}

/// Puts the marks next to the block that begins at `first` over what was there; without any, removes the record.
pub fn put_marks(batch: &mut Batch, first: u64, mut marks: Marks) -> Result<(), StoreError> {
    let key = marks_key(first);
    if marks.is_empty() {
        batch.remove(key);
        return Ok(());
    }
    marks.sort_by_key(|mark| (mark.entry, mark.delivery));
    let packed = codec::pack(&(), &marks).map_err(|error| corrupt(&key, &error))?;
    batch.put(key, packed);
    Ok(())
}

/// Notes every delivery of entry `entry` that is no longer as it was.
///
/// # Errors
/// An entry that no block has room for.
pub fn note_changes(
    marks: &mut Marks,
    entry: u64,
    was: &DeliveryStates,
    now: &DeliveryStates,
) -> Result<(), LayoutError> {
    let too_great = |_| LayoutError::TooGreat { what: "entry", number: entry };
    let entry = u16::try_from(entry).map_err(too_great)?;
    let now = now.deliveries.iter().zip(&now.last_attempts);
    let was = was.deliveries.iter().zip(&was.last_attempts);
    for (place, (now, _)) in (0u32..).zip(now.zip(was)).filter(|(_, (now, was))| now != was) {
        let (delivery, last_attempt) = now;
        marks.retain(|mark| (mark.entry, mark.delivery) != (entry, place));
        marks.push(DeliveryMark {
            entry,
            delivery: place,
            state: delivery.state.clone(),
            expires_at: delivery.expires_at,
            attempts: delivery.attempts,
            last_attempt: *last_attempt,
        });
    }
    Ok(())
}
