//! Keeps the journal's files in order, in the background: makes the next one ahead, finishes those that are full, and
//! rewrites those of which much is gone.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::domain::time::Time;
use crate::store::engine::checkpoint::IndexedJournal;
use crate::store::engine::data_folder::GIVEN_UP;
use crate::store::engine::folder;
use crate::store::engine::journal::append::{Journal, SPARE};
use crate::store::engine::journal::files;
use crate::store::engine::journal::finish;
use crate::store::engine::journal::rewrite::{self, GoneRecords, RewrittenSegment};
use crate::store::engine::kv::KvError;

/// How often it is looked what is to be done.
const EVERY: Duration = Duration::from_secs(1);
/// After how many looks a file is removed that another took the place of: at least ten minutes.
const KEPT_LOOKS: u32 = 600;
/// The rest after each piece of a rewriting: as long as the piece takes, about, so that it takes half of a core at most.
const REST: Duration = Duration::from_millis(2);
/// For how many looks at most the files stay for those who read them: a backup on a disk that does not answer must not keep
/// what was erased.
const HELD_LOOKS: u32 = 1200;
/// After how many looks without another erasure, and how many in any case, what was erased leaves the journal.
const ERASED_REST: u32 = 60;
const ERASED_WAIT: u32 = 600;

/// How much room there has to be, in bytes, to end a segment before it is full: for those behind it.
pub const END_ROOM: u64 = 192 * 1024 * 1024;

/// What is asked of the thread that tidies.
#[derive(Default)]
pub struct TidyRequest {
    state: Mutex<TidyState>,
    bell: Condvar,
    /// What has been replaced; held by the one who tidies.
    replaced: Mutex<ReplacedFiles>,
}

#[derive(Default)]
struct TidyState {
    stop: bool,
    /// What may be gone.
    gone: GoneRecords,
    /// How many looks ago something was erased that is still in the journal: first, and last.
    erased_looks: (u32, u32),
}

impl TidyState {
    /// It is looked what is to be done.
    fn look(&mut self) {
        let (first, last) = self.erased_looks;
        self.erased_looks = (first.saturating_add(1), last.saturating_add(1));
    }

    /// What is to go now. What was erased waits a while for more of it, so that several erasures share a rewriting.
    fn due(&self) -> GoneRecords {
        let (first, last) = self.erased_looks;
        let is_due = last >= ERASED_REST || first >= ERASED_WAIT;
        GoneRecords { erased: if is_due { self.gone.erased } else { 0 }, ..self.gone.clone() }
    }
}

impl TidyRequest {
    /// Ends the thread.
    pub fn stop(&self) {
        self.state.lock().stop = true;
        self.bell.notify_one();
    }

    /// What was received before one of these times may be gone.
    pub fn aged(&self, before: &[Time]) {
        self.state.lock().gone.before = before.to_vec();
        self.bell.notify_one();
    }

    /// Of what commits up to this one wrote, something was erased.
    pub fn erased(&self, until: u64) {
        let mut state = self.state.lock();
        if until > state.gone.erased {
            let first = if state.gone.erased == 0 { 0 } else { state.erased_looks.0 };
            (state.gone.erased, state.erased_looks) = (until, (first, 0));
        }
    }

    /// Whether something was erased that is in the journal still.
    fn is_erasing(&self) -> bool {
        self.state.lock().gone.erased > 0
    }

    /// Nothing of that is in the journal any more.
    fn is_rid_of(&self, until: u64) {
        let mut state = self.state.lock();
        if state.gone.erased == until {
            (state.gone.erased, state.erased_looks) = (0, (0, 0));
        }
    }

    /// Waits a moment. Answers what may be gone; `None`: it is to end.
    fn wait(&self) -> Option<GoneRecords> {
        let mut state = self.state.lock();
        if !state.stop {
            self.bell.wait_for(&mut state, EVERY);
        }
        state.look();
        (!state.stop).then(|| state.due())
    }

    fn is_stopped(&self) -> bool {
        self.state.lock().stop
    }
}

/// Starts the thread.
///
/// # Errors
/// When the operating system gives no thread.
pub fn start(shared: &Arc<IndexedJournal>, request: &Arc<TidyRequest>) -> std::io::Result<JoinHandle<()>> {
    let (shared, request) = (Arc::clone(shared), Arc::clone(request));
    let run = move || {
        while let Some(gone) = request.wait() {
            shared.heal_for_writer(&|| request.is_stopped());
            let mut replaced = request.replaced.lock();
            let removed = replaced.remove_old(&shared.journal, request.is_erasing());
            if let Err(error) = tidy(&shared, &request, &gone, &mut replaced).and(removed) {
                // What cannot be tidied is there as it was: nothing is lost, and nothing is given back.
                tracing::error!(%error, "the journal's files cannot be tidied");
            }
        }
    };
    std::thread::Builder::new().name("store-tidy".to_owned()).spawn(run)
}

