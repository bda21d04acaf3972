//! The signature of a source's story: its secret, what the source does with it, and when the request was received.

use crate::domain::postback::{KeptHeaders, RawRequest};
use crate::domain::presented::DigestKey;
use crate::domain::rejection::Rejection;
use crate::domain::rejection::note::ReportNote;
use crate::domain::time::Time;
use crate::ingest::verify::{self, Verifier};
use crate::template::diagnostic::Problem;
use crate::template::source::definition::SourceTemplate;
use crate::template::source::params::Params;
use crate::template::source::verify::request::SignedRequest;
use crate::template::source::verify::rules::{VerifyMode, VerifyRules};
use crate::template::source::verify::scheme::{SecretTexts, Verification};
use crate::template::toml_doc::table::Table;

/// Scheme and host of the URL of a story's request, for signatures over it.
const BASE_URL: &str = "https://relay.example";
/// Its path.
const PATH: &str = "/story-key/collect/story";

/// What a story says of its signature in `source.toml`.
pub(super) struct StorySignature {
    rules: VerifyRules,
    received_at: Time,
    /// Whether the story says nothing of whether it is verified.
    is_unsaid: bool,
}

/// Reads `secret`, `verify` and `received_at`. A story without a secret is not verified.
pub(super) fn read(root: &Table<'_>, template: &SourceTemplate) -> StorySignature {
    let secrets = if root.has("secret") { root.texts("secret").unwrap_or_default() } else { Vec::new() };
    let named = root.parsed("verify", |text| text.one_of(&VerifyMode::NAMES));
    let usual = if secrets.is_empty() { VerifyMode::Off } else { VerifyMode::Enforce };
    let received_at = root.parsed("received_at", |text| {
        let hint = "write it as RFC 3339: 2026-11-28T12:00:00Z";
        Time::parse(&text.value).ok_or_else(|| Problem::new(format!("{} is not a time", text.shown()), hint))
    });
    let mode = named.unwrap_or(usual);
    let is_unsaid = named.is_none() && secrets.is_empty();
    if template.verification().is_none() && (!secrets.is_empty() || named.is_some()) {
        let what = format!("the template `{}` has no [verify]", template.name());
        root.head_problem(what, "leave `secret` and `verify` out");
    }
    if template.verification().is_some() && mode == VerifyMode::Enforce && secrets.is_empty() {
        root.head_problem("the story is verified by no secret", "add secret = \"…\", by which it is signed");
    }
    let secrets = SecretTexts::new(secrets.iter().map(|text| text.value.as_str()));
    let rules = VerifyRules {
        mode,
        secrets,
        trusted_proxies: Vec::new(),
        allow_ips: Vec::new(),
        keys: SecretTexts::default(),
        base_url: BASE_URL.to_owned(),
    };
    StorySignature { rules, received_at: received_at.unwrap_or(Time::EPOCH), is_unsaid }
}

/// A story's request: a POST where it has a body.
pub(super) fn request(query: &[u8], headers: KeptHeaders, body: Vec<u8>) -> RawRequest {
    let method: &[u8] = if body.is_empty() { b"GET" } else { b"POST" };
    let mark: &[u8] = if query.is_empty() { b"" } else { b"?" };
    let line = [method, b" ", PATH.as_bytes(), mark, query, b" HTTP/1.1"].concat();
    RawRequest { line, headers, body, peer: None, encoded: None, reporter: None, proof: None }
}

impl StorySignature {
    /// Verifies a story's request, of which nothing is masked.
    pub(super) fn verify(
        &self,
        template: &SourceTemplate,
        raw: &RawRequest,
    ) -> Result<Vec<ReportNote>, Rejection> {
        let scheme = template.verification();
        // Nothing of a story is kept.
        let key = DigestKey::new([0; 32]);
        let verifier = Verifier { scheme, rules: &self.rules, key: &key, is_sender_hidden: false };
        let signed = SignedRequest { line: &raw.line, headers: &raw.headers, body: &raw.body };
        verifier.received(&signed, &mut raw.clone(), self.received_at)
    }

    /// Whether the request has a signature, or a token, that nothing verifies, and the story does not say why.
    pub(super) fn is_passed_over(&self, template: &SourceTemplate, raw: &RawRequest) -> bool {
        let signed = SignedRequest { line: &raw.line, headers: &raw.headers, body: &raw.body };
        let has_one = |scheme: &Verification| matches!(signed.text_at(&scheme.place()), Ok(Some(_)));
        self.is_unsaid && template.verification().is_some_and(has_one)
    }

    /// What the template reads of a story's request.
    pub(super) fn read(
        &self,
        template: &SourceTemplate,
        (query, raw): (&[u8], &RawRequest),
    ) -> Result<Params, Rejection> {
        verify::read(template, Some(&self.rules), (query, &raw.headers, &raw.body))
    }
}
