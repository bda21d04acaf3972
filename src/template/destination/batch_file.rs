//! The `[batch]` part of a destination.toml: how many events share a request, and how its answer says which it is about.

use regex::RegexBuilder;

use crate::template::destination::batch::{BatchRules, VerdictBy};
use crate::template::destination::reply::{ReplyOutcome, Rule};
use crate::template::destination::reply_file;
use crate::template::destination::reply_rows::{CountPlace, RowIndex, RowPlace};
use crate::template::destination::row_rules::RowRules;
use crate::template::diagnostic::Problem;
use crate::template::toml_doc::table::Table;
use crate::template::toml_doc::text::Text;

/// The most events that a request may carry, whatever the platform takes.
pub const MOST_EVENTS: i64 = 1_000;
/// The longest that an event may wait for others.
pub const LONGEST_WAIT_MS: i64 = 60_000;
/// A pattern that would take more memory than this is refused.
const MAX_PATTERN_BYTES: usize = 64 * 1024;

/// How many events share a request without a word of it, where the platform says later what became of them: one is asked
/// about as often as many, and of few it is better known which is meant.
const USUAL_OF_LATER_VERDICTS: i64 = 50;

/// Reads `[batch]`; what is wrong is kept as problems of its document. `confirms`: whether the platform is asked later what
/// became of events.
pub(crate) fn read(table: &Table<'_>, confirms: bool) -> BatchRules {
    let max = table.number("max", 1..=MOST_EVENTS).unwrap_or(1);
    let without = if confirms { USUAL_OF_LATER_VERDICTS.min(max) } else { 1 };
    let usual = table.number("usual", 1..=MOST_EVENTS).unwrap_or(without);
    if usual > max {
        table.problem("usual", format!("`usual` is above `max`, which is {max}"), "write a lower number");
    }
    let verdict = table.parsed("verdict", |text| text.one_of(&VerdictBy::NAMES)).unwrap_or_default();
    let batch = BatchRules {
        max: usize::try_from(max).unwrap_or(1),
        usual: usize::try_from(usual).unwrap_or(1),
        max_wait_ms: table.number("max_wait_ms", 0..=LONGEST_WAIT_MS).unwrap_or(0),
        verdict,
        rows: rows(table, false),
        accepted: accepted(table),
        complete: table.flag("complete").unwrap_or(false),
    };
    check(table, &batch);
    batch
}

fn check(table: &Table<'_>, batch: &BatchRules) {
    let by_place = batch.rows.as_ref().is_some_and(|rows| matches!(rows.place.index, RowIndex::Place));
    if batch.verdict == VerdictBy::Each && batch.rows.is_none() {
        let hint = "say where the answer names events: rows = { at = \"/errors\", index = \"index\" }";
        table.problem("verdict", "`verdict = \"each\"` needs `rows`", hint);
    } else if batch.verdict == VerdictBy::Each && !by_place && batch.accepted.is_none() && !batch.complete {
        let hint = "name the count by `accepted = \"/…\"`, or write `complete = true` where the platform says that it \
                    names every event that it did not take";
        table.problem("verdict", "nothing shows that every event is named that was not taken", hint);
    }
    if batch.verdict == VerdictBy::Count && batch.accepted.is_some() {
        let hint = "write verdict = \"each\" or \"all\", or a reply rule with `equals_sent`";
        table.problem("accepted", "`accepted` is looked at with `verdict = \"each\"` or \"all\"", hint);
    }
}

/// Where an answer names events, by `rows`, and what is made of that, by `row`. `is_later`: more is known of the events by
/// then.
pub(crate) fn rows(table: &Table<'_>, is_later: bool) -> Option<RowRules> {
    let place =
        table.read_table("rows", |rows| (row_place(rows), rows.read_tables("reason", reply_file::reason)));
    let rules = table.read_tables("row", |row| {
        let after_unknown = if is_later { row.flag("after_unknown") } else { None };
        let rule = Rule { after_unknown, ..reply_file::row_rule(row) };
        if rule.then == ReplyOutcome::Park {
            row.problem("then", "one event cannot park the destination", "write a [[reply.rule]] for that");
        }
        rule
    });
    if place.is_none() && !rules.is_empty() {
        table.problem("row", "there are rules for rows, and no `rows`", "say where the answer has them");
    }
    place.map(|(place, reasons)| RowRules { place, rules, reasons })
}

/// A pointer to a number, or a place with the pattern of the number in its text.
fn accepted(table: &Table<'_>) -> Option<CountPlace> {
    if table.plain("accepted").is_some() {
        return Some(CountPlace { at: reply_file::pointer(table, "accepted"), pattern: None });
    }
    table.read_table("accepted", |place| CountPlace {
        at: reply_file::pointer(place, "at"),
        pattern: place.parsed("pattern", pattern),
    })
}

fn row_place(table: &Table<'_>) -> RowPlace {
    let at = reply_file::pointer(table, "at");
    let index = table.text("index").map(|index| member_pointer(&index.value));
    let mut steps: Vec<String> = at.split('/').skip(1).map(unescaped).collect();
    let pattern = table.parsed("pattern", pattern);
    let index = match (index, pattern) {
        (Some(_), Some(_)) => {
            table.problem("pattern", "a row says by one thing which event it is", "take one out");
            RowIndex::Place
        }
        (Some(index), None) => RowIndex::Member(index),
        (None, Some(pattern)) => RowIndex::Pattern(behind_last_star(&mut steps), pattern),
        (None, None) => RowIndex::Place,
    };
    let first = table.number("first", 0..=1).unwrap_or(0);
    let count = table.text("count").map(|count| member_pointer(&count.value));
    RowPlace { at: steps, index, first, count }
}

/// What is behind the last `*` is in the row, as a pointer; the steps end with that `*` then.
fn behind_last_star(steps: &mut Vec<String>) -> String {
    let Some(star) = steps.iter().rposition(|step| step == "*") else { return String::new() };
    let behind = steps.split_off(star + 1);
    behind.iter().map(|step| format!("/{}", step.replace('~', "~0").replace('/', "~1"))).collect()
}

/// `Index` and `/error/index` alike.
fn member_pointer(name: &str) -> String {
    if name.starts_with('/') { name.to_owned() } else { format!("/{name}") }
}

fn unescaped(step: &str) -> String {
    step.replace("~1", "/").replace("~0", "~")
}

fn pattern(text: &Text) -> Result<regex::Regex, Problem> {
    let pattern = RegexBuilder::new(&text.value).size_limit(MAX_PATTERN_BYTES).build().map_err(|error| {
        let why = error.to_string();
        let why = why.lines().last().unwrap_or_default().trim().to_owned();
        Problem::new(format!("{} is no pattern: {why}", text.shown()), "write it as in 'events\\[(\\d+)\\]'")
    })?;
    if pattern.captures_len() == 2 {
        return Ok(pattern);
    }
    let what = format!("{} has not one group", text.shown());
    Err(Problem::new(what, "put the number in parentheses, once: 'events\\[(\\d+)\\]'"))
}
