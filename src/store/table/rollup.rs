//! Rollups: what is counted and summed of conversions, clicks and postbacks in each quarter of an hour, and once more in
//! each UTC day, so that long stretches take few records. One record a line, which the engine packs.
//!
//! A key is `R` · table and period (1 byte) · the first quarter-hour of the period (i64) · what the line is of (postcard).

use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use crate::domain::click::{Click, NotBillable};
use crate::domain::conversion::Conversion;
use crate::domain::event::EventName;
use crate::domain::ids::{AffiliateId, OfferId, SourceId};
use crate::domain::money::{Currency, Money};
use crate::domain::postback::{Postback, VerdictName};
use crate::domain::quarter_hour::QuarterHour;
use crate::domain::status::Status;
use crate::store::codec::{self, LayoutError, corrupt};
use crate::store::contract::error::StoreError;
use crate::store::contract::totals::{CurrencySums, QuarantineState, VerdictCode};
use crate::store::engine::kv::{Batch, Direction, Span};
use crate::store::reader::Reader;

/// The first byte of its keys.
pub const PREFIX: u8 = b'R';

/// What the lines of a stretch of keys are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RollupTable {
    /// By event time.
    Conversions,
    /// By when the visitor clicked.
    Clicks,
    /// By when the first of those with the same bytes was received.
    Postbacks,
    /// Conversions that count under a cap, by the UTC day on which they were received.
    Caps,
}

/// How long a time one line is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RollupPeriod {
    QuarterHour,
    UtcDay,
}

/// What is counted together: where it is in time, and of what it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RollupLine {
    /// The quarter-hour; of a day the first one.
    pub at: QuarterHour,
    pub of: RollupOf,
}

/// Of what a line is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum RollupOf {
    Conversions {
        source: SourceId,
        offer: Option<OfferId>,
        affiliate: Option<AffiliateId>,
        event: EventName,
        status: Status,
    },
    Clicks {
        offer: Option<OfferId>,
        affiliate: Option<AffiliateId>,
        not_billable: Option<NotBillable>,
    },
    Postbacks {
        source: Option<SourceId>,
        verdict: VerdictName,
        code: Option<VerdictCode>,
        quarantine: QuarantineState,
    },
    /// Always of a whole UTC day.
    Caps {
        offer: OfferId,
    },
}

impl RollupLine {
    /// The line that a conversion is counted in.
    pub fn of_conversion(conversion: &Conversion) -> RollupLine {
        let placed = conversion.campaign_ref.as_ref();
        let of = RollupOf::Conversions {
            source: conversion.source.clone(),
            offer: placed.map(|placed| placed.offer.clone()),
            affiliate: placed.and_then(|placed| placed.affiliate.clone()),
            event: conversion.event.clone(),
            status: conversion.status,
        };
        RollupLine { at: QuarterHour::of(conversion.event_time), of }
    }

    /// The line that a click is counted in.
    pub fn of_click(click: &Click) -> RollupLine {
        let placed = click.context.campaign_ref.as_ref();
        let of = RollupOf::Clicks {
            offer: placed.map(|placed| placed.offer.clone()),
            affiliate: placed.and_then(|placed| placed.affiliate.clone()),
            not_billable: click.context.not_billable(),
        };
        RollupLine { at: QuarterHour::of(click.at), of }
    }

    /// The line that a postback is counted in; `reprocessed` says whether a later record has its bytes.
    pub fn of_postback(postback: &Postback, reprocessed: bool) -> RollupLine {
        let verdict = postback.verdict.name();
        let is_open = verdict == VerdictName::Quarantined && !reprocessed;
        let of = RollupOf::Postbacks {
            source: postback.source.clone(),
            verdict,
            code: VerdictCode::of(&postback.verdict),
            quarantine: if is_open { QuarantineState::Open } else { QuarantineState::Settled },
        };
        RollupLine { at: QuarterHour::of(postback.received_at), of }
    }

