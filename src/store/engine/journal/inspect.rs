//! Looks through a whole journal without changing anything: what is in it, where it ends, and what is damaged.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crate::store::engine::journal::append::JournalEnd;
use crate::store::engine::journal::damage::{Damage, LastLost, TornEnd, WornSegment};
use crate::store::engine::journal::frame::{FrameFault, HEAD};
use crate::store::engine::journal::manifest::{FinishedSegment, Manifest, SegmentEntry};
use crate::store::engine::journal::segment::{FRAMES, Footer, SegmentHeader, Slot, StoreId, parse_name};
use crate::store::engine::journal::segment_reader::SegmentReader;

/// What a journal is.
#[derive(Debug)]
pub struct Inspection {
    /// As it should be written next; what it says of segments is what was found.
    pub manifest: Manifest,
    /// Where it goes on; `None` where the open segment is not there or damaged.
    pub end: Option<JournalEnd>,
    /// The last commit that is in it.
    pub last: u64,
    /// The last commit of what was rewritten or removed since it was written: an index that is older cannot go on from
    /// here, because it may have what is gone.
    pub rewritten: u64,
    /// Which commits are not in it that should be.
    pub damage: Vec<Damage>,
    /// What is at its end and no whole commit.
    pub torn: Option<TornEnd>,
    /// What is not as it should be and costs nothing: it is put right, and said.
    pub flaws: Vec<String>,
    /// Segments before the open one of which the first block or the footer is to be written again.
    pub worn: Vec<WornSegment>,
    /// Files of segments that were rewritten or removed, by name: a stop was in between.
    pub leftovers: Vec<String>,
}

impl Inspection {
    /// A journal of which nothing is there.
    pub fn nothing(manifest: Manifest) -> Inspection {
        let (damage, flaws, worn, leftovers) = Default::default();
        Inspection { manifest, end: None, last: 0, rewritten: 0, damage, torn: None, flaws, worn, leftovers }
    }
}

/// What is found on the way through the segments.
struct Findings<'a> {
    folder: &'a Path,
    manifest: &'a Manifest,
    /// The commit and the checksum that the next segment follows, where they are known.
    last: u64,
    checksum: Option<u32>,
    rewritten: u64,
    damage: Vec<Damage>,
    torn: Option<TornEnd>,
    flaws: Vec<String>,
    worn: Vec<WornSegment>,
    end: Option<JournalEnd>,
}

/// Looks through the journal in a folder. `None`: there is none, neither a manifest nor a segment.
///
/// # Errors
/// The system's, where the folder itself cannot be read.
pub fn inspect(folder: &Path) -> io::Result<Option<Inspection>> {
    let files = segment_files(folder)?;
    let (manifest, bad) = Manifest::read(folder);
    if manifest.is_none() && files.is_empty() {
        return Ok(None);
    }
    let flaws: Vec<String> =
        bad.iter().map(|name| format!("{} is missing or damaged", folder.join(name).display())).collect();
    let manifest = match manifest {
        Some(manifest) => manifest,
        None => match guess_manifest(folder, &files) {
            Some(manifest) => manifest,
            None => return Ok(Some(unreadable(folder, flaws))),
        },
    };
    let (segments, leftovers) = wanted(&manifest, files);
    let first = segments.first().map_or(1, |entry| entry.first);
    let mut findings = Findings {
        folder,
        manifest: &manifest,
        last: first.saturating_sub(1),
        checksum: None,
        // What was before the first segment is gone.
        rewritten: first.saturating_sub(1),
        damage: Vec::new(),
        torn: None,
        flaws,
        worn: Vec::new(),
        end: None,
    };
    let found = findings.segments(segments);
    let Findings { last, rewritten, damage, torn, flaws, worn, end, .. } = findings;
    let manifest = Manifest { segments: found, ..manifest };
    Ok(Some(Inspection { manifest, end, last, rewritten, damage, torn, flaws, worn, leftovers }))
}

/// The segments in a folder by their first commits, of each the latest rewriting that is there, and all others.
type SegmentFiles = BTreeMap<u64, BTreeMap<u32, String>>;

fn segment_files(folder: &Path) -> io::Result<SegmentFiles> {
    let mut files = SegmentFiles::new();
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(files),
        entries => entries?,
    };
    for entry in entries {
        let name = entry?.file_name();
        let Some(name) = name.to_str() else { continue };
        if let Some((first, rewrite)) = parse_name(name) {
            files.entry(first).or_default().insert(rewrite, name.to_owned());
        }
    }
    Ok(files)
}

