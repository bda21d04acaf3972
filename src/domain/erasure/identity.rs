//! By what a person is known again: keyed hashes of what records name them by. What they are of cannot be read from them.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::domain::ids::{ClickId, ConversionId, VisitorId};
use crate::domain::presented::DigestKey;

/// What a keyed hash is of. The byte is hashed too, so it never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdentityKind {
    /// An address as [`mailbox`] spells it.
    Email = 1,
    /// Digits of a phone number, in one of its [spellings](phone_spellings).
    Phone = 2,
    /// 64 hexadecimal digits in lower case: an unsalted SHA-256 of an address, as platforms want it.
    EmailHash = 3,
    /// A browser's first-party cookie.
    Visitor = 4,
    /// The id of a click.
    Click = 5,
    /// The id of a conversion.
    Conversion = 6,
    /// The number of an order.
    Transaction = 7,
    /// The same as of an address, of a number.
    PhoneHash = 8,
}

/// A keyed hash of one thing that a person is named by, with what it is of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct IdentityDigest {
    kind: u8,
    half: [u8; 16],
}

impl fmt::Debug for IdentityDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdentityDigest(…)")
    }
}

/// The things by which a person, or several, are known again: under one store's key.
#[derive(Clone)]
pub struct KnownIdentities {
    key: DigestKey,
    digests: Arc<BTreeSet<IdentityDigest>>,
    /// Whether a phone number in a record of another person is taken out of it.
    names_by_phone: bool,
    /// Whether ids of clicks and orders are found in texts.
    finds_ids: bool,
}

impl fmt::Debug for KnownIdentities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KnownIdentities({})", self.digests.len())
    }
}

impl KnownIdentities {
    /// These, as they were made under the same key.
    pub fn new(key: DigestKey, digests: impl IntoIterator<Item = IdentityDigest>) -> KnownIdentities {
        let digests = Arc::new(digests.into_iter().collect());
        KnownIdentities { key, digests, names_by_phone: false, finds_ids: false }
    }

    /// The same; `is_asked_for`: it is a phone number that was asked for. Any other may be shared, and so be that of the
    /// other person in whose record it is.
    #[must_use]
    pub fn by_phone(self, is_asked_for: bool) -> KnownIdentities {
        KnownIdentities { names_by_phone: is_asked_for, ..self }
    }

    /// The same, which find ids of clicks and orders in texts too: in what is no other person's.
    #[must_use]
    pub fn with_ids(&self) -> KnownIdentities {
        let finds_ids = self.has_kind(IdentityKind::Click) || self.has_kind(IdentityKind::Transaction);
        KnownIdentities { finds_ids, ..self.clone() }
    }

    /// Whether they find ids of clicks and orders in texts.
    pub fn finds_ids(&self) -> bool {
        self.finds_ids
    }

    /// What is taken out of records of other persons.
    #[must_use]
    pub fn in_others(&self) -> KnownIdentities {
        match self.names_by_phone {
            true => self.clone(),
            false => self.mailboxes(),
        }
    }

    /// The addresses alone.
    #[must_use]
    pub fn mailboxes(&self) -> KnownIdentities {
        self.only(&[IdentityKind::Email, IdentityKind::EmailHash])
    }

    /// Those of these kinds alone.
    #[must_use]
    pub fn only(&self, kinds: &[IdentityKind]) -> KnownIdentities {
        let of = |digest: &&IdentityDigest| kinds.iter().any(|kind| *kind as u8 == digest.kind);
        KnownIdentities::new(self.key.clone(), self.digests.iter().filter(of).copied())
    }

