//! Small records that are written in order, several under one key: the engine below costs by the key, not by the byte.
//!
//! A block is kept under the key of its first record, and goes on to the next block's key at most. Those above see
//! every record under its own key.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use crate::store::engine::block::{BlockPacker, PackedBlock, PackedRecord, cut};
use crate::store::engine::kv::{Batch, Direction, KeyChange, Kv, KvError, ScanVisitor, Span, Step};
use crate::store::engine::recent_blocks::RecentBlocks;

/// An engine that keeps the records of some tables in blocks.
pub struct Packed {
    below: Arc<dyn Kv>,
    /// The first bytes of the keys of those tables.
    tables: &'static [u8],
    /// The last key of each table, once it was looked for: what is behind it needs no look at the blocks.
    last: Mutex<LastKeys>,
    recent: RecentBlocks,
    packer: Mutex<BlockPacker>,
}

/// By the first byte of a table's keys.
type LastKeys = HashMap<u8, Vec<u8>>;

/// The key of a block, and its stored bytes or why they cannot be read.
type StoredBlock = (Vec<u8>, Result<Vec<u8>, KvError>);

/// What a block becomes.
type BlockRecords = BTreeMap<Vec<u8>, Vec<u8>>;

impl Packed {
    /// Keeps the records in blocks whose keys begin with one of `tables`.
    pub fn new(below: Arc<dyn Kv>, tables: &'static [u8]) -> Packed {
        let (last, recent, packer) = Default::default();
        Packed { below, tables, last, recent, packer }
    }

    fn is_packed(&self, key: &[u8]) -> bool {
        key.first().is_some_and(|table| self.tables.contains(table))
    }

    /// The block in which a record with this key is, or would be: its key and its stored bytes.
    fn block_of(&self, key: &[u8]) -> Result<Option<StoredBlock>, KvError> {
        self.last_block(key.get(..1).unwrap_or_default(), &[key, &[0]].concat())
    }

    /// The last block that begins within a span.
    fn last_block(&self, from: &[u8], to: &[u8]) -> Result<Option<StoredBlock>, KvError> {
        let mut found = None;
        self.below.scan(Span { from, to, direction: Direction::Down }, &mut |first, bytes| {
            found = Some((first.to_vec(), bytes.map(<[u8]>::to_vec).map_err(KvError::clone)));
            ControlFlow::Break(())
        })?;
        Ok(found)
    }

    fn scan_up(&self, span: Span<'_>, visit: ScanVisitor<'_>) -> Result<(), KvError> {
        let first = self.block_of(span.from)?.map(|(first, _)| first);
        let from = first.as_deref().unwrap_or(span.from);
        self.below.scan(Span { from, ..span }, &mut |first, bytes| match PackedBlock::open(first, bytes) {
            Ok(block) => {
                let mut records = block.records().filter(|(key, _)| span.covers(key));
                records.try_for_each(|(key, value)| visit(key, Ok(value)))
            }
            // What is in it may be before the span.
            Err(error) => visit(first, Err(&error)),
        })
    }

