//! Reads a TOML file table by table: whoever reads one asks for its keys, and what nobody asked for is unknown.

use std::cell::RefCell;
use std::ops::Range;

use toml::de::{DeTable, DeValue};

use crate::template::diagnostic::Problem;
use crate::template::toml_reader::TomlReader;

/// One file being read, and what is wrong with it so far.
pub(crate) struct Sheet<'t> {
    file: &'t str,
    text: &'t str,
    problems: RefCell<Vec<Problem>>,
}

impl<'t> Sheet<'t> {
    pub(crate) fn new(file: &'t str, text: &'t str) -> Sheet<'t> {
        Sheet { file, text, problems: RefCell::new(Vec::new()) }
    }

    /// Reads the file by `read`, which asks for each key it knows; a key it never asked for is unknown.
    pub(crate) fn read<T>(self, read: impl FnOnce(&Table<'_>) -> T) -> Result<T, Vec<Problem>> {
        let document = self.reading(TomlReader::parse);
        let table = Table::new(&self, document.get_ref(), 0..0, String::new());
        let found = read(&table);
        table.finish();
        let problems = self.problems.into_inner();
        if problems.is_empty() { Ok(found) } else { Err(problems) }
    }

    fn report(&self, at: Range<usize>, what: impl Into<String>, hint: impl Into<String>) {
        self.reading(|reader| reader.problem(&at, what, hint));
    }

    /// Borrows the reader that words problems, and keeps what it found.
    fn reading<T>(&self, with: impl FnOnce(&mut TomlReader<'t>) -> T) -> T {
        let mut reader = TomlReader::new(self.file, self.text);
        let found = with(&mut reader);
        self.problems.borrow_mut().append(&mut reader.problems);
        found
    }

    fn line(&self, at: usize) -> usize {
        self.text.get(..at).map_or(1, |before| before.matches('\n').count() + 1)
    }
}

/// A table of the file.
pub(crate) struct Table<'t> {
    sheet: &'t Sheet<'t>,
    table: &'t DeTable<'t>,
    span: Range<usize>,
    name: String,
    asked: RefCell<Vec<&'static str>>,
}

/// A value and the line it stands on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lined<T> {
    pub value: T,
    pub line: usize,
}

/// A value of a kind that may vary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Scalar {
    Text(String),
    Integer(i64),
    Truth(bool),
}

