//! The key-value interface in memory, with faults to inject: what tests and benches run on, behind the feature `conformance`.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use parking_lot::RwLock;

use crate::store::engine::kv::{Batch, Direction, KeyChange, Kv, KvError, ScanVisitor, Span, Step};

type Map = BTreeMap<Vec<u8>, Vec<u8>>;

/// Where an injected fault strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultAt {
    /// A commit, before anything is written.
    BeforeWrite,
    /// A commit, after its write and before its sync.
    BeforeSync,
    /// A `get`.
    Get,
    /// A scan.
    Scan,
}

#[derive(Debug, Clone)]
struct Fault {
    at: FaultAt,
    /// How many passages are still let through.
    spared: u64,
    cause: String,
}

/// Two maps: what a process sees, and what a power cut leaves.
#[derive(Clone, Default)]
pub struct Memory {
    seen: Arc<RwLock<Map>>,
    durable: Arc<RwLock<Map>>,
    fault: Arc<RwLock<Option<Fault>>>,
}

impl Memory {
    /// An engine with nothing in it.
    pub fn new() -> Memory {
        Memory::default()
    }

    /// Lets `spared` passages of `at` through, then fails that one and every commit after it.
    pub fn fail(&self, at: FaultAt, spared: u64, cause: &str) {
        *self.fault.write() = Some(Fault { at, spared, cause: cause.to_owned() });
    }

    /// What a new process finds after the machine lost power: the synced batches, without faults.
    pub fn after_power_cut(&self) -> Memory {
        let durable = self.durable.read().clone();
        Memory {
            seen: Arc::new(RwLock::new(durable.clone())),
            durable: Arc::new(RwLock::new(durable)),
            fault: Arc::default(),
        }
    }

    fn pass(&self, at: FaultAt) -> Result<(), KvError> {
        if self.fault.read().is_none() {
            return Ok(());
        }
        let mut slot = self.fault.write();
        match slot.as_mut() {
            Some(fault) if fault.at == at && fault.spared == 0 => Err(KvError::Failed(fault.cause.clone())),
            Some(fault) if fault.at == at => {
                fault.spared -= 1;
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

fn write(map: &mut Map, batch: &Batch) {
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
        self.pass(FaultAt::Get)?;
        Ok(self.seen.read().get(key).cloned())
    }

    fn scan(&self, span: Span<'_>, visit: ScanVisitor<'_>) -> Result<(), KvError> {
        self.pass(FaultAt::Scan)?;
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
        self.pass(FaultAt::BeforeWrite)?;
        write(&mut self.seen.write(), &batch);
        passed(Step::Written);
        self.pass(FaultAt::BeforeSync)?;
        write(&mut self.durable.write(), &batch);
        passed(Step::Synced);
        Ok(())
    }
}
