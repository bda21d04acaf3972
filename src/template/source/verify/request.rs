//! A request as a signature sees it: its bytes as they were sent, before anything is masked.

use std::borrow::Cow;

use crate::domain::postback::KeptHeaders;
use crate::domain::rejection::Rejection;
use crate::domain::rejection::signature::SignaturePlace;
use crate::domain::text::trim;
use crate::template::source::params::{ListReader, ParamFilter, Params};
use crate::template::source::request;

/// Where a request's headers are.
pub trait HeaderValues: Sync {
    /// The first value of a header by its name in lower case.
    fn first(&self, name: &str) -> Option<&[u8]>;

    /// Whether a value of any header is such a one.
    fn has_value(&self, is_one: &dyn Fn(&[u8]) -> bool) -> bool;
}

impl HeaderValues for KeptHeaders {
    fn first(&self, name: &str) -> Option<&[u8]> {
        self.get(name)
    }

    fn has_value(&self, is_one: &dyn Fn(&[u8]) -> bool) -> bool {
        self.iter().any(|(_, value)| is_one(value))
    }
}

/// What a signature may be over, and where it is.
#[derive(Clone, Copy)]
pub struct SignedRequest<'a> {
    /// The request line without its end.
    pub line: &'a [u8],
    /// The headers, in any form.
    pub headers: &'a dyn HeaderValues,
    /// The body. Senders sign what they send before it is compressed on its way: it is the inflated one.
    pub body: &'a [u8],
}

/// Every parameter, whatever its name, as far as there are not too many.
struct EveryParam {
    most: usize,
}

impl ParamFilter for EveryParam {
    fn reads(&self, _: &str) -> bool {
        true
    }

    fn reads_within(&self, _: &str) -> bool {
        true
    }

    fn max_leaves(&self) -> usize {
        self.most
    }

    fn reads_all(&self) -> bool {
        true
    }
}

impl<'a> SignedRequest<'a> {
    /// The request's target: what is between the line's first space and its last.
    pub fn target(&self) -> &'a [u8] {
        let start = self.line.iter().position(|b| *b == b' ').map_or(0, |at| at + 1);
        let end = self.line.iter().rposition(|b| *b == b' ').filter(|end| *end >= start);
        self.line.get(start..end.unwrap_or(self.line.len())).unwrap_or_default()
    }

    /// The target without scheme and host, which some senders write there.
    pub fn path_and_query(&self) -> &'a [u8] {
        let target = self.target();
        let Some(scheme) = memchr::memmem::find(target, b"://").filter(|_| !target.starts_with(b"/")) else {
            return target;
        };
        let authority = target.get(scheme + 3..).unwrap_or_default();
        let end = authority.iter().position(|b| matches!(b, b'/' | b'?')).unwrap_or(authority.len());
        authority.get(end..).unwrap_or_default()
    }

    /// What is behind the target's first `?`.
    pub fn query(&self) -> &'a [u8] {
        let target = self.target();
        let at = target.iter().position(|b| *b == b'?');
        at.and_then(|at| target.get(at + 1..)).unwrap_or_default()
    }

    /// A header's value; of one that is empty or holds other bytes than text none.
    pub fn header(&self, name: &str) -> Option<&'a str> {
        let value = std::str::from_utf8(self.headers.first(name)?).ok()?.trim();
        (!value.is_empty()).then_some(value)
    }

    fn content_type(&self) -> Option<Cow<'a, str>> {
        self.headers.first("content-type").map(String::from_utf8_lossy)
    }

    /// What is at a place, trimmed; of one that is empty none.
    ///
    /// # Errors
    /// It is a parameter's, and the body cannot be read.
    pub fn text_at(&self, place: &SignaturePlace) -> Result<Option<String>, Rejection> {
        match place {
            SignaturePlace::Header(name) => Ok(self.header(name).map(str::to_owned)),
            SignaturePlace::Parameter(name) => self.parameter(name),
        }
    }

    /// The value of a parameter of query or body by its exact name, trimmed; of one that is empty none.
    ///
    /// # Errors
    /// The body cannot be read.
    pub fn parameter(&self, name: &str) -> Result<Option<String>, Rejection> {
        let read =
            request::read_for(&ListReader(&[name]), self.query(), self.content_type().as_deref(), self.body)?;
        let value = read.get(name).map(|param| trim(&param.value).to_owned());
        Ok(value.filter(|value| !value.is_empty()))
    }

    /// Whether the body holds any parameter: then signed fields are those of the body, and else those of the query,
    /// never some of each. One that cannot be read may hold some.
    pub fn has_body_params(&self) -> bool {
        // The first one ends it: more than that are too many.
        let read = || self.in_body(&EveryParam { most: 1 });
        !self.body.is_empty() && read().map_or(true, |read| !read.pairs.is_empty())
    }

    /// The parameters of these names where signed fields are.
    ///
    /// # Errors
    /// The body cannot be read.
    pub(crate) fn named(&self, names: &[&str]) -> Result<Params, Rejection> {
        self.fields(&ListReader(names))
    }

    /// Every parameter where signed fields are.
    ///
    /// # Errors
    /// The body cannot be read; there are more than `most`.
    pub(crate) fn every(&self, most: usize) -> Result<Params, Rejection> {
        self.fields(&EveryParam { most })
    }

    fn fields(&self, filter: &dyn ParamFilter) -> Result<Params, Rejection> {
        if self.has_body_params() {
            return self.in_body(filter);
        }
        request::read_for(filter, self.query(), None, b"")
    }

    fn in_body(&self, filter: &dyn ParamFilter) -> Result<Params, Rejection> {
        request::read_for(filter, b"", self.content_type().as_deref(), self.body)
    }
}
