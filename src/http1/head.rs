//! Reading and repairing one request head. Pure: bytes in, a verdict out.

use std::ops::Range;

use memchr::{memchr, memrchr};
use percent_encoding::{AsciiSet, CONTROLS, percent_encode};

use super::ConnectionLimits;
use super::hints;
use super::refusal::{HttpRefusal, part};
use super::target::Target;

/// How the body after a head is framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// By `Content-Length`, in bytes; 0 where no header says anything.
    Length(u64),
    /// By `Transfer-Encoding: chunked`.
    Chunked,
}

/// One head that may be handed on. All positions are offsets into its own bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The length of the whole head in bytes, its blank line included.
    pub length: usize,
    /// The request line, without its CRLF.
    pub line: Range<usize>,
    /// Where the target is in that line, and what it consists of.
    pub target: Target,
    /// How the body is framed.
    pub framing: Framing,
    /// Whether the client waits for `100 Continue` before it sends the body.
    pub expects_continue: bool,
    /// Whether hyper needs another text than the one that was received, apart from the framing.
    pub needs_rewrite: bool,
}

/// How far the search for a head's end has come; kept between reads, so no byte is looked at twice.
#[derive(Debug, Clone, Default)]
pub struct HeadSearch {
    seen: usize,
    line_start: usize,
    lines: usize,
}

impl HeadSearch {
    /// Looks at the bytes that are new since the last call; the head's length once it is complete.
    ///
    /// # Errors
    /// As soon as the head is longer than the limits, or a line does not end in CRLF.
    pub fn find(&mut self, bytes: &[u8], limits: &ConnectionLimits) -> Result<Option<usize>, HttpRefusal> {
        if bytes.first().is_some_and(|first| !is_token(*first)) {
            return Err(METHOD);
        }
        while let Some(found) = bytes.get(self.seen..).and_then(|new| memchr(b'\n', new)) {
            let newline = self.seen + found;
            let Some(line) = bytes.get(self.line_start..newline).and_then(|line| line.strip_suffix(b"\r"))
            else {
                return Err(BARE_NEWLINE);
            };
            (self.seen, self.line_start) = (newline + 1, newline + 1);
            if self.lines > 0 && line.is_empty() {
                let fits = self.seen <= limits.head_bytes;
                return if fits { Ok(Some(self.seen)) } else { Err(HttpRefusal::HEAD_TOO_LARGE) };
            }
            self.count_line(line.len(), limits)?;
        }
        self.seen = bytes.len();
        self.within(limits).map(|()| None)
    }

    fn count_line(&mut self, length: usize, limits: &ConnectionLimits) -> Result<(), HttpRefusal> {
        if self.lines == 0 && length > limits.line_bytes {
            return Err(HttpRefusal::LINE_TOO_LONG);
        }
        if self.lines > limits.headers {
            return Err(HttpRefusal::HEAD_TOO_LARGE);
        }
        self.lines += 1;
        Ok(())
    }

    /// The limits on what has come of a head that is not complete.
    fn within(&self, limits: &ConnectionLimits) -> Result<(), HttpRefusal> {
        if self.lines == 0 && self.seen > limits.line_bytes + 1 {
            return Err(HttpRefusal::LINE_TOO_LONG);
        }
        if self.seen > limits.head_bytes { Err(HttpRefusal::HEAD_TOO_LARGE) } else { Ok(()) }
    }
}

