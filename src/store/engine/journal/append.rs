//! The end of the journal: what a commit appends, and what is answered only once it is durable there.

mod roll;

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use crate::domain::time::Time;
use crate::store::crash;
use crate::store::engine::journal::changes;
use crate::store::engine::journal::files;
use crate::store::engine::journal::frame::FrameWriter;
use crate::store::engine::journal::manifest::{Manifest, SegmentEntry};
use crate::store::engine::journal::segment::{FRAMES, SLOTS, SegmentHeader, Slot, StoreId};
use crate::store::engine::kv::{Batch, KvError, Step};

/// A segment that was made ahead: renamed when it is needed.
pub const SPARE: &str = "next";

/// What time it is, for the manifest.
pub type WallClock = Arc<dyn Fn() -> Time + Send + Sync>;

/// How the journal is kept.
#[derive(Clone)]
pub struct JournalSettings {
    /// The size of a segment in bytes. The first of a journal is small, and each has twice the size of the one before up to
    /// this.
    pub segment_bytes: u64,
    /// What time it is, where that is known.
    pub wall: Option<WallClock>,
}

impl Default for JournalSettings {
    fn default() -> JournalSettings {
        JournalSettings { segment_bytes: 64 * 1024 * 1024, wall: None }
    }
}

/// How long one waits who wants to see the journal while its manifest is written.
const SNAPSHOT_PAUSE: Duration = Duration::from_millis(1);

/// The size of a journal's first segment.
const FIRST_SEGMENT: u64 = 1024 * 1024;

/// Where the journal of a store goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalEnd {
    /// The segment that is open.
    pub header: SegmentHeader,
    /// The checksum of the last frame, of this segment or of one before; 0 where there is none.
    pub checksum: u32,
    /// Where its next frame begins.
    pub at: u64,
    /// The number of the last commit, of this segment or of one before.
    pub lsn: u64,
}

/// A journal to which commits are appended, one at a time.
pub struct Journal {
    folder: PathBuf,
    settings: JournalSettings,
    open: Mutex<OpenSegment>,
    manifest: Mutex<Manifest>,
    durable: AtomicU64,
    /// How many read its files, and want them to stay for a while; and how many for as long as it takes.
    held: AtomicUsize,
    held_long: AtomicUsize,
    /// How many that others took the place of were removed.
    removed: AtomicU64,
}

/// While it is there no file of the journal is removed that a manifest of this time names; not for ever, though.
pub struct HeldFiles<'a> {
    journal: &'a Journal,
    holders: &'a AtomicUsize,
    /// How many had been removed before.
    removed: u64,
}

impl HeldFiles<'_> {
    /// Whether they have all stayed.
    pub fn have_stayed(&self) -> bool {
        self.journal.removed.load(Ordering::Acquire) == self.removed
    }
}

impl Drop for HeldFiles<'_> {
    fn drop(&mut self) {
        self.holders.fetch_sub(1, Ordering::AcqRel);
    }
}

struct OpenSegment {
    file: File,
    /// Whether a commit has failed: nothing more is written.
    failed: bool,
    end: JournalEnd,
    /// How many commits it has got, by which the slots take turns.
    turn: usize,
    /// What the last sync made durable.
    proven: Slot,
    writer: FrameWriter,
    plain: Vec<u8>,
}

fn failed(doing: &str) -> impl FnOnce(io::Error) -> KvError {
    let doing = doing.to_owned();
    move |error| KvError::Failed(format!("{doing}: {error}"))
}

impl Journal {
    /// Begins a journal in a folder that has none, with commit `first`.
    ///
    /// # Errors
    /// The system's.
    pub fn begin(
        folder: &Path,
        store: StoreId,
        first: u64,
        settings: JournalSettings,
    ) -> io::Result<Journal> {
        let size = settings.segment_bytes.min(FIRST_SEGMENT);
        let header = SegmentHeader { store, first, before: 0, rewrite: 0, known: 0, size };
        let (file, checksum) = (make_segment(folder, &header)?, header.before);
        let manifest = Manifest { end: first - 1, segments: vec![entry(&header)], ..Manifest::new(store) };
        let end = JournalEnd { header, checksum, at: FRAMES, lsn: first - 1 };
        let journal = Journal::of(folder, file, end, manifest, settings);
        journal.write_manifest(|_| {})?;
        Ok(journal)
    }

    /// Goes on at the end of a journal that was read whole.
    ///
    /// # Errors
    /// The system's.
    pub fn resume(
        folder: &Path,
        end: JournalEnd,
        manifest: Manifest,
        settings: JournalSettings,
    ) -> io::Result<Journal> {
        let file = File::options().read(true).write(true).open(folder.join(end.header.file_name()))?;
        Ok(Journal::of(folder, file, end, manifest, settings))
    }

