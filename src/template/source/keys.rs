//! What the sections of a source template share: a key that is missing, a word of a list, a parameter's name.

use std::ops::Range;

use toml::Spanned;

use crate::template::toml_reader::TomlReader;

/// Says that a key must be there, and how it looks.
pub(crate) fn missing(reader: &mut TomlReader<'_>, key: &str, example: &str) {
    reader.problem(&(0..0), format!("`{key}` is missing"), format!("write {example}"));
}

/// One of a few words; another is a problem that lists them.
pub(crate) fn choose<T: Copy>(
    reader: &mut TomlReader<'_>,
    word: &Spanned<String>,
    key: &str,
    known: &[(&str, T)],
) -> Option<T> {
    let found = known.iter().find(|(known, _)| known == word.get_ref()).map(|(_, meaning)| *meaning);
    if found.is_none() {
        let words: Vec<String> = known.iter().map(|(word, _)| format!("\"{word}\"")).collect();
        reader.problem(
            &word.span(),
            format!("`{key}` cannot be `{}`", word.get_ref()),
            format!("use one of {}", words.join(", ")),
        );
    }
    found
}

/// A name that can stand in a URL as it is.
pub(crate) fn param_name(reader: &mut TomlReader<'_>, name: &str, span: &Range<usize>) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'[' | b']');
    let fine = !name.is_empty() && name.bytes().all(allowed);
    if !fine {
        reader.problem(span, format!("`{name}` is no parameter name"), "use letters, digits, _ - . [ ]");
    }
    fine
}
