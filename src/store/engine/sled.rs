//! The key-value interface on sled 0.34, with its traps closed: one batch per commit, `flush`, then our
//! own `fdatasync`, because sled's flush on Linux leaves data in the disk's and the kernel's caches.

use std::any::Any;
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use parking_lot::Mutex;

use crate::store::crash;
use crate::store::engine::error::OpenError;
use crate::store::engine::folder;
use crate::store::engine::index_note::{self, IndexNote};
use crate::store::engine::index_sums::{IndexMark, IndexSums};
use crate::store::engine::journal::checked;
use crate::store::engine::kv::{Batch, Direction, Kv, KvError, ScanVisitor, Span, Step};
use crate::store::engine::pieces::{self, PieceWriter};

/// A page above a quarter of this goes to a file of its own that `fdatasync` of the data file does not
/// reach. A leaf has at most 17 values of at most [`pieces::MAX_STORED`], which is less than half of that quarter.
const SEGMENT_BYTES: usize = 1024 * 1024;
/// The key of what is in the database, which is no record's and no piece's.
const MARK: &[u8] = &[0];
const MARK_TAG: [u8; 4] = *b"PbI1";
const CACHE_BYTES: u64 = 64 * 1024 * 1024;
/// sled looks at a shard of its cache only at every 64th access, whatever has come in meanwhile: reading
/// many blocks once each would keep 64 leaves of 100 KiB in each of 256 shards. Reading a large value a
/// few times over, which costs little once it is there, makes it look in time. Of what is read in order that is done once
/// for about so many bytes: a leaf's.
const LARGE: usize = 1024;
const TOUCHES: usize = 12;
const LEAF: usize = 64 * 1024;

/// A process that has just ended, or is ending, may hold the lock a moment longer.
const LOCK_TRIES: usize = 10;
const LOCK_PAUSE: Duration = Duration::from_millis(100);

/// One sled database, opened by no one else.
pub struct Sled {
    db: sled::Db,
    /// Our own handle on the data file: syncing acts on the file, no matter who wrote it.
    data: File,
    /// The folder that it is in.
    folder: Mutex<PathBuf>,
    /// Whether it said what is in it when it was opened.
    is_marked: bool,
    /// What is in it: moved on with each write, in the same batch.
    mark: Mutex<IndexMark>,
}

impl Sled {
    /// Opens the folder, or makes it.
    ///
    /// # Errors
    /// Why it cannot be used. What sled refuses may have been changed by it.
    pub fn open(path: &Path) -> Result<Sled, OpenError> {
        let made = folder::prepare(path)?;
        let failed = |error: std::io::Error| OpenError::of_io(path, &error);
        let db = match open_unlocked(path) {
            Ok(db) => db,
            Err(cause) if is_lock(&cause) => return Err(OpenError::Locked { path: path.to_owned() }),
            Err(cause) if folder::says_full(&cause) => return Err(OpenError::Full { path: path.to_owned() }),
            Err(cause) => return Err(OpenError::Broken { path: path.to_owned(), cause }),
        };
        let data = File::open(path.join("db")).map_err(failed)?;
        // At every open: the process that made the files, or wrote to them last, may have died before it
        // synced them.
        sync_all(path, &data, made).map_err(failed)?;
        let mark = read_mark(&db).map_err(|cause| OpenError::Broken { path: path.to_owned(), cause })?;
        let is_marked = mark.is_some();
        let (folder, mark) = (Mutex::new(path.to_owned()), Mutex::new(mark.unwrap_or_default()));
        Ok(Sled { db, data, folder, is_marked, mark })
    }
}

/// How far it says that it is, and what should be in it; `None`: it does not say.
fn read_mark(db: &sled::Db) -> Result<Option<IndexMark>, String> {
    let read = guarded(|| db.get(MARK).map_err(failed)).map_err(|error| error.to_string())?;
    let mark = |bytes: sled::IVec| {
        checked::read(MARK_TAG, &bytes).ok_or_else(|| "what it says of itself cannot be read".to_owned())
    };
    read.map(mark).transpose()
}