    /// All of them, in order.
    pub fn digests(&self) -> impl ExactSizeIterator<Item = IdentityDigest> + '_ {
        self.digests.iter().copied()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.digests.len()
    }

    /// Whether any of this kind is known.
    pub fn has_kind(&self, kind: IdentityKind) -> bool {
        let (from, to) = (first_of(kind as u8), first_of(kind as u8 + 1));
        self.digests.range(from..to).next().is_some()
    }

    /// The keyed hash of a text.
    pub fn digest(&self, kind: IdentityKind, text: &str) -> IdentityDigest {
        let half = self.key.digest(&[b"erasure", &[kind as u8], text.as_bytes()]).half();
        IdentityDigest { kind: kind as u8, half }
    }

    /// Whether a text is one of them.
    pub fn knows(&self, kind: IdentityKind, text: &str) -> bool {
        self.has_kind(kind) && self.digests.contains(&self.digest(kind, text))
    }

    /// Adds a text; says whether it is new.
    pub fn add(&mut self, kind: IdentityKind, text: &str) -> bool {
        let digest = self.digest(kind, text);
        !self.digests.contains(&digest) && Arc::make_mut(&mut self.digests).insert(digest)
    }

    /// Adds an address, with the hashes of it that platforms are sent. What is a hash already is added as that.
    pub fn add_email(&mut self, text: &str) -> bool {
        if let Some(hash) = hashed(text) {
            return self.add(IdentityKind::EmailHash, &hash);
        }
        let Some(box_of_it) = mailbox(text) else { return false };
        for spelled in email_spellings(text) {
            self.add(IdentityKind::EmailHash, &sha256(&spelled));
        }
        self.add(IdentityKind::Email, &box_of_it)
    }

    /// Adds a phone number by its digits, with the hashes of it that platforms are sent. `national`: without the
    /// country's calling code, where that is known. What is a hash already is added as that.
    pub fn add_phone(&mut self, text: &str, national: Option<&str>) -> bool {
        if let Some(hash) = hashed(text) {
            return self.add(IdentityKind::PhoneHash, &hash);
        }
        let Some(digits) = phone_digits(text) else { return false };
        let mut is_new = false;
        for spelled in phone_spellings(&digits, national) {
            self.add(IdentityKind::PhoneHash, &sha256(&spelled));
            self.add(IdentityKind::PhoneHash, &sha256(&format!("+{spelled}")));
            is_new |= self.add(IdentityKind::Phone, &spelled);
        }
        is_new
    }

    /// Whether an address is one of them, or the hash of one.
    pub fn knows_email(&self, text: &str) -> bool {
        match hashed(text) {
            Some(hash) => self.knows(IdentityKind::EmailHash, &hash),
            None => mailbox(text).is_some_and(|text| self.knows(IdentityKind::Email, &text)),
        }
    }

    /// Whether a phone number is one of them, or the hash of one.
    pub fn knows_phone(&self, text: &str) -> bool {
        match hashed(text) {
            Some(hash) => self.knows(IdentityKind::PhoneHash, &hash),
            None => phone_digits(text).is_some_and(|digits| self.knows(IdentityKind::Phone, &digits)),
        }
    }

    /// Whether a click is one of them.
    pub fn knows_click(&self, id: &ClickId) -> bool {
        self.knows(IdentityKind::Click, id.as_str())
    }

    /// Whether a visitor is one of them.
    pub fn knows_visitor(&self, id: &VisitorId) -> bool {
        self.knows(IdentityKind::Visitor, id.as_str())
    }

    /// Whether a conversion is one of them.
    pub fn knows_conversion(&self, id: &ConversionId) -> bool {
        self.knows(IdentityKind::Conversion, &id.to_string())
    }
}

fn first_of(kind: u8) -> IdentityDigest {
    IdentityDigest { kind, half: [0; 16] }
}

/// Where dots and `+tag` make no other mailbox, as its help pages said in 2026-11.
const DOTLESS: [&str; 2] = ["gmail.com", "googlemail.com"];

/// An address in the one spelling by which two are compared: trimmed, in lower case, and where its host says so, without
/// the dots and the tag that make no other mailbox. `None` of what is no address.
pub fn mailbox(text: &str) -> Option<String> {
    let lower = text.trim().to_lowercase();
    let (local, host) = lower.split_once('@')?;
    let is_whole = !local.is_empty() && host.contains('.') && !host.contains('@') && lower.len() <= 254;
    if !is_whole || lower.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return None;
    }
    if !DOTLESS.contains(&host) {
        return Some(lower);
    }
    let bare = local.split('+').next().unwrap_or_default().replace('.', "");
    (!bare.is_empty()).then(|| format!("{bare}@gmail.com"))
}

/// The spellings of an address that platforms want hashed: as it is in lower case, without its tag, without its dots,
/// without both.
fn email_spellings(text: &str) -> Vec<String> {
    let lower = text.trim().to_lowercase();
    let Some((local, host)) = lower.split_once('@') else { return vec![lower] };
    let bare = local.split('+').next().unwrap_or_default();
    let mut spelled = Vec::new();
    for local in [local.to_owned(), bare.to_owned(), local.replace('.', ""), bare.replace('.', "")] {
        spelled.push(format!("{local}@{host}"));
        if DOTLESS.contains(&host) {
            spelled.extend(DOTLESS.map(|host| format!("{local}@{host}")));
        }
    }
    spelled.sort_unstable();
    spelled.dedup();
    spelled
}

