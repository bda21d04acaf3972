//! Reads what can be read out of a damaged data folder, or a damaged backup, into a new one: every commit of the journal and
//! every record of the index that verifies. The damaged one is not changed.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{FlockOperation, flock};

use crate::store::contract::copies::{CopyError, ProgressOf, SalvageReport};
use crate::store::engine::data_folder::{
    FolderContents, FolderSettings, INDEX, JOURNAL, LOCK, NEW_INDEX, NEW_JOURNAL, VERIFYING, new_store,
};
use crate::store::engine::erasure_file::ErasureFile;
use crate::store::engine::error::OpenError;
use crate::store::engine::folder;
use crate::store::engine::index_folder::{add_changes, of_kv};
use crate::store::engine::index_renewal::index_in;
use crate::store::engine::journal::files;
use crate::store::engine::journal::inspect::{Inspection, inspect};
use crate::store::engine::journal::manifest::SegmentEntry;
use crate::store::engine::journal::replay::replay_between;
use crate::store::engine::journal::segment::parse_name;
use crate::store::engine::kv::{Batch, Direction, Kv, KvError, Span};
use crate::store::engine::open_folder;
use crate::store::engine::packed::Packed;
use crate::store::engine::repair;
use crate::store::engine::sled::Sled;

/// How many bytes of records go to the new index together.
const CHUNK: usize = 16 * 1024 * 1024;
/// The key behind all others.
const END: &[u8] = &[0xff; 9];

/// Salvages what is in `from` into `to`, which has nothing.
///
/// # Errors
/// Why nothing was salvaged.
pub fn salvage(
    from: &Path,
    to: &Path,
    contents: FolderContents<'_>,
    progress: ProgressOf<'_>,
) -> Result<SalvageReport, CopyError> {
    let refused = |error: OpenError| CopyError::Folder(error.to_string());
    let failed = |error: io::Error| CopyError::of_io(to, &error);
    let _lock = lock(from)?;
    if to.exists() && fs::read_dir(to).map_err(failed)?.next().is_some() {
        return Err(CopyError::NotEmpty { path: to.to_owned() });
    }
    folder::prepare(to).map_err(refused)?;
    let (one, other) = (from.canonicalize().map_err(failed)?, to.canonicalize().map_err(failed)?);
    if one.starts_with(&other) || other.starts_with(&one) {
        return Err(CopyError::Within { path: to.to_owned() });
    }
    let _own = open_folder::lock(to).map_err(refused)?;
    let salvaged = Salvage::read(from, to, contents.tables)?;
    let erasures = ErasureFile::read(from).unwrap_or_else(|error| {
        tracing::warn!(folder = %from.display(), %error, "the file of erasures cannot be read, and is left out");
        ErasureFile::default()
    });
    // What is put together of two copies may have what was erased. Before the rest: nothing opens the folder without it.
    ErasureFile { again: true, ..erasures }.write(to).map_err(failed)?;
    salvaged.write(to, contents, progress)
}

/// Holds the folder's lock, where it has one: without changing anything.
fn lock(folder: &Path) -> Result<Option<File>, CopyError> {
    let file = match File::open(folder.join(LOCK)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound && folder.is_dir() => return Ok(None),
        Err(error) => return Err(CopyError::of_io(folder, &error)),
    };
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(file)),
        Err(rustix::io::Errno::WOULDBLOCK) => {
            Err(CopyError::Folder(OpenError::Locked { path: folder.to_owned() }.to_string()))
        }
        Err(errno) => Err(CopyError::of_io(folder, &errno.into())),
    }
}

/// What there is to be salvaged.
struct Salvage {
    journal: PathBuf,
    /// `None`: there is no file of a journal.
    inspection: Option<Inspection>,
    segments: Vec<SegmentEntry>,
    /// A copy of the index, which opening changes; else why there is none.
    index: Result<Arc<Sled>, String>,
    /// Whether the index has all that it says.
    is_whole: bool,
    tables: &'static [u8],
}

