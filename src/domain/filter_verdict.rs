//! What a click filter says of a click.

use serde::{Deserialize, Serialize};

/// What a filter looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Filter {
    /// The same visitor on the same offer, shortly before.
    Duplicate,
    Bot,
    Country,
    Device,
    Referrer,
    /// The offer has all the clicks it takes today.
    Cap,
    /// The offer is paused or expired.
    OfferStatus,
}

impl Filter {
    pub fn as_str(self) -> &'static str {
        match self {
            Filter::Duplicate => "duplicate",
            Filter::Bot => "bot",
            Filter::Country => "country",
            Filter::Device => "device",
            Filter::Referrer => "referrer",
            Filter::Cap => "cap",
            Filter::OfferStatus => "offer status",
        }
    }
}

/// What a hit does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FilterMode {
    /// The click is marked and goes on.
    Observe,
    /// The visitor is sent to the fallback URL; the click is kept and is not billable.
    Enforce,
}

impl FilterMode {
    pub fn as_str(self) -> &'static str {
        match self {
            FilterMode::Observe => "observe",
            FilterMode::Enforce => "enforce",
        }
    }
}

/// What one filter said of one click.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilterVerdict {
    pub filter: Filter,
    pub mode: FilterMode,
    /// Why it hit; `None`: it passed.
    pub hit: Option<String>,
}

impl FilterVerdict {
    /// Whether it keeps the click from the offer.
    pub fn blocks(&self) -> bool {
        self.mode == FilterMode::Enforce && self.hit.is_some()
    }
}