/// Reads a complete head, from its first byte to its blank line, as [`HeadSearch`] delimited it.
///
/// # Errors
/// Whatever two parsers could read in two ways, and what this server does not speak: always 400.
pub fn read(bytes: &[u8]) -> Result<Head, HttpRefusal> {
    let (line, mut rest) = split_line(bytes)?;
    let (target, version) = request_line(line)?;
    let target = Target::read(line, target)?;
    let needs_repair = needs_repair(part(line, target.path.clone())?, target.query(line)?)?;
    let mut seen = HeaderFacts::default();
    loop {
        let (line, after) = split_line(rest)?;
        if line.is_empty() {
            break;
        }
        seen.header(line, version)?;
        rest = after;
    }
    Ok(Head {
        length: bytes.len(),
        line: 0..line.len(),
        needs_rewrite: needs_repair || seen.hints || target.authority(line)?.is_some(),
        target,
        framing: seen.framing(version)?,
        expects_continue: seen.expects_continue && version == Version::One,
    })
}

/// The first line without its CRLF, and what follows.
fn split_line(bytes: &[u8]) -> Result<(&[u8], &[u8]), HttpRefusal> {
    let newline = memchr(b'\n', bytes).ok_or(BARE_NEWLINE)?;
    let (line, rest) = bytes.split_at_checked(newline + 1).ok_or(BARE_NEWLINE)?;
    line.strip_suffix(b"\r\n").map(|line| (line, rest)).ok_or(BARE_NEWLINE)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    Zero,
    One,
}

/// Method = up to the first space, version = after the last, target = between.
fn request_line(line: &[u8]) -> Result<(Range<usize>, Version), HttpRefusal> {
    if memchr(b'\r', line).is_some() {
        return Err(BARE_NEWLINE);
    }
    let first = memchr(b' ', line).ok_or(REQUEST_LINE)?;
    let last = memrchr(b' ', line).ok_or(REQUEST_LINE)?;
    let method = part(line, ..first)?;
    if method.is_empty() || !method.iter().all(|b| is_token(*b)) {
        return Err(METHOD);
    }
    if method == b"CONNECT" {
        return Err(CONNECT);
    }
    let version = match line.get(last + 1..) {
        Some(b"HTTP/1.1") => Version::One,
        Some(b"HTTP/1.0") => Version::Zero,
        _ => return Err(VERSION),
    };
    if first >= last { Err(REQUEST_LINE) } else { Ok((first + 1..last, version)) }
}

/// Whether a target must be repaired before hyper may see it.
fn needs_repair(path: &[u8], query: &[u8]) -> Result<bool, HttpRefusal> {
    if !all(path, |b| is_plain(b) && b != b'`') {
        return Err(PATH_BYTE);
    }
    Ok(!all(query, is_plain))
}

/// The target as hyper may see it, where the head is not handed on as it is: in its query every byte that hyper or
/// `http` would refuse or cut at is percent-encoded. A literal `%` stays, so decoding gives the bytes that were
/// received.
///
/// # Errors
/// The line is another head's.
pub fn repaired(line: &[u8], head: &Head) -> Result<Option<String>, HttpRefusal> {
    const UNSAFE: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'<').add(b'>');
    if !head.needs_rewrite {
        return Ok(None);
    }
    let query = percent_encode(head.target.query(line)?, UNSAFE);
    Ok(Some(format!("{}{query}", head.target.path(line)?)))
}

/// Writes the head that hyper gets in place of `bytes`: the handed target, none of the [`hints`] that a
/// server may ignore, the host of an absolute target in place of `Host`, and, where the body was sent in
/// chunks, its length in place of `Transfer-Encoding`.
///
/// # Errors
/// `head` is not of these bytes.
pub fn rewrite(
    bytes: &[u8],
    head: &Head,
    handed: &[u8],
    chunked: Option<usize>,
    into: &mut Vec<u8>,
) -> Result<(), HttpRefusal> {
    into.reserve(bytes.len() + handed.len() + 32);
    into.extend_from_slice(part(bytes, ..head.target.whole.start)?);
    into.extend_from_slice(handed);
    into.extend_from_slice(part(bytes, head.target.whole.end..head.line.end + 2)?);
    if let Some(length) = chunked {
        into.extend_from_slice(format!("Content-Length: {length}\r\n").as_bytes());
    }
    let authority = head.target.authority(bytes)?;
    if let Some(authority) = authority {
        into.extend_from_slice(b"Host: ");
        into.extend_from_slice(authority);
        into.extend_from_slice(b"\r\n");
    }
    for line in part(bytes, head.line.end + 2..head.length)?.split_inclusive(|b| *b == b'\n') {
        let (name, value) = line.split_at(memchr(b':', line).unwrap_or(line.len()));
        let dropped = name.eq_ignore_ascii_case(b"transfer-encoding")
            || (authority.is_some() && name.eq_ignore_ascii_case(b"host"));
        if !dropped {
            hints::copy_line(name, value, line, into);
        }
    }
    Ok(())
}

