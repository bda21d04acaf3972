//! The one thread that writes: takes everything queued, decides it in order, commits once, answers.

mod erasures;

use std::collections::VecDeque;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::Handle;

use crate::domain::ids::ClickId;
use crate::domain::ruleset::Ruleset;
use crate::store::command_queue::{AloneCommand, CommandQueue, StoreCommand, never_ended};
pub use crate::store::command_queue::{SLOW, STUCK};
use crate::store::commit::embedded_commit::EmbeddedCommit;
use crate::store::commit::known_facts::KnownFacts;
use crate::store::commit::purge::{self, PurgePass};
use crate::store::contract::change::{PurgeBefore, Purged};
use crate::store::contract::error::StoreError;
use crate::store::contract::monotonic::MonotonicClock;
use crate::store::crash;
use crate::store::decision::click::MatchWaiting;
use crate::store::decision::group::CommitGroup;
use crate::store::decision::in_order::decide_all;
use crate::store::decision::order::{OrderInGroup, Ordered};
use crate::store::decision::quarantine_line::QuarantineLine;
use crate::store::engine::kv::{KvError, Step, WRITER_THREAD};
use crate::store::records::StoreShared;
use crate::store::table::store_facts::{self, NumberSequences};

/// The most commands in one group, and the most bytes they bring along.
const GROUP_COMMANDS: usize = 4096;
const GROUP_BYTES: usize = 8 * 1024 * 1024;

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
    /// The machine's: a disk takes real time, also where a test lets other time pass.
    pub clock: MonotonicClock,
    /// Is called after each commit that wrote, on the writer's thread: it must not wait.
    pub report: Arc<dyn Fn(CommitReport) + Send + Sync>,
    /// Is called once where a commit has not ended for [`STUCK`]: the process has to end.
    pub stuck: Arc<dyn Fn(&StoreError) + Send + Sync>,
}

/// Whatever ends the writer, no one waits for it in vain: dropped commands answer "closed".
impl Drop for Writer {
    fn drop(&mut self) {
        self.queue.close();
        self.queue.clear();
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
    let writer = Writer { shared, queue, numbers, watch, runtime: Handle::try_current().ok() };
    std::thread::Builder::new().name(WRITER_THREAD.to_owned()).spawn(move || writer.run())
}

/// How often it is looked whether a commit does not end.
const LOOK_EVERY: Duration = Duration::from_millis(500);

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
    /// The runtime whose tasks wait for answers, if the store was opened within one.
    runtime: Option<Handle>,
}

/// What is done together.
enum Turn {
    Decide(Vec<Box<dyn OrderInGroup>>),
    Alone(AloneCommand),
}

impl Writer {
    fn run(mut self) {
        let mut rest = VecDeque::new();
        let mut again = VecDeque::new();
        loop {
            // A long order takes many groups; what is queued meanwhile goes along with its next step.
            if !rest.is_empty() || !again.is_empty() {
                rest.extend(self.queue.take_now());
            } else if let Some(commands) = self.queue.take() {
                rest = VecDeque::from(commands);
            } else {
                return;
            }
            let turn = next_turn(&mut rest, &mut again);
            self.queue.writes(true);
            match turn {
                Turn::Decide(orders) => again.extend(self.decide(orders)),
                // A dropped receiver is a caller that went away; what was done holds all the same.
                Turn::Alone(AloneCommand::ChangeRules(rules, answer)) => {
                    drop(answer.send(self.change_rules(&rules)));
                }
                Turn::Alone(AloneCommand::Purge(pass, before, answer)) => {
                    drop(answer.send(self.purge(&pass, before)));
                }
                Turn::Alone(AloneCommand::Erase(command)) => self.erase(*command),
                Turn::Alone(AloneCommand::Close(answer)) => {
                    // Nothing is committed behind it: what is left of long orders goes first.
                    while let Some(order) = again.pop_front() {
                        again.extend(self.decide(vec![order]));
                    }
                    drop(answer.send(self.close()));
                    self.queue.writes(false);
                    return;
                }
            }
            self.queue.writes(false);
        }
    }

    /// Decides and commits a group, and answers. Answers what is left of long orders.
    fn decide(&mut self, mut orders: Vec<Box<dyn OrderInGroup>>) -> Vec<Box<dyn OrderInGroup>> {
        let began = self.watch.as_ref().map(|watch| (watch.clock)());
        match self.attempt(&orders) {
            // What the group touches is damaged, and nothing of it was written: its halves are decided again, by what
            // is stored then, until only those fail that touch it.
            Err(StoreError::Corrupt { .. }) if orders.len() > 1 => {
                let second = orders.split_off(orders.len() / 2);
                let mut again = self.decide(orders);
                again.extend(self.decide(second));
                again
            }
            done => self.end(orders, done, began),
        }
    }

