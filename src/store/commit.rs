//! From a decided group to one batch, and from the committed batch to what everyone sees.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::domain::attribution::Attribution;
use crate::domain::ids::ConversionId;
use crate::domain::postback::{Postback, RawRequest};
use crate::store::clicks::StoredClick;
use crate::store::clicks::consent::put_ahead;
use crate::store::contract::error::StoreError;
use crate::store::engine::kv::Batch;
use crate::store::group::CommitGroup;
use crate::store::group::made::ChangedConversion;
use crate::store::layout::{
    self, BLOCK_BYTES, BLOCK_ENTRIES, Block, ClickHead, DeliveryMark, EntryHead, LayoutError, Marks, Sketch,
    StoredAttempt, key, tag,
};
use crate::store::records::corrupt;

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
        let blocks = self.pack_blocks(&mut batch)?;
        self.pack_changes(&mut batch, &blocks)?;
        self.pack_attempts(&mut batch)?;
        for (id, clicked) in &self.clicks {
            let key = key::click(id);
            let record = layout::pack(&ClickHead::of(&clicked.click), &StoredClick::of(&clicked.click));
            let record = record.map_err(|error| corrupt(&key, &error))?;
            if clicked.is_new {
                batch.add(key, record)
            } else {
                batch.put(key, record)
            };
        }
        self.trail.pack(&mut batch, self.numbers.next_click)?;
        if let Some(runs) = self.shared.lately.lock().new_runs(self.trail.logged()) {
            let packed = layout::pack(&(), &runs).map_err(|error| corrupt(key::CLICK_RUNS, &error))?;
            batch.put(key::CLICK_RUNS.to_vec(), packed);
        }
        for (click, ahead) in &self.ahead {
            put_ahead(&mut batch, click, ahead)?;
        }
        for (name, text) in &self.texts {
            let key = key::text(name);
            let packed = layout::pack(&(), text).map_err(|error| corrupt(&key, &error))?;
            batch.put(key, packed);
        }
        for (id, begins) in &self.matching {
            match begins {
                true => batch.put(key::matching(id), vec![layout::VERSION]),
                false => batch.remove(key::matching(id)),
            }
        }
        if self.probe {
            batch.put(key::PROBE.to_vec(), vec![layout::VERSION]);
        }
        self.suppressing.pack(&mut batch)?;
        self.purging.pack(&mut batch, self.numbers)?;
        if let Some(kept) = &mut self.kept {
            let before = Arc::clone(&self.shared.index.lock().kept);
            kept.pack(&mut batch, &before)?;
        }
        Ok(PreparedCommit { batch, blocks })
    }

    fn pack_blocks(&mut self, batch: &mut Batch) -> Result<Vec<Arc<Block>>, StoreError> {
        let mut blocks = Vec::new();
        let mut first = self.first;
        let mut block = Block { first, heads: Vec::new(), entries: Vec::new() };
        let mut bytes = 0;
        for born in std::mem::take(&mut self.born) {
            let size = plain_size(&born.entry);
            if block.heads.len() == BLOCK_ENTRIES || (bytes + size > BLOCK_BYTES && !block.heads.is_empty()) {
                first += block.heads.len() as u64;
                let next = Block { first, heads: Vec::new(), entries: Vec::new() };
                blocks.push(std::mem::replace(&mut block, next));
                bytes = 0;
            }
            bytes += size;
            block.heads.push(head_of(&born.entry.postback, born.sketch, born.sales));
            block.entries.push(Some(born.entry));
        }
        if !block.heads.is_empty() {
            blocks.push(block);
        }
        for block in &blocks {
            let (entries, heads) = pack_block(block)?;
            batch.add(key::block(block.first), entries);
            batch.add(key::heads(block.first), heads);
        }
        Ok(blocks.into_iter().map(Arc::new).collect())
    }

    fn pack_changes(&self, batch: &mut Batch, blocks: &[Arc<Block>]) -> Result<(), StoreError> {
        let mut marks: BTreeMap<u64, Marks> = BTreeMap::new();
        for (number, changed) in &self.changed {
            let record = &changed.record;
            if changed.whole || record.overlay {
                let key = key::overlay(*number);
                let sketch = Sketch::of(&record.conversion, record.standing.clone());
                let packed = layout::pack(&sketch, &record.conversion).map_err(|e| corrupt(&key, &e))?;
                if record.overlay {
                    batch.put(key, packed)
                } else {
                    batch.add(key, packed)
                };
                continue;
            }
            let new = blocks.iter().rev().find(|block| block.first <= *number).map(|block| block.first);
            let Some(first) = new.or_else(|| self.shared.index.lock().block_of(*number)) else { continue };
            let slot = match marks.entry(first) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(unknown) => unknown.insert(self.shared.records.marks(first)?),
            };
            mark(slot, number - first, changed).map_err(|e| corrupt(&key::marks(first), &e))?;
        }
        for (first, mut marks) in marks {
            marks.sort_by_key(|mark| (mark.entry, mark.delivery));
            let key = key::marks(first);
            let packed = layout::pack(&(), &marks).map_err(|error| corrupt(&key, &error))?;
            batch.put(key, packed);
        }
        Ok(())
    }

    fn pack_attempts(&self, batch: &mut Batch) -> Result<(), StoreError> {
        let mut first = self.numbers.next_attempt - self.attempts.len() as u64;
        for block in split_attempts(&self.attempts) {
            let key = key::attempts(first);
            let block: Vec<Option<&StoredAttempt>> = block.iter().map(Some).collect();
            let packed = layout::pack(&(), &block).map_err(|error| corrupt(&key, &error))?;
            batch.add(key, packed);
            first += block.len() as u64;
        }
        Ok(())
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
            index.queues(destination).release(*slot);
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
            index.wakeup(&destination).signal();
        }
    }
}

