//! Whether a postback is its network's, by its signature and its sender's address: when it is received, and once more
//! from what is kept of it.

use crate::domain::address;
use crate::domain::forwarding;
use crate::domain::mask::MASK;
use crate::domain::postback::{CONTENT_TYPE, EncodedBody, KeptHeaders, RawRequest};
use crate::domain::presented::{DigestKey, KeptProof, KeptText, KeyedDigest, PresentedSecret};
use crate::domain::presented_mask::PresentedMask;
use crate::domain::rejection::Rejection;
use crate::domain::rejection::note::ReportNote;
use crate::domain::rejection::signature::{NotKept, SignaturePlace, SignatureProblem};
use crate::domain::time::Time;
use crate::ingest::unmask;
use crate::template::source::definition::SourceTemplate;
use crate::template::source::mapped_report::MappedReport;
use crate::template::source::params::Params;
use crate::template::source::verify::request::{HeaderValues, SignedRequest};
use crate::template::source::verify::rules::{VerifyMode, VerifyRules};
use crate::template::source::verify::scheme::{SignatureTerms, SignedParts, Unverified, Verification};

/// What postbacks of one source are verified by.
#[derive(Clone, Copy)]
pub struct Verifier<'a> {
    /// The template's scheme; `None`: only the sender's address is looked at.
    pub scheme: Option<&'a Verification>,
    /// What the source says of it.
    pub rules: &'a VerifyRules,
    /// The store's, by which presented secrets are kept and compared.
    pub key: &'a DigestKey,
    /// The request's address is that of a proxy that hides its senders.
    pub is_sender_hidden: bool,
}

/// The header in which proxies name the addresses that they forward for.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// The headers of a request as it was received, but for its content type, which is as it is kept: part of it may be
/// masked, or all of it left out.
struct KeptContentType<'a> {
    received: &'a dyn HeaderValues,
    kept: Option<Vec<u8>>,
}

