//! How one target is doing, and what that wakes and shows: its worker, its gauges, the log.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::dispatch::health::{HealthEffect, HealthTracker, SendGate};
use crate::dispatch::meters::{Alarms, Meters};
use crate::domain::delivery::ReplyVerdict;
use crate::domain::delivery_reason::ParkReason;
use crate::domain::destination_state::Hold;
use crate::domain::time::Time;

/// Attempts under way at once to one host of outgoing postbacks.
pub const HOST_PLACES: usize = 32;

/// The health of a target and who must hear of it.
pub struct TargetHealth {
    /// As logs name it: a destination's id or a host.
    name: String,
    health: Mutex<HealthTracker>,
    meters: Arc<Meters>,
    /// What wakes its worker.
    worker: Arc<Notify>,
    has_worker: AtomicBool,
    /// What the gauges say.
    shown: Mutex<Alarms>,
}

impl TargetHealth {
    /// That of a target whose worker is woken by `worker` when it may be sent to again.
    pub fn new(
        name: String,
        health: HealthTracker,
        meters: Arc<Meters>,
        worker: Arc<Notify>,
    ) -> TargetHealth {
        TargetHealth {
            name,
            health: Mutex::new(health),
            meters,
            worker,
            has_worker: AtomicBool::new(true),
            shown: Mutex::default(),
        }
    }

    /// A target that no one sends to is neither parked nor broken: its alarm would stay for ever.
    pub fn leave(&self, now: Time) {
        self.has_worker.store(false, Ordering::Release);
        self.show(now);
    }

    /// As [`HealthTracker::gate`].
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

    /// As [`HealthTracker::awaits_token`].
    pub fn awaits_token(&self, now: Time) -> Option<Time> {
        self.health.lock().awaits_token(now)
    }

    /// The account got a token, and what was asked with it was answered.
    pub fn signed_in(&self, now: Time) {
        self.turn(now, |health| {
            health.signed_in();
            false
        });
    }

    /// There is reason to believe that a refused account is good again: if it is parked, what waits longest is sent at
    /// once to ask. Answers whether it is so.
    pub fn probe_now(&self, now: Time) -> bool {
        let mut health = self.health.lock();
        let is_parked = health.parked().is_some();
        if is_parked {
            health.renewed(false, now);
        }
        drop(health);
        if is_parked {
            self.poke();
        }
        is_parked
    }

    /// Takes the turn to probe; false where another attempt has it.
    pub fn probe_begins(&self) -> bool {
        self.health.lock().probe_begins()
    }

    /// The probe ended without an answer: wakes the worker, which may send another.
    pub fn probe_is_void(&self) {
        self.health.lock().probe_is_void();
        self.poke();
    }

    /// Takes note of an answer, logs what changed by it, and wakes the worker where it may send now.
    pub fn classified(&self, verdict: &ReplyVerdict, standing: HealthEffect, now: Time) {
        self.turn(now, |health| {
            health.classified(verdict, standing, now);
            standing.probe
        });
    }

    /// Logs and shows what changes by this, and wakes the worker then, or where `change` answers that it matters to it.
    fn turn(&self, now: Time, change: impl FnOnce(&mut HealthTracker) -> bool) {
        let mut health = self.health.lock();
        let (before, was_asked) = (alarms(&health, now), health.awaits_probe());
        let matters = change(&mut health);
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
        if before != after || matters {
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
        let has_worker = self.has_worker.load(Ordering::Acquire);
        let alarms = if has_worker { alarms(&self.health.lock(), now) } else { Alarms::default() };
        self.meters.health(*shown, alarms);
        *shown = alarms;
    }

    fn poke(&self) {
        self.worker.notify_one();
    }
}

fn alarms(health: &HealthTracker, now: Time) -> Alarms {
    Alarms {
        parked: health.parked().is_some(),
        open: health.open_until().is_some(),
        hold: health.hold(now).is_some(),
    }
}
