//! Exchanges with platforms, each once for all attempts that share it. One is under the day of the newest conversion
//! that it was about, and goes with that one. The engine packs them.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::domain::attempt::Exchange;
use crate::store::codec::{self, corrupt};
use crate::store::contract::error::StoreError;
use crate::store::engine::kv::Batch;
use crate::store::reader::Reader;

/// The first byte of its keys.
pub const PREFIX: u8 = b'E';

/// Where an exchange is: under the day of the conversion of one of its attempts, by the number of that attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ExchangePlace {
    pub day: i32,
    pub attempt: u64,
}

impl ExchangePlace {
    fn key(self) -> Vec<u8> {
        codec::dated(PREFIX, self.day, self.attempt)
    }
}

/// What was read of exchanges, so that one that many attempts share is read once; `None` of one that is purged.
pub type ReadExchanges = HashMap<ExchangePlace, Option<Arc<Exchange>>>;

impl Reader {
    /// `None` when it is purged.
    pub fn exchange(
        &self,
        place: ExchangePlace,
        read: &mut ReadExchanges,
    ) -> Result<Option<Arc<Exchange>>, StoreError> {
        if let Some(known) = read.get(&place) {
            return Ok(known.clone());
        }
        let exchange = self.record(&place.key())?.map(Arc::new);
        read.insert(place, exchange.clone());
        Ok(exchange)
    }
}

/// Puts a new exchange into a batch.
pub fn add_exchange(batch: &mut Batch, place: ExchangePlace, exchange: &Exchange) -> Result<(), StoreError> {
    let key = place.key();
    let record = codec::record(exchange).map_err(|error| corrupt(&key, &error))?;
    batch.add(key, record);
    Ok(())
}

/// Puts an exchange over what was kept of it.
pub fn put_exchange(batch: &mut Batch, place: ExchangePlace, exchange: &Exchange) -> Result<(), StoreError> {
    let key = place.key();
    let record = codec::record(exchange).map_err(|error| corrupt(&key, &error))?;
    batch.put(key, record);
    Ok(())
}

/// Takes an exchange out.
pub fn remove_exchange(batch: &mut Batch, place: ExchangePlace) {
    batch.remove(place.key());
}
