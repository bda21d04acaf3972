//! Brings the index up with the journal: in the background, in full blocks, and marked only once it is durable.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::{Condvar, Mutex};

use crate::store::crash;
use crate::store::engine::current_index::{CurrentIndex, OpenIndex};
use crate::store::engine::journal::append::Journal;
use crate::store::engine::journal::files;
use crate::store::engine::kv::{Batch, Direction, KeyChange, Kv, KvError};
use crate::store::engine::overlay::{Layer, LayerCursor, LayerEntry, Overlay};
use crate::store::engine::unreadable::{UnreadablePlace, UnreadableSpans};

/// How many bytes of records go to the index together.
const CHUNK: usize = 4 * 1024 * 1024;
/// How many bytes of records are kept in memory at most, about, because the index is damaged where they belong.
const MOST_PINNED: usize = 256 * 1024 * 1024;
/// The key behind all others.
const END: &[u8] = &[0xff; 9];

/// When the index gets what is in the journal.
#[derive(Debug, Clone)]
pub struct CheckpointSettings {
    /// How long what is committed stays out of the index at most, while nothing else asks for it.
    pub every: Duration,
    /// How many bytes of it are kept in memory before the index gets it.
    pub bytes: usize,
}

impl Default for CheckpointSettings {
    fn default() -> CheckpointSettings {
        CheckpointSettings { every: Duration::from_secs(60), bytes: 32 * 1024 * 1024 }
    }
}

/// A journal, its index, and what is in the one and not in the other yet.
pub struct IndexedJournal {
    /// Where commits become durable.
    pub journal: Journal,
    /// What the index has not got yet.
    pub overlay: Overlay,
    /// The index.
    pub index: CurrentIndex,
    /// When it gets them.
    pub settings: CheckpointSettings,
    request: Mutex<CheckpointRequest>,
    bell: Condvar,
    /// Rings when there is room again.
    room: Condvar,
    /// Held by the one who writes the index.
    pub(super) turn: Mutex<()>,
    /// What the index cannot give, and the overlay has.
    pub(super) unreadable: UnreadableSpans,
    /// What the journal cannot give either.
    pub(super) lost: UnreadableSpans,
    /// Held by the one who reads from the journal what the index cannot give.
    pub(super) healing: Mutex<()>,
    /// What the thread that commits could not read.
    pub(super) to_heal: Mutex<Vec<UnreadablePlace>>,
    failed: OnceLock<KvError>,
    /// Whether the index could not take or give something: its mark moves on no more, and the next start makes it anew.
    damaged: AtomicBool,
}

#[derive(Default)]
struct CheckpointRequest {
    stop: bool,
    wanted: bool,
}

impl IndexedJournal {
    /// An index that has all that `overlay` has not.
    pub fn new(
        journal: Journal,
        overlay: Overlay,
        index: OpenIndex,
        settings: CheckpointSettings,
    ) -> IndexedJournal {
        IndexedJournal {
            journal,
            overlay,
            index: CurrentIndex::new(index),
            settings,
            request: Mutex::default(),
            bell: Condvar::new(),
            room: Condvar::new(),
            turn: Mutex::default(),
            unreadable: UnreadableSpans::default(),
            lost: UnreadableSpans::default(),
            healing: Mutex::default(),
            to_heal: Mutex::default(),
            failed: OnceLock::new(),
            damaged: false.into(),
        }
    }

    /// Says so once.
    pub(super) fn is_found_damaged(&self, key: &[u8], cause: &str) {
        if !self.damaged.swap(true, Ordering::AcqRel) {
            tracing::error!(
                key = %key.escape_ascii(), cause,
                "the index is damaged: what it cannot give or take is read from the journal, and the next start makes \
                 the index anew"
            );
        }
    }

    /// Waits until there is room for another commit: not while the index keeps up.
    ///
    /// # Errors
    /// That the index has failed.
    pub fn make_room(&self) -> Result<(), KvError> {
        if self.overlay.active_bytes() >= self.settings.bytes {
            let mut request = self.request.lock();
            request.wanted = true;
            self.bell.notify_one();
            while self.overlay.active_bytes() >= self.settings.bytes && self.failed.get().is_none() {
                self.room.wait(&mut request);
            }
        }
        self.failed.get().map_or(Ok(()), |error| Err(error.clone()))
    }

