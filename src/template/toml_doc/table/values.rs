//! The values of a table's keys, each by its type: what is not of it is kept as a problem.

use std::ops::RangeInclusive;

use toml::Spanned;
use toml::de::DeValue;

use crate::template::diagnostic::{Problem, access};
use crate::template::toml_doc::outside::{TextOrigin, resolve};
use crate::template::toml_doc::table::{ROOT, Table};
use crate::template::toml_doc::text::{Scalar, Text};

struct ValueAtLine<'a> {
    value: &'a DeValue<'a>,
    line: usize,
}

impl<'a> Table<'a> {
    fn find(&self, key: &'a str) -> Option<ValueAtLine<'a>> {
        self.asked.borrow_mut().insert(key);
        if let Some(value) = self.table.and_then(|table| table.get(key)) {
            return Some(ValueAtLine {
                value: value.get_ref(),
                line: self.document.line(value.span().start),
            });
        }
        let may_default = self.defaulted.is_none_or(|keys| keys.contains(&key));
        let value = self.defaults.filter(|_| may_default)?.get(key)?;
        Some(ValueAtLine { value: value.get_ref(), line: self.line })
    }

    /// Keeps a problem with the value of `key`, found at `line`.
    fn wrong_value(&self, key: &str, line: usize, problem: Problem) {
        let place = if self.name == ROOT { String::new() } else { format!(" in {}", self.name) };
        let what = format!("`{key}`{place}: {}", problem.what);
        self.document.problem(line, Problem::new(what, problem.hint));
    }

    /// A key that must be there: its absence is kept as a problem.
    pub fn require(&self, key: &'a str, example: &str) -> bool {
        let there = self.has(key);
        if !there {
            self.head_problem(format!("{} has no `{key}`", self.name), format!("add `{key} = {example}`"));
        }
        there
    }

    /// A text: literal or, where the document may name one outside, `{ env = … }` or `{ file = … }`.
    pub fn text(&self, key: &'a str) -> Option<Text> {
        let found = self.find(key)?;
        self.read_text(key, &found)
    }

    fn read_text(&self, key: &str, found: &ValueAtLine<'_>) -> Option<Text> {
        let resolved = match (found.value, self.document.env()) {
            (DeValue::String(text), _) => Ok((text.to_string(), TextOrigin::Literal)),
            (DeValue::Table(table), Some(env)) => resolve(table, env, |path| self.document.path(path)),
            (other, _) => {
                self.wrong_type(key, found.line, other, "a text in quotes");
                return None;
            }
        };
        match resolved {
            Ok((value, origin)) => {
                self.warn_of_readable(found.line, &origin);
                Some(Text { value, line: found.line, origin })
            }
            Err(problem) => {
                self.wrong_value(key, found.line, problem);
                None
            }
        }
    }

    /// What is kept in a file of its own is kept there because it is a secret.
    fn warn_of_readable(&self, line: usize, origin: &TextOrigin) {
        let TextOrigin::File(shown) = origin else { return };
        let path = self.document.path(shown);
        if let Some(mode) = access::readable_by_others(&path) {
            self.document.warning(line, access::exposed(&format!("the file {shown}"), &path, mode));
        }
    }

    /// A text put through `parse`, whose problem is kept with the key's name and place.
    pub fn parsed<T>(&self, key: &'a str, parse: impl FnOnce(&Text) -> Result<T, Problem>) -> Option<T> {
        let text = self.text(key)?;
        parse(&text).map_err(|problem| self.wrong_value(key, text.line, problem)).ok()
    }

    /// As [`Table::parsed`], of a key that must be there; `example` is how it could be written.
    pub fn required<T>(
        &self,
        key: &'a str,
        example: &str,
        parse: impl FnOnce(&Text) -> Result<T, Problem>,
    ) -> Option<T> {
        self.require(key, example).then(|| self.parsed(key, parse)).flatten()
    }

    /// The text of a key that must be there.
    pub fn required_text(&self, key: &'a str, example: &str) -> Option<Text> {
        self.require(key, example).then(|| self.text(key)).flatten()
    }

    /// The same; empty where a problem was kept.
    pub fn needed_text(&self, key: &'a str) -> String {
        self.required_text(key, "\"…\"").unwrap_or_default().value
    }

    /// A list of texts, each `None` where its problem was kept. One text alone is a list of one.
    fn read_texts(&self, key: &'a str) -> Option<Vec<Option<Text>>> {
        let found = self.find(key)?;
        let DeValue::Array(array) = found.value else {
            return Some(vec![self.read_text(key, &found)]);
        };
        let read = |item: &Spanned<DeValue<'a>>| {
            let is_own = self.value(key).is_some();
            let line = if is_own { self.document.line(item.span().start) } else { found.line };
            self.read_text(key, &ValueAtLine { value: item.get_ref(), line })
        };
        Some(array.iter().map(read).collect())
    }

