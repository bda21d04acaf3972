//! The part of the store's contract that operators rely on: the clock by which retention goes, destinations
//! that are no longer configured, and what is counted by source.

use std::collections::BTreeMap;

use crate::domain::clock_rule::ClockRecord;
use crate::domain::ids::{DestinationId, Seq, SourceId};
use crate::domain::time::Time;
use crate::store::ages::{Ages, NextNumbers};
use crate::store::command::{ReplySender, StoreCommand};
use crate::store::embedded::Embedded;
use crate::store::engine::kv::Batch;
use crate::store::group::CommitGroup;
use crate::store::layout::{self, key, tag};
use crate::store::records::{Records, corrupt};
use crate::store::{StoreError, StoreFuture};

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

/// What a store keeps for operators.
pub trait OperatorStore {
    /// What was kept of the clock, and the newest time that is stored.
    fn clock_record(&self) -> (Option<ClockRecord>, Option<Time>);

    /// Keeps what is to be known of the clock at the next start. What is recorded from now on is received at
    /// its age time or later, whatever time it bears, and is not purged earlier than that allows.
    fn keep_clock(&self, record: ClockRecord) -> StoreFuture<'_, ()>;

    /// Every destination for which something is held or waits.
    fn awaited_destinations(&self) -> Vec<DestinationId>;

    /// As it was kept last.
    fn removed(&self) -> RemovedDestinations;

    /// Remembers which destinations are out of the configuration, and since when.
    fn keep_removed(&self, removed: RemovedDestinations) -> StoreFuture<'_, ()>;

    /// Counted at open and as things happen, never scanned.
    fn source_tally(&self, source: &SourceId) -> SourceTally;

    /// When a postback was received that is kept.
    fn received_at(&self, postback: Seq) -> Result<Option<Time>, StoreError>;
}

/// What the store is asked to keep.
pub enum KeepingCommand {
    /// Remembers what is known of the clock.
    Clock(ClockRecord, ReplySender<()>),
    /// Remembers the destinations that are out of the configuration.
    Removed(RemovedDestinations, ReplySender<()>),
}

impl From<KeepingCommand> for StoreCommand {
    fn from(command: KeepingCommand) -> StoreCommand {
        StoreCommand::Keeping(command)
    }
}

impl KeepingCommand {
    /// Answers that it was not done.
    pub fn refuse(self, error: StoreError) {
        match self {
            KeepingCommand::Clock(_, answer) | KeepingCommand::Removed(_, answer) => {
                drop(answer.send(Err(error)));
            }
        }
    }
}

/// All that is kept for operators.
#[derive(Debug, Clone, Default)]
pub struct OperatorRecords {
    clock: Option<ClockRecord>,
    /// The times by which records age.
    pub ages: Ages,
    /// The destinations that are out of the configuration.
    pub removed: RemovedDestinations,
}

impl OperatorRecords {
    /// Reads what is stored.
    pub fn open(records: &Records) -> Result<OperatorRecords, StoreError> {
        let mut kept = OperatorRecords::default();
        kept.clock = records.head(key::CLOCK)?;
        kept.ages = records.body(key::CLOCK)?.unwrap_or_default();
        kept.removed = records.body(key::REMOVED)?.unwrap_or_default();
        Ok(kept)
    }

    /// How far the time by which records age is ahead of the believed one, in milliseconds.
    pub fn ahead_ms(&self) -> i64 {
        self.clock.map_or(0, |clock| clock.age.ahead_ms)
    }

    /// Adds it to a batch, over what was kept before.
    pub fn pack(&mut self, batch: &mut Batch, before: &OperatorRecords) -> Result<(), StoreError> {
        if let Some(clock) = &self.clock {
            let packed = layout::pack(clock, &self.ages).map_err(|error| corrupt(key::CLOCK, &error))?;
            batch.put(key::CLOCK.to_vec(), packed);
        }
        if self.removed != before.removed {
            let packed = layout::pack(&(), &self.removed).map_err(|error| corrupt(key::REMOVED, &error))?;
            batch.put(key::REMOVED.to_vec(), packed);
        }
        Ok(())
    }
}

impl CommitGroup<'_> {
    /// Decides what is to be kept.
    pub fn take_keeping(&mut self, command: KeepingCommand) {
        let next = NextNumbers { postback: self.numbers.next_postback, click: self.numbers.next_click };
        let kept = self.kept.get_or_insert_with(|| OperatorRecords::clone(&self.shared.index.lock().kept));
        let answer = match command {
            KeepingCommand::Clock(record, answer) => {
                kept.ages.note(kept.clock, record, next);
                kept.clock = Some(record);
                answer
            }
            KeepingCommand::Removed(removed, answer) => {
                kept.removed = removed;
                answer
            }
        };
        self.promise(Ok(()), answer);
    }
}

impl OperatorStore for Embedded {
    fn clock_record(&self) -> (Option<ClockRecord>, Option<Time>) {
        let index = self.shared.index.lock();
        let newest = [index.runs.newest(), self.shared.lately.lock().newest()];
        (index.kept.clock, newest.into_iter().flatten().max())
    }

    fn keep_clock(&self, record: ClockRecord) -> StoreFuture<'_, ()> {
        self.write(|answer| KeepingCommand::Clock(record, answer).into())
    }

    fn awaited_destinations(&self) -> Vec<DestinationId> {
        self.shared.index.lock().awaited_destinations()
    }

    fn removed(&self) -> RemovedDestinations {
        self.shared.index.lock().kept.removed.clone()
    }

    fn keep_removed(&self, removed: RemovedDestinations) -> StoreFuture<'_, ()> {
        self.write(|answer| KeepingCommand::Removed(removed, answer).into())
    }

    fn source_tally(&self, source: &SourceId) -> SourceTally {
        self.shared.index.lock().sources.get(tag(source.as_str()))
    }

    fn received_at(&self, postback: Seq) -> Result<Option<Time>, StoreError> {
        let first = self.shared.index.lock().block_of(postback.get());
        let Some(first) = first else { return Ok(None) };
        let heads = self.shared.records.block_heads(first)?;
        let at = usize::try_from(postback.get() - first).ok();
        Ok(at.and_then(|at| heads?.get(at).map(|head| head.at)))
    }
}
