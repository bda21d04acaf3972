//! A request as the endpoints are handed it: read whole, its sender known.

use std::borrow::Cow;
use std::net::IpAddr;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};

use crate::domain::forwarding::Sender;
use crate::domain::postback::{EncodedBody, KeptHeaders, RawRequest};
use crate::http1::target::RawHead;
use crate::template::source::verify::request::{HeaderValues, SignedRequest};
use crate::web::auth::KnownSecrets;
use crate::web::body_mask::masked_body;
use crate::web::header_mask::kept_headers;
use crate::web::per_address::LimitKey;
use crate::web::secret_names::SecretNames;
use crate::web::target;

/// A request, read whole.
pub struct ReceivedRequest<'a> {
    /// As it was sent.
    pub method: Method,
    /// As hyper read them.
    pub headers: HeaderMap,
    /// The request line, byte for byte.
    pub head: &'a RawHead,
    /// Inflated.
    pub body: Bytes,
    /// How the body was encoded, where it was.
    pub encoded: Option<EncodedBody>,
    /// The body is larger than this path takes; it is not here.
    pub is_too_large: bool,
    /// Whose it is, proxies seen through.
    pub sender: Sender,
    /// The connection's address.
    pub peer: IpAddr,
    /// Whether the connection is https, as far as we and declared proxies know.
    pub is_https: bool,
    /// What must not be kept of it.
    pub secrets: &'a KnownSecrets,
}

impl ReceivedRequest<'_> {
    /// Whose requests a limit by address counts this one with.
    pub fn limit_key(&self) -> LimitKey {
        LimitKey::of_sender(self.sender)
    }

    /// The body's content type, as text.
    pub fn content_type(&self) -> Option<Cow<'_, str>> {
        self.headers.get(header::CONTENT_TYPE).map(|value| String::from_utf8_lossy(value.as_bytes()))
    }

    /// The headers as they are kept, secrets masked; where there is not room for all, the `first` ones by name before
    /// the others.
    pub fn kept_headers(&self, first: &[String], names: &SecretNames) -> KeptHeaders {
        kept_headers(&self.headers, (self.secrets, names), first)
    }

    /// The request before anything is masked, as a signature is over it.
    pub fn signed(&self) -> SignedRequest<'_> {
        SignedRequest { line: &self.head.line, headers: &self.headers, body: &self.body }
    }

    /// The request as it is kept, secrets masked: those that have these names too.
    pub fn raw(&self, names: &SecretNames) -> RawRequest {
        self.raw_with(target::masked_line(&self.head.line, names), &[], names)
    }

    /// The same with a line that is masked already, and with these headers before others.
    pub fn raw_with(&self, line: Vec<u8>, first: &[String], names: &SecretNames) -> RawRequest {
        let mut raw = RawRequest {
            line,
            headers: self.kept_headers(first, names),
            body: masked_body(self.content_type().as_deref(), &self.body, names).into_owned(),
            peer: Some(self.sender.address),
            encoded: self.encoded.clone(),
            reporter: None,
            proof: None,
        };
        names.mask_presented(&self.signed(), &mut raw);
        raw
    }
}

impl HeaderValues for HeaderMap {
    fn first(&self, name: &str) -> Option<&[u8]> {
        self.get(name).map(HeaderValue::as_bytes)
    }

    fn has_value(&self, is_one: &dyn Fn(&[u8]) -> bool) -> bool {
        self.values().any(|value| is_one(value.as_bytes()))
    }
}
