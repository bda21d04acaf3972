//! What can be wrong with a report that can be read: with the sale or the click that it names.

use std::fmt::{self, Display};

use serde::{Deserialize, Serialize};

use crate::domain::code::{CodedReason, ReasonCode};
use crate::domain::ids::{ConversionId, OfferId};
use crate::domain::money::Money;
use crate::domain::rejection::code::RejectionCode;

/// Why the sale that a report names is none that it can change or make.
///
/// It is stored: new variants go to the end, and those that are here keep their order and their fields.
#[allow(missing_docs, reason = "a variant is the `RejectionCode` of the same name, which has its meaning")]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SaleProblem {
    /// `click`: the one that the report names, of which none of the candidates is.
    AmbiguousTransaction { transaction: String, click: Option<String>, candidates: CandidateSales },
    /// Of the conversions of the transaction id none is of the item.
    OtherItems { transaction: String, item: String, candidates: CandidateSales },
    /// `value`: the one below 0; `received`: how it was written.
    UnknownTransaction { received: Option<ReceivedValue>, value: Money, transaction: Option<String> },
    /// `None`: no click id was received.
    UnknownClick { click: Option<String> },
    /// `offer`: the click's; `wanted`: the report's.
    ClickOfAnotherOffer { click: String, offer: OfferId, wanted: OfferId },
    /// `most`: how many may wait for a person at once.
    TooManyFurtherSales { most: u64 },
    /// `most`: how many changes of one conversion are kept.
    TooManyChanges { conversion: ConversionId, most: u64 },
}

/// A parameter and what was received in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceivedValue {
    /// The name as the sender wrote it.
    pub param: String,
    /// Cut after 100 characters; `***` where it is a secret.
    pub text: String,
}

/// The first of some conversions, and how many there are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CandidateSales {
    /// Those that were read to decide; of very many that is not all.
    pub first: Vec<CandidateSale>,
    /// All of them, with those that were not read.
    pub count: u32,
}

/// A conversion with what distinguishes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CandidateSale {
    /// By this a person looks it up.
    pub conversion: ConversionId,
    /// The click id that it names, cut after 100 characters.
    pub click: Option<String>,
    /// The item id that it names, cut after 100 characters.
    pub item: Option<String>,
}

impl SaleProblem {
    /// Whether the report may count later as it was received.
    pub(super) fn may_reopen(&self) -> bool {
        match self {
            SaleProblem::TooManyFurtherSales { .. } => true,
            SaleProblem::AmbiguousTransaction { .. }
            | SaleProblem::OtherItems { .. }
            | SaleProblem::UnknownTransaction { .. }
            | SaleProblem::UnknownClick { .. }
            | SaleProblem::ClickOfAnotherOffer { .. }
            | SaleProblem::TooManyChanges { .. } => false,
        }
    }
}

impl CodedReason for SaleProblem {
    type Code = RejectionCode;

    fn code(&self) -> RejectionCode {
        match self {
            SaleProblem::AmbiguousTransaction { .. } | SaleProblem::OtherItems { .. } => {
                RejectionCode::AmbiguousTransaction
            }
            SaleProblem::UnknownTransaction { .. } => RejectionCode::UnknownTransaction,
            SaleProblem::UnknownClick { .. } => RejectionCode::UnknownClick,
            SaleProblem::ClickOfAnotherOffer { .. } => RejectionCode::ClickOfAnotherOffer,
            SaleProblem::TooManyFurtherSales { .. } => RejectionCode::TooManyFurtherSales,
            SaleProblem::TooManyChanges { .. } => RejectionCode::TooManyChanges,
        }
    }

    fn field(&self) -> Option<&str> {
        match self {
            SaleProblem::AmbiguousTransaction { .. }
            | SaleProblem::OtherItems { .. }
            | SaleProblem::UnknownTransaction { .. }
            | SaleProblem::TooManyFurtherSales { .. } => Some("transaction_id"),
            SaleProblem::UnknownClick { .. } | SaleProblem::ClickOfAnotherOffer { .. } => Some("click_id"),
            SaleProblem::TooManyChanges { .. } => None,
        }
    }

    fn value(&self) -> Option<&str> {
        match self {
            SaleProblem::AmbiguousTransaction { transaction, .. }
            | SaleProblem::OtherItems { transaction, .. } => Some(transaction),
            SaleProblem::UnknownTransaction { transaction, .. } => transaction.as_deref(),
            SaleProblem::UnknownClick { click } => click.as_deref(),
            SaleProblem::ClickOfAnotherOffer { click, .. } => Some(click),
            SaleProblem::TooManyFurtherSales { .. } | SaleProblem::TooManyChanges { .. } => None,
        }
    }

    fn sentence(&self) -> String {
        match self {
            SaleProblem::AmbiguousTransaction { transaction, click, candidates } => {
                let which = match click {
                    Some(click) => format!("the click id `{click}` is of none of them"),
                    None => "without a click id no one can know which of them is meant".to_owned(),
                };
                let count = candidates.count;
                format!(
                    "the transaction id `{transaction}` has {count} conversions, and {which}: {candidates}"
                )
            }
            SaleProblem::OtherItems { transaction, item, candidates } => format!(
                "no conversion of the transaction id `{transaction}` is of the item `{item}`: {candidates}"
            ),
            SaleProblem::UnknownTransaction { received, value, transaction } => {
                let received = received.as_ref();
                let received =
                    received.map(|one| format!("`{}` was received as `{}`: ", one.param, one.text));
                let unknown = match transaction {
                    Some(transaction) => {
                        format!("no earlier conversion has the transaction id `{transaction}`")
                    }
                    None => "no transaction id was received that could name an earlier conversion".to_owned(),
                };
                format!("{}the value {value} is below 0 and {unknown}", received.unwrap_or_default())
            }
            SaleProblem::UnknownClick { click: Some(click) } => {
                format!("no click with the id `{click}` is recorded")
            }
            SaleProblem::UnknownClick { click: None } => "no click id was received".to_owned(),
            SaleProblem::ClickOfAnotherOffer { click, offer, wanted } => {
                format!("the click `{click}` is of the offer {offer}, not of {wanted}")
            }
            // Anyone who reported it reads this, and must not learn which sale was the first.
            SaleProblem::TooManyFurtherSales { most } => {
                format!("{most} further sales of its click, offer and event wait for a person already")
            }
            SaleProblem::TooManyChanges { conversion, most } => {
                format!("the conversion {conversion} has changed {most} times already")
            }
        }
    }

    fn hint(&self) -> String {
        match self {
            SaleProblem::AmbiguousTransaction { .. } => "send the sale's click id with it. A transaction id \
                that several sales have is a constant, or is used again: see the sources page"
                .to_owned(),
            SaleProblem::OtherItems { .. } => {
                "name the item as the sale named it, or send the sale's click id, then send it again"
                    .to_owned()
            }
            _ => self.code().fix().to_owned(),
        }
    }
}

/// The conversions with what distinguishes them, the first ones and how many more there are.
impl Display for CandidateSales {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, candidate) in self.first.iter().enumerate() {
            let gap = if index == 0 { "" } else { ", " };
            let click = candidate.click.as_ref().map(|click| format!("click `{click}`"));
            let item = candidate.item.as_ref().map(|item| format!("item `{item}`"));
            let marks: Vec<String> = click.into_iter().chain(item).collect();
            write!(f, "{gap}{}", candidate.conversion)?;
            if !marks.is_empty() {
                write!(f, " ({})", marks.join(", "))?;
            }
        }
        let shown = u32::try_from(self.first.len()).unwrap_or(u32::MAX);
        match self.count.saturating_sub(shown) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}
