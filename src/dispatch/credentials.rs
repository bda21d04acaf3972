//! The access tokens of accounts that sign in: asked for once however many deliveries wait, used until shortly before
//! they expire, never stored and never logged.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::clock::Clock;
use crate::domain::delivery::{PlatformResponse, Reply, ReplyVerdict};
use crate::domain::delivery_reason::{ParkReason, RetryReason};
use crate::domain::exchange::{PlatformAnswer, Said};
use crate::domain::secret_store::SecretStore;
use crate::send::client::Client;
use crate::store::crash;
use crate::template::destination::sign_in::{AccountSignIn, GrantedToken, TokenAnswer, read_token};

/// How long before its end a token is no longer used.
const BEFORE_THE_END: Duration = Duration::from_secs(60);

/// Every account that signs in, each once: destinations of one account share its token.
#[derive(Default)]
pub struct SignedInAccounts {
    accounts: Mutex<HashMap<AccountSignIn, Arc<Account>>>,
}

impl SignedInAccounts {
    /// The account that signs in so; its secrets are kept in `secrets`.
    pub fn account(&self, sign_in: &AccountSignIn, secrets: &Arc<dyn SecretStore>) -> Arc<Account> {
        let mut accounts = self.accounts.lock();
        // Those that no destination has any more are forgotten.
        accounts.retain(|known, account| known == sign_in || Arc::strong_count(account) > 1);
        let new = || Arc::new(Account::new(sign_in.clone(), Arc::clone(secrets)));
        Arc::clone(accounts.entry(sign_in.clone()).or_insert_with(new))
    }

    /// Waits until no request for a token is under way.
    pub async fn settled(&self) {
        let accounts: Vec<_> = self.accounts.lock().values().cloned().collect();
        for account in accounts {
            drop(account.state.lock().await);
        }
    }
}

/// An access token in use.
#[derive(Clone)]
pub struct AccessToken {
    /// What is sent.
    pub text: Arc<str>,
    /// Until when it is used, by the clock that no one sets.
    until: Duration,
}

/// One account and its token.
pub struct Account {
    sign_in: AccountSignIn,
    secrets: Arc<dyn SecretStore>,
    state: Arc<tokio::sync::Mutex<AccountState>>,
}

struct AccountState {
    token: Option<AccessToken>,
    /// The newest refresh token; empty where the account has none.
    refresh_token: String,
    /// What its file held when it was last read or written: anything else there is newer.
    in_file: String,
    /// What became of the last request for a token, and when it ended, where it brought none: those that waited for it are
    /// not sent after it one by one.
    failed: Option<(Duration, ReplyVerdict)>,
}

impl Account {
    fn new(sign_in: AccountSignIn, secrets: Arc<dyn SecretStore>) -> Account {
        let refresh_token = sign_in.refresh_token().map(|(_, token)| token.to_owned()).unwrap_or_default();
        let in_file = refresh_token.clone();
        let state = AccountState { token: None, refresh_token, in_file, failed: None };
        Account { sign_in, secrets, state: Arc::new(tokio::sync::Mutex::new(state)) }
    }

    /// The token to send with a request. `refused`: one that the platform did not take, so that another is asked for.
    ///
    /// # Errors
    /// There is none: what that means to the deliveries that wait for it.
    pub async fn token(
        self: &Arc<Self>,
        client: &Client,
        clock: &Clock,
        refused: Option<&AccessToken>,
    ) -> Result<AccessToken, ReplyVerdict> {
        let began = clock.running();
        let mut state = Arc::clone(&self.state).lock_owned().await;
        let is_of_use = |token: &&AccessToken| {
            let is_refused = refused.is_some_and(|refused| Arc::ptr_eq(&refused.text, &token.text));
            clock.running() < token.until && !is_refused
        };
        if let Some(token) = state.token.as_ref().filter(is_of_use) {
            return Ok(token.clone());
        }
        if let Some((_, verdict)) = state.failed.as_ref().filter(|(ended, _)| *ended >= began) {
            return Err(verdict.clone());
        }
        // A delivery that is cut off must not take a refresh token with it that has just been given.
        let (account, client, clock) = (Arc::clone(self), client.clone(), clock.clone());
        let renewal = tokio::spawn(async move {
            let renewed = account.renew(&mut state, &client, &clock).await;
            state.failed = renewed.as_ref().err().map(|verdict| (clock.running(), verdict.clone()));
            state.token = renewed.as_ref().ok().cloned();
            renewed
        });
        renewal.await.unwrap_or_else(|_logged| Err(later(RetryReason::AttemptFailed)))
    }

