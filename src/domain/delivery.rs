//! Deliveries: the states they pass through, what is sent and what is answered.

use serde::{Deserialize, Serialize};

use crate::domain::code::CodedReason;
use crate::domain::delivery_reason::{DeathReason, ParkReason, RetryReason};
use crate::domain::exchange::{NoAnswer, PlatformAnswer, SendRefused};
use crate::domain::ids::{ConversionId, DeliveryId, DestinationId, Occasion};
use crate::domain::mask::without_secret;
use crate::domain::sent::{Confirmation, DeliveryKind, LaterVerdict};
use crate::domain::skip::SkipReason;
use crate::domain::time::Time;

/// One conversion on its way to one destination, for one occasion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// It may have been taken out of the configuration since.
    pub destination: DestinationId,
    /// What caused it. What is sent is the conversion as it is then, not as it was on this occasion.
    pub occasion: Occasion,
    /// What it says of the conversion.
    pub kind: DeliveryKind,
    /// How far it is, since when and why.
    pub state: DeliveryState,
    /// When the destination's delay is over: nothing is tried automatically before, only when a person asks for it.
    /// `None`: it has no delay.
    pub not_before: Option<Time>,
    /// The last moment at which the platform still takes the event, by the maximum age that was configured when the
    /// delivery was planned or looked at last. `None`: it takes an event of any age.
    pub expires_at: Option<Time>,
    /// When the first attempt began that counted; `None`: none has.
    pub first_attempt_at: Option<Time>,
    /// Attempts that counted: what left and was answered, or failed on the way. A parked
    /// destination's probes do not count.
    pub attempts: u32,
    /// Whether the platform may have been sent the event by an attempt whose answer no one knows: none was received, or
    /// its lease ran out without a word. So what is sent next may be a repeat.
    pub possible_repeat: bool,
    /// Whether such an attempt was made, also where the platform counts a repeat once: it may count the event.
    pub may_be_known: bool,
}

impl Delivery {
    /// One that was not tried yet, without a delay and without an end.
    pub fn new(
        destination: DestinationId,
        occasion: Occasion,
        kind: DeliveryKind,
        state: DeliveryState,
    ) -> Delivery {
        Delivery {
            destination,
            occasion,
            kind,
            state,
            not_before: None,
            expires_at: None,
            first_attempt_at: None,
            attempts: 0,
            possible_repeat: false,
            may_be_known: false,
        }
    }

    /// `conversion`: the one that is sent, which the delivery does not hold itself.
    pub fn id(&self, conversion: ConversionId) -> DeliveryId {
        DeliveryId { conversion, destination: self.destination.clone(), occasion: self.occasion }
    }

    /// Whether the destination knows the conversion by this delivery, or may know it.
    pub fn has_reported(&self) -> bool {
        matches!(
            self.state,
            DeliveryState::Confirming { .. } | DeliveryState::Delivered { .. } | DeliveryState::Dead { .. }
        )
    }
}

/// Whether the destination of `delivery` was sent the conversion on an earlier occasion.
pub fn sent_before(all: &[Delivery], delivery: &Delivery) -> bool {
    all.iter().any(|other| {
        other.destination == delivery.destination
            && other.occasion < delivery.occasion
            && other.has_reported()
    })
}

/// The state of a delivery. It ends only as delivered, dead or skipped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeliveryState {
    /// Waits for its click; skipped when the click has not come by `until`.
    Held {
        /// The first moment at which it is skipped.
        until: Time,
    },
    /// Sent when `due` has come. While an attempt runs it stays waiting, leased to the sender.
    Waiting {
        /// When the first or the next attempt may begin.
        due: Time,
    },
    /// The platform took it. Nothing more is sent for this occasion.
    Delivered {
        /// When its answer was received.
        at: Time,
        /// How certain that is.
        confirmation: Confirmation,
        /// Where it said only later whether it took it; in a box, because few platforms do.
        later: Option<Box<LaterVerdict>>,
    },
    /// Gave up, with the reason; the last attempt keeps request and response. Can be retried.
    Dead {
        /// When the attempt ended that was its last.
        at: Time,
        /// In a box, because it may quote an answer.
        reason: Box<DeathReason>,
    },
    /// Never to be sent as things stand, with the reason.
    Skipped {
        /// When it was planned, or when its wait or its attempt ended.
        at: Time,
        /// What has to become otherwise before it can be sent.
        reason: SkipReason,
    },
    /// The platform accepted the request, and says later whether it took the event. Nothing is sent meanwhile.
    Confirming {
        /// The platform's name of the request.
        request_id: String,
        /// When its answer was received.
        accepted_at: Time,
        /// When it is asked next.
        poll_at: Time,
        /// How often it was asked.
        tries: u32,
        /// What became of asking it last, where that was no verdict. In a box, because it may quote an answer.
        last: Option<Box<ReplyVerdict>>,
    },
}

/// The name of a state: what filters and contracts name it by.
#[allow(missing_docs, reason = "each is the state of the same name")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeliveryStateName {
    Held,
    Waiting,
    Confirming,
    Delivered,
    Dead,
    Skipped,
}

