//! Verifies a data folder that no one has open: every frame, every hash, and every record of the index against the journal.
//! Nothing of it is changed: what would be changed by opening it is looked at as a copy.

use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::store::contract::copies::ProgressOf;
use crate::store::contract::verification::{StoreFinding, StoreVerification};
use crate::store::engine::compare::{Comparison, RecordDifference};
use crate::store::engine::data_folder::{INDEX, JOURNAL, NEW_INDEX, RESTORING, VERIFYING};
use crate::store::engine::error::OpenError;
use crate::store::engine::folder;
use crate::store::engine::index_folder::{self, CheckedIndex, of_kv};
use crate::store::engine::index_renewal::index_in;
use crate::store::engine::journal::files;
use crate::store::engine::journal::finished;
use crate::store::engine::journal::inspect::{Inspection, inspect};
use crate::store::engine::journal::manifest::{Manifest, SegmentEntry};
use crate::store::engine::kv::Kv;
use crate::store::engine::open_folder;
use crate::store::engine::packed::Packed;

/// Looks at all records of a store, each under its own key.
pub type RecordCheck<'a> = &'a dyn Fn(Arc<dyn Kv>, &mut StoreVerification) -> Result<(), OpenError>;

/// Verifies a data folder. `check` looks at what is in the records.
///
/// # Errors
/// Why it cannot be looked at: someone has it open, or the system's.
pub fn verify_folder(
    path: &Path,
    tables: &'static [u8],
    check: RecordCheck<'_>,
    progress: ProgressOf<'_>,
) -> Result<StoreVerification, OpenError> {
    let failed = |error: io::Error| OpenError::of_io(path, &error);
    if !path.is_dir() {
        let cause = "there is no such folder".to_owned();
        return Err(OpenError::Folder { path: path.to_owned(), cause });
    }
    let _lock = open_folder::lock(path)?;
    let mut verification = StoreVerification::default();
    if path.join(RESTORING).exists() {
        verification.add(StoreFinding::RestoreUnfinished(path.to_owned()));
        return Ok(verification);
    }
    let journal = path.join(JOURNAL);
    let Some(inspection) = inspect(&journal).map_err(failed)? else {
        verification.add(StoreFinding::NoJournal(path.to_owned()));
        return Ok(verification);
    };
    note(&inspection, &mut verification);
    replaced(&journal, &inspection, &mut verification);
    segments(&journal, &inspection.manifest.segments, &mut verification, progress).map_err(failed)?;
    // A copy of the index, and one that is made anew.
    folder::room_for(path, 2 * folder::size_of(&index_in(path)).map_err(failed)?)?;
    let work = path.join(VERIFYING);
    files::remove(&work).and_then(|()| std::fs::create_dir(&work)).map_err(failed)?;
    let compared = with_index(path, &inspection, tables, check, &mut verification);
    files::remove(&work).map_err(failed)?;
    compared.map(|()| verification)
}

/// Makes the index anew from a journal that is whole, of a folder that no one has open: its own sums may be right although
/// its records are not. The one before is kept until the next clean stop.
///
/// # Errors
/// Why it is as it was.
pub fn renew_index(path: &Path, tables: &'static [u8]) -> Result<(), OpenError> {
    let failed = |error: io::Error| OpenError::of_io(path, &error);
    let _lock = open_folder::lock(path)?;
    let journal = path.join(JOURNAL);
    let inspection = inspect(&journal).map_err(failed)?;
    let Some(inspection) = inspection.filter(|found| found.damage.is_empty() && found.end.is_some()) else {
        let cause = "the journal is damaged: the index is not made from it".to_owned();
        return Err(OpenError::Broken { path: path.to_owned(), cause });
    };
    let made = path.join(NEW_INDEX);
    drop(index_folder::make(&made, (&journal, &inspection), tables)?);
    let aside = index_folder::put_in_place(&made, &path.join(INDEX)).map_err(failed)?;
    let mut manifest = Manifest::read(&journal).0.unwrap_or(inspection.manifest);
    manifest.sequence += 1;
    manifest.set_aside.extend(aside);
    manifest.write(&journal).map_err(failed)
}

/// Takes in what an inspection found.
fn note(inspection: &Inspection, verification: &mut StoreVerification) {
    verification.last = inspection.last;
    for damage in &inspection.damage {
        verification.add(StoreFinding::JournalDamaged { place: damage.to_string() });
    }
    inspection.flaws.iter().for_each(|flaw| verification.add(StoreFinding::JournalFlaw(flaw.clone())));
    if let Some(torn) = inspection.torn.as_ref().filter(|torn| torn.may_be_answered) {
        verification.add(StoreFinding::TornEnd { file: torn.file.clone(), at: torn.at });
    }
}

