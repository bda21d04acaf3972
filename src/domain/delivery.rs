//! Deliveries: which a conversion causes, the states they pass through, and each attempt.

use serde::{Deserialize, Serialize};

use crate::domain::conversion::{Cause, Change, Conversion, Dedup, Status};
use crate::domain::ids::{ConversionId, DeliveryId, DestinationId, Occasion, SourceId};
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
        reason: String,
    },
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

/// Which conversions one destination takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    pub destination: DestinationId,
    /// Sources it takes; empty: all.
    pub sources: Vec<SourceId>,
    /// Events it takes, by our name; empty: all.
    pub events: Vec<String>,
    /// Whether it hears of changes after it was told the conversion once.
    pub changes: Changes,
}

/// Whether a destination can express that a conversion it knows has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changes {
    Ignore,
    Send,
}

impl Route {
    fn takes(&self, conversion: &Conversion) -> bool {
        let source = self.sources.is_empty() || self.sources.contains(&conversion.source);
        let event =
            self.events.is_empty() || self.events.iter().any(|event| event == conversion.event.as_str());
        source && event
    }
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
    let first = first_state(conversion, policy, now);
    if conversion.attribution.click().is_some() {
        release_held(&mut deliveries, now);
    }
    let occasion =
        conversion.history.last().map_or(Occasion::First, |change| Occasion::Change(change.number));
    let forwardable = is_forwardable(conversion, policy);
    for route in routes.iter().filter(|route| route.takes(conversion)) {
        let mine = || earlier.iter().filter(|delivery| delivery.destination == route.destination);
        let unfinished = mine().any(|delivery| delivery.state.is_unfinished());
        let told = mine().any(Delivery::has_told);
        let dropped_before = matches!(first, DeliveryState::Skipped { .. }) && mine().next().is_some();
        let wanted = match (unfinished || dropped_before, told) {
            (true, _) => false,
            (false, true) => route.changes == Changes::Send,
            (false, false) => forwardable,
        };
        if wanted {
            deliveries.push(Delivery {
                destination: route.destination.clone(),
                occasion,
                state: first.clone(),
                attempts: 0,
            });
        }
    }
    deliveries
}

/// Whether the conversion's status is one that its source forwards.
pub fn is_forwardable(conversion: &Conversion, policy: &SourcePolicy) -> bool {
    policy.forward_status.contains(&conversion.status)
}

fn first_state(conversion: &Conversion, policy: &SourcePolicy, now: Time) -> DeliveryState {
    if conversion.attribution.click().is_some() {
        return DeliveryState::Waiting { due: now };
    }
    match policy.unmatched {
        Unmatched::Hold { hours } => DeliveryState::Held { until: now.plus_hours(i64::from(hours)) },
        Unmatched::Forward => DeliveryState::Waiting { due: now },
        Unmatched::Drop => DeliveryState::Skipped { at: now, reason: NO_CLICK.to_owned() },
    }
}

/// Frees held deliveries: their click has come.
pub fn release_held(deliveries: &mut [Delivery], now: Time) {
    for delivery in deliveries {
        if matches!(delivery.state, DeliveryState::Held { .. }) {
            delivery.state = DeliveryState::Waiting { due: now };
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
            delivery.state = DeliveryState::Skipped { at: now, reason: NO_CLICK.to_owned() };
            any = true;
        }
    }
    any
}

/// What an attempt knew of its conversion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Knew {
    /// How many changes the conversion had gone through when the delivery was claimed.
    pub changes: usize,
    /// Whether the destination hears of changes.
    pub hears: Changes,
}