impl DeliveryStateName {
    /// Every state, the unfinished ones first.
    pub const ALL: [DeliveryStateName; 6] = [
        DeliveryStateName::Held,
        DeliveryStateName::Waiting,
        DeliveryStateName::Confirming,
        DeliveryStateName::Delivered,
        DeliveryStateName::Dead,
        DeliveryStateName::Skipped,
    ];

    /// As API and pages write it.
    pub fn as_str(self) -> &'static str {
        match self {
            DeliveryStateName::Held => "held",
            DeliveryStateName::Waiting => "waiting",
            DeliveryStateName::Confirming => "confirming",
            DeliveryStateName::Delivered => "delivered",
            DeliveryStateName::Dead => "dead",
            DeliveryStateName::Skipped => "skipped",
        }
    }

    /// The state that is written so.
    pub fn parse(word: &str) -> Option<DeliveryStateName> {
        DeliveryStateName::ALL.into_iter().find(|name| name.as_str() == word)
    }
}

impl DeliveryState {
    /// Taken then, as the platform's answer to the request says.
    pub fn delivered(at: Time) -> DeliveryState {
        DeliveryState::Delivered { at, confirmation: Confirmation::Confirmed, later: None }
    }

    /// Accepted then, and no one will ever hear whether it was taken.
    pub fn unverified(at: Time) -> DeliveryState {
        DeliveryState::Delivered { at, confirmation: Confirmation::Unverified, later: None }
    }

    /// How certain it is that the platform took the event; `None` while it is not delivered.
    pub fn confirmation(&self) -> Option<Confirmation> {
        match self {
            DeliveryState::Delivered { confirmation, .. } => Some(*confirmation),
            _ => None,
        }
    }

    /// The state without what it is about.
    pub fn name(&self) -> DeliveryStateName {
        match self {
            DeliveryState::Held { .. } => DeliveryStateName::Held,
            DeliveryState::Waiting { .. } => DeliveryStateName::Waiting,
            DeliveryState::Confirming { .. } => DeliveryStateName::Confirming,
            DeliveryState::Delivered { .. } => DeliveryStateName::Delivered,
            DeliveryState::Dead { .. } => DeliveryStateName::Dead,
            DeliveryState::Skipped { .. } => DeliveryStateName::Skipped,
        }
    }

    /// As API and pages write it.
    pub fn as_str(&self) -> &'static str {
        self.name().as_str()
    }

    /// Held or waiting: what is sent of it is the conversion as it is then.
    pub fn is_to_be_sent(&self) -> bool {
        matches!(self, DeliveryState::Held { .. } | DeliveryState::Waiting { .. })
    }

    /// To be sent, or to be confirmed: its conversion may not be purged.
    pub fn is_unfinished(&self) -> bool {
        self.is_to_be_sent() || matches!(self, DeliveryState::Confirming { .. })
    }
}

/// An HTTP request that is ready to leave. Secrets are in it: it is never stored, only its
/// [`SentRequest`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutgoingRequest {
    /// In capitals, as HTTP knows it: `POST`.
    pub method: String,
    /// Whole, with its query; a secret may be in it.
    pub url: String,
    /// In the order in which they are sent; a secret may be a value.
    pub headers: Vec<(String, String)>,
    /// Empty where the request has none.
    pub body: Vec<u8>,
    /// Texts to mask wherever the request is shown or stored.
    pub secrets: Vec<String>,
}

impl OutgoingRequest {
    /// What may be stored and shown: every secret replaced by `***`.
    pub fn masked(&self) -> SentRequest {
        self.masked_with(self.mask(&String::from_utf8_lossy(&self.body)))
    }

    /// The same with a body that is masked already.
    pub fn masked_with(&self, body: String) -> SentRequest {
        SentRequest {
            method: self.method.clone(),
            url: self.mask(&self.url),
            headers: self.headers.iter().map(|(name, value)| (name.clone(), self.mask(value))).collect(),
            body,
        }
    }

    /// `text` with every secret of this request replaced, also where some or all of it is
    /// percent-encoded, in whatever case, or with `+` for a space.
    pub fn mask(&self, text: &str) -> String {
        let mut masked = std::borrow::Cow::Borrowed(text);
        for secret in self.secrets.iter().filter(|secret| !secret.is_empty()) {
            if let Some(without) = without_secret(&masked, secret) {
                masked = std::borrow::Cow::Owned(without);
            }
        }
        masked.into_owned()
    }
}

/// A request as it left, secrets masked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentRequest {
    /// In capitals, as HTTP knows it: `POST`.
    pub method: String,
    /// Whole, with its query.
    pub url: String,
    /// In the order in which they were sent.
    pub headers: Vec<(String, String)>,
    /// As text: what is not UTF-8 is replaced. Empty where the request had none.
    pub body: String,
}

