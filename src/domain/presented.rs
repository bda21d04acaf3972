//! What is kept of a secret that a sender presented: a keyed digest, by which it can be compared again, and never its
//! text.

use std::fmt;

use hmac::digest::KeyInit;
use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::domain::rejection::signature::SignaturePlace;

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
    /// What was presented where the source's template had the secret itself sent; `None`: it had not.
    pub presented: Option<PresentedSecret>,
    /// It was verified, when it was received or reprocessed: it need not be once more, by secrets that were changed
    /// since.
    pub is_verified: bool,
    /// What is masked in the line's query and in the body.
    pub text: KeptText,
    /// Of one of the secrets that the source had then, where the request has it somewhere, which is masked.
    pub held: Option<KeyedDigest>,
    /// The address that is kept is that of a proxy that hides its senders: no one knows where it was sent from.
    pub is_sender_hidden: bool,
}

/// A token, or user and password, that was looked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PresentedSecret {
    /// Where.
    pub place: SignaturePlace,
    /// Of what was there; `None`: nothing was. It is masked in what is kept, unless it was found only later, where the
    /// template had named another place, and is none of the source's secrets.
    pub digest: Option<KeyedDigest>,
}

/// How what is kept of query and body differs from what was received.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeptText {
    /// No one compared them.
    #[default]
    Unknown,
    /// Not at all.
    AsReceived,
    /// Something is masked, or the path was signed, in which the key is. The digest of line and body as they were
    /// received says whether what is put back is right.
    Masked(KeyedDigest),
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

impl KeyedDigest {
    /// Its first half, for those who keep very many: still no one finds two texts with the same.
    pub fn half(&self) -> [u8; 16] {
        let mut half = [0; 16];
        half.iter_mut().zip(self.0).for_each(|(to, from)| *to = from);
        half
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
