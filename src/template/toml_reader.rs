//! Reads a TOML table key by key and gathers every problem with its line, instead of stopping at
//! the first.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::template::diagnostic::{Problem, did_you_mean};

/// A value and where it stands.
pub type Value<'a> = Spanned<DeValue<'a>>;

/// The file being read, and what was wrong with it so far.
pub struct TomlReader<'t> {
    file: &'t str,
    text: &'t str,
    pub problems: Vec<Problem>,
}

impl<'t> TomlReader<'t> {
    pub fn new(file: &'t str, text: &'t str) -> TomlReader<'t> {
        TomlReader { file, text, problems: Vec::new() }
    }

    /// The file's tables; what is no TOML is noted as problems and left out.
    pub fn parse(&mut self) -> Spanned<DeTable<'t>> {
        let (table, errors) = DeTable::parse_recoverable(self.text);
        for error in errors {
            let span = error.span().unwrap_or(0..0);
            self.problem(&span, error.message().to_owned(), "this is not TOML; mind quotes and brackets");
        }
        table
    }

    /// Notes a problem at `span` of the file.
    pub fn problem(&mut self, span: &Range<usize>, what: impl Into<String>, hint: impl Into<String>) {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line = 1 + before.bytes().filter(|byte| *byte == b'\n').count();
        self.problems.push(Problem::new(what, hint).at(self.file, line));
    }

    /// Notes each key of `table` that is not `known`; `place` is the table's name, empty at the top.
    pub fn only(&mut self, table: &DeTable<'_>, known: &[&str], place: &str) {
        for (key, _) in table {
            let name = key.get_ref().as_ref();
            if !known.contains(&name) {
                self.unknown(&key.span(), name, known, place);
            }
        }
    }

    /// Notes an unknown key or word, with the nearest known one.
    pub fn unknown(&mut self, span: &Range<usize>, name: &str, known: &[&str], place: &str) {
        let where_ = if place.is_empty() { String::new() } else { format!(" in `[{place}]`") };
        let hint = match did_you_mean(name, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("known: {}", known.join(", ")),
        };
        self.problem(span, format!("unknown key `{name}`{where_}"), hint);
    }

    /// The text under `key`, if there is one.
    pub fn text(&mut self, table: &DeTable<'_>, key: &str) -> Option<Spanned<String>> {
        let value = table.get(key)?;
        self.as_text(value, key)
    }

    /// `value` as text; anything else is a problem.
    pub fn as_text(&mut self, value: &Value<'_>, key: &str) -> Option<Spanned<String>> {
        match value.get_ref().as_str() {
            Some(text) => Some(Spanned::new(value.span(), text.to_owned())),
            None => {
                let kind = value.get_ref().type_str();
                self.problem(
                    &value.span(),
                    format!("`{key}` is of the type {kind}, not text"),
                    format!("write {key} = \"…\""),
                );
                None
            }
        }
    }

    /// A list of texts under `key`; one text alone is a list of one where `value` is not an array.
    pub fn texts(&mut self, table: &DeTable<'_>, key: &str) -> Vec<Spanned<String>> {
        table.get(key).map_or_else(Vec::new, |value| self.as_texts(value, key))
    }

    /// `value` as one text or a list of texts.
    pub fn as_texts(&mut self, value: &Value<'_>, key: &str) -> Vec<Spanned<String>> {
        match value.get_ref().as_array() {
            Some(items) => items.iter().filter_map(|item| self.as_text(item, key)).collect(),
            None => self.as_text(value, key).into_iter().collect(),
        }
    }

    /// The table under `key`, in the order of the file.
    pub fn table<'a, 'b>(&mut self, table: &'a DeTable<'b>, key: &str) -> Option<&'a DeTable<'b>> {
        let value = table.get(key)?;
        let found = value.get_ref().as_table();
        if found.is_none() {
            self.problem(&value.span(), format!("`{key}` is not a table"), format!("write it as [{key}]"));
        }
        found
    }
}

/// A table's entries in the order of the file; the parser hands them out by name.
pub fn in_order<'a, 'b>(table: &'a DeTable<'b>) -> Vec<(Spanned<String>, &'a Value<'b>)> {
    let mut entries: Vec<_> = table
        .iter()
        .map(|(key, value)| (Spanned::new(key.span(), key.get_ref().to_string()), value))
        .collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
}
