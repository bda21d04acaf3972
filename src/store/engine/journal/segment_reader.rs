//! Reads a segment frame by frame.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use memchr::memmem;

use crate::store::engine::journal::frame::{FrameFault, FrameHead, HEAD, MAGIC};
use crate::store::engine::journal::segment::{FRAMES, SegmentHeader};

/// How many bytes are read at a time.
const WINDOW: usize = 256 * 1024;

/// A place in a segment, from which its frames are read.
pub struct SegmentReader {
    file: File,
    length: u64,
    /// Where the next frame begins.
    at: u64,
    window: Vec<u8>,
    /// Where the window begins.
    start: u64,
    plain: Vec<u8>,
}

impl SegmentReader {
    /// A reader at the first frame.
    ///
    /// # Errors
    /// The system's: that it is not there, or may not be read.
    pub fn open(path: &Path) -> io::Result<SegmentReader> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        Ok(SegmentReader { file, length, at: FRAMES, window: Vec::new(), start: 0, plain: Vec::new() })
    }

    /// How long the file is.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Where the next frame begins.
    pub fn at(&self) -> u64 {
        self.at
    }

    /// Goes on at another place.
    pub fn go_to(&mut self, at: u64) {
        self.at = at;
    }

    /// The bytes of the first block, fewer where the file is shorter.
    ///
    /// # Errors
    /// The system's.
    pub fn first_block(&mut self) -> io::Result<&[u8]> {
        self.bytes(0, FRAMES as usize)
    }

    /// What the segment says of itself.
    ///
    /// # Errors
    /// The system's, or that it cannot be read.
    pub fn header(&mut self) -> io::Result<SegmentHeader> {
        let header = SegmentHeader::read(self.first_block()?);
        header.ok_or_else(|| io::Error::other("the header of a segment is damaged"))
    }

    /// Up to so many bytes from `at` on, fewer where the file ends.
    ///
    /// # Errors
    /// The system's.
    pub fn bytes_at(&mut self, at: u64, length: usize) -> io::Result<&[u8]> {
        self.bytes(at, length)
    }

    /// What the head of the next frame says, unproven.
    ///
    /// # Errors
    /// Why there is none.
    pub fn head(&mut self) -> Result<FrameHead, FrameFault> {
        let ends = |_| FrameFault::Bad("it cannot be read".to_owned());
        let bytes = self.bytes(self.at, HEAD).map_err(ends)?;
        FrameHead::read(bytes.first_chunk().ok_or(FrameFault::Bad("the file ends there".to_owned()))?)
    }

    /// Up to so many bytes from `at` on.
    fn bytes(&mut self, at: u64, length: usize) -> io::Result<&[u8]> {
        let end = (at + length as u64).min(self.length);
        let is_within = self.start <= at && end <= self.start + self.window.len() as u64;
        if !is_within {
            let wanted = (length.max(WINDOW) as u64).min(self.length.saturating_sub(at));
            self.window.resize(usize::try_from(wanted).unwrap_or(0), 0);
            self.start = at;
            if self.file.read_exact_at(&mut self.window, at).is_err() {
                // What is near may be unreadable, and what is wanted not.
                let wanted = usize::try_from(end.saturating_sub(at)).unwrap_or(0);
                self.window.resize(wanted, 0);
                if let Err(error) = self.file.read_exact_at(&mut self.window, at) {
                    self.window.clear();
                    return Err(error);
                }
            }
        }
        let from = usize::try_from(at - self.start).unwrap_or(0);
        let wanted = usize::try_from(end.saturating_sub(at)).unwrap_or(0);
        Ok(self.window.get(from..from + wanted).unwrap_or_default())
    }

    /// The next frame, verified; [`SegmentReader::unpack`] has what is in it. After a fault the place stays where it was.
    /// What the system cannot read is a fault of the frame there.
    ///
    /// # Errors
    /// Why there is no frame.
    pub fn next_frame(&mut self) -> Result<FrameHead, FrameFault> {
        let at = self.at;
        let unreadable = |error: io::Error| FrameFault::Bad(format!("it cannot be read: {error}"));
        let head_bytes = *self
            .bytes(at, HEAD)
            .map_err(unreadable)?
            .first_chunk::<HEAD>()
            .ok_or_else(|| FrameFault::Bad("the file ends there".to_owned()))?;
        let head = FrameHead::read(&head_bytes)?;
        if at + head.bytes() > self.length {
            return Err(FrameFault::Bad("the file ends in the middle of it".to_owned()));
        }
        head.verify(&head_bytes, self.bytes(at + HEAD as u64, head.length).map_err(unreadable)?)?;
        self.at = at + head.bytes();
        Ok(head)
    }

    /// What is in the frame that was read last.
    ///
    /// # Errors
    /// Why it cannot be unpacked.
    pub fn unpack(&mut self, head: &FrameHead) -> Result<&[u8], FrameFault> {
        let mut plain = std::mem::take(&mut self.plain);
        let at = self.at - head.length as u64;
        let packed = self.bytes(at, head.length);
        let unpacked = packed
            .map_err(|error| FrameFault::Bad(format!("it cannot be read: {error}")))
            .and_then(|packed| head.unpack(packed, &mut plain));
        self.plain = plain;
        unpacked?;
        Ok(&self.plain)
    }

    /// The first place behind the present one where a whole frame begins. What cannot be read has none.
    pub fn find_next(&mut self) -> Option<u64> {
        let finder = memmem::Finder::new(&MAGIC);
        let (kept, mut at) = (self.at, self.at + 1);
        let mut found = None;
        while at + (HEAD as u64) <= self.length && found.is_none() {
            let window = self.bytes(at, WINDOW).unwrap_or_default();
            match finder.find(window) {
                Some(offset) => {
                    self.at = at + offset as u64;
                    at = self.at + 1;
                    found = self.next_frame().is_ok().then_some(at - 1);
                }
                // A magic may begin in this window and end in the next.
                None => at += (window.len().max(WINDOW) - (MAGIC.len() - 1)) as u64,
            }
        }
        self.at = kept;
        found
    }

    /// How many bytes from `at` on are not the zeros that the file ends with. What cannot be read counts as written.
    pub fn written_from(&mut self, from: u64) -> u64 {
        let (mut at, mut end) = (from, from);
        while at < self.length {
            let length = WINDOW.min(usize::try_from(self.length - at).unwrap_or(WINDOW));
            match self.bytes(at, length) {
                Ok(bytes) => {
                    let written = bytes.iter().rposition(|byte| *byte != 0);
                    end = written.map_or(end, |last| at + last as u64 + 1);
                }
                Err(_unreadable) => end = at + length as u64,
            }
            at += length as u64;
        }
        end - from
    }
}