    /// The line of what counts under an offer's cap on a UTC day.
    pub fn of_cap(offer: OfferId, day: i64) -> RollupLine {
        RollupLine { at: QuarterHour::of_day(day), of: RollupOf::Caps { offer } }
    }

    /// What it is a line of.
    pub fn table(&self) -> RollupTable {
        match self.of {
            RollupOf::Conversions { .. } => RollupTable::Conversions,
            RollupOf::Clicks { .. } => RollupTable::Clicks,
            RollupOf::Postbacks { .. } => RollupTable::Postbacks,
            RollupOf::Caps { .. } => RollupTable::Caps,
        }
    }
}

/// What is counted and summed in a line; below 0 in what is to be added to one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RollupSums {
    pub count: i64,
    /// By currency; none in which nothing is summed.
    pub money: Vec<CurrencySums>,
}

impl RollupSums {
    /// So many, with no money.
    pub fn of_count(count: i64) -> RollupSums {
        RollupSums { count, money: Vec::new() }
    }

    /// One conversion.
    pub fn of_conversion(conversion: &Conversion) -> RollupSums {
        let mut one = RollupSums::default();
        one.add_conversion(conversion);
        one
    }

    /// Adds one conversion.
    pub fn add_conversion(&mut self, conversion: &Conversion) {
        self.count += 1;
        let Conversion { value, payout, revenue, .. } = conversion;
        if let Some(Money { amount, currency }) = value {
            self.in_currency(*currency, |sums| sums.value.add_amount(*amount));
        }
        if let Some(Money { amount, currency }) = payout {
            self.in_currency(*currency, |sums| sums.payout.add_amount(*amount));
        }
        if let Some(Money { amount, currency }) = revenue {
            self.in_currency(*currency, |sums| sums.revenue.add_amount(*amount));
        }
        self.drop_nothing();
    }

    fn in_currency(&mut self, currency: Currency, add: impl FnOnce(&mut CurrencySums)) {
        let at = self.money.partition_point(|known| known.currency < currency);
        match self.money.get_mut(at).filter(|known| known.currency == currency) {
            Some(known) => add(known),
            None => {
                let (value, payout, revenue) = Default::default();
                let mut sums = CurrencySums { currency, value, payout, revenue };
                add(&mut sums);
                self.money.insert(at, sums);
            }
        }
    }

    /// Adds other sums.
    pub fn add(&mut self, other: &RollupSums) {
        self.count += other.count;
        for theirs in &other.money {
            self.in_currency(theirs.currency, |sums| {
                sums.value.add(&theirs.value);
                sums.payout.add(&theirs.payout);
                sums.revenue.add(&theirs.revenue);
            });
        }
        self.drop_nothing();
    }

    /// The same with the other sign.
    #[must_use]
    pub fn negated(&self) -> RollupSums {
        let negated = |sums: &CurrencySums| CurrencySums {
            currency: sums.currency,
            value: sums.value.negated(),
            payout: sums.payout.negated(),
            revenue: sums.revenue.negated(),
        };
        RollupSums { count: -self.count, money: self.money.iter().map(negated).collect() }
    }

    /// Whether nothing is counted or summed.
    pub fn is_nothing(&self) -> bool {
        self.count == 0 && self.money.is_empty()
    }

    fn drop_nothing(&mut self) {
        let is_nothing = |sums: &CurrencySums| {
            sums.value.is_nothing() && sums.payout.is_nothing() && sums.revenue.is_nothing()
        };
        self.money.retain(|sums| !is_nothing(sums));
    }
}

