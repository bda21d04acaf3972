//! Answers of a platform as a story.toml has them: to a request, and to being asked later.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::domain::delivery::{PlatformResponse, Reply};
use crate::domain::exchange::{NoAnswer, SendRefused};
use crate::template::diagnostic::Problem;
use crate::template::toml_doc::table::Table;
use crate::template::toml_doc::text::Text;

/// An answer to being asked what became of what was accepted.
pub(crate) struct ConfirmStory {
    pub reply: Reply,
    /// How many events the request carried that is asked about.
    pub events: usize,
    /// Whether attempts at them ended before so that no one knows what became of that.
    pub after_unknown: bool,
}

/// An answer, to one event or to `events`; or `failed`, with why the connection ended; or `forbidden`, the private address that it was for.
pub(crate) fn reply(table: &Table<'_>) -> Option<(Reply, usize)> {
    let text = |key: &'static str| table.text(key).map(|text| text.value);
    let status = table.number("status", 100..=999);
    let headers = texts(table, "headers").into_iter().collect();
    let body = text("body").unwrap_or_default().into_bytes();
    let truncated = table.flag("truncated").unwrap_or_default();
    let forbidden = table.parsed("forbidden", address);
    let events = table.number("events", 1..=1_000).unwrap_or(1);
    let reply = match (status, text("failed"), forbidden) {
        (Some(status), None, None) => {
            Some(Reply::Answer(PlatformResponse { status, headers, body, truncated }))
        }
        (None, Some(cause), None) => Some(Reply::Failed(NoAnswer::ConnectionEnded { cause })),
        (None, None, Some(address)) => Some(Reply::Forbidden(SendRefused::Private(address))),
        _ => {
            table.head_problem("a reply is one thing", "give it one of status, failed, forbidden");
            None
        }
    };
    reply.map(|reply| (reply, events))
}

/// As [`reply`], with what is known of the events.
pub(crate) fn confirm(table: &Table<'_>) -> Option<ConfirmStory> {
    let after_unknown = table.flag("after_unknown").unwrap_or(false);
    reply(table).map(|(reply, events)| ConfirmStory { reply, events, after_unknown })
}

/// The texts of a table whose keys are free.
pub(crate) fn texts(table: &Table<'_>, key: &'static str) -> BTreeMap<String, String> {
    let texts = table.table(key).map(|table| table.free_texts()).unwrap_or_default();
    texts.into_iter().map(|(key, text)| (key.to_owned(), text.value)).collect()
}

/// An IP address.
pub(crate) fn address(text: &Text) -> Result<IpAddr, Problem> {
    let what = || format!("{} is not an address", text.shown());
    text.value.parse().map_err(|_| Problem::new(what(), "write it as in \"203.0.113.9\""))
}
