//! Deliveries: which a conversion causes, the states they pass through, and each attempt.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::domain::conversion::{Conversion, Dedup, Status};
use crate::domain::ids::{
    AffiliateId, CampaignId, ClickId, ConversionId, DeliveryId, DestinationId, Occasion, SourceId,
};
use crate::domain::mask;
use crate::domain::rulebook::built_in;
use crate::domain::time::Time;

/// One conversion on its way to one destination, for one occasion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    pub destination: DestinationId,
    pub occasion: Occasion,
    pub state: DeliveryState,
    /// Attempts that counted: what left and was answered, or failed on the way. A parked
    /// destination's probes do not count.
    pub attempts: u32,
}

impl Delivery {
    pub fn id(&self, conversion: ConversionId) -> DeliveryId {
        DeliveryId { conversion, destination: self.destination.clone(), occasion: self.occasion }
    }

    /// Whether the destination knows the conversion by this delivery, or may know it.
    pub fn has_told(&self) -> bool {
        matches!(self.state, DeliveryState::Delivered { .. } | DeliveryState::Dead { .. })
    }
}

/// Whether the destination of `delivery` was told the conversion on an earlier occasion.
pub fn told_before(all: &[Delivery], delivery: &Delivery) -> bool {
    all.iter().any(|other| {
        other.destination == delivery.destination && other.occasion < delivery.occasion && other.has_told()
    })
}

/// Where a delivery stands. It ends only as delivered, dead or skipped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeliveryState {
    /// Waits for its click; skipped when the click has not come by `until`.
    Held {
        until: Time,
    },
    /// Sent when `due` has come. While an attempt runs it stays waiting, leased to the sender.
    Waiting {
        due: Time,
    },
    Delivered {
        at: Time,
    },
    /// Gave up, with the reason; the last attempt keeps request and response. Can be retried.
    Dead {
        at: Time,
        reason: String,
    },
    /// Never to be sent as things stand, with the reason.
    Skipped {
        at: Time,
        code: Option<SkipCode>,
        reason: String,
    },
}

/// Why a delivery was skipped, as a code that programs can compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SkipCode {
    /// The visitor refused that data about them goes to ad platforms (`ad_user_data`).
    ConsentDenied,
}

impl SkipCode {
    /// As API and pages write it.
    pub fn as_str(self) -> &'static str {
        match self {
            SkipCode::ConsentDenied => "consent_denied",
        }
    }
}

impl DeliveryState {
    pub fn word(&self) -> &'static str {
        match self {
            DeliveryState::Held { .. } => "held",
            DeliveryState::Waiting { .. } => "waiting",
            DeliveryState::Delivered { .. } => "delivered",
            DeliveryState::Dead { .. } => "dead",
            DeliveryState::Skipped { .. } => "skipped",
        }
    }

    /// Held or waiting: its conversion may not be purged.
    pub fn is_unfinished(&self) -> bool {
        matches!(self, DeliveryState::Held { .. } | DeliveryState::Waiting { .. })
    }
}

/// What to do with a conversion whose click is not recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unmatched {
    /// Wait for the click this many hours, then skip.
    Hold { hours: u32 },
    /// Send it without the click.
    Forward,
    /// Keep it, send it nowhere.
    Drop,
}

/// What a source wants done with its conversions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourcePolicy {
    pub source: SourceId,
    pub dedup: Dedup,
    pub forward_status: Vec<Status>,
    pub unmatched: Unmatched,
}

/// Which conversions one destination takes, when, and how many of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    pub destination: DestinationId,
    /// Sources it takes; empty: all.
    pub sources: Vec<SourceId>,
    /// Events it takes, by our name; empty: all.
    pub events: Vec<String>,
    /// Whether it hears of changes after it was told the conversion once.
    pub changes: Changes,
    pub scope: Scope,
    /// The statuses it is told, of an outgoing postback. `None`: those that the source forwards.
    pub on: Option<Vec<Status>>,
    /// How long a delivery waits before it is sent.
    pub delay_ms: i64,
    /// How many of a hundred conversions it is told: 0–100, decided by the click id.
    pub percent: u8,
}

/// Whose conversions a destination takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Everybody's: an ad account.
    Any,
    /// Those that some campaign brought: a postback for all.
    AnyCampaign,
    Affiliate(AffiliateId),
    Campaign(CampaignId),
}

/// Whether a destination can express that a conversion it knows has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changes {
    Ignore,
    Send,
}

impl Route {
    /// A route for all conversions, told once, at once.
    pub fn to(destination: DestinationId) -> Route {
        Route {
            destination,
            sources: Vec::new(),
            events: Vec::new(),
            changes: Changes::Ignore,
            scope: Scope::Any,
            on: None,
            delay_ms: 0,
            percent: 100,
        }
    }

