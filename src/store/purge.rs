//! Deletes what is past its time, a bounded number of records at a step. What a purged conversion
//! leaves behind goes with it: overlay, marks, attempts, its place in the index.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use crate::domain::postback::VerdictName;
use crate::domain::time::Time;
use crate::store::ages::AgeKey;
use crate::store::clicks::purge::{ClickCursor, ClickPurge};
use crate::store::commit::pack_block;
use crate::store::contract::change::{PurgeBefore, Purged};
use crate::store::contract::error::StoreError;
use crate::store::engine::kv::Batch;
use crate::store::group::CommitGroup;
use crate::store::index::Index;
use crate::store::keeping::OperatorRecords;
use crate::store::layout::{
    self, Attempts, Block, DeliveryStates, EntryHead, LayoutError, Marks, NumberSequences, Sketch,
    StoredAttempt, key,
};
use crate::store::records::corrupt;

/// How many blocks one step looks at, and how many it rewrites.
const LOOKED_AT: usize = 128;
const REWRITTEN: usize = 32;

/// How far the present pass has come. A pass is over when both parts are.
#[derive(Debug, Default)]
pub struct Cursor {
    block: u64,
    blocks_done: bool,
    clicks: ClickCursor,
}

/// What a step deletes.
#[derive(Default)]
pub struct Purging {
    /// Blocks as they become; an empty one is removed.
    rewritten: Vec<Block>,
    marks: Vec<(u64, Marks)>,
    attempts: BTreeMap<u64, Attempts>,
    /// Conversions: number, appearance, whether it has an overlay.
    conversions: Vec<(u64, Sketch, bool)>,
    pub clicks: ClickPurge,
    /// Postbacks of which nothing is kept any more; with their source, where they were quarantined.
    forgotten: Vec<(u64, Option<u32>)>,
    records: u64,
}

/// Decides one step.
pub fn step(
    group: &mut CommitGroup<'_>,
    before: PurgeBefore,
    cursor: &mut Cursor,
) -> Result<Purged, StoreError> {
    let mut purging = Purging::default();
    let kept = Arc::clone(&group.shared.index.lock().kept);
    let aged = AgedOut::new(&kept, before);
    if !cursor.blocks_done {
        step_blocks(group, &aged, cursor, &mut purging)?;
    }
    if !cursor.clicks.is_done() {
        purging.clicks = ClickPurge::step(group, &aged, &mut cursor.clicks)?;
        purging.records += purging.clicks.records();
    }
    let more = !(cursor.blocks_done && cursor.clicks.is_done());
    if !more {
        *cursor = Cursor::default();
    }
    let purged = Purged { records: purging.records, more };
    group.purging = purging;
    Ok(purged)
}

fn step_blocks(
    group: &CommitGroup<'_>,
    aged: &AgedOut<'_>,
    cursor: &mut Cursor,
    purging: &mut Purging,
) -> Result<(), StoreError> {
    let blocks = group.shared.index.lock().blocks_from(cursor.block, LOOKED_AT);
    for first in &blocks {
        if purging.rewritten.len() == REWRITTEN {
            cursor.block = *first;
            return Ok(());
        }
        cursor.block = first + 1;
        if let Some(of_block) = unless_damaged(block_step(group, aged, *first))? {
            purging.merge(of_block);
        }
    }
    // To the very end, past blocks with nothing due: those at the beginning are stripped already, and
    // blocks lie in order of arrival, but not of time when a clock was once wrong.
    cursor.blocks_done = blocks.len() < LOOKED_AT;
    Ok(())
}

/// What is due of one block, apart from the others: it counts whole or not at all.
fn block_step(group: &CommitGroup<'_>, aged: &AgedOut<'_>, first: u64) -> Result<Purging, StoreError> {
    let mut purging = Purging::default();
    let heads = group.shared.records.block_heads(first)?;
    let heads = heads.ok_or_else(|| corrupt(&key::heads(first), &LayoutError::Missing))?;
    if (first..).zip(&heads).any(|(number, head)| aged.entry(group, number, head).is_due(head)) {
        purging.block(group, aged, first)?;
    }
    Ok(purging)
}