    async fn renew(
        &self,
        state: &mut AccountState,
        client: &Client,
        clock: &Clock,
    ) -> Result<AccessToken, ReplyVerdict> {
        self.look(state).await;
        let request = self.sign_in.request(&state.refresh_token, clock.now());
        let request = request.map_err(|problem| impossible(problem.what))?;
        let asked = clock.running();
        let answer = match client.send(&request).await {
            Reply::Answer(answer) => answer,
            Reply::Failed(cause) => {
                return Err(later(RetryReason::SignInUnanswered(cause)));
            }
            Reply::Forbidden(cause) => return Err(impossible(cause.to_string())),
        };
        let shown = |words: &str| request.mask(words);
        match read_token(&answer) {
            TokenAnswer::Granted(granted) => {
                let until =
                    asked.saturating_add(Duration::from_secs(granted.lasts_s)).saturating_sub(BEFORE_THE_END);
                self.keep(state, &granted).await;
                Ok(AccessToken { text: granted.access_token.into(), until })
            }
            TokenAnswer::Refused(words) => Err(refused(answer.status, shown(&words))),
            TokenAnswer::NotNow => Err(later(RetryReason::SignInUnavailable(answer_of(&answer)))),
        }
    }

    /// Takes the refresh token that was put into its file since: by a person, or by this account as it was before a reload.
    async fn look(&self, state: &mut AccountState) {
        let Some((setting, _)) = self.sign_in.refresh_token() else { return };
        let (secrets, setting) = (Arc::clone(&self.secrets), setting.to_owned());
        let read = tokio::task::spawn_blocking(move || secrets.read(&setting)).await;
        if let Some(newer) = read.ok().flatten().filter(|found| *found != state.in_file) {
            state.in_file.clone_from(&newer);
            state.refresh_token = newer;
        }
    }

    /// Keeps a refresh token that takes the place of the one before: durable before the access token is used, since the
    /// one before may be worth nothing from now on.
    async fn keep(&self, state: &mut AccountState, granted: &GrantedToken) {
        let Some((setting, _)) = self.sign_in.refresh_token() else { return };
        let Some(new) = granted.refresh_token.as_ref().filter(|new| **new != state.refresh_token) else {
            return;
        };
        crash::point("sign_in.before_stage");
        state.refresh_token.clone_from(new);
        let (secrets, setting, kept) = (Arc::clone(&self.secrets), setting.to_owned(), new.clone());
        let written = tokio::task::spawn_blocking(move || {
            secrets.stage(&setting, &kept).map(|()| {
                crash::point("sign_in.after_stage");
                secrets.adopt(&setting)
            })
        })
        .await;
        match written {
            Ok(Ok(adopted)) => {
                state.in_file.clone_from(new);
                if let Err(error) = adopted {
                    tracing::error!(%error, "another refresh token is kept next to its file, and not in it");
                }
            }
            Ok(Err(error)) => tracing::error!(
                %error,
                "a platform gave another refresh token, which is lost when the program ends"
            ),
            Err(error) => tracing::error!(%error, "a refresh token could not be kept"),
        }
    }
}

fn answer_of(answer: &PlatformResponse) -> PlatformAnswer {
    PlatformAnswer { status: answer.status, why: None, said: Said::EmptyBody }
}

fn refused(status: u16, words: String) -> ReplyVerdict {
    let answer = PlatformAnswer { status, why: None, said: Said::Words(words) };
    ReplyVerdict::Park { reason: ParkReason::SignInRefused(answer) }
}

fn impossible(why: String) -> ReplyVerdict {
    ReplyVerdict::Park { reason: ParkReason::SignInImpossible(why) }
}

fn later(reason: RetryReason) -> ReplyVerdict {
    ReplyVerdict::Retry { reason, after_ms: None, hold_ms: None }
}