/// What the header lines read so far say about the message.
#[derive(Default)]
struct HeaderFacts {
    length: Option<u64>,
    chunked: bool,
    hosts: usize,
    expects_continue: bool,
    /// Whether there are headers that hyper does not get to see.
    hints: bool,
}

impl HeaderFacts {
    fn header(&mut self, line: &[u8], version: Version) -> Result<(), HttpRefusal> {
        let length = line.iter().position(|b| !is_token(*b)).ok_or(NO_COLON)?;
        let (name, rest) = line.split_at_checked(length).ok_or(NO_COLON)?;
        let value = match rest {
            [b':', value @ ..] if !name.is_empty() => value,
            [b' ' | b'\t', ..] if name.is_empty() => return Err(FOLDED),
            [b' ' | b'\t', ..] => return Err(SPACE_BEFORE_COLON),
            _ => return Err(HEADER_NAME),
        };
        if !all(value, is_value) {
            return Err(HEADER_VALUE);
        }
        self.classify(name, trim(value), version)
    }

    fn classify(&mut self, name: &[u8], value: &[u8], version: Version) -> Result<(), HttpRefusal> {
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => self.hosts += 1,
            6 if name.eq_ignore_ascii_case(b"expect") => {
                self.hints = true;
                self.expects_continue |= hints::has_token(value, b"100-continue");
            }
            7 if name.eq_ignore_ascii_case(b"upgrade") => self.hints = true,
            10 if name.eq_ignore_ascii_case(b"connection") => self.hints |= hints::in_connection(value),
            14 if name.eq_ignore_ascii_case(b"content-length") => {
                let length = digits(value).ok_or(CONTENT_LENGTH)?;
                if self.length.replace(length).is_some() {
                    return Err(CONTENT_LENGTH_TWICE);
                }
            }
            14 if name.eq_ignore_ascii_case(hints::HTTP2_SETTINGS) => self.hints = true,
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                let only = !self.chunked && value.eq_ignore_ascii_case(b"chunked");
                if !only || version == Version::Zero {
                    return Err(TRANSFER_ENCODING);
                }
                self.chunked = true;
            }
            _ => {}
        }
        Ok(())
    }

    fn framing(&self, version: Version) -> Result<Framing, HttpRefusal> {
        if self.hosts > 1 || (self.hosts == 0 && version == Version::One) {
            return Err(HOST);
        }
        match (self.length, self.chunked) {
            (Some(_), true) => Err(TWO_FRAMINGS),
            (length, false) => Ok(Framing::Length(length.unwrap_or(0))),
            (None, true) => Ok(Framing::Chunked),
        }
    }
}

/// Decimal digits only: no sign, no space, no list; `None` also where the number is absurd.
fn digits(value: &[u8]) -> Option<u64> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    value.iter().try_fold(0u64, |sum, digit| sum.checked_mul(10)?.checked_add(u64::from(digit - b'0')))
}

fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// Whether all bytes are of a kind. It looks at every one of them, which lets the compiler compare
/// sixteen at a time; heads are short, and nearly all of them are in order.
fn all(bytes: &[u8], kind: impl Fn(u8) -> bool) -> bool {
    bytes.iter().fold(true, |so_far, byte| so_far & kind(*byte))
}

