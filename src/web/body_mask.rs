//! The body of a request as it may be kept: with the value of every secret masked.

use std::borrow::Cow;

use crate::domain::mask::MASK;
use crate::template::source::charset;
use crate::template::source::json_body;
use crate::template::source::multipart;
use crate::web::secret_names::SecretNames;
use crate::web::target::{mask_values, then};

/// A body with the value of every secret masked, in JSON text or a form. In JSON only the value's
/// own bytes change, so that the record stays as it was received. What is neither may still hold a key that
/// was meant: it is looked for in every way.
pub fn masked_body<'a>(content_type: Option<&str>, body: &'a [u8], names: &SecretNames) -> Cow<'a, [u8]> {
    match charset::wide(content_type, body).filter(|_| !body.is_empty()) {
        Some(wide) => {
            let text = wide.text.as_bytes();
            let masked = mask(content_type, text, names);
            // Where there is nothing to mask, the bytes stay as they were received; unless it was no UTF-16.
            if *masked == *text {
                mask(content_type, body, names)
            } else {
                Cow::Owned(wide.encoded(&String::from_utf8_lossy(&masked)))
            }
        }
        None => mask(content_type, body, names),
    }
}

fn mask<'a>(content_type: Option<&str>, body: &'a [u8], names: &SecretNames) -> Cow<'a, [u8]> {
    let text = body.trim_ascii();
    match text.first() {
        Some(b'{' | b'[') if json_body::check(text) => mask_json(body, names),
        Some(b'"') => {
            mask_written_twice(text, names).map_or_else(|| mask_any(content_type, body, names), Cow::Owned)
        }
        _ => mask_any(content_type, body, names),
    }
}

fn mask_any<'a>(content_type: Option<&str>, body: &'a [u8], names: &SecretNames) -> Cow<'a, [u8]> {
    let masked = then(mask_parts(content_type, body, names), |body| mask_json(body, names));
    then(masked, |body| mask_values(body, names))
}

/// Masks JSON that was written as a JSON text once more; `None` where there is no such text, or no key.
fn mask_written_twice(body: &[u8], names: &SecretNames) -> Option<Vec<u8>> {
    let inner = json_body::written_twice(body)?;
    let masked = mask_json(inner.as_bytes(), names);
    let changed = *masked != *inner.as_bytes();
    changed.then(|| serde_json::Value::from(String::from_utf8_lossy(&masked)).to_string().into_bytes())
}

/// Masks the fields of a multipart form that are secrets; in a form that cannot be read, what
/// looks like one.
fn mask_parts<'a>(content_type: Option<&str>, body: &'a [u8], names: &SecretNames) -> Cow<'a, [u8]> {
    let says_so = content_type.is_some_and(|media| media.to_ascii_lowercase().contains("multipart"));
    if !says_so && !body.trim_ascii_start().starts_with(b"--") {
        return mask_lines(body, names);
    }
    let read = multipart::read(content_type, body).unwrap_or_default();
    let keys = read.parts.iter().filter(|part| names.has_param(&part.name));
    let mut masked = Vec::new();
    let mut done = 0;
    for part in keys {
        masked.extend_from_slice(body.get(done..part.value.start).unwrap_or(&[]));
        masked.extend_from_slice(MASK);
        done = part.value.end;
    }
    if done == 0 {
        return mask_lines(body, names);
    }
    masked.extend_from_slice(body.get(done..).unwrap_or(&[]));
    if read.is_whole { Cow::Owned(masked) } else { Cow::Owned(mask_lines(&masked, names).into_owned()) }
}

