//! Who may be connected: each address has its share, and when all places are taken the connection that has
//! been idle longest ends for the next.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use slab::Slab;

use super::wire::idle::Idle;

/// An address gets at most this part of all connections.
const SHARE: usize = 8;
/// How many of the longest idle connections are found at one look.
const FOUND: usize = 64;
/// A look that found none is not repeated sooner, and no second connection is closed for the same newcomer.
pub const PATIENCE: Duration = Duration::from_millis(50);

/// The connections of one listener.
pub struct Connections {
    most: usize,
    share: usize,
    epoch: Instant,
    seats: Mutex<Seats>,
}

#[derive(Default)]
struct Seats {
    taken: Slab<Seat>,
    /// Addresses with connections that are counted.
    homes: HashMap<IpAddr, Home>,
    oldest: Oldest,
    /// When a connection was last asked to leave.
    displaced: Option<Instant>,
    /// Connections that were asked to leave and are still there.
    leaving: usize,
}

struct Seat {
    idle: Arc<Idle>,
    /// Whose share it counts against; `None` where the address is exempt, or it was asked to leave.
    home: Option<IpAddr>,
}

#[derive(Default)]
struct Home {
    connections: usize,
    oldest: Oldest,
}

/// The longest idle connections, as they were at one look; those found are still the longest idle ones later,
/// as far as they have not moved since.
#[derive(Default)]
struct Oldest {
    /// Since when each is idle, and its seat; the oldest first.
    found: VecDeque<(u64, usize)>,
    /// When a look found none.
    none_at: Option<Instant>,
}

/// What becomes of a new connection.
pub enum Admission {
    /// It is served; the place is free again when this is dropped.
    Seated(Seated),
    /// All places are taken: try again in a moment. Whether the longest idle connection was asked to leave.
    Full { displaced: bool },
    /// Its address has its share, and every connection of it has a request under way.
    OverShare,
}

/// A taken place.
pub struct Seated {
    connections: Arc<Connections>,
    number: usize,
    pub idle: Arc<Idle>,
    /// Whether another connection of the address was asked to leave for this one.
    pub is_at_share: bool,
}

impl Connections {
    /// At most `most` connections, at least 1.
    pub fn new(most: usize, now: Instant) -> Arc<Connections> {
        let most = most.max(1);
        Arc::new(Connections { most, share: (most / SHARE).max(1), epoch: now, seats: Mutex::default() })
    }

    /// Takes a place for a connection that counts against `home`'s share, if against any.
    pub fn admit(self: &Arc<Self>, home: Option<IpAddr>, now: Instant) -> Admission {
        let mut seats = self.seats.lock();
        let is_at_share =
            |home: &IpAddr| seats.homes.get(home).is_some_and(|counted| counted.connections >= self.share);
        let at_share = home.filter(is_at_share);
        if at_share.is_some_and(|home| !seats.displace_of(home, now)) {
            return Admission::OverShare;
        }
        if seats.taken.len() >= self.most {
            // Where one of its own was asked to leave, that is the place to wait for.
            let displaced = at_share.is_none() && seats.displace(now);
            return Admission::Full { displaced };
        }
        let idle = Arc::new(Idle::new(self.epoch, now));
        let number = seats.take(Seat { idle: Arc::clone(&idle), home });
        Admission::Seated(Seated {
            connections: Arc::clone(self),
            number,
            idle,
            is_at_share: at_share.is_some(),
        })
    }

    /// Asks the longest idle connection to leave: the system has no room for more. Whether there was one.
    pub fn displace(&self, now: Instant) -> bool {
        self.seats.lock().displace(now)
    }
}

impl Drop for Seated {
    fn drop(&mut self) {
        self.connections.seats.lock().give_back(self.number);
    }
}

impl Seats {
    fn take(&mut self, seat: Seat) -> usize {
        if let Some(home) = seat.home {
            self.homes.entry(home).or_default().connections += 1;
        }
        self.taken.insert(seat)
    }

    fn give_back(&mut self, number: usize) {
        let Some(seat) = self.taken.try_remove(number) else { return };
        if seat.idle.is_leaving() {
            self.leaving = self.leaving.saturating_sub(1);
        }
        self.discount(seat.home);
    }

    fn discount(&mut self, home: Option<IpAddr>) {
        let Some(home) = home else { return };
        let Some(counted) = self.homes.get_mut(&home) else { return };
        counted.connections -= 1;
        if counted.connections == 0 {
            self.homes.remove(&home);
        }
    }

    /// Asks the longest idle connection to leave, unless one that was asked a moment ago is still there.
    fn displace(&mut self, now: Instant) -> bool {
        let lately = self.displaced.is_some_and(|at| now.saturating_duration_since(at) < PATIENCE);
        if self.leaving > 0 && lately {
            return false;
        }
        let found = self.oldest.next(&self.taken, None, now);
        self.ask_to_leave(found, now)
    }

    /// Asks the longest idle connection of an address to leave, and no longer counts it.
    fn displace_of(&mut self, home: IpAddr, now: Instant) -> bool {
        let Some(counted) = self.homes.get_mut(&home) else { return false };
        let found = counted.oldest.next(&self.taken, Some(home), now);
        self.ask_to_leave(found, now)
    }

    fn ask_to_leave(&mut self, number: Option<usize>, now: Instant) -> bool {
        let Some(seat) = number.and_then(|number| self.taken.get_mut(number)) else { return false };
        seat.idle.ask_to_leave();
        metrics::counter!("postbridge_connections_closed_total", "which" => "idle").increment(1);
        let home = seat.home.take();
        self.leaving += 1;
        self.displaced = Some(now);
        self.discount(home);
        true
    }
}

impl Oldest {
    /// The longest idle connection, of `home` where one is given.
    fn next(&mut self, taken: &Slab<Seat>, home: Option<IpAddr>, now: Instant) -> Option<usize> {
        let since = |seat: &Seat| {
            let is_ours = !seat.idle.is_leaving() && home.is_none_or(|home| seat.home == Some(home));
            seat.idle.since().filter(|_| is_ours)
        };
        for may_look in [true, false] {
            while let Some((was, number)) = self.found.pop_front() {
                if taken.get(number).and_then(since) == Some(was) {
                    return Some(number);
                }
            }
            let looked = self.none_at.is_some_and(|at| now.saturating_duration_since(at) < PATIENCE);
            if looked || !may_look {
                return None;
            }
            let mut found: Vec<(u64, usize)> =
                taken.iter().filter_map(|(number, seat)| Some((since(seat)?, number))).collect();
            if found.len() > FOUND {
                found.select_nth_unstable(FOUND);
                found.truncate(FOUND);
            }
            found.sort_unstable();
            self.none_at = found.is_empty().then_some(now);
            self.found = found.into();
        }
        None
    }
}
