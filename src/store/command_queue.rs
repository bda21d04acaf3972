//! Where what is to be written waits for the writer, and is refused while the disk takes too long.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::domain::ruleset::Ruleset;
use crate::store::commit::erasing::ErasingCommand;
use crate::store::commit::purge::PurgePass;
use crate::store::contract::change::{PurgeBefore, Purged};
use crate::store::contract::error::StoreError;
use crate::store::contract::monotonic::MonotonicClock;
use crate::store::decision::order::{OrderInGroup, ReplySender};

/// While a commit takes longer than this, what else is to be written is refused at once: its sender asks again, and
/// does not pile up here.
pub const SLOW: Duration = Duration::from_secs(5);
/// A commit that takes longer than this does not end. A restart finds out what of it is durable.
pub const STUCK: Duration = Duration::from_secs(30);
/// What the writer is given to do.
pub enum StoreCommand {
    /// Something that is decided with what waits next to it.
    Decide(Box<dyn OrderInGroup>),
    /// Something that is done alone.
    Alone(AloneCommand),
}

/// What is done between two groups.
pub enum AloneCommand {
    /// Decides by other rules what is queued from here on.
    ChangeRules(Arc<Ruleset>, ReplySender<()>),
    /// Purging rewrites what others read.
    Purge(PurgePass, PurgeBefore, ReplySender<Purged>),
    /// So does erasing.
    Erase(Box<ErasingCommand>),
    /// Ends the writer, once all before it is done.
    Close(ReplySender<()>),
}

impl StoreCommand {
    /// Notifies anyone who waits that it was not done.
    pub fn refuse(self, error: StoreError) {
        // A dropped receiver is a caller that went away: no one is left to inform.
        match self {
            StoreCommand::Decide(order) => order.answer(Err(error)),
            StoreCommand::Alone(AloneCommand::ChangeRules(_, answer) | AloneCommand::Close(answer)) => {
                drop(answer.send(Err(error)));
            }
            StoreCommand::Alone(AloneCommand::Purge(_, _, answer)) => drop(answer.send(Err(error))),
            StoreCommand::Alone(AloneCommand::Erase(command)) => command.refuse(error),
        }
    }

    fn is_close(&self) -> bool {
        matches!(self, StoreCommand::Alone(AloneCommand::Close(_)))
    }
}

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
    /// Since when the writer reads and writes for a group, while it does.
    writes_since: Option<Duration>,
}

impl PendingCommands {
    /// Why a command is not taken now.
    fn refusal(&self, clock: Option<&MonotonicClock>, command: &StoreCommand) -> Option<StoreError> {
        if self.closed {
            return Some(StoreError::Closed);
        }
        let since = self.writes_since?;
        let writes = clock?().saturating_sub(since);
        if writes >= STUCK {
            return Some(StoreError::Broken { doing: "write", cause: never_ended() });
        }
        let cause = || format!("the disk has not taken what is written for {} s", writes.as_secs());
        let is_refused = writes >= SLOW && !command.is_close();
        is_refused.then(|| StoreError::Unavailable { cause: cause() })
    }
}

/// Why the process ends.
pub fn never_ended() -> String {
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
        waiting.closed = command.is_close();
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
        Some((self.clock.as_ref()?)().saturating_sub(since))
    }

    /// The writer begins with a group, or has ended it.
    pub fn writes(&self, begins: bool) {
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
    pub fn take(&self) -> Option<Vec<StoreCommand>> {
        let mut waiting = self.waiting.lock();
        while waiting.commands.is_empty() && !waiting.closed {
            self.bell.wait(&mut waiting);
        }
        Some(std::mem::take(&mut waiting.commands)).filter(|commands| !commands.is_empty())
    }

    /// Drops what is queued, which answers that the store is closed.
    pub fn clear(&self) {
        self.waiting.lock().commands.clear();
    }

    /// Everything queued by now, perhaps nothing.
    pub fn take_now(&self) -> Vec<StoreCommand> {
        std::mem::take(&mut self.waiting.lock().commands)
    }
}
