//! One attempt: decide, render, send, classify, record.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore};

use crate::clock::{Clock, stopwatch};
use crate::dispatch::decide::{self, SettledAttempt};
use crate::dispatch::error::{DispatchError, Faults};
use crate::dispatch::health::{HealthEffect, SendGate};
use crate::dispatch::meters::Meters;
use crate::dispatch::prepare::{Prepared, prepare, rules_of};
use crate::dispatch::schedule::Schedule;
use crate::dispatch::tallies::Tallies;
use crate::dispatch::target_health::TargetHealth;
use crate::domain::attempt::{Attempt, AttemptEffect, Exchange};
use crate::domain::delivery::{DeliveryState, OutgoingRequest, PlatformResponse, Reply, ReplyVerdict};
use crate::domain::delivery_reason::RetryReason;
use crate::domain::exchange::Said;
use crate::domain::expiry::AgeRule;
use crate::domain::ids::{DestinationId, SourceId};
use crate::domain::reconcile::Observed;
use crate::domain::remark::Remark;
use crate::domain::routing::{Forwarding, SourcePolicy};
use crate::domain::send_check::SendRules;
use crate::domain::sent::SentEvent;
use crate::domain::status::Status;
use crate::domain::target::TargetId;
use crate::domain::time::Time;
use crate::send::client::Client;
use crate::store::contract::Store;
use crate::store::contract::error::StoreError;
use crate::store::contract::outage::ASK_AGAIN_AFTER;
use crate::store::contract::work::{AttemptOutcome, Claimed, Recorded};
use crate::store::crash;
use crate::template::destination::ready::ReadyDestination;

/// How long an attempt may wait until it is recorded before its lease runs out.
const RECORDING: Duration = Duration::from_secs(2 * 60);

/// How one destination is sent to. A reload replaces it; attempts under way keep theirs.
pub struct SendSetup {
    pub destination: Arc<ReadyDestination>,
    pub client: Client,
    /// The statuses that an outgoing postback reports; `None`: as the source says.
    pub on: Option<Vec<Status>>,
}

/// What a target's worker sends with. Replaced whole by a reload; attempts under way keep theirs.
pub struct TargetSetup {
    pub destinations: HashMap<DestinationId, Arc<SendSetup>>,
    pub policies: Arc<HashMap<SourceId, Arc<SourcePolicy>>>,
    pub schedule: Arc<Schedule>,
    /// It says whether the time may end a delivery.
    pub clock: Clock,
    pub max_in_flight: usize,
    pub max_per_second: Option<NonZeroU32>,
    /// The longest that an attempt takes until its answer is in, and some more.
    pub longest_attempt: Duration,
    /// Whether anything is ever sent: where nothing is, how the receiver does is no matter.
    pub sends: bool,
    /// Rises with every reload.
    pub generation: u64,
}

impl TargetSetup {
    /// How long what is claimed is leased: it may wait for its turn as long as an attempt takes, and its record for the
    /// disk.
    pub fn lease_for(&self) -> Duration {
        self.longest_attempt.saturating_mul(2).saturating_add(RECORDING)
    }

    /// A clock that is not believed makes nothing too old.
    fn age(&self, now: Time) -> AgeRule {
        AgeRule::by(self.clock.believes(now))
    }
}

/// What a worker and its attempts share.
pub struct AttemptContext {
    pub target: TargetId,
    pub store: Arc<dyn Store>,
    pub clock: Clock,
    pub faults: Faults,
    pub meters: Arc<Meters>,
    pub target_health: Arc<TargetHealth>,
    pub tallies: Tallies,
    /// The earliest retry that this worker has scheduled.
    pub next_retry: Mutex<Option<Time>>,
    pub in_flight: AtomicUsize,
    pub retrying: AtomicUsize,
    pub generation: AtomicU64,
    /// Wakes the worker: a place is free, a probe was answered, a retry has its time.
    pub poke: Arc<Notify>,
    /// How many attempts may be waiting for their record to become durable. Beyond that, places
    /// stay taken: a slow disk slows sending, it does not pile up answers.
    pub recording: Semaphore,
}

/// A place among the target's attempts in flight; free again when this is dropped.
pub struct InFlightPermit {
    shared: Arc<AttemptContext>,
    destination: DestinationId,
    retry: bool,
}

