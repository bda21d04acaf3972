//! Money: a decimal and a currency, from end to end. Never a float, never a currency no one chose.

use std::borrow::Cow;
use std::fmt;

use rust_decimal::{Decimal, RoundingStrategy};
use serde::{Deserialize, Serialize};

use crate::domain::text::trim;

/// An ISO 4217 code in capitals, such as `USD`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Currency([u8; 3]);

/// Why a text is not a currency that a sale can be in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum NoCurrency {
    /// It is not a code of ISO 4217.
    Unknown,
    /// A code of ISO 4217 for a metal, a fund, a unit of account, tests or none: customers do not pay in it.
    NotPaidIn,
    /// A code that ISO 4217 has withdrawn.
    Withdrawn,
}

impl NoCurrency {
    /// The end of a sentence that begins with the text.
    pub fn why(self) -> &'static str {
        match self {
            NoCurrency::Unknown => "which is no currency code of ISO 4217",
            NoCurrency::NotPaidIn => {
                "which ISO 4217 has for a metal, a fund, a unit of account, for tests or for no currency: no sale is in it"
            }
            NoCurrency::Withdrawn => "which ISO 4217 has withdrawn: no sale is in it any more",
        }
    }
}

/// Codes of ISO 4217 in which customers do not pay: its metals, funds, units of account, `XTS` and `XXX`.
/// <https://www.six-group.com/en/products-services/financial-information/data-standards.html>, list one.
const NOT_PAID_IN: [&str; 24] = [
    "BOV", "CHE", "CHW", "CLF", "COU", "MXV", "USN", "USS", "UYI", "UYW", "XAD", "XAG", "XAU", "XBA", "XBB",
    "XBC", "XBD", "XDR", "XPD", "XPT", "XSU", "XTS", "XUA", "XXX",
];

/// Codes that were money once and may still be sent by a shop whose settings were never changed since.
/// Same place, list three.
const WITHDRAWN: [&str; 58] = [
    "ADP", "AFA", "ANG", "AON", "ATS", "AZM", "BEF", "BGL", "BGN", "BYB", "BYR", "CSD", "CSK", "CUC", "CYP",
    "DEM", "EEK", "ESP", "FIM", "FRF", "GHC", "GRD", "HRK", "IEP", "ITL", "LTL", "LUF", "LVL", "MGF", "MRO",
    "MTL", "MZM", "NLG", "PLZ", "PTE", "ROL", "RUR", "SDD", "SIT", "SKK", "SLL", "SRG", "STD", "TMM", "TRL",
    "UAK", "VEB", "VEF", "XEU", "XFO", "XFU", "YUM", "ZMK", "ZRN", "ZWD", "ZWL", "ZWN", "ZWR",
];

impl Currency {
    /// Parses the code of a currency that a sale can be in, whatever its case; `None` for anything else.
    ///
    /// ```
    /// use postbridge::domain::money::Currency;
    ///
    /// assert_eq!(Currency::parse("usd").unwrap().as_str(), "USD");
    /// assert_eq!(Currency::parse("XAU"), None, "no one pays in gold");
    /// ```
    pub fn parse(text: &str) -> Option<Currency> {
        Currency::check(text).ok()
    }

    /// As [`Currency::parse`].
    ///
    /// # Errors
    /// Why it is none.
    pub fn check(text: &str) -> Result<Currency, NoCurrency> {
        let code: [u8; 3] = trim(text).as_bytes().try_into().map_err(|_| NoCurrency::Unknown)?;
        let code = Currency(code.map(|letter| letter.to_ascii_uppercase()));
        if NOT_PAID_IN.contains(&code.as_str()) {
            return Err(NoCurrency::NotPaidIn);
        }
        if WITHDRAWN.contains(&code.as_str()) {
            return Err(NoCurrency::Withdrawn);
        }
        iso_currency::Currency::from_code(code.as_str()).map(|_| code).ok_or(NoCurrency::Unknown)
    }

    /// How many digits behind the mark can be paid, by ISO 4217: 2 of most, 0 of `JPY`, 3 of `KWD`.
    fn minor_digits(self) -> u32 {
        let known = iso_currency::Currency::from_code(self.as_str());
        u32::from(known.and_then(|known| known.exponent()).unwrap_or(2))
    }