/// Files that the manifest names, and that are missing, where what they took the place of is there still.
fn replaced(journal: &Path, inspection: &Inspection, verification: &mut StoreVerification) {
    let named = Manifest::read(journal).0.map(|manifest| manifest.segments).unwrap_or_default();
    let found = &inspection.manifest.segments;
    for entry in named.iter().filter(|entry| found.iter().all(|known| known.file != entry.file)) {
        let what = "it is missing, and the file that it took the place of is there".to_owned();
        verification.add(StoreFinding::SegmentDiffers { file: journal.join(&entry.file), what });
    }
}

/// Reads the finished segments: their bytes have the hash, and their frames the counts, that the manifest says.
///
/// # Errors
/// That one is not there.
pub fn segments(
    journal: &Path,
    entries: &[SegmentEntry],
    verification: &mut StoreVerification,
    progress: ProgressOf<'_>,
) -> io::Result<()> {
    for (number, entry) in entries.iter().enumerate() {
        if let Some(finished) = &entry.finished {
            let file = journal.join(&entry.file);
            let what = match finished::difference(&file, finished) {
                Ok(None) => finished::miscount(&file, finished)?
                    .map(|kind| format!("its changes of kind {} are not as many", [kind].escape_ascii())),
                Ok(what) => what,
                Err(error) => Some(error.to_string()),
            };
            if let Some(what) = what {
                verification.add(StoreFinding::SegmentDiffers { file, what });
            }
        }
        verification.segments += 1;
        progress(number as u64 + 1, 2 * entries.len() as u64);
    }
    Ok(())
}

/// Compares the index with one that is made anew from the journal, and looks at the records.
fn with_index(
    path: &Path,
    inspection: &Inspection,
    tables: &'static [u8],
    check: RecordCheck<'_>,
    verification: &mut StoreVerification,
) -> Result<(), OpenError> {
    let failed = |error: io::Error| OpenError::of_io(path, &error);
    let (journal, index) = (path.join(JOURNAL), index_in(path));
    let made = path.join(VERIFYING).join("made");
    let made = index_folder::make(&made, (&journal, inspection), tables)?;
    let truth: Arc<dyn Kv> = Arc::new(Packed::new(made, tables));
    let copy = path.join(VERIFYING).join("copy");
    let opened = match index.is_dir() {
        false => CheckedIndex::Wrong("it is missing".to_owned()),
        true => {
            files::copy_folder(&index, &copy).map_err(failed)?;
            index_folder::open(&copy)?
        }
    };
    match opened {
        CheckedIndex::Wrong(cause) => verification.add(StoreFinding::IndexWrong(cause)),
        CheckedIndex::Whole(sled) => {
            let applied = sled.mark().applied;
            let packed = Packed::new(Arc::<crate::store::engine::sled::Sled>::clone(&sled), tables);
            if !inspection.damage.is_empty() {
                // What the journal lost is named already.
            } else if applied > inspection.last {
                let cause = format!("it has commit {applied}, and the journal ends with {}", inspection.last);
                verification.add(StoreFinding::IndexWrong(cause));
            } else if applied < inspection.rewritten {
                let cause =
                    "it is older than the journal's last rewriting: the next start makes it anew".to_owned();
                verification.add(StoreFinding::IndexWrong(cause));
            } else {
                // What it has not got yet it is given, as a start would do.
                index_folder::bring_up(&sled, &packed, (&journal, inspection), applied)?;
                compare(truth.as_ref(), &packed, verification).map_err(|error| of_kv(path, error))?;
            }
        }
    }
    check(truth, verification)
}

fn compare(
    truth: &dyn Kv,
    index: &dyn Kv,
    verification: &mut StoreVerification,
) -> Result<(), crate::store::engine::kv::KvError> {
    let mut comparison = Comparison::new(truth, index);
    while let Some(found) = comparison.next()? {
        found.into_iter().for_each(|difference| verification.add(finding(difference)));
    }
    verification.records += comparison.records;
    Ok(())
}

/// What a difference of the index from the journal is called.
pub fn finding(difference: RecordDifference) -> StoreFinding {
    match difference {
        RecordDifference::Missing(key) => StoreFinding::RecordMissing(key),
        RecordDifference::LeftOver(key) => StoreFinding::RecordLeftOver(key),
        RecordDifference::Differs(key) => StoreFinding::RecordDiffers(key),
        RecordDifference::Unreadable(key, cause) => StoreFinding::RecordUnreadable { key, cause },
    }
}
