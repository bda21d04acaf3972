//! Where a text names a person: addresses, numbers and their hashes, however they are written there. Only what a keyed hash
//! is known of is found.

use std::ops::Range;

use data_encoding::{BASE64_NOPAD, BASE64URL_NOPAD};

use crate::domain::erasure::ERASED;
use crate::domain::erasure::identity::{IdentityKind, KnownIdentities, mailbox, phone_digits};
use crate::domain::presented_mask::DecodedText;

/// Senders and proxies encode what was encoded already.
const MOST_TIMES: usize = 3;
/// The longest address, in bytes; what is before its `@`; how many places at which either may begin or end.
const LONGEST_ADDRESS: usize = 254;
const MOST_ENDS: usize = 12;
/// The longest number, with what people write between its digits.
const LONGEST_NUMBER: usize = 40;
/// The shortest text that names anyone.
const SHORTEST: usize = 5;
/// The shortest text in base64 that can hold an address or a number.
const SHORTEST_BASE64: usize = 10;
/// How deep base64 is looked into.
const DEEPEST: u8 = 2;

/// How what is found is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MaskLength {
    /// By [`ERASED`].
    Marker,
    /// By as many `*` as it has bytes: what points into the text still does.
    Same,
}

impl KnownIdentities {
    /// Where a text names one of them: as it is, and behind up to three encodings. In order, and none overlaps another.
    pub fn spans(&self, text: &[u8]) -> Vec<Range<usize>> {
        self.spans_in(text, DEEPEST)
    }

    /// Whether a text names one of them.
    pub fn is_named_in(&self, text: &[u8]) -> bool {
        !self.spans(text).is_empty()
    }

    /// A text without what names them; `None` where nothing does.
    pub fn masked(&self, text: &[u8], length: MaskLength) -> Option<Vec<u8>> {
        let spans = self.spans(text);
        if spans.is_empty() {
            return None;
        }
        let (mut masked, mut done) = (Vec::with_capacity(text.len()), 0);
        for Range { start, end } in spans {
            masked.extend_from_slice(text.get(done..start).unwrap_or_default());
            match length {
                MaskLength::Marker => masked.extend_from_slice(marker(text, start, end)),
                MaskLength::Same => masked.resize(masked.len() + (end - start), b'*'),
            }
            done = end;
        }
        masked.extend_from_slice(text.get(done..).unwrap_or_default());
        Some(masked)
    }

    /// The same of what is text.
    pub fn masked_text(&self, text: &str, length: MaskLength) -> Option<String> {
        let masked = self.masked(text.as_bytes(), length)?;
        Some(String::from_utf8_lossy(&masked).into_owned())
    }

    fn spans_in(&self, text: &[u8], depth: u8) -> Vec<Range<usize>> {
        if text.len() < SHORTEST {
            return Vec::new();
        }
        let mut spans = self.read(text, depth);
        let mut decoded = DecodedText::of(text);
        for _ in 0..MOST_TIMES {
            if !decoded.decode() {
                break;
            }
            let found = self.read(&decoded.bytes, depth);
            spans.extend(found.into_iter().filter_map(|range| decoded.original(range)));
        }
        joined(spans)
    }

    /// What is found in a text as it is.
    fn read(&self, text: &[u8], depth: u8) -> Vec<Range<usize>> {
        let mut spans = Vec::new();
        if self.has_kind(IdentityKind::Email) {
            self.emails(text, &mut spans);
        }
        if self.has_kind(IdentityKind::Phone) {
            self.phones(text, &mut spans);
        }
        if self.finds_ids() {
            self.ids(text, &mut spans);
        }
        self.words(text, depth, &mut spans);
        spans
    }

    fn emails(&self, text: &[u8], spans: &mut Vec<Range<usize>>) {
        for at in memchr::memchr_iter(b'@', text) {
            spans.extend(
                addresses_around(text, at).into_iter().find(|range| self.is_address(text, range.clone())),
            );
        }
    }

