//! Reports: from the rows in memory to a page of conversions, and its total from what is counted by day.

use std::panic::resume_unwind;
use std::sync::Arc;

use crate::domain::conversion::Conversion;
use crate::domain::offer::day_of;
use crate::domain::time::{DAY_MS, Time};
use crate::store::contract::error::StoreError;
use crate::store::contract::lookup::{ReportPage, ReportQuery};
use crate::store::query::find;
use crate::store::reader::readable;
use crate::store::records::StoreShared;
use crate::store::table::report_day::{self, OfferDay, OfferDays};
use crate::store::table::report_row::{RowView, Rows};

/// The most rows of one page.
const MOST: usize = 500;

/// The rows of an offer may each be in another place of the disk: so many are read by one thread, and the
/// threads at the same time.
const READ_TOGETHER: usize = 125;

/// One page, and how many rows fit in all. A row that changes while the page is read is shown as it has
/// become; one that cannot be read is logged and left out.
pub fn report(shared: &StoreShared, query: &ReportQuery) -> Result<ReportPage, StoreError> {
    shared.reader.check()?;
    let (view, counted) = {
        let index = shared.index.lock();
        (index.rows.view(query), ReportTotal::of(query, &index.counts.offers, &index.rows))
    };
    let (skip, limit) = (query.skip, query.limit.clamp(1, MOST));
    let (total, places) = match &counted {
        Some(counted) => (counted.sum(query), view.page(skip, limit)),
        None => view.page_of_total(skip, limit),
    };
    drop((view, counted));
    let last = places.last().copied();
    let numbers: Vec<u64> = places.into_iter().map(|place| place.seq.get()).collect();
    let parts: Vec<_> = std::thread::scope(|scope| {
        let parts = numbers.chunks(READ_TOGETHER).map(|part| scope.spawn(move || conversions(shared, part)));
        // All of them begin before any is waited for.
        let parts: Vec<_> = parts.collect();
        parts.into_iter().map(|part| part.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
    });
    let rows: Result<Vec<Vec<Conversion>>, StoreError> = parts.into_iter().collect();
    Ok(ReportPage { total, rows: rows?.into_iter().flatten().collect(), last })
}

/// How many rows fit, in the parts that are counted apart.
struct ReportTotal {
    /// The whole days of the range.
    days: Vec<Arc<OfferDay>>,
    /// The rows of what is left of it.
    ends: Vec<RowView>,
}

impl ReportTotal {
    /// As of this moment; `None` where the rows have to be counted: in a range without a whole day, or where an affiliate
    /// is asked for, because what each brings on a day is nearly as many numbers as there are rows.
    fn of(query: &ReportQuery, days: &OfferDays, rows: &Rows) -> Option<ReportTotal> {
        let first = query.from.map_or(i64::MIN, |from| day_of(from.plus_millis(DAY_MS - 1)));
        let end = query.until.map_or(i64::MAX, day_of);
        if query.affiliate.is_some() || first >= end {
            return None;
        }
        let start_of = |day: i64| Time::from_millis(day.saturating_mul(DAY_MS));
        let mut ends = Vec::new();
        if let Some(start) = start_of(first).filter(|start| query.from.is_some_and(|from| from < *start)) {
            ends.push(rows.view(&ReportQuery { until: Some(start), ..query.clone() }));
        }
        if let Some(start) = start_of(end).filter(|start| query.until.is_some_and(|until| until > *start)) {
            ends.push(rows.view(&ReportQuery { from: Some(start), ..query.clone() }));
        }
        Some(ReportTotal { days: days.view(first..end), ends })
    }

    fn sum(&self, query: &ReportQuery) -> u64 {
        let on_days = report_day::count(&self.days, query.offers.as_deref(), query.status);
        on_days + self.ends.iter().map(RowView::total).sum::<u64>()
    }
}

fn conversions(shared: &StoreShared, numbers: &[u64]) -> Result<Vec<Conversion>, StoreError> {
    let mut rows = Vec::with_capacity(numbers.len());
    for number in numbers {
        let record = readable(find::record(shared, *number), "a conversion of a report")?.flatten();
        rows.extend(record.map(|record| record.conversion.clone()));
    }
    Ok(rows)
}
