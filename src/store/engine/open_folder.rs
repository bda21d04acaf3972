//! Opens a data folder: journal and index are looked through, and either puts the other right. Where both have lost the
//! same, it is refused, and nothing is changed.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};

use crate::store::engine::checkpoint::IndexedJournal;
use crate::store::engine::convert;
use crate::store::engine::current_index::OpenIndex;
use crate::store::engine::data_folder::{
    FolderContents, FolderSettings, INDEX, JOURNAL, LOCK, NEW_INDEX, NEW_JOURNAL, OLD_INDEX, OpenReport,
    RESTORING, VERIFYING, new_store, refused,
};
use crate::store::engine::error::OpenError;
use crate::store::engine::folder;
use crate::store::engine::index_folder::{self, CheckedIndex, add_changes, of_kv};
use crate::store::engine::index_note::{self, IndexNote};
use crate::store::engine::index_renewal;
use crate::store::engine::journal::append::{Journal, SPARE};
use crate::store::engine::journal::damage::{Damage, LastLost};
use crate::store::engine::journal::files;
use crate::store::engine::journal::finish;
use crate::store::engine::journal::inspect::{Inspection, inspect};
use crate::store::engine::journal::manifest::Manifest;
use crate::store::engine::journal::replay::replay;
use crate::store::engine::journaled::Journaled;
use crate::store::engine::kv::Batch;
use crate::store::engine::overlay::Overlay;
use crate::store::engine::packed::Packed;
use crate::store::engine::repair;
use crate::store::engine::sled::Sled;
use crate::store::engine::torn_end;

/// A process that has just ended, or is ending, may hold the lock a moment longer.
const LOCK_TRIES: usize = 20;
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// Opens a data folder, or begins one (mode 0700).
///
/// # Errors
/// Why it cannot be used. What is refused is as it was.
pub fn open(
    path: &Path,
    settings: &FolderSettings,
    contents: FolderContents<'_>,
) -> Result<(Journaled, OpenReport), OpenError> {
    let failed = |error: io::Error| OpenError::of_io(path, &error);
    let lock = hold(path)?;
    if path.join(RESTORING).exists() {
        return Err(OpenError::RestoreUnfinished { path: path.to_owned() });
    }
    let mut report = OpenReport::default();
    repair::end_swap(path).and_then(|()| index_renewal::end_swap(path)).map_err(failed)?;
    let inspected = || {
        let found = inspect(&path.join(JOURNAL)).map_err(failed)?;
        found.ok_or_else(|| failed(io::Error::other("the journal is gone")))
    };
    let inspection = match inspect(&path.join(JOURNAL)).map_err(failed)? {
        Some(inspection) => inspection,
        None => {
            begin(path, settings, contents, &mut report)?;
            inspected()?
        }
    };
    let (sled, inspection) = match index_of(path, inspection, contents)? {
        FoundIndex::Whole(sled, inspection) => (sled, inspection),
        FoundIndex::Damaged(inspection) => {
            repair::from_index(path, *inspection, settings, contents, &mut report)?;
            match index_of(path, inspected()?, contents)? {
                FoundIndex::Whole(sled, inspection) => (sled, inspection),
                FoundIndex::Damaged(inspection) => return Err(refused(path, &inspection.damage)),
            }
        }
    };
    let opened = go_on(path, settings, contents, (sled, inspection), &mut report)?;
    let opened = Journaled::start(opened, Some(lock), settings.reserve)
        .map_err(|error| OpenError::Thread(error.to_string()))?;
    report.repairs.iter().for_each(|repair| tracing::warn!("the data folder was repaired: {repair}"));
    Ok((opened, report))
}

/// Prepares the folder, and holds it for this process. On a full disk what was left unfinished goes first: it may be what
/// fills it.
fn hold(path: &Path) -> Result<File, OpenError> {
    if folder::room(path).is_err() && path.join(LOCK).exists() {
        let lock = lock(path)?;
        let failed = |error: io::Error| OpenError::of_io(path, &error);
        clean_made(path).map_err(failed)?;
        // Of a journal that may have to be refused nothing is changed.
        let inspection = inspect(&path.join(JOURNAL)).map_err(failed)?;
        if inspection.is_some_and(|found| found.damage.is_empty() && found.end.is_some()) {
            clean(path).map_err(failed)?;
        }
        folder::prepare(path)?;
        return Ok(lock);
    }
    folder::prepare(path)?;
    lock(path)
}

/// Whether a process has the folder open now.
pub fn is_open(path: &Path) -> bool {
    let Ok(file) = File::open(path.join(LOCK)) else { return false };
    // Dropped at once, the lock is no one's.
    flock(&file, FlockOperation::NonBlockingLockShared) == Err(rustix::io::Errno::WOULDBLOCK)
}

