//! How far work on a whole store is: a backup, or a verification.

use std::path::PathBuf;

use crate::domain::time::Time;
use crate::store::contract::copies::{CopyError, CopyReport};
use crate::store::contract::verification::StoreVerification;

/// Which work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Upkeep {
    /// A backup into this folder, absolute.
    Backup(PathBuf),
    /// A verification.
    Verification,
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UpkeepOutcome {
    /// The backup is whole.
    BackedUp(CopyReport),
    /// It was looked through, and this was found.
    Verified(StoreVerification),
    /// It was not done.
    Failed(CopyError),
}

/// How far it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpkeepState {
    /// Which work.
    pub upkeep: Upkeep,
    /// When it was begun.
    pub began: Time,
    /// When it ended, and how; `None`: it goes on.
    pub ended: Option<(Time, UpkeepOutcome)>,
    /// How much is done.
    pub done: u64,
    /// Of how much; 0 where that is not known yet.
    pub all: u64,
}
