//! The key-value interface in memory: what tests and benches run on, behind the feature `conformance`.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use parking_lot::RwLock;

use crate::store::engine::kv::{Batch, Direction, KeyChange, Kv, KvError, ScanVisitor, Span, Step};

/// What an engine holds, by key.
type MemoryMap = BTreeMap<Vec<u8>, Vec<u8>>;

/// Two maps: what a process sees, and what a power cut leaves. Clones share them.
#[derive(Clone, Default)]
pub struct Memory {
    seen: Arc<RwLock<MemoryMap>>,
    durable: Arc<RwLock<MemoryMap>>,
}

impl Memory {
    /// An engine with nothing in it.
    pub fn new() -> Memory {
        Memory::default()
    }

    /// What a new process finds after the machine lost power: the synced batches.
    pub fn after_power_cut(&self) -> Memory {
        let durable = self.durable.read().clone();
        Memory { seen: Arc::new(RwLock::new(durable.clone())), durable: Arc::new(RwLock::new(durable)) }
    }
}

fn write(map: &mut MemoryMap, batch: &Batch) {
    for (key, change) in &batch.changes {
        match change {
            KeyChange::Add(value) => {
                let had = map.insert(key.clone(), value.clone());
                assert!(had.is_none(), "{} was said to have no value", key.escape_ascii());
            }
            KeyChange::Put(value) => drop(map.insert(key.clone(), value.clone())),
            KeyChange::Remove => drop(map.remove(key)),
        }
    }
}

impl Kv for Memory {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, KvError> {
        Ok(self.seen.read().get(key).cloned())
    }

    fn scan(&self, span: Span<'_>, visit: ScanVisitor<'_>) -> Result<(), KvError> {
        let map = self.seen.read();
        let bounds = (Bound::Included(span.from), Bound::Excluded(span.to));
        if span.from >= span.to {
            return Ok(());
        }
        let mut range = map.range::<[u8], _>(bounds);
        loop {
            let next = match span.direction {
                Direction::Up => range.next(),
                Direction::Down => range.next_back(),
            };
            let Some((key, value)) = next else { return Ok(()) };
            if let ControlFlow::Break(()) = visit(key, Ok(value)) {
                return Ok(());
            }
        }
    }

    fn commit(&self, batch: Batch, passed: &mut dyn FnMut(Step)) -> Result<(), KvError> {
        write(&mut self.seen.write(), &batch);
        passed(Step::Written);
        write(&mut self.durable.write(), &batch);
        passed(Step::Synced);
        Ok(())
    }
}
