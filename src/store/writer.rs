//! The one thread that writes: takes everything queued, decides it in order, commits once, answers.

use std::collections::VecDeque;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use tokio::runtime::Handle;

use crate::store::commit::command::StoreCommand;
use crate::store::commit::group::CommitGroup;
use crate::store::commit::purge::Cursor;
use crate::store::contract::error::StoreError;
use crate::store::crash;
use crate::store::engine::kv::Step;
use crate::store::records::StoreShared;
use crate::store::table::store_facts::NumberSequences;

/// The most commands in one group, and the most bytes they bring along.
const GROUP_COMMANDS: usize = 4096;
const GROUP_BYTES: usize = 8 * 1024 * 1024;

/// A clock that never goes back, by which commits are measured.
pub type MonotonicClock = Arc<dyn Fn() -> Instant + Send + Sync>;

/// How one commit went.
#[derive(Debug, Clone, Copy)]
pub struct CommitReport {
    /// Commands decided together.
    pub commands: usize,
    /// From the first decision to the last answer.
    pub took: Duration,
    /// Making the written bytes durable; a part of `took`.
    pub sync: Duration,
}

/// Who hears of every commit that wrote, and by which clock it is measured.
#[derive(Clone)]
pub struct Watch {
    /// A monotonic clock.
    pub clock: MonotonicClock,
    /// Is called after each commit that wrote, on the writer's thread: it must not wait.
    pub report: Arc<dyn Fn(CommitReport) + Send + Sync>,
    /// Is called once where a commit has not ended for [`STUCK`]: the process has to end.
    pub stuck: Arc<dyn Fn(&StoreError) + Send + Sync>,
}

/// While a commit takes longer than this, what else is to be written is refused at once: its sender asks again, and
/// does not pile up here.
pub const SLOW: Duration = Duration::from_secs(5);
/// A commit that takes longer than this does not end. A restart finds out what of it is durable.
pub const STUCK: Duration = Duration::from_secs(30);
/// How often it is looked whether one does.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Where commands wait for the writer.
pub struct CommandQueue {
    waiting: Mutex<PendingCommands>,
    bell: Condvar,
    /// By which commits are measured, where they are.
    clock: Option<MonotonicClock>,
}

#[derive(Default)]
struct PendingCommands {
    commands: Vec<StoreCommand>,
    closed: bool,
    /// Since when the writer writes, while it does.
    writes_since: Option<Instant>,
}

impl PendingCommands {
    /// Why a command is not taken now.
    fn refusal(&self, clock: Option<&MonotonicClock>, command: &StoreCommand) -> Option<StoreError> {
        if self.closed {
            return Some(StoreError::Closed);
        }
        let writes = clock?().saturating_duration_since(self.writes_since?);
        if writes >= STUCK {
            return Some(StoreError::Broken { doing: "write", cause: never_ended() });
        }
        let cause = || format!("the disk has not taken what is written for {} s", writes.as_secs());
        let is_refused = writes >= SLOW && !matches!(command, StoreCommand::Close(_));
        is_refused.then(|| StoreError::Unavailable { cause: cause() })
    }
}

fn never_ended() -> String {
    format!("the disk has not taken what is written for {} s", STUCK.as_secs())
}

impl CommandQueue {
    /// An empty queue. Without a clock no commit is taken for slow.
    pub fn new(clock: Option<MonotonicClock>) -> CommandQueue {
        CommandQueue { waiting: Mutex::default(), bell: Condvar::new(), clock }
    }

    /// Queues a command; one that is queued after the close, or while the disk takes too long, is refused.
    pub fn push(&self, command: StoreCommand) {
        let mut waiting = self.waiting.lock();
        if let Some(error) = waiting.refusal(self.clock.as_ref(), &command) {
            drop(waiting);
            command.refuse(error);
            return;
        }
        waiting.closed = matches!(command, StoreCommand::Close(_));
        waiting.commands.push(command);
        drop(waiting);
        self.bell.notify_one();
    }

    /// Whether the writer has been writing for too long to be waited for.
    pub fn is_stuck(&self) -> bool {
        self.writes_for().is_some_and(|writes| writes >= STUCK)
    }

    fn writes_for(&self) -> Option<Duration> {
        let since = self.waiting.lock().writes_since?;
        Some((self.clock.as_ref()?)().saturating_duration_since(since))
    }

    /// The writer begins to write, or has ended.
    fn writes(&self, begins: bool) {
        if let Some(clock) = &self.clock {
            self.waiting.lock().writes_since = begins.then(|| clock());
        }
    }

    /// Nothing more is taken; what is queued is still done.
    pub fn close(&self) {
        self.waiting.lock().closed = true;
        self.bell.notify_one();
    }

    /// Everything queued, once there is anything; `None` when nothing will ever come.
    fn take(&self) -> Option<Vec<StoreCommand>> {
        let mut waiting = self.waiting.lock();
        while waiting.commands.is_empty() && !waiting.closed {
            self.bell.wait(&mut waiting);
        }
        Some(std::mem::take(&mut waiting.commands)).filter(|commands| !commands.is_empty())
    }

    /// Everything queued by now, perhaps nothing.
    fn take_now(&self) -> Vec<StoreCommand> {
        std::mem::take(&mut self.waiting.lock().commands)
    }
}

/// Whatever ends the writer, no one waits for it in vain: dropped commands answer "closed".
impl Drop for Writer {
    fn drop(&mut self) {
        self.queue.close();
        self.queue.waiting.lock().commands.clear();
    }
}

