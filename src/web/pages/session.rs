//! Who is signed in: sessions, one-time links and the limit on tries, in memory and never stored.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};

use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tracing::error;

use crate::ambient::{self, Clock};
use crate::domain::time::{HOUR_MS, Time};
use crate::web::auth::SecretDigest;

/// How long a session lasts, from its sign-in, in ms.
pub const SESSION_MS: i64 = 12 * HOUR_MS;
/// How long a one-time link can be used, in ms.
pub const LINK_MS: i64 = 10 * 60_000;
/// Tries to sign in within one minute: from one address, and in all.
pub const TRIES_OF_ONE: u32 = 10;
pub const TRIES_IN_ALL: u32 = 100;

const WINDOW_MS: i64 = 60_000;
/// Beyond these numbers the oldest goes: memory stays bounded whatever comes.
const MOST_SESSIONS: usize = 1_000;
const MOST_LINKS: usize = 100;
const MOST_ADDRESSES: usize = 4_096;

/// All sessions of this process. Survives a reload of the configuration; ends with the process.
#[derive(Default)]
pub struct Sessions(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    /// By the digest of the id in the cookie: what is looked up tells nothing about what is there.
    sessions: HashMap<[u8; 32], Session>,
    /// One-time links by the digest of their secret, with the end of their time.
    links: HashMap<[u8; 32], Time>,
    tries: Tries,
}

struct Session {
    name: String,
    token: Option<SecretDigest>,
    csrf: String,
    ends: Time,
    flash: Option<Flash>,
}

#[derive(Default)]
struct Tries {
    began: i64,
    in_all: u32,
    by_address: HashMap<IpAddr, u32>,
}

/// A signed-in person, as one request sees them.
#[derive(Clone)]
pub struct Visitor {
    key: [u8; 32],
    /// The name of the token they signed in with.
    pub name: String,
    /// The token itself as a digest; absent after a one-time link. A token that is taken out of the
    /// configuration ends its sessions.
    pub token: Option<SecretDigest>,
    /// What every form of this session must send back.
    pub csrf: String,
}

impl Visitor {
    /// Whether a form came from a page of this session. Takes the same time whatever was sent.
    pub fn sent(&self, csrf: &str) -> bool {
        self.csrf.as_bytes().ct_eq(csrf.as_bytes()).into()
    }
}

/// What an action came to, shown once on the next page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flash {
    pub good: bool,
    pub text: String,
    /// How to go on; may be empty.
    pub hint: String,
    /// A page to look at: its path and the words of the link.
    pub link: Option<(String, String)>,
}

impl Sessions {
    /// A path that signs in whoever opens it first, within ten minutes: `/sign-in?once=…`. Where the
    /// operating system has no entropy to give, it is the form for a token: `/sign-in`.
    pub fn link(&self, clock: &Clock) -> String {
        let secret = match secret() {
            Ok(secret) => secret,
            Err(error) => {
                error!(%error, "the operating system gave no entropy for a sign-in link");
                return "/sign-in".to_owned();
            }
        };
        let now = clock.now();
        let mut inner = self.0.lock();
        inner.links.retain(|_, ends| *ends > now);
        drop_oldest(&mut inner.links, MOST_LINKS, |ends| *ends);
        inner.links.insert(digest(&secret), now.plus_millis(LINK_MS));
        format!("/sign-in?once={secret}")
    }

    /// Uses up a one-time link; says whether it was good.
    pub fn redeem(&self, once: &str, now: Time) -> bool {
        self.0.lock().links.remove(&digest(once)).is_some_and(|ends| ends > now)
    }

    /// Opens a session and answers the id for its cookie.
    ///
    /// # Errors
    /// When the operating system has no entropy to give.
    pub fn open(
        &self,
        name: &str,
        token: Option<SecretDigest>,
        now: Time,
    ) -> Result<String, getrandom::Error> {
        let (id, csrf) = (secret()?, secret()?);
        let mut inner = self.0.lock();
        inner.sessions.retain(|_, session| session.ends > now);
        drop_oldest(&mut inner.sessions, MOST_SESSIONS, |session| session.ends);
        let ends = now.plus_millis(SESSION_MS);
        inner.sessions.insert(digest(&id), Session { name: name.to_owned(), token, csrf, ends, flash: None });
        Ok(id)
    }

    /// The session with this id, if it has not ended.
    pub fn visitor(&self, id: &str, now: Time) -> Option<Visitor> {
        let key = digest(id);
        let inner = self.0.lock();
        let session = inner.sessions.get(&key).filter(|session| session.ends > now)?;
        Some(Visitor {
            key,
            name: session.name.clone(),
            token: session.token.clone(),
            csrf: session.csrf.clone(),
        })
    }

    /// Ends a session.
    pub fn close(&self, visitor: &Visitor) {
        self.0.lock().sessions.remove(&visitor.key);
    }

    /// Leaves a message for the session's next page.
    pub fn leave(&self, visitor: &Visitor, flash: Flash) {
        if let Some(session) = self.0.lock().sessions.get_mut(&visitor.key) {
            session.flash = Some(flash);
        }
    }

    /// Takes the message that was left, if there is one.
    pub fn take(&self, visitor: &Visitor) -> Option<Flash> {
        self.0.lock().sessions.get_mut(&visitor.key).and_then(|session| session.flash.take())
    }

    /// Counts a try to sign in. `Err` is the number of seconds to wait: too many came from this
    /// address, or in all.
    pub fn count_try(&self, client: IpAddr, now: Time) -> Result<(), i64> {
        let mut inner = self.0.lock();
        let tries = &mut inner.tries;
        let minute = now.as_millis().div_euclid(WINDOW_MS);
        if tries.began != minute {
            *tries = Tries { began: minute, ..Tries::default() };
        }
        tries.in_all = tries.in_all.saturating_add(1);
        let address = network(client);
        let mine = if tries.by_address.len() < MOST_ADDRESSES || tries.by_address.contains_key(&address) {
            let mine = tries.by_address.entry(address).or_default();
            *mine = mine.saturating_add(1);
            *mine
        } else {
            1
        };
        if mine > TRIES_OF_ONE || tries.in_all > TRIES_IN_ALL {
            let left = (minute + 1) * WINDOW_MS - now.as_millis();
            return Err(left / 1000 + 1);
        }
        Ok(())
    }
}

/// One subscriber holds a whole /64 of IPv6 and would else have endless tries.
fn network(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
        v4 => v4,
    }
}

/// 32 random bytes in hexadecimal digits.
fn secret() -> Result<String, getrandom::Error> {
    use std::fmt::Write;
    let mut text = String::with_capacity(64);
    for byte in ambient::entropy::<32>()? {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text)
}

fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

fn drop_oldest<V>(map: &mut HashMap<[u8; 32], V>, most: usize, ends: impl Fn(&V) -> Time) {
    if map.len() < most {
        return;
    }
    let oldest = map.iter().min_by_key(|(_, value)| ends(value)).map(|(key, _)| *key);
    if let Some(key) = oldest {
        map.remove(&key);
    }
}
