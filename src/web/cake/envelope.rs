//! How answers are written: flat, members in the documents' order, money with the digits stored.

use http::StatusCode;
use serde::Serialize;
use serde_json::{Number, Value, json};

use crate::domain::conversion::Conversion;
use crate::domain::money::Money;
use crate::domain::time::Time;
use crate::web::answer::{self, Answer};

/// A success; `text` is its document.
pub(super) fn success(text: String) -> Answer {
    answer::json_text(StatusCode::OK, text)
}

/// `{"request_status":"Error","message":…}`.
pub(super) fn error(status: StatusCode, message: impl AsRef<str>) -> Answer {
    answer::json(status, &json!({"request_status": "Error", "message": message.as_ref()}))
}

/// A document as it is sent.
pub(super) fn text(document: &impl Serialize) -> String {
    // Only a map whose keys are no texts cannot be written, and no document has one.
    serde_json::to_string(document).unwrap_or_default()
}

/// The answer to a conversion that was recorded. What is not known of it is left out.
#[derive(Serialize)]
pub(super) struct RecordReply<'a> {
    request_status: &'static str,
    conversion_id: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    click_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    offer_id: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    affiliate_id: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payout: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revenue: Option<Number>,
    conversion_date: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    order_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unique_id: Option<&'a str>,
    conversion_status: &'static str,
}

impl RecordReply<'_> {
    /// `number`: by which the caller knows it.
    pub(super) fn of(conversion: &Conversion, number: u64) -> RecordReply<'_> {
        let row = HistoryRow::of(conversion, number);
        RecordReply {
            request_status: "Success",
            conversion_id: row.conversion_id,
            click_id: row.click_id,
            offer_id: row.offer_id,
            affiliate_id: row.affiliate_id,
            payout: row.payout,
            revenue: row.revenue,
            conversion_date: row.conversion_date,
            order_id: row.order_id,
            unique_id: conversion.transaction_id.as_deref(),
            conversion_status: row.conversion_status,
        }
    }
}

/// A page of the history.
#[derive(Serialize)]
pub(super) struct HistoryReply<'a> {
    pub(super) request_status: &'static str,
    pub(super) total_rows: u64,
    pub(super) conversions: Vec<HistoryRow<'a>>,
}

/// A conversion as the history shows it. What is not known of it is left out.
#[derive(Serialize)]
pub(super) struct HistoryRow<'a> {
    conversion_id: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    click_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    offer_id: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    affiliate_id: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payout: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revenue: Option<Number>,
    conversion_date: String,
    conversion_status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    order_id: Option<&'a str>,
}

impl HistoryRow<'_> {
    /// `conversion_id`: the number by which the caller knows it.
    pub(super) fn of(conversion: &Conversion, conversion_id: u64) -> HistoryRow<'_> {
        let placed = conversion.campaign_ref.as_ref();
        // The id as it was recorded; where no click is known, as it was reported.
        let click = conversion.attribution.click().map(|id| id.as_str());
        HistoryRow {
            conversion_id,
            click_id: click.or(conversion.attribution.given()),
            offer_id: placed.map(|placed| whole(placed.offer.as_str())),
            affiliate_id: placed.and_then(|placed| placed.affiliate.as_ref()).map(|id| whole(id.as_str())),
            payout: conversion.payout.and_then(amount),
            revenue: conversion.revenue.and_then(amount),
            conversion_date: seconds(conversion.event_time),
            conversion_status: conversion.status.as_str(),
            order_id: conversion.order_id(),
        }
    }
}

/// The answer to a change of status.
pub(super) fn updated(conversion: &Conversion, conversion_id: u64) -> String {
    #[derive(Serialize)]
    struct Updated {
        request_status: &'static str,
        conversion: UpdateReply,
    }
    #[derive(Serialize)]
    struct UpdateReply {
        conversion_id: u64,
        conversion_status: &'static str,
    }
    let changed = UpdateReply { conversion_id, conversion_status: conversion.status.as_str() };
    text(&Updated { request_status: "Success", conversion: changed })
}

/// An id as the documents write it: a whole number. One that is none stays a text, since ids of
/// the configuration need not be numbers where no one asks this API.
pub(super) fn whole(id: &str) -> Value {
    let plain = id.bytes().all(|b| b.is_ascii_digit()) && !id.starts_with('0');
    id.parse::<u64>().ok().filter(|_| plain).map_or_else(|| id.into(), Value::from)
}

/// The amount with just its digits: `5.00` stays `5.00`.
fn amount(money: Money) -> Option<Number> {
    money.amount.to_string().parse().ok()
}

/// UTC, in whole seconds.
fn seconds(time: Time) -> String {
    jiff::Timestamp::from_second(time.as_seconds())
        .map_or_else(|_| time.to_string(), |stamp| format!("{stamp:.0}"))
}