/// A byte of a query that hyper and `http` take as it is, and that [`repaired`] leaves alone.
fn is_plain(byte: u8) -> bool {
    (byte > 0x20) & (byte < 0x7F) & (byte != b'"') & (byte != b'#') & (byte != b'<') & (byte != b'>')
}

/// A byte of a header's value: anything but control bytes, tab excepted (RFC 9110 §5.5).
pub(super) fn is_value(byte: u8) -> bool {
    (byte >= 0x20) & (byte != 0x7F) | (byte == b'\t')
}

/// A byte of a method or a header's name (RFC 9110 §5.6.2 `tchar`).
pub(super) fn is_token(byte: u8) -> bool {
    TOKENS.get(usize::from(byte)).is_some_and(|is_token| *is_token)
}

static TOKENS: [bool; 256] = tokens();

#[allow(clippy::indexing_slicing)] // Evaluated when compiling: a wrong index does not build.
const fn tokens() -> [bool; 256] {
    let mut table = [false; 256];
    let mut byte = 0usize;
    while byte < 256 {
        let b = byte as u8;
        table[byte] = b.is_ascii_alphanumeric()
            || matches!(b, b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.')
            || matches!(b, b'^' | b'_' | b'`' | b'|' | b'~');
        byte += 1;
    }
    table
}

const REQUEST_LINE: HttpRefusal = HttpRefusal::bad(
    "the request line is not `METHOD target HTTP/1.1`",
    "put one space after the method and one before the version",
);
const METHOD: HttpRefusal =
    HttpRefusal::bad("the request does not begin with a method", "send plain HTTP/1.1 to this port");
const CONNECT: HttpRefusal =
    HttpRefusal::bad("CONNECT is not served here", "send the request itself; this is no proxy");
const VERSION: HttpRefusal =
    HttpRefusal::bad("the version is not HTTP/1.0 or HTTP/1.1", "end the request line with ` HTTP/1.1`");
const PATH_BYTE: HttpRefusal = HttpRefusal::bad(
    "the path, before the first `?`, holds a byte that must be percent-encoded",
    "percent-encode the path; raw bytes are understood after the `?` only",
);
const BARE_NEWLINE: HttpRefusal = HttpRefusal::bad(
    "a line of the head does not end in CRLF",
    "end every line with CR and LF, and use them nowhere else",
);
const NO_COLON: HttpRefusal =
    HttpRefusal::bad("a header line has no colon", "write headers as `Name: value`");
const HEADER_NAME: HttpRefusal = HttpRefusal::bad(
    "a header's name is empty or holds an illegal byte",
    "use letters, digits and `-` in header names",
);
const HEADER_VALUE: HttpRefusal =
    HttpRefusal::bad("a header's value holds a control byte", "remove control bytes from header values");
const SPACE_BEFORE_COLON: HttpRefusal =
    HttpRefusal::bad("a header has a space before its colon", "put the colon right after the header's name");
const FOLDED: HttpRefusal =
    HttpRefusal::bad("a header is folded over two lines", "write each header in one line");
const CONTENT_LENGTH: HttpRefusal =
    HttpRefusal::bad("the Content-Length is not a plain number", "send the body's length in decimal digits");
const CONTENT_LENGTH_TWICE: HttpRefusal =
    HttpRefusal::bad("there is more than one Content-Length", "send exactly one Content-Length");
const TRANSFER_ENCODING: HttpRefusal = HttpRefusal::bad(
    "the Transfer-Encoding is not exactly `chunked`, given once in HTTP/1.1",
    "send a Content-Length, or the one word `chunked`",
);
const TWO_FRAMINGS: HttpRefusal = HttpRefusal::bad(
    "there is a Content-Length and a Transfer-Encoding",
    "send one of them; both together can be read in two ways",
);
const HOST: HttpRefusal =
    HttpRefusal::bad("the request has no Host header, or several", "send exactly one Host header");
