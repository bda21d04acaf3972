//! A template's `[verify]`, compiled: the schemes, and whether a request is signed by one of some secrets.

use std::borrow::Cow;
use std::fmt;

use base64::Engine;

use crate::domain::presented_mask::PresentedMask;
use crate::domain::rejection::Rejection;
use crate::domain::rejection::signature::{ProofKind, SignaturePlace, SignatureProblem, WantedSignature};
use crate::domain::time::Time;
use crate::template::source::params::segments;
use crate::template::source::verify::encrypted::EncryptedMembers;
use crate::template::source::verify::field_text::{FieldText, SecretPosition};
use crate::template::source::verify::hash::{ANY_PADDING, HashKind, PresentedSignature, SignatureText};
use crate::template::source::verify::request::SignedRequest;
use crate::template::source::verify::timestamped;

/// How a network proves that a postback is its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verification(pub(crate) SignatureScheme);

/// The closed set of schemes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SignatureScheme {
    /// The secret itself is sent.
    Token(TokenScheme),
    /// RFC 7617: user and password in the header `Authorization`.
    Basic,
    Hmac(HmacScheme),
    /// One header with a time and HMACs over the time and the body.
    Timestamped(TimestampedScheme),
    /// A plain hash over fields and the secret.
    Digest(DigestScheme),
    /// The body is encrypted.
    Encrypted(EncryptedMembers),
}

/// The secret itself is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TokenScheme {
    pub(crate) place: SignaturePlace,
    /// Where the sender repeats it, which verifies nothing and is masked.
    pub(crate) also_in: Vec<SignaturePlace>,
}

/// An HMAC under the secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HmacScheme {
    pub(crate) hash: HashKind,
    pub(crate) over: SignedPart,
    pub(crate) signature: PlacedSignature,
}

/// What an HMAC is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SignedPart {
    Body,
    /// The whole URL but for the parameter that has the signature.
    Url,
    Fields(FieldText),
}

/// What of a request is signed, or is as much the sender's as its signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignedParts {
    /// Query and body.
    All,
    /// The body, or fields of it.
    Body,
    /// The URL.
    Url,
}

/// Where a signature is, and how it is written there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PlacedSignature {
    pub(crate) place: SignaturePlace,
    /// What is before it in its header or parameter.
    pub(crate) prefix: String,
    pub(crate) text: SignatureText,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TimestampedScheme {
    pub(crate) hash: HashKind,
    /// The header, in lower case.
    pub(crate) header: String,
    /// The names of the header's members.
    pub(crate) timestamp: String,
    pub(crate) signature: String,
    /// What is between the time and the body where they are signed.
    pub(crate) separator: String,
    /// The most seconds between the time and the arrival.
    pub(crate) tolerance_s: u32,
    pub(crate) text: SignatureText,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DigestScheme {
    pub(crate) hash: HashKind,
    pub(crate) over: FieldText,
    pub(crate) secret: SecretPosition,
    pub(crate) signature: PlacedSignature,
}

/// The texts of secrets, which never show themselves: one, or two while one is being changed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SecretTexts(Vec<String>);

impl SecretTexts {
    /// These, in any order: each counts.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> SecretTexts {
        SecretTexts(secrets.into_iter().map(str::to_owned).collect())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for SecretTexts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretTexts({} × ***)", self.0.len())
    }
}

/// What a signature goes by that is not in the request.
#[derive(Debug, Clone, Copy)]
pub struct SignatureTerms<'a> {
    /// Each of them makes a signature that is taken.
    pub secrets: &'a SecretTexts,
    /// Scheme and host of the URL that the network was given, as `[server] public_url` has them, without a slash at the
    /// end.
    pub base_url: &'a str,
    /// When the request was received, also where it is verified later.
    pub received_at: Time,
}

/// Why a request is not verified.
#[derive(Debug)]
pub enum Unverified {
    /// By its signature.
    Signature(SignatureProblem),
    /// What is signed cannot be read of it.
    Unread(Rejection),
}

impl From<SignatureProblem> for Unverified {
    fn from(problem: SignatureProblem) -> Unverified {
        Unverified::Signature(problem)
    }
}

