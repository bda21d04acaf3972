//! What a delivery is rendered from, and what that comes to.

use crate::domain::click::Click;
use crate::domain::conversion::Conversion;
use crate::domain::customer::CustomerFormat;
use crate::domain::delivery::OutgoingRequest;
use crate::domain::ids::DeliveryId;
use crate::domain::remark::Remark;
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

/// What rendering came to, and what a person should know of it.
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
    /// The platform would certainly refuse it; the reason names the field.
    Skip {
        reason: String,
    },
}
