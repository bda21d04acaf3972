//! Whether the wall clock is believed: a clock that jumps must end nothing permanently. Pure: readings are
//! arguments.

use serde::{Deserialize, Serialize};

use crate::domain::age_clock::{AgeClock, FAR_MS};
use crate::domain::code::{CodedReason, codes};
use crate::domain::time::{DAY_MS, HOUR_MS, MINUTE_MS, Time};

/// How long the wall clock and the monotonic clock must agree before a time that is far away is believed,
/// in milliseconds of running.
pub const AGREE_MS: i64 = 24 * HOUR_MS;

/// By how much the two may differ and still agree: a clock that is corrected in small steps.
const TOLERANCE_MS: i64 = MINUTE_MS;

/// Both clocks at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockReading {
    /// What the machine's clock shows.
    pub wall: Time,
    /// What the monotonic clock shows, in milliseconds since some beginning.
    pub running_ms: i64,
}

/// What of the rule survives a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockRecord {
    /// The latest time that was believed.
    pub believed: Time,
    /// The time by which records age.
    pub age: AgeClock,
    /// Present while the clock is not believed.
    pub doubt: Option<DoubtRecord>,
}

impl ClockRecord {
    /// Of a store that believes `now` from its first record on.
    pub fn new(now: Time) -> ClockRecord {
        ClockRecord { believed: now, age: AgeClock::at(now), doubt: None }
    }

    /// Whether what is received has the time by which it ages.
    pub fn is_settled(&self) -> bool {
        self.doubt.is_none() && self.age.ahead_ms == 0
    }
}

/// A wall clock that is not believed, as it was last seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DoubtRecord {
    /// What the clock showed when the doubt began.
    pub wall: Time,
    /// For how long both clocks had agreed, in milliseconds.
    pub agreed_ms: i64,
}

const SET_RIGHT: &str = "set the clock right; if it is right, as after a long pause of this machine, say so on the \
                         page Clock (`/clock`) or by `postbridge confirm-clock`";

codes! {
    /// Why a wall clock is not believed.
    ClockDoubtCode = "clock" {
        After = "clock_far_after",
            "the clock is more than 48 h after the newest time on record", SET_RIGHT;
        Before = "clock_far_before",
            "the clock is more than 48 h before the newest time on record", SET_RIGHT;
    }
}

/// A wall clock that is not believed, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Doubt {
    /// The latest time that was believed.
    pub believed: Time,
    /// What the wall clock shows.
    pub wall: Time,
    /// When it is believed, if both clocks agree until then.
    pub until: Time,
}

impl CodedReason for Doubt {
    type Code = ClockDoubtCode;

    fn code(&self) -> ClockDoubtCode {
        if self.wall > self.believed { ClockDoubtCode::After } else { ClockDoubtCode::Before }
    }

    fn sentence(&self) -> String {
        let which = match self.code() {
            ClockDoubtCode::After => "after",
            ClockDoubtCode::Before => "before",
        };
        let (shown, newest) = (self.wall, self.believed);
        format!("the clock shows {shown}, more than 48 h {which} the newest time on record ({newest})")
    }
}

/// What an observation changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockChange {
    /// The wall clock is not believed from now on.
    Doubted,
    /// It is believed again: it was set right, or agreed for long enough.
    Believed,
}

/// When a doubt that goes on is to be logged again: once for a day of either clock, and a machine that is
/// suspended or started anew every day is not silent either.
#[derive(Debug, Clone, Copy, Default)]
pub struct Reminder {
    last: Option<ClockReading>,
}

impl Reminder {
    /// Whether a line is due; there is a doubt.
    pub fn is_due(&mut self, now: ClockReading) -> bool {
        let is_due = self.last.is_none_or(|last| {
            let (ran_ms, went) = (now.running_ms - last.running_ms, now.wall.millis_since(last.wall));
            ran_ms >= DAY_MS || (went.abs() >= DAY_MS && ran_ms >= HOUR_MS)
        });
        if is_due {
            self.last = Some(now);
        }
        is_due
    }
}

/// The rule, and what it has seen.
#[derive(Debug, Clone)]
pub struct ClockRule {
    believed: Time,
    age: AgeClock,
    /// What the monotonic clock showed at the last observation; `None` before the first.
    seen_ms: Option<i64>,
    doubted: Option<Doubted>,
}

#[derive(Debug, Clone, Copy)]
struct Doubted {
    /// For how long both had agreed before `from`, in milliseconds.
    before_ms: i64,
    /// From this reading on both agree; `None` after a restart.
    from: Option<ClockReading>,
    last: ClockReading,
}

