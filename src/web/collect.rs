//! The endpoint for networks: `GET|POST /{key}/collect/{source}`. 200 once durable, whatever the verdict.

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use http::StatusCode;
use parking_lot::Mutex;

use crate::clock::{self, Clock};
use crate::domain::code::{CodedReason, ReasonCode};
use crate::domain::ids::SourceId;
use crate::domain::ignored::IgnoredReason;
use crate::domain::postback::{KeptHeaders, RawRequest, Verdict};
use crate::domain::rejection::Rejection;
use crate::domain::rejection::access::AccessProblem;
use crate::domain::rejection::body::BodyProblem;
use crate::domain::rejection::code::RejectionCode;
use crate::domain::time::{LineLimit, Time};
use crate::http1::Refusal;
use crate::http1::refusal::{HttpRefusal, HttpRefusalKind};
use crate::ingest::postback::{self, IncomingPostback, Network};
use crate::ingest::submit::{Received, ReportCounters, submit};
use crate::store::contract::Store;
use crate::store::contract::arrival::{Finding, Receipt};
use crate::template::source::verify::request::SignedRequest;
use crate::view::postback::ReceiptView;
use crate::web::answer::{self, Answer};
use crate::web::auth::Keys;
use crate::web::health::ProcessHealth;
use crate::web::per_address::{LimitKey, PerAddress};
use crate::web::request::ReceivedRequest;
use crate::web::secret_names::SecretNames;
use crate::web::target;

/// One configured network's endpoint.
pub struct SourceEndpoint {
    /// Its template, policy and rules.
    pub network: Network,
    /// The path segments that open it; while a key is being changed, two.
    pub keys: Keys,
    /// What of its postbacks is a secret.
    names: SecretNames,
    limiter: Option<DefaultDirectRateLimiter>,
    counters: Counters,
}

/// Handles made once, so that counting costs no look-up.
struct Counters {
    reports: ReportCounters,
    ack_seconds: metrics::Histogram,
}

impl SourceEndpoint {
    /// `max_per_second`: how many of its postbacks are taken; `None` takes all.
    pub fn new(network: Network, keys: Keys, max_per_second: Option<NonZeroU32>) -> SourceEndpoint {
        let source = network.policy.source.to_string();
        let names = SecretNames::of_source(&network.template, network.verify.as_deref());
        let reports = ReportCounters::of(&source);
        let ack_seconds = metrics::histogram!("postbridge_ack_seconds", "source" => source);
        SourceEndpoint {
            network,
            keys,
            names,
            limiter: max_per_second.map(|rate| RateLimiter::direct(Quota::per_second(rate))),
            counters: Counters { reports, ack_seconds },
        }
    }
}

/// What keeps requests that no one is entitled to from filling the disk: at most ten records a
/// second in all, of at most 2 KiB each; the rest are counted.
pub struct RefusalBudget {
    limiter: DefaultDirectRateLimiter,
    by_address: PerAddress,
    /// The log lines about refused requests, by reason and configured source.
    lines: Mutex<HashMap<(RejectionCode, Option<SourceId>), LineLimit>>,
}

/// The most refused requests that leave a record in a second.
const RECORDS_PER_SECOND: NonZeroU32 = match NonZeroU32::new(10) {
    Some(ten) => ten,
    None => NonZeroU32::MIN,
};
/// The most bytes of a refused request that are kept.
pub const REFUSED_BYTES: usize = 2048;
/// Bad keys from one address in a second before it is sent 429.
const BAD_KEYS_PER_SECOND: u32 = 20;
impl Default for RefusalBudget {
    fn default() -> RefusalBudget {
        let limiter = RateLimiter::direct(Quota::per_second(RECORDS_PER_SECOND));
        RefusalBudget { limiter, by_address: PerAddress::new(BAD_KEYS_PER_SECOND), lines: Mutex::default() }
    }
}

impl RefusalBudget {
    /// Takes one of the records of this second, where there is one left.
    pub fn keeps_one(&self) -> bool {
        self.limiter.check().is_ok()
    }