    /// Three capitals.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("???")
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An amount in a currency. Equality is of numbers: 7 USD is 7.00 USD. The digits reported are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Money {
    /// In units of the currency, not in its hundredths; it may be below 0.
    pub amount: Decimal,
    /// A 0 has one, too.
    pub currency: Currency,
}

impl Money {
    /// Nothing is rounded: see [`Money::payable`].
    pub fn new(amount: Decimal, currency: Currency) -> Money {
        Money { amount, currency }
    }

    /// Whether there is something to pay. 0 is neither above nor below 0.
    pub fn is_above_zero(self) -> bool {
        self.amount.is_sign_positive() && !self.amount.is_zero()
    }

    /// Whether it takes something back, as a reversal does.
    pub fn is_below_zero(self) -> bool {
        self.amount.is_sign_negative() && !self.amount.is_zero()
    }

    /// Rounded, half to even, to what can be paid in the currency, with all its digits.
    ///
    /// ```
    /// use postbridge::domain::money::{Currency, Money};
    ///
    /// let payable = |amount: &str, currency| {
    ///     let currency = Currency::parse(currency).unwrap();
    ///     Money::new(amount.parse().unwrap(), currency).payable().to_string()
    /// };
    /// assert_eq!(payable("6.24875", "USD"), "6.25 USD");
    /// assert_eq!(payable("5", "USD"), "5.00 USD");
    /// assert_eq!(payable("6.5", "JPY"), "6 JPY");
    /// ```
    pub fn payable(self) -> Money {
        self.to_digits_of_currency(RoundingStrategy::MidpointNearestEven)
    }

    /// A whole number of the currency's smallest units, such as cents; what is exactly between two is rounded away from
    /// zero. `None` where the number has more than 28 digits then.
    ///
    /// ```
    /// use postbridge::domain::money::{Currency, Money};
    ///
    /// let minor = |amount: &str, currency| {
    ///     let currency = Currency::parse(currency).unwrap();
    ///     Money::new(amount.parse().unwrap(), currency).minor_units().unwrap().to_string()
    /// };
    /// assert_eq!(minor("7.5", "USD"), "750");
    /// assert_eq!(minor("7", "JPY"), "7");
    /// assert_eq!(minor("0.0005", "KWD"), "1");
    /// ```
    pub fn minor_units(self) -> Option<Decimal> {
        let rounded = self.to_digits_of_currency(RoundingStrategy::MidpointAwayFromZero).amount;
        let is_whole = rounded.scale() == self.currency.minor_digits();
        is_whole.then(|| Decimal::try_from_i128_with_scale(rounded.mantissa(), 0).ok()).flatten()
    }

    /// An amount that was given in the currency's smallest units, such as cents; `digits`: how many digits behind the mark
    /// those are, where not as ISO 4217 says. `None` where the number has more than 28 digits then.
    ///
    /// ```
    /// use postbridge::domain::money::{Currency, Money};
    ///
    /// let of = |amount: &str, currency, digits| {
    ///     let currency = Currency::parse(currency).unwrap();
    ///     Money::of_minor_units(amount.parse().unwrap(), currency, digits).unwrap().to_string()
    /// };
    /// assert_eq!(of("750", "USD", None), "7.50 USD");
    /// assert_eq!(of("750", "JPY", None), "750 JPY");
    /// assert_eq!(of("75000", "ISK", Some(2)), "750.00 ISK");
    /// ```
    pub fn of_minor_units(amount: Decimal, currency: Currency, digits: Option<u32>) -> Option<Money> {
        let mut amount = amount;
        let scale = amount.scale().checked_add(digits.unwrap_or_else(|| currency.minor_digits()))?;
        amount.set_scale(scale).ok()?;
        Some(Money { amount, currency })
    }

    fn to_digits_of_currency(self, strategy: RoundingStrategy) -> Money {
        let digits = self.currency.minor_digits();
        let mut amount = self.amount.round_dp_with_strategy(digits, strategy);
        amount.rescale(digits);
        Money { amount, ..self }
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.amount, self.currency)
    }
}

/// How a network writes its numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum NumberFormat {
    /// `1234.50`.
    #[default]
    Plain,
    /// `1234,50`.
    Comma,
    /// `1,234.50`; the thousands may also be divided by a space or an apostrophe.
    Grouped,
    /// `1.234,50`; the thousands may also be divided by a space or an apostrophe.
    GroupedComma,
}

