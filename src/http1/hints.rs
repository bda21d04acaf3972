//! Hop-by-hop hints and expectations that a server may ignore: they are taken off before hyper sees them.
//!
//! Java's own client, `curl --http2` and others offer a switch to HTTP/2 with every first request (RFC 9110
//! §7.8: a server may ignore the offer), and some send expectations that no one defines (§10.1.1).

/// The companion of an offer to switch to HTTP/2 (RFC 7540 §3.2.1).
pub const HTTP2_SETTINGS: &[u8] = b"http2-settings";
/// The tokens of `Connection` that name nothing but the hints themselves.
const TOKENS: [&[u8]; 2] = [b"upgrade", HTTP2_SETTINGS];

/// Whether a comma-separated value has this token, in any letter case.
pub fn has_token(value: &[u8], token: &[u8]) -> bool {
    value.split(|b| *b == b',').any(|one| one.trim_ascii().eq_ignore_ascii_case(token))
}

/// Whether the value of a `Connection` header names a hint.
pub fn in_connection(value: &[u8]) -> bool {
    value.split(|b| *b == b',').any(is_hint)
}

fn is_hint(token: &[u8]) -> bool {
    TOKENS.iter().any(|hint| token.trim_ascii().eq_ignore_ascii_case(hint))
}

/// Copies one header line, line end included: a hint not at all, `Connection` without the tokens of hints,
/// and any other line byte for byte. `value` is what follows the name, from its colon on.
pub fn copy_line(name: &[u8], value: &[u8], line: &[u8], into: &mut Vec<u8>) {
    let hints: [&[u8]; 3] = [b"expect", b"upgrade", HTTP2_SETTINGS];
    if hints.iter().any(|hint| name.eq_ignore_ascii_case(hint)) {
        return;
    }
    let value = value.strip_prefix(b":").unwrap_or(value);
    if !name.eq_ignore_ascii_case(b"connection") || !in_connection(value) {
        into.extend_from_slice(line);
        return;
    }
    let kept = value.split(|b| *b == b',').filter(|token| !is_hint(token)).map(<[u8]>::trim_ascii);
    let kept: Vec<&[u8]> = kept.filter(|token| !token.is_empty()).collect();
    if !kept.is_empty() {
        into.extend_from_slice(b"Connection: ");
        into.extend_from_slice(&kept.join(&b","[..]));
        into.extend_from_slice(b"\r\n");
    }
}
