//! The end of a journal that is no whole commit: kept in a file of its own, before it is overwritten.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::store::engine::journal::damage::TornEnd;
use crate::store::engine::journal::files;

/// Keeps what is there, which would have been commit `lsn`, in a file of the data folder. Answers where, if anyone may have
/// been answered for it.
///
/// # Errors
/// The system's.
pub fn set_aside(path: &Path, torn: &TornEnd, lsn: u64) -> io::Result<Option<(TornEnd, PathBuf)>> {
    let aside = files::free_name(path, &format!("torn-commit-{lsn}"));
    if torn.bytes > 0 {
        let mut bytes = vec![0; usize::try_from(torn.bytes).map_err(io::Error::other)?];
        File::open(&torn.file)?.read_exact_at(&mut bytes, torn.at)?;
        let name = aside.file_name().unwrap_or_default().to_string_lossy().into_owned();
        files::replace(path, &name, &bytes)?;
    }
    if !torn.may_be_answered {
        return Ok(None);
    }
    tracing::warn!(
        file = %torn.file.display(), at = torn.at, bytes = torn.bytes, commands = torn.commands,
        aside = %aside.display(),
        "the journal ends in the middle of a commit: what was not answered then is sent again by its sender, what was \
         answered is in that file"
    );
    Ok(Some((torn.clone(), aside)))
}
