//! How many deliveries of one worker may leave in a second.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::Clock as _;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

/// The rate of one worker, and a permission that was taken and not used yet.
pub struct Limiter {
    inner: DefaultDirectRateLimiter,
    pub per_second: NonZeroU32,
    pub burst: NonZeroU32,
    held: bool,
}

impl Limiter {
    pub fn new(per_second: NonZeroU32) -> Limiter {
        // A twentieth of a second's worth may go at once: below that a timer's grain would be the
        // limit, above it the first second would see far more than was asked for.
        let burst = NonZeroU32::new(per_second.get() / 20).unwrap_or(NonZeroU32::MIN);
        let inner = RateLimiter::direct(Quota::per_second(per_second).allow_burst(burst));
        Limiter { inner, per_second, burst, held: false }
    }

    /// How long until one more may leave; takes the permission when that is now.
    pub fn take(&mut self) -> Option<Duration> {
        if self.held {
            return None;
        }
        match self.inner.check() {
            Ok(()) => {
                self.held = true;
                None
            }
            Err(not_yet) => Some(not_yet.wait_time_from(self.inner.clock().now())),
        }
    }

    /// The permission is used by one that leaves.
    pub fn used(&mut self) {
        self.held = false;
    }
}