impl From<Rejection> for Unverified {
    fn from(rejection: Rejection) -> Unverified {
        Unverified::Unread(rejection)
    }
}

/// The header of RFC 7617.
const AUTHORIZATION: &str = "authorization";

impl Verification {
    /// As `kind` has it.
    pub fn kind(&self) -> &'static str {
        match &self.0 {
            SignatureScheme::Token(_) => "token",
            SignatureScheme::Basic => "basic",
            SignatureScheme::Hmac(_) => "hmac",
            SignatureScheme::Timestamped(_) => "hmac-timestamped",
            SignatureScheme::Digest(_) => "digest",
            SignatureScheme::Encrypted(_) => "aes-256-cbc",
        }
    }

    /// Where what proves it is; of an encrypted body the member that is encrypted.
    pub fn place(&self) -> SignaturePlace {
        match &self.0 {
            SignatureScheme::Token(scheme) => scheme.place.clone(),
            SignatureScheme::Basic => SignaturePlace::Header(AUTHORIZATION.to_owned()),
            SignatureScheme::Hmac(scheme) => scheme.signature.place.clone(),
            SignatureScheme::Timestamped(scheme) => SignaturePlace::Header(scheme.header.clone()),
            SignatureScheme::Digest(scheme) => scheme.signature.place.clone(),
            SignatureScheme::Encrypted(members) => SignaturePlace::Parameter(members.payload.clone()),
        }
    }

    /// Where the secret itself is sent, in clear or nearly: it is not kept as it is presented.
    pub fn secret_place(&self) -> Option<SignaturePlace> {
        matches!(self.0, SignatureScheme::Token(_) | SignatureScheme::Basic).then(|| self.place())
    }

    /// Every place where the secret itself is sent, the one that is looked at first.
    pub fn secret_places(&self) -> Vec<SignaturePlace> {
        let repeated = match &self.0 {
            SignatureScheme::Token(scheme) => scheme.also_in.as_slice(),
            _ => &[],
        };
        self.secret_place().into_iter().chain(repeated.iter().cloned()).collect()
    }

    /// What of a request the signature is over. What it is not over may have been changed by anyone who
    /// has seen one that is signed.
    pub fn signed_parts(&self, request: &SignedRequest<'_>) -> SignedParts {
        match &self.0 {
            SignatureScheme::Token(_) | SignatureScheme::Basic => SignedParts::All,
            SignatureScheme::Hmac(HmacScheme { over: SignedPart::Url, .. }) => SignedParts::Url,
            SignatureScheme::Hmac(HmacScheme { over: SignedPart::Fields(_), .. })
            | SignatureScheme::Digest(_)
                if !request.has_body_params() =>
            {
                SignedParts::All
            }
            SignatureScheme::Hmac(_)
            | SignatureScheme::Digest(_)
            | SignatureScheme::Timestamped(_)
            | SignatureScheme::Encrypted(_) => SignedParts::Body,
        }
    }

    /// A mask of texts that are presented by this scheme.
    pub fn mask(&self, presented: impl IntoIterator<Item = Vec<u8>>) -> PresentedMask {
        match self.0 {
            SignatureScheme::Basic => PresentedMask::of_credentials(presented),
            _ => PresentedMask::of_tokens(presented),
        }
    }

    /// What the sender proves it by.
    pub fn proof_kind(&self) -> ProofKind {
        match self.0 {
            SignatureScheme::Token(_) => ProofKind::Token,
            SignatureScheme::Basic => ProofKind::Basic,
            _ => ProofKind::Signature,
        }
    }

    /// The header that a request has to be kept with to be verified again.
    pub(crate) fn kept_header(&self) -> Option<String> {
        match self.place() {
            SignaturePlace::Header(name) if self.secret_place().is_none() => Some(name),
            SignaturePlace::Header(_) | SignaturePlace::Parameter(_) => None,
        }
    }

    /// Whether the path and the query of the URL, as they are written, are signed.
    pub fn is_over_url(&self) -> bool {
        matches!(&self.0, SignatureScheme::Hmac(HmacScheme { over: SignedPart::Url, .. }))
    }

    /// Whether the body is encrypted.
    pub fn is_encrypted(&self) -> bool {
        matches!(self.0, SignatureScheme::Encrypted(_))
    }

    /// The secret that a request presents: a token, or `user:password`.
    ///
    /// # Errors
    /// The body, which may have it, cannot be read.
    pub fn presented(&self, request: &SignedRequest<'_>) -> Result<Option<Vec<u8>>, Rejection> {
        match &self.0 {
            SignatureScheme::Token(scheme) => Ok(request.text_at(&scheme.place)?.map(String::into_bytes)),
            SignatureScheme::Basic => Ok(request.header(AUTHORIZATION).and_then(credentials)),
            _ => Ok(None),
        }
    }

    /// Checks the signature of a request, or that its body can be decrypted; of a scheme that presents its secret it
    /// checks nothing.
    ///
    /// # Errors
    /// It is not signed by one of the secrets, or not lately; or what is signed cannot be read.
    pub fn check(&self, request: &SignedRequest<'_>, terms: SignatureTerms<'_>) -> Result<(), Unverified> {
        match &self.0 {
            SignatureScheme::Token(_) | SignatureScheme::Basic => Ok(()),
            SignatureScheme::Hmac(scheme) => scheme.check(request, terms),
            SignatureScheme::Timestamped(scheme) => scheme.check(request, terms),
            SignatureScheme::Digest(scheme) => scheme.check(request, terms),
            SignatureScheme::Encrypted(_) => Ok(self.open(request.body, terms.secrets).map(|_| ())?),
        }
    }

    /// The JSON body inside of an encrypted one; `None` where the scheme encrypts none.
    ///
    /// # Errors
    /// It is not encrypted, or not by one of the secrets.
    pub fn open(&self, body: &[u8], secrets: &SecretTexts) -> Result<Option<Vec<u8>>, SignatureProblem> {
        let SignatureScheme::Encrypted(members) = &self.0 else { return Ok(None) };
        let missing = |name: &str| {
            let place = SignaturePlace::Parameter(name.to_owned());
            SignatureProblem::MissingSignature { place }
        };
        let ciphertext = members.find(body).map_err(missing)?;
        let opened = secrets.iter().find_map(|secret| ciphertext.open(secret));
        let wrong = || SignatureProblem::CannotDecrypt { member: members.payload.clone() };
        opened.map(Some).ok_or_else(wrong)
    }
}

