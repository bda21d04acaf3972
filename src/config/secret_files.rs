//! The settings of an account that are in files of their own: read anew, and replaced when a platform gives another.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use crate::domain::secret_store::{SecretNotKept, SecretStore};

/// The files of one account's settings, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SecretFiles(pub BTreeMap<String, PathBuf>);

impl SecretFiles {
    /// Why a setting could not be replaced if a platform gave another value; `None` where it could.
    pub fn refusal(&self, setting: &str) -> Option<SecretNotKept> {
        let probed = |path: PathBuf| {
            tempfile::Builder::new().prefix(".postbridge-").tempfile_in(folder_of(&path)).map(drop)
        };
        match self.path(setting) {
            Ok(path) => probed(path).err().map(|error| unwritable(setting, &error)),
            Err(not_kept) => Some(not_kept),
        }
    }

    /// The file itself: behind a symbolic link it is what is linked to that is replaced.
    fn path(&self, setting: &str) -> Result<PathBuf, SecretNotKept> {
        let path =
            self.0.get(setting).ok_or_else(|| SecretNotKept::NoFile { setting: setting.to_owned() })?;
        fs::canonicalize(path).map_err(|error| unwritable(setting, &error))
    }
}

impl SecretStore for SecretFiles {
    fn read(&self, setting: &str) -> Option<String> {
        let path = self.path(setting).ok()?;
        let Some(staged) = staged(&path) else {
            let text = fs::read_to_string(&path).ok()?;
            return Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        };
        // A crash kept it from its place. Where it cannot be put there it is found again by the next who reads.
        let _ = adopt(&path);
        Some(staged)
    }

    fn stage(&self, setting: &str, value: &str) -> Result<(), SecretNotKept> {
        stage(&self.path(setting)?, value).map_err(|error| unwritable(setting, &error))
    }

    fn adopt(&self, setting: &str) -> Result<(), SecretNotKept> {
        adopt(&self.path(setting)?).map_err(|error| unwritable(setting, &error))
    }
}

/// In the system's words for its kind: the error itself may have the path in it.
fn unwritable(setting: &str, error: &io::Error) -> SecretNotKept {
    SecretNotKept::Unwritable { setting: setting.to_owned(), cause: error.kind().to_string() }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The name of the file that holds a value on its way to the place of another.
fn next_name(path: &Path) -> String {
    format!(".{}.next", path.file_name().unwrap_or_default().to_string_lossy())
}

/// A new file next to the one that is there, which only its owner may read.
fn stage(path: &Path, value: &str) -> io::Result<()> {
    let (folder, name) = (folder_of(path), next_name(path));
    match fs::remove_file(folder.join(&name)) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = tempfile::Builder::new().prefix(&name).rand_bytes(0).tempfile_in(folder)?;
    file.write_all(format!("{value}\n").as_bytes())?;
    file.as_file().sync_all()?;
    file.keep().map_err(|error| error.error)?;
    File::open(folder)?.sync_all()
}

/// What a crash left behind of a value on its way: whole, and younger than what it is to replace, which a person may have
/// written since.
fn staged(path: &Path) -> Option<String> {
    let next = folder_of(path).join(next_name(path));
    let written = |path: &Path| fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    if written(&next)? < written(path)? {
        return None;
    }
    let text = fs::read_to_string(next).ok()?;
    let value = text.strip_suffix('\n')?;
    (!value.is_empty() && !value.contains(char::is_control)).then(|| value.to_owned())
}

/// It takes the place of the one that is there: who reads that sees the one or the other.
fn adopt(path: &Path) -> io::Result<()> {
    let folder = folder_of(path);
    match fs::rename(folder.join(next_name(path)), path) {
        // Another reader has done it.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        moved => moved?,
    }
    File::open(folder)?.sync_all()
}
