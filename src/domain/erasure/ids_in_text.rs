//! Where a text names a click or an order by its id: as a value of its own, or as a word.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::domain::attribution::canonical_click;
use crate::domain::erasure::identity::{IdentityKind, KnownIdentities};

/// How long an id is that is looked for, in bytes: a shorter one may as well be a number or a word.
const LENGTH: std::ops::RangeInclusive<usize> = 5..=256;

impl KnownIdentities {
    /// Adds where a text, as it is, has an id of a click or an order that is known.
    pub fn ids(&self, text: &[u8], spans: &mut Vec<Range<usize>>) {
        let mut looked_at = BTreeSet::new();
        for value in parts(text, is_between_values).map(|value| trimmed(text, value)) {
            // The last value of a request's line is followed by its version.
            let space =
                text.get(value.clone()).and_then(|value| value.iter().rposition(|byte| *byte == b' '));
            let before = space.map(|space| trimmed(text, value.start..value.start + space));
            for range in before.into_iter().chain([value]) {
                if looked_at.insert((range.start, range.end)) && self.is_id(text, range.clone()) {
                    spans.push(range);
                }
            }
        }
        for word in parts(text, |byte| !is_in_word(byte)) {
            if looked_at.insert((word.start, word.end)) && self.is_id(text, word.clone()) {
                spans.push(word);
            }
        }
    }

    fn is_id(&self, text: &[u8], range: Range<usize>) -> bool {
        let own = text.get(range).filter(|own| LENGTH.contains(&own.len()));
        let Some(own) = own.and_then(|own| std::str::from_utf8(own).ok()) else { return false };
        self.knows(IdentityKind::Transaction, own)
            || canonical_click(own).is_some_and(|click| self.knows(IdentityKind::Click, &click))
    }
}

/// The parts of a text between such bytes, but for empty ones.
fn parts(text: &[u8], is_between: impl Fn(u8) -> bool) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + text.get(at..)?.iter().position(|byte| !is_between(*byte))?;
        let rest = text.get(start..)?;
        at = start + rest.iter().position(|byte| is_between(*byte)).unwrap_or(rest.len());
        Some(start..at)
    })
}

fn trimmed(text: &[u8], range: Range<usize>) -> Range<usize> {
    let own = text.get(range.clone()).unwrap_or_default();
    let behind = own.len() - own.trim_ascii_start().len();
    let start = range.start + behind;
    start..start + own.trim_ascii().len()
}

/// What is between the values of a query, a form, a header or a document.
fn is_between_values(byte: u8) -> bool {
    b"&=?\"'<>;,{}[]()|".contains(&byte) || byte.is_ascii_control()
}

fn is_in_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.') || byte >= 0x80
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::erasure::find::MaskLength;
    use crate::domain::presented::DigestKey;

    #[test]
    fn an_id_is_found_as_a_value_and_as_a_word_and_not_within_another() {
        let mut known = KnownIdentities::new(DigestKey::new([7; 32]), []);
        known.add(IdentityKind::Click, "click-0001");
        known.add(IdentityKind::Transaction, "Order #77/1");
        known.add(IdentityKind::Transaction, "777");
        let with_ids = known.with_ids();
        for (text, expected) in [
            ("GET /x?cid=click-0001&v=1 HTTP/1.1", "GET /x?cid=[erased]&v=1 HTTP/1.1"),
            ("GET /x?tid=Order%20%2377%2F1 HTTP/1.1", "GET /x?tid=[erased] HTTP/1.1"),
            ("tid=Order+%2377/1&v=1", "tid=[erased]&v=1"),
            (
                "{\"id\":\"Order #77\\/1\",\"url\":\"https://x.example/click-0001/y\"}",
                "{\"id\":\"[erased]\",\"url\":\"https://x.example/[erased]/y\"}",
            ),
            (
                "u=https%3A%2F%2Fx.example%2F%3Fcid%3Dclick-0001",
                "u=https%3A%2F%2Fx.example%2F%3Fcid%3D[erased]",
            ),
        ] {
            assert_eq!(with_ids.masked_text(text, MaskLength::Marker).as_deref(), Some(expected), "{text}");
            assert!(
                !known.is_named_in(text.as_bytes()),
                "ids are left where they are not looked for: {text}"
            );
        }
        for text in ["cid=click-00012", "cid=xclick-0001", "tid=777&n=777", "Order #77/12", "", "click"] {
            assert!(!with_ids.is_named_in(text.as_bytes()), "{text}");
        }
    }
}
