//! A postback on its way in: parameters → draft → click → one write → receipt.

use std::sync::Arc;

use crate::domain::forwarding::Sender;
use crate::domain::ids::{Seq, SourceId};
use crate::domain::ignored::IgnoredReason;
use crate::domain::postback::{EncodedBody, KeptHeaders, MappingVersion, RawRequest};
use crate::domain::rejection::Rejection;
use crate::domain::rejection::note::ReportNote;
use crate::domain::reporter::BuiltInSource;
use crate::domain::reprocess_refusal::ReprocessRefused;
use crate::domain::routing::SourcePolicy;
use crate::domain::ruleset::Ruleset;
use crate::domain::time::Time;
use crate::ingest::submit::{Received, mapped, resubmission, submit};
use crate::ingest::verify::{self, Verifier};
use crate::store::contract::Store;
use crate::store::contract::arrival::{Arrival, Finding, Receipt};
use crate::store::contract::error::StoreError;
use crate::template::source::definition::{SourceBinding, SourceTemplate};
use crate::template::source::mapped_report::MappedReport;
use crate::template::source::params::Params;
use crate::template::source::verify::request::SignedRequest;
use crate::template::source::verify::rules::VerifyRules;
use crate::template::source::verify::scheme::Verification;

/// One configured network, as ingest needs it.
#[derive(Clone)]
pub struct Network {
    /// How its parameters are read.
    pub template: Arc<SourceTemplate>,
    /// What `[[source]]` says over its template.
    pub binding: SourceBinding,
    /// Which of its conversions are sent on, and what counts as a repeat.
    pub policy: Arc<SourcePolicy>,
    /// What template and source are known by in the records of its postbacks.
    pub mapping: MappingVersion,
    /// What is verified of its postbacks; `None`: nothing.
    pub verify: Option<Arc<VerifyRules>>,
    /// What decisions go by; the store is governed by the same.
    pub rules: Arc<Ruleset>,
}

impl Network {
    /// The parameters of a request, as the template reads them.
    ///
    /// # Errors
    /// Its body could not be inflated, or cannot be read.
    pub fn read(&self, query: &[u8], raw: &RawRequest) -> Result<Params, Rejection> {
        match raw.encoded.as_ref().and_then(EncodedBody::problem) {
            Some(problem) => Err(problem.into()),
            None => self.read_body(query, &raw.headers, &raw.body),
        }
    }

    /// The parameters of a query, headers and a body, which is decrypted where the network encrypts it.
    ///
    /// # Errors
    /// The body cannot be read.
    pub fn read_body(&self, query: &[u8], headers: &KeptHeaders, body: &[u8]) -> Result<Params, Rejection> {
        verify::read(&self.template, self.verify.as_deref(), (query, headers, body))
    }

    /// The parameter with which a GET asks whether the address is ours, where it is such a request.
    pub fn challenged(&self, query: &[u8], raw: &RawRequest) -> Option<&str> {
        let name = self.template.reply().challenge()?;
        (raw.line.starts_with(b"GET ") && challenge(query, name).is_some()).then_some(name)
    }

    /// What a postback reports that was received then.
    ///
    /// # Errors
    /// As [`SourceTemplate::map`].
    pub fn map(&self, params: &Params, received_at: Time) -> Result<MappedReport, Rejection> {
        let mut mapped = self.template.map(&self.binding, params)?;
        if let MappedReport::Conversion(draft) = &mut mapped {
            self.template.leave_out_time_ahead(&self.binding, draft, (params, received_at));
        }
        Ok(mapped)
    }
}

/// What a network asks with the parameter `name`, decoded; `None` where it is not there, or empty.
pub fn challenge(query: &[u8], name: &str) -> Option<String> {
    let mut pairs = form_urlencoded::parse(query);
    pairs.find(|(known, value)| known == name && !value.is_empty()).map(|(_, value)| value.into_owned())
}

/// A request with a valid key.
pub struct IncomingPostback<'a> {
    /// As it was received.
    pub query: &'a [u8],
    /// The whole as it was received.
    pub signed: SignedRequest<'a>,
    /// Whose it is, as far as that is known.
    pub sender: Sender,
    /// The whole with secrets masked.
    pub kept: RawRequest,
}

