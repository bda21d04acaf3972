//! The time by which records age: it never goes back, and a clock that was wrong ages nothing. Pure: the clock
//! rule moves it on.

use serde::{Deserialize, Serialize};

use crate::domain::time::{BEFORE_FIRST_USE, HOUR_MS, Time};

/// How far the wall clock may be from the time that was believed last, in milliseconds.
pub const FAR_MS: i64 = 48 * HOUR_MS;

/// A record is deleted once it has been kept for its days of this time, which counts
///
/// - what the wall clock shows, while it is believed and near to what it showed before (48 h);
/// - what the monotonic clock shows, while the wall clock is not believed;
/// - the way from the latest time ever believed to a later one that is believed far from it, as after a
///   machine was off for a month; but only for what was received before the wall clock was last settled:
///   believed, not behind a time that was believed before, and at a time at which this program existed. For
///   what was received since then such a jump says that the clock was wrong, not that time passed.
///
/// When the believed time goes back it stays: after a little until that has caught up, after more it goes on from
/// there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgeClock {
    /// The time by which records age; it never goes back.
    pub now: Time,
    /// What it would be, had it gone back with the wall clock: never after `now`.
    pub shown: Time,
    /// How far it is ahead of the believed time, in milliseconds: since that went back far.
    pub ahead_ms: i64,
    /// All jumps to times believed far from those before, in milliseconds.
    pub jumped_ms: i64,
}

impl AgeClock {
    /// Begins where `believed` is the first time that is.
    pub fn at(believed: Time) -> AgeClock {
        let now = believed.max(BEFORE_FIRST_USE);
        AgeClock { now, shown: now, ahead_ms: now.millis_since(believed), jumped_ms: 0 }
    }

    /// The wall clock is believed and shows this.
    pub fn follow(&mut self, wall: Time) {
        self.show(wall.plus_millis(self.ahead_ms));
    }

    /// No time was believed for so many milliseconds of running.
    pub fn run(&mut self, millis: i64) {
        self.show(self.shown.plus_millis(millis.max(0)));
    }

    /// Another time is believed from now on, wherever it is.
    pub fn jump(&mut self, believed: Time) {
        let now = self.now.max(believed);
        self.jumped_ms = self.jumped_ms.saturating_add(now.millis_since(self.now));
        let ahead = now.millis_since(believed);
        (self.now, self.ahead_ms) = (now, if ahead > FAR_MS { ahead } else { 0 });
        self.shown = believed.plus_millis(self.ahead_ms);
    }

    fn show(&mut self, shown: Time) {
        (self.shown, self.now) = (shown, self.now.max(shown));
    }
}
