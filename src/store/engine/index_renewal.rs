//! An index that is made anew while it is in use: its free space may have bytes of what was erased, or most of its file is
//! free. The new one is made from the journal, in the background, and takes the place of the one before once it has all that
//! that has.

use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::store::crash;
use crate::store::engine::checkpoint::IndexedJournal;
use crate::store::engine::current_index::{OpenIndex, ReplacedIndex};
use crate::store::engine::data_folder::{INDEX, NEW_INDEX, OLD_INDEX};
use crate::store::engine::error::OpenError;
use crate::store::engine::folder::{self, size_of};
use crate::store::engine::index_folder::add_changes;
use crate::store::engine::journal::append::HeldFiles;
use crate::store::engine::journal::files;
use crate::store::engine::journal::replay::{UnreadJournal, replay_whole};
use crate::store::engine::kv::{Batch, Kv, KvError};
use crate::store::engine::packed::Packed;
use crate::store::engine::sled::Sled;
use crate::store::engine::tidy;

/// Is there while data was erased that the index may have bytes of.
const ASKED_FOR: &str = "index-to-renew";
/// How often it is looked whether much of the index is free.
const EVERY: Duration = Duration::from_secs(60);
/// For how many looks it rests after one that failed, where nothing else asks for it.
const RESTED_LOOKS: u32 = 60;
/// How many bytes of changes go to the new index together; and how many leaves of it are read together.
const CHUNK: usize = 4 * 1024 * 1024;
const LEAVES: usize = 64;
/// The rest after each of these: as long as they take, about, so that half of a core is used.
const REST: Duration = Duration::from_millis(100);
/// How often it is brought up with what was committed meanwhile, before the rest of that holds up checkpoints.
const ROUNDS: usize = 20;
/// Most of an index is free when it takes more than so many times the bytes of what is in it, and that many bytes more. Of an
/// index of sales and clicks that only grew it is three times (measured: 647 MiB for 225).
const FREE_TIMES: u64 = 4;
const FREE_BYTES: u64 = 256 * 1024 * 1024;
/// How many times the bytes of what is in it an index takes when it has only grown.
const GROWN_TIMES: u64 = 3;

/// What is asked of the thread that makes the index anew.
#[derive(Default)]
pub struct RenewalRequest {
    state: Mutex<RenewalState>,
    bell: Condvar,
    /// Held by the one who makes it.
    turn: Mutex<()>,
    /// How many bytes of the disk stay free.
    reserve: u64,
}

#[derive(Default)]
struct RenewalState {
    stop: bool,
    /// How often it was asked for in this process.
    asked: u64,
    /// Whether it is to be looked at once.
    wanted: bool,
    /// How many looks it still rests.
    rest: u32,
    /// How large it was when it had just been made.
    fresh: u64,
}

impl RenewalRequest {
    /// Nothing is asked for. So many bytes of the disk stay free.
    pub fn new(reserve: u64) -> RenewalRequest {
        RenewalRequest { reserve: reserve.max(tidy::END_ROOM), ..RenewalRequest::default() }
    }

    /// Has the index of a data folder made anew, also after a restart: data was erased.
    ///
    /// # Errors
    /// The system's.
    pub fn ask(&self, folder: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        let why =
            b"data was erased: the index may have bytes of it in its free space, and is being made anew\n";
        files::replace(folder, ASKED_FOR, why)?;
        state.asked += 1;
        (state.wanted, state.rest) = (true, 0);
        self.bell.notify_one();
        Ok(())
    }

    /// Ends the thread.
    pub fn stop(&self) {
        self.state.lock().stop = true;
        self.bell.notify_one();
    }

    fn is_stopped(&self) -> bool {
        self.state.lock().stop
    }

    /// Waits until it is time to look. Answers whether to go on.
    fn wait(&self) -> bool {
        let mut state = self.state.lock();
        loop {
            if !state.stop && !state.wanted {
                self.bell.wait_for(&mut state, EVERY);
            }
            state.wanted = false;
            if state.stop || state.rest == 0 {
                return !state.stop;
            }
            state.rest -= 1;
        }
    }

