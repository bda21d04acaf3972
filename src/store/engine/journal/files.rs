//! Files that are durable under their names, or not there.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// How many zeros are written at a time.
const ZEROS: usize = 256 * 1024;
/// What the name of a file ends with until it is whole.
pub const UNFINISHED: &str = ".new";

/// Makes the names in a folder durable.
///
/// # Errors
/// The system's.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Puts a file with these bytes into the place of the one that has its name: whole and durable, or not at all.
///
/// # Errors
/// The system's.
pub fn replace(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let unfinished = folder.join(format!("{name}{UNFINISHED}"));
    let mut file = create(&unfinished)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&unfinished, folder.join(name))?;
    sync_folder(folder)
}

/// A new file for this user alone, over one that was left unfinished.
///
/// # Errors
/// The system's.
pub fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(path)
}

/// A new file of so many zeros, written and synced: what is written over them later needs no other sync than its own.
///
/// # Errors
/// The system's.
pub fn create_zeros(path: &Path, length: u64) -> io::Result<File> {
    let mut file = create(path)?;
    write_zeros(&mut file, length)?;
    file.sync_all()?;
    Ok(file)
}

/// Writes so many zeros where the file is.
///
/// # Errors
/// The system's.
pub fn write_zeros(file: &mut File, length: u64) -> io::Result<()> {
    let zeros = vec![0; ZEROS];
    let mut left = length;
    while left > 0 {
        let some = usize::try_from(left).unwrap_or(ZEROS).min(ZEROS);
        file.write_all(zeros.get(..some).unwrap_or_default())?;
        left -= some as u64;
    }
    Ok(())
}

/// Removes a file or a folder, whatever it is; one that is not there is no fault.
///
/// # Errors
/// The system's.
pub fn remove(path: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

/// Copies a folder with all files in it, durably.
///
/// # Errors
/// The system's.
pub fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    remove(to)?;
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            copy_file(&entry.path(), &target)?;
        }
    }
    sync_folder(to)
}

/// Copies a file durably.
///
/// # Errors
/// The system's.
pub fn copy_file(from: &Path, to: &Path) -> io::Result<()> {
    let mut target = create(to)?;
    io::copy(&mut File::open(from)?, &mut target)?;
    target.sync_all()
}

/// A name in the folder that nothing has: `name`, or `name` with a number.
pub fn free_name(folder: &Path, name: &str) -> PathBuf {
    let mut path = folder.join(name);
    for number in 2.. {
        if path.symlink_metadata().is_err() {
            break;
        }
        path = folder.join(format!("{name}-{number}"));
    }
    path
}
