//! The `[reply]` part of a destination.toml: rules, and where the answer says why and how long to wait.

use crate::domain::sent::Confirmation;
use crate::template::destination::reply::{
    Condition, ExpectedValue, NumberRange, ReasonPart, ReplyCondition, ReplyOutcome, ReplyRules, Rule,
};
use crate::template::destination::wait::{RetryAt, WaitPlace, WaitRule, WaitUnit};
use crate::template::diagnostic::Problem;
use crate::template::toml_doc::table::Table;
use crate::template::toml_doc::text::{Scalar, Text};

/// What the requests carry whose answers the rules are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RequestToken {
    /// A token that is given for a while: another can be asked for.
    Given,
    /// None, or one that is a setting.
    Fixed,
}

/// Reads `[reply]`; what is wrong is kept as problems of its document.
pub(crate) fn read(table: &Table<'_>, token: RequestToken) -> ReplyRules {
    ReplyRules {
        rules: table.read_tables("rule", |table| rule(table, token)),
        reasons: table.read_tables("reason", reason),
        waits: table.read_tables("wait", wait_place),
        confirmation: confirmation(table).unwrap_or_default(),
    }
}

fn confirmation(table: &Table<'_>) -> Option<Confirmation> {
    let known = Confirmation::ALL.map(|known| (known.as_str(), known));
    table.parsed("confirmation", |text| text.one_of(&known))
}

pub(crate) fn reason(part: &Table<'_>) -> ReasonPart {
    ReasonPart { label: part.text("label").map(|label| label.value), at: pointer(part, "at") }
}

fn wait_place(table: &Table<'_>) -> WaitPlace {
    let units = WaitUnit::NAMES.map(|(unit, name)| (name, unit));
    WaitPlace {
        header: table.needed_text("header").to_lowercase(),
        largest: table.text("largest").map(|member| member.value),
        unit: table.parsed("unit", |text| text.one_of(&units)).unwrap_or(WaitUnit::Seconds),
        hold: table.flag("hold").unwrap_or(false),
    }
}

pub(crate) fn rule(table: &Table<'_>, token: RequestToken) -> Rule {
    let status = table.scalars("status").unwrap_or_default();
    let status = status.into_iter().filter_map(|status| match wanted(status) {
        ExpectedValue::Range(range) => Some(range),
        ExpectedValue::Scalar(Scalar::Integer(number)) => Some(NumberRange { first: number, last: number }),
        ExpectedValue::Scalar(other) => {
            let what = format!("{other} is not an HTTP status");
            table.problem("status", what, "write 200 or \"500-599\"");
            None
        }
    });
    let named = |header: &Table<'_>| condition(header, header.needed_text("name").to_lowercase());
    let lower = |key| table.text(key).map(|text| text.value.to_ascii_lowercase());
    let rule = Rule {
        status: status.collect(),
        not_json: table.flag("not_json").unwrap_or(false),
        text: lower("text"),
        text_not: lower("text_not"),
        text_is: lower("text_is"),
        headers: table.read_tables("header", named).into_iter().flatten().collect(),
        concerns: match table.flag("hold") {
            None => WaitRule::AsUsual,
            Some(true) => WaitRule::Destination,
            Some(false) => WaitRule::Delivery,
        },
        retry_at: table.read_table("retry_at", retry_at),
        confirmation: confirmation(table),
        renew_token: table.flag("renew_token").unwrap_or(false),
        ..row_rule(table)
    };
    check_renewal(table, &rule, token);
    if rule.confirmation.is_some() && rule.then != ReplyOutcome::Delivered {
        let what = "only a delivered answer is more or less certain";
        table.problem("confirmation", what, "take `confirmation` out");
    }
    let waits = [("hold", rule.concerns != WaitRule::AsUsual), ("retry_at", rule.retry_at.is_some())];
    for (key, _) in waits.into_iter().filter(|(_, says)| *says && rule.then != ReplyOutcome::Retry) {
        let what = "only an answer that is tried again asks for a wait";
        table.problem(key, what, format!("take `{key}` out"));
    }
    rule
}

/// A token is renewed where there can be another, and where the answer does not say that the event was taken.
fn check_renewal(table: &Table<'_>, rule: &Rule, token: RequestToken) {
    let is_delivered = matches!(rule.then, ReplyOutcome::Delivered | ReplyOutcome::Duplicate);
    let what = match token {
        _ if !rule.renew_token => return,
        RequestToken::Fixed => "the template does not sign in, so there is no token to renew",
        RequestToken::Given if is_delivered => "what was delivered is not sent again with another token",
        RequestToken::Given => return,
    };
    table.problem("renew_token", what, "take `renew_token` out");
}

