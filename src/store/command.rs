//! What the writer is asked to do.

use tokio::sync::oneshot;

use crate::domain::delivery::{Delivery, RetryRefused};
use crate::domain::ids::{ClickId, DeliveryId, DestinationId};
use crate::domain::time::Time;
use crate::store::contract::arrival::{Arrival, ClickArrival, ClickReceipt, ConsentArrival, Receipt};
use crate::store::keeping::KeepingCommand;
use crate::store::network::statuses::StatusCommand;
use crate::store::network::suppressed::SuppressionCommand;
use crate::store::{Outcome, PurgeBefore, Purged, StoreError, weight};

/// Where the answer to a command goes. A caller who no longer listens changes nothing.
pub type Answer<T> = oneshot::Sender<Result<T, StoreError>>;

/// One command, with the way back to who gave it.
pub enum Command {
    Arrive(Box<Arrival>, Answer<Receipt>),
    Click(Box<ClickArrival>, Answer<ClickReceipt>),
    Consent(Box<ConsentArrival>, Answer<()>),
    /// Goes on matching conversions after number `after` with a click that is stored.
    Match {
        click: ClickId,
        after: u64,
    },
    /// Reads again what the click filters have to remember, where the rules ask for other things now.
    Recall,
    Keep {
        name: String,
        text: String,
        answer: Answer<()>,
    },
    Record(Box<Outcome>, Answer<()>),
    Retry(Retry, Answer<Result<Delivery, RetryRefused>>),
    Withdraw(Withdraw, Answer<u64>),
    Expire {
        now: Time,
        limit: usize,
        answer: Answer<u64>,
    },
    Status(StatusCommand),
    Keeping(KeepingCommand),
    Suppression(SuppressionCommand),
    Purge(PurgeBefore, Answer<Purged>),
    Probe(Answer<()>),
    Close(Answer<()>),
}

impl Command {
    /// Purging rewrites what other commands read, so it has a group of its own.
    pub fn is_alone(&self) -> bool {
        matches!(self, Command::Purge(..))
    }

    /// Bytes that the command brings along, roughly.
    pub fn weight(&self) -> usize {
        match self {
            Command::Arrive(arrival, _) => arrival.raw.line.len() + arrival.raw.body.len(),
            Command::Click(arrival, _) => weight::of_click(&arrival.click),
            Command::Suppression(command) => command.weight(),
            Command::Keep { text, .. } => text.len(),
            _ => 0,
        }
    }

    /// Notifies anyone who waits that it was not done.
    pub fn refuse(self, error: StoreError) {
        // A dropped receiver is a caller that went away: no one is left to inform.
        match self {
            Command::Arrive(_, answer) => drop(answer.send(Err(error))),
            Command::Click(_, answer) => drop(answer.send(Err(error))),
            Command::Match { .. } | Command::Recall => {}
            Command::Record(_, answer)
            | Command::Consent(_, answer)
            | Command::Keep { answer, .. }
            | Command::Probe(answer)
            | Command::Close(answer) => {
                drop(answer.send(Err(error)));
            }
            Command::Retry(_, answer) => drop(answer.send(Err(error))),
            Command::Withdraw(_, answer) | Command::Expire { answer, .. } => drop(answer.send(Err(error))),
            Command::Status(command) => command.refuse(error),
            Command::Keeping(command) => command.refuse(error),
            Command::Suppression(command) => command.refuse(error),
            Command::Purge(_, answer) => drop(answer.send(Err(error))),
        }
    }
}

/// A person wants a delivery sent.
pub struct Retry {
    pub id: DeliveryId,
    pub now: Time,
    pub oldest_event: Option<Time>,
}

/// A destination is gone; done in steps.
pub struct Withdraw {
    pub destination: DestinationId,
    pub now: Time,
    /// How many earlier steps have skipped.
    pub done: u64,
}
