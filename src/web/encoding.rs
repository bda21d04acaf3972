//! Bodies that were received compressed: gzip and deflate are inflated, within the limit of a plain body.

use bytes::Bytes;
use encoding_rs::Encoding;
use flate2::{Decompress, FlushDecompress, Status};
use http::{HeaderMap, header};
use sha2::{Digest, Sha256};

use crate::domain::postback::{EncodedBody, Inflation};

/// Encodings on top of each other, at most; who needs more is not a sender of postbacks.
const MOST_LAYERS: usize = 4;
/// The longest name of an encoding that is kept.
const LONGEST_NAME: usize = 64;
/// How much is inflated at a time.
const STEP: usize = 16 * 1024;

/// A body as it can be read, and how it was received where that is another thing.
pub struct DecodedBody {
    /// Inflated, or as it was received where that was not possible.
    pub body: Bytes,
    /// What was received, where it had a `Content-Encoding` that says something.
    pub encoded: Option<EncodedBody>,
    /// It is larger than the limit; then `body` is empty.
    pub is_too_large: bool,
}

/// Inflates a body by its `Content-Encoding`, to at most `limit` bytes. What cannot be inflated stays as
/// it was received, and its [`EncodedBody`] says so.
pub fn plain(headers: &HeaderMap, body: Bytes, limit: usize) -> DecodedBody {
    if body.is_empty() || !headers.contains_key(header::CONTENT_ENCODING) {
        let is_too_large = body.len() > limit;
        return DecodedBody {
            body: if is_too_large { Bytes::new() } else { body },
            encoded: None,
            is_too_large,
        };
    }
    let named = named(headers);
    let layers: Vec<&str> = named.split(',').map(str::trim).filter(|word| !is_none(word)).collect();
    if layers.is_empty() {
        let is_too_large = body.len() > limit;
        return DecodedBody {
            body: if is_too_large { Bytes::new() } else { body },
            encoded: None,
            is_too_large,
        };
    }
    let encoded = |inflation| {
        Some(EncodedBody {
            encoding: named.chars().take(LONGEST_NAME).collect(),
            bytes: body.len() as u64,
            sha256: Sha256::digest(&body).into(),
            inflation,
        })
    };
    match inflate_all(&layers, &body, limit) {
        Ok(inflated) => {
            let encoded = encoded(Inflation::Inflated);
            DecodedBody { body: Bytes::from(inflated), encoded, is_too_large: false }
        }
        Err(InflateError::Unsupported) => {
            let encoded = encoded(Inflation::Unsupported);
            DecodedBody { body, encoded, is_too_large: false }
        }
        Err(InflateError::Damaged) => {
            let encoded = encoded(Inflation::Damaged);
            DecodedBody { body, encoded, is_too_large: false }
        }
        Err(InflateError::TooLarge) => {
            let encoded = encoded(Inflation::Damaged);
            DecodedBody { body: Bytes::new(), encoded, is_too_large: true }
        }
    }
}

/// All encodings that the headers name, in lower case, the first applied first.
fn named(headers: &HeaderMap) -> String {
    let values = headers.get_all(header::CONTENT_ENCODING).iter();
    let values: Vec<String> =
        values.map(|value| String::from_utf8_lossy(value.as_bytes()).trim().to_ascii_lowercase()).collect();
    values.join(", ")
}

/// Whether a word names no encoding: `identity`, nothing, or a charset, which some senders write here.
fn is_none(word: &str) -> bool {
    matches!(word, "" | "identity" | "none" | "8bit" | "7bit" | "binary")
        || Encoding::for_label_no_replacement(word.as_bytes()).is_some()
}

/// Why a body is not inflated.
enum InflateError {
    Unsupported,
    Damaged,
    TooLarge,
}

/// Takes the encodings off, the last one first. No step makes more than the limit.
fn inflate_all(layers: &[&str], body: &[u8], limit: usize) -> Result<Vec<u8>, InflateError> {
    let is_known = |layer: &&str| matches!(*layer, "gzip" | "x-gzip" | "deflate" | "x-deflate");
    if layers.len() > MOST_LAYERS || !layers.iter().all(is_known) {
        return Err(InflateError::Unsupported);
    }
    let mut plain: Option<Vec<u8>> = None;
    for layer in layers.iter().rev() {
        let packed = plain.as_deref().unwrap_or(body);
        let next = if layer.ends_with("gzip") { gunzip(packed, limit) } else { undeflate(packed, limit) };
        plain = Some(next?);
    }
    Ok(plain.unwrap_or_default())
}

