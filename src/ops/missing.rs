//! That nothing is kept under an id: the one wording for API, pages and CLI.

use std::fmt;

use crate::domain::code::ReasonCode;
use crate::domain::delivery_reason::RetryRefusedCode;
use crate::domain::reprocess_refusal::ReprocessRefusedCode;

/// What was asked for and is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "what each is, is what it displays")]
pub enum Missing {
    Click,
    Conversion,
    Delivery,
    Destination,
    Erasure,
    ErasureWork,
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
            Missing::Delivery => RetryRefusedCode::Unknown.fix(),
            Missing::Destination => "the list of destinations names those that are configured",
            Missing::ErasureWork => "look once more for what would be erased",
            Missing::Erasure => "erasures are kept permanently; look for it in the list of erasures",
            Missing::Postback => ReprocessRefusedCode::Unknown.fix(),
            Missing::SuppressionList => "the list of suppression lists names those that there are",
        }
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self {
            Missing::Click => "no click with this id is kept",
            Missing::Conversion => "no conversion with this id is kept",
            Missing::Delivery => RetryRefusedCode::Unknown.meaning(),
            Missing::Destination => "no destination with this id is configured",
            Missing::ErasureWork => "what was found is not known any more, or is not to be erased",
            Missing::Erasure => "no erasure with this number is kept",
            Missing::Postback => ReprocessRefusedCode::Unknown.meaning(),
            Missing::SuppressionList => "no suppression list with this name is kept",
        };
        f.write_str(what)
    }
}