/// Opens it, once the process that holds the lock has let go of it; not for long.
fn open_unlocked(path: &Path) -> Result<sled::Db, String> {
    for _ in 0..LOCK_TRIES {
        match open_db(path) {
            Err(cause) if is_lock(&cause) => std::thread::sleep(LOCK_PAUSE),
            opened => return opened,
        }
    }
    open_db(path)
}

fn is_lock(cause: &str) -> bool {
    cause.contains("could not acquire lock")
}

/// Makes durable what is in the files, their names, and the folder's own name.
fn sync_all(path: &Path, data: &File, made: bool) -> std::io::Result<()> {
    data.sync_all()?;
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let name = entry.file_name();
        let ours = name == "conf" || name.to_str().is_some_and(|name| name.starts_with("snap."));
        if ours && entry.file_type()?.is_file() {
            File::open(entry.path())?.sync_all()?;
        }
    }
    File::open(path)?.sync_all()?;
    let absolute = path.canonicalize()?;
    match absolute.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all()) {
        // The folder was given to this user by someone who may open what it is in.
        Err(error) if !made && error.kind() == ErrorKind::PermissionDenied => {}
        done => done?,
    }
    crash::point("open.after_sync");
    Ok(())
}

fn open_db(path: &Path) -> Result<sled::Db, String> {
    let open = || {
        sled::Config::new()
            .path(path)
            .segment_size(SEGMENT_BYTES)
            .cache_capacity(CACHE_BYTES)
            .mode(sled::Mode::HighThroughput)
            // What is to be durable is flushed and synced by us.
            .flush_every_ms(None)
            .open()
    };
    match catch_unwind(AssertUnwindSafe(open)) {
        Ok(opened) => opened.map_err(|error| error.to_string()),
        Err(panic) => Err(format!("it panicked: {}", words(panic.as_ref()))),
    }
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "without a word".to_owned())
}

/// sled panics where it cannot go on; that is an error like any other.
fn guarded<T>(act: impl FnOnce() -> Result<T, KvError>) -> Result<T, KvError> {
    match catch_unwind(AssertUnwindSafe(act)) {
        Ok(done) => done,
        Err(panic) => Err(KvError::Failed(format!("the engine panicked: {}", words(panic.as_ref())))),
    }
}

/// A page that does not verify fails what reads it; sled goes on with all others.
fn failed_read(key: &[u8], error: sled::Error) -> KvError {
    match error {
        sled::Error::Corruption { .. } => KvError::Damaged { key: key.to_vec(), cause: error.to_string() },
        error => KvError::Failed(error.to_string()),
    }
}

fn failed(error: impl std::fmt::Display) -> KvError {
    KvError::Failed(error.to_string())
}

impl Sled {
    /// The whole value of a key whose stored bytes these are, or those that have taken their place meanwhile: its pieces
    /// are read one by one, so that they are read until they are the same twice. `None`: it is gone.
    fn join(&self, key: &[u8], stored: sled::IVec) -> Result<Option<Vec<u8>>, KvError> {
        let (mut stored, mut before) = (stored, None);
        loop {
            let joined = self.join_once(key, &stored);
            let is_one_piece = matches!(pieces::split(&stored), Ok((0, _)) | Err(_));
            if is_one_piece || before.as_ref() == Some(&joined) {
                return joined.map(Some);
            }
            before = Some(joined);
            match self.db.get(key).map_err(|error| failed_read(key, error))? {
                Some(now) => stored = now,
                None => return Ok(None),
            }
        }
    }

    fn join_once(&self, key: &[u8], stored: &[u8]) -> Result<Vec<u8>, KvError> {
        let damaged = |cause: String| KvError::Damaged { key: key.to_vec(), cause };
        let (further, first) = pieces::split(stored).map_err(damaged)?;
        let mut value = first.to_vec();
        for number in 1..=further {
            let piece = self.db.get(pieces::key(key, number)).map_err(|error| failed_read(key, error))?;
            value.extend_from_slice(&piece.ok_or_else(|| damaged(format!("its piece {number} is missing")))?);
        }
        Ok(value)
    }

