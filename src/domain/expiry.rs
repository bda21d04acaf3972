//! When an event is too old for a platform, and how a delivery of it ends then: decided here alone. Pure.

use crate::domain::conversion::Conversion;
use crate::domain::delivery::{Delivery, DeliveryState, ReplyVerdict};
use crate::domain::delivery_reason::{DeathReason, LimitKind};
use crate::domain::skip::SkipReason;
use crate::domain::time::{DAY_MS, Time};

/// How long a platform without an age limit is tried, from the first attempt. By then a person has to look; the dead
/// letter can be retried at any later time.
pub const PATIENCE_MS: i64 = 7 * DAY_MS;

/// Whether the time may end a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AgeRule {
    /// What is too old ends.
    Counts,
    /// The clock is not believed, so nothing is too old by it: the platform decides.
    Suspended,
}

impl AgeRule {
    /// By whether the clock is believed.
    pub fn by(clock_is_believed: bool) -> AgeRule {
        if clock_is_believed { AgeRule::Counts } else { AgeRule::Suspended }
    }
}

/// How a delivery ends of which nothing is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndedUnsent {
    /// Not to be sent as things are.
    Skipped(SkipReason),
    /// It was to be sent, and cannot be any more.
    Dead(DeathReason),
}

impl EndedUnsent {
    /// The delivery's state from then on.
    pub fn state(&self, now: Time) -> DeliveryState {
        match self {
            EndedUnsent::Skipped(reason) => DeliveryState::Skipped { at: now, reason: reason.clone() },
            EndedUnsent::Dead(reason) => DeliveryState::Dead { at: now, reason: Box::new(reason.clone()) },
        }
    }

    /// What the attempt is kept with at which it ended.
    pub fn verdict(self) -> ReplyVerdict {
        match self {
            EndedUnsent::Skipped(reason) => ReplyVerdict::Skipped { reason },
            EndedUnsent::Dead(reason) => ReplyVerdict::Dead { reason },
        }
    }
}

/// How old an event and its click may be that a platform takes, in milliseconds; `None`: of any age.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AgeLimits {
    /// Since the event happened.
    pub event_ms: Option<i64>,
    /// Since the click.
    pub click_ms: Option<i64>,
}

impl AgeLimits {
    /// The last moment at which the conversion is taken. `click`: when its click was, where it is at hand; where it has
    /// one that is not, its part is as it was `before`. Without a click that part says nothing.
    pub fn expires_at(
        &self,
        conversion: &Conversion,
        click: Option<Time>,
        before: Option<Time>,
    ) -> Option<Time> {
        let by_event = expires_at(conversion.event_time, self.event_ms);
        let by_click = match (self.click_ms, click) {
            (Some(age), Some(click)) => Some(click.plus_millis(age)),
            (Some(_), None) if conversion.attribution.click().is_some() => before,
            _ => None,
        };
        by_event.into_iter().chain(by_click).min()
    }

    /// That the conversion is too old at `now`; `None` where it is not. At the very moment it is still sent.
    pub fn too_old(&self, conversion: &Conversion, click: Option<Time>, now: Time) -> Option<SkipReason> {
        let event = || too_old(conversion.event_time, expires_at(conversion.event_time, self.event_ms), now);
        let click = || {
            let click_end = ClickEnd { click: click?, max_age_ms: self.click_ms? };
            (now > click_end.at()).then(|| click_end.skipped())
        };
        event().or_else(click)
    }
}

/// When a click becomes too old for a platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClickEnd {
    /// When the click was.
    pub click: Time,
    /// How old it may be.
    pub max_age_ms: i64,
}

impl ClickEnd {
    /// The last moment at which the platform takes its conversions.
    fn at(self) -> Time {
        self.click.plus_millis(self.max_age_ms)
    }

    fn skipped(self) -> SkipReason {
        SkipReason::StaleClick { click_time: self.click, max_age_ms: self.max_age_ms }
    }

    fn dead(self) -> DeathReason {
        DeathReason::StaleClick { click_time: self.click, max_age_ms: self.max_age_ms }
    }
}

/// The last moment at which a platform takes an event that happened then; `None`: it takes one of any age.
pub fn expires_at(event_time: Time, max_age_ms: Option<i64>) -> Option<Time> {
    max_age_ms.map(|age| event_time.plus_millis(age))
}

/// That an event is too old at `now` for what expires then; `None` where it is not. At the very moment at which it
/// expires it is still sent.
pub fn too_old(event_time: Time, expires_at: Option<Time>, now: Time) -> Option<SkipReason> {
    let expires_at = expires_at.filter(|expires_at| now > *expires_at)?;
    Some(SkipReason::TooOld { event_time, max_age_ms: expires_at.millis_since(event_time) })
}

/// How a delivery ends whose event or click is too old at `now`; `None` where neither is. `click_end`: the click's, where
/// it has one and the platform a limit.
///
/// - What was too old when it first fell due could never have been sent in time: it is skipped.
/// - What grew too old while it waited here is dead; a change that was never tried is skipped.
pub fn expired(
    delivery: &Delivery,
    event_time: Time,
    click_end: Option<ClickEnd>,
    now: Time,
) -> Option<EndedUnsent> {
    let expires_at = delivery.expires_at.filter(|expires_at| now > *expires_at)?;
    let max_age_ms = expires_at.millis_since(event_time);
    // A change was in time for nothing while it waited for its first.
    let was_in_time = !delivery.kind.is_change()
        && matches!(delivery.state, DeliveryState::Waiting { due } if due <= expires_at);
    let by_click = click_end.filter(|click_end| click_end.at() == expires_at);
    Some(match (delivery.attempts > 0 || was_in_time, by_click) {
        (true, Some(click_end)) => EndedUnsent::Dead(click_end.dead()),
        (false, Some(click_end)) => EndedUnsent::Skipped(click_end.skipped()),
        (true, None) => EndedUnsent::Dead(DeathReason::TooOld { event_time, max_age_ms }),
        (false, None) => EndedUnsent::Skipped(SkipReason::TooOld { event_time, max_age_ms }),
    })
}

/// The last moment at which a failed attempt is repeated, and what sets it: the platform's age, which counts from
/// when the event or its click happened, else our patience, which counts from the first attempt; the one that failed
/// `now` where none did before. Patience ends retries alone: what a person retries after a year is sent once.
pub fn last_retry(
    delivery: &Delivery,
    conversion: &Conversion,
    click_end: Option<ClickEnd>,
    now: Time,
) -> (Time, LimitKind) {
    let by_click = |until: Time| click_end.filter(|click_end| click_end.at() == until);
    match delivery.expires_at {
        Some(until) => match by_click(until) {
            Some(click_end) => (until, LimitKind::ClickAge(click_end.max_age_ms)),
            None => (until, LimitKind::PlatformAge(until.millis_since(conversion.event_time))),
        },
        None => {
            let first = delivery.first_attempt_at.unwrap_or(now);
            (first.plus_millis(PATIENCE_MS), LimitKind::Patience(PATIENCE_MS))
        }
    }
}
