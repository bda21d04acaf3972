//! The typed reader of reported parameters: what is absent, what is sound, and what a person has to fix.

use std::fmt;

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use rust_decimal::Decimal;

use crate::domain::moment;
use crate::domain::money::{Currency, DecimalMark, parse_decimal};
use crate::domain::postback::Fault;
use crate::domain::status::Status;
use crate::domain::text::trim;
use crate::domain::time::Time;
use crate::template::macros::detect::{ValueClass, ValueUse, classify};
use crate::template::source::params::{Param, Params, shown, unread_repeats, usable};

/// How a whole number is to be written.
pub const DIGITS: &str = "write it in digits alone";

/// The longest text that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextLimit {
    /// Trimmed.
    Characters(usize),
    /// As it was received: what anyone may send takes no more room than this.
    Bytes(usize),
}

impl TextLimit {
    fn is_exceeded_by(self, value: &str) -> bool {
        match self {
            TextLimit::Characters(most) => trim(value).chars().count() > most,
            TextLimit::Bytes(most) => value.len() > most,
        }
    }
}

impl fmt::Display for TextLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TextLimit::Characters(most) => write!(f, "{most} characters"),
            TextLimit::Bytes(most) => write!(f, "{most} bytes"),
        }
    }
}

/// Reads parameters by name, and notes what it leaves out.
pub struct ParamReader<'a> {
    params: &'a Params,
    longest: TextLimit,
    notes: Vec<String>,
}

impl<'a> ParamReader<'a> {
    /// `names`: all that are read.
    pub fn new(params: &'a Params, names: &[&str], longest: TextLimit) -> ParamReader<'a> {
        let notes = params.notes.iter().cloned().chain(unread_repeats(params, names)).collect();
        ParamReader { params, longest, notes }
    }

    /// Notes that a parameter is not used, and why.
    pub fn leave_out(&mut self, name: &str, why: &str) {
        self.notes.push(format!("`{name}` was left out: {why}"));
    }

    /// What was noted, as one text.
    pub fn note(self) -> Option<String> {
        (!self.notes.is_empty()).then(|| self.notes.join("; "))
    }

    /// What was received, trimmed; `None` where that is nothing.
    ///
    /// # Errors
    /// It was received with two different values, or its bytes are no text.
    pub fn given(&self, name: &str) -> Result<Option<&'a str>, Fault> {
        Ok(usable(self.params, name)?.map(|param| trim(&param.value)).filter(|value| !value.is_empty()))
    }

    /// An id that is needed, as it was received.
    ///
    /// # Errors
    /// It is missing, means nothing, or is still the placeholder of the URL's text.
    pub fn needed(&self, name: &str, hint: &str) -> Result<String, Fault> {
        let param = usable(self.params, name)?;
        let param = param.ok_or_else(|| Fault::new(format!("`{name}` is missing"), hint))?;
        match classify(&param.value, &param.raw, ValueUse::Id) {
            ValueClass::Sound => self.short(param, hint).map(str::to_owned),
            ValueClass::Empty => Err(Fault::new(format!("`{name}` was received empty"), hint)),
            ValueClass::Nothing => Err(fault(name, trim(&param.value), "which means nothing", hint)),
            unfilled => Err(not_filled_in(param, &unfilled, hint)),
        }
    }

