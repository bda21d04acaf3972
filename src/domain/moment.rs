//! Moments as senders write them: compact dates, epoch numbers, an offset whose `+` became a space.

use jiff::civil::{Date, DateTime};
use jiff::tz::{Offset, TimeZone};

use crate::domain::time::{DAY_MS, Time};

/// 2005-01-01T00:00:00Z in milliseconds: no sale is older. What reads as older is an empty date (`0`,
/// `1970-01-01`, `0001-01-01`) or a number in another unit.
const EARLIEST_MS: i64 = 1_104_537_600_000;
/// 2100-01-01T00:00:00Z in milliseconds: up to here a number may be a moment of its unit.
const LATEST_MS: i64 = 4_102_444_800_000;

/// Whether a sale can have happened then: not before 2005.
pub fn is_recent_enough(moment: Time) -> bool {
    moment.as_millis() >= EARLIEST_MS
}

/// Whether it is more than a day after `now`: then no clock's error explains it.
pub fn is_ahead(moment: Time, now: Time) -> bool {
    moment.millis_since(now) > DAY_MS
}

/// The unit of a number of the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EpochUnit {
    Seconds,
    Millis,
    Micros,
    Nanos,
}

/// The moment of a number of `unit`s since 1970, within the years 2005–2099: so no number is read in the
/// wrong unit, and no compact date as a number. A fraction is dropped.
pub fn epoch(text: &str, unit: EpochUnit) -> Option<Time> {
    let (units, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let is_plain = |digits: &str| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    if !is_plain(units) || !is_plain(fraction) {
        return None;
    }
    let number: i64 = units.parse().ok()?;
    let millis = match unit {
        EpochUnit::Seconds => number.checked_mul(1000)?,
        EpochUnit::Millis => number,
        EpochUnit::Micros => number / 1000,
        EpochUnit::Nanos => number / 1_000_000,
    };
    (EARLIEST_MS..LATEST_MS).contains(&millis).then(|| Time::from_millis(millis)).flatten()
}

/// `20261127`, `202611271015`, `20261127101500`; with a `T` or a space before the time, a fraction of the
/// second, and `Z` or an offset behind. Without these in `zone`; a date alone is the day's beginning.
pub fn compact(text: &str, zone: &TimeZone) -> Option<Time> {
    let (front, offset) = split_offset(text)?;
    let (front, fraction) = match front.split_once(['.', ',']) {
        Some((front, fraction)) => (front, Some(fraction)),
        None => (front, None),
    };
    let (day, clock) = front.split_at_checked(8)?;
    let clock = clock.strip_prefix(['T', 't', ' ']).unwrap_or(clock);
    if !day.bytes().chain(clock.bytes()).all(|b| b.is_ascii_digit()) {
        return None;
    }
    let date = Date::new(day.get(..4)?.parse().ok()?, two(day, 4)?, two(day, 6)?).ok()?;
    let time = match clock.len() {
        // `20261127Z` is not a moment that senders write.
        0 if fraction.is_none() && offset.is_none() && front.len() == 8 => jiff::civil::Time::midnight(),
        4 if fraction.is_none() => jiff::civil::Time::new(two(clock, 0)?, two(clock, 2)?, 0, 0).ok()?,
        6 => {
            let nanos = fraction.map_or(Some(0), nanoseconds)?;
            jiff::civil::Time::new(two(clock, 0)?, two(clock, 2)?, two(clock, 4)?, nanos).ok()?
        }
        _ => return None,
    };
    at(date.to_datetime(time), offset, zone)
}

fn at(local: DateTime, offset: Option<Offset>, zone: &TimeZone) -> Option<Time> {
    let stamp = match offset {
        Some(offset) => offset.to_timestamp(local).ok()?,
        None => local.to_zoned(zone.clone()).ok()?.timestamp(),
    };
    Time::from_millis(stamp.as_millisecond())
}

fn two(digits: &str, from: usize) -> Option<i8> {
    digits.get(from..from + 2)?.parse().ok()
}

fn nanoseconds(fraction: &str) -> Option<i32> {
    let is_plain = (1..=9).contains(&fraction.len()) && fraction.bytes().all(|b| b.is_ascii_digit());
    if is_plain { format!("{fraction:0<9}").parse().ok() } else { None }
}

/// What is before a `Z` or an offset (`+0200`, `+02:00`, `-05`), and the offset. `None` where what looks
/// like one is none.
fn split_offset(text: &str) -> Option<(&str, Option<Offset>)> {
    if let Some(front) = text.strip_suffix(['Z', 'z']) {
        return Some((front, Some(Offset::UTC)));
    }
    let Some(at) = text.rfind(['+', '-']) else { return Some((text, None)) };
    let (front, offset) = text.split_at_checked(at)?;
    let digits = offset.get(1..)?;
    let (hours, minutes) = match (digits.len(), digits.split_once(':')) {
        (5, Some((hours, minutes))) => (hours, minutes),
        (4, None) => digits.split_at_checked(2)?,
        (2, None) => (digits, "00"),
        _ => return None,
    };
    let number =
        |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<i32>().ok()).flatten();
    let seconds = number(hours)?.checked_mul(3600)?.checked_add(number(minutes)?.checked_mul(60)?)?;
    let seconds = if offset.starts_with('-') { -seconds } else { seconds };
    Some((front, Some(Offset::from_seconds(seconds).ok()?)))
}

