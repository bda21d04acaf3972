//! What is counted as deliveries happen. The handles of one destination, looked up once; all outgoing
//! postbacks are counted as one, for there may be thousands.

use std::collections::BTreeSet;

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

use crate::dispatch::decide::{ACCEPTED, DELIVERED, SettledAttempt};
use crate::domain::code::ReasonCode;
use crate::domain::delivery::DeliveryState;
use crate::domain::delivery_reason::{DeathCode, ParkCode, RetryCode};
use crate::domain::skip::SkipCode;

/// The counters of one destination. Labels are the destination's id and the code of a reason.
pub struct Meters {
    attempts: Vec<(&'static str, Counter)>,
    dead: Vec<(&'static str, Counter)>,
    skipped: Vec<(&'static str, Counter)>,
    late: Counter,
    attempt_seconds: Histogram,
    first_seconds: Histogram,
    later_seconds: Histogram,
    in_flight: Gauge,
    parked: Gauge,
    open: Gauge,
    hold: Gauge,
}

/// What of a receiver's health an operator must see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Alarms {
    pub parked: bool,
    /// Its breaker is open.
    pub open: bool,
    /// It asked for a wait that has not passed.
    pub hold: bool,
}

impl Meters {
    /// Made after the recorder is installed: handles bind to the recorder of their time.
    pub fn new(destination: &str) -> Meters {
        let name = || destination.to_owned();
        Meters {
            attempts: each(
                attempt_codes(),
                |code| counter!("postbridge_attempts_total", "destination" => name(), "reason_code" => code),
            ),
            dead: each(
                DeathCode::words(),
                |code| counter!("postbridge_dead_total", "destination" => name(), "reason_code" => code),
            ),
            skipped: each(
                SkipCode::words(),
                |code| counter!("postbridge_skipped_total", "destination" => name(), "reason_code" => code),
            ),
            late: counter!("postbridge_late_attempts_total", "destination" => name()),
            attempt_seconds: histogram!("postbridge_attempt_seconds", "destination" => name()),
            first_seconds: histogram!("postbridge_delivery_seconds", "destination" => name(), "try" => "first"),
            later_seconds: histogram!("postbridge_delivery_seconds", "destination" => name(), "try" => "retry"),
            in_flight: gauge!("postbridge_in_flight", "destination" => name()),
            parked: gauge!("postbridge_parked", "destination" => name()),
            open: gauge!("postbridge_breaker_open", "destination" => name()),
            hold: gauge!("postbridge_on_hold", "destination" => name()),
        }
    }

    /// Counts what was recorded. `since_arrival_ms`: from the conversion's arrival to now.
    pub fn recorded(&self, settled: &SettledAttempt, took_ms: u32, since_arrival_ms: i64) {
        count(&self.attempts, settled.code());
        match &settled.state {
            DeliveryState::Delivered { .. } => {
                self.attempt_seconds.record(f64::from(took_ms) / 1e3);
                #[allow(clippy::cast_precision_loss)] // Milliseconds far below 2^52.
                let whole = since_arrival_ms.max(0) as f64;
                let first = settled.attempts <= 1;
                let histogram = if first { &self.first_seconds } else { &self.later_seconds };
                histogram.record(whole / 1e3);
            }
            DeliveryState::Dead { .. } => count(&self.dead, settled.code()),
            DeliveryState::Skipped { .. } => count(&self.skipped, settled.code()),
            DeliveryState::Waiting { .. } | DeliveryState::Held { .. } | DeliveryState::Confirming { .. } => {
                self.attempt_seconds.record(f64::from(took_ms) / 1e3);
            }
        }
    }

    /// An attempt was recorded when another had its delivery.
    pub fn late(&self) {
        self.late.increment(1);
    }

    pub fn sending(&self, begins: bool) {
        if begins { self.in_flight.increment(1.0) } else { self.in_flight.decrement(1.0) }
    }

    /// A receiver turned from `before` to `after`.
    pub fn health(&self, before: Alarms, after: Alarms) {
        turn(&self.parked, before.parked, after.parked);
        turn(&self.open, before.open, after.open);
        turn(&self.hold, before.hold, after.hold);
    }
}

/// Counted, not set: several receivers may stand behind one gauge.
fn turn(gauge: &Gauge, before: bool, after: bool) {
    match (before, after) {
        (false, true) => gauge.increment(1.0),
        (true, false) => gauge.decrement(1.0),
        _ => {}
    }
}

/// All that an attempt can be counted as, each once.
fn attempt_codes() -> BTreeSet<&'static str> {
    let reasons = RetryCode::words().chain(ParkCode::words()).chain(DeathCode::words());
    [DELIVERED, ACCEPTED].into_iter().chain(reasons).chain(SkipCode::words()).collect()
}

/// A counter for each code, there from the start: one that first appears with its first count has no
/// earlier value, and a monitor sees no increase.
fn each(
    codes: impl IntoIterator<Item = &'static str>,
    counter: impl Fn(&'static str) -> Counter,
) -> Vec<(&'static str, Counter)> {
    codes.into_iter().map(|code| (code, counter(code))).collect()
}

fn count(counters: &[(&'static str, Counter)], code: &'static str) {
    if let Some((_, counter)) = counters.iter().find(|(known, _)| *known == code) {
        counter.increment(1);
    }
}
