//! What may be between the marks of a macro, and what only looks like one: orders' names, GUIDs, objects.

/// The fewest digits by which a name counts something.
const COUNTING_DIGITS: usize = 3;

/// Words that reports write in parentheses and mean.
const MEANT_IN_PARENTHESES: [&str; 3] = ["direct", "none", "other"];

/// `event-name`, `SUB_ID_SHORT(action)`.
pub fn name(text: &str) -> bool {
    let part = |b: u8| is_word_part(b) || matches!(b, b'.' | b'(' | b')' | b'-');
    begins_with_letter(text) && text.bytes().all(part)
}

/// `s2` of `#s2#`; not what shops call their orders: `#1001#`, `#EN1001#`.
pub fn between_hashes(text: &str) -> bool {
    name(text) && !is_orders_name(text)
}

/// `clickRef`: letters, digits and underscores.
pub fn word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_word_part)
}

/// A word in which there may be dashes.
pub fn dashed(text: &str) -> bool {
    text.bytes().any(|b| b.is_ascii_alphabetic())
        && text.bytes().all(|b| is_word_part(b) || b == b'-')
        && !is_orders_name(text)
}

/// `event-name` of `(event-name)`; not the `direct` of a report.
pub fn in_parentheses(text: &str) -> bool {
    let is_meant = MEANT_IN_PARENTHESES.iter().any(|meant| text.eq_ignore_ascii_case(meant));
    begins_with_letter(text) && dashed(text) && !is_meant
}

/// Whatever braces may be around: `x`, `url(oid)`, `status: lead=reg sale=dep`, `0`; no object and no number.
pub fn braced(text: &str) -> bool {
    let quotes = ['"', '\''];
    let is_object = text.contains(':') && text.contains('"') || text.trim_start().starts_with(quotes);
    let is_place = matches!(text.len(), 1..=2) && text.bytes().all(|b| b.is_ascii_digit());
    !text.contains(['{', '}']) && (text.chars().any(char::is_alphabetic) || is_place) && !is_object
}

/// What is between braces within other text: a name, also `$x` and `_x`, or one with what it turns into.
pub fn braced_within(text: &str) -> bool {
    let bare = text.strip_prefix(['$', '_']).unwrap_or(text);
    let turns = |(name, into): (&str, &str)| word(name) && into.contains('=') && !into.contains('"');
    name(bare) && !is_guid(bare) || bare.split_once(':').is_some_and(turns)
}

/// `x` of `[x]`, also in words; not the `1,2` of a list and not the `USD 7.00` of a price.
pub fn bracketed(text: &str) -> bool {
    let part = |b: u8| is_word_part(b) || matches!(b, b' ' | b'-' | b'.');
    text.split(' ').all(begins_with_letter) && text.bytes().all(part) && !is_orders_name(text)
}

/// `goal_id` of `8817-[goal_id]`; not the `SHOP` of `[SHOP]-1001`.
pub fn bracketed_at_end(text: &str) -> bool {
    bracketed(text) && text.bytes().any(|b| b.is_ascii_lowercase() || b == b'_')
}

/// Between percent signs; not the hexadecimal pairs of `%41%`.
pub fn between_percents(text: &str) -> bool {
    text.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_') && word(text)
}

/// The same next to other text, where a pair would be one of an encoding.
pub fn percents_at_end(text: &str) -> bool {
    text.len() > 2 && between_percents(text)
}

/// `CLICKID` of `__CLICKID__`; lower case is an ordinary word between underscores.
pub fn shouted(text: &str) -> bool {
    let part = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
    text.bytes().any(|b| b.is_ascii_uppercase()) && text.bytes().all(part)
}

/// `{3F2504E0-4F89-11D3-9A0C-0305E82C3301}`, in braces, brackets or parentheses: so some systems write a
/// GUID, and it is an id.
pub fn is_enclosed_guid(text: &str) -> bool {
    [('{', '}'), ('(', ')'), ('[', ']')].iter().any(|(open, close)| {
        text.strip_prefix(*open).and_then(|rest| rest.strip_suffix(*close)).is_some_and(is_guid)
    })
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

/// `A-1001`, `EN1001`: capitals and a number of some digits, as a shop names its orders. A macro has no such name.
fn is_orders_name(text: &str) -> bool {
    let number = text.trim_start_matches(|c: char| c.is_ascii_uppercase());
    let digits = number.bytes().filter(u8::is_ascii_digit).count();
    number.len() < text.len()
        && digits >= COUNTING_DIGITS
        && number.bytes().all(|b| b.is_ascii_digit() || b == b'-')
}

fn is_word_part(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'_'
}

fn begins_with_letter(text: &str) -> bool {
    text.bytes().next().is_some_and(|b| b.is_ascii_alphabetic())
}
