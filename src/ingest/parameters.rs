//! The typed reader of reported parameters: what is absent, what is sound, and what a person has to fix.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use rust_decimal::Decimal;

use crate::domain::moment;
use crate::domain::money::{Currency, NumberFormat, parse_decimal};
use crate::domain::rejection::Rejection;
use crate::domain::rejection::note::ReportNote;
use crate::domain::rejection::param::{ParamFault, ParamProblem};
use crate::domain::rejection::wanted::{LengthLimit, ParamFix, WantedValue};
use crate::domain::status::Status;
use crate::domain::text::trim;
use crate::domain::time::Time;
use crate::template::macros::detect::{ValueClass, ValueUse, classify};
use crate::template::source::fault::unfilled;
use crate::template::source::params::{Param, Params, problem, shown, unread_repeats, usable};

/// Reads parameters by name, and notes what it leaves out.
pub struct ParamReader<'a> {
    params: &'a Params,
    longest: LengthLimit,
    notes: Vec<ReportNote>,
}

impl<'a> ParamReader<'a> {
    /// `names`: all that are read.
    pub fn new(params: &'a Params, names: &[&str], longest: LengthLimit) -> ParamReader<'a> {
        let notes = params.notes.iter().cloned().chain(unread_repeats(params, names)).collect();
        ParamReader { params, longest, notes }
    }

    /// Notes that a parameter is not used, and why.
    pub fn leave_out(&mut self, problem: ParamProblem) {
        self.notes.push(ReportNote::left_out(problem));
    }

    /// What was noted.
    pub fn notes(self) -> Vec<ReportNote> {
        self.notes
    }

    /// What was received, trimmed; `None` where that is nothing.
    ///
    /// # Errors
    /// It was received with two different values, or its bytes are no text.
    pub fn given(&self, name: &str) -> Result<Option<&'a str>, Rejection> {
        Ok(usable(self.params, name)?.map(|param| trim(&param.value)).filter(|value| !value.is_empty()))
    }

    /// An id that is needed, as it was received.
    ///
    /// # Errors
    /// It is missing, means nothing, or is still the placeholder of the URL's text.
    pub fn needed(&self, name: &str, fix: ParamFix) -> Result<String, Rejection> {
        let param = usable(self.params, name)?.ok_or_else(|| missing(name, fix))?;
        match classify(&param.value, &param.raw, ValueUse::Id) {
            ValueClass::Sound => Ok(self.short(param)?.to_owned()),
            ValueClass::Empty => Err(problem(param, ParamFault::MissingParameter).with_fix(fix).into()),
            class => Err(unfilled(param, &class).of_the_sale().with_fix(fix).into()),
        }
    }

