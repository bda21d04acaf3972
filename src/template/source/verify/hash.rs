//! The hashes that signatures are made of, and how a signature is written and compared.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use data_encoding::HEXLOWER;
use hmac::digest::KeyInit;
use hmac::{Hmac, Mac};
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};
use subtle::ConstantTimeEq;

use crate::domain::rejection::signature::WantedSignature;

/// A hash by the name that templates use. The weak ones are there because networks sign by them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HashKind {
    Md5,
    Sha1,
    Sha256,
    Sha512,
}

impl HashKind {
    pub(crate) const NAMES: [(&'static str, HashKind); 4] = [
        ("md5", HashKind::Md5),
        ("sha1", HashKind::Sha1),
        ("sha256", HashKind::Sha256),
        ("sha512", HashKind::Sha512),
    ];

    /// How many bytes it has.
    pub(crate) fn bytes(self) -> usize {
        match self {
            HashKind::Md5 => 16,
            HashKind::Sha1 => 20,
            HashKind::Sha256 => 32,
            HashKind::Sha512 => 64,
        }
    }

    /// The hash of these bytes.
    pub(crate) fn digest(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            HashKind::Md5 => Md5::digest(bytes).to_vec(),
            HashKind::Sha1 => Sha1::digest(bytes).to_vec(),
            HashKind::Sha256 => Sha256::digest(bytes).to_vec(),
            HashKind::Sha512 => Sha512::digest(bytes).to_vec(),
        }
    }

    /// The HMAC (RFC 2104) of some texts, one behind the other.
    pub(crate) fn hmac(self, key: &[u8], texts: &[&[u8]]) -> Vec<u8> {
        match self {
            HashKind::Md5 => mac::<Hmac<Md5>>(key, texts),
            HashKind::Sha1 => mac::<Hmac<Sha1>>(key, texts),
            HashKind::Sha256 => mac::<Hmac<Sha256>>(key, texts),
            HashKind::Sha512 => mac::<Hmac<Sha512>>(key, texts),
        }
    }
}

fn mac<M: Mac + KeyInit>(key: &[u8], texts: &[&[u8]]) -> Vec<u8> {
    // A key of any length is taken (RFC 2104 §3). No signature is the empty one that would be returned otherwise.
    let Ok(mut mac) = <M as Mac>::new_from_slice(key) else { return Vec::new() };
    texts.iter().for_each(|text| mac.update(text));
    mac.finalize().into_bytes().to_vec()
}

/// How a signature is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SignatureText {
    /// Hexadecimal digits: how many of them are sent, and in which case.
    Hex { digits: usize, case: HexCase },
    /// Of so many bytes, with or without padding.
    Base64 { bytes: usize },
}

/// The letters of hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HexCase {
    Either,
    Upper,
    Lower,
}

impl HexCase {
    pub(crate) const NAMES: [(&'static str, HexCase); 3] =
        [("either", HexCase::Either), ("upper", HexCase::Upper), ("lower", HexCase::Lower)];

    fn has(self, digit: u8) -> bool {
        match self {
            HexCase::Either => digit.is_ascii_hexdigit(),
            HexCase::Upper => digit.is_ascii_hexdigit() && !digit.is_ascii_lowercase(),
            HexCase::Lower => digit.is_ascii_hexdigit() && !digit.is_ascii_uppercase(),
        }
    }
}

/// A signature that was presented and can be read, as it is compared.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct PresentedSignature(Vec<u8>);

impl SignatureText {
    /// How it has to be written.
    pub(crate) fn wanted(self) -> WantedSignature {
        match self {
            SignatureText::Hex { .. } => WantedSignature::Hex,
            SignatureText::Base64 { .. } => WantedSignature::Base64,
        }
    }

    /// Reads what was presented; `None`: no hash can be written so.
    pub(crate) fn read(self, text: &str) -> Option<PresentedSignature> {
        match self {
            SignatureText::Hex { digits, case } => {
                let is_hex = text.len() == digits && text.bytes().all(|digit| case.has(digit));
                is_hex.then(|| PresentedSignature(text.to_ascii_lowercase().into_bytes()))
            }
            SignatureText::Base64 { bytes } => {
                // In a query an unescaped `+` is a space.
                let read = ANY_PADDING.decode(text.replace(' ', "+")).ok()?;
                (read.len() == bytes).then_some(PresentedSignature(read))
            }
        }
    }

    /// Whether the signature is of this hash. Takes the same time wherever they differ.
    pub(crate) fn is_of(self, presented: &PresentedSignature, hash: &[u8]) -> bool {
        match self {
            SignatureText::Hex { digits, .. } => {
                let text = HEXLOWER.encode(hash);
                let sent = text.as_bytes().get(..digits).unwrap_or_default();
                !sent.is_empty() && bool::from(sent.ct_eq(&presented.0))
            }
            SignatureText::Base64 { .. } => !hash.is_empty() && bool::from(hash.ct_eq(&presented.0)),
        }
    }
}

/// Base64 as people send it.
pub(crate) const ANY_PADDING: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
