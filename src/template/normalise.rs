//! Customer data in the one spelling that gives the one hash. Every function is total: null for what it cannot read.

use crate::domain::address;
use crate::template::bytes::already_hashed;
use crate::template::places;

/// Words and macro skeletons that some senders leave where a value should stand.
pub(crate) fn is_skeleton(text: &str) -> bool {
    let text = text.trim();
    let word = ["null", "undefined", "none", "n/a"].iter().any(|word| text.eq_ignore_ascii_case(word));
    let framed = [('{', '}'), ('#', '#'), ('[', ']'), ('%', '%'), ('<', '>')];
    word || text.len() > 1 && framed.iter().any(|(from, to)| text.starts_with(*from) && text.ends_with(*to))
}

fn unless_hashed(text: &str, read: impl Fn(&str) -> Option<String>) -> Option<String> {
    let text = text.trim();
    if text.is_empty() || is_skeleton(text) {
        return None;
    }
    already_hashed(text).or_else(|| read(text)).filter(|text| !text.is_empty())
}

/// Trimmed and lower-cased; one `@` with something on both sides and no white space.
pub(crate) fn email(text: &str) -> Option<String> {
    unless_hashed(text, |text| {
        let (name, host) = text.split_once('@')?;
        let plain = |part: &str| !part.is_empty() && !part.contains(['@', ' ', '\t', '\n', '\r']);
        (plain(name) && plain(host)).then(|| text.to_lowercase())
    })
}

/// Digits with the country's calling code, and a `+` before them if `plus`.
///
/// `00` is read as `+`. A number that begins with a single 0 is a national one: `calling_code`
/// replaces the 0, and without it the number is left out, for its hash would belong to somebody else.
pub(crate) fn phone(text: &str, plus: bool, calling_code: Option<&str>) -> Option<String> {
    unless_hashed(text, |text| {
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        let international = text.trim_start_matches(['(', ' ']).starts_with('+');
        let whole = match digits.strip_prefix("00") {
            Some(rest) => rest.trim_start_matches('0').to_owned(),
            None if international => digits.trim_start_matches('0').to_owned(),
            None => match digits.strip_prefix('0') {
                Some(rest) => {
                    let code: String = calling_code?.chars().filter(char::is_ascii_digit).collect();
                    if code.is_empty() {
                        return None;
                    }
                    code + rest
                }
                None => digits,
            },
        };
        let sign = if plus { "+" } else { "" };
        (7..=15).contains(&whole.len()).then(|| format!("{sign}{whole}"))
    })
}

/// Lower-case, without punctuation and white space; letters of every script are kept.
pub(crate) fn person_name(text: &str) -> Option<String> {
    unless_hashed(text, |text| Some(lower_without(text, is_mark)))
}

/// Lower-case, without punctuation, white space and digits; letters of every script are kept.
pub(crate) fn city(text: &str) -> Option<String> {
    unless_hashed(text, |text| Some(lower_without(text, |c| is_mark(c) || c.is_numeric())))
}

/// Lower-case without punctuation and white space; a state of the US by its two letters, where the
/// country is the US or not told.
pub(crate) fn state(text: &str, within: Option<&str>) -> Option<String> {
    unless_hashed(text, |text| {
        let plain = lower_without(text, |c| is_mark(c) || c.is_numeric());
        let in_us = within.and_then(country).is_none_or(|country| country == "us");
        let code = places::us_state(&plain).filter(|_| in_us);
        Some(code.map_or(plain, str::to_owned))
    })
}

/// Lower-case without white space, cut at a `-`; of the UK: area, district and sector.
pub(crate) fn zip(text: &str, within: Option<&str>) -> Option<String> {
    unless_hashed(text, |text| {
        let head = text.split('-').next().unwrap_or_default();
        let plain: String =
            head.chars().filter(|c| !c.is_whitespace()).flat_map(char::to_lowercase).collect();
        let british = within.and_then(country).is_some_and(|country| country == "gb");
        let unit = plain.len().checked_sub(2).and_then(|at| plain.split_at_checked(at));
        match unit {
            Some((sector, unit))
                if british
                    && sector.ends_with(|c: char| c.is_ascii_digit())
                    && sector.len() >= 3
                    && unit.bytes().all(|b| b.is_ascii_alphabetic()) =>
            {
                Some(sector.to_owned())
            }
            _ => Some(plain),
        }
    })
}