    /// Whether a text names a mailbox that is none of them, once it is decoded up to three times.
    pub fn is_another_named_in(&self, text: &[u8]) -> bool {
        let mut decoded = DecodedText::of(text);
        for _ in 0..MOST_TIMES {
            if !decoded.decode() {
                break;
            }
        }
        let text = &decoded.bytes;
        memchr::memchr_iter(b'@', text).any(|at| {
            let around = addresses_around(text, at);
            let is_mailbox = |range: &Range<usize>| written_address(text, range.clone()).is_some();
            !around.iter().any(|range| self.is_address(text, range.clone())) && around.iter().any(is_mailbox)
        })
    }

    fn is_address(&self, text: &[u8], range: Range<usize>) -> bool {
        written_address(text, range).is_some_and(|address| self.knows(IdentityKind::Email, &address))
    }

    fn phones(&self, text: &[u8], spans: &mut Vec<Range<usize>>) {
        let mut at = 0;
        while let Some(begin) = text.get(at..).and_then(|rest| rest.iter().position(u8::is_ascii_digit)) {
            let begin = at + begin;
            let parts = digit_groups(text, begin);
            at = parts.last().map_or(begin + 1, |part| part.end);
            let mut first = 0;
            while let Some(start) = parts.get(first).map(|part| part.start) {
                // The longest that fits is tried first.
                let near = parts.iter().skip(first).take_while(|part| part.end - start <= LONGEST_NUMBER);
                let last = first + near.count();
                let found = (first..last)
                    .rev()
                    .find(|last| parts.get(*last).is_some_and(|part| self.is_number(text, start..part.end)));
                if let Some(end) = found.and_then(|last| parts.get(last)) {
                    let plus = start.checked_sub(1).filter(|before| text.get(*before) == Some(&b'+'));
                    spans.push(plus.unwrap_or(start)..end.end);
                }
                first = found.unwrap_or(first) + 1;
            }
        }
    }

    fn is_number(&self, text: &[u8], range: Range<usize>) -> bool {
        let around = [range.start.checked_sub(1).and_then(|before| text.get(before)), text.get(range.end)];
        if around.into_iter().flatten().any(u8::is_ascii_alphanumeric) {
            return false;
        }
        let written = String::from_utf8_lossy(text.get(range).unwrap_or_default()).into_owned();
        // A decimal number is no phone number.
        let marks: String = written.chars().filter(|c| !c.is_ascii_digit()).collect();
        marks != "." && phone_digits(&written).is_some_and(|digits| self.knows(IdentityKind::Phone, &digits))
    }

    /// Hashes, and what is in base64.
    fn words(&self, text: &[u8], depth: u8, spans: &mut Vec<Range<usize>>) {
        let mut at = 0;
        while let Some(begin) = text.get(at..).and_then(|rest| rest.iter().position(|byte| is_word(*byte))) {
            let start = at + begin;
            let rest = text.get(start..).unwrap_or_default();
            let length = rest.iter().position(|byte| !is_word(*byte)).unwrap_or(rest.len());
            let word = rest.get(..length).unwrap_or_default();
            at = start + length;
            if word.len() < SHORTEST_BASE64 {
                continue;
            }
            self.hashes(word, start, spans);
            if depth > 0 && self.is_named_in_base64(word, depth - 1) {
                spans.push(start..at);
            }
        }
    }

    fn hashes(&self, word: &[u8], start: usize, spans: &mut Vec<Range<usize>>) {
        let mut at = 0;
        for digits in word.split(|byte| !byte.is_ascii_hexdigit()) {
            if digits.len() == 64 {
                let hash = String::from_utf8_lossy(digits).to_ascii_lowercase();
                let kinds = [IdentityKind::EmailHash, IdentityKind::PhoneHash];
                if kinds.into_iter().any(|kind| self.knows(kind, &hash)) {
                    spans.push(start + at..start + at + 64);
                }
            }
            at += digits.len() + 1;
        }
    }

