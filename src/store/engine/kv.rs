//! The small ordered key-value interface under the embedded store: get, scan, one durable batch.

use std::ops::ControlFlow;
use std::sync::Arc;

use crate::domain::time::Time;

/// Why the engine did not do what it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KvError {
    /// Reading or writing failed. After a failed commit the engine is not used again.
    #[error("{0}")]
    Failed(String),
    /// What is stored under one key cannot be read; everything else can.
    #[error("{key} cannot be read: {cause}", key = .key.escape_ascii())]
    Damaged {
        /// The key, or the last one that could be read before it.
        key: Vec<u8>,
        /// In the engine's words.
        cause: String,
    },
}

/// What becomes of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyChange {
    /// It gets a value, and had none: the engine need not look.
    Add(Vec<u8>),
    /// It gets a value, over what it had.
    Put(Vec<u8>),
    /// It is taken away; one that is not there is no fault.
    Remove,
}

/// Changes that appear together or not at all. Of two to one key the later one holds.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// Keys and what becomes of them, in order.
    pub changes: Vec<(Vec<u8>, KeyChange)>,
    /// How many commands it is of, for those who ask later what a damaged commit held.
    pub commands: u32,
}

impl Batch {
    /// Writes a value under a key that has none.
    pub fn add(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.changes.push((key, KeyChange::Add(value)));
    }

    /// Writes a value, over what the key had.
    pub fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.changes.push((key, KeyChange::Put(value)));
    }

    /// Takes a key away; one that is not there is no fault.
    pub fn remove(&mut self, key: Vec<u8>) {
        self.changes.push((key, KeyChange::Remove));
    }

    /// Whether nothing would be written.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }
}

/// Which way a scan goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the lowest key.
    Up,
    /// From the highest key.
    Down,
}

/// The keys from `from` (inclusive) to `to` (exclusive).
#[derive(Debug, Clone, Copy)]
pub struct Span<'a> {
    /// The first key that is within it.
    pub from: &'a [u8],
    /// The first key that is past it.
    pub to: &'a [u8],
    /// Where it begins.
    pub direction: Direction,
}

/// How far a commit has come; reported while it runs, for measuring and for crash tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Handed to the operating system: survives the process.
    Written,
    /// On stable storage: survives the machine.
    Synced,
}

impl Span<'_> {
    /// Whether a key is within it.
    pub fn covers(&self, key: &[u8]) -> bool {
        self.from <= key && key < self.to
    }
}

/// The name of the thread that commits: it waits for no long reading.
pub const WRITER_THREAD: &str = "store-writer";

/// Sees one key and its value, or why that cannot be read; breaks to end the scan.
pub type ScanVisitor<'a> = &'a mut dyn FnMut(&[u8], Result<&[u8], &KvError>) -> ControlFlow<()>;

/// An ordered key-value engine with one writer. Keys begin with a byte above zero; a value may have any length.
pub trait Kv: Send + Sync + 'static {
    /// The value of a key; `None` where it has none.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, KvError>;

    /// Hands over each pair of a span in order, until the visitor has enough. What is damaged is handed over as that,
    /// where the engine can go on behind it.
    fn scan(&self, span: Span<'_>, visit: ScanVisitor<'_>) -> Result<(), KvError>;

    /// Makes the whole batch durable before it answers `Ok`. `passed` hears of each step. Where it answers
    /// [`KvError::Damaged`], nothing of the batch was written, and the engine goes on.
    fn commit(&self, batch: Batch, passed: &mut dyn FnMut(Step)) -> Result<(), KvError>;

    /// Makes the batch visible, and durable with the next commit at the latest. What needs no more than that, as what can
    /// be written again, saves the wait for the disk. A long batch may become visible part by part.
    fn apply(&self, batch: Batch) -> Result<(), KvError> {
        self.commit(batch, &mut |_| {})
    }

    /// What was received before one of these times may be gone: its space is given back in time.
    fn aged(&self, _before: &[Time]) {}

    /// Nothing more is committed: what makes the next start quick is done.
    fn close(&self) -> Result<(), KvError> {
        Ok(())
    }
}

impl<K: Kv + ?Sized> Kv for Arc<K> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, KvError> {
        K::get(self, key)
    }

    fn scan(&self, span: Span<'_>, visit: ScanVisitor<'_>) -> Result<(), KvError> {
        K::scan(self, span, visit)
    }

    fn commit(&self, batch: Batch, passed: &mut dyn FnMut(Step)) -> Result<(), KvError> {
        K::commit(self, batch, passed)
    }

    fn apply(&self, batch: Batch) -> Result<(), KvError> {
        K::apply(self, batch)
    }

    fn aged(&self, before: &[Time]) {
        K::aged(self, before);
    }

    fn close(&self) -> Result<(), KvError> {
        K::close(self)
    }
}
