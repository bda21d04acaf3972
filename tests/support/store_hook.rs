//! A store behind a hook that every operation passes: what a test puts between a store and those who ask it.

use std::ops::Deref;
use std::sync::Arc;

use postbridge::domain::attribution::FoundClick;
use postbridge::domain::click::Click;
use postbridge::domain::conversion::Conversion;
use postbridge::domain::delivery::Delivery;
use postbridge::domain::delivery_reason::RetryRefused;
use postbridge::domain::erasure::report::Erasure;
use postbridge::domain::expiry::AgeRule;
use postbridge::domain::ids::{ClickId, ConversionId, DeliveryId, DestinationId, Seq, SourceId};
use postbridge::domain::postback::Postback;
use postbridge::domain::presented::DigestKey;
use postbridge::domain::ruleset::Ruleset;
use postbridge::domain::status_move::StatusMove;
use postbridge::domain::suppression::{ListSummary, ListedEntry};
use postbridge::domain::time::Time;
use postbridge::store::contract::arrival::{Arrival, ClickArrival, ClickReceipt, ConsentArrival, Receipt};
use postbridge::store::contract::change::{
    ConversionRef, PurgeBefore, Purged, StatusChanged, SuppressionOrder,
};
use postbridge::store::contract::erasure::{
    ErasureOrder, ErasureScan, ErasureStep, KeptErasure, ScannedRecords,
};
use postbridge::store::contract::lookup::{
    ClickFilter, ConversionFilter, DeliveryFilter, ListedDelivery, Page, PageRequest, PostbackFilter,
    ReportPage, ReportQuery, ReusedTransaction, Trace,
};
use postbridge::store::contract::operator::{OperatorFacts, ToKeep};
use postbridge::store::contract::subscription::{SignalOf, Subscription};
use postbridge::store::contract::totals::{Totals, TotalsQuery};
use postbridge::store::contract::work::{
    AttemptOutcome, Backlog, ClaimRequest, ConfirmOutcome, FallsDue, FellDue, LeaseToken, LeasedWork,
    Recorded, UnconfirmedWork,
};
use postbridge::store::contract::{Store, StoreFolder, StoreFuture};

/// What becomes of what the store is asked.
pub trait StoreHook: Send + Sync + 'static {
    /// The store behind it.
    fn store(&self) -> &dyn Store;

    /// Asks for something to be written, once or more often.
    fn write<'a, T: Send + 'a>(
        &'a self,
        ask: impl Fn(&'a dyn Store) -> StoreFuture<'a, T>,
    ) -> StoreFuture<'a, T> {
        self.ask(ask)
    }

    /// Reports an arrival.
    fn arrive(&self, arrival: Arrival) -> StoreFuture<'_, Receipt> {
        self.write(move |store| store.arrive(arrival.clone()))
    }

    /// Asks for anything else: what is read, leases, the end.
    fn ask<'a, T: Send + 'a>(
        &'a self,
        ask: impl FnOnce(&'a dyn Store) -> StoreFuture<'a, T>,
    ) -> StoreFuture<'a, T>;
}

/// A store behind a hook.
pub struct HookedStore<H>(pub H);

impl<H> Deref for HookedStore<H> {
    type Target = H;

    fn deref(&self) -> &H {
        &self.0
    }
}

macro_rules! operations {
    (
        writes { $($write:ident($($written:ident: $kind:ty),*) -> $done:ty;)* }
        others { $($other:ident($($argument:ident: $type:ty),*) -> $answer:ty;)* }
    ) => {
        $(fn $write(&self, $($written: $kind),*) -> StoreFuture<'_, $done> {
            self.0.write(move |store| store.$write($($written.clone()),*))
        })*
        $(fn $other(&self, $($argument: $type),*) -> StoreFuture<'_, $answer> {
            self.0.ask(move |store| store.$other($($argument),*))
        })*
    };
}

impl<H: StoreHook> Store for HookedStore<H> {
    fn signals(&self, of: SignalOf) -> Subscription {
        self.0.store().signals(of)
    }

    fn arrive(&self, arrival: Arrival) -> StoreFuture<'_, Receipt> {
        self.0.arrive(arrival)
    }

    fn has_erased_lately(&self) -> bool {
        self.0.store().has_erased_lately()
    }

    fn folder(&self) -> Option<Arc<dyn StoreFolder>> {
        self.0.store().folder()
    }

    operations! {
        writes {
            change_rules(rules: Arc<Ruleset>) -> ();
            record_click(arrival: ClickArrival) -> ClickReceipt;
            record_consent(arrival: ConsentArrival) -> ();
            record(outcomes: Arc<[AttemptOutcome]>) -> Vec<Recorded>;
            confirm(outcomes: Arc<[ConfirmOutcome]>) -> Vec<Recorded>;
            retry(id: DeliveryId, now: Time, age: AgeRule) -> Result<Delivery, RetryRefused>;
            withdraw(destination: DestinationId, now: Time) -> u64;
            fall_due(what: FallsDue, now: Time, limit: usize) -> FellDue;
            set_status(which: ConversionRef, order: StatusMove, now: Time) -> StatusChanged;
            change_list(order: SuppressionOrder) -> Vec<bool>;
            remove_list(list: String) -> u64;
            purge(before: PurgeBefore) -> Purged;
            probe() -> ();
            keep(what: ToKeep) -> ();
            keep_erasure(order: ErasureOrder) -> Erasure;
            erase_again(others: Vec<KeptErasure>) -> u64;
        }
        others {
            close() -> ();
            click(id: &ClickId) -> Option<Arc<Click>>;
            find_click(given: &str) -> Option<FoundClick>;
            clicks(filter: ClickFilter, page: PageRequest) -> Page<Arc<Click>>;
            claim(request: ClaimRequest) -> LeasedWork;
            unconfirmed(destination: DestinationId, now: Time, limit: usize) -> UnconfirmedWork;
            release(leases: Vec<LeaseToken>) -> ();
            lists() -> Vec<ListSummary>;
            listed(list: String, page: PageRequest) -> Page<ListedEntry>;
            kept_text(name: String) -> Option<String>;
            conversion(id: ConversionId) -> Option<Trace>;
            conversion_now(which: ConversionRef) -> Option<Conversion>;
            report(query: ReportQuery) -> ReportPage;
            totals(query: TotalsQuery) -> Totals;
            conversions(filter: ConversionFilter, page: PageRequest) -> Page<(Conversion, Vec<Delivery>)>;
            postback(seq: Seq) -> Option<Postback>;
            postbacks(filter: PostbackFilter, page: PageRequest) -> Page<Postback>;
            deliveries(filter: DeliveryFilter, page: PageRequest) -> Page<ListedDelivery>;
            backlog(now: Time) -> Vec<Backlog>;
            reused_transactions(source: SourceId, limit: usize) -> Vec<ReusedTransaction>;
            reversals_ready(limit: usize) -> Vec<Seq>;
            operator_facts() -> OperatorFacts;
            digest_key() -> DigestKey;
            erase_step(now: Time) -> ErasureStep;
            scan_for_erasure(scan: ErasureScan) -> ScannedRecords;
            erasures(page: PageRequest) -> Page<Erasure>;
            erasure(id: u64) -> Option<Erasure>;
            kept_erasures() -> Vec<KeptErasure>;
        }
    }
}
