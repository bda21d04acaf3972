//! The index in the data folder: opened and checked against its own mark, or made anew from the journal.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::store::engine::error::OpenError;
use crate::store::engine::journal::changes;
use crate::store::engine::journal::files;
use crate::store::engine::journal::inspect::Inspection;
use crate::store::engine::journal::manifest::SegmentEntry;
use crate::store::engine::journal::replay::replay_between;
use crate::store::engine::kv::{Batch, KeyChange, Kv, KvError};
use crate::store::engine::packed::Packed;
use crate::store::engine::sled::Sled;

/// How many bytes of changes go to the index together while it is made anew.
const CHUNK: usize = 32 * 1024 * 1024;

/// The name of an index that another took the place of.
const INDEX_ASIDE: &str = "index.set-aside";

/// An index, and whether it is whole; else why not.
pub enum CheckedIndex {
    /// It has all that its mark says.
    Whole(Arc<Sled>),
    /// It is missing, or something of it is.
    Wrong(String),
}

/// Opens an index, and counts whether it has all that it should.
///
/// # Errors
/// What has nothing to do with what is in it: another process, rights, no room.
pub fn open(path: &Path) -> Result<CheckedIndex, OpenError> {
    if !path.join("db").exists() {
        return Ok(CheckedIndex::Wrong("it is missing".to_owned()));
    }
    let sled = match Sled::open(path) {
        Ok(sled) => sled,
        Err(OpenError::Broken { cause, .. }) => return Ok(CheckedIndex::Wrong(cause)),
        Err(error) => return Err(error),
    };
    if !sled.is_marked() {
        return Ok(CheckedIndex::Wrong("it does not say how far it is".to_owned()));
    }
    let wrong = match sled.count(&mut || Ok(())) {
        Err(error) => Some(error.to_string()),
        Ok(counted) => sled.mark().sums.difference(&counted),
    };
    Ok(wrong.map_or_else(|| CheckedIndex::Whole(Arc::new(sled)), CheckedIndex::Wrong))
}

/// Makes an index at `path` from a journal: of all whole commits in it.
///
/// # Errors
/// The system's, or the engine's.
pub fn make(
    path: &Path,
    (journal, inspection): (&Path, &Inspection),
    tables: &'static [u8],
) -> Result<Arc<Sled>, OpenError> {
    files::remove(path).map_err(|error| OpenError::of_io(path, &error))?;
    let sled = Arc::new(Sled::open(path)?);
    let index = Packed::new(Arc::<Sled>::clone(&sled), tables);
    bring_up(&sled, &index, (journal, inspection), 0)?;
    Ok(sled)
}

/// Applies every whole commit after `after` to an index, and marks it as having them.
///
/// # Errors
/// The engine's.
pub fn bring_up(
    sled: &Sled,
    index: &Packed,
    (journal, inspection): (&Path, &Inspection),
    after: u64,
) -> Result<(), OpenError> {
    let failed = |error: KvError| of_kv(journal, error);
    let (mut batch, mut bytes) = (Batch::default(), 0);
    let segments = &inspection.manifest.segments;
    let mut progress = Progress::new(after, inspection.last);
    // Of a journal that is whole no commit may be left out.
    let is_whole = inspection.damage.is_empty();
    let (finished, expected) = finished_frames(segments);
    let mut seen = 0;
    let last = replay_between(journal, segments, (after, inspection.last), &mut |head, payload| {
        seen += u64::from(head.lsn <= finished);
        add_changes(payload, &mut batch)?;
        bytes += payload.len();
        if bytes >= CHUNK {
            bytes = 0;
            index.apply(std::mem::take(&mut batch))?;
            progress.at(head.lsn);
        }
        Ok(())
    });
    let last = last.map_err(failed)?;
    let ends =
        inspection.end.as_ref().is_none_or(|end| end.lsn < end.header.first || last == inspection.last);
    if is_whole && (after == 0 && seen != expected || !ends) {
        let cause = "it was whole when it was looked through, and cannot be read whole now".to_owned();
        return Err(OpenError::Broken { path: journal.to_owned(), cause });
    }
    // A rewritten file may have no commit at its end.
    let last = if is_whole { inspection.last } else { last };
    index.apply(batch).and_then(|()| sled.sync()).and_then(|()| sled.set_mark(last, false)).map_err(failed)
}

/// How far the finished segments at the beginning go, and how many frames they have.
fn finished_frames(segments: &[SegmentEntry]) -> (u64, u64) {
    let finished = segments.iter().map_while(|entry| entry.finished.as_ref());
    finished.fold((0, 0), |(_, frames), finished| (finished.last, frames + finished.frames))
}

/// Adds the changes of a commit to a batch.
///
/// # Errors
/// That they cannot be read.
pub fn add_changes(payload: &[u8], batch: &mut Batch) -> Result<(), KvError> {
    let added = changes::each(payload, |(key, value)| {
        let change = value.map_or(KeyChange::Remove, |value| KeyChange::Put(value.to_vec()));
        batch.changes.push((key.to_vec(), change));
    });
    added.map_err(KvError::Failed)
}

/// What an engine's failure means for opening.
pub fn of_kv(path: &Path, error: KvError) -> OpenError {
    let cause = error.to_string();
    match crate::store::engine::folder::says_full(&cause) {
        true => OpenError::Full { path: path.to_owned() },
        false => OpenError::Broken { path: path.to_owned(), cause },
    }
}

/// Puts the index that was made into its place. Answers the name under which the one before is kept, if there was one.
///
/// # Errors
/// The system's.
pub fn put_in_place(made: &Path, index: &Path) -> std::io::Result<Option<String>> {
    let folder = index.parent().unwrap_or(index).to_path_buf();
    // Those that were set aside before are of no more use: the journal is whole, and has all that they had.
    for entry in fs::read_dir(&folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(INDEX_ASIDE) {
            files::remove(&entry.path())?;
        }
    }
    let aside: PathBuf = folder.join(INDEX_ASIDE);
    let had = index.symlink_metadata().is_ok();
    if had {
        fs::rename(index, &aside)?;
    }
    fs::rename(made, index)?;
    files::sync_folder(&folder)?;
    Ok(had.then(|| aside.file_name().unwrap_or_default().to_string_lossy().into_owned()))
}

/// How far long work is, in the log: a line for each tenth.
struct Progress {
    from: u64,
    to: u64,
    said: u64,
}

impl Progress {
    fn new(from: u64, to: u64) -> Progress {
        Progress { from, to, said: 0 }
    }

    fn at(&mut self, lsn: u64) {
        let all = self.to.saturating_sub(self.from).max(1);
        let tenths = 10 * lsn.saturating_sub(self.from) / all;
        if tenths > self.said {
            self.said = tenths;
            tracing::info!(
                percent = 10 * tenths,
                commits = lsn - self.from,
                "the index is being made from the journal"
            );
        }
    }
}
