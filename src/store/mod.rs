//! The contract of the store: what is remembered, by intent. Nothing of an engine shows here.

mod ages;
mod chunk;
mod click_references;
mod clicks;
mod command;
mod commit;
pub mod contract;
pub(crate) mod crash;
pub mod embedded;
pub mod engine;
mod group;
mod group_facts;
mod index;
pub mod keeping;
mod layout;
mod leases;
mod matching;
mod network;
pub mod open;
mod purge;
mod queues;
mod read;
mod records;
mod runs;
mod sources;
pub mod transactions;
mod walk;
mod weight;
pub mod writer;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::Notify;

use crate::domain::attribution::FoundClick;
use crate::domain::click::Click;
use crate::domain::conversion::Conversion;
use crate::domain::delivery::{Attempt, Delivery};
use crate::domain::delivery_reason::RetryRefused;
use crate::domain::ids::{ClickId, ConversionId, DeliveryId, DestinationId, Seq};
use crate::domain::postback::Postback;
use crate::domain::reconcile::Observed;
use crate::domain::rejection::Rejection;
use crate::domain::ruleset::Ruleset;
use crate::domain::status_move::{MoveRefused, StatusMove};
use crate::domain::suppression::{ListSummary, ListedEntry, Suppressed};
use crate::domain::time::Time;
use crate::store::contract::arrival::{Arrival, ClickArrival, ClickReceipt, ConsentArrival, Receipt};
use crate::store::contract::lookup::{
    ClickFilter, ConversionFilter, DeliveryFilter, ListedDelivery, Page, PageRequest, PostbackFilter,
    ReportPage, ReportQuery, Trace,
};

/// The answer of a store operation, some time later.
pub type StoreFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// The store failed. After [`StoreError::Broken`] the process must end and start again, which recovers.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// Reading or writing failed; what was asked for did not become durable, and every later operation fails.
    #[error("the store failed while it tried to {doing}: {cause}")]
    Broken {
        /// A verb, as in `read` or `write`.
        doing: &'static str,
        /// The words of the engine or the operating system.
        cause: String,
    },
    /// The store is closing.
    #[error("the store is closed")]
    Closed,
    /// The caller's mistake: no list gave this cursor.
    #[error("the cursor `{0}` was not given by a list")]
    Cursor(String),
    /// The caller's mistake: the record was reprocessed already, and postback `by` made of it what it
    /// is. Once more would count it twice.
    #[error("postback {by} has reprocessed it already")]
    ReprocessedAlready {
        /// The newer record.
        by: Seq,
    },
    /// As many further sales of its click wait as may: nothing was kept. The caller keeps it, as a stranger's.
    #[error("as many further sales of its click wait as may")]
    Surplus(Rejection),
    /// A stored record cannot be read. Only what needs it fails; the rest of the store goes on.
    #[error("the record {key} cannot be read: {cause}")]
    Corrupt {
        /// What it is kept under, readable.
        key: String,
        /// What is wrong with its bytes.
        cause: String,
    },
}

/// A conversion by what one knows of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConversionRef {
    /// The derived id, by which our own API and pages know it.
    Id(ConversionId),
    /// The number of the postback that made it: what the network's API calls the conversion id.
    Number(Seq),
}

/// What became of a wish to change a status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StatusChanged {
    /// The conversion after the change.
    Changed(Box<Conversion>),
    /// It had the status already.
    Already(Box<Conversion>),
    /// Its state does not allow the move; says why.
    Refused(MoveRefused),
    /// No such conversion is kept.
    Unknown,
}

/// Things to put on a suppression list, or to take off.
#[derive(Debug, Clone)]
pub struct SuppressionOrder {
    /// As [`crate::domain::suppression::list_name`] allows.
    pub list: String,
    /// At most 10,000.
    pub entries: Vec<Suppressed>,
    /// The name of the one who wants it.
    pub actor: String,
    /// When it was asked for: kept with each entry that is new.
    pub now: Time,
}

/// What a destination asks for when it has room.
#[derive(Debug, Clone)]
pub struct ClaimRequest {
    /// Whose queue is read: no other's work is handed out.
    pub destination: DestinationId,
    /// What falls due by then is handed out.
    pub now: Time,
    /// The most first attempts to hand out.
    pub fresh: usize,
    /// The most later attempts to hand out.
    pub retries: usize,
    /// `None`: all that is due, what a person asked for first. Otherwise only what fell due then or
    /// later, strictly in that order, so that a reader can go through a queue step by step.
    pub due_from: Option<Time>,
}

