//! Why a postback is not taken as its network's: its signature, or the address that it was sent from.

use std::fmt::{self, Display};

use serde::{Deserialize, Serialize};

use crate::domain::code::{CodedReason, ReasonCode};
use crate::domain::rejection::code::RejectionCode;
use crate::domain::time::Time;

/// What does not let it be verified. Neither a secret nor what was presented is in it.
///
/// It is stored: new variants go to the end, and those that are here keep their order and their fields.
#[allow(missing_docs, reason = "a variant is the `RejectionCode` of the same name, which has its meaning")]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SignatureProblem {
    MissingSignature {
        place: SignaturePlace,
    },
    UnreadableSignature {
        place: SignaturePlace,
        wanted: WantedSignature,
    },
    /// Something was presented, and it is no configured secret's.
    WrongSignature {
        place: SignaturePlace,
        proof: ProofKind,
    },
    /// `signed_at`: as the signature has it; `tolerance_s`: the most seconds between it and the arrival.
    OutsideTimeWindow {
        place: SignaturePlace,
        signed_at: Time,
        received_at: Time,
        tolerance_s: u32,
    },
    /// `member`: the one that holds what is encrypted.
    CannotDecrypt {
        member: String,
    },
    AddressNotAllowed,
    CannotVerifyAgain {
        why: NotKept,
    },
}

/// Where a signature is in a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SignaturePlace {
    /// A header by its name in lower case.
    Header(String),
    /// A parameter of the query, a field of a form or a member of a JSON body.
    Parameter(String),
}

/// What a sender proves that it is the network by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProofKind {
    /// The secret itself.
    Token,
    /// User and password.
    Basic,
    /// A hash over something of the request and the secret.
    Signature,
}

/// How a signature has to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum WantedSignature {
    /// Hexadecimal digits, as many as the hash has or the template keeps of it.
    Hex,
    /// Base64 of as many bytes as the hash has.
    Base64,
    /// A time in seconds since 1970, and at least one signature.
    TimeAndSignature,
}

/// What a record lacks to be verified again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum NotKept {
    /// What was masked in line or body is none of the keys that the source has now.
    Masked,
    /// There was no room for the header, or its value was masked.
    Header(String),
    /// When it was received its source's template had no such scheme: nothing was kept of what was presented.
    Presented,
}

impl SignaturePlace {
    /// The header's or the parameter's name.
    pub fn name(&self) -> &str {
        match self {
            SignaturePlace::Header(name) | SignaturePlace::Parameter(name) => name,
        }
    }
}

impl Display for SignaturePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SignaturePlace::Header(name) => write!(f, "the header `{name}`"),
            SignaturePlace::Parameter(name) => write!(f, "the parameter `{name}`"),
        }
    }
}

impl WantedSignature {
    fn as_str(self) -> &'static str {
        match self {
            WantedSignature::Hex => "the hexadecimal digits of its hash",
            WantedSignature::Base64 => "the base64 of its hash",
            WantedSignature::TimeAndSignature => "a time in seconds and a signature",
        }
    }
}

impl CodedReason for SignatureProblem {
    type Code = RejectionCode;

    fn code(&self) -> RejectionCode {
        match self {
            SignatureProblem::MissingSignature { .. } => RejectionCode::MissingSignature,
            SignatureProblem::UnreadableSignature { .. } => RejectionCode::UnreadableSignature,
            SignatureProblem::WrongSignature { .. } => RejectionCode::WrongSignature,
            SignatureProblem::OutsideTimeWindow { .. } => RejectionCode::OutsideTimeWindow,
            SignatureProblem::CannotDecrypt { .. } => RejectionCode::CannotDecrypt,
            SignatureProblem::AddressNotAllowed => RejectionCode::AddressNotAllowed,
            SignatureProblem::CannotVerifyAgain { .. } => RejectionCode::CannotVerifyAgain,
        }
    }

    fn field(&self) -> Option<&str> {
        match self {
            SignatureProblem::MissingSignature { place }
            | SignatureProblem::UnreadableSignature { place, .. }
            | SignatureProblem::WrongSignature { place, .. }
            | SignatureProblem::OutsideTimeWindow { place, .. } => Some(place.name()),
            SignatureProblem::CannotDecrypt { member } => Some(member),
            SignatureProblem::AddressNotAllowed => Some("allow_ips"),
            SignatureProblem::CannotVerifyAgain { why: NotKept::Header(name) } => Some(name),
            SignatureProblem::CannotVerifyAgain { .. } => None,
        }
    }

    fn sentence(&self) -> String {
        match self {
            SignatureProblem::MissingSignature { place } => {
                format!("{place} with its signature is missing or empty")
            }
            SignatureProblem::UnreadableSignature { place, wanted } => {
                format!("{place} does not hold {}", wanted.as_str())
            }
            SignatureProblem::WrongSignature { place, proof } => match proof {
                ProofKind::Token => format!("{place} does not hold the source's secret"),
                ProofKind::Basic => format!("{place} does not hold the source's user and password"),
                ProofKind::Signature => {
                    format!("the signature in {place} is not the one that the source's secret makes")
                }
            },
            SignatureProblem::OutsideTimeWindow { signed_at, received_at, tolerance_s, .. } => {
                let seconds = received_at.millis_since(*signed_at).div_euclid(1000);
                let (apart, word) = if seconds < 0 { (-seconds, "after") } else { (seconds, "before") };
                format!(
                    "it was signed at {signed_at}, {apart} s {word} it was received; at most {tolerance_s} s are \
                     allowed"
                )
            }
            SignatureProblem::CannotDecrypt { member } => {
                format!("`{member}` of the body cannot be decrypted with the source's secret")
            }
            SignatureProblem::AddressNotAllowed => self.code().meaning().to_owned(),
            SignatureProblem::CannotVerifyAgain { why } => format!("{}: {why}", self.code().meaning()),
        }
    }

    fn hint(&self) -> String {
        match self {
            SignatureProblem::CannotVerifyAgain { why: NotKept::Masked } => format!(
                "where the source's key was changed, name the old one too: `key` takes two; else {}",
                self.code().fix()
            ),
            _ => self.code().fix().to_owned(),
        }
    }
}

impl Display for NotKept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotKept::Masked => f.write_str("something in it is masked that is none of the source's keys"),
            NotKept::Header(name) => write!(f, "the header `{name}` is not kept with it"),
            NotKept::Presented => {
                f.write_str("the source's template had no such [verify] when it was received")
            }
        }
    }
}
