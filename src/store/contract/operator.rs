//! What is kept and counted for those who run the relay: the clock, removed destinations, sources.

use std::collections::BTreeMap;

use crate::domain::clock_rule::ClockRecord;
use crate::domain::ids::{DestinationId, SourceId};
use crate::domain::time::Time;
use crate::store::contract::copies::KnownBackup;

/// The destinations that were taken out of the configuration while something waited for them, and when.
pub type RemovedDestinations = BTreeMap<DestinationId, Time>;

/// What is kept for those who run the relay.
#[derive(Debug, Clone, Default)]
pub struct OperatorFacts {
    /// What was kept of the clock; `None` before the first time.
    pub clock: Option<ClockRecord>,
    /// The newest time that is stored, of postbacks and clicks.
    pub newest: Option<Time>,
    /// As it was kept last.
    pub removed: RemovedDestinations,
    /// The latest backups, the newest last: at most 32, of each folder one.
    pub backups: Vec<KnownBackup>,
    /// What is counted of the postbacks of each source that sent any: in the same writes as they, never from a scan.
    pub sources: BTreeMap<SourceId, SourceTally>,
}

impl OperatorFacts {
    /// What is counted of one source.
    pub fn source(&self, id: &SourceId) -> SourceTally {
        self.sources.get(id).copied().unwrap_or_default()
    }
}

/// Something to keep.
#[derive(Debug, Clone)]
pub enum ToKeep {
    /// A text under its name, permanently: a version of a script that pages refer to by its hash. The first one stays.
    Text {
        /// By what [`Store::kept_text`](crate::store::contract::Store::kept_text) finds it.
        name: String,
        /// Any text.
        text: String,
    },
    /// What is to be known of the clock at the next start, over what was kept of it before. What is recorded from then on is received at its age time
    /// or later, whatever time it bears, and is not purged earlier than that allows.
    Clock(ClockRecord),
    /// Which destinations are out of the configuration, and since when, over what was kept of it before.
    Removed(RemovedDestinations),
    /// That a backup was made, over what was kept of one in the same folder. The latest are kept.
    Backup(KnownBackup),
}

/// What is counted of one source's postbacks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SourceTally {
    /// Quarantined ones that nothing reprocesses.
    pub open_quarantine: u64,
    /// When the latest was received, those left out that were refused.
    pub last: Option<Time>,
}
