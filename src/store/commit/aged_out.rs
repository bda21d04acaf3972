//! What is past its days, by the time that it ages by.

use crate::domain::ids::Seq;
use crate::domain::time::{DAY_MS, Time};
use crate::store::contract::change::PurgeBefore;
use crate::store::records::StoreShared;
use crate::store::table::age::AgeKey;
use crate::store::table::click_log::LogPlace;
use crate::store::table::day::DayRun;
use crate::store::table::operator::OperatorRecords;

/// After how many records in a row that are not due the rest of a day is left to a later pass: they are in the order in which
/// they were received, and one that is due a little earlier than those before it goes when they do. Those that reprocess
/// others, which are in no such order, do not count.
pub const NOT_DUE: usize = 1024;

/// What is past its days, by the time that it ages by.
pub struct AgedOut<'a> {
    kept: &'a OperatorRecords,
    /// By the believed time.
    pub believed: PurgeBefore,
    /// By the time that records age by.
    before: PurgeBefore,
}

/// How much of an entry is past its days.
pub struct ExpiredPart {
    pub raw: bool,
    pub conversion: bool,
}

impl AgedOut<'_> {
    pub fn new(kept: &OperatorRecords, believed: PurgeBefore) -> AgedOut<'_> {
        let age = |time: Time| time.plus_millis(kept.ahead_ms());
        let PurgeBefore { postbacks, conversions, clicks } = believed;
        let before =
            PurgeBefore { postbacks: age(postbacks), conversions: age(conversions), clicks: age(clicks) };
        AgedOut { kept, believed, before }
    }

    /// What of postback `number` is that bears this time. What reprocesses an earlier one has the time of the first.
    pub fn entry(&self, shared: &StoreShared, number: u64, (at, again): (Time, Option<Seq>)) -> ExpiredPart {
        let first = again.map_or(number, |of| shared.index.lock().first_of(of.get()));
        let at = self.kept.ages.received(AgeKey::Postback(first), at);
        let is_before = |before: Time| at.is_some_and(|at| at < before);
        ExpiredPart { raw: is_before(self.before.postbacks), conversion: is_before(self.before.conversions) }
    }

    /// Whether raw bytes of a day's postbacks may be: also where a clock that ran ahead wrote the day.
    pub fn raw_of(&self, run: &DayRun) -> bool {
        self.is_before(run, self.before.postbacks)
    }

    /// Whether conversions of a day may be.
    pub fn conversions_of(&self, run: &DayRun) -> bool {
        self.is_before(run, self.before.conversions)
    }

    /// Whether clicks of a day may be, of which this one was recorded first.
    pub fn clicks_of(&self, first: LogPlace) -> bool {
        self.is_day_before(first.day, AgeKey::Click(first.number), self.before.clicks)
    }

    fn is_before(&self, run: &DayRun, before: Time) -> bool {
        self.is_day_before(run.day, AgeKey::Postback(run.first), before)
    }

    fn is_day_before(&self, day: i32, first: AgeKey, before: Time) -> bool {
        let Some(start) = Time::from_millis(i64::from(day).saturating_mul(DAY_MS)) else { return true };
        start < before || self.kept.ages.received(first, start).is_some_and(|at| at < before)
    }

    /// Whether a click is, or what goes as clicks do, that bears this time.
    pub fn click(&self, which: AgeKey, at: Time) -> bool {
        self.kept.ages.received(which, at).is_some_and(|at| at < self.before.clicks)
    }
}
