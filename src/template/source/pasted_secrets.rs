//! Secrets out of a pasted postback URL: what proves to the source who the sender is, shown nowhere.

use percent_encoding::percent_decode_str;

use crate::domain::mask;
use crate::domain::rejection::signature::SignaturePlace;
use crate::template::source::definition::SourceTemplate;
use crate::template::source::pasted_address::ExpectedAddress;
use crate::template::source::verify::scheme::Verification;

/// In the place of a secret.
const MASK: &str = "***";

/// A shorter text may be in a URL by chance.
const SHORTEST: usize = 6;

/// The URL without the source's secrets, wherever they are. One that is in a key is masked with the key.
pub(crate) fn without_secrets(pasted: &str, expected: &ExpectedAddress<'_>) -> String {
    let is_apart =
        |secret: &&&str| secret.len() >= SHORTEST && !expected.keys.iter().any(|key| key.contains(**secret));
    let secrets = expected.secrets.iter().filter(is_apart);
    secrets.fold(pasted.to_owned(), |text, secret| mask::without_secret(&text, secret).unwrap_or(text))
}

/// The query with the value masked of each parameter in which a sender presents the secret itself.
pub(crate) fn masked_query(template: &SourceTemplate, query: &str) -> String {
    let places = template.verification().map(Verification::secret_places).unwrap_or_default();
    let names = places.iter().filter_map(|place| match place {
        SignaturePlace::Parameter(name) => Some(folded(name)),
        SignaturePlace::Header(_) => None,
    });
    let secrets = SecretParams { template, names: names.collect() };
    if secrets.names.is_empty() {
        return query.to_owned();
    }
    query.split('&').map(|pair| secrets.masked(pair)).collect::<Vec<_>>().join("&")
}

/// The parameters in which a secret is sent.
struct SecretParams<'a> {
    template: &'a SourceTemplate,
    /// As [`folded`].
    names: Vec<String>,
}

impl SecretParams<'_> {
    /// One parameter, and what was appended to it behind a second `?`.
    fn masked(&self, pair: &str) -> String {
        let Some((name, value)) = pair.split_once('=') else { return pair.to_owned() };
        let is_secret = self.is_secret(name);
        // A secret may hold a `?` itself.
        let behind = value.split_once('?').filter(|(_, behind)| {
            let next = behind.split('=').next().unwrap_or_default();
            !is_secret || self.is_secret(next) || self.template.names.find(&decoded(next)).is_some()
        });
        let (value, behind) = behind
            .map_or((value, String::new()), |(value, behind)| (value, format!("?{}", self.masked(behind))));
        let value = if is_secret && !value.is_empty() { MASK } else { value };
        format!("{name}={value}{behind}")
    }

    fn is_secret(&self, name: &str) -> bool {
        self.names.contains(&folded(&decoded(name.strip_prefix("amp;").unwrap_or(name))))
    }
}

/// A name as loosely as any template reads one.
fn folded(name: &str) -> String {
    name.trim().chars().filter(|c| !matches!(c, '_' | '-')).map(|c| c.to_ascii_lowercase()).collect()
}

/// A text of a query as it is read.
pub(crate) fn decoded(text: &str) -> String {
    percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
}
