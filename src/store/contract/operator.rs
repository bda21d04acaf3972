//! What is kept and counted for those who run the relay: removed destinations, sources.

use std::collections::BTreeMap;

use crate::domain::ids::DestinationId;
use crate::domain::time::Time;

/// The destinations that were taken out of the configuration while something waited for them, and when.
pub type RemovedDestinations = BTreeMap<DestinationId, Time>;

/// What is counted of one source's postbacks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SourceTally {
    /// Quarantined ones that nothing reprocesses.
    pub open_quarantine: u64,
    /// When the latest was received, those left out that were refused.
    pub last: Option<Time>,
}
