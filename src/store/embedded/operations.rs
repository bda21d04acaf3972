//! The contract, kept by the embedded store: what is written is a command for the writer, what is read is read here.

use std::future::Future;
use std::sync::Arc;

use crate::domain::attribution::{FoundClick, candidates};
use crate::domain::click::Click;
use crate::domain::conversion::Conversion;
use crate::domain::delivery::Delivery;
use crate::domain::delivery_reason::RetryRefused;
use crate::domain::erasure::report::Erasure;
use crate::domain::expiry::AgeRule;
use crate::domain::ids::{ClickId, ConversionId, DeliveryId, DestinationId, Seq, SourceId};
use crate::domain::postback::Postback;
use crate::domain::presented::DigestKey;
use crate::domain::ruleset::Ruleset;
use crate::domain::status_move::StatusMove;
use crate::domain::suppression::{ListSummary, ListedEntry};
use crate::domain::time::Time;
use crate::store::command_queue::AloneCommand;
use crate::store::commit::erasing::ErasingCommand;
use crate::store::commit::erasure_list;
use crate::store::contract::arrival::{Arrival, ClickArrival, ClickReceipt, ConsentArrival, Receipt};
use crate::store::contract::change::{
    ConversionRef, PurgeBefore, Purged, PurgedRecords, StatusChanged, SuppressionOrder,
};
use crate::store::contract::erasure::{ErasureOrder, ErasureScan, ErasureStep, KeptErasure, ScannedRecords};
use crate::store::contract::error::StoreError;
use crate::store::contract::lookup::{
    ClickFilter, ConversionFilter, DeliveryFilter, ListedDelivery, Page, PageRequest, PostbackFilter,
    ReportPage, ReportQuery, ReusedTransaction, Trace,
};
use crate::store::contract::operator::{OperatorFacts, ToKeep};
use crate::store::contract::subscription::{SignalOf, Subscription};
use crate::store::contract::totals::{Totals, TotalsQuery};
use crate::store::contract::work::{
    AttemptOutcome, Backlog, ClaimRequest, ConfirmOutcome, FallsDue, FellDue, LeaseToken, LeasedWork,
    Recorded, UnconfirmedWork, WantedWork,
};
use crate::store::contract::{Store, StoreFolder, StoreFuture};
use crate::store::decision::confirm::ConfirmDeliveries;
use crate::store::decision::delivery::{RecordAttempts, Retry, Withdraw};
use crate::store::decision::fall_due::FallDueOrder;
use crate::store::decision::keep::WriteProbe;
use crate::store::decision::status::SetStatus;
use crate::store::decision::suppress::RemoveList;
use crate::store::embedded::{Embedded, ended, erasures};
use crate::store::leases::{self, Leases};
use crate::store::query::{clicks, find, lists, report, totals, unconfirmed};
use crate::store::table::suppression;

/// An answer that is in memory.
fn now<'a, T: Send + 'a>(done: Result<T, StoreError>) -> StoreFuture<'a, T> {
    Box::pin(std::future::ready(done))
}

/// What was leased is the caller's once it takes the answer.
fn handed_over<'a>(
    claim: impl Future<Output = Result<(Leases, LeasedWork), StoreError>> + Send + 'a,
) -> StoreFuture<'a, LeasedWork> {
    Box::pin(async move {
        let (leases, work) = claim.await?;
        leases.hand_over(&work.work);
        Ok(work)
    })
}

