//! Writes a damaged journal anew: from the index, where that has all that is lost; and where a person accepts the loss, from
//! what is left of both.

use std::fs;
use std::io;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use crate::store::engine::data_folder::{
    FolderContents, FolderSettings, GIVEN_UP, INDEX, JOURNAL, NEW_JOURNAL, OpenReport, new_store, refused,
    word,
};
use crate::store::engine::erasure_file::ErasureFile;
use crate::store::engine::error::OpenError;
use crate::store::engine::index_folder::{self, CheckedIndex, of_kv};
use crate::store::engine::journal::append::Journal;
use crate::store::engine::journal::damage::{Damage, LastLost};
use crate::store::engine::journal::files;
use crate::store::engine::journal::inspect::Inspection;
use crate::store::engine::journal::manifest::Manifest;
use crate::store::engine::journal::segment::StoreId;
use crate::store::engine::kv::{Batch, Direction, Kv, KvError, Span};
use crate::store::engine::packed::Packed;
use crate::store::engine::sled::Sled;
use crate::store::engine::torn_end;

/// A copy of the index, which is looked through in its place: opening it changes its files.
pub const CHECKED_INDEX: &str = "index.checked";
/// How many bytes of records a frame of a journal has that is written anew.
const FRAME: usize = 256 * 1024;
/// The key behind all others.
const END: &[u8] = &[0xff; 9];

/// Writes the journal anew from the index, or refuses.
///
/// # Errors
/// What is lost; or the system's.
pub fn from_index(
    path: &Path,
    inspection: Inspection,
    settings: &FolderSettings,
    contents: FolderContents<'_>,
    report: &mut OpenReport,
) -> Result<(), OpenError> {
    let failed = |error: io::Error| OpenError::of_io(path, &error);
    let checked = path.join(CHECKED_INDEX);
    // One that is older than a rewriting may have what is gone.
    let index = checked_copy(path, &checked)?.filter(|sled| sled.mark().applied >= inspection.rewritten);
    let lost: Vec<Damage> =
        inspection.damage.iter().filter(|damage| !has(index.as_ref(), damage)).cloned().collect();
    if !lost.is_empty() && settings.accept_loss.as_deref() != Some(word(&lost).as_str()) {
        drop(index);
        files::remove(&checked).map_err(failed)?;
        return Err(refused(path, &lost));
    }
    let journal = path.join(JOURNAL);
    let sled = match index {
        Some(sled) => {
            let packed = Packed::new(Arc::<Sled>::clone(&sled), contents.tables);
            let applied = sled.mark().applied;
            index_folder::bring_up(&sled, &packed, (&journal, &inspection), applied)?;
            sled
        }
        None => index_folder::make(&checked, (&journal, &inspection), contents.tables)?,
    };
    let last = inspection.damage.iter().map(|damage| damage.last.known()).fold(inspection.last, u64::max);
    // It is in the journal that was, and not in the new one.
    if let Some(torn) = &inspection.torn {
        report.torn = torn_end::set_aside(path, torn, last + 1).map_err(failed)?;
    }
    report.is_loss_accepted = !lost.is_empty();
    if report.is_loss_accepted {
        // What was erased may have been so by what is lost. Also where this start is interrupted.
        let erasures = ErasureFile::read(path).unwrap_or_default();
        ErasureFile { again: true, ..erasures }.write(path).map_err(failed)?;
    }
    let ending = if lost.is_empty() { "set-aside" } else { GIVEN_UP };
    write_anew(path, (sled, inspection.manifest.store, last), ending, settings, contents)?;
    let doing =
        if lost.is_empty() { "was written anew from the index" } else { "goes on without what is lost" };
    report.repairs.extend(inspection.damage.iter().map(|damage| format!("the journal {doing}: {damage}")));
    Ok(())
}

/// Begins a journal again that is missing, where there is an index.
///
/// # Errors
/// As [`from_index`].
pub fn from_index_alone(
    path: &Path,
    damage: Damage,
    settings: &FolderSettings,
    contents: FolderContents<'_>,
    report: &mut OpenReport,
) -> Result<(), OpenError> {
    let store = new_store().map_err(|error| OpenError::of_io(path, &error))?;
    let manifest = Manifest::new(store);
    let inspection = Inspection { damage: vec![damage], ..Inspection::nothing(manifest) };
    from_index(path, inspection, settings, contents, report)
}

/// The index as a copy that may be changed; `None`: it is not whole.
fn checked_copy(path: &Path, checked: &Path) -> Result<Option<Arc<Sled>>, OpenError> {
    let failed = |error: io::Error| OpenError::of_io(path, &error);
    let index = path.join(INDEX);
    if !index.is_dir() {
        return Ok(None);
    }
    if let Err(error) = files::copy_folder(&index, checked) {
        files::remove(checked).map_err(failed)?;
        tracing::error!(%error, "the journal is damaged, and the index cannot be copied");
        return match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Err(failed(error)),
            _ => Ok(None),
        };
    }
    match index_folder::open(checked)? {
        CheckedIndex::Whole(sled) => Ok(Some(sled)),
        CheckedIndex::Wrong(cause) => {
            tracing::error!(%cause, "the journal is damaged, and the index is not whole either");
            Ok(None)
        }
    }
}

