//! A quarter of an hour in UTC: what is counted and summed is kept by it, because every time zone's days begin with one.

use serde::{Deserialize, Serialize};

use crate::domain::time::{DAY_MS, MINUTE_MS, Time};

/// Its length, in milliseconds.
const QUARTER_MS: i64 = 15 * MINUTE_MS;

/// How many of them are in a day.
const A_DAY: i64 = DAY_MS / QUARTER_MS;

/// A quarter of an hour, by its number since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct QuarterHour(i64);

impl QuarterHour {
    /// The one in which a moment is.
    ///
    /// ```
    /// use postbridge::domain::{quarter_hour::QuarterHour, time::Time};
    ///
    /// let moment = Time::parse("2026-11-28T12:59:59.999Z").unwrap();
    /// assert_eq!(QuarterHour::of(moment).start().to_string(), "2026-11-28T12:45:00.000Z");
    /// ```
    pub fn of(moment: Time) -> QuarterHour {
        QuarterHour(moment.as_millis().div_euclid(QUARTER_MS))
    }

    /// The one with this number; the number of none is out of range.
    pub fn from_number(number: i64) -> QuarterHour {
        QuarterHour(number)
    }

    /// Its number since 1970-01-01T00:00:00Z.
    pub fn number(self) -> i64 {
        self.0
    }

    /// Its first moment, held within the years 0000–9999.
    pub fn start(self) -> Time {
        Time::EPOCH.plus_millis(self.0.saturating_mul(QUARTER_MS))
    }

    /// The first one of the UTC day that it is in.
    pub fn day(self) -> QuarterHour {
        QuarterHour::of_day(self.utc_day())
    }

    /// The UTC day that it is in, by its number since 1970-01-01.
    pub fn utc_day(self) -> i64 {
        self.0.div_euclid(A_DAY)
    }

    /// The first one of a UTC day, by the day's number since 1970-01-01.
    pub fn of_day(day: i64) -> QuarterHour {
        QuarterHour(day.saturating_mul(A_DAY))
    }

    /// The first one of the next UTC day, or this one where it is the first of its day.
    pub fn next_day(self) -> QuarterHour {
        if self == self.day() { self } else { QuarterHour::of_day(self.utc_day().saturating_add(1)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_hour_begins_at_its_first_moment_also_before_1970() {
        for (moment, start, day) in [
            ("2026-11-28T00:00:00Z", "2026-11-28T00:00:00.000Z", "2026-11-28T00:00:00.000Z"),
            ("2026-11-28T23:59:59.999Z", "2026-11-28T23:45:00.000Z", "2026-11-28T00:00:00.000Z"),
            ("1969-12-31T23:59:00Z", "1969-12-31T23:45:00.000Z", "1969-12-31T00:00:00.000Z"),
        ] {
            let quarter = QuarterHour::of(Time::parse(moment).unwrap());
            assert_eq!(quarter.start().to_string(), start, "{moment}");
            assert_eq!(quarter.day().start().to_string(), day, "{moment}");
            assert_eq!(QuarterHour::of(quarter.start()), quarter);
        }
    }

    #[test]
    fn the_next_day_of_a_days_first_quarter_hour_is_that_day() {
        let first = QuarterHour::of_day(20_000);
        assert_eq!(first.next_day(), first);
        assert_eq!(QuarterHour::from_number(first.number() + 1).next_day(), QuarterHour::of_day(20_001));
    }
}
