//! One log line a minute for what may happen thousands of times a second.

use std::time::{Duration, Instant};

const MINUTE: Duration = Duration::from_secs(60);

/// Counts something between two lines. The first is due at once, further ones a minute after the last.
#[derive(Debug, Default)]
pub struct OnceAMinute {
    times: u64,
    logged: Option<Instant>,
}

impl OnceAMinute {
    /// Counts once more what the next line says.
    pub fn note(&mut self) {
        self.times = self.times.saturating_add(1);
    }

    /// When a line is due; `None` while there is nothing to say.
    pub fn due_at(&self, now: Instant) -> Option<Instant> {
        let after = |logged: Instant| logged.checked_add(MINUTE).unwrap_or(now);
        (self.times > 0).then(|| self.logged.map_or(now, after))
    }

    /// How many times since the last line, where a line is due.
    pub fn take(&mut self, now: Instant) -> Option<u64> {
        self.due_at(now).filter(|due| *due <= now)?;
        self.logged = Some(now);
        Some(std::mem::take(&mut self.times))
    }
}
