//! Reading TOML with places: each fault is found at its line, and all of them at once.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::config::env::Env;
use crate::config::secrets::{self, Origin};
use crate::template::diagnostic::{Problem, access, did_you_mean};

/// One file being read: where its values come from, and what was found wrong so far.
pub struct Reader<'a> {
    file: &'a str,
    text: &'a str,
    /// Where each line ends: a file of thousands of tables is asked for its lines as often.
    line_ends: Vec<usize>,
    env: Env<'a>,
    /// The folder that relative paths start from.
    base: PathBuf,
    problems: RefCell<Vec<(usize, Problem)>>,
    warnings: RefCell<Vec<(usize, Problem)>>,
}

impl<'a> Reader<'a> {
    /// A reader for `file`, whose content is `text`; relative paths start from the file's folder.
    pub fn new(file: &'a str, text: &'a str, env: Env<'a>) -> Reader<'a> {
        let base = Path::new(file).parent().map_or_else(PathBuf::new, Path::to_path_buf);
        let line_ends = memchr::memchr_iter(b'\n', text.as_bytes()).collect();
        let (problems, warnings) = (RefCell::default(), RefCell::default());
        Reader { file, text, line_ends, env, base, problems, warnings }
    }

    /// The file's content.
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// `path` as seen from the configuration's folder.
    pub fn path(&self, path: &str) -> PathBuf {
        self.base.join(path)
    }

    /// Keeps a problem found at `line`; 0 is the file as a whole.
    pub fn problem(&self, line: usize, problem: Problem) {
        self.problems.borrow_mut().push((line, self.placed(line, problem)));
    }

    /// Keeps a problem that has its own place, such as one inside a template; it goes before those of this
    /// file, which may follow from it.
    pub fn elsewhere(&self, problem: Problem) {
        self.problems.borrow_mut().push((0, problem));
    }

    /// Keeps a remark that stops nothing.
    pub fn warning(&self, line: usize, warning: Problem) {
        self.warnings.borrow_mut().push((line, self.placed(line, warning)));
    }

    fn placed(&self, line: usize, problem: Problem) -> Problem {
        if line == 0 { problem.in_file(self.file) } else { problem.at(self.file, line) }
    }

    /// Every problem and every warning, each list in the order of the file.
    pub fn into_findings(self) -> (Vec<Problem>, Vec<Problem>) {
        let sorted = |found: RefCell<Vec<(usize, Problem)>>| {
            let mut found = found.into_inner();
            found.sort_by_key(|(line, _)| *line);
            found.into_iter().map(|(_, problem)| problem).collect()
        };
        (sorted(self.problems), sorted(self.warnings))
    }

    /// The line of a byte offset, counted from 1.
    fn line(&self, offset: usize) -> usize {
        self.line_ends.partition_point(|end| *end < offset) + 1
    }

    /// Parses the whole text. Faults of syntax are kept, and then there is no table to go on with.
    pub fn table(&self) -> Option<DeTable<'a>> {
        let (table, errors) = DeTable::parse_recoverable(self.text);
        for error in &errors {
            let line = error.span().map_or(0, |span| self.line(span.start));
            let message = error.message().trim().replace('\n', ", ");
            let hint = if message.contains("duplicate key") {
                "keep one of the two; only tables headed in double brackets, such as [[source]], repeat"
            } else {
                "see https://toml.io for the syntax: texts stand in double quotes, lists in brackets"
            };
            self.problem(line, Problem::new(format!("this is not TOML: {message}"), hint));
        }
        errors.is_empty().then(|| table.into_inner())
    }
}

/// A text with its place; it may be a secret, so it is shown by [`Text::shown`] only.
#[derive(Clone)]
pub struct Text {
    pub value: String,
    pub line: usize,
    origin: Origin,
}

impl Text {
    /// For messages: the text itself, or where it came from when it stands outside the file.
    pub fn shown(&self) -> String {
        match &self.origin {
            Origin::Literal => format!("`{}`", self.value),
            Origin::Env(name) => format!("the value of ${name}"),
            Origin::File(path) => format!("the content of {path}"),
        }
    }

    /// Whether it stands outside the file, where people keep what nobody may read.
    pub fn is_from_outside(&self) -> bool {
        self.origin != Origin::Literal
    }

    /// A problem that was worded by who knows only the text: it may quote it no more than [`Text::shown`].
    pub fn told(&self, problem: Problem) -> Problem {
        let shown = self.shown();
        let mut what = problem.what;
        for quoted in [self.value.trim().to_owned(), self.value.trim().escape_debug().to_string()] {
            what = what.replace(&format!("`{quoted}`"), &shown);
        }
        Problem { what, ..problem }
    }
}

