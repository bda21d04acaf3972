//! A multipart form (RFC 7578) as its parts: the one reader of it, used for postbacks, pages and masking.
//!
//! It reads what real senders write: lines that end in LF alone, a missing last boundary, unquoted and
//! escaped names, a declared boundary that is not the one in the body. Whether all was as the standard
//! writes it, [`Parts::is_whole`] says.

use std::borrow::Cow;
use std::ops::Range;

use memchr::{memchr, memmem};

/// The parts of a form, in the order of the body.
#[derive(Debug, Default)]
pub struct Parts<'a> {
    /// In the order of the body.
    pub parts: Vec<FormPart<'a>>,
    /// The last boundary is there, and every part has a head that names it.
    pub is_whole: bool,
}

/// One field or file.
#[derive(Debug)]
pub struct FormPart<'a> {
    /// The field's name, as bytes of the form's charset.
    pub name: Cow<'a, [u8]>,
    /// The file's name, where the part is a file. It may be empty.
    pub file: Option<Cow<'a, [u8]>>,
    /// The charset that the part declares for its value.
    pub charset: Option<String>,
    /// Where the value is in the body.
    pub value: Range<usize>,
}

impl FormPart<'_> {
    /// Whether the part is a file and no field: a browser also sends a part with an empty file name where
    /// no file was chosen.
    pub fn is_file(&self) -> bool {
        self.file.as_ref().is_some_and(|name| !name.is_empty() || self.value.is_empty())
    }
}

/// The longest boundary (RFC 2046 §5.1.1), with some patience for senders that count badly.
const LONGEST_BOUNDARY: usize = 200;

/// Reads a body by the boundary that `content_type` declares; where the body does not have that one, by
/// the boundary of its first line. `None` where there is neither.
pub fn read<'a>(content_type: Option<&str>, body: &'a [u8]) -> Option<Parts<'a>> {
    let declared = content_type.and_then(|value| parameter(value.as_bytes(), b"boundary"));
    let declared = declared.filter(|mark| (1..=LONGEST_BOUNDARY).contains(&mark.len()));
    let parts = declared.and_then(|mark| between(body, &mark));
    parts.or_else(|| between(body, first_line(body)?))
}

/// Whether a body looks like a multipart form, whatever it is said to be.
pub fn begins_like_one(body: &[u8]) -> bool {
    let Some(mark) = first_line(body) else { return false };
    let head = body.trim_ascii_start().get(mark.len() + 2..).unwrap_or_default().trim_ascii_start();
    let word = b"content-";
    head.get(..word.len()).is_some_and(|front| front.eq_ignore_ascii_case(word))
}

/// What is behind the two dashes of the first line.
fn first_line(body: &[u8]) -> Option<&[u8]> {
    let body = body.trim_ascii_start();
    let line = body.get(..memchr(b'\n', body).unwrap_or(body.len()))?;
    let mark = line.trim_ascii_end().strip_prefix(b"--")?;
    (1..=LONGEST_BOUNDARY).contains(&mark.len()).then_some(mark)
}

/// A boundary's line: where it begins, the line end before it included, where the next line begins, and
/// whether it closes the form.
struct Delimiter {
    start: usize,
    end: usize,
    closes: bool,
}

fn between<'a>(body: &'a [u8], boundary: &[u8]) -> Option<Parts<'a>> {
    let mark = [b"--", boundary].concat();
    let mut found = memmem::find_iter(body, &mark).filter_map(|at| delimiter(body, at, mark.len()));
    let mut open = found.next()?;
    let mut read = Parts { parts: Vec::new(), is_whole: true };
    while !open.closes {
        let next = found.next();
        let end = next.as_ref().map_or_else(|| without_line_end(body, body.len()), |next| next.start);
        match part(body, open.end..end.max(open.end)) {
            Some(part) => read.parts.push(part),
            // Only a boundary of its own line at the very end holds nothing that could be lost.
            None => read.is_whole = false,
        }
        let Some(next) = next else {
            read.is_whole = false;
            break;
        };
        open = next;
    }
    Some(read)
}

/// The boundary line at `at`, if a line begins there and nothing else is on it.
fn delimiter(body: &[u8], at: usize, length: usize) -> Option<Delimiter> {
    let before = body.get(..at)?;
    if before.last().is_some_and(|b| *b != b'\n') {
        return None;
    }
    let behind = body.get(at + length..)?;
    let (closes, behind) = match behind.strip_prefix(b"--") {
        Some(rest) => (true, rest),
        None => (false, behind),
    };
    let line = memchr(b'\n', behind);
    let rest = behind.get(..line.unwrap_or(behind.len()))?;
    if !rest.iter().all(|b| matches!(b, b' ' | b'\t' | b'\r')) {
        return None;
    }
    let end = body.len() - behind.len() + line.map_or(behind.len(), |line| line + 1);
    Some(Delimiter { start: without_line_end(body, at), end, closes })
}

