//! The small ordered key-value interface under the embedded store: get, scan, one durable batch.

use std::ops::ControlFlow;

/// The longest value an implementation has to take. sled puts a page above a quarter of its segment
/// into a file that no sync of ours reaches; its leaves hold up to 17 values.
pub const MAX_VALUE: usize = 7 * 1024;

/// Reading or writing failed. After a failed commit the engine is not used again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct KvError(pub String);

/// Writes that appear together or not at all. Of two writes to one key the later one holds.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// `None` removes the key.
    pub writes: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl Batch {
    /// Writes a value, over what the key had.
    pub fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.writes.push((key, Some(value)));
    }

    /// Takes a key away; one that is not there is no fault.
    pub fn remove(&mut self, key: Vec<u8>) {
        self.writes.push((key, None));
    }

    /// Whether nothing would be written.
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    /// The first write whose value is longer than [`MAX_VALUE`], as an error.
    pub fn check(&self) -> Result<(), KvError> {
        let too_long = |(_, value): &&(Vec<u8>, Option<Vec<u8>>)| {
            value.as_ref().is_some_and(|value| value.len() > MAX_VALUE)
        };
        match self.writes.iter().find(too_long) {
            None => Ok(()),
            Some((key, value)) => Err(KvError(format!(
                "the value of {} has {} bytes; {MAX_VALUE} is the most",
                key.escape_ascii(),
                value.as_ref().map_or(0, Vec::len)
            ))),
        }
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

/// Sees one key and its value; breaks to end the scan.
pub type ScanVisitor<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>;

/// An ordered key-value engine with one writer.
pub trait Kv: Send + Sync + 'static {
    /// The value of a key; `None` where it has none.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, KvError>;

    /// Hands over each pair of a span in order, until the visitor has enough.
    fn scan(&self, span: Span<'_>, visit: ScanVisitor<'_>) -> Result<(), KvError>;

    /// Makes the whole batch durable before it answers `Ok`. `passed` hears of each step.
    fn commit(&self, batch: Batch, passed: &mut dyn FnMut(Step)) -> Result<(), KvError>;
}