    fn is_named_in_base64(&self, word: &[u8], depth: u8) -> bool {
        [BASE64_NOPAD, BASE64URL_NOPAD].iter().any(|alphabet| {
            // What is cut, or has a letter too many, is read as far as it goes.
            let whole = word.len() - word.len() % 4;
            [word.len(), whole].into_iter().any(|length| {
                let decoded = word.get(..length).and_then(|word| alphabet.decode(word).ok());
                decoded.is_some_and(|text| !self.spans_in(&text, depth).is_empty())
            })
        })
    }
}

/// Where the addresses may be that have this `@`, the longest first.
fn addresses_around(text: &[u8], at: usize) -> Vec<Range<usize>> {
    let from = at.saturating_sub(LONGEST_ADDRESS);
    let local = text.get(from..at).unwrap_or_default();
    let first = local.iter().rposition(|byte| !is_local(*byte)).map_or(0, |before| before + 1);
    let to = text.len().min(at + 1 + LONGEST_ADDRESS);
    let host = text.get(at + 1..to).unwrap_or_default();
    let length = host.iter().position(|byte| !is_host(*byte)).unwrap_or(host.len());
    let starts = std::iter::once(from + first).chain(
        (from + first..at)
            .filter(|place| text.get(*place).is_some_and(|byte| is_border(*byte)))
            .map(|place| place + 1),
    );
    let starts: Vec<usize> = starts.collect();
    // Of very many places those next to the sign: what is before them is no mailbox.
    let starts = starts.get(starts.len().saturating_sub(MOST_ENDS)..).unwrap_or_default();
    let ends = ends_of(host.get(..length).unwrap_or_default());
    starts.iter().flat_map(|start| ends.iter().map(move |end| *start..at + 1 + end)).collect()
}

/// The mailbox that is written there.
fn written_address(text: &[u8], range: Range<usize>) -> Option<String> {
    mailbox(&String::from_utf8_lossy(text.get(range).unwrap_or_default()).replace(' ', "+"))
}

/// In the order of their beginnings, and those that overlap as one.
fn joined(mut spans: Vec<Range<usize>>) -> Vec<Range<usize>> {
    spans.sort_unstable_by_key(|span| (span.start, span.end));
    let mut joined: Vec<Range<usize>> = Vec::with_capacity(spans.len());
    for span in spans {
        match joined.last_mut() {
            Some(last) if span.start < last.end => last.end = last.end.max(span.end),
            _ => joined.push(span),
        }
    }
    joined
}

/// A whole value of JSON that is no text becomes one, so that it stays JSON.
fn marker(text: &[u8], start: usize, end: usize) -> &'static [u8] {
    let before = text.get(..start).unwrap_or_default().trim_ascii_end().last();
    let after = text.get(end..).unwrap_or_default().trim_ascii_start().first();
    let is_json = matches!(text.trim_ascii_start().first(), Some(b'{' | b'['));
    let is_value =
        matches!(before, Some(b':' | b',' | b'[')) && matches!(after, Some(b',' | b'}' | b']') | None);
    if is_json && is_value { b"\"[erased]\"" } else { ERASED.as_bytes() }
}

/// What is before the `@` of an address; a space is a `+` that was read as one.
fn is_local(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte >= 0x80 || b"!#$%&'*+/=?^_`{|}~.- ".contains(&byte)
}

/// What may be in front of an address as well as in it.
fn is_border(byte: u8) -> bool {
    b"!#$%&'*+/=?^`{|}~ ".contains(&byte)
}

fn is_host(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte >= 0x80 || matches!(byte, b'.' | b'-')
}

/// Where a host's name may end, the longest first.
fn ends_of(host: &[u8]) -> Vec<usize> {
    let whole = host.len() - host.iter().rev().take_while(|byte| matches!(byte, b'.' | b'-')).count();
    let parts = (0..whole).rev().filter(|at| host.get(*at).is_some_and(|byte| matches!(byte, b'.' | b'-')));
    std::iter::once(whole).chain(parts).take(MOST_ENDS).collect()
}

