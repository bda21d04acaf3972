//! Which parameter has which words: the conditions of `[number] negative_when` and of `[[event.rules]]`.

use crate::domain::text::trim;
use crate::template::source::param_names::ParamNames;
use crate::template::toml_doc::table::Table;
use crate::template::toml_doc::text::Text;

/// A parameter, and the words of which it has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ParamWords {
    pub(crate) param: usize,
    /// In lower case. None: any that it has.
    words: Vec<String>,
}

/// In place of words: whatever the parameter has.
pub(crate) const ANY: &str = "*";

impl ParamWords {
    /// `words` as they are written in the template.
    pub(crate) fn of(param: usize, words: &[Text]) -> ParamWords {
        let is_any = words.iter().any(|word| word.value == ANY);
        let words = words.iter().map(|word| trim(&word.value).to_lowercase());
        ParamWords { param, words: if is_any { Vec::new() } else { words.collect() } }
    }

    /// Whether a value is one of the words that are written.
    pub(crate) fn names(&self, value: &str) -> bool {
        self.words.contains(&trim(value).to_lowercase())
    }

    /// Whether a value that is there is one of the words; case and spaces around it do not count.
    pub(crate) fn has(&self, value: &str) -> bool {
        self.words.is_empty() || self.names(value)
    }
}

/// Reads a table of parameters, each with its word or words.
pub(crate) fn read(table: &Table<'_>, names: &mut ParamNames) -> Vec<ParamWords> {
    let mut found = Vec::new();
    for key in table.keys() {
        let words = table.readable_texts(key);
        match names.read(key) {
            Ok(_) if words.is_empty() => {
                table.problem(key, format!("`{key}` names no word"), format!("write {key} = \"refund\""));
            }
            Ok(param) => found.push(ParamWords::of(param, &words)),
            Err(problem) => table.problem(key, problem.what, problem.hint),
        }
    }
    found
}