impl HeaderValues for KeptContentType<'_> {
    fn first(&self, name: &str) -> Option<&[u8]> {
        if name == CONTENT_TYPE { self.kept.as_deref() } else { self.received.first(name) }
    }

    fn has_value(&self, is_one: &dyn Fn(&[u8]) -> bool) -> bool {
        self.received.has_value(is_one)
    }
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
        // The body is verified as it will be read: by the content type as it is kept.
        let headers = KeptContentType {
            received: signed.headers,
            kept: raw.headers.get(CONTENT_TYPE).map(<[u8]>::to_vec),
        };
        let signed = &SignedRequest { headers: &headers, ..*signed };
        // A body that cannot be read says so where it is verified; else the digest of what it holds is compared.
        let presented = self.scheme.map(|scheme| self.presented(scheme, signed)).transpose();
        if let Ok(presented) = &presented {
            proof.presented = presented.clone().flatten();
        }
        let verdict = self.verdict(raw, &proof, || match (self.scheme, presented?.flatten()) {
            (None, _) => Ok(()),
            (Some(scheme), Some(presented)) => Ok(self.compared(scheme, presented.digest)?),
            (Some(scheme), None) => scheme.check(signed, self.terms(received_at)),
        });
        proof.is_verified = self.is_signed(&verdict);
        raw.proof = Some(Box::new(proof));
        verdict.map(|verdict| verdict.notes)
    }

    /// Whether there is a signature that was taken: an address alone is looked at each time.
    fn is_signed(&self, verdict: &Result<VerifyVerdict, Rejection>) -> bool {
        self.scheme.is_some() && verdict.as_ref().is_ok_and(|verdict| verdict.is_verified)
    }

    /// The secret that a request presents, where the scheme has it sent.
    fn presented(
        &self,
        scheme: &Verification,
        request: &SignedRequest<'_>,
    ) -> Result<Option<PresentedSecret>, Rejection> {
        let Some(place) = scheme.secret_place() else { return Ok(None) };
        let digest = scheme.presented(request)?.map(|text| self.key.digest(&[&text]));
        Ok(Some(PresentedSecret { place, digest }))
    }

    fn proof(&self, signed: &SignedRequest<'_>, raw: &RawRequest) -> KeptProof {
        let is_over_url = self.scheme.is_some_and(Verification::is_over_url);
        let is_masked = is_over_url || raw.query() != signed.query() || raw.body != signed.body;
        let text = match self.scheme {
            Some(_) if is_masked => KeptText::Masked(self.key.digest(&[signed.line, signed.body])),
            Some(_) => KeptText::AsReceived,
            None => KeptText::Unknown,
        };
        let held = self.scheme.and_then(|scheme| self.held(scheme, signed));
        KeptProof { text, held, is_sender_hidden: self.is_sender_hidden, ..KeptProof::default() }
    }

    /// The secret of the source that a request has somewhere, which is masked there: the template may look elsewhere.
    fn held(&self, scheme: &Verification, signed: &SignedRequest<'_>) -> Option<KeyedDigest> {
        scheme.secret_place()?;
        let is_held = |secret: &&str| {
            let mask = PresentedMask::of_tokens([secret.as_bytes().to_vec()]);
            let is_in_header = || signed.headers.has_value(&|value| mask.is_in(value));
            mask.is_in(signed.line) || mask.is_in(signed.body) || is_in_header()
        };
        let held = self.rules.secrets.iter().find(is_held)?;
        Some(self.key.digest(&[held.as_bytes()]))
    }

    /// Verifies a request once more from what is kept of it, by the secrets that the source has now; one that was verified
    /// before stays so. A secret of the source that is found in it is masked from here on.
    ///
    /// # Errors
    /// As [`received`](Verifier::received); or not enough is kept.
    pub fn kept(&self, raw: &mut RawRequest, received_at: Time) -> Result<Vec<ReportNote>, Rejection> {
        let mut proof = raw.proof.take().map_or_else(KeptProof::default, |proof| *proof);
        let verdict = match proof.is_verified {
            true => Ok(VerifyVerdict { notes: Vec::new(), is_verified: true }),
            false => self.verified_again(raw, &mut proof, received_at),
        };
        proof.is_verified = proof.is_verified || self.is_signed(&verdict);
        raw.proof = Some(Box::new(proof));
        verdict.map(|verdict| verdict.notes)
    }

    fn verified_again(
        &self,
        raw: &mut RawRequest,
        proof: &mut KeptProof,
        received_at: Time,
    ) -> Result<VerifyVerdict, Rejection> {
        self.find_sender(raw, proof);
        let Some(scheme) = self.scheme else { return self.verdict(raw, proof, || Ok(())) };
        // A secret was there, where the template did not look for it.
        let is_masked_there = |place: &SignaturePlace| {
            let kept = SignedRequest { line: &raw.line, headers: &raw.headers, body: &raw.body };
            let is_elsewhere = proof.presented.as_ref().is_none_or(|known| known.place != *place);
            is_elsewhere && scheme.presented(&kept).is_ok_and(|text| text.as_deref() == Some(MASK))
        };
        if proof.held.is_some() && scheme.secret_place().is_some_and(|place| is_masked_there(&place)) {
            return self.verdict(raw, proof, || Ok(self.compared(scheme, proof.held)?));
        }
        let found = self.presented_before(scheme, raw, proof);
        if let Ok(found @ Some(_)) = &found {
            proof.presented = found.clone();
        }
        let proof = &*proof;
        self.verdict(raw, proof, || match found? {
            Some(presented) => Ok(self.compared(scheme, presented.digest)?),
            None => self.kept_signature(scheme, (raw, proof), received_at),
        })
    }

    /// Sees through proxies that are declared now, and were not when it was received.
    fn find_sender(&self, raw: &mut RawRequest, proof: &mut KeptProof) {
        let Some(proxy) = raw.peer.filter(|_| proof.is_sender_hidden) else { return };
        let values = raw.headers.iter().filter(|(name, _)| *name == FORWARDED_FOR).map(|(_, value)| value);
        let entries: Vec<_> = values.flat_map(|value| value.split(|byte| *byte == b',')).collect();
        let entries = entries.into_iter().rev().filter(|entry| !entry.trim_ascii().is_empty());
        let hops: Vec<_> =
            entries.map(|entry| std::str::from_utf8(entry).ok().and_then(address::parse)).collect();
        // What is masked or was left out may be the address that counts.
        if raw.headers.left_out() > 0 || hops.contains(&None) {
            return;
        }
        let sender = forwarding::sender(proxy, hops.into_iter(), || true, &self.rules.trusted_proxies);
        proof.is_sender_hidden = sender.hidden_by.is_some();
        raw.peer = Some(sender.address);
    }

    /// What was presented at the place where the template has it sent now: its digest; or its text, where another place or
    /// none was looked at when it was received. The source's secret is masked from here on.
    fn presented_before(
        &self,
        scheme: &Verification,
        raw: &mut RawRequest,
        proof: &mut KeptProof,
    ) -> Result<Option<PresentedSecret>, Unverified> {
        let Some(place) = scheme.secret_place() else { return Ok(None) };
        if let Some(known) = proof.presented.as_ref().filter(|known| known.place == place) {
            return Ok(Some(known.clone()));
        }
        let text =
            scheme.presented(&SignedRequest { line: &raw.line, headers: &raw.headers, body: &raw.body })?;
        let may_be_left_out = matches!(place, SignaturePlace::Header(_)) && raw.headers.left_out() > 0;
        match text {
            None if !may_be_left_out => Ok(Some(PresentedSecret { place, digest: None })),
            Some(text) if memchr::memmem::find(&text, MASK).is_none() => {
                let digest = self.key.digest(&[&text]);
                // Another text may be anything, as an order's number in the wrong parameter: it stays as it was kept.
                if self.rules.secrets.iter().any(|secret| secret.as_bytes() == text) {
                    scheme.mask([text]).mask(raw);
                    proof.text = KeptText::Unknown;
                }
                Ok(Some(PresentedSecret { place, digest: Some(digest) }))
            }
            _ => Err(SignatureProblem::CannotVerifyAgain { why: NotKept::Presented }.into()),
        }
    }

    /// Checks a signature over what is kept, with the source's own keys put back where they were masked.
    fn kept_signature(
        &self,
        scheme: &Verification,
        (raw, proof): (&RawRequest, &KeptProof),
        received_at: Time,
    ) -> Result<(), Unverified> {
        if let SignaturePlace::Header(name) = scheme.place() {
            let value = raw.headers.first(&name);
            if value == Some(MASK) || (value.is_none() && raw.headers.left_out() > 0) {
                return Err(SignatureProblem::CannotVerifyAgain { why: NotKept::Header(name) }.into());
            }
        }
        let check = |line: &[u8], body: &[u8]| {
            let signed = SignedRequest { line, headers: &raw.headers, body };
            scheme.check(&signed, self.terms(received_at))
        };
        let may_be_masked = scheme.is_over_url()
            || [raw.query(), &raw.body].iter().any(|text| memchr::memmem::find(text, MASK).is_some());
        let masked = match &proof.text {
            KeptText::AsReceived if !scheme.is_over_url() => return check(&raw.line, &raw.body),
            KeptText::Masked(digest) => Some(digest),
            _ if !may_be_masked => return check(&raw.line, &raw.body),
            // What verifies it is what was masked, if anything was.
            _ if check(&raw.line, &raw.body).is_ok() => return Ok(()),
            _ => None,
        };
        for own in self.rules.keys.iter() {
            let (line, body) = (unmask::line(&raw.line, own), unmask::values(&raw.body, own));
            match masked {
                Some(digest) if *digest == self.key.digest(&[&line, &body]) => return check(&line, &body),
                None if check(&line, &body).is_ok() => return Ok(()),
                _ => {}
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
        proof: &KeptProof,
        signature: impl FnOnce() -> Result<(), Unverified>,
    ) -> Result<VerifyVerdict, Rejection> {
        // No signature is over what cannot be inflated, which is said where the body is read.
        let is_unread = raw.encoded.as_ref().and_then(EncodedBody::problem).is_some();
        if self.rules.mode == VerifyMode::Off || is_unread {
            return Ok(VerifyVerdict { notes: Vec::new(), is_verified: false });
        }
        let sender = raw.peer.filter(|_| !proof.is_sender_hidden);
        let of_address = (!self.rules.allows(sender)).then_some(SignatureProblem::AddressNotAllowed);
        let mut notes: Vec<ReportNote> = Vec::new();
        let of_signature = match (signature(), self.rules.mode) {
            (Ok(()), _) => None,
            (Err(Unverified::Signature(problem)), _) => Some(problem),
            (Err(Unverified::Unread(rejection)), VerifyMode::Enforce) if of_address.is_none() => {
                return Err(rejection);
            }
            (Err(Unverified::Unread(rejection)), _) => {
                let unread = rejection.body_problem().cloned().map(Box::new);
                notes.extend(unread.map(ReportNote::SignedPartUnread));
                None
            }
        };
        let mut problems = of_address.into_iter().chain(of_signature).peekable();
        if let (Some(first), VerifyMode::Enforce) = (problems.peek(), self.rules.mode) {
            return Err(first.clone().into());
        }
        let is_verified = notes.is_empty() && problems.peek().is_none();
        let mut problems: Vec<_> =
            problems.map(|problem| ReportNote::NotVerified(Box::new(problem))).collect();
        problems.append(&mut notes);
        Ok(VerifyVerdict { notes: problems, is_verified })
    }

    fn terms(&self, received_at: Time) -> SignatureTerms<'_> {
        SignatureTerms { secrets: &self.rules.secrets, base_url: &self.rules.base_url, received_at }
    }
}

