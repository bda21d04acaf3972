//! The clock: whether it is believed, by which retention goes.

use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::clock_rule::Doubt;
use crate::domain::code::{CodedReason, ReasonCode};
use crate::domain::time::Time;
use crate::view::schema::TimeText;

/// The clock, and whether retention goes by it.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Clock")]
pub struct ClockView {
    #[schemars(with = "TimeText")]
    now: Time,
    /// `running` or `paused`.
    retention: &'static str,
    /// Why retention is paused; null while it runs.
    reason_code: Option<&'static str>,
    reason: Option<String>,
    hint: Option<String>,
    /// The newest time that was believed.
    #[schemars(with = "Option<TimeText>")]
    believed: Option<Time>,
    /// When the clock is believed, if both clocks of the machine agree until then.
    #[schemars(with = "Option<TimeText>")]
    until: Option<Time>,
}

impl ClockView {
    pub fn of(now: Time, doubt: Option<&Doubt>) -> ClockView {
        ClockView {
            now,
            retention: if doubt.is_some() { "paused" } else { "running" },
            reason_code: doubt.map(|doubt| doubt.code().as_str()),
            reason: doubt.map(CodedReason::sentence),
            hint: doubt.map(CodedReason::hint),
            believed: doubt.map(|doubt| doubt.believed),
            until: doubt.map(|doubt| doubt.until),
        }
    }
}
