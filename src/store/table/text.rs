//! Texts that are kept permanently, by name.

use crate::store::codec::{self, corrupt};
use crate::store::contract::error::StoreError;
use crate::store::engine::kv::Batch;
use crate::store::reader::Reader;

fn text_key(name: &str) -> Vec<u8> {
    [b"T", name.as_bytes()].concat()
}

impl Reader {
    /// The text kept under this name.
    pub fn text(&self, name: &str) -> Result<Option<String>, StoreError> {
        self.body(&text_key(name))
    }
}

/// Keeps a text under its name.
pub fn put_text(batch: &mut Batch, name: &str, text: &str) -> Result<(), StoreError> {
    let key = text_key(name);
    let packed = codec::pack(&(), &text).map_err(|error| corrupt(&key, &error))?;
    batch.put(key, packed);
    Ok(())
}