/// What the manifest would say, by the first header that can be read.
fn guess_manifest(folder: &Path, files: &SegmentFiles) -> Option<Manifest> {
    let names = files.values().flat_map(BTreeMap::values);
    let header = names.filter_map(|name| {
        let mut reader = SegmentReader::open(&folder.join(name)).ok()?;
        SegmentHeader::read(reader.first_block().ok()?)
    });
    let header = header.into_iter().next()?;
    Some(Manifest::new(header.store))
}

fn unreadable(folder: &Path, flaws: Vec<String>) -> Inspection {
    let what = "neither a manifest nor the header of a segment can be read".to_owned();
    let damage = Damage { file: folder.to_owned(), at: 0, what, first: 1, last: LastLost::AtLeast(0) };
    let manifest = Manifest::new(StoreId([0; 16]));
    Inspection { damage: vec![damage], flaws, ..Inspection::nothing(manifest) }
}

/// The segments that the manifest names, and those that were begun after it was written; and what is left of others.
fn wanted(manifest: &Manifest, files: SegmentFiles) -> (Vec<SegmentEntry>, Vec<String>) {
    let mut segments = manifest.segments.clone();
    let newest = segments.last().map(|entry| entry.first);
    let mut leftovers = Vec::new();
    for (first, mut rewrites) in files {
        let named = segments.iter_mut().find(|entry| entry.first == first);
        match named {
            // One that was not rewritten yet has all that the rewritten one has: a copy of the folder that was made
            // meanwhile may have the one and not the other.
            Some(entry) if !rewrites.values().any(|file| *file == entry.file) => {
                if let Some((_, file)) = rewrites.pop_last() {
                    *entry = SegmentEntry::new(file, first);
                }
            }
            None if newest.is_none_or(|newest| first > newest) => {
                segments.extend(rewrites.pop_last().map(|(_, file)| SegmentEntry::new(file, first)));
            }
            _ => {}
        }
        let is_named = |file: &String| segments.iter().any(|entry| entry.file == *file);
        leftovers.extend(rewrites.into_values().filter(|file| !is_named(file)));
    }
    (segments, leftovers)
}

impl Findings<'_> {
    /// Goes through all segments. Answers what the manifest is to say of them.
    fn segments(&mut self, segments: Vec<SegmentEntry>) -> Vec<SegmentEntry> {
        let mut found = Vec::with_capacity(segments.len());
        let mut rest = segments.into_iter().peekable();
        while let Some(entry) = rest.next() {
            let next =
                rest.peek().map(|next| self.header_of(&next.file).unwrap_or(NextSegment::at(next.first)));
            let finished = entry.finished.is_some() || next.is_some();
            found.push(match finished {
                true => self.finished(entry, next),
                false => {
                    self.open(&entry);
                    entry
                }
            });
        }
        found
    }

    fn header_of(&self, file: &str) -> Option<NextSegment> {
        let mut reader = SegmentReader::open(&self.folder.join(file)).ok()?;
        let header = SegmentHeader::read(reader.first_block().ok()?)?;
        Some(NextSegment { first: header.first, before: Some(header.before) })
    }

    fn lost(&mut self, file: PathBuf, at: u64, what: impl Into<String>, first: u64, last: LastLost) {
        self.damage.push(Damage { file, at, what: what.into(), first, last });
    }

    /// Opens a segment's file at its first frame, with what its header says.
    fn begin(&mut self, entry: &SegmentEntry) -> Result<BegunSegment, String> {
        let path = self.folder.join(&entry.file);
        let mut reader = SegmentReader::open(&path).map_err(|error| match error.kind() {
            ErrorKind::NotFound => "it is missing".to_owned(),
            _ => format!("it cannot be read: {error}"),
        })?;
        let length = reader.length();
        let block = reader.first_block().map_err(|error| format!("it cannot be read: {error}"))?;
        let is_own = |header: &SegmentHeader| {
            header.store == self.manifest.store
                && header.first == entry.first
                && header.file_name() == entry.file
        };
        if let Some(header) = SegmentHeader::read(block).filter(is_own) {
            let follows = self.last.saturating_add(1) == header.first;
            if follows && self.checksum.is_some_and(|known| known != header.before) {
                self.flaws.push(format!("{} does not follow the one before it", path.display()));
            }
            return Ok(BegunSegment { reader, header, is_whole: true });
        }
        if length <= FRAMES {
            return Err("it has no first block".to_owned());
        }
        // What it said is known: by its name, by the segment before it, and by its first frame.
        self.flaws.push(format!("the first block of {} is damaged", path.display()));
        let (first, rewrite) = parse_name(&entry.file).unwrap_or((entry.first, 0));
        let named = reader.next_frame().map(|head| head.before).ok();
        reader.go_to(FRAMES);
        let before = self.checksum.or(named).unwrap_or_default();
        let store = self.manifest.store;
        let header = SegmentHeader { store, first, before, rewrite, known: entry.known, size: length };
        Ok(BegunSegment { reader, header, is_whole: false })
    }

    /// Goes through the frames from where the reader is, as far as there are whole ones, over damaged places. Answers the
    /// fault at the end.
    fn frames(&mut self, reader: &mut SegmentReader, path: &Path, checksum: &mut u32) -> FrameFault {
        let mut follows = true;
        loop {
            match reader.next_frame() {
                Ok(head) => {
                    let at = reader.at() - head.bytes();
                    if head.lsn <= self.last {
                        self.lost(
                            path.to_owned(),
                            at,
                            "a commit is there twice",
                            head.lsn,
                            LastLost::Commit(head.lsn),
                        );
                    } else if follows && head.before != *checksum {
                        let what = "a commit does not follow the one before it";
                        self.lost(
                            path.to_owned(),
                            at,
                            what,
                            self.last,
                            LastLost::Commit(head.lsn.saturating_sub(1)),
                        );
                    }
                    (self.last, *checksum, follows) = (head.lsn, head.checksum, true);
                }
                Err(fault) => {
                    let at = reader.at();
                    let Some(next) = reader.find_next() else { return fault };
                    reader.go_to(next);
                    // The frame there is whole: that was looked at.
                    let Ok(head) = reader.next_frame() else { return fault };
                    reader.go_to(next);
                    let first = self.last.saturating_add(1);
                    if head.lsn > first || head.before != *checksum {
                        let last = LastLost::Commit((head.lsn.saturating_sub(1)).max(first));
                        self.lost(path.to_owned(), at, words(&fault), first, last);
                    }
                    follows = false;
                }
            }
        }
    }
}

