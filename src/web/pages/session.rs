//! Who is signed in: sessions and one-time links, in memory and never stored. Their times are counted in
//! milliseconds by the running clock ([`Clock::running_ms`]), which no one sets.

use std::collections::HashMap;

use data_encoding::HEXLOWER;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tracing::error;

use crate::clock::{self, Clock};
use crate::domain::time::HOUR_MS;
use crate::web::auth::SecretDigest;
use crate::web::per_address::LimitKey;

/// How long a session lasts, from its sign-in, in ms.
pub const SESSION_MS: i64 = 12 * HOUR_MS;
/// How long a session lasts in which no page is opened, in ms.
pub const IDLE_MS: i64 = 2 * HOUR_MS;
/// How long a one-time link can be used, in ms.
pub const LINK_MS: i64 = 10 * 60_000;
/// Beyond these numbers the oldest goes: memory stays bounded.
const MOST_SESSIONS: usize = 1_000;
const MOST_LINKS: usize = 100;

/// All sessions of this process. Survives a reload of the configuration; ends with the process.
#[derive(Default)]
pub struct Sessions(Mutex<SessionTable>);

#[derive(Default)]
struct SessionTable {
    /// By the digest of the id in the cookie: what is looked up says nothing about what is there.
    sessions: HashMap<[u8; 32], Session>,
    /// One-time links by the digest of their secret; those that sign no one in any more too, so that it can be said.
    links: HashMap<[u8; 32], OneTimeLink>,
}

struct OneTimeLink {
    ends: i64,
    is_used: bool,
}

/// Why a one-time link signs no one in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StaleLink {
    /// It signed someone in.
    Used,
    /// Its ten minutes are over.
    Expired,
    /// This process made no such link.
    Unknown,
}

impl StaleLink {
    /// For the person who opened it.
    pub fn sentence(self) -> &'static str {
        match self {
            StaleLink::Used => "This sign-in link was used already.",
            StaleLink::Expired => "The ten minutes of this sign-in link are over.",
            StaleLink::Unknown => "No such sign-in link was made since Postbridge started.",
        }
    }
}

struct Session {
    name: String,
    token: Option<SecretDigest>,
    csrf: String,
    ends: i64,
    /// When a page was last opened in it, and from where.
    used: i64,
    used_from: LimitKey,
    flash: Option<Flash>,
}

impl Session {
    fn is_open(&self, now: i64) -> bool {
        now < self.ends && now - self.used < IDLE_MS
    }
}

/// A signed-in person, as one request sees them.
#[derive(Clone)]
pub struct SignedIn {
    key: [u8; 32],
    /// The name of the token they signed in with.
    pub name: String,
    /// The token itself as a digest; absent after a one-time link. A token that is taken out of the
    /// configuration ends its sessions.
    pub token: Option<SecretDigest>,
    /// What every form of this session must send back.
    pub csrf: String,
}

impl SignedIn {
    /// Whether a form was sent from a page of this session. Takes the same time whatever was sent.
    pub fn sent(&self, csrf: &str) -> bool {
        self.csrf.as_bytes().ct_eq(csrf.as_bytes()).into()
    }
}

/// What an action became, shown once on the next page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flash {
    /// Whether it went well.
    pub good: bool,
    /// What is shown above the next page, once.
    pub text: String,
    /// How to go on; may be empty.
    pub hint: String,
    /// A page to look at: its path and the words of the link.
    pub link: Option<(String, String)>,
}

impl Sessions {
    /// A path that signs in anyone who opens it first, within ten minutes: `/sign-in?once=…`. Where the
    /// operating system has no entropy to give, it is the form for a token: `/sign-in`.
    pub fn link(&self, clock: &Clock) -> String {
        let secret = match secret() {
            Ok(secret) => secret,
            Err(error) => {
                error!(%error, "the operating system gave no entropy for a sign-in link");
                return "/sign-in".to_owned();
            }
        };
        let now = clock.running_ms();
        let mut inner = self.0.lock();
        drop_oldest(&mut inner.links, MOST_LINKS, |link| link.ends);
        inner.links.insert(digest(&secret), OneTimeLink { ends: now + LINK_MS, is_used: false });
        format!("/sign-in?once={secret}")
    }

