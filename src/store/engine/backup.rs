//! Copies a journal while it is written. What is there already is not copied again; a backup that is interrupted leaves the
//! one before.
//!
//! The new backup is made in a folder of its own next to the one that is there, which it shares files with, and takes its
//! place once it is whole.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, FileExt};
use std::path::{Path, PathBuf};

use crate::store::contract::copies::{CopyError, CopyReport, ProgressOf};
use crate::store::crash;
use crate::store::engine::data_folder::{JOURNAL, NEW_JOURNAL};
use crate::store::engine::erasure_file::ERASURES;
use crate::store::engine::journal::append::{Journal, JournalEnd};
use crate::store::engine::journal::files::{self, UNFINISHED};
use crate::store::engine::journal::manifest::{COPIES, FinishedSegment, Manifest, SegmentEntry};
use crate::store::engine::journal::segment::{FRAMES, SLOTS, Slot, StoreId};
use crate::store::engine::journal::segment_reader::SegmentReader;
use crate::store::engine::journal::{finish, finished};

/// The backup that was there before, while the new one takes its place.
const OLD_JOURNAL: &str = "journal.old";
/// What may be in the folder of a backup.
const OWN: [&str; 5] = [JOURNAL, NEW_JOURNAL, OLD_JOURNAL, ERASURES, "erasures.new"];
/// How often it is begun anew because a segment was rewritten, or removed, before it was copied.
const TRIES: usize = 20;
/// How many bytes are copied at a time.
const WINDOW: usize = 256 * 1024;

/// Copies what the journal has now, all that was durable before among it.
///
/// # Errors
/// Why there is no new backup. The one that was there before is then as it was.
pub fn backup(journal: &Journal, target: &Path, progress: ProgressOf<'_>) -> Result<CopyReport, CopyError> {
    let before = prepare(journal, target)?;
    let _stay = journal.hold_files();
    let made = target.join(NEW_JOURNAL);
    let mut copying = Copying {
        journal,
        old: target.join(JOURNAL),
        made,
        before,
        report: CopyReport { copied: 0, already_there: 0, bytes: 0, last: 0 },
        progress,
    };
    make_folder(&copying.made)?;
    for _ in 0..TRIES {
        let (manifest, end) = journal.snapshot();
        if copying.all(manifest, &end)? == Copied::Whole {
            copying.swap(target).map_err(|error| CopyError::of_io(target, &error))?;
            return Ok(copying.report);
        }
    }
    Err(CopyError::Restless)
}

/// The folder of the journal in a backup: of one that an interruption left between two names too.
///
/// # Errors
/// That there is none.
pub fn journal_in(backup: &Path) -> Result<PathBuf, CopyError> {
    let folders = [JOURNAL, NEW_JOURNAL, OLD_JOURNAL].map(|name| backup.join(name));
    let found = folders.into_iter().find(|folder| Manifest::read(folder).0.is_some());
    found.ok_or_else(|| CopyError::NothingThere { path: backup.to_owned() })
}

/// Makes the folder, or finds the backup in it, which is then at its own name.
fn prepare(journal: &Journal, target: &Path) -> Result<Option<Manifest>, CopyError> {
    let failed = |error: io::Error| CopyError::of_io(target, &error);
    make_folder(target)?;
    let data = journal.folder().parent().unwrap_or(journal.folder());
    let (data, own) = (data.canonicalize().map_err(failed)?, target.canonicalize().map_err(failed)?);
    if data.starts_with(&own) || own.starts_with(&data) {
        return Err(CopyError::Within { path: target.to_owned() });
    }
    for entry in fs::read_dir(target).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        if !OWN.iter().any(|own| name == *own) {
            return Err(CopyError::NoBackup { path: target.to_owned() });
        }
    }
    let (own, made, old) = (target.join(JOURNAL), target.join(NEW_JOURNAL), target.join(OLD_JOURNAL));
    if !own.exists()
        && let Ok(whole) = journal_in(target)
    {
        fs::rename(whole, &own).map_err(failed)?;
    }
    for rest in [made, old] {
        files::remove(&rest).map_err(failed)?;
    }
    let before = Manifest::read(&own).0;
    match &before {
        Some(before) if before.store != journal.manifest().store => {
            Err(CopyError::OtherStore { path: target.to_owned() })
        }
        None if own.exists() => Err(CopyError::NoBackup { path: target.to_owned() }),
        _ => Ok(before),
    }
}

fn make_folder(path: &Path) -> Result<(), CopyError> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|error| CopyError::of_io(path, &error))
}