impl InFlightPermit {
    pub fn take(shared: &Arc<AttemptContext>, destination: DestinationId, retry: bool) -> InFlightPermit {
        shared.in_flight.fetch_add(1, Ordering::Relaxed);
        shared.retrying.fetch_add(usize::from(retry), Ordering::Relaxed);
        shared.tallies.change(&destination, |tally| tally.in_flight += 1);
        shared.meters.sending(true);
        InFlightPermit { shared: Arc::clone(shared), destination, retry }
    }
}

impl Drop for InFlightPermit {
    fn drop(&mut self) {
        self.shared.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.shared.retrying.fetch_sub(usize::from(self.retry), Ordering::Relaxed);
        self.shared.tallies.change(&self.destination, |tally| {
            tally.in_flight = tally.in_flight.saturating_sub(1);
        });
        self.shared.meters.sending(false);
        self.shared.poke.notify_one();
    }
}

/// Whether an attempt is a probe, and that its end is noticed even when nothing was classified.
pub struct ProbeGuard {
    target_health: Arc<TargetHealth>,
    open: bool,
}

impl ProbeGuard {
    /// `None` where another attempt probes already.
    pub fn begin(target_health: Arc<TargetHealth>, probe: bool) -> Option<ProbeGuard> {
        let may = !probe || target_health.probe_begins();
        may.then_some(ProbeGuard { target_health, open: probe })
    }

    fn classified(&mut self, verdict: &ReplyVerdict, current: bool, now: Time) {
        let standing = HealthEffect { probe: std::mem::take(&mut self.open), current };
        self.target_health.classified(verdict, standing, now);
    }
}

impl Drop for ProbeGuard {
    fn drop(&mut self) {
        if self.open {
            self.target_health.probe_is_void();
        }
    }
}

impl AttemptContext {
    /// Remembers an outcome permanently. A store that fails ends the process, and one that does not answer is asked
    /// until it does: the attempt would be made again, and what was recorded already is not recorded twice. `None`:
    /// nothing is kept of it.
    pub async fn record(&self, outcome: AttemptOutcome) -> Option<Recorded> {
        let outcomes: Arc<[AttemptOutcome]> = Arc::new([outcome]);
        loop {
            let done = self.store.record(Arc::clone(&outcomes)).await;
            if let Err(error @ StoreError::Corrupt { .. }) = &done {
                tracing::error!(%error, "an attempt could not be recorded");
                return None;
            }
            if !self.faults.note(&done) {
                return done.ok()?.first().copied();
            }
            tokio::time::sleep(ASK_AGAIN_AFTER).await;
        }
    }
}

/// What one attempt needs.
pub struct AttemptJob {
    pub shared: Arc<AttemptContext>,
    pub setup: Arc<TargetSetup>,
    pub to: Arc<SendSetup>,
    pub claimed: Claimed,
    /// When its lease runs out, by the clock that no one sets: then or a moment later.
    pub lease_ends: Duration,
    pub place: InFlightPermit,
    pub probing: ProbeGuard,
    /// Set once it is known what became of it: from then on its record ends the lease, and nothing else does.
    pub has_ended: Arc<AtomicBool>,
}

/// What an attempt became, before it is recorded.
struct FinishedAttempt {
    settled: SettledAttempt,
    observed: Observed,
    exchange: Option<Arc<Exchange>>,
    /// What of the conversion is not in the request, or is otherwise in it.
    remarks: Vec<Remark>,
    /// What the request said, where the platform took it or may have.
    sent: Option<Box<SentEvent>>,
}

