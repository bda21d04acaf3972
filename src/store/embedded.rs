//! The store inside the process: readers on their own threads, one writer on its own.

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::{Mutex, RwLock};
use tokio::sync::{Notify, Semaphore, oneshot};

use crate::domain::attribution::{FoundClick, candidates};
use crate::domain::click::Click;
use crate::domain::conversion::Conversion;
use crate::domain::delivery::Delivery;
use crate::domain::delivery_reason::RetryRefused;
use crate::domain::ids::{ClickId, ConversionId, DeliveryId, DestinationId, Seq, SourceId};
use crate::domain::postback::Postback;
use crate::domain::ruleset::Ruleset;
use crate::domain::status_move::StatusMove;
use crate::domain::suppression::{ListSummary, ListedEntry};
use crate::domain::time::Time;
use crate::store::clicks::log;
use crate::store::command::{ReplySender, Retry, StoreCommand, Withdraw};
use crate::store::contract::arrival::{Arrival, ClickArrival, ClickReceipt, ConsentArrival, Receipt};
use crate::store::contract::lookup::{
    ClickFilter, ConversionFilter, DeliveryFilter, ListedDelivery, Page, PageRequest, PostbackFilter,
    ReportPage, ReportQuery, Trace,
};
use crate::store::engine::kv::Kv;
use crate::store::engine::sled::Sled;
use crate::store::leases::{self, Leases};
use crate::store::network::statuses::{StatusCommand, StatusOrder};
use crate::store::network::suppressed::{RemoveList, SuppressionCommand};
use crate::store::network::{lists, report};
use crate::store::open::{OpenError, rebuild};
use crate::store::records::{Records, StoreShared, without_panic};
use crate::store::transactions::{ReusedTransaction, Transactions};
use crate::store::writer::{self, CommandQueue, Watch};
use crate::store::{
    AttemptOutcome, Backlog, ClaimRequest, Claimed, ConversionRef, LeasedWork, PurgeBefore, Purged,
    StatusChanged, Store, StoreError, StoreFuture, SuppressionOrder, read,
};

/// How many lists and traces are read at a time.
const LONG_READS: usize = 2;
/// How many reads of few records may wait for the disk at a time.
const SHORT_READS: usize = 32;
/// How many reads for dispatch may: no delivery waits until strangers' reads are done.
const DISPATCH_READS: usize = 32;

/// How an embedded store is opened.
#[derive(Clone)]
pub struct EmbeddedSettings {
    /// Who hears of every commit.
    pub watch: Option<Watch>,
    /// Bits of the hash by which conversions are looked up. All of them, except in tests of what
    /// happens when two hashes are the same.
    pub dedup_mask: u64,
}

impl Default for EmbeddedSettings {
    fn default() -> EmbeddedSettings {
        EmbeddedSettings { watch: None, dedup_mask: u64::MAX }
    }
}

/// The embedded store. Dropping it finishes what is queued.
///
/// New postbacks, and what they make, are shown once they are durable. A change to a conversion that was
/// there before may be read a moment earlier, while its commit is being synced; should the sync fail, no
/// read is answered any more.
pub struct Embedded {
    pub(in crate::store) shared: Arc<StoreShared>,
    /// Permits to look at many records.
    long_reads: Arc<Semaphore>,
    /// Permits to look at few.
    short_reads: Arc<Semaphore>,
    /// Permits to hand out work and to take it back.
    dispatch_reads: Arc<Semaphore>,
    queue: Arc<CommandQueue>,
    writer: Mutex<Option<JoinHandle<()>>>,
    /// Clicks whose waiting conversions were not all matched when the last process ended: they are
    /// matched once there are rules to go by.
    left: Mutex<Vec<ClickId>>,
}

impl Embedded {
    /// Opens the data folder, or begins one (mode 0700).
    pub fn open_sled(path: &Path) -> Result<Embedded, OpenError> {
        Embedded::open_sled_with(path, EmbeddedSettings::default())
    }

    /// As [`Embedded::open_sled`].
    pub fn open_sled_with(path: &Path, settings: EmbeddedSettings) -> Result<Embedded, OpenError> {
        Embedded::open_with(Arc::new(Sled::open(path)?), settings)
    }

    /// Opens what `kv` holds.
    pub fn open(kv: Arc<dyn Kv>) -> Result<Embedded, OpenError> {
        Embedded::open_with(kv, EmbeddedSettings::default())
    }