    fn takes(&self, conversion: &Conversion) -> bool {
        let source = self.sources.is_empty() || self.sources.contains(&conversion.source);
        let event =
            self.events.is_empty() || self.events.iter().any(|event| event == conversion.event.as_str());
        source && event && self.scope.covers(conversion)
    }

    /// Whether it is told a conversion of this status on first telling.
    fn forwards(&self, conversion: &Conversion, policy: &SourcePolicy) -> bool {
        match &self.on {
            Some(on) => on.contains(&conversion.status) && conversion.status != Status::Scrubbed,
            None => is_forwardable(conversion, policy),
        }
    }

    /// Whether the conversion is among those that it is told; the same answer for all its changes.
    fn is_chosen(&self, conversion: &Conversion) -> bool {
        if self.percent >= 100 {
            return true;
        }
        let click = conversion.attribution.click().map(ClickId::as_str).or(conversion.attribution.given());
        let share = match click {
            Some(click) => share_of(click.trim().as_bytes()),
            None => share_of(conversion.id.as_bytes()),
        };
        share < u64::from(self.percent)
    }
}

impl Scope {
    /// Whether the conversion is one of those that are meant at all.
    pub fn covers(&self, conversion: &Conversion) -> bool {
        let placement = conversion.placement.as_ref();
        // What the tag tells is no sale of a campaign's.
        let earns = conversion.source.as_str() != built_in::TAG;
        match self {
            Scope::Any => true,
            Scope::AnyCampaign => earns && placement.is_some_and(|placed| placed.campaign.is_some()),
            Scope::Affiliate(id) => {
                earns && placement.is_some_and(|placed| placed.affiliate.as_ref() == Some(id))
            }
            Scope::Campaign(id) => {
                earns && placement.is_some_and(|placed| placed.campaign.as_ref() == Some(id))
            }
        }
    }
}

/// 0–99, spread evenly over what is told. Part of what people were promised, so it never changes.
fn share_of(text: &[u8]) -> u64 {
    let digest = Sha256::digest(text);
    digest.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes)) % 100
}

/// The deliveries of a conversion after it came, changed or was matched. Pure, and the whole rule:
///
/// - Only a status in `forward_status` is sent on first telling.
/// - Without its click a delivery is held, sent or skipped, as the source says.
/// - A click that arrives frees what is held.
/// - After a change, a destination that was never told (or was skipped) gets a delivery for that
///   occasion; one that waits will be sent the current values; one that was told hears of it only
///   where its route says so. A second approval never sends twice.
pub fn plan(
    conversion: &Conversion,
    earlier: &[Delivery],
    policy: &SourcePolicy,
    routes: &[Route],
    now: Time,
) -> Vec<Delivery> {
    let mut deliveries = earlier.to_vec();
    if conversion.attribution.click().is_some() {
        release_held(&mut deliveries, routes, now);
    }
    let occasion =
        conversion.history.last().map_or(Occasion::First, |change| Occasion::Change(change.number));
    for route in routes.iter().filter(|route| route.takes(conversion)) {
        let first = first_state(conversion, policy, route, now);
        let mine = || earlier.iter().filter(|delivery| delivery.destination == route.destination);
        let unfinished = mine().any(|delivery| delivery.state.is_unfinished());
        let told = mine().any(Delivery::has_told);
        let dropped_before = matches!(first, DeliveryState::Skipped { .. }) && mine().next().is_some();
        let forwards = route.forwards(conversion, policy);
        let wanted = match (unfinished || dropped_before, told) {
            (true, _) => false,
            (false, true) => route.changes == Changes::Send && (route.on.is_none() || forwards),
            (false, false) => forwards,
        };
        if wanted {
            deliveries.push(Delivery {
                destination: route.destination.clone(),
                occasion,
                state: first,
                attempts: 0,
            });
        }
    }
    deliveries
}

/// Whether the conversion's status is one that its source forwards. What is scrubbed never is.
pub fn is_forwardable(conversion: &Conversion, policy: &SourcePolicy) -> bool {
    conversion.status != Status::Scrubbed && policy.forward_status.contains(&conversion.status)
}

fn first_state(conversion: &Conversion, policy: &SourcePolicy, route: &Route, now: Time) -> DeliveryState {
    if !route.is_chosen(conversion) {
        let reason = format!("not among the {} % of conversions that this postback tells", route.percent);
        return DeliveryState::Skipped { at: now, code: None, reason };
    }
    let due = now.plus_millis(route.delay_ms);
    if conversion.attribution.click().is_some() {
        return DeliveryState::Waiting { due };
    }
    match policy.unmatched {
        Unmatched::Hold { hours } => DeliveryState::Held { until: now.plus_hours(i64::from(hours)) },
        Unmatched::Forward => DeliveryState::Waiting { due },
        Unmatched::Drop => DeliveryState::Skipped { at: now, code: None, reason: NO_CLICK.to_owned() },
    }
}