/// What came of the delivery at `place` while an attempt was out that knew less than is known now.
/// [`plan`] saw it waiting and left it to the attempt, which ended with what was so before:
///
/// - A destination that was told, and hears of changes, gets a delivery for the latest one. That
///   its click came meanwhile is no news to it.
/// - A delivery that was skipped waits again: what it was skipped for may be so no longer.
///
/// Answers whether a delivery was added.
pub fn catch_up(conversion: &Conversion, deliveries: &mut Vec<Delivery>, place: usize, knew: Knew) -> bool {
    let news = conversion.history.get(knew.changes..).unwrap_or_default();
    let told_of = |change: &&Change| matches!(change.cause, Cause::Postback(_));
    let Some(latest) = news.iter().rfind(told_of).or(news.last()) else { return false };
    let others = |delivery: &Delivery| {
        deliveries.iter().enumerate().any(|(at, other)| {
            let same = at != place && other.destination == delivery.destination;
            // One of an earlier change knows nothing of the latest, even where it is later than this.
            same && (other.state.is_unfinished() || other.occasion >= Occasion::Change(latest.number))
        })
    };
    let Some(delivery) = deliveries.get(place).filter(|delivery| !others(delivery)) else {
        return false;
    };
    let destination = delivery.destination.clone();
    match (delivery.state.clone(), news.iter().rfind(told_of)) {
        (DeliveryState::Delivered { at } | DeliveryState::Dead { at, .. }, Some(change))
            if knew.hears == Changes::Send =>
        {
            let (occasion, state) = (Occasion::Change(change.number), DeliveryState::Waiting { due: at });
            deliveries.push(Delivery { destination, occasion, state, attempts: 0 });
            true
        }
        (DeliveryState::Skipped { at, .. }, _) => {
            if let Some(delivery) = deliveries.get_mut(place) {
                delivery.state = DeliveryState::Waiting { due: at };
            }
            false
        }
        _ => false,
    }
}

/// Whether another delivery to the same destination is going to tell the conversion as it is, or has:
/// one of a later occasion, or any that was delivered after this one had ended.
pub fn superseded(all: &[Delivery], id: &DeliveryId) -> bool {
    let is_it =
        |delivery: &&Delivery| delivery.destination == id.destination && delivery.occasion == id.occasion;
    let ended = all.iter().find(is_it).and_then(|delivery| match delivery.state {
        DeliveryState::Dead { at, .. } | DeliveryState::Skipped { at, .. } => Some(at),
        _ => None,
    });
    let others =
        all.iter().filter(|other| other.destination == id.destination && other.occasion != id.occasion);
    others.map(|other| (other.occasion, &other.state)).any(|(occasion, state)| match state {
        DeliveryState::Delivered { at } => occasion > id.occasion || ended.is_some_and(|ended| *at >= ended),
        state => state.is_unfinished(),
    })
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
            if let Some(without) = without(&masked, secret) {
                masked = std::borrow::Cow::Owned(without);
            }
        }
        masked.into_owned()
    }
}

/// `text` with every spelling of `secret` replaced; `None` where it holds none, as most texts do.
fn without(text: &str, secret: &str) -> Option<String> {
    let first = secret.bytes().next()?;
    let mut masked = String::new();
    let (mut kept, mut at) = (0, 0);
    while let Some(byte) = text.as_bytes().get(at) {
        let may_begin = *byte == first || *byte == b'%' || (*byte == b'+' && first == b' ');
        let found =
            if may_begin { spelled(text.as_bytes().get(at..).unwrap_or_default(), secret) } else { None };
        match found {
            Some(length) => {
                masked.push_str(text.get(kept..at).unwrap_or_default());
                masked.push_str("***");
                at += length;
                kept = at;
            }
            None => at += 1,
        }
    }
    (kept > 0).then(|| masked + text.get(kept..).unwrap_or_default())
}

/// How many bytes at the front of `text` spell `secret`, plain or percent-encoded.
fn spelled(text: &[u8], secret: &str) -> Option<usize> {
    let mut at = 0;
    for wanted in secret.bytes() {
        let byte = *text.get(at)?;
        let hex = |offset: usize| char::from(*text.get(at + offset)?).to_digit(16);
        at += match (byte, hex(1), hex(2)) {
            _ if byte == wanted => 1,
            (b'+', ..) if wanted == b' ' => 1,
            (b'%', Some(high), Some(low)) if high * 16 + low == u32::from(wanted) => 3,
            _ => return None,
        };
    }
    Some(at)
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
