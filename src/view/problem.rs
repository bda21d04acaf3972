//! What is wrong and how to fix it: an error of the API, a problem of the configuration or a template.

use schemars::JsonSchema;
use serde::Serialize;

use crate::template::diagnostic::{LintCode, Problem};
use crate::view::schema::ErrorWord;

/// `{"error":{"code","message","hint"}}`.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Error")]
pub struct ErrorView<'a> {
    error: ErrorParts<'a>,
}

#[derive(Serialize, JsonSchema)]
struct ErrorParts<'a> {
    /// What programs compare: `not_found`, `bad_parameter`…
    #[schemars(with = "ErrorWord")]
    code: &'static str,
    /// What is wrong, for a person.
    message: &'a str,
    /// What to do about it.
    hint: &'a str,
}

impl<'a> ErrorView<'a> {
    pub fn new(code: &'static str, message: &'a str, hint: &'a str) -> ErrorView<'a> {
        ErrorView { error: ErrorParts { code, message, hint } }
    }
}

/// What is wrong, where, and how to fix it.
#[derive(Serialize)]
pub struct DiagnosticView<'a> {
    message: &'a str,
    file: &'a str,
    /// Null where it is not known.
    line: Option<u64>,
    hint: &'a str,
    /// Of a rule of templates or a warning about a source that has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
}

impl<'a> DiagnosticView<'a> {
    pub fn of(problem: &'a Problem) -> DiagnosticView<'a> {
        let (file, line) = match problem.at.rsplit_once(':') {
            Some((file, line)) if line.bytes().all(|b| b.is_ascii_digit()) => (file, line.parse().ok()),
            _ => (problem.at.as_str(), None),
        };
        let code = problem.code.map(LintCode::as_str);
        DiagnosticView { message: &problem.what, file, line, hint: &problem.hint, code }
    }
}
