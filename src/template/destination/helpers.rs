//! The helpers that a destination template may call: look up, default, join, format, hash. No other logic.
//! A new one is a line in [`HELPERS`], a row in `templates/README.md` and a test of what it gives in
//! `tests/template/destination_payloads.rs`; one that passes its argument through is named in
//! `calculation::is_no_number` and `is_amount` too. The crate Handlebars only parses: these functions are ours.

use std::borrow::Cow;

use crate::domain::click::{Click, find};
use crate::domain::money::{DecimalMark, parse_decimal};
use crate::domain::time::Time;
use crate::template::destination::digest::{HexDigest, already_hashed};
use crate::template::destination::expression::{Helper, HelperCall, RenderScope, RenderValue, ValueKind};
use crate::template::destination::fields;
use crate::template::destination::normalize::birthdate::birthdate;
use crate::template::destination::normalize::email::email;
use crate::template::destination::normalize::phone::HomeCountry;
use crate::template::destination::normalize::stamp::{self, StampId};
use crate::template::destination::normalize::{self, Unreadable, phone as phones, place};

type HelperFn = for<'a> fn(&'a HelperCall, &RenderScope<'a>) -> RenderValue<'a>;

const fn typed(name: &'static str, gives: ValueKind, run: HelperFn) -> Helper {
    Helper { name, arguments: (1, 1), options: &[], looks_in: None, wants: None, gives, typed: true, run }
}

const fn of_time(name: &'static str, gives: ValueKind, run: HelperFn) -> Helper {
    Helper { wants: Some(ValueKind::Time), ..typed(name, gives, run) }
}

const fn untyped(name: &'static str, run: HelperFn) -> Helper {
    Helper { typed: false, ..typed(name, ValueKind::Text, run) }
}

const fn look_up(name: &'static str, place: &'static str, run: HelperFn) -> Helper {
    Helper { looks_in: Some(place), ..untyped(name, run) }
}

const fn text_to_text(name: &'static str, options: &'static [&'static str], run: HelperFn) -> Helper {
    Helper { options, wants: Some(ValueKind::Text), ..typed(name, ValueKind::Text, run) }
}

/// Every helper there is.
pub(crate) static HELPERS: &[Helper] = &[
    // Look up: what is open-ended is null where it is absent.
    look_up("param", "params", |call, scope| look(call, scope, |s, name| find(&s.conversion.params, name))),
    look_up("click_param", "click.params", |call, scope| match (scope.click, call.text(0, scope)) {
        (Some(click), Some(name)) => {
            landing_parameter(click, &name).map_or(RenderValue::Null, RenderValue::Text)
        }
        _ => RenderValue::Null,
    }),
    look_up("cookie", "click.cookies", |c, s| look(c, s, |s, name| find(&s.click?.cookies, name))),
    look_up("sub_id", "click.sub_ids", |call, scope| {
        look(call, scope, |s, name| find(&s.click?.sub_ids, name))
    }),
    // Default and join.
    Helper { arguments: (2, 8), gives: ValueKind::Same, ..untyped("default", first_present) },
    Helper { arguments: (2, 8), options: &["separator"], ..untyped("join", join) },
    Helper { arguments: (2, 2), ..untyped("when", when) },
    Helper {
        gives: ValueKind::Same,
        ..untyped("in_test", |c, s| if s.test { c.argument(0, s) } else { RenderValue::Null })
    },
    // As it is, not percent-encoded: for a URL that is a setting. Refused in JSON.
    untyped(RAW, |call, scope| call.argument(0, scope)),
    // Format.
    typed("json", ValueKind::Same, |call, scope| call.argument(0, scope)),
    typed("text", ValueKind::Text, |call, scope| {
        call.text(0, scope).map_or(RenderValue::Null, RenderValue::Text)
    }),
    typed("number", ValueKind::Number, number),
    of_time("unix", ValueKind::Number, |c, s| time(c, s, Time::as_seconds)),
    of_time("unix_ms", ValueKind::Number, |c, s| time(c, s, Time::as_millis)),
    of_time("unix_us", ValueKind::Number, |c, s| time(c, s, |t| t.as_millis().saturating_mul(1000))),
    of_time("rfc3339", ValueKind::Text, |call, scope| {
        call.text(0, scope).map_or(RenderValue::Null, RenderValue::Text)
    }),
    text_to_text("lower", &[], |call, scope| change(call, scope, |text| Ok(text.trim().to_lowercase()))),
    text_to_text("snake", &[], |call, scope| change(call, scope, |text| Ok(normalize::snake(text)))),
    Helper {
        options: &["yes", "no"],
        wants: Some(ValueKind::Truth),
        ..typed("answer", ValueKind::Text, |call, scope| match call.argument(0, scope) {
            RenderValue::Truth(true) => call.option(0, scope),
            RenderValue::Truth(false) => call.option(1, scope),
            _ => RenderValue::Null,
        })
    },
    // True where the answer is no, else null: for fields of platforms that ask the other way round.
    Helper {
        wants: Some(ValueKind::Truth),
        ..typed("refused", ValueKind::Truth, |call, scope| match call.argument(0, scope) {
            RenderValue::Truth(false) => RenderValue::Truth(true),
            _ => RenderValue::Null,
        })
    },
    Helper {
        arguments: (0, 0),
        options: &["cookie", "param", "prefix", "digits"],
        ..typed("click_cookie_or_stamp", ValueKind::Text, click_cookie_or_stamp)
    },
    // Hash.
    Helper { options: &["exact"], ..typed("sha256", ValueKind::Text, sha256) },
    // Normalize: what is already a hash passes through, what cannot be read is null and leaves a remark.
    text_to_text("email", &[], |call, scope| change(call, scope, email)),
    text_to_text("phone", &["plus", "calling_code"], phone),
    text_to_text("person_name", &[], |call, scope| change(call, scope, normalize::person_name)),
    text_to_text("city", &[], |call, scope| change(call, scope, place::city)),
    text_to_text("state", &["country"], |c, s| within(c, s, place::state)),
    text_to_text("zip", &["country"], |c, s| within(c, s, place::zip)),
    text_to_text("country", &[], |call, scope| change(call, scope, place::country)),
    text_to_text("gender", &[], |call, scope| change(call, scope, normalize::gender)),
    text_to_text("birthdate", &[], |c, s| change(c, s, |text| birthdate(text, s.customer.birthdate, s.now))),
    text_to_text("web_url", &[], |call, scope| {
        change(call, scope, |text| or_malformed(normalize::web_url(text)))
    }),
    text_to_text("ip", &[], |call, scope| change(call, scope, |text| or_malformed(normalize::ip(text)))),
];

/// The helper that leaves a URL as it is.
pub(crate) const RAW: &str = "raw";

pub(crate) fn find_helper(name: &str) -> Option<&'static Helper> {
    HELPERS.iter().find(|helper| helper.name == name)
}

