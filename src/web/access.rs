//! Looks at presented tokens: no more wrong ones than one address may present, each refusal with its log line.
//!
//! Wrong tokens are counted by address, never over all, and right ones never count. An address that has
//! presented [`MOST_WRONG`](crate::web::guesses::MOST_WRONG) within a minute waits until the minute is over:
//! what it presents is not looked at. Two cannot be locked out by others: an address from which someone is
//! signed in to the pages, and who presents a session that is open. Their right tokens open; their wrong ones are
//! answered 429 all the same. All who come through a proxy that hides their addresses have one limit together,
//! [`MOST_WRONG_BEHIND_PROXY`](crate::web::guesses::MOST_WRONG_BEHIND_PROXY): past it nothing that is presented
//! there is looked at either, so that no one guesses on; who is signed in goes on using the pages, and a right
//! key goes on reporting conversions.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue, StatusCode, header};

use crate::domain::clock_rule::ClockReading;
use crate::domain::error_code::ErrorCode;
use crate::web::access_log::{AccessLog, Reason, TokenArea};
use crate::web::answer::{self, Answer};
use crate::web::auth::{TokenHolder, Tokens};
use crate::web::guesses::Guesses;
use crate::web::pages::session::Sessions;
use crate::web::per_address::LimitKey;

/// Outlives a reload of the configuration.
#[derive(Default)]
pub struct Access {
    /// Who is signed in to the pages.
    pub sessions: Arc<Sessions>,
    /// What is logged about tokens.
    pub log: AccessLog,
    guesses: Guesses,
}

/// One look at a token: whose limit it counts against, what the token is to open, and when.
#[derive(Debug, Clone, Copy)]
pub struct TokenCheck {
    /// Whose wrong tokens count together.
    pub key: LimitKey,
    /// Where the token was presented.
    pub area: TokenArea,
    /// When, by both clocks.
    pub now: ClockReading,
    /// Whether the request itself presents a session that is open.
    pub is_signed_in: bool,
}

/// Why a request is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// Nothing was presented.
    NoToken,
    /// There is an `Authorization`, and no bearer token in it.
    NoBearer,
    /// No token has this text.
    WrongToken,
    /// Nothing is looked at any more from there.
    TooMany {
        /// Until it is looked at again.
        seconds: i64,
    },
}

impl Access {
    /// Nothing was refused yet.
    pub fn of(sessions: Arc<Sessions>) -> Access {
        Access { sessions, ..Access::default() }
    }

    /// Whose token this is.
    ///
    /// # Errors
    /// It is wrong, or its address has presented too many wrong ones.
    pub fn holder<'t>(
        &self,
        tokens: &'t Tokens,
        presented: &str,
        check: TokenCheck,
    ) -> Result<TokenHolder<'t>, Denied> {
        if let Some(seconds) = self.locked_out(tokens, check) {
            return Err(Denied::TooMany { seconds });
        }
        tokens.holder_of(presented).ok_or_else(|| self.wrong(check))
    }

    /// Whose token is in `Authorization: Bearer …`.
    ///
    /// # Errors
    /// There is none; or as [`Access::holder`].
    pub fn bearer<'t>(
        &self,
        tokens: &'t Tokens,
        headers: &HeaderMap,
        check: TokenCheck,
    ) -> Result<TokenHolder<'t>, Denied> {
        self.holder(tokens, presented(headers)?, check)
    }

    /// For how many seconds nothing that is presented there is looked at.
    pub fn locked_out(&self, tokens: &Tokens, check: TokenCheck) -> Option<i64> {
        let seconds = self.guesses.wait(check.key, check.now.wall)?;
        let is_known = || match check.key {
            LimitKey::Address(_) => {
                let opens = |session: Option<&_>| session.is_none_or(|token| tokens.holder(token).is_some());
                self.sessions.is_open_at(check.key, check.now.running_ms, opens)
            }
            // Who else uses it may be anyone. Conversions are reported by the network's API: no
            // stranger behind the same proxy may keep a right key from reporting them.
            LimitKey::BehindProxy(_) => check.area == TokenArea::NetworkApi,
        };
        if check.is_signed_in || is_known() {
            return None;
        }
        self.log.refused(check.area, Reason::TooMany, None, check.now.wall);
        Some(seconds)
    }

    /// Counts a wrong token.
    pub fn wrong(&self, check: TokenCheck) -> Denied {
        let over = self.guesses.count(check.key, check.now.wall);
        let reason = if over.is_some() { Reason::TooMany } else { Reason::WrongToken };
        self.log.refused(check.area, reason, None, check.now.wall);
        over.map_or(Denied::WrongToken, |seconds| Denied::TooMany { seconds })
    }
}

/// The token in `Authorization: Bearer …`.
///
/// # Errors
/// There is none.
pub fn presented(headers: &HeaderMap) -> Result<&str, Denied> {
    let authorization = headers.get(header::AUTHORIZATION).ok_or(Denied::NoToken)?;
    let (scheme, token) =
        authorization.to_str().ok().and_then(|value| value.split_once(' ')).ok_or(Denied::NoBearer)?;
    let token = Some(token.trim()).filter(|token| scheme.eq_ignore_ascii_case("bearer") && !token.is_empty());
    token.ok_or(Denied::NoBearer)
}

/// What the API and `/metrics` answer, with the fix.
pub fn denied(tokens: &Tokens, why: Denied) -> Answer {
    let (message, hint, challenge) = match why {
        Denied::TooMany { seconds } => return too_many(seconds),
        _ if tokens.is_empty() => (
            "no token is configured, so no one may use this",
            "set one in postbridge.toml: [api] tokens = [{ name = \"ops\", token = { env = \"POSTBRIDGE_TOKEN\" }, rights = [\"network\"] }]",
            "Bearer realm=\"postbridge\"",
        ),
        Denied::NoToken => ("a token is needed", SEND_ONE, "Bearer realm=\"postbridge\""),
        Denied::NoBearer => {
            ("the `Authorization` header holds no bearer token", SEND_ONE, "Bearer realm=\"postbridge\"")
        }
        Denied::WrongToken => (
            "the token is not one of those that are configured",
            "compare it with the tokens under [api] in postbridge.toml; what was changed there counts after a reload",
            "Bearer realm=\"postbridge\", error=\"invalid_token\"",
        ),
    };
    let mut refused = answer::error(StatusCode::UNAUTHORIZED, ErrorCode::Unauthorized, message, hint);
    refused.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    refused
}

const SEND_ONE: &str = "send `Authorization: Bearer …` with one of the tokens under [api]";

fn too_many(seconds: i64) -> Answer {
    let mut refused = answer::error(
        StatusCode::TOO_MANY_REQUESTS,
        ErrorCode::TooMany,
        "too many wrong tokens were presented from this address; none is looked at now",
        &format!("wait {seconds} seconds, then send a right one"),
    );
    refused.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    refused
}
