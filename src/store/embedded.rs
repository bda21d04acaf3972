//! The store inside the process: readers on their own threads, one writer on its own.

pub mod data_folder;
mod erasure_copies;
mod erasure_upkeep;
mod erasures;
mod operations;

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use tokio::sync::{Semaphore, oneshot};

use crate::domain::presented::DigestKey;
use crate::domain::ruleset::Ruleset;
use crate::store::command_queue::{AloneCommand, CommandQueue, StoreCommand};
use crate::store::commit::erasure_list::Begun;
use crate::store::commit::purge::{self, PurgePass};
use crate::store::contract::StoreFuture;
use crate::store::contract::change::PurgeBefore;
use crate::store::contract::error::StoreError;
use crate::store::contract::monotonic::{MonotonicClock, stopped_clock};
use crate::store::decision::click::MatchWaiting;
use crate::store::decision::order::{Order, Ordered, ReplySender};
use crate::store::embedded::erasure_upkeep::ErasureUpkeep;
use crate::store::engine::data_folder::{FolderContents, FolderSettings, OpenReport};
use crate::store::engine::error::OpenError;
use crate::store::engine::journaled::Journaled;
use crate::store::engine::kv::Kv;
use crate::store::engine::open_folder;
use crate::store::engine::packed::Packed;
use crate::store::index::Index;
use crate::store::reader::{Reader, without_panic};
use crate::store::rebuild::{check_converted, rebuild};
pub use crate::store::records::AtHand;
use crate::store::records::{Records, StoreShared};
use crate::store::table::{PACKED, store_facts};
use crate::store::writer::{self, Watch};

/// How many lists and traces are read at a time.
const LONG_READS: usize = 2;
/// How many reads of few records may wait for the disk at a time.
const SHORT_READS: usize = 32;
/// How many reads for dispatch may: no delivery waits until strangers' reads are done.
const DISPATCH_READS: usize = 32;
/// How long purging waits for what it reads ahead.
const AHEAD_WAIT: Duration = Duration::from_secs(2);

/// How an embedded store is opened.
#[derive(Clone)]
pub struct EmbeddedSettings {
    /// By which leases run out. Unless one is given it is a stopped one: then they end with the process alone.
    pub clock: MonotonicClock,
    /// Who hears of every commit.
    pub watch: Option<Watch>,
    /// Bits of the hash by which conversions are looked up. All of them, except in tests of what
    /// happens when two hashes are the same.
    pub dedup_mask: u64,
    /// What decisions know before it is fetched. What is in memory, except in tests.
    pub at_hand: AtHand,
    /// How its data folder is kept, where it has one.
    pub folder: FolderSettings,
}

impl Default for EmbeddedSettings {
    fn default() -> EmbeddedSettings {
        EmbeddedSettings {
            clock: stopped_clock(),
            watch: None,
            dedup_mask: u64::MAX,
            at_hand: AtHand::Memory,
            folder: FolderSettings::default(),
        }
    }
}

