//! What is remembered of each destination since the start. One that was never sent to costs nothing.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::dispatch::decide::SettledAttempt;
use crate::domain::delivery::ReplyVerdict;
use crate::domain::ids::DestinationId;
use crate::domain::sent::ConfirmationCounts;
use crate::domain::time::{LineLimit, Time};

/// What is remembered of one destination.
#[derive(Debug, Clone, Default)]
pub struct DestinationTally {
    /// Attempts that run at this moment.
    pub in_flight: u64,
    /// Whether a request was sent to it; one of before the start is not remembered here.
    pub is_tried: bool,
    /// Deliveries that were taken.
    pub delivered: u64,
    /// The same, by how certain that is.
    pub confirmations: ConfirmationCounts,
    /// The latest attempt that was to be repeated, died or parked the destination: when, and what it was.
    pub last_error: Option<(Time, ReplyVerdict)>,
    /// The log lines about its dead deliveries.
    pub dead_lines: LineLimit,
    /// Before then no test event is sent to it, by the clock that no one sets.
    pub next_test: Duration,
}

impl DestinationTally {
    /// Takes note of an attempt that ended.
    pub fn note(&mut self, settled: &SettledAttempt, now: Time) {
        let verdict = &settled.verdict;
        if !matches!(verdict, ReplyVerdict::Delivered { .. } | ReplyVerdict::Skipped { .. }) {
            self.last_error = Some((now, verdict.clone()));
        }
    }
}

/// The destinations that were sent to, whichever target they belong to now. Clones share it.
#[derive(Clone, Default)]
pub struct Tallies(Arc<Mutex<HashMap<DestinationId, DestinationTally>>>);

impl Tallies {
    /// Changes what is remembered of a destination.
    pub fn change<T>(
        &self,
        destination: &DestinationId,
        change: impl FnOnce(&mut DestinationTally) -> T,
    ) -> T {
        let mut tallies = self.0.lock();
        if let Some(tally) = tallies.get_mut(destination) {
            return change(tally);
        }
        change(tallies.entry(destination.clone()).or_default())
    }

    /// As it is now.
    pub fn of(&self, destination: &DestinationId) -> DestinationTally {
        self.0.lock().get(destination).cloned().unwrap_or_default()
    }

    /// Forgets those that are neither configured any more nor being sent to.
    pub fn keep(&self, is_configured: impl Fn(&DestinationId) -> bool) {
        self.0.lock().retain(|destination, tally| tally.in_flight > 0 || is_configured(destination));
    }
}
