//! The helpers that a destination template may call: look up, default, join, format, hash. No other logic.
//! A new one is a line in [`HELPERS`], a row in `templates/README.md` and a test of what it gives in
//! `tests/template/helpers.rs`; one that passes its argument through is named in
//! `calculation::is_no_number` and `is_amount` too. The crate Handlebars only parses: these functions are ours.

mod format;
mod look_up;
mod normal;

use std::borrow::Cow;

use crate::domain::click::find;
use crate::domain::sent::DeliveryKind;
use crate::template::destination::expression::{
    Helper, HelperCall, MadeOf, Prepare, RenderScope, RenderValue, ValueKind,
};
use crate::template::destination::helpers::format::since_1970;
use crate::template::destination::helpers::look_up::look;
use crate::template::destination::helpers::normal::{change, or_malformed, within};
use crate::template::destination::normalize::birthdate::birthdate;
use crate::template::destination::normalize::{self, Unreadable, place};

type HelperFn = for<'a> fn(&'a HelperCall, &RenderScope<'a>) -> RenderValue<'a>;

const fn typed(name: &'static str, gives: ValueKind, run: HelperFn) -> Helper {
    let (looks_in, wants, prepare, made_of) = (None, None, None, MadeOf::All);
    Helper {
        name,
        arguments: (1, 1),
        options: &[],
        prepare,
        looks_in,
        wants,
        gives,
        made_of,
        typed: true,
        run,
    }
}

/// With options that are read when the template is.
const fn prepared(options: &'static [&'static str], prepare: Prepare, helper: Helper) -> Helper {
    Helper { options, prepare: Some(prepare), ..helper }
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
    Helper {
        made_of: MadeOf::LookedUp(look_up::origin_of_parameter),
        ..look_up("click_param", "click.params", look_up::click_param)
    },
    Helper {
        made_of: MadeOf::LookedUp(look_up::origin_of_cookie),
        ..look_up("cookie", "click.cookies", |c, s| {
            look(c, s, |s, name| look_up::cookie(&s.click?.cookies, name))
        })
    },
    look_up("sub_id", "click.sub_ids", |call, scope| {
        look(call, scope, |s, name| find(&s.click?.sub_ids, name))
    }),
    look_up("sent_id", "sent.ids", |c, s| look(c, s, |s, name| look_up::cookie(&s.sent?.ids, name))),
    look_up("sent_reply", "sent.reply", |c, s| look(c, s, |s, name| find(&s.sent?.reply, name))),
    prepared(&["pattern", "not"], look_up::patterns, untyped("capture", look_up::capture)),
    // Default and join.
    Helper {
        arguments: (2, 8),
        gives: ValueKind::Same,
        made_of: MadeOf::FirstPresent,
        ..untyped("default", first_present)
    },
    Helper { arguments: (2, 8), options: &["separator"], ..untyped("join", join) },
    Helper { arguments: (2, 2), made_of: MadeOf::Argument(1), ..untyped("when", when) },
    Helper {
        arguments: (2, 16),
        ..untyped("one_of", |c, s| if is_one_of(c, s) { c.argument(0, s) } else { RenderValue::Null })
    },
    Helper {
        arguments: (2, 16),
        ..untyped("none_of", |c, s| if is_one_of(c, s) { RenderValue::Null } else { c.argument(0, s) })
    },
    Helper {
        gives: ValueKind::Same,
        ..untyped("in_test", |c, s| if s.test { c.argument(0, s) } else { RenderValue::Null })
    },
    Helper { gives: ValueKind::Same, ..untyped("in_restate", |c, s| of_kind(c, s, DeliveryKind::Restate)) },
    Helper { gives: ValueKind::Same, ..untyped("in_retract", |c, s| of_kind(c, s, DeliveryKind::Retract)) },
    // As it is, not percent-encoded: for a URL that is a setting. Refused in JSON.
    untyped(RAW, |call, scope| call.argument(0, scope)),
    // Format.
    typed("json", ValueKind::Same, |call, scope| call.argument(0, scope)),
    prepared(&["decimals", "at_least"], format::digits, typed("text", ValueKind::Text, format::text)),
    prepared(&["decimals", "at_least"], format::digits, typed("number", ValueKind::Number, format::number)),
    Helper { arguments: (2, 2), ..typed("minor", ValueKind::Number, format::minor) },
    prepared(&["unit"], format::unit, of_time("unix", ValueKind::Number, format::unix)),
    of_time("unix_ms", ValueKind::Number, |call, scope| epoch(call, scope, 1_000)),
    of_time("unix_us", ValueKind::Number, |call, scope| epoch(call, scope, 1_000_000)),
    of_time("rfc3339", ValueKind::Text, |call, scope| {
        call.text(0, scope).map_or(RenderValue::Null, RenderValue::Text)
    }),
    prepared(&["format", "zone"], format::moment, of_time("time", ValueKind::Text, format::time)),
    text_to_text("unhashed", &[], |call, scope| change(call, scope, normalize::unhashed)),
    text_to_text("lower", &[], |call, scope| change(call, scope, |text| Ok(text.trim().to_lowercase()))),
    text_to_text("upper", &[], |call, scope| change(call, scope, |text| Ok(text.trim().to_uppercase()))),
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
        made_of: MadeOf::LookedUp(look_up::origins_of_stamp),
        ..typed("click_cookie_or_stamp", ValueKind::Text, look_up::click_cookie_or_stamp)
    },
    // Hash.
    Helper { options: &["exact"], ..typed("sha256", ValueKind::Text, normal::sha256) },
    // Normalize: what is already a hash passes through, what cannot be read is null and leaves a remark.
    prepared(&["gmail", "dots", "plus"], normal::aliases, text_to_text("email", &[], normal::email)),
    text_to_text("phone", &["plus", "calling_code"], normal::phone),
    Helper { arguments: (2, 2), ..text_to_text("without", &[], normal::without) },
    text_to_text("person_name", &[], |call, scope| change(call, scope, normalize::person_name)),
    text_to_text("city", &[], |call, scope| change(call, scope, place::city)),
    text_to_text("state", &["country"], |c, s| within(c, s, place::state)),
    prepared(&["country", "digits", "whole"], normal::zip_form, text_to_text("zip", &[], normal::zip)),
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

/// The argument where the delivery says this of its conversion, else null.
fn of_kind<'a>(call: &'a HelperCall, scope: &RenderScope<'a>, kind: DeliveryKind) -> RenderValue<'a> {
    if scope.kind == kind { call.argument(0, scope) } else { RenderValue::Null }
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

/// Whether the first is the same text as one of the others.
fn is_one_of<'a>(call: &'a HelperCall, scope: &RenderScope<'a>) -> bool {
    let text = call.text(0, scope);
    text.is_some() && (1..call.arguments.len()).any(|other| call.text(other, scope) == text)
}

fn epoch<'a>(call: &'a HelperCall, scope: &RenderScope<'a>, per_second: i64) -> RenderValue<'a> {
    match call.argument(0, scope) {
        RenderValue::Time(time) => RenderValue::Integer(since_1970(time, per_second)),
        _ => RenderValue::Null,
    }
}