/// Frees held deliveries: their click has come. A destination that wants a delay has it from then on.
fn release_held(deliveries: &mut [Delivery], routes: &[Route], now: Time) {
    for delivery in deliveries {
        if matches!(delivery.state, DeliveryState::Held { .. }) {
            let route = routes.iter().find(|route| route.destination == delivery.destination);
            let due = now.plus_millis(route.map_or(0, |route| route.delay_ms));
            delivery.state = DeliveryState::Waiting { due };
        }
    }
}

/// Why a conversion without its click was not sent.
pub const NO_CLICK: &str = "no click: none recorded with the id that came; record the click, then retry";

/// Turns every hold that has ended into a skip; says whether any had.
pub fn expire_holds(deliveries: &mut [Delivery], now: Time) -> bool {
    let mut any = false;
    for delivery in deliveries {
        if matches!(delivery.state, DeliveryState::Held { until } if until <= now) {
            delivery.state = DeliveryState::Skipped { at: now, code: None, reason: NO_CLICK.to_owned() };
            any = true;
        }
    }
    any
}

/// An HTTP request that is ready to leave. Secrets are in it: it is never stored, only its
/// [`SentRequest`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutgoingRequest {
    pub method: String,
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Texts to mask wherever the request is shown or stored.
    pub secrets: Vec<String>,
}

impl OutgoingRequest {
    /// What may be stored and shown: every secret replaced by `***`.
    pub fn masked(&self) -> SentRequest {
        SentRequest {
            method: self.method.clone(),
            url: self.mask(&self.url),
            headers: self.headers.iter().map(|(name, value)| (name.clone(), self.mask(value))).collect(),
            body: self.mask(&String::from_utf8_lossy(&self.body)),
        }
    }

    /// `text` with every secret of this request replaced, also where some or all of it stands
    /// percent-encoded, in whatever case, or with `+` for a space.
    pub fn mask(&self, text: &str) -> String {
        let mut masked = std::borrow::Cow::Borrowed(text);
        for secret in self.secrets.iter().filter(|secret| !secret.is_empty()) {
            if let Some(without) = mask::without(&masked, secret) {
                masked = std::borrow::Cow::Owned(without);
            }
        }
        masked.into_owned()
    }
}

/// A request as it left, secrets masked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentRequest {
    pub method: String,
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

/// What came back, before anybody judged it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    Answer(Answer),
    /// No answer: refused, reset, timed out. The text names no URL.
    Failed(String),
    /// The address may not be reached from here (private, or not a web address). Not worth a retry.
    Forbidden(String),
}

/// An HTTP answer; at most the first 64 KiB of its body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    #[serde(with = "serde_bytes_vec")]
    pub body: Vec<u8>,
    pub truncated: bool,
}

mod serde_bytes_vec {
    pub use crate::domain::postback::bytes_as_bytes::{deserialize, serialize};
}

impl Answer {
    /// The value of a header, by its lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}

/// What a reply means to the delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Judgement {
    Delivered {
        warnings: Vec<String>,
    },
    /// Try again by the schedule, and not before `after_ms` where the platform asked for it.
    Retry {
        reason: String,
        after_ms: Option<i64>,
    },
    Dead {
        reason: String,
    },
    /// The account, not the event, is refused: the destination waits, the delivery is not charged.
    Park {
        reason: String,
    },
    /// Not sent, and not to be.
    Skipped {
        code: Option<SkipCode>,
        reason: String,
    },
}

impl Judgement {
    pub fn word(&self) -> &'static str {
        match self {
            Judgement::Delivered { .. } => "delivered",
            Judgement::Retry { .. } => "retry",
            Judgement::Dead { .. } => "dead",
            Judgement::Park { .. } => "park",
            Judgement::Skipped { .. } => "skipped",
        }
    }
}

/// One try at a delivery, kept for good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    pub at: Time,
    pub took_ms: u32,
    /// Absent when nothing left: skipped, or the payload could not be made.
    pub request: Option<SentRequest>,
    pub answer: Option<Answer>,
    pub judgement: Judgement,
    /// What the request says otherwise than the conversion: a payout that was scaled.
    pub remark: Option<String>,
}

/// Why a delivery cannot be retried now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RetryRefused {
    #[error("no such delivery")]
    Unknown,
    #[error("it was delivered; sending again would count twice")]
    Delivered,
    #[error("the event is older than the platform takes")]
    TooOld,
    #[error("another delivery tells the destination the same event; sending this one too would count twice")]
    Superseded,
}

/// How one destination is doing, for people to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaneState {
    pub destination: DestinationId,
    /// Since when and why the destination's queue waits: its account was refused.
    pub parked: Option<(Time, String)>,
    /// Until when the breaker keeps attempts back after too many failures.
    pub open_until: Option<Time>,
    pub in_flight: u64,
    pub delivered: u64,
    /// The latest failure: when, and the reason.
    pub last_error: Option<(Time, String)>,
}
