//! The refresh token of an account: the newest there is, and where its destinations keep it.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::dispatch::token_chain::{TokenChain, digest};
use crate::domain::secret_store::{SecretNotKept, SecretStore};
use crate::store::crash;

/// The refresh token of one account. Who reads or writes its places does so alone.
pub struct KeptToken {
    /// The setting that holds it.
    setting: String,
    chain: Mutex<TokenChain>,
    places: Mutex<TokenPlaces>,
    /// The digest of the token of which the log says that it is not kept.
    reported: Mutex<Option<[u8; 32]>>,
}

/// Where the destinations of the account keep it.
#[derive(Clone, Default)]
struct TokenPlaces {
    reload: u64,
    /// As the last reload says.
    all: Vec<Arc<TokenPlace>>,
    /// As the reload before said.
    before: Vec<Arc<TokenPlace>>,
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
        KeptToken {
            setting: setting.to_owned(),
            chain: Mutex::new(TokenChain::new(token)),
            places: Mutex::default(),
            reported: Mutex::default(),
        }
    }

    /// The one to show.
    pub fn shown(&self) -> String {
        self.chain.lock().shown().to_owned()
    }

    /// Whether it is or was a token of the account.
    pub fn knows(&self, token: &str) -> bool {
        self.chain.lock().knows(token)
    }

    /// Whether it was put into every place of the account since, so that it is meant to be the account's.
    pub fn is_replaced_by(&self, token: &str) -> bool {
        let places = self.places().all;
        let holds =
            |place: &Arc<TokenPlace>| place.secrets.read(&self.setting).is_some_and(|read| read == token);
        !places.is_empty() && places.iter().all(holds)
    }

    /// Whether one that was put into a place is to be shown, although the access token may be used on.
    pub fn awaits_trial(&self) -> bool {
        let places = self.places();
        self.chain.lock().awaits_trial(|token| hold(&places.all, token))
    }

    /// It is kept here too since this reload, which found `configured` here; the places of earlier reloads no longer count.
    /// Answers whether something newer than that is to be written here.
    pub fn keep_in(&self, secrets: &Arc<dyn SecretStore>, configured: &str, reload: u64) -> bool {
        let mut places = self.places.lock();
        if places.reload != reload {
            let before = std::mem::take(&mut places.all);
            *places = TokenPlaces { reload, all: Vec::new(), before };
        }
        let held = Mutex::new(configured.to_owned());
        places.all.push(Arc::new(TokenPlace { secrets: Arc::clone(secrets), held }));
        let is_change = !hold(&places.before, configured);
        let mut chain = self.chain.lock();
        chain.find(configured, is_change);
        chain.newest() != configured
    }

    /// Takes note of what was put into its places since, by a person or by another program, and chooses the one to show.
    pub async fn look(&self) {
        let places = self.places();
        for place in &places.all {
            let (secrets, setting) = (Arc::clone(&place.secrets), self.setting.clone());
            let read = tokio::task::spawn_blocking(move || secrets.read(&setting)).await;
            if let Some(read) = read.ok().flatten() {
                let (mut chain, mut held) = (self.chain.lock(), place.held.lock());
                chain.find(&read, read != *held);
                *held = read;
            }
        }
        let mut chain = self.chain.lock();
        // A reload that is under way has named some of its places only.
        chain.retain(|token| hold(&places.all, token) || hold(&places.before, token));
        chain.choose(|token| hold(&places.all, token));
    }

    /// The platform refused the one that was shown. `is_of_grant`: because of the token, and not of who shows it, or how.
    pub fn refused(&self, shown: &str, is_of_grant: bool) {
        self.chain.lock().refused(shown, is_of_grant);
    }

    /// The platform took the one that was shown, and gave `next` in its place, if anything.
    pub fn taken(&self, shown: &str, next: Option<&str>) {
        if self.chain.lock().taken(shown, next) {
            tracing::warn!(
                setting = self.setting,
                "a refresh token that was put into its file was refused: the one that the platform takes is written there"
            );
        }
    }

    /// Writes the newest where it is not yet: it is durable when this ends, or the log says that it is not. While another
    /// is on trial nothing is written, and what may be tried yet is left in its place.
    pub async fn write(&self) {
        for place in self.places().all {
            let newest = {
                let (chain, held) = (self.chain.lock(), place.held.lock());
                let is_behind = *held != chain.newest() && !chain.is_unproven(&held);
                chain.proven().filter(|_| is_behind).map(str::to_owned)
            };
            if let Some(newest) = newest {
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
            Ok(Err(error)) => self.report(newest, &error),
            Err(error) => tracing::error!(%error, "a refresh token could not be kept"),
        }
    }

    /// Once for each token, however often it is tried.
    fn report(&self, newest: &str, error: &SecretNotKept) {
        let newest = Some(digest(newest));
        if std::mem::replace(&mut *self.reported.lock(), newest) != newest {
            tracing::error!(
                %error,
                "the refresh token that the platform takes now could not be kept, and is lost when the program ends"
            );
        }
    }

    fn places(&self) -> TokenPlaces {
        self.places.lock().clone()
    }
}

/// Whether one of these held a token when it was last read or written.
fn hold(places: &[Arc<TokenPlace>], token: &str) -> bool {
    places.iter().any(|place| *place.held.lock() == token)
}
