//! Phone numbers in E.164 digits: read for their shape, not for whether they are in use.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};

use rlibphonenumber::{NumberLengthType, PHONE_NUMBER_UTIL, PhoneNumber, Region};

use crate::domain::customer::PhoneRegion;
use crate::template::destination::normalize::{Unreadable, is_blank, unless_hashed};

/// A longer text holds more than one phone number.
const MAX_BYTES: usize = 120;
/// As many digits and a note may follow: `+49 170 1234567 (mobil)`.
const LEAST_DIGITS: usize = 7;
/// E.164 allows no more, the calling code included.
const MOST_DIGITS: usize = 15;

/// Of which country a number is that has no calling code. The first that is known counts.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct HomeCountry<'a> {
    pub region: Option<PhoneRegion>,
    /// A calling code in digits: its main country.
    pub calling_code: Option<&'a str>,
}

/// Whether numbers of this country can be read.
pub(crate) fn reads_numbers_of(region: PhoneRegion) -> bool {
    Region::from_code(region.as_str()).is_ok_and(|region| {
        guarded(|| PHONE_NUMBER_UTIL.get_country_code_for_region(region)).flatten().is_some()
    })
}

/// Digits with the country's calling code, and a `+` before them if `plus`. Trunk prefixes (`(0)`), extensions
/// and notes behind the number are left out; `00` is a `+`; letters of a vanity number are its keys.
///
/// A number without a calling code is one of `home`, if it has the length of one. Without a home, one that
/// begins with 0 or has no calling code in front is left out, for its hash would be another person's.
pub(crate) fn phone(text: &str, plus: bool, home: HomeCountry<'_>) -> Result<String, Unreadable> {
    let digits =
        unless_hashed(text, |text| match plain_digits(&without_marks(text)) {
            Some((digits, is_international)) if is_international || home.is_unknown() => {
                if has_shape(digits) { Ok(digits.to_owned()) } else { read(text, home) }
            }
            _ => read(text, home),
        })?;
    let is_number = plus && digits.len() <= MOST_DIGITS;
    Ok(if is_number { format!("+{digits}") } else { digits })
}

impl HomeCountry<'_> {
    fn is_unknown(&self) -> bool {
        self.region.is_none() && self.calling_code.is_none()
    }

    fn region(&self) -> Option<Region> {
        if let Some(region) = self.region {
            return Region::from_code(region.as_str()).ok();
        }
        let code: i32 = self.calling_code?.parse().ok()?;
        PHONE_NUMBER_UTIL.get_region_for_country_code(code)
    }
}

/// The same without what people write between digits, and with a `+` for `00`; as it is where there is more in it.
fn without_marks(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with("00") {
        return Cow::Borrowed(text);
    }
    let is_mark = |c: char| matches!(c, ' ' | '\u{a0}' | '-' | '.' | '(' | ')');
    let mut inside = text.trim().chars().enumerate();
    if !inside.all(|(at, c)| c.is_ascii_digit() || is_mark(c) || (c == '+' && at == 0)) {
        return Cow::Borrowed(text);
    }
    let digits: String = text.chars().filter(|c| !is_mark(*c)).collect();
    match digits.strip_prefix("00") {
        Some(digits) => Cow::Owned(format!("+{digits}")),
        None => Cow::Owned(digits),
    }
}

/// The digits of a text that is nothing but digits, and whether a `+` is before them.
fn plain_digits(text: &str) -> Option<(&str, bool)> {
    let (digits, is_international) = match text.strip_prefix('+') {
        Some(digits) => (digits, true),
        None => (text, false),
    };
    let plain =
        (LEAST_DIGITS..=MOST_DIGITS).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    plain.then_some((digits, is_international))
}

/// Whether a calling code and a number of a length that its countries have follow one another. One with a
/// trunk prefix between them needs a closer look.
fn has_shape(digits: &str) -> bool {
    let mut code = 0;
    if digits.starts_with('0') {
        return false;
    }
    for (at, digit) in digits.bytes().take(3).enumerate() {
        code = code * 10 + usize::from(digit.wrapping_sub(b'0'));
        let lengths = LENGTHS.get(code).copied().unwrap_or(0);
        if lengths != 0 {
            let national = digits.get(at + 1..).unwrap_or_default();
            return !national.starts_with('0') && lengths & (1 << national.len()) != 0;
        }
    }
    false
}

