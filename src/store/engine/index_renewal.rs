//! An index that is made anew because its free space may have bytes that were erased: asked for while it is open, done by
//! the next start.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::store::engine::data_folder::{GIVEN_UP, INDEX, JOURNAL, NEW_INDEX};
use crate::store::engine::error::OpenError;
use crate::store::engine::folder::{self, size_of};
use crate::store::engine::index_folder::{self, CheckedIndex};
use crate::store::engine::journal::files;
use crate::store::engine::journal::inspect::Inspection;
use crate::store::engine::sled::Sled;

/// Is there while it is to be done.
const ASKED_FOR: &str = "index-to-renew";
/// The one before, on its way out.
const OLD_INDEX: &str = "index.old";

/// Has the next start make the index of a data folder anew.
///
/// # Errors
/// The system's.
pub fn ask_for(folder: &Path) -> io::Result<()> {
    let why = b"data was erased: the index may have bytes of it in its free space, and is made anew by the next start\n";
    files::replace(folder, ASKED_FOR, why)
}

/// Whether it is to be done.
pub fn is_asked_for(folder: &Path) -> bool {
    folder.join(ASKED_FOR).exists()
}

/// Makes the index anew from a journal that is whole, where that is asked for. The one before is removed at once, and so is
/// what was set aside until the next clean stop: they have what was erased. Answers the index that is there then; without
/// room for two it is the one before.
///
/// # Errors
/// The system's, or the engine's.
pub fn renew(
    path: &Path,
    sled: Arc<Sled>,
    inspection: &mut Inspection,
    tables: &'static [u8],
) -> Result<Arc<Sled>, OpenError> {
    let failed = |error: io::Error| OpenError::of_io(path, &error);
    let (index, made, old) = (path.join(INDEX), path.join(NEW_INDEX), path.join(OLD_INDEX));
    files::remove(&old).map_err(failed)?;
    if !is_asked_for(path) {
        return Ok(sled);
    }
    if let Err(error) = folder::room_for(path, 2 * size_of(&index).map_err(failed)?) {
        tracing::warn!(%error, "the index may have bytes of erased data, and there is no room to make it anew now");
        return Ok(sled);
    }
    tracing::warn!("the index is made anew from the journal: it may have bytes of erased data");
    // The one that is here goes only once the new one is known to be whole, and to have all that the journal has.
    let remade = index_folder::make(&made, (&path.join(JOURNAL), inspection), tables).map(drop);
    let checked = remade.and_then(|()| index_folder::open(&made));
    let is_whole = match checked {
        Ok(CheckedIndex::Whole(remade)) => remade.mark().applied == inspection.last,
        Ok(CheckedIndex::Wrong(cause)) => {
            tracing::error!(cause, "the index that was made anew is not whole");
            false
        }
        Err(error) => {
            tracing::error!(%error, "the index cannot be made anew");
            false
        }
    };
    if !is_whole {
        files::remove(&made).map_err(failed)?;
        return Ok(sled);
    }
    drop(sled);
    fs::rename(&index, &old).map_err(failed)?;
    fs::rename(&made, &index).map_err(failed)?;
    files::sync_folder(path).map_err(failed)?;
    let set_aside = std::mem::take(&mut inspection.manifest.set_aside);
    let (given_up, aside): (Vec<String>, Vec<String>) =
        set_aside.into_iter().partition(|name| name.contains(GIVEN_UP));
    inspection.manifest.set_aside = given_up;
    let gone = aside.iter().map(String::as_str).chain([OLD_INDEX, ASKED_FOR]);
    gone.map(|name| path.join(name)).try_for_each(|gone| files::remove(&gone)).map_err(failed)?;
    files::sync_folder(path).map_err(failed)?;
    match index_folder::open(&index)? {
        CheckedIndex::Whole(sled) => Ok(sled),
        CheckedIndex::Wrong(cause) => Err(OpenError::Broken { path: index, cause }),
    }
}
