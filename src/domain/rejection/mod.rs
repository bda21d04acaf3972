//! Why a report was quarantined or refused: closed codes with typed fields, and what may explain them.

pub mod access;
pub mod body;
pub mod click_not_taken;
pub mod code;
pub mod note;
pub mod param;
pub mod sale;
pub mod signature;
pub mod wanted;

use serde::{Deserialize, Serialize};

use crate::domain::code::CodedReason;
use crate::domain::rejection::access::AccessProblem;
use crate::domain::rejection::body::BodyProblem;
use crate::domain::rejection::code::RejectionCode;
use crate::domain::rejection::note::{ReportNote, notes_text};
use crate::domain::rejection::param::{ParamFault, ParamProblem};
use crate::domain::rejection::sale::SaleProblem;
use crate::domain::rejection::signature::SignatureProblem;

/// One thing that is wrong with a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum RejectionCause {
    /// One of its parameters.
    Param(ParamProblem),
    /// Its body, or its parameters as a whole.
    Body(BodyProblem),
    /// The sale or the click that it names.
    Sale(SaleProblem),
    /// Whether it may be reported at all, and by its sender.
    Access(AccessProblem),
    /// Its signature, or where it was sent from.
    Signature(SignatureProblem),
}

/// Why something was not taken as it was received. What programs compare is the first cause's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejection(Box<Causes>);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Causes {
    first: RejectionCause,
    others: Vec<RejectionCause>,
    /// What was repaired on the way, or may explain it.
    notes: Vec<ReportNote>,
}

impl<T: Into<RejectionCause>> From<T> for Rejection {
    fn from(cause: T) -> Rejection {
        Rejection(Box::new(Causes { first: cause.into(), others: Vec::new(), notes: Vec::new() }))
    }
}

impl From<ParamProblem> for RejectionCause {
    fn from(problem: ParamProblem) -> RejectionCause {
        RejectionCause::Param(problem)
    }
}

impl From<BodyProblem> for RejectionCause {
    fn from(problem: BodyProblem) -> RejectionCause {
        RejectionCause::Body(problem)
    }
}

impl From<SaleProblem> for RejectionCause {
    fn from(problem: SaleProblem) -> RejectionCause {
        RejectionCause::Sale(problem)
    }
}

impl From<AccessProblem> for RejectionCause {
    fn from(problem: AccessProblem) -> RejectionCause {
        RejectionCause::Access(problem)
    }
}

impl From<SignatureProblem> for RejectionCause {
    fn from(problem: SignatureProblem) -> RejectionCause {
        RejectionCause::Signature(problem)
    }
}

impl Rejection {
    /// The same with more that is wrong.
    #[must_use]
    pub fn and(mut self, others: impl IntoIterator<Item = ParamProblem>) -> Rejection {
        self.0.others.extend(others.into_iter().map(RejectionCause::Param));
        self
    }

    /// The same with notes that may explain it.
    #[must_use]
    pub fn with_notes(mut self, notes: impl IntoIterator<Item = ReportNote>) -> Rejection {
        self.0.notes.extend(notes);
        self
    }

    /// Whether it is a report that may count later as it was received: once the configuration allows it, or a
    /// person has made room for it.
    pub fn may_reopen(&self) -> bool {
        self.0.first.may_reopen()
    }

    /// Whether its signature or its sender's address is refused, whatever it says.
    pub fn is_of_signature(&self) -> bool {
        matches!(self.0.first, RejectionCause::Signature(_))
    }

    /// What is wrong with its body, or its parameters as a whole, where that is the first thing.
    pub fn body_problem(&self) -> Option<&BodyProblem> {
        match &self.0.first {
            RejectionCause::Body(problem) => Some(problem),
            _ => None,
        }
    }

    /// The same without the values that were received, in whose place is `marker`, and without its notes.
    #[must_use]
    pub fn without_values(&self, marker: &str) -> Rejection {
        let mut causes = Causes { notes: Vec::new(), ..(*self.0).clone() };
        for cause in std::iter::once(&mut causes.first).chain(&mut causes.others) {
            cause.take_values(marker);
        }
        Rejection(Box::new(causes))
    }

    /// Everything that is wrong, the first thing first.
    pub fn causes(&self) -> impl Iterator<Item = &RejectionCause> {
        std::iter::once(&self.0.first).chain(&self.0.others)
    }
}

impl CodedReason for Rejection {
    type Code = RejectionCode;

    fn code(&self) -> RejectionCode {
        self.0.first.code()
    }

    fn field(&self) -> Option<&str> {
        self.0.first.field()
    }

    fn value(&self) -> Option<&str> {
        self.0.first.value()
    }

    fn sentence(&self) -> String {
        let sentences: Vec<String> = self.causes().map(CodedReason::sentence).collect();
        sentences.join("; ")
    }

    /// Each hint once, then the notes.
    fn hint(&self) -> String {
        let mut hints: Vec<String> = Vec::new();
        for hint in self.causes().map(CodedReason::hint).chain(notes_text(&self.0.notes)) {
            if !hints.contains(&hint) {
                hints.push(hint);
            }
        }
        hints.join("; ")
    }
}

impl RejectionCause {
    /// The one that it is: everything that is said of a cause is said by it.
    fn problem(&self) -> &dyn CodedReason<Code = RejectionCode> {
        match self {
            RejectionCause::Param(problem) => problem,
            RejectionCause::Body(problem) => problem,
            RejectionCause::Sale(problem) => problem,
            RejectionCause::Access(problem) => problem,
            RejectionCause::Signature(problem) => problem,
        }
    }

    fn take_values(&mut self, marker: &str) {
        match self {
            RejectionCause::Param(problem) => {
                problem.value.iter_mut().for_each(|value| marker.clone_into(value));
                match &mut problem.wrong {
                    ParamFault::UnexpandedMacro { decoded: Some(text) }
                    | ParamFault::CutAtFragment { unexpanded: text }
                    | ParamFault::DifferentValues { other_value: text, .. } => marker.clone_into(text),
                    _ => {}
                }
            }
            RejectionCause::Sale(SaleProblem::UnknownTransaction { received: Some(received), .. }) => {
                marker.clone_into(&mut received.text);
            }
            RejectionCause::Body(
                BodyProblem::BrokenJson { error } | BodyProblem::InvalidMessage { error },
            ) => marker.clone_into(error),
            RejectionCause::Body(_)
            | RejectionCause::Sale(_)
            | RejectionCause::Access(_)
            | RejectionCause::Signature(_) => {}
        }
    }

    fn may_reopen(&self) -> bool {
        match self {
            RejectionCause::Param(_) | RejectionCause::Body(_) | RejectionCause::Signature(_) => false,
            RejectionCause::Sale(problem) => problem.may_reopen(),
            RejectionCause::Access(problem) => problem.may_reopen(),
        }
    }
}

impl CodedReason for RejectionCause {
    type Code = RejectionCode;

    fn code(&self) -> RejectionCode {
        self.problem().code()
    }

    fn field(&self) -> Option<&str> {
        self.problem().field()
    }

    fn value(&self) -> Option<&str> {
        self.problem().value()
    }

    fn sentence(&self) -> String {
        self.problem().sentence()
    }

    fn hint(&self) -> String {
        self.problem().hint()
    }
}
