//! Opening: rebuilds from the stored records what is kept in memory.

use std::collections::HashSet;
use std::sync::Arc;

use crate::domain::ids::ClickId;
use crate::domain::postback::VerdictName;
use crate::store::codec::{LayoutError, VERSION, corrupt};
use crate::store::contract::error::StoreError;
use crate::store::engine::error::OpenError;
use crate::store::engine::kv::Batch;
use crate::store::index::Index;
use crate::store::query::chunk::Chunk;
use crate::store::reader::Reader;
use crate::store::table::click::matching;
use crate::store::table::click_log;
use crate::store::table::operator::OperatorRecords;
use crate::store::table::recent_click::RecentClicks;
use crate::store::table::store_facts::{FORMAT, NUMBERS, NumberSequences};
use crate::store::table::suppression::Lists;

/// How many blocks are read at a time.
const BLOCKS: usize = 512;

/// What opening found.
pub struct Opened {
    /// What is unfinished, and by what everything is found.
    pub index: Index,
    /// What the click filters remember.
    pub lately: RecentClicks,
    /// The numbers that are given next.
    pub numbers: NumberSequences,
    /// Clicks whose waiting conversions were not all matched when the process ended.
    pub matching: Vec<ClickId>,
}

/// Reads everything that the index needs, and marks a new store with its format.
pub fn rebuild(reader: &Reader, dedup_mask: u64) -> Result<Opened, OpenError> {
    check_format(reader)?;
    let mut index = Index::new(dedup_mask);
    index.lists = Arc::new(Lists::open(reader)?);
    index.kept = Arc::new(OperatorRecords::open(reader)?);
    let manual = HashSet::new();
    // What is purged of a record that was reprocessed is counted nowhere.
    let mut quarantined = HashSet::new();
    let mut next = 0;
    loop {
        let chunk = Chunk::read(reader, next, u64::MAX, BLOCKS)?;
        let Some(end) = chunk.end() else { break };
        for (first, heads) in &chunk.blocks {
            index.add_block(*first, heads.len());
            for (number, head) in (*first..).zip(heads) {
                index.note_head(number, head, head.again.is_some_and(|of| quarantined.contains(&of.get())));
                if !head.gone && head.verdict == VerdictName::Quarantined {
                    quarantined.insert(number);
                }
                if let Some(sketch) = &head.sketch {
                    index.apply(number, None, Some(sketch), &manual);
                }
                if head.raw && !index.is_reprocessed(number) {
                    index.reversals.wait(number, &head.sales);
                }
            }
        }
        next = end;
    }
    let numbers = numbers(reader, next)?;
    index.set_end(numbers.next_postback);
    let lately = RecentClicks::open(reader, numbers.next_click)?;
    Ok(Opened { index, lately, numbers, matching: matching(reader)? })
}

fn check_format(reader: &Reader) -> Result<(), OpenError> {
    match reader.get(FORMAT)?.map(|bytes| bytes.first().copied()) {
        Some(Some(VERSION)) => Ok(()),
        Some(Some(found)) => Err(OpenError::Format { found }),
        Some(None) => Err(corrupt(FORMAT, &LayoutError::Short).into()),
        None => {
            let mut batch = Batch::default();
            batch.put(FORMAT.to_vec(), vec![VERSION]);
            Ok(reader.kv().commit(batch, &mut |_| {}).map_err(|error| reader.fail("write", error))?)
        }
    }
}

/// The next numbers: after everything stored, and after everything purged.
fn numbers(reader: &Reader, next_postback: u64) -> Result<NumberSequences, StoreError> {
    let mut numbers = NumberSequences {
        next_postback: next_postback.max(1),
        next_attempt: 1,
        next_click: click_log::end(reader)?,
    };
    if let Some(kept) = reader.head::<NumberSequences>(NUMBERS)? {
        numbers.next_postback = numbers.next_postback.max(kept.next_postback);
        numbers.next_attempt = numbers.next_attempt.max(kept.next_attempt);
        numbers.next_click = numbers.next_click.max(kept.next_click);
    }
    if let Some((first, block)) = reader.attempt_block(u64::MAX - 1)? {
        numbers.next_attempt = numbers.next_attempt.max(first + block.len() as u64);
    }
    Ok(numbers)
}
