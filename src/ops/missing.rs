//! That nothing is kept under an id: the one wording for API, pages and CLI.

use std::fmt;

/// What was asked for and is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "what each is, is what it displays")]
pub enum Missing {
    Click,
    Conversion,
    Delivery,
    Postback,
    SuppressionList,
}

impl Missing {
    /// What to do.
    pub fn hint(self) -> &'static str {
        match self {
            Missing::Click => "clicks are kept for `keep_clicks_days`; look for it in the list of clicks",
            Missing::Conversion => {
                "conversions are kept for `keep_conversions_days`; look for its transaction id in the list of conversions"
            }
            Missing::Delivery => {
                "deliveries are kept for `keep_conversions_days`; look for it in the list of deliveries"
            }
            Missing::Postback => {
                "postbacks are kept for `keep_conversions_days`; look for it in the list of postbacks"
            }
            Missing::SuppressionList => "the list of suppression lists names those that there are",
        }
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self {
            Missing::Click => "click with this id",
            Missing::Conversion => "conversion with this id",
            Missing::Delivery => "delivery with this id",
            Missing::Postback => "postback with this id",
            Missing::SuppressionList => "suppression list with this name",
        };
        write!(f, "no {what} is kept")
    }
}