/// What cannot be read stays where it is and holds up nothing behind it.
fn unless_damaged<T>(found: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
    found.map(Some).or_else(|error| match error {
        StoreError::Corrupt { .. } => {
            tracing::error!(%error, "a record cannot be read and is not purged");
            Ok(None)
        }
        error => Err(error),
    })
}

/// What is past its days, by the time that it ages by.
pub struct AgedOut<'a> {
    kept: &'a OperatorRecords,
    /// By the believed time.
    pub believed: PurgeBefore,
    /// By the time that records age by.
    before: PurgeBefore,
}

/// How much of an entry is past its days.
struct ExpiredPart {
    raw: bool,
    conversion: bool,
}

impl ExpiredPart {
    /// Whether something is left of the entry that goes.
    fn is_due(&self, head: &EntryHead) -> bool {
        let is_part = (head.raw && self.raw) || (head.sketch.is_some() && self.conversion);
        !head.gone && (is_part || (self.raw && self.conversion))
    }
}

impl AgedOut<'_> {
    fn new(kept: &OperatorRecords, believed: PurgeBefore) -> AgedOut<'_> {
        let age = |time: Time| time.plus_millis(kept.ahead_ms());
        let PurgeBefore { postbacks, conversions, clicks } = believed;
        let before =
            PurgeBefore { postbacks: age(postbacks), conversions: age(conversions), clicks: age(clicks) };
        AgedOut { kept, believed, before }
    }

    /// What of postback `number` is. What reprocesses an earlier one has the time of the first.
    fn entry(&self, group: &CommitGroup<'_>, number: u64, head: &EntryHead) -> ExpiredPart {
        let first = head.again.map_or(number, |of| group.shared.index.lock().first_of(of.get()));
        let at = self.kept.ages.received(AgeKey::Postback(first), head.at);
        let is_before = |before: Time| at.is_some_and(|at| at < before);
        ExpiredPart { raw: is_before(self.before.postbacks), conversion: is_before(self.before.conversions) }
    }

    /// Whether a click is, or what goes as clicks do, that bears this time.
    pub fn click(&self, which: AgeKey, at: Time) -> bool {
        self.kept.ages.received(which, at).is_some_and(|at| at < self.before.clicks)
    }
}

impl Purging {
    /// Whether there is anything to write.
    pub fn is_empty(&self) -> bool {
        self.rewritten.is_empty() && self.clicks.is_empty()
    }

    /// Adds what is due of another block.
    fn merge(&mut self, other: Purging) {
        self.rewritten.extend(other.rewritten);
        self.marks.extend(other.marks);
        for (first, attempts) in other.attempts {
            match self.attempts.entry(first) {
                Entry::Vacant(unknown) => drop(unknown.insert(attempts)),
                // Conversions of both blocks have attempts in it: what either blanks is blank.
                Entry::Occupied(mut known) => {
                    let both = known.get_mut().iter_mut().zip(attempts);
                    both.filter(|(_, other)| other.is_none()).for_each(|(attempt, _)| *attempt = None);
                }
            }
        }
        self.conversions.extend(other.conversions);
        self.forgotten.extend(other.forgotten);
        self.records += other.records;
    }

    fn block(&mut self, group: &CommitGroup<'_>, aged: &AgedOut<'_>, first: u64) -> Result<(), StoreError> {
        let Some(mut block) = group.shared.records.block_afresh(first)? else { return Ok(()) };
        let mut marks = group.shared.records.marks(first)?;
        let mut changed = false;
        let heads = (first..).zip(&mut block.heads).zip(&mut block.entries);
        for ((number, head), slot) in heads {
            let Some(entry) = slot else { continue };
            let due = aged.entry(group, number, head);
            if head.sketch.is_some() && due.conversion {
                changed |= self.conversion(group, number)?;
                if self.conversions.last().is_some_and(|(last, ..)| *last == number) {
                    (head.sketch, entry.conversion) = (None, None);
                    marks.retain(|mark| u64::from(mark.entry) != number - first);
                }
            }
            if head.raw && due.raw {
                (head.raw, entry.postback.raw) = (false, None);
                self.records += 1;
                changed = true;
            }
            if head.sketch.is_none() && due.raw && due.conversion {
                (head.gone, *slot) = (true, None);
                let quarantined = head.source.filter(|_| head.verdict == VerdictName::Quarantined);
                self.forgotten.push((number, quarantined));
                changed = true;
            }
        }
        if changed {
            self.rewritten.push(block);
            self.marks.push((first, marks));
        }
        Ok(())
    }

