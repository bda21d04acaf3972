//! The contract of the store: what is remembered, by intent. Nothing of an engine shows here.

pub mod arrival;
pub mod change;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod copies;
pub mod erasure;
pub mod error;
pub mod lookup;
pub mod monotonic;
pub mod operator;
pub mod outage;
pub mod subscription;
pub mod totals;
pub mod upkeep;
pub mod verification;
pub mod work;

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

use crate::domain::attribution::FoundClick;
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
use crate::store::contract::arrival::{Arrival, ClickArrival, ClickReceipt, ConsentArrival, Receipt};
use crate::store::contract::change::{ConversionRef, PurgeBefore, Purged, StatusChanged, SuppressionOrder};
use crate::store::contract::copies::{CopyError, CopyReport, ProgressOf};
use crate::store::contract::erasure::{ErasureOrder, ErasureScan, ErasureStep, KeptErasure, ScannedRecords};
use crate::store::contract::error::StoreError;
use crate::store::contract::lookup::{
    ClickFilter, ConversionFilter, DeliveryFilter, ListedDelivery, Page, PageRequest, PostbackFilter,
    ReportPage, ReportQuery, ReusedTransaction, Trace,
};
use crate::store::contract::operator::{OperatorFacts, ToKeep};
use crate::store::contract::subscription::{SignalOf, Subscription};
use crate::store::contract::totals::{Totals, TotalsQuery};
use crate::store::contract::verification::StoreVerification;
use crate::store::contract::work::{
    AttemptOutcome, Backlog, ClaimRequest, ConfirmOutcome, FallsDue, FellDue, LeaseToken, LeasedWork,
    Recorded, UnconfirmedWork,
};

