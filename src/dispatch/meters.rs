//! What is counted as deliveries happen. The handles of one destination, looked up once.

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

use crate::dispatch::decide::{Class, Settled};
use crate::domain::delivery::DeliveryState;
use crate::domain::ids::DestinationId;

/// The counters of one destination. Labels are the destination's id and a class of few values,
/// never a reason's text.
pub struct Meters {
    destination: String,
    delivered: Counter,
    retried: Counter,
    attempt_seconds: Histogram,
    first_seconds: Histogram,
    later_seconds: Histogram,
    in_flight: Gauge,
    parked: Gauge,
    open: Gauge,
}

impl Meters {
    /// Made after the recorder is installed: handles bind to the recorder of their time.
    pub fn new(destination: &DestinationId) -> Meters {
        let name = || destination.as_str().to_owned();
        Meters {
            destination: name(),
            delivered: counter!("postbridge_attempts_total", "destination" => name(), "class" => "delivered"),
            retried: counter!("postbridge_attempts_total", "destination" => name(), "class" => "retry"),
            attempt_seconds: histogram!("postbridge_attempt_seconds", "destination" => name()),
            first_seconds: histogram!("postbridge_delivery_seconds", "destination" => name(), "try" => "first"),
            later_seconds: histogram!("postbridge_delivery_seconds", "destination" => name(), "try" => "retry"),
            in_flight: gauge!("postbridge_in_flight", "destination" => name()),
            parked: gauge!("postbridge_parked", "destination" => name()),
            open: gauge!("postbridge_breaker_open", "destination" => name()),
        }
    }

    /// Counts what was recorded. `since_arrival_ms`: from the conversion's arrival to now.
    pub fn recorded(&self, settled: &Settled, took_ms: u32, since_arrival_ms: i64) {
        match settled.class {
            Class::Delivered => self.delivered.increment(1),
            Class::Retry => self.retried.increment(1),
            class => self.by_class("postbridge_attempts_total", "class", class),
        }
        match &settled.state {
            DeliveryState::Delivered { .. } => {
                self.attempt_seconds.record(f64::from(took_ms) / 1e3);
                let whole = u32::try_from(since_arrival_ms.max(0)).unwrap_or(u32::MAX);
                let first = settled.attempts <= 1;
                let histogram = if first { &self.first_seconds } else { &self.later_seconds };
                histogram.record(f64::from(whole) / 1e3);
            }
            DeliveryState::Dead { .. } => self.by_class("postbridge_dead_total", "reason", settled.class),
            DeliveryState::Skipped { .. } => {
                self.by_class("postbridge_skipped_total", "reason", settled.class);
            }
            DeliveryState::Waiting { .. } | DeliveryState::Held { .. } => {
                self.attempt_seconds.record(f64::from(took_ms) / 1e3);
            }
        }
    }

    fn by_class(&self, name: &'static str, label: &'static str, class: Class) {
        counter!(name, "destination" => self.destination.clone(), label => class.word()).increment(1);
    }

    pub fn sending(&self, begins: bool) {
        if begins { self.in_flight.increment(1.0) } else { self.in_flight.decrement(1.0) }
    }

    pub fn health(&self, parked: bool, open: bool) {
        self.parked.set(f64::from(u8::from(parked)));
        self.open.set(f64::from(u8::from(open)));
    }
}