    /// Counts a refused request, and writes a line about it, unless there was one lately. Nothing of what
    /// was sent is in it: a wrong key may be a good one of another source.
    fn note(&self, why: RejectionCode, source: Option<&SourceId>, now: Time) {
        let reason_code = why.as_str();
        metrics::counter!("postbridge_refused_total", "reason_code" => reason_code).increment(1);
        let mut lines = self.lines.lock();
        let limit = lines.entry((why, source.cloned())).or_default();
        let Some(left_out) = limit.admit(now) else { return };
        drop(lines);
        let source = source.map(SourceId::as_str);
        tracing::warn!(
            reason_code,
            source,
            left_out,
            "a postback was refused: see what was sent under /api/v1/postbacks?status=refused"
        );
    }

    /// Whether this address has shown too many bad keys in this second.
    fn is_guessing(&self, key: LimitKey, now: Time) -> bool {
        !self.by_address.admits(key, now)
    }
}

/// The parts this endpoint works with.
#[derive(Clone)]
pub struct Postbacks {
    /// By source id, as the path names it.
    pub endpoints: Arc<HashMap<String, Arc<SourceEndpoint>>>,
    /// Where a postback is durable before it is answered.
    pub store: Arc<dyn Store>,
    /// Says when a postback was received.
    pub clock: Clock,
    /// Says whether there is room on the disk, and hears of a store that failed.
    pub health: Arc<ProcessHealth>,
    /// What may be a secret in a request of no source: those of all.
    pub secret_names: Arc<SecretNames>,
    /// What strangers may have recorded here and where else requests are turned away.
    pub budget: Arc<RefusalBudget>,
}

/// The key and source that a path names, if it is a postback path. Slashes that a person doubled, or
/// left at the end, make no difference, plain or percent-encoded: no key or source begins or ends with one.
fn split_path(path: &str) -> Option<(&str, &str)> {
    let mut parts = path.split('/').map(without_slashes).filter(|part| !part.is_empty());
    let (key, word, source) = (parts.next()?, parts.next()?, parts.next()?);
    (word == "collect" && parts.next().is_none()).then_some((key, source))
}

/// A segment without percent-encoded slashes around it.
fn without_slashes(mut segment: &str) -> &str {
    while let Some(rest) = segment.strip_prefix("%2F").or_else(|| segment.strip_prefix("%2f")) {
        segment = rest;
    }
    while let Some(rest) = segment.strip_suffix("%2F").or_else(|| segment.strip_suffix("%2f")) {
        segment = rest;
    }
    segment
}

impl Postbacks {
    /// The endpoint that the key in a postback's path opens, or why none; `None` of any other path.
    pub fn enter(&self, path: &str) -> Option<Result<Arc<SourceEndpoint>, TurnedAway>> {
        let (key, source) = split_path(path)?;
        let source = percent_encoding::percent_decode_str(source).decode_utf8_lossy();
        let Some(endpoint) = self.endpoints.get(source.trim()) else {
            return Some(Err(TurnedAway::UnknownSource));
        };
        let key = percent_encoding::percent_decode_str(key);
        let opens = endpoint.keys.open_for(&std::borrow::Cow::<[u8]>::from(key));
        Some(if opens { Ok(Arc::clone(endpoint)) } else { Err(TurnedAway::BadKey) })
    }

    /// Takes a postback in. Runs to its end even when the sender hangs up.
    pub async fn receive(
        &self,
        entered: Result<Arc<SourceEndpoint>, TurnedAway>,
        asked: &ReceivedRequest<'_>,
    ) -> Answer {
        let endpoint = match entered {
            Ok(endpoint) => endpoint,
            Err(turned) => return self.turn_away(turned, asked).await,
        };
        if !self.health.admits_postback() {
            return answer::disk_low();
        }
        if endpoint.limiter.as_ref().is_some_and(|limiter| limiter.check().is_err()) {
            let source = endpoint.network.policy.source.clone();
            let raw = asked.raw(&endpoint.names);
            self.keep_refused(raw, Some(source), AccessProblem::TooFast.into()).await;
            return answer::too_fast(&AccessProblem::TooFast);
        }
        if asked.is_too_large {
            return self.too_large(&endpoint, asked).await;
        }
        self.take(&endpoint, asked).await
    }