/// One gzip member after the other (RFC 1952 §2.2); bytes behind the last that begin none are padding.
fn gunzip(packed: &[u8], limit: usize) -> Result<Vec<u8>, InflateError> {
    let mut plain = Vec::new();
    let mut rest = packed;
    while rest.starts_with(&[0x1f, 0x8b]) {
        let header = gzip_header(rest).ok_or(InflateError::Damaged)?;
        let start = plain.len();
        let used =
            inflate(Decompress::new(false), rest.get(header..).unwrap_or_default(), &mut plain, limit)?;
        let trailer =
            rest.get(header + used..).and_then(<[u8]>::first_chunk::<8>).ok_or(InflateError::Damaged)?;
        let mut sum = flate2::Crc::new();
        sum.update(plain.get(start..).unwrap_or_default());
        let [a, b, c, d, ..] = *trailer;
        if sum.sum() != u32::from_le_bytes([a, b, c, d]) {
            return Err(InflateError::Damaged);
        }
        rest = rest.get(header + used + trailer.len()..).unwrap_or_default();
    }
    // Not a single member was there.
    if rest.len() == packed.len() { Err(InflateError::Damaged) } else { Ok(plain) }
}

/// The flags of a member's header (RFC 1952 §2.3.1).
const CHECKED: u8 = 2;
const EXTRA: u8 = 4;
const NAME: u8 = 8;
const COMMENT: u8 = 16;

/// The length of a member's header.
fn gzip_header(bytes: &[u8]) -> Option<usize> {
    let [_, _, method, flags, ..] = *bytes.first_chunk::<10>()?;
    let mut length = 10;
    if method != 8 {
        return None;
    }
    if flags & EXTRA != 0 {
        let [low, high] = *bytes.get(length..)?.first_chunk::<2>()?;
        length += 2 + usize::from(u16::from_le_bytes([low, high]));
    }
    for text in [NAME, COMMENT] {
        if flags & text != 0 {
            length += memchr::memchr(0, bytes.get(length..)?)? + 1;
        }
    }
    Some(length + if flags & CHECKED != 0 { 2 } else { 0 })
}

/// `deflate` is zlib's format (RFC 9110 §8.4.1.2); some senders leave its frame out.
fn undeflate(packed: &[u8], limit: usize) -> Result<Vec<u8>, InflateError> {
    let mut plain = Vec::new();
    match inflate(Decompress::new(true), packed, &mut plain, limit) {
        Err(InflateError::Damaged) => {
            plain.clear();
            inflate(Decompress::new(false), packed, &mut plain, limit)?;
        }
        other => {
            other?;
        }
    }
    Ok(plain)
}

/// Inflates one stream behind `plain`, which may not grow beyond the limit; the bytes that it used.
fn inflate(
    mut stream: Decompress,
    packed: &[u8],
    plain: &mut Vec<u8>,
    limit: usize,
) -> Result<usize, InflateError> {
    loop {
        let used = usize::try_from(stream.total_in()).map_err(|_| InflateError::TooLarge)?;
        let made = stream.total_out();
        plain.reserve(STEP.min(limit.saturating_sub(plain.len()) + 1));
        let rest = packed.get(used..).unwrap_or_default();
        let status =
            stream.decompress_vec(rest, plain, FlushDecompress::None).map_err(|_| InflateError::Damaged)?;
        if plain.len() > limit {
            return Err(InflateError::TooLarge);
        }
        let now = usize::try_from(stream.total_in()).map_err(|_| InflateError::TooLarge)?;
        match status {
            Status::StreamEnd => return Ok(now),
            // No byte was read and none was made: the stream is cut off.
            _ if now == used && stream.total_out() == made => return Err(InflateError::Damaged),
            _ => {}
        }
    }
}
