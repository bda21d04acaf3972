//! What the store counts, for `/metrics`. It is asked at every scrape, and what it does not answer is left out: a
//! number of before, or 0, would say that all is well.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use metrics::with_local_recorder;
use metrics_exporter_prometheus::PrometheusBuilder;
use parking_lot::Mutex;

use crate::clock::Clock;
use crate::dispatch::OUTGOING;
use crate::domain::ids::{DestinationId, SourceId};
use crate::domain::time::Time;
use crate::store::contract::Store;
use crate::store::contract::change::ConversionRef;
use crate::store::contract::error::StoreError;
use crate::store::contract::operator::{RemovedDestinations, SourceTally};
use crate::store::contract::work::Backlog;

/// Every label that ever had a backlog in this process, its destination configured still or not.
pub type LabelsSeen = Arc<Mutex<BTreeSet<String>>>;

/// How long the store is waited for. Who scrapes gives up after ten seconds, and the page has other numbers.
const LONGEST_ANSWER: Duration = Duration::from_secs(2);

/// What each gauge shows.
const GAUGES: [(&str, &str); 10] = [
    ("postbridge_open_dead_letters", "Dead letters that are kept, by destination"),
    ("postbridge_open_quarantine", "Quarantined postbacks that nothing has reprocessed, by source"),
    (
        "postbridge_last_postback_timestamp_seconds",
        "When the latest postback was received, in seconds since 1970, by source",
    ),
    (
        "postbridge_oldest_unsent_seconds",
        "How long ago the oldest conversion was received that waits to be sent, over all destinations",
    ),
    (
        "postbridge_destination_oldest_unsent_seconds",
        "How long ago the oldest conversion was received that waits to be sent, by destination",
    ),
    ("postbridge_held_deliveries", "Deliveries that wait for their click, by destination"),
    ("postbridge_waiting_deliveries", "Deliveries that wait to be sent, by destination"),
    (
        "postbridge_confirming_deliveries",
        "Deliveries that the platform accepted and has not confirmed, by destination",
    ),
    ("postbridge_due_deliveries", "Deliveries that are due now, by destination"),
    (
        "postbridge_oldest_due_age_seconds",
        "How long the oldest due delivery has been due, in seconds, by destination",
    ),
];

/// The store, and of what its numbers are shown.
pub struct StoredNumbers {
    /// Who counts.
    pub store: Arc<dyn Store>,
    /// By which ages are worked out.
    pub clock: Clock,
    /// A destination that has nothing left is shown as 0: what it last had would alarm for ever.
    pub known: LabelsSeen,
    /// Those that are configured.
    pub sources: Vec<SourceId>,
}

impl StoredNumbers {
    /// Prometheus text of all numbers that the store answers. They are its own counts, never scanned.
    pub async fn text(&self) -> String {
        let now = self.clock.now();
        let (queues, tallies) =
            tokio::time::timeout(LONGEST_ANSWER, self.counted(now)).await.unwrap_or_else(|_elapsed| {
                log_left_out(&StoreError::Unavailable { cause: format!("not within {LONGEST_ANSWER:?}") });
                Default::default()
            });
        let recorder = PrometheusBuilder::new().build_recorder();
        with_local_recorder(&recorder, || {
            GAUGES.iter().for_each(|(name, text)| metrics::describe_gauge!(*name, *text));
            tallies.iter().for_each(|(source, tally)| set_source(source, tally));
            queues.into_iter().for_each(|queues| self.set_queues(&queues, now));
        });
        recorder.handle().render()
    }

    /// What waits, and what is counted of each source, as far as the store answers.
    async fn counted(&self, now: Time) -> (Option<BTreeMap<String, Queue>>, Vec<(&SourceId, SourceTally)>) {
        let Some(facts) = self.store.operator_facts().await.inspect_err(log_left_out).ok() else {
            return (None, Vec::new());
        };
        let queues = self.queues(&facts.removed, now).await.inspect_err(log_left_out).ok();
        (queues, self.sources.iter().map(|source| (source, facts.source(source))).collect())
    }

    /// What waits, by label. What waits for a destination that was taken out of the configuration is not late.
    async fn queues(
        &self,
        removed: &RemovedDestinations,
        now: Time,
    ) -> Result<BTreeMap<String, Queue>, StoreError> {
        let mut backlogs = self.store.backlog(now).await?;
        let is_removed = |id: &DestinationId| removed.contains_key(id);
        for backlog in
            backlogs.iter_mut().filter(|backlog| backlog.destination.as_ref().is_some_and(is_removed))
        {
            backlog.oldest_unsent = None;
        }
        let mut queues = BTreeMap::new();
        for (label, backlog) in by_label(backlogs) {
            let unsent_ms = self.unsent_for(&backlog, now).await;
            queues.insert(label, Queue { backlog, unsent_ms });
        }
        Ok(queues)
    }

