//! Why a store operation failed, and what a caller can do about it.

use crate::domain::ids::Seq;
use crate::domain::rejection::Rejection;

/// The store failed. After [`StoreError::Broken`] the process must end and start again, which recovers; after every
/// other it goes on.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// Reading or writing failed; what was asked for did not become durable, and every later operation fails.
    #[error("the store failed while it tried to {doing}: {cause}")]
    Broken {
        /// A verb, as in `read` or `write`.
        doing: &'static str,
        /// The words of the engine or the operating system.
        cause: String,
    },
    /// The store is not there now: the connection to it is lost, it gave the transaction up, or its disk takes too
    /// long. What was asked for may have become durable or not: ask for the same again, later.
    #[error("the store does not answer now: {cause}")]
    Unavailable {
        /// The words of the engine or the network.
        cause: String,
    },
    /// The store is closing. What was asked for before may have become durable or not.
    #[error("the store is closed")]
    Closed,
    /// The caller's mistake: no list gave this cursor.
    #[error("the cursor `{0}` was not given by a list")]
    Cursor(String),
    /// The caller's mistake: the record was reprocessed already, and postback `by` made of it what it
    /// is. Once more would count it twice.
    #[error("postback {by} has reprocessed it already")]
    ReprocessedAlready {
        /// The newer record.
        by: Seq,
    },
    /// As many further sales of its click wait as may: nothing was kept. The caller keeps it, as a stranger's.
    #[error("as many further sales of its click wait as may")]
    Surplus(Rejection),
    /// A stored record cannot be read. Only what needs it fails; the rest of the store goes on.
    #[error("the record {key} cannot be read: {cause}")]
    Corrupt {
        /// What it is kept under, readable.
        key: String,
        /// What is wrong with its bytes.
        cause: String,
    },
}
