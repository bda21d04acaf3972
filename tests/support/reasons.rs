//! Reasons as platforms give them, and the code of a delivery's.

use postbridge::domain::code::CodedReason;
use postbridge::domain::delivery::{DeliveryState, ReplyVerdict};
use postbridge::domain::delivery_reason::{DeathReason, ParkReason, RetryReason};
use postbridge::domain::exchange::{NoAnswer, PlatformAnswer, Said};
use postbridge::domain::skip::{SkipCode, SkipReason};
use postbridge::domain::time::Time;

fn answer(status: u16, words: &str) -> PlatformAnswer {
    PlatformAnswer { status, why: None, said: Said::Words(words.to_owned()) }
}

pub fn rejected(words: &str) -> DeathReason {
    DeathReason::PlatformRejected(answer(400, words))
}

pub fn unavailable(status: u16, words: &str) -> RetryReason {
    RetryReason::PlatformUnavailable(answer(status, words))
}

pub fn account_refused(words: &str) -> ParkReason {
    ParkReason::AccountRefused(answer(400, words))
}

/// A verdict that asks for another try by the schedule.
pub fn retry() -> ReplyVerdict {
    ReplyVerdict::Retry { reason: unavailable(503, "down"), after_ms: None, hold_ms: None }
}

/// Dead because the platform rejected it.
pub fn dead(at: Time) -> DeliveryState {
    DeliveryState::Dead { at, reason: Box::new(rejected("bad token")) }
}

pub fn skipped(at: Time, reason: SkipReason) -> DeliveryState {
    DeliveryState::Skipped { at, reason }
}

/// Why a delivery was skipped, if it was.
pub fn skip_code(state: &DeliveryState) -> Option<SkipCode> {
    match state {
        DeliveryState::Skipped { reason, .. } => Some(reason.code()),
        _ => None,
    }
}

/// A verdict on a request that left and was not answered.
pub fn no_answer_in_time() -> ReplyVerdict {
    let reason = RetryReason::NoAnswer(NoAnswer::Timeout { after_ms: 1000 });
    ReplyVerdict::Retry { reason, after_ms: None, hold_ms: None }
}