    /// Decides orders by what is stored now, and commits what they bring.
    fn attempt(&mut self, orders: &[Box<dyn OrderInGroup>]) -> Result<Committed, StoreError> {
        let shared = Arc::clone(&self.shared);
        loop {
            shared.reader.check()?;
            let facts = KnownFacts::of(&shared);
            let mut group = CommitGroup::new(&facts, shared.beginning(self.numbers));
            decide_all(&mut group, orders);
            let mut commit = EmbeddedCommit::of(&shared, group);
            match self.commit(&mut commit, orders.len()) {
                Ok(sync) => return Ok(Committed::of(commit, sync)),
                Err(StoreError::Corrupt { .. }) if commit.has_another_place => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Makes one atomic write of it. Answers how long the disk took, if anything was written.
    fn commit(
        &mut self,
        commit: &mut EmbeddedCommit<'_>,
        commands: usize,
    ) -> Result<Option<Duration>, StoreError> {
        let commands = u32::try_from(commands).unwrap_or(u32::MAX);
        let mut sync = None;
        let done = write(commit, commands, self.watch.as_ref(), &mut sync);
        if let Err(StoreError::Corrupt { .. }) = done {
            commit.forget();
        }
        done?;
        self.numbers = commit.group.numbers;
        Ok(sync)
    }

    /// Answers what was decided together. Answers what is left of it.
    fn end(
        &self,
        commands: Vec<Box<dyn OrderInGroup>>,
        done: Result<Committed, StoreError>,
        began: Option<Duration>,
    ) -> Vec<Box<dyn OrderInGroup>> {
        crash::point("commit.before_answer");
        let count = commands.len();
        let Committed { sync, lines, mut again } = match done {
            Ok(committed) => committed,
            Err(error) => {
                self.answer(commands, &Err(error), Vec::new());
                return Vec::new();
            }
        };
        let (steps, whole): (Vec<_>, Vec<_>) = commands.into_iter().partition(|command| command.has_rest());
        again.extend(steps.into_iter().filter_map(OrderInGroup::rest));
        self.answer(whole, &Ok(()), lines);
        // A group that wrote nothing, as when no hold has ended, says nothing about the disk.
        if let (Some(watch), Some(began), Some(sync)) = (&self.watch, began, sync) {
            let took = (watch.clock)().saturating_sub(began);
            (watch.report)(CommitReport { commands: count, took, sync });
        }
        again
    }

    /// Notifies everyone how it went.
    ///
    /// Each answer wakes a task. From a thread that is not the runtime's own that costs a lock and often a system call
    /// each; from a task it is a push to a queue. So a group's answers are given by one task, where there is a runtime.
    fn answer(
        &self,
        commands: Vec<Box<dyn OrderInGroup>>,
        done: &Result<(), StoreError>,
        lines: Vec<QuarantineLine>,
    ) {
        let (done, written) = (done.clone(), Arc::clone(&self.shared.quarantine_lines));
        let runtime = self.runtime.as_ref().filter(|_| commands.len() > 1 || !lines.is_empty());
        let notify = move || {
            commands.into_iter().for_each(|command| command.answer(done.clone()));
            lines.into_iter().for_each(|line| line.write(&written));
        };
        match runtime {
            Some(runtime) => drop(runtime.spawn(async move { notify() })),
            None => notify(),
        }
    }

    /// Reads what the click filters have to remember, where the rules ask for other things now.
    fn change_rules(&self, rules: &Arc<Ruleset>) -> Result<(), StoreError> {
        let shared = &self.shared;
        shared.reader.check()?;
        if rules.filters.duplicate != shared.rules.read().filters.duplicate {
            shared.lately.lock().go_by(&shared.reader, rules.filters.duplicate)?;
        }
        shared.index.lock().queues.go_by(rules);
        *shared.rules.write() = Arc::clone(rules);
        Ok(())
    }

    /// Nothing is handed out from now on. Remembers what may have left without a record of it.
    fn close(&self) -> Result<(), StoreError> {
        let reader = &self.shared.reader;
        reader.check()?;
        let unknown = self.shared.index.lock().queues.close();
        if let Some(unknown) = unknown
            && let Err(error) = store_facts::close(reader, &unknown)
        {
            tracing::warn!(%error, "that the store is closed cannot be written: after the next start what is due counts as a possible repeat");
        }
        reader.kv().close().map_err(|error| reader.fail("close", error))
    }

    fn purge(&mut self, pass: &PurgePass, before: PurgeBefore) -> Result<Purged, StoreError> {
        let shared = Arc::clone(&self.shared);
        shared.reader.check()?;
        let began = self.watch.as_ref().map(|watch| (watch.clock)());
        let (mut purging, mut purged) = purge::step(&shared, before, pass)?;
        let facts = KnownFacts::of(&shared);
        let mut group = CommitGroup::new(&facts, shared.beginning(self.numbers));
        group.counting.append(std::mem::take(&mut purging.counting));
        group.counting.append(std::mem::take(&mut purging.clicks.counting));
        let mut commit = EmbeddedCommit { purging, ..EmbeddedCommit::of(&shared, group) };
        let sync = self.commit(&mut commit, 0)?;
        if let (Some(watch), Some(began), Some(sync)) = (&self.watch, began, sync) {
            pass.lock().fit((watch.clock)().saturating_sub(began + sync), sync);
        }
        self.end(Vec::new(), Ok(Committed::of(commit, sync)), began);
        if !purged.more {
            purged.oldest = Some(purge::oldest(&shared)?);
            shared.reader.kv().aged(&[before.postbacks, before.clicks, before.conversions]);
        }
        Ok(purged)
    }
}

/// What a commit leaves to be done.
struct Committed {
    /// How long the disk took, if anything was written.
    sync: Option<Duration>,
    lines: Vec<QuarantineLine>,
    again: Vec<Box<dyn OrderInGroup>>,
}

impl Committed {
    fn of(commit: EmbeddedCommit<'_>, sync: Option<Duration>) -> Committed {
        let CommitGroup { lines, matching, .. } = commit.group;
        let rest = |(click, after): (ClickId, Option<u64>)| Some(MatchWaiting { click, after: after? });
        let rest = matching.into_iter().filter_map(rest);
        let again = rest.map(|rest| Ordered::new(rest, None) as Box<dyn OrderInGroup>).collect();
        Committed { sync, lines, again }
    }
}

/// What is done next: one step of a long order with what waits, in order. What must be alone does not wait for the long
/// ones to end.
fn next_turn(rest: &mut VecDeque<StoreCommand>, again: &mut VecDeque<Box<dyn OrderInGroup>>) -> Turn {
    let mut group: Vec<Box<dyn OrderInGroup>> = Vec::new();
    let mut bytes = 0;
    while group.len() < GROUP_COMMANDS && bytes <= GROUP_BYTES {
        match rest.pop_front() {
            Some(StoreCommand::Decide(command)) => {
                if group.is_empty() {
                    group.extend(again.pop_front());
                }
                bytes += command.weight();
                group.push(command);
            }
            Some(StoreCommand::Alone(alone)) if group.is_empty() => return Turn::Alone(alone),
            Some(alone) => {
                rest.push_front(alone);
                break;
            }
            None => break,
        }
    }
    if group.is_empty() {
        group.extend(again.pop_front());
    }
    Turn::Decide(group)
}

/// Writes what is to be committed, if there is anything: then `sync` reports how long the disk took.
fn write(
    commit: &mut EmbeddedCommit<'_>,
    commands: u32,
    watch: Option<&Watch>,
    sync: &mut Option<Duration>,
) -> Result<(), StoreError> {
    let reader = &commit.shared.reader;
    // A read that failed while it was decided ends the store; nothing of it counts.
    reader.check()?;
    let mut ready = match commit.pack() {
        Ok(ready) => ready,
        Err(StoreError::Corrupt { key, cause }) => {
            return Err(reader.fail("write", format!("the record {key} cannot be packed: {cause}")));
        }
        Err(error) => return Err(error),
    };
    if !ready.batch.is_empty() {
        let (purges, folds) = (!commit.purging.is_empty(), ready.counts.folds());
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
                    *sync = Some((watch.clock)().saturating_sub(written));
                }
                crash::point("commit.after_sync");
            }
        };
        let mut batch = std::mem::take(&mut ready.batch);
        batch.commands = commands;
        if let Err(error) = reader.kv().commit(batch, &mut passed) {
            if let KvError::Damaged { key, .. } = &error {
                commit.has_another_place = commit.shared.unfolded.lock().pass_over(key);
            }
            return Err(reader.failed_commit(error));
        }
        if purges {
            crash::point("purge.after_sync");
        }
        if folds {
            crash::point("fold.after_sync");
        }
    }
    commit.publish(ready);
    Ok(())
}
