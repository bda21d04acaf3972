//! How much may leave in a second, counted in requests or in events.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::clock::Clock as _;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use parking_lot::Mutex;

pub use crate::template::destination::batch::RateUnit;

/// The rate of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SendRate {
    /// How many a second.
    pub per_second: NonZeroU32,
    /// Of what.
    pub unit: RateUnit,
}

/// The rate of a target for its worker, and a permission that was taken and not used yet.
pub struct Limiter {
    shared: SharedRate,
    held: bool,
}

/// The rate of a target: clones share it.
#[derive(Clone)]
pub struct SharedRate {
    inner: Arc<DefaultDirectRateLimiter>,
    rate: SendRate,
    burst: NonZeroU32,
}

/// The rate of a target as it is configured now, for all who send to it.
#[derive(Default)]
pub struct TargetRate(Mutex<KeptRate>);

#[derive(Default)]
struct KeptRate {
    generation: u64,
    rate: Option<SharedRate>,
}

impl TargetRate {
    /// What keeps the rate that the settings of this generation have, or later ones that were seen before. As long as the
    /// rate is the same, what was used up stays so.
    pub fn keeping(&self, (rate, generation): (Option<SendRate>, u64)) -> Option<SharedRate> {
        let mut kept = self.0.lock();
        if generation >= kept.generation {
            kept.generation = generation;
            if kept.rate.as_ref().map(|kept| kept.rate) != rate {
                kept.rate = rate.map(SharedRate::new);
            }
        }
        kept.rate.clone()
    }
}

impl Limiter {
    /// Of a worker that has taken no permission yet.
    pub fn of(shared: SharedRate) -> Limiter {
        Limiter { shared, held: false }
    }

    /// The rate that it keeps.
    pub fn rate(&self) -> SendRate {
        self.shared.rate
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
        match self.shared.rate.unit {
            RateUnit::Requests => usize::MAX,
            RateUnit::Events => self.shared.rate.per_second.get() as usize,
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
        if self.shared.rate.unit == RateUnit::Events {
            self.shared.wait_for(events.saturating_sub(1)).await;
        }
    }
}

impl SharedRate {
    /// One that lets this much begin in a second.
    pub fn new(rate: SendRate) -> SharedRate {
        // A twentieth of a second's worth may go at once: below that a timer's grain would be the
        // limit, above it the first second would see far more than was asked for.
        let burst = NonZeroU32::new(rate.per_second.get() / 20).unwrap_or(NonZeroU32::MIN);
        let inner = RateLimiter::direct(Quota::per_second(rate.per_second).allow_burst(burst));
        SharedRate { inner: Arc::new(inner), rate, burst }
    }

    /// Waits until one more request with this many events may leave.
    pub async fn request(&self, events: usize) {
        match self.rate.unit {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(per_second: u32) -> Option<SendRate> {
        NonZeroU32::new(per_second).map(|per_second| SendRate { per_second, unit: RateUnit::Requests })
    }

    #[test]
    fn all_who_send_to_a_target_share_its_rate_until_that_is_another() {
        let target = TargetRate::default();
        let limiter =
            |per_second, generation| Limiter::of(target.keeping((rate(per_second), generation)).unwrap());
        let [mut one, mut other] = [(); 2].map(|()| limiter(1, 1));
        assert_eq!(one.take(), None);
        assert!(other.take().is_some(), "the second's permission is used");
        assert!(limiter(1, 2).take().is_some(), "also after a reload that leaves the rate as it is");
        let mut faster = limiter(2, 3);
        assert_eq!(faster.take(), None);
        assert!(limiter(1, 2).take().is_some(), "what has not heard of the reload keeps to the later rate");
        assert_eq!(target.keeping((None, 3)).map(|kept| kept.rate.per_second.get()), None);
    }
}
