//! The refresh token of an account: the newest there is, and where its destinations keep it.

use std::sync::Arc;

use parking_lot::Mutex;
use sha2::{Digest, Sha256};

use crate::domain::secret_store::{SecretNotKept, SecretStore};
use crate::store::crash;

/// So many tokens that were replaced are known again: those of a month, where each holds for an hour.
const REMEMBERED: usize = 1_000;

/// The refresh token of one account. Who reads or writes its places does so alone.
pub struct KeptToken {
    /// The setting that holds it.
    setting: String,
    chain: Mutex<TokenChain>,
    places: Mutex<TokenPlaces>,
}

/// The newest token, and what it took the place of.
struct TokenChain {
    newest: String,
    /// Digests of the newest and of those that the platform replaced by it, one after the other.
    known: Vec<[u8; 32]>,
    /// Whether the platform refused the newest.
    is_refused: bool,
    /// Whether the log says that the newest is not kept.
    is_reported: bool,
}

/// Where the destinations of the account keep it, as the last reload says.
struct TokenPlaces {
    reload: u64,
    all: Vec<Arc<TokenPlace>>,
}

/// Where one destination keeps it.
struct TokenPlace {
    secrets: Arc<dyn SecretStore>,
    /// What it held when it was last read or written.
    held: Mutex<String>,
}

impl KeptToken {
    /// A token as it is configured.
    pub fn new(setting: &str, token: &str) -> KeptToken {
        let known = vec![digest(token)];
        let chain = TokenChain { newest: token.to_owned(), known, is_refused: false, is_reported: false };
        KeptToken {
            setting: setting.to_owned(),
            chain: Mutex::new(chain),
            places: Mutex::new(TokenPlaces { reload: 0, all: Vec::new() }),
        }
    }

    /// The one to show.
    pub fn newest(&self) -> String {
        self.chain.lock().newest.clone()
    }

    /// Whether it is this one, or has taken its place.
    pub fn knows(&self, token: &str) -> bool {
        self.chain.lock().known.contains(&digest(token))
    }

    /// It is kept here too since this reload, which found `configured` here; the places of earlier reloads no longer count.
    /// Answers whether something newer than that is to be written here.
    pub fn keep_in(&self, secrets: &Arc<dyn SecretStore>, configured: &str, reload: u64) -> bool {
        let mut places = self.places.lock();
        if places.reload != reload {
            *places = TokenPlaces { reload, all: Vec::new() };
        }
        let held = Mutex::new(configured.to_owned());
        places.all.push(Arc::new(TokenPlace { secrets: Arc::clone(secrets), held }));
        self.chain.lock().newest != configured
    }

    /// Takes the token that was put into one of its places since, by a person or by another program.
    pub async fn look(&self) {
        for place in self.places() {
            let (secrets, setting) = (Arc::clone(&place.secrets), self.setting.clone());
            let read = tokio::task::spawn_blocking(move || secrets.read(&setting)).await;
            if let Some(found) = read.ok().flatten() {
                self.found(&place, found);
            }
        }
    }

    /// What was replaced is put back by a copy of the file, and is worth nothing: unless the newest is worth nothing either.
    fn found(&self, place: &TokenPlace, found: String) {
        let (mut chain, mut held) = (self.chain.lock(), place.held.lock());
        let is_new = found != *held && !chain.known.contains(&digest(&found));
        if found != chain.newest && (is_new || chain.is_refused) {
            let known = vec![digest(&found)];
            *chain = TokenChain { newest: found.clone(), known, is_refused: false, is_reported: false };
        }
        *held = found;
    }

    /// The platform refused the newest.
    pub fn refused(&self) {
        self.chain.lock().is_refused = true;
    }

    /// The platform took the newest, and gave `next` in its place, if anything.
    pub fn taken(&self, next: Option<&str>) {
        let mut chain = self.chain.lock();
        chain.is_refused = false;
        let Some(next) = next.filter(|next| **next != *chain.newest) else { return };
        chain.newest = next.to_owned();
        chain.is_reported = false;
        chain.known.push(digest(next));
        if chain.known.len() > REMEMBERED {
            // The first stays: where it is written in the configuration itself, that is what a reload finds.
            chain.known.remove(1);
        }
    }

    /// Writes the newest where it is not yet: it is durable when this ends, or the log says that it is not.
    pub async fn write(&self) {
        let (newest, is_refused) = {
            let chain = self.chain.lock();
            (chain.newest.clone(), chain.is_refused)
        };
        for place in self.places() {
            if !is_refused && *place.held.lock() != newest {
                self.write_in(&place, &newest).await;
            }
        }
    }

    async fn write_in(&self, place: &TokenPlace, newest: &str) {
        crash::point("sign_in.before_stage");
        let (secrets, setting, kept) = (Arc::clone(&place.secrets), self.setting.clone(), newest.to_owned());
        let written = tokio::task::spawn_blocking(move || {
            secrets.stage(&setting, &kept).map(|()| {
                crash::point("sign_in.after_stage");
                secrets.adopt(&setting)
            })
        })
        .await;
        match written {
            Ok(Ok(adopted)) => {
                newest.clone_into(&mut place.held.lock());
                if let Err(error) = adopted {
                    tracing::error!(%error, "another refresh token is kept next to its file, and not in it");
                }
            }
            Ok(Err(error)) => self.report(&error),
            Err(error) => tracing::error!(%error, "a refresh token could not be kept"),
        }
    }

    /// Once for each token, however often it is tried.
    fn report(&self, error: &SecretNotKept) {
        let was_reported = std::mem::replace(&mut self.chain.lock().is_reported, true);
        if !was_reported {
            tracing::error!(
                %error,
                "a platform gave another refresh token, which is lost when the program ends"
            );
        }
    }

    fn places(&self) -> Vec<Arc<TokenPlace>> {
        self.places.lock().all.clone()
    }
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}
