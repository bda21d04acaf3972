//! The loop of one target: claims what is due while there is room, of whichever destination, and sends it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{Id, JoinSet};

use crate::dispatch::attempt::{self, AttemptJob};
use crate::dispatch::context::{AttemptContext, InFlightPermit, ProbeGuard, SendSetup, TargetSetup};
use crate::dispatch::health::{Probe, SendGate};
use crate::dispatch::open_leases::{LeaseStage, OpenLease, OpenLeases};
use crate::dispatch::rate::Limiter;
use crate::dispatch::shares::{ShareRequest, Shares};
use crate::domain::attempt::Attempt;
use crate::domain::delivery::{DeliveryState, ReplyVerdict};
use crate::domain::delivery_reason::RetryReason;
use crate::domain::exchange::NoAnswer;
use crate::domain::ids::DestinationId;
use crate::domain::time::Time;
use crate::store::contract::error::StoreError;
use crate::store::contract::outage::ASK_AGAIN_AFTER;
use crate::store::contract::subscription::{SignalOf, Subscription};
use crate::store::contract::work::{
    AttemptOutcome, ClaimRequest, Claimed, LeaseToken, LeasedWork, RepeatRisk, WantedWork,
};

/// An idle worker looks without being woken after a second, then less and less often: a wake-up that was missed
/// costs a second, a clock that was set is noticed within a minute, and idling costs nothing.
const FIRST_LOOK_MS: i64 = 1_000;
const LONGEST_SLEEP_MS: i64 = 60_000;
/// How long a reload may take to reach everyone.
const MOVING: Duration = Duration::from_millis(100);
/// What one claim hands out at most, but for one request that carries more: leases that wait for their turn are kept
/// few.
const CLAIM: usize = 256;
/// How long the record of what was cut off may take: a stop does not wait for a disk that hangs.
const LAST_RECORD: Duration = Duration::from_secs(5);
/// How many events a target has in hand at most, whatever its places: each holds its conversion and its click.
const MOST_IN_HAND: usize = 4 * 1024;

/// What a worker is ordered from outside.
#[derive(Clone)]
pub enum WorkerCommand {
    /// Send with this.
    Run(Arc<TargetSetup>),
    /// Claim no more; end when what is in flight has ended.
    Finish,
    /// End now: give back what is in flight.
    Cut,
}

/// A claim that was asked for.
#[derive(Clone, Copy)]
struct AskedClaim {
    /// When, by the clock that no one sets: before its leases began.
    running: Duration,
    /// Whether what it hands out is a probe.
    probe: bool,
    /// How many of what it hands out share a request.
    events: usize,
}

/// The running loop of one target.
pub struct Worker {
    shared: Arc<AttemptContext>,
    setup: Arc<TargetSetup>,
    orders: watch::Receiver<WorkerCommand>,
    wakeup: Subscription,
    shares: Shares,
    limiter: Option<Limiter>,
    attempts: JoinSet<()>,
    leased: HashMap<Id, OpenLeases>,
    next_due: Option<Time>,
    /// How many looks in a row found nothing.
    idle: u32,
}

enum NextStep {
    /// Look again at once.
    LookAgain,
    /// Sleep until this moment or until something happens; whether arrivals matter.
    Sleep {
        until: Option<Time>,
        arrivals: bool,
    },
    /// The rate limit says how long.
    Pause(Duration),
    End,
}

impl Worker {
    pub fn new(
        shared: Arc<AttemptContext>,
        setup: Arc<TargetSetup>,
        orders: watch::Receiver<WorkerCommand>,
    ) -> Worker {
        let wakeup = shared.store.signals(SignalOf::Work(shared.target.clone()));
        let shares = Shares::new(setup.max_in_flight);
        let limiter = shared.rate.keeping(setup.kept_rate()).map(Limiter::of);
        Worker {
            shared,
            setup,
            orders,
            wakeup,
            shares,
            limiter,
            attempts: JoinSet::new(),
            leased: HashMap::new(),
            next_due: None,
            idle: 0,
        }
    }

    /// Runs until it is asked to end, or until the store fails.
    pub async fn run(mut self) {
        loop {
            self.reap().await;
            match self.step().await {
                NextStep::LookAgain => {}
                NextStep::Sleep { until, arrivals } => self.sleep(until, arrivals).await,
                NextStep::Pause(span) => self.pause(span).await,
                NextStep::End => break,
            }
        }
        self.finish().await;
    }

