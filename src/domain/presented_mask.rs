//! What a sender presented as its secret, out of all that is kept of its request, however it is written there.

use std::ops::Range;

use data_encoding::BASE64_NOPAD;

use crate::domain::mask::MASK;
use crate::domain::postback::RawRequest;

/// A text that is shorter is hardly a secret, and to mask it wherever it is would spoil what is kept.
const SHORTEST: usize = 8;
/// The same of a number, which may as well be an id, a time or an amount.
const SHORTEST_NUMBER: usize = 16;
/// It is looked for in each header and at each place of the body.
const LONGEST: usize = 1024;
/// Senders and proxies encode what was encoded already.
const MOST_TIMES: usize = 3;

/// The texts to mask, as they were presented.
#[derive(Default)]
pub struct PresentedMask(Vec<Vec<u8>>);

impl PresentedMask {
    /// A mask of these, but for those that cannot be [searched for](is_findable).
    pub fn of_tokens(presented: impl IntoIterator<Item = Vec<u8>>) -> PresentedMask {
        let mut texts: Vec<Vec<u8>> = presented.into_iter().filter(|text| is_findable(text)).collect();
        texts.sort_unstable();
        texts.dedup();
        PresentedMask(texts)
    }

    /// A mask of `user:password`, of the password alone, and of both in base64.
    pub fn of_credentials(presented: impl IntoIterator<Item = Vec<u8>>) -> PresentedMask {
        let spelled = presented.into_iter().flat_map(|text| {
            let password = text.splitn(2, |byte| *byte == b':').nth(1).unwrap_or_default().to_vec();
            // Its padding may be left out.
            let encoded = BASE64_NOPAD.encode(&text).into_bytes();
            [password, encoded, text]
        });
        PresentedMask::of_tokens(spelled)
    }

    /// Masks each of them in the line, the headers and the body of a request.
    pub fn mask(&self, raw: &mut RawRequest) {
        if self.0.is_empty() {
            return;
        }
        self.mask_headers(raw, &[]);
        if let Some(line) = self.masked(&raw.line, TextSyntax::Plain) {
            raw.line = line;
        }
        let is_json = matches!(raw.body.trim_ascii_start().first(), Some(b'{' | b'['));
        if let Some(body) = self.masked(&raw.body, if is_json { TextSyntax::Json } else { TextSyntax::Plain })
        {
            raw.body = body;
        }
    }

    /// Whether one of them is in a text.
    pub fn is_in(&self, text: &[u8]) -> bool {
        !self.spans(text).is_empty()
    }

    /// Masks each of them in the headers alone, but for those of these names.
    pub fn mask_headers(&self, raw: &mut RawRequest, but: &[String]) {
        if self.0.is_empty() {
            return;
        }
        raw.headers.map_values(|name, value| match but.iter().any(|known| known == name) {
            true => None,
            false => self.masked(value, TextSyntax::Plain),
        });
    }

    /// A text with each of them masked; `None` where there is none of them.
    fn masked(&self, text: &[u8], kind: TextSyntax) -> Option<Vec<u8>> {
        let mut spans = self.spans(text);
        if spans.is_empty() {
            return None;
        }
        spans.sort_unstable();
        let mut masked = Vec::with_capacity(text.len());
        let mut done = 0;
        for MaskedSpan { start, end, written } in spans {
            if end <= done {
                continue;
            }
            // What overlaps what was masked before it is a part of it.
            if start >= done {
                masked.extend_from_slice(text.get(done..start).unwrap_or_default());
                masked.extend_from_slice(match written {
                    Written::Bytes => kind.mask_between(text, start, end),
                    Written::Utf16Le => b"*\0*\0*\0",
                    Written::Utf16Be => b"\0*\0*\0*",
                });
            }
            done = end;
        }
        masked.extend_from_slice(text.get(done..).unwrap_or_default());
        Some(masked)
    }

    /// Where they are: as they are, in UTF-16, and behind up to three encodings.
    fn spans(&self, text: &[u8]) -> Vec<MaskedSpan> {
        let mut spans = Vec::new();
        for one in &self.0 {
            for written in [Written::Bytes, Written::Utf16Le, Written::Utf16Be] {
                let needle = written.of(one);
                if needle.len() > text.len() {
                    continue;
                }
                let found = memchr::memmem::find_iter(text, &needle);
                let is_whole = |at: &usize| match written {
                    Written::Bytes => is_whole(text, *at, needle.len()),
                    Written::Utf16Le | Written::Utf16Be => at.is_multiple_of(2),
                };
                let found = found.filter(is_whole);
                spans.extend(found.map(|start| MaskedSpan { start, end: start + needle.len(), written }));
            }
        }
        let mut decoded = DecodedText::of(text);
        for _ in 0..MOST_TIMES {
            if !decoded.decode() {
                break;
            }
            for one in &self.0 {
                let needle = with_spaces(one);
                let found = memchr::memmem::find_iter(&decoded.bytes, &needle);
                let found = found.filter(|at| is_whole(&decoded.bytes, *at, needle.len()));
                spans.extend(found.filter_map(|at| decoded.span(at, needle.len())));
            }
        }
        spans
    }
}

