//! Totals: how many conversions, clicks and postbacks there are in stretches of time, and what the conversions are worth.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::domain::click::NotBillable;
use crate::domain::code::{CodedReason, ReasonCode};
use crate::domain::event::EventName;
use crate::domain::ids::{AffiliateId, OfferId, SourceId};
use crate::domain::ignored::IgnoredCode;
use crate::domain::money::Currency;
use crate::domain::money_sum::MoneySum;
use crate::domain::postback::{Verdict, VerdictName};
use crate::domain::quarter_hour::QuarterHour;
use crate::domain::rejection::code::RejectionCode;
use crate::domain::status::Status;

/// Which totals are wanted. They count exactly what is kept: what is past its days is in none.
#[derive(Debug, Clone)]
pub struct TotalsQuery {
    /// Where stretches of time begin and end, ascending: the totals from each to the next are apart. So the days of
    /// any time zone can be asked for.
    pub bounds: Vec<QuarterHour>,
    /// What is counted.
    pub of: TotalsFilter,
    /// By what lines are apart, in addition to the stretch of time.
    pub by: Vec<TotalsBy>,
    /// After so many lines no other stretch is looked at. 1 and up.
    pub limit: usize,
}

/// What is counted. Every field given must fit.
#[derive(Debug, Clone)]
pub enum TotalsFilter {
    /// Conversions, by their event time, as they are now.
    Conversions(ConversionTotals),
    /// Clicks, by when the visitor clicked.
    Clicks(ClickTotals),
    /// Postbacks, by when they were received; of one that reprocesses another, by when that was.
    Postbacks(PostbackTotals),
}

/// Which conversions are counted. Every field given must fit.
#[derive(Debug, Clone, Default)]
pub struct ConversionTotals {
    /// A configured source, or a built-in one such as `pixel` or `tag`.
    pub source: Option<SourceId>,
    /// The offer of its campaign ref; a conversion without one fits no value.
    pub offer: Option<OfferId>,
    /// The affiliate of its campaign ref.
    pub affiliate: Option<AffiliateId>,
    /// The event's name.
    pub event: Option<EventName>,
    /// The status that it has now.
    pub status: Option<Status>,
}

/// Which clicks are counted. Every field given must fit.
#[derive(Debug, Clone, Default)]
pub struct ClickTotals {
    /// The offer of its campaign ref; a click without one fits no value.
    pub offer: Option<OfferId>,
    /// The affiliate of its campaign ref.
    pub affiliate: Option<AffiliateId>,
    /// Leave out what counts for no one: see [`NotBillable`].
    pub billable_only: bool,
}

/// Which postbacks are counted. Every field given must fit.
#[derive(Debug, Clone, Default)]
pub struct PostbackTotals {
    /// A configured source, or a built-in one; a postback without one fits no value.
    pub source: Option<SourceId>,
    /// What became of it.
    pub verdict: Option<VerdictName>,
    /// Why it was quarantined, refused or ignored.
    pub code: Option<VerdictCode>,
    /// Leave out what no one has to look at: all but quarantined ones that no later record reprocesses.
    pub open_only: bool,
}

/// Something by which lines can be apart. What the things counted do not have changes nothing.
#[allow(missing_docs, reason = "each is the field of `TotalKey` of the same name")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TotalsBy {
    Source,
    Offer,
    Affiliate,
    Event,
    Status,
    NotBillable,
    Verdict,
    Code,
    Quarantine,
}

/// What the things of one line have in common: of what the query does not ask for, and of what none of them has, `None`.
#[allow(missing_docs, reason = "the fields of the filters say what each is")]
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct TotalKey {
    pub source: Option<SourceId>,
    pub offer: Option<OfferId>,
    pub affiliate: Option<AffiliateId>,
    pub event: Option<EventName>,
    pub status: Option<Status>,
    pub not_billable: Option<NotBillable>,
    pub verdict: Option<VerdictName>,
    pub code: Option<VerdictCode>,
    pub quarantine: Option<QuarantineState>,
}

/// What there is in one stretch of time of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TotalLine {
    /// Where the stretch begins.
    pub from: QuarterHour,
    /// The kind.
    pub key: TotalKey,
    /// How many; never 0.
    pub count: u64,
    /// Of conversions what they are worth, by currency.
    pub money: Vec<CurrencySums>,
}

/// The totals of the first stretches of a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Totals {
    /// By stretch, then by key.
    pub lines: Vec<TotalLine>,
    /// The bound at which the first stretch begins that was not looked at, where the limit was reached.
    pub next: Option<QuarterHour>,
}

/// Sums of the amounts of conversions in one currency. An amount that a conversion does not have adds nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CurrencySums {
    /// The currency of all three.
    pub currency: Currency,
    /// What ad platforms are sent as the conversions' worth.
    pub value: MoneySum,
    /// What affiliates earn.
    pub payout: MoneySum,
    /// What advertisers pay the network.
    pub revenue: MoneySum,
}

/// Whether someone has to look at a postback.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum QuarantineState {
    /// It is quarantined, and no later record reprocesses it.
    Open,
    /// It was not quarantined, or was reprocessed since.
    Settled,
}

/// Why a postback became no conversion: a code of one of two closed lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum VerdictCode {
    /// Of one that was quarantined or refused: of the first thing that is wrong with it.
    Rejected(RejectionCode),
    /// Of one that was ignored.
    Ignored(IgnoredCode),
}

impl VerdictCode {
    /// The code of a verdict, where it has one.
    pub fn of(verdict: &Verdict) -> Option<VerdictCode> {
        match verdict {
            Verdict::Quarantined(rejection) | Verdict::Refused(rejection) => {
                Some(VerdictCode::Rejected(rejection.code()))
            }
            Verdict::Ignored(reason) => Some(VerdictCode::Ignored(reason.code())),
            Verdict::Accepted { .. } | Verdict::Updated { .. } | Verdict::Duplicate { .. } => None,
        }
    }

    /// As API and pages write it.
    pub fn as_str(self) -> &'static str {
        match self {
            VerdictCode::Rejected(code) => code.as_str(),
            VerdictCode::Ignored(code) => code.as_str(),
        }
    }

    /// The code that is written so.
    pub fn parse(word: &str) -> Option<VerdictCode> {
        let rejected = RejectionCode::parse(word).map(VerdictCode::Rejected);
        rejected.or_else(|| IgnoredCode::parse(word).map(VerdictCode::Ignored))
    }
}

/// A code is stored as its word, which never changes its meaning.
impl Serialize for VerdictCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for VerdictCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<VerdictCode, D::Error> {
        let word = String::deserialize(deserializer)?;
        let unknown = || serde::de::Error::custom(format!("`{word}` is not the code of a verdict"));
        VerdictCode::parse(&word).ok_or_else(unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_found_again_by_its_word() {
        let rejected = RejectionCode::ALL.iter().map(|code| VerdictCode::Rejected(*code));
        let ignored = IgnoredCode::ALL.iter().map(|code| VerdictCode::Ignored(*code));
        for code in rejected.chain(ignored) {
            assert_eq!(VerdictCode::parse(code.as_str()), Some(code));
        }
    }
}