    async fn step(&mut self) -> NextStep {
        if self.shared.faults.any() || !self.obey() {
            return NextStep::End;
        }
        let now = self.shared.clock.now();
        let gate = if self.setup.sends { self.shared.target_health.gate(now) } else { SendGate::Free };
        match gate {
            SendGate::Free => self.claim(now, CLAIM, false).await,
            SendGate::Probe(Probe::Parked) if self.is_full() => {
                NextStep::Sleep { until: None, arrivals: false }
            }
            SendGate::Probe(Probe::Parked) => self.probe_oldest().await,
            SendGate::Probe(_) => self.claim(now, 1, true).await,
            SendGate::Shut(until) => NextStep::Sleep { until, arrivals: false },
        }
    }

    /// Takes the latest order; false when it is to end.
    fn obey(&mut self) -> bool {
        let orders_end = self.orders.has_changed().is_err();
        let order = self.orders.borrow_and_update().clone();
        let WorkerCommand::Run(setup) = order else { return false };
        if setup.generation != self.setup.generation {
            self.shares.resize(setup.max_in_flight);
            if setup.rate != self.limiter.as_ref().map(Limiter::rate) {
                self.limiter = self.shared.rate.keeping(setup.kept_rate()).map(Limiter::of);
            }
            self.setup = setup;
            self.shares.news();
        }
        !orders_end
    }

    async fn claim(&mut self, now: Time, most: usize, probe: bool) -> NextStep {
        // A probe is about one delivery.
        let mut events = if probe { 1 } else { self.setup.events_in_a_request() };
        let in_hand = self.shared.in_hand.load(Ordering::Relaxed);
        let mut most = (most / events).max(1).min(MOST_IN_HAND.saturating_sub(in_hand).div_ceil(events));
        if let Some(limiter) = &mut self.limiter {
            if let Some(wait) = limiter.take() {
                return NextStep::Pause(wait);
            }
            events = events.min(limiter.most_events());
            most = most.min(limiter.burst().div_ceil(events));
        }
        let in_flight = self.shared.in_flight.load(Ordering::Relaxed);
        let retrying = self.shared.retrying.load(Ordering::Relaxed);
        let Some(wanted) = self.shares.ask(in_flight, retrying, most, now) else {
            let full = self.is_full();
            return NextStep::Sleep { until: if full { None } else { self.next_look() }, arrivals: !full };
        };
        let wanted = wanted.times(events);
        let request = self.request(now, WantedWork::Due { fresh: wanted.fresh, retries: wanted.retries });
        let asked = AskedClaim { running: self.shared.clock.running(), probe, events };
        let claim = match self.answered(self.shared.store.claim(request).await) {
            Ok(claim) => claim,
            Err(next) => return next,
        };
        let retries = claim.work.iter().filter(|claimed| claimed.delivery.attempts > 0).count();
        let got = ShareRequest { fresh: claim.work.len() - retries, retries };
        self.shares.got(wanted, got, claim.next_due, now);
        self.next_due = claim.next_due.filter(|due| *due > now);
        if !claim.work.is_empty() {
            self.idle = 0;
        }
        if !self.obey() {
            self.release(claim.work.into_iter().map(|claimed| claimed.lease.token).collect()).await;
            return NextStep::End;
        }
        self.send(claim.work, asked).await
    }

    fn request(&self, now: Time, wanted: WantedWork) -> ClaimRequest {
        let lease_for = self.setup.lease_for();
        ClaimRequest { target: self.shared.target.clone(), now, lease_for, wanted }
    }

    /// Sends what was claimed, as many in a request as the destination takes, as fast as the rate lets requests leave.
    /// What a request needs (a place, the rate's permission, the lease) is taken here and not in the claim.
    async fn send(&mut self, work: Vec<Claimed>, asked: AskedClaim) -> NextStep {
        let mut elsewhere = Vec::new();
        for (destination, work) in shared_requests(work, asked.events) {
            // A reload that moves a destination reaches the store and its old worker one after the other.
            let Some(to) = self.setup.destinations.get(&destination).cloned() else {
                elsewhere.extend(work.into_iter().map(|claimed| claimed.lease.token));
                continue;
            };
            if let Some(limiter) = &mut self.limiter {
                limiter.use_for(work.len()).await;
            }
            self.start(to, work, asked).await;
        }
        if elsewhere.is_empty() {
            return NextStep::LookAgain;
        }
        self.release(elsewhere).await;
        NextStep::Pause(MOVING)
    }

    fn is_full(&self) -> bool {
        self.shared.in_flight.load(Ordering::Relaxed) >= self.setup.max_in_flight
    }

