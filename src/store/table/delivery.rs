//! The deliveries of conversions, as they are now. The engine packs them.

use serde::{Deserialize, Serialize};

use crate::domain::delivery::Delivery;
use crate::store::codec::{self, corrupt};
use crate::store::contract::error::StoreError;
use crate::store::engine::kv::Batch;
use crate::store::reader::Reader;

/// The most deliveries one conversion can have.
pub const MAX_DELIVERIES: usize = 1 << 11;

/// One delivery: its conversion's postback number and its place there, in 8 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
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

/// The first byte of its keys.
pub const PREFIX: u8 = b'X';

/// The deliveries of conversion `number`, once one of them is no longer as it was planned.
fn states_key(day: i32, number: u64) -> Vec<u8> {
    codec::dated(PREFIX, day, number)
}

/// From the first to behind the last of these numbers, of one day or of several.
pub fn states_span(from: (i32, u64), to: (i32, u64)) -> (Vec<u8>, Vec<u8>) {
    (states_key(from.0, from.1), states_key(to.0, to.1))
}

impl Reader {
    /// A conversion's deliveries, where one of them is no longer as it was planned.
    pub fn states(&self, day: i32, number: u64) -> Result<Option<DeliveryStates>, StoreError> {
        self.record(&states_key(day, number))
    }
}

/// Puts a conversion's deliveries over what was kept of them.
pub fn put_states(
    batch: &mut Batch,
    day: i32,
    number: u64,
    states: &DeliveryStates,
) -> Result<(), StoreError> {
    let key = states_key(day, number);
    let record = codec::record(states).map_err(|error| corrupt(&key, &error))?;
    batch.put(key, record);
    Ok(())
}

/// Takes them out.
pub fn remove_states(batch: &mut Batch, day: i32, number: u64) {
    batch.remove(states_key(day, number));
}