/// Starts the writer.
///
/// # Errors
/// When the operating system gives no thread.
pub fn start(
    shared: Arc<StoreShared>,
    queue: Arc<CommandQueue>,
    numbers: NumberSequences,
    watch: Option<Watch>,
) -> std::io::Result<JoinHandle<()>> {
    let writer = Writer {
        shared,
        queue,
        numbers,
        watch,
        cursor: Cursor::default(),
        runtime: Handle::try_current().ok(),
    };
    std::thread::Builder::new().name("store-writer".to_owned()).spawn(move || writer.run())
}

/// Looks whether a commit does not end, on a thread of its own, until the queue is gone.
///
/// # Errors
/// When the operating system gives no thread.
pub fn watch_for_stuck(
    shared: &Arc<StoreShared>,
    queue: &Arc<CommandQueue>,
    watch: &Watch,
) -> std::io::Result<()> {
    let (shared, queue, stuck) = (Arc::downgrade(shared), Arc::downgrade(queue), Arc::clone(&watch.stuck));
    let look = move || {
        loop {
            std::thread::park_timeout(LOOK_EVERY);
            let (Some(shared), Some(queue)) = (shared.upgrade(), queue.upgrade()) else { return };
            if queue.is_stuck() {
                stuck(&shared.reader.fail("write", never_ended()));
                return;
            }
        }
    };
    std::thread::Builder::new().name("store-watch".to_owned()).spawn(look).map(drop)
}

struct Writer {
    shared: Arc<StoreShared>,
    queue: Arc<CommandQueue>,
    numbers: NumberSequences,
    watch: Option<Watch>,
    cursor: Cursor,
    /// The runtime whose tasks wait for answers, if the store was opened within one.
    runtime: Option<Handle>,
}

impl Writer {
    fn run(mut self) {
        let mut rest = VecDeque::new();
        let mut again = VecDeque::new();
        loop {
            // A long command takes many groups; what is queued meanwhile goes along with its next step.
            if !rest.is_empty() || !again.is_empty() {
                rest.extend(self.queue.take_now());
            } else if let Some(commands) = self.queue.take() {
                rest = VecDeque::from(commands);
            } else {
                return;
            }
            let group = next_group(&mut rest, &mut again);
            again.extend(self.commit(group));
        }
    }

    /// Decides and commits one group; answers what is left of long commands.
    fn commit(&mut self, commands: Vec<StoreCommand>) -> Vec<StoreCommand> {
        if let Err(error) = self.shared.reader.check() {
            commands.into_iter().for_each(|command| command.refuse(error.clone()));
            return Vec::new();
        }
        let count = commands.len();
        let began = self.watch.as_ref().map(|watch| (watch.clock)());
        let mut group = CommitGroup::new(&self.shared, self.numbers);
        for command in commands {
            group.take(command, &mut self.cursor);
        }
        let mut sync = None;
        self.queue.writes(true);
        let done = write(&mut group, self.watch.as_ref(), &mut sync);
        self.queue.writes(false);
        if done.is_ok() {
            self.numbers = group.numbers;
        }
        crash::point("commit.before_answer");
        let again = std::mem::take(&mut group.again);
        group.answer(&done, self.runtime.as_ref());
        // A group that wrote nothing, as when no hold has ended, says nothing about the disk.
        if let (Some(watch), Some(began), Some(sync)) = (&self.watch, began, sync) {
            let took = (watch.clock)().saturating_duration_since(began);
            (watch.report)(CommitReport { commands: count, took, sync });
        }
        again
    }
}

/// The commands to be decided together: one step of a long one, then what waits, in order. A command that
/// must be alone does not wait for the long ones to end.
fn next_group(rest: &mut VecDeque<StoreCommand>, again: &mut VecDeque<StoreCommand>) -> Vec<StoreCommand> {
    if rest.front().is_some_and(StoreCommand::is_alone) {
        return rest.pop_front().into_iter().collect();
    }
    let mut group: Vec<StoreCommand> = again.pop_front().into_iter().collect();
    let mut bytes = 0;
    while group.len() < GROUP_COMMANDS && bytes <= GROUP_BYTES {
        if rest.front().is_some_and(StoreCommand::is_alone) {
            break;
        }
        let Some(next) = rest.pop_front() else { break };
        bytes += next.weight();
        group.push(next);
    }
    group
}

/// Writes the group, if it has anything to write: then `sync` reports how long the disk took.
fn write(
    group: &mut CommitGroup<'_>,
    watch: Option<&Watch>,
    sync: &mut Option<Duration>,
) -> Result<(), StoreError> {
    let reader = &group.shared.reader;
    // A read that failed while the group was decided ends the store; nothing of the group counts.
    reader.check()?;
    let mut ready = match group.pack() {
        Ok(ready) => ready,
        Err(StoreError::Corrupt { key, cause }) => {
            return Err(reader.fail("write", format!("the record {key} cannot be packed: {cause}")));
        }
        Err(error) => return Err(error),
    };
    if !ready.batch.is_empty() {
        let (purges, folds) = (!group.purging.is_empty(), ready.counts.folds());
        crash::point("commit.before_write");
        if purges {
            crash::point("purge.before_write");
        }
        if folds {
            crash::point("fold.before_write");
        }
        let mut written = None;
        let mut passed = |step| match step {
            Step::Written => {
                crash::point("commit.after_write");
                if folds {
                    crash::point("fold.after_write");
                }
                written = watch.map(|watch| (watch.clock)());
            }
            Step::Synced => {
                if let (Some(watch), Some(written)) = (watch, written) {
                    *sync = Some((watch.clock)().saturating_duration_since(written));
                }
                crash::point("commit.after_sync");
            }
        };
        let batch = std::mem::take(&mut ready.batch);
        reader.kv().commit(batch, &mut passed).map_err(|error| reader.failed_commit(error))?;
        if purges {
            crash::point("purge.after_sync");
        }
        if folds {
            crash::point("fold.after_sync");
        }
    }
    group.publish(ready);
    Ok(())
}
