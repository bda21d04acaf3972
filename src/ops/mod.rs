//! What a person or an API caller can do: retry, reprocess, change a status or lists, confirm the clock. No HTTP here: what is
//! refused is a typed error.

pub mod erasure;
pub mod erasure_work;
pub mod missing;
pub mod numbers;
pub mod status;
pub mod store_work;
pub mod suppression;
pub mod test_event;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::clock::Clock;
use crate::dispatch::tried;
use crate::domain::delivery::Delivery;
use crate::domain::delivery_reason::RetryRefused;
use crate::domain::destination_state::DestinationState;
use crate::domain::expiry::AgeRule;
use crate::domain::ids::{DeliveryId, DestinationId, Seq, SourceId};
use crate::domain::reprocess_refusal::ReprocessRefused;
use crate::domain::ruleset::Ruleset;
use crate::domain::time::Time;
use crate::domain::unsent::UnsentContext;
use crate::ingest::postback::{self, Network, ReprocessError};
use crate::ingest::reopen::{self, ReportTerms};
use crate::ops::erasure_work::ErasureWork;
use crate::ops::numbers::StoreNumbers;
use crate::ops::store_work::StoreWork;
use crate::ops::test_event::SendTestEvent;
use crate::store::contract::Store;
use crate::store::contract::arrival::Receipt;
use crate::store::contract::error::StoreError;
use crate::store::contract::work::Backlog;
use crate::template::destination::ready::ReadyDestination;

/// What these functions work with, as configured now.
#[derive(Clone)]
pub struct Ops {
    /// Where every change is made; these functions keep nothing themselves.
    pub store: Arc<dyn Store>,
    /// What "due now" and "too old" go by.
    pub clock: Clock,
    /// The configured networks, by source id.
    pub networks: Arc<HashMap<SourceId, Network>>,
    /// What advertisers' reports are read by.
    pub reports: ReportTerms,
    /// The numbers by which advertisers know their conversions.
    pub numbers: StoreNumbers,
    /// The configured destinations, outgoing postbacks too.
    pub destinations: Arc<Vec<Arc<ReadyDestination>>>,
    /// How each of them is doing now.
    pub workers: Arc<dyn Fn() -> Vec<DestinationState> + Send + Sync>,
    /// By what a test event is sent to one of them.
    pub send_test: SendTestEvent,
    /// What decisions go by.
    pub rules: Arc<Ruleset>,
    /// Backups and verifications.
    pub store_work: StoreWork,
    /// Looking for what would be erased.
    pub erasure_work: ErasureWork,
    /// How long what waits for a destination is kept that is not configured any more.
    pub keep_removed_hours: u32,
}

/// What the reasons depend on for which something is not sent.
///
/// # Errors
/// Only the store's.
pub async fn circumstances(ops: &Ops) -> Result<UnsentContext, StoreError> {
    let now = ops.clock.now();
    let sends = |id: &DestinationId| {
        ops.destinations.iter().any(|destination| destination.id() == id && destination.mode().sends())
    };
    let in_force = |worker: DestinationState| DestinationState {
        hold: worker.hold.filter(|_| sends(&worker.destination)),
        open_until: worker.open_until.filter(|until| *until > now),
        ..worker
    };
    Ok(UnsentContext {
        rules: Arc::clone(&ops.rules),
        removed: removed(ops).await?,
        workers: Arc::new((ops.workers)().into_iter().map(in_force).collect()),
    })
}

/// The destinations that are not configured any more, and until when each can be put back.
///
/// # Errors
/// Only the store's.
pub async fn removed(ops: &Ops) -> Result<BTreeMap<DestinationId, Time>, StoreError> {
    let until = |since: Time| since.plus_hours(i64::from(ops.keep_removed_hours));
    Ok(ops.store.operator_facts().await?.removed.into_iter().map(|(id, since)| (id, until(since))).collect())
}

/// How every destination was doing at one moment.
pub struct DestinationHealth {
    /// The clock's time when the workers were asked: what is due is counted by it.
    pub at: Time,
    workers: Vec<DestinationState>,
}

impl DestinationHealth {
    /// As it is now.
    pub fn now(ops: &Ops) -> DestinationHealth {
        DestinationHealth { at: ops.clock.now(), workers: (ops.workers)() }
    }

    /// With what is remembered of before the start, of these destinations: whether anything was ever sent to them.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn with_tried(
        mut self,
        ops: &Ops,
        shown: impl Fn(&DestinationId) -> bool,
    ) -> Result<DestinationHealth, StoreError> {
        let is_asked = |worker: &&mut DestinationState| !worker.is_tried && shown(&worker.destination);
        for worker in self.workers.iter_mut().filter(is_asked) {
            worker.is_tried = tried::was_sent_to(ops.store.as_ref(), &worker.destination).await?;
        }
        Ok(self)
    }

    /// `None` where nothing is sent to the destination: it is not configured, or was just added.
    pub fn worker(&self, id: &DestinationId) -> Option<&DestinationState> {
        self.workers.iter().find(|worker| worker.destination == *id)
    }
}

/// How much waits for each destination, also for those that are not configured any more. Read only where it is
/// shown: it visits every busy destination under the lock that the writer needs.
pub struct DestinationBacklogs(pub Vec<Backlog>);

impl DestinationBacklogs {
    /// As they were at the time of `health`.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn at(ops: &Ops, health: &DestinationHealth) -> Result<DestinationBacklogs, StoreError> {
        ops.store.backlog(health.at).await.map(DestinationBacklogs)
    }

    /// `None` where the destination has nothing unfinished and no dead letters.
    pub fn queue(&self, id: &DestinationId) -> Option<&Backlog> {
        self.0.iter().find(|queue| queue.destination.as_ref() == Some(id))
    }
}

/// Why a delivery is not sent again.
#[derive(Debug)]
pub enum RetryError {
    /// It must not be sent again, or no one would send it; says why and what to do.
    Refused(RetryRefused),
    /// The store could not be read or written.
    Store(StoreError),
}

/// Makes a delivery that gave up, was skipped or waits due now. Answers it as it is then.
///
/// # Errors
/// A delivery that no one would send or that must not be sent again; the store's failure.
pub async fn retry(ops: &Ops, id: DeliveryId) -> Result<Delivery, RetryError> {
    if !ops.destinations.iter().any(|destination| *destination.id() == id.destination) {
        return Err(RetryError::Refused(RetryRefused::NotConfigured(id.destination)));
    }
    let now = ops.clock.now();
    let age = AgeRule::by(ops.clock.believes(now));
    ops.store.retry(id, now, age).await.map_err(RetryError::Store)?.map_err(RetryError::Refused)
}

/// Maps a quarantined postback again with the current template, or reads a report again whose route was closed.
///
/// # Errors
/// When there is nothing to reprocess, or the store fails.
pub async fn reprocess(ops: &Ops, seq: Seq) -> Result<Receipt, ReprocessError> {
    let network = |source: &SourceId| ops.networks.get(source).cloned();
    let (store, now) = (ops.store.as_ref(), ops.clock.now());
    match postback::again(store, network, seq, now).await {
        Err(ReprocessError::Refused(ReprocessRefused::SenderInformed(_))) => {
            reopen::again(store, &ops.reports, seq, now).await
        }
        outcome => outcome,
    }
}

/// The holder of the token named `actor` says that the clock is right: retention goes on by it.
pub fn confirm_clock(clock: &Clock, actor: &str) {
    if let Some(doubt) = clock.confirm() {
        let now = clock.now();
        tracing::warn!(
            token = actor, %now, believed = %doubt.believed,
            "the clock was confirmed: retention goes on by it"
        );
    }
}
