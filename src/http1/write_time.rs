//! How long a client may leave answers untaken: it has some time, and gets it back only by taking enough. Pure.

use std::time::{Duration, Instant};

/// A client that takes fewer bytes in a second than this runs out of time.
pub const LEAST_PER_SECOND: usize = 4096;

/// What is left of a connection's time for writing. It is counted over all its answers: a byte now and then
/// does not begin it anew.
#[derive(Debug)]
pub struct WriteTime {
    most: Duration,
    left: Duration,
    /// Since when a write has made no progress.
    blocked: Option<Instant>,
}

impl WriteTime {
    /// All of it: so long may one write take that makes no progress.
    pub fn new(most: Duration) -> WriteTime {
        WriteTime { most, left: most, blocked: None }
    }

    /// Whether nothing of it is spent.
    pub fn is_whole(&self) -> bool {
        self.blocked.is_none() && self.left == self.most
    }

    /// A write makes no progress; when the time will be over, and when `spent` of it was or will be.
    pub fn block(&mut self, now: Instant, spent: Duration) -> (Instant, Instant) {
        let since = *self.blocked.get_or_insert(now);
        let spent = self.left.saturating_sub(self.most.saturating_sub(spent));
        (since + self.left, since + spent)
    }

    /// The client has taken so many bytes. Whether it was waited for.
    pub fn take(&mut self, bytes: usize, now: Instant) -> bool {
        let since = self.blocked.take();
        let waited = since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        let millis = (bytes as u64).saturating_mul(1000) / LEAST_PER_SECOND as u64;
        let left = self.left.saturating_sub(waited).saturating_add(Duration::from_millis(millis));
        self.left = left.min(self.most);
        since.is_some()
    }
}
