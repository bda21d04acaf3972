//! Clock and entropy: the only inputs that do not arrive in a request. Nothing else may read a clock.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, OnceLock};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::domain::clock_rule::{ClockChange, ClockReading, ClockRecord, ClockRule, Doubt};
use crate::domain::time::Time;

/// The source of `now`, and whether it is believed. Cheap to clone; clones are one clock.
#[derive(Clone)]
pub struct Clock {
    source: ClockSource,
    /// `None`: it is believed whatever it shows, as in previews.
    rule: Arc<Mutex<Option<ClockRule>>>,
}

#[derive(Clone)]
enum ClockSource {
    System,
    Fixed(Arc<Fixed>),
}

/// Both clocks of a machine that exists in tests only.
struct Fixed {
    wall: AtomicI64,
    running_ms: AtomicI64,
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Clock {
        Clock { source: ClockSource::System, rule: Arc::default() }
    }

    /// A clock that does not move until [`Clock::set`] or [`Clock::run`]; for previews and tests.
    pub fn fixed(now: Time) -> Clock {
        let fixed = Fixed { wall: AtomicI64::new(now.as_millis()), running_ms: AtomicI64::new(0) };
        Clock { source: ClockSource::Fixed(Arc::new(fixed)), rule: Arc::default() }
    }

    /// The time now, in UTC milliseconds.
    #[allow(clippy::disallowed_methods)] // This is the one place that reads the clock.
    pub fn now(&self) -> Time {
        match &self.source {
            ClockSource::System => {
                Time::from_millis(jiff::Timestamp::now().as_millisecond()).unwrap_or(Time::EPOCH)
            }
            ClockSource::Fixed(fixed) => {
                Time::from_millis(fixed.wall.load(Ordering::SeqCst)).unwrap_or(Time::EPOCH)
            }
        }
    }

    /// Both clocks now: the time, and for how long the process runs.
    pub fn reading(&self) -> ClockReading {
        ClockReading { wall: self.now(), running_ms: self.running_ms() }
    }

    /// For how many milliseconds the process runs, by a clock that no one sets.
    pub fn running_ms(&self) -> i64 {
        // It takes 292 million years to be too long.
        i64::try_from(self.running().as_millis()).unwrap_or(i64::MAX)
    }

    /// For how long the process runs, by a clock that no one sets.
    pub fn running(&self) -> Duration {
        static BEGAN: LazyLock<Instant> = LazyLock::new(stopwatch);
        match &self.source {
            ClockSource::System => BEGAN.elapsed(),
            ClockSource::Fixed(fixed) => {
                Duration::from_millis(fixed.running_ms.load(Ordering::SeqCst).max(0).unsigned_abs())
            }
        }
    }

    /// [`Clock::running`], for those who measure by it.
    pub fn monotonic(&self) -> Arc<dyn Fn() -> Duration + Send + Sync> {
        let clock = self.clone();
        Arc::new(move || clock.running())
    }

    /// Sets a fixed clock, as a person does who sets the wall clock; a system clock stays what it is.
    pub fn set(&self, now: Time) {
        if let ClockSource::Fixed(fixed) = &self.source {
            fixed.wall.store(now.as_millis(), Ordering::SeqCst);
        }
    }

    /// Lets time pass on a fixed clock.
    pub fn run(&self, millis: i64) {
        if let ClockSource::Fixed(fixed) = &self.source {
            fixed.wall.fetch_add(millis, Ordering::SeqCst);
            fixed.running_ms.fetch_add(millis, Ordering::SeqCst);
        }
    }

    /// From now on a far jump is not believed: by what was kept of earlier runs, or else by the newest time
    /// that is stored.
    pub fn go_by(&self, record: Option<ClockRecord>, newest: Option<Time>) {
        *self.rule.lock() = Some(ClockRule::new(record, newest, self.now()));
    }

    /// Looks at both clocks, and says whether that changed what is believed.
    pub fn observe(&self) -> Option<ClockChange> {
        let now = self.reading();
        self.rule.lock().as_mut().and_then(|rule| rule.observe(now))
    }

    /// Whether this time, which it showed, may end things permanently.
    pub fn believes(&self, now: Time) -> bool {
        self.rule.lock().as_ref().is_none_or(|rule| rule.believes(now))
    }

    /// The doubt about the time that it shows, if there is one.
    pub fn doubt(&self) -> Option<Doubt> {
        let now = self.reading();
        self.rule.lock().as_ref().and_then(|rule| rule.doubt(now))
    }

    /// A person says that the time it shows is right. Answers the doubt that this ended.
    pub fn confirm(&self) -> Option<Doubt> {
        let now = self.reading();
        let mut rule = self.rule.lock();
        let rule = rule.as_mut()?;
        let doubt = rule.doubt(now);
        rule.confirm(now.wall);
        doubt
    }

    /// What is to be kept for the next start.
    pub fn record(&self) -> Option<ClockRecord> {
        let now = self.reading();
        self.rule.lock().as_ref().map(|rule| rule.record(now))
    }
}

/// A reading of the monotonic clock, for measuring how long something took.
#[allow(clippy::disallowed_methods)] // This is the one place that reads the clock.
pub fn stopwatch() -> Instant {
    Instant::now()
}

/// 128 bits that are given once, by this process and by every other: random where a process begins, and then counted
/// on from there. Cheaper than [`entropy`], for ids that need not be hard to guess.
///
/// # Errors
/// As [`entropy`].
pub fn distinct() -> Result<u128, getrandom::Error> {
    /// Odd, so that none is given twice; as good as random, so that the low bits and the high ones differ each time.
    const STEP: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;
    static FIRST: OnceLock<u128> = OnceLock::new();
    static GIVEN: AtomicU64 = AtomicU64::new(0);
    let first = match FIRST.get() {
        Some(first) => *first,
        None => {
            let drawn = u128::from_be_bytes(entropy()?);
            *FIRST.get_or_init(|| drawn)
        }
    };
    let given = GIVEN.fetch_add(1, Ordering::Relaxed);
    Ok(first.wrapping_add(STEP.wrapping_mul(u128::from(given))))
}

/// Bytes no one can guess, from the operating system.
///
/// # Errors
/// When the operating system has no entropy to give; there is no fallback.
pub fn entropy<const N: usize>() -> Result<[u8; N], getrandom::Error> {
    let mut bytes = [0u8; N];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_two_callers_are_given_the_same_bits_nor_the_same_half_of_them() {
        let given: Vec<u128> = (0..10_000).map(|_| distinct().unwrap()).collect();
        assert_eq!(given.iter().collect::<HashSet<_>>().len(), given.len());
        assert_eq!(given.iter().map(|bits| *bits as u64).collect::<HashSet<_>>().len(), given.len());
    }
}
