//! How a list goes through the store: newest first, a bounded way at a time.

use crate::domain::time::Time;
use crate::store::contract::error::StoreError;
use crate::store::contract::lookup::{Page, PageRequest};
use crate::store::query::chunk::Chunk;
use crate::store::records::StoreShared;
use crate::store::table::postback::EntryHead;
use crate::store::table::time_run::{OlderThanKept, Runs};

/// Blocks read together.
const CHUNK: usize = 64;

/// What one list call may spend: 1 for a block whose heads are looked at, [`UNPACK`] for a record read.
const BUDGET: usize = 6000;

/// What reading one whole record costs of the budget.
pub const UNPACK: usize = 6;

/// A place in a list: a postback number and, below it, a delivery's place. Lists run downwards.
pub type ListPosition = (u64, usize);

/// What a record is turned into: items with their place in the record, highest first.
pub type RecordItems<T> = Vec<(usize, T)>;

/// One list call.
pub struct ListWalk<'a> {
    pub shared: &'a StoreShared,
    pub limit: usize,
    /// Only what is below is listed.
    pub below: ListPosition,
    /// Only what arrived then or later is wanted: the walk ends some time before it.
    since: Option<Time>,
}

impl<'a> ListWalk<'a> {
    /// Begins at the cursor, or at the newest.
    ///
    /// # Errors
    /// A cursor that no list gave, or the store's failure.
    pub fn begin(
        shared: &'a StoreShared,
        page: &PageRequest,
        since: Option<Time>,
    ) -> Result<ListWalk<'a>, StoreError> {
        shared.reader.check()?;
        let end = shared.index.lock().end();
        let below = match &page.cursor {
            None => (end, 0),
            Some(cursor) => parse(cursor).ok_or_else(|| StoreError::Cursor(cursor.clone()))?.min((end, 0)),
        };
        Ok(ListWalk { shared, limit: page.limit.clamp(1, 1000), below, since })
    }

    /// Shows every record to `visit`, newest first, until the page is full or the budget is spent.
    pub fn run<T>(
        self,
        mut visit: impl FnMut(u64, &EntryHead, &mut usize) -> Result<RecordItems<T>, StoreError>,
    ) -> Result<Page<T>, StoreError> {
        let mut items = Vec::new();
        let mut spent = 0;
        // What was reprocessed keeps its time among younger ones.
        let ends = self.since.map(|since| (since, Runs::end_of(since)));
        let is_past = |head: &EntryHead| head.again.is_none() && ends.is_some_and(|(_, end)| head.at < end);
        let mut next = if self.below.1 > 0 { self.below.0 + 1 } else { self.below.0 };
        'chunks: loop {
            let firsts = self.shared.index.lock().blocks_below(next, CHUNK);
            let Some(from) = firsts.last() else { return Ok(Page { items, next_cursor: None }) };
            let chunk = Chunk::read(&self.shared.reader, *from, next, CHUNK)?;
            for (first, heads) in chunk.blocks.iter().rev() {
                spent += 1;
                if let Some((since, _)) = ends.filter(|_| heads.iter().all(is_past)) {
                    match self.shared.index.lock().runs.older(*first, since) {
                        OlderThanKept::Nothing => return Ok(Page { items, next_cursor: None }),
                        OlderThanKept::Below(number) => {
                            next = number;
                            continue 'chunks;
                        }
                        OlderThanKept::Unknown => {}
                    }
                }
                for (at, head) in heads.iter().enumerate().rev() {
                    let number = first + at as u64;
                    if head.gone || number > self.below.0 {
                        continue;
                    }
                    for (place, item) in visit(number, head, &mut spent)? {
                        if (number, place) >= self.below {
                            continue;
                        }
                        items.push(item);
                        if items.len() == self.limit {
                            return Ok(Page { items, next_cursor: Some(show((number, place))) });
                        }
                    }
                }
                if spent >= BUDGET {
                    return Ok(Page { items, next_cursor: Some(show((*first, 0))) });
                }
            }
            next = *from;
        }
    }
}

/// A position as a cursor.
pub fn show((number, place): ListPosition) -> String {
    if place == 0 { number.to_string() } else { format!("{number}.{place}") }
}

fn parse(cursor: &str) -> Option<ListPosition> {
    match cursor.split_once('.') {
        None => Some((cursor.parse().ok()?, 0)),
        Some((number, place)) => Some((number.parse().ok()?, place.parse().ok()?)),
    }
}
