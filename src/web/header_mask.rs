//! The headers of a request as they may be kept: without credentials, and with whatever opens something masked.

use std::borrow::Cow;

use http::header::{AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION, SET_COOKIE};
use http::{HeaderMap, HeaderName};

use crate::domain::mask::MASK;
use crate::domain::postback::KeptHeaders;
use crate::web::auth::KnownSecrets;
use crate::web::secret_names::SecretNames;
use crate::web::target::masked_text;

/// Credentials, whatever they say.
const CREDENTIALS: [HeaderName; 4] = [AUTHORIZATION, PROXY_AUTHORIZATION, COOKIE, SET_COOKIE];

/// The headers as they may be kept; where there is not room for all, the `first` ones by name before the others.
pub fn kept_headers(
    headers: &HeaderMap,
    (secrets, names): (&KnownSecrets, &SecretNames),
    first: &[String],
) -> KeptHeaders {
    let bytes = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    let mut kept = KeptHeaders::with_room(headers.len(), bytes);
    for (name, value) in headers {
        if CREDENTIALS.contains(name) {
            kept.leave_out();
            continue;
        }
        let value = value.as_bytes();
        let is_secret = names_key(name) || names.has_header(name.as_str()) || secrets.are_in(value);
        let value = if is_secret { Cow::Borrowed(MASK) } else { masked_text(value, names) };
        kept.push(name.as_str(), &value);
    }
    kept.fit(KeptHeaders::MOST_BYTES, first);
    kept
}

/// Whether a header's value is a key, by its name: `x-api-key`, `api_key`…
fn names_key(name: &HeaderName) -> bool {
    ["api-key", "api_key", "apikey"].iter().any(|ending| name.as_str().ends_with(ending))
}
