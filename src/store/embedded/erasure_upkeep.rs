//! What is left to be done of erasures that are applied, outside the records: their file, the journal, the index; and where
//! else the data is.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::domain::erasure::report::Erasure;
use crate::domain::presented::DigestKey;
use crate::domain::time::Time;
use crate::store::commit::erasing::ErasingStep;
use crate::store::commit::erasure_list::{Begun, ErasureNote};
use crate::store::contract::error::StoreError;
use crate::store::embedded::erasure_copies::ErasureCopies;
use crate::store::engine::data_folder::GIVEN_UP;
use crate::store::engine::erasure_file::ERASURES;
use crate::store::engine::journaled::Journaled;
use crate::store::reader::Reader;
use crate::store::records::StoreShared;

/// Longer than any lease lasts.
const LATELY: Duration = Duration::from_secs(60 * 60);

/// What is left to be done of erasures outside the records: their file, the journal and the index. Nothing of a store that
/// has no data folder.
pub(super) struct ErasureUpkeep {
    copies: Option<Arc<ErasureCopies>>,
    /// Those of which the journal or the index is not done; `None`: they are to be read.
    pub followed: Mutex<Option<Vec<Erasure>>>,
    /// The step that is being done, between its commits.
    pub step: Mutex<Option<ErasingStep>>,
    /// When something was erased last, by a clock that no one sets.
    last: Mutex<Option<Duration>>,
}

impl ErasureUpkeep {
    /// See [`ErasureCopies::open`].
    ///
    /// # Errors
    /// The store's failure.
    pub fn open(
        folder: Option<&Journaled>,
        reader: &Reader,
        key: &DigestKey,
        which: Begun,
    ) -> Result<ErasureUpkeep, StoreError> {
        let open = |folder: &Journaled| {
            let of = (folder.path(), folder.journal().manifest().store);
            ErasureCopies::open(of, reader, key, which).map(Arc::new)
        };
        let copies = folder.map(open).transpose()?;
        Ok(ErasureUpkeep {
            copies,
            followed: Mutex::default(),
            step: Mutex::default(),
            last: Mutex::default(),
        })
    }

    /// Something is erased now.
    pub fn erases(&self, now: Duration) {
        *self.last.lock() = Some(now);
    }

    /// Whether something was erased a short while ago.
    pub fn has_erased_lately(&self, now: Duration) -> bool {
        self.last.lock().is_some_and(|last| now.saturating_sub(last) < LATELY)
    }

    /// The files of erasures, where there are any.
    pub fn copies(&self) -> Option<Arc<ErasureCopies>> {
        self.copies.clone()
    }
}

/// What of an erasure's data is elsewhere now.
pub(super) struct Elsewhere {
    folder: Arc<Journaled>,
}

impl Elsewhere {
    /// What of it is in a data folder, and in the backups that are known.
    pub fn of(folder: &Arc<Journaled>) -> Elsewhere {
        Elsewhere { folder: Arc::clone(folder) }
    }

    /// Takes it into an erasure.
    pub fn note(&self, shared: &StoreShared, erasure: &mut Erasure) {
        let journal = &mut erasure.journal;
        let backups = Arc::clone(&shared.index.lock().kept);
        let holds = |began: Time| journal.rewritten_at.is_none_or(|at| began <= at);
        let held = backups.backups.iter().filter(|backup| holds(backup.began));
        journal.backups = held.map(|backup| backup.dir.display().to_string()).collect();
        journal.files = self.set_aside();
    }

    /// What was set aside in the data folder, by name, in order. What cannot be listed is not named.
    fn set_aside(&self) -> Vec<String> {
        let listed = self.folder.journal().manifest().set_aside;
        let is_aside = |name: &String| {
            let is_named =
                name.contains(".set-aside") && !name.starts_with(ERASURES) || name.contains(GIVEN_UP);
            is_named || name.starts_with("torn-commit-") || listed.contains(name)
        };
        let entries = std::fs::read_dir(self.folder.path()).into_iter().flatten().flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        let mut found: Vec<String> = names.filter(is_aside).collect();
        found.sort_unstable();
        found
    }
}

/// Has the index made anew.
///
/// # Errors
/// The system's.
pub(super) fn renew_index(folder: &Journaled) -> Result<(), StoreError> {
    folder.renew_index().map_err(|error| StoreError::Unavailable {
        cause: format!("{} cannot be written to: {error}", folder.path().display()),
    })
}

/// The erasures that are applied, and of which the journal or the index is not done.
///
/// # Errors
/// The store's failure.
pub(super) fn followed(reader: &Reader) -> Result<Vec<Erasure>, StoreError> {
    let all = reader.erasures_below(u64::MAX, usize::MAX)?;
    let is_left = |erasure: &Erasure| {
        erasure.state.ended().is_some()
            && (erasure.journal.rewritten_at.is_none() || erasure.journal.index_renewed_at.is_none())
    };
    Ok(all.into_iter().filter_map(|(_, erasure)| erasure).filter(is_left).collect())
}

/// What is to be noted of an erasure that is applied.
pub(super) fn what_next(folder: &Journaled, erasure: &Erasure, now: Time) -> Option<ErasureNote> {
    let journal = &erasure.journal;
    match (journal.until, journal.rewritten_at) {
        (None, _) => Some(ErasureNote::Until(folder.journal().durable())),
        (Some(until), None) => folder.is_rid_of(until).then_some(ErasureNote::Rewritten(now)),
        (Some(_), Some(_)) => (!folder.is_index_to_renew()).then_some(ErasureNote::IndexRenewed(now)),
    }
}
