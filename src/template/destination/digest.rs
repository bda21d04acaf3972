//! SHA-256 and HMAC as the platforms want them written: hexadecimal and base64.

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

/// The bytes of a base64 text, with or without padding.
pub(crate) fn from_base64(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_end_matches('=');
    base64::engine::general_purpose::STANDARD_NO_PAD.decode(text).ok()
}
