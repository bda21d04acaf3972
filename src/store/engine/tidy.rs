//! Keeps the journal's files in order, in the background: makes the next one ahead, finishes those that are full, and
//! rewrites those of which much is gone.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::domain::time::Time;
use crate::store::engine::checkpoint::IndexedJournal;
use crate::store::engine::journal::append::Journal;
use crate::store::engine::journal::finish;
use crate::store::engine::journal::rewrite::{self, RewrittenSegment};
use crate::store::engine::kv::KvError;

/// How often it is looked what is to be done.
const EVERY: Duration = Duration::from_secs(1);
/// After how many looks a file is removed that another took the place of: at least ten minutes.
const KEPT_LOOKS: u32 = 600;
/// The rest after each piece of a rewriting: as long as the piece takes, about, so that it takes half of a core at most.
const REST: Duration = Duration::from_millis(2);

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
    /// What was received before one of these times may be gone.
    before: Vec<Time>,
}

impl TidyRequest {
    /// Ends the thread.
    pub fn stop(&self) {
        self.state.lock().stop = true;
        self.bell.notify_one();
    }

    /// What was received before one of these times may be gone.
    pub fn aged(&self, before: &[Time]) {
        self.state.lock().before = before.to_vec();
        self.bell.notify_one();
    }

    /// Waits a moment. Answers what may be gone; `None`: it is to end.
    fn wait(&self) -> Option<Vec<Time>> {
        let mut state = self.state.lock();
        if !state.stop {
            self.bell.wait_for(&mut state, EVERY);
        }
        (!state.stop).then(|| state.before.clone())
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
        while let Some(before) = request.wait() {
            let mut replaced = request.replaced.lock();
            let removed = replaced.remove_old(&shared.journal);
            if let Err(error) = tidy(&shared, &request, &before, &mut replaced).and(removed) {
                // What cannot be tidied is there as it was: nothing is lost, and nothing is given back.
                tracing::error!(%error, "the journal's files cannot be tidied");
            }
        }
    };
    std::thread::Builder::new().name("store-tidy".to_owned()).spawn(run)
}

/// Files that others took the place of: someone may be copying the folder by a manifest that names them.
#[derive(Default)]
pub struct ReplacedFiles(Vec<(RewrittenSegment, u32)>);

impl ReplacedFiles {
    /// Removes those that were replaced long ago. Is called at each look.
    fn remove_old(&mut self, journal: &Journal) -> Result<(), KvError> {
        self.0.iter_mut().for_each(|(_, looks)| *looks += 1);
        self.remove(journal, KEPT_LOOKS)
    }

    /// Removes those that were replaced at least so many looks ago.
    fn remove(&mut self, journal: &Journal, looks: u32) -> Result<(), KvError> {
        let failed = |error: io::Error| KvError::Failed(format!("an old file of the journal: {error}"));
        let old: Vec<_> = self.0.extract_if(.., |(_, kept)| *kept >= looks).collect();
        old.iter().try_for_each(|(old, _)| rewrite::remove_replaced(journal, old)).map_err(failed)
    }
}

/// Does at once what is due, and removes what is replaced.
///
/// # Errors
/// The system's, or the engine's.
pub fn tidy_now(shared: &IndexedJournal, request: &TidyRequest, before: &[Time]) -> Result<(), KvError> {
    let mut replaced = request.replaced.lock();
    tidy(shared, request, before, &mut replaced)?;
    replaced.remove(&shared.journal, 0)?;
    tidy(shared, request, before, &mut replaced)
}

/// Does what is to be done now.
///
/// # Errors
/// The system's, or the engine's.
fn tidy(
    shared: &IndexedJournal,
    request: &TidyRequest,
    before: &[Time],
    replaced: &mut ReplacedFiles,
) -> Result<(), KvError> {
    let failed = |error: std::io::Error| KvError::Failed(format!("the journal: {error}"));
    loop {
        // What fails holds up nothing of the rest.
        let spare = if shared.journal.needs_spare() { shared.journal.make_spare() } else { Ok(()) };
        let finished = finish::finish_all(&shared.journal);
        let emptied = rewrite::remove_empty(&shared.journal);
        spare.and(finished.map(drop)).and(emptied).map_err(failed)?;
        // What the index lacks must stay in the journal.
        if request.is_stopped() || shared.is_damaged() {
            return Ok(());
        }
        let applied = shared.sled.mark().applied;
        let Some(entry) = rewrite::due(&shared.journal, applied, before) else { return Ok(()) };
        let current = |key: &[u8]| shared.get(key);
        let pause = || {
            std::thread::sleep(REST);
            !request.is_stopped()
        };
        let rewritten = rewrite::rewrite(&shared.journal, (&entry, before), &current, &pause)?;
        let Some(rewritten) = rewritten else { return Ok(()) };
        let (before, after) = rewritten.bytes;
        tracing::debug!(file = entry.file, before, after, "a file of the journal was rewritten");
        replaced.0.push((rewritten, 0));
    }
}
