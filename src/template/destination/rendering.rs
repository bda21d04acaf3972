//! Whether a destination sends, what a delivery is rendered from, and the result.

use crate::domain::click::Click;
use crate::domain::conversion::Conversion;
use crate::domain::customer::CustomerFormat;
use crate::domain::delivery::OutgoingRequest;
use crate::domain::ids::DeliveryId;
use crate::domain::remark::Remark;
use crate::domain::sent::{DeliveryKind, SentEvent};
use crate::domain::skip::SkipReason;
use crate::domain::time::Time;

/// What one delivery is rendered from.
pub struct RenderInput<'a> {
    /// As it is now; ids and amounts alone where consent has ended since it was sent.
    pub conversion: &'a Conversion,
    /// What the network never knew of the visitor; `None` where no click earned the conversion, or is kept.
    pub click: Option<&'a Click>,
    /// Names the occasion.
    pub delivery: &'a DeliveryId,
    /// What the delivery says: a change may have a template of its own.
    pub kind: DeliveryKind,
    /// Of a change: what the destination was sent before.
    pub sent: Option<&'a SentEvent>,
    /// The time of sending, for what a template stamps or signs.
    pub now: Time,
    /// How the conversion's source writes customer data.
    pub customer: CustomerFormat,
}

/// The result of rendering, and what a person should know of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendering<R = OutgoingRequest> {
    /// What leaves, or why nothing does.
    pub rendered: Rendered<R>,
    /// What was there and is not in the request, and what the request says otherwise than the conversion.
    pub remarks: Vec<Remark>,
}

/// A request, or one event's part of one; or why there is none to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rendered<R = OutgoingRequest> {
    /// With its secrets: to be masked before it is kept or shown; and what it says of the conversion.
    Request(R, Box<SentEvent>),
    /// The platform would certainly refuse it.
    Skip {
        /// What the platform misses, by the template's own rules.
        reason: SkipReason,
    },
}

/// What a destination does with the events it is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DestinationMode {
    /// What it is given is sent, and counts at the platform.
    #[default]
    Live,
    /// The platform's own test mode.
    Test,
    /// Rendered and validated, never sent.
    Shadow,
    /// Takes nothing: what is planned for it is skipped.
    Off,
}

impl DestinationMode {
    pub(crate) const ALL: [DestinationMode; 4] =
        [DestinationMode::Live, DestinationMode::Test, DestinationMode::Shadow, DestinationMode::Off];

    /// The word of the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            DestinationMode::Live => "live",
            DestinationMode::Test => "test",
            DestinationMode::Shadow => "shadow",
            DestinationMode::Off => "off",
        }
    }

    /// Whether anything leaves.
    pub fn sends(self) -> bool {
        matches!(self, DestinationMode::Live | DestinationMode::Test)
    }
}
