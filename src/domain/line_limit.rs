//! How often one kind of log line is written: once a minute, with the number of those left out. Pure.

use crate::domain::time::{MINUTE_MS, Time};

/// The lines of one kind about one thing.
#[derive(Debug, Clone, Copy, Default)]
pub struct LineLimit {
    written: Option<Time>,
    left_out: u64,
}

impl LineLimit {
    /// Whether a line is written now; then with how many were left out since the one before.
    pub fn admit(&mut self, now: Time) -> Option<u64> {
        // A clock that was set back must not silence it for as long.
        let lately = |written: Time| (0..MINUTE_MS).contains(&now.millis_since(written));
        if self.written.is_some_and(lately) {
            self.left_out = self.left_out.saturating_add(1);
            return None;
        }
        self.written = Some(now);
        Some(std::mem::take(&mut self.left_out))
    }
}
