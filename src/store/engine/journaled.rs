//! The engine of a data folder: a commit is durable in the journal, and can be read at once; the index gets it later,
//! in full blocks.

use std::fs::File;
use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::Mutex;

use crate::store::engine::checkpoint::{self, IndexedJournal};
use crate::store::engine::kv::{Batch, Kv, KvError, ScanVisitor, Span, Step};
use crate::store::engine::merge;

/// Journal and index of one data folder.
pub struct Journaled {
    shared: Arc<IndexedJournal>,
    checkpoints: Mutex<Option<JoinHandle<()>>>,
    /// Held as long as the folder is open.
    lock: Option<File>,
}

impl Journaled {
    /// Starts to keep the index up with the journal.
    ///
    /// # Errors
    /// When the operating system gives no thread.
    pub fn start(shared: IndexedJournal, lock: Option<File>) -> std::io::Result<Journaled> {
        let shared = Arc::new(shared);
        let checkpoints = checkpoint::start(&shared)?;
        Ok(Journaled { shared, checkpoints: Mutex::new(Some(checkpoints)), lock })
    }
}

impl Kv for Journaled {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, KvError> {
        match self.shared.overlay.get(key) {
            Some(changed) => Ok(changed.map(Vec::from)),
            None => self.shared.index.get(key),
        }
    }

    fn scan(&self, span: Span<'_>, visit: ScanVisitor<'_>) -> Result<(), KvError> {
        if span.from >= span.to {
            return Ok(());
        }
        merge::scan(self.shared.overlay.stack(), &self.shared.index, span, visit)
    }

    fn commit(&self, batch: Batch, passed: &mut dyn FnMut(Step)) -> Result<(), KvError> {
        self.shared.make_room()?;
        let lsn = self.shared.journal.append(&batch, passed)?;
        self.shared.overlay.take(batch, lsn);
        self.shared.ask_if_full();
        Ok(())
    }

    fn close(&self) -> Result<(), KvError> {
        self.shared.stop();
        if let Some(checkpoints) = self.checkpoints.lock().take() {
            let ended = checkpoints.join();
            ended.map_err(|_| KvError::Failed("the thread that writes the index panicked".to_owned()))?;
            self.shared.close()?;
        }
        Ok(())
    }
}

impl Drop for Journaled {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::error!(%error, "the index was not brought up to date; the next start does it");
        }
        // The lock goes last.
        drop(self.lock.take());
    }
}
