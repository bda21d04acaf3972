//! What is between `{{` and `}}` after parsing: names, look-ups and helpers, all known to exist.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};

use jiff::tz::TimeZone;
use regex::Regex;
use rust_decimal::Decimal;

use crate::domain::click::{Click, Pairs};
use crate::domain::conversion::Conversion;
use crate::domain::customer::CustomerFormat;
use crate::domain::ids::DeliveryId;
use crate::domain::item::SoldItem;
use crate::domain::remark::Remark;
use crate::domain::sent::{DeliveryKind, SentEvent};
use crate::domain::time::Time;
use crate::template::destination::digest::HexDigest;
use crate::template::destination::normalize::Unreadable;
use crate::template::destination::normalize::email::AliasRule;
use crate::template::destination::normalize::place::ZipForm;

/// What an expression can come to. Absent and empty are both `Null`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum RenderValue<'a> {
    Null,
    Text(Cow<'a, str>),
    Digest(HexDigest),
    Decimal(Decimal),
    Integer(i64),
    Truth(bool),
    Time(Time),
    /// Names and texts: an object.
    Pairs(&'a Pairs),
}

impl<'a> RenderValue<'a> {
    /// A text as it is; an empty one is absent.
    pub(crate) fn text(text: &'a str) -> RenderValue<'a> {
        if text.is_empty() { RenderValue::Null } else { RenderValue::Text(Cow::Borrowed(text)) }
    }

    pub(crate) fn maybe(text: Option<&'a str>) -> RenderValue<'a> {
        text.map_or(RenderValue::Null, RenderValue::text)
    }

    pub(crate) fn owned(text: Option<String>) -> RenderValue<'a> {
        text.filter(|text| !text.is_empty())
            .map_or(RenderValue::Null, |text| RenderValue::Text(Cow::Owned(text)))
    }

    /// The value as text, if there is one. Decimals keep their digits, times are RFC 3339.
    pub(crate) fn into_text(self) -> Option<Cow<'a, str>> {
        match self {
            RenderValue::Null | RenderValue::Pairs(_) => None,
            RenderValue::Text(text) => Some(text),
            RenderValue::Digest(digest) => Some(Cow::Owned(digest.as_str().to_owned())),
            RenderValue::Decimal(number) => Some(Cow::Owned(number.to_string())),
            RenderValue::Integer(number) => Some(Cow::Owned(number.to_string())),
            RenderValue::Truth(truth) => Some(Cow::Borrowed(if truth { "true" } else { "false" })),
            RenderValue::Time(time) => Some(Cow::Owned(time.to_string())),
        }
    }
}

/// What a field or helper yields, as far as it is known before anything is rendered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ValueKind {
    Text,
    Number,
    Time,
    Truth,
    Pairs,
    /// Whatever its argument is.
    Same,
}

/// Everything one rendering may look at.
pub(crate) struct RenderScope<'a> {
    pub conversion: &'a Conversion,
    pub click: Option<&'a Click>,
    pub delivery: &'a DeliveryId,
    /// What the delivery says of the conversion.
    pub kind: DeliveryKind,
    /// Of a change: what was sent before.
    pub sent: Option<&'a SentEvent>,
    pub now: Time,
    /// The platform's name for the event.
    pub event_name: &'a str,
    /// In the order the template declares them.
    pub settings: &'a [Option<String>],
    /// Whether the destination is in the platform's test mode.
    pub test: bool,
    /// How the conversion's source writes customer data.
    pub customer: CustomerFormat,
    /// The number of the item that is being written, where a payload writes each.
    pub item: Cell<usize>,
    /// What was there and could not be used, in the order in which it was found.
    pub left_out: RefCell<Vec<Remark>>,
}

impl<'a> RenderScope<'a> {
    /// How often what is written for each item is written: a conversion without a list has one item where it has an id
    /// of one.
    pub(crate) fn item_count(&self) -> usize {
        match self.conversion.items.len() {
            0 => usize::from(self.conversion.item_id.is_some()),
            count => count,
        }
    }

    /// The item that is being written; `None` where the conversion has no list of them.
    pub(crate) fn item(&self) -> Option<&'a SoldItem> {
        self.conversion.items.get(self.item.get())
    }
}

impl RenderScope<'_> {
    /// Keeps that an argument's value was there and is not in the request. What is the template's own, a text
    /// or a setting, is no one's value.
    pub(crate) fn leave_out(&self, argument: Option<&Expression>, why: Unreadable) {
        if let Some(field) = argument.and_then(|argument| argument.origin(self)) {
            self.leave_out_field(field, why);
        }
    }

    /// The same, by the field's name.
    pub(crate) fn leave_out_field(&self, field: String, why: Unreadable) {
        let remark = match why {
            Unreadable::Malformed => Remark::ValueLeftOut { field },
            Unreadable::DayOrMonth => Remark::BirthdateAmbiguous { field },
            Unreadable::NoCallingCode => Remark::CallingCodeMissing { field },
        };
        let mut remarks = self.left_out.borrow_mut();
        if !remarks.contains(&remark) {
            remarks.push(remark);
        }
    }
}

/// A name of the context and how its value is found.
pub(crate) struct ContextField {
    pub name: &'static str,
    pub kind: ValueKind,
    pub get: for<'a> fn(&RenderScope<'a>) -> RenderValue<'a>,
}

