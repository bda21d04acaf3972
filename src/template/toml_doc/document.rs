//! One TOML document that is being read: its lines, and what was found wrong with it so far.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use toml::de::DeTable;

use crate::template::diagnostic::Problem;
use crate::template::toml_doc::outside::Env;

/// A document and its findings. Problems are gathered, so that a person sees all of them at once.
pub struct Document<'a> {
    file: &'a str,
    text: &'a str,
    /// Where each line ends: a document of thousands of tables is asked for its lines as often.
    line_ends: Vec<usize>,
    /// Where `{ env = … }` is looked up; `None`: a text is written in the document itself.
    env: Option<Env<'a>>,
    /// The folder that relative paths start from.
    base: PathBuf,
    problems: RefCell<Vec<(usize, Problem)>>,
    warnings: RefCell<Vec<(usize, Problem)>>,
}

impl<'a> Document<'a> {
    /// The document `text`, which problems call `file`; relative paths start from that file's folder.
    pub fn new(file: &'a str, text: &'a str) -> Document<'a> {
        let base = Path::new(file).parent().map_or_else(PathBuf::new, Path::to_path_buf);
        let line_ends = memchr::memchr_iter(b'\n', text.as_bytes()).collect();
        let (problems, warnings) = (RefCell::default(), RefCell::default());
        Document { file, text, line_ends, env: None, base, problems, warnings }
    }

    /// The same document, in which any text may also be `{ env = … }` or `{ file = … }`.
    pub fn with_env(self, env: Env<'a>) -> Document<'a> {
        Document { env: Some(env), ..self }
    }

    /// The document's content.
    pub fn text(&self) -> &'a str {
        self.text
    }

    pub(super) fn env(&self) -> Option<Env<'a>> {
        self.env
    }

    /// `path` as seen from the document's folder.
    pub fn path(&self, path: &str) -> PathBuf {
        self.base.join(path)
    }

    /// Parses the whole text. Faults of syntax are kept, and then there is no table to go on with.
    pub fn parse(&self) -> Option<DeTable<'a>> {
        let (table, errors) = DeTable::parse_recoverable(self.text);
        for error in &errors {
            let line = error.span().map_or(0, |span| self.line(span.start));
            let message = error.message().trim().replace('\n', ", ");
            let hint = if message.contains("duplicate key") {
                "keep one of the two; only tables headed in double brackets, such as [[source]], repeat"
            } else {
                "see https://toml.io for the syntax: texts are in double quotes, lists in brackets"
            };
            self.problem(line, Problem::new(format!("this is not TOML: {message}"), hint));
        }
        errors.is_empty().then(|| table.into_inner())
    }

    /// Keeps a problem found at `line`; 0 is the document as a whole.
    pub fn problem(&self, line: usize, problem: Problem) {
        self.problems.borrow_mut().push((line, self.placed(line, problem)));
    }

    /// Keeps a problem that has its own place, such as one inside a template; it goes before those of this
    /// document, which may follow from it.
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

    /// Every problem and every warning, each list in the order of the document. A table that was read twice
    /// has its problems once.
    pub fn into_findings(self) -> (Vec<Problem>, Vec<Problem>) {
        let sorted = |found: RefCell<Vec<(usize, Problem)>>| {
            let mut found = found.into_inner();
            found.sort_by_key(|(line, _)| *line);
            let mut problems: Vec<Problem> = found.into_iter().map(|(_, problem)| problem).collect();
            problems.dedup();
            problems
        };
        (sorted(self.problems), sorted(self.warnings))
    }

    /// How problems name a line of the document.
    pub fn place(&self, line: usize) -> String {
        format!("{}:{line}", self.file)
    }

    /// The line of a byte offset, counted from 1.
    pub(super) fn line(&self, offset: usize) -> usize {
        self.line_ends.partition_point(|end| *end < offset) + 1
    }
}
