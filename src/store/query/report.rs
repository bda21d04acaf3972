//! Reports: from the rows in memory to a page of conversions.

use std::panic::resume_unwind;

use crate::domain::conversion::Conversion;
use crate::store::contract::error::StoreError;
use crate::store::contract::lookup::{ReportPage, ReportQuery};
use crate::store::query::find;
use crate::store::records::StoreShared;

/// The most rows of one page.
const MOST: usize = 500;

/// The rows of an offer may each be in another place of the disk: so many are read by one thread, and the
/// threads at the same time.
const READ_TOGETHER: usize = 125;

/// One page, and how many rows fit in all. A row that changes while the page is read is shown as it has
/// become; one that cannot be read is logged and left out.
pub fn report(shared: &StoreShared, query: &ReportQuery) -> Result<ReportPage, StoreError> {
    shared.reader.check()?;
    let view = shared.index.lock().rows.view(query);
    let (total, numbers) = view.page(query.skip, query.limit.clamp(1, MOST));
    drop(view);
    let parts: Vec<_> = std::thread::scope(|scope| {
        let parts = numbers.chunks(READ_TOGETHER).map(|part| scope.spawn(move || conversions(shared, part)));
        // All of them begin before any is waited for.
        let parts: Vec<_> = parts.collect();
        parts.into_iter().map(|part| part.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
    });
    let rows: Result<Vec<Vec<Conversion>>, StoreError> = parts.into_iter().collect();
    Ok(ReportPage { total, rows: rows?.into_iter().flatten().collect() })
}

fn conversions(shared: &StoreShared, numbers: &[u64]) -> Result<Vec<Conversion>, StoreError> {
    let mut rows = Vec::with_capacity(numbers.len());
    for number in numbers {
        match find::record(shared, *number) {
            Ok(found) => rows.extend(found.map(|record| record.conversion.clone())),
            Err(error @ StoreError::Corrupt { .. }) => {
                tracing::error!(postback = *number, %error, "a conversion cannot be read and is left out of a report");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(rows)
}
