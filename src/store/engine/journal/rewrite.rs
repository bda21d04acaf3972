//! Rewrites finished segments without what is gone: what was changed or removed since, and with it what is past its days or
//! was erased. Small frames become larger ones on the way, which pack better.
//!
//! A change stays where the store has its value now. A removal stays while a segment before may have what it removed.

use std::fs;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::domain::time::Time;
use crate::store::crash;
use crate::store::engine::journal::append::Journal;
use crate::store::engine::journal::changes;
use crate::store::engine::journal::files;
use crate::store::engine::journal::finish::{count_changes, hash};
use crate::store::engine::journal::frame::FrameWriter;
use crate::store::engine::journal::manifest::{FinishedSegment, SegmentEntry};
use crate::store::engine::journal::segment::{CountsByKind, FRAMES, Footer, SegmentHeader, parse_name};
use crate::store::engine::journal::segment_reader::SegmentReader;
use crate::store::engine::kv::KvError;

/// How many bytes of changes go into a frame, about.
const FRAME: usize = 64 * 1024;
/// A segment whose frames are shorter than this on average is rewritten once for that alone.
const SHORT: u64 = 8 * 1024;

/// What the store has now under a key.
pub type CurrentValue<'a> = &'a dyn Fn(&[u8]) -> Result<Option<Vec<u8>>, KvError>;

/// What became of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RewrittenSegment {
    /// The file that is in no manifest any more.
    pub replaced: PathBuf,
    /// Its first commit.
    pub first: u64,
    /// Whatever was gone by this commit is not in the file that took its place.
    pub known: u64,
    /// Its bytes, and those of the file that took its place.
    pub bytes: (u64, u64),
}

/// What may be gone, so that segments are to be rewritten.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GoneRecords {
    /// What was received before each of these times and was to go has gone.
    pub before: Vec<Time>,
    /// Of what commits up to this one wrote, something was erased. 0: of none.
    pub erased: u64,
}

/// The first segment that is to be rewritten now, of those whose commits are all in the index.
pub fn due(journal: &Journal, applied: u64, gone: &GoneRecords) -> Option<SegmentEntry> {
    let mut entries = journal.manifest().segments;
    entries.pop();
    entries.into_iter().find(|entry| {
        let finished = entry.finished.as_ref().filter(|finished| finished.last <= applied);
        let is_short = |finished: &FinishedSegment| finished.bytes / finished.frames.max(1) < SHORT;
        finished.is_some_and(|finished| {
            (entry.known == 0 && is_short(finished))
                || ages_passed(entry, &gone.before) > entry.ages
                || has_erased(entry, gone.erased)
        })
    })
}

/// Whether a segment may have what was erased of what commits up to this one wrote.
fn has_erased(entry: &SegmentEntry, erased: u64) -> bool {
    entry.first <= erased && entry.known < erased
}

/// Whether no file of the journal has what was erased of what commits up to this one wrote: the segments are rewritten, and
/// what they took the place of is removed.
pub fn is_rid_of(journal: &Journal, erased: u64) -> bool {
    let is_clean = |entry: &SegmentEntry| entry.finished.is_some() && entry.clean >= erased;
    journal.manifest().segments.iter().all(|entry| entry.first > erased || is_clean(entry))
}

/// How many of the times are behind the last commit of a segment.
fn ages_passed(entry: &SegmentEntry, before: &[Time]) -> usize {
    entry.ended.map_or(0, |ended| before.iter().filter(|before| ended < **before).count())
}

