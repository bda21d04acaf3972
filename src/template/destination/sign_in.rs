//! Signing in: an access token that is asked for before requests leave, and is sent with them until it expires.

use std::fmt;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::domain::delivery::{OutgoingRequest, PlatformResponse};
use crate::domain::time::Time;
use crate::template::destination::file::SettingSpec;
use crate::template::destination::sign_in_spec::{GrantSpec, SignInSpec};
use crate::template::destination::spec::SpecProblem;
use crate::template::diagnostic::Problem;

/// How long a signed assertion may be used, in seconds: servers take no longer one.
const ASSERTION_LASTS_S: i64 = 3600;
/// How long a token is used whose answer does not say for how long it holds.
const UNSAID_LASTS_S: u64 = 300;

/// How one account signs in. Secrets are in it: it is never shown or stored.
#[derive(Clone, PartialEq, Eq)]
pub struct AccountSignIn {
    token_url: String,
    /// The server that gives the token, as the template has it: a statement is made to it also where its address is
    /// another, as a proxy's.
    audience: String,
    scope: String,
    grant: AccountGrant,
}

#[derive(Clone, PartialEq, Eq)]
enum AccountGrant {
    RefreshToken {
        client_id: String,
        client_secret: Option<String>,
        refresh_token: String,
        setting: String,
        rotates: bool,
    },
    ServiceAccount(ServiceAccount),
}

/// The key file of a service account, as far as it is used.
#[derive(Clone, PartialEq, Eq, Deserialize)]
struct ServiceAccount {
    client_email: String,
    private_key: String,
    #[serde(default)]
    private_key_id: Option<String>,
}

impl fmt::Debug for AccountSignIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AccountSignIn({})", self.token_url)
    }
}

/// What a service account states of itself: RFC 7523, 3.
#[derive(Serialize)]
struct Assertion<'a> {
    iss: &'a str,
    scope: &'a str,
    aud: &'a str,
    iat: i64,
    exp: i64,
}

/// What the answer to a request for a token means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenAnswer {
    /// Here it is.
    Granted(GrantedToken),
    /// The account is refused: only a person can change that.
    Refused(RefusedSignIn),
    /// None was given, and a later request may be.
    NotNow,
}

/// Why an account is refused a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedSignIn {
    /// The server's words, one line.
    pub words: String,
    /// Whether it is what the account showed that is worth nothing, and not who showed it, or how.
    pub is_of_grant: bool,
}

/// An access token as it was given.
#[derive(Clone, PartialEq, Eq)]
pub struct GrantedToken {
    /// What is sent with requests.
    pub access_token: String,
    /// For how many seconds it holds.
    pub lasts_s: u64,
    /// What has to be shown next time in place of the refresh token that was.
    pub refresh_token: Option<String>,
}

impl fmt::Debug for GrantedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GrantedToken(*** for {} s)", self.lasts_s)
    }
}

