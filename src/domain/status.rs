//! The status of a conversion.

use serde::{Deserialize, Serialize};

/// The state of a conversion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Status {
    /// The sale counts: it is paid, and ad platforms hear of it.
    Approved,
    /// A person, the network or time will decide.
    Pending,
    /// It does not count: taken back, refused, charged back.
    Rejected,
    /// It does not count, and no one is sent it: expired, suppressed, over a cap.
    Scrubbed,
}

impl Status {
    /// Every status, in the order in which pages offer them.
    pub const ALL: [Status; 4] = [Status::Approved, Status::Pending, Status::Rejected, Status::Scrubbed];

    /// What to say to someone who wrote another word.
    pub const EXPECTED: &str = "a status is approved, pending, rejected or scrubbed";

    /// As API, pages and templates write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Approved => "approved",
            Status::Pending => "pending",
            Status::Rejected => "rejected",
            Status::Scrubbed => "scrubbed",
        }
    }

    /// The status that API, pages and templates write so, in lower case.
    ///
    /// ```
    /// use postbridge::domain::status::Status;
    ///
    /// assert_eq!(Status::parse("scrubbed"), Some(Status::Scrubbed));
    /// assert_eq!(Status::parse("refunded"), None, "a network's own words are for its template");
    /// ```
    pub fn parse(word: &str) -> Option<Status> {
        Status::ALL.into_iter().find(|status| status.as_str() == word)
    }
}