    /// It cannot be made now: it rests, unless it was asked for again meanwhile.
    fn put_off(&self, asked: u64) {
        let mut state = self.state.lock();
        if state.asked == asked {
            state.rest = RESTED_LOOKS;
        }
    }

    /// It was made anew, and has so many bytes: whatever asked for it before has it.
    fn finish(&self, folder: &Path, (asked, fresh): (u64, u64)) -> io::Result<()> {
        let mut state = self.state.lock();
        state.fresh = fresh;
        if state.asked == asked { files::remove(&folder.join(ASKED_FOR)) } else { Ok(()) }
    }
}

/// Whether it is still to be made anew because data was erased.
pub fn is_asked_for(folder: &Path) -> bool {
    // One that cannot be looked for may be there.
    folder.join(ASKED_FOR).try_exists().unwrap_or(true)
}

/// Rests, and fails once it is to end.
type Rest<'a> = &'a dyn Fn() -> Result<(), KvError>;

/// Where the index of a data folder is: under the name of the one before, where a process ended between the two names.
pub fn index_in(folder: &Path) -> PathBuf {
    let (index, old) = (folder.join(INDEX), folder.join(OLD_INDEX));
    if !index.exists() && old.exists() { old } else { index }
}

/// Where a process ended between the two names, the one that was in use is the index again.
///
/// # Errors
/// The system's.
pub fn end_swap(folder: &Path) -> io::Result<()> {
    let (found, index) = (index_in(folder), folder.join(INDEX));
    if found == index {
        return Ok(());
    }
    fs::rename(found, index)?;
    files::sync_folder(folder)
}

/// Starts the thread.
///
/// # Errors
/// When the operating system gives no thread.
pub fn start(shared: &Arc<IndexedJournal>, request: &Arc<RenewalRequest>) -> io::Result<JoinHandle<()>> {
    let (shared, request) = (Arc::clone(shared), Arc::clone(request));
    request.state.lock().wanted = is_asked_for(shared.data_folder());
    let run = move || {
        let rest = || {
            std::thread::sleep(REST);
            match request.is_stopped() {
                true => Err(KvError::Failed("the store is being closed".to_owned())),
                false => Ok(()),
            }
        };
        while request.wait() {
            let asked = request.state.lock().asked;
            let renewed = catch_unwind(AssertUnwindSafe(|| renew_where_due(&shared, &request, &rest)));
            let panicked = |_| Err(KvError::Failed("the engine panicked".to_owned()));
            if let Err(error) = renewed.unwrap_or_else(panicked)
                && !request.is_stopped()
            {
                tracing::error!(%error, "the index cannot be made anew now, or the one before not removed: again in an hour");
                request.put_off(asked);
            }
        }
    };
    std::thread::Builder::new().name("store-renewal".to_owned()).spawn(run)
}

/// Makes the index anew, where data was erased or much of it is free.
///
/// # Errors
/// The system's, or the engine's: the index that was in use is.
pub fn renew_where_due(
    shared: &IndexedJournal,
    request: &RenewalRequest,
    rest: Rest<'_>,
) -> Result<(), KvError> {
    let _one_at_a_time = request.turn.lock();
    let folder = shared.data_folder();
    let index = folder.join(INDEX);
    let (asked, fresh) = {
        let state = request.state.lock();
        (state.asked, state.fresh)
    };
    let (size, has) = (size_of(&index).map_err(failed)?, shared.index.sled().mark().sums.bytes());
    let is_erased = is_asked_for(folder);
    if shared.is_damaged() || shared.has_failed() || !(is_erased || is_mostly_free(size, has, fresh)) {
        return Ok(());
    }
    let needed = GROWN_TIMES * has + request.reserve;
    folder::room_for(folder, needed).map_err(|_| {
        let mb = needed.div_ceil(1 << 20);
        KvError::Failed(format!("there is no room for another index next to it: {mb} MiB have to be free"))
    })?;
    tracing::info!(
        index_mb = size >> 20,
        is_erased,
        "the index is made anew, next to the one that is in use"
    );
    let renewal = Renewal {
        shared,
        index,
        made: folder.join(NEW_INDEX),
        old: folder.join(OLD_INDEX),
        held: shared.journal.hold_files_long(),
        reserve: request.reserve,
    };
    let replaced = renewal.make(rest).and_then(|(sled, records)| renewal.put_in_place(sled, records));
    let Renewal { index, made, old, held, .. } = renewal;
    drop(held);
    if replaced.is_err() {
        files::remove(&made).map_err(failed)?;
    }
    replaced?.close(&|| request.is_stopped());
    crash::point("index.replaced");
    files::remove(&old).and_then(|()| files::sync_folder(folder)).map_err(failed)?;
    if is_erased {
        // It may be an index too that has what was erased.
        tidy::remove_set_aside(&shared.journal).map_err(failed)?;
    }
    let fresh = size_of(&index).map_err(failed)?;
    tracing::info!(before_mb = size >> 20, index_mb = fresh >> 20, "the index was made anew");
    request.finish(folder, (asked, fresh)).map_err(failed)
}

