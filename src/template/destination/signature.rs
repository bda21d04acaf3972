//! Webhook signatures of the Standard Webhooks specification: HMAC-SHA256 over id, time and body.

use crate::template::destination::digest::{from_base64, hmac_base64};

/// A signing key: 24–64 bytes.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct SigningKey(Vec<u8>);

impl SigningKey {
    /// Reads `whsec_` and base64; the prefix may be missing. The error says what is wrong, never the key.
    pub(crate) fn parse(text: &str) -> Result<SigningKey, &'static str> {
        let text = text.trim();
        let bytes = from_base64(text.strip_prefix("whsec_").unwrap_or(text)).ok_or("it is not base64")?;
        if (24..=64).contains(&bytes.len()) {
            Ok(SigningKey(bytes))
        } else {
            Err("it is not 24 to 64 bytes long")
        }
    }
}

/// The three headers of a signed request. Two keys, while one is being changed, make two signatures.
pub(crate) fn headers(keys: &[SigningKey], id: &str, seconds: i64, body: &[u8]) -> [(String, String); 3] {
    let head = format!("{id}.{seconds}.");
    let signatures: Vec<String> = keys
        .iter()
        .filter_map(|key| hmac_base64(&key.0, &[head.as_bytes(), body]))
        .map(|signature| format!("v1,{signature}"))
        .collect();
    [
        ("webhook-id".to_owned(), id.to_owned()),
        ("webhook-timestamp".to_owned(), seconds.to_string()),
        ("webhook-signature".to_owned(), signatures.join(" ")),
    ]
}
