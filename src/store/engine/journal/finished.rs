//! Whether a finished segment is what the manifest says of it, byte for byte.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::store::engine::journal::finish::{count_changes, hash};
use crate::store::engine::journal::manifest::FinishedSegment;
use crate::store::engine::journal::segment::{CountsByKind, Footer};
use crate::store::engine::journal::segment_reader::SegmentReader;

/// In what a segment's file is not what the manifest says: its length, its footer, or the hash of its bytes. `None`: it is.
///
/// # Errors
/// The system's: that it is not there, or cannot be read.
pub fn difference(path: &Path, finished: &FinishedSegment) -> io::Result<Option<String>> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    if length != finished.bytes {
        return Ok(Some(format!("it has {length} bytes and should have {}", finished.bytes)));
    }
    let Some(footer) = footer(&file, length)? else { return Ok(Some("its footer is damaged".to_owned())) };
    if FinishedSegment::of(&footer, length) != *finished {
        return Ok(Some("its footer is another".to_owned()));
    }
    let found = hash(path, footer.end)?;
    Ok((found != footer.hash).then(|| "its bytes do not have the hash that its footer says".to_owned()))
}

/// In which kind of record the changes in a segment's frames are not as many as the manifest says. `None`: in none.
///
/// # Errors
/// The system's, or what cannot be read.
pub fn miscount(path: &Path, finished: &FinishedSegment) -> io::Result<Option<u8>> {
    let mut reader = SegmentReader::open(path)?;
    let mut counts = CountsByKind::new();
    while let Ok(head) = reader.next_frame() {
        let unpacked = reader.unpack(&head).map_err(|fault| io::Error::other(format!("{fault:?}")))?;
        count_changes(unpacked, &mut counts)?;
    }
    let mut kinds = finished.counts.keys().chain(counts.keys());
    Ok(kinds.find(|kind| finished.counts.get(kind) != counts.get(kind)).copied())
}

/// The footer that the file's last bytes say there is.
fn footer(file: &File, length: u64) -> io::Result<Option<Footer>> {
    let mut last = [0; 4];
    if length < 4 {
        return Ok(None);
    }
    file.read_exact_at(&mut last, length - 4)?;
    let Some(at) = length.checked_sub(Footer::length(last)) else { return Ok(None) };
    let Ok(size) = usize::try_from(length - at) else { return Ok(None) };
    if size > LONGEST_FOOTER {
        return Ok(None);
    }
    let mut bytes = vec![0; size];
    file.read_exact_at(&mut bytes, at)?;
    Ok(Footer::read(&bytes).filter(|footer| footer.end == at))
}

/// No footer is longer: it has a few numbers for each kind of record.
const LONGEST_FOOTER: usize = 1024 * 1024;
