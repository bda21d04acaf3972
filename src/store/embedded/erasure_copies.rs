//! The file of erasures of a data folder, and those of its backups, kept up with what the store has: so that an older copy of
//! the records that is put back is given what was erased since.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use parking_lot::Mutex;

use crate::domain::presented::DigestKey;
use crate::store::commit::erasure_list::{self, Begun};
use crate::store::contract::error::StoreError;
use crate::store::engine::backup::store_of;
use crate::store::engine::erasure_file::{ERASURES, ErasureFile, ErasureLine};
use crate::store::engine::journal::files;
use crate::store::engine::journal::segment::StoreId;
use crate::store::reader::Reader;
use crate::store::table::erasure::{read_of_copies, write_for_copies};

/// How long it is waited for the next of the folders of backups: they may be on disks that do not answer.
const BACKUPS_WAIT: Duration = Duration::from_secs(10);

/// The files of one store.
pub struct ErasureCopies {
    /// Its data folder.
    folder: PathBuf,
    /// Of which journal its backups are.
    journal: StoreId,
    /// By what its key is known.
    store: [u8; 16],
    /// Held by the one who writes into the data folder.
    writing: Mutex<()>,
    /// Held by the one who writes into a backup's folder: one that does not answer holds up no other.
    backups: Mutex<BTreeMap<PathBuf, Arc<Mutex<()>>>>,
}

impl ErasureCopies {
    /// Takes in what the file in the data folder has and these records have not, which is applied from now on, and writes
    /// the file anew where it lacks any of theirs. `which`: what is applied. What cannot be read or written is logged: no
    /// start waits for it.
    ///
    /// # Errors
    /// The store's failure.
    pub fn open(
        (folder, journal): (&Path, StoreId),
        reader: &Reader,
        key: &DigestKey,
        which: Begun,
    ) -> Result<ErasureCopies, StoreError> {
        let store = key.digest(&[b"the store of erasures"]).half();
        let (writing, backups) = Default::default();
        let copies = ErasureCopies { folder: folder.to_owned(), journal, store, writing, backups };
        let path = folder.join(ERASURES);
        let file = match ErasureFile::read(folder) {
            Ok(file) => file,
            Err(error) => {
                tracing::error!(file = %path.display(), %error, "the file of erasures cannot be read");
                return Ok(copies);
            }
        };
        for line in &file.damaged {
            tracing::warn!(file = %path.display(), line, "a line of the file of erasures is damaged, and left out");
        }
        let (mut others, mut unread) = (Vec::new(), BTreeSet::new());
        for line in file.lines.iter().filter(|line| line.store == store) {
            match read_of_copies(&line.erasure) {
                Ok(other) => others.push(other),
                Err(error) => {
                    tracing::error!(file = %path.display(), %error, "an erasure of another version is not applied");
                    unread.insert(line.clone());
                }
            }
        }
        // A damaged line may have been the one that says so.
        let which = if file.again || !file.damaged.is_empty() { Begun::All } else { which };
        let begun = erasure_list::take_in(reader, others, which)?;
        if begun > 0 {
            tracing::warn!(erasures = begun, "erasures are applied again to the records that were put back");
        }
        let mut lines = copies.lines(reader)?;
        lines.extend(unread);
        if let Err(error) = copies.renew(&file, ErasureFile { lines, ..ErasureFile::default() }) {
            tracing::error!(file = %path.display(), %error, "the file of erasures cannot be written");
        }
        Ok(copies)
    }

    /// Puts another file into the place of the one that was read. One with lines of another store is set aside.
    fn renew(&self, read: &ErasureFile, now: ErasureFile) -> std::io::Result<()> {
        if *read == now {
            return Ok(());
        }
        if read.lines.iter().any(|line| line.store != self.store) {
            let aside = files::free_name(&self.folder, "erasures.set-aside");
            tracing::warn!(
                aside = %aside.display(),
                "the file of erasures has some of another store, which are not applied: it is set aside"
            );
            fs::rename(self.folder.join(ERASURES), aside)?;
        }
        now.write(&self.folder)
    }

    /// What the store keeps, as copies are given it.
    fn lines(&self, reader: &Reader) -> Result<BTreeSet<ErasureLine>, StoreError> {
        let kept = erasure_list::kept(reader)?;
        let line = |kept| Ok(ErasureLine { store: self.store, erasure: write_for_copies(kept)? });
        kept.iter().map(line).collect()
    }

    /// Writes what the store keeps into the data folder, durably, and into the folders of these backups. Answers those that
    /// could not be reached, which are logged.
    ///
    /// # Errors
    /// That it cannot be written into the data folder.
    pub fn write(
        self: &Arc<ErasureCopies>,
        reader: &Reader,
        backups: &[PathBuf],
    ) -> Result<Vec<PathBuf>, StoreError> {
        let file = self.write_own(reader)?;
        let (done, reached) = mpsc::channel();
        for backup in backups {
            let (copies, backup, file, done) = (Arc::clone(self), backup.clone(), file.clone(), done.clone());
            let write = move || {
                let written = copies.add_to(&backup, file);
                // The one who waited has gone on without it.
                drop(done.send((backup, written)));
            };
            if let Err(error) = std::thread::Builder::new().name("erasure-copy".to_owned()).spawn(write) {
                tracing::warn!(%error, "no thread could be started for a backup's file of erasures");
            }
        }
        drop(done);
        let mut left: BTreeSet<PathBuf> = backups.iter().cloned().collect();
        while let Ok((backup, written)) = reached.recv_timeout(BACKUPS_WAIT) {
            match written {
                Ok(()) => drop(left.remove(&backup)),
                Err(cause) => {
                    tracing::warn!(backup = %backup.display(), cause, "a backup cannot be given the erasures")
                }
            }
        }
        for backup in &left {
            tracing::warn!(backup = %backup.display(), "a known backup has not got the newest erasures");
        }
        Ok(left.into_iter().collect())
    }

    /// Writes what the store keeps into the data folder.
    fn write_own(&self, reader: &Reader) -> Result<ErasureFile, StoreError> {
        let failed = |error: std::io::Error| StoreError::Unavailable {
            cause: format!("{} cannot be written: {error}", self.folder.join(ERASURES).display()),
        };
        let _alone = self.writing.lock();
        let read = ErasureFile::read(&self.folder).map_err(failed)?;
        let mut now = ErasureFile { damaged: Vec::new(), ..read.clone() };
        now.lines.extend(self.lines(reader)?);
        if now != read {
            now.write(&self.folder).map_err(failed)?;
        }
        Ok(now)
    }

    /// Adds them to those of a backup, which has to be one of this store.
    fn add_to(&self, backup: &Path, file: ErasureFile) -> Result<(), String> {
        let of = store_of(backup).map_err(|error| error.to_string())?;
        if of != self.journal {
            return Err("it is a backup of another store".to_owned());
        }
        let lock = Arc::clone(self.backups.lock().entry(backup.to_owned()).or_default());
        let _alone = lock.lock();
        let read = ErasureFile::read(backup).map_err(|error| error.to_string())?;
        let mut now = ErasureFile { damaged: Vec::new(), ..read.clone() };
        now.join(ErasureFile { again: false, ..file });
        if now != read { now.write(backup).map_err(|error| error.to_string()) } else { Ok(()) }
    }
}
