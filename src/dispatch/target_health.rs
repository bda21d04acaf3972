//! How one receiver is doing, watched by every worker that sends to it: an ad account has one worker, the
//! host of outgoing postbacks may have thousands, which share its places, its rate and its breaker.

use std::num::NonZeroU32;
use std::sync::{Arc, Weak};

use governor::clock::Clock as _;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use parking_lot::Mutex;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use crate::dispatch::health::{HealthEffect, HealthTracker, SendGate};
use crate::dispatch::meters::{Alarms, Meters};
use crate::domain::delivery::{Hold, ReplyVerdict};
use crate::domain::delivery_reason::ParkReason;
use crate::domain::time::Time;

/// Attempts under way at once to one host of outgoing postbacks, over all its workers.
pub const HOST_PLACES: usize = 32;

/// The health of a receiver and who must hear of it.
pub struct TargetHealth {
    /// As logs name it: a destination's id or a host.
    name: String,
    health: Mutex<HealthTracker>,
    meters: Arc<Meters>,
    /// What wakes each of its workers.
    workers: Mutex<Vec<Weak<Notify>>>,
    /// What the gauges say.
    shown: Mutex<Alarms>,
    /// What the workers of a host share; `None` for an account, whose only worker counts for itself.
    target_limiter: Mutex<Option<Arc<TargetLimiter>>>,
}

impl TargetHealth {
    /// Of a receiver with one worker.
    pub fn of_account(name: String, health: HealthTracker, meters: Arc<Meters>) -> TargetHealth {
        TargetHealth {
            name,
            health: Mutex::new(health),
            meters,
            workers: Mutex::default(),
            shown: Mutex::default(),
            target_limiter: Mutex::default(),
        }
    }

    /// Of a host that many workers send to.
    pub fn of_host(name: String, health: HealthTracker, meters: Arc<Meters>) -> TargetHealth {
        let target_health = TargetHealth::of_account(name, health, meters);
        *target_health.target_limiter.lock() = Some(Arc::new(TargetLimiter::new(None)));
        target_health
    }

    /// What its workers count by.
    pub fn meters(&self) -> Arc<Meters> {
        Arc::clone(&self.meters)
    }

    /// Holds the host to this rate; what is the same already is left as it is, with all that it counted.
    pub fn limit(&self, per_second: Option<NonZeroU32>) {
        let mut target_limiter = self.target_limiter.lock();
        if target_limiter.as_ref().is_some_and(|target_limiter| target_limiter.per_second != per_second) {
            *target_limiter = Some(Arc::new(TargetLimiter::new(per_second)));
        }
    }

    /// What lets attempts out one by one; `None` for an ad account, whose worker has limits of its own.
    pub fn target_limiter(&self) -> Option<Arc<TargetLimiter>> {
        self.target_limiter.lock().clone()
    }

    /// Adds a worker, which is woken when the receiver may be sent to again.
    pub fn join(&self, worker: &Arc<Notify>, now: Time) {
        self.workers.lock().push(Arc::downgrade(worker));
        self.show(now);
    }

    /// A receiver that no one sends to is neither parked nor broken: its alarm would stay for ever.
    pub fn leave(&self, worker: &Arc<Notify>, now: Time) {
        let left = Arc::downgrade(worker);
        self.workers.lock().retain(|known| !known.ptr_eq(&left));
        self.show(now);
    }

    /// As [`HealthTracker::gate`], for all its workers together.
    pub fn gate(&self, now: Time) -> SendGate {
        let health = self.health.lock();
        let (gate, is_held) = (health.gate(now), health.hold(now).is_some());
        drop(health);
        // A hold ends by the clock, with no answer that could say so.
        if !is_held && self.shown.lock().hold {
            self.show(now);
        }
        gate
    }

    /// The wait that the receiver asked for, while it lasts.
    pub fn hold(&self, now: Time) -> Option<Hold> {
        self.health.lock().hold(now).cloned()
    }

    /// Since when and why the account is refused; `None` while it is not.
    pub fn parked(&self) -> Option<(Time, ParkReason)> {
        self.health.lock().parked()
    }

    /// As [`HealthTracker::open_until`].
    pub fn open_until(&self) -> Option<Time> {
        self.health.lock().open_until()
    }

    /// New settings were received.
    pub fn renewed(&self, proven: bool, now: Time) {
        self.health.lock().renewed(proven, now);
    }

