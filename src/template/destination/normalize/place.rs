//! Cities, states, postal codes and countries.

use std::collections::{HashMap, HashSet};
use std::str::SplitWhitespace;
use std::sync::LazyLock;

use crate::template::destination::normalize::{Unreadable, is_mark, lower_without, unless_hashed};

/// A line each: a code, then what else it is known by. Other lines begin with `#`.
const COUNTRIES: &str = include_str!("../../../../templates/places/countries.txt");
const US_STATES: &str = include_str!("../../../../templates/places/us-states.txt");

/// Lower-case, without punctuation, white space and digits; letters of every script are kept.
pub(crate) fn city(text: &str) -> Result<String, Unreadable> {
    unless_hashed(text, |text| Ok(lower_without(text, is_mark_or_digit)))
}

/// Lower-case without punctuation and white space; a state of the US by its two letters, where the
/// country is the US or not known.
pub(crate) fn state(text: &str, within: Option<&str>) -> Result<String, Unreadable> {
    unless_hashed(text, |text| {
        let plain = lower_without(text, is_mark_or_digit);
        if plain.len() == 2 {
            return Ok(plain);
        }
        let in_us = within.and_then(country_code).is_none_or(|country| country == "us");
        let code = US_STATE_NAMES.get(plain.as_str()).filter(|_| in_us);
        Ok(code.map_or(plain, |code| (*code).to_owned()))
    })
}

/// How a platform wants postal codes. Of the US they are five digits in each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum ZipForm {
    /// Cut at a `-`; of the UK area, district and sector.
    #[default]
    Cut,
    /// Nothing of it is cut.
    Whole,
    /// Digits alone. One with letters is none: what is left of it would be another place's.
    Digits,
}

/// Lower-case without white space, in the form that is asked for.
pub(crate) fn zip(text: &str, within: Option<&str>, form: ZipForm) -> Result<String, Unreadable> {
    unless_hashed(text, |text| {
        let country = within.and_then(country_code);
        if country.is_some_and(|country| US_POST.contains(&country)) {
            return us_zip(text).ok_or(Unreadable::Malformed);
        }
        if country.is_none()
            && let Some(whole) = us_zip_by_its_look(text)
        {
            return Ok(whole);
        }
        match form {
            ZipForm::Cut => {
                let head = text.split('-').next().unwrap_or_default();
                let plain = without_blanks(head);
                let cut = if country == Some("gb") { british_sector(&plain) } else { &plain };
                unless_empty(cut.to_owned())
            }
            ZipForm::Whole => unless_empty(without_blanks(text)),
            ZipForm::Digits => digits_alone(text).ok_or(Unreadable::Malformed),
        }
    })
}

fn without_blanks(text: &str) -> String {
    lower_without(text, |c| c.is_whitespace() || c.is_control())
}

fn unless_empty(plain: String) -> Result<String, Unreadable> {
    if plain.contains(char::is_alphanumeric) { Ok(plain) } else { Err(Unreadable::Malformed) }
}

/// `00-950` → `00950`. What is in front of the first digit may be a country's letters: `FI-00100`, `D-10115`.
fn digits_alone(text: &str) -> Option<String> {
    // A number that a spreadsheet wrote as a decimal.
    let text = text.strip_suffix(".0").unwrap_or(text);
    let first_digit = text.find(|c: char| c.is_ascii_digit())?;
    let (front, digits) = text.split_at(first_digit);
    let letters = front.trim_end_matches(is_mark);
    let is_prefix = letters.len() <= 2 && letters.bytes().all(|b| b.is_ascii_alphabetic());
    if !(is_prefix && (letters.is_empty() || letters.len() < front.len())) {
        return None;
    }
    let plain = lower_without(digits, is_mark);
    plain.bytes().all(|b| b.is_ascii_digit()).then_some(plain)
}

/// The US and what its post delivers to.
const US_POST: [&str; 9] = ["us", "pr", "vi", "gu", "as", "mp", "fm", "mh", "pw"];

/// Five digits however they are written: `94107-1234`, `941071234`, `CA 94107`, and `2108` or `2108-1234`, of
/// which a spreadsheet took the leading 0.
fn us_zip(text: &str) -> Option<String> {
    // A number that a spreadsheet wrote as a decimal.
    let text = text.strip_suffix(".0").unwrap_or(text);
    let mut groups = text.split(|c: char| !c.is_ascii_digit()).filter(|group| !group.is_empty());
    let (first, second, third) = (groups.next()?, groups.next(), groups.next());
    let digits = match (first.len(), second.map(str::len), third) {
        (5 | 9, None, _) | (5, Some(_), _) => first.to_owned(),
        (3 | 4, None, _) | (3 | 4, Some(4), None) => format!("{first:0>5}"),
        (7 | 8, None, _) => format!("{first:0>9}"),
        _ => return None,
    };
    let five = digits.get(..5)?;
    (five.bytes().any(|b| b != b'0')).then(|| five.to_owned())
}

