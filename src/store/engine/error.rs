//! Why a store cannot be opened.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crate::store::codec::VERSION;
use crate::store::contract::error::StoreError;
use crate::store::engine::journal::damage::Damage;

/// Why a store cannot be opened. `Display` says what to do about it.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "what each means is its message")]
pub enum OpenError {
    #[error(
        "another process has the data folder {} open: stop it first, or give this one its own folder",
        path.display()
    )]
    Locked { path: PathBuf },
    #[error(
        "there is no room on the disk of the data folder {}: free some space, then start: nothing is lost",
        path.display()
    )]
    Full { path: PathBuf },
    #[error("{} in the data folder may not be read or written by this user", path.display())]
    Denied { path: PathBuf },
    #[error("{} can be read by other users, and this user may not change that", path.display())]
    Exposed { path: PathBuf },
    #[error("the data folder {} cannot be used: {cause}", path.display())]
    Folder { path: PathBuf, cause: String },
    #[error(
        "the data in {} cannot be opened: {cause}. Nothing was changed. Keep the folder as it is, and restore \
         a backup into another one",
        path.display()
    )]
    Broken { path: PathBuf, cause: String },
    #[error(
        "the data folder holds format {found}, and this program reads and writes format {VERSION} only. Nothing \
         was changed, and the data is whole: open it with the version that wrote it"
    )]
    Format { found: u8 },
    #[error("a restore into {} was interrupted: run `postbridge restore` again", path.display())]
    RestoreUnfinished { path: PathBuf },
    #[error("{}", refusal(path, damage, word))]
    Damaged { path: PathBuf, damage: Vec<Damage>, word: String },
    #[error("the stored data cannot be read: {0}")]
    Records(#[from] StoreError),
    #[error("the writer thread cannot be started: {0}")]
    Thread(String),
}

fn refusal(path: &Path, damage: &[Damage], word: &str) -> String {
    let places: Vec<String> = damage.iter().map(|place| format!("\n  {place}")).collect();
    format!(
        "the journal in {} is damaged, and the index does not have what is lost there:{}\nNothing was changed. Restore a \
         backup into another folder, or go on without what is lost: `postbridge serve --accept-loss {word}`",
        path.display(),
        places.concat()
    )
}

impl OpenError {
    /// What the system's refusal to use `path`, the folder or something in it, means.
    pub fn of_io(path: &Path, error: &io::Error) -> OpenError {
        let path = path.to_owned();
        match error.kind() {
            ErrorKind::PermissionDenied => OpenError::Denied { path },
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => OpenError::Full { path },
            _ => OpenError::Folder { path, cause: error.to_string() },
        }
    }
}
