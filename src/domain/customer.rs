//! How a source writes customer data that can be read two ways: of which country its phone numbers are, and
//! whether its dates begin with the day.

use std::fmt;

/// What a source says of the customer data that it reports. What it does not say is not guessed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CustomerFormat {
    /// Of which country a phone number is that is written without its country's calling code.
    pub phone_region: Option<PhoneRegion>,
    /// How dates are written whose day and month cannot be distinguished.
    pub birthdate: Option<DateOrder>,
}

/// Which part of a written date is its first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DateOrder {
    /// `31.12.1990`.
    DayFirst,
    /// `12/31/1990`.
    MonthFirst,
}

impl DateOrder {
    /// Every order with the word that templates and the configuration use.
    pub const NAMES: [(&'static str, DateOrder); 2] = [
        (DateOrder::DayFirst.as_str(), DateOrder::DayFirst),
        (DateOrder::MonthFirst.as_str(), DateOrder::MonthFirst),
    ];

    /// As templates and the configuration write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            DateOrder::DayFirst => "dmy",
            DateOrder::MonthFirst => "mdy",
        }
    }
}

/// A country by the two capital letters of ISO 3166.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PhoneRegion([u8; 2]);

impl PhoneRegion {
    /// Two letters of any case. Whether such a country has phone numbers, this does not know.
    pub fn parse(text: &str) -> Option<PhoneRegion> {
        let letters: [u8; 2] = text.trim().as_bytes().try_into().ok()?;
        letters
            .iter()
            .all(u8::is_ascii_alphabetic)
            .then(|| PhoneRegion(letters.map(|b| b.to_ascii_uppercase())))
    }

    /// Two letters of ISO 3166, in capitals.
    pub fn as_str(&self) -> &str {
        // Only ASCII letters get in.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for PhoneRegion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