/// Work that is leased to the caller until it is recorded or released.
#[derive(Debug, Clone, Default)]
pub struct LeasedWork {
    /// Each is sent once, then recorded or released; first attempts come before retries.
    pub work: Vec<Claimed>,
    /// When the next delivery of this destination falls due, if none is now. A hint.
    pub next_due: Option<Time>,
}

/// One leased delivery with its conversion as it is now, and the click if it is matched and kept.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// By what the attempt is recorded or the lease released.
    pub id: DeliveryId,
    /// Read when it was claimed, so that its current value is what is sent.
    pub conversion: Conversion,
    /// As it was claimed: with the attempts that counted before this one.
    pub delivery: Delivery,
    /// As it is kept, with its visitor's latest answers.
    pub click: Option<Arc<Click>>,
    /// Whether the destination was sent the conversion on an earlier occasion.
    pub sent_before: bool,
}

/// What an attempt became.
#[derive(Debug, Clone)]
pub struct AttemptOutcome {
    /// The delivery that was claimed; its lease ends.
    pub id: DeliveryId,
    /// What was sent and received, with secrets masked.
    pub attempt: Attempt,
    /// The delivery after the attempt: its state, and how many attempts have counted.
    pub state: crate::domain::delivery::DeliveryState,
    /// The new count, not what to add: a park leaves it as it was.
    pub attempts: u32,
    /// What the attempt knew, so that what was received meanwhile is not lost. `None` where it knew nothing:
    /// it failed inside.
    pub observed: Option<Observed>,
}

/// How much one destination has before it. Counted as things happen, never scanned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Always set by the store; `None` only in a backlog that is empty by default.
    pub destination: Option<DestinationId>,
    /// Waits for its click.
    pub held: u64,
    /// Has its click or needs none, due or not.
    pub waiting: u64,
    /// Waiting and due at the time asked for, leased ones included.
    pub due: u64,
    /// The earliest due time that has passed; `None` where nothing is due.
    pub oldest_due: Option<Time>,
    /// The number of the oldest conversion that waits to be sent, and is not to be sent later only.
    pub oldest_unsent: Option<Seq>,
    /// Dead letters that are kept.
    pub dead: u64,
}

/// The dates before which records may be purged.
#[derive(Debug, Clone, Copy)]
pub struct PurgeBefore {
    /// The bytes of requests received before it go; what became of them is known as long as conversions.
    pub postbacks: Time,
    /// By arrival; with them go their deliveries and attempts.
    pub conversions: Time,
    /// By when the click was recorded; answers about consent that wait for a click go by it too.
    pub clicks: Time,
}

/// What one purge step did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Purged {
    /// How many were deleted, of all kinds together.
    pub records: u64,
    /// Whether another step may find more.
    pub more: bool,
}

