//! The helpers that a destination template may call: look up, default, join, format, hash. No other logic.

use std::borrow::Cow;

use crate::domain::click::{Click, find};
use crate::domain::money::{DecimalMark, parse_decimal};
use crate::domain::time::Time;
use crate::template::bytes::{HexDigest, already_hashed};
use crate::template::expression::{Call, Helper, Kind, Scope, Value};
use crate::template::landing;
use crate::template::normalise;

type Run = for<'a> fn(&'a Call, &Scope<'a>) -> Value<'a>;

const fn typed(name: &'static str, gives: Kind, run: Run) -> Helper {
    Helper { name, arguments: (1, 1), options: &[], wants: None, gives, typed: true, run }
}

const fn of_time(name: &'static str, gives: Kind, run: Run) -> Helper {
    Helper { wants: Some(Kind::Time), ..typed(name, gives, run) }
}

const fn look_up(name: &'static str, run: Run) -> Helper {
    Helper { typed: false, ..typed(name, Kind::Text, run) }
}

const fn normal(name: &'static str, options: &'static [&'static str], run: Run) -> Helper {
    Helper { options, wants: Some(Kind::Text), ..typed(name, Kind::Text, run) }
}

/// Every helper there is.
pub(crate) static HELPERS: &[Helper] = &[
    // Look up: what is open-ended is null where it is absent.
    look_up("param", |call, scope| look(call, scope, |s, name| find(&s.conversion.params, name))),
    look_up("click_param", |call, scope| match (scope.click, call.text(0, scope)) {
        (Some(click), Some(name)) => landing_parameter(click, &name).map_or(Value::Null, Value::Text),
        _ => Value::Null,
    }),
    look_up("cookie", |call, scope| look(call, scope, |s, name| find(&s.click?.cookies, name))),
    look_up("sub_id", |call, scope| look(call, scope, |s, name| find(&s.click?.sub_ids, name))),
    // Default and join.
    Helper { arguments: (2, 8), gives: Kind::Same, ..look_up("default", first_present) },
    Helper { arguments: (2, 8), options: &["separator"], ..look_up("join", join) },
    Helper {
        gives: Kind::Same,
        ..look_up("in_test", |c, s| if s.test { c.argument(0, s) } else { Value::Null })
    },
    // As it stands, not percent-encoded: for a URL that is a setting. Refused in JSON.
    look_up(RAW, |call, scope| call.argument(0, scope)),
    // Format.
    typed("json", Kind::Same, |call, scope| call.argument(0, scope)),
    typed("text", Kind::Text, |call, scope| call.text(0, scope).map_or(Value::Null, Value::Text)),
    typed("number", Kind::Number, number),
    of_time("unix", Kind::Number, |c, s| time(c, s, Time::as_seconds)),
    of_time("unix_ms", Kind::Number, |c, s| time(c, s, Time::as_millis)),
    of_time("unix_us", Kind::Number, |c, s| time(c, s, |t| t.as_millis().saturating_mul(1000))),
    of_time("rfc3339", Kind::Text, |call, scope| call.text(0, scope).map_or(Value::Null, Value::Text)),
    normal("lower", &[], |call, scope| change(call, scope, |text| Some(text.trim().to_lowercase()))),
    normal("snake", &[], |call, scope| change(call, scope, |text| Some(normalise::snake(text)))),
    Helper {
        options: &["yes", "no"],
        wants: Some(Kind::Truth),
        ..typed("answer", Kind::Text, |call, scope| match call.argument(0, scope) {
            Value::Truth(true) => call.option(0, scope),
            Value::Truth(false) => call.option(1, scope),
            _ => Value::Null,
        })
    },
    // True where the answer is no, else null: for fields of platforms that ask the other way round.
    Helper {
        wants: Some(Kind::Truth),
        ..typed("refused", Kind::Truth, |call, scope| match call.argument(0, scope) {
            Value::Truth(false) => Value::Truth(true),
            _ => Value::Null,
        })
    },
    Helper {
        arguments: (0, 0),
        options: &["cookie", "param", "prefix"],
        ..typed("click_cookie_or_stamp", Kind::Text, click_cookie_or_stamp)
    },
    // Hash.
    Helper { options: &["exact"], ..typed("sha256", Kind::Text, sha256) },
    // Normalise: what is already a hash passes through, what cannot be read is null.
    normal("email", &[], |call, scope| change(call, scope, normalise::email)),
    normal("phone", &["plus", "calling_code"], phone),
    normal("person_name", &[], |call, scope| change(call, scope, normalise::person_name)),
    normal("city", &[], |call, scope| change(call, scope, normalise::city)),
    normal("state", &["country"], |c, s| within(c, s, normalise::state)),
    normal("zip", &["country"], |c, s| within(c, s, normalise::zip)),
    normal("country", &[], |call, scope| change(call, scope, normalise::country)),
    normal("gender", &[], |call, scope| change(call, scope, normalise::gender)),
    normal("birthdate", &[], |call, scope| change(call, scope, normalise::birthdate)),
    normal("web_url", &[], |call, scope| change(call, scope, normalise::web_url)),
    normal("ip", &[], |call, scope| change(call, scope, normalise::ip)),
];

/// The helper that leaves a URL as it stands.
pub(crate) const RAW: &str = "raw";

pub(crate) fn find_helper(name: &str) -> Option<&'static Helper> {
    HELPERS.iter().find(|helper| helper.name == name)
}

