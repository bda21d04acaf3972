//! How a network writes moments: the `[time]` section of a source template, and reading by it.

use jiff::fmt::strtime;
use jiff::tz::TimeZone;
use toml::de::DeTable;

use crate::domain::time::Time;
use crate::template::source::{SourceTemplate, TimeFormat};
use crate::template::toml_reader::TomlReader;

/// Reads `[time] formats, zone`; without it moments are Unix seconds, milliseconds or RFC 3339.
pub(crate) fn read(reader: &mut TomlReader<'_>, root: &DeTable<'_>) -> (Vec<TimeFormat>, TimeZone) {
    let usual = vec![TimeFormat::Unix, TimeFormat::UnixMillis, TimeFormat::Rfc3339];
    let Some(table) = reader.table(root, "time") else { return (usual, TimeZone::UTC) };
    reader.only(table, &["formats", "zone"], "time");
    let mut formats = Vec::new();
    for text in reader.texts(table, "formats") {
        formats.push(match text.get_ref().as_str() {
            "unix" => TimeFormat::Unix,
            "unix_ms" => TimeFormat::UnixMillis,
            "rfc3339" => TimeFormat::Rfc3339,
            pattern => {
                if !reads_what_it_writes(pattern) {
                    reader.problem(
                        &text.span(),
                        format!("`{pattern}` is no time format"),
                        "use \"unix\", \"unix_ms\", \"rfc3339\" or a pattern such as \"%Y-%m-%d %H:%M:%S\"",
                    );
                }
                TimeFormat::Pattern(pattern.to_owned())
            }
        });
    }
    let zone = reader.text(table, "zone").map_or(TimeZone::UTC, |name| {
        TimeZone::get(name.get_ref()).unwrap_or_else(|_| {
            reader.problem(
                &name.span(),
                format!("`{}` is no time zone", name.get_ref()),
                "use a name such as \"UTC\", \"America/New_York\" or \"Etc/GMT-8\" (which is UTC+8)",
            );
            TimeZone::UTC
        })
    });
    (if formats.is_empty() { usual } else { formats }, zone)
}

fn reads_what_it_writes(pattern: &str) -> bool {
    let moment = jiff::Timestamp::UNIX_EPOCH.to_zoned(TimeZone::UTC);
    pattern.contains('%')
        && strtime::format(pattern, &moment)
            .is_ok_and(|text| at_pattern(pattern, &text, &TimeZone::UTC).is_some())
}

/// The moment `text` tells in one of the template's formats.
pub(crate) fn moment(template: &SourceTemplate, text: &str) -> Option<Time> {
    let text = text.trim();
    template.times.iter().find_map(|format| match format {
        TimeFormat::Unix => {
            whole(text, 6..=11).and_then(|seconds| Time::from_millis(seconds.checked_mul(1000)?))
        }
        TimeFormat::UnixMillis => whole(text, 12..=15).and_then(Time::from_millis),
        TimeFormat::Rfc3339 => Time::parse(text),
        TimeFormat::Pattern(pattern) => at_pattern(pattern, text, &template.zone),
    })
}

/// Digits only, as many as a moment of this unit has: so seconds are never taken for milliseconds.
/// A fraction behind a dot is dropped.
fn whole(text: &str, digits: std::ops::RangeInclusive<usize>) -> Option<i64> {
    let units = text.split_once('.').map_or(text, |(units, _)| units);
    let plain = digits.contains(&units.len()) && text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if plain { units.parse().ok() } else { None }
}

/// An offset within the text wins over `zone`.
fn at_pattern(pattern: &str, text: &str, zone: &TimeZone) -> Option<Time> {
    let parts = strtime::parse(pattern, text).ok()?;
    let stamp = match parts.to_timestamp() {
        Ok(stamp) => stamp,
        Err(_) => parts.to_datetime().ok()?.to_zoned(zone.clone()).ok()?.timestamp(),
    };
    Time::from_millis(stamp.as_millisecond())
}
