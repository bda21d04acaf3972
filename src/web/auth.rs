//! Who may ask: keys in postback URLs, tokens of the API. Compared in constant time, never logged.

use std::net::IpAddr;

use http::{HeaderMap, StatusCode, header};
use ipnet::IpNet;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::web::answer::{self, Answer};

/// A secret as its digest: what is compared takes the same time whatever was sent.
#[derive(Clone)]
pub struct SecretDigest([u8; 32]);

impl SecretDigest {
    pub fn of(secret: &str) -> SecretDigest {
        SecretDigest(Sha256::digest(secret.as_bytes()).into())
    }

    fn is(&self, other: &SecretDigest) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

/// The secrets that open one door: one, or several while one is being changed.
#[derive(Clone, Default)]
pub struct Keys(Vec<SecretDigest>);

impl Keys {
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Keys {
        Keys(secrets.into_iter().map(SecretDigest::of).collect())
    }

    /// Whether `presented` is one of them. Looks at all, so that the time tells nothing.
    pub fn open_for(&self, presented: &[u8]) -> bool {
        let presented = SecretDigest(Sha256::digest(presented).into());
        self.0.iter().fold(false, |found, key| found | key.is(&presented))
    }
}

/// The tokens of API and pages, each with the name that history shows.
#[derive(Clone, Default)]
pub struct Tokens(Vec<(String, SecretDigest)>);

impl Tokens {
    pub fn new<'a>(tokens: impl IntoIterator<Item = (&'a str, &'a str)>) -> Tokens {
        Tokens(tokens.into_iter().map(|(name, token)| (name.to_owned(), SecretDigest::of(token))).collect())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The name of the token that was presented.
    pub fn name_of(&self, presented: &str) -> Option<&str> {
        let presented = SecretDigest::of(presented);
        let mut found = None;
        for (name, digest) in &self.0 {
            if digest.is(&presented) {
                found = Some(name.as_str());
            }
        }
        found
    }

    /// Whether a token with this digest is configured: a session ends with the token that opened it.
    pub fn knows(&self, token: &SecretDigest) -> bool {
        self.0.iter().fold(false, |found, (_, digest)| found | digest.is(token))
    }

    /// The name of the token in `Authorization: Bearer …`, if it is one of these.
    pub fn bearer(&self, headers: &HeaderMap) -> Option<&str> {
        let bearer = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim());
        bearer.and_then(|token| self.name_of(token))
    }

    /// The 401, with the mend.
    pub fn unauthorized(&self) -> Answer {
        let (message, hint) = if self.is_empty() {
            (
                "no token is configured, so nobody may ask",
                "set one in postbridge.toml: [api] tokens = [{ name = \"ops\", token = { env = \"POSTBRIDGE_TOKEN\" } }]",
            )
        } else {
            ("a token is needed", "send `Authorization: Bearer …` with one of the tokens under [api]")
        };
        let mut refused = answer::error(StatusCode::UNAUTHORIZED, "unauthorized", message, hint);
        refused.headers_mut().insert(header::WWW_AUTHENTICATE, http::HeaderValue::from_static("Bearer"));
        refused
    }
}

/// The visitor's address: the peer's, unless the peer is a trusted proxy; then the rightmost address
/// in `X-Forwarded-For` that is no trusted proxy itself.
pub fn client_address(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |address: &IpAddr| trusted.iter().any(|net| net.contains(address));
    let peer = peer.to_canonical();
    if !is_trusted(&peer) {
        return peer;
    }
    let mut nearest = peer;
    let said = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
    let chain: Vec<&str> = said.flat_map(|value| value.split(',')).map(str::trim).collect();
    for hop in chain.into_iter().rev() {
        let Ok(address) = hop.parse::<IpAddr>() else { break };
        nearest = address.to_canonical();
        if !is_trusted(&nearest) {
            break;
        }
    }
    nearest
}