fn look<'a>(
    call: &'a HelperCall,
    scope: &RenderScope<'a>,
    get: impl Fn(&RenderScope<'a>, &str) -> Option<&'a str>,
) -> RenderValue<'a> {
    call.text(0, scope).map_or(RenderValue::Null, |name| RenderValue::maybe(get(scope, &name)))
}

/// The argument's text as `with` spells it. One that is there and cannot be spelt leaves a remark.
fn change<'a>(
    call: &'a HelperCall,
    scope: &RenderScope<'a>,
    with: impl FnOnce(&str) -> Result<String, Unreadable>,
) -> RenderValue<'a> {
    let Some(text) = call.text(0, scope) else { return RenderValue::Null };
    match with(&text) {
        Ok(text) => RenderValue::owned(Some(text)),
        Err(why) => {
            if !text.trim_matches(normalize::is_blank).is_empty() {
                scope.leave_out(call.arguments.first(), why);
            }
            RenderValue::Null
        }
    }
}

fn or_malformed(read: Option<String>) -> Result<String, Unreadable> {
    read.ok_or(Unreadable::Malformed)
}

fn within<'a>(
    call: &'a HelperCall,
    scope: &RenderScope<'a>,
    with: impl FnOnce(&str, Option<&str>) -> Result<String, Unreadable>,
) -> RenderValue<'a> {
    let country = call.option(0, scope).into_text();
    change(call, scope, |text| with(text, country.as_deref()))
}

fn first_present<'a>(call: &'a HelperCall, scope: &RenderScope<'a>) -> RenderValue<'a> {
    let mut values = call.arguments.iter().map(|argument| argument.value(scope));
    values.find(|value| *value != RenderValue::Null).unwrap_or(RenderValue::Null)
}

/// Null if any part is; then those that are there leave remarks.
fn join<'a>(call: &'a HelperCall, scope: &RenderScope<'a>) -> RenderValue<'a> {
    let separator = call.option(0, scope).into_text().unwrap_or_default();
    let parts: Vec<Option<Cow<'a, str>>> =
        call.arguments.iter().map(|argument| argument.value(scope).into_text()).collect();
    if parts.iter().any(Option::is_none) {
        let present = call.arguments.iter().zip(&parts).filter(|(_, part)| part.is_some());
        present.for_each(|(argument, _)| scope.leave_out(Some(argument), Unreadable::Malformed));
        return RenderValue::Null;
    }
    let parts: Vec<Cow<'a, str>> = parts.into_iter().flatten().collect();
    RenderValue::owned(Some(parts.join(&separator)))
}

/// The second where the first is there: for what a platform wants only in its company. Alone it leaves a remark.
fn when<'a>(call: &'a HelperCall, scope: &RenderScope<'a>) -> RenderValue<'a> {
    let second = call.argument(1, scope);
    if second == RenderValue::Null || call.argument(0, scope) != RenderValue::Null {
        return second;
    }
    scope.leave_out(call.arguments.get(1), Unreadable::Malformed);
    RenderValue::Null
}

