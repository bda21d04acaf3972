//! Whether a destination may be sent to now: proven, parked, or kept back by its breaker. Pure.

use crate::dispatch::breaker::{Breaker, BreakerRule, Passage};
use crate::domain::delivery::Judgement;
use crate::domain::time::Time;

/// What a lane may do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
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
    /// Is the account good again? The oldest waiting delivery asks, due or not.
    Parked,
}

#[derive(Debug, Clone)]
struct Park {
    since: Time,
    reason: String,
    next_probe: Time,
}

/// How one destination is doing.
#[derive(Debug, Clone)]
pub struct Health {
    breaker: Breaker,
    parked: Option<Park>,
    /// Whether an answer since the start showed that the account is not refused.
    proven: bool,
    /// A probe is under way.
    probing: bool,
    probe_every_ms: i64,
}

/// How an answered attempt bears on the destination's health.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    pub probe: bool,
    /// Whether the account's settings have not been replaced since the attempt began.
    pub current: bool,
}

impl Health {
    /// `proven` where nothing is ever sent (shadow, off): there is nothing to prove.
    pub fn new(rule: BreakerRule, probe_every_ms: i64, proven: bool) -> Health {
        Health { breaker: Breaker::new(rule), parked: None, proven, probing: false, probe_every_ms }
    }

    pub fn gate(&self, now: Time) -> Gate {
        if self.probing {
            return Gate::Shut(None);
        }
        if let Some(park) = &self.parked {
            return match now < park.next_probe {
                true => Gate::Shut(Some(park.next_probe)),
                false => Gate::Probe(Probe::Parked),
            };
        }
        match self.breaker.passage(now) {
            Passage::Shut(until) => Gate::Shut(Some(until)),
            Passage::Probe => Gate::Probe(Probe::Breaker),
            Passage::Free if self.proven => Gate::Free,
            Passage::Free => Gate::Probe(Probe::First),
        }
    }

    /// A probe leaves; no other may until it is answered. False where one is out already.
    pub fn probe_begins(&mut self) -> bool {
        !std::mem::replace(&mut self.probing, true)
    }

    /// The probe ended without an answer to judge (skipped, released): another may leave.
    pub fn probe_is_void(&mut self) {
        self.probing = false;
    }

    /// Takes note of what an answer was judged to be.
    pub fn judged(&mut self, judgement: &Judgement, standing: Standing, now: Time) {
        if standing.probe {
            self.probing = false;
        }
        match judgement {
            Judgement::Park { reason } if standing.current => self.park(reason, now),
            // The refusal was of settings that are no longer used.
            Judgement::Park { .. } => {}
            other => {
                self.proven = true;
                let failed = matches!(other, Judgement::Retry { .. });
                if standing.probe {
                    self.probed_the_account(failed, standing.current, now);
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
            Some(park) if failed && current => park.next_probe = now.plus_millis(self.probe_every_ms),
            // New settings came while the probe was out: they are tried at once.
            Some(_) if failed => {}
            _ => self.parked = None,
        }
    }

    fn park(&mut self, reason: &str, now: Time) {
        let next_probe = now.plus_millis(self.probe_every_ms);
        let since = self.parked.as_ref().map_or(now, |park| park.since);
        self.parked = Some(Park { since, reason: reason.to_owned(), next_probe });
    }

    /// New settings: a parked destination is probed at once.
    pub fn renewed(&mut self, proven: bool, now: Time) {
        self.proven |= proven;
        if let Some(park) = &mut self.parked {
            park.next_probe = now;
        }
    }

    /// Since when and why the queue waits.
    pub fn parked(&self) -> Option<(Time, String)> {
        self.parked.as_ref().map(|park| (park.since, park.reason.clone()))
    }

    pub fn open_until(&self) -> Option<Time> {
        self.breaker.open_until()
    }
}
