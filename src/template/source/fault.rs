//! What is said about a postback that a template cannot read: the parameter, what was received, the fix.

use crate::domain::conversion::EventClaim;
use crate::domain::money::{DecimalMark, NoCurrency, parse_decimal};
use crate::domain::postback::Fault;
use crate::domain::text::trim;
use crate::domain::time::Time;
use crate::template::diagnostic::did_you_mean;
use crate::template::macros::detect::ValueClass;
use crate::template::source::definition::{Field, FieldRule, SourceTemplate, ValuePiece};
use crate::template::source::params::{self, Param, Params, quoted, shown};

/// Several faults as one: each hint once, and the first code with its field.
pub(crate) fn merged(faults: Vec<Fault>) -> Fault {
    let mut reasons: Vec<String> = Vec::new();
    let mut hints: Vec<String> = Vec::new();
    let first = faults.iter().find(|fault| fault.code.is_some());
    let (code, field) = first.map_or((None, None), |fault| (fault.code, fault.field.clone()));
    for fault in faults {
        reasons.push(fault.reason);
        if !hints.contains(&fault.hint) {
            hints.push(fault.hint);
        }
    }
    Fault { code, field, reason: reasons.join("; "), hint: hints.join("; ") }
}

pub(crate) fn cut(name: &str, template: &SourceTemplate) -> Fault {
    let (before, behind) = &template.macro_marks;
    Fault::new(
        format!(
            "the query was cut at `#`: `{name}` was received empty and every parameter behind it is missing, for the sender took `#…` for the URL's fragment and kept it"
        ),
        format!(
            "the URL was called with its macros not filled in (`{before}{name}{behind}`): let the network fire it, or put values in their place; to send them as they are, write `%23` for `#`"
        ),
    )
}

/// Why a parameter that was received cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum UnusableParam<'a> {
    /// Its value is none.
    Classified(ValueClass),
    /// It was received with this value too.
    Twice(&'a Param),
    /// Its bytes are no text.
    Unreadable,
}

/// An essential parameter that cannot be used.
pub(crate) fn unfilled(param: &Param, why: &UnusableParam<'_>) -> Fault {
    let hint = match why {
        UnusableParam::Classified(ValueClass::Macro(_)) => {
            "check that the network knows this macro in just this spelling and that the event was no test: a network that knows it never sends the macro itself"
        }
        UnusableParam::Classified(_) => {
            "put the network's macro in its place in the postback URL, or take the parameter out of it"
        }
        UnusableParam::Twice(_) => {
            return Fault::new(
                twice_reason(param, why),
                format!("leave only one `{}` in the postback URL and the body", param.name),
            );
        }
        UnusableParam::Unreadable => return params::unreadable(param),
    };
    Fault::new(left_out(param, why), hint)
}

/// What is said of a parameter that is left out; of unreadable bytes the parameters' own note says it.
pub(crate) fn named(param: &Param, why: &UnusableParam<'_>) -> Option<String> {
    (*why != UnusableParam::Unreadable).then(|| left_out(param, why))
}

/// ``` `s1` was received as `#s1#`, a macro that was not filled in ```
pub(crate) fn left_out(param: &Param, why: &UnusableParam<'_>) -> String {
    let received_text = shown(&param.name, &param.value);
    match why {
        UnusableParam::Classified(ValueClass::Macro(read)) if *read != trim(&param.value) => format!(
            "`{}` was received as `{received_text}`, which is `{}` encoded once more, a macro that was not filled in",
            param.name,
            shown(&param.name, read)
        ),
        UnusableParam::Classified(ValueClass::Macro(_)) => {
            format!("`{}` was received as `{received_text}`, a macro that was not filled in", param.name)
        }
        UnusableParam::Classified(_) => {
            format!("`{}` was received as `{received_text}`, a placeholder that no one replaced", param.name)
        }
        UnusableParam::Twice(_) | UnusableParam::Unreadable => twice_reason(param, why),
    }
}

fn twice_reason(param: &Param, why: &UnusableParam<'_>) -> String {
    match why {
        UnusableParam::Twice(other) => twice(param, other),
        _ => params::unreadable(param).reason,
    }
}

/// ``` `s1` was received twice with different values, `a` and `b` ```
pub(crate) fn twice(first: &Param, second: &Param) -> String {
    if first.name == second.name {
        return params::twice(first, second).reason;
    }
    format!(
        "`{}` and `{}` are the same parameter and were received with different values, `{}` and `{}`",
        first.name,
        second.name,
        shown(&first.name, &first.value),
        shown(&second.name, &second.value)
    )
}

