//! What is kept of a secret that a sender presented: a keyed digest, by which it can be compared again, and never its
//! text.

use std::fmt;

use hmac::digest::KeyInit;
use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// The key of one store's digests: random, made with the store and kept in it, and nowhere shown. Who has a record
/// without it cannot try out what may have been presented.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DigestKey([u8; 32]);

/// A text's HMAC-SHA256 under a [`DigestKey`].
#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct KeyedDigest([u8; 32]);

/// What is kept with a request so that its signature can be verified again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptProof {
    /// Of the token or the user and password that were presented, which are masked in what is kept; `None`: none was,
    /// or the scheme has none.
    pub presented: Option<KeyedDigest>,
    /// It was verified when it was received: it need not be once more, by secrets that were changed since.
    pub is_verified: bool,
    /// Of request line and body as they were received, where the signature is over something that is masked in what is
    /// kept: by it what is put back is known to be right.
    pub unmasked: Option<KeyedDigest>,
}

impl DigestKey {
    /// A key of these bytes, which are random.
    pub fn new(bytes: [u8; 32]) -> DigestKey {
        DigestKey(bytes)
    }

    /// The digest of some texts in this order, no two of which run together.
    pub fn digest(&self, texts: &[&[u8]]) -> KeyedDigest {
        // As the key is shorter than a block of the hash, it is filled up with zeros (RFC 2104 §2).
        let mut block = [0; 64];
        block.iter_mut().zip(self.0).for_each(|(to, from)| *to = from);
        let mut mac = <Hmac<Sha256> as KeyInit>::new(&block.into());
        for text in texts {
            mac.update(&(text.len() as u64).to_be_bytes());
            mac.update(text);
        }
        KeyedDigest(mac.finalize().into_bytes().into())
    }
}

impl fmt::Debug for DigestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DigestKey(***)")
    }
}

impl PartialEq for KeyedDigest {
    /// In constant time.
    fn eq(&self, other: &KeyedDigest) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for KeyedDigest {}

impl fmt::Debug for KeyedDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyedDigest(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_of_its_key_and_of_each_text_and_shows_none_of_them() {
        let key = DigestKey::new([7; 32]);
        assert_eq!(key.digest(&[b"ab", b"c"]), key.digest(&[b"ab", b"c"]));
        assert_ne!(key.digest(&[b"ab", b"c"]), key.digest(&[b"a", b"bc"]));
        assert_ne!(key.digest(&[b"ab"]), DigestKey::new([8; 32]).digest(&[b"ab"]));
        assert_eq!(format!("{key:?} {:?}", key.digest(&[b"ab"])), "DigestKey(***) KeyedDigest(…)");
    }
}
