//! A frame: one group commit as it is in a segment, with what proves it and the frame before it.
//!
//! Layout, little-endian: magic (4), CRC32C of all that follows (4), checksum of the frame before, in the segment
//! before where it is its first (4), length of the payload (4), lsn (8), commands (4), plain length (4), payload. The payload is compressed
//! with lz4. A place that is all zero is no frame: segments are filled with zeros ahead.

use crc32c::{crc32c, crc32c_append};
use lz4_flex::block::{compress_into, decompress_into, get_maximum_output_size};

/// How long what is before a payload is.
pub const HEAD: usize = 32;
/// What a frame begins with.
pub const MAGIC: [u8; 4] = *b"PbF1";
/// No payload is longer than this, packed or not: a length above it is damage.
pub const MAX_PAYLOAD: usize = 512 * 1024 * 1024;
/// No byte of a compressed payload makes more than this many.
const UNPACKED: usize = 255;
/// Where what is checksummed begins.
const CHECKED: usize = 8;
/// Memory of a payload above this is given back after it was written.
const KEPT_MEMORY: usize = 4 * 1024 * 1024;

/// A frame's head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHead {
    /// CRC32C of the frame: the next one names it.
    pub checksum: u32,
    /// That of the frame before it; 0 where there is none.
    pub before: u32,
    /// The number of its commit.
    pub lsn: u64,
    /// How many commands were decided in it.
    pub commands: u32,
    /// Bytes of the payload as they are stored, and unpacked.
    pub length: usize,
    plain: usize,
}

/// Why there is no frame at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FrameFault {
    /// Nothing was written there.
    Zeros,
    /// What is there is not a whole frame.
    Bad(String),
}

impl FrameHead {
    /// The head that begins with these bytes; of what it says nothing but the magic and the lengths is proven yet.
    ///
    /// # Errors
    /// That there is none.
    pub fn read(bytes: &[u8; HEAD]) -> Result<FrameHead, FrameFault> {
        if bytes.iter().all(|byte| *byte == 0) {
            return Err(FrameFault::Zeros);
        }
        let bad = |cause: &str| FrameFault::Bad(cause.to_owned());
        let word = |at: usize| number(bytes, at).map(u32::from_le_bytes);
        let short = || bad("its head is too short");
        if !bytes.starts_with(&MAGIC) {
            return Err(bad("no frame begins there"));
        }
        let length = word(12).ok_or_else(short)? as usize;
        let plain = word(28).ok_or_else(short)? as usize;
        if length > MAX_PAYLOAD || plain > MAX_PAYLOAD.min(UNPACKED * length) {
            return Err(bad("its length cannot be"));
        }
        Ok(FrameHead {
            checksum: word(4).ok_or_else(short)?,
            before: word(8).ok_or_else(short)?,
            lsn: number(bytes, 16).map(u64::from_le_bytes).ok_or_else(short)?,
            commands: word(24).ok_or_else(short)?,
            length,
            plain,
        })
    }

    /// Whether head and payload are as they were written.
    ///
    /// # Errors
    /// That they are not.
    pub fn verify(&self, head: &[u8; HEAD], payload: &[u8]) -> Result<(), FrameFault> {
        let found = crc32c_append(crc32c(head.get(CHECKED..).unwrap_or_default()), payload);
        if payload.len() == self.length && found == self.checksum {
            Ok(())
        } else {
            Err(FrameFault::Bad("its checksum is not that of its bytes".to_owned()))
        }
    }

    /// Unpacks a payload that was verified into `plain`.
    ///
    /// # Errors
    /// That it cannot be unpacked.
    pub fn unpack(&self, payload: &[u8], plain: &mut Vec<u8>) -> Result<(), FrameFault> {
        plain.resize(self.plain, 0);
        match decompress_into(payload, plain) {
            Ok(length) if length == self.plain => Ok(()),
            Ok(_) => Err(FrameFault::Bad("its payload is not as long as it says".to_owned())),
            Err(error) => Err(FrameFault::Bad(format!("its payload cannot be unpacked: {error}"))),
        }
    }