/// A transaction or click id that is none, with what to do: the postback counts all the same.
pub(crate) fn no_id(param: &Param, why: &UnusableParam<'_>) -> String {
    let fix = match why {
        UnusableParam::Classified(ValueClass::Macro(_)) => {
            "check that the network knows this macro in just this spelling"
        }
        _ => "put the network's macro in its place in the postback URL",
    };
    format!("{} (no id: {fix})", left_out(param, why))
}

/// ``` `S2`, which this network writes `s2` ```
pub(crate) fn other_case(param: &Param, name: &str) -> String {
    format!("`{}`, for its name is read exactly: write `{name}` in the postback URL", shown("", &param.name))
}

/// ``` `price` was received as `-5` ```
pub(crate) fn received_text(param: &Param) -> String {
    format!("`{}` was received as `{}`", param.name, shown(&param.name, trim(&param.value)))
}

/// ``` `s3` was received as `null`, which means nothing ```
pub(crate) fn nothing(param: &Param) -> String {
    format!(
        "`{}` was received as `{}`, which means nothing",
        param.name,
        shown(&param.name, trim(&param.value))
    )
}

pub(crate) fn unknown_status(name: &str, word: &str, template: &SourceTemplate) -> Fault {
    let known: Vec<&str> = template.statuses.iter().map(|(word, _)| word.as_str()).collect();
    Fault::new(
        format!(
            "`{name}` was received as `{}`, a status word that the template `{}` does not know",
            shown(name, word),
            template.name
        ),
        format!(
            "copy the template `{}` to your own `[templates] path` and add the word under [status] there, with what it means (known: {})",
            template.name,
            quoted(&known)
        ),
    )
}

pub(crate) fn no_currency_code(param: &Param, why: NoCurrency) -> Fault {
    Fault::new(
        format!("`{}` was received as `{}`, {}", param.name, shown(&param.name, &param.value), why.why()),
        match why {
            NoCurrency::Unknown => {
                "send a code of three letters such as `USD`, or take the parameter out of the URL and set `currency` at the source"
            }
            NoCurrency::NotPaidIn | NoCurrency::Withdrawn => {
                "send the code of the currency that the customer paid in, or take the parameter out of the URL and set `currency` at the source"
            }
        },
    )
}

pub(crate) fn no_currency(name: &str, template: &SourceTemplate) -> Fault {
    let param = first_param(Field::Currency, template);
    Fault::new(
        format!("`{name}` was received without a currency: neither the postback nor the source names one"),
        match param {
            Some(param) => format!("set `currency` at the source, or send `{param}=USD` with the postback"),
            None => "set `currency` at the source".to_owned(),
        },
    )
}

pub(crate) fn no_decimal(param: &Param, mark: DecimalMark) -> Fault {
    let (wanted, other) = match mark {
        DecimalMark::Dot => ("dot", DecimalMark::Comma),
        DecimalMark::Comma => ("comma", DecimalMark::Dot),
    };
    let hint = match (parse_decimal(&param.value, other), mark) {
        (Some(_), DecimalMark::Dot) => {
            "if this network writes a decimal comma, copy its template to your own `[templates] path` and set decimal = \"comma\" under [number] there; it is not guessed, for `1,234` may be either"
        }
        (Some(_), DecimalMark::Comma) => {
            "if this network writes a decimal dot, copy its template to your own `[templates] path` and set decimal = \"dot\" under [number] there"
        }
        _ => "let the network send plain digits, such as `7` or `7.00`: no currency sign, no grouping",
    };
    Fault::new(
        format!(
            "`{}` was received as `{}`, which is no decimal with a {wanted}",
            param.name,
            shown(&param.name, &param.value)
        ),
        hint,
    )
}

pub(crate) fn no_time(param: &Param) -> String {
    format!(
        "`{}` was received as `{}`, a time in no format of the template",
        param.name,
        shown(&param.name, &param.value)
    )
}

/// ``` `event_time` was received as `0`, a time before 2005 ```
pub(crate) fn time_too_old(param: &Param, read: Time) -> String {
    format!(
        "`{}` was received as `{}`, which reads as {read}, a time before 2005",
        param.name,
        shown(&param.name, &param.value)
    )
}

