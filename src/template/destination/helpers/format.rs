//! Helpers that write numbers, amounts and times as a platform wants them.

use jiff::Timestamp;
use jiff::fmt::{strtime, temporal::DateTimeParser};
use jiff::tz::TimeZone;
use rust_decimal::{Decimal, RoundingStrategy};

use crate::domain::money::{Currency, Money, NumberFormat, parse_decimal};
use crate::domain::time::Time;
use crate::template::destination::expression::{
    Expression, HelperCall, ReadOptions, RenderScope, RenderValue,
};
use crate::template::destination::normalize::Unreadable;

/// The most digits behind the mark that `decimals` may ask for.
const MOST_DECIMALS: i64 = 8;

/// Reads the options `decimals` and `at_least`.
pub(crate) fn digits(options: &[Option<Expression>]) -> Result<ReadOptions, (String, String)> {
    let decimals = match options.first() {
        Some(Some(Expression::Integer(digits))) if (0..=MOST_DECIMALS).contains(digits) => {
            u32::try_from(*digits).ok()
        }
        Some(Some(_)) => {
            let what = format!("`decimals` is a whole number from 0 to {MOST_DECIMALS}");
            return Err((what, "write decimals=2".to_owned()));
        }
        _ => None,
    };
    let least = match options.get(1) {
        Some(Some(Expression::Integer(least))) => Some(Decimal::from(*least)),
        Some(Some(_)) => {
            return Err(("`at_least` is a whole number".to_owned(), "write at_least=1".to_owned()));
        }
        _ => None,
    };
    Ok(match (decimals, least) {
        (None, None) => ReadOptions::Nothing,
        (decimals, least) => ReadOptions::Digits(decimals, least),
    })
}

/// A JSON number with exactly the digits that were received, or as many behind the mark as `decimals` says; null where
/// it is below `at_least` then. A text that is no plain decimal is null.
pub(crate) fn number<'a>(call: &'a HelperCall, scope: &RenderScope<'a>) -> RenderValue<'a> {
    match (call.argument(0, scope), &call.prepared) {
        (number @ (RenderValue::Decimal(_) | RenderValue::Integer(_)), ReadOptions::Nothing) => number,
        (value, _) => plain_number(call, value, scope).map_or(RenderValue::Null, RenderValue::Decimal),
    }
}

/// The same as text. With an option only a number has one.
pub(crate) fn text<'a>(call: &'a HelperCall, scope: &RenderScope<'a>) -> RenderValue<'a> {
    if matches!(call.prepared, ReadOptions::Nothing) {
        return call.text(0, scope).map_or(RenderValue::Null, RenderValue::Text);
    }
    let number = plain_number(call, call.argument(0, scope), scope);
    RenderValue::owned(number.map(|number| number.to_string()))
}

/// The number of a value as the options have it, if it is one; what is none, or too low, leaves a remark.
fn plain_number(call: &HelperCall, value: RenderValue<'_>, scope: &RenderScope<'_>) -> Option<Decimal> {
    let number = match value {
        RenderValue::Decimal(number) => Some(number),
        RenderValue::Integer(number) => Some(Decimal::from(number)),
        RenderValue::Text(text) => parse_decimal(&text, NumberFormat::Plain),
        _ => return None,
    };
    let number = match call.prepared {
        ReadOptions::Digits(decimals, least) => number
            .map(|number| decimals.map_or(number, |digits| rounded(number, digits)))
            .filter(|number| least.is_none_or(|least| *number >= least)),
        _ => number,
    };
    if number.is_none() {
        scope.leave_out(call.arguments.first(), Unreadable::Malformed);
    }
    number
}

/// With this many digits behind the mark: what is exactly between two is rounded away from zero. A number of so many
/// digits that these have no room gets fewer. A zero has no sign.
fn rounded(number: Decimal, digits: u32) -> Decimal {
    let mut number = number.round_dp_with_strategy(digits, RoundingStrategy::MidpointAwayFromZero);
    number.rescale(digits);
    if number.is_zero() {
        number.set_sign_positive(true);
    }
    number
}

