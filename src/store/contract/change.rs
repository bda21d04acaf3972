//! What a person or the passing of time changes: statuses, suppression lists, what is past its days.

use crate::domain::conversion::Conversion;
use crate::domain::ids::{ConversionId, Seq};
use crate::domain::status_move::MoveRefused;
use crate::domain::suppression::{ListChange, Suppressed};
use crate::domain::time::Time;

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

/// Things to put on a suppression list, or to take off it.
#[derive(Debug, Clone)]
pub struct SuppressionOrder {
    /// As [`crate::domain::suppression::list_name`] allows.
    pub list: String,
    /// Onto the list, or off it.
    pub wish: ListChange,
    /// At most 10,000.
    pub entries: Vec<Suppressed>,
    /// The name of the one who wants it.
    pub actor: String,
    /// When it was asked for: kept with each entry that is new.
    pub now: Time,
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
