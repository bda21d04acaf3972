//! Why this user may not use a file: who owns it, and the command that changes that.

use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::template::diagnostic::Problem;

/// The rights of everyone but the owner.
const OTHERS: u32 = 0o077;
/// The right of everyone but the owner to read.
const OTHERS_READ: u32 = 0o044;

/// A problem with a file: `what` happened, as `error` says. Where a right is missing it names the owner and
/// the command that gives the file to this user; else the hint is `usual`.
pub fn problem(path: &Path, what: &str, error: &io::Error, usual: &str) -> Problem {
    if error.kind() == ErrorKind::PermissionDenied {
        return Problem::new(format!("{what}: {error}. {}", owner(path)), fix(path));
    }
    Problem::new(format!("{what}: {error}"), usual)
}

/// Who owns what keeps this user from `path` (the file itself, or a folder on the way to it), and who this
/// user is: `/etc/relay belongs to root (mode 0700), and this program runs as postbridge`.
pub fn owner(path: &Path) -> String {
    let me = user(rustix::process::geteuid().as_raw());
    match obstacle(path) {
        Some((place, metadata)) => {
            let (owner, mode) = (user(metadata.uid()), metadata.mode() & 0o7777);
            format!("{} belongs to {owner} (mode {mode:04o}), and this program runs as {me}", place.display())
        }
        None => format!("This program runs as {me}"),
    }
}

/// The command that gives `path` to this user, or lets its owner use it.
pub fn fix(path: &Path) -> String {
    let euid = rustix::process::geteuid().as_raw();
    let me = user(euid);
    let shown = path.display();
    match obstacle(path) {
        Some((place, metadata)) if metadata.uid() == euid => {
            let rights = if metadata.is_dir() { "u+rwx" } else { "u+rw" };
            format!("give yourself the right: chmod {rights} {}", place.display())
        }
        Some((place, metadata)) if place == path => {
            let recursive = if metadata.is_dir() { "-R " } else { "" };
            format!("give it to the user that runs this: sudo chown {recursive}{me} {shown}")
        }
        // Folders on the way are shared with others: they are not given away.
        Some(_) if is_missing(path) => {
            format!("make it for the user that runs this: sudo mkdir -p {shown} && sudo chown {me} {shown}")
        }
        Some((place, _)) => {
            let place = place.display();
            format!(
                "let {me} into that folder: sudo chmod o+x {place}; or keep it elsewhere, and there: \
                 sudo chown -R {me} {shown}"
            )
        }
        None => format!("start it as the user that owns {shown}, or: sudo chown -R {me} {shown}"),
    }
}

fn is_missing(path: &Path) -> bool {
    std::fs::metadata(path).is_err_and(|error| error.kind() == ErrorKind::NotFound)
}

/// The mode of a file that everyone, or its group, may read; `None` where only its owner may.
pub fn readable_by_others(path: &Path) -> Option<u32> {
    let mode = std::fs::metadata(path).ok()?.mode() & 0o7777;
    (mode & OTHERS_READ != 0).then_some(mode)
}

/// The remark on a file with a secret in it that others may read.
pub fn exposed(name: &str, path: &Path, mode: u32) -> Problem {
    let kept = mode & !OTHERS;
    Problem::new(
        format!("{name} holds a secret, and other users of this machine may read it (mode {mode:04o})"),
        format!("keep it for its owner: chmod {kept:o} {}", path.display()),
    )
}

/// The nearest place to `path` that can be looked at: what is below it, this user may not even see.
fn obstacle(path: &Path) -> Option<(&Path, std::fs::Metadata)> {
    path.ancestors()
        .map(|place| if place.as_os_str().is_empty() { Path::new(".") } else { place })
        .find_map(|place| Some((place, std::fs::metadata(place).ok()?)))
}

/// A user by name where the machine's own list has one, else by number.
fn user(uid: u32) -> String {
    let list = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let named = list.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, id) = (fields.next()?, fields.nth(1)?);
        (id.parse() == Ok(uid)).then(|| name.to_owned())
    });
    named.unwrap_or_else(|| uid.to_string())
}
