//! A record of the raw log: the request as it was received, what became of it, and the receipt.

use std::borrow::Cow;
use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use data_encoding::HEXLOWER;
use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::ids::{ClickId, ConversionId, EventId, SourceId};
use crate::domain::postback::{EncodedBody, Inflation, KeptHeaders, Postback, RawRequest};
use crate::domain::reporter::Reporter;
use crate::domain::time::Time;
use crate::store::contract::arrival::Receipt;
use crate::view::reason::{NoteView, ReasonView};
use crate::view::schema::{TimeText, VerdictWord};
use crate::view::value::readable;

/// A record with its bytes.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Postback")]
pub struct PostbackView<'a> {
    #[serde(flatten)]
    verdict: PostbackVerdictView<'a>,
    /// Null once `keep_postbacks_days` have passed.
    raw: Option<RawView<'a>>,
}

impl<'a> PostbackView<'a> {
    pub(crate) fn of(postback: &'a Postback) -> PostbackView<'a> {
        PostbackView {
            verdict: PostbackVerdictView::of(postback),
            raw: postback.raw.as_ref().map(RawView::of),
        }
    }
}

/// What became of a postback.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "PostbackVerdict")]
pub struct PostbackVerdictView<'a> {
    /// A number that grows: what `/api/v1/postbacks/{id}` takes.
    id: String,
    #[schemars(with = "TimeText")]
    received_at: Time,
    /// Null where the path named no configured source.
    #[schemars(with = "Option<String>")]
    source: Option<&'a SourceId>,
    #[schemars(with = "VerdictWord")]
    status: &'static str,
    /// The conversion that it made, changed or repeated; null of another verdict.
    #[schemars(with = "Option<String>")]
    conversion_id: Option<ConversionId>,
    #[serde(flatten)]
    rejected: ReasonView,
    /// What was repaired or left out, and did not stop it.
    notes: Vec<NoteView>,
    /// Which version of the source's template mapped it, with the source's own settings that decide on it: 12
    /// hexadecimal digits, another where one of them changes. Null where a built-in endpoint received it, or it was
    /// refused.
    mapping: Option<String>,
    /// The id of the quarantined or ignored record that was reprocessed here.
    reprocesses: Option<String>,
}

impl<'a> PostbackVerdictView<'a> {
    pub(crate) fn of(postback: &'a Postback) -> PostbackVerdictView<'a> {
        PostbackVerdictView {
            id: postback.seq.to_string(),
            received_at: postback.received_at,
            source: postback.source.as_ref(),
            status: postback.verdict.as_str(),
            conversion_id: postback.verdict.conversion(),
            rejected: ReasonView::of_report(&postback.verdict, &postback.notes),
            notes: NoteView::all(&postback.notes),
            mapping: postback.mapping.map(|version| version.to_string()),
            reprocesses: postback.again.map(|seq| seq.to_string()),
        }
    }
}

/// The request. Bytes that are not UTF-8 are shown as `\xNN`; the members in base64 have them all.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Raw")]
struct RawView<'a> {
    /// The request line; its first path segment, the key, is masked.
    line: String,
    line_base64: String,
    /// Names in lower case, and values, in the order in which they were received, at most 4 KiB. What reads like a
    /// key is masked.
    headers: Vec<[String; 2]>,
    /// The same, each as `name: value` and a line feed.
    headers_base64: String,
    /// How many more were received: credentials (`Authorization`, `Cookie`…), and what there was no room for.
    headers_left_out: u32,
    /// Inflated, where it was compressed.
    body: String,
    body_base64: String,
    #[serde(flatten)]
    sender: SenderView<'a>,
}

