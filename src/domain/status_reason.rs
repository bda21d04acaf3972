//! Why a conversion has the status, value or click that it has, where that follows from more than its reports.

use serde::{Deserialize, Serialize};

use crate::domain::code::{CodedReason, codes};
use crate::domain::ids::{ClickId, OfferId};
use crate::domain::offer::{OfferStatus, hours};
use crate::domain::suppression::SuppressedKind;
use crate::domain::time::Time;

codes! {
    /// What a [`StatusReason`] says.
    StatusReasonCode = "status_reason" {
        ClickExpired = "click_expired",
            "the click's session was over before the conversion happened",
            "raise the offer's `session_hours`, or give the conversion another status by hand";
        Suppressed = "suppressed",
            "something of the conversion or its click is on a suppression list",
            "take the entry off the list; conversions that are scrubbed already get another status by hand";
        OfferNotActive = "offer_not_active",
            "the offer takes no conversions by its own routes",
            "set the offer's `status` to active; conversions that are scrubbed already get another status by hand";
        ConversionCap = "conversion_cap",
            "the offer has had all the conversions of this UTC day that it takes",
            "raise the offer's `conversions_per_day`, or give the conversion another status by hand";
        PageValueIgnored = "page_value_ignored",
            "a page reported a value, and the offer takes no prices from pages",
            "report the value by a postback, or set the offer's `accept_pixel_value`";
        ClickOfAnotherOffer = "click_of_another_offer",
            "the click that the conversion names is of another offer",
            "report the conversion with the offer id of its own click";
    }
}

/// Why a conversion is as it is.
///
/// It is stored: new variants go to the end, and those that are here keep their order and their fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum StatusReason {
    /// The click's session was over.
    ClickExpired {
        /// The click that the report names.
        click: ClickId,
        /// `None`: the click was purged.
        clicked_at: Option<Time>,
        /// `None`: the offer is not configured any more.
        session_hours: Option<u32>,
    },
    /// Something of it is on a suppression list.
    Suppressed {
        /// The list's name.
        list: String,
        /// What of it is on the list; never the value itself.
        kind: SuppressedKind,
    },
    /// The offer took no conversions then.
    OfferNotActive {
        /// What the offer was instead of active.
        status: OfferStatus,
    },
    /// The offer had had its conversions of the UTC day.
    ConversionCap {
        /// How many those are.
        most: u64,
        /// The cap only marks what is above it.
        observed: bool,
    },
    /// A page reported a value, and the offer takes none from pages.
    PageValueIgnored,
    /// The click that it names is of another offer.
    ClickOfAnotherOffer {
        /// As the conversion names it.
        click: String,
        /// The offer that the click is of.
        of: OfferId,
        /// The offer that the report is about.
        wanted: OfferId,
    },
}

impl CodedReason for StatusReason {
    type Code = StatusReasonCode;

    fn code(&self) -> StatusReasonCode {
        match self {
            StatusReason::ClickExpired { .. } => StatusReasonCode::ClickExpired,
            StatusReason::Suppressed { .. } => StatusReasonCode::Suppressed,
            StatusReason::OfferNotActive { .. } => StatusReasonCode::OfferNotActive,
            StatusReason::ConversionCap { .. } => StatusReasonCode::ConversionCap,
            StatusReason::PageValueIgnored => StatusReasonCode::PageValueIgnored,
            StatusReason::ClickOfAnotherOffer { .. } => StatusReasonCode::ClickOfAnotherOffer,
        }
    }

    fn field(&self) -> Option<&str> {
        Some(match self {
            StatusReason::ClickExpired { .. } | StatusReason::ClickOfAnotherOffer { .. } => "click_id",
            StatusReason::Suppressed { kind, .. } => kind.as_str(),
            StatusReason::OfferNotActive { .. } => "status",
            StatusReason::ConversionCap { .. } => "conversions_per_day",
            StatusReason::PageValueIgnored => "value",
        })
    }

    fn value(&self) -> Option<&str> {
        match self {
            StatusReason::ClickExpired { click, .. } => Some(click.as_str()),
            StatusReason::ClickOfAnotherOffer { click, .. } => Some(click),
            StatusReason::OfferNotActive { status } => Some(status.as_str()),
            StatusReason::Suppressed { .. }
            | StatusReason::ConversionCap { .. }
            | StatusReason::PageValueIgnored => None,
        }
    }

    fn sentence(&self) -> String {
        match self {
            StatusReason::ClickExpired { click, clicked_at, session_hours } => {
                let clicked = clicked_at.map(|at| format!(" of {at}")).unwrap_or_default();
                let session = session_hours.map(|count| format!(" of {}", hours(count))).unwrap_or_default();
                format!("the click {click}{clicked} had expired: the offer's session{session} was over")
            }
            StatusReason::Suppressed { list, kind } => {
                format!("its {} is on the suppression list `{list}`", kind.as_str())
            }
            StatusReason::OfferNotActive { status } => format!("the offer is {}", status.as_str()),
            StatusReason::ConversionCap { most, observed } => {
                let marked = if *observed { " (observed)" } else { "" };
                format!("the offer has had its {most} conversions of this UTC day{marked}")
            }
            StatusReason::PageValueIgnored => {
                "its value does not count: the offer takes no prices from pages (`accept_pixel_value`)"
                    .to_owned()
            }
            StatusReason::ClickOfAnotherOffer { click, of, wanted } => {
                format!("the click `{click}` is of the offer {of}, not of {wanted}")
            }
        }
    }
}
