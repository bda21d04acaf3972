//! Whether a pasted postback would be verified: as far as its query and its body show it.

use crate::domain::mask::MASK;
use crate::domain::postback::{KeptHeaders, RawRequest};
use crate::domain::presented::DigestKey;
use crate::domain::rejection::note::ReportNote;
use crate::domain::rejection::signature::SignaturePlace;
use crate::domain::time::Time;
use crate::ingest::postback::Network;
use crate::ingest::verify::Verifier;
use crate::template::source::verify::request::SignedRequest;
use crate::template::source::verify::rules::{VerifyMode, VerifyRules};

/// What a source would refuse of the signature, as notes: a preview goes on without one. Headers and the sender's address
/// are not pasted, so that nothing is said of what is there; nor of a token that is masked, as in a line of the raw log.
pub(super) fn notes(network: &Network, target: &str, body: &str, now: Time) -> Vec<ReportNote> {
    let (Some(rules), Some(scheme)) = (&network.verify, network.template.verification()) else {
        return Vec::new();
    };
    let is_shown = matches!(scheme.place(), SignaturePlace::Parameter(_)) && !scheme.is_encrypted();
    if rules.mode == VerifyMode::Off || !is_shown {
        return Vec::new();
    }
    let line = format!("GET {target} HTTP/1.1").into_bytes();
    let headers = KeptHeaders::default();
    let signed = SignedRequest { line: &line, headers: &headers, body: body.as_bytes() };
    if scheme.presented(&signed).ok().flatten().as_deref() == Some(MASK) {
        return Vec::new();
    }
    let observing = VerifyRules { mode: VerifyMode::Observe, allow_ips: Vec::new(), ..(**rules).clone() };
    // Nothing that is made by it is kept.
    let key = DigestKey::new([0; 32]);
    let verifier = Verifier { scheme: Some(scheme), rules: &observing, key: &key, is_sender_hidden: false };
    let mut raw = RawRequest {
        line: line.clone(),
        headers: headers.clone(),
        body: body.as_bytes().to_vec(),
        peer: None,
        encoded: None,
        reporter: None,
        proof: None,
    };
    verifier.received(&signed, &mut raw, now).unwrap_or_default()
}