/// What `Basic …` holds; where it is no base64, that itself, which is no one's password.
fn credentials(header: &str) -> Option<Vec<u8>> {
    let (scheme, text) = header.split_once(' ')?;
    let text = Some(text.trim()).filter(|text| scheme.eq_ignore_ascii_case("basic") && !text.is_empty())?;
    Some(ANY_PADDING.decode(text).unwrap_or_else(|_| text.as_bytes().to_vec()))
}

impl PlacedSignature {
    fn missing(&self) -> SignatureProblem {
        SignatureProblem::MissingSignature { place: self.place.clone() }
    }

    fn wrong(&self) -> SignatureProblem {
        SignatureProblem::WrongSignature { place: self.place.clone(), proof: ProofKind::Signature }
    }

    /// What was presented.
    fn read(&self, request: &SignedRequest<'_>) -> Result<PresentedSignature, Unverified> {
        let text = request.text_at(&self.place)?.ok_or_else(|| self.missing())?;
        let bare = text.strip_prefix(&self.prefix);
        let read = bare.and_then(|text| self.text.read(text));
        let unreadable = || SignatureProblem::UnreadableSignature {
            place: self.place.clone(),
            wanted: self.text.wanted(),
        };
        Ok(read.ok_or_else(unreadable)?)
    }

    /// Whether one of these hashes is the one that was presented. All are looked at.
    fn is_one_of(
        &self,
        presented: &PresentedSignature,
        hashes: impl Iterator<Item = Vec<u8>>,
    ) -> Result<(), Unverified> {
        let found = hashes.fold(false, |found, hash| found | self.text.is_of(presented, &hash));
        if found { Ok(()) } else { Err(self.wrong().into()) }
    }
}

