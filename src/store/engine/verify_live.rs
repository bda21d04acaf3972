//! Verifies a store that runs: commits go on meanwhile, and what they change is looked at again.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::store::contract::copies::ProgressOf;
use crate::store::contract::verification::{StoreFinding, StoreVerification};
use crate::store::engine::compare::{Comparison, RecordDifference};
use crate::store::engine::data_folder::{INDEX, VERIFYING};
use crate::store::engine::error::OpenError;
use crate::store::engine::folder::{room_for, size_of};
use crate::store::engine::index_folder::{self, of_kv};
use crate::store::engine::journal::append::Journal;
use crate::store::engine::journal::changes;
use crate::store::engine::journal::files;
use crate::store::engine::journal::inspect::Inspection;
use crate::store::engine::journal::manifest::{Manifest, SegmentEntry};
use crate::store::engine::journal::replay::replay_between;
use crate::store::engine::journal::segment_reader::SegmentReader;
use crate::store::engine::kv::{Kv, KvError};
use crate::store::engine::packed::Packed;
use crate::store::engine::sled::Sled;
use crate::store::engine::verify::{RecordCheck, finding, segments};

/// How often it is begun anew because segments were rewritten, or removed, while they were read.
const TRIES: usize = 10;
/// How often what differs is looked at again, and how long after.
const ROUNDS: usize = 10;
const PAUSE: Duration = Duration::from_millis(100);
/// How many differences are kept before they are looked at again.
const KEPT: usize = 10_000;

/// Verifies the journal of a store that runs, and compares `live`, which is its records as they are read, with it. `check`
/// looks at what is in the records, as they are in the journal at one moment.
///
/// # Errors
/// What keeps it from being looked at.
pub fn verify_live(
    (journal, live): (&Journal, &dyn Kv),
    tables: &'static [u8],
    check: RecordCheck<'_>,
    progress: ProgressOf<'_>,
) -> Result<StoreVerification, OpenError> {
    let folder = journal.folder().parent().unwrap_or(journal.folder()).to_path_buf();
    let failed = |error: io::Error| OpenError::of_io(&folder, &error);
    room_for(&folder, 2 * size_of(&folder.join(INDEX)).map_err(failed)?)?;
    let work = folder.join(VERIFYING);
    files::remove(&work).and_then(|()| std::fs::create_dir(&work)).map_err(failed)?;
    let verified = tries((journal, live), (tables, check), &work, progress);
    files::remove(&work).map_err(failed)?;
    verified
}

fn tries(
    (journal, live): (&Journal, &dyn Kv),
    (tables, check): (&'static [u8], RecordCheck<'_>),
    work: &Path,
    progress: ProgressOf<'_>,
) -> Result<StoreVerification, OpenError> {
    let _stay = journal.hold_files();
    for attempt in 0.. {
        let (manifest, end) = journal.snapshot();
        let mut verification = StoreVerification { last: end.lsn, ..StoreVerification::default() };
        let read = segments(journal.folder(), &manifest.segments, &mut verification, progress);
        let compared = read.map_err(|error| OpenError::of_io(journal.folder(), &error)).and_then(|()| {
            open_segment(journal, &manifest, end.at, &mut verification);
            let mut live = LiveComparison { journal, live, tables, check, differing: HashMap::new() };
            live.all(work, &manifest, end.lsn, &mut verification)
        });
        // What was read may have been taken away, or rewritten, meanwhile.
        let is_gone = |entry: &SegmentEntry| !journal.folder().join(&entry.file).exists();
        let was_rewritten = || verification.has_other_records() && !has_all(&journal.manifest(), &manifest);
        if attempt + 1 < TRIES && (manifest.segments.iter().any(is_gone) || was_rewritten()) {
            continue;
        }
        return compared.map(|()| verification);
    }
    Ok(StoreVerification::default())
}

/// Whether every file of a manifest is one of another, later one.
fn has_all(now: &Manifest, before: &Manifest) -> bool {
    before.segments.iter().all(|entry| now.segments.iter().any(|known| known.file == entry.file))
}

