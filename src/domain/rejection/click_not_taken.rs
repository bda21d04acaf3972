//! Why a conversion stays without a click that a later report names.

use serde::{Deserialize, Serialize};

use crate::domain::code::CodedReason;
use crate::domain::ids::ConversionId;
use crate::domain::rejection::sale::SaleProblem;
use crate::domain::status::Status;

/// Why a conversion stays without a click that a later report names.
#[allow(missing_docs, reason = "the comment of a variant says what its fields are")]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClickNotTaken {
    /// The click has had its sale of this offer and event.
    HasItsSale { first: ConversionId },
    /// With the click the conversion would have this status.
    WouldBe { status: Status },
    /// The click is none that the report may name.
    Unusable(Box<SaleProblem>),
}

impl ClickNotTaken {
    /// For people.
    pub fn sentence(&self) -> String {
        match self {
            ClickNotTaken::HasItsSale { first } => format!(
                "it stays without the click that was named: the click has had its sale of this offer and event, {first}"
            ),
            ClickNotTaken::WouldBe { status } => format!(
                "it stays without the click that was named, with which it would be `{}`",
                status.as_str()
            ),
            ClickNotTaken::Unusable(problem) => problem.sentence(),
        }
    }
}
