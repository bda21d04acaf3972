//! A data folder: what is in it, how it is opened, what opening found, and what a refusal says.

use std::io;
use std::path::Path;

use crate::store::engine::checkpoint::CheckpointSettings;
use crate::store::engine::error::OpenError;
use crate::store::engine::journal::append::JournalSettings;
use crate::store::engine::journal::damage::Damage;
use crate::store::engine::journal::segment::StoreId;
use crate::store::engine::kv::Kv;
use crate::store::engine::torn_end::LastCommit;

/// The name of the journal in a data folder.
pub const JOURNAL: &str = "journal";
/// The name of the index.
pub const INDEX: &str = "index";
/// A journal that is being made.
pub const NEW_JOURNAL: &str = "journal.new";
/// An index that is being made.
pub const NEW_INDEX: &str = "index.new";
/// The one before, on its way out.
pub const OLD_INDEX: &str = "index.old";

/// What is in the name of what was set aside because a person accepted that it is lost.
pub const GIVEN_UP: &str = "given-up";

/// What a process holds that has it open.
pub const LOCK: &str = "lock";
/// Is there as long as a restore is not ended.
pub const RESTORING: &str = "restoring";
/// What is looked at in the place of the index, while it is verified.
pub const VERIFYING: &str = "verifying";

/// How a data folder is opened.
#[derive(Clone, Default)]
pub struct FolderSettings {
    /// How its journal is kept.
    pub journal: JournalSettings,
    /// When its index gets what is in the journal.
    pub checkpoint: CheckpointSettings,
    /// The word that a refusal gave: what that one named is given up.
    pub accept_loss: Option<String>,
    /// How many bytes of its disk are left free by what can wait.
    pub reserve: u64,
}

/// What a store is opened by.
#[derive(Clone, Copy)]
pub struct FolderContents<'a> {
    /// The first bytes of the keys of the tables whose records are packed.
    pub tables: &'static [u8],
    /// Whether what a folder without a journal holds can be read by this program.
    pub check: &'a dyn Fn(&dyn Kv) -> Result<(), OpenError>,
}

/// What opening found and did.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct OpenReport {
    /// What was put right, in words.
    pub repairs: Vec<String>,
    /// The end of the journal that was no whole commit.
    pub torn: Option<LastCommit>,
    /// Whether a person has accepted that something is lost.
    pub is_loss_accepted: bool,
}

/// Refuses to go on without what is lost.
pub fn refused(path: &Path, damage: &[Damage]) -> OpenError {
    OpenError::Damaged { path: path.to_owned(), damage: damage.to_vec(), word: word(damage) }
}

/// The word by which a person accepts this very damage.
pub fn word(damage: &[Damage]) -> String {
    let places: Vec<String> = damage.iter().map(|place| format!("{place}\n")).collect();
    format!("loss-{:08x}", crc32c::crc32c(places.concat().as_bytes()))
}

/// A new identity of random bytes.
pub fn new_store() -> io::Result<StoreId> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(StoreId(bytes))
}
