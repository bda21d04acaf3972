//! What is kept for operators: the clock by which retention goes, destinations that are no longer configured, and backups.

use crate::domain::clock_rule::ClockRecord;
use crate::store::codec::{self, corrupt};
use crate::store::contract::copies::KnownBackup;
use crate::store::contract::error::StoreError;
use crate::store::contract::operator::RemovedDestinations;
use crate::store::engine::kv::Batch;
use crate::store::reader::Reader;
use crate::store::table::age::Ages;

/// The name under `M` of the clock by which retention goes.
pub const CLOCK: &[u8] = b"Mclock";

/// The name under `M` of the destinations that are no longer configured.
pub const REMOVED: &[u8] = b"Mremoved";

/// The name under `M` of the latest backups.
pub const BACKUPS: &[u8] = b"Mbackups";

/// How many backups are known at most.
const KNOWN_BACKUPS: usize = 32;

/// All that is kept for operators.
#[derive(Debug, Clone, Default)]
pub struct OperatorRecords {
    /// The clock by which retention goes, once it was looked at.
    pub clock: Option<ClockRecord>,
    /// The times by which records age.
    pub ages: Ages,
    /// The destinations that are out of the configuration.
    pub removed: RemovedDestinations,
    /// The latest backups, the newest last.
    pub backups: Vec<KnownBackup>,
}

impl OperatorRecords {
    /// Reads what is stored.
    pub fn open(reader: &Reader) -> Result<OperatorRecords, StoreError> {
        Ok(OperatorRecords {
            clock: reader.head(CLOCK)?,
            ages: reader.body(CLOCK)?.unwrap_or_default(),
            removed: reader.body(REMOVED)?.unwrap_or_default(),
            backups: reader.body(BACKUPS)?.unwrap_or_default(),
        })
    }

    /// How far the time by which records age is ahead of the believed one, in milliseconds.
    pub fn ahead_ms(&self) -> i64 {
        self.clock.map_or(0, |clock| clock.age.ahead_ms)
    }

    /// Takes note of a backup, in the place of an earlier one in the same folder.
    pub fn note_backup(&mut self, backup: KnownBackup) {
        self.backups.retain(|known| known.dir != backup.dir);
        self.backups.push(backup);
        let most = self.backups.len().saturating_sub(KNOWN_BACKUPS);
        self.backups.drain(..most);
    }

    /// Adds it to a batch, over what was kept before.
    pub fn pack(&self, batch: &mut Batch, before: &OperatorRecords) -> Result<(), StoreError> {
        if let Some(clock) = &self.clock {
            let packed = codec::pack(clock, &self.ages).map_err(|error| corrupt(CLOCK, &error))?;
            batch.put(CLOCK.to_vec(), packed);
        }
        if self.removed != before.removed {
            let packed = codec::pack(&(), &self.removed).map_err(|error| corrupt(REMOVED, &error))?;
            batch.put(REMOVED.to_vec(), packed);
        }
        if self.backups != before.backups {
            let packed = codec::pack(&(), &self.backups).map_err(|error| corrupt(BACKUPS, &error))?;
            batch.put(BACKUPS.to_vec(), packed);
        }
        Ok(())
    }
}
