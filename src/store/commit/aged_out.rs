//! What is past its days, by the time that it ages by.

use crate::domain::time::Time;
use crate::store::commit::group::CommitGroup;
use crate::store::contract::change::PurgeBefore;
use crate::store::table::age::AgeKey;
use crate::store::table::operator::OperatorRecords;
use crate::store::table::postback::EntryHead;

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

impl ExpiredPart {
    /// Whether something is left of the entry that goes.
    pub fn is_due(&self, head: &EntryHead) -> bool {
        let is_part = (head.raw && self.raw) || (head.sketch.is_some() && self.conversion);
        !head.gone && (is_part || (self.raw && self.conversion))
    }
}

impl AgedOut<'_> {
    pub fn new(kept: &OperatorRecords, believed: PurgeBefore) -> AgedOut<'_> {
        let age = |time: Time| time.plus_millis(kept.ahead_ms());
        let PurgeBefore { postbacks, conversions, clicks } = believed;
        let before =
            PurgeBefore { postbacks: age(postbacks), conversions: age(conversions), clicks: age(clicks) };
        AgedOut { kept, believed, before }
    }

    /// What of postback `number` is. What reprocesses an earlier one has the time of the first.
    pub fn entry(&self, group: &CommitGroup<'_>, number: u64, head: &EntryHead) -> ExpiredPart {
        let first = head.again.map_or(number, |of| group.shared.index.lock().first_of(of.get()));
        let at = self.kept.ages.received(AgeKey::Postback(first), head.at);
        let is_before = |before: Time| at.is_some_and(|at| at < before);
        ExpiredPart { raw: is_before(self.before.postbacks), conversion: is_before(self.before.conversions) }
    }

    /// Whether a click is, or what goes as clicks do, that bears this time.
    pub fn click(&self, which: AgeKey, at: Time) -> bool {
        self.kept.ages.received(which, at).is_some_and(|at| at < self.before.clicks)
    }
}
