//! The UTC day on which each postback was received, by its number: what the keys of dated records begin with. In
//! memory, a few bytes for each day.

use crate::domain::offer::day_of;
use crate::domain::time::Time;

/// The day of a time, as keys have it.
pub fn day(at: Time) -> i32 {
    // Times end long before such days.
    i32::try_from(day_of(at)).unwrap_or(i32::MAX)
}

/// Neighbouring numbers with one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DayRun {
    /// The first number that may be of it.
    pub first: u64,
    /// The first number that is of the next run.
    pub end: u64,
    pub day: i32,
}

/// From a number to its day. Times rise with numbers, but where a clock was once wrong, and where a postback
/// reprocesses an earlier one and keeps its time.
#[derive(Debug, Default)]
pub struct Days {
    /// The first number of each run, and its day, by number.
    runs: Vec<(u64, i32)>,
    /// The first number that no postback has.
    end: u64,
}

impl Days {
    /// Takes note of a postback, whose number is above all others.
    pub fn note(&mut self, number: u64, day: i32) {
        if self.runs.last().is_none_or(|(_, last)| *last != day) {
            self.runs.push((number, day));
        }
        self.end = number + 1;
    }

    /// Sets the first number that no postback has, where the last ones are purged.
    pub fn set_end(&mut self, end: u64) {
        self.end = end;
    }

    /// The first number that no postback has.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// The day of a postback, if there is or was one of this number.
    pub fn of(&self, number: u64) -> Option<i32> {
        let after = self.runs.partition_point(|(first, _)| *first <= number);
        let run = (number < self.end).then(|| self.runs.get(after.checked_sub(1)?)).flatten();
        run.map(|(_, day)| *day)
    }

    /// The run with the highest numbers below `number`.
    pub fn below(&self, number: u64) -> Option<DayRun> {
        let after = self.runs.partition_point(|(first, _)| *first < number);
        self.run(after.checked_sub(1)?)
    }

    /// Every run that ends behind `number`, by number.
    pub fn from(&self, number: u64) -> impl Iterator<Item = DayRun> + '_ {
        let after = self.runs.partition_point(|(first, _)| *first <= number);
        (after.saturating_sub(1)..self.runs.len()).filter_map(|at| self.run(at))
    }

    fn run(&self, at: usize) -> Option<DayRun> {
        let (first, day) = *self.runs.get(at)?;
        let end = self.runs.get(at + 1).map_or(self.end, |(next, _)| *next);
        Some(DayRun { first, end, day })
    }
}

#[cfg(test)]
mod tests {
    use super::{DayRun, Days};

    #[test]
    fn each_number_has_the_day_it_was_noted_with() {
        let known = [(1, 7), (2, 7), (5, 8), (6, 3), (7, 8), (9, 8)];
        let mut days = Days::default();
        known.iter().for_each(|(number, day)| days.note(*number, *day));
        for (number, day) in known {
            assert_eq!(days.of(number), Some(day));
        }
        assert_eq!((days.of(0), days.of(10)), (None, None));
        assert_eq!(days.below(7), Some(DayRun { first: 6, end: 7, day: 3 }));
        assert_eq!(days.below(1), None);
        assert_eq!(days.from(6).map(|run| run.day).collect::<Vec<_>>(), [3, 8]);
        days.set_end(20);
        assert_eq!(days.from(8).last(), Some(DayRun { first: 7, end: 20, day: 8 }));
    }
}
