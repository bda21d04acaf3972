//! Why a request is refused by the wire, and the answer its sender gets.

use std::slice::SliceIndex;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{
    CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER, STRICT_TRANSPORT_SECURITY,
    WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Response, StatusCode};
use serde_json::json;

/// Why a request is refused: what its answer's status and code say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HttpRefusalKind {
    /// The head or the body's framing is not HTTP/1.1 as this endpoint reads it.
    Malformed,
    /// It bears no token that is known.
    Unauthorized,
    /// Its token lacks the right.
    Forbidden,
    /// It was not whole in time.
    TooSlow,
    /// Its body is larger than is taken.
    BodyTooLarge,
    /// Its request line is longer than is taken.
    LineTooLong,
    /// Its headers are more or larger than is taken.
    HeadersTooLarge,
    /// Its sender is to wait.
    TooMany,
    /// This server has no room for it, or failed at it.
    Overloaded,
    /// A fault of this server's own.
    Internal,
}

impl HttpRefusalKind {
    /// The HTTP status of the answer.
    pub const fn status(self) -> StatusCode {
        match self {
            HttpRefusalKind::Malformed => StatusCode::BAD_REQUEST,
            HttpRefusalKind::Unauthorized => StatusCode::UNAUTHORIZED,
            HttpRefusalKind::Forbidden => StatusCode::FORBIDDEN,
            HttpRefusalKind::TooSlow => StatusCode::REQUEST_TIMEOUT,
            HttpRefusalKind::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            HttpRefusalKind::LineTooLong => StatusCode::URI_TOO_LONG,
            HttpRefusalKind::TooMany => StatusCode::TOO_MANY_REQUESTS,
            HttpRefusalKind::HeadersTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            HttpRefusalKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            HttpRefusalKind::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The answer's `error.code`.
    pub const fn code(self) -> &'static str {
        match self {
            HttpRefusalKind::Malformed => "malformed_request",
            HttpRefusalKind::Unauthorized => "unauthorized",
            HttpRefusalKind::Forbidden => "forbidden",
            HttpRefusalKind::TooSlow => "request_timeout",
            HttpRefusalKind::BodyTooLarge => "body_too_large",
            HttpRefusalKind::LineTooLong => "request_line_too_long",
            HttpRefusalKind::TooMany => "too_many",
            HttpRefusalKind::HeadersTooLarge => "headers_too_large",
            HttpRefusalKind::Internal => "internal_error",
            HttpRefusalKind::Overloaded => "overloaded",
        }
    }
}

/// One refusal: of which kind, and the words for the person who reads the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HttpRefusal {
    /// What the answer's status and code say.
    pub kind: HttpRefusalKind,
    /// What is wrong, as a sentence.
    pub message: &'static str,
    /// How to fix it, as an imperative sentence.
    pub hint: &'static str,
    /// After how many seconds it may be sent again, where that helps.
    pub retry_after: Option<u32>,
    /// What `WWW-Authenticate` asks for.
    pub challenge: Option<&'static str>,
}

/// How long browsers come by https only, once they did.
pub const ONE_YEAR: &str = "max-age=31536000";

impl HttpRefusal {
    /// 400: the head or the body's framing is not HTTP/1.1 as this endpoint reads it.
    pub const fn bad(message: &'static str, hint: &'static str) -> HttpRefusal {
        HttpRefusal::new(HttpRefusalKind::Malformed, message, hint)
    }

    /// A refusal that is not to be repeated soon and asks for no token.
    pub const fn new(kind: HttpRefusalKind, message: &'static str, hint: &'static str) -> HttpRefusal {
        HttpRefusal { kind, message, hint, retry_after: None, challenge: None }
    }

    /// 503: send it again in a moment.
    const fn overloaded(message: &'static str, hint: &'static str) -> HttpRefusal {
        HttpRefusal { retry_after: Some(1), ..HttpRefusal::new(HttpRefusalKind::Overloaded, message, hint) }
    }

    /// 408: the head or the body did not arrive in time.
    pub const fn slow(message: &'static str) -> HttpRefusal {
        let hint = "send the whole request within the server's time limit";
        HttpRefusal::new(HttpRefusalKind::TooSlow, message, hint)
    }

    /// 413: the body is larger than the server takes.
    pub const BODY_TOO_LARGE: HttpRefusal = HttpRefusal::new(
        HttpRefusalKind::BodyTooLarge,
        "the body is larger than is taken",
        "send a smaller body, or raise `max_bytes` under [body] of the source's template, or the server's \
         `max_body_bytes` where the template has none",
    );