    /// Asks for a checkpoint, where enough has been committed.
    pub fn ask_if_full(&self) {
        if self.overlay.active_bytes() >= self.settings.bytes / 2 && !self.overlay.is_freezing() {
            self.request.lock().wanted = true;
            self.bell.notify_one();
        }
    }

    /// Asks for a checkpoint.
    pub fn ask_for_checkpoint(&self) {
        self.request.lock().wanted = true;
        self.bell.notify_one();
    }

    /// Ends the thread that writes the index.
    pub fn stop(&self) {
        self.request.lock().stop = true;
        self.bell.notify_one();
    }

    /// Brings the index up to the last commit, and marks both as closed.
    ///
    /// # Errors
    /// The engine's.
    pub fn close(&self) -> Result<(), KvError> {
        self.checkpoint()?;
        if self.is_damaged() {
            return Ok(());
        }
        let failed = |error: std::io::Error| KvError::Failed(format!("the journal's manifest: {error}"));
        self.journal.prove_end().map_err(failed)?;
        self.index.sled().set_mark(self.journal.durable(), true)?;
        crash::point("close.before_manifest");
        let aside = self.journal.manifest().set_aside;
        self.journal.write_manifest(|manifest| manifest.closed = true).map_err(failed)?;
        if let Some(folder) = self.journal.folder().parent().filter(|_| !aside.is_empty()) {
            for name in &aside {
                files::remove(&folder.join(name)).map_err(failed)?;
            }
            self.journal.write_manifest(|manifest| manifest.set_aside.clear()).map_err(failed)?;
        }
        Ok(())
    }

    /// The folder that both are in.
    pub fn data_folder(&self) -> &Path {
        let journal = self.journal.folder();
        journal.parent().unwrap_or(journal)
    }

    /// Whether the index could not be written: it is not any more.
    pub fn has_failed(&self) -> bool {
        self.failed.get().is_some()
    }

    /// Whether the index is known to be damaged.
    pub fn is_damaged(&self) -> bool {
        self.damaged.load(Ordering::Acquire)
    }

    /// Waits until a checkpoint is due. Answers whether to go on.
    fn wait(&self) -> bool {
        let mut request = self.request.lock();
        if !request.stop && !request.wanted {
            self.bell.wait_for(&mut request, self.settings.every);
        }
        request.wanted = false;
        !request.stop
    }

    /// Writes what is committed to the index, and marks that it has it.
    ///
    /// # Errors
    /// The engine's: the index is not written any more, and what was on its way there stays over it.
    pub fn checkpoint(&self) -> Result<(), KvError> {
        let _one_at_a_time = self.turn.lock();
        // What one that failed has left must not be taken for written by the next.
        self.failed.get().map_or(Ok(()), |error| Err(error.clone()))?;
        let done = catch_unwind(AssertUnwindSafe(|| self.bring_up()));
        let panicked = |_| Err(KvError::Failed("the engine panicked while the index was written".to_owned()));
        let done = done.unwrap_or_else(panicked);
        if let Err(error) = &done {
            tracing::error!(%error, "the index cannot be written any more");
            // The first failure is the one that counts.
            let _ = self.failed.set(error.clone());
            self.has_room();
        }
        done
    }

    fn bring_up(&self) -> Result<(), KvError> {
        let (frozen, last) = self.overlay.freeze();
        self.has_room();
        if !frozen.is_empty() {
            // Before any of it is in the index: what a start has to set aside must not be there.
            let proven = self.journal.prove_end();
            proven.map_err(|error| KvError::Failed(format!("the journal: {error}")))?;
            self.write(&frozen)?;
            self.mark(last)?;
        }
        self.overlay.thawed();
        Ok(())
    }

    /// Wakes those who wait for room.
    fn has_room(&self) {
        // Under the lock, so that no one looks before and waits after.
        let _request = self.request.lock();
        self.room.notify_all();
    }

