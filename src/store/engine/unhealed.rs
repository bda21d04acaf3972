//! The records of a data folder as its index has them, with what is not in it yet: what it cannot give is not read from the
//! journal, and nothing is kept of it.

use std::sync::Arc;

use crate::store::engine::checkpoint::IndexedJournal;
use crate::store::engine::kv::{Batch, Kv, KvError, ScanVisitor, Span, Step};
use crate::store::engine::merge;

/// Reads without healing: a page that is damaged is seen.
pub struct UnhealedRecords(pub Arc<IndexedJournal>);

impl Kv for UnhealedRecords {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, KvError> {
        match self.0.overlay.get(key) {
            Some(changed) => Ok(changed.map(Vec::from)),
            None => self.0.index.get(key),
        }
    }

    fn scan(&self, span: Span<'_>, visit: ScanVisitor<'_>) -> Result<(), KvError> {
        if span.from >= span.to {
            return Ok(());
        }
        merge::scan(self.0.overlay.stack(), &self.0.index, span, visit)
    }

    fn commit(&self, _: Batch, _: &mut dyn FnMut(Step)) -> Result<(), KvError> {
        Err(KvError::Failed("it is read alone".to_owned()))
    }
}