/// Masks what is between the empty line behind a part's head that names `api_key` and the next line
/// that begins like a boundary.
fn mask_lines<'a>(body: &'a [u8], names: &SecretNames) -> Cow<'a, [u8]> {
    if memchr::memmem::find(body, b"--").is_none() {
        return Cow::Borrowed(body);
    }
    let mut masked = Vec::with_capacity(body.len());
    let (mut in_head, mut in_value) = (false, false);
    for line in lines(body) {
        in_value &= !line.starts_with(b"--");
        in_head |= names_secret(line, names);
        if in_value {
            continue;
        }
        masked.extend_from_slice(line);
        if in_head && line.trim_ascii().is_empty() {
            masked.extend_from_slice(MASK);
            masked.extend_from_slice(b"\r\n");
            (in_head, in_value) = (false, true);
        }
    }
    Cow::Owned(masked)
}

/// Lines with their ends: CRLF, LF, or the CR alone of very old systems.
fn lines(body: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = body;
    std::iter::from_fn(move || {
        let end = memchr::memchr2(b'\r', b'\n', rest).map_or(rest.len(), |at| {
            let is_pair = rest.get(at..at + 2) == Some(b"\r\n");
            at + if is_pair { 2 } else { 1 }
        });
        let (line, behind) = rest.split_at_checked(end)?;
        rest = behind;
        (!line.is_empty()).then_some(line)
    })
}

/// Whether a line of a part's head names it as a secret.
fn names_secret(line: &[u8], names: &SecretNames) -> bool {
    line.split(|b| *b == b';').any(|one| {
        let one = one.trim_ascii();
        let named = one.split_at_checked(5).filter(|(word, _)| word.eq_ignore_ascii_case(b"name="));
        named.is_some_and(|(_, name)| names.has_param(unquoted(name)))
    })
}

fn unquoted(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\"").and_then(|text| text.strip_suffix(b"\"")).unwrap_or(text)
}

/// Masks what follows each JSON string that is a secret's name and is before a colon. Works on text
/// that is no whole JSON too.
fn mask_json<'a>(body: &'a [u8], names: &SecretNames) -> Cow<'a, [u8]> {
    if !body.contains(&b'"') {
        return Cow::Borrowed(body);
    }
    let mut masked = Vec::with_capacity(body.len());
    let mut at = 0;
    while let Some(rest) = body.get(at..).filter(|rest| !rest.is_empty()) {
        let Some(length) = json_string(rest) else {
            masked.push(rest.first().copied().unwrap_or_default());
            at += 1;
            continue;
        };
        let text = rest.get(..length).unwrap_or(rest);
        masked.extend_from_slice(text);
        at += length;
        if !is_secret_member(text, names) {
            continue;
        }
        let after = body.get(at..).unwrap_or(&[]);
        let gap = after.iter().take_while(|b| b.is_ascii_whitespace() || **b == b':').count();
        masked.extend_from_slice(after.get(..gap).unwrap_or(&[]));
        at += gap;
        if after.get(..gap).is_some_and(|gap| gap.contains(&b':')) {
            let value = body.get(at..).unwrap_or(&[]);
            at += json_value(value);
            masked.extend_from_slice(b"\"***\"");
        }
    }
    Cow::Owned(masked)
}

/// The length of a JSON value at the front; to the end where it is not closed.
fn json_value(text: &[u8]) -> usize {
    let (mut at, mut depth) = (0, 0_usize);
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        if let Some(length) = json_string(rest) {
            at += length;
        } else {
            match rest.first() {
                Some(b'{' | b'[') => depth += 1,
                Some(b',' | b'}' | b']') if depth == 0 => return at,
                Some(b'}' | b']') => depth -= 1,
                _ => {}
            }
            at += 1;
        }
    }
    at
}

/// The length of a JSON string at the front, quotes included; to the end where it is not closed.
fn json_string(text: &[u8]) -> Option<usize> {
    if text.first() != Some(&b'"') {
        return None;
    }
    let mut escaped = false;
    for (at, byte) in text.iter().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(at + 1),
            _ => {}
        }
    }
    Some(text.len())
}

fn is_secret_member(quoted: &[u8], names: &SecretNames) -> bool {
    serde_json::from_slice::<String>(quoted).is_ok_and(|name| names.has_member(&name))
}
