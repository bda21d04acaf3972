//! The address of a landing page: which values it holds, and how it is shortened.

use serde::{Deserialize, Serialize};

/// Where a URL holds a value: the bytes that are the value once their encoding is undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValueSpan {
    at: u16,
    length: u16,
}

/// The most parts of a URL that are looked at.
const MOST_PARTS: usize = 256;
/// A shorter value takes no more room than its place does.
const SHORTEST: usize = 6;

/// Where the URL holds each of these values, in their order; `None` where it does not.
pub fn places<'a>(url: &str, values: impl Iterator<Item = &'a str>) -> Vec<Option<ValueSpan>> {
    let mut found: Vec<(&str, Option<ValueSpan>)> = values.map(|value| (value, None)).collect();
    if found.iter().any(|(value, _)| value.len() >= SHORTEST) {
        for (at, raw) in parts(url).filter(|(_, raw)| raw.len() >= SHORTEST).take(MOST_PARTS) {
            let (Ok(at), Ok(length)) = (u16::try_from(at), u16::try_from(raw.len())) else { break };
            for (value, place) in found.iter_mut().filter(|(_, place)| place.is_none()) {
                if value.len() >= SHORTEST && is_encoded(raw.as_bytes(), value.as_bytes()) {
                    *place = Some(ValueSpan { at, length });
                }
            }
        }
    }
    found.into_iter().map(|(_, place)| place).collect()
}

/// The value that a URL holds at a place; `None` where it holds no text there.
pub fn value_at(url: &str, place: ValueSpan) -> Option<String> {
    let (at, length) = (usize::from(place.at), usize::from(place.length));
    let raw = url.get(at..at.checked_add(length)?)?;
    let decoded: Vec<u8> = Decoded(raw.as_bytes()).collect();
    String::from_utf8(decoded).ok()
}

/// The beginning of the URL, of at most `most` bytes, without half a parameter, half a path segment or half
/// a fragment at its end.
pub fn cut(url: &str, most: usize) -> &str {
    if url.len() <= most {
        return url;
    }
    let kept = up_to(url, most);
    let query = url.find(['?', '#']).unwrap_or(url.len());
    if query <= kept.len() {
        let fragment = kept.find('#').unwrap_or(kept.len());
        let whole = kept.get(..fragment).unwrap_or(kept);
        let is_whole =
            fragment < kept.len() || url.as_bytes().get(kept.len()).is_some_and(|b| b"&#".contains(b));
        let end = if is_whole { whole.len() } else { whole.rfind(['&', '?']).unwrap_or(whole.len()) };
        return whole.get(..end).unwrap_or(whole);
    }
    let authority = kept.find("://").map_or(0, |at| at + 3);
    let segment = kept.rfind('/').filter(|at| *at >= authority);
    segment.and_then(|at| kept.get(..=at)).unwrap_or(kept)
}

/// The beginning of a text, of at most `most` bytes, that ends with a whole character.
pub fn up_to(text: &str, most: usize) -> &str {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

/// The length of the URL without its query and fragment.
pub fn base_length(url: &str) -> usize {
    url.find(['?', '#']).unwrap_or(url.len())
}

/// What can be a value: each segment of the path and each value of the query, with where it begins.
fn parts(url: &str) -> impl Iterator<Item = (usize, &str)> {
    let query = base_length(url);
    let mut rest = url;
    std::iter::from_fn(move || {
        let mut at = url.len().checked_sub(rest.len())?;
        let end = match rest.as_bytes() {
            // A slash divides only before the query, which begins at the first `?` or `#`.
            path if at < query => {
                memchr::memchr3(b'/', b'?', b'#', path).into_iter().chain(memchr::memchr(b'&', path)).min()
            }
            rest => memchr::memchr3(b'&', b'?', b'#', rest),
        };
        let part = rest.get(..end.unwrap_or(rest.len()))?;
        if rest.is_empty() {
            return None;
        }
        rest = end.and_then(|end| rest.get(end + 1..)).unwrap_or_default();
        let is_query = at > query;
        let name = if is_query { part.find('=').map_or(0, |at| at + 1) } else { 0 };
        at += name;
        part.get(name..).map(|value| (at, value))
    })
}

/// Whether `raw` is `value` as a form or a URL encodes it.
fn is_encoded(raw: &[u8], value: &[u8]) -> bool {
    if raw.len() == value.len() && raw == value {
        return memchr::memchr2(b'%', b'+', raw).is_none() || Decoded(raw).eq(value.iter().copied());
    }
    raw.len() >= value.len() && raw.len() <= value.len() * 3 && Decoded(raw).eq(value.iter().copied())
}

/// Bytes with their encoding undone once: `+` is a space, `%2B` is a plus.
struct Decoded<'a>(&'a [u8]);

impl Iterator for Decoded<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        let hex = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let (byte, rest) = match self.0 {
            [b'%', high, low, rest @ ..] => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => (high * 16 + low, rest),
                _ => (b'%', self.0.get(1..)?),
            },
            [b'+', rest @ ..] => (b' ', rest),
            [byte, rest @ ..] => (*byte, rest),
            [] => return None,
        };
        self.0 = rest;
        Some(byte)
    }
}
