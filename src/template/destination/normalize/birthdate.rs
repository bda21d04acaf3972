//! Birthdates as `YYYYMMDD`, from the ways people and programs write a date.

use crate::domain::customer::DateOrder;
use crate::domain::time::Time;
use crate::template::destination::normalize::place::fold;
use crate::template::destination::normalize::{Unreadable, unless_hashed};

/// No one who buys was born earlier.
const FIRST_YEAR: i16 = 1900;
/// A longer text is not a date.
const MAX_BYTES: usize = 80;
const YEAR_MS: i64 = 31_556_952_000;

/// `YYYYMMDD`. Where day and month could be either, `order` says which is first.
///
/// A year of two digits is read only where it can be no year of this century: `31-DEC-90` is 1990, and
/// `31-DEC-05` is left out, because it is as well 1905 as 2005.
pub(crate) fn birthdate(text: &str, order: Option<DateOrder>, now: Time) -> Result<String, Unreadable> {
    unless_hashed(text, |text| {
        let read = DateHints {
            order,
            this_year: i16::try_from(1970 + now.as_millis() / YEAR_MS).unwrap_or(i16::MAX),
        };
        if text.len() > MAX_BYTES {
            return Err(Unreadable::Malformed);
        }
        read.date(&tokens(text))
    })
}

/// A stretch of digits or of letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DateToken<'t> {
    Digits(&'t str),
    Word(&'t str),
}

/// The text's digits and words in order, without a time of day, which is known by its first `:`.
fn tokens(text: &str) -> Vec<DateToken<'_>> {
    let mut tokens = Vec::with_capacity(4);
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let same: fn(char) -> bool = match first {
            _ if first.is_ascii_digit() => |c| c.is_ascii_digit(),
            _ if first.is_alphabetic() => char::is_alphabetic,
            ':' => {
                // The hour is before it; and before the hour, perhaps, the `T` of ISO 8601.
                tokens.pop();
                if tokens.last() == Some(&DateToken::Word("T")) {
                    tokens.pop();
                }
                break;
            }
            _ => {
                rest = rest.get(first.len_utf8()..).unwrap_or_default();
                continue;
            }
        };
        let end = rest.find(|c| !same(c)).unwrap_or(rest.len());
        let (token, behind) = rest.split_at(end);
        tokens.push(if first.is_ascii_digit() { DateToken::Digits(token) } else { DateToken::Word(token) });
        rest = behind;
    }
    tokens
}

struct DateHints {
    order: Option<DateOrder>,
    this_year: i16,
}

