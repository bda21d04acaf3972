//! One attempt at a delivery: the request as it was sent, the response, and what it meant.

use std::borrow::Cow;

use serde::Serialize;

use crate::domain::delivery::{Answer, Attempt, ReplyVerdict, SentRequest};
use crate::domain::time::Time;
use crate::view::remark::RemarkView;

/// An attempt with what was sent and what was received.
#[derive(Serialize)]
pub struct AttemptView<'a> {
    at: Time,
    took_ms: u32,
    /// `delivered`, `retry`, `dead`, `park` or `skipped`.
    outcome: &'static str,
    reason: Option<&'a str>,
    /// What the platform remarked though it accepted the event.
    warnings: &'a [String],
    remarks: Vec<RemarkView>,
    /// Null where nothing was sent.
    request: Option<RequestView<'a>>,
    response: Option<ResponseView<'a>>,
}

impl<'a> AttemptView<'a> {
    pub fn of(attempt: &'a Attempt) -> AttemptView<'a> {
        let (reason, warnings): (Option<&str>, &[String]) = match &attempt.verdict {
            ReplyVerdict::Delivered { warnings } => (None, warnings),
            ReplyVerdict::Retry { reason, .. }
            | ReplyVerdict::Dead { reason }
            | ReplyVerdict::Park { reason }
            | ReplyVerdict::Skipped { reason, .. } => (Some(reason), &[]),
        };
        AttemptView {
            at: attempt.at,
            took_ms: attempt.took_ms,
            outcome: attempt.verdict.as_str(),
            reason,
            warnings,
            remarks: RemarkView::all(&attempt.remarks),
            request: attempt.request.as_ref().map(RequestView::of),
            response: attempt.answer.as_ref().map(ResponseView::of),
        }
    }
}

/// A request as it was sent, its secrets masked.
#[derive(Serialize)]
pub struct RequestView<'a> {
    method: &'a str,
    url: &'a str,
    headers: &'a [(String, String)],
    body: &'a str,
}

impl<'a> RequestView<'a> {
    pub fn of(request: &'a SentRequest) -> RequestView<'a> {
        let SentRequest { method, url, headers, body } = request;
        RequestView { method, url, headers, body }
    }
}

/// A response; at most the first 64 KiB of its body.
#[derive(Serialize)]
pub struct ResponseView<'a> {
    status: u16,
    headers: &'a [(String, String)],
    body: Cow<'a, str>,
    truncated: bool,
}

impl<'a> ResponseView<'a> {
    fn of(response: &'a Answer) -> ResponseView<'a> {
        ResponseView {
            status: response.status,
            headers: &response.headers,
            body: String::from_utf8_lossy(&response.body),
            truncated: response.truncated,
        }
    }
}