/// Whether all files of a manifest were there to be copied.
#[derive(PartialEq, Eq)]
enum Copied {
    Whole,
    /// One was taken away, because another manifest has taken the place of this.
    Gone,
}

struct Copying<'a> {
    journal: &'a Journal,
    old: PathBuf,
    made: PathBuf,
    before: Option<Manifest>,
    report: CopyReport,
    progress: ProgressOf<'a>,
}

impl Copying<'_> {
    /// Copies every segment of a manifest, and the manifest last.
    fn all(&mut self, mut manifest: Manifest, end: &JournalEnd) -> Result<Copied, CopyError> {
        let size = |entry: &SegmentEntry| entry.finished.as_ref().map_or(end.at, |finished| finished.bytes);
        let (all, mut done) = (manifest.segments.iter().map(size).sum::<u64>().max(1), 0);
        self.report.last = end.lsn;
        let firsts: Vec<u64> = manifest.segments.iter().skip(1).map(|entry| entry.first).collect();
        for (number, entry) in manifest.segments.iter_mut().enumerate() {
            let copied = match firsts.get(number) {
                Some(next) => self.full(entry, next - 1),
                None => self.open(entry, end),
            };
            match copied {
                Ok(()) => {}
                Err(Failed::Gone) => return Ok(Copied::Gone),
                Err(Failed::Copy(error)) => return Err(error),
            }
            done += size(entry);
            (self.progress)(done.min(all), all);
            crash::point("backup.segment");
        }
        manifest.closed = true;
        manifest.end = end.lsn;
        manifest.set_aside.clear();
        self.end(&manifest).map_err(|error| CopyError::of_io(&self.made, &error))?;
        Ok(Copied::Whole)
    }

    /// A segment to which nothing is appended any more.
    fn full(&mut self, entry: &mut SegmentEntry, last: u64) -> Result<(), Failed> {
        let (source, copy) = (self.journal.folder().join(&entry.file), self.made.join(&entry.file));
        if let Some(known) = self.known(entry, last)
            && self.take_over(entry, &known, &copy)?
        {
            entry.finished = Some(known);
            return Ok(());
        }
        match &entry.finished {
            Some(_) if copy.exists() => Ok(()),
            Some(finished) => {
                self.copy(&source, &copy, u64::MAX, |copy| finished::difference(copy, finished))
            }
            None => {
                // It is finished here as it is going to be there.
                let mut found = None;
                self.copy(&source, &copy, u64::MAX, |copy| {
                    let finished = finish::finish(copy, None)?;
                    let wrong = (finished.last != last).then(|| "its last commits cannot be read".to_owned());
                    found = Some(finished);
                    Ok(wrong)
                })?;
                entry.finished = found;
                Ok(())
            }
        }
    }

    /// What the backup that was there before says of a segment, where it is the same.
    fn known(&self, entry: &SegmentEntry, last: u64) -> Option<FinishedSegment> {
        let mut segments = self.before.iter().flat_map(|before| &before.segments);
        let known = segments.find(|known| known.file == entry.file)?.finished.clone()?;
        let is_same = entry.finished.as_ref().map_or(known.last == last, |finished| *finished == known);
        is_same.then_some(known)
    }

    /// Takes a segment over from the backup that was there before, where it has it whole.
    fn take_over(
        &mut self,
        entry: &SegmentEntry,
        finished: &FinishedSegment,
        copy: &Path,
    ) -> Result<bool, Failed> {
        let old = self.old.join(&entry.file);
        if !matches!(finished::difference(&old, finished), Ok(None)) {
            return Ok(false);
        }
        files::remove(copy).map_err(|error| CopyError::of_io(copy, &error))?;
        // A file system without links has it twice for a while.
        let linked = fs::hard_link(&old, copy).or_else(|_| files::copy_file(&old, copy));
        linked.map_err(|error| CopyError::of_io(copy, &error))?;
        self.report.already_there += 1;
        Ok(true)
    }

    /// The open segment, as far as it is durable, with a first block of its own and of its full size.
    fn open(&mut self, entry: &SegmentEntry, end: &JournalEnd) -> Result<(), Failed> {
        let (source, copy) = (self.journal.folder().join(&entry.file), self.made.join(&entry.file));
        self.copy(&source, &copy, end.at, |copy| {
            let file = fs::File::options().write(true).open(copy)?;
            let header = end.header.write().map_err(io::Error::other)?;
            let slot = Slot { lsn: end.lsn, end: end.at, checksum: end.checksum, is_end: true };
            let slot = slot.write().map_err(io::Error::other)?;
            file.write_all_at(&vec![0; usize::try_from(FRAMES).unwrap_or_default()], 0)?;
            file.write_all_at(&header, 0)?;
            file.write_all_at(&slot, SLOTS.first().copied().unwrap_or_default())?;
            file.set_len(end.header.size)?;
            file.sync_all()?;
            Ok((last_commit(copy)? != (end.at, end.lsn))
                .then(|| "its last commits cannot be read".to_owned()))
        })
    }

    /// Copies the first bytes of a file; it has its name once `check` finds nothing wrong with it.
    fn copy(
        &mut self,
        source: &Path,
        copy: &Path,
        most: u64,
        check: impl FnOnce(&Path) -> io::Result<Option<String>>,
    ) -> Result<(), Failed> {
        let damaged = |what: String| CopyError::Source { file: source.to_owned(), what };
        let own = |error: io::Error| Failed::Copy(CopyError::of_io(copy, &error));
        let unfinished = PathBuf::from(format!("{}{UNFINISHED}", copy.display()));
        let from = match fs::File::open(source) {
            Ok(from) => from,
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(self.missing(source)),
            Err(error) => return Err(Failed::Copy(damaged(error.to_string()))),
        };
        let to = files::create(&unfinished).map_err(own)?;
        let (mut window, mut at) = (vec![0; WINDOW], 0);
        while at < most {
            let some = usize::try_from(most - at).unwrap_or(WINDOW).min(WINDOW);
            let window = window.get_mut(..some).unwrap_or_default();
            let read = from.read_at(window, at).map_err(|error| damaged(error.to_string()))?;
            if read == 0 {
                break;
            }
            to.write_all_at(window.get(..read).unwrap_or_default(), at).map_err(own)?;
            at += read as u64;
        }
        if let Some(what) = check(&unfinished).map_err(own)? {
            return Err(Failed::Copy(damaged(what)));
        }
        to.sync_all().map_err(own)?;
        fs::rename(&unfinished, copy).map_err(own)?;
        self.report.copied += 1;
        self.report.bytes += at;
        Ok(())
    }

    /// A file is not there: it was taken away on purpose, unless the manifest names it still.
    fn missing(&self, source: &Path) -> Failed {
        let manifest = self.journal.manifest();
        let is_named = manifest.segments.iter().any(|entry| source.ends_with(&entry.file));
        match is_named {
            true => {
                Failed::Copy(CopyError::Source { file: source.to_owned(), what: "it is missing".to_owned() })
            }
            false => Failed::Gone,
        }
    }

    /// Writes the manifest, and removes what it does not name.
    fn end(&self, manifest: &Manifest) -> io::Result<()> {
        for entry in fs::read_dir(&self.made)? {
            let entry = entry?;
            let name = entry.file_name();
            let is_named = manifest.segments.iter().any(|segment| name == segment.file.as_str());
            if !is_named && !COPIES.iter().any(|copy| name == *copy) {
                files::remove(&entry.path())?;
            }
        }
        files::sync_folder(&self.made)?;
        crash::point("backup.before_manifest");
        manifest.write(&self.made)
    }

    /// Puts the new backup into the place of the one before.
    fn swap(&self, target: &Path) -> io::Result<()> {
        let aside = target.join(OLD_JOURNAL);
        if self.old.exists() {
            fs::rename(&self.old, &aside)?;
            crash::point("backup.between_names");
        }
        fs::rename(&self.made, &self.old)?;
        files::sync_folder(target)?;
        files::remove(&aside)
    }
}

/// Where the whole frames of a segment end, and the last commit in them.
fn last_commit(path: &Path) -> io::Result<(u64, u64)> {
    let mut reader = SegmentReader::open(path)?;
    let header = reader.first_block().map(crate::store::engine::journal::segment::SegmentHeader::read)?;
    let mut last = header.map_or(0, |header| header.first - 1);
    while let Ok(head) = reader.next_frame() {
        last = head.lsn;
    }
    Ok((reader.at(), last))
}

/// Why a file was not copied.
enum Failed {
    Gone,
    Copy(CopyError),
}

impl From<CopyError> for Failed {
    fn from(error: CopyError) -> Failed {
        Failed::Copy(error)
    }
}

/// Which store a backup is of.
///
/// # Errors
/// That there is none.
pub fn store_of(backup: &Path) -> Result<StoreId, CopyError> {
    let manifest = Manifest::read(&journal_in(backup)?).0;
    manifest.map(|manifest| manifest.store).ok_or_else(|| CopyError::NothingThere { path: backup.to_owned() })
}