/// The byte behind the prefix: together the lines of a table for a period are one stretch of keys.
fn stretch(table: RollupTable, period: RollupPeriod) -> u8 {
    match (table, period) {
        (RollupTable::Conversions, RollupPeriod::QuarterHour) => b'c',
        (RollupTable::Conversions, RollupPeriod::UtcDay) => b'C',
        (RollupTable::Clicks, RollupPeriod::QuarterHour) => b'k',
        (RollupTable::Clicks, RollupPeriod::UtcDay) => b'K',
        (RollupTable::Postbacks, RollupPeriod::QuarterHour) => b'p',
        (RollupTable::Postbacks, RollupPeriod::UtcDay) => b'P',
        // There are none by the quarter-hour.
        (RollupTable::Caps, RollupPeriod::QuarterHour | RollupPeriod::UtcDay) => b'S',
    }
}

/// Where the keys of a table's lines begin that are of this quarter-hour.
fn begin(stretch: u8, at: QuarterHour) -> Vec<u8> {
    let mut key = Vec::with_capacity(64);
    key.extend_from_slice(&[PREFIX, stretch]);
    // Times before 1970 sort before those after.
    key.extend_from_slice(&(at.number() ^ i64::MIN).to_be_bytes());
    key
}

/// How much of a key says of which table and period it is, and where in time.
const PLACE: usize = 2 + size_of::<i64>();

/// Where a line is kept.
fn key(period: RollupPeriod, line: &RollupLine) -> Result<Vec<u8>, StoreError> {
    let begin = begin(stretch(line.table(), period), line.at);
    let content = |error: postcard::Error| corrupt(&[PREFIX], &LayoutError::Content(error.to_string()));
    postcard::to_extend(&line.of, begin).map_err(content)
}

/// Where a line is kept for its whole UTC day, and for its quarter-hour: what caps count is only of days.
///
/// # Errors
/// One that cannot be written down.
pub fn keys(line: &RollupLine) -> Result<(Vec<u8>, Option<Vec<u8>>), StoreError> {
    let table = line.table();
    let quarter_hour = key(RollupPeriod::QuarterHour, line)?;
    let mut day = begin(stretch(table, RollupPeriod::UtcDay), line.at.day());
    day.extend_from_slice(quarter_hour.get(PLACE..).unwrap_or_default());
    Ok((day, Some(quarter_hour).filter(|_| table != RollupTable::Caps)))
}

/// The beginning of a key, which lines of one table and period have in common that begin with one quarter-hour: they
/// are neighbours.
pub fn place(key: &[u8]) -> &[u8] {
    key.get(..PLACE).unwrap_or(key)
}

/// The line that is kept there.
///
/// # Errors
/// It is no key of a line.
pub fn line_at(key: &[u8]) -> Result<RollupLine, LayoutError> {
    let (at, of) = key.get(2..).and_then(<[u8]>::split_first_chunk).ok_or(LayoutError::Short)?;
    let of = postcard::from_bytes(of).map_err(|error| LayoutError::Content(error.to_string()))?;
    Ok(RollupLine { at: QuarterHour::from_number(i64::from_be_bytes(*at) ^ i64::MIN), of })
}

/// What is counted and summed in the line that is kept there, if one is.
///
/// # Errors
/// The store's failure, or a record that cannot be read.
pub fn sums(reader: &Reader, key: &[u8]) -> Result<Option<RollupSums>, StoreError> {
    reader.record(key)
}

/// Puts what is counted and summed in a line over what was, or takes the line out where that is nothing.
///
/// # Errors
/// Sums that cannot be written down.
pub fn put(batch: &mut Batch, key: Vec<u8>, sums: &RollupSums) -> Result<(), StoreError> {
    if sums.is_nothing() {
        batch.remove(key);
    } else {
        let record = codec::record(sums).map_err(|error| corrupt(&key, &error))?;
        batch.put(key, record);
    }
    Ok(())
}

/// Sees a line with what is counted in it, or why it cannot be read; breaks to end the scan.
pub type RollupVisitor<'a> =
    &'a mut dyn FnMut(Result<(RollupLine, RollupSums), StoreError>) -> ControlFlow<()>;

