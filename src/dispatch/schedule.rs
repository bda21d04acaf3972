//! When a delivery is tried again, and when to give up. Pure: jitter is a hash, `now` an argument.

use sha2::{Digest, Sha256};

use crate::domain::ids::DeliveryId;
use crate::domain::time::{DAY_MS, HOUR_MS, Time};

/// The longest wait that a platform may ask for, in milliseconds.
pub const LONGEST_ASKED_MS: i64 = DAY_MS;

/// The waits between attempts, in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// The waits after the first, second… failed attempt.
    pub steps: Vec<i64>,
    /// The wait after every later one.
    pub then_every: i64,
}

impl Default for Schedule {
    /// 5 s, 30 s, 2 m, 10 m, 30 m, 1 h, 2 h, 4 h, 8 h, then every 12 h.
    fn default() -> Schedule {
        const SECOND: i64 = 1_000;
        const MINUTE: i64 = 60 * SECOND;
        Schedule {
            steps: vec![
                5 * SECOND,
                30 * SECOND,
                2 * MINUTE,
                10 * MINUTE,
                30 * MINUTE,
                HOUR_MS,
                2 * HOUR_MS,
                4 * HOUR_MS,
                8 * HOUR_MS,
            ],
            then_every: 12 * HOUR_MS,
        }
    }
}

impl Schedule {
    /// The wait after `attempt` (1 and up) has failed, before jitter.
    pub fn wait_ms(&self, attempt: u32) -> i64 {
        let index = attempt.max(1) as usize - 1;
        self.steps.get(index).copied().unwrap_or(self.then_every)
    }

    /// When to try again after `attempt` (1 and up) has failed at `now`: the wait, plus 0–25 % by hash
    /// of delivery and attempt, and never before the platform's own `after_ms`
    /// (`Retry-After`, and what else the template reads a wait from).
    pub fn next(&self, id: &DeliveryId, attempt: u32, now: Time, after_ms: Option<i64>) -> Time {
        let wait = self.wait_ms(attempt);
        let jittered = wait.saturating_add(jitter_ms(id, attempt, wait));
        let asked_ms = after_ms.unwrap_or(0).clamp(0, LONGEST_ASKED_MS);
        now.plus_millis(jittered.max(asked_ms))
    }
}

/// 0 to a quarter of `wait`: the same for the same delivery and attempt, spread over all others.
fn jitter_ms(id: &DeliveryId, attempt: u32, wait: i64) -> i64 {
    let mut hash = Sha256::new();
    hash.update(id.to_string());
    hash.update(attempt.to_be_bytes());
    let [a, b, c, d, ..]: [u8; 32] = hash.finalize().into();
    let part = i64::from(u32::from_be_bytes([a, b, c, d]));
    let quarter = wait.max(0) / 4;
    // The product is below 2^63 for any wait below 272 years.
    quarter.saturating_mul(part) / i64::from(u32::MAX)
}