/// The two records of a block: its entries, and their heads.
pub fn pack_block(block: &Block) -> Result<(Vec<u8>, Vec<u8>), StoreError> {
    let entries = layout::pack(&(), &block.entries).map_err(|e| corrupt(&key::block(block.first), &e))?;
    let heads = layout::pack(&block.heads, &()).map_err(|e| corrupt(&key::heads(block.first), &e))?;
    Ok((entries, heads))
}

/// Writes down every delivery that is no longer as it was.
fn mark(marks: &mut Marks, entry: u64, changed: &ChangedConversion) -> Result<(), LayoutError> {
    let too_great = |_| LayoutError::TooGreat { what: "entry", number: entry };
    let entry = u16::try_from(entry).map_err(too_great)?;
    let now = changed.record.standing.deliveries.iter().zip(&changed.record.standing.last_attempts);
    let was = changed.was.deliveries.iter().zip(&changed.was.last_attempts);
    for (place, (now, _)) in (0u32..).zip(now.zip(was)).filter(|(_, (now, was))| now != was) {
        let (delivery, last_attempt) = now;
        marks.retain(|mark| (mark.entry, mark.delivery) != (entry, place));
        marks.push(DeliveryMark {
            entry,
            delivery: place,
            state: delivery.state.clone(),
            expires_at: delivery.expires_at,
            attempts: delivery.attempts,
            last_attempt: *last_attempt,
        });
    }
    Ok(())
}

fn head_of(postback: &Postback, sketch: Option<Sketch>, sales: Vec<ConversionId>) -> EntryHead {
    EntryHead {
        at: postback.received_at,
        source: postback.source.as_ref().map(|source| tag(source.as_str())),
        verdict: postback.verdict.name(),
        again: postback.again,
        raw: postback.raw.is_some(),
        gone: false,
        sketch,
        sales,
    }
}

/// About how many bytes an entry brings to its block.
fn plain_size(entry: &layout::BlockEntry) -> usize {
    let raw = entry.postback.raw.as_ref().map_or(0, RawRequest::bytes);
    let pairs = entry.conversion.as_ref().map_or(0, |conversion| {
        let given = conversion.attribution.given().map_or(0, str::len);
        let matched = matches!(conversion.attribution, Attribution::Matched { .. });
        let params: usize = conversion.params.iter().map(|(name, value)| name.len() + value.len()).sum();
        let traits: usize = conversion.traits.0.values().map(String::len).sum();
        128 + params + traits + given * if matched { 2 } else { 1 }
    });
    96 + raw + pairs
}

/// Cuts attempts into blocks of bounded number and size.
fn split_attempts(attempts: &[StoredAttempt]) -> Vec<&[StoredAttempt]> {
    let mut blocks = Vec::new();
    let mut rest = attempts;
    while !rest.is_empty() {
        let mut bytes = 0;
        let fits = |stored: &&StoredAttempt| {
            bytes += attempt_size(stored);
            bytes <= BLOCK_BYTES
        };
        let length = rest.iter().take(BLOCK_ENTRIES).take_while(fits).count().max(1);
        let (block, after) = rest.split_at(length);
        blocks.push(block);
        rest = after;
    }
    blocks
}

fn attempt_size(stored: &StoredAttempt) -> usize {
    let pairs = |headers: &[(String, String)]| -> usize {
        headers.iter().map(|(name, value)| name.len() + value.len() + 2).sum()
    };
    let request = stored.attempt.request.as_ref();
    let request =
        request.map_or(0, |request| request.url.len() + request.body.len() + pairs(&request.headers));
    let answer = stored.attempt.answer.as_ref();
    let answer = answer.map_or(0, |answer| answer.body.len() + pairs(&answer.headers));
    64 + request + answer
}
