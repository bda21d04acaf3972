//! One conversion, one postback, a conversion's trace: by id or number.

use std::sync::Arc;

use crate::domain::history::Cause;
use crate::domain::ids::{ConversionId, Seq};
use crate::domain::postback::Postback;
use crate::store::contract::error::StoreError;
use crate::store::contract::lookup::Trace;
use crate::store::records::StoreShared;
use crate::store::table::conversion::Record;
use crate::store::table::day::day;

/// A conversion as it is now, by its id.
pub fn find(shared: &StoreShared, id: &ConversionId) -> Result<Option<(u64, Arc<Record>)>, StoreError> {
    let numbers = shared.index.lock().candidates(id);
    for number in numbers {
        if let Some(record) = record(shared, number)?.filter(|record| record.conversion.id == *id) {
            return Ok(Some((number, record)));
        }
    }
    Ok(None)
}

/// A conversion as it is now, by the number of the postback that made it.
pub fn record(shared: &StoreShared, number: u64) -> Result<Option<Arc<Record>>, StoreError> {
    let day = shared.index.lock().days.of(number);
    day.map_or(Ok(None), |day| shared.records.conversion(day, number))
}

/// A postback, with its raw bytes while they are kept.
pub fn postback(shared: &StoreShared, seq: Seq) -> Result<Option<Postback>, StoreError> {
    shared.reader.check()?;
    let day = shared.index.lock().days.of(seq.get());
    day.map_or(Ok(None), |day| shared.reader.postback(day, seq.get()))
}

/// A conversion end to end.
pub fn trace(shared: &StoreShared, id: ConversionId) -> Result<Option<Trace>, StoreError> {
    shared.reader.check()?;
    let Some((number, record)) = find(shared, &id)? else { return Ok(None) };
    let Record { conversion, standing, .. } = Record::clone(&record);
    let day = shared.index.lock().days.of(number).unwrap_or_else(|| day(conversion.received_at));
    let click = match conversion.attribution.click() {
        Some(click) => shared.records.click_as_answered(click)?,
        None => None,
    };
    let mut deliveries = Vec::new();
    for (delivery, last) in standing.deliveries.into_iter().zip(standing.last_attempts) {
        deliveries.push((delivery, shared.reader.attempts(day, last)?));
    }
    let changes = conversion.history.iter().filter_map(|change| match change.cause {
        Cause::Postback(seq) => Some(seq),
        Cause::Click(_) | Cause::Person { .. } | Cause::Disposition => None,
    });
    let mut postbacks = Vec::new();
    for seq in std::iter::once(conversion.seq).chain(changes) {
        postbacks.extend(postback(shared, seq)?);
    }
    Ok(Some(Trace { conversion, click, deliveries, postbacks }))
}