    /// The mark says that commits are in the index: they are durable there before, and the manifest says before that the
    /// journal has them.
    fn mark(&self, last: u64) -> Result<(), KvError> {
        let failed = |error: std::io::Error| KvError::Failed(format!("the journal's manifest: {error}"));
        if self.is_damaged() {
            return Ok(());
        }
        self.journal.write_manifest(|_| {}).map_err(failed)?;
        let sled = self.index.sled();
        sled.sync()?;
        crash::point("checkpoint.before_mark");
        sled.set_mark(last, false)?;
        crash::point("checkpoint.after_mark");
        Ok(())
    }

    fn write(&self, frozen: &Arc<Layer>) -> Result<(), KvError> {
        let mut changes = LayerCursor::new(vec![Arc::clone(frozen)], &[], END, Direction::Up);
        let unreadable = self.unreadable.now();
        if self.overlay.pinned_bytes() > MOST_PINNED {
            let cause =
                "the index cannot take or give too much of what is stored: the next start makes it anew";
            return Err(KvError::Failed(cause.to_owned()));
        }
        while changes.peek().is_some() {
            let (mut batch, mut bytes) = (Batch::default(), 0);
            while bytes < CHUNK
                && let Some((key, value)) = changes.take_next()
            {
                if unreadable.iter().any(|span| span.covers(&key)) {
                    self.overlay.pin(key, value);
                    continue;
                }
                bytes += key.len() + value.as_ref().map_or(0, Bytes::len);
                batch.changes.push((key, change_of(value)));
            }
            if !self.is_damaged() {
                let keys = batch.changes.first().map(|(key, _)| key.clone());
                match self.index.apply(batch) {
                    Err(KvError::Damaged { key, cause }) => self.is_found_damaged(&key, &cause),
                    done => {
                        done?;
                        continue;
                    }
                }
                // All of it again: some of it may have been applied.
                batch = some_of(frozen, keys.as_deref().unwrap_or_default(), changes.peek());
            }
            self.apply_apart(batch)?;
        }
        Ok(())
    }

    /// Applies changes to an index that is damaged, each half apart where they touch that, until only those are left that
    /// do: they stay in memory, and in the journal.
    fn apply_apart(&self, mut batch: Batch) -> Result<(), KvError> {
        match self.index.apply(batch.clone()) {
            Err(KvError::Damaged { .. }) if batch.changes.len() == 1 => {
                batch.changes.into_iter().for_each(|(key, change)| self.overlay.pin(key, value_of(change)));
                Ok(())
            }
            Err(KvError::Damaged { .. }) => {
                let half = batch.changes.len() / 2;
                let changes = batch.changes.split_off(half);
                self.apply_apart(batch)?;
                self.apply_apart(Batch { changes, ..Batch::default() })
            }
            done => {
                done?;
                self.overlay.keep_pinned_current(&batch);
                Ok(())
            }
        }
    }
}

fn value_of(change: KeyChange) -> Option<Bytes> {
    match change {
        KeyChange::Add(value) | KeyChange::Put(value) => Some(value.into()),
        KeyChange::Remove => None,
    }
}

fn change_of(value: Option<Bytes>) -> KeyChange {
    value.map_or(KeyChange::Remove, |value| KeyChange::Put(value.into()))
}

/// The changes of a layer from the key `from` on, up to `next`.
fn some_of(layer: &Arc<Layer>, from: &[u8], next: Option<&LayerEntry>) -> Batch {
    let to = next.map_or(END, |(key, _)| key);
    let mut changes = LayerCursor::new(vec![Arc::clone(layer)], from, to, Direction::Up);
    let mut batch = Batch::default();
    while let Some((key, value)) = changes.take_next() {
        batch.changes.push((key, change_of(value)));
    }
    batch
}

/// Starts the thread that writes the index.
///
/// # Errors
/// When the operating system gives no thread.
pub fn start(shared: &Arc<IndexedJournal>) -> std::io::Result<JoinHandle<()>> {
    let shared = Arc::clone(shared);
    let run = move || while shared.wait() && shared.checkpoint().is_ok() {};
    std::thread::Builder::new().name("store-index".to_owned()).spawn(run)
}