/// The answer of a store operation, some time later.
pub type StoreFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// What Postbridge remembers. Guarantees, which the rules in `conformance` hold every engine to:
///
/// 1. When a writing operation answers `Ok`, its effect survives the death of the process and of
///    the machine's power. When it answers `Err`, nothing of it is visible, now or later; only after
///    [`StoreError::Broken`], [`StoreError::Unavailable`] and [`StoreError::Closed`] it may be, so that it is asked for
///    again: an arrival by its id, a click by its id and an attempt by its lease are then known, by the process that had
///    asked and by the store itself where it decides a group again. What a sender sends again is another arrival, known
///    by the identity of what it reports.
/// 2. An arrival and all it causes (record, conversion or change, deliveries) appear together.
/// 3. Decisions see every earlier answer: of two equal arrivals one is accepted, one a duplicate,
///    however close they come. A click and the postback that names it always meet.
/// 4. A claimed delivery is handed to no one else until it is recorded or released, or its lease has run out. Leases are
///    measured in time that passed, not by a clock's readings: whatever a wall clock is set to, none ends by it. Once
///    another has the delivery, what the first holder records changes nothing. Leases of an embedded store end with the
///    process.
/// 5. What is counted, by totals, reports, source tallies and caps, equals a recount of what is kept: it is written with
///    what it counts.
/// 6. Dropping the future of a writing operation does not undo the operation.
pub trait Store: Send + Sync + 'static {
    /// What is asked of the store from now on is decided by these rules; what was asked before, by those before.
    /// The first ones are given when a store is opened. Where it fails, the rules stay as they were.
    fn change_rules(&self, rules: Arc<Ruleset>) -> StoreFuture<'_, ()>;

    /// Decides what an arrival is and remembers it with all it causes. What reprocesses a record that is,
    /// or maps, one that became a conversion is refused as [`StoreError::ReprocessedAlready`].
    /// Asked for again with the same id it counts once, whatever its source takes for a repeat, and is answered what
    /// became of it, with whether a click has earned its conversion by now. Known are at least the latest 65,536
    /// arrivals of the process that asks, while their postbacks are kept.
    fn arrive(&self, arrival: Arrival) -> StoreFuture<'_, Receipt>;

    /// Records a click, or fills what a known one lacks, and frees what waited for it. A new one is
    /// looked at by the click filters, which see every earlier answer: of two equal clicks one is a
    /// duplicate, and a cap lets through exactly as many as it says.
    fn record_click(&self, arrival: ClickArrival) -> StoreFuture<'_, ClickReceipt>;

    /// Keeps what a visitor answered: at the click, and for every other click of its visitor. The later answer
    /// counts, whatever order they are received in. An answer about a click that is not recorded waits for it.
    /// A browser that is known as another visitor than the click's may refuse for the click, and not grant.
    fn record_consent(&self, arrival: ConsentArrival) -> StoreFuture<'_, ()>;

    /// The recorded click with this id; with its visitor's latest answers, as every click that is answered
    /// next to a conversion or in a list.
    fn click(&self, id: &ClickId) -> StoreFuture<'_, Option<Arc<Click>>>;

    /// The click that one of the readings of `given` names.
    fn find_click(&self, given: &str) -> StoreFuture<'_, Option<FoundClick>>;

    /// A page of the recorded clicks, newest first.
    fn clicks(&self, filter: ClickFilter, page: PageRequest) -> StoreFuture<'_, Page<Arc<Click>>>;

    /// Leases what is due, oldest first, first attempts apart from retries: of all destinations of the target in one
    /// order, what a person asked for before the rest. So one with a long queue is before another of its target with
    /// what fell due earlier, and not with more. What cannot be read is logged and set aside until the next start; so
    /// in every operation that goes through many. A delivery whose lease ran out without a word is a possible repeat.
    fn claim(&self, request: ClaimRequest) -> StoreFuture<'_, LeasedWork>;

    /// Remembers attempts and the states they lead to, in one write, and ends their leases; attempts that share an
    /// exchange share it in the store. A delivery that was changed meanwhile keeps its attempt and takes the state
    /// reported. Changes to the conversion that an attempt did not know of cause what [`reconcile`] says, in the same
    /// write. What was recorded before by the same lease is not recorded again. Answers of each, in order, what became
    /// of it.
    ///
    /// [`reconcile`]: crate::domain::reconcile::reconcile
    fn record(&self, outcomes: Arc<[AttemptOutcome]>) -> StoreFuture<'_, Vec<Recorded>>;

    /// The deliveries to a destination that its platform accepted and is to be asked about by now, at most `limit` and
    /// then the rest of the last one's request.
    fn unconfirmed(
        &self,
        destination: DestinationId,
        now: Time,
        limit: usize,
    ) -> StoreFuture<'_, UnconfirmedWork>;

    /// Remembers what asking platforms became, in one write. Answers of each, in order, what became of it: late is what
    /// is about a delivery that no longer waits for that answer.
    fn confirm(&self, outcomes: Arc<[ConfirmOutcome]>) -> StoreFuture<'_, Vec<Recorded>>;

    /// Gives leases back untouched; those that have ended are passed over.
    fn release(&self, leases: Vec<LeaseToken>) -> StoreFuture<'_, ()>;

    /// Signals when there may be something new of this. A hint: what is asked for then is the truth. Each has one
    /// listener.
    fn signals(&self, of: SignalOf) -> Subscription;

    /// Makes a dead, skipped, held or waiting delivery due now. Refused where the platform takes no event of that
    /// age any more, and where another delivery is going to inform the destination, or a later one has.
    fn retry(
        &self,
        id: DeliveryId,
        now: Time,
        age: AgeRule,
    ) -> StoreFuture<'_, Result<Delivery, RetryRefused>>;

    /// Skips what waits for a destination that is no longer configured; answers how many.
    fn withdraw(&self, destination: DestinationId, now: Time) -> StoreFuture<'_, u64>;

    /// Does what falls due by the passing of time alone, at most `limit` of it: holds and dispositions the longest due
    /// first, expired deliveries by destination, of each the longest due first. Answers what was done.
    fn fall_due(&self, what: FallsDue, now: Time, limit: usize) -> StoreFuture<'_, FellDue>;

    /// Changes a conversion's status, with all that it causes.
    fn set_status(
        &self,
        which: ConversionRef,
        order: StatusMove,
        now: Time,
    ) -> StoreFuture<'_, StatusChanged>;

    /// Puts entries on a suppression list, which begins with its first, or takes them off. Answers, in order, whether each
    /// is new there, or was there.
    fn change_list(&self, order: SuppressionOrder) -> StoreFuture<'_, Vec<bool>>;

    /// Removes a whole suppression list; answers how many entries it had.
    fn remove_list(&self, list: String) -> StoreFuture<'_, u64>;

    /// Every suppression list, by name.
    fn lists(&self) -> StoreFuture<'_, Vec<ListSummary>>;

    /// A list's entries, by kind and value; hashed ones last.
    fn listed(&self, list: String, page: PageRequest) -> StoreFuture<'_, Page<ListedEntry>>;

    /// The text that was kept under this name.
    fn kept_text(&self, name: String) -> StoreFuture<'_, Option<String>>;

    /// Deletes a bounded number of records that are past their time. A conversion with an
    /// unfinished delivery stays, and so do its deliveries, its attempts and its click.
    fn purge(&self, before: PurgeBefore) -> StoreFuture<'_, Purged>;

    /// Looks at a bounded number of records, and answers those that are of these persons or name them. Changes nothing.
    fn scan_for_erasure(&self, scan: ErasureScan) -> StoreFuture<'_, ScannedRecords>;

    /// Keeps an erasure, as keyed hashes alone and permanently: what is received after it is not erased, and what was
    /// received before it is by [`Store::erase_step`], also after a restart.
    fn keep_erasure(&self, order: ErasureOrder) -> StoreFuture<'_, Erasure>;

    /// Goes on with the erasures that are not done: looks at a bounded number of records and changes what is the
    /// persons', in one write. Of a conversion ids, amounts, statuses and times are left, so that what is counted stays
    /// as it was. From then on its attempts, also those that had left before, are kept without what they sent.
    fn erase_step(&self, now: Time) -> StoreFuture<'_, ErasureStep>;

    /// Whether anyone's data was erased within the last hour: work that was handed out before has it still. Where it was,
    /// what is to leave is compared with the conversion as it is now.
    fn has_erased_lately(&self) -> bool;

    /// Every kept erasure with its keyed hashes, the oldest first: what a copy of the store that is put back has to be
    /// given.
    fn kept_erasures(&self) -> StoreFuture<'_, Vec<KeptErasure>>;

    /// Has every kept erasure applied again, because an older copy of the records was put back, and those of `others`
    /// that the copy does not have; answers how many there are. What an erasure has done already it does not do again.
    fn erase_again(&self, others: Vec<KeptErasure>) -> StoreFuture<'_, u64>;

    /// The kept erasures, the newest first.
    fn erasures(&self, page: PageRequest) -> StoreFuture<'_, Page<Erasure>>;

    /// One of them, by its number.
    fn erasure(&self, id: u64) -> StoreFuture<'_, Option<Erasure>>;

    /// `None` where it was never recorded or is past its days.
    fn conversion(&self, id: ConversionId) -> StoreFuture<'_, Option<Trace>>;

    /// A conversion alone, as it is now: cheaper than its trace.
    fn conversion_now(&self, which: ConversionRef) -> StoreFuture<'_, Option<Conversion>>;

    /// See [`ReportQuery`].
    fn report(&self, query: ReportQuery) -> StoreFuture<'_, ReportPage>;

    /// How many conversions, clicks or postbacks are kept, and what the conversions are worth, in stretches of whole
    /// quarter-hours: see [`TotalsQuery`]. Counted in the same writes as what is counted, never from a scan of it. Where
    /// what a commit counted is lost, totals are too low, and one that would be below zero is 0 and logged.
    fn totals(&self, query: TotalsQuery) -> StoreFuture<'_, Totals>;

    /// A page of conversions, newest first, each with its deliveries.
    fn conversions(
        &self,
        filter: ConversionFilter,
        page: PageRequest,
    ) -> StoreFuture<'_, Page<(Conversion, Vec<Delivery>)>>;

    /// One record of the raw log; its bytes are gone once `keep_postbacks_days` have passed.
    fn postback(&self, seq: Seq) -> StoreFuture<'_, Option<Postback>>;

    /// A page of the raw log, newest first.
    fn postbacks(&self, filter: PostbackFilter, page: PageRequest) -> StoreFuture<'_, Page<Postback>>;

    /// A page of deliveries, those of the newest conversion first.
    fn deliveries(&self, filter: DeliveryFilter, page: PageRequest) -> StoreFuture<'_, Page<ListedDelivery>>;

    /// What every destination has before it that has unfinished or dead deliveries.
    fn backlog(&self, now: Time) -> StoreFuture<'_, Vec<Backlog>>;

    /// Makes a small write durable: the answer to "could you take a postback now?".
    fn probe(&self) -> StoreFuture<'_, ()>;

    /// Finishes what is queued and refuses what is received later. Of a store that was not closed, or with deliveries in
    /// someone's hands, the next start takes it that whatever is due may have been sent.
    fn close(&self) -> StoreFuture<'_, ()>;

    /// The transaction ids of a source that were received with three or more different clicks, the most
    /// used first; at most `limit`.
    fn reused_transactions(&self, source: SourceId, limit: usize) -> StoreFuture<'_, Vec<ReusedTransaction>>;

    /// Hands out, once, up to `limit` quarantined postbacks that take back a sale that was received since:
    /// they are to be reprocessed. What was not reprocessed is handed out after the next start.
    fn reversals_ready(&self, limit: usize) -> StoreFuture<'_, Vec<Seq>>;

    /// The key by which what senders presented is kept: the same as long as there is the store, also where it was copied
    /// to, and another one's of another store.
    fn digest_key(&self) -> StoreFuture<'_, DigestKey>;

    /// What is kept and counted for operators.
    fn operator_facts(&self) -> StoreFuture<'_, OperatorFacts>;

    /// Keeps a text, what is to be known of the clock, which destinations were removed, or a backup that was made.
    fn keep(&self, what: ToKeep) -> StoreFuture<'_, ()>;

    /// The data folder behind it; `None` of a store that has none.
    fn folder(&self) -> Option<Arc<dyn StoreFolder>>;
}

/// The data folder of a store that runs. Everything here takes long, and is to be done on a thread of its own; commits go on
/// meanwhile.
pub trait StoreFolder: Send + Sync {
    /// Copies the store into a folder, which is new, or has an earlier backup of this store: what was acknowledged before
    /// this is called is in it.
    ///
    /// # Errors
    /// Why there is no new backup. An earlier one is as it was.
    fn backup(&self, target: &Path, progress: ProgressOf<'_>) -> Result<CopyReport, CopyError>;

    /// Reads the journal, compares the records with it, and follows every reference.
    ///
    /// # Errors
    /// What keeps it from being looked at.
    fn verify(&self, progress: ProgressOf<'_>) -> Result<StoreVerification, CopyError>;

    /// Does at once what is done in the background else, sooner or later: the files of the journal are rewritten without
    /// what was erased, old ones are removed, and the index is made anew where that was asked for.
    ///
    /// # Errors
    /// The system's: what was to be removed may be there still.
    fn tidy(&self) -> Result<(), CopyError>;
}
