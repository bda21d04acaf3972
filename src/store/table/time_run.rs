//! Where the times of numbered records go back: between two such places they rise, so that a list by time
//! can end early in each of them, and looks past what a wrong clock wrote.

use serde::{Deserialize, Serialize};

use crate::domain::time::{DAY_MS, Time};

/// Within a run a time may lie this much below an earlier one, in milliseconds.
const SLACK_MS: i64 = DAY_MS;

/// By how much the times of a run are known, in milliseconds: when a store is opened the newest time of
/// the run that goes on is that of its last record.
const KNOWN_MS: i64 = DAY_MS;

/// The most runs that are remembered: they are written whole each time. What is before them is looked
/// through whole.
const MOST: usize = 400;

/// One stretch of records whose times rise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct TimeRun {
    first: u64,
    newest: Time,
}

/// All stretches, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Runs {
    runs: Vec<TimeRun>,
    /// Runs were forgotten, so nothing is known of what is before the first.
    forgotten: bool,
}

/// Where a list goes on that has met nothing but what is too old.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OlderThanKept {
    /// Nothing before is young enough.
    Nothing,
    /// Below this number there may be something.
    Below(u64),
    /// It is not known: the list goes on where it is.
    Unknown,
}

impl Runs {
    /// Takes note of a record. Answers whether a new run begins with it.
    pub fn note(&mut self, number: u64, at: Time) -> bool {
        if let Some(last) = self.runs.last_mut() {
            if !Runs::goes_back(last.newest, at) {
                last.newest = last.newest.max(at);
                return false;
            }
            if self.runs.len() >= MOST {
                self.runs.remove(0);
                self.forgotten = true;
            }
        }
        self.runs.push(TimeRun { first: number, newest: at });
        true
    }

    /// Whether a run ends, whose newest time this is, before a record of time `at`.
    pub fn goes_back(newest: Time, at: Time) -> bool {
        at < newest.plus_millis(-SLACK_MS)
    }

    /// The newest time of the run that goes on.
    pub fn newest(&self) -> Option<Time> {
        self.runs.last().map(|run| run.newest)
    }

    /// A time before which nothing older of the same run can be wanted, where `since` is.
    pub fn end_of(since: Time) -> Time {
        since.plus_millis(-SLACK_MS - KNOWN_MS)
    }

    /// Where a list of what was received at `since` or later goes on, that has met at `number` nothing but what is
    /// before [`Runs::end_of`] that.
    pub fn older(&self, number: u64, since: Time) -> OlderThanKept {
        let within = self.runs.partition_point(|run| run.first <= number);
        // Before the first known run, or in none: nothing is known.
        let Some(mut end) = within.checked_sub(1).and_then(|at| self.runs.get(at)).map(|run| run.first)
        else {
            return if self.forgotten { OlderThanKept::Unknown } else { OlderThanKept::Nothing };
        };
        for run in self.runs.iter().take(within.saturating_sub(1)).rev() {
            if run.newest.plus_millis(KNOWN_MS) >= since {
                return OlderThanKept::Below(end);
            }
            end = run.first;
        }
        if self.forgotten { OlderThanKept::Below(end) } else { OlderThanKept::Nothing }
    }
}