/// Whether a text can be searched for: one that is shorter than eight bytes, or than sixteen where it is a number, is
/// hardly a secret, and one of more than 1,024 is none.
pub fn is_findable(text: &[u8]) -> bool {
    let is_number = text.iter().all(u8::is_ascii_digit);
    let shortest = if is_number { SHORTEST_NUMBER } else { SHORTEST };
    (shortest..=LONGEST).contains(&text.len())
}

/// Whether what is found there is no part of a longer word or number.
fn is_whole(text: &[u8], at: usize, length: usize) -> bool {
    let before = at.checked_sub(1).and_then(|at| text.get(at));
    let after = text.get(at + length);
    ![before, after].into_iter().flatten().any(u8::is_ascii_alphanumeric)
}

/// From where to where in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct MaskedSpan {
    start: usize,
    end: usize,
    written: Written,
}

/// How many bytes each character has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Written {
    Bytes,
    Utf16Le,
    Utf16Be,
}

impl Written {
    /// A text as it is written so; what is no ASCII is not found in UTF-16.
    fn of(self, text: &[u8]) -> Vec<u8> {
        match self {
            Written::Bytes => text.to_vec(),
            Written::Utf16Le => text.iter().flat_map(|byte| [*byte, 0]).collect(),
            Written::Utf16Be => text.iter().flat_map(|byte| [0, *byte]).collect(),
        }
    }
}

/// What a text is, which says how a value of it is masked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TextSyntax {
    Plain,
    Json,
}

impl TextSyntax {
    /// The mask in the place of a span. A whole value of JSON that is no text becomes one, so that it stays JSON.
    fn mask_between(self, text: &[u8], start: usize, end: usize) -> &'static [u8] {
        let before = text.get(..start).unwrap_or_default().trim_ascii_end().last();
        let after = text.get(end..).unwrap_or_default().trim_ascii_start().first();
        let is_value =
            matches!(before, Some(b':' | b',' | b'[')) && matches!(after, Some(b',' | b'}' | b']'));
        if self == TextSyntax::Json && is_value { b"\"***\"" } else { MASK }
    }
}

/// A text decoded, and where in it as it was each byte begins. A `+` is a space in it, as in a form.
pub(in crate::domain) struct DecodedText {
    /// What it reads by now.
    pub bytes: Vec<u8>,
    starts: Vec<usize>,
    end: usize,
}

impl DecodedText {
    pub fn of(text: &[u8]) -> DecodedText {
        DecodedText { bytes: text.to_vec(), starts: Vec::new(), end: text.len() }
    }

    /// The bytes of the original that these so many became of.
    fn span(&self, at: usize, length: usize) -> Option<MaskedSpan> {
        let Range { start, end } = self.original(at..at + length)?;
        Some(MaskedSpan { start, end, written: Written::Bytes })
    }

    /// From where to where those of this range were; `None` of a range that begins behind the end.
    pub fn original(&self, range: Range<usize>) -> Option<Range<usize>> {
        let end = self.starts.get(range.end).copied().unwrap_or(self.end);
        Some(*self.starts.get(range.start)?..end)
    }

    /// Decodes once more what is percent-encoded or escaped as in JSON; answers whether there was any of it.
    pub fn decode(&mut self) -> bool {
        if memchr::memchr3(b'%', b'\\', b'+', &self.bytes).is_none() {
            return false;
        }
        let mut decoded = Vec::with_capacity(self.bytes.len());
        let mut starts = Vec::with_capacity(self.bytes.len());
        let (mut at, mut is_changed) = (0, false);
        while let Some(rest) = self.bytes.get(at..).filter(|rest| !rest.is_empty()) {
            let (character, length) = decoded_unit(rest);
            let start = self.starts.get(at).copied().unwrap_or(at);
            let mut utf8 = [0; 4];
            let unit: &[u8] = match character {
                Unit::Byte(byte) => {
                    is_changed |= length > 1 || rest.first() != Some(&byte);
                    &[byte]
                }
                Unit::Character(character) => {
                    is_changed = true;
                    character.encode_utf8(&mut utf8).as_bytes()
                }
            };
            decoded.extend_from_slice(unit);
            starts.extend(unit.iter().map(|_| start));
            at += length;
        }
        (self.bytes, self.starts) = (decoded, starts);
        is_changed
    }
}

enum Unit {
    Byte(u8),
    Character(char),
}