/// Visits the lines of a table for one period that begin in `from..to`, by time.
///
/// # Errors
/// The store's failure; what is damaged is for the visitor.
pub fn scan(
    reader: &Reader,
    (table, period): (RollupTable, RollupPeriod),
    (from, to): (QuarterHour, QuarterHour),
    visit: RollupVisitor<'_>,
) -> Result<(), StoreError> {
    if from >= to {
        return Ok(());
    }
    let stretch = stretch(table, period);
    let (from, to) = (begin(stretch, from), begin(stretch, to));
    reader.scan(Span { from: &from, to: &to, direction: Direction::Up }, &mut |key, bytes| {
        let read = |bytes: &[u8]| Ok((line_at(key)?, codec::read(bytes)?));
        visit(bytes.and_then(|bytes| read(bytes).map_err(|error| corrupt(key, &error))))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::money_sum::MoneySum;

    fn line(number: i64, offer: &str) -> RollupLine {
        let of = RollupOf::Clicks { offer: OfferId::parse(offer).ok(), affiliate: None, not_billable: None };
        RollupLine { at: QuarterHour::from_number(number), of }
    }

    fn sums(currency: &str, value: &str) -> RollupSums {
        let (payout, revenue) = Default::default();
        let value = MoneySum::of(value.parse().unwrap());
        let currency = Currency::parse(currency).unwrap();
        RollupSums { count: 1, money: vec![CurrencySums { currency, value, payout, revenue }] }
    }

    #[test]
    fn keys_sort_by_period_then_by_time_and_name_their_line() {
        let key = |period, line| key(period, &line).unwrap();
        let keys = [
            key(RollupPeriod::UtcDay, line(96, "a")),
            key(RollupPeriod::QuarterHour, line(-5, "b")),
            key(RollupPeriod::QuarterHour, line(7, "a")),
            key(RollupPeriod::QuarterHour, line(7, "b")),
            key(RollupPeriod::QuarterHour, line(8, "a")),
        ];
        assert!(keys.is_sorted());
        assert_eq!(line_at(&keys[1]), Ok(line(-5, "b")));
        assert_eq!(line_at(&keys[4]), Ok(line(8, "a")));
        assert_eq!(line_at(b"Rk"), Err(LayoutError::Short));
    }

    #[test]
    fn a_line_has_a_key_for_its_day_and_one_for_its_quarter_hour_but_for_what_caps_count() {
        let (day, quarter_hour) = keys(&line(97, "a")).unwrap();
        assert_eq!(day, key(RollupPeriod::UtcDay, &line(96, "a")).unwrap());
        assert_eq!(quarter_hour, Some(key(RollupPeriod::QuarterHour, &line(97, "a")).unwrap()));
        assert_eq!(place(&day), place(&key(RollupPeriod::UtcDay, &line(96, "b")).unwrap()));
        let cap = RollupLine::of_cap(OfferId::parse("a").unwrap(), 1);
        assert_eq!(keys(&cap).unwrap(), (key(RollupPeriod::UtcDay, &cap).unwrap(), None));
    }

    #[test]
    fn sums_of_each_currency_are_apart_and_what_is_taken_again_is_gone() {
        let mut all = sums("USD", "7.00");
        all.add(&sums("EUR", "2"));
        all.add(&sums("USD", "0.5"));
        let values = |all: &RollupSums| {
            let text = |sums: &CurrencySums| format!("{} {}", sums.value.amount().unwrap(), sums.currency);
            all.money.iter().map(text).collect::<Vec<_>>()
        };
        assert_eq!((all.count, values(&all)), (3, vec!["2 EUR".to_owned(), "7.50 USD".to_owned()]));
        all.add(&sums("EUR", "2").negated());
        assert_eq!((all.count, values(&all)), (2, vec!["7.50 USD".to_owned()]));
        all.add(&sums("USD", "7.00").negated());
        all.add(&sums("USD", "0.5").negated());
        assert!(all.is_nothing());
    }
}
