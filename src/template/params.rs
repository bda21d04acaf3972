//! A postback's parameters: query and body become names and values in the order they came.
//!
//! It repairs what senders are known to break (`amp;` before a name, a second `?`, bytes that are
//! not UTF-8) and says so in a note. What it cannot repair without guessing is a [`Fault`].

use std::borrow::Cow;

use percent_encoding::percent_decode;

use crate::domain::postback::Fault;
use crate::template::json_body;

/// One parameter, as the sender named it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Param {
    pub name: String,
    /// Decoded once.
    pub value: String,
    /// The value before decoding; for a JSON body its text.
    pub raw: Vec<u8>,
}

/// Every parameter of one request. Names are unique.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Params {
    pub pairs: Vec<Param>,
    /// What was repaired, one sentence each.
    pub notes: Vec<String>,
    /// The query ends right behind a `name=`: so it looks when a sender takes `#…` for a URL's
    /// fragment and keeps it to itself. Whether it was cut, a template knows by its parameters' order.
    pub cut_at_fragment: bool,
}

/// More parameters than this in one request are not read.
pub const MAX_PARAMS: usize = 256;

/// The parameter whose value is a secret and is never repeated.
const SECRET: &str = "api_key";

impl Params {
    pub fn get(&self, name: &str) -> Option<&Param> {
        self.pairs.iter().find(|param| param.name == name)
    }
}

/// Reads the raw `query` (the bytes behind the target's first `?`), then the `body`: JSON or form by
/// its content type; where that says neither, JSON if it begins with `{` or `[`, else form.
///
/// # Errors
/// More than 256 parameters; one name with two different values; JSON that is broken, nested too
/// deep, or no object; a multipart body.
pub fn read(query: &[u8], content_type: Option<&str>, body: &[u8]) -> Result<Params, Fault> {
    let mut reader = Reader::default();
    reader.query(query)?;
    let body = body.trim_ascii();
    if !body.is_empty() {
        match body_kind(content_type, body) {
            BodyKind::Json => json_body::read(body, &mut reader)?,
            BodyKind::Form => reader.form(body)?,
            BodyKind::JsonCalledForm => match json_body::check(body) {
                true => {
                    reader
                        .params
                        .notes
                        .push("the body says it is a form but is JSON; it was read as JSON".to_owned());
                    json_body::read(body, &mut reader)?;
                }
                false => reader.form(body)?,
            },
            BodyKind::Multipart => {
                return Err(Fault::new(
                    "the body is `multipart/form-data`, which is not read",
                    "send the parameters in the query, as a form (`application/x-www-form-urlencoded`) or as JSON",
                ));
            }
        }
    }
    Ok(reader.finish())
}

enum BodyKind {
    Json,
    Form,
    /// Declared a form, begins like an object: what `curl -d '{…}'` sends.
    JsonCalledForm,
    Multipart,
}

fn body_kind(content_type: Option<&str>, body: &[u8]) -> BodyKind {
    let media = content_type.unwrap_or("").split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    let begins_like_json = matches!(body.first(), Some(b'{' | b'['));
    match media.as_str() {
        "application/json" | "text/json" => BodyKind::Json,
        "multipart/form-data" => BodyKind::Multipart,
        "application/x-www-form-urlencoded" if body.first() == Some(&b'{') => BodyKind::JsonCalledForm,
        "application/x-www-form-urlencoded" => BodyKind::Form,
        other if other.ends_with("+json") || begins_like_json => BodyKind::Json,
        _ => BodyKind::Form,
    }
}

/// Gathers parameters, and what had to be repaired to read them.
#[derive(Default)]
pub(crate) struct Reader {
    params: Params,
    /// Pairs read, repeats included.
    read: usize,
    /// Names that came with `amp;` before them.
    entities: Vec<String>,
    /// Names whose values were not UTF-8.
    not_utf8: Vec<String>,
    nameless: usize,
    later_question: bool,
}

impl Reader {
    fn query(&mut self, query: &[u8]) -> Result<(), Fault> {
        for segment in query.split(|byte| *byte == b'&') {
            let mut rest = segment;
            while let Some((before, after)) = split_at_later_question(rest) {
                self.later_question = true;
                self.pair(before)?;
                rest = after;
            }
            self.pair(rest)?;
        }
        let last = query.rsplit(|byte| *byte == b'&').next().unwrap_or(b"");
        self.params.cut_at_fragment =
            last.len() > 1 && last.iter().position(|b| *b == b'=') == Some(last.len() - 1);
        Ok(())
    }

    fn form(&mut self, body: &[u8]) -> Result<(), Fault> {
        body.split(|byte| *byte == b'&').try_for_each(|segment| self.pair(segment))
    }

