//! The door for recorded clicks: `POST /api/v1/clicks` from own servers, by token.

use std::net::IpAddr;
use std::sync::Arc;

use http::StatusCode;
use serde_json::{Map, Value, json};

use crate::ambient::{self, Clock};
use crate::domain::click::{Pairs, Trait, Traits};
use crate::domain::ids::ClickId;
use crate::domain::time::Time;
use crate::ingest::click::{self, ClickDraft};
use crate::store::Store;
use crate::web::answer::{self, Answer};
use crate::web::health::Health;

/// The parts this door works with.
#[derive(Clone)]
pub struct Clicks {
    pub store: Arc<dyn Store>,
    pub clock: Clock,
    pub health: Arc<Health>,
}

impl Clicks {
    /// Records the click that `body` describes and answers its id when it is durable.
    pub async fn record(&self, body: &[u8]) -> Answer {
        let draft = match read(body) {
            Ok(draft) => draft,
            Err(fault) => return answer::error(StatusCode::BAD_REQUEST, "bad_click", fault, HINT),
        };
        let entropy = match ambient::entropy::<16>() {
            Ok(entropy) => entropy,
            Err(error) => {
                tracing::error!(%error, "the operating system gave no entropy for a click id");
                return answer::unavailable();
            }
        };
        let (store, health, now) = (Arc::clone(&self.store), Arc::clone(&self.health), self.clock.now());
        // On a task of its own: a client that hangs up drops this future, not the write.
        let task = tokio::spawn(async move {
            match click::record(store.as_ref(), draft, now, entropy).await {
                Ok((id, _)) => answer::json(StatusCode::OK, &json!({"click_id": id.as_str()})),
                Err(error) => {
                    health.store_failed(&error);
                    answer::unavailable()
                }
            }
        });
        task.await.unwrap_or_else(|_| answer::unavailable())
    }
}

const HINT: &str = "send a JSON object with click_id?, time?, landing_url?, referrer?, ip?, user_agent?, params{}, cookies{}, sub_ids{}, customer{}";
/// The most names in one of the objects, and the most bytes of one text.
const MOST_NAMES: usize = 64;
const MOST_BYTES: usize = 4096;

/// Reads a click as the API describes it.
///
/// # Errors
/// A sentence naming the member, what came, and what is allowed.
pub fn read(body: &[u8]) -> Result<ClickDraft, String> {
    let value: Value =
        serde_json::from_slice(body).map_err(|error| format!("the body is not JSON: {error}"))?;
    let Value::Object(members) = value else { return Err("the body is not a JSON object".to_owned()) };
    let mut draft = ClickDraft::default();
    for (name, value) in &members {
        match name.as_str() {
            "click_id" => {
                draft.id = optional(name, value, |text| ClickId::parse(text).map_err(|e| e.to_string()))?
            }
            "time" => {
                draft.at = optional(name, value, |text| {
                    Time::parse(text).ok_or("it is not an RFC 3339 time".to_owned())
                })?
            }
            "landing_url" => draft.landing_url = optional(name, value, |text| Ok(text.to_owned()))?,
            "referrer" => draft.referrer = optional(name, value, |text| Ok(text.to_owned()))?,
            "ip" => {
                draft.ip = optional(name, value, |text| {
                    text.parse::<IpAddr>().map_err(|_| "it is not an IP address".to_owned())
                })?
            }
            "user_agent" => draft.user_agent = optional(name, value, |text| Ok(text.to_owned()))?,
            "params" => draft.params = pairs(name, value)?,
            "cookies" => draft.cookies = pairs(name, value)?,
            "sub_ids" => draft.sub_ids = pairs(name, value)?,
            "customer" => draft.customer = customer(value)?,
            other => return Err(format!("`{other}` is not a member of a click")),
        }
    }
    Ok(draft)
}

fn text(name: &str, value: &Value) -> Result<Option<String>, String> {
    let text = match value {
        Value::Null => return Ok(None),
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        other => return Err(format!("`{name}` is {other}; it must be a text")),
    };
    if text.len() > MOST_BYTES {
        return Err(format!("`{name}` has {} bytes; at most {MOST_BYTES} are kept", text.len()));
    }
    Ok(Some(text).filter(|text| !text.is_empty()))
}

/// The text of a member, read; `None` where it is absent, null or empty.
///
/// # Errors
/// A sentence naming it.
pub fn optional<T>(
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
///
/// # Errors
/// A sentence naming the member.
pub fn pairs(name: &str, value: &Value) -> Result<Pairs, String> {
    let mut pairs = Pairs::new();
    for (key, value) in object(name, value)?.into_iter().flatten() {
        if let Some(text) = text(&format!("{name}.{key}"), value)? {
            pairs.push((key.clone(), text));
        }
    }
    Ok(pairs)
}

fn customer(value: &Value) -> Result<Traits, String> {
    let mut traits = Traits::default();
    for (key, value) in object("customer", value)?.into_iter().flatten() {
        let Some(name) = Trait::parse(key) else {
            let known: Vec<&str> = Trait::NAMES.iter().map(|(_, name)| *name).collect();
            return Err(format!("`customer.{key}` is not a trait; known are {}", known.join(", ")));
        };
        if let Some(text) = text(&format!("customer.{key}"), value)? {
            traits.0.insert(name, text);
        }
    }
    Ok(traits)
}
