//! The settings of an account that are in files of their own: read anew, and replaced when a platform gives another.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::config::mount_points;
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
            // Its folder may be written, and the file is not replaced all the same.
            Ok(path) if mount_points::is_mounted(&path) => {
                Some(SecretNotKept::Mounted { setting: setting.to_owned() })
            }
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

/// How the name of a file ends that holds a value on its way to the place of another.
const NEXT: &str = ".next";
/// So many digits of the digest of what it is to replace are before that.
const DIGITS: usize = 16;

/// The file that holds a value on its way to the place of what is there now. It counts where that is there still: what a
/// person writes since goes before it, whatever the clock says of either.
fn next_path(path: &Path) -> io::Result<PathBuf> {
    let digest = Sha256::digest(fs::read(path)?.trim_ascii());
    let mut name = next_prefix(path);
    name.extend(digest.iter().take(DIGITS / 2).map(|byte| OsString::from(format!("{byte:02x}"))));
    name.push(NEXT);
    Ok(folder_of(path).join(name))
}

/// How the names of these files begin.
fn next_prefix(path: &Path) -> OsString {
    let mut prefix = OsString::from(".");
    prefix.push(path.file_name().unwrap_or_default());
    prefix.push(".");
    prefix
}

/// Whether it is the name of a file that holds such a value, whatever that was to replace.
fn is_next(name: &OsStr, prefix: &OsStr) -> bool {
    let rest = name.as_encoded_bytes().strip_prefix(prefix.as_encoded_bytes());
    let digits = rest.and_then(|rest| rest.strip_suffix(NEXT.as_bytes()));
    let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    digits.is_some_and(|digits| digits.len() == DIGITS && digits.iter().all(is_digit))
}

/// A new file next to the one that is there, which only its owner may read. Those that were staged before are worth nothing.
fn stage(path: &Path, value: &str) -> io::Result<()> {
    let (folder, next, prefix) = (folder_of(path), next_path(path)?, next_prefix(path));
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        match is_next(&entry.file_name(), &prefix).then(|| fs::remove_file(entry.path())) {
            // Another reader has put it in its place meanwhile.
            Some(Err(error)) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    let name = next.file_name().unwrap_or_default();
    let mut file = tempfile::Builder::new().prefix(name).rand_bytes(0).tempfile_in(folder)?;
    file.write_all(format!("{value}\n").as_bytes())?;
    file.as_file().sync_all()?;
    file.keep().map_err(|error| error.error)?;
    File::open(folder)?.sync_all()
}

/// What a crash left behind of a value on its way: whole, and to replace what is there.
fn staged(path: &Path) -> Option<String> {
    let text = fs::read_to_string(next_path(path).ok()?).ok()?;
    let value = text.strip_suffix('\n')?;
    (!value.is_empty() && !value.contains(char::is_control)).then(|| value.to_owned())
}

/// It takes the place of the one that is there: who reads that sees the one or the other.
fn adopt(path: &Path) -> io::Result<()> {
    match fs::rename(next_path(path)?, path) {
        // Another reader has done it, or a person has written another since.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        moved => moved?,
    }
    File::open(folder_of(path))?.sync_all()
}