/// Rewrites a finished segment that is [`due`], for the same. `pause` is called now and then, and answers
/// whether to go on; `None`: not to the end. The file before stays:
/// the caller removes it, not at once, since someone may be copying the folder by a manifest that names it.
///
/// # Errors
/// The system's, or the engine's: the segment is as it was.
pub fn rewrite(
    journal: &Journal,
    (entry, gone): (&SegmentEntry, &GoneRecords),
    current: CurrentValue<'_>,
    pause: &dyn Fn() -> bool,
) -> Result<Option<RewrittenSegment>, KvError> {
    let failed = |error: io::Error| KvError::Failed(format!("rewriting {}: {error}", entry.file));
    let known = journal.durable();
    let clean = clean_before(journal, entry);
    let Some(finished) = &entry.finished else { return Err(failed(io::Error::other("it is not finished"))) };
    let path = journal.folder().join(&entry.file);
    let mut reader = SegmentReader::open(&path).map_err(failed)?;
    let old = reader.first_block().map_err(failed)?;
    let old = SegmentHeader::read(old).ok_or_else(|| failed(io::Error::other("it has no header")))?;
    let (_, number) = parse_name(&entry.file).unwrap_or_default();
    let header = SegmentHeader { rewrite: number + 1, known, ..old };
    let mut writer = SegmentWriter::create(journal.folder(), header).map_err(failed)?;
    let mut frames = 0;
    while let Ok(head) = reader.next_frame() {
        frames += 1;
        let payload = reader.unpack(&head).map_err(|fault| failed(io::Error::other(format!("{fault:?}"))))?;
        let mut kept = Ok(());
        changes::each(payload, |(key, value)| {
            if kept.is_ok() {
                kept = stays(current, (key, value), head.lsn > clean).map(|stays| {
                    if stays {
                        changes::write_one(key, value, &mut writer.plain);
                    }
                });
            }
        })
        .map_err(KvError::Failed)?;
        kept?;
        writer.passed(head.lsn, head.commands).map_err(failed)?;
        if frames % 16 == 0 && !pause() {
            files::remove(&writer.unfinished).map_err(failed)?;
            return Ok(None);
        }
    }
    if frames != finished.frames {
        return Err(failed(io::Error::other("it cannot be read to its end")));
    }
    let written = writer.end(finished).map_err(failed)?;
    put_in_place(journal, entry, (known, ages_passed(entry, &gone.before)), written).map(Some).map_err(failed)
}

/// Up to which commit nothing that was removed is in the segments before one.
fn clean_before(journal: &Journal, entry: &SegmentEntry) -> u64 {
    let entries = journal.manifest().segments;
    let before = entries.iter().take_while(|known| known.first < entry.first);
    before.map(|known| known.clean).min().unwrap_or(u64::MAX)
}

/// Whether a change stays. What cannot be read now stays.
fn stays(
    current: CurrentValue<'_>,
    (key, value): changes::StoredChange<'_>,
    is_needed: bool,
) -> Result<bool, KvError> {
    let found = match current(key) {
        Err(KvError::Damaged { .. }) => return Ok(true),
        found => found?,
    };
    Ok(match value {
        Some(value) => found.as_deref() == Some(value),
        None => found.is_none() && is_needed,
    })
}

/// Writes a segment anew, from its first frame to its footer.
struct SegmentWriter {
    file: BufWriter<fs::File>,
    unfinished: PathBuf,
    header: SegmentHeader,
    frame: FrameWriter,
    /// The changes of the next frame, its last commit, and of how many commands it is.
    plain: Vec<u8>,
    lsn: u64,
    commands: u32,
    checksum: u32,
    at: u64,
    frames: u64,
    counts: CountsByKind,
}

impl SegmentWriter {
    fn create(folder: &Path, header: SegmentHeader) -> io::Result<SegmentWriter> {
        let unfinished = folder.join(format!("{}{}", header.file_name(), files::UNFINISHED));
        let mut file = BufWriter::new(files::create(&unfinished)?);
        let mut block = header.write().map_err(io::Error::other)?;
        block.resize(FRAMES as usize, 0);
        file.write_all(&block)?;
        let checksum = header.before;
        let (frame, plain, counts) = Default::default();
        let (lsn, commands, frames) = (0, 0, 0);
        Ok(SegmentWriter {
            file,
            unfinished,
            header,
            frame,
            plain,
            lsn,
            commands,
            checksum,
            at: FRAMES,
            frames,
            counts,
        })
    }

    /// Commit `lsn` was gone through.
    fn passed(&mut self, lsn: u64, commands: u32) -> io::Result<()> {
        self.commands = self.commands.saturating_add(commands);
        if self.plain.is_empty() {
            return Ok(());
        }
        self.lsn = lsn;
        if self.plain.len() >= FRAME { self.write_frame() } else { Ok(()) }
    }

