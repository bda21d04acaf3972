//! The `[body]` of a source template: how large a postback may be.

use crate::template::source::definition::BodyLimits;
use crate::template::source::params::MAX_PARAMS;
use crate::template::toml_doc::table::Table;

/// Reads the section.
pub(crate) fn read(root: &Table<'_>) -> BodyLimits {
    let limits = root.read_table("body", |body| BodyLimits {
        // As for the server's own limit.
        max_bytes: body.number("max_bytes", 1024..=16 * 1024 * 1024),
        max_leaves: body.number("max_leaves", 1..=65_536).unwrap_or(MAX_PARAMS),
    });
    limits.unwrap_or(BodyLimits { max_bytes: None, max_leaves: MAX_PARAMS })
}