/// The digits of a phone number, without the `00` before a calling code; `None` of what has too few or too many.
pub fn phone_digits(text: &str) -> Option<String> {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let digits = digits.strip_prefix("00").unwrap_or(&digits);
    (7..=15).contains(&digits.len()).then(|| digits.to_owned())
}

/// Whether a phone number is what people type where one is asked for, such as `0000000000` or `1234567890`: its digits,
/// seven at least, with or without a calling code in front, are one digit, or follow each other.
pub fn is_placeholder_phone(digits: &str) -> bool {
    let goes_on = |own: &[u8], step: u8| {
        own.windows(2).all(|pair| matches!(pair, [one, next] if (one - b'0' + step) % 10 == next - b'0'))
    };
    let without_code = (0..=3).filter_map(|code| digits.as_bytes().get(code..));
    without_code.filter(|own| own.len() >= 7).any(|own| [0, 1, 9].into_iter().any(|step| goes_on(own, step)))
}

/// How a number's digits are written: with the calling code, and, of `national`, with and without a `0` in front.
fn phone_spellings(digits: &str, national: Option<&str>) -> Vec<String> {
    let national = national.filter(|national| national.len() >= 7);
    let spelled = national.into_iter().flat_map(|national| [format!("0{national}"), national.to_owned()]);
    std::iter::once(digits.to_owned()).chain(spelled).collect()
}

/// The text as a hash that someone else made: 64 hexadecimal digits, in lower case.
pub fn hashed(text: &str) -> Option<String> {
    let hash = text.trim().get(..64)?;
    hash.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| hash.to_ascii_lowercase())
}

fn sha256(text: &str) -> String {
    HEXLOWER.encode(&Sha256::digest(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn none() -> KnownIdentities {
        KnownIdentities::new(DigestKey::new([7; 32]), [])
    }

    #[test]
    fn an_address_is_known_in_every_spelling_and_by_its_hashes() {
        let mut known = none();
        assert!(known.add_email(" Jane.Doe+Shop@Gmail.com"));
        for text in ["janedoe@gmail.com", "JANE.DOE@googlemail.com", &sha256("janedoe@gmail.com")] {
            assert!(known.knows_email(text), "{text}");
        }
        assert!(known.knows_email(&sha256("jane.doe+shop@gmail.com").to_uppercase()));
        for text in ["jane@gmail.com", "janedoe@example.com", "janedoe", &sha256("x@example.com")] {
            assert!(!known.knows_email(text), "{text}");
        }
        assert!(!known.add_email("janedoe@gmail.com"));
    }

    #[test]
    fn a_number_is_known_with_and_without_its_calling_code() {
        let mut known = none();
        assert!(known.add_phone("+49 170 1234567", Some("1701234567")));
        let hash = sha256("+491701234567");
        for text in ["0049 (170) 123 45 67", "0170/1234567", "491701234567", "170-1234567", &hash] {
            assert!(known.knows_phone(text), "{text}");
        }
        for text in ["1234567", "+43 170 1234567", ""] {
            assert!(!known.knows_phone(text), "{text}");
        }
    }

    #[test]
    fn hashes_are_of_a_key_and_of_a_kind_and_show_nothing() {
        let known = none();
        let other = KnownIdentities::new(DigestKey::new([8; 32]), []);
        let digest = known.digest(IdentityKind::Click, "c1");
        assert_ne!(digest, known.digest(IdentityKind::Transaction, "c1"));
        assert_ne!(digest, other.digest(IdentityKind::Click, "c1"));
        assert_eq!(format!("{digest:?} {known:?}"), "IdentityDigest(…) KnownIdentities(0)");
    }

    #[test]
    fn what_people_type_in_the_place_of_a_number_is_none() {
        for digits in ["0000000000", "1234567890", "15555555555", "9876543210", "491234567", "1111111"] {
            assert!(is_placeholder_phone(digits), "{digits}");
        }
        for digits in ["12025550143", "491701234567", "1000000", "7654322"] {
            assert!(!is_placeholder_phone(digits), "{digits}");
        }
    }
}