/// The frames of the segments that are not finished, as far as they were durable.
fn open_segment(journal: &Journal, manifest: &Manifest, end: u64, verification: &mut StoreVerification) {
    let Some(entry) = manifest.segments.last() else { return };
    let file = journal.folder().join(&entry.file);
    let reached = SegmentReader::open(&file).map(|mut reader| {
        while reader.at() < end && reader.next_frame().is_ok() {}
        reader.at()
    });
    match reached {
        Ok(at) if at >= end => {}
        Ok(at) => {
            let place = format!("{} from byte {at}: no whole commit begins there", file.display());
            verification.add(StoreFinding::JournalDamaged { place });
        }
        Err(error) => {
            let place = format!("{} cannot be read: {error}", file.display());
            verification.add(StoreFinding::JournalDamaged { place });
        }
    }
}

/// A comparison with records that change meanwhile.
struct LiveComparison<'a> {
    journal: &'a Journal,
    live: &'a dyn Kv,
    tables: &'static [u8],
    check: RecordCheck<'a>,
    /// What differed when it was looked at.
    differing: HashMap<Vec<u8>, RecordDifference>,
}

impl LiveComparison<'_> {
    fn all(
        &mut self,
        work: &Path,
        manifest: &Manifest,
        last: u64,
        verification: &mut StoreVerification,
    ) -> Result<(), OpenError> {
        let failed = |error: KvError| of_kv(self.journal.folder(), error);
        let inspection = of_snapshot(manifest.clone(), last);
        let made = index_folder::make(&work.join("made"), (self.journal.folder(), &inspection), self.tables)?;
        let truth = Arc::new(Packed::new(Arc::<Sled>::clone(&made), self.tables));
        let mut comparison = Comparison::new(truth.as_ref(), self.live);
        while let Some(found) = comparison.next().map_err(failed)? {
            let by_key = found.into_iter().map(|difference| (key(&difference).to_vec(), difference));
            self.differing.extend(by_key);
            if self.differing.len() >= KEPT {
                self.settle(&made, &truth, verification)?;
            }
        }
        verification.records += comparison.records;
        self.settle(&made, &truth, verification)?;
        (self.check)(truth, verification)
    }

    /// Looks again at what differed, with what was committed meanwhile, until nothing of it is still changing.
    fn settle(
        &mut self,
        made: &Sled,
        truth: &Packed,
        verification: &mut StoreVerification,
    ) -> Result<(), OpenError> {
        let failed = |error: KvError| of_kv(self.journal.folder(), error);
        for round in 0..ROUNDS {
            if self.differing.is_empty() {
                return Ok(());
            }
            if round > 0 {
                std::thread::sleep(PAUSE);
            }
            let (manifest, end) = self.journal.snapshot();
            let applied = made.mark().applied;
            let inspection = of_snapshot(manifest, end.lsn);
            index_folder::bring_up(made, truth, (self.journal.folder(), &inspection), applied)?;
            let live = self.live;
            let mut unread = Ok(());
            self.differing.retain(|key, _| match (truth.get(key), live.get(key)) {
                (Ok(own), Ok(found)) => own != found,
                (Err(error), _) => {
                    unread = Err(error);
                    true
                }
                (_, Err(_)) => true,
            });
            unread.map_err(failed)?;
            self.forget_changed(made.mark().applied).map_err(failed)?;
        }
        let mut differing: Vec<_> = self.differing.drain().collect();
        differing.sort_by(|one, other| one.0.cmp(&other.0));
        differing.into_iter().for_each(|(_, difference)| verification.add(finding(difference)));
        Ok(())
    }

    /// Forgets what a commit after `after` has changed: it is new, and was written since.
    fn forget_changed(&mut self, after: u64) -> Result<(), KvError> {
        if self.differing.is_empty() {
            return Ok(());
        }
        let (manifest, end) = self.journal.snapshot();
        let (folder, differing) = (self.journal.folder(), &mut self.differing);
        replay_between(folder, &manifest.segments, (after, end.lsn), &mut |_, payload| {
            let seen = changes::each(payload, |(key, _)| drop(differing.remove(key)));
            seen.map_err(KvError::Failed)
        })?;
        Ok(())
    }
}

fn key(difference: &RecordDifference) -> &[u8] {
    match difference {
        RecordDifference::Missing(key)
        | RecordDifference::LeftOver(key)
        | RecordDifference::Differs(key)
        | RecordDifference::Unreadable(key, _) => key,
    }
}

/// A journal that is whole up to a commit, as an inspection would find it.
fn of_snapshot(manifest: Manifest, last: u64) -> Inspection {
    Inspection { last, ..Inspection::nothing(manifest) }
}
