//! The endpoint for recorded clicks: `POST /api/v1/clicks` from own servers, by token.

use std::sync::Arc;

use http::StatusCode;
use serde_json::{Map, Value};

use crate::clock::{self, Clock};
use crate::domain::click::Pairs;
use crate::domain::ids::ClickId;
use crate::domain::money::without_exponent;
use crate::ingest::visit::VisitorEnricher;
use crate::store::Store;
use crate::store::contract::arrival::{ClickArrival, ClickRecorded, Screening};
use crate::view::postback::ClickReceiptView;
use crate::web::answer::{self, Answer};
use crate::web::click_body::{self, ReadClick};
use crate::web::health::Health;

/// The parts this endpoint works with.
#[derive(Clone)]
pub struct Clicks {
    pub store: Arc<dyn Store>,
    /// Which parameters platforms need, and how they are written.
    pub enricher: Arc<VisitorEnricher>,
    pub clock: Clock,
    pub health: Arc<Health>,
}

impl Clicks {
    /// Records the click that `body` describes and answers its id when it is durable.
    /// What of it could not be kept is named in `notes`.
    pub async fn record(&self, body: &[u8]) -> Answer {
        if !self.health.disk_space().records_postbacks() {
            return answer::disk_low();
        }
        let now = self.clock.now();
        let ReadClick { draft, notes } = match click_body::read(body, &self.enricher.landing, now) {
            Ok(read) => read,
            Err(fault) => return answer::error(StatusCode::BAD_REQUEST, "bad_click", fault, HINT),
        };
        let entropy = match clock::entropy::<16>() {
            Ok(entropy) => entropy,
            Err(error) => {
                tracing::error!(%error, "the operating system gave no entropy for a click id");
                return answer::unavailable();
            }
        };
        let click = draft.into_click(ClickId::mint(now.as_millis(), entropy), now);
        let mut omitted = click.context.omitted.clone();
        match self.store.record_click(ClickArrival { click, screening: Screening::None }).await {
            Ok(receipt) => {
                if receipt.recorded == ClickRecorded::Filled {
                    // A known click may have no room for all of it.
                    omitted.clone_from(&receipt.click.context.omitted);
                }
                let notes: Vec<String> = notes.into_iter().chain(omitted.sentences()).collect();
                answer::json(StatusCode::OK, &ClickReceiptView { click_id: &receipt.click.id, notes })
            }
            Err(error) => {
                self.health.store_failed(&error);
                answer::unavailable()
            }
        }
    }
}

const HINT: &str = "send a JSON object with click_id?, time?, landing_url?, referrer?, ip?, user_agent?, params{}, cookies{}, sub_ids{}, customer{}, consent{}";
/// The most names in one of the tag's objects, and the most bytes of one text.
const MOST_NAMES: usize = 64;
const MOST_BYTES: usize = 4096;

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