impl ClockRule {
    /// Goes on from what was kept. Without a record, `newest` is the newest time in the store; without
    /// that either, the store is new and `now` is believed.
    pub fn new(record: Option<ClockRecord>, newest: Option<Time>, now: Time) -> ClockRule {
        let record = record.unwrap_or_else(|| ClockRecord::new(newest.map_or(now, |newest| newest.min(now))));
        let doubted = record.doubt.map(|doubt| {
            // A restart takes time, and it is not the clock that lost it.
            let goes_on = (0..=FAR_MS).contains(&now.millis_since(doubt.wall));
            let before_ms = if goes_on { doubt.agreed_ms.clamp(0, AGREE_MS) } else { 0 };
            Doubted { before_ms, from: None, last: ClockReading { wall: doubt.wall, running_ms: 0 } }
        });
        ClockRule { believed: record.believed, age: record.age, seen_ms: None, doubted }
    }

    /// Takes note of what both clocks show.
    pub fn observe(&mut self, now: ClockReading) -> Option<ClockChange> {
        let ran_ms = self.ran_ms(now);
        self.seen_ms = Some(now.running_ms);
        if self.is_near(now.wall) {
            self.believed = self.believed.max(now.wall);
            self.age.follow(now.wall);
            return self.doubted.take().map(|_| ClockChange::Believed);
        }
        self.age.run(ran_ms);
        let before = self.doubted;
        let doubted = before.map_or(Doubted::at(now), |doubted| doubted.seen(now));
        if doubted.agreed_ms(now) >= AGREE_MS {
            self.confirm(now.wall);
            return Some(ClockChange::Believed);
        }
        self.doubted = Some(doubted);
        before.is_none().then_some(ClockChange::Doubted)
    }

    /// A person says that the wall clock is right.
    pub fn confirm(&mut self, wall: Time) {
        let is_step = self.is_near(wall) && wall >= self.believed;
        self.believed = wall;
        if is_step {
            self.age.follow(wall)
        } else {
            self.age.jump(wall)
        }
        self.doubted = None;
    }

    /// Whether `now` may end things permanently. It needs no observation before: a clock that jumped this
    /// very moment is not believed.
    pub fn believes(&self, now: Time) -> bool {
        self.doubted.is_none() && self.is_near(now)
    }

    /// The doubt, if there is one, as both clocks show now.
    pub fn doubt(&self, now: ClockReading) -> Option<Doubt> {
        if self.is_near(now.wall) {
            return None;
        }
        let agreed = self.doubted.map_or(0, |doubted| doubted.seen(now).agreed_ms(now));
        let until = now.wall.plus_millis(AGREE_MS.saturating_sub(agreed).max(0));
        Some(Doubt { believed: self.believed, wall: now.wall, until })
    }

    /// What is to be kept.
    pub fn record(&self, now: ClockReading) -> ClockRecord {
        let kept =
            |doubted: Doubted| DoubtRecord { wall: doubted.last.wall, agreed_ms: doubted.agreed_ms(now) };
        ClockRecord { believed: self.believed, age: self.age, doubt: self.doubted.map(kept) }
    }

    /// For how long it has run since the last observation.
    fn ran_ms(&self, now: ClockReading) -> i64 {
        self.seen_ms.map_or(0, |seen| now.running_ms.saturating_sub(seen).max(0))
    }

    fn is_near(&self, wall: Time) -> bool {
        (-FAR_MS..=FAR_MS).contains(&wall.millis_since(self.believed))
    }
}

impl Doubted {
    fn at(now: ClockReading) -> Doubted {
        Doubted { before_ms: 0, from: Some(now), last: now }
    }

    /// After another reading. Where the clocks disagree, the count begins anew; but a machine that was suspended
    /// or off for a while goes on with what it had.
    fn seen(self, now: ClockReading) -> Doubted {
        let Some(from) = self.from else { return Doubted { from: Some(now), last: now, ..self } };
        if apart_ms(from, now).abs() <= TOLERANCE_MS {
            return Doubted { last: now, ..self };
        }
        if (TOLERANCE_MS + 1..=FAR_MS).contains(&apart_ms(self.last, now)) {
            return Doubted { before_ms: self.agreed_ms(self.last), from: Some(now), last: now };
        }
        Doubted::at(now)
    }

    fn agreed_ms(self, now: ClockReading) -> i64 {
        let here = self.from.map_or(0, |from| now.running_ms.saturating_sub(from.running_ms));
        self.before_ms.saturating_add(here)
    }
}

/// By how much more the wall clock has moved from one reading to a later one than the monotonic clock.
fn apart_ms(earlier: ClockReading, later: ClockReading) -> i64 {
    later.wall.millis_since(earlier.wall) - (later.running_ms - earlier.running_ms)
}
