//! The clock that no one sets, as a store is given it: by it leases run out, and commits are measured.

use std::sync::Arc;
use std::time::Duration;

/// How much time has passed since some moment, by a clock that no one sets and that never goes back.
pub type MonotonicClock = Arc<dyn Fn() -> Duration + Send + Sync>;

/// A clock that is stopped: by it no lease runs out, and no commit takes long.
pub fn stopped_clock() -> MonotonicClock {
    Arc::new(|| Duration::ZERO)
}
