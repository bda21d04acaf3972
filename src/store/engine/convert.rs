//! A data folder from before there was a journal: its database is copied, and a journal is written of all that is in it. The
//! old files stay until the next clean stop.

use std::fs::{self, File};
use std::io;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{FlockOperation, flock};

use crate::store::engine::data_folder::{
    FolderContents, FolderSettings, INDEX, JOURNAL, NEW_INDEX, NEW_JOURNAL, OpenReport, new_store,
};
use crate::store::engine::error::OpenError;
use crate::store::engine::index_folder::of_kv;
use crate::store::engine::index_sums::IndexSums;
use crate::store::engine::journal::changes;
use crate::store::engine::journal::files;
use crate::store::engine::journal::inspect::inspect;
use crate::store::engine::journal::replay::replay;
use crate::store::engine::kv::{Direction, Kv, KvError, Span};
use crate::store::engine::packed::Packed;
use crate::store::engine::repair;
use crate::store::engine::sled::Sled;

/// A database of no more than this may be one in which nothing was written yet.
const EMPTY: u64 = 1024 * 1024;

/// Whether there are files of a database in the folder itself.
pub fn has_old_files(path: &Path) -> bool {
    !old_files(path).unwrap_or_default().is_empty()
}

fn old_files(path: &Path) -> io::Result<Vec<String>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(path)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if ["db", "conf", "blobs"].contains(&name.as_str()) || name.contains("snap.") {
            files.push(name);
        }
    }
    Ok(files)
}

/// Converts the folder, or refuses and leaves it as it is.
///
/// # Errors
/// What cannot be read; or the system's.
pub fn convert(
    path: &Path,
    settings: &FolderSettings,
    contents: FolderContents<'_>,
    report: &mut OpenReport,
) -> Result<(), OpenError> {
    let failed = |error: io::Error| OpenError::of_io(path, &error);
    let old = old_files(path).map_err(failed)?;
    let copy = path.join(NEW_INDEX);
    // The program of before knows this lock, and no other.
    let database = File::open(path.join("db")).map_err(failed)?;
    match flock(&database, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => return Err(OpenError::Locked { path: path.to_owned() }),
        Err(errno) => return Err(failed(errno.into())),
    }
    tracing::info!("the data folder is from before there was a journal: it is being converted");
    let converted = copy_and_dump(path, &old, settings, contents);
    let count = match converted {
        Ok(count) => count,
        Err(error) => {
            // It is left as it was.
            for made in [NEW_INDEX, NEW_JOURNAL] {
                files::remove(&path.join(made)).map_err(failed)?;
            }
            return Err(error);
        }
    };
    fs::rename(&copy, path.join(INDEX)).map_err(failed)?;
    fs::rename(path.join(NEW_JOURNAL), path.join(JOURNAL)).map_err(failed)?;
    files::sync_folder(path).map_err(failed)?;
    report.repairs.push(format!("it was converted: {count} records are in a journal now"));
    Ok(())
}

fn copy_and_dump(
    path: &Path,
    old: &[String],
    settings: &FolderSettings,
    contents: FolderContents<'_>,
) -> Result<u64, OpenError> {
    let failed = |error: io::Error| OpenError::of_io(path, &error);
    let of_engine = |error| of_kv(path, error);
    let copy = path.join(NEW_INDEX);
    files::remove(&copy).map_err(failed)?;
    fs::create_dir(&copy).map_err(failed)?;
    let mut bytes = 0;
    for name in old {
        let (from, to) = (path.join(name), copy.join(name));
        if from.is_dir() {
            files::copy_folder(&from, &to).map_err(failed)?;
        } else {
            bytes += from.metadata().map_err(failed)?.len();
            files::copy_file(&from, &to).map_err(failed)?;
        }
    }
    files::sync_folder(&copy).map_err(failed)?;
    let sled = Arc::new(Sled::open(&copy).map_err(|error| at(path, error))?);
    let counted = sled.count(&mut || Ok(())).map_err(of_engine)?;
    if counted == IndexSums::default() && bytes > EMPTY {
        let cause = format!("the database of {bytes} bytes opens empty: it is damaged");
        return Err(OpenError::Broken { path: path.to_owned(), cause });
    }
    let index = Packed::new(Arc::<Sled>::clone(&sled), contents.tables);
    (contents.check)(&index)?;
    let store = new_store().map_err(failed)?;
    let journal = repair::dump(path, (&sled, store, 1), settings, contents)?;
    let records = records_of(&index).map_err(of_engine)?;
    let (written, count) = records_in(&path.join(NEW_JOURNAL)).map_err(of_engine)?;
    if let Some(difference) = records.difference(&written) {
        let cause = format!("what was converted is not what was there: {difference}");
        return Err(OpenError::Broken { path: path.to_owned(), cause });
    }
    sled.adopt(counted, journal.durable()).map_err(of_engine)?;
    let set_aside = old.to_vec();
    journal
        .write_manifest(|manifest| (manifest.closed, manifest.set_aside) = (true, set_aside))
        .map_err(failed)?;
    Ok(count)
}

/// The folder that a person knows, in the place of the copy that was looked at.
fn at(path: &Path, error: OpenError) -> OpenError {
    match error {
        OpenError::Broken { cause, .. } => OpenError::Broken { path: path.to_owned(), cause },
        error => error,
    }
}

/// What proves the records of an index to be those of a journal.
fn records_of(index: &Packed) -> Result<IndexSums, KvError> {
    let mut sums = IndexSums::default();
    for table in 1..u8::MAX {
        let span = Span { from: &[table], to: &[table + 1], direction: Direction::Up };
        let mut unreadable = None;
        index.scan(span, &mut |key, value| match value {
            Ok(value) => {
                sums.add(key, value);
                ControlFlow::Continue(())
            }
            Err(error) => {
                unreadable = Some(error.clone());
                ControlFlow::Break(())
            }
        })?;
        if let Some(error) = unreadable {
            return Err(error);
        }
    }
    Ok(sums)
}

/// The same of a journal in which each record is once, and how many there are.
fn records_in(journal: &Path) -> Result<(IndexSums, u64), KvError> {
    let failed = |error: io::Error| KvError::Failed(error.to_string());
    let (mut sums, mut count) = (IndexSums::default(), 0);
    if let Some(inspection) = inspect(journal).map_err(failed)? {
        replay(journal, &inspection.manifest.segments, 0, &mut |_, payload| {
            let added = changes::each(payload, |(key, value)| {
                sums.add(key, value.unwrap_or_default());
                count += 1;
            });
            added.map_err(KvError::Failed)
        })?;
    }
    Ok((sums, count))
}