    /// Uses up a one-time link.
    ///
    /// # Errors
    /// One that signs no one in, any more or at all.
    pub fn redeem(&self, once: &str, now: i64) -> Result<(), StaleLink> {
        let mut inner = self.0.lock();
        let link = inner.links.get_mut(&digest(once)).ok_or(StaleLink::Unknown)?;
        if std::mem::replace(&mut link.is_used, true) {
            return Err(StaleLink::Used);
        }
        if link.ends <= now { Err(StaleLink::Expired) } else { Ok(()) }
    }

    /// Opens a session and answers the id for its cookie.
    ///
    /// # Errors
    /// When the operating system has no entropy to give.
    pub fn open(
        &self,
        name: &str,
        token: Option<SecretDigest>,
        (from, now): (LimitKey, i64),
    ) -> Result<String, getrandom::Error> {
        let (id, csrf) = (secret()?, secret()?);
        let mut inner = self.0.lock();
        inner.sessions.retain(|_, session| session.is_open(now));
        drop_oldest(&mut inner.sessions, MOST_SESSIONS, |session| session.ends);
        let ends = now + SESSION_MS;
        let session =
            Session { name: name.to_owned(), token, csrf, ends, used: now, used_from: from, flash: None };
        inner.sessions.insert(digest(&id), session);
        Ok(id)
    }

    /// The session with this id, if it has not ended. This uses it: its idle time begins anew.
    pub fn visitor(&self, id: &str, (from, now): (LimitKey, i64)) -> Option<SignedIn> {
        let key = digest(id);
        let mut inner = self.0.lock();
        let session = inner.sessions.get_mut(&key).filter(|session| session.is_open(now))?;
        (session.used, session.used_from) = (now, from);
        Some(SignedIn {
            key,
            name: session.name.clone(),
            token: session.token.clone(),
            csrf: session.csrf.clone(),
        })
    }

    /// Ends a session.
    pub fn close(&self, visitor: &SignedIn) {
        self.0.lock().sessions.remove(&visitor.key);
    }

    /// Leaves a message for the session's next page.
    pub fn leave(&self, visitor: &SignedIn, flash: Flash) {
        if let Some(session) = self.0.lock().sessions.get_mut(&visitor.key) {
            session.flash = Some(flash);
        }
    }

    /// Takes the message that was left, if there is one.
    pub fn take(&self, visitor: &SignedIn) -> Option<Flash> {
        self.0.lock().sessions.get_mut(&visitor.key).and_then(|session| session.flash.take())
    }

    /// Whether someone is signed in who was last seen at this address. `opens` says of a session's token
    /// whether it is still configured.
    pub fn is_open_at(
        &self,
        from: LimitKey,
        now: i64,
        opens: impl Fn(Option<&SecretDigest>) -> bool,
    ) -> bool {
        let inner = self.0.lock();
        let mut open = inner.sessions.values().filter(|session| session.is_open(now));
        open.any(|session| session.used_from == from && opens(session.token.as_ref()))
    }
}

/// 32 random bytes in hexadecimal digits.
fn secret() -> Result<String, getrandom::Error> {
    clock::entropy::<32>().map(|bytes| HEXLOWER.encode(&bytes))
}

fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

fn drop_oldest<V>(map: &mut HashMap<[u8; 32], V>, most: usize, ends: impl Fn(&V) -> i64) {
    if map.len() < most {
        return;
    }
    let oldest = map.iter().min_by_key(|(_, value)| ends(value)).map(|(key, _)| *key);
    if let Some(key) = oldest {
        map.remove(&key);
    }
}

impl Flash {
    /// That something was not done: why, and the next step.
    pub fn refused(what: &str, why: &str, hint: &str) -> Flash {
        Flash { good: false, text: format!("{what}: {why}"), hint: sentence(hint), link: None }
    }
}

/// A sentence as a page begins it.
pub(super) fn capitalised(sentence: &str) -> String {
    let mut letters = sentence.chars();
    let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
    first + letters.as_str()
}

/// As a sentence of its own.
pub(super) fn sentence(why: &str) -> String {
    capitalised(why) + "."
}
