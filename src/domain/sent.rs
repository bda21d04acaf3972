//! What a delivery says of its conversion, and what a platform says later of what it accepted.

use serde::{Deserialize, Serialize};

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
}

impl DeliveryKind {
    /// Every kind.
    pub const ALL: [DeliveryKind; 3] = [DeliveryKind::Event, DeliveryKind::Restate, DeliveryKind::Retract];

    /// As API and pages write it.
    pub fn as_str(self) -> &'static str {
        match self {
            DeliveryKind::Event => "event",
            DeliveryKind::Restate => "restate",
            DeliveryKind::Retract => "retract",
        }
    }
}

/// What a platform said later of a request that it had accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmation {
    /// The platform's name of the request.
    pub request_id: String,
    /// How often it was asked.
    pub tries: u32,
    /// When it confirmed that it took the event.
    pub at: Time,
}
