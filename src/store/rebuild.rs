//! Opening: rebuilds from the stored records what is kept in memory.

use std::collections::HashSet;
use std::sync::Arc;

use crate::domain::ids::{ClickId, ConversionId};
use crate::domain::time::Time;
use crate::store::codec::{LayoutError, VERSION, corrupt};
use crate::store::contract::error::StoreError;
use crate::store::engine::error::OpenError;
use crate::store::engine::kv::{Batch, Kv};
use crate::store::index::Index;
use crate::store::query::chunk::{DatedHead, each_head};
use crate::store::reader::Reader;
use crate::store::table::click::matching;
use crate::store::table::click_log;
use crate::store::table::delivery::DeliverySlot;
use crate::store::table::operator::OperatorRecords;
use crate::store::table::recent_click::RecentClicks;
use crate::store::table::rollup_count::RollupCounts;
use crate::store::table::rollup_delta::Unfolded;
use crate::store::table::store_facts::{FORMAT, NUMBERS, NumberSequences, closed, put_digest_key};
use crate::store::table::suppression::Lists;

/// What opening found.
pub struct Opened {
    /// What is unfinished, and by what everything is found.
    pub index: Index,
    /// What is counted, and not in the rollups yet.
    pub unfolded: Unfolded,
    /// What the click filters remember.
    pub lately: RecentClicks,
    /// The numbers that are given next.
    pub numbers: NumberSequences,
    /// Clicks whose waiting conversions were not all matched when the process ended.
    pub matching: Vec<ClickId>,
}

/// Reads everything that the index needs, and marks a new store with its format.
pub fn rebuild(reader: &Reader, dedup_mask: u64) -> Result<Opened, OpenError> {
    let is_new = check_format(reader)?;
    let closed = closed(reader)?.or(is_new.then(Vec::new));
    let mut index = Index::new(dedup_mask);
    index.lists = Arc::new(Lists::open(reader)?);
    index.kept = Arc::new(OperatorRecords::open(reader)?);
    let unfolded = Unfolded::open(reader)?;
    index.counts = RollupCounts::open(reader, &unfolded)?;
    let next_attempt = rebuild_postbacks(reader, &mut index)?;
    let (next_click, latest) = click_log::end(reader)?;
    let found = NumberSequences { next_postback: index.days.end().max(1), next_attempt, next_click };
    let numbers = numbers(reader, found)?;
    index.days.set_end(numbers.next_postback);
    index.queues.held.begin(numbers.next_attempt);
    index.queues.begin(closed, index.newest.get());
    let lately = RecentClicks::open(reader, numbers.next_click, latest)?;
    Ok(Opened { index, unfolded, lately, numbers, matching: matching(reader)? })
}

/// Neighbouring numbers of one day, and the latest time among them.
struct Stretch {
    first: u64,
    day: i32,
    next: u64,
    newest: Option<Time>,
}

/// Shows every postback to the index, day by day. Answers the number of the next attempt.
fn rebuild_postbacks(reader: &Reader, index: &mut Index) -> Result<u64, StoreError> {
    let mut seen = Seen { next_attempt: 1, ..Seen::default() };
    each_head(reader, &mut |head| seen.add(head, index))?;
    let Seen { mut stretches, reversals, next_attempt, .. } = seen;
    stretches.sort_unstable_by_key(|stretch| stretch.first);
    for stretch in &stretches {
        index.days.note(stretch.first, stretch.day);
        index.days.set_end(stretch.next);
        if let Some(newest) = stretch.newest {
            index.newest.note(newest);
        }
    }
    for (day, number, sales) in reversals {
        if index.is_reprocessed(number) || !reader.has_raw(day, number)? {
            continue;
        }
        if is_received_later(reader, index, number, &sales)? {
            index.reversals.make_ready(number);
        } else {
            index.reversals.wait(number, &sales);
        }
    }
    Ok(next_attempt)
}

