//! Classifying a value: is it what the network meant, or a macro that no one filled in?
//!
//! A URL is written with macros (`#s2#`, `{sub1}`, `[[[subid]]]`…). When a network does not know
//! one, or a person opens the URL by hand, the macro itself arrives. Taken for an id it would join
//! every such sale into one.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use crate::domain::text::trim;
use crate::template::macros::placeholder::{is_half_macro, is_nothing, is_placeholder};

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
    if is_nothing(text, is_id) {
        return ValueClass::Nothing;
    }
    let is_macro = |text: &str| holds_macro(text) || (is_id && is_half_macro(text));
    // A whole macro first: without its marks `__TID__` would be a placeholder.
    let is_whole = holds_macro(text);
    if !is_whole && is_placeholder(text, is_id) {
        return ValueClass::Skeleton;
    }
    if is_whole || (is_id && is_half_macro(text)) {
        return ValueClass::Macro(text.to_owned());
    }
    if raw.first() == Some(&b'%')
        && let Ok(raw) = std::str::from_utf8(raw)
        && is_percent_macro(raw)
    {
        return ValueClass::Macro(raw.to_owned());
    }
    if text.contains('%') {
        let twice: Cow<'_, str> = percent_decode_str(text).decode_utf8_lossy();
        let twice_text = twice.trim();
        if twice != text && (is_macro(twice_text) || is_placeholder(twice_text, is_id)) {
            return ValueClass::Macro(twice_text.to_owned());
        }
        if twice != text && is_id && is_nothing(twice_text, is_id) {
            return ValueClass::Nothing;
        }
    }
    ValueClass::Sound
}

/// Whether `text` is a macro of any known grammar, or holds one of the grammars that no plain text
/// contains by chance.
pub fn holds_macro(text: &str) -> bool {
    let Some(first) = text.bytes().next() else { return false };
    if is_enclosed_guid(text) {
        return false;
    }
    let whole = match first {
        b'#' => fenced(text, '#', 1..=3, is_name),
        b'{' | b'$' => is_brace_macro(text),
        b'[' => is_bracket_macro(text),
        b'!' => fenced(text, '!', 2..=3, is_word),
        b'@' => fenced(text, '@', 1..=2, is_name),
        b'%' => is_percent_macro(text),
        b'<' => between(text, "<", ">").is_some_and(is_dashed_word),
        b'(' => between(text, "(", ")").is_some_and(|name| begins_with_letter(name) && is_dashed_word(name)),
        b'_' => between(text, "__", "__").is_some_and(is_shouted),
        _ => false,
    };
    whole || holds_part(text)
}

/// `{transactionid}_{goal}` filled in by half: a macro within other text. Only grammars that do not
/// occur in ordinary text are looked for; brackets and parentheses do (`Mozilla/5.0 (X11)`).
fn holds_part(text: &str) -> bool {
    // Over bytes, without a branch in the loop: nearly no value holds a mark.
    let holds_mark = |any, byte| any | matches!(byte, b'{' | b'#' | b'!' | b'[');
    if !text.bytes().fold(false, holds_mark) {
        return false;
    }
    let mut rest = text;
    while let Some(at) = rest.find(['{', '#', '!', '[']) {
        let here = rest.get(at..).unwrap_or("");
        let found = match here.as_bytes().first() {
            Some(b'{') => until(here, '{', "}").is_some_and(|name| is_name(name) && !is_guid(name)),
            Some(b'#') => until(here, '#', "#").is_some_and(is_name),
            Some(b'!') => here.starts_with("!!") && until(here, '!', "!!").is_some_and(is_word),
            _ => {
                (here.starts_with("[[[") && until(here, '[', "]]]").is_some_and(is_word))
                    || here
                        .strip_prefix("[=")
                        .and_then(|inner| near(inner).split_once("=]"))
                        .is_some_and(|(name, _)| is_word(name))
            }
        };
        if found {
            return true;
        }
        let mark = here.chars().next().unwrap_or('#');
        rest = here.trim_start_matches(mark);
    }
    false
}

