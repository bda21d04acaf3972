//! One table of a document, asked key by key: a key that was never asked for is unknown, and a problem.

mod values;

use std::cell::RefCell;
use std::collections::BTreeSet;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::template::diagnostic::{Problem, did_you_mean};
use crate::template::toml_doc::document::Document;

/// Reads the document `text`, which problems call `file`, by `build`, which keeps a problem wherever it
/// returns `None`.
///
/// # Errors
/// Every problem of the document at once, each with its line.
pub fn read<T>(
    file: &str,
    text: &str,
    build: impl FnOnce(&Table<'_>) -> Option<T>,
) -> Result<T, Vec<Problem>> {
    let document = Document::new(file, text);
    let mut built = None;
    if let Some(table) = document.parse() {
        let root = Table::root(&document, &table, None);
        built = build(&root);
        root.finish();
    }
    let (mut problems, _) = document.into_findings();
    match built {
        Some(built) if problems.is_empty() => return Ok(built),
        None if problems.is_empty() => {
            problems.push(Problem::new("it was not understood", "please report this file").in_file(file));
        }
        _ => {}
    }
    Err(problems)
}

/// One table of a document.
pub struct Table<'a> {
    document: &'a Document<'a>,
    /// How messages call it: `[server]`, `[[source]]`.
    name: String,
    line: usize,
    table: Option<&'a DeTable<'a>>,
    defaults: Option<&'a DeTable<'a>>,
    /// The only keys that have a default here; `None`: all that `defaults` has.
    defaulted: Option<&'static [&'static str]>,
    asked: RefCell<BTreeSet<&'a str>>,
}

const ROOT: &str = "the file";

