//! The target of a request as it came, and the same with its secrets masked.

use std::borrow::Cow;

/// The path of a raw target: origin form (`/a?b`) or absolute form (`http://host/a?b`), up to the `?`.
pub fn path(target: &[u8]) -> &[u8] {
    let (start, end) = path_span(target);
    target.get(start..end).unwrap_or(&[])
}

/// The raw bytes after the first `?`; empty without one.
pub fn query(target: &[u8]) -> &[u8] {
    let end = path_span(target).1;
    target.get(end + 1..).unwrap_or(&[])
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
    haystack.windows(needle.len()).position(|window| window == needle)
}

/// What replaces a secret.
const MASK: &[u8] = b"***";

/// The request line with its secrets masked: the first path segment where `key_in_path` (postback
/// URLs carry their key there), and the value of every `api_key`. Every other byte stays.
pub fn masked_line(line: &[u8], key_in_path: bool) -> Vec<u8> {
    let start = line.iter().position(|b| *b == b' ').map_or(0, |at| at + 1);
    let end = line.iter().rposition(|b| *b == b' ').filter(|end| *end >= start).unwrap_or(line.len());
    let (method, target, version) = (
        line.get(..start).unwrap_or(&[]),
        line.get(start..end).unwrap_or(&[]),
        line.get(end..).unwrap_or(&[]),
    );
    let mut masked = Vec::with_capacity(line.len() + MASK.len());
    masked.extend_from_slice(method);
    mask_target(&mut masked, target, key_in_path);
    masked.extend_from_slice(version);
    masked
}

fn mask_target(out: &mut Vec<u8>, target: &[u8], key_in_path: bool) {
    let (path_start, path_end) = path_span(target);
    let path = target.get(path_start..path_end).unwrap_or(&[]);
    let first_segment_end = path.iter().skip(1).position(|b| *b == b'/').map_or(path.len(), |at| at + 1);
    let rest = target.get(path_end..).unwrap_or(&[]);
    if key_in_path && path.len() > 1 {
        out.extend_from_slice(target.get(..path_start + 1).unwrap_or(&[]));
        out.extend_from_slice(MASK);
        out.extend_from_slice(path.get(first_segment_end..).unwrap_or(&[]));
    } else {
        out.extend_from_slice(target.get(..path_end).unwrap_or(target));
    }
    if find(rest, b"api_key").is_some() || rest.contains(&b'%') {
        out.extend_from_slice(&mask_api_key(rest));
    } else {
        out.extend_from_slice(rest);
    }
}

/// Masks the value of every pair named `api_key`, however its name is cased or encoded.
fn mask_api_key(query: &[u8]) -> Vec<u8> {
    let mut masked = Vec::with_capacity(query.len());
    for (index, pair) in query.split(|b| matches!(b, b'&' | b'?')).enumerate() {
        if index > 0 {
            // Keep the very separator that stood there.
            masked.extend(query.get(offset(query, pair).saturating_sub(1)));
        }
        match pair.iter().position(|b| *b == b'=') {
            Some(at) if is_api_key(pair.get(..at).unwrap_or(&[])) => {
                masked.extend_from_slice(pair.get(..=at).unwrap_or(&[]));
                masked.extend_from_slice(MASK);
            }
            _ => masked.extend_from_slice(pair),
        }
    }
    masked
}

fn offset(whole: &[u8], part: &[u8]) -> usize {
    (part.as_ptr() as usize).saturating_sub(whole.as_ptr() as usize)
}

fn is_api_key(name: &[u8]) -> bool {
    let decoded: Cow<'_, [u8]> = percent_encoding::percent_decode(name).into();
    decoded.eq_ignore_ascii_case(b"api_key")
}

/// A body with the value of every `api_key` masked, in a form or in JSON text.
pub fn masked_body(body: &[u8]) -> Vec<u8> {
    let lower = body.to_ascii_lowercase();
    if find(&lower, b"api_key").is_none() && !body.contains(&b'%') {
        return body.to_vec();
    }
    match serde_json::from_slice::<serde_json::Value>(body) {
        Ok(mut value) => {
            if mask_json(&mut value) {
                return value.to_string().into_bytes();
            }
            body.to_vec()
        }
        Err(_) => mask_api_key(body),
    }
}

fn mask_json(value: &mut serde_json::Value) -> bool {
    match value {
        serde_json::Value::Object(members) => {
            let mut masked = false;
            for (name, member) in members.iter_mut() {
                if name.eq_ignore_ascii_case("api_key") {
                    *member = serde_json::Value::String("***".to_owned());
                    masked = true;
                } else {
                    masked |= mask_json(member);
                }
            }
            masked
        }
        serde_json::Value::Array(items) => {
            items.iter_mut().fold(false, |masked, item| mask_json(item) | masked)
        }
        _ => false,
    }
}
