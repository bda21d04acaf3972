//! Clicks that might have earned a conversion and did not, each with the reason.

use serde::{Deserialize, Serialize};

use crate::domain::code::{CodedReason, codes};
use crate::domain::ids::{ClickId, OfferId};
use crate::domain::time::Time;

codes! {
    /// What a [`NotChosen`] says.
    NotChosenCode = "candidate" {
        OtherOffer = "other_offer",
            "the click is of another offer, or of none", "lead visitors to the offer by a link of its own campaign";
        NoVisit = "no_visit",
            "no one clicked: a program looked at the link", "nothing: only visits earn";
        Blocked = "blocked_click",
            "an enforced filter kept the click from the offer", "see the click's own page, which names the filter";
        AfterConversion = "after_conversion",
            "the click was received after the conversion had happened", "nothing: it cannot have led to it";
        TooOld = "click_too_old",
            "the click is older than the offer's `click_cookie_days`", "raise `click_cookie_days` where such sales are to count";
        LaterClick = "later_click",
            "a later click of the visitor earns: last touch", "set the offer's `attribution` where the first click is to earn";
        EarlierClick = "earlier_click",
            "an earlier click of the visitor earns: first touch", "set the offer's `attribution` where the last click is to earn";
    }
}

/// Why a click of the visitor did not earn a conversion.
///
/// It is stored: new variants go to the end, and those that are here keep their order and their fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum NotChosen {
    /// `None`: it is of no offer.
    OtherOffer {
        /// The offer that the click was on; `None` for a click of no offer.
        of: Option<OfferId>,
    },
    /// No one clicked.
    NoVisit,
    /// An enforced filter or cap kept it from the offer.
    Blocked,
    /// It happened after the conversion did.
    AfterConversion,
    /// It was out of the offer's `click_cookie_days`.
    TooOld {
        /// The offer's days.
        days: u32,
    },
    /// Another one counts, which is later.
    LaterClick,
    /// Another one counts, which is earlier.
    EarlierClick,
}

impl CodedReason for NotChosen {
    type Code = NotChosenCode;

    fn code(&self) -> NotChosenCode {
        match self {
            NotChosen::OtherOffer { .. } => NotChosenCode::OtherOffer,
            NotChosen::NoVisit => NotChosenCode::NoVisit,
            NotChosen::Blocked => NotChosenCode::Blocked,
            NotChosen::AfterConversion => NotChosenCode::AfterConversion,
            NotChosen::TooOld { .. } => NotChosenCode::TooOld,
            NotChosen::LaterClick => NotChosenCode::LaterClick,
            NotChosen::EarlierClick => NotChosenCode::EarlierClick,
        }
    }

    fn sentence(&self) -> String {
        match self {
            NotChosen::OtherOffer { of: Some(offer) } => format!("it is of the offer {offer}"),
            NotChosen::OtherOffer { of: None } => "it is of no offer".to_owned(),
            NotChosen::NoVisit => "no one clicked: a program looked at the link".to_owned(),
            NotChosen::Blocked => "an enforced filter kept it from the offer".to_owned(),
            NotChosen::AfterConversion => "it was received after the conversion".to_owned(),
            NotChosen::TooOld { days } => format!("it is older than the offer's {days} days"),
            NotChosen::LaterClick => "a later click of the visitor earns: last touch".to_owned(),
            NotChosen::EarlierClick => "an earlier click of the visitor earns: first touch".to_owned(),
        }
    }
}

/// A click that might have earned the conversion and did not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Considered {
    /// The click that was looked at.
    pub click: ClickId,
    /// When it happened.
    pub at: Time,
    /// What kept it from earning the conversion.
    pub why: NotChosen,
}
