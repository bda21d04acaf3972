//! Gathers the parameters of a query and a body: repairs what senders are known to break, and says so.

use std::borrow::Cow;

use percent_encoding::percent_decode;

use crate::domain::rejection::Rejection;
use crate::domain::rejection::note::ReportNote;
use crate::domain::text::trim;
use crate::template::source::character_reference::without_ampersands;
use crate::template::source::charset::Charset;
use crate::template::source::params::{MAX_PARAMS, Param, ParamFilter, Params, listed, segments, too_many};

/// So many names with two values are kept whether they are read or not.
const MAX_REPEATED: usize = 64;

/// Gathers parameters, and what had to be repaired to read them.
pub(crate) struct ParamsReader<'a> {
    reads: &'a dyn ParamFilter,
    params: Params,
    /// The charset of the form that is being read; a query is UTF-8, or what is read in its place.
    pub(crate) charset: Charset,
    /// Names that was received with `amp;` before them.
    entities: Vec<String>,
    /// Names whose values could not be read as text.
    damaged: Vec<String>,
    nameless: u64,
    later_question: bool,
}

impl<'a> ParamsReader<'a> {
    pub(crate) fn new(reads: &'a dyn ParamFilter) -> ParamsReader<'a> {
        ParamsReader {
            reads,
            params: Params::default(),
            charset: Charset::default().or(reads.fallback()),
            entities: Vec::new(),
            damaged: Vec::new(),
            nameless: 0,
            later_question: false,
        }
    }

    pub(crate) fn query(&mut self, query: &[u8]) -> Result<(), Rejection> {
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

    pub(crate) fn form(&mut self, body: &[u8]) -> Result<(), Rejection> {
        body.split(|byte| *byte == b'&').try_for_each(|segment| self.pair(segment))
    }

    fn pair(&mut self, segment: &[u8]) -> Result<(), Rejection> {
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

    /// A charset, with what is read where it is UTF-8 and the text is not.
    pub(crate) fn with_fallback(&self, charset: Charset) -> Charset {
        charset.or(self.reads.fallback())
    }

    pub(crate) fn reads_all(&self) -> bool {
        self.reads.reads_all()
    }

    /// The most parameters that are kept.
    fn most(&self) -> usize {
        // A name may be written in several ways, and each of them is one here.
        if self.reads.reads_all() { self.reads.max_leaves() } else { MAX_PARAMS + self.reads.max_leaves() }
    }

    /// Adds one parameter; a repeat of what is known collapses.
    pub(crate) fn add(&mut self, name: String, value: String, raw: Vec<u8>) -> Result<(), Rejection> {
        if name.is_empty() {
            self.nameless += 1;
            return Ok(());
        }
        let param = Param { name, value, raw };
        match self.params.pairs.iter_mut().find(|known| known.name == param.name) {
            Some(known) if trim(&known.value) == trim(&param.value) || trim(&param.value).is_empty() => {
                Ok(())
            }
            // What was received empty says nothing against a value.
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

    fn push(&mut self, param: Param) -> Result<(), Rejection> {
        if self.is_passed_over(&param.name) {
            return Ok(());
        }
        if self.params.pairs.len() >= self.most() {
            return Err(too_many(self.reads.max_leaves()).into());
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
    pub(crate) fn note(&mut self, note: ReportNote) {
        self.params.notes.push(note);
    }

    pub(crate) fn finish(mut self) -> Params {
        let notes = &mut self.params.notes;
        if !self.entities.is_empty() {
            notes.push(ReportNote::AmpersandEntities(listed(&self.entities)));
        }
        if self.later_question {
            notes.push(ReportNote::SecondQuestionMark);
        }
        if !self.damaged.is_empty() {
            notes.push(ReportNote::UnreadableLeftOut(listed(&self.damaged)));
        }
        if self.nameless > 0 {
            notes.push(ReportNote::NamelessLeftOut { count: self.nameless });
        }
        self.params
    }
}

/// Bytes of a query or form as text.
fn decode(raw: &[u8], charset: &Charset) -> String {
    if !raw.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        return charset.text(Cow::Borrowed(raw));
    }
    let spaced: Vec<u8> = raw.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    charset.text(Cow::Owned(percent_decode(&spaced).collect()))
}