impl NumberFormat {
    /// Every format with the word that templates use.
    pub const NAMES: [(&'static str, NumberFormat); 4] = [
        (NumberFormat::Plain.as_str(), NumberFormat::Plain),
        (NumberFormat::Comma.as_str(), NumberFormat::Comma),
        (NumberFormat::Grouped.as_str(), NumberFormat::Grouped),
        (NumberFormat::GroupedComma.as_str(), NumberFormat::GroupedComma),
    ];

    /// As templates write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            NumberFormat::Plain => "plain",
            NumberFormat::Comma => "comma",
            NumberFormat::Grouped => "grouped",
            NumberFormat::GroupedComma => "grouped-comma",
        }
    }

    /// A number as it is written so.
    pub const fn example(self) -> &'static str {
        match self {
            NumberFormat::Plain => "1234.50",
            NumberFormat::Comma => "1234,50",
            NumberFormat::Grouped => "1,234.50",
            NumberFormat::GroupedComma => "1.234,50",
        }
    }

    /// What divides units from fractions.
    const fn mark(self) -> char {
        match self {
            NumberFormat::Plain | NumberFormat::Grouped => '.',
            NumberFormat::Comma | NumberFormat::GroupedComma => ',',
        }
    }

    /// What may divide thousands.
    const fn dividers(self) -> &'static [char] {
        match self {
            NumberFormat::Plain | NumberFormat::Comma => &[],
            NumberFormat::Grouped => &[',', ' ', '\u{a0}', '\u{202f}', '\u{2009}', '\'', '\u{2019}'],
            NumberFormat::GroupedComma => &['.', ' ', '\u{a0}', '\u{202f}', '\u{2009}', '\'', '\u{2019}'],
        }
    }
}

/// Parses a decimal: an optional sign, digits, at most one decimal mark, and groups of three only where the format
/// has them, divided by one and the same mark. No exponent, no currency sign: what is not plainly a number is for a
/// person to look at.
///
/// Keeps the digits as they were received (`7.00` stays `7.00`); at most 28 significant digits. A zero has no sign.
///
/// ```
/// use postbridge::domain::money::{NumberFormat, parse_decimal};
///
/// assert_eq!(parse_decimal("7,00", NumberFormat::Comma).unwrap().to_string(), "7.00");
/// assert_eq!(parse_decimal("1,234.50", NumberFormat::Grouped).unwrap().to_string(), "1234.50");
/// assert_eq!(parse_decimal("1,50", NumberFormat::Grouped), None, "no group of three");
/// assert_eq!(parse_decimal("$7.00", NumberFormat::Plain), None);
/// ```
pub fn parse_decimal(text: &str, format: NumberFormat) -> Option<Decimal> {
    let text = trim(text);
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (units, fraction) = match digits.split_once(format.mark()) {
        Some((units, fraction)) if !fraction.is_empty() => (units, fraction),
        Some(_) => return None,
        None => (digits, ""),
    };
    let units = if format.dividers().is_empty() { Cow::Borrowed(units) } else { ungrouped(units, format)? };
    if digits.is_empty() || !units.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit()) {
        return None;
    }
    let sign = if text.starts_with('-') { "-" } else { "" };
    let units = if units.is_empty() { "0" } else { &*units };
    let plain =
        if fraction.is_empty() { format!("{sign}{units}") } else { format!("{sign}{units}.{fraction}") };
    let mut amount = Decimal::from_str_exact(&plain).ok()?;
    if amount.is_zero() {
        amount.set_sign_positive(true);
    }
    Some(amount)
}

/// The units without what divides their thousands; `None` where a group behind the first has not three digits, or the
/// groups are divided by different marks.
fn ungrouped(units: &str, format: NumberFormat) -> Option<Cow<'_, str>> {
    let Some(divider) = units.chars().find(|c| format.dividers().contains(c)) else {
        return Some(Cow::Borrowed(units));
    };
    let mut groups = units.split(divider);
    // `0,500` has no thousands: its mark is a decimal one.
    let first = groups.next().filter(|first| (1..=3).contains(&first.len()) && !first.starts_with('0'))?;
    let mut joined = first.to_owned();
    for group in groups {
        joined.push_str(Some(group).filter(|group| group.len() == 3)?);
    }
    Some(Cow::Owned(joined))
}

/// The most digits that an amount has, before and behind its mark together.
const MOST_DIGITS: usize = 28;