    async fn take(&self, endpoint: &SourceEndpoint, asked: &ReceivedRequest<'_>) -> Answer {
        let started = clock::stopwatch();
        let (first, names) = (endpoint.network.template.read_headers(), &endpoint.names);
        let kept = asked.raw_with(target::masked_line(&asked.head.line, names), first, names);
        let (query, sender) = (asked.head.query(), asked.sender);
        let incoming = IncomingPostback { query, signed: asked.signed(), sender, kept };
        let now = self.clock.now();
        match postback::receive(self.store.as_ref(), &endpoint.network, incoming, now).await {
            Ok(receipt) => {
                endpoint.counters.ack_seconds.record(started.elapsed());
                endpoint.counters.reports.count(receipt.verdict.name());
                answer_of(endpoint, asked, &receipt)
            }
            Err(error) => self.health.not_kept(&error),
        }
    }

    /// The body would be, or is, larger than the source takes: the request is kept without it.
    async fn too_large(&self, endpoint: &SourceEndpoint, asked: &ReceivedRequest<'_>) -> Answer {
        let source = Some(endpoint.network.policy.source.clone());
        self.keep_refused(asked.raw(&endpoint.names), source, BodyProblem::TooLarge.into()).await;
        answer::refused(StatusCode::PAYLOAD_TOO_LARGE, &BodyProblem::TooLarge)
    }

    /// The largest plain body that a source takes, by its template, for a request with its key.
    pub fn body_limit(&self, path: &str) -> Option<usize> {
        self.enter(path)?.ok()?.network.template.max_body_bytes()
    }

    /// Turns a request away, keeping a record of it within the budget.
    async fn turn_away(&self, turned: TurnedAway, asked: &ReceivedRequest<'_>) -> Answer {
        let rejection = Rejection::from(turned.problem());
        let status = match turned {
            TurnedAway::UnknownSource => {
                self.budget.note(rejection.code(), None, self.clock.now());
                self.keep_strangers(|| asked.raw(&self.secret_names), rejection.clone()).await;
                StatusCode::NOT_FOUND
            }
            TurnedAway::BadKey => {
                if self.wrong_key(asked, &rejection).await == WrongKeys::TooMany {
                    return answer::too_many("too many wrong keys from this address", "wait a second");
                }
                StatusCode::FORBIDDEN
            }
        };
        answer::refused(status, &rejection)
    }

    /// Counts a request without a key that opens anything, whatever of the key is wrong, and keeps a record of it
    /// within the budget.
    pub async fn wrong_key(&self, asked: &ReceivedRequest<'_>, rejection: &Rejection) -> WrongKeys {
        if self.budget.is_guessing(asked.limit_key(), self.clock.now()) {
            metrics::counter!("postbridge_refused_total", "reason_code" => "guessing").increment(1);
            return WrongKeys::TooMany;
        }
        self.budget.note(RejectionCode::BadKey, None, self.clock.now());
        self.keep_strangers(|| asked.raw(&self.secret_names), rejection.clone()).await;
        WrongKeys::Few
    }

    /// Keeps bytes that were refused before they were a request. With a valid key in its path the
    /// record is always kept; otherwise within the budget.
    pub async fn keep_unread(&self, refusal: &Refusal, peer: IpAddr) {
        let (line, Some(rejection)) = (&refusal.line, unread(&refusal.why)) else { return };
        let start = line.iter().position(|b| *b == b' ').map_or(0, |at| at + 1);
        let path = target::path(line.get(start..).unwrap_or_default());
        let path = String::from_utf8_lossy(path.split(|b| *b == b' ').next().unwrap_or(&[])).into_owned();
        let endpoint = self.enter(&path).and_then(Result::ok);
        let kept = line.get(..REFUSED_BYTES).unwrap_or(line);
        let mut raw = RawRequest {
            line: target::masked_unread(kept, &self.secret_names),
            headers: KeptHeaders::default(),
            body: Vec::new(),
            peer: Some(peer),
            encoded: None,
            reporter: None,
            proof: None,
        };
        let unread = SignedRequest { line: kept, headers: &KeptHeaders::default(), body: b"" };
        self.secret_names.mask_presented(&unread, &mut raw);
        let source = endpoint.map(|endpoint| endpoint.network.policy.source.clone());
        self.keep_refused(raw, source, rejection).await;
    }