fn words(fault: &FrameFault) -> String {
    match fault {
        FrameFault::Zeros => "there are zeros".to_owned(),
        FrameFault::Bad(cause) => cause.clone(),
    }
}

/// A segment at its first frame.
struct BegunSegment {
    reader: SegmentReader,
    header: SegmentHeader,
    /// Whether its first block says so, and what it says was not put together.
    is_whole: bool,
}

/// What the segment behind says of one.
#[derive(Debug, Clone, Copy)]
struct NextSegment {
    first: u64,
    before: Option<u32>,
}

impl NextSegment {
    fn at(first: u64) -> NextSegment {
        NextSegment { first, before: None }
    }
}

impl Findings<'_> {
    /// A segment that is full: where it ends is known by its footer, or by the segment behind it. Answers what the manifest
    /// is to say of it.
    fn finished(&mut self, mut entry: SegmentEntry, next: Option<NextSegment>) -> SegmentEntry {
        let path = self.folder.join(&entry.file);
        let known = entry.finished.as_ref().map(|finished| (finished.last, Some(finished.checksum)));
        let Some((last, end)) = known.or(next.map(|next| (next.first.saturating_sub(1), next.before))) else {
            return entry;
        };
        if entry.known > 0 {
            self.rewritten = self.rewritten.max(last);
        }
        // What was between is gone.
        self.rewritten = self.rewritten.max(entry.gone_to);
        let gone = last.max(entry.gone_to);
        if let Some(next) = next.filter(|next| next.first > gone.saturating_add(1)) {
            let what = "the segment behind it is missing";
            self.lost(
                path.clone(),
                0,
                what,
                gone.saturating_add(1),
                LastLost::Commit(next.first.saturating_sub(1)),
            );
        }
        match self.begin(&entry) {
            Err(what) => self.lost(path, 0, what, entry.first, LastLost::Commit(last)),
            Ok(BegunSegment { mut reader, header, is_whole }) => {
                if header.rewrite > 0 {
                    self.rewritten = self.rewritten.max(last);
                }
                let mut checksum = header.before;
                let fault = self.frames(&mut reader, &path, &mut checksum);
                let footer = self.footer(&mut reader);
                // A rewritten one may end before the commit that it goes to.
                let found = footer.as_ref().map_or(self.last, |footer| footer.last);
                if self.last < last && (header.rewrite == 0 || found != last) {
                    let first = self.last.saturating_add(1);
                    self.lost(path, reader.at(), words(&fault), first, LastLost::Commit(last));
                } else if header.rewrite == 0 && end.is_some_and(|end| end != checksum) {
                    let what = "its last commit is not the one that follows";
                    self.lost(path, reader.at(), what, last, LastLost::Commit(last));
                } else if let Some(footer) = footer.filter(|_| is_whole) {
                    // A rewritten one cannot be finished again: what it ends with is known by its footer alone. And one
                    // that was fixed says more of itself than a manifest of before.
                    let hash = entry.finished.as_ref().map(|finished| finished.hash.clone());
                    let is_other =
                        hash.map_or(header.rewrite > 0, |hash| hash != format!("{:032x}", footer.hash));
                    if is_other {
                        entry.finished = Some(FinishedSegment::of(&footer, reader.length()));
                        entry.known = header.known.max(entry.known);
                    }
                } else if entry.finished.is_some() || !is_whole {
                    if is_whole {
                        self.flaws.push(format!("the footer of {} is damaged", path.display()));
                    }
                    let header = (!is_whole).then_some(header);
                    self.worn.push(WornSegment { file: entry.file.clone(), header });
                }
            }
        }
        (self.last, self.checksum) = (last, end);
        entry
    }

    /// The footer where the reader is.
    fn footer(&self, reader: &mut SegmentReader) -> Option<Footer> {
        let at = reader.at();
        let length = usize::try_from(reader.length().saturating_sub(at)).ok()?;
        let footer = Footer::read(reader.bytes_at(at, length.min(1 << 20)).ok()?)?;
        (footer.end == at).then_some(footer)
    }

    /// The last segment, to which commits are appended.
    fn open(&mut self, entry: &SegmentEntry) {
        let path = self.folder.join(&entry.file);
        let BegunSegment { mut reader, header, is_whole: says_so } = match self.begin(entry) {
            Ok(begun) => begun,
            Err(what) => {
                // Closed, it holds what the manifest says; else no one knows what was appended since.
                let last = match self.manifest.closed {
                    true => LastLost::Commit(self.manifest.end),
                    false => LastLost::AtLeast(self.manifest.end),
                };
                if !(self.manifest.closed && self.manifest.end < entry.first) {
                    self.lost(path, 0, what, entry.first, last);
                }
                return;
            }
        };
        let mut checksum = header.before;
        let slot = reader.first_block().ok().and_then(Slot::newest);
        let fault = self.frames(&mut reader, &path, &mut checksum);
        let (at, last) = (reader.at(), self.last);
        let proven = slot.map_or(0, |slot| slot.lsn).max(self.manifest.end);
        let is_whole = reader.length() >= header.size;
        // At the very end of the file there is no place for a head.
        let is_full = reader.length().saturating_sub(at) < HEAD as u64;
        let zeros = (fault == FrameFault::Zeros || is_full) && reader.written_from(at) == 0;
        if last < proven {
            // What a slot proves is followed by one commit at most that none proves.
            let is_known = self.manifest.closed || slot.is_some_and(|slot| slot.lsn >= self.manifest.end);
            let lost = if is_known { LastLost::Commit(proven) } else { LastLost::AtLeast(proven) };
            if !self.manifest.closed {
                // The commit behind what is proven may be gone with it.
                let behind = slot.filter(|slot| slot.lsn == proven).map_or(at, |slot| slot.end.max(at));
                reader.go_to(behind);
                self.torn = Some(torn(&mut reader, &path, true));
            }
            return self.lost(path, at, words(&fault), last.saturating_add(1), lost);
        }
        let is_closed = self.manifest.closed && self.manifest.end == last;
        if !says_so && last < header.first && !is_closed {
            // Neither its slots nor a commit: no one knows what was in it.
            let what = "nothing of it can be read";
            return self.lost(path, 0, what, header.first, LastLost::AtLeast(proven));
        }
        if !is_whole {
            self.flaws.push(format!("{} was cut", path.display()));
        }
        // Where a commit was begun there must be something of it: nothing is left only where that is gone.
        let was_begun = slot.is_some_and(|slot| slot.lsn == last && !slot.is_end);
        if !is_closed && (was_begun || !zeros || !is_whole) {
            let may_be_answered = slot.is_none() || was_begun;
            self.torn = Some(torn(&mut reader, &path, may_be_answered));
        } else if !zeros && is_whole {
            self.flaws.push(format!("{} has bytes behind its end", path.display()));
        }
        self.checksum = Some(checksum);
        self.end = Some(JournalEnd { header, checksum, at, lsn: last });
    }
}

/// What is at the end of an open segment and no commit.
fn torn(reader: &mut SegmentReader, path: &Path, may_be_answered: bool) -> TornEnd {
    let at = reader.at();
    let commands = reader.head().ok().map(|head| head.commands);
    TornEnd { file: path.to_owned(), at, bytes: reader.written_from(at), commands, may_be_answered }
}