/// Whether an index takes much more than what is in it needs, in bytes; `fresh` is what it took when it had just been made.
fn is_mostly_free(size: u64, has: u64, fresh: u64) -> bool {
    size > FREE_TIMES * has + FREE_BYTES && size > 2 * fresh
}

fn failed(error: io::Error) -> KvError {
    KvError::Failed(format!("the index: {error}"))
}

/// A new index on its way.
struct Renewal<'a> {
    shared: &'a IndexedJournal,
    /// The folders of the one in use, of the new one, and of the one before.
    index: PathBuf,
    made: PathBuf,
    old: PathBuf,
    /// What is removed from the journal meanwhile might be missing here, and come back with it.
    held: HeldFiles<'a>,
    /// How many bytes of the disk stay free.
    reserve: u64,
}

impl Renewal<'_> {
    /// Makes it from the journal, up to what the one in use has.
    fn make(&self, rest: Rest<'_>) -> Result<(Arc<Sled>, Packed), KvError> {
        let open = |error: OpenError| KvError::Failed(error.to_string());
        files::remove(&self.made).map_err(failed)?;
        let (sled, records) = self.with_records(Sled::open(&self.made).map_err(open)?);
        let (reached, _) = self.bring_up((&sled, &records), 0, rest)?;
        drop((sled, records));
        self.may_go_on(rest)?;
        // It is read from its files, to its end, before it is trusted.
        let sled = Sled::open(&self.made).map_err(open)?;
        let (mark, mut leaves) = (sled.mark(), 0);
        let counted = sled.count(&mut || {
            leaves += 1;
            if leaves % LEAVES == 0 { self.may_go_on(rest) } else { Ok(()) }
        })?;
        if let Some(wrong) = mark.sums.difference(&counted) {
            return Err(KvError::Failed(format!("the index that was made anew is not whole: {wrong}")));
        }
        let (sled, records) = self.with_records(sled);
        // What was committed meanwhile: most of it now, so that the rest takes no time.
        let mut reached = reached;
        for _ in 0..ROUNDS {
            self.shared.checkpoint()?;
            let (to, bytes) = self.bring_up((&sled, &records), reached, rest)?;
            if bytes < CHUNK {
                return Ok((sled, records));
            }
            reached = to;
        }
        Err(KvError::Failed("it does not keep up with what is committed meanwhile".to_owned()))
    }

    fn with_records(&self, sled: Sled) -> (Arc<Sled>, Packed) {
        let sled = Arc::new(sled);
        let records = Packed::new(Arc::<Sled>::clone(&sled), self.shared.index.tables());
        (sled, records)
    }

    /// Applies the commits after `after` that the index in use has. Answers how far that is, and how many bytes they have.
    fn bring_up(
        &self,
        (sled, records): (&Sled, &Packed),
        after: u64,
        rest: Rest<'_>,
    ) -> Result<(u64, usize), KvError> {
        let journal = &self.shared.journal;
        let to = self.shared.index.sled().mark().applied;
        if to == after && after > 0 {
            return Ok((to, 0));
        }
        let segments = journal.snapshot().0.segments;
        let (mut batch, mut bytes, mut all) = (Batch::default(), 0, 0);
        // What has nothing to do with the journal.
        let mut stopped = None;
        let replayed = replay_whole(journal.folder(), &segments, (after, to), &mut |_, payload| {
            let applied = add_changes(payload, &mut batch).and_then(|()| {
                (bytes, all) = (bytes + payload.len(), all + payload.len());
                if bytes < CHUNK {
                    return Ok(());
                }
                bytes = 0;
                records.apply(std::mem::take(&mut batch))?;
                // Bit by bit, so that no commit waits for all of it at once.
                sled.sync()?;
                self.may_go_on(rest)
            });
            applied.map_err(|error| {
                stopped = Some(error);
                UnreadJournal { cause: String::new(), is_lost: false }
            })
        });
        replayed.map_err(|unread| stopped.unwrap_or(KvError::Failed(unread.cause)))?;
        records.apply(batch)?;
        sled.sync()?;
        sled.set_mark(to, false)?;
        Ok((to, all))
    }

    /// Rests, unless it is of no use any more.
    fn may_go_on(&self, rest: Rest<'_>) -> Result<(), KvError> {
        if folder::room_for(self.shared.data_folder(), self.reserve).is_err() {
            let cause = "there is no room any more for another index next to it";
            return Err(KvError::Failed(cause.to_owned()));
        }
        self.has_all()?;
        rest()
    }

    /// Whether no file of the journal was removed that it is made from.
    fn has_all(&self) -> Result<(), KvError> {
        if self.held.have_stayed() {
            return Ok(());
        }
        let cause = "files of the journal had to be removed meanwhile, because data was erased";
        Err(KvError::Failed(cause.to_owned()))
    }

    /// Puts it into the place of the one that is in use. Nothing is written to either meanwhile.
    fn put_in_place(&self, sled: Arc<Sled>, records: Packed) -> Result<ReplacedIndex, KvError> {
        let shared = self.shared;
        let _turn = shared.turn.lock();
        let reached = sled.mark().applied;
        self.bring_up((&sled, &records), reached, &|| Ok(()))?;
        if shared.is_damaged() {
            return Err(KvError::Failed("the index in use turned out to be damaged".to_owned()));
        }
        self.has_all()?;
        if self.index.exists() {
            files::remove(&self.old).map_err(failed)?;
        }
        fs::rename(&self.index, &self.old).map_err(failed)?;
        crash::point("index.between_names");
        if let Err(error) = fs::rename(&self.made, &self.index) {
            fs::rename(&self.old, &self.index).map_err(failed)?;
            return Err(failed(error));
        }
        sled.set_folder(&self.index);
        let replaced = shared.index.replace(OpenIndex { sled, records });
        // Where that fails the next start finds either of the two, or none and makes one.
        files::sync_folder(shared.data_folder()).map_err(failed)?;
        Ok(replaced)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_is_made_anew_once_most_of_it_is_free_and_not_over_and_over() {
        let mb = 1 << 20;
        assert!(!is_mostly_free(200 * mb, 0, 0), "a small one is not worth it");
        assert!(!is_mostly_free(2000 * mb, 660 * mb, 0));
        assert!(is_mostly_free(2000 * mb, 400 * mb, 0));
        assert!(!is_mostly_free(2000 * mb, 400 * mb, 1100 * mb), "it was hardly smaller when it was new");
    }

    #[test]
    fn what_was_asked_for_meanwhile_is_still_to_be_done() {
        let folder = tempfile::tempdir().unwrap();
        let request = RenewalRequest::default();
        let asked = || request.state.lock().asked;
        request.ask(folder.path()).unwrap();
        let begun = asked();
        request.ask(folder.path()).unwrap();
        request.finish(folder.path(), (begun, 1)).unwrap();
        assert!(is_asked_for(folder.path()));
        request.finish(folder.path(), (asked(), 1)).unwrap();
        assert!(!is_asked_for(folder.path()));
    }
}