fn look<'a>(
    call: &'a Call,
    scope: &Scope<'a>,
    get: impl Fn(&Scope<'a>, &str) -> Option<&'a str>,
) -> Value<'a> {
    call.text(0, scope).map_or(Value::Null, |name| Value::maybe(get(scope, &name)))
}

fn change<'a>(call: &'a Call, scope: &Scope<'a>, with: impl Fn(&str) -> Option<String>) -> Value<'a> {
    Value::owned(call.text(0, scope).and_then(|text| with(&text)))
}

fn within<'a>(
    call: &'a Call,
    scope: &Scope<'a>,
    with: impl Fn(&str, Option<&str>) -> Option<String>,
) -> Value<'a> {
    let country = call.option(0, scope).into_text();
    change(call, scope, |text| with(text, country.as_deref()))
}

fn first_present<'a>(call: &'a Call, scope: &Scope<'a>) -> Value<'a> {
    let mut values = call.arguments.iter().map(|argument| argument.value(scope));
    values.find(|value| *value != Value::Null).unwrap_or(Value::Null)
}

/// Null if any part is.
fn join<'a>(call: &'a Call, scope: &Scope<'a>) -> Value<'a> {
    let separator = call.option(0, scope).into_text().unwrap_or_default();
    let parts: Option<Vec<Cow<'a, str>>> =
        call.arguments.iter().map(|argument| argument.value(scope).into_text()).collect();
    Value::owned(parts.map(|parts| parts.join(&separator)))
}

/// A JSON number with exactly the digits that came; a text that is no plain decimal is null.
fn number<'a>(call: &'a Call, scope: &Scope<'a>) -> Value<'a> {
    match call.argument(0, scope) {
        Value::Text(text) => parse_decimal(&text, DecimalMark::Dot).map_or(Value::Null, Value::Decimal),
        number @ (Value::Decimal(_) | Value::Integer(_)) => number,
        _ => Value::Null,
    }
}

fn time<'a>(call: &'a Call, scope: &Scope<'a>, unit: impl Fn(Time) -> i64) -> Value<'a> {
    match call.argument(0, scope) {
        Value::Time(time) => Value::Integer(unit(time)),
        _ => Value::Null,
    }
}

fn phone<'a>(call: &'a Call, scope: &Scope<'a>) -> Value<'a> {
    let plus = call.option(0, scope) != Value::Truth(false);
    let calling_code = call.option(1, scope).into_text();
    change(call, scope, |text| normalise::phone(text, plus, calling_code.as_deref()))
}

/// SHA-256 in lower-case hexadecimal. The hash of nothing is null. What is already such a hash
/// passes through, unless `exact=true` says that the text is an id and hashed whatever it looks like.
fn sha256<'a>(call: &'a Call, scope: &Scope<'a>) -> Value<'a> {
    let Some(text) = call.text(0, scope) else { return Value::Null };
    if call.option(0, scope) == Value::Truth(true) {
        return Value::Digest(HexDigest::of(text.as_bytes()));
    }
    if normalise::is_skeleton(&text) {
        return Value::Null;
    }
    match already_hashed(&text) {
        Some(hash) => Value::Text(Cow::Owned(hash)),
        None => Value::Digest(HexDigest::of(text.as_bytes())),
    }
}

/// The platform's own first-party cookie while it speaks of this click; else what that cookie would
/// say: `{prefix}.{time of the click in ms}.{click parameter}`. Never made up without either; where
/// no parameter is named, the cookie alone, if it has the form.
fn click_cookie_or_stamp<'a>(call: &'a Call, scope: &Scope<'a>) -> Value<'a> {
    let Some(click) = scope.click else { return Value::Null };
    let named = |index| call.option(index, scope).into_text();
    let prefix = named(2).unwrap_or_default();
    let platform = prefix.split('.').next().unwrap_or_default();
    let cookie = named(0).and_then(|name| find(&click.cookies, &name)).map(str::trim);
    let cookie = cookie.filter(|text| normalise::stamped_payload(text, platform).is_some());
    let param = named(1).and_then(|name| landing_parameter(click, &name));
    let param = param.filter(|text| normalise::is_click_parameter(text));
    match (cookie, param) {
        (Some(cookie), None) => Value::text(cookie),
        (Some(cookie), Some(param)) if normalise::stamps(cookie, platform, &param) => Value::text(cookie),
        (_, Some(param)) => Value::owned(Some(format!("{prefix}.{}.{param}", click.at.as_millis()))),
        (None, None) => Value::Null,
    }
}

/// A landing parameter as it was recorded; where it was not, from the landing URL itself.
fn landing_parameter<'a>(click: &'a Click, name: &str) -> Option<Cow<'a, str>> {
    if let Some(text) = find(&click.params, name) {
        return Some(Cow::Borrowed(text));
    }
    landing::parameter(click.landing_url.as_deref()?, name).map(Cow::Owned)
}