impl Salvage {
    fn read(from: &Path, to: &Path, tables: &'static [u8]) -> Result<Salvage, CopyError> {
        let failed = |error: io::Error| CopyError::of_io(from, &error);
        let journal = match crate::store::engine::backup::journal_in(from) {
            Ok(folder) => folder,
            Err(_without_manifest) => from.join(JOURNAL),
        };
        let inspection = inspect(&journal).map_err(failed)?;
        let named = inspection.as_ref().map(|inspection| inspection.manifest.segments.clone());
        let segments = match named.filter(|segments| !segments.is_empty()) {
            Some(segments) => segments,
            None => by_name(&journal).map_err(failed)?,
        };
        let (index, copy) = (index_in(from), to.join(VERIFYING));
        let opened = match index.is_dir() {
            // A file of it that cannot be read takes nothing from the journal.
            true => files::copy_folder(&index, &copy).map_err(|error| error.to_string()).and_then(|()| {
                Sled::open(&copy).map(Arc::new).map_err(|error| match error {
                    OpenError::Broken { cause, .. } => cause,
                    error => error.to_string(),
                })
            }),
            false => Err("it is missing".to_owned()),
        };
        if opened.is_err() && segments.is_empty() {
            let what = format!("{} has neither a journal nor an index", from.display());
            return Err(CopyError::Folder(what));
        }
        let is_whole = opened.as_ref().is_ok_and(|sled| {
            sled.is_marked()
                && sled
                    .count(&mut || Ok(()))
                    .is_ok_and(|counted| sled.mark().sums.difference(&counted).is_none())
        });
        Ok(Salvage { journal, inspection, segments, index: opened, is_whole, tables })
    }

    /// Writes a new folder of all of it.
    fn write(
        self,
        to: &Path,
        contents: FolderContents<'_>,
        progress: ProgressOf<'_>,
    ) -> Result<SalvageReport, CopyError> {
        let refused = |error: OpenError| CopyError::Folder(error.to_string());
        let of_engine = |error: KvError| refused(of_kv(to, error));
        let failed = |error: io::Error| CopyError::of_io(to, &error);
        let made = to.join(NEW_INDEX);
        let sled = Arc::new(Sled::open(&made).map_err(refused)?);
        let packed = Packed::new(Arc::<Sled>::clone(&sled), self.tables);
        let mut report = SalvageReport::default();
        let applied = self.index.as_ref().map_or(0, |index| index.mark().applied);
        let last = self.inspection.as_ref().map_or(0, |inspection| inspection.last);
        let mut last = last.max(applied);
        // The older first: what the index has is all that was committed until then, also what the journal lost.
        if !self.is_whole {
            last = last.max(self.commits(&packed, (0, applied), &mut report, progress).map_err(of_engine)?);
        }
        self.records(&packed, &mut report).map_err(of_engine)?;
        last =
            last.max(self.commits(&packed, (applied, u64::MAX), &mut report, progress).map_err(of_engine)?);
        sled.sync().map_err(of_engine)?;
        (contents.check)(&packed).map_err(refused)?;
        report.records = count(&packed).map_err(of_engine)?;
        report.lost = self.lost();
        let damage = self.inspection.iter().flat_map(|inspection| &inspection.damage);
        last = damage.map(|damage| damage.last.known()).fold(last, u64::max);
        let store = new_store().map_err(failed)?;
        let journal = repair::dump(to, (&sled, store, last + 1), &FolderSettings::default(), contents);
        let journal = journal.map_err(refused)?;
        sled.set_mark(journal.durable(), false).map_err(of_engine)?;
        journal.prove_end().and_then(|()| journal.write_manifest(|_| {})).map_err(failed)?;
        drop((packed, sled, journal));
        drop(self.index);
        files::remove(&to.join(VERIFYING)).map_err(failed)?;
        fs::rename(&made, to.join(INDEX)).map_err(failed)?;
        fs::rename(to.join(NEW_JOURNAL), to.join(JOURNAL)).map_err(failed)?;
        files::sync_folder(to).map_err(failed)?;
        Ok(report)
    }

    /// Applies the commits of the journal that can be read: those after the first of these, up to the second. Answers the
    /// last one.
    fn commits(
        &self,
        target: &Packed,
        (after, to): (u64, u64),
        report: &mut SalvageReport,
        progress: ProgressOf<'_>,
    ) -> Result<u64, KvError> {
        let (mut batch, mut bytes, mut applied) = (Batch::default(), 0, 0);
        let all = self.inspection.as_ref().map_or(1, |inspection| inspection.last.max(1));
        let last = replay_between(&self.journal, &self.segments, (after, to), &mut |head, payload| {
            add_changes(payload, &mut batch)?;
            (bytes, applied) = (bytes + payload.len(), applied + 1);
            if bytes >= CHUNK {
                bytes = 0;
                target.apply(std::mem::take(&mut batch))?;
                progress(head.lsn.min(all), all);
            }
            Ok(())
        })?;
        target.apply(batch)?;
        report.commits += applied;
        Ok(last)
    }

