//! What a worker and its attempts share: the target as it is configured, its places, and the way to the store.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore};

use crate::clock::Clock;
use crate::dispatch::credentials::Account;
use crate::dispatch::decide::SettledAttempt;
use crate::dispatch::error::Faults;
use crate::dispatch::health::{HealthEffect, SendGate};
use crate::dispatch::meters::Meters;
use crate::dispatch::rate::{SendRate, TargetRate};
use crate::dispatch::schedule::Schedule;
use crate::dispatch::tallies::Tallies;
use crate::dispatch::target_health::TargetHealth;
use crate::dispatch::tried::TriedDestinations;
use crate::domain::delivery::ReplyVerdict;
use crate::domain::expiry::AgeRule;
use crate::domain::ids::{DestinationId, SourceId};
use crate::domain::routing::SourcePolicy;
use crate::domain::status::Status;
use crate::domain::target::TargetId;
use crate::domain::time::Time;
use crate::send::client::Client;
use crate::store::contract::Store;
use crate::store::contract::error::StoreError;
use crate::store::contract::outage::ASK_AGAIN_AFTER;
use crate::store::contract::work::{AttemptOutcome, LeaseToken, Recorded};
use crate::template::destination::batch::BatchSize;
use crate::template::destination::ready::ReadyDestination;

/// How long an attempt may wait until it is recorded before its lease runs out.
pub const RECORDING: Duration = Duration::from_secs(2 * 60);

/// How one destination is sent to. A reload replaces it; attempts under way keep theirs.
pub struct SendSetup {
    pub destination: Arc<ReadyDestination>,
    pub client: Client,
    /// Who is asked for the token that requests carry; `None`: they carry none.
    pub account: Option<Arc<Account>>,
    /// The statuses that an outgoing postback reports; `None`: as the source says.
    pub on: Option<Vec<Status>>,
    /// How many events a request carries at most, and how long one waits for others.
    pub batch: BatchSize,
    /// What a request carries at the moment: less than it may after one had to be sent in so many parts that the time of
    /// its leases was over.
    pub events_now: AtomicUsize,
}

impl SendSetup {
    /// What is sent, by what, and how much of it at a time.
    pub fn new(
        (destination, account): (Arc<ReadyDestination>, Option<Arc<Account>>),
        client: Client,
        on: Option<Vec<Status>>,
        batch: BatchSize,
    ) -> SendSetup {
        let events_now = AtomicUsize::new(batch.max_events);
        SendSetup { destination, client, account, on, batch, events_now }
    }

    /// How many events the next request may carry.
    pub fn most_events(&self) -> usize {
        self.events_now.load(Ordering::Relaxed).max(1)
    }

    /// A request with this many was too large, or was not done with in time: the next carry half of them.
    pub fn carry_less(&self, events: usize) {
        self.events_now.fetch_min((events / 2).max(1), Ordering::Relaxed);
    }

    /// A request with this many was done with as it was: if none carries more, the next may carry twice as many again.
    pub fn carry_more(&self, events: usize) {
        let now = self.most_events();
        if now < self.batch.max_events && events >= now {
            let more = now.saturating_mul(2).min(self.batch.max_events);
            self.events_now.store(more, Ordering::Relaxed);
        }
    }
}

/// What a target's worker sends with. Replaced whole by a reload; attempts under way keep theirs.
pub struct TargetSetup {
    pub destinations: HashMap<DestinationId, Arc<SendSetup>>,
    pub policies: Arc<HashMap<SourceId, Arc<SourcePolicy>>>,
    pub schedule: Arc<Schedule>,
    /// It says whether the time may end a delivery.
    pub clock: Clock,
    pub max_in_flight: usize,
    pub rate: Option<SendRate>,
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

    /// The most events that one request to it carries.
    pub fn events_in_a_request(&self) -> usize {
        self.destinations.values().map(|to| to.most_events()).max().unwrap_or(1)
    }

    /// How long what is due may wait for more to be due.
    pub fn longest_wait(&self) -> Duration {
        let waits = self.destinations.values().filter(|to| to.batch.max_events > 1);
        Duration::from_millis(waits.map(|to| to.batch.max_wait_ms).max().unwrap_or(0))
    }

