//! A source's own key back in the places where it was masked: in the first segment of the path, and as a value of
//! `api_key`.

use crate::domain::mask::MASK;

/// A request line with `key` where its masks are.
pub fn line(kept: &[u8], key: &str) -> Vec<u8> {
    let target = kept.iter().position(|b| *b == b' ').map_or(0, |at| at + 1);
    let rest = kept.get(target..).unwrap_or_default();
    // Scheme and host before the path, where the sender wrote them.
    let host = memchr::memmem::find(rest, b"://").filter(|_| !rest.starts_with(b"/")).map_or(0, |at| at + 3);
    let is_slash = |b: &u8| *b == b'/';
    let path = rest.get(host..).unwrap_or_default();
    let slashes = path.iter().position(is_slash).unwrap_or(path.len());
    let name = path.get(slashes..).unwrap_or_default().iter().take_while(|b| is_slash(b)).count();
    let (before, behind) = kept.split_at_checked(target + host + slashes + name).unwrap_or((kept, &[]));
    match behind.strip_prefix(MASK) {
        Some(behind) => [before, key.as_bytes(), &values(behind, key)].concat(),
        None => values(kept, key),
    }
}

/// A query, a form or JSON with `key` as the value of each `api_key` that is masked.
pub fn values(kept: &[u8], key: &str) -> Vec<u8> {
    let mut text = Vec::with_capacity(kept.len() + key.len());
    let mut done = 0;
    for at in memchr::memmem::find_iter(kept, MASK) {
        text.extend_from_slice(kept.get(done..at).unwrap_or_default());
        let is_own = names_key(kept.get(..at).unwrap_or_default());
        text.extend_from_slice(if is_own { key.as_bytes() } else { MASK });
        done = at + MASK.len();
    }
    text.extend_from_slice(kept.get(done..).unwrap_or_default());
    text
}

/// Whether a text ends with `api_key=`, or with the JSON `"api_key": "`.
fn names_key(before: &[u8]) -> bool {
    let before = before.strip_suffix(b"\"").unwrap_or(before).trim_ascii_end();
    let Some(before) = before.strip_suffix(b"=").or_else(|| before.strip_suffix(b":")) else { return false };
    let before = before.trim_ascii_end();
    let name = before.strip_suffix(b"\"").unwrap_or(before);
    let start = name.len().saturating_sub(b"api_key".len());
    name.get(start..).is_some_and(|name| name.eq_ignore_ascii_case(b"api_key"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn restored(kept: &str) -> String {
        String::from_utf8(line(kept.as_bytes(), "KEY")).unwrap()
    }

    #[test]
    fn the_key_is_put_back_where_it_was_masked_and_nowhere_else() {
        assert_eq!(restored("GET /***/collect/s?a=*** HTTP/1.1"), "GET /KEY/collect/s?a=*** HTTP/1.1");
        assert_eq!(restored("GET //***//collect/s HTTP/1.1"), "GET //KEY//collect/s HTTP/1.1");
        assert_eq!(restored("GET http://h/***/collect/s HTTP/1.1"), "GET http://h/KEY/collect/s HTTP/1.1");
        assert_eq!(restored("GET /***/c?API_KEY=***&b=1 HTTP/1.1"), "GET /KEY/c?API_KEY=KEY&b=1 HTTP/1.1");
        assert_eq!(restored("GET /***/c?api_key2=*** HTTP/1.1"), "GET /KEY/c?api_key2=*** HTTP/1.1");
        let json = b"{\"api_key\" : \"***\", \"a\": \"***\"}";
        assert_eq!(values(json, "KEY"), b"{\"api_key\" : \"KEY\", \"a\": \"***\"}");
        assert_eq!(values(b"******", "KEY"), b"******");
    }
}
