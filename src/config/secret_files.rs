//! The settings of an account that are in files of their own: read anew, and replaced when a platform gives another.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::domain::secret_store::{SecretNotKept, SecretStore};

/// The files of one account's settings, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SecretFiles(pub BTreeMap<String, PathBuf>);

impl SecretFiles {
    /// Why a setting could not be replaced if a platform gave another value; `None` where it could.
    pub fn refusal(&self, setting: &str) -> Option<SecretNotKept> {
        let Some(path) = self.0.get(setting) else {
            return Some(SecretNotKept::NoFile { setting: setting.to_owned() });
        };
        let probed = tempfile::Builder::new().prefix(".postbridge-").tempfile_in(folder_of(path));
        probed.err().map(|error| unwritable(setting, &error))
    }
}

impl SecretStore for SecretFiles {
    fn read(&self, setting: &str) -> Option<String> {
        let text = fs::read_to_string(self.0.get(setting)?).ok()?;
        Some(text.trim().to_owned()).filter(|text| !text.is_empty())
    }

    fn replace(&self, setting: &str, value: &str) -> Result<(), SecretNotKept> {
        let path =
            self.0.get(setting).ok_or_else(|| SecretNotKept::NoFile { setting: setting.to_owned() })?;
        replace(path, value).map_err(|error| unwritable(setting, &error))
    }
}

fn unwritable(setting: &str, error: &io::Error) -> SecretNotKept {
    SecretNotKept::Unwritable { setting: setting.to_owned(), cause: error.to_string() }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A new file, which only its owner may read, takes the place of the one that is there: who reads it sees the one or the
/// other.
fn replace(path: &Path, value: &str) -> io::Result<()> {
    // Behind a symbolic link it is what is linked to that is replaced.
    let path = fs::canonicalize(path)?;
    let folder = folder_of(&path);
    let mut file = tempfile::Builder::new().prefix(".postbridge-").tempfile_in(folder)?;
    file.write_all(value.as_bytes())?;
    file.write_all(b"\n")?;
    file.as_file().sync_all()?;
    file.persist(&path).map_err(|error| error.error)?;
    File::open(folder)?.sync_all()
}