/// An amount as a whole number of its currency's smallest units; null without a currency. What is more exact is
/// rounded, half away from zero.
pub(crate) fn minor<'a>(call: &'a HelperCall, scope: &RenderScope<'a>) -> RenderValue<'a> {
    let amount = plain_number(call, call.argument(0, scope), scope);
    let (Some(amount), Some(code)) = (amount, call.text(1, scope)) else { return RenderValue::Null };
    let Some(currency) = Currency::parse(&code) else {
        scope.leave_out(call.arguments.get(1), Unreadable::Malformed);
        return RenderValue::Null;
    };
    let units = Money::new(amount, currency).minor_units();
    if units.is_none() {
        scope.leave_out(call.arguments.first(), Unreadable::Malformed);
    }
    units.map_or(RenderValue::Null, RenderValue::Decimal)
}

/// Reads the option `unit` of `unix`.
pub(crate) fn unit(options: &[Option<Expression>]) -> Result<ReadOptions, (String, String)> {
    match options.first() {
        None | Some(None) => Ok(ReadOptions::PerSecond(1)),
        Some(Some(Expression::Text(unit))) if unit == "s" => Ok(ReadOptions::PerSecond(1)),
        Some(Some(Expression::Text(unit))) if unit == "ms" => Ok(ReadOptions::PerSecond(1_000)),
        Some(Some(Expression::Text(unit))) if unit == "us" => Ok(ReadOptions::PerSecond(1_000_000)),
        _ => {
            let hint = r#"write unit="s", unit="ms" or unit="us""#;
            Err(("a unit of time that is none of s, ms and us".to_owned(), hint.to_owned()))
        }
    }
}

/// Whole units since 1970, rounded down.
pub(crate) fn unix<'a>(call: &'a HelperCall, scope: &RenderScope<'a>) -> RenderValue<'a> {
    match (call.argument(0, scope), &call.prepared) {
        (RenderValue::Time(time), ReadOptions::PerSecond(parts)) => {
            RenderValue::Integer(since_1970(time, *parts))
        }
        _ => RenderValue::Null,
    }
}

/// The moment in units of which a second has so many.
pub(crate) fn since_1970(time: Time, per_second: i64) -> i64 {
    if per_second < 1000 { time.as_seconds() } else { time.as_millis().saturating_mul(per_second / 1000) }
}

/// Reads the options `format` and `zone` of `time`, and tries them.
pub(crate) fn moment(options: &[Option<Expression>]) -> Result<ReadOptions, (String, String)> {
    let literal = |index: usize| match options.get(index) {
        Some(Some(Expression::Text(text))) => Ok(Some(text.as_str())),
        Some(Some(_)) => {
            let what = "`format` and `zone` are texts in quotes".to_owned();
            Err((what, r#"write format="%Y-%m-%d" zone="UTC""#.to_owned()))
        }
        _ => Ok(None),
    };
    let Some(format) = literal(0)?.filter(|format| !format.is_empty()) else {
        let hint = r#"write one such as format="%Y-%m-%d %H:%M:%S""#;
        return Err(("it has no `format`".to_owned(), hint.to_owned()));
    };
    let zone = match literal(1)? {
        None => TimeZone::UTC,
        Some(name) => DateTimeParser::new().parse_time_zone(name).map_err(|_| {
            let what = format!("`{name}` is no time zone");
            (what, r#"write a name such as "Europe/Berlin", or an offset such as "+02:00""#.to_owned())
        })?,
    };
    match written(Timestamp::UNIX_EPOCH, format, &zone) {
        Ok(_) => Ok(ReadOptions::Moment(format.to_owned(), zone)),
        Err(error) => {
            let what = format!("the format `{format}` cannot be written: {error}");
            Err((what, r#"formats are those of strftime, such as "%Y-%m-%dT%H:%M:%S%:z""#.to_owned()))
        }
    }
}

fn written(stamp: Timestamp, format: &str, zone: &TimeZone) -> Result<String, jiff::Error> {
    strtime::format(format, &stamp.to_zoned(zone.clone()))
}

/// A time as its `format` has it.
pub(crate) fn time<'a>(call: &'a HelperCall, scope: &RenderScope<'a>) -> RenderValue<'a> {
    let (RenderValue::Time(time), ReadOptions::Moment(format, zone)) =
        (call.argument(0, scope), &call.prepared)
    else {
        return RenderValue::Null;
    };
    // What was written once when the template was read is written of every time.
    let stamp = Timestamp::from_millisecond(time.as_millis());
    RenderValue::owned(stamp.and_then(|stamp| written(stamp, format, zone)).ok())
}