impl AccountSignIn {
    /// The one way to sign in for which the account has what it needs; `None` where the template has none at all.
    pub(crate) fn of(
        specs: &[&SignInSpec],
        (known, values): (&[SettingSpec], &[Option<String>]),
        token_endpoint: Option<&str>,
    ) -> Result<Option<AccountSignIn>, SpecProblem> {
        if specs.is_empty() {
            return Ok(None);
        }
        let name = |number: &usize| known.get(*number).map_or("", |spec| spec.name.as_str());
        let is_set = |number: &usize| values.get(*number).is_some_and(Option::is_some);
        let ways = || {
            let way = |spec: &&SignInSpec| {
                spec.needs()
                    .iter()
                    .map(|number| format!("`{}`", name(number)))
                    .collect::<Vec<_>>()
                    .join(" and ")
            };
            specs.iter().map(way).collect::<Vec<_>>().join(", or ")
        };
        let begun: Vec<&&SignInSpec> = specs.iter().filter(|spec| spec.needs().iter().any(is_set)).collect();
        let wrong = |number: &usize, what: String, hint: String| {
            SpecProblem::of_setting(name(number), Problem::new(what, hint))
        };
        let first = specs.first().and_then(|spec| spec.needs().first().copied()).unwrap_or_default();
        let spec = match begun.as_slice() {
            [] => {
                return Err(wrong(
                    &first,
                    "there is nothing to sign in with".to_owned(),
                    format!("set {}", ways()),
                ));
            }
            [one] => one,
            [_, other, ..] => {
                let number = other.needs().first().copied().unwrap_or_default();
                return Err(wrong(
                    &number,
                    "there are two ways to sign in".to_owned(),
                    format!("keep one: {}", ways()),
                ));
            }
        };
        if let Some(missing) = spec.needs().iter().find(|number| !is_set(number)) {
            let what =
                format!("the setting `{}` is missing, without which no one can sign in", name(missing));
            return Err(wrong(missing, what, format!("set {}", ways())));
        }
        let value = |number: usize| values.get(number).cloned().flatten().unwrap_or_default();
        let grant = match spec.grant {
            GrantSpec::RefreshToken { client_id, client_secret, refresh_token } => {
                AccountGrant::RefreshToken {
                    client_id: value(client_id),
                    client_secret: client_secret.map(value).filter(|secret| !secret.is_empty()),
                    refresh_token: value(refresh_token),
                    setting: name(&refresh_token).to_owned(),
                    rotates: spec.rotates,
                }
            }
            GrantSpec::ServiceAccount { key } => {
                let account = ServiceAccount::read(&value(key));
                AccountGrant::ServiceAccount(
                    account.map_err(|problem| SpecProblem::of_setting(name(&key), problem))?,
                )
            }
        };
        let token_url = match token_endpoint {
            Some(endpoint) => format!("{}{}", endpoint.trim_end_matches('/'), path_of(&spec.token_url)),
            None => spec.token_url.clone(),
        };
        let (audience, scope) = (spec.token_url.clone(), spec.scope.clone());
        Ok(Some(AccountSignIn { token_url, audience, scope, grant }))
    }

    /// The setting that holds the refresh token, and that token as it was configured; `None` where another kind of secret
    /// is shown.
    pub fn refresh_token(&self) -> Option<(&str, &str)> {
        match &self.grant {
            AccountGrant::RefreshToken { refresh_token, setting, .. } => Some((setting, refresh_token)),
            AccountGrant::ServiceAccount(_) => None,
        }
    }

    /// Whether it is the same but for the refresh token.
    pub fn differs_in_token_at_most(&self, other: &AccountSignIn) -> bool {
        let without = |sign_in: &AccountSignIn| {
            let mut sign_in = sign_in.clone();
            if let AccountGrant::RefreshToken { refresh_token, .. } = &mut sign_in.grant {
                refresh_token.clear();
            }
            sign_in
        };
        without(self) == without(other)
    }

    /// Whether the refresh token is replaced by what answers bring, so that it has to be kept where that can be written.
    pub fn rotates(&self) -> bool {
        matches!(self.grant, AccountGrant::RefreshToken { rotates: true, .. })
    }

