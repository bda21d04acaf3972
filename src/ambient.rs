//! Clock and entropy: the only inputs that do not arrive in a request. Nothing else may read a clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::domain::time::Time;

/// Where `now` comes from. Cheap to clone.
#[derive(Clone)]
pub struct Clock(Source);

#[derive(Clone)]
enum Source {
    System,
    Fixed(Arc<AtomicI64>),
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Clock {
        Clock(Source::System)
    }

    /// A clock that stands still until [`Clock::set`]; for previews and tests.
    pub fn fixed(now: Time) -> Clock {
        Clock(Source::Fixed(Arc::new(AtomicI64::new(now.as_millis()))))
    }

    /// The time now, in UTC milliseconds.
    #[allow(clippy::disallowed_methods)] // This is the one place that reads the clock.
    pub fn now(&self) -> Time {
        match &self.0 {
            Source::System => {
                Time::from_millis(jiff::Timestamp::now().as_millisecond()).unwrap_or(Time::EPOCH)
            }
            Source::Fixed(now) => Time::from_millis(now.load(Ordering::SeqCst)).unwrap_or(Time::EPOCH),
        }
    }

    /// Moves a fixed clock; a system clock stays what it is.
    pub fn set(&self, now: Time) {
        if let Source::Fixed(cell) = &self.0 {
            cell.store(now.as_millis(), Ordering::SeqCst);
        }
    }
}

/// A reading of the monotonic clock, for measuring how long something took.
#[allow(clippy::disallowed_methods)] // This is the one place that reads the clock.
pub fn stopwatch() -> std::time::Instant {
    std::time::Instant::now()
}

/// Bytes nobody can guess, from the operating system.
///
/// # Errors
/// When the operating system has no entropy to give; there is no fallback.
pub fn entropy<const N: usize>() -> Result<[u8; N], getrandom::Error> {
    let mut bytes = [0u8; N];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}