/// Whether the index has all that was lost there.
pub fn has(index: Option<&Arc<Sled>>, damage: &Damage) -> bool {
    let Some(mark) = index.map(|sled| sled.mark()) else { return false };
    match damage.last {
        LastLost::Commit(last) => last <= mark.applied,
        LastLost::AtLeast(last) => mark.closed && last <= mark.applied,
    }
}

/// Writes a journal anew of all that an index has, and puts both into their places. What was there before is kept until the
/// next clean stop.
fn write_anew(
    path: &Path,
    (sled, store, last): (Arc<Sled>, StoreId, u64),
    ending: &str,
    settings: &FolderSettings,
    contents: FolderContents<'_>,
) -> Result<(), OpenError> {
    let failed = |error: io::Error| OpenError::of_io(path, &error);
    let last = last.max(sled.mark().applied);
    let journal = dump(path, (&sled, store, last + 1), settings, contents)?;
    sled.set_mark(journal.durable(), false).map_err(|error| of_kv(path, error))?;
    drop(sled);
    let aside = [JOURNAL, INDEX].map(|name| files::free_name(path, &format!("{name}.{ending}")));
    let names = aside.iter().filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned()));
    let names: Vec<String> = names.collect();
    // From here on it is whole: what is interrupted is ended by the next start.
    journal
        .write_manifest(|manifest| {
            manifest.closed = true;
            manifest.set_aside = names;
        })
        .map_err(failed)?;
    drop(journal);
    end_swap(path).map_err(failed)
}

/// Writes everything that an index has to a new journal, whose first commit is `first`.
///
/// # Errors
/// The system's, or what cannot be read of the index.
pub fn dump(
    path: &Path,
    (sled, store, first): (&Arc<Sled>, StoreId, u64),
    settings: &FolderSettings,
    contents: FolderContents<'_>,
) -> Result<Journal, OpenError> {
    let failed = |error: io::Error| OpenError::of_io(path, &error);
    let folder = path.join(NEW_JOURNAL);
    files::remove(&folder).map_err(failed)?;
    fs::create_dir(&folder).map_err(failed)?;
    let journal = Journal::begin(&folder, store, first, settings.journal.clone()).map_err(failed)?;
    let index = Packed::new(Arc::<Sled>::clone(sled), contents.tables);
    let (mut batch, mut bytes, mut stopped) = (Batch::default(), 0, Ok(()));
    let mut add = |key: &[u8], value: Result<&[u8], &KvError>| {
        let value = value.map_err(KvError::clone)?;
        bytes += key.len() + value.len();
        batch.put(key.to_vec(), value.to_vec());
        if bytes >= FRAME {
            bytes = 0;
            journal.append(&std::mem::take(&mut batch), &mut |_| {})?;
        }
        Ok(())
    };
    // Table by table: records of a packed table are not met by a scan across tables.
    for table in 1..=u8::MAX {
        let end = table.checked_add(1).map_or(END.to_vec(), |next| vec![next]);
        let span = Span { from: &[table], to: &end, direction: Direction::Up };
        let scanned = index.scan(span, &mut |key, value| match add(key, value) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                stopped = Err(error);
                ControlFlow::Break(())
            }
        });
        scanned.and(std::mem::replace(&mut stopped, Ok(()))).map_err(|error| of_kv(path, error))?;
    }
    journal.append(&batch, &mut |_| {}).map_err(|error| of_kv(path, error))?;
    Ok(journal)
}

/// Whether a journal that was written anew is whole, and only waits for [`end_swap`].
pub fn waits_for_its_place(path: &Path) -> bool {
    Manifest::read(&path.join(NEW_JOURNAL)).0.is_some_and(|manifest| manifest.closed)
}

/// Puts a journal that was written anew, and the index that goes with it, into their places, where that was not done to the
/// end. One that is not whole is left.
///
/// # Errors
/// The system's.
pub fn end_swap(path: &Path) -> io::Result<()> {
    let made = path.join(NEW_JOURNAL);
    let Some(manifest) = Manifest::read(&made).0.filter(|manifest| manifest.closed) else { return Ok(()) };
    let aside = |of: &str| {
        let name = manifest.set_aside.iter().find(|name| name.starts_with(of));
        name.map(|name| path.join(name))
    };
    let checked = path.join(CHECKED_INDEX);
    // The journal goes last: until then this is done again.
    for (name, new) in [(INDEX, &checked), (JOURNAL, &made)] {
        if !new.exists() {
            continue;
        }
        if let Some(aside) = aside(name).filter(|_| path.join(name).exists()) {
            fs::rename(path.join(name), aside)?;
        }
        fs::rename(new, path.join(name))?;
        files::sync_folder(path)?;
    }
    Ok(())
}
