//! Money: a decimal and a currency, from end to end. Never a float, never a currency nobody chose.

use std::fmt;

use rust_decimal::{Decimal, RoundingStrategy};
use serde::{Deserialize, Serialize};

/// An ISO 4217 code in capitals, such as `USD`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Currency([u8; 3]);

impl Currency {
    /// Parses a code of ISO 4217, whatever its case; `None` for anything else.
    pub fn parse(text: &str) -> Option<Currency> {
        let upper = text.trim().to_ascii_uppercase();
        iso_currency::Currency::from_code(&upper)?;
        upper.as_bytes().try_into().ok().map(Currency)
    }

    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("???")
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An amount in a currency. Equality is of numbers: 7 USD is 7.00 USD. The digits told are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Money {
    pub amount: Decimal,
    pub currency: Currency,
}

impl Money {
    pub fn new(amount: Decimal, currency: Currency) -> Money {
        Money { amount, currency }
    }

    pub fn is_above_zero(self) -> bool {
        self.amount.is_sign_positive() && !self.amount.is_zero()
    }

    pub fn is_below_zero(self) -> bool {
        self.amount.is_sign_negative() && !self.amount.is_zero()
    }

    /// Rounded, half to even, to what can be paid in the currency, with all its digits: 6.24875 USD is
    /// 6.25, 5 USD is 5.00, and of JPY there are no parts.
    pub fn payable(self) -> Money {
        let digits = iso_currency::Currency::from_code(self.currency.as_str());
        let digits = u32::from(digits.and_then(|known| known.exponent()).unwrap_or(2));
        let mut amount = self.amount.round_dp_with_strategy(digits, RoundingStrategy::MidpointNearestEven);
        amount.rescale(digits);
        Money { amount, ..self }
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.amount, self.currency)
    }
}

/// Which character divides units from fractions in a network's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DecimalMark {
    #[default]
    Dot,
    Comma,
}

/// Parses a plain decimal: an optional sign, digits, at most one decimal mark. No grouping, no
/// exponent, no currency sign: what is not plainly a number is for a person to look at.
///
/// Keeps the digits as they came (`7.00` stays `7.00`); at most 28 significant digits.
pub fn parse_decimal(text: &str, mark: DecimalMark) -> Option<Decimal> {
    let text = text.trim();
    let mark = match mark {
        DecimalMark::Dot => '.',
        DecimalMark::Comma => ',',
    };
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (units, fraction) = match digits.split_once(mark) {
        Some((units, fraction)) if !fraction.is_empty() => (units, fraction),
        Some(_) => return None,
        None => (digits, ""),
    };
    if digits.is_empty() || !units.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit()) {
        return None;
    }
    let sign = if text.starts_with('-') { "-" } else { "" };
    let units = if units.is_empty() { "0" } else { units };
    let plain =
        if fraction.is_empty() { format!("{sign}{units}") } else { format!("{sign}{units}.{fraction}") };
    Decimal::from_str_exact(&plain).ok()
}