    /// Applies the records of the index that can be read.
    fn records(&self, target: &Packed, report: &mut SalvageReport) -> Result<(), KvError> {
        let Ok(sled) = &self.index else { return Ok(()) };
        let index = Packed::new(Arc::<Sled>::clone(sled), self.tables);
        let mut taking = Taking { target, batch: Batch::default(), bytes: 0, count: 0, failed: Ok(()) };
        for table in 1..=u8::MAX {
            let end = table.checked_add(1).map_or(END.to_vec(), |next| vec![next]);
            let from = [table];
            let span = |direction| Span { from: &from, to: &end, direction };
            match index.scan(span(Direction::Up), &mut |key, value| taking.take(key, value)) {
                // What is behind the damaged place is read from the other end.
                Err(KvError::Damaged { .. }) => {
                    let behind = index.scan(span(Direction::Down), &mut |key, value| taking.take(key, value));
                    behind.or_else(|error| match error {
                        KvError::Damaged { .. } => Ok(()),
                        error => Err(error),
                    })?;
                }
                done => done?,
            }
            std::mem::replace(&mut taking.failed, Ok(()))?;
        }
        target.apply(std::mem::take(&mut taking.batch))?;
        report.of_index = Some(taking.count);
        Ok(())
    }

    /// What is not in the new folder, or may not be.
    fn lost(&self) -> Vec<String> {
        let whole = self.index.as_ref().ok().filter(|_| self.is_whole);
        let damage = self.inspection.iter().flat_map(|inspection| &inspection.damage);
        let mut lost: Vec<String> =
            damage.filter(|damage| !repair::has(whole, damage)).map(ToString::to_string).collect();
        let torn = self.inspection.iter().filter_map(|inspection| inspection.torn.as_ref());
        lost.extend(torn.filter(|torn| torn.may_be_answered).map(|torn| {
            format!("{} ends at byte {} in the middle of a commit", torn.file.display(), torn.at)
        }));
        match (&self.index, self.is_whole) {
            (Err(cause), _) => lost.push(format!(
                "the index cannot be read: {cause}. What the journal has of its records is there"
            )),
            (Ok(_), false) => lost.push(
                "some of the index cannot be read, or is not what was written. What the journal has of its records is \
                 there"
                    .to_owned(),
            ),
            (Ok(_), true) => {}
        }
        lost
    }
}

/// Takes records from one engine to another, many at a time.
struct Taking<'a> {
    target: &'a Packed,
    batch: Batch,
    bytes: usize,
    count: u64,
    failed: Result<(), KvError>,
}

impl Taking<'_> {
    fn take(&mut self, key: &[u8], value: Result<&[u8], &KvError>) -> ControlFlow<()> {
        // What cannot be read is left out: the journal may have it.
        let Ok(value) = value else { return ControlFlow::Continue(()) };
        self.batch.put(key.to_vec(), value.to_vec());
        (self.bytes, self.count) = (self.bytes + key.len() + value.len(), self.count + 1);
        if self.bytes < CHUNK {
            return ControlFlow::Continue(());
        }
        self.bytes = 0;
        self.failed = self.target.apply(std::mem::take(&mut self.batch));
        if self.failed.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }
}

/// The segments in a folder whose manifest cannot be read: of each the latest rewriting.
fn by_name(journal: &Path) -> io::Result<Vec<SegmentEntry>> {
    let mut found = BTreeMap::new();
    if !journal.is_dir() {
        return Ok(Vec::new());
    }
    for entry in fs::read_dir(journal)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if let Some((first, rewrite)) = parse_name(&name) {
            let known = found.entry(first).or_insert((rewrite, name.clone()));
            if known.0 < rewrite {
                *known = (rewrite, name);
            }
        }
    }
    let entry = |(first, (_, file))| SegmentEntry::new(file, first);
    Ok(found.into_iter().map(entry).collect())
}

/// The records by the first byte of their keys.
fn count(packed: &Packed) -> Result<BTreeMap<char, u64>, KvError> {
    let mut counts = BTreeMap::new();
    for table in 1..=u8::MAX {
        let end = table.checked_add(1).map_or(END.to_vec(), |next| vec![next]);
        let mut count = 0;
        packed.scan(Span { from: &[table], to: &end, direction: Direction::Up }, &mut |_, value| {
            count += u64::from(value.is_ok());
            ControlFlow::Continue(())
        })?;
        if count > 0 {
            counts.insert(char::from(table), count);
        }
    }
    Ok(counts)
}
