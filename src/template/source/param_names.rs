//! The names under which a template reads values: parameters, headers, and name/value pairs of a list.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::domain::postback::KeptHeaders;
use crate::template::diagnostic::Problem;
use crate::template::source::params::{Param, Params, check_param};

/// What a header's name is behind in a template: `header:x-shop-topic`. No parameter of a request can have such a name
/// here, whatever it sends.
const HEADER: &str = "header:";

/// Of a list of pairs so many are looked at.
const MOST_PAIRS: usize = 100;

/// The values a template knows by name, and how their names are compared.
#[derive(Debug, Clone, Default)]
pub(crate) struct ParamNames {
    loose: bool,
    /// Every name as the template writes it.
    list: Vec<String>,
    /// Of the parameters of a request, as they are compared.
    index: HashMap<String, usize>,
    /// In lower case, without what is before it in a template.
    headers: Vec<(String, usize)>,
    pairs: Vec<PairName>,
}

/// `note_attributes[click_id]`: of the list `note_attributes`, the `value` of the item whose `name` or `key` is
/// `click_id`. Both as the template compares names.
#[derive(Debug, Clone)]
struct PairName {
    list: String,
    name: String,
    index: usize,
}

impl ParamNames {
    /// None yet. `loose`: neither case nor `_` and `-` count in the names of parameters.
    pub(crate) fn new(loose: bool) -> ParamNames {
        ParamNames { loose, ..ParamNames::default() }
    }

    /// The place of what a template reads: `tid`, `header:x-shop-topic`, `note_attributes[click_id]`.
    ///
    /// # Errors
    /// It cannot be the name of any of them.
    pub(crate) fn read(&mut self, written: &str) -> Result<usize, Problem> {
        if let Some(header) = written.strip_prefix(HEADER) {
            return self.header(written, header);
        }
        check_param(written)?;
        let index = self.intern(written);
        if let Some((list, name)) = pair(written) {
            let (list, name) = (self.key(list).into_owned(), self.key(name).into_owned());
            if !self.pairs.iter().any(|known| known.index == index) {
                self.pairs.push(PairName { list, name, index });
            }
        }
        Ok(index)
    }