    /// Takes the turn to probe; false where another worker has it.
    pub fn probe_begins(&self) -> bool {
        self.health.lock().probe_begins()
    }

    /// The probe ended without an answer: wakes the workers, of which another may probe.
    pub fn probe_is_void(&self) {
        self.health.lock().probe_is_void();
        self.poke();
    }

    /// Takes note of an answer, logs what changed by it, and wakes the workers where one may send now.
    pub fn classified(&self, verdict: &ReplyVerdict, standing: HealthEffect, now: Time) {
        let mut health = self.health.lock();
        let (before, was_asked) = (alarms(&health, now), health.awaits_probe());
        health.classified(verdict, standing, now);
        let (after, is_asked) = (alarms(&health, now), health.awaits_probe());
        drop(health);
        self.log(before, after);
        // Once for all the waits in a row that it asks for.
        let receiver = self.name.as_str();
        match (was_asked, is_asked) {
            (false, true) => tracing::warn!(receiver, "the platform asks for a wait: sending pauses"),
            (true, false) => tracing::info!(receiver, "the wait that was asked for is over: sending goes on"),
            _ => {}
        }
        if before != after {
            self.show(now);
        }
        if before != after || standing.probe {
            self.poke();
        }
    }

    fn log(&self, before: Alarms, after: Alarms) {
        let receiver = self.name.as_str();
        match (before.parked, after.parked) {
            (false, true) => tracing::warn!(receiver, "the account is refused: the destination is parked"),
            (true, false) => tracing::info!(receiver, "the account is taken again: sending goes on"),
            _ => {}
        }
        match (before.open, after.open) {
            (false, true) => tracing::warn!(receiver, "most attempts fail: sending pauses"),
            (true, false) => tracing::info!(receiver, "the platform is back: sending goes on"),
            _ => {}
        }
    }

    fn show(&self, now: Time) {
        // Locked first: of two that show at once the later one has the later truth.
        let mut shown = self.shown.lock();
        let watched = !self.workers.lock().is_empty();
        let alarms = if watched { alarms(&self.health.lock(), now) } else { Alarms::default() };
        self.meters.health(*shown, alarms);
        *shown = alarms;
    }

    fn poke(&self) {
        for worker in self.workers.lock().iter().filter_map(Weak::upgrade) {
            worker.notify_one();
        }
    }
}

fn alarms(health: &HealthTracker, now: Time) -> Alarms {
    Alarms {
        parked: health.parked().is_some(),
        open: health.open_until().is_some(),
        hold: health.hold(now).is_some(),
    }
}

/// The way into one host: so many at once, so many a second.
pub struct TargetLimiter {
    places: Arc<Semaphore>,
    limiter: Option<DefaultDirectRateLimiter>,
    per_second: Option<NonZeroU32>,
}

impl TargetLimiter {
    fn new(per_second: Option<NonZeroU32>) -> TargetLimiter {
        // What has a place waits for its turn while its conversion may change: with two seconds' worth
        // of places no one waits longer than that.
        let most = per_second.map(|rate| (rate.get() as usize).saturating_mul(2));
        let places = most.map_or(HOST_PLACES, |most| most.min(HOST_PLACES));
        let limiter = per_second.map(|rate| {
            let burst = NonZeroU32::new(rate.get() / 20).unwrap_or(NonZeroU32::MIN);
            RateLimiter::direct(Quota::per_second(rate).allow_burst(burst))
        });
        TargetLimiter { places: Arc::new(Semaphore::new(places)), limiter, per_second }
    }

    /// Up to `most` places that are free now.
    pub fn try_places(&self, most: usize) -> Option<OwnedSemaphorePermit> {
        let free = self.places.available_permits().min(most);
        let wanted = u32::try_from(free).ok().filter(|wanted| *wanted > 0)?;
        Arc::clone(&self.places).try_acquire_many_owned(wanted).ok()
    }

    /// One place, in the order of asking: no worker keeps another out.
    pub async fn place(&self) -> Option<OwnedSemaphorePermit> {
        // Never closed, so never refused.
        Arc::clone(&self.places).acquire_owned().await.ok()
    }

    /// Waits until the rate lets one more leave.
    pub async fn turn(&self) {
        let Some(limiter) = &self.limiter else { return };
        while let Err(not_yet) = limiter.check() {
            tokio::time::sleep(not_yet.wait_time_from(limiter.clock().now())).await;
        }
    }
}
