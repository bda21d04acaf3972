//! A destination or outgoing postback: whether it is sent to now, and how much waits for it.

use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::destination_state::{DestinationState, Hold};
use crate::domain::ids::DestinationId;
use crate::domain::sent::ConfirmationCounts;
use crate::domain::time::Time;
use crate::store::contract::work::Backlog;
use crate::template::destination::definition::DestinationTemplate;
use crate::template::destination::ready::ReadyDestination;
use crate::template::destination::rendering::DestinationMode;
use crate::view::reason::ReasonView;
use crate::view::schema::TimeText;
use crate::view::template::FactDoubtView;

/// One that is configured.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Destination")]
pub struct DestinationView<'a> {
    #[schemars(with = "String")]
    id: &'a DestinationId,
    /// The destination template's name; of an outgoing postback its preset's, `postback` where its URL is its own.
    template: &'a str,
    /// `live`, `test`, `shadow` (requests are made, not sent) or `off`.
    mode: &'static str,
    /// `sending`, `on_hold`, `paused`, `parked` or `off`; `untried` where nothing was ever sent to it.
    state: &'static str,
    /// Since when and why its account is refused; null while it is not.
    parked: Option<ParkedView<'a>>,
    /// A wait that the platform asked for; null while there is none.
    pub on_hold: Option<HoldView>,
    /// Until when attempts pause after too many failures.
    #[schemars(with = "Option<TimeText>")]
    open_until: Option<Time>,
    /// The latest attempt that did not deliver, since the start.
    pub last_error: Option<SinceView>,
    /// Requests on their way now.
    in_flight: u64,
    /// Since the start.
    delivered: u64,
    /// The same, by how certain it is that the platform took them.
    confirmations: ConfirmationCountsView,
    /// Deliveries that are not done: `held`, `waiting` and `confirming` together.
    queue: u64,
    /// Deliveries that wait for their click.
    held: u64,
    /// Deliveries that have all they need, due or not.
    waiting: u64,
    /// Deliveries that the platform accepted and has not confirmed.
    confirming: u64,
    /// Those of `waiting` whose time has come.
    due: u64,
    /// Since when the oldest of those is due; null where none is.
    #[schemars(with = "Option<TimeText>")]
    oldest_due: Option<Time>,
    /// For how many seconds it is due; null where none is.
    oldest_due_seconds: Option<u64>,
    /// When the first event that waits becomes too old for the platform; null where none does.
    #[schemars(with = "Option<TimeText>")]
    first_loss_at: Option<Time>,
    /// Why another refresh token that the platform gives would be lost when the program ends; null where it is kept, or
    /// none is given.
    sign_in_warning: Option<ReasonView>,
    /// The version of the platform's API that is used; null where the template has no setting of one.
    version: Option<&'a str>,
    /// From when the platform refuses that version; null where that is not known.
    #[schemars(with = "Option<TimeText>")]
    version_expires_at: Option<Time>,
    /// Whether every fact of the template that events could be lost or falsified by is of the platform's own; null of an
    /// outgoing postback.
    verified: Option<bool>,
    /// What of the facts of its template, or preset, cannot be relied on.
    doubts: Vec<FactDoubtView>,
}

/// Deliveries since the start.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ConfirmationCounts")]
struct ConfirmationCountsView {
    /// The answer says that the platform took the event.
    confirmed: u64,
    /// The platform knew the event already.
    duplicate: u64,
    /// The answer only counts what was taken, or only says that the request was.
    counted: u64,
    /// The platform never says whether it took anything.
    unverified: u64,
}

impl ConfirmationCountsView {
    fn of(counts: ConfirmationCounts) -> ConfirmationCountsView {
        let ConfirmationCounts { confirmed, duplicate, counted, unverified } = counts;
        ConfirmationCountsView { confirmed, duplicate, counted, unverified }
    }
}

