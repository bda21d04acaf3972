//! What one write of an erasure changes: made next to all that is written, and written where everything is still as it was
//! when it was made.

use std::sync::Arc;

use crc32c::crc32c;

use crate::domain::click::Click;
use crate::domain::erasure::report::ErasedCounts;
use crate::store::commit::embedded_commit::EmbeddedCommit;
use crate::store::commit::erasable::ErasableRecord;
use crate::store::contract::error::StoreError;
use crate::store::engine::kv::{Batch, KeyChange};
use crate::store::reader::Reader;
use crate::store::table::click_log::{self, LogPlace};
use crate::store::table::conversion::Record;

/// A key, and the checksum of what is under it; `None`: nothing is.
pub type SeenValue = (Vec<u8>, Option<u32>);

/// What one record becomes, or an exchange of several.
#[derive(Clone)]
pub struct ErasedChange {
    /// The records that it is of: they are looked at again where something is otherwise by now.
    pub of: Vec<ErasableRecord>,
    /// What has to be as it was.
    pub seen: Vec<SeenValue>,
    /// What is written as it is.
    pub batch: Batch,
    pub becomes: Becomes,
    /// What it erases, by the numbers of the erasures.
    pub counts: Vec<(u64, ErasedCounts)>,
}

/// What is more than bytes.
#[derive(Clone)]
pub enum Becomes {
    /// Nothing.
    Written,
    Postback {
        day: i32,
        number: u64,
        /// Whether its raw bytes go.
        is_stripped: bool,
        /// The conversion, as it was and as it becomes.
        record: Option<Box<(Arc<Record>, Record)>>,
    },
    Click {
        before: Arc<Click>,
        after: Arc<Click>,
    },
    /// The address by which a repeat of the click would be known goes.
    Line(LogPlace),
}

impl ErasedChange {
    /// A line of the log of clicks.
    pub fn of_line(of: ErasableRecord, place: LogPlace) -> ErasedChange {
        let (seen, batch, counts) = Default::default();
        ErasedChange { of: vec![of], seen, batch, becomes: Becomes::Line(place), counts }
    }

    /// What is under some keys now.
    ///
    /// # Errors
    /// The store's failure, or one that cannot be read.
    pub fn see(
        reader: &Reader,
        keys: impl IntoIterator<Item = Vec<u8>>,
    ) -> Result<Vec<SeenValue>, StoreError> {
        let see = |key: Vec<u8>| {
            let sum = reader.get(&key)?.map(|bytes| crc32c(&bytes));
            Ok((key, sum))
        };
        keys.into_iter().map(see).collect()
    }

    /// With what is under the other keys that it writes to.
    ///
    /// # Errors
    /// As [`ErasedChange::see`].
    pub fn with_the_rest_seen(mut self, reader: &Reader) -> Result<ErasedChange, StoreError> {
        let is_other = |(key, _): &&(Vec<u8>, KeyChange)| self.seen.iter().all(|(seen, _)| seen != key);
        let others: Vec<Vec<u8>> =
            self.batch.changes.iter().filter(is_other).map(|(key, _)| key.clone()).collect();
        self.seen.extend(ErasedChange::see(reader, others)?);
        Ok(self)
    }

    /// About how many bytes it writes.
    pub fn bytes(&self) -> usize {
        let written = |(key, change): &(Vec<u8>, KeyChange)| match change {
            KeyChange::Add(value) | KeyChange::Put(value) => key.len() + value.len(),
            KeyChange::Remove => key.len(),
        };
        RECORD + self.batch.changes.iter().map(written).sum::<usize>()
    }

    /// Writes it, where everything is as it was. Answers whether it is.
    ///
    /// # Errors
    /// The store's failure, or what cannot be read.
    pub fn apply(&self, commit: &mut EmbeddedCommit<'_>) -> Result<bool, StoreError> {
        if !self.is_current(commit)? {
            return Ok(false);
        }
        let batch = &mut commit.purging.batch;
        batch.changes.extend(self.batch.changes.iter().cloned());
        match &self.becomes {
            Becomes::Written => {}
            Becomes::Postback { number, is_stripped, record, .. } => {
                commit.purging.stripped.extend(is_stripped.then_some(*number));
                if let Some((old, now)) = record.as_deref() {
                    commit.group.change(*number, old, now.clone(), true);
                }
            }
            Becomes::Click { before, after } => {
                commit.group.counting.click(Some(before), Some(after));
                commit.group.put_click(Arc::clone(after), true);
            }
            Becomes::Line(place) => line(commit, *place)?,
        }
        Ok(true)
    }

    fn is_current(&self, commit: &EmbeddedCommit<'_>) -> Result<bool, StoreError> {
        let shared = commit.shared;
        for (key, sum) in &self.seen {
            if shared.reader.get(key)?.map(|bytes| crc32c(&bytes)) != *sum {
                return Ok(false);
            }
        }
        match &self.becomes {
            Becomes::Written | Becomes::Line(_) => Ok(true),
            Becomes::Postback { day, number, record, .. } => match record.as_deref() {
                Some((old, _)) => Ok(shared.records.conversion(*day, *number)?.as_deref() == Some(&**old)),
                None => Ok(true),
            },
            Becomes::Click { before, .. } => {
                Ok(shared.records.click(&before.id)?.as_deref() == Some(&**before))
            }
        }
    }
}

/// What a conversion or a click takes, about.
const RECORD: usize = 2048;

fn line(commit: &mut EmbeddedCommit<'_>, place: LogPlace) -> Result<(), StoreError> {
    let behind = LogPlace { number: place.number + 1, ..place };
    let Some((_, line)) = click_log::lines_up(&commit.shared.reader, (place, behind), 1)?.pop() else {
        return Ok(());
    };
    let mut line = line?;
    line.likeness = None;
    click_log::replace(&mut commit.purging.batch, place, &line)
}