/// What a rule can say of one event's row as well as of a whole answer.
pub(crate) fn row_rule(table: &Table<'_>) -> Rule {
    let outcomes = ReplyOutcome::NAMES.map(|(outcome, name)| (name, outcome));
    let then = table.required("then", "\"delivered\"", |text| text.one_of(&outcomes));
    let json = table.read_tables("json", |place| condition(place, pointer(place, "at")));
    let rule = Rule {
        json: json.into_iter().flatten().collect(),
        then: then.unwrap_or(ReplyOutcome::Dead),
        why: table.text("why").map(|why| why.value),
        warnings: table.text("warnings").map(|at| at.value),
        after_ms: table.number("after_seconds", 1..=86_400).map(|seconds: i64| seconds * 1_000),
        keep: keep(table),
        ..Rule::default()
    };
    let is_delivered = matches!(rule.then, ReplyOutcome::Delivered | ReplyOutcome::Duplicate);
    if rule.warnings.is_some() && !is_delivered {
        table.problem("warnings", "only a delivered answer has warnings", "take `warnings` out");
    }
    if !rule.keep.is_empty() && !is_delivered {
        table.problem("keep", "only of a delivered answer something is kept", "take `keep` out");
    }
    if rule.after_ms.is_some() && rule.then != ReplyOutcome::Retry {
        let what = "only an answer that is tried again asks for a wait";
        table.problem("after_seconds", what, "take `after_seconds` out");
    }
    rule
}

fn retry_at(table: &Table<'_>) -> RetryAt {
    let units = [("s", WaitUnit::Seconds), ("ms", WaitUnit::Milliseconds)];
    RetryAt {
        header: table.needed_text("header").to_lowercase(),
        unit: table.parsed("unit", |text| text.one_of(&units)).unwrap_or(WaitUnit::Seconds),
    }
}

/// `keep = { name = "/pointer" }`.
fn keep(table: &Table<'_>) -> Vec<(String, String)> {
    let Some(keep) = table.table("keep") else { return Vec::new() };
    let read = |(name, at): (&str, Text)| match pointer_of(&at) {
        Ok(pointer) => Some((name.to_owned(), pointer)),
        Err(problem) => {
            keep.problem(name, problem.what, problem.hint);
            None
        }
    };
    keep.free_texts().into_iter().filter_map(read).collect()
}

fn condition(table: &Table<'_>, at: String) -> Option<Condition<String>> {
    let exists = table.flag("exists").map(ReplyCondition::Exists);
    let equals =
        table.scalar("equals").map(|value| ReplyCondition::OneOf(vec![ExpectedValue::Scalar(value)]));
    let one_of =
        table.scalars("in").map(|list| ReplyCondition::OneOf(list.into_iter().map(wanted).collect()));
    let sent = table.flag("equals_sent").filter(|truth| *truth).map(|_| ReplyCondition::EqualsSent);
    let contains =
        table.text("contains").map(|text| ReplyCondition::Contains(text.value.to_ascii_lowercase()));
    let mut tests = [exists, equals, one_of, sent, contains].into_iter().flatten();
    let (Some(test), None) = (tests.next(), tests.next()) else {
        table.head_problem(
            "a condition says one thing about one place",
            "give it exactly one of exists, equals, in, equals_sent, contains",
        );
        return None;
    };
    Some(Condition { at, test })
}

/// A text like `80000-80014` is a range of numbers.
fn wanted(scalar: Scalar) -> ExpectedValue {
    if let Scalar::Text(text) = &scalar
        && let Some((first, last)) = text.split_once('-')
        && let (Ok(first), Ok(last)) = (first.trim().parse(), last.trim().parse())
    {
        return ExpectedValue::Range(NumberRange { first, last });
    }
    ExpectedValue::Scalar(scalar)
}

pub(crate) fn pointer(table: &Table<'_>, key: &'static str) -> String {
    table.required(key, "\"/…\"", pointer_of).unwrap_or_default()
}

fn pointer_of(text: &Text) -> Result<String, Problem> {
    let is_pointer = text.value.is_empty() || text.value.starts_with('/');
    let what = || format!("{} is not a JSON pointer", text.shown());
    let pointer = is_pointer.then(|| text.value.clone());
    pointer.ok_or_else(|| Problem::new(what(), "begin it with `/`, as in `/error/code`"))
}
