//! The key-value interface on sled 0.34, with its traps closed: one batch per commit, `flush`, then our
//! own `fdatasync`, because sled's flush on Linux leaves data in the disk's and the kernel's caches.

use std::any::Any;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::store::crash;
use crate::store::engine::error::OpenError;
use crate::store::engine::folder;
use crate::store::engine::kv::{Batch, Direction, Kv, KvError, ScanVisitor, Span, Step};
use crate::store::engine::pieces::{self, PieceWriter};

/// A page above a quarter of this goes to a file of its own that `fdatasync` of the data file does not
/// reach. A leaf has at most 17 values of at most [`pieces::MAX_STORED`], which is less than half of that quarter.
const SEGMENT_BYTES: usize = 1024 * 1024;
const CACHE_BYTES: u64 = 64 * 1024 * 1024;
/// sled looks at a shard of its cache only at every 64th access, whatever has come in meanwhile: reading
/// many blocks once each would keep 64 leaves of 100 KiB in each of 256 shards. Reading a large value a
/// few times over, which costs little once it is there, makes it look in time.
const LARGE: usize = 1024;
const TOUCHES: usize = 12;

/// A process that has just ended, or is ending, may hold the lock a moment longer.
const LOCK_TRIES: usize = 10;
const LOCK_PAUSE: Duration = Duration::from_millis(100);

/// One sled database, opened by no one else.
pub struct Sled {
    db: sled::Db,
    /// Our own handle on the data file: syncing acts on the file, no matter who wrote it.
    data: File,
}

impl Sled {
    /// Opens the folder, or makes it. A snapshot that sled cannot read is moved aside once: the log
    /// alone has everything.
    pub fn open(path: &Path) -> Result<Sled, OpenError> {
        let made = folder::prepare(path)?;
        let failed = |error: std::io::Error| OpenError::of_io(path, &error);
        let db = match open_unlocked(path) {
            Ok(db) => db,
            Err(cause) if is_lock(&cause) => return Err(OpenError::Locked { path: path.to_owned() }),
            Err(cause) if folder::says_full(&cause) => return Err(OpenError::Full { path: path.to_owned() }),
            Err(cause) => open_without_snapshots(path, &cause)?,
        };
        let data = File::open(path.join("db")).map_err(failed)?;
        // At every open: the process that made the files, or wrote to them last, may have died before it
        // synced them.
        sync_all(path, &data, made).map_err(failed)?;
        Ok(Sled { db, data })
    }
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

/// Opens it by its log alone. Where that fails too, the snapshots are put back: the folder is left as it was.
fn open_without_snapshots(path: &Path, first: &str) -> Result<sled::Db, OpenError> {
    let failed = |error: std::io::Error| OpenError::of_io(path, &error);
    let moved = set_snapshots_aside(path).map_err(failed)?;
    tracing::warn!(
        cause = %first, moved = moved.len(), "the data could not be opened; trying without snapshots"
    );
    open_db(path).or_else(|cause| {
        put_back(&moved).map_err(failed)?;
        Err(if folder::says_full(&cause) {
            OpenError::Full { path: path.to_owned() }
        } else {
            OpenError::Broken { path: path.to_owned(), cause }
        })
    })
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
            .open()
    };
    match catch_unwind(AssertUnwindSafe(open)) {
        Ok(opened) => opened.map_err(|error| error.to_string()),
        Err(panic) => Err(format!("it panicked: {}", words(panic.as_ref()))),
    }
}

/// Renames every snapshot, so that sled reads its log from the beginning. Answers the names that each had and
/// has.
fn set_snapshots_aside(path: &Path) -> std::io::Result<Vec<(PathBuf, PathBuf)>> {
    let mut moved = Vec::new();
    for entry in fs::read_dir(path)? {
        let name = entry?.file_name();
        let Some(name) = name.to_str().filter(|name| name.starts_with("snap.")) else { continue };
        let mut aside: PathBuf = path.join(format!("broken-{name}"));
        for number in 1.. {
            if !aside.exists() {
                break;
            }
            aside = path.join(format!("broken-{number}-{name}"));
        }
        fs::rename(path.join(name), &aside)?;
        moved.push((path.join(name), aside));
    }
    Ok(moved)
}

/// Undoes it: the folder could not be opened, and is left as it was found.
fn put_back(moved: &[(PathBuf, PathBuf)]) -> std::io::Result<()> {
    moved.iter().try_for_each(|(name, aside)| if name.exists() { Ok(()) } else { fs::rename(aside, name) })
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
    /// The whole value of a key whose stored bytes these are.
    fn join(&self, key: &[u8], stored: &[u8]) -> Result<Vec<u8>, KvError> {
        let damaged = |cause: String| KvError::Damaged { key: key.to_vec(), cause };
        let (further, first) = pieces::split(stored).map_err(damaged)?;
        let mut value = first.to_vec();
        for number in 1..=further {
            let piece = self.db.get(pieces::key(key, number)).map_err(|error| failed_read(key, error))?;
            value.extend_from_slice(&piece.ok_or_else(|| damaged(format!("its piece {number} is missing")))?);
        }
        Ok(value)
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
            let read = || self.db.get(key).map_err(|error| failed_read(key, error));
            let Some(stored) = read()? else { return Ok(None) };
            if stored.len() > LARGE {
                for _ in 0..TOUCHES {
                    read()?;
                }
            }
            self.join(key, &stored).map(Some)
        })
    }

    fn scan(&self, span: Span<'_>, visit: ScanVisitor<'_>) -> Result<(), KvError> {
        guarded(|| {
            let from = span.from.max(pieces::FIRST_KEY);
            if from >= span.to {
                return Ok(());
            }
            let mut range = self.db.range(from..span.to);
            let mut last = from.to_vec();
            loop {
                let next = match span.direction {
                    Direction::Up => range.next(),
                    Direction::Down => range.next_back(),
                };
                let Some(pair) = next else { return Ok(()) };
                let (key, stored) = pair.map_err(|error| failed_read(&last, error))?;
                let visited = match pieces::split(&stored) {
                    Ok((0, value)) => visit(&key, Ok(value)),
                    _ => match self.join(&key, &stored) {
                        Ok(value) => visit(&key, Ok(&value)),
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
            let mut pieces = PieceWriter::default();
            for (key, change) in batch.changes {
                pieces.add(key, change, |key| self.further(key))?;
            }
            let mut writes = sled::Batch::default();
            for (key, value) in pieces.writes {
                match value {
                    Some(value) => writes.insert(key, value),
                    None => writes.remove(key),
                }
            }
            self.db.apply_batch(writes).map_err(failed)?;
            self.db.flush().map_err(failed)?;
            passed(Step::Written);
            self.data.sync_data().map_err(|error| KvError::Failed(format!("fdatasync: {error}")))?;
            passed(Step::Synced);
            Ok(())
        })
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
