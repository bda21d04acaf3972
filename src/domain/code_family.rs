//! All families of codes, for those who list them.

use crate::domain::candidate::NotChosenCode;
use crate::domain::clock_rule::ClockDoubtCode;
use crate::domain::code::ReasonCode;
use crate::domain::delivery_reason::{DeathCode, ParkCode, RetryCode, RetryRefusedCode};
use crate::domain::erasure::subject::SubjectRefusedCode;
use crate::domain::error_code::ErrorCode;
use crate::domain::filter_verdict::FilterHitCode;
use crate::domain::history::ChangedField;
use crate::domain::ignored::IgnoredCode;
use crate::domain::import_refusal::ImportRefusedCode;
use crate::domain::omission::OmissionReason;
use crate::domain::rejection::code::RejectionCode;
use crate::domain::rejection::note::NoteCode;
use crate::domain::remark::RemarkCode;
use crate::domain::reprocess_refusal::ReprocessRefusedCode;
use crate::domain::secret_store::SecretNotKeptCode;
use crate::domain::skip::SkipCode;
use crate::domain::status_move::MoveRefused;
use crate::domain::status_reason::StatusReasonCode;
use crate::domain::test_event::TestRefusedCode;
use crate::domain::unsent::UnsentCode;
use crate::domain::url_finding::UrlFindingCode;

/// One family, with its codes. The same word may be a code of several families.
pub struct CodeFamily {
    /// [`ReasonCode::FAMILY`].
    pub word: &'static str,
    /// In the order of the documentation.
    pub codes: Vec<ExplainedCode>,
}

/// A code as it is written, with its sentences.
pub struct ExplainedCode {
    /// [`ReasonCode::as_str`].
    pub code: &'static str,
    /// What it means, as a sentence without its end.
    pub meaning: &'static str,
    /// What a person can do about it, as a sentence without its end.
    pub fix: &'static str,
}

impl CodeFamily {
    /// Every family, in the order of `docs/reason-codes.md`.
    pub fn all() -> Vec<CodeFamily> {
        vec![
            CodeFamily::of::<RejectionCode>(),
            CodeFamily::of::<NoteCode>(),
            CodeFamily::of::<IgnoredCode>(),
            CodeFamily::of::<SkipCode>(),
            CodeFamily::of::<DeathCode>(),
            CodeFamily::of::<RetryCode>(),
            CodeFamily::of::<ParkCode>(),
            CodeFamily::of::<UnsentCode>(),
            CodeFamily::of::<RetryRefusedCode>(),
            CodeFamily::of::<RemarkCode>(),
            CodeFamily::of::<StatusReasonCode>(),
            CodeFamily::of::<MoveRefused>(),
            CodeFamily::of::<ReprocessRefusedCode>(),
            CodeFamily::of::<ChangedField>(),
            CodeFamily::of::<NotChosenCode>(),
            CodeFamily::of::<FilterHitCode>(),
            CodeFamily::of::<OmissionReason>(),
            CodeFamily::of::<ImportRefusedCode>(),
            CodeFamily::of::<ClockDoubtCode>(),
            CodeFamily::of::<TestRefusedCode>(),
            CodeFamily::of::<SecretNotKeptCode>(),
            CodeFamily::of::<UrlFindingCode>(),
            CodeFamily::of::<SubjectRefusedCode>(),
            CodeFamily::of::<ErrorCode>(),
        ]
    }

    fn of<C: ReasonCode>() -> CodeFamily {
        let explained =
            |code: &C| ExplainedCode { code: code.as_str(), meaning: code.meaning(), fix: code.fix() };
        CodeFamily { word: C::FAMILY, codes: C::ALL.iter().map(explained).collect() }
    }
}