    /// An id that may be absent, as it was received. One that means nothing, or is still a placeholder, is
    /// left out and noted: it must not make one of what is two.
    ///
    /// # Errors
    /// It was received with two different values, or is too long to be kept.
    pub fn id(&mut self, name: &str) -> Result<Option<&'a str>, Fault> {
        let param = usable(self.params, name)?;
        self.sound(param, ValueUse::Id)
    }

    /// A text that nothing depends on, trimmed: one that cannot be used is left out and noted.
    ///
    /// # Errors
    /// It is too long to be kept.
    pub fn text(&mut self, name: &str, used: ValueUse) -> Result<Option<String>, Fault> {
        match usable(self.params, name) {
            Ok(param) => Ok(self.sound(param, used)?.map(|value| trim(value).to_owned())),
            Err(fault) => {
                self.leave_out(name, &fault.reason);
                Ok(None)
            }
        }
    }

    fn sound(&mut self, param: Option<&'a Param>, used: ValueUse) -> Result<Option<&'a str>, Fault> {
        let Some(param) = param else { return Ok(None) };
        match classify(&param.value, &param.raw, used) {
            ValueClass::Sound => {
                let hint = format!("send at most {}", self.longest);
                self.short(param, &hint).map(Some)
            }
            ValueClass::Empty => Ok(None),
            ValueClass::Nothing | ValueClass::Skeleton | ValueClass::Macro(_) => {
                let value = shown(&param.name, trim(&param.value));
                self.leave_out(&param.name, &format!("it was received as `{value}`"));
                Ok(None)
            }
        }
    }

    fn short(&self, param: &'a Param, hint: &str) -> Result<&'a str, Fault> {
        if self.longest.is_exceeded_by(&param.value) {
            let wrong = format!("longer than {}", self.longest);
            return Err(fault(&param.name, trim(&param.value), &wrong, hint));
        }
        Ok(&param.value)
    }

    /// A word that may be absent, trimmed.
    ///
    /// # Errors
    /// It is still the placeholder of the URL's text.
    pub fn word(&self, name: &str, used: ValueUse, hint: &str) -> Result<Option<&'a str>, Fault> {
        let Some(param) = usable(self.params, name)? else { return Ok(None) };
        match classify(&param.value, &param.raw, used) {
            ValueClass::Sound => Ok(Some(trim(&param.value))),
            ValueClass::Empty | ValueClass::Nothing => Ok(None),
            unfilled => Err(not_filled_in(param, &unfilled, hint)),
        }
    }

    /// Whether an amount was received, sound or not. Of several the first counts.
    pub fn names_amount(&self, name: &str) -> bool {
        let kind = self.params.get(name).map(|param| classify(&param.value, &param.raw, ValueUse::Amount));
        !matches!(kind, None | Some(ValueClass::Empty | ValueClass::Nothing))
    }

    /// An amount of 0 or more. `below`: what to do instead of sending less.
    ///
    /// # Errors
    /// It is no plain decimal, or below 0.
    pub fn amount(&self, name: &str, below: &str) -> Result<Option<Decimal>, Fault> {
        let hint = "put the amount there, written like 12.00, or leave the parameter out";
        let Some(value) = self.word(name, ValueUse::Amount, hint)? else { return Ok(None) };
        let amount = parse_decimal(value, DecimalMark::Dot).ok_or_else(|| {
            let hint = "write it like 12.00: digits and a dot, no sign of a currency, no thousands mark";
            fault(name, value, "not a decimal number", hint)
        })?;
        if amount.is_sign_negative() && !amount.is_zero() {
            return Err(fault(name, value, "below 0", below));
        }
        Ok(Some(amount))
    }

    /// The code of a currency.
    ///
    /// # Errors
    /// It is no currency that a sale can be paid in.
    pub fn currency(&self, name: &str, hint: &str) -> Result<Option<Currency>, Fault> {
        let Some(code) = self.given(name)? else { return Ok(None) };
        Currency::check(code).map(Some).map_err(|why| fault(name, code, why.why(), hint))
    }

    /// A whole number.
    ///
    /// # Errors
    /// It is none.
    pub fn whole(&self, name: &str, hint: &str) -> Result<Option<u64>, Fault> {
        let Some(value) = self.given(name)? else { return Ok(None) };
        let digits = value.bytes().all(|b| b.is_ascii_digit());
        let number = value.parse().ok().filter(|_| digits);
        let wrong = || fault(name, value, "not a whole number", hint);
        number.map(Some).ok_or_else(wrong)
    }

    /// A status's word, whatever its case.
    ///
    /// # Errors
    /// It is none.
    pub fn status(&self, name: &str) -> Result<Option<Status>, Fault> {
        let Some(value) = self.given(name)? else { return Ok(None) };
        let parsed = Status::parse(&value.to_ascii_lowercase());
        let wrong = || fault(name, value, "not a status", "use approved, pending, rejected or scrubbed");
        parsed.map(Some).ok_or_else(wrong)
    }

    /// A day that is needed, written `YYYY-MM-DD`.
    ///
    /// # Errors
    /// It is missing, or no such day.
    pub fn date(&self, name: &str) -> Result<Date, Fault> {
        let hint = "write it YYYY-MM-DD, such as 2024-01-31";
        let value = self.given(name)?.ok_or_else(|| Fault::new(format!("`{name}` is missing"), hint))?;
        let plain = value.len() == 10 && value.bytes().all(|b| b.is_ascii_digit() || b == b'-');
        let parsed = value.parse::<Date>().ok().filter(|_| plain);
        parsed.ok_or_else(|| fault(name, value, "not a date", hint))
    }

    /// When a conversion happened: ISO 8601 with an offset, or without one in `zone`, also compact; a date alone
    /// is the day's beginning. Clocks differ: what is at most a day ahead is taken as now. What is further ahead
    /// or before 2005 is not a time of a conversion: it is left out and noted, and the call's own time counts.
    ///
    /// # Errors
    /// It is not a moment.
    pub fn moment(&mut self, name: &str, (zone, now): (&TimeZone, Time)) -> Result<Option<Time>, Fault> {
        let Some(value) = self.given(name)? else { return Ok(None) };
        let hint = "write it as ISO 8601, such as 2024-01-01T14:32:00Z";
        let wrong = || fault(name, value, "not a date and time", hint);
        let restored = moment::with_plus(value);
        let read = parse_moment(value, zone)
            .or_else(|| parse_moment(restored.as_deref()?, zone))
            .ok_or_else(wrong)?;
        let why = if !moment::is_recent_enough(read) {
            "before 2005"
        } else if moment::is_ahead(read, now) {
            "more than a day ahead"
        } else {
            return Ok(Some(read.min(now)));
        };
        self.leave_out(name, &format!("it was received as `{}`, {why}", shown(name, value)));
        Ok(None)
    }
}