/// A JSON number with exactly the digits that were received; a text that is no plain decimal is null.
fn number<'a>(call: &'a HelperCall, scope: &RenderScope<'a>) -> RenderValue<'a> {
    match call.argument(0, scope) {
        RenderValue::Text(text) => match parse_decimal(&text, DecimalMark::Dot) {
            Some(number) => RenderValue::Decimal(number),
            None => {
                scope.leave_out(call.arguments.first(), Unreadable::Malformed);
                RenderValue::Null
            }
        },
        number @ (RenderValue::Decimal(_) | RenderValue::Integer(_)) => number,
        _ => RenderValue::Null,
    }
}

fn time<'a>(call: &'a HelperCall, scope: &RenderScope<'a>, unit: impl Fn(Time) -> i64) -> RenderValue<'a> {
    match call.argument(0, scope) {
        RenderValue::Time(time) => RenderValue::Integer(unit(time)),
        _ => RenderValue::Null,
    }
}

fn phone<'a>(call: &'a HelperCall, scope: &RenderScope<'a>) -> RenderValue<'a> {
    let plus = call.option(0, scope) != RenderValue::Truth(false);
    let calling_code = call.option(1, scope).into_text();
    let home = HomeCountry { region: scope.customer.phone_region, calling_code: calling_code.as_deref() };
    change(call, scope, |text| phones::phone(text, plus, home))
}

/// SHA-256 in lower-case hexadecimal. The hash of nothing is null. What is already such a hash
/// passes through, unless `exact=true` says that the text is an id and hashed whatever it looks like.
fn sha256<'a>(call: &'a HelperCall, scope: &RenderScope<'a>) -> RenderValue<'a> {
    let Some(text) = call.text(0, scope) else { return RenderValue::Null };
    if call.option(0, scope) == RenderValue::Truth(true) {
        return RenderValue::Digest(HexDigest::of(text.as_bytes()));
    }
    if normalize::is_skeleton(&text) {
        scope.leave_out(call.arguments.first(), Unreadable::Malformed);
        return RenderValue::Null;
    }
    match already_hashed(&text) {
        Some(hash) => RenderValue::Text(Cow::Owned(hash)),
        None => RenderValue::Digest(HexDigest::of(text.as_bytes())),
    }
}

/// The platform's own first-party cookie while it is of this click; else what that cookie would be:
/// `{prefix}.{time of the click in ms}.{click parameter}`. Never made up without either; where no parameter is
/// named, the cookie alone. What is malformed is not sent and leaves a remark, the cookie also where a new one
/// takes its place.
fn click_cookie_or_stamp<'a>(call: &'a HelperCall, scope: &RenderScope<'a>) -> RenderValue<'a> {
    let Some(click) = scope.click else { return RenderValue::Null };
    let named = |index| call.option(index, scope).into_text();
    let prefix = named(2).unwrap_or_default();
    let platform = prefix.split('.').next().unwrap_or_default();
    let kind =
        if call.option(3, scope) == RenderValue::Truth(true) { StampId::Digits } else { StampId::Token };
    let cookie = named(0).and_then(|name| {
        let text = find(&click.cookies, &name).map(str::trim).filter(|text| !text.is_empty())?;
        let id = stamp::id_of(text, platform, kind, scope.now);
        if id.is_none() {
            scope.leave_out_field(format!("click.cookies.{name}"), Unreadable::Malformed);
        }
        Some((text, id?))
    });
    let param = named(1).and_then(|name| {
        let text = landing_parameter(click, &name)?;
        if !stamp::is_token(&text) {
            scope.leave_out_field(format!("click.params.{name}"), Unreadable::Malformed);
            return None;
        }
        Some(text)
    });
    match (cookie, param) {
        (Some((cookie, _)), None) => RenderValue::text(cookie),
        (Some((cookie, id)), Some(param)) if id == param => RenderValue::text(cookie),
        (_, Some(param)) if stamp::times(scope.now).contains(&click.at.as_millis()) => {
            RenderValue::owned(Some(format!("{prefix}.{}.{param}", click.at.as_millis())))
        }
        (_, Some(_)) => {
            scope.leave_out_field("click.time".to_owned(), Unreadable::Malformed);
            RenderValue::Null
        }
        (None, None) => RenderValue::Null,
    }
}

/// A landing parameter as it was recorded; where it was not, from the landing URL itself.
fn landing_parameter<'a>(click: &'a Click, name: &str) -> Option<Cow<'a, str>> {
    if let Some(text) = find(&click.params, name) {
        return Some(Cow::Borrowed(text));
    }
    fields::landing_parameter(click.landing_url.as_deref()?, name).map(Cow::Owned)
}