    /// 414: the request line is too long.
    pub const LINE_TOO_LONG: HttpRefusal = HttpRefusal::new(
        HttpRefusalKind::LineTooLong,
        "the request line is too long",
        "send the parameters in the body of a POST",
    );

    /// 431: too many headers, or too large ones.
    pub const HEAD_TOO_LARGE: HttpRefusal = HttpRefusal::new(
        HttpRefusalKind::HeadersTooLarge,
        "the request's headers are too many or too large",
        "send fewer or shorter headers",
    );

    /// 400: the client stopped sending in the middle of a request.
    pub const CUT_OFF: HttpRefusal = HttpRefusal::bad(
        "the connection ended before the request did",
        "send the whole request before closing",
    );

    /// 503: the request was not whole when its connection's place was needed.
    pub const CROWDED_OUT: HttpRefusal = HttpRefusal::overloaded(
        "all connections are taken, and the request was not whole when its place was needed",
        "send it again, without a pause within it",
    );

    /// 503: the requests that are being received take all the memory they may.
    pub const NO_MEMORY: HttpRefusal = HttpRefusal::overloaded(
        "too many large requests are being received at the same time",
        "send it again in a moment, or send a smaller one",
    );

    /// 400: hyper read another target than the one it was handed. Never seen; this is the last guard.
    pub const NOT_AS_READ: HttpRefusal =
        HttpRefusal::bad("the request cannot be read in one way only", "send the request percent-encoded");

    /// 503: the handler panicked, maybe before what was sent was kept.
    pub const BROKEN: HttpRefusal = HttpRefusal {
        retry_after: Some(5),
        ..HttpRefusal::new(
            HttpRefusalKind::Overloaded,
            "this server failed to answer; the request may not have been kept",
            "send it again in a few seconds; see the server's log",
        )
    };

    /// 500: the positions that were read of a message lie outside its bytes. Never seen; see `part`.
    pub const MISCOUNTED: HttpRefusal = HttpRefusal::new(
        HttpRefusalKind::Internal,
        "this server lost count of the request's bytes",
        "send it again on a new connection, and report it",
    );

    fn body(&self) -> String {
        json!({"error": {"code": self.kind.code(), "message": self.message, "hint": self.hint}}).to_string()
    }

    /// The headers of the answer, but for its length.
    fn headers(&self, is_https: bool) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        if is_https {
            headers.insert(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(ONE_YEAR));
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(challenge) = self.challenge {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        headers
    }

    /// The whole answer as bytes; without a body where the request was a HEAD. `is_https`: by our own TLS.
    pub fn answer(&self, to_head: bool, is_https: bool) -> Vec<u8> {
        // The phrase is for people who read along; a status without one has none.
        let status = self.kind.status();
        let reason = status.canonical_reason().unwrap_or_default();
        let body = self.body();
        let mut answer = format!("HTTP/1.1 {} {reason}\r\n", status.as_u16()).into_bytes();
        for (name, value) in &self.headers(is_https) {
            answer.extend_from_slice(title_case(name.as_str()).as_bytes());
            answer.extend_from_slice(b": ");
            answer.extend_from_slice(value.as_bytes());
            answer.extend_from_slice(b"\r\n");
        }
        answer.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
        if !to_head {
            answer.extend_from_slice(body.as_bytes());
        }
        answer
    }

    /// The same answer where hyper writes it; the connection closes after it.
    pub fn response(&self, is_https: bool) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::new(Bytes::from(self.body())));
        *response.status_mut() = self.kind.status();
        *response.headers_mut() = self.headers(is_https);
        response
    }
}

/// `content-type` as `Content-Type`: some clients only look for that.
fn title_case(name: &str) -> String {
    let capital = |word: &str| {
        let (first, rest) = word.split_at(word.len().min(1));
        first.to_ascii_uppercase() + rest
    };
    name.split('-').map(capital).collect::<Vec<_>>().join("-")
}

/// The bytes of a message at `place`.
///
/// # Errors
/// [`HttpRefusal::MISCOUNTED`] where the message has no such bytes: then nothing of it may be handed on, as no one
/// knows any more where it ends.
pub(super) fn part<P: SliceIndex<[u8], Output = [u8]>>(bytes: &[u8], place: P) -> Result<&[u8], HttpRefusal> {
    bytes.get(place).ok_or(HttpRefusal::MISCOUNTED)
}