impl<'t> Table<'t> {
    fn new(sheet: &'t Sheet<'t>, table: &'t DeTable<'t>, span: Range<usize>, name: String) -> Table<'t> {
        Table { sheet, table, span, name, asked: RefCell::new(Vec::new()) }
    }

    pub(crate) fn line(&self) -> usize {
        self.sheet.line(self.span.start)
    }

    /// Reports something about this table as a whole.
    pub(crate) fn wrong(&self, what: impl Into<String>, hint: impl Into<String>) {
        self.sheet.report(self.span.clone(), what, hint);
    }

    /// Adds problems found elsewhere in this file.
    pub(crate) fn take_problems(&self, problems: Vec<Problem>) {
        self.sheet.problems.borrow_mut().extend(problems);
    }

    fn get(&self, key: &'static str) -> Option<(&'t DeValue<'t>, Range<usize>)> {
        self.asked.borrow_mut().push(key);
        let found = self.table.iter().find(|(name, _)| name.get_ref() == key);
        found.map(|(_, value)| (value.get_ref(), value.span()))
    }

    fn path(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) }
    }

    fn wrong_kind(&self, key: &str, at: Range<usize>, value: &DeValue<'_>, wanted: &str) {
        let what = format!("`{}` is a {}; it must be {wanted}", self.path(key), value.type_str());
        self.sheet.report(at, what, "write it so");
    }

    pub(crate) fn text(&self, key: &'static str) -> Option<Lined<String>> {
        let (value, at) = self.get(key)?;
        match value.as_str() {
            Some(text) => Some(Lined { value: text.to_owned(), line: self.sheet.line(at.start) }),
            None => {
                self.wrong_kind(key, at, value, "a text in quotes");
                None
            }
        }
    }

    pub(crate) fn needed_text(&self, key: &'static str) -> Lined<String> {
        if !self.table.iter().any(|(name, _)| name.get_ref() == key) {
            self.wrong(format!("`{}` is missing", self.path(key)), format!("add `{key} = \"…\"`"));
        }
        self.text(key).unwrap_or(Lined { value: String::new(), line: self.line() })
    }

    pub(crate) fn truth(&self, key: &'static str) -> Option<bool> {
        let (value, at) = self.get(key)?;
        if value.as_bool().is_none() {
            self.wrong_kind(key, at, value, "true or false");
        }
        value.as_bool()
    }

    pub(crate) fn integer(&self, key: &'static str) -> Option<i64> {
        match self.scalar(key)? {
            Lined { value: Scalar::Integer(number), .. } => Some(number),
            Lined { value: other, line } => {
                let what = format!("`{}` is {other:?}; it must be a whole number", self.path(key));
                let problem = Problem::new(what, "write it without quotes").at(self.sheet.file, line);
                self.take_problems(vec![problem]);
                None
            }
        }
    }

    pub(crate) fn scalar(&self, key: &'static str) -> Option<Lined<Scalar>> {
        let (value, at) = self.get(key)?;
        let line = self.sheet.line(at.start);
        let found = scalar(value);
        if found.is_none() {
            self.wrong_kind(key, at, value, "a text, a whole number, true or false");
        }
        found.map(|value| Lined { value, line })
    }

    /// A list of texts and whole numbers.
    pub(crate) fn scalars(&self, key: &'static str) -> Option<Vec<Lined<Scalar>>> {
        let (value, at) = self.get(key)?;
        let Some(items) = value.as_array() else {
            self.wrong_kind(key, at, value, "a list");
            return None;
        };
        let mut found = Vec::new();
        for item in items.iter() {
            match scalar(item.get_ref()) {
                Some(value) => found.push(Lined { value, line: self.sheet.line(item.span().start) }),
                None => self.wrong_kind(key, item.span(), item.get_ref(), "a list of texts or whole numbers"),
            }
        }
        Some(found)
    }

    /// A list of texts; empty where the key is absent.
    pub(crate) fn texts(&self, key: &'static str) -> Vec<Lined<String>> {
        let mut texts = Vec::new();
        for Lined { value, line } in self.scalars(key).unwrap_or_default() {
            match value {
                Scalar::Text(value) => texts.push(Lined { value, line }),
                other => {
                    let what = format!("`{}` holds {other:?}; it must be a text", self.path(key));
                    let problem = Problem::new(what, "write it in quotes").at(self.sheet.file, line);
                    self.take_problems(vec![problem]);
                }
            }
        }
        texts
    }

    pub(crate) fn table(&self, key: &'static str) -> Option<Table<'t>> {
        let (value, at) = self.get(key)?;
        match value.as_table() {
            Some(table) => Some(Table::new(self.sheet, table, at, self.path(key))),
            None => {
                self.wrong_kind(key, at, value, "a table");
                None
            }
        }
    }

    /// The tables of a `[[key]]` or of a list of inline tables, in order; none where it is absent.
    pub(crate) fn tables(&self, key: &'static str) -> Vec<Table<'t>> {
        let Some((value, at)) = self.get(key) else { return Vec::new() };
        let Some(items) = value.as_array() else {
            self.wrong_kind(key, at, value, "a list of tables");
            return Vec::new();
        };
        let mut tables = Vec::new();
        for item in items.iter() {
            match item.get_ref().as_table() {
                Some(table) => tables.push(Table::new(self.sheet, table, item.span(), self.path(key))),
                None => self.wrong_kind(key, item.span(), item.get_ref(), "a table"),
            }
        }
        tables
    }

    /// Every key and its text, for a table whose keys are free.
    pub(crate) fn pairs(&self) -> Vec<(String, Lined<String>)> {
        let mut pairs = Vec::new();
        for (name, value) in self.table.iter() {
            let line = self.sheet.line(name.span().start);
            match value.get_ref().as_str() {
                Some(text) => {
                    pairs.push((name.get_ref().to_string(), Lined { value: text.to_owned(), line }));
                }
                None => self.wrong_kind(name.get_ref(), value.span(), value.get_ref(), "a text in quotes"),
            }
        }
        pairs
    }

    /// Reports every key that nobody asked for.
    pub(crate) fn finish(&self) {
        let asked = self.asked.borrow();
        self.sheet.reading(|reader| reader.only(self.table, &asked, &self.name));
    }
}

fn scalar(value: &DeValue<'_>) -> Option<Scalar> {
    match value {
        DeValue::String(text) => Some(Scalar::Text(text.to_string())),
        DeValue::Boolean(truth) => Some(Scalar::Truth(*truth)),
        DeValue::Integer(number) => {
            i64::from_str_radix(&number.as_str().replace('_', ""), number.radix()).ok().map(Scalar::Integer)
        }
        _ => None,
    }
}
