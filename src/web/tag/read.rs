//! Reads what the tag reports: strictly, every member known and of bounded length.

use serde_json::{Map, Value};

use crate::domain::click::Pairs;
use crate::domain::consent::{Consent, ConsentRecord, said_by_browser};
use crate::domain::event::EventName;
use crate::domain::ids::ClickId;
use crate::domain::money::{Currency, DecimalMark, Money, parse_decimal, without_exponent};
use crate::domain::time::{DAY_MS, Time};
use crate::ingest::tag::{TagAnswer, TagClick, TagEvent, TagReport};

/// The most names in one of the tag's objects, and the most bytes of one text.
const MOST_NAMES: usize = 64;
const MOST_BYTES: usize = 4096;
/// How long before it arrives a page may have kept a message: 30 days, as long as it keeps its click.
const LONGEST_KEPT_MS: i64 = 30 * DAY_MS;
/// The longest transaction id, name of a campaign and currency.
const LONGEST_WORD: usize = 200;

/// Reads a click reported at `now`.
///
/// # Errors
/// A sentence naming the member, what was received, and what is allowed.
pub fn click(body: &[u8], now: Time) -> Result<TagClick, String> {
    let members = members(
        body,
        &[
            "click_id",
            "at",
            "now",
            "campaign",
            "landing_url",
            "referrer",
            "params",
            "cookies",
            "consent",
            "consent_at",
        ],
    )?;
    let text = |name: &str| optional(name, member(&members, name), |text| Ok(text.to_owned()));
    Ok(TagClick {
        id: click_id(&members)?,
        at: moment(&members, now)?,
        campaign: word(&members, "campaign")?,
        landing_url: text("landing_url")?,
        referrer: text("referrer")?,
        params: pairs("params", member(&members, "params"))?,
        cookies: pairs("cookies", member(&members, "cookies"))?,
        consent: consent(&members, now)?,
    })
}

/// Reads an event received at `now`; without a name, an answer to the question of consent alone.
///
/// # Errors
/// As [`click`].
pub fn event(body: &[u8], now: Time) -> Result<TagReport, String> {
    const EVENT: [&str; 8] = ["click_id", "at", "now", "name", "link", "value", "currency", "transaction_id"];
    let members = members(body, &[&EVENT[..], &["consent", "consent_at"]].concat())?;
    let consent = consent(&members, now)?;
    if member(&members, "name").is_null() && !consent.is_empty() {
        if let Some(of_event) = ["link", "value", "currency", "transaction_id"]
            .into_iter()
            .find(|of_event| !member(&members, of_event).is_null())
        {
            return Err(format!("`{of_event}` is of an event, and `name` is missing"));
        }
        return Ok(TagReport::Answer(TagAnswer { click: click_id(&members)?, consent }));
    }
    let name = |text: &str| {
        EventName::parse(text)
            .ok_or("it must have 1–64 characters, none of them a control character".to_owned())
    };
    let link = optional("link", member(&members, "link"), |text| Ok(text.to_owned()))?;
    let (value, note) = value(&members)?;
    Ok(TagReport::Event(TagEvent {
        click: click_id(&members)?,
        consent,
        at: moment(&members, now)?,
        name: optional("name", member(&members, "name"), name)?.ok_or("`name` is missing")?,
        link,
        value,
        transaction_id: word(&members, "transaction_id")?,
        note,
    }))
}

fn members(body: &[u8], known: &[&str]) -> Result<Map<String, Value>, String> {
    let value: Value =
        serde_json::from_slice(body).map_err(|error| format!("the body is not JSON: {error}"))?;
    let Value::Object(members) = value else { return Err("the body is not a JSON object".to_owned()) };
    match members.keys().find(|name| !known.contains(&name.as_str())) {
        Some(other) => Err(format!("`{other}` is not among the members: {}", known.join(", "))),
        None => Ok(members),
    }
}

fn member<'a>(members: &'a Map<String, Value>, name: &str) -> &'a Value {
    members.get(name).unwrap_or(&Value::Null)
}

fn click_id(members: &Map<String, Value>) -> Result<ClickId, String> {
    let read = |text: &str| ClickId::parse(text).map_err(|error| error.to_string());
    optional("click_id", member(members, "click_id"), read)?.ok_or("`click_id` is missing".to_owned())
}

fn word(members: &Map<String, Value>, name: &str) -> Result<Option<String>, String> {
    optional(name, member(members, name), |text| {
        if text.len() <= LONGEST_WORD && !text.chars().any(char::is_control) {
            return Ok(text.to_owned());
        }
        Err(format!("it may have {LONGEST_WORD} bytes, none of them a control character"))
    })
}

