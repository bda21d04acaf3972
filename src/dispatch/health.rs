//! Whether a destination may be sent to now: proven, parked, on hold, or kept back by its breaker. Pure.

use crate::dispatch::breaker::{Breaker, BreakerPermit, BreakerRule};
use crate::domain::delivery::ReplyVerdict;
use crate::domain::delivery_reason::{ParkReason, RetryReason};
use crate::domain::destination_state::Hold;
use crate::domain::time::Time;

/// What a worker may do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendGate {
    /// Send what is due.
    Free,
    /// Send one delivery and wait for its answer.
    Probe(Probe),
    /// Send nothing until this moment, or until the probe's answer is in.
    Shut(Option<Time>),
}

/// What a probe asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probe {
    /// Nothing was sent since the start: is the account good?
    First,
    /// Is a platform that kept failing back? Something due asks.
    Breaker,
    /// Does a platform that asked for a wait take events again? Something due asks.
    Hold,
    /// Is the account good again? The oldest waiting delivery asks, due or not.
    Parked,
}

#[derive(Debug, Clone)]
struct Parking {
    since: Time,
    reason: ParkReason,
    next_probe: Time,
}

/// The waits by which a destination's health goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HealthRule {
    /// What share of failures pauses sending, and for how long.
    pub breaker: BreakerRule,
    /// How often a parked destination is probed, in milliseconds.
    pub probe_every_ms: i64,
    /// The longest that one answer can hold the destination, in milliseconds; longer waits are asked
    /// about again when it has passed.
    pub longest_hold_ms: i64,
}

/// How one destination is doing.
#[derive(Debug, Clone)]
pub struct HealthTracker {
    rule: HealthRule,
    breaker: Breaker,
    parked: Option<Parking>,
    /// Stays until a probe is answered, also when its time has passed.
    hold: Option<Hold>,
    /// Whether an answer since the start showed that the account is not refused.
    proven: bool,
    /// A probe is under way.
    probing: bool,
}

/// How an answered attempt bears on the destination's health.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HealthEffect {
    /// Whether the attempt was the one that was sent to ask, so that its answer lets another probe leave.
    pub probe: bool,
    /// Whether the account's settings have not been replaced since the attempt began.
    pub current: bool,
}

impl HealthTracker {
    /// `proven` where nothing is ever sent (shadow, off): there is nothing to prove.
    pub fn new(rule: HealthRule, proven: bool) -> HealthTracker {
        let breaker = Breaker::new(rule.breaker);
        HealthTracker { rule, breaker, parked: None, hold: None, proven, probing: false }
    }

    /// What a worker may do at `now`. A refused account goes before a hold, and a hold before the breaker.
    pub fn gate(&self, now: Time) -> SendGate {
        if self.probing {
            return SendGate::Shut(None);
        }
        let permits = self.breaker.permits(now);
        let breaker = match permits {
            BreakerPermit::Shut(until) => Some(until),
            BreakerPermit::Probe | BreakerPermit::Free => None,
        };
        // A probe that is further away than any was planned before the clock was set back.
        let in_time = |probe: &Time| probe.millis_since(now) <= self.rule.probe_every_ms;
        let next_probe = self.parked.as_ref().map(|park| park.next_probe).filter(in_time);
        // An account that is refused is asked about however the platform did before.
        let breaker = breaker.filter(|_| self.parked.is_none());
        let hold = self.hold(now).map(|hold| hold.until);
        let shut = [next_probe, hold, breaker].into_iter().flatten().filter(|until| now < *until).max();
        if shut.is_some() {
            return SendGate::Shut(shut);
        }
        match permits {
            _ if self.parked.is_some() => SendGate::Probe(Probe::Parked),
            _ if self.hold.is_some() => SendGate::Probe(Probe::Hold),
            BreakerPermit::Probe | BreakerPermit::Shut(_) => SendGate::Probe(Probe::Breaker),
            BreakerPermit::Free if self.proven => SendGate::Free,
            BreakerPermit::Free => SendGate::Probe(Probe::First),
        }
    }

    /// A probe leaves; no other may until it is answered. False where one is out already.
    pub fn probe_begins(&mut self) -> bool {
        !std::mem::replace(&mut self.probing, true)
    }

    /// The probe ended without an answer to classify (skipped, released): another may leave.
    pub fn probe_is_void(&mut self) {
        self.probing = false;
    }

