//! How a request says who sends it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::domain::ids::DeliveryId;
use crate::domain::time::Time;
use crate::template::destination::compile::encoded;
use crate::template::destination::digest::{self, SigningKey};
use crate::template::destination::sign_in_spec::{GrantSpec, SignInSpec};
use crate::template::diagnostic::Problem;
use crate::template::toml_doc::table::Table;
use crate::template::toml_doc::text::Text;

/// One way of it; a template may use several. Settings are named by their number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Auth {
    /// A header that is a setting, after a fixed word.
    Header { name: String, prefix: String, setting: usize },
    /// A parameter of the URL that is a setting.
    Query { name: String, setting: usize },
    /// RFC 7617: user and password in the header `Authorization`.
    Basic { user: usize, password: usize },
    /// A parameter of the URL that proves that the sender of `of` knows `key` too: HMAC-SHA256 in hexadecimal. Nothing
    /// without the key.
    HmacProof { name: String, key: usize, of: usize },
    /// Signed by each of these keys that is set.
    StandardWebhooks { keys: Vec<usize> },
    /// A token that the account is given for its own secrets: in the header `Authorization`, as a bearer's.
    SignIn(SignInSpec),
}

const KINDS: [&str; 9] = [
    "none",
    "bearer",
    "header",
    "query",
    "basic",
    "standard-webhooks",
    "hmac-proof",
    "oauth2-refresh",
    "service-account",
];

impl Auth {
    /// What a template calls it.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Auth::Header { name, prefix, .. } if name == "authorization" && prefix == "Bearer " => "bearer",
            Auth::Header { .. } => "header",
            Auth::Query { .. } => "query",
            Auth::Basic { .. } => "basic",
            Auth::HmacProof { .. } => "hmac-proof",
            Auth::StandardWebhooks { .. } => "standard-webhooks",
            Auth::SignIn(SignInSpec { grant: GrantSpec::RefreshToken { .. }, .. }) => "oauth2-refresh",
            Auth::SignIn(SignInSpec { grant: GrantSpec::ServiceAccount { .. }, .. }) => "service-account",
        }
    }

    /// The way to sign in that it is.
    pub(crate) fn sign_in(&self) -> Option<&SignInSpec> {
        match self {
            Auth::SignIn(spec) => Some(spec),
            _ => None,
        }
    }

    /// Whether the setting with this number leaves by it. A key that only signs does not.
    pub(crate) fn sends(&self, number: usize) -> bool {
        match self {
            Auth::Header { setting, .. } | Auth::Query { setting, .. } => *setting == number,
            Auth::Basic { user, password } => [user, password].contains(&&number),
            Auth::SignIn(spec) => spec.sends(number),
            Auth::HmacProof { .. } | Auth::StandardWebhooks { .. } => false,
        }
    }
}

/// Reads `auth` of a `[request]`: a table, or a list of them.
pub(crate) fn read(request: &Table<'_>, settings: &[String]) -> Vec<Auth> {
    let read = |table: &Table<'_>| read_one(table, settings);
    if request.is_list("auth") {
        request.read_tables("auth", read).into_iter().flatten().collect()
    } else {
        request.read_table("auth", read).flatten().into_iter().collect()
    }
}

