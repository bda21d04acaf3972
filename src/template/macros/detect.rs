//! Classifying a value: is it what the network meant, or a macro that no one filled in?
//!
//! A URL is written with macros (`#s2#`, `{sub1}`, `[[[subid]]]`…). When a network does not know
//! one, or a person opens the URL by hand, the macro itself arrives. Taken for an id it would join
//! every such sale into one.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use crate::domain::text::trim;
use crate::template::macros::grammar::{GRAMMARS, KnownGrammar};
use crate::template::macros::placeholder::{is_half_macro, is_nothing, is_placeholder};
use crate::template::macros::shape::is_enclosed_guid;

/// What a value is used for; some words are empty in one use and legal in another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueUse {
    /// A transaction, click or item id: `0` is no id.
    Id,
    /// An amount: `0` is an amount.
    Amount,
    /// A word or text of any kind.
    Text,
}

/// What a value turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ValueClass {
    /// To be taken as it was received.
    Sound,
    /// Nothing but white space, or nothing.
    Empty,
    /// A word that means nothing: `null`, `none`, `n/a`… and `0`, `-1`, `NaN`, `(not set)` for an id.
    Nothing,
    /// A macro that was not filled in, as it reads after decoding, or a value that holds one.
    Macro(String),
    /// A word of a URL's skeleton that was not replaced: `REPLACE`, `TRANSACTION_ID`…; for an id also
    /// `ORDER_ID`, `XXXXXX`, `YOUR_…` and their like.
    Skeleton,
}

/// Classifies a value that was decoded once; `raw` is what it was before. Macros are looked for in the
/// value, in its raw form where `%` is the mark, and after one more decoding: senders encode twice.
pub fn classify(value: &str, raw: &[u8], used: ValueUse) -> ValueClass {
    let text = trim(value);
    if text.is_empty() {
        return ValueClass::Empty;
    }
    let is_id = used == ValueUse::Id;
    if let Some(found) = unusable(text, is_id) {
        return found;
    }
    if raw.first() == Some(&b'%')
        && let Ok(raw) = std::str::from_utf8(raw)
        && holds_macro(raw)
    {
        return ValueClass::Macro(raw.to_owned());
    }
    if text.contains('%') {
        let twice: Cow<'_, str> = percent_decode_str(text).decode_utf8_lossy();
        let twice = trim(&twice);
        if twice.is_empty() {
            return ValueClass::Empty;
        }
        if twice != text
            && let Some(found) = unusable(twice, is_id)
        {
            return found;
        }
    }
    ValueClass::Sound
}

/// What makes the text none that was meant; nothing where it is sound.
fn unusable(text: &str, is_id: bool) -> Option<ValueClass> {
    if is_nothing(text, is_id) {
        return Some(ValueClass::Nothing);
    }
    let found = || ValueClass::Macro(text.to_owned());
    // A whole macro first: without its marks `__TID__` would be a placeholder.
    if holds_macro(text) {
        return Some(found());
    }
    if is_placeholder(text, is_id) {
        return Some(ValueClass::Skeleton);
    }
    (is_id && (is_half_macro(text) || holds_macro_at_an_end(text))).then(found)
}

/// Whether `text` is a macro of any known grammar, or holds one of the grammars that no plain text
/// contains by chance.
pub fn holds_macro(text: &str) -> bool {
    let is_mark = |b: u8| matches!(b, b'#' | b'{' | b'$' | b'[' | b'!' | b'@' | b'%' | b'<' | b'(' | b'_');
    if !text.bytes().next().is_some_and(is_mark) {
        return holds_part(text);
    }
    if is_enclosed_guid(text) {
        return false;
    }
    let is_whole = |grammar: &KnownGrammar| {
        let inner = text.strip_prefix(grammar.before).and_then(|rest| rest.strip_suffix(grammar.after));
        inner.is_some_and(grammar.whole)
    };
    GRAMMARS.iter().any(is_whole) || holds_part(text)
}

/// `{transactionid}_{goal}` filled in by half: a macro within other text.
fn holds_part(text: &str) -> bool {
    const MARKS: [char; 4] = ['{', '#', '!', '['];
    // Over bytes, without a branch in the loop: nearly no value holds a mark.
    let holds_mark = |any, byte| any | matches!(byte, b'{' | b'#' | b'!' | b'[');
    if !text.bytes().fold(false, holds_mark) {
        return false;
    }
    let mut rest = text;
    while let Some(at) = rest.find(MARKS) {
        let here = rest.get(at..).unwrap_or("");
        let mark = here.chars().next().unwrap_or('#');
        let is_here = |grammar: &KnownGrammar| {
            let (Some(shape), Some(inner)) = (grammar.within, here.strip_prefix(grammar.before)) else {
                return false;
            };
            // Of more marks than the grammar has, the name begins behind the last.
            let name = near(inner.trim_start_matches(mark)).split_once(grammar.after);
            name.is_some_and(|(name, _)| shape(name))
        };
        if GRAMMARS.iter().any(is_here) {
            return true;
        }
        rest = here.trim_start_matches(mark);
    }
    false
}

/// `<order_id>-<sku_number>`, `8817-[goal_id]`: an id of several parts, of which the first or the last is a macro
/// of marks that only ids do not have.
fn holds_macro_at_an_end(text: &str) -> bool {
    let is_mark = |byte: Option<&u8>| byte.is_some_and(|b| matches!(b, b'[' | b']' | b'%' | b'<' | b'>'));
    if !is_mark(text.as_bytes().first()) && !is_mark(text.as_bytes().last()) {
        return false;
    }
    GRAMMARS.iter().any(|grammar| {
        let Some(shape) = grammar.at_end else { return false };
        let begins = || {
            let (name, behind) = near(text.strip_prefix(grammar.before)?).split_once(grammar.after)?;
            Some(shape(name) && behind.starts_with(joins))
        };
        let ends = || {
            let (before, name) = text.strip_suffix(grammar.after)?.rsplit_once(grammar.before)?;
            Some(shape(name) && before.ends_with(joins))
        };
        begins().unwrap_or_default() || ends().unwrap_or_default()
    })
}

/// Whether it is between the parts of an id, or is the mark of a further macro.
fn joins(c: char) -> bool {
    matches!(c, '_' | '-' | '.' | '|' | ':' | '~' | ',' | '[' | ']' | '%' | '<' | '>')
}

/// The longest macro that is looked for: what is longer is no name, and the look stays short whatever
/// a visitor writes into a sub id.
const LONGEST_MACRO: usize = 128;

/// The front of a text, as far as a macro may reach.
fn near(text: &str) -> &str {
    let mut end = text.len().min(LONGEST_MACRO);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or(text)
}