/// The same where the country is not known: only what has all of its digits and looks like nothing else. Two
/// letters in front are a state's or, as in `FI-00100`, a country's, whose code is the five digits then too.
fn us_zip_by_its_look(text: &str) -> Option<String> {
    let separated = |c: char| c.is_whitespace() || matches!(c, '-' | '\u{2010}'..='\u{2015}' | '+');
    let is_prefix = |letters: &str| letters.len() == 2 && letters.bytes().all(|b| b.is_ascii_alphabetic());
    let text = match text.split_once(separated) {
        Some((letters, behind)) if is_prefix(letters) => behind.trim_start_matches(separated),
        _ => text.strip_suffix(".0").unwrap_or(text),
    };
    let (five, four) = match text.split_once(separated) {
        Some((five, four)) => (five, four.trim_start_matches(separated)),
        None if text.len() == 9 => text.split_at_checked(5)?,
        None => (text, ""),
    };
    let is_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    let is_whole = five.len() == 5 && matches!(four.len(), 0 | 4) && is_digits(five) && is_digits(four);
    is_whole.then(|| five.to_owned())
}

/// `sw1a1aa` → `sw1a1`: without the two letters of the unit, where they are there.
fn british_sector(plain: &str) -> &str {
    let unit = plain.len().checked_sub(2).and_then(|at| plain.split_at_checked(at));
    match unit {
        Some((sector, unit))
            if sector.ends_with(|c: char| c.is_ascii_digit())
                && sector.len() >= 3
                && unit.bytes().all(|b| b.is_ascii_alphabetic()) =>
        {
            sector
        }
        _ => plain,
    }
}

/// ISO 3166 alpha-2 in lower case, from that code, from alpha-3 or from a name.
pub(crate) fn country(text: &str) -> Result<String, Unreadable> {
    unless_hashed(text, |text| country_code(text).map(str::to_owned).ok_or(Unreadable::Malformed))
}

/// The country's two letters; `None` for what names none.
pub(crate) fn country_code(text: &str) -> Option<&'static str> {
    let text = text.trim();
    if let [first, second] = text.as_bytes()
        && let Some(code) = assigned([*first, *second].map(|b| b.to_ascii_lowercase()))
    {
        return Some(code);
    }
    by_name(text).or_else(|| {
        // `United States (US)`, as shops show it: where both name the same country.
        let (name, code) = text.strip_suffix(')')?.rsplit_once('(')?;
        by_name(name).filter(|country| code.len() <= 3 && country_code(code) == Some(country))
    })
}

fn assigned(letters: [u8; 2]) -> Option<&'static str> {
    COUNTRY_CODES.get(str::from_utf8(&letters).ok()?).copied()
}

fn by_name(text: &str) -> Option<&'static str> {
    if text.len() > MAX_COUNTRY_BYTES {
        return None;
    }
    let words = fold(text);
    let mut joined = String::with_capacity(words.len());
    for word in words.split(|c: char| !c.is_alphanumeric()) {
        match word {
            "and" | "the" => {}
            "st" => joined.push_str("saint"),
            word => joined.push_str(word),
        }
    }
    // A code is looked for with every letter: Andorra's is AND.
    let code = words.trim();
    [code, joined.as_str()].iter().find_map(|name| NAMES.get(name).copied())
}

/// The longest name has fewer.
const MAX_COUNTRY_BYTES: usize = 100;

/// Every alpha-2 code.
static COUNTRY_CODES: LazyLock<HashSet<&'static str>> =
    LazyLock::new(|| rows(COUNTRIES).map(|(code, _)| code).collect());

/// Every alpha-3 code and every name, with the country's alpha-2.
static NAMES: LazyLock<HashMap<&'static str, &'static str>> = LazyLock::new(|| by_name_in(COUNTRIES));
static US_STATE_NAMES: LazyLock<HashMap<&'static str, &'static str>> =
    LazyLock::new(|| by_name_in(US_STATES));

fn rows(table: &'static str) -> impl Iterator<Item = (&'static str, SplitWhitespace<'static>)> {
    let lines = table.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| {
        let mut words = line.split_whitespace();
        Some((words.next()?, words))
    })
}

fn by_name_in(table: &'static str) -> HashMap<&'static str, &'static str> {
    rows(table).flat_map(|(code, names)| names.map(move |name| (name, code))).collect()
}

/// Lower case, Latin letters without their marks. Only for looking words up: what is hashed keeps its marks.
pub(crate) fn fold(text: &str) -> String {
    let lower = text.to_lowercase();
    if lower.is_ascii() {
        return lower;
    }
    let mut folded = String::with_capacity(lower.len());
    for c in lower.chars() {
        match c {
            '\u{300}'..='\u{36F}' => {}
            'à'..='å' | 'ā' | 'ă' | 'ą' => folded.push('a'),
            'æ' => folded.push_str("ae"),
            'ç' | 'ć' | 'č' => folded.push('c'),
            'è'..='ë' | 'ē' | 'ę' | 'ě' => folded.push('e'),
            'ğ' => folded.push('g'),
            'ì'..='ï' | 'ī' | 'ı' => folded.push('i'),
            'ł' => folded.push('l'),
            'ñ' | 'ń' | 'ň' => folded.push('n'),
            'ò'..='ö' | 'ø' | 'ō' | 'ő' => folded.push('o'),
            'ř' => folded.push('r'),
            'ś' | 'š' | 'ş' | 'ș' => folded.push('s'),
            'ß' => folded.push_str("ss"),
            'ţ' | 'ț' => folded.push('t'),
            'ù'..='ü' | 'ū' | 'ů' | 'ű' => folded.push('u'),
            'ý' | 'ÿ' => folded.push('y'),
            'ź' | 'ż' | 'ž' => folded.push('z'),
            other => folded.push(other),
        }
    }
    folded
}

fn is_mark_or_digit(c: char) -> bool {
    is_mark(c) || c.is_numeric()
}
