//! What one worker may take: how its places are shared between first attempts and retries.

use crate::domain::time::Time;

/// How long a queue that was found empty is taken to be so, in milliseconds, unless something wakes
/// the worker: the other queue may keep it busy meanwhile.
const DRY_MS: i64 = 1_000;

/// How many of each kind to ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ShareRequest {
    /// How many deliveries that were never tried.
    pub fresh: usize,
    /// How many that were tried before.
    pub retries: usize,
}

impl ShareRequest {
    /// The same for places of which each has room for this many.
    #[must_use]
    pub fn times(self, deliveries: usize) -> ShareRequest {
        ShareRequest {
            fresh: self.fresh.saturating_mul(deliveries),
            retries: self.retries.saturating_mul(deliveries),
        }
    }
}

/// The places of one destination. Retries may hold at most three quarters of them, so that there
/// is always one for a first attempt; while both are due, retries get one new place in four, so
/// that they move on too.
#[derive(Debug, Clone)]
pub struct Shares {
    places: usize,
    fresh_dry_until: Option<Time>,
    retries_dry_until: Option<Time>,
    turn: usize,
}

impl Shares {
    /// Shares of this many places.
    pub fn new(places: usize) -> Shares {
        Shares { places: places.max(1), fresh_dry_until: None, retries_dry_until: None, turn: 0 }
    }

    /// Takes another number of places; what is in flight keeps its own.
    pub fn resize(&mut self, places: usize) {
        self.places = places.max(1);
    }

    /// The most retries in flight. A single place is used by both in turn.
    pub fn most_retries(&self) -> usize {
        self.places - (self.places / 4).max(1).min(self.places - 1)
    }

    /// What to ask for with this many in flight, `retrying` of them retries, and never more than
    /// `most` at once. `None`: no place is free, or nothing is known to be due.
    pub fn ask(&mut self, in_flight: usize, retrying: usize, most: usize, now: Time) -> Option<ShareRequest> {
        let free = self.places.saturating_sub(in_flight).min(most);
        let room = self.most_retries().saturating_sub(retrying).min(free);
        let fresh_dry = self.fresh_dry_until.is_some_and(|until| now < until);
        let retries_dry = self.retries_dry_until.is_some_and(|until| now < until) || room == 0;
        if free == 0 {
            return None;
        }
        match (fresh_dry, retries_dry) {
            (true, true) => None,
            (true, false) => Some(ShareRequest { fresh: 0, retries: room }),
            (false, true) => Some(ShareRequest { fresh: free, retries: 0 }),
            (false, false) => {
                self.turn = self.turn.wrapping_add(1);
                let quarter = if free >= 4 { free / 4 } else { usize::from(self.turn.is_multiple_of(4)) };
                let retries = quarter.min(room);
                Some(ShareRequest { fresh: free - retries, retries })
            }
        }
    }

    /// Remembers which queue had less than was asked for.
    pub fn got(&mut self, wanted: ShareRequest, got: ShareRequest, next_due: Option<Time>, now: Time) {
        let soon = now.plus_millis(DRY_MS);
        let until = next_due.filter(|due| *due > now).map_or(soon, |due| due.min(soon));
        if wanted.fresh > got.fresh {
            self.fresh_dry_until = Some(until);
        }
        if wanted.retries > got.retries {
            self.retries_dry_until = Some(until);
        }
    }

    /// Something may be due again.
    pub fn news(&mut self) {
        self.fresh_dry_until = None;
        self.retries_dry_until = None;
    }
}
