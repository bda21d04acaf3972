//! A postback's parameters: query and body become names and values in the order they came.
//!
//! It repairs what senders are known to break (`amp;` before a name, a second `?`) and says so in a note.
//! What it cannot repair without guessing it leaves to who reads the parameter: a name with two values,
//! bytes that are no text. Only what is read can stop a request.

use std::borrow::Cow;

use percent_encoding::percent_decode;

use crate::domain::postback::Fault;
use crate::domain::text::{trim, visible};
use crate::template::character_reference::without_ampersands;
use crate::template::charset::{Charset, DAMAGE};
use crate::template::request_body;

/// One parameter, as the sender named it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Param {
    pub name: String,
    /// Decoded once.
    pub value: String,
    /// The value before decoding; for a JSON body its text.
    pub raw: Vec<u8>,
}

impl Param {
    /// Whether its bytes could not be read as text, or were damaged before they were sent.
    pub fn is_damaged(&self) -> bool {
        // Most values are ASCII, and that is seen faster.
        !self.value.is_ascii() && self.value.contains(DAMAGE)
    }
}

/// Every parameter of one request that is read, and the others as far as there are not too many.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Params {
    /// Names are unique.
    pub pairs: Vec<Param>,
    /// The first value that differs from the one in `pairs`, for names that were received repeatedly.
    pub repeated: Vec<Param>,
    /// What was repaired, one sentence each.
    pub notes: Vec<String>,
    /// The query ends right behind a `name=`: so it looks when a sender takes `#…` for a URL's
    /// fragment and keeps it to itself. Whether it was cut, a template knows by its parameters' order.
    pub cut_at_fragment: bool,
    /// How many of the pairs are the query's; the body's follow them.
    pub in_query: usize,
}

/// Who reads parameters, and so which of them may cost anything.
pub trait Reads {
    /// Whether a parameter of this name is read.
    fn reads(&self, name: &str) -> bool;

    /// Whether a parameter is read whose name begins with this one and a dot.
    fn reads_within(&self, name: &str) -> bool;

    /// The most parameters that are read.
    fn max_leaves(&self) -> usize {
        MAX_PARAMS
    }

    /// Whether every parameter is read, whatever its name.
    fn reads_all(&self) -> bool {
        false
    }
}

/// Reads whatever is there.
struct Everything;

impl Reads for Everything {
    fn reads(&self, _: &str) -> bool {
        true
    }

    fn reads_within(&self, _: &str) -> bool {
        true
    }

    fn reads_all(&self) -> bool {
        true
    }
}

/// Reads the parameters of a list.
pub struct Listed<'a>(pub &'a [&'a str]);

impl Reads for Listed<'_> {
    fn reads(&self, name: &str) -> bool {
        self.0.contains(&name)
    }

    fn reads_within(&self, name: &str) -> bool {
        self.0.iter().any(|known| known.strip_prefix(name).is_some_and(|rest| rest.starts_with('.')))
    }
}

/// So many parameters are kept whether they are read or not, to be shown; of more only those that are
/// read. It is also the usual limit of those.
pub const MAX_PARAMS: usize = 256;
/// So many names with two values are kept whether they are read or not.
const MAX_REPEATED: usize = 64;

/// The parameter whose value is a secret and is never repeated.
const SECRET: &str = "api_key";

impl Params {
    pub fn get(&self, name: &str) -> Option<&Param> {
        self.pairs.iter().find(|param| param.name == name)
    }

    /// The second value of a name that was received with two.
    pub fn other(&self, name: &str) -> Option<&Param> {
        self.repeated.iter().find(|param| param.name == name)
    }
}

/// Reads the raw `query` (the bytes behind the target's first `?`), then the `body`: JSON, a form or a
/// multipart form.
///
/// # Errors
/// More than 256 parameters; JSON that is broken, nested too deep, or no object; a multipart body that
/// cannot be read.
pub fn read(query: &[u8], content_type: Option<&str>, body: &[u8]) -> Result<Params, Fault> {
    read_for(&Everything, query, content_type, body)
}

/// The same for someone who reads only some of the parameters: the others neither count nor stop anything.
///
/// # Errors
/// As [`read`]; the number of parameters is that of those which are read.
pub fn read_for(
    reads: &dyn Reads,
    query: &[u8],
    content_type: Option<&str>,
    body: &[u8],
) -> Result<Params, Fault> {
    let mut reader = Reader::new(reads);
    reader.query(query)?;
    if !body.is_empty() {
        request_body::read(content_type, body, &mut reader)?;
    }
    Ok(reader.finish())
}

/// Gathers parameters, and what had to be repaired to read them.
pub(crate) struct Reader<'a> {
    reads: &'a dyn Reads,
    params: Params,
    /// The charset of the form that is being read; a query is UTF-8.
    pub(crate) charset: Charset,
    /// Names that came with `amp;` before them.
    entities: Vec<String>,
    /// Names whose values could not be read as text.
    damaged: Vec<String>,
    nameless: usize,
    later_question: bool,
}