/// The text with the `+` back that became a space before its offset: `2026-11-27T10:15:00 02:00`. Only
/// behind a time of day: anywhere else the space is one.
pub fn with_plus(text: &str) -> Option<String> {
    let (front, offset) = text.rsplit_once(' ')?;
    let is_offset = match offset.len() {
        2 | 4 => offset.bytes().all(|b| b.is_ascii_digit()),
        5 => offset.bytes().enumerate().all(|(at, b)| if at == 2 { b == b':' } else { b.is_ascii_digit() }),
        _ => false,
    };
    let has_clock = front.contains(':') || front.contains(['T', 't']) || front.len() >= 12;
    (is_offset && has_clock).then(|| format!("{}+{offset}", front.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<String> {
        compact(text, &TimeZone::fixed(jiff::tz::offset(1))).map(|moment| moment.to_string())
    }

    #[test]
    fn compact_dates_are_read_with_and_without_their_time_and_offset() {
        for (text, expected) in [
            ("20261127", "2026-11-26T23:00:00.000Z"),
            ("202611271015", "2026-11-27T09:15:00.000Z"),
            ("20261127101500", "2026-11-27T09:15:00.000Z"),
            ("20261127T101500", "2026-11-27T09:15:00.000Z"),
            ("20261127 1015", "2026-11-27T09:15:00.000Z"),
            ("20261127T101500Z", "2026-11-27T10:15:00.000Z"),
            ("20261127101500z", "2026-11-27T10:15:00.000Z"),
            ("20261127T101500.25Z", "2026-11-27T10:15:00.250Z"),
            ("20261127101500.123", "2026-11-27T09:15:00.123Z"),
            ("20261127T101500+0200", "2026-11-27T08:15:00.000Z"),
            ("20261127T101500-05:30", "2026-11-27T15:45:00.000Z"),
            ("20261127T1015+02", "2026-11-27T08:15:00.000Z"),
        ] {
            assert_eq!(read(text).as_deref(), Some(expected), "{text}");
        }
        for not in [
            "",
            "2026",
            "20261",
            "20261327",
            "20260230",
            "202611272515",
            "20261127101561",
            "20261127101500000",
            "20261127T",
            "20261127.5",
            "20261127Z",
            "2026-11-27",
            "20261127T101500+2",
            "20261127T101500+99:00",
            "20261127T10150",
            "2026112710",
            "abcdefgh",
            "２０２６１１２７",
            "20261127101500.",
            "20261127101500.1234567890",
        ] {
            assert_eq!(read(not), None, "{not}");
        }
    }

    #[test]
    fn a_number_is_a_moment_only_in_the_unit_in_which_it_is_a_likely_one() {
        let second = "1795774500";
        assert_eq!(epoch(second, EpochUnit::Seconds), Time::from_millis(1_795_774_500_000));
        assert_eq!(epoch("1795774500.75", EpochUnit::Seconds), Time::from_millis(1_795_774_500_000));
        assert_eq!(epoch("1795774500123", EpochUnit::Millis), Time::from_millis(1_795_774_500_123));
        assert_eq!(epoch("1795774500123456", EpochUnit::Micros), Time::from_millis(1_795_774_500_123));
        assert_eq!(epoch("1795774500123456789", EpochUnit::Nanos), Time::from_millis(1_795_774_500_123));
        for unit in [EpochUnit::Seconds, EpochUnit::Millis, EpochUnit::Micros, EpochUnit::Nanos] {
            for not in [
                "",
                "0",
                "20261127",
                "202611271015",
                "20261127101500",
                "9".repeat(400).as_str(),
                "-1795774500",
                "1795774500.",
                "1e9",
            ] {
                assert_eq!(epoch(not, unit), None, "{not} {unit:?}");
            }
        }
        assert_eq!(epoch(second, EpochUnit::Millis), None);
        assert_eq!(epoch("1795774500123", EpochUnit::Seconds), None);
    }

    #[test]
    fn a_space_before_an_offset_was_a_plus() {
        for (text, expected) in [
            ("2026-11-27T10:15:00 02:00", "2026-11-27T10:15:00+02:00"),
            ("2026-11-27 10:15:00 0200", "2026-11-27 10:15:00+0200"),
            ("20261127T101500 02", "20261127T101500+02"),
        ] {
            assert_eq!(with_plus(text).as_deref(), Some(expected), "{text}");
        }
        for not in ["2026-11-27 10:15", "20261127 1015", "2026-11-27T10:15:00Z", "10 02:00", " 02:00", ""] {
            assert_eq!(with_plus(not), None, "{not}");
        }
    }
}