/// What Postbridge remembers. Guarantees, proved by the conformance suite in `tests/`:
///
/// 1. When a writing operation answers `Ok`, its effect survives the death of the process and of
///    the machine's power. When it answers `Err`, nothing of it is visible, now or later.
/// 2. An arrival and all it causes (record, conversion or change, deliveries) appear together.
/// 3. Decisions see every earlier answer: of two equal arrivals one is accepted, one a duplicate,
///    however close they come. A click and the postback that names it always meet.
/// 4. A claimed delivery is handed to no one else until it is recorded or released. Leases of an
///    embedded store end with the process.
/// 5. Dropping the future of a writing operation does not undo the operation.
pub trait Store: transactions::Transactions + keeping::OperatorStore + Send + Sync + 'static {
    /// From now on decisions go by these rules. What the last process left to do goes on with the first.
    fn set_rules(&self, rules: Arc<Ruleset>);

    /// Decides what an arrival is and remembers it with all it causes. What reprocesses a record that is,
    /// or maps, one that became a conversion is refused as [`StoreError::ReprocessedAlready`].
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

    /// Leases what is due, oldest first, first attempts apart from retries. What cannot be read is
    /// logged and set aside until the next start; so in every operation that goes through many.
    fn claim(&self, request: ClaimRequest) -> StoreFuture<'_, LeasedWork>;

    /// Leases the destination's oldest waiting delivery, due or not: the probe of a parked one.
    fn claim_oldest(&self, destination: DestinationId) -> StoreFuture<'_, Option<Claimed>>;

    /// Remembers an attempt and the state it leads to, and ends the lease. A delivery that was
    /// changed meanwhile keeps its attempt and takes the state reported. Changes to the conversion that
    /// the attempt did not know of cause what [`reconcile`] says, in the same write.
    ///
    /// [`reconcile`]: crate::domain::reconcile::reconcile
    fn record(&self, outcome: AttemptOutcome) -> StoreFuture<'_, ()>;

    /// Gives leases back untouched.
    fn release(&self, ids: Vec<DeliveryId>) -> StoreFuture<'_, ()>;

    /// Wakes when `destination` may have new work. A hint: the claim is the truth.
    fn wakeup(&self, destination: &DestinationId) -> Arc<Notify>;

    /// Makes a dead, skipped, held or waiting delivery due now. `oldest_event` is the oldest event time that the
    /// platform still takes. Refused where another delivery is going to inform the destination, or a
    /// later one has.
    fn retry(
        &self,
        id: DeliveryId,
        now: Time,
        oldest_event: Option<Time>,
    ) -> StoreFuture<'_, Result<Delivery, RetryRefused>>;

    /// Skips what waits for a destination that is no longer configured; answers how many.
    fn withdraw(&self, destination: DestinationId, now: Time) -> StoreFuture<'_, u64>;

    /// Skips held deliveries whose time is over, at most `limit` conversions. Answers how many.
    fn expire_holds(&self, now: Time, limit: usize) -> StoreFuture<'_, u64>;

    /// Gives pending conversions the status that their offer's disposition foresees, at most `limit` of
    /// those that are due. Answers how many.
    fn dispose(&self, now: Time, limit: usize) -> StoreFuture<'_, u64>;

    /// Changes a conversion's status, with all that it causes.
    fn set_status(
        &self,
        which: ConversionRef,
        order: StatusMove,
        now: Time,
    ) -> StoreFuture<'_, StatusChanged>;

    /// Puts entries on a list, which begins with its first. Answers, in order, whether each is new there.
    fn suppress(&self, order: SuppressionOrder) -> StoreFuture<'_, Vec<bool>>;

    /// Takes entries off a suppression list. Answers, in order, whether each was there.
    fn unsuppress(&self, order: SuppressionOrder) -> StoreFuture<'_, Vec<bool>>;

    /// Removes a whole suppression list; answers how many entries it had.
    fn remove_list(&self, list: String) -> StoreFuture<'_, u64>;

    /// Every suppression list, by name.
    fn lists(&self) -> StoreFuture<'_, Vec<ListSummary>>;

    /// A list's entries, by kind and value; hashed ones last.
    fn listed(&self, list: String, page: PageRequest) -> StoreFuture<'_, Page<ListedEntry>>;

    /// Keeps a text under its name permanently: a version of a script that pages refer to by its hash.
    fn keep_text(&self, name: String, text: String) -> StoreFuture<'_, ()>;

    /// The text kept under this name.
    fn kept_text(&self, name: String) -> StoreFuture<'_, Option<String>>;

    /// Deletes a bounded number of records that are past their time. A conversion with an
    /// unfinished delivery stays, and so do its deliveries, its attempts and its click.
    fn purge(&self, before: PurgeBefore) -> StoreFuture<'_, Purged>;

    /// `None` where it was never recorded or is past its days.
    fn conversion(&self, id: ConversionId) -> StoreFuture<'_, Option<Trace>>;

    /// A conversion alone, as it is now: cheaper than its trace.
    fn conversion_now(&self, which: ConversionRef) -> StoreFuture<'_, Option<Conversion>>;

    /// See [`ReportQuery`].
    fn report(&self, query: ReportQuery) -> StoreFuture<'_, ReportPage>;

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
    fn backlog(&self, now: Time) -> Vec<Backlog>;

    /// Makes a small write durable: the answer to "could you take a postback now?".
    fn probe(&self) -> StoreFuture<'_, ()>;

    /// Finishes what is queued and refuses what is received later.
    fn close(&self) -> StoreFuture<'_, ()>;
}
