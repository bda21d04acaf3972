//! What was found in a pasted postback URL.

use serde::Serialize;

use crate::template::source::url_lint::LintedUrl;
use crate::view::reason::ReasonView;

/// A pasted URL, its key masked, with all findings.
#[derive(Serialize)]
pub struct LintedUrlView {
    /// Whether there is nothing to fix.
    ok: bool,
    url: String,
    findings: Vec<ReasonView>,
}

impl LintedUrlView {
    pub fn of(linted: &LintedUrl) -> LintedUrlView {
        LintedUrlView {
            ok: linted.findings.is_empty(),
            url: linted.shown.clone(),
            findings: ReasonView::all(&linted.findings),
        }
    }
}