/// Runs one attempt to its durable end. The place is freed when the answer is in.
pub async fn run(mut job: AttemptJob) {
    let at = job.shared.clock.now();
    if !job.may_leave(at) {
        return job.give_back().await;
    }
    let began = stopwatch();
    let done = match prepare(&job.to.destination, &job.rules(at), &job.claimed, at) {
        Prepared::Ended { settled, request, remarks } => {
            let exchange = request.map(|request| Exchange { request: request.masked(), answer: None });
            let (settled, observed) = (*settled, job.observed());
            FinishedAttempt { settled, observed, exchange: exchange.map(Arc::new), remarks, sent: None }
        }
        Prepared::Ready { request, sent, remarks } => {
            let done = send(&mut job, *request, remarks).await;
            let sent = Some(sent).filter(|_| done.settled.verdict.may_be_taken());
            FinishedAttempt { sent, ..done }
        }
    };
    let took = began.elapsed();
    let AttemptJob { shared, claimed, place, probing, has_ended, .. } = job;
    drop(probing);
    let Some(took_ms) = whole_millis(took) else {
        return shared.faults.raise(DispatchError::TooLong { delivery: claimed.id, seconds: took.as_secs() });
    };
    has_ended.store(true, Ordering::Relaxed);
    // Never closed, so never refused; a closed one would only mean no bound.
    let bound = shared.recording.acquire().await.ok();
    drop(place);
    crash::point("dispatch.before_record");
    settle(&shared, claimed, done, (at, took_ms)).await;
    drop(bound);
}

/// As an attempt keeps it; `None` where it cannot: a request is timed out long before 49 days.
fn whole_millis(span: Duration) -> Option<u32> {
    u32::try_from(span.as_millis()).ok()
}

async fn send(job: &mut AttemptJob, request: OutgoingRequest, remarks: Vec<Remark>) -> FinishedAttempt {
    let reply = job.to.client.send(&request).await;
    crash::point("dispatch.after_send");
    let now = job.shared.clock.now();
    let (verdict, shown) = classify(&job.to.destination, &request, &reply, now);
    let current = job.setup.generation == job.shared.generation.load(Ordering::Acquire);
    job.probing.classified(&verdict, current, now);
    let settled = decide::after(verdict, &job.claimed, job.setup.age(now), &job.setup.schedule, now);
    let answer = match shown.unwrap_or(reply) {
        Reply::Answer(answer) => Some(answer),
        Reply::Failed(_) | Reply::Forbidden(_) => None,
    };
    let exchange = Some(Arc::new(Exchange { request: request.masked(), answer }));
    FinishedAttempt { settled, observed: job.observed(), exchange, remarks, sent: None }
}

impl AttemptJob {
    fn rules(&self, now: Time) -> SendRules<'_> {
        let policy = self.setup.policies.get(&self.claimed.conversion.source).map(Arc::as_ref);
        let forwarding = Forwarding { policy, on: self.to.on.as_deref() };
        rules_of(&self.to.destination, forwarding, self.setup.age(now))
    }

    /// What the attempt knows.
    fn observed(&self) -> Observed {
        let (changes, hears) = (self.claimed.conversion.history.len(), self.to.destination.changes());
        Observed { changes, hears }
    }

    /// Whether it still may leave: while it waited for its turn the receiver may have been parked, have
    /// asked for a wait or have begun to fail, and of the lease may be left less than an attempt and its record take.
    fn may_leave(&self, now: Time) -> bool {
        let left = self.lease_ends.saturating_sub(self.shared.clock.running());
        let has_time = left >= self.setup.longest_attempt.saturating_add(RECORDING);
        let may_be_sent = self.probing.open
            || !self.setup.sends
            || matches!(self.probing.target_health.gate(now), SendGate::Free);
        has_time && may_be_sent
    }

    /// Ends without an attempt: the delivery waits in its place in the queue, and nothing is charged.
    async fn give_back(self) {
        let released = self.shared.store.release(vec![self.claimed.lease.token]).await;
        self.shared.faults.note(&released);
    }
}

/// Classifies a reply. A platform may repeat what it was sent: where it does, the reply without secrets
/// is echoed too, and the reason is read from that, so that not even a part of one is kept.
fn classify(
    destination: &ReadyDestination,
    request: &OutgoingRequest,
    reply: &Reply,
    now: Time,
) -> (ReplyVerdict, Option<Reply>) {
    let classify = |reply: &Reply| {
        let failed =
            ReplyVerdict::Retry { reason: RetryReason::AttemptFailed, after_ms: None, hold_ms: None };
        catch_unwind(AssertUnwindSafe(|| destination.classify(reply, now))).unwrap_or(failed)
    };
    let mut verdict = classify(reply);
    let Some(shown) = without_secrets(request, reply) else { return (verdict, None) };
    quote_only(&mut verdict, classify(&shown));
    (verdict, Some(shown))
}

