//! Which of a template's parameters were received, and which of them cannot be used.

use encoding_rs::Encoding;

use crate::domain::postback::{CONTENT_TYPE, KeptHeaders};
use crate::domain::rejection::Rejection;
use crate::domain::rejection::note::ReportNote;
use crate::domain::rejection::param::ParamFault;
use crate::domain::text::trim;
use crate::template::source::definition::SourceTemplate;
use crate::template::source::fault::UnusableParam;
use crate::template::source::items::ItemRules;
use crate::template::source::params::{Param, ParamFilter, Params, listed, problem, too_many, twice};
use crate::template::source::request;
use crate::template::source::verify::secret_param;

impl ParamFilter for SourceTemplate {
    fn reads(&self, name: &str) -> bool {
        let is_of_item =
            || self.items.as_ref().is_some_and(|rules| rules.place(&self.names.key(name)).is_some());
        self.names.find(name).is_some() || self.names.is_of_pair(name) || is_of_item()
    }

    fn reads_within(&self, name: &str) -> bool {
        let has_items = || self.items.as_ref().is_some_and(|rules| rules.has_within(&self.names.key(name)));
        self.names.has_within(name) || has_items()
    }

    fn fallback(&self) -> Option<&'static Encoding> {
        self.fallback
    }

    fn max_leaves(&self) -> usize {
        let of_items = self.items.as_ref().map_or(0, ItemRules::most_leaves);
        self.body.max_leaves + of_items + self.names.most_leaves()
    }
}

impl SourceTemplate {
    /// The parameters of a request, as [`request::read_for`] reads them for this template, and what it reads from
    /// headers, which are in lower case.
    ///
    /// # Errors
    /// Those of [`request::read_for`].
    pub fn read(&self, query: &[u8], headers: &KeptHeaders, body: &[u8]) -> Result<Params, Rejection> {
        let content_type = headers.get(CONTENT_TYPE).map(String::from_utf8_lossy);
        self.read_as(query, headers, (content_type.as_deref(), body))
    }

    /// The same of a body that is JSON, whatever the headers say.
    ///
    /// # Errors
    /// As [`SourceTemplate::read`].
    pub fn read_json(&self, query: &[u8], headers: &KeptHeaders, json: &[u8]) -> Result<Params, Rejection> {
        self.read_as(query, headers, (Some("application/json"), json))
    }

    /// Adds what the query says under the names of `[constant]`, where the request says nothing under them; notes what
    /// else of it would be read.
    ///
    /// # Errors
    /// As [`SourceTemplate::read`].
    pub(crate) fn add_constants(&self, params: &mut Params, query: &[u8]) -> Result<(), Rejection> {
        let in_query = request::read_for(self, query, None, b"")?;
        let in_query = self.repaired(&in_query);
        let is_constant = |param: &&Param| {
            let index = self.names.find(&param.name);
            self.constants.iter().any(|(_, constant)| Some(*constant) == index)
        };
        let (constants, others): (Vec<&Param>, Vec<&Param>) = in_query.pairs.iter().partition(is_constant);
        // The body's own counts.
        let has = |params: &Params, name: &str| {
            let index = self.names.find(name);
            params.pairs.iter().any(|known| self.names.find(&known.name) == index)
        };
        for constant in constants {
            if !has(params, &constant.name) {
                params.repeated.extend(in_query.other(&constant.name).cloned());
                params.pairs.push(constant.clone());
            }
        }
        let unread = others.into_iter().filter(|param| ParamFilter::reads(self, &param.name));
        let unread: Vec<&str> = unread.map(|param| param.name.as_str()).collect();
        if !unread.is_empty() {
            params.notes.push(ReportNote::QueryNotSigned(listed(&unread)));
        }
        Ok(())
    }

    fn read_as(
        &self,
        query: &[u8],
        headers: &KeptHeaders,
        (content_type, body): (Option<&str>, &[u8]),
    ) -> Result<Params, Rejection> {
        let params = request::read_for(self, query, content_type, body)?;
        let mut params = secret_param::masked(params, self.verification());
        params.derived = self.names.derived(headers, &params);
        Ok(params)
    }
}

/// Which of the template's parameters were received, and where each pair belongs.
pub(crate) struct ReceivedParams<'a> {
    by_index: Vec<Option<&'a Param>>,
    pub(crate) pairs: Vec<(usize, &'a Param)>,
    /// Parameters that was received with a second value.
    twice: Vec<(usize, &'a Param)>,
    /// What is not read: names in another case than the template's, which reads them exactly, and names
    /// with two values.
    pub(crate) left_out: Vec<ReportNote>,
}

impl<'a> ReceivedParams<'a> {
    /// # Errors
    /// More of them were received than the template reads.
    pub(crate) fn index(
        template: &SourceTemplate,
        params: &'a Params,
    ) -> Result<ReceivedParams<'a>, Rejection> {
        let mut received = ReceivedParams {
            by_index: vec![None; template.names.len()],
            pairs: Vec::with_capacity(params.pairs.len()),
            twice: Vec::new(),
            left_out: Vec::new(),
        };
        let mut read = 0;
        for param in &params.pairs {
            let Some(index) = template.names.find(&param.name) else {
                let other_case = |known: &str| {
                    ReportNote::left_out(problem(param, ParamFault::OtherCase { known: known.to_owned() }))
                };
                received.left_out.extend(template.names.other_case(&param.name).map(other_case));
                continue;
            };
            read += 1;
            received.put(index, param);
        }
        for param in &params.derived {
            received.put(template.names.known(&param.name).unwrap_or(usize::MAX), param);
        }
        if read > template.body.max_leaves {
            return Err(too_many(template.body.max_leaves).into());
        }
        for other in &params.repeated {
            match template.names.find(&other.name) {
                Some(index) => received.twice.push((index, other)),
                None => {
                    let one = params.get(&other.name);
                    received.left_out.extend(one.map(|one| ReportNote::left_out(twice(one, other))));
                }
            }
        }
        Ok(received)
    }

    /// Takes in one parameter; another value of the same makes both unusable.
    fn put(&mut self, index: usize, param: &'a Param) {
        let Some(slot) = self.by_index.get_mut(index) else { return };
        match slot {
            // What was received empty says nothing against a value.
            Some(_) if trim(&param.value).is_empty() => {}
            Some(known) if trim(&known.value).is_empty() => {
                let empty = std::mem::replace(known, param);
                self.pairs.retain(|(of, known)| *of != index || !std::ptr::eq(*known, empty));
                self.pairs.push((index, param));
            }
            Some(known) if trim(&known.value) != trim(&param.value) => self.twice.push((index, param)),
            Some(_) => {}
            None => {
                *slot = Some(param);
                self.pairs.push((index, param));
            }
        }
    }

    pub(crate) fn get(&self, index: usize) -> Option<&'a Param> {
        self.by_index.get(index).copied().flatten()
    }

    /// Why a parameter cannot be used, whatever it is for.
    pub(crate) fn wrong(&self, index: usize, param: &Param) -> Option<UnusableParam<'a>> {
        if param.is_damaged() {
            return Some(UnusableParam::Unreadable);
        }
        let other = self.twice.iter().find(|(known, _)| *known == index);
        other.map(|(_, other)| UnusableParam::Twice(other))
    }
}
