//! The newest time of records that are numbered as they are received. A clock that was set back counts from there on.

use crate::domain::time::{DAY_MS, Time};

/// How much a record's time may be below an earlier one's, in milliseconds, without the clock having been set back.
const SLACK_MS: i64 = DAY_MS;

/// The newest time of what was received since the clock was set back last.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NewestTime(Option<Time>);

impl NewestTime {
    /// Takes note of a record, by number.
    pub fn note(&mut self, at: Time) {
        let went_on = self.0.filter(|newest| at >= newest.plus_millis(-SLACK_MS));
        self.0 = Some(went_on.map_or(at, |newest| newest.max(at)));
    }

    /// `None`: nothing was received.
    pub fn get(&self) -> Option<Time> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::NewestTime;
    use crate::domain::time::{DAY_MS, Time};

    #[test]
    fn a_clock_that_was_set_back_counts_from_there_on() {
        let at = |millis: i64| Time::from_millis(millis).unwrap();
        let mut newest = NewestTime::default();
        assert_eq!(newest.get(), None);
        for (received, is_newest) in [(10, 10), (7, 10), (90 * DAY_MS, 90 * DAY_MS), (11, 11), (12, 12)] {
            newest.note(at(received));
            assert_eq!(newest.get(), Some(at(is_newest)));
        }
    }
}
