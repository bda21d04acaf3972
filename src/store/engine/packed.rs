//! Small records that are written in order, several under one key: the engine below costs by the key, not by the byte.
//!
//! A block is kept under the key of its first record, and goes on to the next block's key at most. Those above see
//! every record under its own key.

use std::collections::HashMap;
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

impl Packed {
    /// Keeps the records in blocks whose keys begin with one of `tables`.
    pub fn new(below: Arc<dyn Kv>, tables: &'static [u8]) -> Packed {
        let (last, recent, packer) = Default::default();
        Packed { below, tables, last, recent, packer }
    }

    /// What it keeps its blocks and all other records in.
    pub fn stored(&self) -> Arc<dyn Kv> {
        Arc::clone(&self.below)
    }

    /// The first bytes of the keys of the tables whose records it keeps in blocks.
    pub fn tables(&self) -> &'static [u8] {
        self.tables
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

    /// Turns the changes to packed records into changes to blocks, which go where `target` says. Answers the last key of
    /// each table that got new records behind all others.
    fn blocks(&self, changes: Vec<TableChanges>, target: BatchTarget<'_>) -> Result<LastKeys, KvError> {
        let mut writer = BlockWriter { target, packer: self.packer.lock() };
        let mut last = LastKeys::new();
        for (table, changes) in self.tables.iter().zip(changes).filter(|(_, changes)| !changes.is_empty()) {
            let changes = in_order(changes);
            let (among, behind) = changes.split_at(self.first_behind_all(*table, &changes)?);
            self.change_blocks(among, &mut writer)?;
            let new: Vec<PackedRecord<'_>> = behind.iter().filter_map(RecordChange::record).collect();
            writer.add(cut(&new))?;
            last.extend(new.last().map(|(key, _)| (*table, key.to_vec())));
        }
        writer.target.end()?;
        Ok(last)
    }

    /// The changes to packed records by their tables, and all others.
    fn by_table(&self, batch: Batch) -> (Vec<TableChanges>, Batch) {
        let mut others = Batch { commands: batch.commands, ..Batch::default() };
        let mut packed: Vec<TableChanges> = self.tables.iter().map(|_| Vec::new()).collect();
        for (key, change) in batch.changes {
            let table = self.tables.iter().position(|table| key.first() == Some(table));
            match table.and_then(|table| packed.get_mut(table)) {
                Some(changes) => changes.push(RecordChange::of(key, change)),
                None => others.changes.push((key, change)),
            }
        }
        (packed, others)
    }

    /// Writes changes to blocks, by what `write` does with them.
    fn write(&self, below: Batch, write: impl FnOnce(Batch) -> Result<(), KvError>) -> Result<(), KvError> {
        let changed = below.changes.iter().map(|(key, _)| key).filter(|key| self.is_packed(key));
        let changed: Vec<Vec<u8>> = changed.cloned().collect();
        // Before, so that no reader finds the old block when the new one is there; and after, so that none that has
        // read the old one meanwhile keeps it.
        self.recent.forget(&changed);
        let done = write(below);
        self.recent.forget(&changed);
        done
    }

    /// Changes what is stored, in the order of keys.
    fn change_blocks(&self, changes: &[RecordChange], writer: &mut BlockWriter<'_>) -> Result<(), KvError> {
        let (mut rest, mut before) = (changes, Vec::new());
        while let Some((change, others)) = rest.split_first() {
            let found = self.block_of(&change.key).and_then(|found| match found {
                Some((first, bytes)) => {
                    PackedBlock::open(&first, bytes.as_deref()).map(|block| Some((first, block)))
                }
                None => Ok(None),
            });
            match found {
                // What cannot be read is not taken out: who applies what is durable elsewhere has to know. Nothing is
                // put there either: a block of its own within the damaged one would make what is behind it look as if
                // it had never been.
                Err(KvError::Damaged { .. }) if change.value.is_none() && writer.target.is_one_batch() => {
                    rest = others;
                }
                Err(error) => return Err(error),
                Ok(None) => {
                    before.extend(change.record());
                    rest = others;
                }
                Ok(Some((first, block))) => {
                    let (own, others) = rest.split_at(self.of_block(&first, &block, rest)?);
                    writer.change(first, &block, own)?;
                    rest = others;
                }
            }
        }
        writer.add(cut(&before))
    }