    /// Takes conversion `number` out, unless a delivery of it is unfinished.
    fn conversion(&mut self, group: &CommitGroup<'_>, number: u64) -> Result<bool, StoreError> {
        let Some(record) = group.peek(number)? else { return Ok(false) };
        if record.standing.is_unfinished() {
            return Ok(false);
        }
        self.attempts(group, &record.standing)?;
        self.records += 1;
        let sketch = Sketch::of(&record.conversion, record.standing);
        self.conversions.push((number, sketch, record.overlay));
        Ok(true)
    }

    /// Blanks every attempt of these deliveries.
    fn attempts(&mut self, group: &CommitGroup<'_>, standing: &DeliveryStates) -> Result<(), StoreError> {
        for last in &standing.last_attempts {
            let mut next = *last;
            while let Some(number) = next {
                let Some(attempt) = self.attempt(group, number)? else { break };
                next = attempt.previous.filter(|previous| *previous < number);
            }
        }
        Ok(())
    }

    fn attempt(&mut self, group: &CommitGroup<'_>, number: u64) -> Result<Option<StoredAttempt>, StoreError> {
        let near = self.attempts.range(..=number).next_back();
        let known = near.filter(|(first, block)| number - **first < block.len() as u64);
        let first = match known.map(|(first, _)| *first) {
            Some(first) => first,
            None => match group.shared.records.attempt_block(number)? {
                Some((first, block)) => {
                    self.attempts.insert(first, block);
                    first
                }
                None => return Ok(None),
            },
        };
        let block = self.attempts.get_mut(&first);
        let place = usize::try_from(number - first).ok();
        Ok(block.zip(place).and_then(|(block, at)| block.get_mut(at)).and_then(Option::take))
    }

    /// Adds the deletions to a batch.
    pub fn pack(&self, batch: &mut Batch, numbers: NumberSequences) -> Result<(), StoreError> {
        if self.is_empty() {
            return Ok(());
        }
        for block in &self.rewritten {
            let (key, heads_key) = (key::block(block.first), key::heads(block.first));
            if is_gone(block) {
                batch.remove(key);
                batch.remove(heads_key);
            } else {
                let (entries, heads) = pack_block(block)?;
                batch.put(key, entries);
                batch.put(heads_key, heads);
            }
        }
        for (first, marks) in &self.marks {
            let key = key::marks(*first);
            if marks.is_empty() {
                batch.remove(key);
            } else {
                let packed = layout::pack(&(), marks).map_err(|error| corrupt(&key, &error))?;
                batch.put(key, packed);
            }
        }
        for (first, attempts) in &self.attempts {
            let key = key::attempts(*first);
            if attempts.iter().all(Option::is_none) {
                batch.remove(key);
            } else {
                let packed = layout::pack(&(), attempts).map_err(|error| corrupt(&key, &error))?;
                batch.put(key, packed);
            }
        }
        let overlaid = self.conversions.iter().filter(|(.., overlay)| *overlay);
        overlaid.for_each(|(number, ..)| batch.remove(key::overlay(*number)));
        self.clicks.pack(batch)?;
        let packed = layout::pack(&numbers, &()).map_err(|error| corrupt(key::NUMBERS, &error))?;
        batch.put(key::NUMBERS.to_vec(), packed);
        Ok(())
    }

    /// What the caches have to forget.
    pub fn blocks(&self) -> impl Iterator<Item = (u64, Option<Arc<Block>>)> + '_ {
        self.rewritten.iter().map(|block| (block.first, None))
    }

    /// Takes what is gone out of the index.
    pub fn publish(&self, index: &mut Index) {
        for (number, sketch, _) in &self.conversions {
            index.apply(*number, Some(sketch), None, &Default::default());
        }
        for block in self.rewritten.iter().filter(|block| is_gone(block)) {
            index.remove_block(block.first);
        }
        for (number, quarantined) in &self.forgotten {
            index.forget_again(*number, *quarantined);
        }
    }
}

fn is_gone(block: &Block) -> bool {
    block.heads.iter().all(|head| head.gone)
}
