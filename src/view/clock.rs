//! The clock: whether it is believed, by which retention goes.

use serde::Serialize;

use crate::domain::clock_rule::Doubt;
use crate::domain::time::Time;

/// The clock, and whether retention goes by it.
#[derive(Serialize)]
pub struct ClockView {
    now: Time,
    /// `running` or `paused`.
    retention: &'static str,
    reason: Option<String>,
    /// The newest time that was believed.
    believed: Option<Time>,
    /// When the clock is believed, if both clocks of the machine agree until then.
    until: Option<Time>,
}

impl ClockView {
    pub fn of(now: Time, doubt: Option<&Doubt>) -> ClockView {
        ClockView {
            now,
            retention: if doubt.is_some() { "paused" } else { "running" },
            reason: doubt.map(reason),
            believed: doubt.map(|doubt| doubt.believed),
            until: doubt.map(|doubt| doubt.until),
        }
    }
}

/// Why retention is paused, for people.
pub fn reason(doubt: &Doubt) -> String {
    let which = if doubt.wall > doubt.believed { "after" } else { "before" };
    format!(
        "the clock shows {}, more than 48 h {which} the newest time on record ({})",
        doubt.wall, doubt.believed
    )
}