/// ISO 3166 alpha-2 in lower case; a few names and three-letter codes are understood.
pub(crate) fn country(text: &str) -> Option<String> {
    unless_hashed(text, |text| {
        let plain = lower_without(text, is_mark);
        let two = plain.len() == 2 && plain.bytes().all(|b| b.is_ascii_lowercase());
        places::country_alias(&plain).map(str::to_owned).or(two.then_some(plain))
    })
}

/// `f` or `m`; nothing else is known to any platform.
pub(crate) fn gender(text: &str) -> Option<String> {
    unless_hashed(text, |text| match text.to_lowercase().as_str() {
        "f" | "female" | "woman" => Some("f".to_owned()),
        "m" | "male" | "man" => Some("m".to_owned()),
        _ => None,
    })
}

/// `YYYYMMDD` from a date that begins with its year; others could be read two ways and are left out.
pub(crate) fn birthdate(text: &str) -> Option<String> {
    unless_hashed(text, |text| {
        let day = text.split(['T', ' ']).next().unwrap_or_default();
        let digits: String = day.chars().filter(char::is_ascii_digit).collect();
        let separators: String = day.chars().filter(|c| !c.is_ascii_digit()).collect();
        let known = matches!(separators.as_str(), "" | "--" | "//" | "..");
        let number = |from: usize, to: usize| digits.get(from..to).and_then(|d| d.parse::<i8>().ok());
        let year: i16 = digits.get(0..4)?.parse().ok()?;
        jiff::civil::Date::new(year, number(4, 6)?, number(6, 8)?).ok()?;
        let year_first = separators.is_empty() || day.find(|c: char| !c.is_ascii_digit()) == Some(4);
        (known && year_first && digits.len() == 8 && (1900..=2100).contains(&year)).then_some(digits)
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

/// Whether a landing parameter can be a click id at all: visible ASCII and no skeleton. It is never changed.
pub(crate) fn is_click_parameter(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic()) && !is_skeleton(text)
}

/// The last part of `{platform}.{number}.{milliseconds}.{payload}`, with whatever is appended to it.
pub(crate) fn stamped_payload<'c>(cookie: &'c str, platform: &str) -> Option<&'c str> {
    let mut parts = cookie.splitn(4, '.');
    let (first, index, millis, payload) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    (first == platform && digits(index) && digits(millis) && is_click_parameter(payload)).then_some(payload)
}

/// Whether the cookie speaks of this click parameter; a fifth part may follow it.
pub(crate) fn stamps(cookie: &str, platform: &str, param: &str) -> bool {
    stamped_payload(cookie, platform)
        .and_then(|payload| payload.strip_prefix(param))
        .is_some_and(|rest| rest.is_empty() || rest.strip_prefix('.').is_some_and(|end| !end.contains('.')))
}

fn lower_without(text: &str, drop: impl Fn(char) -> bool) -> String {
    text.chars().filter(|c| !drop(*c)).flat_map(char::to_lowercase).collect()
}

/// Punctuation, white space, control and format characters: what no name is told apart by.
fn is_mark(c: char) -> bool {
    c.is_whitespace()
        || c.is_control()
        || c.is_ascii_punctuation()
        || matches!(u32::from(c), 0x2000..=0x206F | 0x3000..=0x3004 | 0x3008..=0x3020 | 0x3030 | 0xFE30..=0xFE4F)
        || (matches!(u32::from(c), 0x80..=0xBF | 0xD7 | 0xF7 | 0xFF01..=0xFF20 | 0xFF3B..=0xFF40 | 0x30FB)
            && !c.is_alphanumeric())
}
