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

    pub fn parse(word: &str) -> Option<Status> {
        Status::ALL.into_iter().find(|status| status.as_str() == word)
    }
}
