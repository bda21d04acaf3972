//! A reason: the code that programs compare, what it is about, and the same for a person.

use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::code::{CodedReason, ReasonCode};
use crate::domain::delivery::ReplyVerdict;
use crate::domain::postback::Verdict;
use crate::domain::rejection::note::{ReportNote, notes_text};
use crate::domain::unsent::Undelivered;

/// Flattened into what has a reason; every member is null where there is none.
#[derive(PartialEq, Eq, Default, Serialize, JsonSchema)]
#[schemars(rename = "Reason")]
pub struct ReasonView {
    reason_code: Option<&'static str>,
    /// The parameter, field, header or key that it is about.
    field: Option<String>,
    /// What was there, where it is not personal.
    value: Option<String>,
    reason: Option<String>,
    /// What a person can do.
    hint: Option<String>,
}

impl ReasonView {
    pub fn of(reason: &impl CodedReason) -> ReasonView {
        ReasonView {
            reason_code: Some(reason.code().as_str()),
            field: reason.field().map(str::to_owned),
            value: reason.value().map(str::to_owned),
            reason: Some(reason.sentence()),
            hint: Some(reason.hint()),
        }
    }

    /// All of some reasons: what is remarked of a conversion or a request, say.
    pub fn all<'a, R: CodedReason + 'a>(reasons: impl IntoIterator<Item = &'a R>) -> Vec<ReasonView> {
        reasons.into_iter().map(ReasonView::of).collect()
    }

    /// Why a delivery is not delivered.
    pub fn of_undelivered(reason: &Undelivered<'_>) -> ReasonView {
        match reason {
            Undelivered::Dead(reason) => ReasonView::of(*reason),
            Undelivered::Skipped(reason) => ReasonView::of(*reason),
            Undelivered::Unsent(unsent) => ReasonView::of(unsent),
        }
    }

    /// Why an attempt did not deliver; empty where it did.
    pub fn of_verdict(verdict: &ReplyVerdict) -> ReasonView {
        match verdict {
            ReplyVerdict::Delivered { .. } => ReasonView::default(),
            ReplyVerdict::Retry { reason, .. } => ReasonView::of(reason),
            ReplyVerdict::Dead { reason } => ReasonView::of(reason),
            ReplyVerdict::Park { reason } => ReasonView::of(reason),
            ReplyVerdict::Skipped { reason } => ReasonView::of(reason),
        }
    }

    /// Why a report is no conversion; of one that is the hint says what was odd about it.
    pub fn of_report(verdict: &Verdict, notes: &[ReportNote]) -> ReasonView {
        match verdict {
            Verdict::Quarantined(rejection) | Verdict::Refused(rejection) => ReasonView::of(rejection),
            Verdict::Ignored(reason) => ReasonView::of(reason),
            Verdict::Accepted { .. } | Verdict::Updated { .. } | Verdict::Duplicate { .. } => {
                ReasonView { hint: notes_text(notes), ..ReasonView::default() }
            }
        }
    }

    /// What is noted; `code` is the note's own, and why something is missing is another.
    fn of_note(note: &ReportNote) -> ReasonView {
        ReasonView { reason_code: note.why(), ..ReasonView::of(note) }
    }

    /// The code; empty where there is no reason.
    pub fn code(&self) -> &str {
        self.reason_code.unwrap_or_default()
    }

    /// The sentence; empty where there is no reason.
    pub fn sentence(&self) -> &str {
        self.reason.as_deref().unwrap_or_default()
    }

    /// What a person can do; empty where there is no reason.
    pub fn hint(&self) -> &str {
        self.hint.as_deref().unwrap_or_default()
    }
}

/// What was odd about a report or a click and did not stop it.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Note")]
pub struct NoteView {
    /// What was done: `left_out`, `cut`, or how it was read.
    code: &'static str,
    /// Its code says why something is missing; null where `code` says all.
    #[serde(flatten)]
    why: ReasonView,
}

impl NoteView {
    pub fn of(note: &ReportNote) -> NoteView {
        NoteView { code: note.code().as_str(), why: ReasonView::of_note(note) }
    }

    pub fn all<'a>(notes: impl IntoIterator<Item = &'a ReportNote>) -> Vec<NoteView> {
        notes.into_iter().map(NoteView::of).collect()
    }
}