    /// Its rate, and of which generation that is.
    pub fn kept_rate(&self) -> (Option<SendRate>, u64) {
        (self.rate, self.generation)
    }

    /// A clock that is not believed makes nothing too old.
    pub fn age(&self, now: Time) -> AgeRule {
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
    /// As fast as what is sent, and what is asked, may leave together.
    pub rate: TargetRate,
    /// Remembers which destinations were ever sent to.
    pub tried: TriedDestinations,
    /// The earliest retry that this worker has scheduled.
    pub next_retry: Mutex<Option<Time>>,
    pub in_flight: AtomicUsize,
    /// The events of those attempts.
    pub in_hand: AtomicUsize,
    pub retrying: AtomicUsize,
    pub generation: AtomicU64,
    /// Wakes the worker: a place is free, a probe was answered, a retry has its time.
    pub poke: Arc<Notify>,
    /// Wakes what asks platforms what became of what they accepted.
    pub accepted: Notify,
    /// How many attempts may be waiting for their record to become durable. Beyond that, places
    /// stay taken: a slow disk slows sending, it does not pile up answers.
    pub recording: Semaphore,
}

/// A place among the target's attempts in flight; free again when this is dropped.
pub struct InFlightPermit {
    shared: Arc<AttemptContext>,
    destination: DestinationId,
    events: usize,
    retry: bool,
}

impl InFlightPermit {
    /// Of an attempt at so many events; whether they were tried before.
    pub fn take(
        shared: &Arc<AttemptContext>,
        destination: DestinationId,
        (events, retry): (usize, bool),
    ) -> InFlightPermit {
        shared.in_flight.fetch_add(1, Ordering::Relaxed);
        shared.in_hand.fetch_add(events, Ordering::Relaxed);
        shared.retrying.fetch_add(usize::from(retry), Ordering::Relaxed);
        shared.tallies.change(&destination, |tally| tally.in_flight += 1);
        shared.meters.sending(true);
        InFlightPermit { shared: Arc::clone(shared), destination, events, retry }
    }
}

impl Drop for InFlightPermit {
    fn drop(&mut self) {
        self.shared.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.shared.in_hand.fetch_sub(self.events, Ordering::Relaxed);
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

    /// Takes note of an answer: of the first, where it probes.
    pub fn classified(&mut self, verdict: &ReplyVerdict, current: bool, now: Time) {
        let standing = HealthEffect { probe: std::mem::take(&mut self.open), current };
        self.target_health.classified(verdict, standing, now);
    }
}

impl ProbeGuard {
    /// Whether it is a probe that has no answer yet.
    pub fn is_open(&self) -> bool {
        self.open
    }

    /// As [`TargetHealth::gate`].
    pub fn gate(&self, now: Time) -> SendGate {
        self.target_health.gate(now)
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
    /// Remembers outcomes permanently, all together. A store that fails ends the process, and one that does not answer is
    /// asked until it does: the attempts would be made again, and what was recorded already is not recorded twice.
    /// `None`: nothing is kept of them.
    pub async fn record(&self, outcomes: Vec<AttemptOutcome>) -> Option<Vec<Recorded>> {
        let outcomes: Arc<[AttemptOutcome]> = outcomes.into();
        loop {
            let done = self.store.record(Arc::clone(&outcomes)).await;
            if let Err(error @ StoreError::Corrupt { .. }) = &done {
                tracing::error!(%error, "an attempt could not be recorded");
                return None;
            }
            if !self.faults.note(&done) {
                return done.ok();
            }
            tokio::time::sleep(ASK_AGAIN_AFTER).await;
        }
    }

    /// Gives leases back.
    pub async fn release(&self, leases: Vec<LeaseToken>) {
        if leases.is_empty() {
            return;
        }
        let released = self.store.release(leases).await;
        self.faults.note(&released);
    }

    /// A line for the operator; what a reason quotes may be a person's data, its code is not.
    pub fn log_dead(&self, destination: &DestinationId, settled: &SettledAttempt, now: Time) {
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
