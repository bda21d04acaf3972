//! How `preview` reports what it found: in words for people, as one JSON document for scripts.

use std::fmt::Write;

use serde_json::Value;

use crate::cli::outlook::{Outlook, Sending};
use crate::domain::attribution::Attribution;
use crate::domain::conversion::Conversion;
use crate::domain::delivery::DeliveryState;
use crate::domain::money::Money;
use crate::view::attribution::AttributionView;
use crate::view::preview::{
    PreviewView, PreviewedConversionView, PreviewedPostbackView, PreviewedRequestView, PreviewedSkipView,
    body, end_reason,
};

/// The document of `preview --json`.
pub fn as_json(outlook: &Outlook) -> PreviewView<'_> {
    let conversion = outlook.verdict.as_ref().ok();
    PreviewView {
        postback: PreviewedPostbackView::of(outlook.verdict.as_ref().err(), &outlook.params, &outlook.notes),
        conversion: conversion.map(PreviewedConversionView::of),
        attribution: conversion.map(|conversion| AttributionView::of(&conversion.attribution)),
        requests: outlook.sendings.iter().filter_map(request).collect(),
        skipped: outlook.sendings.iter().filter_map(skip).collect(),
    }
}

fn request(sending: &Sending) -> Option<PreviewedRequestView<'_>> {
    let to = (sending.destination.as_str(), sending.mode.as_str());
    let request = sending.request.as_ref().ok()?;
    Some(PreviewedRequestView::of(to, &sending.state, request, &sending.remarks))
}

fn skip(sending: &Sending) -> Option<PreviewedSkipView<'_>> {
    let missing = sending.request.as_ref().err()?;
    Some(PreviewedSkipView::of(&sending.destination, &sending.state, missing, &sending.remarks))
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
    line(text, "status", conversion.status.as_str());
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
        Attribution::NoClickId => "unmatched: no click id was received".to_owned(),
        Attribution::Unmatched { given } => {
            format!("unmatched: no click `{given}` was supplied (--click FILE)")
        }
        Attribution::Matched { click, reading, .. } => {
            format!("matched: click {click} ({})", reading.as_str())
        }
        Attribution::Expired { click, .. } => format!("expired: the session of click {click} was over"),
        Attribution::Visitor { click, model, .. } => {
            format!("matched: click {click} of the same visitor, by {}", model.as_str())
        }
    };
    line(text, "attribution", &attribution);
}

fn sending_words(text: &mut String, sending: &Sending) {
    text.push_str(&format!("\n{}, mode {}", sending.destination, sending.mode.as_str()));
    match &sending.state {
        DeliveryState::Held { until } => text.push_str(&format!(": held for its click until {until}")),
        DeliveryState::Skipped { reason, .. } => text.push_str(&format!(": skipped: {reason}")),
        DeliveryState::Dead { reason, .. } => text.push_str(&format!(": dead: {reason}")),
        DeliveryState::Waiting { .. } | DeliveryState::Delivered { .. } => {}
    }
    text.push('\n');
    match &sending.request {
        Err(_) if end_reason(&sending.state).is_some() => {}
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
