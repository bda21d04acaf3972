//! The request line as it was received, below hyper: every head is read by us first, and by the stricter rules.
//!
//! hyper cuts a query at a raw `#` without a word and refuses raw spaces, quotes, angle brackets,
//! control bytes and Latin-1 before any of our code runs. A postback with such a byte is a lost sale,
//! so this module sits between the socket and hyper. It reads one whole request (head and body), keeps
//! the request line byte for byte, and hands hyper a message that both sides can only read one way:
//! the query percent-encoded where it must be, the body always framed by one `Content-Length`. The
//! bytes after that message stay here until the answer is written.
//!
//! What it refuses it answers itself, with the status of [`HttpRefusal`], and closes.
//! Its rules, where they are a choice:
//!
//! - A target is a path (`/path?query`), a whole URL (`http://host/path?query`) or `*`. The host of a URL
//!   replaces `Host`; a user name in it is refused.
//! - `Upgrade`, `HTTP2-Settings` and every `Expect` are ignored, and hyper never sees them; only
//!   `100-continue` is answered.
//! - Before the first `?`: no byte above 0x7E, no control, space, backtick, `"`, `#`, `<` or `>`.
//! - `Transfer-Encoding` must be the one word `chunked` in one header; letter case does not matter.
//! - Chunk extensions and trailers are checked, bounded and dropped.
//! - One empty line before a request line is skipped (old clients send it after a body).
//! - A client that shuts down its sending side after a request still gets its answer, and a client
//!   that hangs up does not cancel the handler.

pub mod body;
pub mod exchange;
pub mod head;
pub(crate) mod hints;
pub mod idle;
pub(crate) mod io;
pub mod memory;
pub mod refusal;
pub(crate) mod slot;
pub mod target;
pub mod timer;

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::{Request, Response};

use self::refusal::HttpRefusal;
use self::target::RawHead;

/// A request that was not handed on: what it was answered, and the beginning of what it sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Why, and what it was answered.
    pub why: HttpRefusal,
    /// The first bytes of what was received, at most 2 KiB: the request line where one was found.
    pub line: Vec<u8>,
}

/// Anyone who answers the requests of a listener.
pub trait Handler: Send + Sync + 'static {
    /// Answers one request. The body is whole before this is called. Nothing that the client does cancels it, by
    /// hanging up, a reset or garbage over TLS; only the end of the process does.
    fn handle(
        &self,
        request: Request<Incoming>,
        head: RawHead,
        peer: SocketAddr,
    ) -> impl Future<Output = Response<Full<Bytes>>> + Send;

    /// The largest body in bytes that is taken with a request for this path and with this head, where it is
    /// larger than [`ConnectionLimits::body_bytes`]. Asked only where that limit does not do.
    ///
    /// # Errors
    /// What is answered instead of "too large".
    fn larger_body(
        &self,
        _path: &str,
        _head: &[u8],
        _peer: SocketAddr,
    ) -> Result<Option<usize>, HttpRefusal> {
        Ok(None)
    }

    /// Whether who sends a request for this path is known, by a key in it. Asked where strangers take all the
    /// memory that they may.
    fn is_known(&self, _path: &str) -> bool {
        false
    }

    /// Whether this peer may have more connections than one address's share: it speaks for many.
    fn is_exempt(&self, peer: IpAddr) -> bool {
        peer.is_loopback()
    }

    /// What a request that is refused below HTTP is answered: `why` it was, unless nothing is taken at present.
    fn refusal_for(&self, why: HttpRefusal) -> HttpRefusal {
        why
    }

    /// Called for every request that is refused below HTTP, before the client is answered.
    fn refused(&self, refusal: Refusal, peer: SocketAddr) -> impl Future<Output = ()> + Send;
}

/// What one connection may ask for, in bytes and in time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// The longest request line in bytes, CRLF not counted; beyond it 414.
    pub line_bytes: usize,
    /// The largest head in bytes, request line and blank line counted; beyond it 431.
    pub head_bytes: usize,
    /// The most header lines; beyond it 431.
    pub headers: usize,
    /// The largest body in bytes, chunk framing not counted; beyond it 413.
    pub body_bytes: usize,
    /// The most memory in bytes of all requests that are being received; half of it for strangers, of which
    /// one address gets an eighth. Beyond it 503.
    pub memory_bytes: usize,
    /// From a head's first byte to its last; also how long a new connection may stay silent. Then 408.
    pub head: Duration,
    /// From the end of a head to the end of its body; then 408.
    pub body: Duration,
    /// Between two requests; then the connection is closed without a word.
    pub idle: Duration,
    /// How long the client may leave answers untaken, in all; what it takes in time gives it back. Then the
    /// connection is dropped.
    pub write: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> ConnectionLimits {
        ConnectionLimits {
            line_bytes: 16 * 1024,
            head_bytes: 32 * 1024,
            headers: 64,
            body_bytes: 64 * 1024,
            memory_bytes: 128 * 1024 * 1024,
            head: Duration::from_secs(10),
            body: Duration::from_secs(10),
            idle: Duration::from_secs(60),
            write: Duration::from_secs(30),
        }
    }
}
