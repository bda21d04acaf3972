//! Customer data in the one spelling that gives the one hash. Every function is total: what it cannot read, it leaves out.

pub(crate) mod birthdate;
pub(crate) mod email;
pub(crate) mod phone;
pub(crate) mod place;
pub(crate) mod stamp;

use crate::domain::address;
use crate::template::destination::digest::already_hashed;

/// Why a value has no one spelling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// It is not what the field is for.
    Malformed,
    /// Day and month cannot be distinguished.
    DayOrMonth,
    /// A phone number without a calling code, and no one said of which country it is.
    NoCallingCode,
}

/// Words and macro skeletons that some senders leave where a value should stand.
pub(crate) fn is_skeleton(text: &str) -> bool {
    let text = text.trim();
    let word = ["null", "undefined", "none", "n/a", "nan"].iter().any(|word| text.eq_ignore_ascii_case(word));
    let framed = [('{', '}'), ('#', '#'), ('[', ']'), ('%', '%'), ('<', '>')];
    word || text.len() > 1 && framed.iter().any(|(from, to)| text.starts_with(*from) && text.ends_with(*to))
}

/// A hash as it is, lower-cased; anything else as `read` spells it.
pub(crate) fn unless_hashed(
    text: &str,
    read: impl FnOnce(&str) -> Result<String, Unreadable>,
) -> Result<String, Unreadable> {
    let text = text.trim_matches(is_blank);
    if text.is_empty() || is_skeleton(text) {
        return Err(Unreadable::Malformed);
    }
    match already_hashed(text) {
        Some(hash) => Ok(hash),
        None => {
            read(text).and_then(|text| if text.is_empty() { Err(Unreadable::Malformed) } else { Ok(text) })
        }
    }
}

/// The text, for a place where a platform reads it: a hash says nothing there.
pub(crate) fn unhashed(text: &str) -> Result<String, Unreadable> {
    match already_hashed(text.trim_matches(is_blank)) {
        Some(_) => Err(Unreadable::Malformed),
        None => Ok(text.to_owned()),
    }
}

/// White space, and what has no width at all: marks that copied texts begin and end with.
pub(crate) fn is_blank(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{AD}' | '\u{200B}'..='\u{200F}' | '\u{2060}' | '\u{FEFF}')
}

/// Lower-case, without punctuation and white space; letters of every script are kept.
pub(crate) fn person_name(text: &str) -> Result<String, Unreadable> {
    unless_hashed(text, |text| Ok(lower_without(text, is_mark)))
}

/// `f` or `m`; nothing else is known to any platform.
pub(crate) fn gender(text: &str) -> Result<String, Unreadable> {
    unless_hashed(text, |text| match text.to_lowercase().as_str() {
        "f" | "female" | "woman" => Ok("f".to_owned()),
        "m" | "male" | "man" => Ok("m".to_owned()),
        _ => Err(Unreadable::Malformed),
    })
}

/// An IPv4 or IPv6 address in its usual spelling, where a visitor can have it; never hashed.
pub(crate) fn ip(text: &str) -> Option<String> {
    address::visitors(text).map(|ip| ip.to_string())
}

/// The text, if it begins as a web address does; never changed.
pub(crate) fn web_url(text: &str) -> Option<String> {
    let text = text.trim();
    let head = text.get(..8).unwrap_or(text).to_ascii_lowercase();
    (head.starts_with("http://") || head.starts_with("https://")).then(|| text.to_owned())
}

/// `CompleteRegistration` → `complete_registration`: lower case, words joined by `_`, nothing but `[a-z0-9_]`.
pub(crate) fn snake(text: &str) -> String {
    let mut snake = String::with_capacity(text.len() + 4);
    let mut lower_before = false;
    for c in text.chars() {
        if c.is_ascii_uppercase() && lower_before {
            snake.push('_');
        }
        lower_before = c.is_ascii_lowercase() || c.is_ascii_digit();
        snake.push(if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' });
    }
    snake
}

/// Lower case, and then without what `drop` names. The text is lower-cased whole: which form a letter has may
/// depend on its place in the word, as that of the Greek sigma does.
pub(crate) fn lower_without(text: &str, drop: impl Fn(char) -> bool) -> String {
    if text.is_ascii() {
        return text.chars().filter(|c| !drop(*c)).map(|c| c.to_ascii_lowercase()).collect();
    }
    let mut lower = text.to_lowercase();
    lower.retain(|c| !drop(c));
    lower
}

/// Punctuation, white space, control and format characters: what no name is distinguished by.
pub(crate) fn is_mark(c: char) -> bool {
    c.is_whitespace()
        || c.is_control()
        || c.is_ascii_punctuation()
        || matches!(u32::from(c), 0x2000..=0x206F | 0x3000..=0x3004 | 0x3008..=0x3020 | 0x3030 | 0xFE30..=0xFE4F | 0xFEFF)
        || (matches!(u32::from(c), 0x80..=0xBF | 0xD7 | 0xF7 | 0xFF01..=0xFF20 | 0xFF3B..=0xFF40 | 0x30FB)
            && !c.is_alphanumeric())
}