    /// Has sled look whether its cache is too large, where it keeps the leaf of a key.
    fn touch(&self, key: &[u8]) -> Result<(), KvError> {
        for _ in 0..TOUCHES {
            self.db.get(key).map_err(|error| failed_read(key, error))?;
        }
        Ok(())
    }

    /// The same now and then: a value of so many bytes was read in order, after so many others.
    fn touch_some(&self, key: &[u8], read: usize, bytes: &mut usize) -> Result<(), KvError> {
        *bytes += read;
        if *bytes < LEAF {
            return Ok(());
        }
        *bytes = 0;
        self.touch(key)
    }

    /// How many further pieces a key has. It is asked before anything is written.
    fn further(&self, key: &[u8]) -> Result<u16, KvError> {
        let damaged = |cause: String| KvError::Damaged { key: key.to_vec(), cause };
        let stored = self.db.get(key).map_err(|error| failed_read(key, error))?;
        stored.map_or(Ok(0), |stored| Ok(pieces::split(&stored).map_err(damaged)?.0))
    }
}

impl Kv for Sled {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, KvError> {
        guarded(|| {
            let stored = self.db.get(key).map_err(|error| failed_read(key, error))?;
            let Some(stored) = stored else { return Ok(None) };
            if stored.len() > LARGE {
                self.touch(key)?;
            }
            self.join(key, stored)
        })
    }

    fn scan(&self, span: Span<'_>, visit: ScanVisitor<'_>) -> Result<(), KvError> {
        guarded(|| {
            let from = span.from.max(pieces::FIRST_KEY);
            if from >= span.to {
                return Ok(());
            }
            let mut range = self.db.range(from..span.to);
            // What is said of a damaged page is where it was met.
            let mut last = match span.direction {
                Direction::Up => from.to_vec(),
                Direction::Down => span.to.to_vec(),
            };
            let mut bytes = 0;
            loop {
                let next = match span.direction {
                    Direction::Up => range.next(),
                    Direction::Down => range.next_back(),
                };
                let Some(pair) = next else { return Ok(()) };
                let (key, stored) = pair.map_err(|error| failed_read(&last, error))?;
                self.touch_some(&key, stored.len(), &mut bytes)?;
                let visited = match pieces::split(&stored) {
                    Ok((0, value)) => visit(&key, Ok(value)),
                    _ => match self.join(&key, stored.clone()) {
                        Ok(Some(value)) => visit(&key, Ok(&value)),
                        Ok(None) => ControlFlow::Continue(()),
                        Err(error @ KvError::Damaged { .. }) => visit(&key, Err(&error)),
                        Err(error) => return Err(error),
                    },
                };
                if let ControlFlow::Break(()) = visited {
                    return Ok(());
                }
                last.clear();
                last.extend_from_slice(&key);
            }
        })
    }

    fn commit(&self, batch: Batch, passed: &mut dyn FnMut(Step)) -> Result<(), KvError> {
        guarded(|| {
            self.write(batch, |_| {})?;
            self.flush(passed)
        })
    }

    fn apply(&self, batch: Batch) -> Result<(), KvError> {
        guarded(|| self.write(batch, |_| {}))
    }
}

impl Sled {
    /// Whether it said what is in it when it was opened.
    pub fn is_marked(&self) -> bool {
        self.is_marked
    }

    /// Its folder has another name now. Nothing but the note next to it is found by that while it is open.
    pub fn set_folder(&self, folder: &Path) {
        folder.clone_into(&mut self.folder.lock());
    }

    /// How far it says that it is, and what should be in it.
    pub fn mark(&self) -> IndexMark {
        self.mark.lock().clone()
    }

