//! The index that is in use. Another can take its place while it is read: each reader goes on with the one that it began with.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;

use crate::store::engine::kv::{Batch, Kv, KvError, ScanVisitor, Span, Step};
use crate::store::engine::packed::Packed;
use crate::store::engine::sled::Sled;

/// How long, and how often, it is looked whether one that was replaced is still read.
const LOOK: Duration = Duration::from_millis(10);
const LOOKS: usize = 6000;

/// An index as it is kept, and by records.
pub struct OpenIndex {
    /// As it is kept.
    pub sled: Arc<Sled>,
    /// By records.
    pub records: Packed,
}

/// The one that is in use.
pub struct CurrentIndex(RwLock<Arc<OpenIndex>>);

impl CurrentIndex {
    /// Begins with this one.
    pub fn new(index: OpenIndex) -> CurrentIndex {
        CurrentIndex(RwLock::new(Arc::new(index)))
    }

    fn now(&self) -> Arc<OpenIndex> {
        Arc::clone(&self.0.read())
    }

    /// As it is kept now.
    pub fn sled(&self) -> Arc<Sled> {
        Arc::clone(&self.now().sled)
    }

    /// What its blocks and all other records are kept in now.
    pub fn stored(&self) -> Arc<dyn Kv> {
        self.now().records.stored()
    }

    /// The first bytes of the keys of the tables whose records are packed.
    pub fn tables(&self) -> &'static [u8] {
        self.now().records.tables()
    }

    /// Another takes its place, which has all that it has: what is read from now on is read there.
    pub fn replace(&self, index: OpenIndex) -> ReplacedIndex {
        ReplacedIndex(std::mem::replace(&mut *self.0.write(), Arc::new(index)))
    }
}

/// An index that was in use.
pub struct ReplacedIndex(Arc<OpenIndex>);

impl ReplacedIndex {
    /// Closes it once no one reads it any more; after a minute, or where no one may wait, those who still do close it.
    pub fn close(self, is_stopped: &dyn Fn() -> bool) {
        for _ in 0..LOOKS {
            if Arc::strong_count(&self.0) == 1 || is_stopped() {
                return;
            }
            std::thread::sleep(LOOK);
        }
    }
}

impl Kv for CurrentIndex {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, KvError> {
        self.now().records.get(key)
    }

    fn scan(&self, span: Span<'_>, visit: ScanVisitor<'_>) -> Result<(), KvError> {
        self.now().records.scan(span, visit)
    }

    fn commit(&self, batch: Batch, passed: &mut dyn FnMut(Step)) -> Result<(), KvError> {
        self.now().records.commit(batch, passed)
    }

    fn apply(&self, batch: Batch) -> Result<(), KvError> {
        self.now().records.apply(batch)
    }
}