/// When it happened. A browser's clock may be wrong; the time between its own two readings is not.
fn moment(members: &Map<String, Value>, now: Time) -> Result<Time, String> {
    let (Some(at), Some(then)) = (millis(members, "at")?, millis(members, "now")?) else { return Ok(now) };
    Ok(now.plus_millis(-then.saturating_sub(at).clamp(0, LONGEST_KEPT_MS)))
}

fn value(members: &Map<String, Value>) -> Result<(Option<Money>, Option<String>), String> {
    let decimal = |text: &str| {
        let amount = parse_decimal(text, DecimalMark::Dot).ok_or("it is not a decimal such as 7.50")?;
        let below = amount.is_sign_negative() && !amount.is_zero();
        if below { Err("it is below 0; a page takes no sale back".to_owned()) } else { Ok(amount) }
    };
    let code = |text: &str| Currency::check(text).map_err(|why| format!("the code {text}, {}", why.why()));
    let amount = optional("value", member(members, "value"), decimal)?;
    let currency = optional("currency", member(members, "currency"), code)?;
    let note = "`value` was left out: no currency was received with it";
    Ok(match (amount, currency) {
        (Some(amount), Some(currency)) => (Some(Money::new(amount, currency)), None),
        (Some(_), None) => (None, Some(note.to_owned())),
        (None, _) => (None, None),
    })
}

fn millis(members: &Map<String, Value>, name: &str) -> Result<Option<i64>, String> {
    let read = |text: &str| text.parse::<i64>().map_err(|_| "it must be whole milliseconds".to_owned());
    optional(name, member(members, name), read)
}

/// The answers with the time at which they were given: `consent_at`, else the message's own `at`, else now.
fn consent(members: &Map<String, Value>, now: Time) -> Result<ConsentRecord, String> {
    let said = millis(members, "consent_at")?.or(millis(members, "at")?);
    let sent = millis(members, "now")?;
    let answers = answers(member(members, "consent"))?.unwrap_or_default();
    Ok(answers.said_at(said.map_or(now, |said| said_by_browser(said, sent, now))))
}

fn answers(value: &Value) -> Result<Option<Consent>, String> {
    let wrong = |what: &str| format!("`consent{what}`: {{ad_user_data, ad_personalization}}, true or false");
    let members = match value {
        Value::Null => return Ok(None),
        Value::Object(members) => members,
        _ => return Err(wrong("")),
    };
    let mut consent = Consent::default();
    for (name, value) in members {
        let place = match name.as_str() {
            "ad_user_data" => &mut consent.ad_user_data,
            "ad_personalization" => &mut consent.ad_personalization,
            other => return Err(wrong(&format!(".{other}"))),
        };
        *place = match value {
            Value::Null => None,
            Value::Bool(said) => Some(*said),
            _ => return Err(wrong(&format!(".{name}"))),
        };
    }
    Ok(Some(consent))
}

fn text(name: &str, value: &Value) -> Result<Option<String>, String> {
    let text = match value {
        Value::Null => return Ok(None),
        Value::String(text) => text.clone(),
        Value::Number(number) => {
            let number = number.to_string();
            // A script writes a small amount as `1e-7`.
            without_exponent(&number).unwrap_or(number)
        }
        other => return Err(format!("`{name}` is {other}; it must be a text")),
    };
    if text.len() > MOST_BYTES {
        return Err(format!("`{name}` has {} bytes; at most {MOST_BYTES} are kept", text.len()));
    }
    Ok(Some(text).filter(|text| !text.is_empty()))
}

/// The text of a member, read; `None` where it is absent, null or empty.
fn optional<T>(
    name: &str,
    value: &Value,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<Option<T>, String> {
    match text(name, value)? {
        Some(text) => parse(&text).map(Some).map_err(|fault| format!("`{name}` is `{text}`: {fault}")),
        None => Ok(None),
    }
}

fn object<'a>(name: &str, value: &'a Value) -> Result<Option<&'a Map<String, Value>>, String> {
    match value {
        Value::Null => Ok(None),
        Value::Object(members) if members.len() <= MOST_NAMES => Ok(Some(members)),
        Value::Object(members) => {
            Err(format!("`{name}` has {} names; at most {MOST_NAMES} are kept", members.len()))
        }
        other => Err(format!("`{name}` is {other}; it must be an object of texts")),
    }
}

/// The members of an object of texts; those without a text are left out.
fn pairs(name: &str, value: &Value) -> Result<Pairs, String> {
    let mut pairs = Pairs::new();
    for (key, value) in object(name, value)?.into_iter().flatten() {
        if let Some(text) = text(&format!("{name}.{key}"), value)? {
            pairs.push((key.clone(), text));
        }
    }
    Ok(pairs)
}