/// What the receiver answered, before anyone classified it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// A whole answer, whatever its status.
    Answer(PlatformResponse),
    /// No answer: refused, reset, timed out.
    Failed(NoAnswer),
    /// It may not leave from here: a private address, a header that HTTP forbids. Not worth a retry.
    Forbidden(SendRefused),
}

/// An HTTP answer; at most the first 64 KiB of its body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlatformResponse {
    /// Of HTTP: 200, 429…
    pub status: u16,
    /// Names in lower case. Of very many only the first are kept.
    pub headers: Vec<(String, String)>,
    /// Bytes, because it may be in any charset.
    #[serde(with = "serde_bytes_vec")]
    pub body: Vec<u8>,
    /// Whether the body was longer than what is kept.
    pub truncated: bool,
}

mod serde_bytes_vec {
    pub use crate::domain::postback::bytes_as_bytes::{deserialize, serialize};
}

impl PlatformResponse {
    /// The same with at most so many bytes of its body.
    #[must_use]
    pub fn cut_to(mut self, most: usize) -> PlatformResponse {
        self.truncated |= self.body.len() > most;
        self.body.truncate(most);
        self
    }

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
pub enum ReplyVerdict {
    /// The platform took the event.
    Delivered {
        /// What it found odd all the same, in its own words, each one line; nearly always empty.
        warnings: Vec<String>,
        /// How certain it is.
        confirmation: Confirmation,
    },
    /// Try again by the schedule, and not before `after_ms` where the platform asked for it. With
    /// `hold_ms` it asked that nothing at all is sent for so long: the destination is held.
    Retry {
        /// What the next attempt may find otherwise.
        reason: RetryReason,
        /// Counted from the answer; `None`: the schedule alone says.
        after_ms: Option<i64>,
        /// Counted from the answer; `None`: other deliveries go on.
        hold_ms: Option<i64>,
    },
    /// Nothing more is tried automatically: it would end the same way.
    Dead {
        /// What a person has to fix before a retry.
        reason: DeathReason,
    },
    /// The account, not the event, is refused: the destination waits, the delivery is not charged.
    Park {
        /// What the account needs before anything is sent again.
        reason: ParkReason,
    },
    /// Not sent, and not to be.
    Skipped {
        /// What has to become otherwise before it can be sent.
        reason: SkipReason,
    },
}

impl ReplyVerdict {
    /// Taken, as the answer says, without a remark.
    pub fn delivered() -> ReplyVerdict {
        ReplyVerdict::Delivered { warnings: Vec::new(), confirmation: Confirmation::Confirmed }
    }

    /// The answer that its reason keeps, where it was one that did not take the event.
    pub fn answer_mut(&mut self) -> Option<&mut PlatformAnswer> {
        match self {
            ReplyVerdict::Retry { reason: RetryReason::PlatformUnavailable(answer), .. }
            | ReplyVerdict::Dead {
                reason: DeathReason::PlatformRejected(answer) | DeathReason::Redirected(answer),
            }
            | ReplyVerdict::Park { reason: ParkReason::AccountRefused(answer) } => Some(answer),
            _ => None,
        }
    }

    /// All that it quotes from outside. A secret may be in it until it is masked.
    pub fn quoted_mut(&mut self) -> Vec<&mut String> {
        let quoted = match self {
            ReplyVerdict::Delivered { warnings, .. } => return warnings.iter_mut().collect(),
            ReplyVerdict::Retry { reason: RetryReason::NoAnswer(cause), .. } => cause.quoted_mut(),
            ReplyVerdict::Dead { reason: DeathReason::Refused(refused) } => refused.quoted_mut(),
            other => other.answer_mut().and_then(PlatformAnswer::quoted_mut),
        };
        quoted.into_iter().collect()
    }

    /// Whether the platform took the event, or may have: no answer was received to what had left.
    pub fn may_be_taken(&self) -> bool {
        match self {
            ReplyVerdict::Delivered { .. } => true,
            ReplyVerdict::Retry { reason: RetryReason::NoAnswer(cause), .. } => {
                !matches!(cause, NoAnswer::ConnectTimeout | NoAnswer::NoConnection { .. })
            }
            _ => false,
        }
    }

    /// Its reason in words; `None` where it needs none.
    pub fn sentence(&self) -> Option<String> {
        match self {
            ReplyVerdict::Delivered { .. } => None,
            ReplyVerdict::Retry { reason, .. } => Some(reason.sentence()),
            ReplyVerdict::Dead { reason } => Some(reason.sentence()),
            ReplyVerdict::Park { reason } => Some(reason.sentence()),
            ReplyVerdict::Skipped { reason } => Some(reason.sentence()),
        }
    }

    /// As API, pages and stories write it.
    pub fn as_str(&self) -> &'static str {
        match self {
            ReplyVerdict::Delivered { .. } => "delivered",
            ReplyVerdict::Retry { .. } => "retry",
            ReplyVerdict::Dead { .. } => "dead",
            ReplyVerdict::Park { .. } => "park",
            ReplyVerdict::Skipped { .. } => "skipped",
        }
    }
}
