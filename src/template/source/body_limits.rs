//! The `[body]` of a source template: how large a postback may be.

use std::ops::RangeInclusive;

use toml::de::DeTable;

use crate::template::source::definition::BodyLimits;
use crate::template::source::params::MAX_PARAMS;
use crate::template::toml_reader::TomlReader;

/// As for the server's own limit.
const BYTES: RangeInclusive<usize> = 1024..=16 * 1024 * 1024;
const LEAVES: RangeInclusive<usize> = 1..=65_536;

/// Reads the section.
pub(crate) fn read(reader: &mut TomlReader<'_>, root: &DeTable<'_>) -> BodyLimits {
    let usual = BodyLimits { max_bytes: None, max_leaves: MAX_PARAMS };
    let Some(table) = reader.table(root, "body") else { return usual };
    reader.only(table, &["max_bytes", "max_leaves"], "body");
    BodyLimits {
        max_bytes: number(reader, table, "max_bytes", BYTES),
        max_leaves: number(reader, table, "max_leaves", LEAVES).unwrap_or(usual.max_leaves),
    }
}

fn number(
    reader: &mut TomlReader<'_>,
    table: &DeTable<'_>,
    key: &str,
    range: RangeInclusive<usize>,
) -> Option<usize> {
    let value = table.get(key)?;
    let written = value.get_ref().as_integer().map(|number| (number.as_str(), number.radix()));
    let number = written.and_then(|(text, radix)| usize::from_str_radix(text, radix).ok());
    let fits = number.filter(|number| range.contains(number));
    if fits.is_none() {
        reader.problem(
            &value.span(),
            format!("`{key}` is not a whole number from {} to {}", range.start(), range.end()),
            format!("write {key} = {}", range.start().max(&4096)),
        );
    }
    fits
}
