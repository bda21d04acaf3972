//! Bytes as text, by the charset that the sender declares; what cannot be read is marked, never guessed.

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

use crate::template::multipart;

/// What stands for bytes that cannot be read. A value that holds it is damaged, whoever put it there:
/// it is never an id and never hashed.
pub const DAMAGE: char = '\u{fffd}';

/// The charset of a body.
#[derive(Debug, Clone)]
pub struct Charset {
    encoding: &'static Encoding,
    /// The label that was declared and that no one knows; the body is read as UTF-8 then.
    pub unknown: Option<String>,
}

impl Default for Charset {
    fn default() -> Charset {
        Charset { encoding: UTF_8, unknown: None }
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
            Some(encoding) => Charset { encoding, unknown: None },
            None if label.is_empty() => Charset::default(),
            None => Charset { encoding: UTF_8, unknown: Some(label.to_owned()) },
        }
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
            Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
        }
    }
}

/// A body as bytes whose ASCII is ASCII, without a byte order mark, and the charset of the rest: UTF-16,
/// which a mark, the declaration or the form of JSON shows, becomes UTF-8 here.
pub fn narrowed(charset: Charset, body: &[u8]) -> (Charset, Cow<'_, [u8]>) {
    let marked = Encoding::for_bom(body);
    let wide = match marked {
        Some((encoding, length)) if encoding == UTF_8 => {
            return (Charset::default(), Cow::Borrowed(body.get(length..).unwrap_or_default()));
        }
        Some((encoding, length)) => Some((encoding, length)),
        // RFC 4627 §3: of the first two characters of JSON both are ASCII.
        None => match body {
            [b'{' | b'[', 0, ..] => Some((UTF_16LE, 0)),
            [0, b'{' | b'[', ..] => Some((UTF_16BE, 0)),
            _ if charset.is_wide() => Some((charset.encoding, 0)),
            _ => None,
        },
    };
    match wide {
        Some((encoding, length)) => {
            let text = encoding.decode_without_bom_handling(body.get(length..).unwrap_or_default()).0;
            (Charset::default(), Cow::Owned(text.into_owned().into_bytes()))
        }
        None => (charset, Cow::Borrowed(body)),
    }
}