    /// Bytes of the whole frame.
    pub fn bytes(&self) -> u64 {
        (HEAD + self.length) as u64
    }
}

fn number<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

/// Makes frames one after another, each in the memory of the one before.
#[derive(Default)]
pub struct FrameWriter {
    bytes: Vec<u8>,
}

impl FrameWriter {
    /// Packs a payload. What is answered has no place in the chain yet: see [`FrameWriter::chain`].
    ///
    /// # Errors
    /// A payload that is too long.
    pub fn pack(&mut self, plain: &[u8], lsn: u64, commands: u32) -> Result<usize, String> {
        if plain.len() > MAX_PAYLOAD {
            return Err(format!("{} bytes are too many for one commit", plain.len()));
        }
        if self.bytes.len() > KEPT_MEMORY {
            self.bytes = Vec::new();
        }
        let most = HEAD + get_maximum_output_size(plain.len());
        if self.bytes.len() < most {
            self.bytes.resize(most, 0);
        }
        let packed = self.bytes.get_mut(HEAD..).unwrap_or_default();
        let length = compress_into(plain, packed).map_err(|error| error.to_string())?;
        let (stored, plain) = (length as u32, plain.len() as u32);
        self.put(0, &MAGIC);
        self.put(12, &stored.to_le_bytes());
        self.put(16, &lsn.to_le_bytes());
        self.put(24, &commands.to_le_bytes());
        self.put(28, &plain.to_le_bytes());
        Ok(HEAD + length)
    }

    /// Puts the packed frame of so many bytes behind the one with the checksum `before`. Answers it, and its checksum.
    pub fn chain(&mut self, length: usize, before: u32) -> (&[u8], u32) {
        self.put(8, &before.to_le_bytes());
        let checksum = crc32c(self.bytes.get(CHECKED..length).unwrap_or_default());
        self.put(4, &checksum.to_le_bytes());
        (self.bytes.get(..length).unwrap_or_default(), checksum)
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        if let Some(place) = self.bytes.get_mut(at..at + bytes.len()) {
            place.copy_from_slice(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(plain: &[u8], lsn: u64, before: u32) -> Vec<u8> {
        let mut writer = FrameWriter::default();
        let length = writer.pack(plain, lsn, 3).unwrap();
        writer.chain(length, before).0.to_vec()
    }

    fn read(bytes: &[u8]) -> Result<(FrameHead, Vec<u8>), FrameFault> {
        let head_bytes = bytes.first_chunk().unwrap();
        let head = FrameHead::read(head_bytes)?;
        let payload = bytes.get(HEAD..HEAD + head.length).unwrap_or_default();
        head.verify(head_bytes, payload)?;
        let mut plain = Vec::new();
        head.unpack(payload, &mut plain)?;
        Ok((head, plain))
    }

    #[test]
    fn a_frame_is_read_as_it_was_written() {
        for length in [0, 1, 100, 100_000] {
            let plain: Vec<u8> = (0..length).map(|n| (n % 7) as u8).collect();
            let (head, found) = read(&frame(&plain, 42, 7)).unwrap();
            assert_eq!((head.lsn, head.before, head.commands), (42, 7, 3));
            assert_eq!(found, plain);
        }
    }

    #[test]
    fn a_frame_of_which_any_bit_is_another_is_none() {
        let whole = frame(b"what a group commit brings, what a group commit brings", 42, 7);
        for byte in 0..whole.len() {
            for bit in 0..8 {
                let mut bytes = whole.clone();
                bytes[byte] ^= 1 << bit;
                assert!(read(&bytes).is_err(), "byte {byte}, bit {bit}");
            }
        }
        assert_eq!(read(&[0; 64]).unwrap_err(), FrameFault::Zeros);
    }
}
