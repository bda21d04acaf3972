//! The target of a request as it was received, and the same with its secrets masked.

use std::borrow::Cow;

use crate::domain::mask::MASK;
use crate::web::secret_names::{self, SecretNames};

/// The path of a raw target: origin form (`/a?b`) or absolute form (`http://host/a?b`), up to the `?`.
pub fn path(target: &[u8]) -> &[u8] {
    let (start, end) = path_span(target);
    target.get(start..end).unwrap_or(&[])
}

fn path_span(target: &[u8]) -> (usize, usize) {
    let end = target.iter().position(|b| *b == b'?').unwrap_or(target.len());
    let head = target.get(..end).unwrap_or(target);
    if head.starts_with(b"/") {
        return (0, end);
    }
    let after_scheme = find(head, b"://").map_or(0, |at| at + 3);
    let start = head.get(after_scheme..).and_then(|rest| rest.iter().position(|b| *b == b'/'));
    (start.map_or(end, |at| after_scheme + at), end)
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    memchr::memmem::find(haystack, needle)
}

/// The request line of a postback with its secrets masked: the first path segment, where its key is,
/// and the value of every secret parameter. Every other byte stays.
pub fn masked_line(line: &[u8], names: &SecretNames) -> Vec<u8> {
    let start = line.iter().position(|b| *b == b' ').map_or(0, |at| at + 1);
    let end = line.iter().rposition(|b| *b == b' ').filter(|end| *end >= start).unwrap_or(line.len());
    let (method, target, version) = (
        line.get(..start).unwrap_or(&[]),
        line.get(start..end).unwrap_or(&[]),
        line.get(end..).unwrap_or(&[]),
    );
    let mut masked = Vec::with_capacity(line.len() + MASK.len());
    masked.extend_from_slice(method);
    mask_target(&mut masked, target, names);
    masked.extend_from_slice(version);
    masked
}

fn mask_target(out: &mut Vec<u8>, target: &[u8], names: &SecretNames) {
    let (path_start, path_end) = path_span(target);
    let path = target.get(path_start..path_end).unwrap_or(&[]);
    let mut key = 0;
    while let Some(length) = slash(path.get(key..).unwrap_or(&[])) {
        key += length;
    }
    let segment = path.get(key..).unwrap_or(&[]);
    let length = segment.iter().position(|b| *b == b'/').unwrap_or(segment.len());
    out.extend_from_slice(target.get(..path_start + key).unwrap_or(&[]));
    if length > 0 {
        out.extend_from_slice(MASK);
    }
    out.extend_from_slice(segment.get(length..).unwrap_or(&[]));
    out.extend_from_slice(&mask_values(target.get(path_end..).unwrap_or(&[]), names));
}

/// The request line of a path without a key: only the value of every `api_key` is masked.
pub fn masked_values(line: &[u8]) -> Vec<u8> {
    let query = line.iter().position(|b| *b == b'?').map_or(line.len(), |at| at + 1);
    let end = line.iter().rposition(|b| *b == b' ').filter(|end| *end >= query).unwrap_or(line.len());
    let (path, version) = (line.get(..query).unwrap_or(line), line.get(end..).unwrap_or(&[]));
    [path, &mask_values(line.get(query..end).unwrap_or(&[]), &API_KEY_ALONE), version].concat()
}

/// A line that was refused before it was a request, with whatever may be its key masked: all of the
/// target's first segment, wherever a reader of any taste would see it begin and end.
pub fn masked_unread(line: &[u8], names: &SecretNames) -> Vec<u8> {
    let line = &mask_user(line);
    let blank = |b: &u8| b.is_ascii_whitespace();
    let method = line.iter().position(blank).unwrap_or(0);
    let mut start = method + line.get(method..).unwrap_or(&[]).iter().take_while(|b| blank(b)).count();
    let target = line.get(start..).unwrap_or(&[]);
    if let Some(scheme) =
        find(target, b"://").filter(|at| target.iter().take(*at).all(u8::is_ascii_alphanumeric))
    {
        let host = target.get(scheme + 3..).unwrap_or(&[]);
        start += scheme + 3 + host.iter().position(|b| *b == b'/').unwrap_or(host.len());
    }
    while let Some(length) = slash(line.get(start..).unwrap_or(&[])) {
        start += length;
    }
    let segment = line.get(start..).unwrap_or(&[]);
    let ends = |at: usize| {
        let rest = segment.get(at..).unwrap_or(&[]);
        rest.first().is_none_or(|b| blank(b) || matches!(b, b'?' | b'#')) || slash(rest).is_some()
    };
    let end = start + (0..=segment.len()).find(|at| ends(*at)).unwrap_or(segment.len());
    let mut masked = line.get(..start).unwrap_or(&[]).to_vec();
    if end > start {
        masked.extend_from_slice(MASK);
    }
    let rest = line.get(end..).unwrap_or(&[]);
    let version = rest.iter().rposition(blank).unwrap_or(rest.len());
    masked.extend_from_slice(&mask_values(rest.get(..version).unwrap_or(rest), names));
    masked.extend_from_slice(rest.get(version..).unwrap_or(&[]));
    mask_before_collect(&masked).into_owned()
}

