//! What an embedded store does about erasures: looking next to all that is written, changing on the writer's thread.

use crate::domain::erasure::report::Erasure;
use crate::domain::time::Time;
use crate::store::command_queue::AloneCommand;
use crate::store::commit::erasable;
use crate::store::commit::erasing::{self, ErasingCommand};
use crate::store::contract::StoreFuture;
use crate::store::contract::erasure::{ErasureScan, ErasureStep, ScannedRecords};
use crate::store::contract::error::StoreError;
use crate::store::contract::lookup::{Page, PageRequest};
use crate::store::embedded::Embedded;
use crate::store::reader::readable;
use crate::store::records::StoreShared;
use crate::store::table::erasure::ScanPlace;

/// One step of looking. The log of clicks is not looked at: it names no one.
pub(super) fn scan(shared: &StoreShared, scan: &ErasureScan) -> Result<ScannedRecords, StoreError> {
    let place = scan.cursor.as_deref().map_or(Ok(ScanPlace::default()), ScanPlace::parse)?;
    let (records, next) = erasable::step(shared, &scan.known, place, scan.until)?;
    let mut found = Vec::new();
    for record in &records {
        found.extend(readable(erasable::detail(shared, record, &scan.known), "a record")?.flatten());
    }
    let next = next.filter(|next| !matches!(next, ScanPlace::Lines(..)));
    Ok(ScannedRecords { found, next: next.map(|next| next.show()) })
}

/// A page of the kept erasures.
pub(super) fn page(shared: &StoreShared, page: &PageRequest) -> Result<Page<Erasure>, StoreError> {
    let below = match &page.cursor {
        Some(cursor) => cursor.parse().map_err(|_| StoreError::Cursor(cursor.clone()))?,
        None => u64::MAX,
    };
    let limit = page.limit.clamp(1, 1000);
    let found = shared.reader.erasures_below(below, limit)?;
    let is_full = found.len() >= limit;
    let next_cursor = found.last().filter(|_| is_full).map(|(number, _)| number.to_string());
    Ok(Page { items: found.into_iter().filter_map(|(_, erasure)| erasure).collect(), next_cursor })
}

impl Embedded {
    /// One step of erasing: found by a reader, done by the writer.
    pub(super) fn erase(&self, now: Time) -> StoreFuture<'_, ErasureStep> {
        let key = self.digest_key.clone();
        Box::pin(async move {
            let prepared = self.read(move |shared| erasing::prepare(shared, &key, now)).await?;
            let Some(prepared) = prepared else { return Ok(ErasureStep::default()) };
            self.queue(|answer| {
                AloneCommand::Erase(Box::new(ErasingCommand::Step(Box::new(prepared), answer)))
            })
            .await
        })
    }
}
