//! What can be wrong with a request's body or its parameters as a whole.

use serde::{Deserialize, Serialize};

use crate::domain::code::{CodedReason, ReasonCode};
use crate::domain::rejection::code::RejectionCode;

/// What cannot be read of a request.
///
/// It is stored: new variants go to the end, and those that are here keep their order and their fields.
#[allow(missing_docs, reason = "a variant is the `RejectionCode` of the same name, which has its meaning")]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum BodyProblem {
    TooManyParameters {
        most: u64,
    },
    JsonArray,
    NotAnObject,
    /// `field`: the dotted name of what is too deep.
    JsonTooDeep {
        field: String,
        most: u64,
    },
    /// The error is the parser's, with line and column.
    BrokenJson {
        error: String,
    },
    BrokenMultipart,
    /// As the header `Content-Encoding` has it.
    UnsupportedEncoding {
        encoding: String,
    },
    DamagedEncoding {
        encoding: String,
    },
    /// The tag's. The error names the member.
    InvalidMessage {
        error: String,
    },
    TooLarge,
    /// A click of an own server.
    NoClickObject,
}

impl CodedReason for BodyProblem {
    type Code = RejectionCode;

    fn code(&self) -> RejectionCode {
        match self {
            BodyProblem::TooManyParameters { .. } => RejectionCode::TooManyParameters,
            BodyProblem::JsonArray => RejectionCode::JsonArray,
            BodyProblem::NotAnObject => RejectionCode::NotAnObject,
            BodyProblem::JsonTooDeep { .. } => RejectionCode::JsonTooDeep,
            BodyProblem::BrokenJson { .. } => RejectionCode::BrokenJson,
            BodyProblem::BrokenMultipart => RejectionCode::BrokenMultipart,
            BodyProblem::UnsupportedEncoding { .. } => RejectionCode::UnsupportedEncoding,
            BodyProblem::DamagedEncoding { .. } => RejectionCode::DamagedEncoding,
            BodyProblem::InvalidMessage { .. } => RejectionCode::InvalidMessage,
            BodyProblem::TooLarge => RejectionCode::BodyTooLarge,
            BodyProblem::NoClickObject => RejectionCode::NoClickObject,
        }
    }

    fn field(&self) -> Option<&str> {
        match self {
            BodyProblem::JsonTooDeep { field, .. } => Some(field),
            BodyProblem::UnsupportedEncoding { .. } | BodyProblem::DamagedEncoding { .. } => {
                Some("Content-Encoding")
            }
            _ => None,
        }
    }

    fn value(&self) -> Option<&str> {
        match self {
            BodyProblem::UnsupportedEncoding { encoding } | BodyProblem::DamagedEncoding { encoding } => {
                Some(encoding)
            }
            _ => None,
        }
    }

    fn sentence(&self) -> String {
        match self {
            BodyProblem::TooManyParameters { most } => {
                format!("more than {most} parameters that are read were received")
            }
            BodyProblem::JsonTooDeep { field, most } => {
                format!("the JSON body is nested more than {most} levels deep, at `{field}`")
            }
            BodyProblem::BrokenJson { error } => format!("the body is broken JSON: {error}"),
            BodyProblem::UnsupportedEncoding { encoding } => {
                format!("the body has the content encoding `{encoding}`, which is not read")
            }
            BodyProblem::DamagedEncoding { encoding } => {
                format!("the body says that its content encoding is `{encoding}`, and cannot be inflated")
            }
            BodyProblem::InvalidMessage { error } => error.clone(),
            BodyProblem::JsonArray
            | BodyProblem::NotAnObject
            | BodyProblem::BrokenMultipart
            | BodyProblem::TooLarge
            | BodyProblem::NoClickObject => self.code().meaning().to_owned(),
        }
    }
}
