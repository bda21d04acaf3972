//! Collecting a body: how much of it is still to be received, and how much may be; a chunked one is read strictly:
//! sizes, data and trailers, each within its bounds. Pure.

use super::head::{Framing, Head, is_token, is_value};
use super::refusal::HttpRefusal;

/// The longest chunk-size line in bytes, extensions included.
const SIZE_LINE_BYTES: usize = 256;
/// The most bytes of trailers.
const TRAILER_BYTES: usize = 4096;

/// How the body of a request is collected.
pub enum Framer {
    /// This many bytes in all.
    Length(usize),
    /// In chunks, which say themselves where the body ends.
    Chunked(Chunked),
}

impl Framer {
    /// As the head says, up to the usual limit. Only where that does not do, `larger` is asked for another: at
    /// once for a length, for chunks when they become more.
    ///
    /// # Errors
    /// The body is too large, or what `larger` says.
    pub fn new(head: &Head, usual: usize, larger: &LargerLimit<'_>) -> Result<Framer, HttpRefusal> {
        match head.framing {
            Framing::Chunked => Ok(Framer::Chunked(Chunked::new(usual))),
            Framing::Length(length) => match usize::try_from(length) {
                Ok(length) if length <= usual => Ok(Framer::Length(length)),
                Ok(length) if larger()?.is_some_and(|most| length <= most) => Ok(Framer::Length(length)),
                _ => Err(HttpRefusal::BODY_TOO_LARGE),
            },
        }
    }

    /// How many bytes the body may have, as far as that was asked for.
    pub fn limit(&self) -> usize {
        match self {
            Framer::Length(length) => *length,
            Framer::Chunked(chunked) => chunked.limit(),
        }
    }

    /// How much memory its data takes, in addition to what was received.
    pub fn capacity(&self) -> usize {
        match self {
            Framer::Length(_) => 0,
            Framer::Chunked(chunked) => chunked.capacity(),
        }
    }
}

/// Where in a chunked body the next byte is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ChunkPosition {
    Size,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerLf,
    EndLf,
    End,
}

/// A chunked body being read; it takes its bytes in pieces of any size.
#[derive(Debug, Clone)]
pub struct Chunked {
    at: ChunkPosition,
    /// Bytes of the current chunk that are still to come; while its size is read, the size so far.
    left: usize,
    /// Bytes of the current size line, or of all trailers.
    line: usize,
    body: Vec<u8>,
    limit: usize,
}

/// Another limit of a body that is larger than usual, if it has one; or why it is refused.
pub type LargerLimit<'a> = dyn Fn() -> Result<Option<usize>, HttpRefusal> + 'a;

/// What a piece of input meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyProgress {
    /// All of it belongs to the body, and more must come.
    More,
    /// The body is complete; this many bytes of the piece belong to it.
    Complete(usize),
}

impl Chunked {
    /// A body of at most `limit` bytes, framing not counted.
    pub fn new(limit: usize) -> Chunked {
        Chunked { at: ChunkPosition::Size, left: 0, line: 0, body: Vec::new(), limit }
    }

    /// The data so far; the whole body once it is complete.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// How much memory the data takes.
    pub fn capacity(&self) -> usize {
        self.body.capacity()
    }

    /// The most bytes of data that are taken.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Reads a piece of the body. Where a chunk's size shows that it will be larger than the limit, `larger`
    /// is asked for another limit.
    ///
    /// # Errors
    /// 400 where the framing is not exactly as RFC 9112 §7.1 writes it, 413 as soon as a chunk's size
    /// shows that the body will be too large, or what `larger` says then, 431 for too many trailers.
    pub fn feed(&mut self, piece: &[u8], larger: &LargerLimit<'_>) -> Result<BodyProgress, HttpRefusal> {
        let mut rest = piece;
        while let [byte, after @ ..] = rest {
            if self.at == ChunkPosition::Data {
                let (data, after) = rest.split_at(self.left.min(rest.len()));
                self.body.extend_from_slice(data);
                self.left -= data.len();
                rest = after;
                if self.left == 0 {
                    self.at = ChunkPosition::DataCr;
                }
                continue;
            }
            self.at = self.step(*byte, larger)?;
            rest = after;
            if self.at == ChunkPosition::End {
                return Ok(BodyProgress::Complete(piece.len() - rest.len()));
            }
        }
        Ok(BodyProgress::More)
    }

