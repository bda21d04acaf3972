//! Takes a backup back into a data folder that has nothing. The backup is looked through whole first; the index is made anew.

use std::fs;
use std::io;
use std::path::Path;

use crate::store::contract::copies::{CopyError, ProgressOf, RestoreReport};
use crate::store::crash;
use crate::store::engine::backup::journal_in;
use crate::store::engine::data_folder::{INDEX, JOURNAL, LOCK, NEW_INDEX, RESTORING};
use crate::store::engine::erasure_file::{ERASURES, ErasureFile};
use crate::store::engine::error::OpenError;
use crate::store::engine::folder;
use crate::store::engine::index_folder;
use crate::store::engine::journal::files;
use crate::store::engine::journal::finished;
use crate::store::engine::journal::inspect::{Inspection, inspect};
use crate::store::engine::open_folder;

/// What a kill leaves of its small files.
const UNFINISHED: [&str; 2] = ["erasures.new", "restoring.new"];
/// What a restore makes in a data folder.
const MADE: [&str; 4] = [RESTORING, JOURNAL, NEW_INDEX, INDEX];

/// What is restored.
#[derive(Clone, Copy)]
pub struct RestoreSource<'a> {
    /// The folder of the backup.
    pub backup: &'a Path,
    /// The data folder that the restored one takes the place of, if there is one: what was erased there is erased again.
    pub replaced: Option<&'a Path>,
}

/// Restores a backup. What was erased since it was made, as far as the files of erasures of the backup, of the data folder
/// and of the one that is replaced say, is erased again when the folder is opened.
///
/// # Errors
/// Why not. A data folder that has anything is as it was.
pub fn restore(
    RestoreSource { backup, replaced }: RestoreSource<'_>,
    data: &Path,
    tables: &'static [u8],
    progress: ProgressOf<'_>,
) -> Result<RestoreReport, CopyError> {
    let source = journal_in(backup)?;
    if let Some(replaced) = replaced {
        fs::metadata(replaced).map_err(|error| CopyError::of_io(replaced, &error))?;
    }
    let erasures = erasures_in([Some(backup), replaced, Some(data)].into_iter().flatten())?;
    let (inspection, all) = whole(backup, &source, progress)?;
    let failed = |error: io::Error| CopyError::of_io(data, &error);
    let refused = |error: OpenError| CopyError::Folder(error.to_string());
    check_empty(data)?;
    folder::prepare(data).map_err(refused)?;
    let _lock = open_folder::lock(data).map_err(refused)?;
    check_empty(data)?;
    // Until it is whole, nothing opens it.
    files::replace(data, RESTORING, b"a restore was begun here, and was not ended\n").map_err(failed)?;
    let (journal, index) = (data.join(JOURNAL), data.join(INDEX));
    for begun in [&journal, &index, &data.join(NEW_INDEX)] {
        files::remove(begun).map_err(failed)?;
    }
    fs::create_dir(&journal).map_err(failed)?;
    let mut bytes = 0;
    for entry in &inspection.manifest.segments {
        let copy = journal.join(&entry.file);
        files::copy_file(&source.join(&entry.file), &copy).map_err(failed)?;
        bytes += copy.metadata().map_err(failed)?.len();
        progress(all + bytes, 2 * all.max(bytes));
        crash::point("restore.segment");
    }
    inspection.manifest.write(&journal).map_err(failed)?;
    files::sync_folder(&journal).map_err(failed)?;
    let made = data.join(NEW_INDEX);
    drop(index_folder::make(&made, (&journal, &inspection), tables).map_err(refused)?);
    fs::rename(&made, &index).map_err(failed)?;
    // The one that is here stays where there is nothing to add to it.
    if !erasures.lines.is_empty() {
        erasures.write(data).map_err(failed)?;
    }
    files::sync_folder(data).map_err(failed)?;
    files::remove(&data.join(RESTORING)).map_err(failed)?;
    files::sync_folder(data).map_err(failed)?;
    let segments = inspection.manifest.segments.len() as u64;
    let written_at = inspection.manifest.written_at;
    let (last, erasures) = (inspection.last, erasures.lines.len() as u64);
    Ok(RestoreReport { segments, bytes, last, written_at, erasures })
}

/// What the files of erasures in these folders have together. A damaged line is logged and left out: the erasure may be in
/// another, and in the records.
fn erasures_in<'a>(folders: impl Iterator<Item = &'a Path>) -> Result<ErasureFile, CopyError> {
    let mut all = ErasureFile::default();
    for folder in folders {
        let found = ErasureFile::read(folder).map_err(|error| CopyError::of_io(folder, &error))?;
        for line in &found.damaged {
            tracing::warn!(folder = %folder.display(), line, "a line of the file of erasures is damaged");
        }
        all.join(found);
    }
    Ok(all)
}

/// Looks a backup through. Answers what is in it, and how many bytes it has.
fn whole(backup: &Path, source: &Path, progress: ProgressOf<'_>) -> Result<(Inspection, u64), CopyError> {
    let failed = |error: io::Error| CopyError::of_io(source, &error);
    let nothing = || CopyError::NothingThere { path: backup.to_owned() };
    let inspection = inspect(source).map_err(failed)?.ok_or_else(nothing)?;
    let mut damage: Vec<String> = inspection.damage.iter().map(ToString::to_string).collect();
    damage.extend(inspection.torn.iter().map(|torn| format!("{} is cut", torn.file.display())));
    let segments = &inspection.manifest.segments;
    let length = |file: &str| fs::metadata(source.join(file)).map_or(0, |file| file.len());
    let all: u64 = segments.iter().map(|entry| length(&entry.file)).sum();
    let mut done = 0;
    for entry in segments {
        if let Some(finished) = &entry.finished {
            let path = source.join(&entry.file);
            match finished::difference(&path, finished) {
                Ok(None) => {}
                Ok(Some(what)) => damage.push(format!("{}: {what}", path.display())),
                Err(error) => damage.push(format!("{}: {error}", path.display())),
            }
        }
        done += length(&entry.file);
        progress(done, 2 * all.max(1));
    }
    if damage.is_empty() && inspection.end.is_some() {
        Ok((inspection, all))
    } else {
        Err(CopyError::Damaged { path: backup.to_owned(), damage })
    }
}

/// A folder has nothing where there is no more in it than its lock and the file of erasures, or what a restore that was interrupted left.
fn check_empty(data: &Path) -> Result<(), CopyError> {
    let entries = match fs::read_dir(data) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(|error| CopyError::of_io(data, &error))?,
    };
    let is_begun = data.join(RESTORING).exists();
    for entry in entries {
        let name = entry.map_err(|error| CopyError::of_io(data, &error))?.file_name();
        let is_own = name == LOCK
            || name == ERASURES
            || name == "lost+found"
            || UNFINISHED.iter().any(|unfinished| name == *unfinished)
            || is_begun && MADE.iter().any(|made| name == *made);
        if !is_own {
            return Err(CopyError::NotEmpty { path: data.to_owned() });
        }
    }
    Ok(())
}