/// Groups of digits, from the digit at `begin` on, with nothing between them but what people write between the digits
/// of a phone number.
fn digit_groups(text: &[u8], begin: usize) -> Vec<Range<usize>> {
    let (mut groups, mut at): (Vec<Range<usize>>, usize) = (Vec::new(), begin);
    loop {
        let rest = text.get(at..).unwrap_or_default();
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits == 0 {
            return groups;
        }
        groups.push(at..at + digits);
        let behind = rest.get(digits..).unwrap_or_default();
        let marks = behind.iter().take_while(|byte| b" -.()/\xa0\xc2".contains(byte)).count();
        if marks > 3 {
            return groups;
        }
        at += digits + marks;
    }
}

/// What words in base64 and hexadecimal are made of.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_')
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;
    use sha2::{Digest, Sha256};

    use super::*;
    use crate::domain::presented::DigestKey;

    fn jane() -> KnownIdentities {
        let mut known = KnownIdentities::new(DigestKey::new([7; 32]), []);
        known.add_email("jane.doe@example.com");
        known.add_phone("+49 170 1234567", Some("1701234567"));
        known
    }

    fn masked(text: &str) -> String {
        jane().masked_text(text, MaskLength::Marker).unwrap_or_else(|| text.to_owned())
    }

    #[test]
    fn an_address_is_found_however_it_is_written() {
        let base64 = BASE64_NOPAD.encode(b"{\"email\":\"jane.doe@example.com\"}");
        for (text, expected) in [
            ("GET /x?em=Jane.Doe@example.com&b=2 HTTP/1.1", "GET /x?em=[erased]&b=2 HTTP/1.1"),
            ("a=1+jane.doe%40EXAMPLE.com&b=2", "a=1+[erased]&b=2"),
            ("a=jane.doe%2540example.com", "a=[erased]"),
            ("a=%6aane.doe%40example.com", "a=[erased]"),
            ("{\"a\":\"jane.doe\\u0040example.com\",\"b\":1}", "{\"a\":\"[erased]\",\"b\":1}"),
            ("mailto:jane.doe@example.com.", "mailto:[erased]."),
            ("<jane.doe@example.com>; x", "<[erased]>; x"),
            ("to jane.doe@example.com-and others", "to [erased]-and others"),
            (&format!("d={base64}=&e=1"), "d=[erased]=&e=1"),
        ] {
            assert_eq!(masked(text), expected, "{text}");
        }
    }

    #[test]
    fn a_number_is_found_in_every_spelling_and_as_a_number_of_json() {
        for (text, expected) in [
            ("p=%2B491701234567&x", "p=%2B[erased]&x"),
            ("tel: +49 (170) 123-45 67, fax 1", "tel: [erased], fax 1"),
            ("0170/1234567", "[erased]"),
            ("{\"p\":491701234567,\"b\":2}", "{\"p\":\"[erased]\",\"b\":2}"),
            ("12 0170 1234567 5", "12 [erased] 5"),
        ] {
            assert_eq!(masked(text), expected, "{text}");
        }
    }

    #[test]
    fn a_hash_is_found_and_may_be_replaced_by_as_many_bytes() {
        let hash = HEXLOWER.encode(&Sha256::digest("jane.doe@example.com"));
        let text = format!("{{\"em\":[\"{hash}\"],\"ph\":1}}");
        assert_eq!(masked(&text), "{\"em\":[\"[erased]\"],\"ph\":1}");
        let same = jane().masked_text(&text, MaskLength::Same).unwrap();
        assert_eq!(same, text.replace(&hash, &"*".repeat(64)));
    }

    #[test]
    fn what_is_another_ones_is_left() {
        for text in [
            "jane.doe@example.org",
            "xjane.doe@example.com",
            "jane.doe@example.comx",
            "a491701234567",
            "4917012345678",
            "1.701234567",
            "",
            "@@@@@@@@",
            "%%%%%%%%",
            "\u{fffd}@\u{fffd}.\u{fffd}",
        ] {
            assert_eq!(masked(text), text);
        }
    }
}
