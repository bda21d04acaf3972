//! What a click filter says of a click.

use serde::{Deserialize, Serialize};

use crate::domain::code::{CodedReason, codes};
use crate::domain::ids::ClickId;
use crate::domain::offer::OfferStatus;

/// What a filter looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Filter {
    /// The same visitor on the same offer, shortly before.
    Duplicate,
    /// The user agent is a known bot's.
    Bot,
    /// The address's country is denied, or not among those that are allowed.
    Country,
    /// So is the kind of device.
    Device,
    /// So is the host of the page before.
    Referrer,
    /// The offer has all the clicks it takes today.
    Cap,
    /// The offer is paused or expired.
    OfferStatus,
}

impl Filter {
    /// As the configuration, the API and pages write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Filter::Duplicate => "duplicate",
            Filter::Bot => "bot",
            Filter::Country => "country",
            Filter::Device => "device",
            Filter::Referrer => "referrer",
            Filter::Cap => "cap",
            Filter::OfferStatus => "offer_status",
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
    /// As the configuration writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            FilterMode::Observe => "observe",
            FilterMode::Enforce => "enforce",
        }
    }
}

codes! {
    /// What a [`FilterHit`] says.
    FilterHitCode = "filter_verdict" {
        Duplicate = "duplicate_click",
            "the same visitor clicked on the same offer shortly before",
            "shorten `window_seconds` of `[filters] duplicate` where that is too long";
        Bot = "bot",
            "the user agent is of a known bot",
            "take `bot` out of `[filters]` where bots are to count";
        Denied = "value_denied",
            "the click's country, device or referrer is one that is denied",
            "take it off the `deny` list of its filter";
        NotAllowed = "value_not_allowed",
            "the click's country, device or referrer is not among those allowed",
            "add it to the `allow` list of its filter";
        Cap = "click_cap",
            "the offer has had all the clicks of this UTC day that it takes",
            "raise the offer's `clicks_per_day`";
        OfferStatus = "offer_not_active",
            "the offer takes no clicks",
            "set the offer's `status` to active";
    }
}

/// What a list of allowed or denied values looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ListedTrait {
    /// Two letters of ISO 3166.
    Country,
    /// `desktop`, `mobile`…
    Device,
    /// The host of the page before.
    Referrer,
}

impl ListedTrait {
    /// The field's name, for API and pages.
    pub fn as_str(self) -> &'static str {
        match self {
            ListedTrait::Country => "country",
            ListedTrait::Device => "device",
            ListedTrait::Referrer => "referrer",
        }
    }
}

/// Why a filter hit a click.
///
/// It is stored: new variants go to the end, and those that are here keep their order and their fields.
#[allow(missing_docs, reason = "the comment of a variant says what its fields are")]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FilterHit {
    /// The visitor's earlier click on the offer is within this many milliseconds.
    Duplicate { earlier: ClickId, window_ms: i64 },
    /// The bot's name in the list.
    Bot { name: String },
    /// A value that the configuration denies.
    Denied { what: ListedTrait, value: String },
    /// A value that is not among those that it allows.
    NotAllowed { what: ListedTrait, value: String },
    /// The offer has had its clicks of this UTC day.
    Cap { most: u64 },
    /// The offer takes no one.
    OfferStatus { status: OfferStatus },
}

impl FilterHit {
    /// How many bytes its texts take.
    pub fn text_bytes(&self) -> usize {
        self.value().map_or(0, str::len)
    }
}

impl CodedReason for FilterHit {
    type Code = FilterHitCode;

    fn code(&self) -> FilterHitCode {
        match self {
            FilterHit::Duplicate { .. } => FilterHitCode::Duplicate,
            FilterHit::Bot { .. } => FilterHitCode::Bot,
            FilterHit::Denied { .. } => FilterHitCode::Denied,
            FilterHit::NotAllowed { .. } => FilterHitCode::NotAllowed,
            FilterHit::Cap { .. } => FilterHitCode::Cap,
            FilterHit::OfferStatus { .. } => FilterHitCode::OfferStatus,
        }
    }

    fn field(&self) -> Option<&str> {
        Some(match self {
            FilterHit::Duplicate { .. } => "visitor",
            FilterHit::Bot { .. } => "user_agent",
            FilterHit::Denied { what, .. } | FilterHit::NotAllowed { what, .. } => what.as_str(),
            FilterHit::Cap { .. } => "clicks_per_day",
            FilterHit::OfferStatus { .. } => "status",
        })
    }

    fn value(&self) -> Option<&str> {
        match self {
            FilterHit::Duplicate { earlier, .. } => Some(earlier.as_str()),
            FilterHit::Bot { name } => Some(name),
            FilterHit::Denied { value, .. } | FilterHit::NotAllowed { value, .. } => Some(value),
            FilterHit::Cap { .. } => None,
            FilterHit::OfferStatus { status } => Some(status.as_str()),
        }
    }

    fn sentence(&self) -> String {
        match self {
            FilterHit::Duplicate { earlier, window_ms } => {
                let seconds = window_ms / 1000;
                format!("the click {earlier} is of the same visitor, less than {seconds} s before")
            }
            FilterHit::Bot { name } => format!("the user agent is of a bot: {name}"),
            FilterHit::Denied { what, value } => {
                format!("the {} is {value}, which is denied", what.as_str())
            }
            FilterHit::NotAllowed { what, value } => {
                format!("the {} is {value}, which is not among those allowed", what.as_str())
            }
            FilterHit::Cap { most } => format!("the offer has had its {most} clicks of this UTC day"),
            FilterHit::OfferStatus { status } => format!("the offer is {}", status.as_str()),
        }
    }
}

/// What one filter said of one click.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilterVerdict {
    /// Which filter looked.
    pub filter: Filter,
    /// What the configuration had it do then.
    pub mode: FilterMode,
    /// Why it hit; `None`: it passed.
    pub hit: Option<FilterHit>,
}

impl FilterVerdict {
    /// Whether it keeps the click from the offer.
    pub fn blocks(&self) -> bool {
        self.mode == FilterMode::Enforce && self.hit.is_some()
    }
}
