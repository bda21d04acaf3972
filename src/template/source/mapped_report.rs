//! What a postback turns out to be by its template.

use crate::domain::conversion::Draft;
use crate::domain::ignored::IgnoredReason;
use crate::domain::rejection::note::ReportNote;

/// What a postback is by its template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MappedReport {
    /// It reports a conversion, or something that becomes of one.
    Conversion(Box<Draft>),
    /// It is understood, and of nothing that counts.
    Ignored {
        /// Why.
        reason: IgnoredReason,
        /// What was odd about it.
        notes: Vec<ReportNote>,
    },
}

impl MappedReport {
    /// What it reports of a conversion, where it does.
    pub fn draft(self) -> Option<Draft> {
        match self {
            MappedReport::Conversion(draft) => Some(*draft),
            MappedReport::Ignored { .. } => None,
        }
    }
}
