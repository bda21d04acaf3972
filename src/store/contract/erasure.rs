//! The erasure of a person's data: what is looked for and found, and what is kept of it.

use std::sync::Arc;

use crate::domain::erasure::identity::{IdentityDigest, KnownIdentities};
use crate::domain::erasure::persons::{ErasedPart, PersonMarks};
use crate::domain::erasure::report::{ErasedCounts, Erasure, SentTo};
use crate::domain::erasure::subject::SubjectKind;
use crate::domain::time::Time;

/// What is looked for, from which place on.
#[derive(Debug, Clone)]
pub struct ErasureScan {
    /// Whose records.
    pub known: Arc<KnownIdentities>,
    /// Only what was received then or earlier.
    pub until: Time,
    /// As an earlier [`ScannedRecords`] gave it; `None`: from the beginning.
    pub cursor: Option<String>,
}

/// What a step of looking has found.
#[derive(Debug, Clone, Default)]
pub struct ScannedRecords {
    /// In no order.
    pub found: Vec<FoundRecord>,
    /// How many records cannot be read.
    pub unreadable: u64,
    /// Where the next step goes on; `None`: every record was looked at.
    pub next: Option<String>,
}

/// A click, or a postback with its conversion and all that was sent of it.
#[derive(Debug, Clone)]
pub struct FoundRecord {
    /// By what it names its person.
    pub marks: PersonMarks,
    /// How much of it is to be erased.
    pub part: ErasedPart,
    /// Whether it was erased before: nothing of it is left to erase.
    pub is_erased: bool,
    /// How many records it is, by their kinds.
    pub counts: ErasedCounts,
    /// Who was sent its conversion.
    pub sent: Vec<SentTo>,
}

/// An erasure to be kept, and then applied.
#[derive(Debug, Clone)]
pub struct ErasureOrder {
    /// What was received then or earlier is erased.
    pub at: Time,
    /// The name of the one who wants it.
    pub actor: String,
    /// What the value was that was asked for.
    pub subject: SubjectKind,
    /// Of how many persons, as far as can be known.
    pub persons: u64,
    /// By what their records are known: keyed hashes, of the store's own key.
    pub digests: Vec<IdentityDigest>,
    /// What was found.
    pub found: ErasedCounts,
    /// Who had been sent the data.
    pub sent: Vec<SentTo>,
    /// How many more there are than are named.
    pub sent_more: u64,
}

/// An erasure with all that is kept of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptErasure {
    /// As it is shown.
    pub erasure: Erasure,
    /// By what its records are known: keyed hashes, of the key of the store and of its copies.
    pub digests: Vec<IdentityDigest>,
}

/// What one step of erasing did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ErasureStep {
    /// What it erased, of all erasures that are worked on.
    pub erased: ErasedCounts,
    /// Whether there is more to do.
    pub more: bool,
}
