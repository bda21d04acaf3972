//! Bodies that are encrypted whole: AES-256 in CBC mode, under a key that is made of the secret.
//!
//! There is no signature in it: who can encrypt knows the secret. Whatever is wrong with the padding or with the JSON
//! inside is answered alike, and looked at alike, so that no one learns by trying what a ciphertext holds.

use aes::Aes256;
use aes::cipher::block_padding::NoPadding;
use aes::cipher::{BlockDecryptMut, KeyIvInit};
use base64::Engine;
use data_encoding::HEXLOWER;
use serde_json::Value;
use sha1::{Digest, Sha1};

use crate::template::source::json_body;
use crate::template::source::verify::hash::ANY_PADDING;

/// The members of the JSON body by their names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EncryptedMembers {
    /// What is encrypted, in base64.
    pub(crate) payload: String,
    /// The initialization vector, 16 bytes in base64.
    pub(crate) iv: String,
}

/// What is encrypted in a body, still in base64.
pub(crate) struct Ciphertext {
    payload: String,
    iv: String,
}

impl EncryptedMembers {
    /// What is encrypted in a body; the name of the member that is not there, or no text.
    pub(crate) fn find(&self, body: &[u8]) -> Result<Ciphertext, &str> {
        let value: Value = serde_json::from_slice(body).unwrap_or_default();
        let member = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
        let payload = member(&self.payload).filter(|text| !text.is_empty()).ok_or(self.payload.as_str())?;
        Ok(Ciphertext { payload, iv: member(&self.iv).ok_or(self.iv.as_str())? })
    }
}

impl Ciphertext {
    /// The JSON object inside; `None` where the secret does not open it, or no object is inside.
    pub(crate) fn open(&self, secret: &str) -> Option<Vec<u8>> {
        let iv: [u8; 16] = ANY_PADDING.decode(without_breaks(&self.iv)).ok()?.try_into().ok()?;
        let payload = ANY_PADDING.decode(without_breaks(&self.payload)).ok()?;
        let decryptor = cbc::Decryptor::<Aes256>::new(&key(secret).into(), &iv.into());
        let blocks = decryptor.decrypt_padded_vec_mut::<NoPadding>(&payload).ok()?;
        let padded = padding(&blocks);
        let plain = blocks.get(..blocks.len() - padded.unwrap_or_default()).unwrap_or_default();
        // Senders fill up with other bytes too, which their own examples take off.
        let end = plain.iter().rposition(|byte| *byte > b' ').map_or(0, |at| at + 1);
        let plain = plain.get(..end).unwrap_or_default();
        let is_object = plain.trim_ascii_start().starts_with(b"{") && json_body::check(plain);
        (is_object && padded.is_some()).then(|| plain.to_vec())
    }
}

/// The first 32 hexadecimal digits of the secret's SHA-1, as text.
fn key(secret: &str) -> [u8; 32] {
    let digits = HEXLOWER.encode(&Sha1::digest(secret.as_bytes()));
    let mut key = [0; 32];
    key.iter_mut().zip(digits.bytes()).for_each(|(to, digit)| *to = digit);
    key
}

/// How many bytes at the end are the padding of PKCS #7 (RFC 5652 §6.3); `None` where they are none.
fn padding(blocks: &[u8]) -> Option<usize> {
    let last = *blocks.last()?;
    let length = usize::from(last);
    let tail = blocks.len().checked_sub(length).and_then(|start| blocks.get(start..))?;
    ((1..=16).contains(&length) && tail.iter().all(|byte| *byte == last)).then_some(length)
}

/// Base64 may be written in lines.
fn without_breaks(text: &str) -> String {
    text.chars().filter(|c| !c.is_ascii_whitespace()).collect()
}
