//! A delivery for the pages: its state, each attempt's request and response, and the next step.

use serde_json::{Value, json};

use crate::domain::conversion::Conversion;
use crate::domain::delivery::{Answer, Attempt, Delivery, DeliveryState, LaneState, SentRequest};
use crate::domain::time::Time;
use crate::domain::unsent::{self, Circumstances, Unsent};
use crate::web::api::views::{judged, remark, shown};
use crate::web::pages::advice;

/// What a delivery is shown by.
pub struct Present<'a> {
    pub lanes: &'a [LaneState],
    pub circumstances: &'a Circumstances,
    pub now: Time,
}

/// A delivery with the attempts given, and whether its destination was told before, as the templates
/// `conversion` and `deliveries` show it.
pub fn delivery(
    conversion: &Conversion,
    (delivery, told_before): (&Delivery, bool),
    attempts: &[Attempt],
    present: &Present<'_>,
) -> Value {
    let (now, lanes) = (present.now, present.lanes);
    let lane = lanes.iter().find(|lane| lane.destination == delivery.destination);
    let unsent = unsent::of_delivery(conversion, (delivery, told_before), present.circumstances);
    let (label, at) = match &delivery.state {
        DeliveryState::Held { until } => ("Held until", until),
        DeliveryState::Waiting { due } => ("Due", due),
        DeliveryState::Delivered { at } => ("Delivered", at),
        DeliveryState::Dead { at, .. } => ("Dead since", at),
        DeliveryState::Skipped { at, .. } => ("Skipped", at),
    };
    let reason = match &delivery.state {
        DeliveryState::Dead { reason, .. } => Some(reason.clone()),
        _ => unsent.as_ref().map(Unsent::sentence),
    };
    let next_step = match &unsent {
        Some(unsent) => unsent.next_step().to_owned(),
        None => advice::next_step(conversion, delivery, attempts.last(), lane),
    };
    let occasion = delivery.occasion.to_string();
    let listed = attempts.iter().enumerate();
    json!({
        "id": delivery.id(conversion.id).to_string(),
        "destination": delivery.destination.as_str(),
        "occasion": if occasion == "first" { "first telling".to_owned() } else { format!("change {occasion}") },
        "state": delivery.state.word(),
        "count": delivery.attempts,
        "when": label,
        "at": at.to_string(),
        "distance": advice::distance(*at, now),
        "reason": reason,
        "next_step": next_step,
        "can_retry": can_retry(&delivery.state, now),
        "attempts": listed.map(|(index, one)| attempt(one, index + 1 == attempts.len())).collect::<Vec<_>>(),
    })
}

/// What a person can send now: what gave up, and what waits for a later time.
fn can_retry(state: &DeliveryState, now: Time) -> bool {
    match state {
        DeliveryState::Dead { .. } | DeliveryState::Skipped { .. } => true,
        DeliveryState::Waiting { due } => *due > now,
        DeliveryState::Held { .. } | DeliveryState::Delivered { .. } => false,
    }
}

fn attempt(attempt: &Attempt, open: bool) -> Value {
    let (reason, warnings) = judged(&attempt.judgement);
    json!({
        "at": attempt.at.to_string(),
        "took_ms": attempt.took_ms,
        "outcome": attempt.judgement.word(),
        "reason": reason,
        "warnings": warnings,
        "remarks": attempt.remarks.iter().map(remark).collect::<Vec<_>>(),
        "open": open,
        "request": attempt.request.as_ref().map(request),
        "response": attempt.answer.as_ref().map(response),
    })
}

/// A request as it left, its secrets masked.
pub fn request(request: &SentRequest) -> Value {
    json!({
        "method": request.method,
        "url": request.url,
        "headers": headers(&request.headers),
        "body": (!request.body.is_empty()).then(|| pretty(&request.body)),
    })
}

fn response(answer: &Answer) -> Value {
    let body = shown(&answer.body);
    json!({
        "status": answer.status,
        "headers": headers(&answer.headers),
        "body": (!body.is_empty()).then(|| pretty(&body)),
        "truncated": answer.truncated,
    })
}

fn headers(headers: &[(String, String)]) -> Value {
    headers.iter().map(|(name, value)| json!({"name": name, "value": value})).collect()
}

/// JSON with its members on lines of their own; any other text as it is.
fn pretty(text: &str) -> String {
    let is_nested = text.trim_start().starts_with(['{', '[']);
    let parsed = is_nested.then(|| serde_json::from_str::<Value>(text).ok()).flatten();
    parsed.and_then(|value| serde_json::to_string_pretty(&value).ok()).unwrap_or_else(|| text.to_owned())
}