/// Why a value cannot be taken.
pub fn fault(name: &str, value: &str, wrong: &str, hint: impl Into<String>) -> Fault {
    Fault::new(format!("`{name}` is `{}`, {wrong}", shown(name, value)), hint)
}

fn not_filled_in(param: &Param, why: &ValueClass, hint: &str) -> Fault {
    let name = &param.name;
    Fault::new(
        match why {
            ValueClass::Macro(unfilled) => {
                let unfilled = shown(name, unfilled);
                format!("`{name}` was received as `{unfilled}`, which no one filled in")
            }
            _ => format!("`{name}` was left as `{}`", shown(name, trim(&param.value))),
        },
        hint,
    )
}

fn parse_moment(value: &str, zone: &TimeZone) -> Option<Time> {
    if let Some(time) = Time::parse(value).or_else(|| moment::compact(value, zone)) {
        return Some(time);
    }
    let begins_with_day =
        value.get(..10).is_some_and(|day| day.bytes().all(|b| b.is_ascii_digit() || b == b'-'));
    let local: DateTime = value.parse().ok().filter(|_| begins_with_day && !value.ends_with(']'))?;
    Time::from_millis(local.to_zoned(zone.clone()).ok()?.timestamp().as_millisecond())
}

/// The first moment of a day; of a day beyond all times, the last moment there is.
pub fn start_of(day: Date, zone: &TimeZone) -> Time {
    let start = day.to_zoned(zone.clone()).and_then(|midnight| midnight.start_of_day());
    let millis = start.map_or(i64::MAX, |start| start.timestamp().as_millisecond());
    Time::EPOCH.plus_millis(millis)
}