/// ``` `event_time` was received as `2099-…`, more than a day ahead ```
pub(crate) fn time_ahead(param: &Param, read: Time) -> String {
    format!(
        "`{}` was received as `{}`, which reads as {read}, more than a day ahead",
        param.name,
        shown(&param.name, &param.value)
    )
}

/// An address that is a proxy's or a server's, or none.
pub(crate) fn no_visitors_address(param: &Param) -> String {
    format!(
        "`{}` was received as `{}`, which is no address that a visitor can have",
        param.name,
        shown(&param.name, &param.value)
    )
}

/// An id with an invisible character inside: it is another id than the one without.
pub(crate) fn invisible(param: &Param) -> String {
    format!(
        "`{}` was received as `{}`, with an invisible character inside, and was kept so",
        param.name,
        shown(&param.name, trim(&param.value))
    )
}

/// A click id with invisible characters, which no click id holds.
pub(crate) fn invisible_taken_off(param: &Param) -> String {
    format!(
        "`{}` was received as `{}`, with invisible characters, which were taken off",
        param.name,
        shown(&param.name, &param.value)
    )
}

/// `s2=C,C`.
pub(crate) fn repeats(param: &Param, one: &str) -> String {
    format!(
        "`{}` was received as `{}`, equal ids joined, and was read as `{}`",
        param.name,
        shown(&param.name, trim(&param.value)),
        shown(&param.name, one)
    )
}

/// A space that was a `+`.
pub(crate) fn plus(param: &Param) -> String {
    format!("a space in `{}` was read as `+`, which a query means by it only escaped (`%2B`)", param.name)
}

pub(crate) fn no_event(template: &SourceTemplate) -> Fault {
    let param = first_param(Field::Event, template).unwrap_or("event");
    Fault::new(
        "nothing in the postback says which event it is".to_owned(),
        format!(
            "send `{param}` with the event's name, or copy the template to your own `[templates] path` and set `event` under [default] there"
        ),
    )
}

/// A value that the event needs and that did not come, or was received empty.
pub(crate) fn missing(field: Field, event: &EventClaim, template: &SourceTemplate, params: &Params) -> Fault {
    let name = first_param(field, template).unwrap_or(field.name());
    let index = template.names.find(name);
    let lack = match params.pairs.iter().find(|param| template.names.find(&param.name) == index) {
        None => format!("`{name}` is missing"),
        Some(param) if trim(&param.value).is_empty() => format!("`{}` was received empty", param.name),
        Some(param) => nothing(param),
    };
    let why = match event {
        EventClaim::ByValue { .. } => "the event is inferred from it".to_owned(),
        EventClaim::Named(event) => format!("a {event} needs it"),
    };
    let unread = params.pairs.iter().filter(|param| template.names.find(&param.name).is_none());
    let near = did_you_mean(name, unread.map(|param| param.name.as_str()));
    let hint = match near {
        Some(near) => format!("`{near}` was received instead: name it `{name}` in the postback URL"),
        None => format!("the postback URL must carry `{}`; it is never taken for 0", entry(name, template)),
    };
    let hint = match template.last_before(name, params) {
        Some(last) if near.is_none() => format!(
            "{hint}; every parameter behind `{last}` is missing, so the query may have been cut at a `#` in the value of `{last}`: there a `#` is written `%23`"
        ),
        _ => hint,
    };
    Fault::new(format!("{lack}, and {why}"), hint)
}

/// `price=#price#`, as the URL to paste writes it.
fn entry(name: &str, template: &SourceTemplate) -> String {
    let index = template.names.find(name);
    let (before, behind) = &template.macro_marks;
    let known = template.postback.iter().chain(&template.extra).find(|entry| Some(entry.param) == index);
    known.map_or_else(|| name.to_owned(), |entry| format!("{name}={before}{}{behind}", entry.macro_name))
}

/// The parameter a person would expect the field in.
fn first_param(field: Field, template: &SourceTemplate) -> Option<&str> {
    let (_, readings) = template.fields.iter().find(|(known, _)| *known == field)?;
    readings.iter().find_map(|reading| match reading {
        FieldRule::One(index) => Some(template.names.name(*index)),
        FieldRule::Join(pieces) => pieces.iter().find_map(|piece| match piece {
            ValuePiece::Param(index) => Some(template.names.name(*index)),
            ValuePiece::Text(_) => None,
        }),
    })
}