/// `end` without the CRLF or LF before it, which belongs to the boundary.
fn without_line_end(body: &[u8], end: usize) -> usize {
    let text = body.get(..end).unwrap_or_default();
    let text = text.strip_suffix(b"\n").map_or(text, |text| text.strip_suffix(b"\r").unwrap_or(text));
    text.len()
}

fn part(body: &[u8], at: Range<usize>) -> Option<FormPart<'_>> {
    let whole = body.get(at.clone())?;
    let (mut disposition, mut charset) = (None, None);
    let mut rest = whole;
    loop {
        let length = memchr(b'\n', rest).map(|at| at + 1)?;
        let (line, after) = rest.split_at_checked(length)?;
        rest = after;
        if line.trim_ascii().is_empty() {
            break;
        }
        let line = unfolded(line, &mut rest);
        let colon = memchr(b':', &line)?;
        let (name, value) = (line.get(..colon)?.trim_ascii(), line.get(colon + 1..)?);
        if name.eq_ignore_ascii_case(b"content-disposition") {
            disposition = Some(value.to_vec());
        } else if name.eq_ignore_ascii_case(b"content-type") {
            charset = parameter(value, b"charset").map(|label| String::from_utf8_lossy(&label).into_owned());
        }
    }
    let disposition = disposition?;
    let named = |name: &[u8]| parameter(&disposition, name).map(|value| Cow::Owned(plain(value)));
    let extended = |name: &[u8]| parameter(&disposition, name).map(|value| Cow::Owned(unextended(&value)));
    let value = at.start + (whole.len() - rest.len())..at.end;
    Some(FormPart {
        name: named(b"name").or_else(|| extended(b"name*"))?,
        file: named(b"filename").or_else(|| extended(b"filename*")),
        charset,
        value,
    })
}

/// A header line with the lines that are folded under it; they are taken off `rest`.
fn unfolded<'a>(line: &'a [u8], rest: &mut &'a [u8]) -> Cow<'a, [u8]> {
    let mut line = Cow::Borrowed(line);
    while let Some(length) = memchr(b'\n', rest).map(|at| at + 1) {
        let Some((next, after)) = rest.split_at_checked(length) else { break };
        if !next.starts_with(b" ") && !next.starts_with(b"\t") || next.trim_ascii().is_empty() {
            break;
        }
        line = Cow::Owned([line.trim_ascii_end(), b" ", next.trim_ascii_start()].concat());
        *rest = after;
    }
    line
}

/// What browsers escape in a name (WHATWG, multipart/form-data encoding): quotes and line ends.
fn plain(name: Vec<u8>) -> Vec<u8> {
    if !name.contains(&b'%') {
        return name;
    }
    let mut plain = Vec::with_capacity(name.len());
    let mut rest = name.as_slice();
    while let Some((first, after)) = rest.split_first() {
        let escaped = match rest.get(..3) {
            Some(b"%22") => Some(b'"'),
            Some(b"%0D" | b"%0d") => Some(b'\r'),
            Some(b"%0A" | b"%0a") => Some(b'\n'),
            _ => None,
        };
        plain.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { rest.get(3..).unwrap_or_default() } else { after };
    }
    plain
}

/// The value of `name*=UTF-8''na%C3%AFve` (RFC 8187).
fn unextended(value: &[u8]) -> Vec<u8> {
    let text = value.splitn(3, |b| *b == b'\'').nth(2).unwrap_or(value);
    percent_encoding::percent_decode(text).collect()
}

/// The value of a parameter of a header: of `form-data; name="a;b"` the `name` is `a;b`. Quotes and
/// backslashes before a quote are taken off; names are compared in any letter case.
pub fn parameter(header: &[u8], wanted: &[u8]) -> Option<Vec<u8>> {
    let mut rest = header.get(memchr(b';', header)? + 1..)?;
    loop {
        rest = rest.trim_ascii_start();
        let end = rest.iter().position(|b| matches!(b, b'=' | b';'))?;
        let (name, behind) = (rest.get(..end)?.trim_ascii(), rest.get(end..)?);
        let Some(value) = behind.strip_prefix(b"=") else {
            rest = behind.get(1..)?;
            continue;
        };
        let (value, after) = parameter_value(value.trim_ascii_start());
        if name.eq_ignore_ascii_case(wanted) {
            return Some(value);
        }
        rest = after.get(memchr(b';', after)? + 1..)?;
    }
}

/// A quoted text or a token at the front, and what follows it.
fn parameter_value(text: &[u8]) -> (Vec<u8>, &[u8]) {
    let Some(quoted) = text.strip_prefix(b"\"") else {
        let end = memchr(b';', text).unwrap_or(text.len());
        let (token, after) = text.split_at(end);
        return (token.trim_ascii().to_vec(), after);
    };
    let mut value = Vec::new();
    let mut rest = quoted;
    loop {
        match rest {
            // Old browsers write whole paths here, so a backslash is one unless a quote follows it.
            [b'\\', b'"', after @ ..] => {
                value.push(b'"');
                rest = after;
            }
            [b'"', after @ ..] => return (value, after),
            [byte, after @ ..] => {
                value.push(*byte);
                rest = after;
            }
            [] => return (value, &[]),
        }
    }
}