/// A text that may name one of our URLs, such as a header of a proxy, with whatever may be a key in it masked.
pub(super) fn masked_text<'a>(text: &'a [u8], names: &SecretNames) -> Cow<'a, [u8]> {
    then(then(mask_user(text), |text| mask_values(text, names)), mask_before_collect)
}

/// What is masked, masked once more.
pub(super) fn then<'a>(masked: Cow<'a, [u8]>, mask: impl Fn(&[u8]) -> Cow<'_, [u8]>) -> Cow<'a, [u8]> {
    match masked {
        Cow::Borrowed(text) => mask(text),
        Cow::Owned(text) => Cow::Owned(mask(&text).into_owned()),
    }
}

/// Masks the user name and password of a URL: what is between its `//` and an `@` before the path.
fn mask_user(line: &[u8]) -> Cow<'_, [u8]> {
    let Some(start) = find(line, b"//").map(|at| at + 2) else { return Cow::Borrowed(line) };
    let rest = line.get(start..).unwrap_or(&[]);
    let ends = |b: &u8| b.is_ascii_whitespace() || matches!(b, b'/' | b'?' | b'#');
    let authority = rest.get(..rest.iter().position(ends).unwrap_or(rest.len())).unwrap_or(rest);
    let Some(user) = authority.iter().rposition(|b| *b == b'@') else { return Cow::Borrowed(line) };
    let (before, after) = (line.get(..start).unwrap_or(&[]), line.get(start + user..).unwrap_or(&[]));
    Cow::Owned([before, MASK, after].concat())
}

/// Masks any segment before `/collect/`: there the key is, wherever the line begins.
fn mask_before_collect(line: &[u8]) -> Cow<'_, [u8]> {
    const WORD: &[u8] = b"collect";
    let is_edge = |at: usize| slash(line.get(at..).unwrap_or(&[]));
    // Most texts do not have the word at all, and are not looked at byte by byte.
    let found = memchr::memchr2_iter(b'c', b'C', line).find_map(|word| {
        let is_word = line.get(word..word + WORD.len()).is_some_and(|text| text.eq_ignore_ascii_case(WORD));
        is_edge(word + WORD.len()).filter(|_| is_word)?;
        [1, 3]
            .into_iter()
            .filter_map(|length| word.checked_sub(length))
            .find(|at| is_edge(*at) == Some(word - at))
    });
    let Some(end) = found else { return Cow::Borrowed(line) };
    let begins = |at: &usize| {
        let before = line.get(..*at).unwrap_or(&[]);
        let encoded = before.last_chunk::<3>().is_some_and(|tail| slash(tail) == Some(3));
        encoded || before.last().is_none_or(|b| b.is_ascii_whitespace() || *b == b'/')
    };
    let start = (0..=end).rev().find(begins).unwrap_or(0);
    let (before, after) = (line.get(..start).unwrap_or(&[]), line.get(end..).unwrap_or(&[]));
    if start == end { Cow::Borrowed(line) } else { Cow::Owned([before, MASK, after].concat()) }
}

/// The length of a slash at the front, plain or percent-encoded.
fn slash(text: &[u8]) -> Option<usize> {
    let encoded = text.get(..3).is_some_and(|front| front.eq_ignore_ascii_case(b"%2f"));
    if text.first() == Some(&b'/') { Some(1) } else { encoded.then_some(3) }
}

/// The names of a request that no source is known of.
static API_KEY_ALONE: SecretNames = SecretNames::API_KEY;

/// Masks the value of every pair whose name is a secret's, however it is cased or encoded, also with the `amp;` that a
/// URL copied from HTML leaves before it. A value ends at the next `&`. Every other byte stays.
pub(super) fn mask_values<'a>(query: &'a [u8], names: &SecretNames) -> Cow<'a, [u8]> {
    if !names.may_be_in(query) {
        return Cow::Borrowed(query);
    }
    let mut masked = Vec::with_capacity(query.len());
    for (index, pair) in query.split(|b| *b == b'&').enumerate() {
        if index > 0 {
            masked.push(b'&');
        }
        let value = secret_value(pair, names).unwrap_or(pair.len());
        masked.extend_from_slice(pair.get(..value).unwrap_or(pair));
        if value < pair.len() {
            masked.extend_from_slice(MASK);
        }
    }
    Cow::Owned(masked)
}

/// Where the value of a secret begins in a pair; what is before a `?` or `;` is no part of its name.
fn secret_value(pair: &[u8], names: &SecretNames) -> Option<usize> {
    let mut name = 0;
    for (at, byte) in pair.iter().enumerate() {
        match byte {
            b'?' | b';' => name = at + 1,
            b'=' if names.has_param(pair.get(name..at).unwrap_or(&[])) => return Some(at + 1),
            _ => {}
        }
    }
    // A whole query that was encoded once more, its `=` and `&` too, is where a name would.
    let name = pair.split(|b| *b == b'=').next().unwrap_or(pair);
    let decoded = secret_names::decoded(name);
    let mut parts = decoded.split(|b| matches!(b, b'&' | b'?' | b';'));
    let holds_secret = |part: &[u8]| {
        part.iter().position(|b| *b == b'=').is_some_and(|at| names.has_param(part.get(..at).unwrap_or(&[])))
    };
    (decoded.len() < name.len() && parts.any(holds_secret)).then_some(0)
}
