//! What is known of an erasure: who wanted it and when, how far it is, what it changed, and who had been sent the data.

use serde::{Deserialize, Serialize};

use crate::domain::delivery::DeliveryState;
use crate::domain::erasure::subject::SubjectKind;
use crate::domain::ids::{ConversionId, DestinationId, Occasion};
use crate::domain::time::Time;

/// How far an erasure is.
///
/// It is stored: new variants go to the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ErasureState {
    /// It is kept, and applied step by step.
    Working,
    /// Every record was looked at.
    Done {
        /// When the last one was.
        at: Time,
    },
    /// The same; some records cannot be read: what they have of the person is left.
    Incomplete {
        /// When the last one was.
        at: Time,
    },
}

impl ErasureState {
    /// As API and pages write it.
    pub fn as_str(self) -> &'static str {
        match self {
            ErasureState::Working => "working",
            ErasureState::Done { .. } => "done",
            ErasureState::Incomplete { .. } => "incomplete",
        }
    }

    /// When every record had been looked at.
    pub fn ended(self) -> Option<Time> {
        match self {
            ErasureState::Working => None,
            ErasureState::Done { at } | ErasureState::Incomplete { at } => Some(at),
        }
    }
}

/// How many records of each kind have data of the person, or had.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each counts the records of its name")]
pub struct ErasedCounts {
    pub clicks: u64,
    pub conversions: u64,
    pub postbacks: u64,
    pub attempts: u64,
    pub exchanges: u64,
    /// Records of other persons in which texts named this one.
    pub others: u64,
}

impl ErasedCounts {
    /// Adds those of another part.
    pub fn add(&mut self, other: &ErasedCounts) {
        self.clicks += other.clicks;
        self.conversions += other.conversions;
        self.postbacks += other.postbacks;
        self.attempts += other.attempts;
        self.exchanges += other.exchanges;
        self.others += other.others;
    }

    /// All of them together.
    pub fn total(&self) -> u64 {
        self.clicks + self.conversions + self.postbacks + self.attempts + self.exchanges + self.others
    }
}

/// What became of what a platform was sent.
///
/// It is stored: new variants go to the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SentOutcome {
    /// It took it.
    Delivered,
    /// It was sent, and it is not known that the platform took it.
    Sent,
}

impl SentOutcome {
    /// As API and pages write it.
    pub fn as_str(self) -> &'static str {
        match self {
            SentOutcome::Delivered => "delivered",
            SentOutcome::Sent => "sent",
        }
    }

    /// Of a delivery that was attempted.
    pub fn of(state: &DeliveryState) -> SentOutcome {
        match state {
            DeliveryState::Delivered { .. } => SentOutcome::Delivered,
            _ => SentOutcome::Sent,
        }
    }
}

/// A platform, or another receiver, that had been sent data of the person: it has to be asked to erase them too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentTo {
    /// Who was sent it; it may have been taken out of the configuration since.
    pub destination: DestinationId,
    /// Of which conversion.
    pub conversion: ConversionId,
    /// On which occasion.
    pub occasion: Occasion,
    /// The event, as the receiver calls it where that is known.
    pub event: String,
    /// When it was sent last.
    pub at: Time,
    /// Whether it took it.
    pub outcome: SentOutcome,
    /// Which of the values that the person is known by were in the request, in plain or hashed, and which of the click's
    /// identifiers, by name.
    pub fields: Vec<String>,
}

/// An erasure as it is shown. The value that it was asked for is not kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erasure {
    /// Its number, from 1.
    pub id: u64,
    /// When it was asked for: what is received later is not erased.
    pub at: Time,
    /// The name of the token by which it was asked for.
    pub actor: String,
    /// What the value was.
    pub subject: SubjectKind,
    /// How many persons it is of, as far as can be known.
    pub persons: u64,
    /// How far it is.
    pub state: ErasureState,
    /// What was found when it was asked for.
    pub found: ErasedCounts,
    /// What was erased so far, in this pass where it is applied again.
    pub erased: ErasedCounts,
    /// How many records cannot be read, and may have data of the person, in this pass.
    pub unreadable: u64,
    /// Who had been sent the data, in the order of the conversions.
    pub sent: Vec<SentTo>,
    /// How many more there are than are named.
    pub sent_more: u64,
    /// What is left of it elsewhere in the data folder.
    pub journal: JournalErasure,
}

/// What is known of the copies of the data that the store itself does not read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalErasure {
    /// The last commit that may have written any of it. `None`: not every record was looked at yet.
    pub until: Option<u64>,
    /// When the last part of the journal that held the data was rewritten. `None`: not rewritten yet, or there is no
    /// journal.
    pub rewritten_at: Option<Time>,
    /// When the index was made anew after that: until then it may have bytes of the data in its free space.
    pub index_renewed_at: Option<Time>,
    /// Known backups whose folder could not be given the erasure, by name: restored into another folder than this one,
    /// they would have the data again.
    pub unreached: Vec<String>,
    /// The backups that are known and still hold the data, by name; empty where none is known. As of now: not stored.
    #[serde(skip)]
    pub backups: Vec<String>,
    /// What was set aside in the data folder and may hold the data, by name. As of now: not stored.
    #[serde(skip)]
    pub files: Vec<String>,
}

/// The most receivers that an erasure names.
pub const MOST_SENT: usize = 150;
/// The most records of persons that one erasure takes.
pub const MOST_RECORDS: usize = 10_000;