impl Store for Embedded {
    fn change_rules(&self, rules: Arc<Ruleset>) -> StoreFuture<'_, ()> {
        self.queue(|answer| AloneCommand::ChangeRules(rules, answer))
    }

    fn arrive(&self, arrival: Arrival) -> StoreFuture<'_, Receipt> {
        self.write(arrival)
    }

    fn record_click(&self, arrival: ClickArrival) -> StoreFuture<'_, ClickReceipt> {
        self.write(arrival)
    }

    fn record_consent(&self, arrival: ConsentArrival) -> StoreFuture<'_, ()> {
        self.write(arrival)
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
            return now(self.shared.reader.check().map(|()| Some(found)));
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
        self.read_many(move |shared| clicks::clicks(shared, &filter, &page))
    }

    fn set_status(
        &self,
        which: ConversionRef,
        wanted: StatusMove,
        now: Time,
    ) -> StoreFuture<'_, StatusChanged> {
        self.write(SetStatus { which, wanted, now })
    }

    fn change_list(&self, order: SuppressionOrder) -> StoreFuture<'_, Vec<bool>> {
        self.write(order)
    }

    fn remove_list(&self, list: String) -> StoreFuture<'_, u64> {
        self.write(RemoveList { list, done: 0 })
    }

    fn lists(&self) -> StoreFuture<'_, Vec<ListSummary>> {
        let lists = Arc::clone(&self.shared.index.lock().lists);
        now(self.shared.reader.check().map(|()| lists.summaries()))
    }

    fn listed(&self, list: String, page: PageRequest) -> StoreFuture<'_, Page<ListedEntry>> {
        self.read_many(move |shared| suppression::listed(&shared.reader, &list, &page))
    }

    fn kept_text(&self, name: String) -> StoreFuture<'_, Option<String>> {
        self.read(move |shared| shared.reader.text(&name))
    }

    fn conversion_now(&self, which: ConversionRef) -> StoreFuture<'_, Option<Conversion>> {
        self.read(move |shared| {
            let record = match which {
                ConversionRef::Id(id) => find::find(shared, &id)?.map(|(_, record)| record),
                ConversionRef::Number(seq) => find::record(shared, seq.get())?,
            };
            Ok(record.map(|record| record.conversion.clone()))
        })
    }

    fn report(&self, query: ReportQuery) -> StoreFuture<'_, ReportPage> {
        self.read_many(move |shared| report::report(shared, &query))
    }

    fn totals(&self, query: TotalsQuery) -> StoreFuture<'_, Totals> {
        self.read_many(move |shared| totals::totals(shared, &query))
    }

    fn claim(&self, request: ClaimRequest) -> StoreFuture<'_, LeasedWork> {
        if let WantedWork::Due { .. } = request.wanted {
            let (leases, claim) = match Leases::take(&self.shared, &request, (self.clock)()) {
                Ok((leases, claim)) if leases.is_empty() => return now(Ok(claim)),
                Ok(leased) => leased,
                Err(error) => return now(Err(error)),
            };
            if let Some(work) = leases.work_at_hand() {
                return handed_over(async move { Ok((leases, LeasedWork { work, ..claim })) });
            }
            return handed_over(self.read_by(&self.dispatch_reads, move |_| {
                leases.work().map(|work| (leases, LeasedWork { work, ..claim }))
            }));
        }
        // It may wait for a permit: its leases begin when it has one.
        let clock = Arc::clone(&self.clock);
        handed_over(
            self.read_by(&self.dispatch_reads, move |shared| leases::claim(shared, &request, &*clock)),
        )
    }

    fn record(&self, outcomes: Arc<[AttemptOutcome]>) -> StoreFuture<'_, Vec<Recorded>> {
        self.write(RecordAttempts(outcomes))
    }

    fn unconfirmed(
        &self,
        destination: DestinationId,
        at: Time,
        limit: usize,
    ) -> StoreFuture<'_, UnconfirmedWork> {
        let due = unconfirmed::due(&self.shared, &destination, at, limit);
        match due {
            Ok((slots, next_poll)) if slots.is_empty() => {
                now(Ok(UnconfirmedWork { deliveries: Vec::new(), next_poll }))
            }
            Ok((slots, next_poll)) => self.read_by(&self.dispatch_reads, move |shared| {
                let deliveries = unconfirmed::read(shared, &destination, &slots)?;
                Ok(UnconfirmedWork { deliveries, next_poll })
            }),
            Err(error) => now(Err(error)),
        }
    }

    fn confirm(&self, outcomes: Arc<[ConfirmOutcome]>) -> StoreFuture<'_, Vec<Recorded>> {
        self.write(ConfirmDeliveries(outcomes))
    }

    fn release(&self, leases: Vec<LeaseToken>) -> StoreFuture<'_, ()> {
        let checked = self.shared.reader.check();
        leases::release(&self.shared, leases);
        now(checked)
    }

    fn signals(&self, of: SignalOf) -> Subscription {
        let mut index = self.shared.index.lock();
        match of {
            SignalOf::Work(target) => index.queues.wakeup(&target),
            SignalOf::Reversals => index.reversals.bell(),
        }
    }

    fn retry(
        &self,
        id: DeliveryId,
        now: Time,
        age: AgeRule,
    ) -> StoreFuture<'_, Result<Delivery, RetryRefused>> {
        self.write(Retry { id, now, age })
    }

    fn withdraw(&self, destination: DestinationId, now: Time) -> StoreFuture<'_, u64> {
        self.write(Withdraw { destination, now, done: 0 })
    }

    fn fall_due(&self, what: FallsDue, now: Time, limit: usize) -> StoreFuture<'_, FellDue> {
        self.write(FallDueOrder { what, now, limit })
    }

    fn purge(&self, before: PurgeBefore) -> StoreFuture<'_, Purged> {
        let stepped = self.queue(|answer| AloneCommand::Purge(Arc::clone(&self.purging), before, answer));
        Box::pin(async move {
            let purged = stepped.await?;
            if purged.more && purged.records != PurgedRecords::default() {
                self.read_ahead(before).await;
            }
            Ok(purged)
        })
    }

    fn scan_for_erasure(&self, scan: ErasureScan) -> StoreFuture<'_, ScannedRecords> {
        self.read_many(move |shared| erasures::scan(shared, &scan))
    }

    fn keep_erasure(&self, order: ErasureOrder) -> StoreFuture<'_, Erasure> {
        self.keep_order(order)
    }

    fn erase_step(&self, now: Time) -> StoreFuture<'_, ErasureStep> {
        self.erase(now)
    }

    fn has_erased_lately(&self) -> bool {
        self.erasing.has_erased_lately((self.clock)())
    }

    fn kept_erasures(&self) -> StoreFuture<'_, Vec<KeptErasure>> {
        self.read_many(|shared| erasure_list::kept(&shared.reader))
    }

    fn erase_again(&self, others: Vec<KeptErasure>) -> StoreFuture<'_, u64> {
        self.queue(|answer| AloneCommand::Erase(Box::new(ErasingCommand::Again(others, answer))))
    }

    fn erasures(&self, page: PageRequest) -> StoreFuture<'_, Page<Erasure>> {
        self.list_erasures(page)
    }

    fn erasure(&self, id: u64) -> StoreFuture<'_, Option<Erasure>> {
        self.one_erasure(id)
    }

    fn conversion(&self, id: ConversionId) -> StoreFuture<'_, Option<Trace>> {
        self.read_many(move |shared| find::trace(shared, id))
    }

    fn conversions(
        &self,
        filter: ConversionFilter,
        page: PageRequest,
    ) -> StoreFuture<'_, Page<(Conversion, Vec<Delivery>)>> {
        self.read_many(move |shared| lists::conversions(shared, &filter, &page))
    }

    fn postback(&self, seq: Seq) -> StoreFuture<'_, Option<Postback>> {
        self.read(move |shared| find::postback(shared, seq))
    }

    fn postbacks(&self, filter: PostbackFilter, page: PageRequest) -> StoreFuture<'_, Page<Postback>> {
        self.read_many(move |shared| lists::postbacks(shared, &filter, &page))
    }

    fn deliveries(&self, filter: DeliveryFilter, page: PageRequest) -> StoreFuture<'_, Page<ListedDelivery>> {
        self.read_many(move |shared| lists::deliveries(shared, &filter, &page))
    }

    fn backlog(&self, at: Time) -> StoreFuture<'_, Vec<Backlog>> {
        self.counted(|index| index.backlog(at))
    }

    fn probe(&self) -> StoreFuture<'_, ()> {
        self.write(WriteProbe)
    }

    fn close(&self) -> StoreFuture<'_, ()> {
        let closed = self.queue(AloneCommand::Close);
        Box::pin(async move {
            let done = closed.await;
            // Long commands may be left, each step a commit: anyone who closes can still be asked to
            // stop at once.
            if let Some(writer) = self.take_writer() {
                let joined = tokio::task::spawn_blocking(move || ended(writer)).await;
                if joined.is_err() {
                    tracing::error!("no one could wait for the store's writer");
                }
            }
            done
        })
    }

    fn reused_transactions(&self, source: SourceId, limit: usize) -> StoreFuture<'_, Vec<ReusedTransaction>> {
        self.read_many(move |shared| lists::reused_transactions(shared, &source, limit))
    }

    fn reversals_ready(&self, limit: usize) -> StoreFuture<'_, Vec<Seq>> {
        self.counted(|index| index.reversals.take(limit).into_iter().filter_map(Seq::new).collect())
    }

    fn digest_key(&self) -> StoreFuture<'_, DigestKey> {
        now(Ok(self.digest_key.clone()))
    }

    fn operator_facts(&self) -> StoreFuture<'_, OperatorFacts> {
        let newest_click = *self.shared.newest_click.lock();
        self.counted(move |index| OperatorFacts {
            clock: index.kept.clock,
            newest: index.newest.get().into_iter().chain(newest_click).max(),
            removed: index.kept.removed.clone(),
            backups: index.kept.backups.clone(),
            sources: index.counts.sources.tallies(),
        })
    }

    fn keep(&self, what: ToKeep) -> StoreFuture<'_, ()> {
        self.keep_known(what)
    }

    fn folder(&self) -> Option<Arc<dyn StoreFolder>> {
        self.data_folder().map(|folder| Arc::new(folder) as Arc<dyn StoreFolder>)
    }
}