    /// Starts an attempt; gives the deliveries back where it would be a second probe.
    async fn start(&mut self, to: Arc<SendSetup>, work: Vec<Claimed>, asked: AskedClaim) {
        let leases = OpenLeases::of(&work);
        let probing = ProbeGuard::begin(Arc::clone(&self.shared.target_health), asked.probe);
        let (Some(probing), Some(first)) = (probing, work.first()) else {
            return self.release(work.into_iter().map(|claimed| claimed.lease.token).collect()).await;
        };
        // All of one claim are leased for as long.
        let lease_ends = asked.running.saturating_add(first.lease.lasts);
        let (destination, is_retry) = (first.id.destination.clone(), first.delivery.attempts > 0);
        let job = AttemptJob {
            permit: InFlightPermit::take(&self.shared, destination, (work.len(), is_retry)),
            probing,
            lease_ends,
            leases: leases.clone(),
            shared: Arc::clone(&self.shared),
            setup: Arc::clone(&self.setup),
            rate: self.limiter.as_ref().map(Limiter::shared),
            to,
            work,
        };
        let task = self.attempts.spawn(attempt::run(job));
        self.leased.insert(task.id(), leases);
    }

    async fn probe_oldest(&mut self) -> NextStep {
        let oldest = self.request(self.shared.clock.now(), WantedWork::Oldest);
        let asked = AskedClaim { running: self.shared.clock.running(), probe: true, events: 1 };
        match self.answered(self.shared.store.claim(oldest).await) {
            Ok(LeasedWork { work, .. }) if work.is_empty() => NextStep::Sleep { until: None, arrivals: true },
            Ok(LeasedWork { work, .. }) => self.send(work, asked).await,
            Err(next) => next,
        }
    }

    async fn release(&self, leases: Vec<LeaseToken>) {
        self.shared.release(leases).await;
    }

    /// What the store answered, or what to do without it: nothing more where it failed, and nothing for a while
    /// where it does not answer.
    fn answered<T>(&self, answer: Result<T, StoreError>) -> Result<T, NextStep> {
        let is_unavailable = self.shared.faults.note(&answer);
        answer.map_err(|_noted| if is_unavailable { NextStep::Pause(ASK_AGAIN_AFTER) } else { NextStep::End })
    }

    /// When to look again although nothing woke the worker.
    fn next_look(&self) -> Option<Time> {
        let retry = *self.shared.next_retry.lock();
        match (self.next_due, retry) {
            (Some(due), Some(retry)) => Some(due.min(retry)),
            (due, retry) => due.or(retry),
        }
    }

    async fn sleep(&mut self, until: Option<Time>, arrivals: bool) {
        let now = self.shared.clock.now();
        let longest = (FIRST_LOOK_MS << self.idle.min(6)).min(LONGEST_SLEEP_MS);
        let span = until.map_or(longest, |until| until.millis_since(now));
        let span = Duration::from_millis(span.clamp(0, longest).unsigned_abs());
        tokio::select! {
            biased;
            // What the order is, the next step reads.
            _ = self.orders.changed() => {}
            () = self.shared.poke.notified() => self.look_for_retries(),
            () = self.wakeup.signalled(), if arrivals => self.wait_for_more().await,
            () = tokio::time::sleep(span) => {
                self.idle = self.idle.saturating_add(1);
                self.shares.news();
                self.look_for_retries();
            }
        }
    }

    /// What has become due waits for others, so that they share a request.
    async fn wait_for_more(&mut self) {
        let longest = self.setup.longest_wait();
        if !longest.is_zero() {
            let now = self.shared.clock.now();
            let due = self.next_look().map_or(i64::MAX, |due| due.millis_since(now));
            let span = longest.min(Duration::from_millis(due.max(0).unsigned_abs()));
            tokio::select! {
                biased;
                _ = self.orders.changed() => {}
                () = self.shared.poke.notified() => self.look_for_retries(),
                () = tokio::time::sleep(span) => {}
            }
        }
        self.shares.news();
    }

    /// A retry that this worker scheduled and whose time has come is news.
    fn look_for_retries(&mut self) {
        let now = self.shared.clock.now();
        let mut next_retry = self.shared.next_retry.lock();
        if next_retry.is_some_and(|due| due <= now) {
            *next_retry = None;
            drop(next_retry);
            self.shares.news();
        }
    }

    async fn pause(&mut self, span: Duration) {
        tokio::select! {
            biased;
            _ = self.orders.changed() => {}
            () = tokio::time::sleep(span) => {}
        }
    }

    /// Clears what has ended. An attempt that failed inside is tried again by the schedule.
    async fn reap(&mut self) {
        while let Some(ended) = self.attempts.try_join_next_with_id() {
            self.ended(ended).await;
        }
    }

