//! The file of erasures: next to the journal of a data folder, and next to that of a backup. An older copy of the records
//! that is put back is given by it what was erased since. It has keyed hashes alone.
//!
//! A line is `e1`, the CRC32C of what follows it in hexadecimal, of which store's key the hashes are (16 bytes in
//! hexadecimal), and the erasure as the store wrote it down (base64). The line `again` says that the records next to it may
//! be older than some of these.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use crc32c::crc32c;
use data_encoding::{BASE64, HEXLOWER};

use crate::store::engine::journal::files;

/// Its name.
pub const ERASURES: &str = "erasures";
/// What a line begins with.
const TAG: &str = "e1";
/// See above.
const AGAIN: &str = "again";

/// One erasure, as one store wrote it down.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ErasureLine {
    /// By what the key is known under which its hashes were made: the same in all copies of one store.
    pub store: [u8; 16],
    /// What the store wrote down.
    pub erasure: Vec<u8>,
}

/// What is in the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ErasureFile {
    /// Each erasure once.
    pub lines: BTreeSet<ErasureLine>,
    /// Whether all of them are to be applied again.
    pub again: bool,
    /// The numbers of the lines that cannot be read, from 1.
    pub damaged: Vec<usize>,
}

impl ErasureFile {
    /// The file in a folder; nothing is in one that is not there.
    ///
    /// # Errors
    /// The system's.
    pub fn read(folder: &Path) -> io::Result<ErasureFile> {
        match fs::read(folder.join(ERASURES)) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(ErasureFile::default()),
            read => Ok(ErasureFile::parse(&read?)),
        }
    }

    fn parse(bytes: &[u8]) -> ErasureFile {
        let mut file = ErasureFile::default();
        for (number, line) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
            match std::str::from_utf8(line) {
                Ok("") => {}
                Ok(AGAIN) => file.again = true,
                text => match text.ok().and_then(ErasureLine::parse) {
                    Some(line) => drop(file.lines.insert(line)),
                    None => file.damaged.push(number),
                },
            }
        }
        file
    }

    /// Writes it, durably, over the one that is there. One with nothing in it is removed.
    ///
    /// # Errors
    /// The system's: the one that was there is then as it was.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        if self.lines.is_empty() && !self.again {
            return files::remove(&folder.join(ERASURES));
        }
        let again = if self.again { format!("{AGAIN}\n") } else { String::new() };
        let lines = self.lines.iter().map(ErasureLine::write);
        files::replace(folder, ERASURES, std::iter::once(again).chain(lines).collect::<String>().as_bytes())
    }

    /// Takes in what another one has.
    pub fn join(&mut self, other: ErasureFile) {
        self.lines.extend(other.lines);
        self.again |= other.again;
        self.damaged.extend(other.damaged);
    }
}

impl ErasureLine {
    fn parse(text: &str) -> Option<ErasureLine> {
        let (stated, rest) = text.strip_prefix(TAG)?.strip_prefix(' ')?.split_once(' ')?;
        if u32::from_str_radix(stated, 16).ok()? != crc32c(rest.as_bytes()) {
            return None;
        }
        let (store, erasure) = rest.split_once(' ')?;
        let store = HEXLOWER.decode(store.as_bytes()).ok()?.try_into().ok()?;
        Some(ErasureLine { store, erasure: BASE64.decode(erasure.as_bytes()).ok()? })
    }

    fn write(&self) -> String {
        let rest = format!("{} {}", HEXLOWER.encode(&self.store), BASE64.encode(&self.erasure));
        format!("{TAG} {:08x} {rest}\n", crc32c(rest.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> ErasureFile {
        let line = |store, erasure: &[u8]| ErasureLine { store: [store; 16], erasure: erasure.to_vec() };
        let lines = [line(1, b"one"), line(1, b"other"), line(2, b"")].into();
        ErasureFile { lines, again: true, damaged: Vec::new() }
    }

    #[test]
    fn it_is_read_as_it_was_written_and_one_of_nothing_is_not_there() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(ErasureFile::read(folder.path()).unwrap(), ErasureFile::default());
        file().write(folder.path()).unwrap();
        assert_eq!(ErasureFile::read(folder.path()).unwrap(), file());
        ErasureFile::default().write(folder.path()).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_line_in_which_anything_is_damaged_is_named_and_harms_no_other() {
        let folder = tempfile::tempdir().unwrap();
        file().write(folder.path()).unwrap();
        let whole = fs::read(folder.path().join(ERASURES)).unwrap();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            let read = ErasureFile::parse(&bytes);
            assert!(!read.damaged.is_empty(), "byte {at}");
            assert!(read.lines.is_subset(&file().lines), "byte {at}");
            assert!(read.lines.len() + usize::from(read.again) >= 2, "byte {at}");
        }
        let cut = ErasureFile::parse(&whole[..whole.len() - 3]);
        assert_eq!((cut.lines.len(), cut.damaged), (2, vec![4]));
    }
}
