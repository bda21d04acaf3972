//! SHA-256 and HMAC as the platforms want them written, hexadecimal and base64; and the signatures of the
//! Standard Webhooks specification, HMAC-SHA256 over id, time and body.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use data_encoding::HEXLOWER;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

/// 64 lower-case hexadecimal digits, kept on the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HexDigest([u8; 64]);

impl HexDigest {
    /// SHA-256 of exactly these bytes.
    pub(crate) fn of(bytes: &[u8]) -> HexDigest {
        let mut digits = [0; 64];
        HEXLOWER.encode_mut(&Sha256::digest(bytes), &mut digits);
        HexDigest(digits)
    }

    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// The text as a hash that someone else made, lower-cased: 64 hexadecimal digits, optionally with
/// the `.` and 8 characters that one vendor's own library appends.
pub(crate) fn already_hashed(text: &str) -> Option<String> {
    let text = text.trim();
    let (hash, appendix) = text.split_at_checked(64)?;
    let appended = appendix.is_empty()
        || appendix.strip_prefix('.').is_some_and(|rest| {
            rest.len() == 8 && rest.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        });
    (appended && hash.bytes().all(|b| b.is_ascii_hexdigit()))
        .then(|| format!("{}{appendix}", hash.to_ascii_lowercase()))
}

/// HMAC-SHA256, in base64 with padding. `None` only if the key cannot be used, which HMAC never says.
pub(crate) fn hmac_base64(key: &[u8], parts: &[&[u8]]) -> Option<String> {
    let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(key).ok()?;
    for part in parts {
        mac.update(part);
    }
    Some(STANDARD.encode(mac.finalize().into_bytes()))
}

/// HMAC-SHA256 in lower-case hexadecimal; `None` as [`hmac_base64`].
pub(crate) fn hmac_hex(key: &[u8], text: &[u8]) -> Option<String> {
    let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(key).ok()?;
    mac.update(text);
    Some(HEXLOWER.encode(&mac.finalize().into_bytes()))
}

/// The bytes of a base64 text, with or without padding.
pub(crate) fn from_base64(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_end_matches('=');
    base64::engine::general_purpose::STANDARD_NO_PAD.decode(text).ok()
}

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

/// The three signature headers of a signed request. Two keys, while one is being changed, make two signatures.
pub(crate) fn signature_headers(
    keys: &[SigningKey],
    id: &str,
    seconds: i64,
    body: &[u8],
) -> [(String, String); 3] {
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
