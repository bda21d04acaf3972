//! An error: what is wrong, as a code and a sentence, and how to fix it.

use serde::Serialize;

/// `{"error":{"code","message","hint"}}`.
#[derive(Serialize)]
pub struct ErrorView<'a> {
    error: ErrorParts<'a>,
}

#[derive(Serialize)]
struct ErrorParts<'a> {
    code: &'a str,
    message: &'a str,
    hint: &'a str,
}

impl<'a> ErrorView<'a> {
    pub fn new(code: &'a str, message: &'a str, hint: &'a str) -> ErrorView<'a> {
        ErrorView { error: ErrorParts { code, message, hint } }
    }
}