impl<'a> DestinationView<'a> {
    pub fn of(
        destination: &'a ReadyDestination,
        worker: Option<&'a DestinationState>,
        queue: Option<&Backlog>,
        now: Time,
    ) -> DestinationView<'a> {
        let hold = worker.and_then(|worker| worker.hold.as_ref()).filter(|_| destination.mode().sends());
        let parked = worker.and_then(|worker| worker.parked.as_ref());
        let last_error = worker.and_then(|worker| worker.last_error.as_ref());
        let confirmations = worker.map(|worker| worker.confirmations).unwrap_or_default();
        let oldest_due = queue.and_then(|queue| queue.oldest_due);
        let due_for = |due: Time| u64::try_from(now.millis_since(due) / 1000).unwrap_or(0);
        let of_preset = || destination.preset().map(|used| used.preset().doubts());
        let doubts = destination.template().map(DestinationTemplate::doubts).or_else(of_preset);
        let (version, version_expires_at) = destination.version().unzip();
        DestinationView {
            id: destination.id(),
            template: destination.template_name(),
            mode: destination.mode().as_str(),
            state: state(destination.mode(), worker, now),
            parked: parked.map(|(since, reason)| ParkedView {
                since: *since,
                reason: ReasonView::of(reason),
                setup: destination.template().map(DestinationTemplate::when_refused),
            }),
            on_hold: hold.map(HoldView::of),
            open_until: worker.and_then(|worker| worker.open_until).filter(|until| *until > now),
            last_error: last_error
                .map(|(since, verdict)| SinceView { since: *since, reason: ReasonView::of_verdict(verdict) }),
            in_flight: worker.map_or(0, |worker| worker.in_flight),
            delivered: worker.map_or(0, |worker| worker.delivered),
            confirmations: ConfirmationCountsView::of(confirmations),
            queue: queue.map_or(0, |queue| queue.held + queue.waiting + queue.confirming),
            held: queue.map_or(0, |queue| queue.held),
            waiting: queue.map_or(0, |queue| queue.waiting),
            confirming: queue.map_or(0, |queue| queue.confirming),
            due: queue.map_or(0, |queue| queue.due),
            oldest_due,
            oldest_due_seconds: oldest_due.map(due_for),
            first_loss_at: queue.and_then(|queue| queue.first_loss),
            sign_in_warning: destination.unkept_token().map(ReasonView::of),
            version,
            version_expires_at: version_expires_at.flatten(),
            verified: destination.template().map(DestinationTemplate::is_verified),
            doubts: FactDoubtView::all(doubts.unwrap_or_default()),
        }
    }
}

/// Whether a destination is sent to now, in one word.
fn state(mode: DestinationMode, worker: Option<&DestinationState>, now: Time) -> &'static str {
    let Some(worker) = worker.filter(|_| mode != DestinationMode::Off) else {
        return if mode == DestinationMode::Off { "off" } else { "untried" };
    };
    match (worker.parked.is_some(), worker.hold.is_some() && mode.sends(), worker.open_until) {
        (true, ..) => "parked",
        (_, true, _) => "on_hold",
        (_, _, Some(until)) if until > now => "paused",
        _ if worker.is_tried => "sending",
        _ => "untried",
    }
}

/// Since when an account is refused, why, and what to do.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Parked")]
struct ParkedView<'a> {
    #[schemars(with = "TimeText")]
    since: Time,
    #[serde(flatten)]
    reason: ReasonView,
    /// What the template's setup guide says of such a refusal, in Markdown; null without a template.
    setup: Option<&'a str>,
}

/// Since when something is so, and why.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Since")]
pub struct SinceView {
    #[schemars(with = "TimeText")]
    since: Time,
    #[serde(flatten)]
    pub reason: ReasonView,
}

/// A wait that the receiver asked for.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Hold")]
pub struct HoldView {
    #[schemars(with = "TimeText")]
    since: Time,
    /// Then one delivery is sent to ask; the others follow when it is taken.
    #[schemars(with = "TimeText")]
    until: Time,
    #[serde(flatten)]
    pub reason: ReasonView,
}

impl HoldView {
    fn of(hold: &Hold) -> HoldView {
        HoldView { since: hold.since, until: hold.until, reason: ReasonView::of(&hold.reason) }
    }
}

/// One that is not configured any more, and for which something waits.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RemovedDestination")]
pub struct RemovedDestinationView {
    #[schemars(with = "String")]
    id: DestinationId,
    /// Always `destination_removed`.
    state: &'static str,
    /// When it was taken out of the configuration.
    #[schemars(with = "TimeText")]
    since: Time,
    /// When what waits is skipped.
    #[schemars(with = "TimeText")]
    until: Time,
    /// Deliveries that wait for their click.
    held: u64,
    /// Deliveries that would be sent, were it configured again.
    waiting: u64,
}

impl RemovedDestinationView {
    pub fn of(
        id: DestinationId,
        (since, until): (Time, Time),
        queue: Option<&Backlog>,
    ) -> RemovedDestinationView {
        RemovedDestinationView {
            id,
            state: "destination_removed",
            since,
            until,
            held: queue.map_or(0, |queue| queue.held),
            waiting: queue.map_or(0, |queue| queue.waiting),
        }
    }
}
