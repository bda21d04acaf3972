//! The `[reply]` part of a destination.toml: rules, and where the answer says why and how long to wait.

use crate::template::destination::reply::{
    Condition, ExpectedValue, NumberRange, ReasonPart, ReplyCondition, ReplyOutcome, ReplyRules, Rule,
};
use crate::template::destination::wait::{WaitPlace, WaitRule, WaitUnit};
use crate::template::diagnostic::Problem;
use crate::template::toml_doc::table::Table;
use crate::template::toml_doc::text::Scalar;

/// Reads `[reply]`; what is wrong is kept as problems of its document.
pub(crate) fn read(table: &Table<'_>) -> ReplyRules {
    ReplyRules {
        rules: table.read_tables("rule", rule),
        reasons: table.read_tables("reason", |part| ReasonPart {
            label: part.text("label").map(|label| label.value),
            at: pointer(part, "at"),
        }),
        waits: table.read_tables("wait", wait_place),
    }
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

fn rule(table: &Table<'_>) -> Rule {
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
    let outcomes = ReplyOutcome::NAMES.map(|(outcome, name)| (name, outcome));
    let then = table.required("then", "\"delivered\"", |text| text.one_of(&outcomes));
    let named = |header: &Table<'_>| condition(header, header.needed_text("name").to_lowercase());
    let rule = Rule {
        status: status.collect(),
        not_json: table.flag("not_json").unwrap_or(false),
        json: table
            .read_tables("json", |place| condition(place, pointer(place, "at")))
            .into_iter()
            .flatten()
            .collect(),
        headers: table.read_tables("header", named).into_iter().flatten().collect(),
        then: then.unwrap_or(ReplyOutcome::Dead),
        why: table.text("why").map(|why| why.value),
        warnings: table.text("warnings").map(|at| at.value),
        concerns: match table.flag("hold") {
            None => WaitRule::AsUsual,
            Some(true) => WaitRule::Destination,
            Some(false) => WaitRule::Delivery,
        },
    };
    if rule.warnings.is_some() && rule.then != ReplyOutcome::Delivered {
        table.problem("warnings", "only a delivered answer has warnings", "take `warnings` out");
    }
    if rule.concerns != WaitRule::AsUsual && rule.then != ReplyOutcome::Retry {
        table.problem("hold", "only an answer that is tried again asks for a wait", "take `hold` out");
    }
    rule
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

fn pointer(table: &Table<'_>, key: &'static str) -> String {
    let pointer = table.required(key, "\"/…\"", |text| {
        let is_pointer = text.value.is_empty() || text.value.starts_with('/');
        let what = || format!("{} is not a JSON pointer", text.shown());
        let pointer = is_pointer.then(|| text.value.clone());
        pointer.ok_or_else(|| Problem::new(what(), "begin it with `/`, as in `/error/code`"))
    });
    pointer.unwrap_or_default()
}