impl<'a> Table<'a> {
    /// The document's outermost table. What it leaves out is as in `defaults`.
    pub fn root(
        document: &'a Document<'a>,
        table: &'a DeTable<'a>,
        defaults: Option<&'a DeTable<'a>>,
    ) -> Table<'a> {
        Table::new(document, ROOT.to_owned(), 1, Some(table)).or(defaults)
    }

    /// A table without defaults.
    fn new(
        document: &'a Document<'a>,
        name: String,
        line: usize,
        table: Option<&'a DeTable<'a>>,
    ) -> Table<'a> {
        Table { document, name, line, table, defaults: None, defaulted: None, asked: RefCell::default() }
    }

    fn or(self, defaults: Option<&'a DeTable<'a>>) -> Table<'a> {
        Table { defaults, ..self }
    }

    pub fn document(&self) -> &'a Document<'a> {
        self.document
    }

    /// How messages call it: `[server]`, `[[source]]`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The line of the table's head.
    pub fn line(&self) -> usize {
        self.line
    }

    /// The line of a key, or of the table's head where the key is absent.
    pub fn line_of(&self, key: &str) -> usize {
        let place = |(name, _): (&Spanned<_>, _)| self.document.line(name.span().start);
        self.table.and_then(|table| table.get_key_value(key)).map_or(self.line, place)
    }

    /// Keeps a problem at this key's line.
    pub fn problem(&self, key: &str, what: impl Into<String>, hint: impl Into<String>) {
        self.document.problem(self.line_of(key), Problem::new(what, hint));
    }

    /// Keeps a problem with the table as a whole.
    pub fn head_problem(&self, what: impl Into<String>, hint: impl Into<String>) {
        self.document.problem(self.line, Problem::new(what, hint));
    }

    /// Keeps a remark at this key's line.
    pub fn warning(&self, key: &str, what: impl Into<String>, hint: impl Into<String>) {
        self.document.warning(self.line_of(key), Problem::new(what, hint));
    }

    /// Whether the document itself (not only its defaults) has the key, which is known from then on.
    pub fn has(&self, key: &'a str) -> bool {
        self.ask(key).is_some()
    }

    fn ask(&self, key: &'a str) -> Option<&'a DeValue<'a>> {
        self.asked.borrow_mut().insert(key);
        self.value(key)
    }

    /// The keys that the document itself has, in its order.
    pub fn keys(&self) -> Vec<&'a str> {
        let mut keys: Vec<_> = self.table.into_iter().flat_map(DeTable::keys).collect();
        keys.sort_by_key(|key| key.span().start);
        keys.into_iter().map(|key| key.get_ref().as_ref()).collect()
    }

    /// Whether the document has a list under the key.
    pub fn is_list(&self, key: &str) -> bool {
        self.value(key).is_some_and(|value| value.as_array().is_some())
    }

    /// Whether the document writes this key as a list of nothing.
    pub fn is_empty_list(&self, key: &str) -> bool {
        self.value(key).and_then(DeValue::as_array).is_some_and(|array| array.is_empty())
    }

    /// A text as it is written in the document; `None` for one from elsewhere. Keeps no problem.
    pub fn plain(&self, key: &str) -> Option<&'a str> {
        self.value(key)?.as_str()
    }

    fn value(&self, key: &str) -> Option<&'a DeValue<'a>> {
        self.table?.get(key).map(Spanned::get_ref)
    }

    fn wrong_type(&self, key: &str, line: usize, found: &DeValue<'_>, wanted: &str) {
        let what = format!("`{key}` in {} is {}, not {wanted}", self.name, with_article(found.type_str()));
        self.document.problem(line, Problem::new(what, format!("write `{key}` as {wanted}")));
    }

    /// A table inside this one, where the document has it.
    pub fn table(&self, key: &'a str) -> Option<Table<'a>> {
        if self.has(key) { self.table_or_empty(key) } else { None }
    }

    /// As [`Table::table`], read by `read` and finished.
    pub fn read_table<T>(&self, key: &'a str, read: impl FnOnce(&Table<'a>) -> T) -> Option<T> {
        self.table(key).map(|table| table.read_whole(read))
    }

    /// A table inside this one that reads as empty where it is absent; `None` where it is not a table.
    pub fn table_or_empty(&self, key: &'a str) -> Option<Table<'a>> {
        Some(Table { defaults: None, ..self.table_or_default(key)? })
    }

    /// A table inside this one, in which what is absent is as in the defaults; `None` where it is not a table.
    pub fn table_or_default(&self, key: &'a str) -> Option<Table<'a>> {
        let value = self.ask(key);
        let (name, line) = (self.inner_name(key), self.line_of(key));
        let table = value.and_then(DeValue::as_table);
        if let (Some(value), None) = (value, table) {
            self.wrong_type(key, line, value, &format!("a table headed `[{name}]`"));
            return None;
        }
        let defaults =
            self.defaults.and_then(|all| all.get(key)).and_then(|value| value.get_ref().as_table());
        Some(Table::new(self.document, format!("[{name}]"), line, table).or(defaults))
    }

    /// A table at the top of the document as it is where the document leaves it out; for one that is there
    /// and cannot be used.
    pub fn default_of(&self, key: &'a str) -> Option<Table<'a>> {
        let defaults = self.defaults?.get(key)?.get_ref().as_table();
        Some(Table::new(self.document, format!("[{key}]"), 0, None).or(defaults))
    }

    /// The tables headed `[[key]]`, or written as a list of inline tables.
    pub fn tables(&self, key: &'a str) -> Vec<Table<'a>> {
        self.tables_or_default(key, &[])
    }

    /// As [`Table::tables`], each read by `read` and finished.
    pub fn read_tables<T>(&self, key: &'a str, mut read: impl FnMut(&Table<'a>) -> T) -> Vec<T> {
        self.tables(key).into_iter().map(|table| table.read_whole(&mut read)).collect()
    }

    /// As [`Table::tables`]. Only the keys in `defaulted` have a default: that of the first such table of
    /// the defaults.
    pub fn tables_or_default(&self, key: &'a str, defaulted: &'static [&'static str]) -> Vec<Table<'a>> {
        let Some(value) = self.ask(key) else { return Vec::new() };
        let name = self.inner_name(key);
        let wanted = format!("a list of tables, each headed `[[{name}]]`");
        let Some(array) = value.as_array() else {
            self.wrong_type(key, self.line_of(key), value, &wanted);
            return Vec::new();
        };
        let defaults = self.defaults.and_then(|all| first_of(all, key));
        let read = |item: &'a Spanned<DeValue<'a>>| {
            let line = self.document.line(item.span().start);
            let table = item.get_ref().as_table();
            if table.is_none() {
                self.wrong_type(key, line, item.get_ref(), &wanted);
            }
            let table = Table::new(self.document, format!("[[{name}]]"), line, Some(table?)).or(defaults);
            Some(Table { defaulted: Some(defaulted), ..table })
        };
        array.iter().filter_map(read).collect()
    }

    /// The same table, whose defaults are those of another place of the default document: for the keys in
    /// `defaulted`, the table `path.1` of its first example of `path.0`.
    pub fn with_defaults_of(
        self,
        root: &Table<'a>,
        path: [&str; 2],
        defaulted: &'static [&'static str],
    ) -> Table<'a> {
        let [outer, inner] = path;
        let first = root.defaults.and_then(|all| first_of(all, outer));
        let defaults = first.and_then(|table| table.get(inner)).and_then(|value| value.get_ref().as_table());
        Table { defaulted: Some(defaulted), ..self.or(defaults) }
    }

    fn read_whole<T>(self, read: impl FnOnce(&Table<'a>) -> T) -> T {
        let read = read(&self);
        self.finish();
        read
    }

    /// Ends the reading: every key that was not asked for is unknown.
    pub fn finish(&self) {
        self.finish_knowing(|_| None);
    }

    /// As [`Table::finish`]; `belongs` may say where a key that is unknown here has its place.
    pub fn finish_knowing(&self, belongs: impl Fn(&str) -> Option<String>) {
        let known: Vec<&str> = self.asked.borrow().iter().copied().collect();
        for key in self.keys().into_iter().filter(|key| !known.contains(key)) {
            self.unknown(key, &known, belongs(key));
        }
    }

    /// Keeps the problem that `key` is none of the `known`; `belongs` says where it has its place.
    pub fn unknown(&self, key: &str, known: &[&str], belongs: Option<String>) {
        let without_unit = || known.iter().find(|known| known.starts_with(&format!("{key}_"))).copied();
        let near = did_you_mean(key, known.iter().copied()).or_else(without_unit);
        let hint = belongs.or_else(|| near.map(|near| format!("did you mean `{near}`?")));
        let hint = hint.unwrap_or_else(|| format!("{} may have: {}", self.name, known.join(", ")));
        self.problem(key, format!("unknown key `{key}` in {}", self.name), hint);
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
