//! Whether a destination sends, what a delivery is rendered from, and the result.

use crate::domain::click::Click;
use crate::domain::conversion::Conversion;
use crate::domain::customer::CustomerFormat;
use crate::domain::delivery::OutgoingRequest;
use crate::domain::ids::DeliveryId;
use crate::domain::remark::Remark;
use crate::domain::skip::SkipReason;
use crate::domain::time::Time;

/// What one delivery is rendered from.
pub struct RenderInput<'a> {
    pub conversion: &'a Conversion,
    pub click: Option<&'a Click>,
    pub delivery: &'a DeliveryId,
    pub now: Time,
    /// How the conversion's source writes customer data.
    pub customer: CustomerFormat,
}

/// The result of rendering, and what a person should know of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendering {
    pub rendered: Rendered,
    /// What was there and is not in the request, and what the request says otherwise than the conversion.
    pub remarks: Vec<Remark>,
}

/// A request, or why there is none to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rendered {
    Request(OutgoingRequest),
    /// The platform would certainly refuse it.
    Skip {
        reason: SkipReason,
    },
}

/// What a destination does with the events it is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DestinationMode {
    #[default]
    Live,
    /// The platform's own test mode.
    Test,
    /// Rendered and validated, never sent.
    Shadow,
    Off,
}

impl DestinationMode {
    pub const ALL: [DestinationMode; 4] =
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