    fn of(
        folder: &Path,
        file: File,
        end: JournalEnd,
        manifest: Manifest,
        settings: JournalSettings,
    ) -> Journal {
        let proven = Slot { lsn: end.lsn, end: end.at, checksum: end.checksum, is_end: false };
        let (writer, plain) = Default::default();
        let durable = AtomicU64::new(end.lsn);
        let open = Mutex::new(OpenSegment { file, failed: false, end, turn: 0, proven, writer, plain });
        let (held, held_long, removed) = Default::default();
        let manifest = Mutex::new(manifest);
        Journal { folder: folder.to_owned(), settings, open, manifest, durable, held, held_long, removed }
    }

    /// Appends a commit, and answers its number once it is durable. After an error nothing more is appended.
    ///
    /// # Errors
    /// The disk's. What was written is taken back before, as far as the disk lets it: else the commit may be there once
    /// after the next start, though it was answered to no one.
    pub fn append(&self, batch: &Batch, passed: &mut dyn FnMut(Step)) -> Result<u64, KvError> {
        let mut open = self.open.lock();
        open.check().map_err(failed("the journal"))?;
        let lsn = open.end.lsn + 1;
        let length = open.pack(batch, lsn)?;
        if open.end.at + length as u64 > open.end.header.size {
            let rolled = self.roll(&mut open, length as u64);
            open.failed |= rolled.is_err();
            rolled.map_err(failed("a new journal segment"))?;
        }
        open.write(length, lsn, passed)?;
        self.durable.store(lsn, Ordering::Release);
        Ok(lsn)
    }

    /// The last commit that is durable.
    pub fn durable(&self) -> u64 {
        self.durable.load(Ordering::Acquire)
    }

    /// The folder that it is in.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Goes on in a new segment, which is known to the manifest before anything in it is answered.
    fn roll(&self, open: &mut OpenSegment, frame: u64) -> io::Result<()> {
        let header = SegmentHeader {
            store: open.end.header.store,
            first: open.end.lsn + 1,
            before: open.end.checksum,
            rewrite: 0,
            known: 0,
            size: self.next_size(open).max(FRAMES + frame),
        };
        open.prove_end()?;
        let (file, checksum) = (make_segment(&self.folder, &header)?, header.before);
        crash::point("journal.new_segment");
        let (added, is_empty) = (entry(&header), open.end.at == FRAMES);
        self.write_manifest(|manifest| {
            if is_empty {
                // The file that was too short for the commit had its name.
                manifest.segments.pop();
            }
            manifest.segments.push(added);
        })?;
        crash::point("journal.new_segment_named");
        let lsn = open.end.lsn;
        open.end = JournalEnd { header, checksum, at: FRAMES, lsn };
        (open.file, open.turn, open.proven) = (file, 0, Slot { lsn, end: FRAMES, checksum, is_end: false });
        Ok(())
    }

    /// Whether more than half of the open segment is used, and none is made ahead.
    pub fn needs_spare(&self) -> bool {
        let open = self.open.lock();
        let is_half_full = open.end.at > open.end.header.size / 2;
        drop(open);
        is_half_full && !self.folder.join(SPARE).exists()
    }

    fn next_size(&self, open: &OpenSegment) -> u64 {
        (2 * open.end.header.size).min(self.settings.segment_bytes)
    }

    /// Makes the next segment ahead, so that no commit waits for it.
    ///
    /// # Errors
    /// The system's.
    pub fn make_spare(&self) -> io::Result<()> {
        let unfinished = self.folder.join(format!("{SPARE}{}", files::UNFINISHED));
        let size = self.next_size(&self.open.lock());
        let made = files::create_zeros(&unfinished, size).and_then(|_| {
            // Under the lock, so that no commit is about to make the next segment.
            let _open = self.open.lock();
            fs::rename(&unfinished, self.folder.join(SPARE))?;
            files::sync_folder(&self.folder)
        });
        if made.is_err() {
            // It takes room that others need.
            files::remove(&unfinished)?;
        }
        made
    }

    /// Proves the last commit durable by a slot of its own, so that its place is known to have been written.
    ///
    /// # Errors
    /// The disk's.
    pub fn prove_end(&self) -> io::Result<()> {
        let mut open = self.open.lock();
        open.check()?;
        open.prove_end()
    }

    /// Changes the manifest and writes it, with what is durable by now.
    ///
    /// # Errors
    /// The system's.
    pub fn write_manifest(&self, change: impl FnOnce(&mut Manifest)) -> io::Result<()> {
        let mut manifest = self.manifest.lock();
        let mut next = manifest.clone();
        change(&mut next);
        next.sequence += 1;
        next.end = self.durable();
        next.written_at = self.now();
        next.write(&self.folder)?;
        *manifest = next;
        Ok(())
    }

    /// What time it is, where that is known.
    pub fn now(&self) -> Option<Time> {
        self.settings.wall.as_ref().map(|wall| wall())
    }