/// Verifies and maps a request with a valid key, decides what it is, and answers when that is durable.
///
/// # Errors
/// Only the store's: whatever the network sent is data.
pub async fn receive(
    store: &dyn Store,
    network: &Network,
    incoming: IncomingPostback<'_>,
    received_at: Time,
) -> Result<Receipt, StoreError> {
    let IncomingPostback { query, signed, sender, kept: mut raw } = incoming;
    let scheme = network.template.verification();
    let verified = match &network.verify {
        Some(rules) => {
            let (key, is_sender_hidden) = (&store.digest_key().await?, sender.hidden_by.is_some());
            Verifier { scheme, rules, key, is_sender_hidden }.received(&signed, &mut raw, received_at)
        }
        None => Ok(Vec::new()),
    };
    // What is presented as a secret becomes part of no conversion, wherever it is.
    let has_secret = scheme.and_then(Verification::secret_place).is_some();
    let query = if has_secret { raw.query() } else { query };
    let finding = find(store, network, (query, &raw, verified), received_at).await?;
    let source = Some(network.policy.source.clone());
    submit(store, Received { source, raw, received_at, mapping: Some(network.mapping) }, finding).await
}

/// Why a postback is not reprocessed.
#[derive(Debug)]
pub enum ReprocessError {
    /// There is nothing to reprocess, or no way to; says why.
    Refused(ReprocessRefused),
    /// The store could not be read or written.
    Store(StoreError),
}

impl From<ReprocessRefused> for ReprocessError {
    fn from(refused: ReprocessRefused) -> ReprocessError {
        ReprocessError::Refused(refused)
    }
}

impl From<StoreError> for ReprocessError {
    fn from(error: StoreError) -> ReprocessError {
        match error {
            StoreError::ReprocessedAlready { by } => ReprocessRefused::ReprocessedAlready { by }.into(),
            error => ReprocessError::Store(error),
        }
    }
}

/// Reprocesses a quarantined or ignored record with the current template. It keeps the time it first arrived; what it
/// causes counts from `now`.
///
/// # Errors
/// When there is nothing to reprocess, or the store fails.
pub async fn again(
    store: &dyn Store,
    network: impl FnOnce(&SourceId) -> Option<Network>,
    seq: Seq,
    now: Time,
) -> Result<Receipt, ReprocessError> {
    let arrival = prepared(store, network, seq, now).await?;
    Ok(store.arrive(arrival).await?)
}

/// What a record is to the store by the current template, to be reprocessed.
///
/// # Errors
/// As [`again`].
pub async fn prepared(
    store: &dyn Store,
    network: impl FnOnce(&SourceId) -> Option<Network>,
    seq: Seq,
    now: Time,
) -> Result<Arrival, ReprocessError> {
    let record = store.postback(seq).await?.ok_or(ReprocessRefused::Unknown)?;
    if !record.verdict.name().may_be_reprocessed() {
        return Err(ReprocessRefused::NotQuarantined(record.verdict.name()).into());
    }
    let gone = ReprocessRefused::without_bytes(&record);
    let mut raw = record.raw.ok_or(gone)?;
    let source = record.source.ok_or(ReprocessRefused::NoSource(None))?;
    if BuiltInSource::of(&source).is_some() {
        return Err(ReprocessRefused::SenderInformed(source.to_string()).into());
    }
    let network = network(&source).ok_or_else(|| ReprocessRefused::NoSource(Some(source.to_string())))?;
    let received_at = record.received_at;
    let verified = match &network.verify {
        Some(rules) => {
            let (key, scheme) = (&store.digest_key().await?, network.template.verification());
            Verifier { scheme, rules, key, is_sender_hidden: false }.kept(&mut raw, received_at)
        }
        None => Ok(Vec::new()),
    };
    let finding = find(store, &network, (raw.query(), &raw, verified), received_at).await?;
    let received = Received { source: Some(source), raw, received_at, mapping: Some(network.mapping) };
    Ok(resubmission(received, finding, seq, now)?)
}

async fn find(
    store: &dyn Store,
    network: &Network,
    (query, raw, verified): (&[u8], &RawRequest, Result<Vec<ReportNote>, Rejection>),
    received_at: Time,
) -> Result<Finding, StoreError> {
    if let Some(field) = network.challenged(query, raw) {
        let reason = IgnoredReason::Challenge { field: field.to_owned() };
        return Ok(Finding::Ignored { reason, notes: Vec::new() });
    }
    let report = verified.and_then(|notes| {
        let report = network.read(query, raw).and_then(|params| network.map(&params, received_at));
        verify::noted(report, notes)
    });
    Ok(match report {
        Ok(MappedReport::Conversion(draft)) => mapped(store, *draft).await?,
        Ok(MappedReport::Ignored { reason, notes }) => Finding::Ignored { reason, notes },
        Err(rejection) => Finding::Quarantined(rejection),
    })
}
