//! Whether a pasted postback would be taken as its network's, as far as what was pasted shows it.

use crate::domain::mask::MASK;
use crate::domain::postback::{KeptHeaders, RawRequest};
use crate::domain::presented::DigestKey;
use crate::domain::rejection::note::ReportNote;
use crate::domain::rejection::signature::{SignaturePlace, SignatureProblem};
use crate::domain::time::Time;
use crate::ingest::postback::Network;
use crate::ingest::verify::Verifier;
use crate::preview::pasted::PastedRequest;
use crate::template::source::verify::request::SignedRequest;
use crate::template::source::verify::rules::{VerifyMode, VerifyRules};
use crate::template::source::verify::scheme::Verification;

/// What a source that verifies would find of a pasted postback's signature. Its sender's address is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreviewedSignature {
    /// As `[verify] kind` has it.
    pub kind: &'static str,
    /// Where the signature is.
    pub place: SignaturePlace,
    /// Whether the source insists on it.
    pub mode: VerifyMode,
    /// What it would find.
    pub finding: SignatureFinding,
}

/// What the signature of a pasted postback is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignatureFinding {
    /// By one of the source's secrets.
    Taken,
    /// It would be refused where the source insists.
    Refused(SignatureProblem),
    /// What would show it was not pasted, or is masked.
    NotShown(UnshownSignature),
}

/// What of a pasted postback would show its signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnshownSignature {
    /// The header that has it: no header was given.
    Header,
    /// The whole URL, which it is over.
    WholeUrl,
    /// Its text, which is masked.
    Text,
    /// A body that can be read.
    ReadableBody,
}

impl PreviewedSignature {
    /// Whether the postback would be quarantined for it.
    pub fn is_quarantined(&self) -> bool {
        self.mode == VerifyMode::Enforce && matches!(self.finding, SignatureFinding::Refused(_))
    }

    /// What is noted of it: a preview goes on without one. What is encrypted with another secret cannot be read, which is
    /// said instead.
    pub(super) fn notes(&self) -> Vec<ReportNote> {
        match &self.finding {
            SignatureFinding::Refused(SignatureProblem::CannotDecrypt { .. }) => Vec::new(),
            SignatureFinding::Refused(problem) => vec![ReportNote::NotVerified(Box::new(problem.clone()))],
            SignatureFinding::Taken | SignatureFinding::NotShown(_) => Vec::new(),
        }
    }
}

/// What the source would find; `None` where it does not look. `target`: of the request, as far as it was pasted.
pub(super) fn previewed(
    network: &Network,
    request: &PastedRequest<'_>,
    (target, headers): (&str, &KeptHeaders),
    now: Time,
) -> Option<PreviewedSignature> {
    let (rules, scheme) = (network.verify.as_ref()?, network.template.verification()?);
    if rules.mode == VerifyMode::Off {
        return None;
    }
    let line = format!("GET {target} HTTP/1.1").into_bytes();
    let signed = SignedRequest { line: &line, headers, body: request.body };
    let finding = match unshown(scheme, request, &signed) {
        Some(missing) => SignatureFinding::NotShown(missing),
        None => finding(scheme, rules, &signed, now),
    };
    Some(PreviewedSignature { kind: scheme.kind(), place: scheme.place(), mode: rules.mode, finding })
}

/// What the scheme looks at and was not pasted. A token is masked in a line of the raw log.
fn unshown(
    scheme: &Verification,
    request: &PastedRequest<'_>,
    signed: &SignedRequest<'_>,
) -> Option<UnshownSignature> {
    if matches!(scheme.place(), SignaturePlace::Header(_)) && request.headers.is_none() {
        return Some(UnshownSignature::Header);
    }
    if scheme.is_over_url() && !request.has_target() {
        return Some(UnshownSignature::WholeUrl);
    }
    let is_masked = scheme.presented(signed).ok().flatten().as_deref() == Some(MASK);
    is_masked.then_some(UnshownSignature::Text)
}

fn finding(
    scheme: &Verification,
    rules: &VerifyRules,
    signed: &SignedRequest<'_>,
    now: Time,
) -> SignatureFinding {
    let observing = VerifyRules { mode: VerifyMode::Observe, allow_ips: Vec::new(), ..rules.clone() };
    // Nothing that is made by it is kept.
    let key = DigestKey::new([0; 32]);
    let verifier = Verifier { scheme: Some(scheme), rules: &observing, key: &key, is_sender_hidden: false };
    let mut raw = RawRequest {
        line: signed.line.to_vec(),
        headers: KeptHeaders::default(),
        body: signed.body.to_vec(),
        peer: None,
        encoded: None,
        reporter: None,
        proof: None,
    };
    let notes = verifier.received(signed, &mut raw, now).unwrap_or_default();
    let problem = notes.into_iter().find_map(|note| match note {
        ReportNote::NotVerified(problem) => Some(*problem),
        _ => None,
    });
    match problem {
        Some(problem) => SignatureFinding::Refused(problem),
        None if raw.proof.is_some_and(|proof| proof.is_verified) => SignatureFinding::Taken,
        // The body cannot be read, which is said where it is mapped.
        None => SignatureFinding::NotShown(UnshownSignature::ReadableBody),
    }
}