impl<'a> RawView<'a> {
    fn of(raw: &'a RawRequest) -> RawView<'a> {
        RawView {
            line: readable(&raw.line),
            line_base64: STANDARD.encode(&raw.line),
            headers: headers(&raw.headers),
            headers_base64: STANDARD.encode(raw.headers.as_bytes()),
            headers_left_out: raw.headers.left_out(),
            body: readable(&raw.body),
            body_base64: STANDARD.encode(&raw.body),
            sender: SenderView::of(raw),
        }
    }
}

/// Names and values, as a person reads them.
fn headers(kept: &KeptHeaders) -> Vec<[String; 2]> {
    kept.iter().map(|(name, value)| [name.to_owned(), readable(value)]).collect()
}

/// By whom a request was sent, and how its body was written.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Sender")]
pub struct SenderView<'a> {
    content_type: Option<Cow<'a, str>>,
    /// The sender's address: the connection's, or what a trusted proxy says.
    peer: Option<IpAddr>,
    /// The addresses that headers named, the farthest first, where a proxy hid the sender: no declared proxy
    /// confirmed them. Null for everything else.
    forwarded_for: Option<&'a [IpAddr]>,
    /// Null where the body was not encoded.
    received_body: Option<ReceivedBodyView<'a>>,
}

impl<'a> SenderView<'a> {
    pub(crate) fn of(raw: &'a RawRequest) -> SenderView<'a> {
        let hidden = match raw.reporter.as_deref() {
            Some(Reporter::Keyless(keyless)) => keyless.hidden(),
            _ => None,
        };
        SenderView {
            content_type: raw.content_type(),
            peer: raw.peer,
            forwarded_for: hidden.map(|(named, _)| named),
            received_body: raw.encoded.as_ref().map(ReceivedBodyView::of),
        }
    }
}

/// The body as it was received, where it was encoded.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ReceivedBody")]
struct ReceivedBodyView<'a> {
    /// The value of `Content-Encoding`.
    encoding: &'a str,
    /// How many were received, before they were inflated.
    bytes: u64,
    /// Of the bytes as they were received, in hex.
    sha256: String,
    /// False: the encoding is not known, or the bytes are damaged; `body` is as it was received.
    inflated: bool,
}

impl<'a> ReceivedBodyView<'a> {
    fn of(encoded: &'a EncodedBody) -> ReceivedBodyView<'a> {
        ReceivedBodyView {
            encoding: &encoded.encoding,
            bytes: encoded.bytes,
            sha256: HEXLOWER.encode(&encoded.sha256),
            inflated: encoded.inflation == Inflation::Inflated,
        }
    }
}

/// What became of a postback that was just received or reprocessed.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Receipt")]
pub struct ReceiptView {
    #[schemars(with = "VerdictWord")]
    status: &'static str,
    /// Null where it is quarantined or ignored.
    #[schemars(with = "Option<String>")]
    conversion_id: Option<ConversionId>,
    /// The id that ad platforms are sent.
    #[schemars(with = "Option<String>")]
    event_id: Option<EventId>,
    /// `matched` or `unmatched`; null without a conversion.
    attribution: Option<&'static str>,
    #[serde(flatten)]
    rejected: ReasonView,
}

impl ReceiptView {
    /// The answer to a postback where its source's template sets none of its own.
    pub fn of(receipt: &Receipt) -> ReceiptView {
        let conversion = receipt.verdict.conversion();
        ReceiptView {
            status: receipt.verdict.as_str(),
            conversion_id: conversion,
            event_id: conversion.map(|id| id.event_id()),
            attribution: receipt.matched.map(|matched| if matched { "matched" } else { "unmatched" }),
            rejected: ReasonView::of_report(&receipt.verdict, &receipt.notes),
        }
    }
}

/// The receipt of a postback that was reprocessed, with the id of its new record.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Reprocessed")]
pub struct ReprocessedView {
    #[serde(flatten)]
    receipt: ReceiptView,
    /// The new record; the earlier one stays as it was.
    postback_id: String,
}

impl ReprocessedView {
    pub(crate) fn of(receipt: &Receipt) -> ReprocessedView {
        ReprocessedView { receipt: ReceiptView::of(receipt), postback_id: receipt.postback.to_string() }
    }
}

/// The receipt of a click that an own server recorded.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ClickReceipt")]
pub struct ClickReceiptView<'a> {
    /// The one that was sent, else a new one: put it into links as the click id.
    #[schemars(with = "String")]
    pub click_id: &'a ClickId,
    /// What was left out, cut or read otherwise than it was written.
    pub notes: Vec<NoteView>,
}