/// `{3F2504E0-4F89-11D3-9A0C-0305E82C3301}`, in braces, brackets or parentheses: so some systems write a
/// GUID, and it is an id.
fn is_enclosed_guid(text: &str) -> bool {
    [("{", "}"), ("(", ")"), ("[", "]")]
        .iter()
        .any(|(open, close)| between(text, open, close).is_some_and(is_guid))
}

/// 32 hexadecimal digits, in one or divided as GUIDs are.
fn is_guid(text: &str) -> bool {
    let is_hex = |(at, b): (usize, u8)| match at {
        8 | 13 | 18 | 23 => b == b'-',
        _ => b.is_ascii_hexdigit(),
    };
    match text.len() {
        36 => text.bytes().enumerate().all(is_hex),
        32 => text.bytes().all(|b| b.is_ascii_hexdigit()),
        _ => false,
    }
}

/// The longest macro that is looked for: what is longer is no name, and the look stays short whatever
/// a visitor writes into a sub id.
const LONGEST_MACRO: usize = 128;

/// What is between a run of `open` at the front and the next `close`, if that is near.
fn until<'a>(text: &'a str, open: char, close: &str) -> Option<&'a str> {
    near(text.trim_start_matches(open)).split_once(close).map(|(inner, _)| inner)
}

/// The front of a text, as far as a macro may reach.
fn near(text: &str) -> &str {
    let mut end = text.len().min(LONGEST_MACRO);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or(text)
}

fn between<'a>(text: &'a str, open: &str, close: &str) -> Option<&'a str> {
    text.strip_prefix(open)?.strip_suffix(close)
}

/// `#x#`, `!!x!!`: the same mark before and behind, as often as `times` allows.
fn fenced(
    text: &str,
    mark: char,
    times: std::ops::RangeInclusive<usize>,
    is_inner: fn(&str) -> bool,
) -> bool {
    let inner = text.trim_matches(mark);
    let before = text.len() - text.trim_start_matches(mark).len();
    let behind = text.len() - text.trim_end_matches(mark).len();
    times.contains(&before) && times.contains(&behind) && is_inner(inner)
}

/// `{x}`, `{{x}}`, `${x}`, `${(x)!}`, `{url(oid)}`, `{status: lead=reg sale=dep}`; not a JSON object.
fn is_brace_macro(text: &str) -> bool {
    let body = text.strip_prefix('$').unwrap_or(text);
    let Some(inner) = between(body, "{", "}") else { return false };
    let inner = between(inner, "{", "}").unwrap_or(inner);
    let is_json = inner.contains(':') && inner.contains('"');
    !inner.trim().is_empty() && !inner.contains(['{', '}']) && !is_json
}

/// `[x]`, `[[[x]]]`, `[=x=]`; not `[1,2]`.
fn is_bracket_macro(text: &str) -> bool {
    let mut inner = text;
    for _ in 0..3 {
        inner = between(inner, "[", "]").unwrap_or(inner);
    }
    let inner = between(inner, "=", "=").unwrap_or(inner);
    let part = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b' ' | b'-' | b'.');
    text.ends_with(']') && begins_with_letter(inner) && inner.bytes().all(part)
}

/// `%x%`, `%%x%%`; not the hex pairs of `%41%`.
fn is_percent_macro(text: &str) -> bool {
    let inner = between(text, "%%", "%%").or_else(|| between(text, "%", "%"));
    inner.is_some_and(|name| {
        name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_') && is_word(name)
    })
}

/// A macro's name with what may stand in it: `s2`, `event-name`, `SUB_ID_SHORT(action)`. It begins
/// with a letter, so that the order name `#1001#` is none.
fn is_name(name: &str) -> bool {
    let part = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'(' | b')' | b'-');
    begins_with_letter(name) && name.bytes().all(part)
}

fn is_word(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn is_dashed_word(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
}

/// `CLICKID` of `__CLICKID__`; lower case is an ordinary word between underscores.
fn is_shouted(name: &str) -> bool {
    let part = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
    name.bytes().any(|b| b.is_ascii_uppercase()) && name.bytes().all(part)
}

fn begins_with_letter(name: &str) -> bool {
    name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic())
}
