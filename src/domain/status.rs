//! The status of a conversion.

use serde::{Deserialize, Serialize};

/// The state of a conversion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Status {
    Approved,
    Pending,
    Rejected,
    Scrubbed,
}

impl Status {
    pub const ALL: [Status; 4] = [Status::Approved, Status::Pending, Status::Rejected, Status::Scrubbed];

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