    async fn ended(&mut self, ended: Result<(Id, ()), tokio::task::JoinError>) {
        let fault = match ended {
            Ok((id, ())) => {
                self.leased.remove(&id);
                return;
            }
            Err(fault) => fault,
        };
        let Some(leases) = self.leased.remove(&fault.id()) else { return };
        let (at, was_cut) = (self.shared.clock.now(), fault.is_cancelled());
        // The record of what has ended may wait for the disk: without the lease it would be late, and the event sent again.
        let open = leases.take().into_iter().filter(|lease| !was_cut || lease.stage != LeaseStage::Ended);
        let (left, unsent): (Vec<_>, Vec<_>) = open.partition(|lease| lease.stage != LeaseStage::Unsent);
        self.release(unsent.into_iter().map(|lease| lease.token).collect()).await;
        let outcome = |lease| match was_cut {
            true => cut_off(lease, at),
            false => self.failed(lease, at),
        };
        let outcomes: Vec<_> = left.into_iter().map(outcome).collect();
        if outcomes.is_empty() {
            return;
        }
        let recorded = tokio::time::timeout(LAST_RECORD, self.shared.record(outcomes));
        if recorded.await.is_err() {
            // Their leases run out without a word, which says the same.
            tracing::warn!("the store did not take the record of what was cut off");
        }
    }

    /// What is recorded of a delivery whose attempt failed inside.
    fn failed(&self, lease: OpenLease, at: Time) -> AttemptOutcome {
        let OpenLease { id, token, attempts, not_before, .. } = lease;
        tracing::error!(delivery.id = %id, "an attempt failed inside; it is tried again by the schedule");
        let attempts = attempts.saturating_add(1);
        let reason = RetryReason::AttemptFailed;
        let verdict = ReplyVerdict::Retry { reason, after_ms: None, hold_ms: None };
        let due = self.setup.schedule.next(&id, attempts, at, None);
        let due = not_before.map_or(due, |not_before| due.max(not_before));
        // It waits: whatever was received meanwhile, the next attempt knows.
        let (state, observed) = (DeliveryState::Waiting { due }, None);
        let attempt = Attempt::unsent(at, verdict);
        let repeat = RepeatRisk::default();
        AttemptOutcome { id, lease: token, attempt, state, attempts, observed, repeat }
    }

    /// Waits for what is in flight, unless it is cut off; then gives back what has not ended.
    async fn finish(&mut self) {
        while !self.attempts.is_empty() && !matches!(*self.orders.borrow(), WorkerCommand::Cut) {
            tokio::select! {
                biased;
                ended = self.attempts.join_next_with_id() => {
                    if let Some(ended) = ended {
                        self.ended(ended).await;
                    }
                }
                changed = self.orders.changed() => {
                    if changed.is_err() {
                        break;
                    }
                }
            }
        }
        self.attempts.abort_all();
        while let Some(ended) = self.attempts.join_next_with_id().await {
            self.ended(ended).await;
        }
    }
}

/// What was claimed, by the requests that it may share: at most so many of one destination, first attempts and later
/// ones apart, since they have their own places.
fn shared_requests(work: Vec<Claimed>, most: usize) -> Vec<(DestinationId, Vec<Claimed>)> {
    let mut requests: Vec<(DestinationId, Vec<Claimed>)> = Vec::with_capacity(work.len().div_ceil(most));
    let is_retry = |claimed: &Claimed| claimed.delivery.attempts > 0;
    for claimed in work {
        let joins = |(destination, others): &&mut (DestinationId, Vec<Claimed>)| {
            others.len() < most
                && *destination == claimed.id.destination
                && others.first().is_some_and(|first| is_retry(first) == is_retry(&claimed))
        };
        // First attempts are handed out before later ones, so what takes one more is among the last.
        match requests.iter_mut().rev().take(2).find(joins) {
            Some((_, others)) => others.push(claimed),
            None => requests.push((claimed.id.destination.clone(), vec![claimed])),
        }
    }
    requests
}

/// What is recorded of a delivery whose request had left when its attempt was cut off: what became of it no one knows,
/// and it is due again at once.
fn cut_off(lease: OpenLease, at: Time) -> AttemptOutcome {
    let OpenLease { id, token, attempts, .. } = lease;
    let reason = RetryReason::NoAnswer(NoAnswer::CutOff);
    let verdict = ReplyVerdict::Retry { reason, after_ms: None, hold_ms: None };
    let (state, attempt) = (DeliveryState::Waiting { due: at }, Attempt::unsent(at, verdict));
    AttemptOutcome { id, lease: token, attempt, state, attempts, observed: None, repeat: lease.repeat }
}
