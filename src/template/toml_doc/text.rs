//! What a document's keys hold: a text with its place, which may be a secret, or a scalar of any type.

use std::fmt;

use toml::de::DeValue;

use crate::template::diagnostic::{Problem, did_you_mean};
use crate::template::toml_doc::outside::TextOrigin;

/// A text with its place; it may be a secret, so it is shown by [`Text::shown`] only.
#[derive(Clone, Default)]
pub struct Text {
    pub value: String,
    pub line: usize,
    pub(super) origin: TextOrigin,
}

impl Text {
    /// For messages: the text itself, or where it is from when it is outside the document.
    pub fn shown(&self) -> String {
        match &self.origin {
            TextOrigin::Literal => format!("`{}`", self.value),
            TextOrigin::Env(name) => format!("the value of ${name}"),
            TextOrigin::File(path) => format!("the content of {path}"),
        }
    }

    /// Whether it is outside the document, where people keep secrets.
    pub fn is_from_outside(&self) -> bool {
        self.origin != TextOrigin::Literal
    }

    /// The file that it is from, as the document writes it.
    pub fn file(&self) -> Option<&str> {
        match &self.origin {
            TextOrigin::File(path) => Some(path),
            TextOrigin::Literal | TextOrigin::Env(_) => None,
        }
    }

    /// A problem that was worded by code that knows only the text: it may quote it no more than
    /// [`Text::shown`].
    pub fn masked(&self, problem: Problem) -> Problem {
        let shown = self.shown();
        let mut what = problem.what;
        for quoted in [self.value.trim().to_owned(), self.value.trim().escape_debug().to_string()] {
            what = what.replace(&format!("`{quoted}`"), &shown);
        }
        Problem { what, ..problem }
    }

    /// The meaning of one of a few words.
    ///
    /// # Errors
    /// It is none of them; the problem names them, or the one that was surely meant.
    pub fn one_of<T: Copy>(&self, words: &[(&str, T)]) -> Result<T, Problem> {
        if let Some((_, meaning)) = words.iter().find(|(word, _)| *word == self.value) {
            return Ok(*meaning);
        }
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let hint = match did_you_mean(&self.value, known.iter().copied()) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => format!("write one of: {}", known.join(", ")),
        };
        Err(Problem::new(format!("{} is none of {}", self.shown(), known.join(", ")), hint))
    }
}

/// A value of a type that may vary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scalar {
    Text(String),
    Integer(i64),
    Truth(bool),
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scalar::Text(text) => write!(f, "`{text}`"),
            Scalar::Integer(number) => write!(f, "{number}"),
            Scalar::Truth(truth) => write!(f, "{truth}"),
        }
    }
}

impl Scalar {
    pub(super) fn read(value: &DeValue<'_>) -> Option<Scalar> {
        match value {
            DeValue::String(text) => Some(Scalar::Text(text.to_string())),
            DeValue::Boolean(truth) => Some(Scalar::Truth(*truth)),
            DeValue::Integer(number) => {
                let plain = number.as_str().replace('_', "");
                i64::from_str_radix(&plain, number.radix()).ok().map(Scalar::Integer)
            }
            _ => None,
        }
    }
}
