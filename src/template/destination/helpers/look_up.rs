//! Helpers that look up what is open-ended: parameters, cookies, sub ids, and parts of them.

use std::borrow::Cow;

use regex::{Regex, RegexBuilder};

use crate::domain::click::{Click, Pairs, find, is_covered};
use crate::template::destination::expression::{
    Expression, HelperCall, ReadOptions, RenderScope, RenderValue,
};
use crate::template::destination::fields;
use crate::template::destination::normalize::Unreadable;
use crate::template::destination::normalize::stamp::{self, StampId};

/// The longest pattern of `capture`, and the most bytes that one may take once it is compiled.
const LONGEST_PATTERN: usize = 200;
const MOST_COMPILED: usize = 256 * 1024;

pub(crate) fn look<'a>(
    call: &'a HelperCall,
    scope: &RenderScope<'a>,
    get: impl Fn(&RenderScope<'a>, &str) -> Option<&'a str>,
) -> RenderValue<'a> {
    call.text(0, scope).map_or(RenderValue::Null, |name| RenderValue::maybe(get(scope, &name)))
}

/// A landing parameter as it was recorded; where it was not, from the landing URL itself.
pub(crate) fn click_param<'a>(call: &'a HelperCall, scope: &RenderScope<'a>) -> RenderValue<'a> {
    match (scope.click, call.text(0, scope)) {
        (Some(click), Some(name)) => {
            landing_parameter(click, &name).map_or(RenderValue::Null, RenderValue::Text)
        }
        _ => RenderValue::Null,
    }
}

/// A cookie of the click. Of several that a name with `*` at its end covers, the one that was kept first.
pub(crate) fn cookie<'a>(cookies: &'a Pairs, name: &str) -> Option<&'a str> {
    let covered = || cookies.iter().find(|(known, _)| is_covered(name, known.as_bytes()));
    find(cookies, name).or_else(|| covered().map(|(_, value)| value.as_str()))
}

/// Compiles the patterns of `capture`: what is wanted, and what is not.
pub(crate) fn patterns(options: &[Option<Expression>]) -> Result<ReadOptions, (String, String)> {
    let wanted = match options.first() {
        Some(Some(Expression::Text(pattern))) => compiled(pattern)?,
        _ => {
            let hint = r"write one such as pattern='^GA\d\.(\d+)$'";
            return Err((
                "it has no `pattern`, or one that is no text in quotes".to_owned(),
                hint.to_owned(),
            ));
        }
    };
    if wanted.captures_len() < 2 {
        let what = format!("the pattern `{wanted}` has no group");
        return Err((what, r"put what is wanted in parentheses: '_(\d+)$'".to_owned()));
    }
    let unwanted = match options.get(1) {
        Some(Some(Expression::Text(pattern))) => Some(compiled(pattern)?),
        Some(Some(_)) => {
            let what = "`not` is no text in quotes".to_owned();
            return Err((what, "write one such as not='^ga_'".to_owned()));
        }
        _ => None,
    };
    Ok(ReadOptions::Patterns(wanted, unwanted))
}

fn compiled(pattern: &str) -> Result<Regex, (String, String)> {
    if pattern.len() > LONGEST_PATTERN {
        let what = format!("the pattern has {} bytes; {LONGEST_PATTERN} are allowed", pattern.len());
        return Err((what, "shorten it".to_owned()));
    }
    let mut builder = RegexBuilder::new(pattern);
    let compiled = builder.size_limit(MOST_COMPILED).dfa_size_limit(MOST_COMPILED).nest_limit(20).build();
    compiled.map_err(|error| {
        let why = error.to_string();
        let why = why.lines().last().unwrap_or_default().trim().trim_start_matches("error: ").to_owned();
        let what = format!("the pattern `{pattern}` cannot be read: {why}");
        (what, "patterns have no look-around and no back-references".to_owned())
    })
}

/// The first group of the pattern that takes part in its match. A value that it does not match, and one that matches
/// what is not wanted, leave a remark.
pub(crate) fn capture<'a>(call: &'a HelperCall, scope: &RenderScope<'a>) -> RenderValue<'a> {
    let (Some(text), ReadOptions::Patterns(wanted, unwanted)) = (call.text(0, scope), &call.prepared) else {
        return RenderValue::Null;
    };
    let is_wanted = unwanted.as_ref().is_none_or(|unwanted| !unwanted.is_match(&text));
    let found = wanted.captures(&text).filter(|_| is_wanted).and_then(|found| {
        let group = found.iter().skip(1).flatten().next()?;
        Some(group.as_str().to_owned())
    });
    if found.is_none() {
        scope.leave_out(call.arguments.first(), Unreadable::Malformed);
    }
    RenderValue::owned(found)
}

/// The platform's own first-party cookie while it is of this click; else what that cookie would be:
/// `{prefix}.{time of the click in ms}.{click parameter}`. Never made up without either; where no parameter is
/// named, the cookie alone. What is malformed is not sent and leaves a remark, the cookie also where a new one
/// takes its place.
pub(crate) fn click_cookie_or_stamp<'a>(call: &'a HelperCall, scope: &RenderScope<'a>) -> RenderValue<'a> {
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

/// Where a landing parameter was found.
pub(crate) fn origin_of_parameter<'a>(call: &'a HelperCall, scope: &RenderScope<'a>) -> Vec<String> {
    let found = |name: &str| origin_of_landing(scope.click?, name);
    call.text(0, scope).and_then(|name| found(&name)).into_iter().collect()
}

fn origin_of_landing(click: &Click, name: &str) -> Option<String> {
    if find(&click.params, name).is_some() {
        return Some(format!("click.params.{name}"));
    }
    landing_parameter(click, name).map(|_| "click.landing_url".to_owned())
}

/// The cookie, by its own name where the template names several at once.
pub(crate) fn origin_of_cookie<'a>(call: &'a HelperCall, scope: &RenderScope<'a>) -> Vec<String> {
    let (Some(click), Some(name)) = (scope.click, call.text(0, scope)) else { return Vec::new() };
    let own = click.cookies.iter().find(|(known, _)| *known == name.as_ref());
    let covered = || click.cookies.iter().find(|(known, _)| is_covered(&name, known.as_bytes()));
    own.or_else(covered).map(|(known, _)| format!("click.cookies.{known}")).into_iter().collect()
}

/// The cookie, where it is what is sent; else what is put together in its place.
pub(crate) fn origins_of_stamp<'a>(call: &'a HelperCall, scope: &RenderScope<'a>) -> Vec<String> {
    let (Some(click), Some(sent)) = (scope.click, click_cookie_or_stamp(call, scope).into_text()) else {
        return Vec::new();
    };
    let named = |index| call.option(index, scope).into_text();
    if let Some(name) = named(0)
        && find(&click.cookies, &name).is_some_and(|cookie| cookie.trim() == sent)
    {
        return vec![format!("click.cookies.{name}")];
    }
    let param = named(1).and_then(|name| origin_of_landing(click, &name));
    std::iter::once("click.time".to_owned()).chain(param).collect()
}
