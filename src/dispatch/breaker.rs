//! Stops sending to a platform that fails nearly always, and tries it again with one request. Pure.

use crate::domain::time::Time;

/// When a breaker opens, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerRule {
    /// How far back requests count, in milliseconds.
    pub window_ms: i64,
    /// The fewest requests in the window that say anything.
    pub least: u32,
    /// The share of failures that opens, in percent.
    pub percent: u32,
    /// How long it stays open first; doubles with each failed probe.
    pub open_ms: i64,
    /// The longest it stays open.
    pub longest_ms: i64,
}

impl Default for BreakerRule {
    /// At least 10 requests and 70 % failures in 5 minutes: open 30 s, doubling to 15 minutes.
    fn default() -> BreakerRule {
        BreakerRule { window_ms: 300_000, least: 10, percent: 70, open_ms: 30_000, longest_ms: 900_000 }
    }
}

const BUCKETS: usize = 10;

/// One slice of the window.
#[derive(Debug, Clone, Copy, Default)]
struct WindowSlice {
    /// The number of the slice since the epoch.
    slice: i64,
    total: u32,
    failed: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BreakerState {
    Closed,
    /// Nothing leaves until then; afterwards one probe at a time.
    Open {
        until: Time,
        span_ms: i64,
    },
}

/// The breaker of one destination.
#[derive(Debug, Clone)]
pub struct Breaker {
    rule: BreakerRule,
    state: BreakerState,
    window: [WindowSlice; BUCKETS],
}

/// What a breaker lets through now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerPermit {
    /// Nothing keeps an attempt from leaving.
    Free,
    /// One request, to see whether the platform is back.
    Probe,
    /// Nothing before this moment.
    Shut(Time),
}

impl Breaker {
    /// A closed breaker: attempts leave until too many of them fail.
    pub fn new(rule: BreakerRule) -> Breaker {
        Breaker { rule, state: BreakerState::Closed, window: [WindowSlice::default(); BUCKETS] }
    }

    /// One that would stay open for longer than it can was opened before the clock was set back.
    pub fn permits(&self, now: Time) -> BreakerPermit {
        let lasts = |until: Time| {
            (1..=self.rule.longest_ms.max(self.rule.open_ms)).contains(&until.millis_since(now))
        };
        match self.state {
            BreakerState::Closed => BreakerPermit::Free,
            BreakerState::Open { until, .. } if lasts(until) => BreakerPermit::Shut(until),
            BreakerState::Open { .. } => BreakerPermit::Probe,
        }
    }

    /// Until when nothing leaves, if it is open.
    pub fn open_until(&self) -> Option<Time> {
        match self.state {
            BreakerState::Closed => None,
            BreakerState::Open { until, .. } => Some(until),
        }
    }

    /// Takes note of an answered request that was no probe. What left before the breaker opened
    /// does not count once it is open.
    pub fn note(&mut self, failed: bool, now: Time) {
        if self.state != BreakerState::Closed {
            return;
        }
        let width = (self.rule.window_ms / BUCKETS as i64).max(1);
        let slice = now.as_millis().div_euclid(width);
        let [.., place] = slice.rem_euclid(BUCKETS as i64).to_be_bytes();
        let place = usize::from(place);
        if let Some(bucket) = self.window.get_mut(place) {
            if bucket.slice != slice {
                *bucket = WindowSlice { slice, ..WindowSlice::default() };
            }
            bucket.total = bucket.total.saturating_add(1);
            bucket.failed = bucket.failed.saturating_add(u32::from(failed));
        }
        if failed && self.fails_too_often(slice) {
            self.open(self.rule.open_ms, now);
        }
    }

    /// Takes note of the probe's outcome: back to normal, or open for twice as long.
    pub fn note_probe(&mut self, failed: bool, now: Time) {
        match self.state {
            BreakerState::Open { span_ms, .. } if failed => {
                self.open(span_ms.saturating_mul(2).min(self.rule.longest_ms), now);
            }
            BreakerState::Open { .. } => {
                self.state = BreakerState::Closed;
                self.window = [WindowSlice::default(); BUCKETS];
            }
            BreakerState::Closed => self.note(failed, now),
        }
    }

    fn open(&mut self, span_ms: i64, now: Time) {
        self.state = BreakerState::Open { until: now.plus_millis(span_ms), span_ms };
    }

    fn fails_too_often(&self, slice: i64) -> bool {
        let recent = self.window.iter().filter(|bucket| slice - bucket.slice < BUCKETS as i64);
        let (total, failed) = recent.fold((0u64, 0u64), |(total, failed), bucket| {
            (total + u64::from(bucket.total), failed + u64::from(bucket.failed))
        });
        total >= u64::from(self.rule.least) && failed * 100 >= total * u64::from(self.rule.percent)
    }
}
