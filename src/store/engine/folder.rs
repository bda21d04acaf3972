//! The data folder before the engine opens it: that there is room, that all of it can be used, and that it
//! is this user's alone.

use std::fs::{self, DirBuilder, Metadata, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, accessat};

use crate::store::engine::error::OpenError;

/// The least free space to start with, in bytes: what the engine writes while it opens.
const ROOM: u64 = 4 * 1024 * 1024;
/// The rights of everyone but the owner.
const OTHERS: u32 = 0o077;
/// Folders within folders that are looked at; the engine makes one.
const DEPTH: usize = 8;

/// Makes the folder, or checks the one that is there: nothing in it is changed before all of it is known to
/// be usable, and nothing but the rights of others then. Says whether it was made.
///
/// # Errors
/// No room on its disk, a file that this user may not use, rights that cannot be taken from others.
pub fn prepare(path: &Path) -> Result<bool, OpenError> {
    let failed = |error: io::Error| OpenError::of_io(path, &error);
    room(path)?;
    if !path.try_exists().map_err(failed)? {
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
        return Ok(true);
    }
    let mut found = Vec::new();
    list(path.to_path_buf(), DEPTH, &mut found)?;
    for (place, metadata) in found {
        tighten(&place, &metadata)?;
    }
    Ok(false)
}

/// Whether an engine's words say that the disk, or the user's share of it, is full.
pub fn says_full(cause: &str) -> bool {
    // `ENOSPC` and `EDQUOT`, in the words and by the numbers that the standard library gives them.
    ["No space left on device", "os error 28", "StorageFull", "Disk quota exceeded", "os error 122"]
        .iter()
        .any(|words| cause.contains(words))
}

/// Whether there is room to start.
///
/// # Errors
/// That there is none.
pub fn room(path: &Path) -> Result<(), OpenError> {
    room_for(path, ROOM)
}

/// Whether so many bytes more have room on the folder's disk.
///
/// # Errors
/// That they have none.
pub fn room_for(path: &Path, bytes: u64) -> Result<(), OpenError> {
    let nearest = path.ancestors().find(|place| place.exists()).unwrap_or(path);
    let Ok(disk) = rustix::fs::statvfs(nearest) else {
        // What is wrong with the folder is found, and named, by the next who uses it.
        return Ok(());
    };
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    if free < bytes { Err(OpenError::Full { path: path.to_owned() }) } else { Ok(()) }
}

/// How many bytes the files in a folder have; 0 where there is none.
///
/// # Errors
/// The system's.
pub fn size_of(folder: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    if !folder.is_dir() {
        return Ok(0);
    }
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        bytes += match entry.metadata() {
            Ok(found) if found.is_dir() => size_of(&entry.path())?,
            Ok(found) => found.len(),
            // A process that has the folder open removes files of its own.
            Err(error) if error.kind() == ErrorKind::NotFound => 0,
            Err(error) => return Err(error),
        };
    }
    Ok(bytes)
}

/// Every file and folder from `place` down, each usable by this user. Links are not followed.
fn list(place: PathBuf, depth: usize, found: &mut Vec<(PathBuf, Metadata)>) -> Result<(), OpenError> {
    let failed = |error: io::Error| OpenError::of_io(&place, &error);
    let metadata = fs::metadata(&place).map_err(failed)?;
    let needed = if metadata.is_dir() {
        Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK
    } else {
        Access::READ_OK | Access::WRITE_OK
    };
    accessat(CWD, &place, needed, AtFlags::EACCESS).map_err(|errno| failed(errno.into()))?;
    if metadata.is_dir() && depth > 0 {
        for entry in fs::read_dir(&place).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let kind = entry.file_type().map_err(failed)?;
            if !kind.is_dir() && !kind.is_file() {
                continue;
            }
            match list(entry.path(), depth - 1, found) {
                // A process that still has the folder open removes files of its own.
                Err(_) if is_gone(&entry.path()) => {}
                listed => listed?,
            }
        }
    }
    found.push((place, metadata));
    Ok(())
}

/// Takes the rights of others away, where they have any.
fn tighten(place: &Path, metadata: &Metadata) -> Result<(), OpenError> {
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & OTHERS == 0 {
        return Ok(());
    }
    let exposed = || OpenError::Exposed { path: place.to_owned() };
    match fs::set_permissions(place, Permissions::from_mode(mode & !OTHERS)) {
        Err(_) if is_gone(place) => return Ok(()),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => return Err(exposed()),
        done => done.map_err(|error| OpenError::of_io(place, &error))?,
    }
    // Some file systems keep no rights and say nothing.
    let now = fs::metadata(place).map_err(|error| OpenError::of_io(place, &error))?;
    if now.permissions().mode() & OTHERS != 0 { Err(exposed()) } else { Ok(()) }
}

fn is_gone(place: &Path) -> bool {
    place.symlink_metadata().is_err_and(|error| error.kind() == ErrorKind::NotFound)
}
