//! How long an answer asks to be left alone: by `Retry-After`, and where a template says that it is written.

use std::time::UNIX_EPOCH;

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde_json::Value as Json;

use crate::domain::delivery::PlatformResponse;
use crate::domain::time::{DAY_MS, Time};

/// A header in which a platform writes a wait, in addition to `Retry-After`.
#[derive(Debug)]
pub(crate) struct WaitPlace {
    /// In lower case.
    pub header: String,
    /// The header is JSON, and the wait is the largest member of this name anywhere in it. `None`: the
    /// header itself is the wait, a number or a date.
    pub largest: Option<String>,
    pub unit: WaitUnit,
    /// Whether what is asked for there concerns the whole destination, whatever the answer's status.
    pub hold: bool,
}

/// What a number of a wait counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WaitUnit {
    Milliseconds,
    Seconds,
    Minutes,
}

impl WaitUnit {
    pub(crate) const NAMES: [(WaitUnit, &'static str); 3] = [
        (WaitUnit::Milliseconds, "milliseconds"),
        (WaitUnit::Seconds, "seconds"),
        (WaitUnit::Minutes, "minutes"),
    ];

    fn millis(self) -> i64 {
        match self {
            WaitUnit::Milliseconds => 1,
            WaitUnit::Seconds => 1_000,
            WaitUnit::Minutes => 60_000,
        }
    }
}

/// What the rule that fits says of waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum WaitRule {
    /// `Retry-After` of a 429 or 503, and the places that say so.
    #[default]
    AsUsual,
    /// The whole destination, wherever the wait is written.
    Destination,
    /// This delivery alone.
    Delivery,
}

/// A header that holds the time at which to come again, counted from 1970.
#[derive(Debug)]
pub(crate) struct RetryAt {
    /// In lower case.
    pub header: String,
    /// What its number counts.
    pub unit: WaitUnit,
}

impl RetryAt {
    /// How long that is from now, within 0 and 24 hours; `None` where the header is absent or no number.
    pub(crate) fn wait(&self, answer: &PlatformResponse, now: Time) -> Option<i64> {
        longest(answer, &self.header, |text| {
            let time = text.trim().parse::<i64>().ok()?.checked_mul(self.unit.millis())?;
            Some(time.saturating_sub(now.as_millis()).clamp(0, DAY_MS))
        })
    }
}

/// What an answer asks for, in milliseconds from now: 0 to 24 hours each.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RequestedWait {
    /// The earliest next try of the delivery.
    pub after_ms: Option<i64>,
    /// How long nothing should be sent to the destination; above 0.
    pub hold_ms: Option<i64>,
}

/// Reads every wait of an answer; of several the longest counts, and what cannot be read is none.
pub(crate) fn asked(
    places: &[WaitPlace],
    concerns: WaitRule,
    answer: &PlatformResponse,
    now: Time,
) -> RequestedWait {
    let by_header = longest(answer, "retry-after", |text| retry_after_ms(text, now));
    let throttled = matches!(answer.status, 429 | 503);
    let mut found = RequestedWait { after_ms: by_header, hold_ms: by_header.filter(|_| throttled) };
    for place in places {
        let wait = longest(answer, &place.header, |text| place.read(text, now));
        found.after_ms = found.after_ms.max(wait);
        found.hold_ms = found.hold_ms.max(wait.filter(|_| place.hold));
    }
    found.hold_ms = match concerns {
        WaitRule::AsUsual => found.hold_ms,
        WaitRule::Destination => found.after_ms,
        WaitRule::Delivery => None,
    };
    found.hold_ms = found.hold_ms.filter(|wait| *wait > 0);
    found
}

/// The longest wait in all headers of this name: some senders repeat them.
fn longest(answer: &PlatformResponse, name: &str, read: impl Fn(&str) -> Option<i64>) -> Option<i64> {
    let named = answer.headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
    named.filter_map(|(_, value)| read(value)).max()
}

impl WaitPlace {
    fn read(&self, text: &str, now: Time) -> Option<i64> {
        let text = text.trim();
        let Some(member) = &self.largest else {
            return self.millis(text).or_else(|| retry_after_ms(text, now));
        };
        // Repeated headers that a proxy joined with commas are then the items of one list.
        let json: Json = serde_json::from_str(&format!("[{text}]")).ok()?;
        self.largest_below(&json, member)
    }

    /// The parser bounds how deep a document is, and so how deep this goes.
    fn largest_below(&self, json: &Json, member: &str) -> Option<i64> {
        match json {
            Json::Array(items) => items.iter().filter_map(|item| self.largest_below(item, member)).max(),
            Json::Object(members) => members
                .iter()
                .filter_map(|(name, value)| match value {
                    Json::Number(number) if name == member => self.millis(&number.to_string()),
                    Json::String(text) if name == member => self.millis(text.trim()),
                    below => self.largest_below(below, member),
                })
                .max(),
            _ => None,
        }
    }

    /// A number of this place's unit, rounded up and held within 0 and 24 hours; below 0 it is none.
    fn millis(&self, text: &str) -> Option<i64> {
        if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
            // More digits than fit are longer than any wait that is kept.
            let count = text.parse::<i64>().unwrap_or(i64::MAX);
            return Some(count.saturating_mul(self.unit.millis()).min(DAY_MS));
        }
        let number = Decimal::from_str_exact(text).or_else(|_| Decimal::from_scientific(text)).ok()?;
        if number.is_sign_negative() {
            return None;
        }
        let millis = number.checked_mul(Decimal::from(self.unit.millis()));
        Some(millis.and_then(|millis| millis.ceil().to_i64()).map_or(DAY_MS, |millis| millis.min(DAY_MS)))
    }
}

/// Reads whole seconds or an HTTP date. Held within 0 and 24 hours; `None` for anything else.
pub fn retry_after_ms(header: &str, now: Time) -> Option<i64> {
    let header = header.trim();
    if !header.is_empty() && header.bytes().all(|b| b.is_ascii_digit()) {
        // More digits than fit are longer than any wait that is kept.
        let seconds = header.parse::<i64>().unwrap_or(i64::MAX);
        return Some(seconds.saturating_mul(1000).min(DAY_MS));
    }
    let date = httpdate::parse_http_date(header).ok()?;
    let since_epoch = date.duration_since(UNIX_EPOCH).map_or(0, |passed| passed.as_millis());
    let wait = i64::try_from(since_epoch).unwrap_or(i64::MAX).saturating_sub(now.as_millis());
    Some(wait.clamp(0, DAY_MS))
}
