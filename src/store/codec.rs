//! How a record is written down: version, head and body; and the hashes that are stored.
//!
//! A small record, which the engine packs together with its neighbours, is: version (1 byte) · postcard.
//!
//! Any other is: version (1 byte) · length of the head (u32) · head (postcard) · body (lz4 block of postcard, preceded by
//! its plain length). Either may be empty. How long a value may be is the engine's business.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::store::contract::error::StoreError;

/// The format that this program writes.
pub const VERSION: u8 = 9;

/// Version, head length.
const PREAMBLE: usize = 5;

/// Most small records are no longer than this.
const SHORT: usize = 2048;

/// No record unpacks to more than this.
const MAX_PLAIN: u32 = 256 * 1024 * 1024;

/// Why stored bytes are not a record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    #[error("it has format {0}; this program reads and writes format {VERSION} only")]
    Version(u8),
    #[error("it ends too early")]
    Short,
    /// Written down all the same, another number would be there.
    #[error("its {what} is {number}, more than the record has room for")]
    TooGreat { what: &'static str, number: u64 },
    /// The index or another record says that it is there.
    #[error("it is missing")]
    Missing,
    #[error("{0}")]
    Content(String),
}

/// Packs a record.
///
/// # Errors
/// A value that cannot be written down.
pub fn pack<H: Serialize, B: Serialize>(head: &H, body: &B) -> Result<Vec<u8>, LayoutError> {
    let head = postcard::to_extend(head, Vec::with_capacity(1024)).map_err(content)?;
    let body = postcard::to_extend(body, Vec::with_capacity(1024)).map_err(content)?;
    let body = lz4_flex::compress_prepend_size(&body);
    let head_length = u32::try_from(head.len()).map_err(|_| LayoutError::Short)?;
    let mut bytes = Vec::with_capacity(PREAMBLE + head.len() + body.len());
    bytes.push(VERSION);
    bytes.extend_from_slice(&head_length.to_be_bytes());
    bytes.extend_from_slice(&head);
    bytes.extend_from_slice(&body);
    Ok(bytes)
}

/// Writes down a small record, which the engine compresses together with its neighbours: version, postcard.
///
/// # Errors
/// A value that cannot be written down.
pub fn record<T: Serialize>(value: &T) -> Result<Vec<u8>, LayoutError> {
    // A vector would be made longer again and again, and there are several records for each request.
    let mut short = [0; SHORT];
    match postcard::to_slice(value, &mut short) {
        Ok(written) => Ok([&[VERSION], &*written].concat()),
        Err(postcard::Error::SerializeBufferFull) => {
            postcard::to_extend(value, vec![VERSION]).map_err(content)
        }
        Err(error) => Err(content(error)),
    }
}

/// What [`record`] wrote.
pub fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, LayoutError> {
    match bytes {
        [VERSION, rest @ ..] => plain(rest),
        [] => Err(LayoutError::Short),
        [version, ..] => Err(LayoutError::Version(*version)),
    }
}

/// The beginning of what [`record`] wrote, where what follows is not needed: the fields of `T` are its first ones.
pub fn beginning<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, LayoutError> {
    match bytes {
        [VERSION, rest @ ..] => postcard::take_from_bytes(rest).map(|(value, _rest)| value).map_err(content),
        [] => Err(LayoutError::Short),
        [version, ..] => Err(LayoutError::Version(*version)),
    }
}

/// The head of a record.
pub fn head<H: DeserializeOwned>(bytes: &[u8]) -> Result<H, LayoutError> {
    let (length, rest) = split(bytes)?;
    plain(rest.get(..length).ok_or(LayoutError::Short)?)
}

/// The body of a record.
pub fn body<B: DeserializeOwned>(bytes: &[u8]) -> Result<B, LayoutError> {
    let (length, rest) = split(bytes)?;
    let packed = rest.get(length..).ok_or(LayoutError::Short)?;
    let plain_length =
        packed.first_chunk().map(|size| u32::from_le_bytes(*size)).ok_or(LayoutError::Short)?;
    if plain_length > MAX_PLAIN {
        return Err(LayoutError::Content(format!("it claims {plain_length} bytes")));
    }
    let unpacked = lz4_flex::decompress_size_prepended(packed)
        .map_err(|error| LayoutError::Content(error.to_string()))?;
    plain(&unpacked)
}

/// The bytes as postcard reads them.
fn plain<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, LayoutError> {
    postcard::from_bytes(bytes).map_err(content)
}

fn content(error: postcard::Error) -> LayoutError {
    LayoutError::Content(error.to_string())
}

/// The length of the head, and all that follows its length.
fn split(bytes: &[u8]) -> Result<(usize, &[u8]), LayoutError> {
    match bytes {
        [VERSION, a, b, c, d, rest @ ..] => {
            let length = u32::from_be_bytes([*a, *b, *c, *d]);
            Ok((usize::try_from(length).map_err(|_| LayoutError::Short)?, rest))
        }
        [] | [VERSION, ..] => Err(LayoutError::Short),
        [version, ..] => Err(LayoutError::Version(*version)),
    }
}

/// A stored record that cannot be read.
pub fn corrupt(key: &[u8], error: &LayoutError) -> StoreError {
    StoreError::Corrupt { key: key.escape_ascii().to_string(), cause: error.to_string() }
}

/// FNV-1a, 64 bits. It is stored, so it never changes.
pub fn hash(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The low half of [`hash`], of a text without spaces around it: to pass over a record unread.
pub fn tag(text: &str) -> u32 {
    let [_, _, _, _, low @ ..] = hash(text.trim()).to_be_bytes();
    u32::from_be_bytes(low)
}

/// A key of a dated record: behind the prefix the UTC day, by which it is kept for so many days, then its number, both
/// big-endian, so that keys sort as they do. So what is past its days is one span of keys.
pub fn dated(prefix: u8, day: i32, number: u64) -> Vec<u8> {
    let mut key = Vec::with_capacity(13);
    key.push(prefix);
    // Days before 1970 sort before those after.
    key.extend_from_slice(&(day ^ i32::MIN).to_be_bytes());
    key.extend_from_slice(&number.to_be_bytes());
    key
}

/// The day and the number in a key that [`dated`] made.
pub fn date(key: &[u8]) -> Option<(i32, u64)> {
    let (day, number) = key.get(1..)?.split_first_chunk()?;
    Some((i32::from_be_bytes(*day) ^ i32::MIN, u64::from_be_bytes(number.try_into().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_record_is_read_as_it_was_written_however_long_it_is() {
        for length in [0, 1, SHORT - 3, SHORT - 2, SHORT - 1, SHORT, 10 * SHORT] {
            let text = "x".repeat(length);
            assert_eq!(read::<String>(&record(&text).unwrap()).unwrap(), text);
        }
    }
}