    /// A list of texts; `None` also where one of them has a problem.
    pub fn texts(&self, key: &'a str) -> Option<Vec<Text>> {
        self.read_texts(key)?.into_iter().collect()
    }

    /// Those of a list of texts that can be read; the problems of the others are kept.
    pub fn readable_texts(&self, key: &'a str) -> Vec<Text> {
        self.read_texts(key).into_iter().flatten().flatten().collect()
    }

    /// A list of texts, each put through `parse`.
    pub fn all_parsed<T>(&self, key: &'a str, parse: impl Fn(&Text) -> Result<T, Problem>) -> Option<Vec<T>> {
        let read =
            |text: Text| parse(&text).map_err(|problem| self.wrong_value(key, text.line, problem)).ok();
        // Every item is read before one that failed ends it, so that all problems are found.
        let all: Vec<Option<T>> = self.texts(key)?.into_iter().map(read).collect();
        all.into_iter().collect()
    }

    /// A whole number within `range`.
    pub fn number<T: TryFrom<i64>>(&self, key: &'a str, range: RangeInclusive<i64>) -> Option<T> {
        let found = self.find(key)?;
        let DeValue::Integer(integer) = found.value else {
            self.wrong_type(key, found.line, found.value, "a whole number");
            return None;
        };
        let number = match Scalar::read(found.value) {
            Some(Scalar::Integer(number)) if range.contains(&number) => T::try_from(number).ok(),
            _ => None,
        };
        if number.is_none() {
            let (low, high) = (range.start(), range.end());
            let plain = integer.as_str().replace('_', "");
            let what = format!("`{key}` in {} is {plain}, outside {low}–{high}", self.name);
            let hint = format!("write a whole number from {low} to {high}");
            self.document.problem(found.line, Problem::new(what, hint));
        }
        number
    }

    /// `true` or `false`.
    pub fn flag(&self, key: &'a str) -> Option<bool> {
        let found = self.find(key)?;
        if let DeValue::Boolean(value) = found.value {
            return Some(*value);
        }
        self.wrong_type(key, found.line, found.value, "true or false");
        None
    }

    /// A text, a whole number, true or false.
    pub fn scalar(&self, key: &'a str) -> Option<Scalar> {
        let found = self.find(key)?;
        let scalar = Scalar::read(found.value);
        if scalar.is_none() {
            self.wrong_type(key, found.line, found.value, "a text, a whole number, true or false");
        }
        scalar
    }

    /// A list of scalars; `None` where the key is absent. What is no scalar is left out, its problem kept.
    pub fn scalars(&self, key: &'a str) -> Option<Vec<Scalar>> {
        let found = self.find(key)?;
        let DeValue::Array(array) = found.value else {
            self.wrong_type(key, found.line, found.value, "a list");
            return None;
        };
        let read = |item: &Spanned<DeValue<'a>>| {
            let scalar = Scalar::read(item.get_ref());
            if scalar.is_none() {
                let line = self.document.line(item.span().start);
                self.wrong_type(key, line, item.get_ref(), "a list of texts and whole numbers");
            }
            scalar
        };
        Some(array.iter().filter_map(read).collect())
    }

    /// A list of lists of texts; `None` where the key is absent. What is none is left out, its problem kept.
    pub fn text_lists(&self, key: &'a str) -> Option<Vec<Vec<String>>> {
        let found = self.find(key)?;
        let wanted = "a list of lists of texts";
        let DeValue::Array(array) = found.value else {
            self.wrong_type(key, found.line, found.value, wanted);
            return None;
        };
        let read = |item: &Spanned<DeValue<'a>>| {
            let line = self.document.line(item.span().start);
            let DeValue::Array(inner) = item.get_ref() else {
                self.wrong_type(key, line, item.get_ref(), wanted);
                return None;
            };
            let read = |item: &Spanned<DeValue<'a>>| {
                let line = self.document.line(item.span().start);
                self.read_text(key, &ValueAtLine { value: item.get_ref(), line }).map(|text| text.value)
            };
            Some(inner.iter().filter_map(read).collect())
        };
        Some(array.iter().filter_map(read).collect())
    }

    /// The keys of a table whose names are free, each with its text, in the order of the document. A number
    /// or a flag reads as the text it is written as: people leave the quotes out around an account's number.
    pub fn free_texts(&self) -> Vec<(&'a str, Text)> {
        let read = |key: &'a str| {
            let found = self.find(key)?;
            let plain = match found.value {
                DeValue::Integer(number) if number.radix() == 10 => Some(number.as_str().to_owned()),
                DeValue::Boolean(flag) => Some(flag.to_string()),
                _ => None,
            };
            let text = match plain {
                Some(value) => Text { value, line: found.line, origin: TextOrigin::Literal },
                None => self.read_text(key, &found)?,
            };
            Some((key, text))
        };
        self.keys().into_iter().filter_map(read).collect()
    }
}
