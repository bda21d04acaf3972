//! The store inside the process: readers on their own threads, one writer on its own.

use std::panic::resume_unwind;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::{Mutex, RwLock};
use tokio::sync::{Notify, Semaphore, oneshot};

use crate::domain::attribution::{FoundClick, candidates};
use crate::domain::click::Click;
use crate::domain::conversion::Conversion;
use crate::domain::delivery::{self, Delivery, DeliveryState, RetryRefused};
use crate::domain::ids::{ClickId, ConversionId, DeliveryId, DestinationId, Seq, SourceId};
use crate::domain::postback::Postback;
use crate::domain::ruleset::Ruleset;
use crate::domain::status_move::StatusMove;
use crate::domain::suppression::{ListSummary, ListedEntry};
use crate::domain::time::Time;
use crate::store::clicks::log;
use crate::store::command::{Answer, Command, Retry, Withdraw};
use crate::store::consent::ConsentArrival;
use crate::store::group::Shared;
use crate::store::kv::Kv;
use crate::store::network::statuses::{StatusCommand, StatusOrder};
use crate::store::network::suppressed::{RemoveList, SuppressionCommand};
use crate::store::network::{lists, report};
use crate::store::open::{OpenError, rebuild};
use crate::store::queues::Slot;
use crate::store::report::{ReportPage, ReportQuery};
use crate::store::shelf::Shelf;
use crate::store::sled::Sled;
use crate::store::transactions::{ReusedTransaction, Transactions};
use crate::store::writer::{self, Queue, Watch};
use crate::store::{
    Arrival, Backlog, Claim, ClaimRequest, Claimed, ClickArrival, ClickFilter, ClickReceipt,
    ConversionFilter, ConversionRef, DeliveryFilter, Later, ListedDelivery, Outcome, Page, PageRequest,
    PostbackFilter, PurgeBefore, Purged, Receipt, StatusChanged, Store, StoreError, SuppressionOrder, Trace,
    read,
};

/// How many lists and traces are read at a time.
const LONG_READS: usize = 2;

/// How an embedded store is opened.
#[derive(Clone)]
pub struct Settings {
    /// Who hears of every commit.
    pub watch: Option<Watch>,
    /// Bits of the hash by which conversions are looked up. All of them, except in tests of what
    /// happens when two hashes are the same.
    pub dedup_mask: u64,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { watch: None, dedup_mask: u64::MAX }
    }
}

/// The embedded store. Dropping it finishes what is queued.
///
/// New postbacks, and what they make, are shown once they are durable. A change to a conversion that was
/// there before may be read a moment earlier, while its commit is being synced; should the sync fail, no
/// read is answered any more.
pub struct Embedded {
    pub(in crate::store) shared: Arc<Shared>,
    /// Permits to look at many records.
    long_reads: Arc<Semaphore>,
    queue: Arc<Queue>,
    writer: Mutex<Option<JoinHandle<()>>>,
    /// Clicks whose waiting conversions were not all matched when the last process ended: they are
    /// matched once there are rules to go by.
    left: Mutex<Vec<ClickId>>,
}

impl Embedded {
    /// Opens the data folder, or begins one (mode 0700).
    pub fn open_sled(path: &Path) -> Result<Embedded, OpenError> {
        Embedded::open_sled_with(path, Settings::default())
    }

    /// As [`Embedded::open_sled`].
    pub fn open_sled_with(path: &Path, settings: Settings) -> Result<Embedded, OpenError> {
        Embedded::open_with(Arc::new(Sled::open(path)?), settings)
    }

    /// Opens what `kv` holds.
    pub fn open(kv: Arc<dyn Kv>) -> Result<Embedded, OpenError> {
        Embedded::open_with(kv, Settings::default())
    }