    /// How many of the changes, of which the first is, are of this block: up to where the next one begins.
    fn of_block(
        &self,
        first: &[u8],
        block: &PackedBlock,
        changes: &[RecordChange],
    ) -> Result<usize, KvError> {
        let last = block.records().next_back().map_or(first, |(last, _)| last);
        let within = changes.partition_point(|change| change.key.as_slice() <= last).max(1);
        let (Some(further), Some(table)) = (changes.get(within..), first.first()) else { return Ok(within) };
        if further.is_empty() {
            return Ok(within);
        }
        let (behind, end, mut next) = ([first, &[0]].concat(), [table.saturating_add(1)], None);
        let looked =
            self.below.scan(Span { from: &behind, to: &end, direction: Direction::Up }, &mut |key, _| {
                next = Some(key.to_vec());
                ControlFlow::Break(())
            });
        let is_own = |change: &RecordChange| match (&looked, &next) {
            (Ok(()), next) => Ok(next.as_ref().is_none_or(|next| change.key < *next)),
            // What is there cannot be read, and what is before it can.
            (Err(KvError::Damaged { .. }), _) => {
                Ok(self.block_of(&change.key)?.is_some_and(|(found, _)| found == first))
            }
            (Err(error), _) => Err(error.clone()),
        };
        for (number, change) in further.iter().enumerate() {
            if !is_own(change)? {
                return Ok(within + number);
            }
        }
        Ok(changes.len())
    }

    /// From which of the changes on all are behind every record of their table. Where the last block cannot be read,
    /// that is known of a new key alone, as keys are given in order: any other may be of a record in that block.
    fn first_behind_all(&self, table: u8, changes: &[RecordChange]) -> Result<usize, KvError> {
        let behind = |last: &[u8]| changes.partition_point(|change| change.key.as_slice() <= last);
        let mut last = self.last.lock();
        if let Some(last) = last.get(&table) {
            return Ok(behind(last));
        }
        let found = match self.last_block(&[table], &[table.saturating_add(1)])? {
            Some((first, bytes)) => match PackedBlock::open(&first, bytes.as_deref()) {
                Ok(block) => block.records().next_back().map_or(first.clone(), |(key, _)| key.to_vec()),
                Err(_damaged) => {
                    let is_behind = |change: &RecordChange| change.is_new && change.key > first;
                    return Ok(changes.iter().position(is_behind).unwrap_or(changes.len()));
                }
            },
            None => vec![table],
        };
        let from = behind(&found);
        last.insert(table, found);
        Ok(from)
    }
}

/// What becomes of a record.
struct RecordChange {
    key: Vec<u8>,
    /// `None`: it is taken away.
    value: Option<Vec<u8>>,
    /// Whether it had no value.
    is_new: bool,
}

impl RecordChange {
    fn of(key: Vec<u8>, change: KeyChange) -> RecordChange {
        let is_new = matches!(change, KeyChange::Add(_));
        let value = match change {
            KeyChange::Add(value) | KeyChange::Put(value) => Some(value),
            KeyChange::Remove => None,
        };
        RecordChange { key, value, is_new }
    }

    /// The record that there is then.
    fn record(&self) -> Option<PackedRecord<'_>> {
        self.value.as_ref().map(|value| (self.key.as_slice(), value.as_slice()))
    }
}

/// The changes to one table's records.
type TableChanges = Vec<RecordChange>;

/// By key, each key once: of two changes to one key the later one holds. Most are in order as they are given.
fn in_order(mut changes: TableChanges) -> TableChanges {
    if !changes.is_sorted_by(|one, next| one.key < next.key) {
        changes.sort_by(|one, other| one.key.cmp(&other.key));
        changes.dedup_by(|later, known| {
            let is_same = later.key == known.key;
            if is_same {
                known.value = later.value.take();
            }
            is_same
        });
    }
    changes
}