/// Holds the folder for this process.
///
/// # Errors
/// That another has it; or the system's.
pub fn lock(path: &Path) -> Result<File, OpenError> {
    let failed = |error: io::Error| OpenError::of_io(path, &error);
    let lock = path.join(LOCK);
    let file = match File::options().read(true).write(true).open(&lock) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => files::create(&lock).map_err(failed)?,
        Err(error) => return Err(failed(error)),
    };
    for attempt in 0.. {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => break,
            Err(rustix::io::Errno::WOULDBLOCK) if attempt < LOCK_TRIES => std::thread::sleep(LOCK_PAUSE),
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(OpenError::Locked { path: path.to_owned() }),
            Err(errno) => return Err(failed(errno.into())),
        }
    }
    Ok(file)
}

/// Begins a journal in a folder that has none. One that holds anything else of a store is not new.
fn begin(
    path: &Path,
    settings: &FolderSettings,
    contents: FolderContents<'_>,
    report: &mut OpenReport,
) -> Result<(), OpenError> {
    let failed = |error: io::Error| OpenError::of_io(path, &error);
    if path.join(INDEX).exists() {
        let what = "the journal is missing, and there is an index of one".to_owned();
        let damage = Damage { file: path.join(JOURNAL), at: 0, what, first: 1, last: LastLost::AtLeast(0) };
        return repair::from_index_alone(path, damage, settings, contents, report);
    }
    if convert::has_old_files(path) {
        return convert::convert(path, settings, contents, report);
    }
    let journal = path.join(JOURNAL);
    fs::create_dir_all(&journal).map_err(failed)?;
    // First, and durably so: without an index it makes one, and an index without it is refused.
    let store = new_store().map_err(failed)?;
    Journal::begin(&journal, store, 1, settings.journal.clone()).map_err(failed)?;
    files::sync_folder(path).map_err(failed)?;
    let sled = Sled::open(&path.join(INDEX))?;
    sled.set_mark(0, false).map_err(|error| of_kv(path, error))?;
    files::sync_folder(path).map_err(failed)
}

/// What there is to go on with.
enum FoundIndex {
    Whole(Arc<Sled>, Box<Inspection>),
    /// The journal is damaged; the index was not touched.
    Damaged(Box<Inspection>),
}

/// The index of a journal; where it is wrong, one that is made anew.
fn index_of(
    path: &Path,
    mut inspection: Inspection,
    contents: FolderContents<'_>,
) -> Result<FoundIndex, OpenError> {
    let failed = |error: io::Error| OpenError::of_io(path, &error);
    if !inspection.damage.is_empty() || inspection.end.is_none() {
        return Ok(FoundIndex::Damaged(Box::new(inspection)));
    }
    let index = path.join(INDEX);
    let is_ahead = |note: &IndexNote| note.applied > inspection.last;
    // Before it is opened, which changes its files: this may have to be refused.
    if let Some(note) = index_note::read(&index).filter(is_ahead) {
        inspection.damage.push(index_ahead(path, inspection.last, note));
        return Ok(FoundIndex::Damaged(Box::new(inspection)));
    }
    let wrong = match index_folder::open(&index)? {
        CheckedIndex::Whole(sled) => {
            let (applied, closed) = (sled.mark().applied, sled.mark().closed);
            if applied > inspection.last {
                inspection.damage.push(index_ahead(path, inspection.last, IndexNote { applied, closed }));
                return Ok(FoundIndex::Damaged(Box::new(inspection)));
            }
            if applied >= inspection.rewritten {
                return Ok(FoundIndex::Whole(sled, Box::new(inspection)));
            }
            "it is older than the journal's last rewriting".to_owned()
        }
        CheckedIndex::Wrong(wrong) => wrong,
    };
    tracing::warn!(cause = %wrong, "the index is made anew from the journal");
    let made = path.join(NEW_INDEX);
    drop(index_folder::make(&made, (&path.join(JOURNAL), &inspection), contents.tables)?);
    let aside = index_folder::put_in_place(&made, &index).map_err(failed)?;
    inspection.manifest.set_aside.extend(aside);
    inspection.flaws.push(format!("the index was made anew from the journal: {wrong}"));
    match index_folder::open(&index)? {
        CheckedIndex::Whole(sled) => Ok(FoundIndex::Whole(sled, Box::new(inspection))),
        CheckedIndex::Wrong(cause) => Err(OpenError::Broken { path: index, cause }),
    }
}

/// What the journal has lost, by an index that has more.
fn index_ahead(path: &Path, last: u64, note: IndexNote) -> Damage {
    let what = "the index has commits that the journal has not".to_owned();
    let lost = if note.closed { LastLost::Commit(note.applied) } else { LastLost::AtLeast(note.applied) };
    Damage { file: path.join(JOURNAL), at: 0, what, first: last + 1, last: lost }
}

