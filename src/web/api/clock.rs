//! `GET /api/v1/clock` and `POST /api/v1/clock/confirm`: whether the clock is believed, by which retention
//! goes.

use serde::Serialize;

use crate::domain::clock_rule::Doubt;
use crate::domain::time::Time;
use crate::web::api::{Api, Outcome, document};

/// The clock, and whether retention goes by it.
#[derive(Serialize)]
struct ClockView {
    now: Time,
    /// `running` or `paused`.
    retention: &'static str,
    reason: Option<String>,
    /// The newest time that was believed.
    believed: Option<Time>,
    /// When the clock is believed, if both clocks of the machine agree until then.
    until: Option<Time>,
}

impl Api {
    /// The time, and whether retention is paused because it is not believed.
    pub fn clock(&self) -> Outcome {
        let doubt = self.clock.doubt();
        document(&ClockView {
            now: self.clock.now(),
            retention: if doubt.is_some() { "paused" } else { "running" },
            reason: doubt.map(|doubt| reason(&doubt)),
            believed: doubt.map(|doubt| doubt.believed),
            until: doubt.map(|doubt| doubt.until),
        })
    }

    /// The holder of the token named `actor` says that the clock is right.
    pub fn confirm_clock(&self, actor: &str) -> Outcome {
        if let Some(doubt) = self.clock.confirm() {
            let now = self.clock.now();
            tracing::warn!(
                token = actor, %now, believed = %doubt.believed,
                "the clock was confirmed: retention goes on by it"
            );
        }
        self.clock()
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
