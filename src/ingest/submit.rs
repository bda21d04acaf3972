//! The one way a report becomes a write: whatever it turned out to be, it leaves a record, and is durable when this
//! answers.

use crate::clock;
use crate::domain::attribution::FoundClick;
use crate::domain::conversion::Draft;
use crate::domain::ids::{Seq, SourceId};
use crate::domain::postback::{MappingVersion, RawRequest, VerdictName};
use crate::domain::reporter::BuiltInSource;
use crate::domain::time::Time;
use crate::store::contract::Store;
use crate::store::contract::arrival::{Arrival, ArrivalId, Finding, Receipt, Reprocess};
use crate::store::contract::error::StoreError;

/// A report as it was received.
#[derive(Debug, Clone)]
pub struct Received {
    /// `None` where no one knows whose it is.
    pub source: Option<SourceId>,
    /// Secrets are masked.
    pub raw: RawRequest,
    /// When its first byte was taken in.
    pub received_at: Time,
    /// What a configured source's template was when it was read by it.
    pub mapping: Option<MappingVersion>,
}

/// Writes a report with what it turned out to be.
///
/// # Errors
/// Only the store's: whatever was sent is data.
pub async fn submit(store: &dyn Store, received: Received, finding: Finding) -> Result<Receipt, StoreError> {
    store.arrive(arrival(received, finding, None)?).await
}

/// The same for the record `of` that is read again: it keeps the time at which it was received, and what it causes
/// counts from `now`.
///
/// # Errors
/// As [`submit`], before the store is asked.
pub fn resubmission(received: Received, finding: Finding, of: Seq, now: Time) -> Result<Arrival, StoreError> {
    arrival(received, finding, Some(Reprocess { of, now }))
}

/// An arrival of its own.
fn arrival(received: Received, finding: Finding, again: Option<Reprocess>) -> Result<Arrival, StoreError> {
    let Received { source, raw, received_at, mapping } = received;
    // Nothing was written, and its sender asks again.
    let no_id = |error| StoreError::Unavailable { cause: format!("there is no id for it: {error}") };
    let id = clock::distinct().map(ArrivalId::new).map_err(no_id)?;
    Ok(Arrival { id, raw, received_at, source, mapping, finding, again })
}

/// A report that was understood. The click that it names is looked up, next to other requests, so that it is at hand
/// when the commit decides, which goes by the click as it is then.
///
/// # Errors
/// Only the store's.
pub async fn mapped(store: &dyn Store, draft: Draft) -> Result<Finding, StoreError> {
    named_click(store, &draft).await?;
    Ok(Finding::Mapped(Box::new(draft)))
}

/// The click that a report names, as it is now.
///
/// # Errors
/// Only the store's.
pub async fn named_click(store: &dyn Store, draft: &Draft) -> Result<Option<FoundClick>, StoreError> {
    match draft.click_id.as_deref() {
        Some(given) => store.find_click(given).await,
        None => Ok(None),
    }
}

/// Counts the reports of one source by what became of them. There from the start: a counter that first appears
/// with its first count has no earlier value, and a monitor sees no increase.
pub struct ReportCounters(Vec<(VerdictName, metrics::Counter)>);

impl ReportCounters {
    /// Those of the source with this id.
    pub fn of(source: &str) -> ReportCounters {
        let verdicts = VerdictName::ALL.into_iter().filter(|verdict| *verdict != VerdictName::Refused);
        ReportCounters(verdicts.map(|verdict| (verdict, counter(source, verdict))).collect())
    }

    /// Counts a report. What was refused is counted by its reason, where it is refused.
    pub fn count(&self, verdict: VerdictName) {
        if let Some((_, counter)) = self.0.iter().find(|(known, _)| *known == verdict) {
            counter.increment(1);
        }
    }
}

/// Counts a report of a built-in source by what became of it.
pub fn count(source: BuiltInSource, receipt: &Receipt) {
    counter(source.as_str(), receipt.verdict.name()).increment(1);
}

fn counter(source: &str, verdict: VerdictName) -> metrics::Counter {
    let source = source.to_owned();
    metrics::counter!("postbridge_postbacks_total", "source" => source, "verdict" => verdict.as_str())
}
