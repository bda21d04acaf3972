//! What is kept for operators: the clock by which retention goes, and destinations that are no longer configured.

use crate::domain::clock_rule::ClockRecord;
use crate::store::ages::{Ages, NextNumbers};
use crate::store::command::{ReplySender, StoreCommand};
use crate::store::contract::error::StoreError;
use crate::store::contract::operator::RemovedDestinations;
use crate::store::engine::kv::Batch;
use crate::store::group::CommitGroup;
use crate::store::layout::{self, key};
use crate::store::records::{Records, corrupt};

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
    /// The clock by which retention goes, once it was looked at.
    pub clock: Option<ClockRecord>,
    /// The times by which records age.
    pub ages: Ages,
    /// The destinations that are out of the configuration.
    pub removed: RemovedDestinations,
}

impl OperatorRecords {
    /// Reads what is stored.
    pub fn open(records: &Records) -> Result<OperatorRecords, StoreError> {
        Ok(OperatorRecords {
            clock: records.head(key::CLOCK)?,
            ages: records.body(key::CLOCK)?.unwrap_or_default(),
            removed: records.body(key::REMOVED)?.unwrap_or_default(),
        })
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
