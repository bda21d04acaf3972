//! A store that can be made not to answer for a while: as one that is reached over a network.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use postbridge::domain::attribution::FoundClick;
use postbridge::domain::click::Click;
use postbridge::domain::conversion::Conversion;
use postbridge::domain::delivery::Delivery;
use postbridge::domain::delivery_reason::RetryRefused;
use postbridge::domain::expiry::AgeRule;
use postbridge::domain::ids::{ClickId, ConversionId, DeliveryId, DestinationId, Seq, SourceId};
use postbridge::domain::postback::Postback;
use postbridge::domain::ruleset::Ruleset;
use postbridge::domain::status_move::StatusMove;
use postbridge::domain::suppression::{ListSummary, ListedEntry};
use postbridge::domain::target::TargetId;
use postbridge::domain::time::Time;
use postbridge::store::contract::arrival::{Arrival, ClickArrival, ClickReceipt, ConsentArrival, Receipt};
use postbridge::store::contract::change::{
    ConversionRef, PurgeBefore, Purged, StatusChanged, SuppressionOrder,
};
use postbridge::store::contract::error::StoreError;
use postbridge::store::contract::lookup::{
    ClickFilter, ConversionFilter, DeliveryFilter, ListedDelivery, Page, PageRequest, PostbackFilter,
    ReportPage, ReportQuery, ReusedTransaction, Trace,
};
use postbridge::store::contract::operator::{OperatorFact, OperatorFacts, SourceTally};
use postbridge::store::contract::subscription::Subscription;
use postbridge::store::contract::totals::{Totals, TotalsQuery};
use postbridge::store::contract::work::{
    AttemptOutcome, Backlog, ClaimRequest, Expired, LeaseToken, LeasedWork, Recorded,
};
use postbridge::store::contract::{Store, StoreFuture};

/// Another store behind a connection that tests cut.
pub struct RemoteStore {
    store: Arc<dyn Store>,
    is_cut: AtomicBool,
    /// How often it was asked while the connection was cut.
    asked: AtomicUsize,
}

impl RemoteStore {
    pub fn of(store: Arc<dyn Store>) -> Arc<RemoteStore> {
        Arc::new(RemoteStore { store, is_cut: AtomicBool::new(false), asked: AtomicUsize::new(0) })
    }

    pub fn cut(&self) {
        self.is_cut.store(true, Ordering::SeqCst);
    }

    pub fn reconnect(&self) {
        self.is_cut.store(false, Ordering::SeqCst);
    }

    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn reach(&self) -> Result<&dyn Store, StoreError> {
        if self.is_cut.load(Ordering::SeqCst) {
            self.asked.fetch_add(1, Ordering::SeqCst);
            return Err(StoreError::Unavailable { cause: "the connection is lost".to_owned() });
        }
        Ok(self.store.as_ref())
    }
}

macro_rules! asked_over_the_connection {
    ($($name:ident($($argument:ident: $kind:ty),*) -> $answer:ty;)*) => {
        $(fn $name(&self, $($argument: $kind),*) -> StoreFuture<'_, $answer> {
            match self.reach() {
                Ok(store) => store.$name($($argument),*),
                Err(error) => Box::pin(std::future::ready(Err(error))),
            }
        })*
    };
}

impl Store for RemoteStore {
    fn wakeup(&self, target: &TargetId) -> Subscription {
        self.store.wakeup(target)
    }

    fn reversals_bell(&self) -> Subscription {
        self.store.reversals_bell()
    }

    asked_over_the_connection! {
        change_rules(rules: Arc<Ruleset>) -> ();
        arrive(arrival: Arrival) -> Receipt;
        record_click(arrival: ClickArrival) -> ClickReceipt;
        record_consent(arrival: ConsentArrival) -> ();
        click(id: &ClickId) -> Option<Arc<Click>>;
        find_click(given: &str) -> Option<FoundClick>;
        clicks(filter: ClickFilter, page: PageRequest) -> Page<Arc<Click>>;
        claim(request: ClaimRequest) -> LeasedWork;
        record(outcomes: Arc<[AttemptOutcome]>) -> Vec<Recorded>;
        release(leases: Vec<LeaseToken>) -> ();
        retry(id: DeliveryId, now: Time, age: AgeRule) -> Result<Delivery, RetryRefused>;
        withdraw(destination: DestinationId, now: Time) -> u64;
        expire(now: Time, limit: usize) -> Vec<Expired>;
        expire_holds(now: Time, limit: usize) -> u64;
        dispose(now: Time, limit: usize) -> u64;
        set_status(which: ConversionRef, order: StatusMove, now: Time) -> StatusChanged;
        suppress(order: SuppressionOrder) -> Vec<bool>;
        unsuppress(order: SuppressionOrder) -> Vec<bool>;
        remove_list(list: String) -> u64;
        lists() -> Vec<ListSummary>;
        listed(list: String, page: PageRequest) -> Page<ListedEntry>;
        keep_text(name: String, text: String) -> ();
        kept_text(name: String) -> Option<String>;
        purge(before: PurgeBefore) -> Purged;
        conversion(id: ConversionId) -> Option<Trace>;
        conversion_now(which: ConversionRef) -> Option<Conversion>;
        report(query: ReportQuery) -> ReportPage;
        totals(query: TotalsQuery) -> Totals;
        conversions(filter: ConversionFilter, page: PageRequest) -> Page<(Conversion, Vec<Delivery>)>;
        postback(seq: Seq) -> Option<Postback>;
        postbacks(filter: PostbackFilter, page: PageRequest) -> Page<Postback>;
        deliveries(filter: DeliveryFilter, page: PageRequest) -> Page<ListedDelivery>;
        backlog(now: Time) -> Vec<Backlog>;
        probe() -> ();
        close() -> ();
        reused_transactions(source: SourceId, limit: usize) -> Vec<ReusedTransaction>;
        reversals_ready(limit: usize) -> Vec<Seq>;
        operator_facts() -> OperatorFacts;
        keep_fact(fact: OperatorFact) -> ();
        source_tally(source: &SourceId) -> SourceTally;
    }
}