    /// Takes note of what an answer was classified to be.
    pub fn classified(&mut self, verdict: &ReplyVerdict, standing: HealthEffect, now: Time) {
        if standing.probe {
            self.probing = false;
        }
        match verdict {
            ReplyVerdict::Park { reason } if standing.current => {
                self.park(reason, now);
                // A platform that refuses the account no longer asks for a wait.
                self.hold = self.hold.take().filter(|_| !standing.probe);
            }
            // The refusal was of settings that are no longer used.
            ReplyVerdict::Park { .. } => {}
            ReplyVerdict::Retry { reason, hold_ms: Some(asked_ms), .. } => {
                self.proven = true;
                if standing.probe {
                    self.probed_the_account(true, standing.current, now);
                }
                // It says when to come again, so it is not a platform that fails: its breaker is left alone.
                if standing.current {
                    self.hold_for(*asked_ms, reason, now);
                }
            }
            other => {
                self.proven = true;
                let failed = matches!(other, ReplyVerdict::Retry { .. });
                if standing.probe {
                    self.probed_the_account(failed, standing.current, now);
                    self.probed_the_hold(failed, now);
                    self.breaker.note_probe(failed, now);
                } else {
                    self.breaker.note(failed, now);
                }
            }
        }
    }

    /// An answer about the event says that the account is good. A failure on the way, or a platform
    /// that is down, says nothing about it: the next probe asks again.
    fn probed_the_account(&mut self, failed: bool, current: bool, now: Time) {
        match &mut self.parked {
            Some(park) if failed && current => park.next_probe = now.plus_millis(self.rule.probe_every_ms),
            // New settings were received while the probe was out: they are tried at once.
            Some(_) if failed => {}
            _ => self.parked = None,
        }
    }

    /// The same for a hold: a probe that got no answer of worth is followed by another, not by all.
    fn probed_the_hold(&mut self, failed: bool, now: Time) {
        match self.hold.as_ref().map(|hold| hold.reason.clone()) {
            Some(reason) if failed => self.hold_for(self.rule.breaker.open_ms, &reason, now),
            _ => self.hold = None,
        }
    }

    fn park(&mut self, reason: &ParkReason, now: Time) {
        let next_probe = now.plus_millis(self.rule.probe_every_ms);
        let since = self.parked.as_ref().map_or(now, |park| park.since);
        self.parked = Some(Parking { since, reason: reason.clone(), next_probe });
    }

    /// The longest wait counts that was asked for (`Retry-After`): answers of several attempts come in any order. One that was
    /// asked for before the clock was set back is over: were it to count, no later wait would be kept.
    fn hold_for(&mut self, asked_ms: i64, reason: &RetryReason, now: Time) {
        let asked_until = now.plus_millis(asked_ms.clamp(0, self.rule.longest_hold_ms));
        let until = self.hold(now).map_or(asked_until, |hold| hold.until.max(asked_until));
        let since = self.hold.as_ref().map_or(now, |hold| hold.since.min(now));
        self.hold = Some(Hold { since, until, reason: reason.clone() });
    }

    /// New settings: a parked destination is probed at once. A hold is the platform's wish and stays.
    pub fn renewed(&mut self, proven: bool, now: Time) {
        self.proven |= proven;
        if let Some(park) = &mut self.parked {
            park.next_probe = now;
        }
    }

    /// Since when and why the queue waits.
    pub fn parked(&self) -> Option<(Time, ParkReason)> {
        self.parked.as_ref().map(|park| (park.since, park.reason.clone()))
    }

    /// Until when a destination is not asked for anything whose account gets no token: the next probe.
    pub fn awaits_token(&self, now: Time) -> Option<Time> {
        let park = self.parked.as_ref().filter(|park| park.reason.is_of_sign_in())?;
        let in_time = |probe: &Time| (1..=self.rule.probe_every_ms).contains(&probe.millis_since(now));
        Some(park.next_probe).filter(in_time)
    }

    /// The account got a token: where it was parked for want of one, it is not any more.
    pub fn signed_in(&mut self) {
        self.parked = self.parked.take().filter(|park| !park.reason.is_of_sign_in());
    }

    /// The hold, while its time has not passed. One that ends later than any can was made before the
    /// clock was set back, and is over.
    pub fn hold(&self, now: Time) -> Option<&Hold> {
        let lasts = |hold: &&Hold| (1..=self.rule.longest_hold_ms).contains(&hold.until.millis_since(now));
        self.hold.as_ref().filter(lasts)
    }

    /// Whether it asked for a wait, past or not, and no probe has shown since that it takes events.
    pub fn awaits_probe(&self) -> bool {
        self.hold.is_some()
    }

    /// Until when the breaker lets nothing through, past or not; `None` while it is closed.
    pub fn open_until(&self) -> Option<Time> {
        self.breaker.open_until()
    }
}
