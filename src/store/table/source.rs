//! What is counted of every source: its open quarantine, and when its latest postback was received. Made of
//! the heads of the records at open, moved on by each commit.

use std::collections::HashMap;

use crate::domain::postback::VerdictName;
use crate::store::contract::operator::SourceTally;
use crate::store::table::postback::PostbackHead;

/// By the tag of the source.
#[derive(Debug, Default)]
pub struct SourceIndex(HashMap<u32, SourceTally>);

impl SourceIndex {
    pub fn get(&self, source: u32) -> SourceTally {
        self.0.get(&source).copied().unwrap_or_default()
    }

    /// Takes note of a record. What reprocesses an earlier one bears the time of that one.
    pub fn note(&mut self, head: &PostbackHead) {
        let Some(source) = head.source else { return };
        if head.verdict == VerdictName::Refused {
            return;
        }
        let tally = self.0.entry(source).or_default();
        if head.again.is_none() {
            tally.last = Some(head.at);
        }
        tally.open_quarantine += u64::from(head.verdict == VerdictName::Quarantined);
    }

    /// A quarantined record of this source was reprocessed, or is gone.
    pub fn close(&mut self, source: u32) {
        if let Some(tally) = self.0.get_mut(&source) {
            tally.open_quarantine = tally.open_quarantine.saturating_sub(1);
        }
    }
}
