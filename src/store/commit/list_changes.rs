//! What a group changes on suppression lists.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::store::contract::error::StoreError;
use crate::store::engine::kv::Batch;
use crate::store::table::suppression::{AddedEntry, Lists, SuppressionKey, put_entry, put_list};

/// What a group changes on lists.
pub struct Suppressing {
    /// The lists as the group leaves them.
    pub lists: Arc<Lists>,
    /// Entries that come (`Some`) or go, by value and list.
    pub entries: BTreeMap<(SuppressionKey, String), Option<AddedEntry>>,
    /// Lists whose summary is to be written.
    pub touched: BTreeSet<String>,
    /// Whether the key of the hashes is new.
    pub minted: bool,
}

impl Suppressing {
    pub fn on(lists: Arc<Lists>) -> Suppressing {
        Suppressing { lists, entries: BTreeMap::new(), touched: BTreeSet::new(), minted: false }
    }

    /// The lists, where the group has changed them.
    pub fn changed(&self) -> Option<Arc<Lists>> {
        (self.minted || !self.touched.is_empty()).then(|| Arc::clone(&self.lists))
    }

    /// Adds what changes to a batch.
    pub fn pack(&self, batch: &mut Batch) -> Result<(), StoreError> {
        for ((token, list), added) in &self.entries {
            put_entry(batch, list, token, added.as_ref())?;
        }
        for list in &self.touched {
            put_list(batch, list, self.lists.get(list))?;
        }
        self.lists.key.iter().filter(|_| self.minted).try_for_each(|key| key.put(batch))
    }
}