fn read_one(table: &Table<'_>, settings: &[String]) -> Option<Auth> {
    let number = |name: &Text| number_of(name, settings);
    let setting = |key| table.required(key, "\"…\"", number).unwrap_or_default();
    let kinds = KINDS.map(|kind| (kind, kind));
    match table.required("kind", "\"bearer\"", |text| text.one_of(&kinds)) {
        Some("bearer") => Some(Auth::Header {
            name: "authorization".to_owned(),
            prefix: "Bearer ".to_owned(),
            setting: setting("setting"),
        }),
        Some("header") => Some(Auth::Header {
            name: table.needed_text("header").to_lowercase(),
            prefix: table.text("prefix").unwrap_or_default().value,
            setting: setting("setting"),
        }),
        Some("query") => Some(Auth::Query { name: table.needed_text("query"), setting: setting("setting") }),
        Some("basic") => Some(Auth::Basic { user: setting("user"), password: setting("password") }),
        Some("hmac-proof") => {
            Some(Auth::HmacProof { name: table.needed_text("query"), key: setting("key"), of: setting("of") })
        }
        Some("standard-webhooks") => {
            if !table.has("keys") || table.is_empty_list("keys") {
                table.problem("keys", "`keys` is missing", "list the settings that hold the signing keys");
            }
            let keys = table.all_parsed("keys", number);
            Some(Auth::StandardWebhooks { keys: keys.unwrap_or_default() })
        }
        Some("oauth2-refresh") => Some(Auth::SignIn(SignInSpec {
            grant: GrantSpec::RefreshToken {
                client_id: setting("client_id"),
                client_secret: table.parsed("client_secret", number),
                refresh_token: setting("refresh_token"),
            },
            token_url: table.needed_text("token_url"),
            scope: table.text("scope").unwrap_or_default().value,
            rotates: table.flag("rotates").unwrap_or(false),
        })),
        Some("service-account") => Some(Auth::SignIn(SignInSpec {
            grant: GrantSpec::ServiceAccount { key: setting("key") },
            token_url: table.needed_text("token_url"),
            scope: table.needed_text("scope"),
            rotates: false,
        })),
        Some(_) => None,
        None => {
            // What a kind that was not understood needs is not known either.
            for key in table.keys() {
                table.has(key);
            }
            None
        }
    }
}

/// The number of the setting that is named.
///
/// # Errors
/// There is none of this name.
pub(crate) fn number_of(name: &Text, settings: &[String]) -> Result<usize, Problem> {
    let found = settings.iter().position(|known| *known == name.value);
    let what = || format!("there is no setting {}", name.shown());
    found.ok_or_else(|| Problem::new(what(), format!("settings are {}", settings.join(", "))))
}

/// What an account sends with every request to say who it is.
#[derive(Default)]
pub(crate) struct Credentials {
    headers: Vec<(String, String)>,
    /// Percent-encoded: `a=1&b=2`; empty where there is none.
    query: String,
    signing_keys: Vec<SigningKey>,
    /// What was made of secrets, and is as secret.
    pub derived: Vec<String>,
}

impl Credentials {
    /// Of what the settings say, in the order of the template.
    pub(crate) fn of(auth: &[Auth], settings: &[Option<String>]) -> Credentials {
        let value = |number: &usize| settings.get(*number)?.as_deref();
        let mut credentials = Credentials::default();
        for one in auth {
            match one {
                Auth::Header { name, prefix, setting } => {
                    let header = value(setting).map(|value| (name.clone(), format!("{prefix}{value}")));
                    credentials.headers.extend(header);
                }
                Auth::Query { name, setting } => {
                    if let Some(value) = value(setting) {
                        credentials.append(name, value);
                    }
                }
                Auth::Basic { user, password } => {
                    if let Some(user) = value(user) {
                        let both = STANDARD.encode(format!("{user}:{}", value(password).unwrap_or_default()));
                        credentials.headers.push(("authorization".to_owned(), format!("Basic {both}")));
                        credentials.derived.push(both);
                    }
                }
                Auth::HmacProof { name, key, of } => {
                    let proof = value(key).zip(value(of));
                    let proof = proof.and_then(|(key, of)| digest::hmac_hex(key.as_bytes(), of.as_bytes()));
                    if let Some(proof) = proof {
                        credentials.append(name, &proof);
                        credentials.derived.push(proof);
                    }
                }
                // Its token is added where it is sent.
                Auth::SignIn(_) => {}
                Auth::StandardWebhooks { keys } => {
                    let set = keys.iter().filter_map(value);
                    credentials.signing_keys.extend(set.filter_map(|key| SigningKey::parse(key).ok()));
                }
            }
        }
        credentials
    }

    fn append(&mut self, name: &str, value: &str) {
        let between = if self.query.is_empty() { "" } else { "&" };
        self.query.push_str(&format!("{between}{}={}", encoded(name), encoded(value)));
    }

    /// The parameters that are appended to the URL.
    pub(crate) fn query(&self) -> &str {
        &self.query
    }

    /// The headers of the request that sends this body at this moment.
    pub(crate) fn headers(&self, id: &DeliveryId, now: Time, body: &[u8]) -> Vec<(String, String)> {
        let mut headers = self.headers.clone();
        if !self.signing_keys.is_empty() {
            let (id, seconds) = (id.to_string(), now.as_seconds());
            headers.extend(digest::signature_headers(&self.signing_keys, &id, seconds, body));
        }
        headers
    }
}