/// Files that others took the place of: someone may be copying the folder by a manifest that names them.
#[derive(Default)]
pub struct ReplacedFiles {
    /// Each with how many looks ago it was replaced.
    files: Vec<(RewrittenSegment, u32)>,
    /// For how many looks in a row someone has been reading who wants them for a while; and who does for as long as it takes,
    /// since something was erased that may be in them.
    held: u32,
    held_long: u32,
}

impl ReplacedFiles {
    /// Removes those that were replaced long ago. Is called at each look.
    fn remove_old(&mut self, journal: &Journal, is_erasing: bool) -> Result<(), KvError> {
        self.files.iter_mut().for_each(|(_, looks)| *looks += 1);
        let looks = |is_held: bool, before: u32| if is_held { before.saturating_add(1) } else { 0 };
        self.held = looks(journal.is_held(), self.held);
        self.held_long = looks(journal.is_held_long() && is_erasing, self.held_long);
        self.remove(journal, KEPT_LOOKS)
    }

    /// Whether someone is reading files, and has not for too long.
    fn are_held(&self, journal: &Journal) -> bool {
        let is_held_long = journal.is_held_long() && self.held_long < HELD_LOOKS;
        journal.is_held() && self.held < HELD_LOOKS || is_held_long
    }

    /// Removes those that were replaced at least so many looks ago.
    fn remove(&mut self, journal: &Journal, looks: u32) -> Result<(), KvError> {
        if self.are_held(journal) {
            return Ok(());
        }
        let failed = |error: io::Error| KvError::Failed(format!("an old file of the journal: {error}"));
        let old: Vec<_> = self.files.extract_if(.., |(_, kept)| *kept >= looks).collect();
        let (mut removed, mut left) = (Ok(()), Vec::new());
        for (old, looks) in old {
            removed = removed.and_then(|()| rewrite::remove_replaced(journal, &old));
            if removed.is_err() {
                left.push((old, looks));
            }
        }
        // They wait for the next look, before those that were replaced later.
        self.files.splice(0..0, left);
        removed.map_err(failed)
    }
}

/// Does at once what is due, and removes what is replaced. `before`: what was received before each of these times and was to
/// go has gone.
///
/// # Errors
/// The system's, or the engine's.
pub fn tidy_now(shared: &IndexedJournal, request: &TidyRequest, before: &[Time]) -> Result<(), KvError> {
    let mut replaced = request.replaced.lock();
    let gone = GoneRecords { before: before.to_vec(), erased: request.state.lock().gone.erased };
    tidy(shared, request, &gone, &mut replaced)?;
    replaced.remove(&shared.journal, 0)?;
    tidy(shared, request, &gone, &mut replaced)
}

/// Does what is to be done now.
///
/// # Errors
/// The system's, or the engine's.
fn tidy(
    shared: &IndexedJournal,
    request: &TidyRequest,
    gone: &GoneRecords,
    replaced: &mut ReplacedFiles,
) -> Result<(), KvError> {
    let failed = |error: std::io::Error| KvError::Failed(format!("the journal: {error}"));
    if !request.is_stopped() && !shared.is_damaged() && shared.journal.is_open_since(gone.erased) {
        // Commits must not fail for want of room where they would not have needed any yet.
        if folder::room_for(shared.journal.folder(), END_ROOM).is_ok() {
            // Ahead, so that no commit waits for more than its name.
            let has_spare = shared.journal.folder().join(SPARE).exists();
            let spare = if has_spare { Ok(()) } else { shared.journal.make_spare() };
            spare.and_then(|()| shared.journal.end_segment(gone.erased)).map_err(failed)?;
            shared.ask_for_checkpoint();
        }
    }
    loop {
        // What fails holds up nothing of the rest.
        let spare = if shared.journal.needs_spare() { shared.journal.make_spare() } else { Ok(()) };
        let finished = finish::finish_all(&shared.journal);
        let are_held = replaced.are_held(&shared.journal);
        let emptied = if are_held { Ok(()) } else { rewrite::remove_empty(&shared.journal) };
        spare.and(finished.map(drop)).and(emptied).map_err(failed)?;
        // What the index lacks must stay in the journal.
        if request.is_stopped() || shared.is_damaged() {
            return Ok(());
        }
        let applied = shared.index.sled().mark().applied;
        let Some(entry) = rewrite::due(&shared.journal, applied, gone) else {
            return end_erasing(shared, request, gone.erased).map_err(failed);
        };
        let current = |key: &[u8]| shared.get(key);
        let pause = || {
            std::thread::sleep(REST);
            !request.is_stopped() && !shared.is_damaged()
        };
        let rewritten = rewrite::rewrite(&shared.journal, (&entry, gone), &current, &pause)?;
        let Some(rewritten) = rewritten else { return Ok(()) };
        let (before, after) = rewritten.bytes;
        tracing::debug!(file = entry.file, before, after, "a file of the journal was rewritten");
        replaced.files.push((rewritten, 0));
    }
}

