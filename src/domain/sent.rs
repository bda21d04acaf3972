//! What a delivery says of its conversion, what was sent of it, and what a platform says later of what it accepted.

use serde::{Deserialize, Serialize};

use crate::domain::click::Pairs;
use crate::domain::ids::EventId;
use crate::domain::money::Money;
use crate::domain::time::Time;

/// What a delivery says of its conversion.
///
/// It is stored: new variants go to the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeliveryKind {
    /// That it happened, as it is now.
    Event,
    /// Another value of what was sent before.
    Restate,
    /// That what was sent before does not count.
    Retract,
    /// All of what was sent before as it is now, with its status.
    Status,
}

impl DeliveryKind {
    /// Every kind.
    pub const ALL: [DeliveryKind; 4] =
        [DeliveryKind::Event, DeliveryKind::Restate, DeliveryKind::Retract, DeliveryKind::Status];

    /// Whether it is of something that was sent before.
    pub fn is_change(self) -> bool {
        self != DeliveryKind::Event
    }

    /// As API and pages write it.
    pub fn as_str(self) -> &'static str {
        match self {
            DeliveryKind::Event => "event",
            DeliveryKind::Restate => "restate",
            DeliveryKind::Retract => "retract",
            DeliveryKind::Status => "status",
        }
    }
}

/// What a request said of the conversion: what a later change of it has to name again, whatever template and
/// conversion are by then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentEvent {
    /// What it says of the conversion.
    pub kind: DeliveryKind,
    /// The event's name as the platform calls it.
    pub event: String,
    /// The worth that was sent; `None` where the conversion has none, or the template names none.
    pub value: Option<Money>,
    /// When the event happened, as it was sent.
    pub event_time: Time,
    /// The id by which the platform counts the event once.
    pub event_id: EventId,
    /// The sale's number as it was then; `None` where none was known.
    pub transaction_id: Option<String>,
    /// The click's identifiers for the platform that were in the request, by the name of their parameter or cookie.
    pub ids: Pairs,
    /// What the template keeps of the answer, by name: the members under `keep` of its reply rules.
    pub reply: Pairs,
}

/// What a destination was sent of a conversion before a change of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum SentBefore {
    /// Nothing that was delivered.
    #[default]
    Nothing,
    /// Something, and the platform has yet to say whether it took it.
    Unconfirmed,
    /// What was delivered last.
    Event(Box<SentEvent>),
    /// Nothing that was delivered. This left last without an answer, so that the platform may have it.
    Unanswered(Box<SentEvent>),
    /// Something was delivered, and what it said is damaged.
    Unreadable,
}

impl SentBefore {
    /// What was delivered last, or may have been.
    pub fn event(&self) -> Option<&SentEvent> {
        match self {
            SentBefore::Event(sent) | SentBefore::Unanswered(sent) => Some(sent),
            _ => None,
        }
    }
}

/// How certain it is that the platform took an event that counts as delivered.
///
/// It is stored: new variants go to the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Confirmation {
    /// Its answer says so of this event, or of all that were sent with it.
    #[default]
    Confirmed,
    /// It knew the event already.
    Duplicate,
    /// Its answer is only how many it took, or that it took the request; which events it does not say.
    Counted,
    /// It never says whether it took anything.
    Unverified,
}

impl Confirmation {
    /// Every one of them.
    pub const ALL: [Confirmation; 4] =
        [Confirmation::Confirmed, Confirmation::Duplicate, Confirmation::Counted, Confirmation::Unverified];

    /// As API, pages, templates and stories write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Confirmation::Confirmed => "confirmed",
            Confirmation::Duplicate => "duplicate",
            Confirmation::Counted => "counted",
            Confirmation::Unverified => "unverified",
        }
    }
}

/// How many deliveries are delivered with which certainty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(missing_docs, reason = "each counts the variant of `Confirmation` of the same name")]
pub struct ConfirmationCounts {
    pub confirmed: u64,
    pub duplicate: u64,
    pub counted: u64,
    pub unverified: u64,
}

impl ConfirmationCounts {
    /// Counts one more.
    pub fn add(&mut self, confirmation: Confirmation) {
        let counted = match confirmation {
            Confirmation::Confirmed => &mut self.confirmed,
            Confirmation::Duplicate => &mut self.duplicate,
            Confirmation::Counted => &mut self.counted,
            Confirmation::Unverified => &mut self.unverified,
        };
        *counted += 1;
    }
}

/// What a platform said later of a request that it had accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaterVerdict {
    /// The platform's name of the request.
    pub request_id: String,
    /// How often it was asked.
    pub tries: u32,
    /// When it confirmed that it took the event.
    pub at: Time,
}
