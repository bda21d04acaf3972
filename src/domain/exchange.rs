//! What became of a request to a platform, as a reason keeps it: it may not leave, got no answer, or this answer.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// Why a request does not leave from here. A header's value may be a secret, so only its name is kept.
///
/// It is stored: new variants go to the end, and those that are here keep their order and their fields.
#[allow(missing_docs, reason = "the message of a variant says what it means")]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum SendRefused {
    #[error("the URL cannot be read: {0}")]
    Unreadable(String),
    #[error("the URL begins with `{0}:`; only http and https are sent to")]
    Scheme(String),
    #[error("the URL holds a user name or password; put credentials into a header")]
    UserInfo,
    #[error("the address {0} is not on the public internet")]
    Private(IpAddr),
    #[error("the host name leads only to addresses that are not on the public internet ({0} and {1} more)")]
    PrivateName(IpAddr, u64),
    #[error("`{0}` is not an HTTP method")]
    Method(String),
    #[error("the header `{0}` cannot be sent: its name is not a header name")]
    HeaderName(String),
    #[error("the header `{0}` cannot be sent: its value holds characters that HTTP forbids")]
    HeaderValue(String),
}

impl SendRefused {
    /// Whether it is where the request would go that is refused, not what it says.
    pub fn is_address(&self) -> bool {
        !matches!(self, SendRefused::Method(_) | SendRefused::HeaderName(_) | SendRefused::HeaderValue(_))
    }

    /// What it quotes.
    pub fn quoted_mut(&mut self) -> Option<&mut String> {
        match self {
            SendRefused::Unreadable(text)
            | SendRefused::Scheme(text)
            | SendRefused::Method(text)
            | SendRefused::HeaderName(text)
            | SendRefused::HeaderValue(text) => Some(text),
            SendRefused::UserInfo | SendRefused::Private(_) | SendRefused::PrivateName(..) => None,
        }
    }
}

/// Why a request got no answer. A cause is in the words of the system or of TLS, and names no URL.
///
/// It is stored: new variants go to the end, and those that are here keep their order and their fields.
#[allow(missing_docs, reason = "the message of a variant says what it means")]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum NoAnswer {
    #[error("no connection in time")]
    ConnectTimeout,
    #[error("no connection: {cause}")]
    NoConnection { cause: String },
    #[error("the connection ended before the answer: {cause}")]
    ConnectionEnded { cause: String },
    #[error("the answer {status} broke off: {cause}")]
    BrokeOff { status: u16, cause: String },
    #[error("no whole answer within {after_ms} ms")]
    Timeout { after_ms: u64 },
    #[error("sending ended before it was known what became of it: it is sent again")]
    CutOff,
}

impl NoAnswer {
    /// What it quotes.
    pub fn quoted_mut(&mut self) -> Option<&mut String> {
        match self {
            NoAnswer::NoConnection { cause }
            | NoAnswer::ConnectionEnded { cause }
            | NoAnswer::BrokeOff { cause, .. } => Some(cause),
            NoAnswer::ConnectTimeout | NoAnswer::Timeout { .. } | NoAnswer::CutOff => None,
        }
    }
}

/// An answer that did not take the event, as far as a reason keeps it. The attempt keeps the whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlatformAnswer {
    /// Of HTTP: 400, 503…
    pub status: u16,
    /// What the template says that such an answer means.
    pub why: Option<String>,
    /// Its own words, or why there are none.
    pub said: Said,
}

/// What an answer says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Said {
    /// The platform's own words: what the template points at, else the beginning of the body. One line, cut
    /// short, secrets masked.
    Words(String),
    /// Nothing, or nothing but white space.
    EmptyBody,
    /// The answer repeats a secret in a place where it cannot be masked.
    Withheld,
}

impl PlatformAnswer {
    /// `HTTP 400 (what the template says): what the platform says`; `usually` where the template says nothing.
    pub fn sentence(&self, usually: Option<&str>) -> String {
        let why = self.why.as_deref().or(usually).map(|why| format!(" ({why})")).unwrap_or_default();
        let said = match &self.said {
            Said::Words(words) => words,
            Said::EmptyBody => "an empty body",
            Said::Withheld => "it repeats a secret, so its words are not kept",
        };
        format!("HTTP {}{why}: {said}", self.status)
    }

    /// What it quotes.
    pub fn quoted_mut(&mut self) -> Option<&mut String> {
        match &mut self.said {
            Said::Words(words) => Some(words),
            Said::EmptyBody | Said::Withheld => None,
        }
    }
}
