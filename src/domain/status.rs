//! How a conversion's status may change by hand or by time, and what is kept of it. Pure.

use crate::domain::conversion::{Cause, Change, Conversion, Status};
use crate::domain::decision::push_change;
use crate::domain::time::Time;

/// Who wants a status changed, by the name of their token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// The network's own people: any status.
    Network(String),
    /// An advertiser, on conversions of its own offers.
    Advertiser(String),
}

impl Actor {
    pub fn name(&self) -> &str {
        match self {
            Actor::Network(name) | Actor::Advertiser(name) => name,
        }
    }
}

/// A status that somebody wants a conversion to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusMove {
    pub to: Status,
    pub by: Actor,
    /// Why, in their words.
    pub note: Option<String>,
}

/// Why a status may not change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MoveRefused {
    #[error("the conversion is scrubbed; only the network can take that back")]
    Scrubbed,
    #[error("only the network can scrub a conversion; an advertiser rejects it")]
    MayNotScrub,
    #[error("the conversion has changed too often already; find out what goes back and forth")]
    TooOften,
}

/// The conversion with another status; `None` when it has it already.
///
/// Approved, pending and rejected lead to each other. The network also scrubs, and takes it back; an
/// advertiser does neither.
///
/// # Errors
/// A move that this actor may not make.
pub fn set_status(
    conversion: &Conversion,
    order: &StatusMove,
    now: Time,
) -> Result<Option<Conversion>, MoveRefused> {
    if matches!(order.by, Actor::Advertiser(_)) {
        if conversion.status == Status::Scrubbed && order.to != Status::Scrubbed {
            return Err(MoveRefused::Scrubbed);
        }
        if order.to == Status::Scrubbed && conversion.status != Status::Scrubbed {
            return Err(MoveRefused::MayNotScrub);
        }
    }
    if conversion.status == order.to && conversion.disposition.is_none() {
        return Ok(None);
    }
    let cause = Cause::Person { name: order.by.name().to_owned(), note: order.note.clone() };
    Ok(Some(moved(conversion, order.to, cause, now)))
}

/// The conversion after its disposition fell due; `None` while it has not.
pub fn dispose(conversion: &Conversion, now: Time) -> Option<Conversion> {
    let (due, status) = conversion.disposition?;
    (due <= now).then(|| moved(conversion, status, Cause::Disposition, now))
}

/// Whether a person took a scrub back: from then on nothing that is found out scrubs it again.
pub fn is_taken_back(conversion: &Conversion) -> bool {
    let scrubbed = step(Status::Scrubbed, "");
    let by_person = |change: &&Change| matches!(change.cause, Cause::Person { .. });
    let changes = conversion.history.iter().filter(by_person);
    changes.flat_map(|change| &change.what).any(|what| what.starts_with(&scrubbed))
}

/// As the history tells a change of status. It is stored, and [`is_taken_back`] reads it: the words never
/// change.
fn step(from: Status, to: &str) -> String {
    format!("status: {} → {to}", from.word())
}

fn moved(conversion: &Conversion, to: Status, cause: Cause, now: Time) -> Conversion {
    let mut moved = conversion.clone();
    let mut what = vec![step(conversion.status, to.word())];
    moved.status = to;
    moved.disposition = None;
    // Why it had its old status is known from now on by the history alone.
    what.extend(moved.reason.take().map(|reason| format!("reason: {reason} → none")));
    push_change(&mut moved, now, cause, what);
    moved
}