/// The parameters of a request as its template reads them. An encrypted body is decrypted. Where the source looks at
/// signatures, only the part of the request that the signature is over is read: next to a signed body nothing of the
/// query but the parameters of `[constant]`, next to a signed URL nothing of the body.
///
/// # Errors
/// The body cannot be decrypted, or the request cannot be read.
pub fn read(
    template: &SourceTemplate,
    rules: Option<&VerifyRules>,
    (query, headers, body): (&[u8], &KeptHeaders, &[u8]),
) -> Result<Params, Rejection> {
    let scheme = rules.and(template.verification());
    let opened = match (scheme, rules) {
        (Some(scheme), Some(rules)) => opened(scheme, rules, body)?,
        _ => None,
    };
    let looks = rules.is_some_and(|rules| rules.mode != VerifyMode::Off);
    let coverage = scheme
        .filter(|_| looks)
        .map_or(SignedParts::All, |scheme| scheme.signed_parts(&SignedRequest { line: b"", headers, body }));
    let (signed_query, signed_body) = match coverage {
        SignedParts::All => (query, body),
        SignedParts::Body => (&b""[..], body),
        SignedParts::Url => (query, &b""[..]),
    };
    let mut params = match opened {
        Some(json) => template.read_json(signed_query, headers, &json)?,
        None => template.read(signed_query, headers, signed_body)?,
    };
    match coverage {
        SignedParts::Body => template.add_constants(&mut params, query)?,
        SignedParts::Url if !body.trim_ascii().is_empty() => params.notes.push(ReportNote::BodyNotSigned),
        SignedParts::Url | SignedParts::All => {}
    }
    Ok(params)
}

/// The JSON inside of an encrypted body; `None` where there is none to look for, or where the source does not insist
/// and nothing is encrypted.
fn opened(
    scheme: &Verification,
    rules: &VerifyRules,
    body: &[u8],
) -> Result<Option<Vec<u8>>, SignatureProblem> {
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
        Ok(MappedReport::Ignored { reason, notes: mut before }) => {
            before.extend(notes);
            Ok(MappedReport::Ignored { reason, notes: before })
        }
        Err(rejection) => Err(rejection.with_notes(notes)),
    }
}