impl HmacScheme {
    fn check(&self, request: &SignedRequest<'_>, terms: SignatureTerms<'_>) -> Result<(), Unverified> {
        let presented = self.signature.read(request)?;
        let text = match &self.over {
            SignedPart::Body => Cow::Borrowed(request.body),
            SignedPart::Url => Cow::Owned(signed_url(request, &self.signature.place, terms.base_url)),
            SignedPart::Fields(fields) => {
                Cow::Owned(fields.join(&fields.fields(request, self.signature.place.name())?))
            }
        };
        let hashes = terms.secrets.iter().map(|secret| self.hash.hmac(secret.as_bytes(), &[&text]));
        self.signature.is_one_of(&presented, hashes)
    }
}

/// The URL as the sender wrote it, but for the parameter that has the signature: the first of its name, where nothing
/// else would be read of it. Whatever is left has to be signed.
fn signed_url(request: &SignedRequest<'_>, place: &SignaturePlace, base_url: &str) -> Vec<u8> {
    let rest = request.path_and_query();
    let path = rest.split(|b| *b == b'?').next().unwrap_or_default();
    let query = rest.get(path.len()..).and_then(|query| query.strip_prefix(b"?"));
    let is_own = |pair: &&[u8]| match place {
        SignaturePlace::Header(_) => false,
        SignaturePlace::Parameter(name) => {
            let written = pair.split(|b| *b == b'=').next().unwrap_or_default();
            percent_encoding::percent_decode(written).eq(name.bytes())
        }
    };
    let mut pairs: Vec<&[u8]> = query.map(|query| query.split(|b| *b == b'&').collect()).unwrap_or_default();
    if let Some(own) = pairs
        .iter()
        .position(is_own)
        .filter(|own| pairs.get(*own).is_some_and(|pair| segments(pair).count() == 1))
    {
        pairs.remove(own);
    }
    let mut url = [base_url.as_bytes(), path].concat();
    if !pairs.is_empty() {
        url.push(b'?');
        url.extend_from_slice(&pairs.join(&b'&'));
    }
    url
}

impl TimestampedScheme {
    fn check(&self, request: &SignedRequest<'_>, terms: SignatureTerms<'_>) -> Result<(), Unverified> {
        let place = || SignaturePlace::Header(self.header.clone());
        let missing = || SignatureProblem::MissingSignature { place: place() };
        let text = request.header(&self.header).ok_or_else(missing)?;
        let unreadable = |wanted| SignatureProblem::UnreadableSignature { place: place(), wanted };
        let timed = timestamped::read(text, &self.timestamp, &self.signature)
            .ok_or_else(|| unreadable(WantedSignature::TimeAndSignature))?;
        let presented: Vec<_> = timed.signatures.iter().filter_map(|text| self.text.read(text)).collect();
        if presented.is_empty() {
            return Err(unreadable(self.text.wanted()).into());
        }
        let signed = [timed.stamp.as_bytes(), self.separator.as_bytes(), request.body];
        let is_signed = terms.secrets.iter().fold(false, |found, secret| {
            let hash = self.hash.hmac(secret.as_bytes(), &signed);
            presented.iter().fold(found, |found, one| found | self.text.is_of(one, &hash))
        });
        if !is_signed {
            let proof = ProofKind::Signature;
            return Err(SignatureProblem::WrongSignature { place: place(), proof }.into());
        }
        let apart = terms.received_at.millis_since(timed.signed_at).unsigned_abs();
        if apart > u64::from(self.tolerance_s) * 1000 {
            return Err(SignatureProblem::OutsideTimeWindow {
                place: place(),
                signed_at: timed.signed_at,
                received_at: terms.received_at,
                tolerance_s: self.tolerance_s,
            }
            .into());
        }
        Ok(())
    }
}

impl DigestScheme {
    fn check(&self, request: &SignedRequest<'_>, terms: SignatureTerms<'_>) -> Result<(), Unverified> {
        let presented = self.signature.read(request)?;
        let fields = self.over.fields(request, self.signature.place.name())?;
        let hashes = terms.secrets.iter().map(|secret| {
            let text = self.over.with_secret(&fields, secret, self.secret);
            self.hash.digest(&text)
        });
        self.signature.is_one_of(&presented, hashes)
    }
}