/// What is gathered as postbacks are shown to the index.
#[derive(Default)]
struct Seen {
    stretches: Vec<Stretch>,
    /// Quarantined postbacks that take back a sale: day, number, sales.
    reversals: Vec<(i32, u64, Vec<ConversionId>)>,
    next_attempt: u64,
    /// Nothing: no one has asked for anything yet.
    manual: HashSet<DeliverySlot>,
}

impl Seen {
    /// Takes note of the next postback by day and number, and shows it to the index.
    fn add(&mut self, DatedHead { day, number, head, is_changed }: &DatedHead, index: &mut Index) {
        let (day, number) = (*day, *number);
        match self.stretches.last_mut().filter(|last| last.day == day && last.next == number) {
            Some(last) => last.next = number + 1,
            None => self.stretches.push(Stretch { first: number, day, next: number + 1, newest: None }),
        }
        if let Some(stretch) = self.stretches.last_mut().filter(|_| head.again.is_none()) {
            stretch.newest = stretch.newest.max(Some(head.at));
        }
        index.note_head(number, head);
        if let Some(sketch) = &head.sketch {
            let attempts = sketch.standing.last_attempts.iter().flatten();
            self.next_attempt = attempts.map(|last| last + 1).fold(self.next_attempt, u64::max);
            index.apply(number, None, Some(sketch), &self.manual);
            index.will_change((*is_changed && sketch.standing.is_unfinished()).then_some(number));
        }
        if !head.sales.is_empty() {
            self.reversals.push((day, number, head.sales.clone()));
        }
    }
}

/// Whether one of these sales was received after postback `number`.
fn is_received_later(
    reader: &Reader,
    index: &Index,
    number: u64,
    sales: &[ConversionId],
) -> Result<bool, StoreError> {
    for sale in sales {
        if index.reused.get(sale).is_some_and(|later| later.newest.get() > number) {
            return Ok(true);
        }
        for later in index.candidates(sale).into_iter().filter(|known| *known > number) {
            let Some(day) = index.days.of(later) else { continue };
            let sketch = reader.head_of(day, later)?.and_then(|head| head.sketch);
            if sketch.is_some_and(|sketch| sketch.id == *sale) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Whether a store from before there was a journal can be read. One with nothing in it can.
///
/// # Errors
/// That it has another format.
pub fn check_converted(kv: &dyn Kv) -> Result<(), OpenError> {
    let format =
        kv.get(FORMAT).map_err(|error| StoreError::Broken { doing: "read", cause: error.to_string() })?;
    match format.map(|bytes| bytes.first().copied()) {
        Some(Some(found)) if found != VERSION => Err(OpenError::Format { found }),
        _ => Ok(()),
    }
}

/// Answers whether there was nothing, so that a store begins here.
fn check_format(reader: &Reader) -> Result<bool, OpenError> {
    match reader.get(FORMAT)?.map(|bytes| bytes.first().copied()) {
        Some(Some(VERSION)) => Ok(false),
        Some(Some(found)) => Err(OpenError::Format { found }),
        Some(None) => Err(corrupt(FORMAT, &LayoutError::Short).into()),
        None => {
            let mut batch = Batch::default();
            batch.put(FORMAT.to_vec(), vec![VERSION]);
            put_digest_key(&mut batch)?;
            reader.kv().commit(batch, &mut |_| {}).map_err(|error| reader.fail("write", error))?;
            Ok(true)
        }
    }
}

/// The next numbers: after everything stored, and after everything purged.
fn numbers(reader: &Reader, found: NumberSequences) -> Result<NumberSequences, StoreError> {
    let mut numbers = found;
    if let Some(kept) = reader.head::<NumberSequences>(NUMBERS)? {
        numbers.next_postback = numbers.next_postback.max(kept.next_postback);
        numbers.next_attempt = numbers.next_attempt.max(kept.next_attempt);
        numbers.next_click = numbers.next_click.max(kept.next_click);
    }
    Ok(numbers)
}