    /// The request for a token, at this moment; `refresh_token`: the newest one. Its secrets are all that must not be
    /// shown.
    ///
    /// # Errors
    /// The key of the service account does not sign.
    pub fn request(&self, refresh_token: &str, now: Time) -> Result<OutgoingRequest, Problem> {
        let mut secrets = Vec::new();
        let mut form = form_urlencoded::Serializer::new(String::new());
        match &self.grant {
            AccountGrant::RefreshToken { client_id, client_secret, .. } => {
                form.append_pair("grant_type", "refresh_token");
                form.append_pair("refresh_token", refresh_token);
                form.append_pair("client_id", client_id);
                if let Some(secret) = client_secret {
                    form.append_pair("client_secret", secret);
                    secrets.push(secret.clone());
                }
                if !self.scope.is_empty() {
                    form.append_pair("scope", &self.scope);
                }
                secrets.push(refresh_token.to_owned());
            }
            AccountGrant::ServiceAccount(account) => {
                let assertion = account.assertion((&self.scope, &self.audience), now)?;
                form.append_pair("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer");
                form.append_pair("assertion", &assertion);
                secrets.push(assertion);
            }
        }
        Ok(OutgoingRequest {
            method: "POST".to_owned(),
            url: self.token_url.clone(),
            headers: vec![
                ("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned()),
                ("accept".to_owned(), "application/json".to_owned()),
            ],
            body: form.finish().into_bytes(),
            secrets,
        })
    }
}

/// What a server answered to a request for a token: RFC 6749, 5.
pub fn read_token(answer: &PlatformResponse) -> TokenAnswer {
    let json: Option<Json> = serde_json::from_slice(&answer.body).ok();
    let text =
        |name: &str| json.as_ref()?.get(name)?.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    match answer.status {
        // What cannot be a header's value would make dead letters of all that wait for it.
        200..=299 => match text("access_token").filter(|token| token.bytes().all(|b| b.is_ascii_graphic())) {
            Some(access_token) => TokenAnswer::Granted(GrantedToken {
                access_token,
                lasts_s: json.as_ref().and_then(lasts).unwrap_or(UNSAID_LASTS_S),
                refresh_token: text("refresh_token"),
            }),
            None => TokenAnswer::NotNow,
        },
        400 | 401 | 403 => match text("error") {
            Some(error)
                if !matches!(error.as_str(), "temporarily_unavailable" | "server_error" | "slow_down") =>
            {
                let is_of_grant = error == "invalid_grant";
                let words: Vec<String> =
                    [Some(error), text("error_description")].into_iter().flatten().collect();
                let words = words.join(": ").split_whitespace().collect::<Vec<_>>().join(" ");
                TokenAnswer::Refused(RefusedSignIn { words, is_of_grant })
            }
            // By its status alone it is the account that is refused.
            None if matches!(answer.status, 401 | 403) => {
                let words = "it gives no reason".to_owned();
                TokenAnswer::Refused(RefusedSignIn { words, is_of_grant: false })
            }
            _ => TokenAnswer::NotNow,
        },
        _ => TokenAnswer::NotNow,
    }
}

/// A number, or a text that is one, as some servers write it.
fn lasts(json: &Json) -> Option<u64> {
    let lasts = json.get("expires_in")?;
    lasts.as_u64().or_else(|| lasts.as_str()?.parse().ok())
}

impl ServiceAccount {
    /// Reads a key file. No part of it is repeated.
    fn read(text: &str) -> Result<ServiceAccount, Problem> {
        let hint = "give it the JSON key file of the service account: { file = \"service-account.json\" }";
        let wrong = |what: &str| Problem::new(format!("the key of the service account {what}"), hint);
        let account: ServiceAccount = serde_json::from_str(text)
            .map_err(|_| wrong("is no JSON with `client_email` and `private_key`"))?;
        match EncodingKey::from_rsa_pem(account.private_key.as_bytes()) {
            Ok(_) => Ok(account),
            Err(_) => Err(wrong("holds no private RSA key that can be read")),
        }
    }

    fn assertion(&self, (scope, aud): (&str, &str), now: Time) -> Result<String, Problem> {
        let iat = now.as_seconds();
        let header = Header { kid: self.private_key_id.clone(), ..Header::new(Algorithm::RS256) };
        let claims = Assertion {
            iss: &self.client_email,
            scope,
            aud,
            iat,
            exp: iat.saturating_add(ASSERTION_LASTS_S),
        };
        let signed = EncodingKey::from_rsa_pem(self.private_key.as_bytes())
            .and_then(|key| jsonwebtoken::encode(&header, &claims, &key));
        signed.map_err(|error| {
            Problem::new(format!("the key of the service account does not sign: {error}"), "make a new key")
        })
    }
}

/// From the first `/` behind the host.
fn path_of(url: &str) -> &str {
    let behind = url.split_once("://").map_or(url, |(_, rest)| rest);
    behind.find('/').and_then(|at| behind.get(at..)).unwrap_or_default()
}