/// Once the journal is rid of what commits up to this one wrote and was erased, what was set aside goes too: journal and
/// index are whole, and it has what was erased.
fn end_erasing(shared: &IndexedJournal, request: &TidyRequest, erased: u64) -> io::Result<()> {
    if erased == 0 || !rewrite::is_rid_of(&shared.journal, erased) {
        return Ok(());
    }
    remove_set_aside(&shared.journal)?;
    request.is_rid_of(erased);
    Ok(())
}

/// Removes what was set aside before the next clean stop does. What a person gave up is a last resort of its own: it stays,
/// and is named.
///
/// # Errors
/// The system's.
pub fn remove_set_aside(journal: &Journal) -> io::Result<()> {
    let set_aside = journal.manifest().set_aside;
    let (given_up, aside): (Vec<String>, Vec<String>) =
        set_aside.into_iter().partition(|name| name.contains(GIVEN_UP));
    if let Some(folder) = journal.folder().parent().filter(|_| !aside.is_empty()) {
        aside.iter().try_for_each(|name| files::remove(&folder.join(name)))?;
        journal.write_manifest(|manifest| manifest.set_aside = given_up)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::engine::journal::append::JournalSettings;
    use crate::store::engine::journal::segment::StoreId;

    /// How many looks it takes until what was erased leaves the journal, where another erasure follows after so many.
    fn looks_until_due(request: &TidyRequest, another_after: u32) -> u32 {
        for look in 1.. {
            let mut state = request.state.lock();
            state.look();
            if state.due().erased > 0 {
                return look;
            }
            let next = state.gone.erased + 1;
            drop(state);
            if look % another_after == 0 {
                request.erased(next);
            }
        }
        0
    }

    #[test]
    fn files_stay_for_a_while_and_for_as_long_as_it_takes_where_nothing_is_erased() {
        let folder = tempfile::tempdir().unwrap();
        let settings = JournalSettings { segment_bytes: 64 * 1024, wall: None };
        let journal = Journal::begin(folder.path(), StoreId([1; 16]), 1, settings).unwrap();
        let looks_until_gone = |is_erasing: bool| {
            let mut replaced = ReplacedFiles::default();
            let looks = 3 * HELD_LOOKS;
            (0..looks).find(|_| {
                replaced.remove_old(&journal, is_erasing).unwrap();
                !replaced.are_held(&journal)
            })
        };
        assert_eq!(looks_until_gone(false), Some(0));
        let short = journal.hold_files();
        assert_eq!(
            (looks_until_gone(false), looks_until_gone(true)),
            (Some(HELD_LOOKS - 1), Some(HELD_LOOKS - 1))
        );
        drop(short);
        let long = journal.hold_files_long();
        assert_eq!((looks_until_gone(false), looks_until_gone(true)), (None, Some(HELD_LOOKS - 1)));
        let mut replaced = ReplacedFiles::default();
        (0..2 * HELD_LOOKS).for_each(|_| replaced.remove_old(&journal, false).unwrap());
        (1..HELD_LOOKS).for_each(|_| replaced.remove_old(&journal, true).unwrap());
        assert!(replaced.are_held(&journal), "the wait begins with the erasure");
        replaced.remove_old(&journal, true).unwrap();
        assert!(!replaced.are_held(&journal));
        drop(long);
        assert_eq!(looks_until_gone(true), Some(0));
    }

    #[test]
    fn what_was_erased_waits_for_more_of_it_and_not_for_long() {
        let request = TidyRequest::default();
        request.erased(7);
        assert_eq!(looks_until_due(&request, u32::MAX), ERASED_REST);
        request.erased(7);
        assert_eq!(request.state.lock().due().erased, 7, "what is known begins nothing anew");
        request.is_rid_of(7);
        assert_eq!(request.state.lock().due(), GoneRecords::default());
        request.erased(8);
        assert_eq!(looks_until_due(&request, 10), ERASED_WAIT);
        request.is_rid_of(8);
        assert!(request.state.lock().due().erased > 8, "what was erased meanwhile is not forgotten");
    }
}