/// The embedded store. Dropping it finishes what is queued.
///
/// New postbacks, and what they make, are shown once they are durable. A change to a conversion that was
/// there before may be read a moment earlier, while its commit is being synced; should the sync fail, no
/// read is answered any more.
pub struct Embedded {
    pub(in crate::store) shared: Arc<StoreShared>,
    report: OpenReport,
    /// Its data folder, where it has one.
    folder: Option<Arc<Journaled>>,
    /// By which what senders presented is kept.
    digest_key: DigestKey,
    /// What is left to be done of erasures outside the records.
    erasing: ErasureUpkeep,
    /// By which leases run out.
    clock: MonotonicClock,
    /// Permits to look at many records.
    long_reads: Arc<Semaphore>,
    /// Permits to look at few.
    short_reads: Arc<Semaphore>,
    /// Permits to hand out work and to take it back.
    dispatch_reads: Arc<Semaphore>,
    /// The permit to read ahead of purging.
    purge_reads: Arc<Semaphore>,
    queue: Arc<CommandQueue>,
    /// How far purging has come.
    purging: PurgePass,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl Embedded {
    /// Opens the data folder, or begins one (mode 0700). It decides by `rules`, and begins by them with what the
    /// last process left to match.
    pub fn open_sled(path: &Path, rules: Arc<Ruleset>) -> Result<Embedded, OpenError> {
        Embedded::open_sled_with(path, rules, EmbeddedSettings::default())
    }

    /// As [`Embedded::open_sled`].
    pub fn open_sled_with(
        path: &Path,
        rules: Arc<Ruleset>,
        settings: EmbeddedSettings,
    ) -> Result<Embedded, OpenError> {
        let contents = FolderContents { tables: PACKED, check: &check_converted };
        let (folder, report) = open_folder::open(path, &settings.folder, contents)?;
        let folder = Arc::new(folder);
        let records: Arc<dyn Kv> = Arc::<Journaled>::clone(&folder);
        Embedded::open_records(records, (Some(folder), report), rules, settings)
    }

    /// Opens what `kv` holds, as [`Embedded::open_sled`].
    pub fn open(kv: Arc<dyn Kv>, rules: Arc<Ruleset>) -> Result<Embedded, OpenError> {
        Embedded::open_with(kv, rules, EmbeddedSettings::default())
    }

    /// As [`Embedded::open`].
    pub fn open_with(
        kv: Arc<dyn Kv>,
        rules: Arc<Ruleset>,
        settings: EmbeddedSettings,
    ) -> Result<Embedded, OpenError> {
        let found = (None, OpenReport::default());
        Embedded::open_records(Arc::new(Packed::new(kv, PACKED)), found, rules, settings)
    }

    /// Opens what is in `records`, each under its own key.
    fn open_records(
        records: Arc<dyn Kv>,
        (folder, report): (Option<Arc<Journaled>>, OpenReport),
        rules: Arc<Ruleset>,
        settings: EmbeddedSettings,
    ) -> Result<Embedded, OpenError> {
        let reader = Arc::new(Reader::new(records));
        let mut opened = rebuild(&reader, settings.dedup_mask)?;
        let records = Records::new(Arc::clone(&reader));
        opened.lately.go_by(&reader, rules.filters.duplicate)?;
        opened.index.queues.go_by(&rules);
        let newest_click = Mutex::new(opened.lately.newest());
        let (rules, lately) = (RwLock::new(rules), Mutex::new(opened.lately));
        let (index, quarantine_lines) = (Mutex::new(opened.index), Arc::default());
        let (unfolded, folding) = (Mutex::new(opened.unfolded), RwLock::new(()));
        let at_hand = settings.at_hand;
        let shared = StoreShared {
            reader,
            records,
            index,
            rules,
            lately,
            newest_click,
            arrived: Mutex::default(),
            quarantine_lines,
            unfolded,
            folding,
            at_hand,
        };
        let shared = Arc::new(shared);
        let queue =
            Arc::new(CommandQueue::new(settings.watch.as_ref().map(|watch| Arc::clone(&watch.clock))));
        // Last, so that a folder that cannot be opened is as it was.
        store_facts::reopen(&shared.reader)?;
        let digest_key = store_facts::digest_key(&shared.reader)?;
        // What was given up may have had what was erased.
        let which = if report.is_loss_accepted { Begun::All } else { Begun::Missing };
        let erasing = ErasureUpkeep::open(folder.as_deref(), &shared.reader, &digest_key, which)?;
        let no_thread = |error: std::io::Error| OpenError::Thread(error.to_string());
        if let Some(watch) = &settings.watch {
            writer::watch_for_stuck(&shared, &queue, watch).map_err(no_thread)?;
        }
        for click in opened.matching {
            queue.push(StoreCommand::Decide(Ordered::new(MatchWaiting { click, after: 0 }, None)));
        }
        let writer = writer::start(Arc::clone(&shared), Arc::clone(&queue), opened.numbers, settings.watch)
            .map_err(no_thread)?;
        let long_reads = Arc::new(Semaphore::new(LONG_READS));
        Ok(Embedded {
            shared,
            report,
            folder,
            digest_key,
            erasing,
            clock: settings.clock,
            long_reads,
            short_reads: Arc::new(Semaphore::new(SHORT_READS)),
            dispatch_reads: Arc::new(Semaphore::new(DISPATCH_READS)),
            purge_reads: Arc::new(Semaphore::new(1)),
            queue,
            purging: PurgePass::default(),
            writer: Mutex::new(Some(writer)),
        })
    }

    /// What opening found in its data folder, and did.
    pub fn opened(&self) -> &OpenReport {
        &self.report
    }

    /// A read of many records.
    fn read_many<T: Send + 'static>(
        &self,
        read: impl FnOnce(&StoreShared) -> Result<T, StoreError> + Send + 'static,
    ) -> StoreFuture<'_, T> {
        self.read_by(&self.long_reads, move |shared| read(shared))
    }

    /// A read of few records, next to the long ones.
    fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Arc<StoreShared>) -> Result<T, StoreError> + Send + 'static,
    ) -> StoreFuture<'_, T> {
        self.read_by(&self.short_reads, read)
    }

    /// A read of what is counted in memory.
    fn counted<'a, T: Send + 'a>(&self, read: impl FnOnce(&mut Index) -> T) -> StoreFuture<'a, T> {
        let answer = self.shared.reader.check().map(|()| read(&mut self.shared.index.lock()));
        Box::pin(std::future::ready(answer))
    }

    /// A read on a thread where waiting for the disk holds up no one. Anyone who no longer wants its answer does not
    /// free its permit before it has ended.
    fn read_by<'a, T: Send + 'static>(
        &'a self,
        permits: &'a Arc<Semaphore>,
        read: impl FnOnce(&Arc<StoreShared>) -> Result<T, StoreError> + Send + 'static,
    ) -> StoreFuture<'a, T> {
        Box::pin(async move {
            let permit = Arc::clone(permits).acquire_owned().await;
            let permit = permit.map_err(|_| StoreError::Closed)?;
            let shared = Arc::clone(&self.shared);
            let reading = tokio::task::spawn_blocking(move || {
                let done = without_panic(|| read(&shared));
                drop(permit);
                done
            });
            reading.await.unwrap_or(Err(StoreError::Closed))
        })
    }

    /// Reads what the next step of purging takes out, so that the writer does not wait for the disk. What failed is met there
    /// again; where it takes long, no one waits for it.
    async fn read_ahead(&self, before: PurgeBefore) {
        let Ok(permit) = Arc::clone(&self.purge_reads).try_acquire_owned() else { return };
        let (shared, pass) = (Arc::clone(&self.shared), Arc::clone(&self.purging));
        let reading = tokio::task::spawn_blocking(move || {
            let done = without_panic(|| purge::read_ahead(&shared, before, &pass));
            drop(permit);
            done
        });
        drop(tokio::time::timeout(AHEAD_WAIT, reading).await);
    }

    /// Queues an order now, so that it is done even when no one waits for the answer.
    fn write<O: Order>(&self, order: O) -> StoreFuture<'_, O::Answer> {
        self.push(|answer| StoreCommand::Decide(Ordered::new(order, Some(answer))))
    }

    /// The same of what is done alone.
    fn queue<T: Send + 'static>(
        &self,
        command: impl FnOnce(ReplySender<T>) -> AloneCommand,
    ) -> StoreFuture<'_, T> {
        self.push(|answer| StoreCommand::Alone(command(answer)))
    }

    fn push<T: Send + 'static>(
        &self,
        command: impl FnOnce(ReplySender<T>) -> StoreCommand,
    ) -> StoreFuture<'_, T> {
        let (answer, done) = oneshot::channel();
        self.queue.push(command(answer));
        Box::pin(async move { done.await.unwrap_or(Err(StoreError::Closed)) })
    }

    fn join(&self) {
        if let Some(writer) = self.take_writer() {
            ended(writer);
        }
    }

    /// The writer, to wait for its end; not one that waits for the disk in vain.
    fn take_writer(&self) -> Option<JoinHandle<()>> {
        self.writer.lock().take().filter(|_| !self.queue.is_stuck())
    }
}