    fn header(&mut self, written: &str, header: &str) -> Result<usize, Problem> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        if header.is_empty() || !header.bytes().all(allowed) {
            let what = format!("`{written}` names no header");
            return Err(Problem::new(what, "write header:x-shop-topic, the header's name behind the colon"));
        }
        let name = header.to_ascii_lowercase();
        if matches!(name.as_str(), "authorization" | "cookie" | "proxy-authorization") {
            let what = format!("`{written}` has credentials, which no field reads");
            return Err(Problem::new(what, "read the value from another header or parameter"));
        }
        if let Some((_, index)) = self.headers.iter().find(|(known, _)| *known == name) {
            return Ok(*index);
        }
        let index = self.list.len();
        self.list.push(format!("{HEADER}{name}"));
        self.headers.push((name, index));
        Ok(index)
    }

    /// The place of a parameter, made known if it was not.
    pub(crate) fn intern(&mut self, name: &str) -> usize {
        let key = if self.loose { fold(name) } else { name.to_owned() };
        let next = self.list.len();
        let index = *self.index.entry(key).or_insert(next);
        if index == next {
            self.list.push(name.to_owned());
        }
        index
    }

    /// A name as it is compared.
    pub(crate) fn key<'n>(&self, name: &'n str) -> Cow<'n, str> {
        if self.loose { Cow::Owned(fold(name)) } else { Cow::Borrowed(name) }
    }

    /// The place of a parameter of a request, by the name that was received; never that of a header.
    pub(crate) fn find(&self, name: &str) -> Option<usize> {
        if self.loose { self.index.get(fold(name).as_str()).copied() } else { self.index.get(name).copied() }
    }

    /// The place of a value by the name that a template, a rejection or a note has for it.
    pub(crate) fn known(&self, name: &str) -> Option<usize> {
        let header = name.strip_prefix(HEADER);
        let of_header = header.and_then(|name| self.headers.iter().find(|(known, _)| known == name));
        of_header.map(|(_, index)| *index).or_else(|| self.find(name))
    }

    pub(crate) fn name(&self, index: usize) -> &str {
        self.list.get(index).map_or("", String::as_str)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    /// Every name as the template writes it.
    pub(crate) fn list(&self) -> &[String] {
        &self.list
    }

    /// The parameter whose name is this in another letter case.
    pub(crate) fn other_case(&self, name: &str) -> Option<&str> {
        let mut names = self.list.iter().map(String::as_str);
        names.find(|known| known.eq_ignore_ascii_case(name) && !known.starts_with(HEADER))
    }

    /// The headers' own names, in lower case.
    pub(crate) fn headers(&self) -> Vec<String> {
        self.headers.iter().map(|(name, _)| name.clone()).collect()
    }

    /// Whether one of the names is inside of `name`, as `customer.email` is inside of `customer`.
    pub(crate) fn has_within(&self, name: &str) -> bool {
        let key = self.key(name);
        let is_within = |known: &String| is_before(&key, known);
        self.index.keys().any(is_within) || self.pairs.iter().any(|pair| pair.has_within(&key))
    }

    /// Whether a parameter is the name or the value of a pair.
    pub(crate) fn is_of_pair(&self, name: &str) -> bool {
        !self.pairs.is_empty() && {
            let key = self.key(name);
            self.pairs.iter().any(|pair| pair.member(&key).is_some())
        }
    }

    /// The most parameters that belong to pairs.
    pub(crate) fn most_leaves(&self) -> usize {
        self.pairs.len() * MOST_PAIRS * 3
    }

    /// What a request says in headers and pairs, under the names that the template has for it.
    pub(crate) fn derived(&self, headers: &KeptHeaders, params: &Params) -> Vec<Param> {
        let mut found = Vec::new();
        for (name, index) in &self.headers {
            let values = headers.iter().filter(|(known, _)| known == name).map(|(_, value)| value);
            found.extend(values.map(|value| Param {
                name: self.name(*index).to_owned(),
                value: String::from_utf8_lossy(value).into_owned(),
                raw: value.to_vec(),
            }));
        }
        if !self.pairs.is_empty() {
            self.pairs_of(params, &mut found);
        }
        found
    }

    fn pairs_of(&self, params: &Params, found: &mut Vec<Param>) {
        // Most parameters are of no list, which their names show without being compared.
        let dotted = params.pairs.iter().filter(|param| param.name.contains('.'));
        let dotted: Vec<(Cow<'_, str>, &Param)> =
            dotted.map(|param| (self.key(&param.name), param)).collect();
        for pair in &self.pairs {
            for (key, param) in &dotted {
                let Some((number, PairMember::Name)) = pair.member(key) else { continue };
                if self.key(param.value.trim()) != pair.name {
                    continue;
                }
                let wanted = Some((number, PairMember::Value));
                let value = dotted.iter().find(|(key, _)| pair.member(key) == wanted);
                found.extend(value.map(|(_, value)| Param {
                    name: self.name(pair.index).to_owned(),
                    ..Param::clone(value)
                }));
            }
        }
    }
}

/// Which half of a pair a parameter is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PairMember {
    Name,
    Value,
}

impl PairName {
    /// The number of the pair that a parameter belongs to, and which half of it that is.
    fn member(&self, key: &str) -> Option<(usize, PairMember)> {
        let (number, member) = key.strip_prefix(self.list.as_str())?.strip_prefix('.')?.split_once('.')?;
        let is_plain = number.len() <= 2 && !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
        let number: usize = number.parse().ok().filter(|number| is_plain && *number < MOST_PAIRS)?;
        match member {
            "name" | "key" => Some((number, PairMember::Name)),
            "value" => Some((number, PairMember::Value)),
            _ => None,
        }
    }

    /// Whether a half of a pair has a name that begins with this one and a dot.
    fn has_within(&self, key: &str) -> bool {
        let behind = key.strip_prefix(self.list.as_str());
        key == self.list
            || is_before(key, &self.list)
            || behind
                .and_then(|rest| rest.strip_prefix('.'))
                .is_some_and(|number| number.len() <= 2 && number.bytes().all(|b| b.is_ascii_digit()))
    }
}

fn is_before(key: &str, whole: &str) -> bool {
    whole.strip_prefix(key).is_some_and(|rest| rest.starts_with('.'))
}

/// The list and the name of `note_attributes[click_id]`.
fn pair(written: &str) -> Option<(&str, &str)> {
    let (list, name) = written.strip_suffix(']')?.split_once('[')?;
    let is_one = !list.is_empty() && !name.is_empty() && !name.contains(['[', ']']) && !list.contains(']');
    is_one.then_some((list, name))
}

/// `Click-ID` and `click_id` as one: lower case, without `_` and `-`.
pub(crate) fn fold(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, '_' | '-')).map(|c| c.to_ascii_lowercase()).collect()
}
