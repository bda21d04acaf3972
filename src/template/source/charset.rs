//! Bytes as text, by the charset that the sender declares; what cannot be read is marked, never guessed.

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

use crate::template::source::multipart;

/// What is for bytes that cannot be read. A value that holds it is damaged, no matter who put it there:
/// it is never an id and never hashed.
pub const DAMAGE: char = '\u{fffd}';

/// The charset of a body.
#[derive(Debug, Clone)]
pub struct Charset {
    encoding: &'static Encoding,
    /// The label that was declared and that no one knows; the body is read as UTF-8 then.
    pub unknown: Option<String>,
    /// In which bytes are that are not UTF-8.
    fallback: Option<&'static Encoding>,
}

impl Default for Charset {
    fn default() -> Charset {
        Charset { encoding: UTF_8, unknown: None, fallback: None }
    }
}

impl Charset {
    /// The charset that a `Content-Type` declares; UTF-8 where it declares none.
    pub fn of_content_type(content_type: Option<&str>) -> Charset {
        let Some(content_type) = content_type else { return Charset::default() };
        match multipart::parameter(content_type.as_bytes(), b"charset") {
            Some(label) => Charset::of_label(&String::from_utf8_lossy(&label)),
            None => Charset::default(),
        }
    }

    /// The charset of a label, in any letter case.
    pub fn of_label(label: &str) -> Charset {
        let label = label.trim_matches(|c: char| c.is_whitespace() || matches!(c, '"' | '\''));
        match Encoding::for_label_no_replacement(label.as_bytes()) {
            Some(encoding) => Charset { encoding, ..Charset::default() },
            None if label.is_empty() => Charset::default(),
            None => Charset { unknown: Some(label.to_owned()), ..Charset::default() },
        }
    }

    /// The same, where what is not UTF-8 is in another encoding.
    #[must_use]
    pub fn or(self, fallback: Option<&'static Encoding>) -> Charset {
        Charset { fallback, ..self }
    }

    /// Whether it is UTF-16, in which not even `&` and `=` are single bytes.
    fn is_wide(&self) -> bool {
        self.encoding == UTF_16LE || self.encoding == UTF_16BE
    }

    /// The text of some bytes, with [`DAMAGE`] in place of what cannot be read.
    pub fn text(&self, bytes: Cow<'_, [u8]>) -> String {
        if self.encoding != UTF_8 {
            return self.encoding.decode_without_bom_handling(&bytes).0.into_owned();
        }
        match String::from_utf8(bytes.into_owned()) {
            Ok(text) => text,
            Err(error) => match self.fallback {
                Some(fallback) => fallback.decode_without_bom_handling(error.as_bytes()).0.into_owned(),
                None => String::from_utf8_lossy(error.as_bytes()).into_owned(),
            },
        }
    }
}

/// A body in UTF-16, as text.
pub struct Utf16Body {
    pub text: String,
    encoding: &'static Encoding,
    /// It began with a byte order mark.
    marked: bool,
}

impl Utf16Body {
    /// Another text as this one was encoded.
    pub fn encoded(&self, text: &str) -> Vec<u8> {
        let mark = self.marked.then_some(0xfeff);
        let units = mark.into_iter().chain(text.encode_utf16());
        let bytes =
            |unit: u16| if self.encoding == UTF_16BE { unit.to_be_bytes() } else { unit.to_le_bytes() };
        units.flat_map(bytes).collect()
    }
}

/// A body in UTF-16, which a byte order mark or its own zero bytes show. What is declared counts where the
/// first character does not say, and never for a body without a zero byte: there is no UTF-16 without the
/// ASCII of names, and senders declare it of bodies in UTF-8.
pub fn wide(content_type: Option<&str>, body: &[u8]) -> Option<Utf16Body> {
    let marked = Encoding::for_bom(body);
    let (encoding, length) = match (marked, body) {
        (Some((encoding, _)), _) if encoding == UTF_8 => return None,
        (Some(found), _) => found,
        // A zero byte at the end alone is how C ends a text.
        (None, [first, 0, _, ..]) if first.is_ascii() && *first != 0 => (UTF_16LE, 0),
        (None, [0, second, ..]) if second.is_ascii() && *second != 0 => (UTF_16BE, 0),
        (None, _) => {
            let declared = Charset::of_content_type(content_type);
            if !declared.is_wide() || !without_end(body).contains(&0) {
                return None;
            }
            (declared.encoding, 0)
        }
    };
    let text = encoding.decode_without_bom_handling(body.get(length..).unwrap_or_default()).0.into_owned();
    Some(Utf16Body { text, encoding, marked: length > 0 })
}

/// A body as bytes whose ASCII is ASCII, without byte order marks, and the charset of the rest.
pub fn narrowed<'a>(content_type: Option<&str>, body: &'a [u8]) -> (Charset, Cow<'a, [u8]>) {
    if let Some(wide) = wide(content_type, body) {
        let text = wide.text.trim_start_matches('\u{feff}');
        return (Charset::default(), Cow::Owned(text.as_bytes().to_vec()));
    }
    let mut rest = body;
    // A script that is put together from several files writes the mark of each.
    while let Some(behind) = rest.strip_prefix(b"\xef\xbb\xbf") {
        rest = behind;
    }
    let declared = Charset::of_content_type(content_type);
    let is_utf8 = rest.len() < body.len() || declared.is_wide();
    (if is_utf8 { Charset::default() } else { declared }, Cow::Borrowed(rest))
}

/// A body without the zero bytes at its end: a text of C ends with one, and some senders count it, or send
/// the whole buffer.
pub fn without_end(body: &[u8]) -> &[u8] {
    let length = body.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
    body.get(..length).unwrap_or_default()
}
