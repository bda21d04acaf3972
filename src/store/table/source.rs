//! What is counted of every source: its open quarantine, and when its latest postback was received.

use std::collections::{BTreeMap, HashMap};

use crate::domain::ids::SourceId;
use crate::domain::time::Time;
use crate::store::contract::operator::SourceTally;

/// By source.
#[derive(Debug, Default)]
pub struct SourceIndex(HashMap<SourceId, SourceCount>);

/// What is counted of one.
#[derive(Debug, Default)]
struct SourceCount {
    open_quarantine: i64,
    last: Option<Time>,
}

impl SourceIndex {
    pub fn tallies(&self) -> BTreeMap<SourceId, SourceTally> {
        let tally = |(source, found): (&SourceId, &SourceCount)| {
            // Below zero only where what was counted before could not be read.
            let open_quarantine = found.open_quarantine.max(0).unsigned_abs();
            (source.clone(), SourceTally { open_quarantine, last: found.last })
        };
        self.0.iter().map(tally).collect()
    }

    /// So many more of its postbacks are quarantined, and no later record reprocesses them.
    pub fn add_open(&mut self, source: &SourceId, count: i64) {
        self.0.entry(source.clone()).or_default().open_quarantine += count;
    }

    /// Its latest postback was received then.
    pub fn received(&mut self, source: &SourceId, at: Time) {
        self.0.entry(source.clone()).or_default().last = Some(at);
    }
}
