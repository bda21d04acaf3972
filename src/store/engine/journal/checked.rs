//! Small records of the journal's own, each with its checksum: headers, slots, footers, marks.
//!
//! Layout: a tag (4 bytes), the length of the record (u32, little-endian), CRC32C of tag, length and record (u32), the
//! record (postcard).

use crc32c::{crc32c, crc32c_append};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// How long what is before the record is.
pub const HEAD: usize = 12;
/// No such record is longer.
const MAX: usize = 1024 * 1024;

/// The bytes of a record.
///
/// # Errors
/// A record that cannot be written down.
pub fn write<T: Serialize>(tag: [u8; 4], record: &T) -> Result<Vec<u8>, String> {
    let record = postcard::to_allocvec(record).map_err(|error| error.to_string())?;
    let length = u32::try_from(record.len()).map_err(|error| error.to_string())?.to_le_bytes();
    let checksum = checksum(tag, length, &record);
    Ok([&tag[..], &length, &checksum.to_le_bytes(), &record].concat())
}

/// The record at the beginning of `bytes`; `None` where there is none that is as it was written.
pub fn read<T: DeserializeOwned>(tag: [u8; 4], bytes: &[u8]) -> Option<T> {
    let length: [u8; 4] = *bytes.strip_prefix(&tag)?.first_chunk()?;
    let stated = u32::from_le_bytes(*bytes.get(8..)?.first_chunk()?);
    let end = HEAD + usize::try_from(u32::from_le_bytes(length)).ok().filter(|length| *length <= MAX)?;
    let record = bytes.get(HEAD..end)?;
    if checksum(tag, length, record) != stated {
        return None;
    }
    postcard::from_bytes(record).ok()
}

fn checksum(tag: [u8; 4], length: [u8; 4], record: &[u8]) -> u32 {
    crc32c_append(crc32c_append(crc32c(&tag), &length), record)
}