/// Goes on where the journal ends. What is not in the index yet is put over it.
fn go_on(
    path: &Path,
    settings: &FolderSettings,
    contents: FolderContents<'_>,
    (sled, inspection): (Arc<Sled>, Box<Inspection>),
    report: &mut OpenReport,
) -> Result<IndexedJournal, OpenError> {
    let failed = |error: io::Error| OpenError::of_io(path, &error);
    let of_engine = |error| of_kv(path, error);
    let journal_folder = path.join(JOURNAL);
    report.repairs.extend(inspection.flaws.iter().cloned());
    let end = inspection.end.clone().ok_or_else(|| failed(io::Error::other("the journal has no end")))?;
    if let Some(torn) = &inspection.torn {
        report.torn =
            torn_end::set_aside(path, torn, inspection.last + 1).map_err(failed)?.or(report.torn.take());
    }
    clean(path).map_err(failed)?;
    let leftovers = inspection.leftovers.iter().map(|name| journal_folder.join(name));
    leftovers.into_iter().try_for_each(|file| files::remove(&file)).map_err(failed)?;
    fit_open_segment(&journal_folder, &inspection).map_err(failed)?;
    let mut manifest = inspection.manifest.clone();
    for worn in &inspection.worn {
        let entry = manifest.segments.iter_mut().find(|entry| entry.file == worn.file);
        let fixed = entry.map_or(Ok(()), |entry| finish::fix(&journal_folder, entry, worn));
        fixed.map_err(failed)?;
    }
    // Whatever happens from here on, the store is not closed any more.
    let applied = sled.mark().applied;
    sled.set_mark(applied, false).map_err(of_engine)?;
    let journal = Journal::resume(&journal_folder, end, manifest, settings.journal.clone());
    let journal = journal.map_err(failed)?;
    journal.prove_end().map_err(failed)?;
    let changed = |manifest: &mut Manifest| {
        manifest.closed = false;
        // What they took the place of was removed.
        manifest.segments.iter_mut().for_each(|entry| entry.clean = entry.known);
    };
    journal.write_manifest(changed).map_err(failed)?;
    let records = Packed::new(Arc::<Sled>::clone(&sled), contents.tables);
    let overlay = Overlay::new(applied);
    let opened =
        IndexedJournal::new(journal, overlay, OpenIndex { sled, records }, settings.checkpoint.clone());
    let replayed = replay(&journal_folder, &inspection.manifest.segments, applied, &mut |head, payload| {
        let mut batch = Batch::default();
        add_changes(payload, &mut batch)?;
        opened.overlay.take(batch, head.lsn);
        if opened.overlay.active_bytes() >= opened.settings.bytes { opened.checkpoint() } else { Ok(()) }
    });
    replayed.map_err(of_engine)?;
    Ok(opened)
}

/// Removes what was being made of journal and index, and is of use to no one. What only waits to be put into its place stays.
fn clean_made(path: &Path) -> io::Result<()> {
    if !repair::waits_for_its_place(path) {
        index_renewal::end_swap(path)?;
        files::remove(&path.join(NEW_JOURNAL))?;
        files::remove(&path.join(repair::CHECKED_INDEX))?;
    }
    [NEW_INDEX, OLD_INDEX, VERIFYING].into_iter().try_for_each(|made| files::remove(&path.join(made)))
}

/// Removes what an earlier start, or an earlier process, left unfinished. What only waits to be put into its place stays.
fn clean(path: &Path) -> io::Result<()> {
    clean_made(path)?;
    let journal = path.join(JOURNAL);
    files::remove(&journal.join(SPARE))?;
    let entries = match fs::read_dir(&journal) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_name().to_string_lossy().ends_with(files::UNFINISHED) {
            files::remove(&entry.path())?;
        }
    }
    Ok(())
}

/// Gives the open segment its header, its full size, and zeros behind its end.
fn fit_open_segment(folder: &Path, inspection: &Inspection) -> io::Result<()> {
    let Some(end) = &inspection.end else { return Ok(()) };
    let mut file = File::options().read(true).write(true).open(folder.join(end.header.file_name()))?;
    let length = file.metadata()?.len();
    if inspection.flaws.is_empty() && inspection.torn.is_none() && length == end.header.size {
        return Ok(());
    }
    let header = end.header.write().map_err(io::Error::other)?;
    file.write_all_at(&header, 0)?;
    io::Seek::seek(&mut file, io::SeekFrom::Start(end.at))?;
    files::write_zeros(&mut file, end.header.size.max(length).saturating_sub(end.at))?;
    file.set_len(end.header.size)?;
    file.sync_all()
}
