//! The receipts of a postback and of a click, as their sender gets them.

use serde::Serialize;

use crate::domain::ids::{ClickId, ConversionId, EventId};
use crate::domain::rejection::RejectionCode;
use crate::store::Receipt;

/// What became of a postback that was just received or reprocessed.
#[derive(Serialize)]
pub struct ReceiptView<'a> {
    status: &'static str,
    conversion_id: Option<ConversionId>,
    event_id: Option<EventId>,
    attribution: Option<&'static str>,
    reason_code: Option<&'static str>,
    field: Option<&'a str>,
    reason: Option<&'a str>,
    hint: Option<&'a str>,
}

impl<'a> ReceiptView<'a> {
    pub fn of(receipt: &'a Receipt) -> ReceiptView<'a> {
        let conversion = receipt.verdict.conversion();
        let fault = receipt.verdict.fault();
        ReceiptView {
            status: receipt.verdict.as_str(),
            conversion_id: conversion,
            event_id: conversion.map(|id| id.event_id()),
            attribution: receipt.matched.map(|matched| if matched { "matched" } else { "unmatched" }),
            reason_code: fault.and_then(|fault| fault.code).map(RejectionCode::as_str),
            field: fault.and_then(|fault| fault.field.as_deref()),
            reason: fault.map(|fault| fault.reason.as_str()),
            hint: fault.map_or(receipt.note.as_deref(), |fault| Some(&fault.hint)),
        }
    }
}

/// The receipt of a postback that was reprocessed, with the id of its new record.
#[derive(Serialize)]
pub struct ReprocessedView<'a> {
    #[serde(flatten)]
    receipt: ReceiptView<'a>,
    postback_id: String,
}

impl<'a> ReprocessedView<'a> {
    pub fn of(receipt: &'a Receipt) -> ReprocessedView<'a> {
        ReprocessedView { receipt: ReceiptView::of(receipt), postback_id: receipt.postback.to_string() }
    }
}

/// The receipt of a click that an own server recorded.
#[derive(Serialize)]
pub struct ClickReceiptView<'a> {
    pub click_id: &'a ClickId,
    /// What was left out, cut or read otherwise than it was written.
    pub notes: Vec<String>,
}
