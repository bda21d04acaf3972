//! Finishes segments that are full: what they hold is counted and hashed, and they are cut to their size.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use twox_hash::XxHash3_128;

use crate::store::crash;
use crate::store::engine::journal::append::Journal;
use crate::store::engine::journal::changes;
use crate::store::engine::journal::damage::WornSegment;
use crate::store::engine::journal::manifest::{FinishedSegment, SegmentEntry};
use crate::store::engine::journal::segment::{CountsByKind, FRAMES, Footer};
use crate::store::engine::journal::segment_reader::SegmentReader;

/// How many bytes are hashed at a time.
const WINDOW: usize = 256 * 1024;

/// Finishes the segments before the open one that are not. Answers how many there were.
///
/// # Errors
/// The system's, or that one cannot be read: the next start finds out.
pub fn finish_all(journal: &Journal) -> io::Result<usize> {
    let entries = journal.manifest().segments;
    let mut count = 0;
    for (entry, next) in entries.iter().zip(entries.iter().skip(1)) {
        if entry.finished.is_some() {
            continue;
        }
        let next = SegmentReader::open(&journal.folder().join(&next.file))?.header()?;
        let finished = finish(&journal.folder().join(&entry.file), Some((next.first - 1, next.before)))?;
        crash::point("journal.segment_finished");
        journal.write_manifest(|manifest| {
            let own = manifest.segments.iter_mut().find(|known| known.file == entry.file);
            if let Some(own) = own {
                (own.finished, own.ended) = (Some(finished), journal.now());
            }
        })?;
        count += 1;
    }
    Ok(count)
}

/// Writes the footer of a segment, cuts it to its size, and syncs it. `end` is the number and the checksum of its last
/// commit, where they are known.
///
/// # Errors
/// The system's, or that it cannot be read to its end: it is as it was then.
pub fn finish(path: &Path, end: Option<(u64, u32)>) -> io::Result<FinishedSegment> {
    let footer = count(path)?;
    if footer.frames == 0 {
        return Err(io::Error::other(format!("{} has no commit", path.display())));
    }
    if end.is_some_and(|end| end != (footer.last, footer.checksum)) {
        return Err(io::Error::other(format!("{} cannot be read to its end", path.display())));
    }
    write_footer(path, &footer)
}

fn write_footer(path: &Path, footer: &Footer) -> io::Result<FinishedSegment> {
    let bytes = footer.write().map_err(io::Error::other)?;
    let file = File::options().write(true).open(path)?;
    file.write_all_at(&bytes, footer.end)?;
    let length = footer.end + bytes.len() as u64;
    file.set_len(length)?;
    file.sync_all()?;
    Ok(FinishedSegment::of(footer, length))
}

/// Writes what is damaged of a segment and no commit: its first block, its footer. All its commits are there.
///
/// # Errors
/// The system's.
pub fn fix(folder: &Path, entry: &mut SegmentEntry, worn: &WornSegment) -> io::Result<()> {
    let path = folder.join(&entry.file);
    if let Some(header) = &worn.header {
        let mut block = header.write().map_err(io::Error::other)?;
        block.resize(FRAMES as usize, 0);
        let file = File::options().write(true).open(&path)?;
        file.write_all_at(&block, 0)?;
        file.sync_all()?;
    }
    if let Some(known) = &entry.finished {
        let footer = Footer { last: known.last, checksum: known.checksum, ..count(&path)? };
        entry.finished = Some(write_footer(&path, &footer)?);
    }
    Ok(())
}

/// What the footer of a segment is to say.
fn count(path: &Path) -> io::Result<Footer> {
    let mut reader = SegmentReader::open(path)?;
    let mut counts = CountsByKind::new();
    let (mut frames, mut last, mut checksum) = (0, 0, 0);
    while let Ok(head) = reader.next_frame() {
        let unpacked = reader.unpack(&head).map_err(|fault| io::Error::other(format!("{fault:?}")))?;
        count_changes(unpacked, &mut counts)?;
        (frames, last, checksum) = (frames + 1, head.lsn, head.checksum);
    }
    let end = reader.at();
    Ok(Footer { last, checksum, frames, end, hash: hash(path, end)?, counts })
}

/// Counts the changes of a payload by the first byte of their keys.
///
/// # Errors
/// That they cannot be read.
pub fn count_changes(payload: &[u8], counts: &mut CountsByKind) -> io::Result<()> {
    let counted = changes::each(payload, |(key, value)| {
        let count = counts.entry(key.first().copied().unwrap_or_default()).or_default();
        match value {
            Some(_) => count.put += 1,
            None => count.removed += 1,
        }
    });
    counted.map_err(io::Error::other)
}

/// XXH3-128 of the first bytes of a file.
///
/// # Errors
/// The system's.
pub fn hash(path: &Path, length: u64) -> io::Result<u128> {
    let file = fs::File::open(path)?;
    let mut hasher = XxHash3_128::new();
    let (mut window, mut at) = (vec![0; WINDOW], 0);
    while at < length {
        let some = usize::try_from(length - at).unwrap_or(WINDOW).min(WINDOW);
        let Some(bytes) = window.get_mut(..some) else { break };
        file.read_exact_at(bytes, at)?;
        hasher.write(bytes);
        at += some as u64;
    }
    Ok(hasher.finish_128())
}