/// Takes the platform's words from the verdict on the masked reply, and nothing else: a mask must not decide
/// what an answer means. Where it did, no word is kept.
fn quote_only(verdict: &mut ReplyVerdict, shown: ReplyVerdict) {
    let is_same = std::mem::discriminant(verdict) == std::mem::discriminant(&shown);
    match (verdict, shown) {
        (ReplyVerdict::Delivered { warnings }, ReplyVerdict::Delivered { warnings: masked }) => {
            *warnings = masked;
        }
        (ReplyVerdict::Delivered { warnings }, _) => warnings.clear(),
        (other, mut shown) => {
            let masked = shown.answer_mut().filter(|_| is_same).map(|answer| answer.said.clone());
            if let Some(answer) = other.answer_mut() {
                answer.said = masked.unwrap_or(Said::Withheld);
            }
        }
    }
}

/// The reply with every secret masked; `None` where it holds none.
fn without_secrets(request: &OutgoingRequest, reply: &Reply) -> Option<Reply> {
    let Reply::Answer(answer) = reply else { return None };
    if request.secrets.iter().all(String::is_empty) {
        return None;
    }
    let body = String::from_utf8_lossy(&answer.body);
    let shown_body = request.mask(&body);
    let shown_headers: Vec<(String, String)> =
        answer.headers.iter().map(|(name, value)| (name.clone(), request.mask(value))).collect();
    if shown_body == body && shown_headers == answer.headers {
        return None;
    }
    let shown = PlatformResponse { headers: shown_headers, body: shown_body.into_bytes(), ..answer.clone() };
    Some(Reply::Answer(shown))
}

/// Makes a settled delivery durable, then counts it.
async fn settle(
    shared: &AttemptContext,
    claimed: Claimed,
    done: FinishedAttempt,
    (at, took_ms): (Time, u32),
) {
    let now = shared.clock.now();
    let FinishedAttempt { settled, observed, exchange, remarks, sent } = done;
    let destination = claimed.id.destination.clone();
    shared.tallies.change(&destination, |tally| tally.note(&settled, now));
    let verdict = settled.verdict.clone();
    let effect = AttemptEffect::Settled;
    let attempt = Attempt { at, took_ms, exchange, verdict, remarks, sent, effect };
    let state = settled.state.clone();
    let outcome = AttemptOutcome {
        id: claimed.id,
        lease: claimed.lease.token,
        attempt,
        state,
        attempts: settled.attempts,
        observed: Some(observed),
    };
    match shared.record(outcome).await {
        Some(Recorded::Settled) => {}
        Some(Recorded::Late) => {
            tracing::warn!(%destination, "an attempt was recorded after its lease had run out, and changed nothing");
            return shared.meters.late();
        }
        Some(Recorded::Gone | Recorded::Damaged) | None => return,
    }
    shared.meters.recorded(&settled, took_ms, now.millis_since(claimed.conversion.received_at));
    match settled.state {
        DeliveryState::Dead { .. } => shared.log_dead(&destination, &settled, now),
        DeliveryState::Delivered { .. } => {
            shared.tallies.change(&destination, |tally| tally.delivered += 1);
        }
        DeliveryState::Waiting { due } => {
            let mut next_retry = shared.next_retry.lock();
            *next_retry = Some(next_retry.map_or(due, |earlier| earlier.min(due)));
            drop(next_retry);
            shared.poke.notify_one();
        }
        _ => {}
    }
}

impl AttemptContext {
    /// A line for the operator; what a reason quotes may be a person's data, its code is not.
    fn log_dead(&self, destination: &DestinationId, settled: &SettledAttempt, now: Time) {
        let admitted = self.tallies.change(destination, |tally| tally.dead_lines.admit(now));
        let Some(left_out) = admitted else { return };
        let reason_code = settled.code();
        tracing::warn!(
            %destination,
            reason_code,
            left_out,
            "a delivery is dead: see Dead letters, fix what its reason names, then retry"
        );
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::whole_millis;

    #[test]
    fn what_takes_longer_than_can_be_kept_is_not_kept_as_something_else() {
        assert_eq!(whole_millis(Duration::from_micros(1_999)), Some(1));
        assert_eq!(whole_millis(Duration::from_millis(u32::MAX.into())), Some(u32::MAX));
        assert_eq!(whole_millis(Duration::from_secs(50 * 24 * 3600)), None);
    }
}