/// The records of a block with changes to them, which are in order too; `None`: they are as they were.
fn changed<'a>(block: &'a PackedBlock, changes: &'a [RecordChange]) -> Option<Vec<PackedRecord<'a>>> {
    let (mut stored, mut is_changed) = (block.records().peekable(), false);
    let mut records = Vec::with_capacity(stored.size_hint().0 + changes.len());
    for change in changes {
        while let Some(record) = stored.next_if(|(key, _)| *key < change.key.as_slice()) {
            records.push(record);
        }
        let known = stored.next_if(|(key, _)| *key == change.key.as_slice());
        is_changed |= known.is_some() || change.value.is_some();
        records.extend(change.record());
    }
    records.extend(stored);
    is_changed.then_some(records)
}

/// Where changes to blocks go.
enum BatchTarget<'a> {
    /// Into one batch.
    Whole(&'a mut Batch),
    /// To the engine below, as soon as there are so many. What is changed together goes together.
    Parts(&'a Packed, Batch),
}

/// The most changes to blocks that go to the engine below at once: it is read by no one meanwhile.
const PART: usize = 64;

impl BatchTarget<'_> {
    fn is_one_batch(&self) -> bool {
        matches!(self, BatchTarget::Whole(_))
    }

    fn batch(&mut self) -> &mut Batch {
        match self {
            BatchTarget::Whole(batch) => batch,
            BatchTarget::Parts(_, batch) => batch,
        }
    }

    /// What was put there is whole: it may go.
    fn is_whole(&mut self) -> Result<(), KvError> {
        match self {
            BatchTarget::Parts(packed, batch) if batch.changes.len() >= PART => {
                packed.write(std::mem::take(batch), |batch| packed.below.apply(batch))
            }
            _ => Ok(()),
        }
    }

    /// Nothing more is put there.
    fn end(&mut self) -> Result<(), KvError> {
        match self {
            BatchTarget::Parts(packed, batch) if !batch.is_empty() => {
                packed.write(std::mem::take(batch), |batch| packed.below.apply(batch))
            }
            _ => Ok(()),
        }
    }
}

/// Makes blocks for the engine below.
struct BlockWriter<'a> {
    target: BatchTarget<'a>,
    packer: MutexGuard<'a, BlockPacker>,
}

impl BlockWriter<'_> {
    /// Adds new blocks.
    fn add<'r, 'a: 'r>(
        &mut self,
        blocks: impl IntoIterator<Item = &'r [PackedRecord<'a>]>,
    ) -> Result<(), KvError> {
        for records in blocks {
            self.add_one(records)?;
            self.target.is_whole()?;
        }
        Ok(())
    }

    fn add_one(&mut self, records: &[PackedRecord<'_>]) -> Result<(), KvError> {
        if let Some((first, _)) = records.first() {
            let packed = self.packer.pack(records)?;
            self.target.batch().add(first.to_vec(), packed);
        }
        Ok(())
    }

    /// Changes records of the block under the key `first`, and adds new ones to it.
    fn change(
        &mut self,
        first: Vec<u8>,
        block: &PackedBlock,
        changes: &[RecordChange],
    ) -> Result<(), KvError> {
        let Some(records) = changed(block, changes) else { return Ok(()) };
        let mut blocks = cut(&records);
        match blocks.next() {
            Some(records) => {
                let packed = self.packer.pack(records)?;
                self.target.batch().put(first, packed);
            }
            None => self.target.batch().remove(first),
        }
        for records in blocks {
            self.add_one(records)?;
        }
        self.target.is_whole()
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
        let (packed, mut below) = self.by_table(batch);
        let last = self.blocks(packed, BatchTarget::Whole(&mut below))?;
        self.write(below, |below| self.below.commit(below, passed))?;
        self.last.lock().extend(last);
        Ok(())
    }

    fn apply(&self, batch: Batch) -> Result<(), KvError> {
        let (packed, others) = self.by_table(batch);
        let done = self.blocks(packed, BatchTarget::Parts(self, Batch::default())).and_then(|last| {
            self.last.lock().extend(last);
            let mut others = others.changes.into_iter().peekable();
            while others.peek().is_some() {
                let changes = others.by_ref().take(PART).collect();
                self.below.apply(Batch { changes, ..Batch::default() })?;
            }
            Ok(())
        });
        if done.is_err() {
            // Some blocks may have been added.
            self.last.lock().clear();
        }
        done
    }
}
