//! A caller that asks again, on the spot, until a store takes what is to be written.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

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
use tokio::task::unconstrained;

/// A store whose caller asks again as long as it is refused for the time being, before anything else is asked: so what
/// is asked in an order is taken in that order.
pub struct PatientCaller<S> {
    store: S,
    /// How often it was refused.
    refused: AtomicUsize,
}

impl<S: Store> PatientCaller<S> {
    pub fn of(store: S) -> Arc<PatientCaller<S>> {
        Arc::new(PatientCaller { store, refused: AtomicUsize::new(0) })
    }

    pub fn refused(&self) -> usize {
        self.refused.load(Ordering::SeqCst)
    }

    /// Asks until what is to be written is taken. A refusal for the time being is answered at once.
    fn until_taken<'a, T: Send + 'a>(
        &'a self,
        ask: impl Fn(&'a S) -> StoreFuture<'a, T>,
    ) -> StoreFuture<'a, T> {
        loop {
            let mut answer = ask(&self.store);
            // Asking often must not look as if the answer were not there yet.
            let polled = pin!(unconstrained(&mut answer)).poll(&mut Context::from_waker(Waker::noop()));
            match polled {
                Poll::Ready(Err(StoreError::Unavailable { .. })) => {
                    self.refused.fetch_add(1, Ordering::SeqCst);
                    std::thread::yield_now();
                }
                Poll::Ready(done) => return Box::pin(std::future::ready(done)),
                Poll::Pending => return answer,
            }
        }
    }
}

macro_rules! writes {
    ($($name:ident($($argument:ident: $kind:ty),*) -> $answer:ty;)*) => {
        $(fn $name(&self, $($argument: $kind),*) -> StoreFuture<'_, $answer> {
            self.until_taken(move |store| store.$name($($argument.clone()),*))
        })*
    };
}

macro_rules! reads {
    ($($name:ident($($argument:ident: $kind:ty),*) -> $answer:ty;)*) => {
        $(fn $name(&self, $($argument: $kind),*) -> StoreFuture<'_, $answer> {
            self.store.$name($($argument),*)
        })*
    };
}

impl<S: Store> Store for PatientCaller<S> {
    fn wakeup(&self, target: &TargetId) -> Subscription {
        self.store.wakeup(target)
    }

    fn reversals_bell(&self) -> Subscription {
        self.store.reversals_bell()
    }

    writes! {
        change_rules(rules: Arc<Ruleset>) -> ();
        arrive(arrival: Arrival) -> Receipt;
        record_click(arrival: ClickArrival) -> ClickReceipt;
        record_consent(arrival: ConsentArrival) -> ();
        record(outcomes: Arc<[AttemptOutcome]>) -> Vec<Recorded>;
        retry(id: DeliveryId, now: Time, age: AgeRule) -> Result<Delivery, RetryRefused>;
        withdraw(destination: DestinationId, now: Time) -> u64;
        expire(now: Time, limit: usize) -> Vec<Expired>;
        expire_holds(now: Time, limit: usize) -> u64;
        dispose(now: Time, limit: usize) -> u64;
        set_status(which: ConversionRef, order: StatusMove, now: Time) -> StatusChanged;
        suppress(order: SuppressionOrder) -> Vec<bool>;
        unsuppress(order: SuppressionOrder) -> Vec<bool>;
        remove_list(list: String) -> u64;
        keep_text(name: String, text: String) -> ();
        purge(before: PurgeBefore) -> Purged;
        probe() -> ();
        keep_fact(fact: OperatorFact) -> ();
    }

    reads! {
        close() -> ();
        click(id: &ClickId) -> Option<Arc<Click>>;
        find_click(given: &str) -> Option<FoundClick>;
        clicks(filter: ClickFilter, page: PageRequest) -> Page<Arc<Click>>;
        claim(request: ClaimRequest) -> LeasedWork;
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
        source_tally(source: &SourceId) -> SourceTally;
    }
}