    /// As [`Embedded::open`].
    pub fn open_with(kv: Arc<dyn Kv>, settings: Settings) -> Result<Embedded, OpenError> {
        let shelf = Shelf::new(kv);
        let opened = rebuild(&shelf, settings.dedup_mask)?;
        let rules = RwLock::new(Arc::new(Ruleset::default()));
        let lately = Mutex::new(opened.lately);
        let (index, quarantine_lines) = (Mutex::new(opened.index), Arc::default());
        let shared = Arc::new(Shared { shelf, index, rules, lately, quarantine_lines });
        let queue = Arc::new(Queue::default());
        let writer = writer::start(Arc::clone(&shared), Arc::clone(&queue), opened.numbers, settings.watch)
            .map_err(|error| OpenError::Thread(error.to_string()))?;
        let long_reads = Arc::new(Semaphore::new(LONG_READS));
        Ok(Embedded {
            shared,
            long_reads,
            queue,
            writer: Mutex::new(Some(writer)),
            left: Mutex::new(opened.matching),
        })
    }

    /// A read of many records, on a thread where waiting for the disk holds up no one. Anyone who no longer
    /// wants its answer does not free its permit before it has ended.
    fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Shared) -> Result<T, StoreError> + Send + 'static,
    ) -> Later<'_, T> {
        Box::pin(async move {
            let permit = Arc::clone(&self.long_reads).acquire_owned().await;
            let permit = permit.map_err(|_| StoreError::Closed)?;
            let shared = Arc::clone(&self.shared);
            let reading = tokio::task::spawn_blocking(move || {
                let done = read(&shared);
                drop(permit);
                done
            });
            reading.await.unwrap_or_else(|ended| match ended.try_into_panic() {
                Ok(panic) => resume_unwind(panic),
                Err(_) => Err(StoreError::Closed),
            })
        })
    }

    /// Queues a command now, so that it happens even when no one waits for the answer.
    pub(in crate::store) fn write<T: Send + 'static>(
        &self,
        command: impl FnOnce(Answer<T>) -> Command,
    ) -> Later<'_, T> {
        let (answer, done) = oneshot::channel();
        self.queue.push(command(answer));
        Box::pin(async move { done.await.unwrap_or(Err(StoreError::Closed)) })
    }

    /// The work behind leased slots. What has changed under the lease is left out; so is a record that
    /// cannot be read, which stays leased until the next start and is in no one's way.
    fn work(&self, slots: Vec<Slot>) -> Result<Vec<Claimed>, StoreError> {
        let mut work = Vec::with_capacity(slots.len());
        for slot in slots {
            match self.claimed(slot) {
                Ok(claimed) => work.extend(claimed),
                Err(error @ StoreError::Corrupt { .. }) => {
                    tracing::error!(postback = slot.seq(), %error, "a delivery cannot be read and is left out");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(work)
    }

    fn claimed(&self, slot: Slot) -> Result<Option<Claimed>, StoreError> {
        let Some(record) = read::record(&self.shared, slot.seq())? else { return Ok(None) };
        let deliveries = &record.standing.deliveries;
        let delivery = deliveries.get(slot.place()).cloned();
        let waits = |delivery: &Delivery| matches!(delivery.state, DeliveryState::Waiting { .. });
        let Some(delivery) = delivery.filter(waits) else { return Ok(None) };
        let click = match record.conversion.attribution.click() {
            Some(click) => self.shared.shelf.click_as_answered(click)?,
            None => None,
        };
        let (id, sent_before) =
            (delivery.id(record.conversion.id), delivery::sent_before(deliveries, &delivery));
        Ok(Some(Claimed { id, conversion: record.conversion, delivery, click, sent_before }))
    }

    fn claim_now(&self, request: &ClaimRequest) -> Result<Claim, StoreError> {
        self.shared.shelf.check()?;
        let ClaimRequest { destination, now, fresh, retries, due_from } = request;
        let due = (*due_from, *now);
        let mut index = self.shared.index.lock();
        let queues = index.queues(destination);
        let mut slots = queues.lease_due(due, *fresh, true);
        slots.extend(queues.lease_due(due, *retries, false));
        let next_due = queues.next_due(*now);
        drop(index);
        let work = self.work(slots.clone()).inspect_err(|_| self.unlease(destination, &slots))?;
        Ok(Claim { work, next_due })
    }

    fn claim_oldest_now(&self, destination: &DestinationId) -> Result<Option<Claimed>, StoreError> {
        self.shared.shelf.check()?;
        let oldest = || self.shared.index.lock().queues(destination).lease_oldest();
        // One that cannot be read stays leased, so the next round sees the next oldest.
        while let Some(slot) = oldest() {
            let work = self.work(vec![slot]).inspect_err(|_| self.unlease(destination, &[slot]))?;
            if let Some(claimed) = work.into_iter().next() {
                return Ok(Some(claimed));
            }
        }
        Ok(None)
    }

    fn unlease(&self, destination: &DestinationId, slots: &[Slot]) {
        let mut index = self.shared.index.lock();
        let queues = index.queues(destination);
        slots.iter().for_each(|slot| queues.release(*slot));
    }

    fn release_now(&self, ids: &[DeliveryId]) -> Result<(), StoreError> {
        for id in ids {
            let found = match read::find(&self.shared, &id.conversion) {
                Err(error @ StoreError::Corrupt { .. }) => {
                    tracing::error!(delivery.id = %id, %error, "a lease cannot be given back and stays");
                    continue;
                }
                found => found?,
            };
            let Some((number, record)) = found else { continue };
            let is_it = |delivery: &Delivery| {
                delivery.destination == id.destination && delivery.occasion == id.occasion
            };
            let place = record.standing.deliveries.iter().position(is_it);
            let slot = place.and_then(|place| Slot::new(number, place));
            self.unlease(&id.destination, slot.as_slice());
        }
        Ok(())
    }

    fn find_click_now(&self, given: &str) -> Result<Option<FoundClick>, StoreError> {
        for (id, reading) in candidates(given) {
            if let Some(click) = self.shared.shelf.click(&id)? {
                return Ok(Some(FoundClick { click, reading }));
            }
        }
        Ok(None)
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

/// A read of one record, or of none, done at once.
fn now<'a, T: Send + 'a>(done: Result<T, StoreError>) -> Later<'a, T> {
    Box::pin(std::future::ready(done))
}

impl Transactions for Embedded {
    fn reused_transactions(&self, source: SourceId, limit: usize) -> Later<'_, Vec<ReusedTransaction>> {
        self.read(move |shared| read::reused_transactions(shared, &source, limit))
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
            self.queue.push(Command::Recall);
        }
        for click in self.left.lock().drain(..) {
            self.queue.push(Command::Match { click, after: 0 });
        }
    }

    fn arrive(&self, arrival: Arrival) -> Later<'_, Receipt> {
        self.write(|answer| Command::Arrive(Box::new(arrival), answer))
    }

    fn record_click(&self, arrival: ClickArrival) -> Later<'_, ClickReceipt> {
        self.write(|answer| Command::Click(Box::new(arrival), answer))
    }

    fn record_consent(&self, arrival: ConsentArrival) -> Later<'_, ()> {
        self.write(|answer| Command::Consent(Box::new(arrival), answer))
    }

    fn click(&self, id: &ClickId) -> Later<'_, Option<Arc<Click>>> {
        now(self.shared.shelf.click_as_answered(id))
    }

    fn find_click(&self, given: &str) -> Later<'_, Option<FoundClick>> {
        now(self.find_click_now(given))
    }

    fn clicks(&self, filter: ClickFilter, page: PageRequest) -> Later<'_, Page<Arc<Click>>> {
        self.read(move |shared| log::clicks(shared, &filter, &page))
    }

    fn dispose(&self, now: Time, limit: usize) -> Later<'_, u64> {
        self.write(|answer| Command::Status(StatusCommand::Dispose { now, limit, answer }))
    }

    fn set_status(&self, which: ConversionRef, wanted: StatusMove, now: Time) -> Later<'_, StatusChanged> {
        let order = StatusOrder { which, wanted, now };
        self.write(|answer| Command::Status(StatusCommand::Set(order, answer)))
    }

    fn suppress(&self, order: SuppressionOrder) -> Later<'_, Vec<bool>> {
        self.write(|answer| Command::Suppression(SuppressionCommand::Add(order, answer)))
    }

    fn unsuppress(&self, order: SuppressionOrder) -> Later<'_, Vec<bool>> {
        self.write(|answer| Command::Suppression(SuppressionCommand::TakeOff(order, answer)))
    }

    fn remove_list(&self, list: String) -> Later<'_, u64> {
        let remove = RemoveList { list, done: 0 };
        self.write(|answer| Command::Suppression(SuppressionCommand::Remove(remove, answer)))
    }

    fn lists(&self) -> Later<'_, Vec<ListSummary>> {
        let lists = Arc::clone(&self.shared.index.lock().lists);
        now(self.shared.shelf.check().map(|()| lists.summaries()))
    }

    fn listed(&self, list: String, page: PageRequest) -> Later<'_, Page<ListedEntry>> {
        self.read(move |shared| lists::listed(shared, &list, &page))
    }

    fn keep_text(&self, name: String, text: String) -> Later<'_, ()> {
        self.write(|answer| Command::Keep { name, text, answer })
    }

    fn kept_text(&self, name: String) -> Later<'_, Option<String>> {
        now(self.shared.shelf.text(&name))
    }

    fn conversion_now(&self, which: ConversionRef) -> Later<'_, Option<Conversion>> {
        let found = match which {
            ConversionRef::Id(id) => {
                read::find(&self.shared, &id).map(|found| found.map(|(_, record)| record))
            }
            ConversionRef::Number(seq) => read::record(&self.shared, seq.get()),
        };
        now(found.map(|record| record.map(|record| record.conversion)))
    }

    fn report(&self, query: ReportQuery) -> Later<'_, ReportPage> {
        self.read(move |shared| report::report(shared, &query))
    }

    fn claim(&self, request: ClaimRequest) -> Later<'_, Claim> {
        now(self.claim_now(&request))
    }

    fn claim_oldest(&self, destination: DestinationId) -> Later<'_, Option<Claimed>> {
        now(self.claim_oldest_now(&destination))
    }

    fn record(&self, outcome: Outcome) -> Later<'_, ()> {
        self.write(|answer| Command::Record(Box::new(outcome), answer))
    }

    fn release(&self, ids: Vec<DeliveryId>) -> Later<'_, ()> {
        now(self.release_now(&ids))
    }

    fn wakeup(&self, destination: &DestinationId) -> Arc<Notify> {
        self.shared.index.lock().notify(destination)
    }

    fn retry(
        &self,
        id: DeliveryId,
        now: Time,
        oldest_event: Option<Time>,
    ) -> Later<'_, Result<Delivery, RetryRefused>> {
        self.write(|answer| Command::Retry(Retry { id, now, oldest_event }, answer))
    }

    fn withdraw(&self, destination: DestinationId, now: Time) -> Later<'_, u64> {
        let withdraw = Withdraw { destination, now, done: 0 };
        self.write(|answer| Command::Withdraw(withdraw, answer))
    }

    fn expire_holds(&self, now: Time, limit: usize) -> Later<'_, u64> {
        self.write(|answer| Command::Expire { now, limit, answer })
    }

    fn purge(&self, before: PurgeBefore) -> Later<'_, Purged> {
        self.write(|answer| Command::Purge(before, answer))
    }

    fn conversion(&self, id: ConversionId) -> Later<'_, Option<Trace>> {
        self.read(move |shared| read::trace(shared, id))
    }

    fn conversions(
        &self,
        filter: ConversionFilter,
        page: PageRequest,
    ) -> Later<'_, Page<(Conversion, Vec<Delivery>)>> {
        self.read(move |shared| read::conversions(shared, &filter, &page))
    }

    fn postback(&self, seq: Seq) -> Later<'_, Option<Postback>> {
        now(read::postback(&self.shared, seq))
    }

    fn postbacks(&self, filter: PostbackFilter, page: PageRequest) -> Later<'_, Page<Postback>> {
        self.read(move |shared| read::postbacks(shared, &filter, &page))
    }

    fn deliveries(&self, filter: DeliveryFilter, page: PageRequest) -> Later<'_, Page<ListedDelivery>> {
        self.read(move |shared| read::deliveries(shared, &filter, &page))
    }

    fn backlog(&self, now: Time) -> Vec<Backlog> {
        self.shared.index.lock().backlog(now)
    }

    fn probe(&self) -> Later<'_, ()> {
        self.write(Command::Probe)
    }

    fn close(&self) -> Later<'_, ()> {
        let closed = self.write(Command::Close);
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