    fn pair(&mut self, segment: &[u8]) -> Result<(), Fault> {
        if segment.is_empty() {
            return Ok(());
        }
        let (name, raw) = match segment.iter().position(|byte| *byte == b'=') {
            Some(at) => (segment.get(..at).unwrap_or(b""), segment.get(at + 1..).unwrap_or(b"")),
            None => (segment, &b""[..]),
        };
        let (mut name, _) = decode(name);
        while let Some(bare) = name.strip_prefix("amp;") {
            name = bare.to_owned();
            self.entities.push(name.clone());
        }
        let (value, lossy) = decode(raw);
        if lossy {
            self.not_utf8.push(name.clone());
        }
        self.add(name, value, raw.to_vec())
    }

    /// Adds one parameter; a repeat of what is known collapses.
    pub(crate) fn add(&mut self, name: String, value: String, raw: Vec<u8>) -> Result<(), Fault> {
        self.read += 1;
        if self.read > MAX_PARAMS {
            return Err(Fault::new(
                format!("more than {MAX_PARAMS} parameters came"),
                "send only the parameters that the source's postback URL names",
            ));
        }
        if name.is_empty() {
            self.nameless += 1;
            return Ok(());
        }
        match self.params.pairs.iter().find(|known| known.name == name) {
            Some(known) if known.value == value => Ok(()),
            Some(known) => Err(differing(&name, &known.value, &value)),
            None => {
                self.params.pairs.push(Param { name, value, raw });
                Ok(())
            }
        }
    }

    /// Remembers that the body was not UTF-8.
    pub(crate) fn note(&mut self, note: &str) {
        self.params.notes.push(note.to_owned());
    }

    fn finish(mut self) -> Params {
        let notes = &mut self.params.notes;
        if !self.entities.is_empty() {
            notes.push(format!(
                "the URL was pasted with `&amp;` for `&`: `amp;` was taken off {}",
                quoted(&self.entities)
            ));
        }
        if self.later_question {
            notes.push("a second `?` in the query was read as `&`".to_owned());
        }
        if !self.not_utf8.is_empty() {
            notes.push(format!("not UTF-8, unreadable bytes replaced: {}", quoted(&self.not_utf8)));
        }
        if self.nameless > 0 {
            notes.push(format!("{} value(s) came without a name and were left out", self.nameless));
        }
        self.params
    }
}

/// The fault of one name with two values.
fn differing(name: &str, first: &str, second: &str) -> Fault {
    let (first, second) = (shown(name, first), shown(name, second));
    Fault::new(
        format!("`{name}` came twice with different values, `{first}` and `{second}`"),
        format!("leave only one `{name}` in the postback URL and the body"),
    )
}

/// Bytes of a query or form as text, and whether bytes had to be replaced to make it text.
fn decode(raw: &[u8]) -> (String, bool) {
    if !raw.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        return text(Cow::Borrowed(raw));
    }
    let spaced: Vec<u8> = raw.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    text(Cow::Owned(percent_decode(&spaced).collect()))
}

fn text(bytes: Cow<'_, [u8]>) -> (String, bool) {
    match String::from_utf8(bytes.into_owned()) {
        Ok(text) => (text, false),
        Err(error) => (String::from_utf8_lossy(error.as_bytes()).into_owned(), true),
    }
}

/// Splits `a=1?b=2` at the `?`, where a parameter follows it and no URL goes before it: a URL as a
/// value has a query of its own.
fn split_at_later_question(segment: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = segment.iter().position(|byte| *byte == b'?')?;
    let (before, after) = (segment.get(..at)?, segment.get(at + 1..)?);
    let name_length = after.iter().position(|byte| *byte == b'=')?;
    let name = after.get(..name_length)?;
    let is_name = !name.is_empty()
        && name.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b';'));
    let holds_url = before.windows(3).any(|three| three == b"://");
    (is_name && !holds_url).then_some((before, after))
}

/// What came, fit for a sentence: short, and never a secret.
pub fn shown(name: &str, value: &str) -> String {
    if name.eq_ignore_ascii_case(SECRET) {
        return "***".to_owned();
    }
    match value.char_indices().nth(100) {
        Some((at, _)) => format!("{}…", value.get(..at).unwrap_or("")),
        None => value.to_owned(),
    }
}

/// Names in backticks, separated by commas; at most ten of them.
pub(crate) fn quoted<S: AsRef<str>>(names: &[S]) -> String {
    let mut text = names
        .iter()
        .take(10)
        .map(|name| format!("`{}`", shown("", name.as_ref())))
        .collect::<Vec<_>>()
        .join(", ");
    if names.len() > 10 {
        text.push_str(&format!(" and {} more", names.len() - 10));
    }
    text
}