impl DateHints {
    fn date(&self, tokens: &[DateToken<'_>]) -> Result<String, Unreadable> {
        let mut numbers: Vec<&str> = Vec::with_capacity(3);
        let mut month = None;
        for token in tokens {
            match token {
                DateToken::Digits(digits) => numbers.push(digits),
                DateToken::Word(word) if is_filler(word) => {}
                DateToken::Word(word) => {
                    let named = month_of(word).ok_or(Unreadable::Malformed)?;
                    if month.replace(named).is_some() {
                        return Err(Unreadable::Malformed);
                    }
                }
            }
        }
        match (numbers.as_slice(), month) {
            ([whole], None) => self.compact(whole),
            ([first, second], Some(month)) => self.with_month(first, second, month),
            ([first, second, third], None) => self.of_three(first, second, third),
            _ => Err(Unreadable::Malformed),
        }
    }

    /// Eight digits: with the year first or, where that is not a date, last. Never both: a year's first two
    /// digits, 19 or 20, are no month.
    fn compact(&self, whole: &str) -> Result<String, Unreadable> {
        if whole.len() != 8 {
            return Err(Unreadable::Malformed);
        }
        let part = |from: usize, to: usize| whole.get(from..to).unwrap_or_default();
        self.build(part(0, 4), part(4, 6), part(6, 8))
            .or_else(|_| self.of_three(part(0, 2), part(2, 4), part(4, 8)))
    }

    /// `31 Dec 1990`, `December 31, 1990`, `1990 Dec 31`, `31-DEC-90`.
    fn with_month(&self, first: &str, second: &str, month: u8) -> Result<String, Unreadable> {
        let month = month.to_string();
        let (day, year) = if is_year(first) && !is_year(second) { (second, first) } else { (first, second) };
        self.build(year, &month, day)
    }

    fn of_three(&self, first: &str, second: &str, third: &str) -> Result<String, Unreadable> {
        if is_year(first) && !is_year(third) {
            return self.build(first, second, third);
        }
        let (day_first, month_first) = (self.build(third, second, first), self.build(third, first, second));
        match (day_first, month_first) {
            (Ok(one), Ok(other)) if one != other => match self.order {
                Some(DateOrder::DayFirst) => Ok(one),
                Some(DateOrder::MonthFirst) => Ok(other),
                None => Err(Unreadable::DayOrMonth),
            },
            (one, other) => one.or(other),
        }
    }

    fn build(&self, year: &str, month: &str, day: &str) -> Result<String, Unreadable> {
        let number =
            |text: &str| text.parse::<i8>().ok().filter(|_| text.len() <= 2).ok_or(Unreadable::Malformed);
        let year = self.year(year).ok_or(Unreadable::Malformed)?;
        let (month, day) = (number(month)?, number(day)?);
        jiff::civil::Date::new(year, month, day).map_err(|_| Unreadable::Malformed)?;
        Ok(format!("{year:04}{month:02}{day:02}"))
    }

    fn year(&self, text: &str) -> Option<i16> {
        let number: i16 = text.parse().ok()?;
        let year = match text.len() {
            4 => number,
            2 if 2000 + number > self.this_year => 1900 + number,
            _ => return None,
        };
        (FIRST_YEAR..=self.this_year).contains(&year).then_some(year)
    }
}

/// Whether the digits can only be a year: four of them, or more than a month has days.
fn is_year(digits: &str) -> bool {
    digits.len() == 4 || digits.len() == 2 && digits.parse::<u8>().is_ok_and(|number| number > 31)
}

/// What is between the parts of a written date and adds nothing: ordinals, `of`, days of the week, the
/// signs for year, month and day.
fn is_filler(word: &str) -> bool {
    const BETWEEN: [&str; 9] = ["st", "nd", "rd", "th", "of", "de", "年", "月", "日"];
    const DAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
    let word = word.to_ascii_lowercase();
    BETWEEN.contains(&word.as_str()) || word.len() >= 3 && DAYS.iter().any(|day| day.starts_with(&word))
}

/// 1 for January, by its whole name or at least three letters of it, in English and the languages around it.
fn month_of(word: &str) -> Option<u8> {
    let word = fold(word);
    let names = |names: &&[&str]| names.iter().any(|name| word.len() >= 3 && name.starts_with(word.as_str()));
    let at = MONTHS.iter().position(&names)?;
    // Letters that begin two months, as `jui` in French, name neither.
    let other = MONTHS.iter().skip(at + 1).any(names);
    u8::try_from(at + 1).ok().filter(|_| !other)
}

/// English, German, French, Spanish, Italian, Portuguese, Dutch; in ASCII, abbreviations that are no beginning
/// of a name behind them.
static MONTHS: [&[&str]; 12] = [
    &["january", "januar", "jaenner", "janner", "janvier", "enero", "gennaio", "janeiro", "januari"],
    &["february", "februar", "fevrier", "febrero", "febbraio", "fevereiro", "februari"],
    &["march", "marz", "maerz", "mars", "marzo", "marco", "maart", "mrz", "mrt"],
    &["april", "avril", "abril", "aprile"],
    &["may", "mai", "mayo", "maggio", "maio", "mei"],
    &["june", "juni", "juin", "junio", "giugno", "junho"],
    &["july", "juli", "juillet", "julio", "luglio", "julho"],
    &["august", "aout", "agosto", "augustus"],
    &["september", "septembre", "septiembre", "settembre", "setembro", "sept"],
    &["october", "oktober", "octobre", "octubre", "ottobre", "outubro"],
    &["november", "novembre", "noviembre", "novembro"],
    &["december", "dezember", "decembre", "diciembre", "dicembre", "dezembro"],
];
