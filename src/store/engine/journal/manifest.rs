//! The manifest: which segments there are, and how far the journal was durable when it was written. There are two copies.
//!
//! A line that names the format and the CRC32C of what follows, then JSON, so that a person can read it.

use std::fs;
use std::io;
use std::path::Path;

use crc32c::crc32c;
use serde::{Deserialize, Serialize};

use crate::domain::time::Time;
use crate::store::engine::journal::files;
use crate::store::engine::journal::segment::{CountsByKind, Footer, StoreId};

/// The names of the two copies.
pub const COPIES: [&str; 2] = ["manifest", "manifest.copy"];
/// What the first line begins with; the checksum follows in hexadecimal.
const TITLE: &str = "postbridge journal 1 crc32c ";

/// What the journal knows of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Of which store it is.
    pub store: StoreId,
    /// Is one more each time it is written.
    pub sequence: u64,
    /// By the clock of that time, where one was given.
    pub written_at: Option<Time>,
    /// The last commit that was durable then.
    pub end: u64,
    /// Whether the store was closed, with everything in the index, and nothing was committed since.
    pub closed: bool,
    /// In their order.
    pub segments: Vec<SegmentEntry>,
    /// What is kept in the data folder until the next clean stop, by name: what was there before a conversion or a repair.
    pub set_aside: Vec<String>,
}

/// A segment, as the manifest knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentEntry {
    /// The name of its file.
    pub file: String,
    /// Its first commit.
    pub first: u64,
    /// What its footer says, once it is finished.
    pub finished: Option<FinishedSegment>,
    /// When it was finished, by the clock of that time, where one was given.
    pub ended: Option<Time>,
    /// How many of the ages after which something goes it had passed when it was rewritten last.
    pub ages: usize,
    /// The last commit that was known then: whatever was gone by it is not in the segment. 0: it is as it was written.
    pub known: u64,
    /// The same, once the file is removed too that it took the place of. What was removed by then may be forgotten.
    pub clean: u64,
    /// The last commit of the segments behind it of which nothing was left; 0: there were none.
    pub gone_to: u64,
}

impl SegmentEntry {
    /// A segment of which nothing but its name and its first commit is known.
    pub fn new(file: String, first: u64) -> SegmentEntry {
        SegmentEntry { file, first, finished: None, ended: None, ages: 0, known: 0, clean: 0, gone_to: 0 }
    }
}

/// A finished segment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FinishedSegment {
    /// Its last commit.
    pub last: u64,
    /// Its size with the footer.
    pub bytes: u64,
    /// How many frames it has.
    pub frames: u64,
    /// XXH3-128 of what is before the footer, in hexadecimal.
    pub hash: String,
    /// The checksum of its last frame.
    pub checksum: u32,
    /// What its frames change.
    pub counts: CountsByKind,
}

impl FinishedSegment {
    /// What a footer says of a file of so many bytes.
    pub fn of(footer: &Footer, bytes: u64) -> FinishedSegment {
        FinishedSegment {
            last: footer.last,
            bytes,
            frames: footer.frames,
            hash: format!("{:032x}", footer.hash),
            checksum: footer.checksum,
            counts: footer.counts.clone(),
        }
    }
}

impl Manifest {
    /// The manifest of a journal of which nothing is known but its store.
    pub fn new(store: StoreId) -> Manifest {
        let (segments, set_aside) = Default::default();
        Manifest { store, sequence: 0, written_at: None, end: 0, closed: false, segments, set_aside }
    }

    /// Writes both copies, one after the other.
    ///
    /// # Errors
    /// The system's: one of them is whole then.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        let text = serde_json::to_string_pretty(self)?;
        let bytes = format!("{TITLE}{:08x}\n{text}\n", crc32c(text.as_bytes()));
        COPIES.iter().try_for_each(|name| files::replace(folder, name, bytes.as_bytes()))
    }

    /// The manifest in a file's bytes.
    pub fn parse(bytes: &[u8]) -> Option<Manifest> {
        let (title, text) = std::str::from_utf8(bytes).ok()?.split_once('\n')?;
        let stated = u32::from_str_radix(title.strip_prefix(TITLE)?, 16).ok()?;
        let text = text.strip_suffix('\n')?;
        if crc32c(text.as_bytes()) != stated {
            return None;
        }
        serde_json::from_str(text).ok()
    }

    /// The newer of the two copies, and the names of those that are missing or damaged.
    pub fn read(folder: &Path) -> (Option<Manifest>, Vec<&'static str>) {
        let mut bad = Vec::new();
        let mut newest: Option<Manifest> = None;
        for name in COPIES {
            let read = fs::read(folder.join(name)).ok().and_then(|bytes| Manifest::parse(&bytes));
            match read {
                Some(read) if newest.as_ref().is_none_or(|known| known.sequence < read.sequence) => {
                    newest = Some(read);
                }
                Some(_) => {}
                None => bad.push(name),
            }
        }
        (newest, bad)
    }
}
