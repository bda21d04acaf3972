//! What the writer is asked to do.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::domain::delivery::Delivery;
use crate::domain::delivery_reason::RetryRefused;
use crate::domain::expiry::AgeRule;
use crate::domain::ids::{ClickId, DeliveryId, DestinationId};
use crate::domain::ruleset::Ruleset;
use crate::domain::status_move::StatusMove;
use crate::domain::time::Time;
use crate::store::contract::arrival::{Arrival, ClickArrival, ClickReceipt, ConsentArrival, Receipt};
use crate::store::contract::change::{ConversionRef, PurgeBefore, Purged, StatusChanged, SuppressionOrder};
use crate::store::contract::error::StoreError;
use crate::store::contract::operator::OperatorFact;
use crate::store::contract::work::{AttemptOutcome, Expired, Recorded};
use crate::store::weight;

/// How many conversions one step of a long command changes.
pub const STEP: usize = 1024;

/// Where the answer to a command goes. A caller who no longer listens changes nothing.
pub type ReplySender<T> = oneshot::Sender<Result<T, StoreError>>;

/// One command, with the way back to who gave it.
pub enum StoreCommand {
    Arrive(Box<Arrival>, ReplySender<Receipt>),
    Click(Box<ClickArrival>, ReplySender<ClickReceipt>),
    Consent(Box<ConsentArrival>, ReplySender<()>),
    /// Goes on matching conversions after number `after` with a click that is stored.
    Match {
        click: ClickId,
        after: u64,
    },
    /// Decides by other rules what is queued from here on.
    ChangeRules(Arc<Ruleset>, ReplySender<()>),
    Keep {
        name: String,
        text: String,
        answer: ReplySender<()>,
    },
    Record(Arc<[AttemptOutcome]>, ReplySender<Vec<Recorded>>),
    Retry(Retry, ReplySender<Result<Delivery, RetryRefused>>),
    Withdraw(Withdraw, ReplySender<u64>),
    Expire {
        now: Time,
        limit: usize,
        answer: ReplySender<Vec<Expired>>,
    },
    EndHolds {
        now: Time,
        limit: usize,
        answer: ReplySender<u64>,
    },
    Status(StatusCommand),
    KeepFact(OperatorFact, ReplySender<()>),
    Suppression(SuppressionCommand),
    Purge(PurgeBefore, ReplySender<Purged>),
    Probe(ReplySender<()>),
    Close(ReplySender<()>),
}

impl StoreCommand {
    /// Purging rewrites what other commands read, so it has a group of its own.
    pub fn is_alone(&self) -> bool {
        matches!(self, StoreCommand::Purge(..))
    }

    /// Bytes that the command brings along, roughly.
    pub fn weight(&self) -> usize {
        match self {
            StoreCommand::Arrive(arrival, _) => arrival.raw.line.len() + arrival.raw.body.len(),
            StoreCommand::Click(arrival, _) => weight::of_click(&arrival.click),
            StoreCommand::Suppression(command) => command.weight(),
            StoreCommand::Keep { text, .. } => text.len(),
            _ => 0,
        }
    }

    /// Notifies anyone who waits that it was not done.
    pub fn refuse(self, error: StoreError) {
        // A dropped receiver is a caller that went away: no one is left to inform.
        match self {
            StoreCommand::Arrive(_, answer) => drop(answer.send(Err(error))),
            StoreCommand::Click(_, answer) => drop(answer.send(Err(error))),
            StoreCommand::Match { .. } => {}
            StoreCommand::Record(_, answer) => drop(answer.send(Err(error))),
            StoreCommand::ChangeRules(_, answer)
            | StoreCommand::Consent(_, answer)
            | StoreCommand::KeepFact(_, answer)
            | StoreCommand::Keep { answer, .. }
            | StoreCommand::Probe(answer)
            | StoreCommand::Close(answer) => {
                drop(answer.send(Err(error)));
            }
            StoreCommand::Retry(_, answer) => drop(answer.send(Err(error))),
            StoreCommand::Expire { answer, .. } => drop(answer.send(Err(error))),
            StoreCommand::Withdraw(_, answer) | StoreCommand::EndHolds { answer, .. } => {
                drop(answer.send(Err(error)))
            }
            StoreCommand::Status(command) => command.refuse(error),
            StoreCommand::Suppression(command) => command.refuse(error),
            StoreCommand::Purge(_, answer) => drop(answer.send(Err(error))),
        }
    }
}

/// A person wants a delivery sent.
pub struct Retry {
    pub id: DeliveryId,
    pub now: Time,
    pub age: AgeRule,
}

/// A destination is gone; done in steps.
pub struct Withdraw {
    pub destination: DestinationId,
    pub now: Time,
    /// How many earlier steps have skipped.
    pub done: u64,
}

/// A change of status.
pub enum StatusCommand {
    Set(StatusOrder, ReplySender<StatusChanged>),
    Dispose { now: Time, limit: usize, answer: ReplySender<u64> },
}

impl StatusCommand {
    /// Notifies anyone who waits that it was not done.
    pub fn refuse(self, error: StoreError) {
        match self {
            StatusCommand::Set(_, answer) => drop(answer.send(Err(error))),
            StatusCommand::Dispose { answer, .. } => drop(answer.send(Err(error))),
        }
    }
}

/// Someone wants a conversion to have another status.
pub struct StatusOrder {
    pub which: ConversionRef,
    pub wanted: StatusMove,
    pub now: Time,
}

/// A change to suppression lists.
pub enum SuppressionCommand {
    Add(SuppressionOrder, ReplySender<Vec<bool>>),
    TakeOff(SuppressionOrder, ReplySender<Vec<bool>>),
    /// Done in steps; should the process end between two, the rest of the list stays.
    Remove(RemoveList, ReplySender<u64>),
}

/// A list is to go.
pub struct RemoveList {
    pub list: String,
    /// How many entries earlier steps have removed.
    pub done: u64,
}

impl SuppressionCommand {
    /// Bytes that the command brings along, roughly.
    pub fn weight(&self) -> usize {
        match self {
            SuppressionCommand::Add(order, _) | SuppressionCommand::TakeOff(order, _) => {
                order.entries.len() * 256
            }
            SuppressionCommand::Remove(..) => 0,
        }
    }

    /// Notifies anyone who waits that it was not done.
    pub fn refuse(self, error: StoreError) {
        match self {
            SuppressionCommand::Add(_, answer) | SuppressionCommand::TakeOff(_, answer) => {
                drop(answer.send(Err(error)));
            }
            SuppressionCommand::Remove(_, answer) => drop(answer.send(Err(error))),
        }
    }
}
