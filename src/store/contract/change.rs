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
    /// How many were deleted.
    pub records: PurgedRecords,
    /// By how much what it looked at last is past its days, in milliseconds: how far it is behind.
    pub behind_ms: i64,
    /// Whether another step may find more.
    pub more: bool,
    /// What is left, where there is no more to delete.
    pub oldest: Option<OldestRecords>,
}

/// How many records were deleted, by kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PurgedRecords {
    /// The bytes of requests.
    pub raw: u64,
    /// Conversions, with their deliveries and attempts.
    pub conversions: u64,
    /// What was known of postbacks.
    pub postbacks: u64,
    /// Clicks.
    pub clicks: u64,
}

impl PurgedRecords {
    /// Each kind by its name.
    pub fn by_kind(self) -> [(&'static str, u64); 4] {
        let PurgedRecords { raw, conversions, postbacks, clicks } = self;
        [("raw", raw), ("conversion", conversions), ("postback", postbacks), ("click", clicks)]
    }

    /// Of all kinds together.
    pub fn total(self) -> u64 {
        self.by_kind().into_iter().map(|(_, count)| count).sum()
    }

    /// Adds others.
    pub fn add(&mut self, others: PurgedRecords) {
        self.raw += others.raw;
        self.conversions += others.conversions;
        self.postbacks += others.postbacks;
        self.clicks += others.clicks;
    }
}

/// The times of the oldest records of each kind, as they bear them. `None`: there is none, or it cannot be read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OldestRecords {
    /// The bytes of requests.
    pub raw: Option<Time>,
    /// What is known of postbacks, and conversions with it.
    pub postback: Option<Time>,
    /// Clicks.
    pub click: Option<Time>,
}
