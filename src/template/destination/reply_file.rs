//! The `[reply]` part of a destination.toml: rules, and where the answer says why and how long to wait.

use crate::template::destination::reply::{
    Condition, NumberRange, Outcome, ReasonPart, ReplyRules, Rule, Test, Wanted,
};
use crate::template::destination::wait::{Concerns, Unit, WaitPlace};
use crate::template::sheet::{Lined, Scalar, Table};

/// Reads `[reply]`; what is wrong is reported to the table's file.
pub(crate) fn read(table: &Table<'_>) -> ReplyRules {
    let reasons = table
        .tables("reason")
        .iter()
        .map(|part| {
            let read =
                ReasonPart { label: part.text("label").map(|label| label.value), at: pointer(part, "at") };
            part.finish();
            read
        })
        .collect();
    let waits = table.tables("wait").iter().map(wait_place).collect();
    let rules = table.tables("rule").iter().map(rule).collect();
    table.finish();
    ReplyRules { rules, reasons, waits }
}

fn wait_place(table: &Table<'_>) -> WaitPlace {
    let unit = table.text("unit").map(|unit| unit.value);
    let unit = unit.map_or(Unit::Seconds, |word| {
        let known = Unit::NAMES.iter().find(|(_, name)| *name == word).map(|(unit, _)| *unit);
        known.unwrap_or_else(|| {
            table
                .wrong(format!("`{word}` is not a unit of a wait"), "write milliseconds, seconds or minutes");
            Unit::Seconds
        })
    });
    let place = WaitPlace {
        header: table.needed_text("header").value.to_lowercase(),
        largest: table.text("largest").map(|member| member.value),
        unit,
        hold: table.truth("hold").unwrap_or(false),
    };
    table.finish();
    place
}

fn rule(table: &Table<'_>) -> Rule {
    let status = table.scalars("status").unwrap_or_default();
    let status = status.into_iter().filter_map(|status| match wanted(status.value) {
        Wanted::Range(range) => Some(range),
        Wanted::Scalar(Scalar::Integer(number)) => Some(NumberRange { first: number, last: number }),
        Wanted::Scalar(other) => {
            table.wrong(format!("{other:?} is no HTTP status"), "write 200 or \"500-599\"");
            None
        }
    });
    let rule = Rule {
        status: status.collect(),
        not_json: table.truth("not_json").unwrap_or(false),
        json: table.tables("json").iter().filter_map(|t| condition(t, pointer(t, "at"))).collect(),
        headers: table
            .tables("header")
            .iter()
            .filter_map(|t| condition(t, t.needed_text("name").value.to_lowercase()))
            .collect(),
        then: outcome(table),
        why: table.text("why").map(|why| why.value),
        warnings: table.text("warnings").map(|at| at.value),
        concerns: match table.truth("hold") {
            None => Concerns::AsUsual,
            Some(true) => Concerns::Destination,
            Some(false) => Concerns::Delivery,
        },
    };
    if rule.warnings.is_some() && rule.then != Outcome::Delivered {
        table.wrong("only a delivered answer has warnings", "take `warnings` out");
    }
    if rule.concerns != Concerns::AsUsual && rule.then != Outcome::Retry {
        table.wrong("only an answer that is tried again asks for a wait", "take `hold` out");
    }
    table.finish();
    rule
}

fn outcome(table: &Table<'_>) -> Outcome {
    let then = table.needed_text("then").value;
    let found = Outcome::NAMES.iter().find(|(_, name)| *name == then).map(|(outcome, _)| *outcome);
    found.unwrap_or_else(|| {
        if !then.is_empty() {
            table.wrong(format!("`{then}` is no outcome"), "write delivered, retry, dead or park");
        }
        Outcome::Dead
    })
}

fn condition(table: &Table<'_>, at: String) -> Option<Condition<String>> {
    let exists = table.truth("exists").map(Test::Exists);
    let equals = table.scalar("equals").map(|Lined { value, .. }| Test::OneOf(vec![Wanted::Scalar(value)]));
    let one_of =
        table.scalars("in").map(|list| Test::OneOf(list.into_iter().map(|l| wanted(l.value)).collect()));
    let sent = table.truth("equals_sent").filter(|truth| *truth).map(|_| Test::EqualsSent);
    let contains = table.text("contains").map(|text| Test::Contains(text.value.to_ascii_lowercase()));
    table.finish();
    let mut tests = [exists, equals, one_of, sent, contains].into_iter().flatten();
    match (tests.next(), tests.next()) {
        (Some(test), None) => Some(Condition { at, test }),
        _ => {
            table.wrong(
                "a condition says one thing about one place",
                "give it exactly one of exists, equals, in, equals_sent, contains",
            );
            None
        }
    }
}

/// A text like `80000-80014` is a range of numbers.
fn wanted(scalar: Scalar) -> Wanted {
    if let Scalar::Text(text) = &scalar
        && let Some((first, last)) = text.split_once('-')
        && let (Ok(first), Ok(last)) = (first.trim().parse(), last.trim().parse())
    {
        return Wanted::Range(NumberRange { first, last });
    }
    Wanted::Scalar(scalar)
}

fn pointer(table: &Table<'_>, key: &'static str) -> String {
    let pointer = table.needed_text(key).value;
    if !pointer.is_empty() && !pointer.starts_with('/') {
        table.wrong(format!("`{pointer}` is no JSON pointer"), "begin it with `/`, as in `/error/code`");
    }
    pointer
}