    /// As [`Embedded::open`].
    pub fn open_with(kv: Arc<dyn Kv>, settings: EmbeddedSettings) -> Result<Embedded, OpenError> {
        let records = Records::new(kv);
        let opened = rebuild(&records, settings.dedup_mask)?;
        let rules = RwLock::new(Arc::new(Ruleset::default()));
        let lately = Mutex::new(opened.lately);
        let (index, quarantine_lines) = (Mutex::new(opened.index), Arc::default());
        let shared = Arc::new(StoreShared { records, index, rules, lately, quarantine_lines });
        let queue = Arc::new(CommandQueue::default());
        let writer = writer::start(Arc::clone(&shared), Arc::clone(&queue), opened.numbers, settings.watch)
            .map_err(|error| OpenError::Thread(error.to_string()))?;
        let long_reads = Arc::new(Semaphore::new(LONG_READS));
        Ok(Embedded {
            shared,
            long_reads,
            short_reads: Arc::new(Semaphore::new(SHORT_READS)),
            dispatch_reads: Arc::new(Semaphore::new(DISPATCH_READS)),
            queue,
            writer: Mutex::new(Some(writer)),
            left: Mutex::new(opened.matching),
        })
    }

    /// A read of many records.
    fn read_many<T: Send + 'static>(
        &self,
        read: impl FnOnce(&StoreShared) -> Result<T, StoreError> + Send + 'static,
    ) -> StoreFuture<'_, T> {
        self.read_by(&self.long_reads, move |shared| read(shared))
    }

    /// A read of few records, next to the long ones.
    fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Arc<StoreShared>) -> Result<T, StoreError> + Send + 'static,
    ) -> StoreFuture<'_, T> {
        self.read_by(&self.short_reads, read)
    }

    /// A read on a thread where waiting for the disk holds up no one. Anyone who no longer wants its answer does not
    /// free its permit before it has ended.
    fn read_by<'a, T: Send + 'static>(
        &'a self,
        permits: &'a Arc<Semaphore>,
        read: impl FnOnce(&Arc<StoreShared>) -> Result<T, StoreError> + Send + 'static,
    ) -> StoreFuture<'a, T> {
        Box::pin(async move {
            let permit = Arc::clone(permits).acquire_owned().await;
            let permit = permit.map_err(|_| StoreError::Closed)?;
            let shared = Arc::clone(&self.shared);
            let reading = tokio::task::spawn_blocking(move || {
                let done = without_panic(|| read(&shared));
                drop(permit);
                done
            });
            reading.await.unwrap_or(Err(StoreError::Closed))
        })
    }

    /// Queues a command now, so that it happens even when no one waits for the answer.
    pub(in crate::store) fn write<T: Send + 'static>(
        &self,
        command: impl FnOnce(ReplySender<T>) -> StoreCommand,
    ) -> StoreFuture<'_, T> {
        let (answer, done) = oneshot::channel();
        self.queue.push(command(answer));
        Box::pin(async move { done.await.unwrap_or(Err(StoreError::Closed)) })
    }

    fn join(&self) {
        if let Some(writer) = self.writer.lock().take() {
            ended(writer);
        }
    }
}

/// Waits for the writer's end. One that panicked has refused its commands by dropping them.
fn ended(writer: JoinHandle<()>) {
    if writer.join().is_err() {
        tracing::error!("the store's writer ended by a panic");
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.queue.close();
        self.join();
    }
}

/// An answer that is in memory.
fn now<'a, T: Send + 'a>(done: Result<T, StoreError>) -> StoreFuture<'a, T> {
    Box::pin(std::future::ready(done))
}

impl Transactions for Embedded {
    fn reused_transactions(&self, source: SourceId, limit: usize) -> StoreFuture<'_, Vec<ReusedTransaction>> {
        self.read_many(move |shared| read::reused_transactions(shared, &source, limit))
    }

    fn reversals_ready(&self, limit: usize) -> Vec<Seq> {
        let taken = self.shared.index.lock().reversals.take(limit);
        taken.into_iter().filter_map(Seq::new).collect()
    }

    fn reversals_bell(&self) -> Arc<Notify> {
        self.shared.index.lock().reversals.bell()
    }
}

