//! What a text of a document can be, wherever it is written: an event, an amount, a currency, a time zone.

use jiff::tz::TimeZone;
use rust_decimal::Decimal;

use crate::domain::event::EventName;
use crate::domain::money::{Currency, NoCurrency, NumberFormat, parse_decimal};
use crate::domain::time::Time;
use crate::template::diagnostic::Problem;
use crate::template::toml_doc::text::Text;

/// The name of an event, whatever the case of a standard one.
///
/// # Errors
/// It is empty, too long, or has control characters.
pub fn event_name(text: &Text) -> Result<EventName, Problem> {
    EventName::parse(&text.value).ok_or_else(|| {
        Problem::new(
            format!("{} is not an event's name", text.shown()),
            format!("1–64 characters, such as {}", EventName::STANDARD.join(", ")),
        )
    })
}

/// A decimal number, written with a dot.
///
/// # Errors
/// It is written otherwise.
pub fn decimal(text: &Text) -> Result<Decimal, Problem> {
    let hint = "write digits with a dot, in quotes and without a currency sign: \"7.00\"";
    let what = || format!("{} is not a decimal", text.shown());
    parse_decimal(&text.value, NumberFormat::Plain).ok_or_else(|| Problem::new(what(), hint))
}

/// A currency by its code.
///
/// # Errors
/// ISO 4217 has no such code, or has it for what no sale is in.
pub fn currency(text: &Text) -> Result<Currency, Problem> {
    Currency::check(&text.value).map_err(|why| {
        Problem::new(
            match why {
                NoCurrency::Unknown => format!("{} is not a currency", text.shown()),
                _ => format!("{} is a code {}", text.shown(), why.why()),
            },
            "write its three letters of ISO 4217: \"USD\", \"EUR\"",
        )
    })
}

/// The beginning of a day in UTC, written as in `2026-11-29`.
///
/// # Errors
/// It is written otherwise, or there is no such day.
pub fn day(text: &Text) -> Result<Time, Problem> {
    let begins = (text.value.len() == "2026-11-29".len())
        .then(|| Time::parse(&format!("{}T00:00:00Z", text.value)))
        .flatten();
    let what = || format!("{} is not a day", text.shown());
    begins.ok_or_else(|| Problem::new(what(), "write it as in \"2026-11-29\""))
}

/// A time zone by its name.
///
/// # Errors
/// The IANA database has no such name.
pub fn time_zone(text: &Text) -> Result<TimeZone, Problem> {
    TimeZone::get(&text.value).map_err(|_| {
        Problem::new(
            format!("{} is not a time zone", text.shown()),
            "write its name in the IANA database: \"UTC\", \"America/New_York\", or \"Etc/GMT-8\" (which is UTC+8)",
        )
    })
}
