//! Copies of a whole store: backups, what is restored from one, what is salvaged of a damaged one; and why there is none.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::domain::time::Time;

/// Hears how far long work is: what is done, of what there is to do, in bytes or records.
pub type ProgressOf<'a> = &'a (dyn Fn(u64, u64) + Send + Sync);

/// What a backup is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CopyReport {
    /// Segments of the journal that were copied.
    pub copied: u64,
    /// Segments that were there already, whole.
    pub already_there: u64,
    /// Bytes that were written.
    pub bytes: u64,
    /// The last commit that is in it.
    pub last: u64,
}

/// A backup that the store knows of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct KnownBackup {
    /// Its folder, absolute.
    pub dir: PathBuf,
    /// When it was begun: what was acknowledged before is in it.
    pub began: Time,
    /// When it was whole.
    pub ended: Time,
    /// The last commit that is in it.
    pub last: u64,
}

/// What was restored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RestoreReport {
    /// Segments of the journal.
    pub segments: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// The last commit that is in it.
    pub last: u64,
    /// When the backup was begun or shortly before, where its store knew the time.
    pub written_at: Option<Time>,
    /// How many erasures are known: those that the backup does not have are applied when the folder is opened.
    pub erasures: u64,
}

/// What was salvaged.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SalvageReport {
    /// Records that are in the new folder, by the kind of their keys.
    pub records: BTreeMap<char, u64>,
    /// Commits of the journal that could be read.
    pub commits: u64,
    /// Records of the index that could be read; `None`: it could not be opened.
    pub of_index: Option<u64>,
    /// What could not be saved, in words: places, and which commits were there.
    pub lost: Vec<String>,
}

/// Why there is no copy. `Display` says what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "what each means is its message")]
pub enum CopyError {
    #[error("{} cannot be used: {cause}", path.display())]
    Io { path: PathBuf, cause: String },
    #[error("there is no room on the disk of {}: free some space, then begin again", path.display())]
    Full { path: PathBuf },
    #[error(
        "{} is damaged: {what}. The backup that was there before is as it was. Stop the relay and run \
         `postbridge verify --repair`",
        file.display()
    )]
    Source { file: PathBuf, what: String },
    #[error(
        "{} has files that are no backup of this program: name a new folder, or an empty one",
        path.display()
    )]
    NoBackup { path: PathBuf },
    #[error("{} is a backup of another store: name another folder", path.display())]
    OtherStore { path: PathBuf },
    #[error("{} and the data folder are in each other: name a folder elsewhere", path.display())]
    Within { path: PathBuf },
    #[error("segments of the journal were taken away as fast as they were copied: begin again")]
    Restless,
    #[error("there is no backup in {}: name the folder that `postbridge backup` was given", path.display())]
    NothingThere { path: PathBuf },
    #[error(
        "the backup in {} is damaged:{}\nNothing was restored. Use an older backup, or read what can be read: `postbridge \
         salvage {} NEW`",
        path.display(), places(damage), path.display()
    )]
    Damaged { path: PathBuf, damage: Vec<String> },
    #[error(
        "{} is not empty: it is restored into a folder that has nothing but the file `erasures`; move what else is there \
         away, or change `[store] path`",
        path.display()
    )]
    NotEmpty { path: PathBuf },
    #[error("{0}")]
    Folder(String),
    #[error("only a store in a data folder can be copied")]
    NoFolder,
    #[error("the store's writer is closed")]
    Closed,
}

fn places(damage: &[String]) -> String {
    damage.iter().map(|place| format!("\n  {place}")).collect()
}

impl CopyError {
    /// What the system's refusal to use `path` means.
    pub fn of_io(path: &Path, error: &std::io::Error) -> CopyError {
        let path = path.to_owned();
        match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => CopyError::Full { path },
            _ => CopyError::Io { path, cause: error.to_string() },
        }
    }
}
