//! When a delivery is tried again, and when to give up. Pure: jitter is a hash, `now` an argument.

use sha2::{Digest, Sha256};

use crate::domain::delivery_reason::LimitKind;
use crate::domain::ids::DeliveryId;
use crate::domain::time::{DAY_MS, HOUR_MS, Time};

/// The longest wait that a platform may ask for, in milliseconds.
pub const LONGEST_ASKED_MS: i64 = DAY_MS;

/// How long a platform without an age limit is tried, from the conversion's arrival. By then a
/// person has to look; the dead letter can be retried at any later time.
pub const PATIENCE_MS: i64 = 30 * DAY_MS;

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

/// By what a delivery is too old.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AgeRule {
    /// The oldest event that the platform takes, in milliseconds; without it our own patience.
    Counts(Option<i64>),
    /// The clock is not believed, so nothing is too old by it: the platform decides.
    Suspended,
}

/// The last moment at which an event may be sent, and why then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// Inclusive: what is due at this moment is still sent.
    pub until: Time,
    /// What set it: the platform's age or our patience. Only the former keeps an event from being sent.
    pub kind: LimitKind,
}

impl Limit {
    /// The limit for an event: the platform's age counts from when it happened, our patience from
    /// when it arrived.
    pub fn of(max_age_ms: Option<i64>, event_time: Time, received_at: Time) -> Limit {
        match max_age_ms {
            Some(age) => Limit { until: event_time.plus_millis(age), kind: LimitKind::PlatformAge(age) },
            None => {
                Limit { until: received_at.plus_millis(PATIENCE_MS), kind: LimitKind::Patience(PATIENCE_MS) }
            }
        }
    }

    /// Whether it is too late to send at `now`. Patience only ends retries: what a person retries
    /// after a year is sent once.
    pub fn is_over(&self, now: Time) -> bool {
        matches!(self.kind, LimitKind::PlatformAge(_)) && now > self.until
    }
}
