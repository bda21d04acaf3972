//! What a source's mapping repairs in single values, and says: click ids, addresses, e-mails, phones.

use std::borrow::Cow;

use crate::domain::click::CustomerTrait;
use crate::domain::rejection::note::ReportNote;
use crate::domain::text::{
    email_with_plus, equal_repeats, holds_invisible, is_invisible, phone_with_plus, trim,
};
use crate::template::source::params::{Param, shown};

/// The digits from which on a number is an international one: national numbers have fewer.
const INTERNATIONAL_DIGITS: usize = 11;

/// A click id as it was received, but for what no click id can hold: equal ids joined are one, and invisible
/// characters are taken off. White space around it is left to attribution, which says how it read the id.
pub(crate) fn click_id(param: &Param, text: Cow<'_, str>, notes: &mut Vec<ReportNote>) -> String {
    if let Some(one) = equal_repeats(&text) {
        notes.push(ReportNote::EqualIdsJoined {
            field: shown("", &param.name),
            value: shown(&param.name, trim(&param.value)),
            one: shown(&param.name, one),
        });
        return one.to_owned();
    }
    let is_odd = |c: char| is_invisible(c) && !c.is_ascii_whitespace();
    if !holds_invisible(&text) || !text.contains(is_odd) {
        return text.into_owned();
    }
    let kept: String = text.chars().filter(|c| !is_odd(*c)).collect();
    notes.push(ReportNote::InvisibleRemoved {
        field: shown("", &param.name),
        value: shown(&param.name, &param.value),
    });
    trim(&kept).to_owned()
}

/// Notes it where a transaction id holds invisible characters: with and without them are two ids.
pub(crate) fn note_invisible(param: &Param, text: &str, notes: &mut Vec<ReportNote>) {
    if holds_invisible(trim(text)) {
        notes.push(ReportNote::InvisibleKept {
            field: shown("", &param.name),
            value: shown(&param.name, trim(&param.value)),
        });
    }
}

/// What is known of the customer, with a `+` back that a query made a space.
pub(crate) fn customer(
    name: CustomerTrait,
    param: &Param,
    text: &str,
    notes: &mut Vec<ReportNote>,
) -> String {
    let restored = match name {
        CustomerTrait::Email => email_with_plus(text),
        CustomerTrait::Phone => phone_with_plus(text).filter(|phone| {
            let digits = phone.bytes().filter(u8::is_ascii_digit).count();
            // Written `%20` it may be a stray space before a national number.
            param.raw.first() == Some(&b'+') || digits >= INTERNATIONAL_DIGITS
        }),
        _ => None,
    };
    match restored {
        Some(restored) => {
            notes.push(ReportNote::SpaceReadAsPlus { field: shown("", &param.name) });
            restored
        }
        None => trim(text).to_owned(),
    }
}