/// One table of the file, asked key by key. What was never asked for is unknown, and an error.
pub struct Section<'a> {
    reader: &'a Reader<'a>,
    /// How messages call it: `[server]`, `[[source]]`.
    name: String,
    line: usize,
    table: Option<&'a DeTable<'a>>,
    defaults: Option<&'a DeTable<'a>>,
    /// The only keys that have a default here; `None`: all that the default file names.
    defaulted: Option<&'static [&'static str]>,
    asked: RefCell<BTreeSet<&'static str>>,
}

struct Found<'a> {
    value: &'a DeValue<'a>,
    line: usize,
}

impl<'a> Section<'a> {
    /// The file's outermost table.
    pub fn root(reader: &'a Reader<'a>, table: &'a DeTable<'a>, defaults: &'a DeTable<'a>) -> Section<'a> {
        Section::new(reader, "the file".to_owned(), 0, Some(table), Some(defaults), None)
    }

    /// A table at the top of the file as it is where the file leaves it out; for one that is there and
    /// cannot be used.
    pub fn default_of(&self, key: &'static str) -> Option<Section<'a>> {
        let defaults = self.defaults?.get(key)?.get_ref().as_table();
        Some(Section::new(self.reader, format!("[{key}]"), 0, None, defaults, None))
    }

    fn new(
        reader: &'a Reader<'a>,
        name: String,
        line: usize,
        table: Option<&'a DeTable<'a>>,
        defaults: Option<&'a DeTable<'a>>,
        defaulted: Option<&'static [&'static str]>,
    ) -> Section<'a> {
        Section { reader, name, line, table, defaults, defaulted, asked: RefCell::default() }
    }

    pub fn reader(&self) -> &'a Reader<'a> {
        self.reader
    }

    /// The line of the table's head.
    pub fn line(&self) -> usize {
        self.line
    }

    /// The line of a key, or of the table's head where the key is absent.
    pub fn line_of(&self, key: &str) -> usize {
        let place = |(name, _): (&Spanned<_>, _)| self.reader.line(name.span().start);
        self.table.and_then(|table| table.get_key_value(key)).map_or(self.line, place)
    }

    /// Whether the file itself (not only the default) has the key.
    pub fn has(&self, key: &str) -> bool {
        self.table.is_some_and(|table| table.contains_key(key))
    }

    /// Keeps a problem at this key's line.
    pub fn problem(&self, key: &str, what: impl Into<String>, hint: impl Into<String>) {
        self.reader.problem(self.line_of(key), Problem::new(what, hint));
    }

    /// Keeps a remark at this key's line.
    pub fn warning(&self, key: &str, what: impl Into<String>, hint: impl Into<String>) {
        self.reader.warning(self.line_of(key), Problem::new(what, hint));
    }

    fn find(&self, key: &'static str) -> Option<Found<'a>> {
        self.asked.borrow_mut().insert(key);
        if let Some(value) = self.table.and_then(|table| table.get(key)) {
            return Some(Found { value: value.get_ref(), line: self.reader.line(value.span().start) });
        }
        let may_default = self.defaulted.is_none_or(|keys| keys.contains(&key));
        let value = self.defaults.filter(|_| may_default)?.get(key)?;
        Some(Found { value: value.get_ref(), line: self.line })
    }

    fn wrong_type(&self, key: &str, line: usize, found: &DeValue<'_>, wanted: &str) {
        let what = format!("`{key}` in {} is {}, not {wanted}", self.name, with_article(found.type_str()));
        self.reader.problem(line, Problem::new(what, format!("write `{key}` as {wanted}")));
    }

    /// A key that must be there: its absence is kept as a problem.
    pub fn require(&self, key: &'static str, example: &str) -> bool {
        let there = self.has(key);
        self.asked.borrow_mut().insert(key);
        if !there {
            let what = format!("{} has no `{key}`", self.name);
            self.reader.problem(self.line, Problem::new(what, format!("add `{key} = {example}`")));
        }
        there
    }

    /// A text: literal, `{ env = … }` or `{ file = … }`.
    pub fn text(&self, key: &'static str) -> Option<Text> {
        let found = self.find(key)?;
        self.read_text(key, &found)
    }

    fn read_text(&self, key: &str, found: &Found<'_>) -> Option<Text> {
        let resolved = match found.value {
            DeValue::String(text) => Ok((text.to_string(), Origin::Literal)),
            DeValue::Table(table) => secrets::resolve(table, self.reader.env, &|path| self.reader.path(path)),
            other => {
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
                let what = format!("`{key}` in {}: {}", self.name, problem.what);
                self.reader.problem(found.line, Problem::new(what, problem.hint));
                None
            }
        }
    }

    /// What is kept in a file of its own is kept there because it is a secret.
    fn warn_of_readable(&self, line: usize, origin: &Origin) {
        let Origin::File(shown) = origin else { return };
        let path = self.reader.path(shown);
        if let Some(mode) = access::readable_by_others(&path) {
            self.reader.warning(line, access::exposed(&format!("the file {shown}"), &path, mode));
        }
    }

    /// A text put through `parse`, whose problem is kept with the key's name and place.
    pub fn parsed<T>(&self, key: &'static str, parse: impl FnOnce(&Text) -> Result<T, Problem>) -> Option<T> {
        let text = self.text(key)?;
        match parse(&text) {
            Ok(value) => Some(value),
            Err(problem) => {
                let what = format!("`{key}` in {}: {}", self.name, problem.what);
                self.reader.problem(text.line, Problem::new(what, problem.hint));
                None
            }
        }
    }

    /// A list of texts. One text alone stands for a list of one.
    pub fn texts(&self, key: &'static str) -> Option<Vec<Text>> {
        let found = self.find(key)?;
        let DeValue::Array(array) = found.value else {
            return self.read_text(key, &found).map(|text| vec![text]);
        };
        let read = |item: &Spanned<DeValue<'a>>| {
            let line = if self.has(key) { self.reader.line(item.span().start) } else { found.line };
            self.read_text(key, &Found { value: item.get_ref(), line })
        };
        // Every item is read before one that failed ends it, so that all problems are found.
        let all: Vec<Option<Text>> = array.iter().map(read).collect();
        all.into_iter().collect()
    }

    /// A list of texts, each put through `parse`.
    pub fn all_parsed<T>(
        &self,
        key: &'static str,
        parse: impl Fn(&Text) -> Result<T, Problem>,
    ) -> Option<Vec<T>> {
        let mut values = Vec::new();
        let texts = self.texts(key)?;
        let wanted = texts.len();
        for text in texts {
            match parse(&text) {
                Ok(value) => values.push(value),
                Err(problem) => {
                    let what = format!("`{key}` in {}: {}", self.name, problem.what);
                    self.reader.problem(text.line, Problem::new(what, problem.hint));
                }
            }
        }
        (values.len() == wanted).then_some(values)
    }

    /// A whole number within `range`.
    pub fn number<T: TryFrom<i64>>(&self, key: &'static str, range: RangeInclusive<i64>) -> Option<T> {
        let found = self.find(key)?;
        let DeValue::Integer(integer) = found.value else {
            self.wrong_type(key, found.line, found.value, "a whole number");
            return None;
        };
        let plain = integer.as_str().replace('_', "");
        let number = i64::from_str_radix(&plain, integer.radix()).ok().filter(|n| range.contains(n));
        let value = number.and_then(|number| T::try_from(number).ok());
        if value.is_none() {
            let (low, high) = (range.start(), range.end());
            let what = format!("`{key}` in {} is {plain}, outside {low}–{high}", self.name);
            let hint = format!("write a whole number from {low} to {high}");
            self.reader.problem(found.line, Problem::new(what, hint));
        }
        value
    }

    /// `true` or `false`.
    pub fn flag(&self, key: &'static str) -> Option<bool> {
        let found = self.find(key)?;
        if let DeValue::Boolean(value) = found.value {
            return Some(*value);
        }
        self.wrong_type(key, found.line, found.value, "true or false");
        None
    }

    /// A table inside this one; absent and defaulted ones read as empty. `defaulted` names the only
    /// keys with a default, `None` means all that the default file has.
    pub fn section(
        &self,
        key: &'static str,
        defaulted: Option<&'static [&'static str]>,
    ) -> Option<Section<'a>> {
        self.asked.borrow_mut().insert(key);
        let name = self.inner_name(key);
        let defaults =
            self.defaults.and_then(|all| all.get(key)).and_then(|value| value.get_ref().as_table());
        let Some(value) = self.table.and_then(|table| table.get(key)) else {
            return Some(Section::new(
                self.reader,
                format!("[{name}]"),
                self.line,
                None,
                defaults,
                defaulted,
            ));
        };
        let line = self.line_of(key);
        let Some(table) = value.get_ref().as_table() else {
            self.wrong_type(key, line, value.get_ref(), &format!("a table headed `[{name}]`"));
            return None;
        };
        Some(Section::new(self.reader, format!("[{name}]"), line, Some(table), defaults, defaulted))
    }

    /// The tables headed `[[key]]`, or written as a list of inline tables. Only the keys in
    /// `defaulted` have a default: that of the first such table in the default file.
    pub fn sections(&self, key: &'static str, defaulted: &'static [&'static str]) -> Vec<Section<'a>> {
        self.asked.borrow_mut().insert(key);
        let name = self.inner_name(key);
        let defaults = self.defaults.and_then(|all| first_of(all, key));
        let Some(value) = self.table.and_then(|table| table.get(key)) else { return Vec::new() };
        let line = self.line_of(key);
        let wanted = format!("a list of tables, each headed `[[{name}]]`");
        let Some(array) = value.get_ref().as_array() else {
            self.wrong_type(key, line, value.get_ref(), &wanted);
            return Vec::new();
        };
        let mut sections = Vec::new();
        for item in array.iter() {
            let line = self.reader.line(item.span().start);
            match item.get_ref().as_table() {
                Some(table) => sections.push(Section::new(
                    self.reader,
                    format!("[[{name}]]"),
                    line,
                    Some(table),
                    defaults,
                    Some(defaulted),
                )),
                None => self.wrong_type(key, line, item.get_ref(), &wanted),
            }
        }
        sections
    }

    /// The same table, whose defaults are those of another place of the default file: the table
    /// `path.1` of its first example of `path.0`.
    pub fn with_defaults_of(self, root: &Section<'a>, path: [&str; 2]) -> Section<'a> {
        let [outer, inner] = path;
        let first = root.defaults.and_then(|all| first_of(all, outer));
        let defaults = first.and_then(|table| table.get(inner)).and_then(|value| value.get_ref().as_table());
        Section { defaults, ..self }
    }

    /// The keys that the file itself has.
    pub fn keys(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.table.into_iter().flat_map(|table| table.keys()).map(|key| key.get_ref().as_ref())
    }

    /// Whether the file writes this key as a list of nothing.
    pub fn is_empty_list(&self, key: &str) -> bool {
        let value = self.table.and_then(|table| table.get(key));
        value.and_then(|value| value.get_ref().as_array()).is_some_and(|array| array.is_empty())
    }

    /// A text as it stands in the file; `None` for one from elsewhere. Keeps no problem.
    pub fn plain(&self, key: &str) -> Option<&'a str> {
        self.table?.get(key)?.get_ref().as_str()
    }

    /// The keys of a table whose names are free, each with its text. A number or a flag reads as the
    /// text it is written as: people leave the quotes out around an account's number.
    pub fn free_texts(&self) -> Vec<(String, Text)> {
        let mut texts = Vec::new();
        for (key, value) in self.table.into_iter().flat_map(|table| table.iter()) {
            let name: &str = key.get_ref();
            let line = self.reader.line(value.span().start);
            let plain = match value.get_ref() {
                DeValue::Integer(number) if number.radix() == 10 => Some(number.as_str().to_owned()),
                DeValue::Boolean(flag) => Some(flag.to_string()),
                _ => None,
            };
            let text = match plain {
                Some(value) => Some(Text { value, line, origin: Origin::Literal }),
                None => self.read_text(name, &Found { value: value.get_ref(), line }),
            };
            texts.extend(text.map(|text| (name.to_owned(), text)));
        }
        texts
    }

    /// Ends the reading: every key that nobody asked for is unknown.
    pub fn finish(self) {
        self.finish_knowing(|_| None);
    }

    /// As [`Section::finish`]; `belongs` may say where a key that is unknown here has its place.
    pub fn finish_knowing(&self, belongs: impl Fn(&str) -> Option<String>) {
        let asked = self.asked.borrow();
        for name in self.keys().filter(|name| !asked.contains(name)) {
            let known: Vec<&str> = asked.iter().copied().collect();
            let without_unit = || known.iter().find(|key| key.starts_with(&format!("{name}_"))).copied();
            let near = did_you_mean(name, known.iter().copied()).or_else(without_unit);
            let hint = belongs(name).or_else(|| near.map(|near| format!("did you mean `{near}`?")));
            let hint = hint.unwrap_or_else(|| format!("{} may have: {}", self.name, known.join(", ")));
            self.problem(name, format!("unknown key `{name}` in {}", self.name), hint);
        }
    }

    fn inner_name(&self, key: &str) -> String {
        // Only the outermost table has no brackets around its name.
        match self.name.strip_prefix('[') {
            Some(outer) => format!("{}.{key}", outer.trim_matches(['[', ']'])),
            None => key.to_owned(),
        }
    }
}

/// The first of the tables headed `[[key]]`.
fn first_of<'a>(table: &'a DeTable<'a>, key: &str) -> Option<&'a DeTable<'a>> {
    table.get(key)?.get_ref().as_array()?.first()?.get_ref().as_table()
}

fn with_article(word: &str) -> String {
    let vowel = word.starts_with(['a', 'e', 'i', 'o', 'u']);
    if vowel { format!("an {word}") } else { format!("a {word}") }
}
