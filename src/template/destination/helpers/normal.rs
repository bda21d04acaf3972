//! Helpers that spell customer data in one way, and hash: what is already a hash passes through, what cannot be read
//! is null and leaves a remark.

use std::borrow::Cow;

use crate::template::destination::digest::{HexDigest, already_hashed};
use crate::template::destination::expression::{
    Expression, HelperCall, ReadOptions, RenderScope, RenderValue,
};
use crate::template::destination::normalize::email::{self as emails, AliasRule, GmailRule};
use crate::template::destination::normalize::phone::{self as phones, HomeCountry};
use crate::template::destination::normalize::place::{self, ZipForm};
use crate::template::destination::normalize::{self, Unreadable};

/// The argument's text as `with` spells it. One that is there and cannot be spelt leaves a remark.
pub(crate) fn change<'a>(
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

pub(crate) fn or_malformed(read: Option<String>) -> Result<String, Unreadable> {
    read.ok_or(Unreadable::Malformed)
}

pub(crate) fn within<'a>(
    call: &'a HelperCall,
    scope: &RenderScope<'a>,
    with: impl FnOnce(&str, Option<&str>) -> Result<String, Unreadable>,
) -> RenderValue<'a> {
    let country = call.option(0, scope).into_text();
    change(call, scope, |text| with(text, country.as_deref()))
}

/// Reads the options `gmail`, `dots` and `plus` of `email`.
pub(crate) fn aliases(options: &[Option<Expression>]) -> Result<ReadOptions, (String, String)> {
    let other = || {
        let what = "`gmail`, `dots` and `plus` are true or false, and `gmail` may be \"dots\"";
        (what.to_owned(), "write gmail=true, or gmail=\"dots\"".to_owned())
    };
    let flag = |index: usize| match options.get(index) {
        Some(Some(Expression::Truth(truth))) => Ok(*truth),
        Some(Some(_)) => Err(other()),
        _ => Ok(false),
    };
    let gmail = match options.first() {
        Some(Some(Expression::Text(text))) if text == "dots" => GmailRule::Dots,
        _ if flag(0)? => GmailRule::DotsAndPlus,
        _ => GmailRule::Whole,
    };
    Ok(ReadOptions::Aliases(AliasRule { gmail, dots: flag(1)?, plus: flag(2)? }))
}

/// The one spelling of an address.
pub(crate) fn email<'a>(call: &'a HelperCall, scope: &RenderScope<'a>) -> RenderValue<'a> {
    let rule = match &call.prepared {
        ReadOptions::Aliases(rule) => *rule,
        _ => AliasRule::default(),
    };
    change(call, scope, |text| emails::email(text, rule))
}

/// The text without the characters of the second one, in any place of it. What is a hash already passes through.
pub(crate) fn without<'a>(call: &'a HelperCall, scope: &RenderScope<'a>) -> RenderValue<'a> {
    let dropped = call.text(1, scope).unwrap_or_default();
    change(call, scope, |text| {
        normalize::unless_hashed(text, |text| Ok(text.chars().filter(|c| !dropped.contains(*c)).collect()))
    })
}

pub(crate) fn phone<'a>(call: &'a HelperCall, scope: &RenderScope<'a>) -> RenderValue<'a> {
    let plus = call.option(0, scope) != RenderValue::Truth(false);
    let calling_code = call.option(1, scope).into_text();
    let home = HomeCountry { region: scope.customer.phone_region, calling_code: calling_code.as_deref() };
    change(call, scope, |text| phones::phone(text, plus, home))
}

/// Reads the options `digits` and `whole` of `zip`, which are behind `country`.
pub(crate) fn zip_form(options: &[Option<Expression>]) -> Result<ReadOptions, (String, String)> {
    let flag = |index: usize| match options.get(index) {
        Some(Some(Expression::Truth(truth))) => Ok(*truth),
        Some(Some(_)) => {
            Err(("`digits` and `whole` are true or false".to_owned(), "write digits=true".to_owned()))
        }
        _ => Ok(false),
    };
    match (flag(1)?, flag(2)?) {
        (false, false) => Ok(ReadOptions::Zip(ZipForm::Cut)),
        (true, false) => Ok(ReadOptions::Zip(ZipForm::Digits)),
        (false, true) => Ok(ReadOptions::Zip(ZipForm::Whole)),
        (true, true) => {
            let what = "a postal code is whole, or its digits alone";
            Err((what.to_owned(), "take `digits` or `whole` out".to_owned()))
        }
    }
}

/// The one spelling of a postal code.
pub(crate) fn zip<'a>(call: &'a HelperCall, scope: &RenderScope<'a>) -> RenderValue<'a> {
    let form = match &call.prepared {
        ReadOptions::Zip(form) => *form,
        _ => ZipForm::default(),
    };
    within(call, scope, |text, country| place::zip(text, country, form))
}

/// SHA-256 in lower-case hexadecimal. The hash of nothing is null. What is already such a hash
/// passes through, unless `exact=true` says that the text is an id and hashed whatever it looks like.
pub(crate) fn sha256<'a>(call: &'a HelperCall, scope: &RenderScope<'a>) -> RenderValue<'a> {
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
