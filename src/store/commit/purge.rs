//! Deletes what is past its time, a bounded number of records at a step. What a purged conversion
//! leaves behind goes with it: overlay, marks, attempts, its place in the index.

use std::sync::Arc;

use crate::domain::postback::VerdictName;
use crate::store::codec::{LayoutError, corrupt};
use crate::store::commit::aged_out::AgedOut;
use crate::store::commit::group::CommitGroup;
use crate::store::commit::purge_clicks::ClickCursor;
use crate::store::commit::purging::{ClickPurge, Purging};
use crate::store::contract::change::{PurgeBefore, Purged};
use crate::store::contract::error::StoreError;
use crate::store::table::attempt::StoredAttempt;
use crate::store::table::conversion::Sketch;
use crate::store::table::delivery::DeliveryStates;
use crate::store::table::postback::heads_key;

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
    let heads = heads.ok_or_else(|| corrupt(&heads_key(first), &LayoutError::Missing))?;
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

impl Purging {
    fn block(&mut self, group: &CommitGroup<'_>, aged: &AgedOut<'_>, first: u64) -> Result<(), StoreError> {
        let Some(mut block) = group.shared.reader.block_afresh(first)? else { return Ok(()) };
        let mut marks = group.shared.reader.marks(first)?;
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
            None => match group.shared.reader.attempt_block(number)? {
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
}