    fn scan_down(&self, span: Span<'_>, visit: ScanVisitor<'_>) -> Result<(), KvError> {
        let table = span.from.get(..1).unwrap_or_default();
        self.below.scan(Span { from: table, ..span }, &mut |first, bytes| match PackedBlock::open(
            first, bytes,
        ) {
            Ok(block) => {
                for (key, value) in block.records().rev().filter(|(key, _)| span.covers(key)) {
                    visit(key, Ok(value))?;
                }
                if first <= span.from { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            }
            Err(error) => {
                visit(first, Err(&error))?;
                if first <= span.from { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            }
        })
    }

    /// Turns the changes to packed records into changes to blocks. Answers the last key of each table that got new
    /// records behind all others.
    fn blocks(&self, changes: Vec<(Vec<u8>, KeyChange)>, batch: &mut Batch) -> Result<LastKeys, KvError> {
        let mut behind: BTreeMap<u8, Vec<PackedRecord>> = BTreeMap::new();
        let mut others: BTreeMap<Vec<u8>, Option<Vec<u8>>> = BTreeMap::new();
        for (key, change) in changes {
            let Some(table) = key.first().copied() else { continue };
            let is_new = matches!(change, KeyChange::Add(_));
            let value = match change {
                KeyChange::Add(value) | KeyChange::Put(value) => Some(value),
                KeyChange::Remove => None,
            };
            let new = behind.entry(table).or_default();
            let is_last = match new.last() {
                Some((last, _)) => key > *last,
                None => self.is_behind_all(&key, is_new)?,
            };
            // Most records are new, and in order.
            if is_last {
                new.extend(value.map(|value| (key, value)));
                continue;
            }
            match (value, new.binary_search_by(|(known, _)| known.cmp(&key))) {
                (Some(value), Ok(at)) => {
                    new.get_mut(at).into_iter().for_each(|known| known.1.clone_from(&value))
                }
                (None, Ok(at)) => drop(new.remove(at)),
                (value, Err(_)) => drop(others.insert(key, value)),
            }
        }
        let mut writer = BlockWriter { batch, packer: self.packer.lock() };
        self.change_blocks(others, &mut behind, &mut writer)?;
        let mut last = LastKeys::new();
        for (table, records) in behind {
            writer.add(cut(&records))?;
            last.extend(records.into_iter().next_back().map(|(key, _)| (table, key)));
        }
        Ok(last)
    }

    /// Changes what is stored. What turns out to be behind all stored records, and before others of the batch, is
    /// moved to those.
    fn change_blocks(
        &self,
        changes: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
        behind: &mut BTreeMap<u8, Vec<PackedRecord>>,
        writer: &mut BlockWriter<'_>,
    ) -> Result<(), KvError> {
        let mut stored: BTreeMap<Vec<u8>, BlockRecords> = BTreeMap::new();
        let mut before = Vec::new();
        // The block that was changed last: its key, and that of its last record. Changes are in order.
        let mut current: Option<(Vec<u8>, Vec<u8>)> = None;
        for (key, value) in changes {
            if let Some((first, _)) = current.as_ref().filter(|(_, last)| key <= *last)
                && let Some(records) = stored.get_mut(first)
            {
                change(records, key, value);
                continue;
            }
            if self.is_behind_all(&key, false)? {
                let new = behind.entry(key.first().copied().unwrap_or_default()).or_default();
                let at = new.partition_point(|(known, _)| *known < key);
                value.into_iter().for_each(|value| new.insert(at, (key.clone(), value)));
                continue;
            }
            let found = match self.block_of(&key) {
                Err(KvError::Damaged { .. }) if value.is_none() => continue,
                found => found?,
            };
            let Some((first, bytes)) = found else {
                before.extend(value.map(|value| (key, value)));
                continue;
            };
            let records = match stored.entry(first.clone()) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(unknown) => match PackedBlock::open(&first, bytes.as_deref()) {
                    Ok(block) => {
                        let records = block.records().map(|(key, value)| (key.to_vec(), value.to_vec()));
                        unknown.insert(records.collect())
                    }
                    // What cannot be read is not taken out. Nothing is put there either: a block of its own within
                    // the damaged one would make what is behind it look as if it had never been.
                    Err(KvError::Damaged { .. }) if value.is_none() => continue,
                    Err(error) => return Err(error),
                },
            };
            current = records.keys().next_back().map(|last| (first, last.clone()));
            change(records, key, value);
        }
        for (first, records) in stored {
            let records: Vec<PackedRecord> = records.into_iter().collect();
            let mut blocks = cut(&records);
            match blocks.next() {
                Some(records) => writer.batch.put(first, writer.packer.pack(records)?),
                None => writer.batch.remove(first),
            }
            writer.add(blocks)?;
        }
        writer.add(cut(&before))
    }

    /// Whether a key is behind every record of its table. Where the last block cannot be read, that is known of a new
    /// key alone, as keys are given in order: any other may be of a record in that block.
    fn is_behind_all(&self, key: &[u8], is_new: bool) -> Result<bool, KvError> {
        let Some(table) = key.first() else { return Ok(false) };
        let mut last = self.last.lock();
        if let Some(last) = last.get(table) {
            return Ok(key > last.as_slice());
        }
        let found = match self.last_block(&[*table], &[table.saturating_add(1)])? {
            Some((first, bytes)) => match PackedBlock::open(&first, bytes.as_deref()) {
                Ok(block) => block.records().last().map_or(first.clone(), |(key, _)| key.to_vec()),
                Err(_damaged) => return Ok(is_new && key > first.as_slice()),
            },
            None => vec![*table],
        };
        let is_behind = key > found.as_slice();
        last.insert(*table, found);
        Ok(is_behind)
    }
}

fn change(records: &mut BlockRecords, key: Vec<u8>, value: Option<Vec<u8>>) {
    match value {
        Some(value) => drop(records.insert(key, value)),
        None => drop(records.remove(&key)),
    }
}

/// Puts blocks into the batch for the engine below.
struct BlockWriter<'a> {
    batch: &'a mut Batch,
    packer: MutexGuard<'a, BlockPacker>,
}

impl BlockWriter<'_> {
    /// Adds new blocks.
    fn add<'a>(&mut self, blocks: impl IntoIterator<Item = &'a [PackedRecord]>) -> Result<(), KvError> {
        for records in blocks {
            if let Some((first, _)) = records.first() {
                self.batch.add(first.clone(), self.packer.pack(records)?);
            }
        }
        Ok(())
    }
}

impl Kv for Packed {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, KvError> {
        if !self.is_packed(key) {
            return self.below.get(key);
        }
        let commits = match self.recent.of(key) {
            Ok(block) => return Ok(block.get(key)),
            Err(commits) => commits,
        };
        let Some((first, bytes)) = self.block_of(key)? else { return Ok(None) };
        let block = Arc::new(PackedBlock::open(&first, bytes.as_deref())?);
        self.recent.keep(first, &block, commits);
        Ok(block.get(key))
    }

    fn scan(&self, span: Span<'_>, visit: ScanVisitor<'_>) -> Result<(), KvError> {
        match span.direction {
            _ if !self.is_packed(span.from) => self.below.scan(span, visit),
            _ if span.from >= span.to => Ok(()),
            Direction::Up => self.scan_up(span, visit),
            Direction::Down => self.scan_down(span, visit),
        }
    }

    fn commit(&self, batch: Batch, passed: &mut dyn FnMut(Step)) -> Result<(), KvError> {
        let mut below = Batch::default();
        let mut packed = Vec::with_capacity(batch.changes.len());
        for (key, change) in batch.changes {
            if self.is_packed(&key) {
                packed.push((key, change));
            } else {
                below.changes.push((key, change));
            }
        }
        let last = self.blocks(packed, &mut below)?;
        let changed = below.changes.iter().map(|(key, _)| key).filter(|key| self.is_packed(key));
        let changed: Vec<Vec<u8>> = changed.cloned().collect();
        // Before, so that no reader finds the old block when the new one is there; and after, so that none that has
        // read the old one meanwhile keeps it.
        self.recent.forget(&changed);
        let done = self.below.commit(below, passed);
        self.recent.forget(&changed);
        done?;
        self.last.lock().extend(last);
        Ok(())
    }
}