    fn write_frame(&mut self) -> io::Result<()> {
        let length = self.frame.pack(&self.plain, self.lsn, self.commands).map_err(io::Error::other)?;
        let (bytes, checksum) = self.frame.chain(length, self.checksum);
        self.file.write_all(bytes)?;
        count_changes(&self.plain, &mut self.counts)?;
        self.checksum = checksum;
        self.at += length as u64;
        self.frames += 1;
        self.commands = 0;
        self.plain.clear();
        Ok(())
    }

    /// Ends it with its footer, durably.
    fn end(mut self, old: &FinishedSegment) -> io::Result<(SegmentHeader, FinishedSegment)> {
        if !self.plain.is_empty() {
            self.write_frame()?;
        }
        let file = self.file.into_inner().map_err(|error| error.into_error())?;
        let footer = Footer {
            last: old.last,
            checksum: old.checksum,
            frames: self.frames,
            end: self.at,
            hash: hash(&self.unfinished, self.at)?,
            counts: self.counts,
        };
        let bytes = footer.write().map_err(io::Error::other)?;
        file.write_all_at(&bytes, self.at)?;
        file.sync_all()?;
        Ok((self.header, FinishedSegment::of(&footer, self.at + bytes.len() as u64)))
    }
}

/// Puts what was written into the place of a segment. The old file is still there.
fn put_in_place(
    journal: &Journal,
    entry: &SegmentEntry,
    (known, ages): (u64, usize),
    (header, finished): (SegmentHeader, FinishedSegment),
) -> io::Result<RewrittenSegment> {
    let folder = journal.folder();
    let before = entry.finished.as_ref().map_or(0, |finished| finished.bytes);
    let bytes = (before, finished.bytes);
    let rewritten =
        SegmentEntry { file: header.file_name(), finished: Some(finished), ages, known, ..entry.clone() };
    let unfinished = folder.join(format!("{}{}", rewritten.file, files::UNFINISHED));
    fs::rename(unfinished, folder.join(&rewritten.file))?;
    files::sync_folder(folder)?;
    crash::point("journal.rewritten");
    journal.write_manifest(|manifest| {
        let place = manifest.segments.iter_mut().find(|known| known.file == entry.file);
        place.into_iter().for_each(|place| *place = rewritten.clone());
    })?;
    crash::point("journal.rewritten_named");
    Ok(RewrittenSegment { replaced: folder.join(&entry.file), first: entry.first, known, bytes })
}

/// Removes the file that a rewriting took the place of.
///
/// # Errors
/// The system's.
pub fn remove_replaced(journal: &Journal, rewritten: &RewrittenSegment) -> io::Result<()> {
    journal.removes_a_file();
    files::remove(&rewritten.replaced)?;
    files::sync_folder(journal.folder())?;
    journal.write_manifest(|manifest| {
        let entry = manifest.segments.iter_mut().find(|entry| entry.first == rewritten.first);
        // The file that took its place may have been replaced since, and be there still.
        entry.into_iter().for_each(|entry| entry.clean = rewritten.known);
    })
}

/// Removes the segments of which nothing is left, once what they took the place of is removed.
///
/// # Errors
/// The system's.
pub fn remove_empty(journal: &Journal) -> io::Result<()> {
    let is_empty = |entry: &SegmentEntry| {
        entry.clean == entry.known && entry.finished.as_ref().is_some_and(|finished| finished.frames == 0)
    };
    let empty: Vec<SegmentEntry> = journal.manifest().segments.into_iter().filter(is_empty).collect();
    if empty.is_empty() {
        return Ok(());
    }
    journal.write_manifest(|manifest| {
        let mut left: Vec<SegmentEntry> = Vec::with_capacity(manifest.segments.len());
        for entry in manifest.segments.drain(..) {
            match left.last_mut() {
                Some(before) if is_empty(&entry) => {
                    let last = entry.finished.as_ref().map_or(entry.first, |finished| finished.last);
                    before.gone_to = last.max(entry.gone_to);
                }
                // What the journal began with needs no trace.
                None if is_empty(&entry) => {}
                _ => left.push(entry),
            }
        }
        manifest.segments = left;
    })?;
    empty.iter().try_for_each(|entry| files::remove(&journal.folder().join(&entry.file)))
}
