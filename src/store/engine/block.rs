//! A block of small records: how several are written down as one value.
//!
//! How many records (u16), then of each the length of its key (u16), the key, the length of its value (u32), the value;
//! all of it compressed with lz4 behind its plain length (u32, little-endian).

use std::ops::Range;

use lz4_flex::block::{compress_into, decompress_size_prepended, get_maximum_output_size};

use crate::store::engine::kv::KvError;

/// The most records in one block, and the most bytes before they are compressed; a longer record has its own.
const RECORDS: usize = 64;
const BYTES: usize = 16 * 1024;
/// No block unpacks to more than this.
const MAX_PLAIN: u32 = 256 * 1024 * 1024;
/// How long the plain length is.
const LENGTH: usize = 4;

/// A record: its key and its value.
pub type PackedRecord<'a> = (&'a [u8], &'a [u8]);

/// Records of one table in order, in blocks of bounded number and size.
pub fn cut<'r, 'a>(records: &'r [PackedRecord<'a>]) -> impl Iterator<Item = &'r [PackedRecord<'a>]> {
    let mut rest = records;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let mut bytes = 0;
        let fits = |(key, value): &&PackedRecord<'_>| {
            bytes += key.len() + value.len();
            bytes <= BYTES
        };
        let length = rest.iter().take(RECORDS).take_while(fits).count().max(1);
        let (block, after) = rest.split_at(length);
        rest = after;
        Some(block)
    })
}

/// Packs blocks one after another, each in the memory of the one before.
#[derive(Default)]
pub struct BlockPacker {
    plain: Vec<u8>,
    packed: Vec<u8>,
}

impl BlockPacker {
    /// Packs the records of one block.
    ///
    /// # Errors
    /// A record that is too long for any block.
    pub fn pack(&mut self, records: &[PackedRecord<'_>]) -> Result<Vec<u8>, KvError> {
        if self.plain.capacity() > 4 * BYTES {
            // The one before was of one long record.
            *self = BlockPacker::default();
        }
        write_plain(records, &mut self.plain)?;
        let most = get_maximum_output_size(self.plain.len());
        if self.packed.len() < most {
            self.packed.resize(most, 0);
        }
        let failed = |error: String| KvError::Failed(format!("a block cannot be packed: {error}"));
        let length =
            compress_into(&self.plain, &mut self.packed).map_err(|error| failed(error.to_string()))?;
        let plain = u32::try_from(self.plain.len()).map_err(|error| failed(error.to_string()))?;
        let packed = self.packed.get(..length).unwrap_or_default();
        Ok([&plain.to_le_bytes()[..], packed].concat())
    }
}

fn write_plain(records: &[PackedRecord<'_>], bytes: &mut Vec<u8>) -> Result<(), KvError> {
    let too_long = |_| KvError::Failed("a record is too long for a block".to_owned());
    bytes.clear();
    bytes.extend_from_slice(&u16::try_from(records.len()).map_err(too_long)?.to_be_bytes());
    for (key, value) in records {
        bytes.extend_from_slice(&u16::try_from(key.len()).map_err(too_long)?.to_be_bytes());
        bytes.extend_from_slice(key);
        bytes.extend_from_slice(&u32::try_from(value.len()).map_err(too_long)?.to_be_bytes());
        bytes.extend_from_slice(value);
    }
    Ok(())
}

/// Where a record's key and its value are in its block.
type RecordPlace = (Range<usize>, Range<usize>);

/// A block, unpacked.
pub struct PackedBlock {
    bytes: Vec<u8>,
    /// Where each record's key and value are, by key.
    places: Vec<RecordPlace>,
}

impl PackedBlock {
    /// Unpacks the block under the key `first`. What cannot be unpacked is damaged whole.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub fn open(first: &[u8], packed: Result<&[u8], &KvError>) -> Result<PackedBlock, KvError> {
        let damaged = |cause: String| KvError::Damaged { key: first.to_vec(), cause };
        let packed = packed.map_err(KvError::clone)?;
        let plain = packed.first_chunk::<LENGTH>().map(|size| u32::from_le_bytes(*size));
        if plain.is_none_or(|plain| plain > MAX_PLAIN) {
            return Err(damaged("its block does not say how long it is".to_owned()));
        }
        let bytes = decompress_size_prepended(packed).map_err(|error| damaged(error.to_string()))?;
        let places = places(&bytes).ok_or_else(|| damaged("its block ends too early".to_owned()))?;
        Ok(PackedBlock { bytes, places })
    }

    /// Whether it is no longer than most.
    pub fn is_short(&self) -> bool {
        self.bytes.len() <= 2 * BYTES
    }

    /// How many bytes it takes in memory.
    pub fn bytes_in_memory(&self) -> usize {
        size_of::<PackedBlock>() + self.bytes.capacity() + self.places.capacity() * size_of::<RecordPlace>()
    }

    /// The value of a record.
    pub fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        let at = self.places.binary_search_by(|(known, _)| self.part(known).cmp(key)).ok()?;
        self.places.get(at).map(|(_, value)| self.part(value).to_vec())
    }

    /// Every record, by key.
    pub fn records(&self) -> impl DoubleEndedIterator<Item = (&[u8], &[u8])> {
        self.places.iter().map(|(key, value)| (self.part(key), self.part(value)))
    }

    fn part(&self, range: &Range<usize>) -> &[u8] {
        self.bytes.get(range.clone()).unwrap_or_default()
    }
}

/// Where the records of a block are; `None` where it is not whole.
fn places(bytes: &[u8]) -> Option<Vec<RecordPlace>> {
    let count = u16::from_be_bytes(*bytes.first_chunk()?);
    let mut at = 2;
    let mut places = Vec::with_capacity(usize::from(count));
    for _ in 0..count {
        let length = u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?);
        let key = at + 2..at + 2 + usize::from(length);
        let length = u32::from_be_bytes(*bytes.get(key.end..)?.first_chunk()?);
        let value = key.end + 4..(key.end + 4).checked_add(usize::try_from(length).ok()?)?;
        at = value.end;
        places.push((key, value));
    }
    (at == bytes.len()).then_some(places)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_has_nothing_of_the_one_that_was_packed_before() {
        let mut packer = BlockPacker::default();
        for length in [10, 100_000, 3000, 5, 0] {
            let records = [0, 1, 2].map(|number| (vec![b'B', number], vec![number; length]));
            let records: Vec<PackedRecord<'_>> =
                records.iter().map(|(key, value)| (key.as_slice(), value.as_slice())).collect();
            let packed = packer.pack(&records).unwrap();
            let block = PackedBlock::open(b"B", Ok(&packed)).unwrap();
            assert_eq!(block.records().collect::<Vec<_>>(), records);
        }
    }
}
