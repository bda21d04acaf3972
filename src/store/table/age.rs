//! When records were received, by the time that they age by: whatever time they bear, nothing is purged young.

use serde::{Deserialize, Serialize};

use crate::domain::clock_rule::ClockRecord;
use crate::domain::time::{DAY_MS, MINUTE_MS, Time};

/// How much may pass between the time that a record bears and its commit, in milliseconds.
const COMMIT_MS: i64 = MINUTE_MS;

/// The most marks that are kept, one for a day: they are written whole each time. Beyond that old ones are thinned
/// out.
const MOST_MARKS: usize = 240;

/// What a record is known by in the order of all records of its kind.
#[derive(Debug, Clone, Copy)]
pub enum AgeKey {
    Postback(u64),
    Click(u64),
    /// How many marks there had been.
    Marks(u64),
}

/// The numbers that the next records have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NextNumbers {
    pub postback: u64,
    pub click: u64,
}

/// A moment of the time by which records age, and which records had been received.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct AgeMark {
    at: Time,
    postback: u64,
    click: u64,
    nth: u64,
    /// Since the mark before it what was received bears the time by which it ages.
    steady: bool,
}

impl AgeMark {
    /// Whether it was made before that record was received.
    fn is_before(&self, record: AgeKey) -> bool {
        match record {
            AgeKey::Postback(number) => self.postback <= number,
            AgeKey::Click(number) => self.click <= number,
            AgeKey::Marks(made) => self.nth < made,
        }
    }
}

/// What is kept of the time by which records age. See [`AgeClock`](crate::domain::age_clock::AgeClock).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ages {
    marks: Vec<AgeMark>,
    /// How many marks were ever made.
    made: u64,
    /// Since the last mark something may have been received with another time.
    wavered: bool,
}

impl Ages {
    /// How many marks were ever made.
    pub fn made(&self) -> u64 {
        self.made
    }

    /// When a record was received that bears the time `at`, by the time it ages by: never before it was, and
    /// where `at` is wrong up to a day after. `None`: after the last mark.
    pub fn received(&self, record: AgeKey, at: Time) -> Option<Time> {
        let next = self.marks.partition_point(|mark| mark.is_before(record));
        let is_after = |number: usize| {
            let before = number.checked_sub(1).and_then(|number| self.marks.get(number));
            before.is_none_or(|mark| mark.at.plus_millis(-COMMIT_MS) <= at)
        };
        match self.marks.get(next) {
            None => is_after(next).then_some(at),
            Some(mark) if mark.steady => {
                let is_within = is_after(next) && at <= mark.at.plus_millis(COMMIT_MS);
                // Else the clock was set before anything took note of it: it belongs to what follows.
                if is_within { Some(at) } else { self.marks.get(next + 1).map(|mark| mark.at) }
            }
            Some(mark) => Some(mark.at),
        }
    }

    /// Takes note of the clock, which was `before` when it was looked at last.
    pub fn note(&mut self, before: Option<ClockRecord>, now: ClockRecord, next: NextNumbers) {
        let jumped = before.map_or(0, |before| now.age.jumped_ms - before.age.jumped_ms).max(0);
        let was_settled = before.is_some_and(|before| before.is_settled());
        let is_settled = now.is_settled() && jumped == 0;
        if was_settled && !is_settled && !self.wavered {
            self.mark(now.age.now.plus_millis(-jumped), next);
        }
        self.wavered |= !is_settled;
        if jumped > 0 {
            let wavering = self.marks.iter_mut().rev().take_while(|mark| !mark.steady);
            wavering.for_each(|mark| mark.at = mark.at.plus_millis(jumped));
        }
        if self.marks.last().is_none_or(|last| now.age.now.millis_since(last.at) >= DAY_MS) {
            self.mark(now.age.now, next);
            self.wavered = !now.is_settled();
        }
    }

    fn mark(&mut self, at: Time, NextNumbers { postback, click }: NextNumbers) {
        self.marks.push(AgeMark { at, postback, click, nth: self.made, steady: !self.wavered });
        self.made += 1;
        if self.marks.len() > MOST_MARKS {
            self.thin(|mark, next| mark.steady == next.steady);
        }
        if self.marks.len() > MOST_MARKS {
            self.thin(|_, _| true);
        }
    }

    /// Takes out every second mark of the older half that may be left out.
    fn thin(&mut self, may: impl Fn(AgeMark, AgeMark) -> bool) {
        let recent = self.marks.split_off(MOST_MARKS / 2);
        let old = std::mem::take(&mut self.marks);
        let nexts = old.iter().skip(1).copied().chain(recent.first().copied()).collect::<Vec<_>>();
        let (mut is_steady, mut was_left_out) = (true, false);
        for (mark, next) in old.into_iter().zip(nexts) {
            is_steady &= mark.steady;
            was_left_out = !was_left_out && may(mark, next);
            if !was_left_out {
                self.marks.push(AgeMark { steady: is_steady, ..mark });
                is_steady = true;
            }
        }
        // The last of the older half may have been left out before a steady one.
        let mut recent = recent.into_iter();
        self.marks.extend(recent.next().map(|first| AgeMark { steady: first.steady && is_steady, ..first }));
        self.marks.extend(recent);
    }
}

#[cfg(test)]
mod tests {
    use super::{AgeKey, Ages, MOST_MARKS, NextNumbers};
    use crate::domain::clock_rule::ClockRecord;
    use crate::domain::time::{BEFORE_FIRST_USE, DAY_MS};
    use crate::store::codec;

    #[test]
    fn the_marks_of_very_many_days_take_few_bytes_and_say_of_none_that_it_was_earlier() {
        let (mut ages, mut before) = (Ages::default(), None);
        let day = |day: i64| BEFORE_FIRST_USE.plus_millis(day * DAY_MS);
        for n in 0..3_000 {
            let mut record = ClockRecord::new(day(n));
            // Every tenth day the clock is wrong.
            record.age.ahead_ms = i64::from(n % 10 == 9) * 9 * DAY_MS;
            let next = 1 + (n as u64) * 1_000_000_000_000;
            ages.note(before, record, NextNumbers { postback: next, click: next });
            before = Some(record);
        }
        assert!(ages.marks.len() <= MOST_MARKS);
        assert!(codec::pack(&before, &ages).unwrap().len() < 7 * 1024);
        for n in 0..2_999_u64 {
            // In the middle of the day, by a clock that shows a time long ago, and by one that is right.
            let (number, received) = (1 + n * 1_000_000_000_000 + 1, day(n as i64).plus_millis(DAY_MS / 2));
            for shown in [day(-500), received] {
                let at = ages.received(AgeKey::Click(number), shown);
                assert!(at.is_none_or(|at| at >= received), "day {n}: {at:?}");
            }
        }
    }
}
