//! How `preview` tells what it found: in words for people, as one JSON document for scripts.

use std::fmt::Write;

use serde_json::{Map, Value, json};

use crate::cli::outlook::{Outlook, Sending};
use crate::domain::attribution::Attribution;
use crate::domain::conversion::Conversion;
use crate::domain::delivery::{DeliveryState, SentRequest};
use crate::domain::money::Money;
use crate::web::api::views;

/// The document of `preview --json`. A quarantined postback has neither conversion nor attribution.
pub fn as_json(outlook: &Outlook) -> Value {
    let conversion = outlook.verdict.as_ref().ok();
    let made = outlook.sendings.iter().filter_map(|sending| {
        let request = sending.request.as_ref().ok()?;
        Some(json!({
            "destination": sending.destination,
            "mode": sending.mode.word(),
            "state": sending.state.word(),
            "reason_code": views::skip_code(&sending.state),
            "reason": unsent(&sending.state),
            "method": request.method,
            "url": request.url,
            "headers": headers(request),
            "body": body(request),
            "remarks": remarks(sending),
        }))
    });
    let skipped = outlook.sendings.iter().filter_map(|sending| {
        let missing = sending.request.as_ref().err()?;
        let reason = unsent(&sending.state).unwrap_or(missing);
        Some(json!({
            "destination": sending.destination,
            "state": sending.state.word(),
            "reason_code": views::skip_code(&sending.state),
            "reason": reason,
            "remarks": remarks(sending),
        }))
    });
    json!({
        "postback": postback_json(outlook),
        "conversion": conversion.map(conversion_json),
        "attribution": conversion.map(|conversion| views::attribution(&conversion.attribution)),
        "requests": made.collect::<Vec<_>>(),
        "skipped": skipped.collect::<Vec<_>>(),
    })
}

/// Why a delivery would not be sent at its turn.
fn unsent(state: &DeliveryState) -> Option<&str> {
    match state {
        DeliveryState::Skipped { reason, .. } | DeliveryState::Dead { reason, .. } => Some(reason),
        DeliveryState::Held { .. } | DeliveryState::Waiting { .. } | DeliveryState::Delivered { .. } => None,
    }
}

fn postback_json(outlook: &Outlook) -> Value {
    let fault = outlook.verdict.as_ref().err();
    let params = outlook.params.iter().map(|param| json!({ "name": param.name, "value": param.value }));
    json!({
        "status": if fault.is_some() { "quarantined" } else { "accepted" },
        "reason": fault.map(|fault| &fault.reason),
        "hint": fault.map(|fault| &fault.hint),
        "parameters": params.collect::<Vec<_>>(),
        "notes": outlook.notes,
    })
}

fn conversion_json(conversion: &Conversion) -> Value {
    json!({
        "conversion_id": conversion.id.to_string(),
        "event_id": conversion.id.event_id().to_string(),
        "source": conversion.source.as_str(),
        "event": conversion.event.as_str(),
        "status": conversion.status.word(),
        "transaction_id": conversion.transaction_id,
        "click_id": conversion.attribution.given(),
        "item_id": conversion.item_id,
        "value": views::money(conversion.value),
        "payout": views::money(conversion.payout),
        "revenue": views::money(conversion.revenue),
        "sale_amount": views::money(conversion.sale_amount),
        "event_time": conversion.event_time.to_string(),
        "traits": views::traits(&conversion.traits),
        "params": views::pairs(&conversion.params),
    })
}

fn remarks(sending: &Sending) -> Vec<Value> {
    sending.remarks.iter().map(views::remark).collect()
}

fn headers(request: &SentRequest) -> Map<String, Value> {
    request.headers.iter().map(|(name, value)| (name.clone(), json!(value))).collect()
}

/// JSON where the body is JSON, else its text; null where there is none.
fn body(request: &SentRequest) -> Value {
    if request.body.is_empty() {
        return Value::Null;
    }
    serde_json::from_str(&request.body).unwrap_or_else(|_| json!(request.body))
}

/// The same for people.
pub fn in_words(outlook: &Outlook) -> String {
    let mut text = String::from("parameters\n");
    for param in &outlook.params {
        line(&mut text, &param.name, &param.value);
    }
    match &outlook.verdict {
        Ok(conversion) => conversion_words(&mut text, conversion),
        Err(fault) => {
            text.push_str("\nquarantined\n");
            line(&mut text, "reason", &fault.reason);
            line(&mut text, "hint", &fault.hint);
        }
    }
    for note in &outlook.notes {
        line(&mut text, "note", note);
    }
    for sending in &outlook.sendings {
        sending_words(&mut text, sending);
    }
    text
}

fn conversion_words(text: &mut String, conversion: &Conversion) {
    text.push_str("\naccepted\n");
    line(text, "event", conversion.event.as_str());
    line(text, "status", conversion.status.word());
    let money = |money: Option<Money>| money.map(|money| money.to_string());
    for (name, value) in [
        ("transaction id", conversion.transaction_id.clone()),
        ("item id", conversion.item_id.clone()),
        ("value", money(conversion.value)),
        ("payout", money(conversion.payout)),
        ("revenue", money(conversion.revenue)),
        ("sale amount", money(conversion.sale_amount)),
    ] {
        if let Some(value) = value {
            line(text, name, &value);
        }
    }
    for (name, value) in &conversion.params {
        line(text, name, value);
    }
    for (name, value) in &conversion.traits.0 {
        line(text, name.name(), value);
    }
    line(text, "event id", &conversion.id.event_id().to_string());
    let attribution = match &conversion.attribution {
        Attribution::NoClickId => "unmatched: no click id came".to_owned(),
        Attribution::Unmatched { given } => {
            format!("unmatched: no click `{given}` was supplied (--click FILE)")
        }
        Attribution::Matched { click, reading, .. } => {
            format!("matched: click {click}, read {}", reading.word())
        }
        Attribution::Expired { click, .. } => format!("expired: the session of click {click} was over"),
        Attribution::Visitor { click, model, .. } => {
            format!("matched: click {click} of the same visitor, by {}", model.word())
        }
    };
    line(text, "attribution", &attribution);
}

fn sending_words(text: &mut String, sending: &Sending) {
    text.push_str(&format!("\n{}, mode {}", sending.destination, sending.mode.word()));
    match &sending.state {
        DeliveryState::Held { until } => text.push_str(&format!(": held for its click until {until}")),
        DeliveryState::Skipped { reason, .. } => text.push_str(&format!(": skipped: {reason}")),
        DeliveryState::Dead { reason, .. } => text.push_str(&format!(": dead: {reason}")),
        DeliveryState::Waiting { .. } | DeliveryState::Delivered { .. } => {}
    }
    text.push('\n');
    match &sending.request {
        Err(_) if unsent(&sending.state).is_some() => {}
        Err(reason) => line(text, "not sent", reason),
        Ok(request) => {
            text.push_str(&format!("  {} {}\n", request.method, request.url));
            for (name, value) in &request.headers {
                text.push_str(&format!("  {name}: {value}\n"));
            }
            let body = match body(request) {
                Value::Null => String::new(),
                Value::String(text) => text,
                json => format!("{json:#}"),
            };
            for row in body.lines() {
                text.push_str(&format!("  {row}\n"));
            }
        }
    }
    for remark in &sending.remarks {
        line(text, "note", &remark.sentence());
    }
}

fn line(text: &mut String, name: &str, value: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "  {name:<16} {value}");
}