/// What a text begins with, and how many bytes write it: `%2F`, `\u002f`, `\/`, `+` for a space, or the byte itself.
fn decoded_unit(text: &[u8]) -> (Unit, usize) {
    let hex = |from: usize, digits: usize| {
        let digits = std::str::from_utf8(text.get(from..from + digits)?).ok()?;
        let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        u32::from_str_radix(digits, 16).ok().filter(|_| is_hex)
    };
    let byte = text.first().copied().unwrap_or_default();
    let percent =
        || hex(1, 2).and_then(|value| u8::try_from(value).ok()).map(|byte| Unit::Byte(spaced(byte)));
    match (byte, text.get(1)) {
        (b'%', _) => percent().map_or((Unit::Byte(byte), 1), |unit| (unit, 3)),
        (b'\\', Some(b'u')) => {
            let character = hex(2, 4).and_then(char::from_u32);
            let character =
                character.map(|one| if one == '+' { Unit::Byte(b' ') } else { Unit::Character(one) });
            character.map_or((Unit::Byte(byte), 1), |unit| (unit, 6))
        }
        (b'\\', Some(escaped @ (b'/' | b'"' | b'\\'))) => (Unit::Byte(*escaped), 2),
        (b'\\', Some(b'b' | b'f' | b'n' | b'r' | b't')) => (Unit::Byte(b' '), 2),
        _ => (Unit::Byte(spaced(byte)), 1),
    }
}

/// As a decoded text has it, in which no `+` is distinguished from a space.
fn with_spaces(text: &[u8]) -> Vec<u8> {
    text.iter().copied().map(spaced).collect()
}

fn spaced(byte: u8) -> u8 {
    if byte == b'+' { b' ' } else { byte }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(presented: &str, text: &str) -> String {
        let kind = if text.starts_with('{') { TextSyntax::Json } else { TextSyntax::Plain };
        let mask = PresentedMask::of_tokens([presented.as_bytes().to_vec()]);
        String::from_utf8(mask.masked(text.as_bytes(), kind).unwrap_or_else(|| text.into())).unwrap()
    }

    #[test]
    fn a_secret_is_masked_however_it_is_written() {
        for (text, expected) in [
            ("a=to/ken+1&b=2", "a=***&b=2"),
            ("a=to%2Fken%2B1&b=to%2fken%2b1", "a=***&b=***"),
            ("a=to%252Fken%252B1&b=to%25252Fken%25252B1", "a=***&b=***"),
            ("a=%74%6f%2f%6b%65%6e%2b%31", "a=***"),
            ("a%3Dto/ken+1%26b", "a%3D***%26b"),
            ("{\"a\":\"to\\/ken+1\",\"b\":[\"to\\u002fken\\u002B1\"]}", "{\"a\":\"***\",\"b\":[\"***\"]}"),
            ("{\"a\":\"to\\\\\\/ken+1\"}", "{\"a\":\"***\"}"),
            ("{\"a\":\"x\\nto/ken+1\\ty\"}", "{\"a\":\"x\\n***\\ty\"}"),
            ("to/ken+1,to/ken+1;", "***,***;"),
            ("a=to/ken 1", "a=to/ken 1"),
            ("a=to/ken", "a=to/ken"),
        ] {
            assert_eq!(masked("to/ken+1", text), expected, "{text}");
        }
    }

    #[test]
    fn what_only_contains_it_and_what_is_too_plain_is_left() {
        for text in ["ato/ken+1", "to/ken+12", "a=%41to/ken+1"] {
            assert_eq!(masked("to/ken+1", text), text);
        }
        let json = "{\"amount\":1482913.5,\"tx\":482913,\"at\":1764829130000}";
        for plain in ["482913", "1764829130000", "approve"] {
            assert_eq!(masked(plain, json), json, "{plain}");
            assert_eq!(masked(plain, &format!("a={plain}.00")), format!("a={plain}.00"));
        }
        let long = "{\"a\": 1234567890123456, \"b\":[1234567890123456,1]}";
        assert_eq!(masked("1234567890123456", long), "{\"a\": \"***\", \"b\":[\"***\",1]}");
    }

    #[test]
    fn what_overlaps_is_masked_once_and_texts_in_utf16_are_found() {
        assert_eq!(masked("ab.ab.ab", "-ab.ab.ab.ab.ab-"), "-***.ab.ab-");
        for written in [Written::Utf16Le, Written::Utf16Be] {
            let mask = PresentedMask::of_tokens([b"abcabc12".to_vec()]);
            let text = written.of(b"a=abcabc12&b=2");
            assert_eq!(mask.masked(&text, TextSyntax::Plain).unwrap(), written.of(b"a=***&b=2"));
        }
    }

    #[test]
    fn a_password_is_masked_alone_and_with_its_user() {
        let mask = PresentedMask::of_credentials([b"user:password".to_vec()]);
        let text = b"password user:password dXNlcjpwYXNzd29yZA== dXNlcjpwYXNzd29yZA user";
        assert_eq!(mask.masked(text, TextSyntax::Plain).unwrap(), b"*** *** ***== *** user");
        assert_eq!(masked("prod:Purchase", "event=Purchase&a=prod:Purchase"), "event=Purchase&a=***");
    }
}
