//! The parts of a destination.toml that say how a request is sent which is not as the events' own: `[late]`, and what it
//! has in common with `[changes]`.

use crate::domain::time::HOUR_MS;
use crate::template::destination::auth::number_of;
use crate::template::toml_doc::table::Table;
use crate::template::toml_doc::text::Text;

/// What `[changes.request]` or `[late.request]` says.
pub(crate) struct VariantPart {
    /// `None`: that of `[request]`.
    pub method: Option<String>,
    pub url: Text,
    pub query: Vec<(String, Text)>,
}

impl VariantPart {
    /// Reads the table, but for its `method`.
    pub(crate) fn read(table: &Table<'_>) -> Option<VariantPart> {
        let query = table.table("query").map(|query| query.free_texts()).unwrap_or_default();
        let query = query.into_iter().map(|(name, text)| (name.to_owned(), text)).collect();
        let url = table.required_text("url", "\"https://…\"")?;
        Some(VariantPart { method: None, url, query })
    }
}

/// What `[late]` says.
pub(crate) struct LateSpec {
    /// How long ago an event happened that is sent so, in milliseconds.
    pub after_ms: i64,
    /// The settings without which it is sent as any other.
    pub needs: Vec<usize>,
    /// Where it is sent, where that is not where other events are.
    pub request: Option<VariantPart>,
    /// Where the table begins, counted from 1.
    pub line: usize,
}

impl LateSpec {
    /// Reads `[late]`. `settings`: the names of the template's.
    pub(crate) fn read(table: &Table<'_>, settings: &[String]) -> Option<LateSpec> {
        let needs = table.all_parsed("needs", |name| number_of(name, settings)).unwrap_or_default();
        let request = |table: &Table<'_>| {
            let method = request_method(table);
            VariantPart::read(table).map(|part| VariantPart { method, ..part })
        };
        let request = table.read_table("request", request).flatten();
        if !table.has("after_hours") {
            let hint =
                "write after_hours = 1, or for how long the platform's own request is right for an event";
            table.head_problem("[late] does not say when an event is late", hint);
        }
        let after_hours = table.number::<i64>("after_hours", 1..=87_600)?;
        Some(LateSpec { after_ms: after_hours.saturating_mul(HOUR_MS), needs, request, line: table.line() })
    }
}

/// The `method` of a request.
pub(crate) fn request_method(table: &Table<'_>) -> Option<String> {
    let methods = ["GET", "POST", "PUT"].map(|method| (method, method));
    table.parsed("method", |text| text.one_of(&methods)).map(str::to_owned)
}
