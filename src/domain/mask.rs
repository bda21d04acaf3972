//! Secrets out of what is shown, however they are spelled.

/// What replaces a secret.
pub const MASK: &[u8] = b"***";

/// `text` with every spelling of `secret` replaced; `None` where it holds none, as most texts do.
pub fn without_secret(text: &str, secret: &str) -> Option<String> {
    let first = secret.bytes().next()?;
    let mut masked = String::new();
    let (mut kept, mut at) = (0, 0);
    while let Some(byte) = text.as_bytes().get(at) {
        let may_begin = *byte == first || *byte == b'%' || (*byte == b'+' && first == b' ');
        let found =
            if may_begin { spelled(text.as_bytes().get(at..).unwrap_or_default(), secret) } else { None };
        match found {
            Some(length) => {
                masked.push_str(text.get(kept..at).unwrap_or_default());
                masked.push_str("***");
                at += length;
                kept = at;
            }
            None => at += 1,
        }
    }
    (kept > 0).then(|| masked + text.get(kept..).unwrap_or_default())
}

/// How many bytes at the front of `text` spell `secret`, plain or percent-encoded.
fn spelled(text: &[u8], secret: &str) -> Option<usize> {
    let mut at = 0;
    for wanted in secret.bytes() {
        let byte = *text.get(at)?;
        let hex = |offset: usize| char::from(*text.get(at + offset)?).to_digit(16);
        at += match (byte, hex(1), hex(2)) {
            _ if byte == wanted => 1,
            (b'+', ..) if wanted == b' ' => 1,
            (b'%', Some(high), Some(low)) if high * 16 + low == u32::from(wanted) => 3,
            _ => return None,
        };
    }
    Some(at)
}
