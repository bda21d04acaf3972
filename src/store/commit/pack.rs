//! From a decided group to one batch, and from the committed batch to what everyone sees.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::store::codec::corrupt;
use crate::store::commit::group::CommitGroup;
use crate::store::contract::error::StoreError;
use crate::store::engine::kv::Batch;
use crate::store::table::attempt::add_attempts;
use crate::store::table::click::{put_click, put_matching};
use crate::store::table::conversion::{Sketch, put_overlay};
use crate::store::table::delivery::{Marks, marks_key, note_changes, put_marks};
use crate::store::table::early_answer::put_ahead;
use crate::store::table::postback::{Block, EntryHead, add_block, blocks_of};
use crate::store::table::recent_click::put_runs;
use crate::store::table::store_facts::put_probe;
use crate::store::table::text::put_text;

/// A group's batch, with what becomes visible once it is durable.
pub struct PreparedCommit {
    pub batch: Batch,
    blocks: Vec<Arc<Block>>,
}

impl CommitGroup<'_> {
    /// Packs everything the group brings into one batch; what it brings new moves on into blocks. Reads
    /// the marks it has to write over.
    pub fn pack(&mut self) -> Result<PreparedCommit, StoreError> {
        let mut batch = Batch::default();
        let born = std::mem::take(&mut self.born).into_iter();
        let born =
            born.map(|born| (EntryHead::of(&born.entry.postback, born.sketch, born.sales), born.entry));
        let blocks: Vec<Arc<Block>> = blocks_of(self.first, born).into_iter().map(Arc::new).collect();
        blocks.iter().try_for_each(|block| add_block(&mut batch, block))?;
        self.pack_changes(&mut batch, &blocks)?;
        let first = self.numbers.next_attempt - self.attempts.len() as u64;
        add_attempts(&mut batch, first, &self.attempts)?;
        for clicked in self.clicks.values() {
            put_click(&mut batch, &clicked.click, clicked.is_new)?;
        }
        self.trail.pack(&mut batch, self.numbers.next_click)?;
        if let Some(runs) = self.shared.lately.lock().new_runs(self.trail.logged()) {
            put_runs(&mut batch, &runs)?;
        }
        for (click, ahead) in &self.ahead {
            put_ahead(&mut batch, click, ahead)?;
        }
        for (name, text) in &self.texts {
            put_text(&mut batch, name, text)?;
        }
        for (id, begins) in &self.matching {
            put_matching(&mut batch, id, *begins);
        }
        if self.probe {
            put_probe(&mut batch);
        }
        self.suppressing.pack(&mut batch)?;
        self.purging.pack(&mut batch, self.numbers)?;
        if let Some(kept) = &mut self.kept {
            let before = Arc::clone(&self.shared.index.lock().kept);
            kept.pack(&mut batch, &before)?;
        }
        Ok(PreparedCommit { batch, blocks })
    }

    fn pack_changes(&self, batch: &mut Batch, blocks: &[Arc<Block>]) -> Result<(), StoreError> {
        let mut marks: BTreeMap<u64, Marks> = BTreeMap::new();
        for (number, changed) in &self.changed {
            let record = &changed.record;
            if changed.whole || record.overlay {
                put_overlay(batch, *number, record)?;
                continue;
            }
            let new = blocks.iter().rev().find(|block| block.first <= *number).map(|block| block.first);
            let Some(first) = new.or_else(|| self.shared.index.lock().block_of(*number)) else { continue };
            let slot = match marks.entry(first) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(unknown) => unknown.insert(self.shared.reader.marks(first)?),
            };
            note_changes(slot, number - first, &changed.was, &record.standing)
                .map_err(|error| corrupt(&marks_key(first), &error))?;
        }
        marks.into_iter().try_for_each(|(first, marks)| put_marks(batch, first, marks))
    }

    /// Shows the committed group to everyone, and signals the destinations with new work.
    pub fn publish(&self, ready: &PreparedCommit) {
        let blocks = ready.blocks.iter().map(|block| (block.first, Some(Arc::clone(block))));
        let clicks = self.clicks.iter().map(|(id, clicked)| (id.clone(), Some(Arc::clone(&clicked.click))));
        let records = &self.shared.records;
        records.replaced(blocks.chain(self.purging.blocks()), clicks.chain(self.purging.clicks.clicks()));
        let mut lately = self.shared.lately.lock();
        self.trail.publish(&mut lately);
        self.purging.clicks.publish(&mut lately);
        drop(lately);
        let mut woken = BTreeSet::new();
        let mut index = self.shared.index.lock();
        for block in &ready.blocks {
            index.add_block(block.first, block.heads.len());
        }
        let heads = ready.blocks.iter().flat_map(|block| &block.heads);
        for (number, head) in (self.first..).zip(heads) {
            index.note_head(number, head, true);
            index.reversals.wait(number, &head.sales);
            if let Some(sketch) = head.sketch.as_ref().filter(|_| !self.changed.contains_key(&number)) {
                woken.extend(index.apply(number, None, Some(sketch), &self.manual));
            }
        }
        for (destination, slot) in &self.ended {
            index.queues.change(destination, |queues| queues.release(*slot));
        }
        for (number, changed) in &self.changed {
            let after = Sketch::of(&changed.record.conversion, changed.record.standing.clone());
            woken.extend(index.apply(*number, changed.before.as_ref(), Some(&after), &self.manual));
        }
        if let Some(lists) = self.suppressing.changed() {
            index.lists = lists;
        }
        self.purging.publish(&mut index);
        if let Some(kept) = &self.kept {
            index.kept = Arc::new(kept.clone());
        }
        for destination in woken {
            index.queues.signal(&destination);
        }
    }
}