impl Store for Embedded {
    fn set_rules(&self, rules: Arc<Ruleset>) {
        let rule = rules.filters.duplicate;
        let before = std::mem::replace(&mut *self.shared.rules.write(), rules);
        if before.filters.duplicate != rule {
            self.queue.push(StoreCommand::Recall);
        }
        for click in self.left.lock().drain(..) {
            self.queue.push(StoreCommand::Match { click, after: 0 });
        }
    }

    fn arrive(&self, arrival: Arrival) -> StoreFuture<'_, Receipt> {
        self.write(|answer| StoreCommand::Arrive(Box::new(arrival), answer))
    }

    fn record_click(&self, arrival: ClickArrival) -> StoreFuture<'_, ClickReceipt> {
        self.write(|answer| StoreCommand::Click(Box::new(arrival), answer))
    }

    fn record_consent(&self, arrival: ConsentArrival) -> StoreFuture<'_, ()> {
        self.write(|answer| StoreCommand::Consent(Box::new(arrival), answer))
    }

    fn click(&self, id: &ClickId) -> StoreFuture<'_, Option<Arc<Click>>> {
        let id = id.clone();
        self.read(move |shared| shared.records.click_as_answered(&id))
    }

    fn find_click(&self, given: &str) -> StoreFuture<'_, Option<FoundClick>> {
        let candidates = candidates(given);
        let Some((id, reading)) = candidates.first() else { return now(Ok(None)) };
        // Most clicks that are named were recorded lately: no thread need wait for the disk.
        if let Some(click) = self.shared.records.click_at_hand(id) {
            let found = FoundClick { click, reading: *reading };
            return now(self.shared.records.check().map(|()| Some(found)));
        }
        self.read(move |shared| {
            for (id, reading) in candidates {
                if let Some(click) = shared.records.click(&id)? {
                    return Ok(Some(FoundClick { click, reading }));
                }
            }
            Ok(None)
        })
    }

    fn clicks(&self, filter: ClickFilter, page: PageRequest) -> StoreFuture<'_, Page<Arc<Click>>> {
        self.read_many(move |shared| log::clicks(shared, &filter, &page))
    }

    fn dispose(&self, now: Time, limit: usize) -> StoreFuture<'_, u64> {
        self.write(|answer| StoreCommand::Status(StatusCommand::Dispose { now, limit, answer }))
    }

    fn set_status(
        &self,
        which: ConversionRef,
        wanted: StatusMove,
        now: Time,
    ) -> StoreFuture<'_, StatusChanged> {
        let order = StatusOrder { which, wanted, now };
        self.write(|answer| StoreCommand::Status(StatusCommand::Set(order, answer)))
    }

    fn suppress(&self, order: SuppressionOrder) -> StoreFuture<'_, Vec<bool>> {
        self.write(|answer| StoreCommand::Suppression(SuppressionCommand::Add(order, answer)))
    }

    fn unsuppress(&self, order: SuppressionOrder) -> StoreFuture<'_, Vec<bool>> {
        self.write(|answer| StoreCommand::Suppression(SuppressionCommand::TakeOff(order, answer)))
    }

    fn remove_list(&self, list: String) -> StoreFuture<'_, u64> {
        let remove = RemoveList { list, done: 0 };
        self.write(|answer| StoreCommand::Suppression(SuppressionCommand::Remove(remove, answer)))
    }

    fn lists(&self) -> StoreFuture<'_, Vec<ListSummary>> {
        let lists = Arc::clone(&self.shared.index.lock().lists);
        now(self.shared.records.check().map(|()| lists.summaries()))
    }

    fn listed(&self, list: String, page: PageRequest) -> StoreFuture<'_, Page<ListedEntry>> {
        self.read_many(move |shared| lists::listed(shared, &list, &page))
    }

    fn keep_text(&self, name: String, text: String) -> StoreFuture<'_, ()> {
        self.write(|answer| StoreCommand::Keep { name, text, answer })
    }

    fn kept_text(&self, name: String) -> StoreFuture<'_, Option<String>> {
        self.read(move |shared| shared.records.text(&name))
    }

    fn conversion_now(&self, which: ConversionRef) -> StoreFuture<'_, Option<Conversion>> {
        self.read(move |shared| {
            let record = match which {
                ConversionRef::Id(id) => read::find(shared, &id)?.map(|(_, record)| record),
                ConversionRef::Number(seq) => read::record(shared, seq.get())?,
            };
            Ok(record.map(|record| record.conversion))
        })
    }

    fn report(&self, query: ReportQuery) -> StoreFuture<'_, ReportPage> {
        self.read_many(move |shared| report::report(shared, &query))
    }

    fn claim(&self, request: ClaimRequest) -> StoreFuture<'_, LeasedWork> {
        let (leases, claim) = match Leases::due(&self.shared, request) {
            Ok((leases, claim)) if leases.is_empty() => return now(Ok(claim)),
            Ok(leased) => leased,
            Err(error) => return now(Err(error)),
        };
        let reading = self.read_by(&self.dispatch_reads, move |_| leases.work().map(|work| (leases, work)));
        Box::pin(async move {
            let (leases, work) = reading.await?;
            leases.hand_over();
            Ok(LeasedWork { work, ..claim })
        })
    }

    fn claim_oldest(&self, destination: DestinationId) -> StoreFuture<'_, Option<Claimed>> {
        let reading =
            self.read_by(&self.dispatch_reads, move |shared| leases::claim_oldest(shared, &destination));
        Box::pin(async move {
            Ok(reading.await?.map(|(leases, claimed)| {
                leases.hand_over();
                claimed
            }))
        })
    }

    fn record(&self, outcome: AttemptOutcome) -> StoreFuture<'_, ()> {
        self.write(|answer| StoreCommand::Record(Box::new(outcome), answer))
    }

    fn release(&self, ids: Vec<DeliveryId>) -> StoreFuture<'_, ()> {
        self.read_by(&self.dispatch_reads, move |shared| leases::release(shared, &ids))
    }

    fn wakeup(&self, destination: &DestinationId) -> Arc<Notify> {
        self.shared.index.lock().notify(destination)
    }

    fn retry(
        &self,
        id: DeliveryId,
        now: Time,
        oldest_event: Option<Time>,
    ) -> StoreFuture<'_, Result<Delivery, RetryRefused>> {
        self.write(|answer| StoreCommand::Retry(Retry { id, now, oldest_event }, answer))
    }

    fn withdraw(&self, destination: DestinationId, now: Time) -> StoreFuture<'_, u64> {
        let withdraw = Withdraw { destination, now, done: 0 };
        self.write(|answer| StoreCommand::Withdraw(withdraw, answer))
    }

    fn expire_holds(&self, now: Time, limit: usize) -> StoreFuture<'_, u64> {
        self.write(|answer| StoreCommand::Expire { now, limit, answer })
    }

    fn purge(&self, before: PurgeBefore) -> StoreFuture<'_, Purged> {
        self.write(|answer| StoreCommand::Purge(before, answer))
    }

    fn conversion(&self, id: ConversionId) -> StoreFuture<'_, Option<Trace>> {
        self.read_many(move |shared| read::trace(shared, id))
    }

    fn conversions(
        &self,
        filter: ConversionFilter,
        page: PageRequest,
    ) -> StoreFuture<'_, Page<(Conversion, Vec<Delivery>)>> {
        self.read_many(move |shared| read::conversions(shared, &filter, &page))
    }

    fn postback(&self, seq: Seq) -> StoreFuture<'_, Option<Postback>> {
        self.read(move |shared| read::postback(shared, seq))
    }

    fn postbacks(&self, filter: PostbackFilter, page: PageRequest) -> StoreFuture<'_, Page<Postback>> {
        self.read_many(move |shared| read::postbacks(shared, &filter, &page))
    }

    fn deliveries(&self, filter: DeliveryFilter, page: PageRequest) -> StoreFuture<'_, Page<ListedDelivery>> {
        self.read_many(move |shared| read::deliveries(shared, &filter, &page))
    }

    fn backlog(&self, now: Time) -> Vec<Backlog> {
        self.shared.index.lock().backlog(now)
    }

    fn probe(&self) -> StoreFuture<'_, ()> {
        self.write(StoreCommand::Probe)
    }

    fn close(&self) -> StoreFuture<'_, ()> {
        let closed = self.write(StoreCommand::Close);
        Box::pin(async move {
            let done = closed.await;
            // Long commands may be left, each step a commit: anyone who closes can still be asked to
            // stop at once.
            let writer = self.writer.lock().take();
            if let Some(writer) = writer {
                let joined = tokio::task::spawn_blocking(move || ended(writer)).await;
                if joined.is_err() {
                    tracing::error!("no one could wait for the store's writer");
                }
            }
            done
        })
    }
}
