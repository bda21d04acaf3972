//! The engine of a data folder: a commit is durable in the journal, and can be read at once; the index gets it later,
//! in full blocks.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;

use crate::domain::time::Time;
use crate::store::engine::checkpoint::{self, IndexedJournal};
use crate::store::engine::index_renewal::{self, RenewalRequest};
use crate::store::engine::journal::append::Journal;
use crate::store::engine::journal::rewrite;
use crate::store::engine::kv::{Batch, Kv, KvError, ScanVisitor, Span, Step};
use crate::store::engine::tidy::{self, TidyRequest};
use crate::store::engine::unhealed::UnhealedRecords;

/// How long one waits, at most so many times, who wants to see in the index what is committed.
const CHECKPOINT_WAIT: Duration = Duration::from_millis(20);
const CHECKPOINT_WAITS: usize = 1500;

/// Journal and index of one data folder.
pub struct Journaled {
    shared: Arc<IndexedJournal>,
    tidy: Arc<TidyRequest>,
    renewal: Arc<RenewalRequest>,
    /// Those that write the index, tidy the journal, and make the index anew.
    threads: Mutex<Vec<JoinHandle<()>>>,
    closed: AtomicBool,
    /// Held as long as the folder is open.
    lock: Option<File>,
}

impl Journaled {
    /// Starts to keep the index up with the journal. What can wait leaves `reserve` bytes of the disk free.
    ///
    /// # Errors
    /// When the operating system gives no thread.
    pub fn start(shared: IndexedJournal, lock: Option<File>, reserve: u64) -> std::io::Result<Journaled> {
        let shared = Arc::new(shared);
        let (tidy, renewal) = (Arc::default(), Arc::new(RenewalRequest::new(reserve)));
        let threads = vec![
            checkpoint::start(&shared)?,
            tidy::start(&shared, &tidy)?,
            index_renewal::start(&shared, &renewal)?,
        ];
        Ok(Journaled { shared, tidy, renewal, threads: Mutex::new(threads), closed: false.into(), lock })
    }
}

impl Journaled {
    /// Finishes and rewrites at once what is due, as the thread that tidies does; for those who cannot wait for it.
    ///
    /// # Errors
    /// The engine's.
    pub fn tidy_now(&self, before: &[Time]) -> Result<(), KvError> {
        self.shared.checkpoint()?;
        tidy::tidy_now(&self.shared, &self.tidy, before)
    }

    /// The journal has no more of what was erased: the index is made anew, since it may have bytes of it in its free space.
    ///
    /// # Errors
    /// The system's: it is not asked for.
    pub fn renew_index(&self) -> io::Result<()> {
        self.renewal.ask(self.path())
    }

    /// Whether that is still to be done.
    pub fn is_index_to_renew(&self) -> bool {
        index_renewal::is_asked_for(self.path())
    }

    /// Makes the index anew at once, where it is to be, as the thread for that does; for those who cannot wait for it.
    /// `meanwhile` is called now and then, and ends it by an error.
    ///
    /// # Errors
    /// The engine's: the index that was in use is.
    pub fn renew_index_now(&self, meanwhile: &dyn Fn() -> Result<(), KvError>) -> Result<(), KvError> {
        index_renewal::renew_where_due(&self.shared, &self.renewal, meanwhile)
    }

    /// Of what commits up to this one wrote, something was erased: the journal's files are rewritten without it, within the
    /// hour.
    pub fn erased(&self, until: u64) {
        self.tidy.erased(until);
    }

    /// Whether no file of the journal has what was erased of what commits up to this one wrote.
    pub fn is_rid_of(&self, until: u64) -> bool {
        rewrite::is_rid_of(&self.shared.journal, until)
    }

    /// The data folder.
    pub fn path(&self) -> &Path {
        self.shared.data_folder()
    }

    /// Where its commits are durable.
    pub fn journal(&self) -> &Journal {
        &self.shared.journal
    }

    /// Its records as the index has them: what that cannot give is not read from the journal.
    pub fn unhealed(&self) -> UnhealedRecords {
        UnhealedRecords(Arc::clone(&self.shared))
    }

    /// Whether the index could not give or take something since it was opened.
    pub fn is_damaged(&self) -> bool {
        self.shared.is_damaged()
    }

    /// Has the index get what is committed by now, and waits for that a while.
    pub fn bring_up_index(&self) {
        let wanted = self.shared.journal.durable();
        self.shared.ask_for_checkpoint();
        for _ in 0..CHECKPOINT_WAITS {
            if self.shared.index.sled().mark().applied >= wanted || self.shared.is_damaged() {
                break;
            }
            std::thread::sleep(CHECKPOINT_WAIT);
        }
    }
}

impl Kv for Journaled {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, KvError> {
        self.shared.get(key)
    }

    fn scan(&self, span: Span<'_>, visit: ScanVisitor<'_>) -> Result<(), KvError> {
        self.shared.scan(span, visit)
    }

    fn commit(&self, batch: Batch, passed: &mut dyn FnMut(Step)) -> Result<(), KvError> {
        if self.closed.load(Ordering::Acquire) {
            return Err(KvError::Failed("the store is closed".to_owned()));
        }
        self.shared.make_room()?;
        let lsn = self.shared.journal.append(&batch, passed)?;
        self.shared.overlay.take(batch, lsn);
        self.shared.ask_if_full();
        Ok(())
    }

    fn close(&self) -> Result<(), KvError> {
        if self.closed.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        self.shared.stop();
        self.tidy.stop();
        self.renewal.stop();
        let threads = std::mem::take(&mut *self.threads.lock()).into_iter().map(JoinHandle::join);
        let panicked = threads.filter(Result::is_err).count();
        self.shared.close()?;
        match panicked {
            0 => Ok(()),
            _ => Err(KvError::Failed("a thread of the store panicked".to_owned())),
        }
    }

    fn aged(&self, before: &[Time]) {
        self.tidy.aged(before);
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
