//! How much may leave in a second, counted in requests or in events.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::clock::Clock as _;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

pub use crate::template::destination::batch::RateUnit;

/// The rate of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SendRate {
    /// How many a second.
    pub per_second: NonZeroU32,
    /// Of what.
    pub unit: RateUnit,
}

/// The rate of one worker, and a permission that was taken and not used yet.
pub struct Limiter {
    shared: SharedRate,
    /// The rate that it keeps.
    pub rate: SendRate,
    held: bool,
}

/// The same rate for what a request needs besides the first permission: clones share it.
#[derive(Clone)]
pub struct SharedRate {
    inner: Arc<DefaultDirectRateLimiter>,
    unit: RateUnit,
    burst: NonZeroU32,
}

impl Limiter {
    /// A limiter that lets this much begin in a second.
    pub fn new(rate: SendRate) -> Limiter {
        // A twentieth of a second's worth may go at once: below that a timer's grain would be the
        // limit, above it the first second would see far more than was asked for.
        let burst = NonZeroU32::new(rate.per_second.get() / 20).unwrap_or(NonZeroU32::MIN);
        let inner = RateLimiter::direct(Quota::per_second(rate.per_second).allow_burst(burst));
        let shared = SharedRate { inner: Arc::new(inner), unit: rate.unit, burst };
        Limiter { shared, rate, held: false }
    }

    /// How many requests may begin at one time.
    pub fn burst(&self) -> usize {
        self.shared.burst.get() as usize
    }

    /// For what is sent besides.
    pub fn shared(&self) -> SharedRate {
        self.shared.clone()
    }

    /// The most events that a request carries so that it need not wait much longer than a second for its turn.
    pub fn most_events(&self) -> usize {
        match self.rate.unit {
            RateUnit::Requests => usize::MAX,
            RateUnit::Events => self.rate.per_second.get() as usize,
        }
    }

    /// How long until one more may leave; takes the permission when that is now.
    pub fn take(&mut self) -> Option<Duration> {
        if self.held {
            return None;
        }
        let inner = &self.shared.inner;
        match inner.check() {
            Ok(()) => {
                self.held = true;
                None
            }
            Err(not_yet) => Some(not_yet.wait_time_from(inner.clock().now())),
        }
    }

    /// Waits until a request with this many events may leave, and uses the permission that was taken.
    pub async fn use_for(&mut self, events: usize) {
        if !std::mem::take(&mut self.held) {
            self.shared.wait_for(1).await;
        }
        if self.shared.unit == RateUnit::Events {
            self.shared.wait_for(events.saturating_sub(1)).await;
        }
    }
}

impl SharedRate {
    /// Waits until one more request with this many events may leave.
    pub async fn request(&self, events: usize) {
        match self.unit {
            RateUnit::Requests => self.wait_for(1).await,
            RateUnit::Events => self.wait_for(events).await,
        }
    }

    async fn wait_for(&self, permissions: usize) {
        let mut left = u32::try_from(permissions).unwrap_or(u32::MAX);
        while let Some(some) = NonZeroU32::new(left.min(self.burst.get())) {
            match self.inner.check_n(some) {
                Ok(Ok(())) => left -= some.get(),
                Ok(Err(not_yet)) => {
                    tokio::time::sleep(not_yet.wait_time_from(self.inner.clock().now())).await;
                }
                // No more than a burst is asked for at once.
                Err(_too_many) => return,
            }
        }
    }
}
