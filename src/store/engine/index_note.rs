//! How far an index is, in a file next to it: it can be read without opening the index, which changes its files.

use std::fs;
use std::io::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::store::engine::journal::{checked, files};

const NAME: &str = "applied";
const TAG: [u8; 4] = *b"PbN1";

/// How far an index is, at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexNote {
    /// The last commit that it has.
    pub applied: u64,
    /// Whether it was closed there.
    pub closed: bool,
}

/// Notes it, once the index says the same of itself. It is not made durable: a note that is missing or older makes nothing
/// worse than it was.
pub fn write(folder: &Path, note: IndexNote) {
    let written = checked::write(TAG, &note).map_err(std::io::Error::other).and_then(|bytes| {
        let mut file = files::create(&folder.join(NAME))?;
        file.write_all(&bytes)
    });
    if let Err(error) = written {
        tracing::debug!(%error, "how far the index is cannot be noted next to it");
    }
}

/// What was noted last; `None`: nothing, or nothing that can be read.
pub fn read(folder: &Path) -> Option<IndexNote> {
    checked::read(TAG, &fs::read(folder.join(NAME)).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_noted_last_is_read_and_nothing_that_was_damaged() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(read(folder.path()), None);
        for note in [IndexNote { applied: 7, closed: true }, IndexNote { applied: 1 << 40, closed: false }] {
            write(folder.path(), note);
            assert_eq!(read(folder.path()), Some(note));
        }
        let file = folder.path().join(NAME);
        let whole = fs::read(&file).unwrap();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            fs::write(&file, bytes).unwrap();
            assert_eq!(read(folder.path()), None, "byte {at}");
        }
    }
}
