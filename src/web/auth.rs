//! Who may ask: keys in postback URLs, tokens of the API. Compared in constant time, never logged.

use std::borrow::Cow;

use aho_corasick::AhoCorasick;
use http::{Method, StatusCode};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::domain::error_code::ErrorCode;
use crate::domain::rights::Rights;
use crate::web::answer::{self, Answer};

/// A secret as its digest: what is compared takes the same time whatever was sent.
#[derive(Clone)]
pub struct SecretDigest([u8; 32]);

impl SecretDigest {
    /// The digest of a secret, which is not kept.
    pub fn of(secret: &str) -> SecretDigest {
        SecretDigest(Sha256::digest(secret.as_bytes()).into())
    }

    fn is(&self, other: &SecretDigest) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

/// The secrets that open one endpoint: one, or several while one is being changed.
#[derive(Clone, Default)]
pub struct Keys(Vec<SecretDigest>);

impl Keys {
    /// An endpoint that each of these secrets opens.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Keys {
        Keys(secrets.into_iter().map(SecretDigest::of).collect())
    }

    /// Whether `presented` is one of them. Looks at all, so that the time says nothing.
    pub fn open_for(&self, presented: &[u8]) -> bool {
        let presented = SecretDigest(Sha256::digest(presented).into());
        self.0.iter().fold(false, |found, key| found | key.is(&presented))
    }
}

/// Every configured secret, to be found in what is kept of a request.
#[derive(Clone)]
pub struct KnownSecrets {
    /// `None` where they are too many to be searched for.
    search: Option<AhoCorasick>,
    /// The bytes of the shortest one: a text with fewer holds none.
    shortest: usize,
}

/// The fewest bytes of a secret that is searched for: fewer are no key, and to mask such a word wherever it is would
/// spoil what is kept.
const SHORTEST_SECRET: usize = 8;

impl KnownSecrets {
    /// These, but for what is too short to be a key.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> KnownSecrets {
        let secrets: Vec<&str> =
            secrets.into_iter().filter(|secret| secret.len() >= SHORTEST_SECRET).collect();
        let shortest = secrets.iter().map(|secret| secret.len()).min().unwrap_or(usize::MAX);
        KnownSecrets { search: AhoCorasick::new(secrets).ok(), shortest }
    }

    /// Whether one of them is in a text, as it is or percent-encoded.
    pub fn are_in(&self, text: &[u8]) -> bool {
        if text.len() < self.shortest {
            return false;
        }
        let is_in = |text: &[u8]| self.search.as_ref().is_none_or(|search| search.is_match(text));
        let decoded = || Cow::<[u8]>::from(percent_encoding::percent_decode(text));
        is_in(text) || (text.contains(&b'%') && is_in(&decoded()))
    }
}

/// The tokens of API and pages, each with the name that history shows and with its rights.
#[derive(Clone, Default)]
pub struct Tokens(Vec<TokenEntry>);

#[derive(Clone)]
struct TokenEntry {
    name: String,
    digest: SecretDigest,
    rights: Rights,
}

/// Anyone who holds a token.
#[derive(Debug, Clone, Copy)]
pub struct TokenHolder<'a> {
    /// The token's name, which history shows.
    pub name: &'a str,
    /// What it may do.
    pub rights: &'a Rights,
}

impl Tokens {
    /// Names, secrets and rights.
    pub fn new<'a>(tokens: impl IntoIterator<Item = (&'a str, &'a str, Rights)>) -> Tokens {
        let token = |(name, secret, rights): (&str, &str, Rights)| TokenEntry {
            name: name.to_owned(),
            digest: SecretDigest::of(secret),
            rights,
        };
        Tokens(tokens.into_iter().map(token).collect())
    }

    /// Whether no token is configured, so that no one can be let in.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whose token was presented.
    pub fn holder_of(&self, presented: &str) -> Option<TokenHolder<'_>> {
        self.holder(&SecretDigest::of(presented))
    }

    /// Whose token has this digest: a session ends with the token that opened it. Looks at all, so that
    /// the time says nothing.
    pub fn holder(&self, digest: &SecretDigest) -> Option<TokenHolder<'_>> {
        let mut found = None;
        for token in &self.0 {
            if token.digest.is(digest) {
                found = Some(TokenHolder { name: &token.name, rights: &token.rights });
            }
        }
        found
    }
}

/// What a request of `/api/v1` or a page needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequiredRight {
    /// To look, at anything.
    Look,
    /// To change something.
    Change,
}

impl RequiredRight {
    /// Looking is what `GET` and `HEAD` do.
    pub fn of(method: &Method) -> RequiredRight {
        if method == Method::GET || method == Method::HEAD {
            RequiredRight::Look
        } else {
            RequiredRight::Change
        }
    }

    /// Whether these rights are enough.
    pub fn is_met_by(self, rights: &Rights) -> bool {
        match self {
            RequiredRight::Look => rights.may_read_all(),
            RequiredRight::Change => rights.may_change_all(),
        }
    }
}

impl TokenHolder<'_> {
    /// The 403 of `/api/v1` where this holder lacks the right, with the fix.
    ///
    /// # Errors
    /// That answer.
    pub fn may(&self, need: RequiredRight) -> Result<(), Box<Answer>> {
        if need.is_met_by(self.rights) {
            return Ok(());
        }
        let (message, hint) = self.lacks(need);
        Err(Box::new(answer::error(StatusCode::FORBIDDEN, ErrorCode::Forbidden, message, hint)))
    }

    /// What the holder may not do, and the fix, as sentences.
    pub fn lacks(&self, need: RequiredRight) -> (String, &'static str) {
        match need {
            RequiredRight::Look => (
                format!("the token `{}` reaches only the network's API", self.name),
                "use a token with `rights = [\"read\"]` or `[\"network\"]`",
            ),
            RequiredRight::Change => (
                format!("the token `{}` may change nothing here", self.name),
                "use a token with `rights = [\"network\"]`",
            ),
        }
    }
}