impl<'a> Reader<'a> {
    fn new(reads: &'a dyn Reads) -> Reader<'a> {
        Reader {
            reads,
            params: Params::default(),
            charset: Charset::default(),
            entities: Vec::new(),
            damaged: Vec::new(),
            nameless: 0,
            later_question: false,
        }
    }

    fn query(&mut self, query: &[u8]) -> Result<(), Fault> {
        for (segment, is_behind_question) in segments(query) {
            self.later_question |= is_behind_question;
            self.pair(segment)?;
        }
        let last = query.rsplit(|byte| *byte == b'&').next().unwrap_or(b"");
        self.params.cut_at_fragment =
            last.len() > 1 && last.iter().position(|b| *b == b'=') == Some(last.len() - 1);
        self.params.in_query = self.params.pairs.len();
        Ok(())
    }

    pub(crate) fn form(&mut self, body: &[u8]) -> Result<(), Fault> {
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
        // A byte order mark at the front of a form, or white space pasted with a URL, is of no name.
        let mut name = decode(name, &self.charset);
        if trim(&name).len() < name.len() {
            name = trim(&name).to_owned();
        }
        if let Some(bare) = without_ampersands(&name) {
            name = bare.to_owned();
            self.entities.push(name.clone());
        }
        if self.is_passed_over(&name) {
            return Ok(());
        }
        let value = decode(raw, &self.charset);
        self.add(name, value, raw.to_vec())
    }

    /// Whether so much was kept already that only what is read is of interest.
    pub(crate) fn is_full(&self) -> bool {
        self.params.pairs.len() >= MAX_PARAMS
    }

    /// Whether a parameter need not be looked at: there are many, and no one reads it.
    pub(crate) fn is_passed_over(&self, name: &str) -> bool {
        self.is_full() && !self.reads.reads(name)
    }

    pub(crate) fn reads_within(&self, name: &str) -> bool {
        self.reads.reads_within(name)
    }

    pub(crate) fn reads_all(&self) -> bool {
        self.reads.reads_all()
    }

    /// The most parameters that are kept.
    fn most(&self) -> usize {
        // A name may be written in several ways, and each of them is one here.
        if self.reads.reads_all() { MAX_PARAMS } else { MAX_PARAMS + self.reads.max_leaves() }
    }

    /// Adds one parameter; a repeat of what is known collapses.
    pub(crate) fn add(&mut self, name: String, value: String, raw: Vec<u8>) -> Result<(), Fault> {
        if name.is_empty() {
            self.nameless += 1;
            return Ok(());
        }
        let param = Param { name, value, raw };
        match self.params.pairs.iter_mut().find(|known| known.name == param.name) {
            Some(known) if trim(&known.value) == trim(&param.value) || trim(&param.value).is_empty() => {
                Ok(())
            }
            // What came empty says nothing against a value.
            Some(known) if trim(&known.value).is_empty() => {
                *known = param;
                Ok(())
            }
            Some(_) => {
                self.repeat(param);
                Ok(())
            }
            None => self.push(param),
        }
    }

    fn push(&mut self, param: Param) -> Result<(), Fault> {
        if self.is_passed_over(&param.name) {
            return Ok(());
        }
        if self.params.pairs.len() >= self.most() {
            return Err(too_many(self.reads.max_leaves()));
        }
        if param.is_damaged() {
            self.damaged.push(param.name.clone());
        }
        self.params.pairs.push(param);
        Ok(())
    }

    fn repeat(&mut self, param: Param) {
        let repeated = &mut self.params.repeated;
        let is_kept = repeated.len() < MAX_REPEATED || self.reads.reads(&param.name);
        if is_kept && repeated.iter().all(|known| known.name != param.name) {
            repeated.push(param);
        }
    }

    /// Remembers what was repaired or left out.
    pub(crate) fn note(&mut self, note: impl Into<String>) {
        self.params.notes.push(note.into());
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
        if !self.damaged.is_empty() {
            notes.push(format!("bytes that are no text, so left out: {}", quoted(&self.damaged)));
        }
        if self.nameless > 0 {
            notes.push(format!("{} value(s) came without a name and were left out", self.nameless));
        }
        self.params
    }
}

pub(crate) fn too_many(most: usize) -> Fault {
    Fault::new(
        format!("more than {most} parameters that are read came"),
        "send only the parameters that the source's postback URL names",
    )
}

/// Bytes of a query or form as text.
fn decode(raw: &[u8], charset: &Charset) -> String {
    if !raw.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        return charset.text(Cow::Borrowed(raw));
    }
    let spaced: Vec<u8> = raw.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    charset.text(Cow::Owned(percent_decode(&spaced).collect()))
}

/// The `name=value`s of a raw query, in order, each with whether it is behind a second `?`: that divides like
/// `&`, as where one query was appended to another.
pub fn segments(query: &[u8]) -> impl Iterator<Item = (&[u8], bool)> {
    query.split(|byte| *byte == b'&').flat_map(|segment| {
        let mut rest = Some((segment, false));
        std::iter::from_fn(move || {
            let (segment, is_behind_question) = rest.take()?;
            let Some((before, after)) = split_at_later_question(segment) else {
                return Some((segment, is_behind_question));
            };
            rest = Some((after, true));
            Some((before, is_behind_question))
        })
    })
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

/// What came, fit for a sentence: short, what is invisible in it written out, and never a secret.
pub fn shown(name: &str, value: &str) -> String {
    if name.eq_ignore_ascii_case(SECRET) {
        return "***".to_owned();
    }
    match value.char_indices().nth(100) {
        Some((at, _)) => format!("{}…", visible(value.get(..at).unwrap_or(""))),
        None => visible(value).into_owned(),
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
