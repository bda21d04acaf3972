//! A segment: a file of the journal. Its first block says which it is and what of it is proven durable; frames follow; a
//! finished one ends with a footer.
//!
//! While it is open it has its full size, with zeros behind its last frame, so that a cut is seen. Two slots take turns:
//! each commit writes into one of them what the sync of the commit *before* made durable, and the same sync carries it.
//! Without them a tail that was lost to the disk would look as if it had never been written. Where the last commit is
//! proven without another, both say that nothing was begun behind it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::store::engine::journal::checked;

/// Where frames begin.
pub const FRAMES: u64 = 4096;
/// Where the slots are: in sectors of their own, so that one write that is torn harms one.
pub const SLOTS: [u64; 2] = [1024, 2048];

const HEADER_TAG: [u8; 4] = *b"PbJ1";
const SLOT_TAG: [u8; 4] = *b"PbS1";
const FOOTER_TAG: [u8; 4] = *b"PbE1";
/// How file names end.
const ENDING: &str = ".journal";

/// Which store a file is of: random, as old as its journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreId(pub [u8; 16]);

/// What a segment says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentHeader {
    /// Of which store it is.
    pub store: StoreId,
    /// The number of its first commit.
    pub first: u64,
    /// The checksum of the frame before that, which its first frame names too; 0 where there is none.
    pub before: u32,
    /// How often what was in it has been rewritten.
    pub rewrite: u32,
    /// For a rewritten one: the last commit that was known when it was decided what stays.
    pub known: u64,
    /// Its full size in bytes while it is open.
    pub size: u64,
}

/// What is proven durable of an open segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// The last durable commit.
    pub lsn: u64,
    /// Where its frame ends in this segment.
    pub end: u64,
    /// The checksum of that frame.
    pub checksum: u32,
    /// Whether nothing was begun behind it when this was written; else the commit that wrote it was.
    pub is_end: bool,
}

/// How many changes of a kind of record there are: put, and removed.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeCounts {
    /// Got a value.
    pub put: u64,
    /// Were taken away.
    pub removed: u64,
}

/// Counts by the first byte of the keys.
pub type CountsByKind = BTreeMap<u8, ChangeCounts>;

/// What a finished segment ends with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Footer {
    /// The number of its last commit; for a rewritten one of the last that it takes the place of.
    pub last: u64,
    /// The checksum of its last frame, which the next segment names. A rewritten one keeps that of the first writing.
    pub checksum: u32,
    /// How many frames it has.
    pub frames: u64,
    /// Where they end.
    pub end: u64,
    /// XXH3-128 of all bytes before the footer.
    pub hash: u128,
    /// What its frames change.
    pub counts: CountsByKind,
}

impl SegmentHeader {
    /// Its bytes.
    ///
    /// # Errors
    /// That it cannot be written down.
    pub fn write(&self) -> Result<Vec<u8>, String> {
        checked::write(HEADER_TAG, self)
    }

    /// The header in a segment's first block.
    pub fn read(block: &[u8]) -> Option<SegmentHeader> {
        checked::read(HEADER_TAG, block)
    }

    /// The name of its file.
    pub fn file_name(&self) -> String {
        match self.rewrite {
            0 => format!("{:020}{ENDING}", self.first),
            rewrite => format!("{:020}-{rewrite}{ENDING}", self.first),
        }
    }
}

/// The number of the first commit and of the rewriting, of a file with this name; `None`: it is no segment.
pub fn parse_name(name: &str) -> Option<(u64, u32)> {
    let stem = name.strip_suffix(ENDING)?;
    let (first, rewrite) = stem.split_once('-').unwrap_or((stem, "0"));
    Some((first.parse().ok()?, rewrite.parse().ok()?))
}

impl Slot {
    /// Its bytes.
    ///
    /// # Errors
    /// That it cannot be written down.
    pub fn write(&self) -> Result<Vec<u8>, String> {
        checked::write(SLOT_TAG, self)
    }

    /// The newest slot in a segment's first block: of two of one commit the one that another commit was begun with, since
    /// the end is written into both.
    pub fn newest(block: &[u8]) -> Option<Slot> {
        let read = |at: &u64| checked::read(SLOT_TAG, block.get(usize::try_from(*at).ok()?..)?);
        SLOTS.iter().filter_map(read).max_by_key(|slot: &Slot| (slot.lsn, !slot.is_end))
    }
}

impl Footer {
    /// Its bytes: the record, and behind it how long it is (u32, little-endian), so that it is found from the end.
    ///
    /// # Errors
    /// That it cannot be written down.
    pub fn write(&self) -> Result<Vec<u8>, String> {
        let mut bytes = checked::write(FOOTER_TAG, self)?;
        let length = u32::try_from(bytes.len()).map_err(|error| error.to_string())?;
        bytes.extend_from_slice(&length.to_le_bytes());
        Ok(bytes)
    }

    /// The footer that begins with these bytes.
    pub fn read(bytes: &[u8]) -> Option<Footer> {
        checked::read(FOOTER_TAG, bytes)
    }

    /// How long a footer is, by the last bytes of its file, those that say so among them.
    pub fn length(last: [u8; 4]) -> u64 {
        u64::from(u32::from_le_bytes(last)) + 4
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(first: u64, rewrite: u32) -> SegmentHeader {
        SegmentHeader { store: StoreId([7; 16]), first, before: 9, rewrite, known: 0, size: 1 << 20 }
    }

    #[test]
    fn a_name_says_which_segment_a_file_is() {
        for (first, rewrite) in [(1, 0), (77, 0), (u64::MAX, 12)] {
            assert_eq!(parse_name(&header(first, rewrite).file_name()), Some((first, rewrite)));
        }
        assert_eq!(parse_name("manifest"), None);
        assert_eq!(parse_name("next.journal"), None);
    }

    #[test]
    fn header_and_slots_share_a_block_and_the_newest_slot_counts() {
        let mut block = vec![0; FRAMES as usize];
        let bytes = header(5, 0).write().unwrap();
        assert!(bytes.len() < SLOTS[0] as usize);
        block[..bytes.len()].copy_from_slice(&bytes);
        assert_eq!(Slot::newest(&block), None);
        for (at, lsn) in SLOTS.iter().zip([9, 8]) {
            let bytes = Slot { lsn, end: 4096 + lsn, checksum: 3, is_end: false }.write().unwrap();
            block[*at as usize..*at as usize + bytes.len()].copy_from_slice(&bytes);
        }
        assert_eq!(SegmentHeader::read(&block), Some(header(5, 0)));
        assert_eq!(Slot::newest(&block).unwrap().lsn, 9);
        block[SLOTS[0] as usize + 14] ^= 1;
        assert_eq!(Slot::newest(&block).unwrap().lsn, 8);
    }
}