/// The digits behind the calling code, of a number that is all digits and begins with one.
pub(crate) fn national(digits: &str) -> Option<String> {
    let (mut code, mut found) = (0, None);
    for (at, digit) in digits.bytes().take(3).enumerate() {
        code = code * 10 + usize::from(digit.wrapping_sub(b'0'));
        if found.is_none() && LENGTHS.get(code).is_some_and(|lengths| *lengths != 0) {
            found = digits.get(at + 1..);
        }
    }
    found.map(str::to_owned)
}

/// Of each calling code, which lengths its countries' numbers have: bit 10 is ten digits.
static LENGTHS: LazyLock<Vec<u32>> = LazyLock::new(|| {
    let mut lengths = vec![0; 1000];
    let found = guarded(|| {
        for country_code in PHONE_NUMBER_UTIL.get_supported_calling_codes() {
            let Some(mask) = usize::try_from(country_code).ok().and_then(|code| lengths.get_mut(code)) else {
                continue;
            };
            let mut national_number = 1;
            for length in 1..MOST_DIGITS {
                let number = PhoneNumber { country_code, national_number, ..PhoneNumber::default() };
                *mask |= u32::from(is_possible(&number)) << length;
                national_number *= 10;
            }
        }
    });
    found.map(|()| lengths).unwrap_or_default()
});

/// Whether whole numbers of its country have this length.
fn is_possible(number: &PhoneNumber) -> bool {
    let reason = PHONE_NUMBER_UTIL.is_possible_number_with_reason(number);
    matches!(reason, Ok(NumberLengthType::IsPossible))
}

fn read(text: &str, home: HomeCountry<'_>) -> Result<String, Unreadable> {
    if text.len() > MAX_BYTES {
        return Err(Unreadable::Malformed);
    }
    let plain = plainly(text);
    let home = guarded(|| home.region()).flatten();
    let whole = without_note(&plain).unwrap_or(&plain);
    let mut readings = [Some(whole), before_slash(whole), Some(plain.as_str())].into_iter().flatten();
    match readings.find_map(|reading| one(reading, home)) {
        Some(digits) => Ok(digits),
        None if home.is_none() && is_national(&plain) => Err(Unreadable::NoCallingCode),
        None => Err(Unreadable::Malformed),
    }
}

/// Whether it looks like a whole number that only lacks its calling code.
fn is_national(plain: &str) -> bool {
    let digits = digits_of(plain);
    !plain.contains('+') && !digits.starts_with("00") && (LEAST_DIGITS..=MOST_DIGITS).contains(&digits.len())
}

/// In ASCII: digits of other scripts as ours, signs and letters as they are, all else a space. So nothing that
/// reads it can meet half a character, and no message of a library can show one.
fn plainly(text: &str) -> String {
    let sign = |c: char| match c {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '+' | '-' | '.' | '(' | ')' | '/' | '#' | ';' | ',' => c,
        '\u{FF0B}' => '+',
        '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{FF0D}' => '-',
        _ => digit(c).unwrap_or(' '),
    };
    text.chars()
        .filter(|c| c.is_ascii() || !is_blank(*c) || c.is_whitespace())
        .map(sign)
        .collect::<String>()
        .trim()
        .to_owned()
}

/// Arabic-Indic, Persian, Devanagari, Bengali, Thai and full-width digits.
fn digit(c: char) -> Option<char> {
    const ZEROS: [char; 6] = ['\u{660}', '\u{6F0}', '\u{966}', '\u{9E6}', '\u{E50}', '\u{FF10}'];
    let value = ZEROS
        .iter()
        .find_map(|zero| u32::from(c).checked_sub(u32::from(*zero)).filter(|value| *value < 10))?;
    char::from_digit(value, 10)
}

