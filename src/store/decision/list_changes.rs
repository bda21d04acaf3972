//! What a group changes on suppression lists.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::store::table::suppression::{AddedEntry, Lists, SuppressionKey};

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
}
