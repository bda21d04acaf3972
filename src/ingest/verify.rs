//! Whether a postback is its network's, by its signature and its sender's address: when it is received, and once more
//! from what is kept of it.

use std::net::IpAddr;

use crate::domain::mask::MASK;
use crate::domain::postback::{EncodedBody, RawRequest};
use crate::domain::presented::{DigestKey, KeptProof, KeyedDigest};
use crate::domain::rejection::Rejection;
use crate::domain::rejection::note::ReportNote;
use crate::domain::rejection::signature::{NotKept, SignaturePlace, SignatureProblem};
use crate::domain::time::Time;
use crate::ingest::unmask;
use crate::template::source::map::MappedReport;
use crate::template::source::verify::request::{HeaderValues, SignedRequest};
use crate::template::source::verify::rules::{VerifyMode, VerifyRules};
use crate::template::source::verify::scheme::{SignatureTerms, Unverified, Verification};

/// What postbacks of one source are verified by.
#[derive(Clone, Copy)]
pub struct Verifier<'a> {
    /// The template's scheme; `None`: only the sender's address is looked at.
    pub scheme: Option<&'a Verification>,
    /// What the source says of it.
    pub rules: &'a VerifyRules,
    /// The store's, by which presented secrets are kept and compared.
    pub key: &'a DigestKey,
}

/// Of what is not refused.
struct VerifyVerdict {
    /// What is wrong, where the source only observes.
    notes: Vec<ReportNote>,
    /// Nothing is, and it was looked at.
    is_verified: bool,
}