    /// An id that may be absent, as it was received. One that means nothing, or is still a placeholder, is
    /// left out and noted: it must not make one of what is two.
    ///
    /// # Errors
    /// It was received with two different values, or is too long to be kept.
    pub fn id(&mut self, name: &str) -> Result<Option<&'a str>, Rejection> {
        let param = usable(self.params, name)?;
        self.sound(param, ValueUse::Id)
    }

    /// A text that nothing depends on, trimmed: one that cannot be used is left out and noted.
    ///
    /// # Errors
    /// It is too long to be kept.
    pub fn text(&mut self, name: &str, used: ValueUse) -> Result<Option<String>, Rejection> {
        match usable(self.params, name) {
            Ok(param) => Ok(self.sound(param, used)?.map(|value| trim(value).to_owned())),
            Err(unusable) => {
                self.leave_out(unusable);
                Ok(None)
            }
        }
    }

    fn sound(&mut self, param: Option<&'a Param>, used: ValueUse) -> Result<Option<&'a str>, Rejection> {
        let Some(param) = param else { return Ok(None) };
        match classify(&param.value, &param.raw, used) {
            ValueClass::Sound => Ok(Some(self.short(param)?)),
            ValueClass::Empty => Ok(None),
            class => {
                self.leave_out(unfilled(param, &class).of_the_sale());
                Ok(None)
            }
        }
    }

    fn short(&self, param: &'a Param) -> Result<&'a str, ParamProblem> {
        if self.longest.is_exceeded_by(&param.value) {
            return Err(problem(param, ParamFault::TooLong { limit: self.longest }));
        }
        Ok(&param.value)
    }

    /// A word that may be absent, trimmed.
    ///
    /// # Errors
    /// It is still the placeholder of the URL's text.
    pub fn word(&self, name: &str, used: ValueUse, fix: ParamFix) -> Result<Option<&'a str>, Rejection> {
        let Some(param) = usable(self.params, name)? else { return Ok(None) };
        match classify(&param.value, &param.raw, used) {
            ValueClass::Sound => Ok(Some(trim(&param.value))),
            ValueClass::Empty | ValueClass::Nothing => Ok(None),
            class => Err(unfilled(param, &class).of_the_sale().with_fix(fix).into()),
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
    pub fn amount(&self, name: &str, below: ParamFix) -> Result<Option<Decimal>, Rejection> {
        let Some(value) = self.word(name, ValueUse::Amount, ParamFix::AmountOrNothing)? else {
            return Ok(None);
        };
        let wrong = || invalid((name, value), WantedValue::Decimal, ParamFix::PlainDecimal);
        let amount = parse_decimal(value, NumberFormat::Plain).ok_or_else(wrong)?;
        if amount.is_sign_negative() && !amount.is_zero() {
            return Err(of_value(name, value, ParamFault::BelowZero).with_fix(below).into());
        }
        Ok(Some(amount))
    }

    /// The code of a currency.
    ///
    /// # Errors
    /// It is no currency that a sale can be paid in.
    pub fn currency(&self, name: &str) -> Result<Option<Currency>, Rejection> {
        let Some(code) = self.given(name)? else { return Ok(None) };
        let wrong = |why| of_value(name, code, ParamFault::InvalidCurrency { why });
        Ok(Some(Currency::check(code).map_err(|why| wrong(why).with_fix(ParamFix::CurrencyOrNothing))?))
    }

    /// A whole number.
    ///
    /// # Errors
    /// It is none.
    pub fn whole(&self, name: &str, fix: ParamFix) -> Result<Option<u64>, Rejection> {
        let Some(value) = self.given(name)? else { return Ok(None) };
        let digits = value.bytes().all(|b| b.is_ascii_digit());
        let number = value.parse().ok().filter(|_| digits);
        Ok(Some(number.ok_or_else(|| invalid((name, value), WantedValue::WholeNumber, fix))?))
    }

    /// A status's word, whatever its case.
    ///
    /// # Errors
    /// It is none.
    pub fn status(&self, name: &str) -> Result<Option<Status>, Rejection> {
        let Some(value) = self.given(name)? else { return Ok(None) };
        let wrong = || invalid((name, value), WantedValue::Status, ParamFix::StatusWord);
        Ok(Some(Status::parse(&value.to_ascii_lowercase()).ok_or_else(wrong)?))
    }

    /// A day that is needed, written `YYYY-MM-DD`.
    ///
    /// # Errors
    /// It is missing, or no such day.
    pub fn date(&self, name: &str) -> Result<Date, Rejection> {
        let value = self.given(name)?.ok_or_else(|| missing(name, ParamFix::IsoDate))?;
        let plain = value.len() == 10 && value.bytes().all(|b| b.is_ascii_digit() || b == b'-');
        let wrong = || invalid((name, value), WantedValue::Date, ParamFix::IsoDate);
        Ok(value.parse::<Date>().ok().filter(|_| plain).ok_or_else(wrong)?)
    }

    /// When a conversion happened: ISO 8601 with an offset, or without one in `zone`, also compact; a date alone
    /// is the day's beginning. Clocks differ: what is at most a day ahead is taken as now. What is further ahead
    /// or before 2005 is not a time of a conversion: it is left out and noted, and the call's own time counts.
    ///
    /// # Errors
    /// It is not a moment.
    pub fn moment(&mut self, name: &str, (zone, now): (&TimeZone, Time)) -> Result<Option<Time>, Rejection> {
        let Some(value) = self.given(name)? else { return Ok(None) };
        let wrong = || invalid((name, value), WantedValue::Moment, ParamFix::IsoMoment);
        let restored = moment::with_plus(value);
        let read = parse_moment(value, zone)
            .or_else(|| parse_moment(restored.as_deref()?, zone))
            .ok_or_else(wrong)?;
        let why = if !moment::is_recent_enough(read) {
            ParamFault::TimeTooOld { read }
        } else if moment::is_ahead(read, now) {
            ParamFault::TimeAhead { read }
        } else {
            return Ok(Some(read.min(now)));
        };
        self.leave_out(of_value(name, value, why));
        Ok(None)
    }
}

/// Something wrong with what was received in a parameter.
pub fn of_value(name: &str, value: &str, wrong: ParamFault) -> ParamProblem {
    ParamProblem::new(name.to_owned(), Some(shown(name, value)), wrong).of_the_sale()
}

/// A value that is not what its parameter takes.
pub fn invalid((name, value): (&str, &str), wanted: WantedValue, fix: ParamFix) -> ParamProblem {
    of_value(name, value, ParamFault::InvalidValue { wanted }).with_fix(fix)
}

/// A parameter that is needed and was not received.
pub fn missing(name: &str, fix: ParamFix) -> ParamProblem {
    ParamProblem::new(name.to_owned(), None, ParamFault::MissingParameter).with_fix(fix)
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
