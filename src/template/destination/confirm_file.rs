//! The `[confirm]` part of a destination.toml.

use crate::domain::time::{HOUR_MS, MINUTE_MS};
use crate::template::destination::batch_file;
use crate::template::destination::confirm::{ConfirmRules, PollSchedule, REQUEST_ID};
use crate::template::destination::reply::{ReplyOutcome, ReplyRules};
use crate::template::destination::reply_file::{self, RequestToken};
use crate::template::diagnostic::Problem;
use crate::template::toml_doc::table::Table;
use crate::template::toml_doc::text::{Scalar, Text};

/// Reads `[confirm]`; what is wrong is kept as problems of its document.
pub(crate) fn read(table: &Table<'_>, token: RequestToken) -> ConfirmRules {
    let rules = table.read_tables("rule", |rule| {
        let read = reply_file::rule(rule, token);
        if read.then == ReplyOutcome::Park {
            let hint = "write then = \"retry\": the platform is asked again";
            rule.problem("then", "what cannot be confirmed parks no destination", hint);
        }
        read
    });
    if rules.is_empty() {
        let hint = "write a [[confirm.rule]] for each answer that is a verdict; any other is asked for again";
        table.problem("rule", "[confirm] has no rules", hint);
    }
    ConfirmRules {
        id: reply_file::pointer(table, "id"),
        url: table.required("url", "\"https://…\"", url).unwrap_or_default(),
        schedule: schedule(table),
        rules: ReplyRules {
            rules,
            reasons: table.read_tables("reason", reply_file::reason),
            ..ReplyRules::default()
        },
        rows: batch_file::rows(table, true),
    }
}

/// A web address with the name of the request in it, and nothing else that is filled in.
fn url(text: &Text) -> Result<String, Problem> {
    let without = text.value.replacen(REQUEST_ID, "", 1);
    let what = match (without.len() < text.value.len(), without.contains("{{")) {
        (_, true) => "holds more than one value",
        (false, _) => "does not say which request is meant",
        (true, false) if !without.starts_with("https://") => "is no https address",
        (true, false) => return Ok(text.value.clone()),
    };
    let hint = format!("write it as in \"https://api.example/status?id={REQUEST_ID}\"");
    Err(Problem::new(format!("{} {what}", text.shown()), hint))
}

fn schedule(table: &Table<'_>) -> PollSchedule {
    let usual = PollSchedule::default();
    let whole = |scalar| match scalar {
        Scalar::Integer(minutes) if (1..=1_440).contains(&minutes) => Some(minutes),
        _ => None,
    };
    let first = table.scalars("after_minutes");
    let first =
        first.map(|first| first.into_iter().map(whole).collect::<Option<Vec<i64>>>().unwrap_or_default());
    if first.as_ref().is_some_and(|first| first.is_empty() || !first.is_sorted()) {
        let what = "they are not ascending numbers of minutes, of a day at most";
        table.problem("after_minutes", what, "write them as in [1, 5, 30]");
    }
    let minutes = |minutes: i64| minutes.saturating_mul(MINUTE_MS);
    PollSchedule {
        first_ms: first.map_or(usual.first_ms, |first| first.into_iter().map(minutes).collect()),
        every_ms: table.number("every_minutes", 1..=1_440).map_or(usual.every_ms, minutes),
        for_ms: table.number("for_hours", 1..=168).map_or(usual.for_ms, |hours: i64| hours * HOUR_MS),
    }
}