/// A helper: what it takes and what it does.
pub(crate) struct Helper {
    pub name: &'static str,
    /// Fewest and most arguments.
    pub arguments: (usize, usize),
    pub options: &'static [&'static str],
    /// What is made of its options when a template is read.
    pub prepare: Option<Prepare>,
    /// Of a look-up: where it looks, as the names of remarks begin.
    pub looks_in: Option<&'static str>,
    /// What its arguments must be; `None`: anything.
    pub wants: Option<ValueKind>,
    pub gives: ValueKind,
    /// Of which of its arguments the result is made.
    pub made_of: MadeOf,
    /// Whether its result has one type for certain, so that it may stand in a JSON template.
    pub typed: bool,
    pub run: for<'a> fn(&'a HelperCall, &RenderScope<'a>) -> RenderValue<'a>,
}

/// Of what the result of a helper is made.
pub(crate) enum MadeOf {
    /// Of all arguments and options that are there.
    All,
    /// Of the first argument that is there.
    FirstPresent,
    /// Of the argument with this number: others only decide whether it is there.
    Argument(usize),
    /// Of what it looks up itself, which it names.
    LookedUp(for<'a> fn(&'a HelperCall, &RenderScope<'a>) -> Vec<String>),
}

/// What a helper's options say, where they are read once, with the template.
pub(crate) enum ReadOptions {
    Nothing,
    /// How many digits are behind the mark, if any number of them is asked for; below what a number is left out.
    Digits(Option<u32>, Option<Decimal>),
    /// What of an e-mail address is another way of writing the same one.
    Aliases(AliasRule),
    /// How much of a postal code is kept.
    Zip(ZipForm),
    /// What is captured, and what a text may not match.
    Patterns(Regex, Option<Regex>),
    /// What a second is divided into.
    PerSecond(i64),
    /// As `strftime` writes it, in this zone.
    Moment(String, TimeZone),
}

/// Reads a call's options, in the order of [`Helper::options`]; else what is wrong with them, and what to write.
pub(crate) type Prepare = fn(&[Option<Expression>]) -> Result<ReadOptions, (String, String)>;

/// A helper with its arguments.
pub(crate) struct HelperCall {
    pub helper: &'static Helper,
    pub arguments: Vec<Expression>,
    /// In the order of [`Helper::options`].
    pub options: Vec<Option<Expression>>,
    pub prepared: ReadOptions,
}

impl HelperCall {
    pub(crate) fn argument<'a>(&'a self, index: usize, scope: &RenderScope<'a>) -> RenderValue<'a> {
        self.arguments.get(index).map_or(RenderValue::Null, |argument| argument.value(scope))
    }

    pub(crate) fn text<'a>(&'a self, index: usize, scope: &RenderScope<'a>) -> Option<Cow<'a, str>> {
        self.argument(index, scope).into_text()
    }

    pub(crate) fn option<'a>(&'a self, index: usize, scope: &RenderScope<'a>) -> RenderValue<'a> {
        match self.options.get(index) {
            Some(Some(option)) => option.value(scope),
            _ => RenderValue::Null,
        }
    }
}

/// One expression, resolved: nothing in it can be unknown when it is rendered.
pub(crate) enum Expression {
    Text(String),
    Integer(i64),
    Truth(bool),
    Field(&'static ContextField),
    /// The setting with this number.
    Setting(usize),
    Call(Box<HelperCall>),
    /// In an envelope: where the list of the events is written. It has no value of its own.
    Events,
}

impl Expression {
    pub(crate) fn value<'a>(&'a self, scope: &RenderScope<'a>) -> RenderValue<'a> {
        match self {
            Expression::Text(text) => RenderValue::text(text),
            Expression::Integer(number) => RenderValue::Integer(*number),
            Expression::Truth(truth) => RenderValue::Truth(*truth),
            Expression::Field(field) => (field.get)(scope),
            Expression::Setting(index) => {
                RenderValue::maybe(scope.settings.get(*index).and_then(|value| value.as_deref()))
            }
            Expression::Call(call) => (call.helper.run)(call, scope),
            Expression::Events => RenderValue::Null,
        }
    }

    /// Whether `test` holds for it, or for anything in its arguments.
    pub(crate) fn any(&self, test: &dyn Fn(&Expression) -> bool) -> bool {
        let Expression::Call(call) = self else { return test(self) };
        let inside = call.arguments.iter().chain(call.options.iter().flatten());
        test(self) || inside.into_iter().any(|argument| argument.any(test))
    }

    /// The name of the conversion's or click's value that it is made of; `None` where it is made of none.
    fn origin(&self, scope: &RenderScope<'_>) -> Option<String> {
        match self {
            Expression::Text(_)
            | Expression::Integer(_)
            | Expression::Truth(_)
            | Expression::Setting(_)
            | Expression::Events => None,
            Expression::Field(field) => Some(field.name.to_owned()),
            Expression::Call(call) => match call.helper.looks_in {
                Some(place) => call.text(0, scope).map(|name| format!("{place}.{name}")),
                None => {
                    let mut present =
                        call.arguments.iter().filter(|one| one.value(scope) != RenderValue::Null);
                    present.find_map(|argument| argument.origin(scope))
                }
            },
        }
    }

    pub(crate) fn kind(&self) -> ValueKind {
        match self {
            Expression::Text(_) | Expression::Setting(_) | Expression::Events => ValueKind::Text,
            Expression::Integer(_) => ValueKind::Number,
            Expression::Truth(_) => ValueKind::Truth,
            Expression::Field(field) => field.kind,
            Expression::Call(call) if call.helper.gives == ValueKind::Same => {
                call.arguments.first().map_or(ValueKind::Text, Expression::kind)
            }
            Expression::Call(call) => call.helper.gives,
        }
    }
}

/// A stretch of a template, with the line it begins on.
pub(crate) enum TemplatePiece {
    Text { text: String, line: usize },
    Value { expression: Expression, line: usize, bare: bool },
}