/// Waits for the writer's end. One that panicked has refused its commands by dropping them.
fn ended(writer: JoinHandle<()>) {
    if writer.join().is_err() {
        tracing::error!("the store's writer ended by a panic");
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.queue.close();
        self.join();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::store::contract::Store;
    use crate::store::contract::conformance::fixture::engine::usual_rules;
    use crate::store::contract::conformance::fixture::received::{sale, wait};
    use crate::store::decision::group::CommitGroup;
    use crate::store::decision::need::Known;
    use crate::store::decision::order::Decided;
    use crate::store::engine::memory::Memory;

    /// Misses another text each time it is decided.
    #[derive(Default)]
    struct Restless(AtomicU64);

    impl Order for Restless {
        type Answer = ();

        fn decide<'a>(&'a self, group: &mut CommitGroup<'a>) -> Known<Decided<Restless>> {
            let other = self.0.fetch_add(1, Ordering::Relaxed).to_string();
            group.facts.has_text(&other)?;
            Ok(Decided::Whole(()))
        }
    }

    #[test]
    fn what_misses_something_else_each_time_fails_alone_and_holds_up_no_one() {
        let settings = EmbeddedSettings { at_hand: AtHand::Nothing, ..EmbeddedSettings::default() };
        let store = Embedded::open_with(Arc::new(Memory::default()), usual_rules(), settings).unwrap();
        let restless = store.write(Restless::default());
        let sold = store.arrive(sale("t1").arrival());
        assert!(matches!(wait(restless), Err(StoreError::Corrupt { .. })));
        assert!(wait(sold).unwrap().verdict.conversion().is_some());
    }
}
