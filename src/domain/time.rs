//! Moments in UTC, to the millisecond: RFC 3339 for people, one integer in the store. And a limit of one log
//! line a minute.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A moment, in milliseconds since 1970-01-01T00:00:00Z, within the years 0000–9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(i64);

const FIRST: i64 = -62_167_219_200_000;
const LAST: i64 = 253_402_207_200_000;

/// One minute in milliseconds.
pub const MINUTE_MS: i64 = 60_000;
/// One hour in milliseconds.
pub const HOUR_MS: i64 = 60 * MINUTE_MS;
/// One day in milliseconds.
pub const DAY_MS: i64 = 24 * HOUR_MS;

/// 2025-01-01T00:00:00Z. A clock that shows an earlier time is wrong: there was no such program.
pub const BEFORE_FIRST_USE: Time = Time(1_735_689_600_000);

impl Time {
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Time = Time(0);

    /// The moment `millis` after the epoch, if it is in the years 0000–9999.
    pub fn from_millis(millis: i64) -> Option<Time> {
        (FIRST..=LAST).contains(&millis).then_some(Time(millis))
    }

    /// Milliseconds since the epoch.
    pub fn as_millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down.
    pub fn as_seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// Parses RFC 3339, the form every page and API writes.
    ///
    /// ```
    /// use postbridge::domain::time::Time;
    ///
    /// let time = Time::parse("2026-11-28T13:00:00+01:00").unwrap();
    /// assert_eq!(time.to_string(), "2026-11-28T12:00:00.000Z");
    /// assert_eq!(Time::parse("yesterday"), None);
    /// ```
    pub fn parse(text: &str) -> Option<Time> {
        let stamp: jiff::Timestamp = text.trim().parse().ok()?;
        Time::from_millis(stamp.as_millisecond())
    }

    /// This moment moved by `millis`, held within the years 0000–9999.
    pub fn plus_millis(self, millis: i64) -> Time {
        Time(self.0.saturating_add(millis).clamp(FIRST, LAST))
    }

    /// This moment moved by whole hours.
    pub fn plus_hours(self, hours: i64) -> Time {
        self.plus_millis(hours.saturating_mul(HOUR_MS))
    }

    /// Milliseconds from `earlier` to this moment; negative when it is before.
    pub fn millis_since(self, earlier: Time) -> i64 {
        self.0 - earlier.0
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(stamp) => write!(f, "{stamp:.3}"),
            Err(_) => write!(f, "{} ms", self.0),
        }
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            serializer.serialize_i64(self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Time, D::Error> {
        use serde::de::Error;
        if deserializer.is_human_readable() {
            let text = String::deserialize(deserializer)?;
            Time::parse(&text).ok_or_else(|| D::Error::custom(format!("`{text}` is not an RFC 3339 time")))
        } else {
            let millis = i64::deserialize(deserializer)?;
            Time::from_millis(millis).ok_or_else(|| D::Error::custom("time out of range"))
        }
    }
}

/// The lines of one kind about one thing.
#[derive(Debug, Clone, Copy, Default)]
pub struct LineLimit {
    written: Option<Time>,
    left_out: u64,
}

impl LineLimit {
    /// Whether a line is written now; then with how many were left out since the one before.
    pub fn admit(&mut self, now: Time) -> Option<u64> {
        // A clock that was set back must not silence it for as long; and of two that ask at once the one that
        // looked at the clock first may ask last.
        let lately = |written: Time| (-MINUTE_MS..MINUTE_MS).contains(&now.millis_since(written));
        if self.written.is_some_and(lately) {
            self.left_out = self.left_out.saturating_add(1);
            return None;
        }
        self.written = Some(now);
        Some(std::mem::take(&mut self.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::{LineLimit, MINUTE_MS, Time};

    #[test]
    fn a_line_of_a_kind_is_written_once_a_minute_in_whatever_order_it_is_asked_for() {
        let at = |millis: i64| Time::from_millis(600_000 + millis).unwrap();
        let mut limit = LineLimit::default();
        assert_eq!(limit.admit(at(5)), Some(0));
        assert_eq!(limit.admit(at(4)), None, "it looked at the clock before the one that was written");
        assert_eq!(limit.admit(at(MINUTE_MS + 4)), None);
        assert_eq!(limit.admit(at(MINUTE_MS + 5)), Some(2));
        assert_eq!(limit.admit(at(-MINUTE_MS)), Some(0), "a clock that was set back");
    }
}