    /// For how long the oldest conversion waits, in milliseconds.
    async fn unsent_for(&self, backlog: &Backlog, now: Time) -> Option<i64> {
        let Some(oldest) = backlog.oldest_unsent else { return Some(0) };
        match self.store.conversion_now(ConversionRef::Number(oldest)).await {
            Ok(oldest) => Some(oldest.map_or(0, |oldest| now.millis_since(oldest.received_at).max(0))),
            Err(error) => {
                log_left_out(&error);
                None
            }
        }
    }

    fn set_queues(&self, queues: &BTreeMap<String, Queue>, now: Time) {
        let mut known = self.known.lock();
        known.extend(queues.keys().cloned());
        let empty = Queue { backlog: Backlog::default(), unsent_ms: Some(0) };
        for label in known.iter() {
            set_queue(label, queues.get(label).unwrap_or(&empty), now);
        }
        // Of those that could be read, if any could.
        let ages = queues.values().filter_map(|queue| queue.unsent_ms);
        if let Some(oldest) = ages.max().or_else(|| queues.is_empty().then_some(0)) {
            metrics::gauge!("postbridge_oldest_unsent_seconds").set(seconds(oldest));
        }
    }
}

/// What one destination has before it, or all outgoing postbacks.
struct Queue {
    backlog: Backlog,
    /// For how long the oldest conversion waits, in milliseconds; `None` where that cannot be read.
    unsent_ms: Option<i64>,
}

fn log_left_out(error: &StoreError) {
    tracing::error!(%error, "what the store counts cannot be read: /metrics leaves it out");
}

#[allow(clippy::cast_precision_loss)] // Milliseconds far below 2^52.
fn seconds(millis: i64) -> f64 {
    millis as f64 / 1000.0
}

#[allow(clippy::cast_precision_loss)] // A count far below 2^52.
fn set_source(source: &SourceId, tally: &SourceTally) {
    let label = source.to_string();
    metrics::gauge!("postbridge_open_quarantine", "source" => label.clone())
        .set(tally.open_quarantine as f64);
    if let Some(last) = tally.last {
        metrics::gauge!("postbridge_last_postback_timestamp_seconds", "source" => label)
            .set(seconds(last.as_millis()));
    }
}

/// The backlog of each destination; that of all outgoing postbacks together, as they are counted.
fn by_label(backlogs: Vec<Backlog>) -> BTreeMap<String, Backlog> {
    let mut labelled: BTreeMap<String, Backlog> = BTreeMap::new();
    for backlog in backlogs {
        let Some(id) = backlog.destination.as_ref() else { continue };
        let label = if id.outgoing().is_some() { OUTGOING } else { id.as_str() };
        let sum = labelled.entry(label.to_owned()).or_default();
        sum.held += backlog.held;
        sum.waiting += backlog.waiting;
        sum.confirming += backlog.confirming;
        sum.due += backlog.due;
        sum.dead += backlog.dead;
        sum.oldest_unsent = [sum.oldest_unsent, backlog.oldest_unsent].into_iter().flatten().min();
        sum.oldest_due = [sum.oldest_due, backlog.oldest_due].into_iter().flatten().min();
    }
    labelled
}

#[allow(clippy::cast_precision_loss)] // Counts far below 2^52.
fn set_queue(label: &str, Queue { backlog, unsent_ms }: &Queue, now: Time) {
    let destination = label.to_owned();
    let age = backlog.oldest_due.map_or(0, |due| now.millis_since(due).max(0));
    metrics::gauge!("postbridge_held_deliveries", "destination" => destination.clone())
        .set(backlog.held as f64);
    metrics::gauge!("postbridge_waiting_deliveries", "destination" => destination.clone())
        .set(backlog.waiting as f64);
    metrics::gauge!("postbridge_confirming_deliveries", "destination" => destination.clone())
        .set(backlog.confirming as f64);
    metrics::gauge!("postbridge_due_deliveries", "destination" => destination.clone())
        .set(backlog.due as f64);
    metrics::gauge!("postbridge_open_dead_letters", "destination" => destination.clone())
        .set(backlog.dead as f64);
    if let Some(unsent_ms) = unsent_ms {
        metrics::gauge!("postbridge_destination_oldest_unsent_seconds", "destination" => destination.clone())
            .set(seconds(*unsent_ms));
    }
    metrics::gauge!("postbridge_oldest_due_age_seconds", "destination" => destination).set(seconds(age));
}
