//! Reads what the tag reports: strictly, every member known and of bounded length.

use rust_decimal::Decimal;
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::domain::click::Pairs;
use crate::domain::consent::{Consent, ConsentRecord, said_by_browser};
use crate::domain::event::EventName;
use crate::domain::ids::ClickId;
use crate::domain::money::{Currency, Money, NumberFormat, parse_decimal, without_exponent};
use crate::domain::rejection::note::ReportNote;
use crate::domain::rejection::param::{ParamFault, ParamProblem};
use crate::domain::time::{DAY_MS, Time};
use crate::ingest::tag::{TagAnswer, TagClick, TagEvent, TagReport};

/// The most names in one of the tag's objects, and the most bytes of one text.
const MOST_NAMES: usize = 64;
const MOST_BYTES: usize = 4096;
/// How long before it arrives a page may have kept a message: 30 days, as long as it keeps its click.
const LONGEST_KEPT_MS: i64 = 30 * DAY_MS;
/// The longest transaction id, name of a campaign and currency.
const LONGEST_WORD: usize = 200;
const NO_CLICK_ID: &str = "`click_id` is missing";

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ClickMessage {
    click_id: Id,
    at: Millis,
    now: Millis,
    campaign: Word,
    landing_url: Text,
    referrer: Text,
    params: Option<Texts>,
    cookies: Option<Texts>,
    consent: Option<Answers>,
    consent_at: Millis,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct EventMessage {
    click_id: Id,
    at: Millis,
    now: Millis,
    name: Name,
    link: Text,
    value: Amount,
    currency: Code,
    transaction_id: Word,
    consent: Option<Answers>,
    consent_at: Millis,
}

/// Reads a click reported at `now`.
///
/// # Errors
/// A sentence naming the member, what was received, and what is allowed.
pub fn click(body: &[u8], now: Time) -> Result<TagClick, String> {
    let click: ClickMessage = message(members(body)?)?;
    let pairs = |texts: Option<Texts>| texts.map_or_else(Pairs::new, |texts| texts.0);
    Ok(TagClick {
        id: click.click_id.0.ok_or(NO_CLICK_ID)?,
        at: moment(click.at.0, click.now.0, now),
        campaign: click.campaign.0,
        landing_url: click.landing_url.0,
        referrer: click.referrer.0,
        params: pairs(click.params),
        cookies: pairs(click.cookies),
        consent: consent(click.consent, click.consent_at.0.or(click.at.0), click.now.0, now),
    })
}

/// Reads an event received at `now`; without a name, an answer to the question of consent alone.
///
/// # Errors
/// As [`click`].
pub fn event(body: &[u8], now: Time) -> Result<TagReport, String> {
    let members = members(body)?;
    let has = |name: &&str| members.get(*name).is_some_and(|value| !value.is_null());
    let is_named = has(&"name");
    let of_event = ["link", "value", "currency", "transaction_id"].into_iter().find(has);
    let event: EventMessage = message(members)?;
    let consent = consent(event.consent, event.consent_at.0.or(event.at.0), event.now.0, now);
    let is_answer = !is_named && !consent.is_empty();
    if let Some(of_event) = of_event.filter(|_| is_answer) {
        return Err(format!("`{of_event}` is of an event, and `name` is missing"));
    }
    let click = event.click_id.0.ok_or(NO_CLICK_ID)?;
    if is_answer {
        return Ok(TagReport::Answer(TagAnswer { click, consent }));
    }
    let no_currency = event.value.0.is_some() && event.currency.0.is_none();
    Ok(TagReport::Event(TagEvent {
        click,
        consent,
        at: moment(event.at.0, event.now.0, now),
        name: event.name.0.ok_or("`name` is missing")?,
        link: event.link.0,
        value: event.value.0.zip(event.currency.0).map(|(amount, currency)| Money::new(amount, currency)),
        transaction_id: event.transaction_id.0,
        notes: no_currency.then(value_without_currency).into_iter().collect(),
    }))
}

fn value_without_currency() -> ReportNote {
    let wrong = ParamFault::MissingCurrency { param: Some("currency".to_owned()) };
    ReportNote::left_out(ParamProblem::new("value".to_owned(), None, wrong))
}

fn members(body: &[u8]) -> Result<Map<String, Value>, String> {
    serde_json::from_slice(body).map_err(|error| format!("the body is not a JSON object: {error}"))
}

fn message<T: DeserializeOwned>(members: Map<String, Value>) -> Result<T, String> {
    serde_path_to_error::deserialize(members)
        .map_err(|error| format!("`{}`: {}", error.path(), error.inner()))
}

/// When it happened. A browser's clock may be wrong; the time between its own two readings is not.
fn moment(at: Option<i64>, sent: Option<i64>, now: Time) -> Time {
    let kept = at.zip(sent).map_or(0, |(at, sent)| sent.saturating_sub(at).clamp(0, LONGEST_KEPT_MS));
    now.plus_millis(-kept)
}

/// The answers with the time at which they were given; now, where the message names none.
fn consent(answers: Option<Answers>, said: Option<i64>, sent: Option<i64>, now: Time) -> ConsentRecord {
    let at = said.map_or(now, |said| said_by_browser(said, sent, now));
    answers.unwrap_or_default().0.said_at(at)
}

/// The answers: an object, where serde would take a list as well.
#[derive(Default, Deserialize)]
#[serde(try_from = "Map<String, Value>")]
struct Answers(Consent);

impl TryFrom<Map<String, Value>> for Answers {
    type Error = String;

    fn try_from(members: Map<String, Value>) -> Result<Answers, String> {
        message(members).map(Answers)
    }
}

/// A text or a number as a text; `None` where it is null or empty.
fn text(value: Value) -> Result<Option<String>, String> {
    let text = match value {
        Value::Null => return Ok(None),
        Value::String(text) => text,
        Value::Number(number) => {
            let number = number.to_string();
            // A script writes a small amount as `1e-7`.
            without_exponent(&number).unwrap_or(number)
        }
        other => return Err(format!("{other} is not a text")),
    };
    if text.len() > MOST_BYTES {
        return Err(format!("it has {} bytes; at most {MOST_BYTES} are kept", text.len()));
    }
    Ok(Some(text).filter(|text| !text.is_empty()))
}

/// Members that are a text or a number, each read by its own function.
macro_rules! texts {
    ($($name:ident($of:ty): $parse:expr;)*) => {$(
        #[derive(Default)]
        struct $name(Option<$of>);

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<$name, D::Error> {
                let Some(text) = text(Value::deserialize(from)?).map_err(Error::custom)? else {
                    return Ok($name(None));
                };
                let parsed: Result<$of, String> = $parse(&text);
                parsed.map(|it| $name(Some(it))).map_err(|why| Error::custom(format!("`{text}` {why}")))
            }
        }
    )*};
}
texts! {
    Text(String): |text: &str| Ok(text.to_owned());
    Word(String): word;
    Id(ClickId): |text: &str| ClickId::parse(text).map_err(|error| format!("is wrong: {error}"));
    Name(EventName): |text: &str| EventName::parse(text)
        .ok_or("must have 1–64 characters, none of them a control character".to_owned());
    Amount(Decimal): amount;
    Code(Currency): |text: &str| Currency::check(text).map_err(|why| format!("is a code {}", why.why()));
    Millis(i64): |text: &str| text.parse().map_err(|_| "is not whole milliseconds".to_owned());
}