    /// Marks it as having all commits up to `applied`, durably: what was applied before is durable with it.
    ///
    /// # Errors
    /// The engine's.
    pub fn set_mark(&self, applied: u64, closed: bool) -> Result<(), KvError> {
        guarded(|| {
            self.write(Batch::default(), |mark| (mark.applied, mark.closed) = (applied, closed))?;
            self.flush(&mut |_| {})
        })?;
        index_note::write(&self.folder.lock(), IndexNote { applied, closed });
        Ok(())
    }

    /// Makes durable what was applied.
    ///
    /// # Errors
    /// The engine's.
    pub fn sync(&self) -> Result<(), KvError> {
        guarded(|| self.flush(&mut |_| {}))
    }

    /// Takes what is in the database for what should be: it is from before there were marks.
    ///
    /// # Errors
    /// The engine's.
    pub fn adopt(&self, counted: IndexSums, applied: u64) -> Result<(), KvError> {
        guarded(|| {
            self.write(Batch::default(), |mark| (mark.sums, mark.applied) = (counted, applied))?;
            self.flush(&mut |_| {})
        })
    }

    /// Counts everything that is in it again. `meanwhile` is called after each leaf or so.
    ///
    /// # Errors
    /// What cannot be read; or those of `meanwhile`.
    pub fn count(&self, meanwhile: &mut dyn FnMut() -> Result<(), KvError>) -> Result<IndexSums, KvError> {
        guarded(|| {
            let (mut sums, mut bytes) = (IndexSums::default(), 0);
            let mut last = Vec::new();
            for pair in self.db.iter() {
                let (key, value) = pair.map_err(|error| failed_read(&last, error))?;
                self.touch_some(&key, value.len(), &mut bytes)?;
                if bytes == 0 {
                    meanwhile()?;
                }
                if key != MARK {
                    sums.add(&key, &value);
                }
                last.clear();
                last.extend_from_slice(&key);
            }
            Ok(sums)
        })
    }

    /// Writes a batch together with what is in the database then.
    fn write(&self, batch: Batch, change: impl FnOnce(&mut IndexMark)) -> Result<(), KvError> {
        let mut pieces = PieceWriter::default();
        for (key, change) in batch.changes {
            pieces.add(key, change, |key| self.further(key))?;
        }
        let mut mark = self.mark.lock();
        let mut next = mark.clone();
        let mut writes = sled::Batch::default();
        let mut written = HashMap::with_capacity(pieces.writes.len());
        for (key, value) in pieces.writes {
            // Of two writes to one key the later one holds.
            written.insert(key, value);
        }
        for (key, value) in written {
            if let Some(before) = self.db.get(&key).map_err(|error| failed_read(&key, error))? {
                next.sums.take(&key, &before);
            }
            match value {
                Some(value) => {
                    next.sums.add(&key, &value);
                    writes.insert(key, value);
                }
                None => writes.remove(key),
            }
        }
        change(&mut next);
        writes.insert(MARK, checked::write(MARK_TAG, &next).map_err(failed)?);
        self.db.apply_batch(writes).map_err(failed)?;
        *mark = next;
        Ok(())
    }

    fn flush(&self, passed: &mut dyn FnMut(Step)) -> Result<(), KvError> {
        self.db.flush().map_err(failed)?;
        passed(Step::Written);
        self.data.sync_data().map_err(|error| KvError::Failed(format!("fdatasync: {error}")))?;
        passed(Step::Synced);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::failed_read;
    use crate::store::engine::kv::KvError;

    #[test]
    fn a_page_that_does_not_verify_fails_its_key_and_any_other_failure_the_engine() {
        let corruption = sled::Error::Corruption { at: None, bt: () };
        assert!(matches!(failed_read(b"K1", corruption), KvError::Damaged { key, .. } if key == b"K1"));
        let gone = sled::Error::Io(std::io::Error::other("gone"));
        assert!(matches!(failed_read(b"K1", gone), KvError::Failed(_)));
    }
}
