//! The end of a journal that is no whole commit: kept in a file of its own, before it is overwritten.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::store::engine::journal::damage::TornEnd;
use crate::store::engine::journal::files;

/// A last commit that was not whole and may have been answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastCommit {
    /// Where it was.
    pub torn: TornEnd,
    /// The file that it was set aside in; `None`: there was nothing left of it.
    pub aside: Option<PathBuf>,
}

impl LastCommit {
    /// Where what is left of it is, in words.
    pub fn is_where(&self) -> String {
        let aside = self.aside.as_ref().map(|aside| format!("it is in {}", aside.display()));
        aside.unwrap_or_else(|| "nothing of it is left".to_owned())
    }
}

/// Keeps what is there, which would have been commit `lsn`, in a file of the data folder. Answers where, if anyone may have
/// been answered for it.
///
/// # Errors
/// The system's.
pub fn set_aside(path: &Path, torn: &TornEnd, lsn: u64) -> io::Result<Option<LastCommit>> {
    let mut aside = None;
    if torn.bytes > 0 {
        let file = files::free_name(path, &format!("torn-commit-{lsn}"));
        let mut bytes = vec![0; usize::try_from(torn.bytes).map_err(io::Error::other)?];
        File::open(&torn.file)?.read_exact_at(&mut bytes, torn.at)?;
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        files::replace(path, &name, &bytes)?;
        aside = Some(file);
    }
    if !torn.may_be_answered {
        return Ok(None);
    }
    tracing::warn!(
        file = %torn.file.display(), at = torn.at, bytes = torn.bytes, commands = torn.commands,
        aside = aside.as_deref().map(|aside| aside.display().to_string()),
        "the journal ends in the middle of a commit: what was not answered then is sent again by its sender, what was \
         answered is in the file that it was set aside in, where anything of it is left"
    );
    Ok(Some(LastCommit { torn: torn.clone(), aside }))
}
