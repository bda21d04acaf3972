//! Who may be connected: each address has its share, and when all places are taken one that waits for its client
//! ends for the next.
//!
//! Those that rest between two requests go first, the longest first; where none rests, those that have sent
//! half a request (or do not take their answers), of the address with the most places, exempt ones last. One
//! whose request is being answered never goes. An address with a good part of its share is a *crowd*: its
//! connections go before all others, or a few addresses could press out the rest of the world.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use slab::Slab;

use crate::http1::idle::{Idle, IdlePhase};

/// An address gets at most this part of all connections.
const SHARE: usize = 8;
/// An address is a crowd from this part of its share on…
const CROWD: usize = 8;
/// …and with so many connections at least.
const LEAST_CROWD: usize = 8;
/// How many of the connections that go next are found at one look.
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

struct Seats {
    taken: Slab<Seat>,
    /// Addresses with connections that are counted.
    homes: HashMap<IpAddr, HomeConnections>,
    /// An address with so many connections is a crowd.
    crowd: usize,
    /// How many addresses are.
    crowds: usize,
    resting: ClosingOrder,
    halfway: ClosingOrder,
    exempt_halfway: ClosingOrder,
    resting_of_crowds: ClosingOrder,
    halfway_of_crowds: ClosingOrder,
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
struct HomeConnections {
    connections: usize,
    resting: ClosingOrder,
}

/// The connections of one sort that go next, as they were at one look; those found still go next later, as far
/// as their turns have not changed since.
#[derive(Default)]
struct ClosingOrder {
    /// The turn of each, and its seat.
    found: VecDeque<(ClosingTurn, usize)>,
    /// When a look found none.
    none_at: Option<Instant>,
}

/// The order in which connections of one sort go: by a rank, then since when each waits.
type ClosingTurn = (usize, u64);

/// What becomes of a new connection.
pub enum Admission {
    /// It is served; the place is free again when this is dropped.
    Seated(Seated),
    /// All places are taken: try again in a moment.
    Full {
        /// Whether a connection was asked to leave.
        displaced: bool,
    },
    /// Its address has its share, and every connection of it has a request under way.
    OverShare,
}

/// A taken place.
pub struct Seated {
    connections: Arc<Connections>,
    number: usize,
    /// Whose share it counts against, if anyone's.
    pub home: Option<IpAddr>,
    /// How the connection is asked to leave.
    pub idle: Arc<Idle>,
    /// Whether another connection of the address was asked to leave for this one.
    pub is_at_share: bool,
}

impl Connections {
    /// At most `most` connections, at least 1.
    pub fn new(most: usize, now: Instant) -> Arc<Connections> {
        let most = most.max(1);
        let share = (most / SHARE).max(1);
        let seats = Seats {
            taken: Slab::new(),
            homes: HashMap::new(),
            crowd: (share / CROWD).max(LEAST_CROWD),
            crowds: 0,
            resting: ClosingOrder::default(),
            halfway: ClosingOrder::default(),
            exempt_halfway: ClosingOrder::default(),
            resting_of_crowds: ClosingOrder::default(),
            halfway_of_crowds: ClosingOrder::default(),
            displaced: None,
            leaving: 0,
        };
        Arc::new(Connections { most, share, epoch: now, seats: Mutex::new(seats) })
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
            home,
            idle,
            is_at_share: at_share.is_some(),
        })
    }

    /// Asks one connection to leave: the system has no room for more. Whether there was one.
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
            let counted = self.homes.entry(home).or_default();
            counted.connections += 1;
            self.crowds += usize::from(counted.connections == self.crowd);
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
        self.crowds -= usize::from(counted.connections == self.crowd);
        counted.connections -= 1;
        if counted.connections == 0 {
            self.homes.remove(&home);
        }
    }

    /// Asks one connection to leave, unless one that was asked a moment ago is still there.
    fn displace(&mut self, now: Instant) -> bool {
        let lately = self.displaced.is_some_and(|at| now.saturating_duration_since(at) < PATIENCE);
        if self.leaving > 0 && lately {
            return false;
        }
        let found = self.next_to_leave(now);
        self.ask_to_leave(found, now)
    }

    fn next_to_leave(&mut self, now: Instant) -> Option<usize> {
        let Seats { taken, homes, crowd, crowds, .. } = self;
        let count = |home: IpAddr| homes.get(&home).map_or(0, |home| home.connections);
        let is_crowd = |seat: &Seat| seat.home.is_some_and(|home| count(home) >= *crowd);
        let resting = |seat: &Seat| waiting(seat, IdlePhase::Resting, now).map(|since| (0, since));
        let exempt = |seat: &Seat| {
            waiting(seat, IdlePhase::Halfway, now).filter(|_| seat.home.is_none()).map(|since| (0, since))
        };
        // The most places first.
        let halfway = |seat: &Seat| {
            let home = seat.home?;
            waiting(seat, IdlePhase::Halfway, now).map(|since| (usize::MAX - count(home), since))
        };
        let mut found = None;
        if *crowds > 0 {
            let of_crowd = |seat: &Seat| resting(seat).filter(|_| is_crowd(seat));
            found = self.resting_of_crowds.next(taken, now, of_crowd);
            if found.is_none() {
                let of_crowd = |seat: &Seat| halfway(seat).filter(|_| is_crowd(seat));
                found = self.halfway_of_crowds.next(taken, now, of_crowd);
            }
        }
        found
            .or_else(|| self.resting.next(taken, now, resting))
            .or_else(|| self.halfway.next(taken, now, halfway))
            .or_else(|| self.exempt_halfway.next(taken, now, exempt))
    }

    /// Asks the longest resting connection of an address to leave, and no longer counts it.
    fn displace_of(&mut self, home: IpAddr, now: Instant) -> bool {
        let Some(counted) = self.homes.get_mut(&home) else { return false };
        let turn = |seat: &Seat| {
            let since = waiting(seat, IdlePhase::Resting, now).filter(|_| seat.home == Some(home));
            since.map(|since| (0, since))
        };
        let found = counted.resting.next(&self.taken, now, turn);
        self.ask_to_leave(found, now)
    }

    fn ask_to_leave(&mut self, number: Option<usize>, now: Instant) -> bool {
        let Some(seat) = number.and_then(|number| self.taken.get_mut(number)) else { return false };
        let Some((waits, _)) = seat.idle.waits() else { return false };
        seat.idle.ask_to_leave(waits);
        let which = if waits == IdlePhase::Resting { "idle" } else { "halfway" };
        metrics::counter!("postbridge_connections_closed_total", "which" => which).increment(1);
        let home = seat.home.take();
        self.leaving += 1;
        self.displaced = Some(now);
        self.discount(home);
        true
    }
}

/// Since when a connection that may be asked to leave waits for this.
fn waiting(seat: &Seat, on: IdlePhase, now: Instant) -> Option<u64> {
    let (waits, since) = seat.idle.waits()?;
    // A wait may count from a later time on.
    (waits == on && !seat.idle.is_leaving() && since <= seat.idle.number_of(now)).then_some(since)
}

impl ClosingOrder {
    /// The one of these connections whose turn it is; `turn` is `None` for all others.
    fn next(
        &mut self,
        taken: &Slab<Seat>,
        now: Instant,
        turn: impl Fn(&Seat) -> Option<ClosingTurn>,
    ) -> Option<usize> {
        for may_look in [true, false] {
            while let Some((was, number)) = self.found.pop_front() {
                if taken.get(number).and_then(&turn) == Some(was) {
                    return Some(number);
                }
            }
            let looked = self.none_at.is_some_and(|at| now.saturating_duration_since(at) < PATIENCE);
            if looked || !may_look {
                return None;
            }
            let mut found: Vec<(ClosingTurn, usize)> =
                taken.iter().filter_map(|(number, seat)| Some((turn(seat)?, number))).collect();
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