    fn step(&mut self, byte: u8, larger: &LargerLimit<'_>) -> Result<ChunkPosition, HttpRefusal> {
        match self.at {
            ChunkPosition::Size | ChunkPosition::Extension => self.size_line(byte, larger),
            ChunkPosition::SizeLf
            | ChunkPosition::DataLf
            | ChunkPosition::TrailerLf
            | ChunkPosition::EndLf
                if byte != b'\n' =>
            {
                Err(NEWLINE)
            }
            ChunkPosition::SizeLf => {
                let last = self.left == 0;
                self.line = 0;
                Ok(if last { ChunkPosition::TrailerStart } else { ChunkPosition::Data })
            }
            ChunkPosition::DataCr if byte == b'\r' => Ok(ChunkPosition::DataLf),
            ChunkPosition::Data | ChunkPosition::DataCr => Err(CHUNK_END),
            ChunkPosition::DataLf => Ok(ChunkPosition::Size),
            ChunkPosition::EndLf | ChunkPosition::End => Ok(ChunkPosition::End),
            ChunkPosition::TrailerStart
            | ChunkPosition::TrailerName
            | ChunkPosition::TrailerValue
            | ChunkPosition::TrailerLf => self.trailer(byte),
        }
    }

    fn size_line(&mut self, byte: u8, larger: &LargerLimit<'_>) -> Result<ChunkPosition, HttpRefusal> {
        self.line += 1;
        if self.line > SIZE_LINE_BYTES {
            return Err(CHUNK_SIZE);
        }
        let has_digits = self.line > 1;
        match (self.at, byte) {
            (ChunkPosition::Size, b';') if has_digits => Ok(ChunkPosition::Extension),
            (ChunkPosition::Size, b'\r') if has_digits => Ok(ChunkPosition::SizeLf),
            (ChunkPosition::Extension, b'\r') => Ok(ChunkPosition::SizeLf),
            (ChunkPosition::Extension, byte) if is_value(byte) => Ok(ChunkPosition::Extension),
            (ChunkPosition::Size, byte) => {
                let digit = char::from(byte).to_digit(16).ok_or(CHUNK_SIZE)?;
                let sized = self.left.checked_mul(16).and_then(|size| size.checked_add(digit as usize));
                self.left = sized.ok_or(HttpRefusal::BODY_TOO_LARGE)?;
                if !self.fits() {
                    self.limit = self.limit.max(larger()?.unwrap_or(0));
                }
                if self.fits() { Ok(ChunkPosition::Size) } else { Err(HttpRefusal::BODY_TOO_LARGE) }
            }
            _ => Err(CHUNK_SIZE),
        }
    }

    fn fits(&self) -> bool {
        self.left <= self.limit.saturating_sub(self.body.len())
    }

    fn trailer(&mut self, byte: u8) -> Result<ChunkPosition, HttpRefusal> {
        self.line += 1;
        if self.line > TRAILER_BYTES {
            return Err(HttpRefusal::HEAD_TOO_LARGE);
        }
        match (self.at, byte) {
            (ChunkPosition::TrailerStart, b'\r') => Ok(ChunkPosition::EndLf),
            (ChunkPosition::TrailerStart | ChunkPosition::TrailerName, byte) if is_token(byte) => {
                Ok(ChunkPosition::TrailerName)
            }
            (ChunkPosition::TrailerName, b':') => Ok(ChunkPosition::TrailerValue),
            (ChunkPosition::TrailerValue, b'\r') => Ok(ChunkPosition::TrailerLf),
            (ChunkPosition::TrailerValue, byte) if is_value(byte) => Ok(ChunkPosition::TrailerValue),
            (ChunkPosition::TrailerLf, _) => Ok(ChunkPosition::TrailerStart),
            _ => Err(TRAILER),
        }
    }
}

const CHUNK_SIZE: HttpRefusal =
    HttpRefusal::bad("a chunk's size line cannot be read", "write the size in hexadecimal digits, then CRLF");
const CHUNK_END: HttpRefusal = HttpRefusal::bad(
    "a chunk is longer than its size says",
    "end each chunk with CRLF after exactly its size",
);
const NEWLINE: HttpRefusal =
    HttpRefusal::bad("a line of the chunked body does not end in CRLF", "end every line with CR and LF");
const TRAILER: HttpRefusal =
    HttpRefusal::bad("a trailer after the chunked body cannot be read", "write trailers as `Name: value`");