/// A JSON number with an exponent in plain digits, exactly: `2.5e1` is `25`, `1E-2` is `0.01`. `None` where
/// it has no exponent, is no number of JSON's grammar, or needs more than 28 digits.
pub fn without_exponent(number: &str) -> Option<String> {
    let (mantissa, exponent) = number.split_once(['e', 'E'])?;
    let (sign, digits) = match mantissa.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", mantissa),
    };
    let (units, fraction) = match digits.split_once('.') {
        Some((_, "")) => return None,
        Some(parts) => parts,
        None => (digits, ""),
    };
    let is_plain = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let power = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
    let has_leading_zero = units.len() > 1 && units.starts_with('0');
    let is_number =
        !units.is_empty() && !power.is_empty() && [units, fraction, power].into_iter().all(is_plain);
    if !is_number || has_leading_zero {
        return None;
    }
    let significant = [units, fraction].concat();
    let significant = significant.trim_start_matches('0');
    if significant.is_empty() {
        return Some("0".to_owned());
    }
    // Longer than any exponent that leaves 28 digits: it need not be read.
    let power: i64 = Some(power.trim_start_matches('0'))
        .filter(|power| power.len() <= 9)
        .map(|power| format!("0{power}"))?
        .parse()
        .ok()?;
    let power = if exponent.starts_with('-') { -power } else { power };
    let behind = i64::try_from(fraction.len()).ok()?.checked_sub(power)?;
    let length = i64::try_from(significant.len()).ok()?;
    let most = i64::try_from(MOST_DIGITS).ok()?;
    if length > most || behind > most || length.checked_sub(behind)? > most {
        return None;
    }
    if behind <= 0 {
        let zeros = usize::try_from(-behind).ok()?;
        return Some(format!("{sign}{significant}{}", "0".repeat(zeros)));
    }
    let behind = usize::try_from(behind).ok()?;
    let padded = format!("{significant:0>width$}", width = behind + 1);
    let (units, fraction) = padded.split_at_checked(padded.len() - behind)?;
    Some(format!("{sign}{units}.{fraction}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exponent_is_applied_exactly_and_never_beyond_28_digits() {
        for (number, plain) in [
            ("2.5e1", "25"),
            ("2.50E+1", "25.0"),
            ("1E-2", "0.01"),
            ("-7.5e0", "-7.5"),
            ("1e27", "1000000000000000000000000000"),
            ("1e-28", "0.0000000000000000000000000001"),
            ("0.0025e4", "25"),
            ("0e400", "0"),
            ("-0.00e9999999999999", "0"),
            ("7e00000000000000001", "70"),
        ] {
            assert_eq!(without_exponent(number).as_deref(), Some(plain), "{number}");
            assert!(parse_decimal(plain, NumberFormat::Plain).is_some(), "{plain}");
        }
        for not in [
            "25",
            "1e400",
            "1e28",
            "1e-29",
            "1e99999999999999999999",
            "1e",
            "e1",
            ".5e1",
            "5.e1",
            "01e1",
            "1e1.5",
            "1e1e1",
            "+1e1",
            "1e+-1",
            "0x1e1",
            "",
            "12345678901234567890123456789e0",
        ] {
            assert_eq!(without_exponent(not), None, "{not}");
        }
        let long = format!("1{}e1", "0".repeat(100_000));
        assert_eq!(without_exponent(&long), None);
    }

    #[test]
    fn a_zero_has_no_sign() {
        for zero in ["-0", "-0.00", "+0"] {
            assert!(
                parse_decimal(zero, NumberFormat::Plain).is_some_and(|zero| zero.is_sign_positive()),
                "{zero}"
            );
        }
    }

    #[test]
    fn metals_funds_and_withdrawn_codes_are_no_currencies_of_a_sale() {
        for code in ["XXX", "XTS", "xau", "XAG", "XDR", "CLF", "CHE", "USN", "MXV"] {
            assert_eq!(Currency::check(code), Err(NoCurrency::NotPaidIn), "{code}");
        }
        for code in ["HRK", "ZWL", "hrk", "LTL", "DEM", "VEF", "SLL"] {
            assert_eq!(Currency::check(code), Err(NoCurrency::Withdrawn), "{code}");
        }
        for code in ["", "US", "USDT", "ABC", "U D", "€", "ÄB"] {
            assert_eq!(Currency::check(code), Err(NoCurrency::Unknown), "{code}");
        }
        for code in [
            "usd",
            " EUR ",
            "\u{feff}XAF",
            "XOF\u{200b}",
            "XCD",
            "XPF",
            "XCG",
            "ZWG",
            "VED",
            "VES",
            "SLE",
            "CHF",
        ] {
            assert!(Currency::check(code).is_ok(), "{code}");
        }
    }
}
