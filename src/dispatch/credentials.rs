//! The access tokens of accounts that sign in: asked for once however many deliveries wait, used until shortly before
//! they expire, never stored and never logged.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::clock::Clock;
use crate::dispatch::kept_token::KeptToken;
use crate::domain::delivery::{PlatformResponse, Reply, ReplyVerdict};
use crate::domain::delivery_reason::{ParkReason, RetryReason};
use crate::domain::exchange::{PlatformAnswer, Said};
use crate::domain::secret_store::SecretStore;
use crate::send::client::Client;
use crate::template::destination::sign_in::{AccountSignIn, RefusedSignIn, TokenAnswer, read_token};

/// How long before its end a token is no longer used.
const BEFORE_THE_END: Duration = Duration::from_secs(60);

/// Every account that signs in, each once: destinations of one account share its token.
#[derive(Default)]
pub struct SignedInAccounts {
    accounts: Mutex<Vec<Arc<Account>>>,
}

impl SignedInAccounts {
    /// The account that signs in so, or did before the platform gave it other tokens or a person put this one into its
    /// files. From this reload on it keeps them in `secrets`; what it has and is not there yet is written at once.
    pub fn account(
        &self,
        sign_in: &AccountSignIn,
        (secrets, reload): (&Arc<dyn SecretStore>, u64),
    ) -> Arc<Account> {
        let mut accounts = self.accounts.lock();
        // Those that no destination has any more are forgotten.
        accounts.retain(|known| known.is_of(sign_in) || Arc::strong_count(known) > 1);
        let known = accounts.iter().find(|known| known.is_of(sign_in));
        let known = known.or_else(|| accounts.iter().find(|known| known.is_replaced_by(sign_in))).cloned();
        let account = known.unwrap_or_else(|| {
            let new = Arc::new(Account::new(sign_in.clone()));
            accounts.push(Arc::clone(&new));
            new
        });
        let is_behind = account.refresh_token.as_ref().zip(sign_in.refresh_token());
        if is_behind.is_some_and(|(kept, (_, configured))| kept.keep_in(secrets, configured, reload)) {
            let account = Arc::clone(&account);
            tokio::spawn(async move { account.catch_up().await });
        }
        account
    }

    /// Waits until no request for a token is under way, and all that was given is kept.
    pub async fn settled(&self) {
        let accounts: Vec<_> = self.accounts.lock().clone();
        for account in accounts {
            account.catch_up().await;
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
    /// `None`: it signs in by a key that stays what it is.
    refresh_token: Option<KeptToken>,
    state: Arc<tokio::sync::Mutex<AccountState>>,
}

#[derive(Default)]
struct AccountState {
    token: Option<AccessToken>,
    /// What became of the last request for a token, and when it ended, where it brought none: those that waited for it are
    /// not sent after it one by one.
    failed: Option<(Duration, ReplyVerdict)>,
}

impl Account {
    fn new(sign_in: AccountSignIn) -> Account {
        let refresh_token = sign_in.refresh_token().map(|(setting, token)| KeptToken::new(setting, token));
        Account { sign_in, refresh_token, state: Arc::default() }
    }

    /// Whether it is the account that signs in so.
    fn is_of(&self, sign_in: &AccountSignIn) -> bool {
        match self.refresh_token.as_ref().zip(sign_in.refresh_token()) {
            Some((kept, (_, token))) => self.sign_in.differs_in_token_at_most(sign_in) && kept.knows(token),
            None => self.sign_in == *sign_in,
        }
    }

    /// Whether its token was replaced by this one, by a person who wrote it into the account's files.
    fn is_replaced_by(&self, sign_in: &AccountSignIn) -> bool {
        let tokens = self.refresh_token.as_ref().zip(sign_in.refresh_token());
        tokens.is_some_and(|(kept, (_, token))| {
            self.sign_in.differs_in_token_at_most(sign_in) && kept.is_replaced_by(token)
        })
    }

    /// Keeps what it has and is not in its place yet.
    async fn catch_up(&self) {
        let state = self.state.lock().await;
        if let Some(kept) = &self.refresh_token {
            kept.look().await;
            kept.write().await;
        }
        drop(state);
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
            let is_superseded = self.refresh_token.as_ref().is_some_and(KeptToken::awaits_trial);
            clock.running() < token.until && !is_refused && !is_superseded
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
            let renewed = account.renew(&client, &clock).await;
            state.failed = renewed.as_ref().err().map(|verdict| (clock.running(), verdict.clone()));
            state.token = renewed.as_ref().ok().cloned();
            renewed
        });
        renewal.await.unwrap_or_else(|_logged| Err(later(RetryReason::AttemptFailed)))
    }

    async fn renew(&self, client: &Client, clock: &Clock) -> Result<AccessToken, ReplyVerdict> {
        let mut shown_token = String::new();
        if let Some(kept) = &self.refresh_token {
            kept.look().await;
            kept.write().await;
            shown_token = kept.shown();
        }
        let request = self.sign_in.request(&shown_token, clock.now());
        let request = request.map_err(|problem| impossible(problem.what))?;
        let asked = clock.running();
        let answer = match client.send(&request).await {
            Reply::Answer(answer) => answer,
            Reply::Failed(cause) => {
                return Err(later(RetryReason::SignInUnanswered(cause)));
            }
            Reply::Forbidden(cause) => return Err(impossible(cause.to_string())),
        };
        match read_token(&answer) {
            TokenAnswer::Granted(granted) => {
                let until =
                    asked.saturating_add(Duration::from_secs(granted.lasts_s)).saturating_sub(BEFORE_THE_END);
                if let Some(kept) = &self.refresh_token {
                    kept.taken(&shown_token, granted.refresh_token.as_deref());
                    // Durable before the access token is used: the one before may be worth nothing from now on.
                    kept.write().await;
                }
                Ok(AccessToken { text: granted.access_token.into(), until })
            }
            TokenAnswer::Refused(RefusedSignIn { words, is_of_grant }) => {
                if let Some(kept) = &self.refresh_token {
                    kept.refused(&shown_token, is_of_grant);
                }
                Err(refused(answer.status, request.mask(&words)))
            }
            TokenAnswer::NotNow => Err(later(RetryReason::SignInUnavailable(answer_of(&answer)))),
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
