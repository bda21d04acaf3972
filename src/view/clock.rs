//! The clock: whether it is believed, by which retention goes.

use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::clock_rule::Doubt;
use crate::domain::time::Time;
use crate::view::reason::ReasonView;
use crate::view::schema::TimeText;

/// The clock, and whether retention goes by it.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Clock")]
pub struct ClockView {
    #[schemars(with = "TimeText")]
    now: Time,
    /// `running` or `paused`.
    retention: &'static str,
    /// Why it is paused.
    #[serde(flatten)]
    doubted: ReasonView,
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
            doubted: doubt.map(ReasonView::of).unwrap_or_default(),
            believed: doubt.map(|doubt| doubt.believed),
            until: doubt.map(|doubt| doubt.until),
        }
    }
}