fn word(text: &str) -> Result<String, String> {
    if text.len() <= LONGEST_WORD && !text.chars().any(char::is_control) {
        return Ok(text.to_owned());
    }
    Err(format!("may have {LONGEST_WORD} bytes, none of them a control character"))
}

fn amount(text: &str) -> Result<Decimal, String> {
    let amount = parse_decimal(text, NumberFormat::Plain).ok_or("is not a decimal number such as 7.50")?;
    let below = amount.is_sign_negative() && !amount.is_zero();
    if below { Err("is below 0; a page takes no sale back".to_owned()) } else { Ok(amount) }
}

/// An object of texts in their order; members without a text are left out.
#[derive(Deserialize)]
#[serde(try_from = "Map<String, Value>")]
struct Texts(Pairs);

impl TryFrom<Map<String, Value>> for Texts {
    type Error = String;

    fn try_from(members: Map<String, Value>) -> Result<Texts, String> {
        if members.len() > MOST_NAMES {
            return Err(format!("it has {} names; at most {MOST_NAMES} are kept", members.len()));
        }
        let read = |(name, value)| match text(value) {
            Ok(text) => text.map(|text| Ok((name, text))),
            Err(why) => Some(Err(format!("`{name}`: {why}"))),
        };
        members.into_iter().filter_map(read).collect::<Result<_, _>>().map(Texts)
    }
}
