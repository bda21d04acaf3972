//! The erasures that are kept: a new one, those of another copy of the store, and what becomes of each outside the records.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::domain::erasure::report::{ErasedCounts, Erasure, ErasureState, JournalErasure};
use crate::domain::time::Time;
use crate::store::commit::embedded_commit::EmbeddedCommit;
use crate::store::contract::erasure::{ErasureOrder, KeptErasure};
use crate::store::contract::error::StoreError;
use crate::store::engine::kv::Batch;
use crate::store::reader::{Reader, readable};
use crate::store::table::erasure::{as_begun, put_digests, put_erasure, put_open, put_pass};

/// What became of an erasure's data outside the records.
#[derive(Debug, Clone)]
pub enum ErasureNote {
    /// These known backups were not given it.
    Unreached(Vec<String>),
    /// See [`JournalErasure::until`].
    Until(u64),
    /// The journal is rid of it.
    Rewritten(Time),
    /// So is the index.
    IndexRenewed(Time),
}

impl ErasureNote {
    fn apply(self, journal: &mut JournalErasure) {
        match self {
            ErasureNote::Unreached(backups) => journal.unreached = backups,
            ErasureNote::Until(commit) => journal.until = Some(commit),
            ErasureNote::Rewritten(at) => journal.rewritten_at = Some(at),
            ErasureNote::IndexRenewed(at) => journal.index_renewed_at = Some(at),
        }
    }
}

/// Keeps an erasure.
///
/// # Errors
/// The store's failure.
pub fn keep(commit: &mut EmbeddedCommit<'_>, order: &ErasureOrder) -> Result<Erasure, StoreError> {
    let erasure = Erasure {
        id: commit.shared.reader.next_erasure()?,
        at: order.at,
        actor: order.actor.clone(),
        subject: order.subject,
        persons: order.persons,
        state: ErasureState::Working,
        found: order.found,
        erased: ErasedCounts::default(),
        unreadable: 0,
        sent: order.sent.clone(),
        sent_more: order.sent_more,
        journal: JournalErasure::default(),
    };
    let batch = &mut commit.purging.batch;
    put_erasure(batch, &erasure)?;
    put_digests(batch, erasure.id, &order.digests)?;
    put_open(batch, erasure.id, true);
    Ok(erasure)
}

/// An erasure with its keyed hashes; `None` where it is not there, or cannot be read, which was logged when the store was
/// opened.
///
/// # Errors
/// The store's other failures.
pub fn whole(reader: &Reader, number: u64) -> Result<Option<KeptErasure>, StoreError> {
    let read = || {
        let Some(erasure) = reader.erasure(number)? else { return Ok(None) };
        let digests = reader.erasure_digests(number)?;
        Ok(Some(KeptErasure { erasure, digests }))
    };
    read().or_else(|error| match error {
        StoreError::Corrupt { .. } => Ok(None),
        error => Err(error),
    })
}

/// Notes what became of the data elsewhere. An erasure that cannot be read is left.
///
/// # Errors
/// The store's failure.
pub fn note(commit: &mut EmbeddedCommit<'_>, notes: Vec<(u64, ErasureNote)>) -> Result<(), StoreError> {
    let reader = Arc::clone(&commit.shared.reader);
    let mut noted: BTreeMap<u64, Erasure> = BTreeMap::new();
    for (number, note) in notes {
        let known = match noted.remove(&number) {
            Some(erasure) => Some(erasure),
            None => readable(reader.erasure(number), "an erasure")?.flatten(),
        };
        if let Some(mut erasure) = known {
            note.apply(&mut erasure.journal);
            noted.insert(number, erasure);
        }
    }
    noted.values().try_for_each(|erasure| put_erasure(&mut commit.purging.batch, erasure))
}

/// Every kept erasure that can be read, the oldest first.
///
/// # Errors
/// The store's failure.
pub fn kept(reader: &Reader) -> Result<Vec<KeptErasure>, StoreError> {
    let mut all = Vec::new();
    for (number, erasure) in reader.erasures_below(u64::MAX, usize::MAX)?.into_iter().rev() {
        let digests = readable(reader.erasure_digests(number), "by what an erasure's records are known")?;
        all.extend(erasure.zip(digests).map(|(erasure, digests)| KeptErasure { erasure, digests }));
    }
    Ok(all)
}

/// Has every kept erasure applied again, and those of `others` that are not kept here. Answers how many there are.
///
/// # Errors
/// The store's failure.
pub fn again(commit: &mut EmbeddedCommit<'_>, others: Vec<KeptErasure>) -> Result<u64, StoreError> {
    let reader = Arc::clone(&commit.shared.reader);
    begin(&mut commit.purging.batch, &reader, others, Begun::All)
}

/// Which erasures are applied when those of another copy are taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begun {
    /// Those that are not kept here.
    Missing,
    /// All of them.
    All,
}

/// Takes in what another copy of the store had erased, while the store is opened and no one writes. Answers how many
/// erasures are begun.
///
/// # Errors
/// The store's failure.
pub fn take_in(reader: &Reader, others: Vec<KeptErasure>, which: Begun) -> Result<u64, StoreError> {
    let mut batch = Batch::default();
    let begun = begin(&mut batch, reader, others, which)?;
    if begun > 0 {
        reader.kv().commit(batch, &mut |_| {}).map_err(|error| reader.failed_commit(error))?;
    }
    Ok(begun)
}

fn begin(
    batch: &mut Batch,
    reader: &Reader,
    others: Vec<KeptErasure>,
    which: Begun,
) -> Result<u64, StoreError> {
    let known = kept(reader)?;
    let mut begun: Vec<KeptErasure> = Vec::new();
    let mut next = reader.next_erasure()?;
    for mut other in others {
        let is_same =
            |known: &KeptErasure| (known.erasure.at, &known.digests) == (other.erasure.at, &other.digests);
        if known.iter().chain(&begun).any(is_same) {
            continue;
        }
        // Its own number where nothing is kept under it, or nothing that can be read.
        if known.iter().chain(&begun).any(|known| known.erasure.id == other.erasure.id) {
            other.erasure.id = next;
        }
        next = next.max(other.erasure.id + 1);
        begun.push(other);
    }
    if which == Begun::All {
        begun.extend(known);
        put_pass(batch, None)?;
    }
    for KeptErasure { erasure, digests } in &begun {
        put_erasure(batch, &as_begun(erasure))?;
        put_digests(batch, erasure.id, digests)?;
        put_open(batch, erasure.id, true);
    }
    Ok(begun.len() as u64)
}
