//! Reading the parameters of the network's API: what is absent, what is sound, and what a person has to fix.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use rust_decimal::Decimal;

use crate::domain::moment as reading;
use crate::domain::money::{DecimalMark, parse_decimal};
use crate::domain::postback::Fault;
use crate::domain::status::Status;
use crate::domain::text::trim;
use crate::domain::time::Time;
use crate::template::macros::detect::{Classified, Use, classify};
use crate::template::source::param_fault::usable;
use crate::template::source::params::{Params, shown};

/// The most characters of a text that is kept.
pub const MOST_CHARS: usize = 200;

/// A parameter by its name, if anything was received under it.
fn received_text<'a>(params: &'a Params, name: &str) -> Result<Option<&'a str>, Fault> {
    Ok(usable(params, name)?.map(|param| trim(&param.value)).filter(|value| !value.is_empty()))
}

fn fault(name: &str, value: &str, wrong: &str, hint: impl Into<String>) -> Fault {
    Fault::new(format!("`{name}` is `{}`, {wrong}", shown(name, value)), hint)
}

/// An id that is needed.
///
/// # Errors
/// It is missing, stands for nothing, or is still the placeholder of the URL's text.
pub fn needed(params: &Params, name: &str, hint: &str) -> Result<String, Fault> {
    let param = usable(params, name)?;
    let param = param.ok_or_else(|| Fault::new(format!("`{name}` is missing"), hint))?;
    let value = trim(&param.value);
    match classify(&param.value, &param.raw, Use::Id) {
        Classified::Sound if value.chars().count() > MOST_CHARS => {
            Err(fault(name, value, &format!("longer than {MOST_CHARS} characters"), hint))
        }
        Classified::Sound => Ok(param.value.clone()),
        Classified::Empty => Err(Fault::new(format!("`{name}` was received empty"), hint)),
        Classified::Nothing => Err(fault(name, value, "which stands for nothing", hint)),
        Classified::Skeleton => Err(Fault::new(format!("`{name}` was left as `{value}`"), hint)),
        Classified::Macro(unfilled) => {
            let unfilled = shown(name, &unfilled);
            Err(Fault::new(format!("`{name}` was received as `{unfilled}`, which no one filled in"), hint))
        }
    }
}

/// A text that may be absent. One that stands for nothing, or is still a placeholder, is left out and
/// noted: it must not make one of what is two.
///
/// # Errors
/// It is too long to be kept.
pub fn text(
    params: &Params,
    name: &str,
    used: Use,
    notes: &mut Vec<String>,
) -> Result<Option<String>, Fault> {
    let param = match usable(params, name) {
        Ok(Some(param)) => param,
        Ok(None) => return Ok(None),
        Err(fault) => {
            notes.push(format!("`{name}` was left out: {}", fault.reason));
            return Ok(None);
        }
    };
    let value = trim(&param.value);
    match classify(&param.value, &param.raw, used) {
        Classified::Sound if value.chars().count() > MOST_CHARS => {
            let hint = format!("send at most {MOST_CHARS} characters");
            Err(fault(name, value, &format!("longer than {MOST_CHARS} characters"), hint))
        }
        Classified::Sound => Ok(Some(value.to_owned())),
        Classified::Empty => Ok(None),
        Classified::Nothing | Classified::Skeleton | Classified::Macro(_) => {
            notes.push(format!("`{name}` was left out: it was received as `{}`", shown(name, value)));
            Ok(None)
        }
    }
}

/// An amount of 0 or more.
///
/// # Errors
/// It is no plain decimal, or below 0.
pub fn amount(params: &Params, name: &str) -> Result<Option<Decimal>, Fault> {
    let Some(param) = usable(params, name)? else { return Ok(None) };
    let value = trim(&param.value);
    match classify(&param.value, &param.raw, Use::Amount) {
        Classified::Empty | Classified::Nothing => return Ok(None),
        Classified::Skeleton => {
            let hint = "put the amount there, written like 12.00, or leave the parameter out";
            return Err(Fault::new(format!("`{name}` was left as `{value}`"), hint));
        }
        Classified::Macro(unfilled) => {
            let hint = "put the amount there, written like 12.00, or leave the parameter out";
            let unfilled = shown(name, &unfilled);
            return Err(Fault::new(
                format!("`{name}` was received as `{unfilled}`, which no one filled in"),
                hint,
            ));
        }
        Classified::Sound => {}
    }
    let parsed = parse_decimal(value, DecimalMark::Dot);
    let amount = parsed.ok_or_else(|| {
        let hint = "write it like 12.00: digits and a dot, no sign of a currency, no thousands mark";
        fault(name, value, "not a decimal number", hint)
    })?;
    if amount.is_sign_negative() && !amount.is_zero() {
        let hint = "send 0 or more; a sale is taken back by update_conversion.json with the status rejected";
        return Err(fault(name, value, "below 0", hint));
    }
    Ok(Some(amount))
}

/// A whole number.
///
/// # Errors
/// It is none.
pub fn whole(params: &Params, name: &str) -> Result<Option<u64>, Fault> {
    let Some(value) = received_text(params, name)? else { return Ok(None) };
    let digits = value.bytes().all(|b| b.is_ascii_digit());
    let number = value.parse().ok().filter(|_| digits);
    let wrong = || fault(name, value, "not a whole number", "write it in digits alone");
    number.map(Some).ok_or_else(wrong)
}

/// A status's word, whatever its case.
///
/// # Errors
/// It is none.
pub fn status(params: &Params, name: &str) -> Result<Option<Status>, Fault> {
    let Some(value) = received_text(params, name)? else { return Ok(None) };
    let parsed = Status::parse(&value.to_ascii_lowercase());
    let wrong = || fault(name, value, "not a status", "use approved, pending, rejected or scrubbed");
    parsed.map(Some).ok_or_else(wrong)
}

/// A day that is needed, written `YYYY-MM-DD`.
///
/// # Errors
/// It is missing, or no such day.
pub fn date(params: &Params, name: &str) -> Result<Date, Fault> {
    let hint = "write it YYYY-MM-DD, such as 2024-01-31";
    let value =
        received_text(params, name)?.ok_or_else(|| Fault::new(format!("`{name}` is missing"), hint))?;
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
pub fn moment(
    params: &Params,
    name: &str,
    (zone, now): (&TimeZone, Time),
    notes: &mut Vec<String>,
) -> Result<Option<Time>, Fault> {
    let Some(value) = received_text(params, name)? else { return Ok(None) };
    let hint = "write it as ISO 8601, such as 2024-01-01T14:32:00Z";
    let wrong = || fault(name, value, "not a date and time", hint);
    let restored = reading::with_plus(value);
    let read =
        parse_moment(value, zone).or_else(|| parse_moment(restored.as_deref()?, zone)).ok_or_else(wrong)?;
    let why = if !reading::is_recent_enough(read) {
        "before 2005"
    } else if reading::is_ahead(read, now) {
        "more than a day ahead"
    } else {
        return Ok(Some(read.min(now)));
    };
    notes.push(format!("`{name}` was left out: it was received as `{}`, {why}", shown(name, value)));
    Ok(None)
}

fn parse_moment(value: &str, zone: &TimeZone) -> Option<Time> {
    if let Some(time) = Time::parse(value).or_else(|| reading::compact(value, zone)) {
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