    /// Counts a refused request by its code, and keeps it: a stranger's within the budget.
    async fn keep_refused(&self, raw: RawRequest, source: Option<SourceId>, rejection: Rejection) {
        self.budget.note(rejection.code(), source.as_ref(), self.clock.now());
        match source {
            None => self.keep_strangers(|| raw, rejection).await,
            source => self.write_refused(raw, source, rejection).await,
        }
    }

    /// `raw`: how it is kept, which is made only where there is room for it.
    async fn keep_strangers(&self, raw: impl FnOnce() -> RawRequest, rejection: Rejection) {
        if !self.health.disk_space().records_visitors() || !self.budget.keeps_one() {
            return;
        }
        let mut raw = raw();
        raw.line.truncate(REFUSED_BYTES);
        raw.body.truncate(REFUSED_BYTES.saturating_sub(raw.line.len()));
        raw.headers.fit(REFUSED_BYTES.saturating_sub(raw.line.len() + raw.body.len()), &[]);
        self.write_refused(raw, None, rejection).await;
    }

    async fn write_refused(&self, raw: RawRequest, source: Option<SourceId>, rejection: Rejection) {
        if !self.health.disk_space().records_postbacks() {
            return;
        }
        let received = Received { source, raw, received_at: self.clock.now(), mapping: None };
        if let Err(error) = submit(self.store.as_ref(), received, Finding::Refused(rejection)).await {
            self.health.store_failed(&error);
        }
    }
}

/// Why a request was refused before it was one, as its record says it; `None` of one that is refused for its token,
/// which is logged and counted where the token is read.
fn unread(why: &HttpRefusal) -> Option<Rejection> {
    Some(match why.kind {
        HttpRefusalKind::Unauthorized | HttpRefusalKind::Forbidden | HttpRefusalKind::TooMany => return None,
        HttpRefusalKind::BodyTooLarge => BodyProblem::TooLarge.into(),
        HttpRefusalKind::LineTooLong => AccessProblem::RequestLineTooLong.into(),
        HttpRefusalKind::HeadersTooLarge => AccessProblem::HeadersTooLarge.into(),
        HttpRefusalKind::TooSlow => AccessProblem::RequestTimeout.into(),
        HttpRefusalKind::Overloaded => AccessProblem::Overloaded.into(),
        HttpRefusalKind::Internal => AccessProblem::InternalError.into(),
        HttpRefusalKind::Malformed => {
            AccessProblem::MalformedRequest { error: why.message.to_owned() }.into()
        }
    })
}

/// How many wrong keys an address has shown in this second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WrongKeys {
    /// It is answered as one wrong key is.
    Few,
    /// It is answered 429 and leaves no record.
    TooMany,
}

/// Why a request may not come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TurnedAway {
    /// 404: no source of this name is configured.
    UnknownSource,
    /// 403: the source has other keys.
    BadKey,
}

impl TurnedAway {
    fn problem(self) -> AccessProblem {
        match self {
            TurnedAway::UnknownSource => AccessProblem::UnknownSource,
            TurnedAway::BadKey => AccessProblem::BadPathKey,
        }
    }
}

/// The 200, or what the template has for a refused signature: what was asked with a challenge, or the template's own text
/// where it sets one, else every field, null when not known.
fn answer_of(endpoint: &SourceEndpoint, asked: &ReceivedRequest<'_>, receipt: &Receipt) -> Answer {
    if let Verdict::Ignored(IgnoredReason::Challenge { field }) = &receipt.verdict
        && let Some(value) = postback::challenge(asked.head.query(), field)
    {
        return answer::text(StatusCode::OK, value);
    }
    let reply = endpoint.network.template.reply();
    let is_refused = receipt.verdict.rejection().is_some_and(Rejection::is_of_signature);
    let refused = reply.refused().filter(|_| is_refused);
    let status = refused.and_then(|status| StatusCode::from_u16(status).ok()).unwrap_or(StatusCode::OK);
    match reply.text(receipt.verdict.name()) {
        Some(text) => answer::text(status, text.to_owned()),
        None => answer::json(status, &ReceiptView::of(receipt)),
    }
}
