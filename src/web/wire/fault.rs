//! Why a request is refused by the wire, and the answer its sender gets.

use std::slice::SliceIndex;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use hyper::{Response, StatusCode};
use serde_json::json;

/// One refusal: the status, and the words for the person who reads the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// The HTTP status of the answer.
    pub status: StatusCode,
    /// What is wrong, as a sentence.
    pub message: &'static str,
    /// How to mend it, as an imperative sentence.
    pub hint: &'static str,
}

impl Fault {
    /// 400: the head or the body's framing is not HTTP/1.1 as this door reads it.
    pub const fn bad(message: &'static str, hint: &'static str) -> Fault {
        Fault { status: StatusCode::BAD_REQUEST, message, hint }
    }

    /// 408: the head or the body did not arrive in time.
    pub const fn slow(message: &'static str) -> Fault {
        let hint = "send the whole request within the server's time limit";
        Fault { status: StatusCode::REQUEST_TIMEOUT, message, hint }
    }

    /// 413: the body is larger than the server takes.
    pub const BODY_TOO_LARGE: Fault = Fault {
        status: StatusCode::PAYLOAD_TOO_LARGE,
        message: "the body is larger than this server takes",
        hint: "send a smaller body, or raise `max_body_bytes`",
    };

    /// 414: the request line is too long.
    pub const LINE_TOO_LONG: Fault = Fault {
        status: StatusCode::URI_TOO_LONG,
        message: "the request line is too long",
        hint: "send the parameters in the body of a POST",
    };

    /// 431: too many headers, or too large ones.
    pub const HEAD_TOO_LARGE: Fault = Fault {
        status: StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        message: "the request's headers are too many or too large",
        hint: "send fewer or shorter headers",
    };

    /// 400: the client stopped sending in the middle of a request.
    pub const CUT_OFF: Fault =
        Fault::bad("the connection ended before the request did", "send the whole request before closing");

    /// 400: hyper read another target than the one it was handed. Never seen; this is the last guard.
    pub const NOT_AS_READ: Fault =
        Fault::bad("the request cannot be read in one way only", "send the request percent-encoded");

    /// 500: the handler broke.
    pub const BROKEN: Fault = Fault {
        status: StatusCode::INTERNAL_SERVER_ERROR,
        message: "this server failed to answer",
        hint: "try again; see the server's log",
    };

    /// 500: the positions that were read of a message lie outside its bytes. Never seen; see [`part`].
    pub const MISCOUNTED: Fault = Fault {
        status: StatusCode::INTERNAL_SERVER_ERROR,
        message: "this server lost count of the request's bytes",
        hint: "send it again on a new connection, and report it",
    };

    /// The machine-readable word for the status, in the answer's `error.code`.
    pub const fn code(&self) -> &'static str {
        match self.status.as_u16() {
            408 => "request_timeout",
            413 => "body_too_large",
            414 => "request_line_too_long",
            431 => "headers_too_large",
            500 => "internal_error",
            _ => "bad_request",
        }
    }

    fn body(&self) -> String {
        json!({"error": {"code": self.code(), "message": self.message, "hint": self.hint}}).to_string()
    }

    /// The whole answer as bytes; without a body where the request was a HEAD.
    pub fn answer(&self, to_head: bool) -> Vec<u8> {
        // The phrase is for people who read along; a status without one has none.
        let reason = self.status.canonical_reason().unwrap_or_default();
        let body = self.body();
        let mut answer = format!(
            "HTTP/1.1 {} {reason}\r\nContent-Type: application/json\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            self.status.as_u16(),
            body.len()
        );
        if !to_head {
            answer.push_str(&body);
        }
        answer.into_bytes()
    }

    /// The same answer where hyper writes it; the connection closes after it.
    pub fn response(&self) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::new(Bytes::from(self.body())));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        response
    }
}

/// The bytes of a message at `place`.
///
/// # Errors
/// [`Fault::MISCOUNTED`] where the message has no such bytes: then nothing of it may be handed on, as no one
/// knows any more where it ends.
pub(super) fn part<P: SliceIndex<[u8], Output = [u8]>>(bytes: &[u8], place: P) -> Result<&[u8], Fault> {
    bytes.get(place).ok_or(Fault::MISCOUNTED)
}