impl Verifier<'_> {
    /// Verifies a request as it is received, before anything is masked; `raw` is how it is kept, and is given what it can
    /// be verified by once more. Answers what is to be noted.
    ///
    /// # Errors
    /// It is not the network's, and the source takes no other.
    pub fn received(
        &self,
        signed: &SignedRequest<'_>,
        raw: &mut RawRequest,
        received_at: Time,
    ) -> Result<Vec<ReportNote>, Rejection> {
        let mut proof = self.proof(signed, raw);
        let presented = proof.as_ref().and_then(|proof| proof.presented);
        let verdict = self.verdict(raw, || {
            let Some(scheme) = self.scheme else { return Ok(()) };
            if scheme.secret_place().is_none() {
                return scheme.check(signed, self.terms(received_at));
            }
            // A body that cannot be read says so here; else the digest of what it holds is compared.
            scheme.presented(signed)?;
            Ok(self.compared(scheme, presented)?)
        });
        if let (Some(proof), Ok(verdict)) = (&mut proof, &verdict) {
            proof.is_verified = verdict.is_verified;
        }
        raw.proof = proof.map(Box::new);
        verdict.map(|verdict| verdict.notes)
    }

    fn proof(&self, signed: &SignedRequest<'_>, raw: &RawRequest) -> Option<KeptProof> {
        let scheme = self.scheme?;
        if scheme.secret_place().is_some() {
            let presented = scheme.presented(signed).ok().flatten().map(|text| self.key.digest(&[&text]));
            return Some(KeptProof { presented, ..KeptProof::default() });
        }
        let is_masked = scheme.is_over_url() || raw.query() != signed.query() || raw.body != signed.body;
        let unmasked = is_masked.then(|| self.key.digest(&[signed.line, signed.body]));
        Some(KeptProof { unmasked, ..KeptProof::default() })
    }

    /// Verifies a request once more from what is kept of it, by the secrets that the source has now; one that was verified
    /// when it was received stays so.
    ///
    /// # Errors
    /// As [`received`](Verifier::received); or not enough is kept.
    pub fn kept(&self, raw: &RawRequest, received_at: Time) -> Result<Vec<ReportNote>, Rejection> {
        if raw.proof.as_ref().is_some_and(|proof| proof.is_verified) {
            return Ok(Vec::new());
        }
        let signature = || {
            let Some(scheme) = self.scheme else { return Ok(()) };
            if scheme.secret_place().is_some() {
                let nothing = SignatureProblem::CannotVerifyAgain { why: NotKept::Presented };
                let proof = raw.proof.as_ref().ok_or(nothing)?;
                return Ok(self.compared(scheme, proof.presented)?);
            }
            if let SignaturePlace::Header(name) = scheme.place() {
                let value = raw.headers.first(&name);
                if value == Some(MASK) || (value.is_none() && raw.headers.left_out() > 0) {
                    return Err(SignatureProblem::CannotVerifyAgain { why: NotKept::Header(name) }.into());
                }
            }
            self.kept_signature(scheme, raw, received_at)
        };
        self.verdict(raw, signature).map(|verdict| verdict.notes)
    }

    /// Checks a signature over what is kept, with the source's own keys put back where they were masked.
    fn kept_signature(
        &self,
        scheme: &Verification,
        raw: &RawRequest,
        received_at: Time,
    ) -> Result<(), Unverified> {
        let unmasked = raw.proof.as_ref().and_then(|proof| proof.unmasked);
        let check = |line: &[u8], body: &[u8]| {
            let signed = SignedRequest { line, headers: &raw.headers, body };
            scheme.check(&signed, self.terms(received_at))
        };
        if unmasked.is_none() && !scheme.is_over_url() {
            return check(&raw.line, &raw.body);
        }
        for own in self.rules.keys.iter() {
            let (line, body) = (unmask::line(&raw.line, own), unmask::values(&raw.body, own));
            match unmasked {
                Some(digest) if digest == self.key.digest(&[&line, &body]) => return check(&line, &body),
                Some(_) => {}
                // It is from before its template had a scheme: what verifies it is what was masked.
                None if check(&line, &body).is_ok() => return Ok(()),
                None => {}
            }
        }
        Err(SignatureProblem::CannotVerifyAgain { why: NotKept::Masked }.into())
    }

    /// Compares what was presented with each secret, by their digests: later there is nothing else to compare.
    fn compared(
        &self,
        scheme: &Verification,
        presented: Option<KeyedDigest>,
    ) -> Result<(), SignatureProblem> {
        let place = scheme.place();
        let Some(presented) = presented else { return Err(SignatureProblem::MissingSignature { place }) };
        let is_one = |secret: &str| self.key.digest(&[secret.as_bytes()]) == presented;
        let is_known = self.rules.secrets.iter().fold(false, |found, secret| found | is_one(secret));
        let wrong = || SignatureProblem::WrongSignature { place, proof: scheme.proof_kind() };
        if is_known { Ok(()) } else { Err(wrong()) }
    }

    /// What the source does with what is wrong, first with the sender's address.
    fn verdict(
        &self,
        raw: &RawRequest,
        signature: impl FnOnce() -> Result<(), Unverified>,
    ) -> Result<VerifyVerdict, Rejection> {
        let not_looked_at = || VerifyVerdict { notes: Vec::new(), is_verified: false };
        // No signature is over what cannot be inflated, which is said where the body is read.
        let is_unread = raw.encoded.as_ref().and_then(EncodedBody::problem).is_some();
        if self.rules.mode == VerifyMode::Off || is_unread {
            return Ok(not_looked_at());
        }
        let of_signature = match signature() {
            Ok(()) => None,
            Err(Unverified::Signature(problem)) => Some(problem),
            // The same is said where it is mapped.
            Err(Unverified::Unread(_)) if self.rules.mode == VerifyMode::Observe => {
                return Ok(not_looked_at());
            }
            Err(Unverified::Unread(rejection)) => return Err(rejection),
        };
        let mut problems = self.of_address(raw.peer).into_iter().chain(of_signature).peekable();
        let is_verified = problems.peek().is_none();
        match problems.peek() {
            Some(first) if self.rules.mode == VerifyMode::Enforce => Err(first.clone().into()),
            _ => {
                let notes = problems.map(|problem| ReportNote::NotVerified(Box::new(problem))).collect();
                Ok(VerifyVerdict { notes, is_verified })
            }
        }
    }

    fn of_address(&self, sender: Option<IpAddr>) -> Option<SignatureProblem> {
        (!self.rules.allows(sender)).then_some(SignatureProblem::AddressNotAllowed)
    }

    fn terms(&self, received_at: Time) -> SignatureTerms<'_> {
        SignatureTerms { secrets: &self.rules.secrets, base_url: &self.rules.base_url, received_at }
    }
}

/// The JSON inside of an encrypted body; `None` where there is none to look for, or where the source does not insist
/// and nothing is encrypted.
///
/// # Errors
/// It cannot be decrypted.
pub fn opened(
    scheme: Option<&Verification>,
    rules: &VerifyRules,
    body: &[u8],
) -> Result<Option<Vec<u8>>, SignatureProblem> {
    let Some(scheme) = scheme else { return Ok(None) };
    match scheme.open(body, &rules.secrets) {
        Err(SignatureProblem::MissingSignature { .. }) if rules.mode != VerifyMode::Enforce => Ok(None),
        opened => opened,
    }
}

/// A report with notes of what was not verified.
///
/// # Errors
/// Those of the report.
pub fn noted(
    report: Result<MappedReport, Rejection>,
    notes: Vec<ReportNote>,
) -> Result<MappedReport, Rejection> {
    match report {
        Ok(MappedReport::Conversion(mut draft)) => {
            draft.notes.extend(notes);
            Ok(MappedReport::Conversion(draft))
        }
        Ok(ignored) => Ok(ignored),
        Err(rejection) => Err(rejection.with_notes(notes)),
    }
}
