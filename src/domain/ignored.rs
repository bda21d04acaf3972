//! Why a postback is no conversion and no fault either.

use serde::{Deserialize, Serialize};

use crate::domain::code::{CodedReason, codes};

codes! {
    /// The codes of an [`IgnoredReason`].
    IgnoredCode = "ignored" {
        IgnoredByTemplate = "ignored_by_template",
            "the source's template says that such a postback is not a conversion",
            "nothing to do; where it is a conversion, change the template, then reprocess the postback";
        ChallengeAnswered = "challenge_answered",
            "the network asked whether the address is yours, and was answered",
            "nothing to do";
    }
}

/// Why a postback was ignored.
///
/// It is stored: new variants go to the end, and those that are here keep their order and their fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum IgnoredReason {
    /// A word of the network's means nothing to anyone here, by the source's template.
    ByTemplate {
        /// The parameter that has the word.
        field: String,
        /// The word, which is an event's or a status's and not personal.
        value: String,
    },
    /// A GET with which the network makes sure that the address answers.
    Challenge {
        /// The parameter whose value it wants back.
        field: String,
    },
}

impl CodedReason for IgnoredReason {
    type Code = IgnoredCode;

    fn code(&self) -> IgnoredCode {
        match self {
            IgnoredReason::ByTemplate { .. } => IgnoredCode::IgnoredByTemplate,
            IgnoredReason::Challenge { .. } => IgnoredCode::ChallengeAnswered,
        }
    }

    fn field(&self) -> Option<&str> {
        match self {
            IgnoredReason::ByTemplate { field, .. } | IgnoredReason::Challenge { field } => Some(field),
        }
    }

    fn value(&self) -> Option<&str> {
        match self {
            IgnoredReason::ByTemplate { value, .. } => Some(value),
            IgnoredReason::Challenge { .. } => None,
        }
    }

    fn sentence(&self) -> String {
        match self {
            IgnoredReason::Challenge { field } => {
                format!(
                    "the network asked with `{field}` whether the address is yours, and was sent its value back"
                )
            }
            IgnoredReason::ByTemplate { field, value } => {
                format!("the source's template ignores postbacks whose `{field}` is `{value}`")
            }
        }
    }
}
