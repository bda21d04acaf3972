//! Whose data is to be erased: one value that names a person.

use serde::{Deserialize, Serialize};

use crate::domain::attribution::canonical_click;
use crate::domain::code::{CodedReason, ReasonCode, codes};
use crate::domain::suppression::{Suppressed, SuppressedKind};

/// What a person is named by.
///
/// It is stored: new variants go to the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum SubjectKind {
    /// An e-mail address.
    Email,
    /// A phone number with its country's calling code.
    Phone,
    /// The id of one click.
    ClickId,
    /// The number of an order.
    TransactionId,
}

impl SubjectKind {
    /// Every kind, in the order in which pages offer them.
    pub const ALL: [SubjectKind; 4] =
        [SubjectKind::Email, SubjectKind::Phone, SubjectKind::ClickId, SubjectKind::TransactionId];

    /// As API, pages and command line write it.
    pub fn as_str(self) -> &'static str {
        match self {
            SubjectKind::Email => "email",
            SubjectKind::Phone => "phone",
            SubjectKind::ClickId => "click_id",
            SubjectKind::TransactionId => "transaction_id",
        }
    }

    /// The kind that is written so.
    pub fn parse(word: &str) -> Option<SubjectKind> {
        SubjectKind::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// One value that names a person. It is in memory alone: what is kept of it is a keyed hash.
#[derive(Clone, PartialEq, Eq)]
pub struct ErasureSubject {
    /// What the value is.
    pub kind: SubjectKind,
    /// Normalized: an address trimmed and in lower case, a number as its digits, the rest trimmed.
    text: String,
}

impl std::fmt::Debug for ErasureSubject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ErasureSubject({})", self.kind.as_str())
    }
}

/// The longest transaction id that is looked for, in bytes.
const LONGEST: usize = 1024;

impl ErasureSubject {
    /// Reads a value of this kind.
    ///
    /// # Errors
    /// It is none.
    pub fn parse(kind: SubjectKind, text: &str) -> Result<ErasureSubject, SubjectRefused> {
        let text = text.trim();
        if text.is_empty() {
            return Err(SubjectRefused::Empty);
        }
        let normal = match kind {
            SubjectKind::Email => match Suppressed::parse(SuppressedKind::Email, text) {
                Ok(Suppressed::Email(text)) => text,
                _ => return Err(SubjectRefused::NotAnEmail),
            },
            SubjectKind::Phone => match Suppressed::parse(SuppressedKind::Phone, text) {
                Ok(Suppressed::Phone(digits)) if !digits.starts_with('0') => digits,
                Ok(_) => return Err(SubjectRefused::NoCallingCode),
                Err(_) => return Err(SubjectRefused::NotAPhone),
            },
            SubjectKind::ClickId => canonical_click(text).ok_or(SubjectRefused::Empty)?,
            SubjectKind::TransactionId if text.len() > LONGEST => return Err(SubjectRefused::TooLong),
            SubjectKind::TransactionId => text.to_owned(),
        };
        Ok(ErasureSubject { kind, text: normal })
    }

    /// The value, normalized. It is not to be logged.
    pub fn text(&self) -> &str {
        &self.text
    }
}

codes! {
    /// Why no one's data is erased.
    SubjectRefusedCode = "erasure_refused" {
        Empty = "value_missing",
            "no value was given", "give the person's e-mail address, phone number, click id or transaction id";
        NotAnEmail = "email_unreadable",
            "the value is no e-mail address", "write it as in `jo@example.com`";
        NotAPhone = "phone_unreadable",
            "the value is no phone number", "write 7 to 15 digits with the country's calling code: `+49 170 1234567`";
        NoCallingCode = "no_calling_code",
            "the phone number has no country's calling code in front",
            "write the calling code in front: `+49 170 1234567` for `0170 1234567`";
        TooLong = "value_too_long",
            "the value is longer than any id", "give the id alone";
        SeveralPersons = "several_persons",
            "more than one person has the value",
            "look at what would be erased, and say that it is to be done: `--yes`, or `\"confirm\": true`";
        TooMany = "too_many_records",
            "more records have the value than one erasure takes",
            "the value is hardly one person's: give the person's e-mail address, phone number or click id";
        NothingFound = "nothing_found",
            "no record of that person is kept", "nothing to do, or try another value of the person";
    }
}

/// Why no one's data is erased. The value is in none of them.
#[allow(missing_docs, reason = "a variant is the code of the same name, which has its meaning above")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubjectRefused {
    Empty,
    NotAnEmail,
    NotAPhone,
    NoCallingCode,
    TooLong,
    /// How many, as far as can be known.
    SeveralPersons {
        persons: u64,
    },
    /// How many one erasure takes.
    TooMany {
        most: u64,
    },
    NothingFound,
}

impl CodedReason for SubjectRefused {
    type Code = SubjectRefusedCode;

    fn code(&self) -> SubjectRefusedCode {
        match self {
            SubjectRefused::Empty => SubjectRefusedCode::Empty,
            SubjectRefused::NotAnEmail => SubjectRefusedCode::NotAnEmail,
            SubjectRefused::NotAPhone => SubjectRefusedCode::NotAPhone,
            SubjectRefused::NoCallingCode => SubjectRefusedCode::NoCallingCode,
            SubjectRefused::TooLong => SubjectRefusedCode::TooLong,
            SubjectRefused::SeveralPersons { .. } => SubjectRefusedCode::SeveralPersons,
            SubjectRefused::TooMany { .. } => SubjectRefusedCode::TooMany,
            SubjectRefused::NothingFound => SubjectRefusedCode::NothingFound,
        }
    }

    fn sentence(&self) -> String {
        match self {
            SubjectRefused::SeveralPersons { persons } => {
                format!("the value is that of {persons} persons, as far as can be known")
            }
            SubjectRefused::TooMany { most } => {
                format!("more than {most} records have the value, which is as many as one erasure takes")
            }
            _ => self.code().meaning().to_owned(),
        }
    }
}
