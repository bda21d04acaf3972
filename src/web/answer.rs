//! Answers: JSON, text, errors in one form.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use serde::Serialize;

use crate::domain::code::{CodedReason, ReasonCode};
use crate::domain::error_code::ErrorCode;
use crate::store::contract::error::StoreError;
use crate::view::problem::ErrorView;

/// Every answer's type: small and whole, so that it is written at once.
pub type Answer = Response<Full<Bytes>>;

/// An answer with a body of the given type. No one keeps it and no browser guesses its type; what is a
/// public asset says so with a `Cache-Control` of its own.
pub fn body(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}

/// A JSON document; a logged 500 where it cannot be written.
pub fn json(status: StatusCode, value: &impl Serialize) -> Answer {
    match serde_json::to_vec(value) {
        Ok(text) => json_text(status, text),
        Err(error) => {
            tracing::error!(%error, "an answer cannot be written as JSON");
            json_text(StatusCode::INTERNAL_SERVER_ERROR, NOT_WRITTEN)
        }
    }
}

const NOT_WRITTEN: &str =
    r#"{"error":{"code":"internal","message":"the answer could not be written","hint":"see the log"}}"#;

/// A JSON document that is written already.
pub fn json_text(status: StatusCode, text: impl Into<Bytes>) -> Answer {
    body(status, "application/json", text)
}

/// A plain text.
pub fn text(status: StatusCode, text: impl Into<Bytes>) -> Answer {
    body(status, "text/plain; charset=utf-8", text)
}

/// `{"error":{"code","message","hint"}}`: what is wrong and how to fix it.
pub fn error(status: StatusCode, code: impl ReasonCode, message: impl AsRef<str>, hint: &str) -> Answer {
    worded(status, code.as_str(), message.as_ref(), hint)
}

/// The same with the code as it is written in its family.
pub fn worded(status: StatusCode, code: &'static str, message: &str, hint: &str) -> Answer {
    json(status, &ErrorView::new(code, message, hint))
}

/// The same of a coded reason.
pub fn refused(status: StatusCode, reason: &impl CodedReason) -> Answer {
    error(status, reason.code(), reason.sentence(), &reason.hint())
}

/// 503 with `Retry-After`: nothing was kept, send it again.
pub fn unavailable() -> Answer {
    later(ErrorCode::NotDurable, "5")
}

/// 503 with `Retry-After`: there is too little free disk space to take it.
pub fn disk_low() -> Answer {
    later(ErrorCode::DiskLow, "60")
}

/// 503 with `Retry-After`, by what the store said to what was to be kept.
pub fn not_kept(error: &StoreError) -> Answer {
    match error {
        StoreError::Corrupt { .. } => later(ErrorCode::RecordDamaged, "60"),
        StoreError::Unavailable { .. } => later(ErrorCode::StoreUnavailable, "5"),
        _ => unavailable(),
    }
}

/// 503 with `Retry-After`: the store is not open yet.
pub fn store_opening() -> Answer {
    later(ErrorCode::StoreOpening, "5")
}

fn later(code: ErrorCode, seconds: &'static str) -> Answer {
    again_after(refused(StatusCode::SERVICE_UNAVAILABLE, &code), seconds)
}

/// The answer with `Retry-After`.
pub fn again_after(mut answer: Answer, seconds: &'static str) -> Answer {
    answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static(seconds));
    answer
}

/// 503 with `Retry-After` for a person: the browser asks again automatically.
pub fn ask_again(sentence: &str) -> Answer {
    let mut answer = again_after(page(StatusCode::SERVICE_UNAVAILABLE, sentence), "5");
    answer.headers_mut().insert(header::REFRESH, HeaderValue::from_static("5"));
    answer
}

/// A page of one sentence, for a person, who is no reader of JSON.
pub fn page(status: StatusCode, sentence: &str) -> Answer {
    let html =
        format!("<!doctype html><html lang=\"en\"><title>{sentence}</title><p>{sentence}</p></html>\n");
    body(status, "text/html; charset=utf-8", html)
}

/// 429 with `Retry-After`: more in one second than is taken.
pub fn too_many(message: impl AsRef<str>, hint: &str) -> Answer {
    in_a_second(error(StatusCode::TOO_MANY_REQUESTS, ErrorCode::TooMany, message, hint))
}

/// The same of a coded reason.
pub fn too_fast(reason: &impl CodedReason) -> Answer {
    in_a_second(refused(StatusCode::TOO_MANY_REQUESTS, reason))
}

fn in_a_second(mut answer: Answer) -> Answer {
    answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    answer
}

/// 404 for a path that nothing answers.
pub fn not_found() -> Answer {
    error(
        StatusCode::NOT_FOUND,
        ErrorCode::NotFound,
        "nothing answers at this path",
        "the page `/api` and `GET /api/v1/openapi.json` have every call of the API; `postbridge url` and `postbridge \
         link` print what networks and visitors are given",
    )
}

/// 405, naming what is allowed.
pub fn method_not_allowed(allowed: &str) -> Answer {
    let mut answer = error(
        StatusCode::METHOD_NOT_ALLOWED,
        ErrorCode::MethodNotAllowed,
        ErrorCode::MethodNotAllowed.meaning(),
        &format!("use {allowed}"),
    );
    allow(&mut answer, allowed);
    answer
}

/// Names in a 405 the methods that its path takes.
pub fn allow(answer: &mut Answer, allowed: &str) {
    if let Ok(allowed) = HeaderValue::from_str(allowed) {
        answer.headers_mut().insert(header::ALLOW, allowed);
    }
}

/// 302 to a configured host; what else of the request is in the address is encoded.
pub fn redirect(to: &str) -> Answer {
    let mut answer = text(StatusCode::FOUND, "");
    match HeaderValue::from_str(to) {
        Ok(location) => {
            answer.headers_mut().insert(header::LOCATION, location);
            answer
        }
        Err(_) => not_found(),
    }
}

/// A transparent image of one pixel.
const IMAGE: &[u8] =
    b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\0\0\0!\xf9\x04\x01\0\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;";

/// A pixel for pages of other sites: never cached, so that each showing is reported.
pub fn image() -> Answer {
    let mut answer = body(StatusCode::OK, "image/gif", IMAGE);
    let policy = http::HeaderName::from_static("cross-origin-resource-policy");
    answer.headers_mut().insert(policy, HeaderValue::from_static("cross-origin"));
    answer
}