    /// Has the files that are there now stay for a while, for those who read by a manifest; what is being removed this moment
    /// may go.
    pub fn hold_files(&self) -> HeldFiles<'_> {
        self.hold(&self.held)
    }

    /// The same for as long as it takes, where nothing is erased meanwhile.
    pub fn hold_files_long(&self) -> HeldFiles<'_> {
        self.hold(&self.held_long)
    }

    fn hold<'a>(&'a self, holders: &'a AtomicUsize) -> HeldFiles<'a> {
        holders.fetch_add(1, Ordering::AcqRel);
        HeldFiles { journal: self, holders, removed: self.removed.load(Ordering::Acquire) }
    }

    /// A file that another took the place of is going to be removed.
    pub(super) fn removes_a_file(&self) {
        self.removed.fetch_add(1, Ordering::AcqRel);
    }

    /// Whether anyone wants its files to stay for a while.
    pub fn is_held(&self) -> bool {
        self.held.load(Ordering::Acquire) > 0
    }

    /// Whether anyone wants them to for as long as it takes.
    pub fn is_held_long(&self) -> bool {
        self.held_long.load(Ordering::Acquire) > 0
    }

    /// What the journal is at one moment: its manifest, and where its open segment ends. No commit waits for it longer than
    /// for another commit.
    pub fn snapshot(&self) -> (Manifest, JournalEnd) {
        loop {
            let open = self.open.lock();
            if let Some(manifest) = self.manifest.try_lock() {
                return (manifest.clone(), open.end.clone());
            }
            // The manifest is being written, which takes the disk a while.
            drop(open);
            std::thread::sleep(SNAPSHOT_PAUSE);
        }
    }

    /// The manifest as it was last written.
    pub fn manifest(&self) -> Manifest {
        self.manifest.lock().clone()
    }
}

impl OpenSegment {
    /// Packs what a batch changes. Answers how long its frame is.
    fn pack(&mut self, batch: &Batch, lsn: u64) -> Result<usize, KvError> {
        self.plain.clear();
        changes::write(batch, &mut self.plain);
        self.writer.pack(&self.plain, lsn, batch.commands).map_err(KvError::Failed)
    }

    /// Writes the packed frame, and the slot that proves the one before it, and syncs both.
    fn write(&mut self, length: usize, lsn: u64, passed: &mut dyn FnMut(Step)) -> Result<(), KvError> {
        let at = self.end.at;
        let (frame, checksum) = self.writer.chain(length, self.end.checksum);
        let written = self.file.write_all_at(frame, at).and_then(|()| self.prove());
        if written.is_ok() {
            passed(Step::Written);
        }
        if let Err(error) = written.and_then(|()| self.file.sync_data()) {
            self.failed = true;
            let taken_back = self.take_back(at, length);
            return Err(KvError::Failed(format!("fdatasync of the journal: {error}; {taken_back}")));
        }
        passed(Step::Synced);
        self.end.at += length as u64;
        (self.end.lsn, self.end.checksum) = (lsn, checksum);
        self.proven = Slot { lsn, end: self.end.at, checksum, is_end: false };
        Ok(())
    }

    /// Whether it may be written to.
    fn check(&self) -> io::Result<()> {
        if self.failed { Err(io::Error::other("a commit before has failed")) } else { Ok(()) }
    }

    /// Writes what is proven durable into the slot whose turn it is; durable with the next sync.
    fn prove(&mut self) -> io::Result<()> {
        let bytes = self.proven.write().map_err(io::Error::other)?;
        let place = SLOTS.get(self.turn % SLOTS.len()).copied().unwrap_or_default();
        self.turn += 1;
        self.file.write_all_at(&bytes, place)
    }

    /// Writes into both slots that what is proven durable is the end, and syncs them.
    fn prove_end(&mut self) -> io::Result<()> {
        let bytes = Slot { is_end: true, ..self.proven }.write().map_err(io::Error::other)?;
        SLOTS.iter().try_for_each(|place| self.file.write_all_at(&bytes, *place))?;
        self.file.sync_data()
    }

    /// Overwrites a frame whose sync failed: it was answered to no one. A failed sync is not tried again over the
    /// same pages, since the system may have given them up and say that it went well.
    fn take_back(&mut self, at: u64, length: usize) -> &'static str {
        let zeros = vec![0; length];
        match self.file.write_all_at(&zeros, at).and_then(|()| self.prove_end()) {
            Ok(()) => "what was written was taken back",
            Err(_) => "what was written may be there once after the next start",
        }
    }
}

fn entry(header: &SegmentHeader) -> SegmentEntry {
    SegmentEntry::new(header.file_name(), header.first)
}

/// Makes a segment, out of the one that was made ahead where there is one of its size. It is durable under its name.
fn make_segment(folder: &Path, header: &SegmentHeader) -> io::Result<File> {
    let (spare, name) = (folder.join(SPARE), folder.join(header.file_name()));
    let (made, file) = match File::options().read(true).write(true).open(&spare) {
        Ok(file) if file.metadata()?.len() == header.size => (spare, file),
        _ => {
            let made = folder.join(format!("{}{}", header.file_name(), files::UNFINISHED));
            let file = files::create_zeros(&made, header.size)?;
            (made, file)
        }
    };
    let bytes = header.write().map_err(io::Error::other)?;
    file.write_all_at(&bytes, 0)?;
    file.sync_all()?;
    fs::rename(made, name)?;
    files::sync_folder(folder)?;
    Ok(file)
}
