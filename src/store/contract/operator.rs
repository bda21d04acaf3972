//! What is kept and counted for those who run the relay: removed destinations, sources.

use std::collections::BTreeMap;

use crate::domain::clock_rule::ClockRecord;
use crate::domain::ids::DestinationId;
use crate::domain::time::Time;

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
}

/// Something that is kept for them, over what was kept of it before.
#[derive(Debug, Clone)]
pub enum OperatorFact {
    /// What is to be known of the clock at the next start. What is recorded from then on is received at its age time
    /// or later, whatever time it bears, and is not purged earlier than that allows.
    Clock(ClockRecord),
    /// Which destinations are out of the configuration, and since when.
    Removed(RemovedDestinations),
}

/// What is counted of one source's postbacks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SourceTally {
    /// Quarantined ones that nothing reprocesses.
    pub open_quarantine: u64,
    /// When the latest was received, those left out that were refused.
    pub last: Option<Time>,
}