/// Without what follows a whole number: an extension or a note. `None` where nothing does.
fn without_note(plain: &str) -> Option<&str> {
    let mut digits = 0;
    let cut = plain.find(|c: char| {
        digits += usize::from(c.is_ascii_digit());
        digits >= LEAST_DIGITS && (c.is_ascii_alphabetic() || matches!(c, '#' | ';' | ','))
    })?;
    plain.get(..cut)
}

/// The first of two numbers. Between them is a slash; one behind an area code divides nothing.
fn before_slash(plain: &str) -> Option<&str> {
    let is_number = |text: &str| digits_of(text).len() >= LEAST_DIGITS;
    plain
        .split_once('/')
        .filter(|(first, second)| is_number(first) && is_number(second))
        .map(|(first, _)| first)
}

fn digits_of(text: &str) -> String {
    text.chars().filter(char::is_ascii_digit).collect()
}

/// One number in E.164 digits.
fn one(plain: &str, home: Option<Region>) -> Option<String> {
    // Words in front, such as `Tel.`, are no part of it.
    let plain = plain.find(|c: char| c == '+' || c.is_ascii_digit()).and_then(|at| plain.get(at..))?;
    let digits = digits_of(plain);
    let has_letters = plain.contains(|c: char| c.is_ascii_alphabetic());
    let is_international = plain.starts_with('+');
    if is_international || digits.starts_with("00") {
        let number = format!("+{}", plain.trim_start_matches(['+', '0', ' ', '(', ')', '-', '.']));
        let found = parse(&number, None).filter(|number| !has_letters || is_valid(number));
        if found.is_some() || is_international {
            return found.map(|number| e164(&number));
        }
    }
    let national = home.and_then(|home| parse(plain, Some(home)));
    let national = national.filter(|number| !has_letters || is_valid(number));
    // What begins with 0 has no calling code in front.
    let international =
        if digits.starts_with('0') || has_letters { None } else { parse(&format!("+{digits}"), None) };
    match (national, international) {
        (Some(national), Some(international)) => Some(e164(likelier(&digits, &national, &international))),
        (found, other) => found.or(other).map(|number| e164(&number)),
    }
}

/// Which of two readings of the same digits is meant: with or without a calling code in front.
fn likelier<'n>(digits: &str, national: &'n PhoneNumber, international: &'n PhoneNumber) -> &'n PhoneNumber {
    let is_sole_length = || {
        let code = usize::try_from(national.country_code).unwrap_or(0);
        LENGTHS.get(code).is_some_and(|lengths| *lengths == 1 << digits.len().min(MOST_DIGITS))
    };
    let begins_with_own = international.country_code == national.country_code;
    match (is_valid(national), is_valid(international)) {
        (true, false) => national,
        (false, true) if begins_with_own || !is_sole_length() => international,
        _ if begins_with_own => international,
        _ => national,
    }
}

/// A number whose length is one that whole numbers of its country have.
fn parse(text: &str, region: Option<Region>) -> Option<PhoneNumber> {
    guarded(|| {
        let number = PHONE_NUMBER_UTIL.parse(text, region).ok()?;
        is_possible(&number).then_some(number)
    })
    .flatten()
}

fn is_valid(number: &PhoneNumber) -> bool {
    guarded(|| PHONE_NUMBER_UTIL.is_valid_number(number)).unwrap_or(false)
}

fn e164(number: &PhoneNumber) -> String {
    format!("{}{}", number.country_code, national_digits(number))
}

fn national_digits(number: &PhoneNumber) -> Cow<'static, str> {
    guarded(|| number.get_national_significant_number()).map_or(Cow::Borrowed(""), Cow::Owned)
}

/// What the library finds; a fault inside it costs the one number. It is logged once: without the number, which
/// does not belong in a log, each report would be the same.
fn guarded<T>(find: impl FnOnce() -> T) -> Option<T> {
    static REPORTED: AtomicBool = AtomicBool::new(false);
    let found = catch_unwind(AssertUnwindSafe(find)).ok();
    if found.is_none() && !REPORTED.swap(true, Ordering::Relaxed) {
        tracing::error!("a phone number could not be read: its parser failed inside; the field is left out");
    }
    found
}
