//! A server that gives access tokens to an account of a platform: for a few seconds each, and where the platform does so
//! with another refresh token every time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde_json::json;

use crate::support::platform::{Act, Platform, Received};

/// How long a token is good for.
const LIFE: Duration = Duration::from_secs(3);
/// How long before its end a token is no longer used, in seconds.
const BEFORE_THE_END: u64 = 60;
/// The refresh token that a person was given.
pub const FIRST: &str = "refresh-0";

/// One account's.
pub struct TokenServer {
    pub platform: Platform,
    shared: Arc<Mutex<Given>>,
}

#[derive(Default)]
struct Given {
    /// When each access token was given; its number is its place.
    access: Vec<Instant>,
    /// The number of the newest refresh token that was shown: those before it are worth nothing.
    shown: usize,
    /// The first access token that is still good: those before it went with a grant that was revoked.
    good_from: usize,
    /// Why it gives no token, while the grant is revoked.
    revoked: Option<String>,
    /// The refresh token of a person who signed in again, until it is shown.
    granted: Option<String>,
    /// How often it gave none because of that.
    refused: usize,
    faults: Vec<String>,
}

impl TokenServer {
    /// For the account with these settings, of a template that signs in as `auth` says.
    pub fn start(auth: &toml::Value, settings: &BTreeMap<String, String>) -> TokenServer {
        let text = |name: &str| auth.get(name).and_then(toml::Value::as_str).unwrap_or_default();
        let setting = |name: &str| settings.get(text(name)).cloned();
        let mut expected = BTreeMap::from([("grant_type".to_owned(), "refresh_token".to_owned())]);
        expected.extend(setting("client_id").map(|id| ("client_id".to_owned(), id)));
        expected.extend(setting("client_secret").map(|secret| ("client_secret".to_owned(), secret)));
        expected.extend(
            Some(text("scope"))
                .filter(|scope| !scope.is_empty())
                .map(|scope| ("scope".to_owned(), scope.to_owned())),
        );
        let rotates = auth.get("rotates").and_then(toml::Value::as_bool).unwrap_or(false);
        let shared: Arc<Mutex<Given>> = Arc::default();
        let given = Arc::clone(&shared);
        let platform = Platform::start(move |request| given.lock().answer(request, &expected, rotates));
        TokenServer { platform, shared }
    }

    /// Whether it gave this token, and that is still good.
    pub fn is_good(&self, authorization: Option<&str>) -> bool {
        let given = self.shared.lock();
        let number = authorization.and_then(given_number);
        let number = number.filter(|number| *number >= given.good_from);
        number.and_then(|number| given.access.get(number)).is_some_and(|at| at.elapsed() < LIFE)
    }

    /// Whether it ever gave this token.
    pub fn gave(&self, authorization: Option<&str>) -> bool {
        authorization.and_then(given_number).is_some_and(|number| number < self.shared.lock().access.len())
    }

    /// How many tokens it gave.
    pub fn count(&self) -> usize {
        self.shared.lock().access.len()
    }

    /// The grant is revoked: it gives no more tokens, says these words, and those that it gave are worth nothing.
    pub fn revoke(&self, words: &str) {
        let mut given = self.shared.lock();
        given.revoked = Some(words.to_owned());
        given.good_from = given.access.len();
    }

    /// The grant is good again as it was.
    pub fn restore(&self) {
        self.shared.lock().revoked = None;
    }

    /// A person signs in again: the refresh token that is given, in the place of all before it.
    pub fn sign_in_again(&self) -> String {
        let mut given = self.shared.lock();
        given.revoked = None;
        given.granted.insert("refresh-of-another-grant".to_owned()).clone()
    }

    /// How often it gave no token because the grant is revoked.
    pub fn refused(&self) -> usize {
        self.shared.lock().refused
    }

    /// What was wrong with what it was shown.
    pub fn faults(&self) -> Vec<String> {
        self.shared.lock().faults.clone()
    }
}

/// The number of an access token.
fn given_number(authorization: &str) -> Option<usize> {
    authorization.strip_prefix("Bearer access-")?.parse().ok()
}

impl Given {
    fn answer(&mut self, request: &Received, expected: &BTreeMap<String, String>, rotates: bool) -> Act {
        let mut form: BTreeMap<String, String> = form_urlencoded::parse(&request.body).into_owned().collect();
        let shown = form.remove("refresh_token").unwrap_or_default();
        if form != *expected {
            self.faults.push(format!("a token was asked for with {form:?}, not {expected:?}"));
        }
        if let Some(words) = &self.revoked {
            self.refused += 1;
            let answer = json!({"error": "invalid_grant", "error_description": words});
            return Act::status(400, &answer.to_string());
        }
        // Of the grant that was revoked no token is good any more.
        let (granted, newest) = (self.granted.take_if(|granted| *granted == shown), self.access.len());
        if granted.is_some() {
            self.shown = newest;
            return self.give(rotates);
        }
        let number = shown.strip_prefix("refresh-").and_then(|number| number.parse::<usize>().ok());
        let is_known = number.is_some_and(|number| {
            number >= self.shown && (number == 0 || rotates) && number <= self.access.len()
        });
        let Some(number) = number.filter(|_| is_known) else {
            self.faults.push(format!("{shown} was shown, and {} before it", self.shown));
            return Act::status(400, r#"{"error":"invalid_grant"}"#);
        };
        self.shown = number;
        self.give(rotates)
    }

    fn give(&mut self, rotates: bool) -> Act {
        let mut answer = json!({
            "access_token": format!("access-{}", self.access.len()),
            "expires_in": LIFE.as_secs() + BEFORE_THE_END,
            "token_type": "Bearer",
        });
        self.access.push(Instant::now());
        if rotates {
            answer["refresh_token"] = format!("refresh-{}", self.access.len()).into();
        }
        Act::ok(&answer.to_string())
    }
}
