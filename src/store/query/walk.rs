//! How a list goes through the store: newest first, a bounded way at a time.

use crate::domain::time::Time;
use crate::store::contract::error::StoreError;
use crate::store::contract::lookup::{Page, PageRequest};
use crate::store::query::chunk::{DatedHead, HeadsOfDay, heads_of_day};
use crate::store::query::cursor::ListCursor;
use crate::store::records::StoreShared;
use crate::store::table::day::day;
use crate::store::table::postback::PostbackHead;

/// Heads read together.
const CHUNK: usize = 512;

/// What one list call may spend: 1 for 16 heads that are looked at, or for one that is looked up alone, [`UNPACK`] for a
/// record read.
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
    /// Only what was received then or later, and before that, is wanted.
    since: Option<Time>,
    until: Option<Time>,
}

impl<'a> ListWalk<'a> {
    /// Begins at the cursor, or at the newest.
    ///
    /// # Errors
    /// A cursor that no list gave, or the store's failure.
    pub fn begin(
        shared: &'a StoreShared,
        page: &PageRequest,
        (since, until): (Option<Time>, Option<Time>),
    ) -> Result<ListWalk<'a>, StoreError> {
        shared.reader.check()?;
        let end = shared.index.lock().days.end();
        let below = match &page.cursor {
            None => (end, 0),
            // Numbers are given in the order in which records are kept: they alone say where to go on.
            Some(cursor) => {
                let ListCursor { number, item, .. } = ListCursor::parse(cursor)?;
                (number, item).min((end, 0))
            }
        };
        Ok(ListWalk { shared, limit: page.limit.clamp(1, 1000), below, since, until })
    }

    /// Shows every record to `visit`, newest first, until the page is full or the budget is spent.
    pub fn run<T>(
        self,
        mut visit: impl FnMut(u64, &PostbackHead, &mut usize) -> Result<RecordItems<T>, StoreError>,
    ) -> Result<Page<T>, StoreError> {
        let mut items = Vec::new();
        let mut spent = 0;
        let mut next = if self.below.1 > 0 { self.below.0 + 1 } else { self.below.0 };
        loop {
            let run = self.shared.index.lock().days.below(next);
            let Some(run) = run else { return Ok(Page { items, next_cursor: None }) };
            // A day that is out of the range is passed over whole, however much was received on it.
            if !self.wants(run.day) {
                next = run.first;
                continue;
            }
            let numbers = run.first..run.end.min(next);
            let HeadsOfDay { heads, rest, looked_up } =
                heads_of_day(&self.shared.reader, run.day, numbers, CHUNK)?;
            let end_at =
                |(number, item): ListPosition| Some(ListCursor { day: run.day, number, item }.show());
            spent += 1 + heads.len() / 16 + usize::try_from(looked_up).unwrap_or(BUDGET);
            for DatedHead { number, head, .. } in &heads {
                for (place, item) in visit(*number, head, &mut spent)? {
                    if (*number, place) >= self.below {
                        continue;
                    }
                    items.push(item);
                    if items.len() == self.limit {
                        return Ok(Page { items, next_cursor: end_at((*number, place)) });
                    }
                }
                if spent >= BUDGET {
                    return Ok(Page { items, next_cursor: end_at((*number, 0)) });
                }
            }
            next = if rest.is_empty() { run.first } else { rest.end };
            if spent >= BUDGET {
                return Ok(Page { items, next_cursor: end_at((next, 0)) });
            }
        }
    }

    fn wants(&self, of: i32) -> bool {
        self.since.is_none_or(|since| of >= day(since)) && self.until.is_none_or(|until| of <= day(until))
    }
}
