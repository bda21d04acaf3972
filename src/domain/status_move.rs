//! How a conversion's status may change by hand or by time, and what is kept of it. Pure.

use crate::domain::claim;
use crate::domain::code::{CodedReason, codes};
use crate::domain::conversion::{Conversion, push_change};
use crate::domain::history::{ActorRole, Cause, Change, FieldChange, FromTo};
use crate::domain::remark::Remark;
use crate::domain::status::Status;
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
    /// The name of the token that it was done with.
    pub fn name(&self) -> &str {
        match self {
            Actor::Network(name) | Actor::Advertiser(name) => name,
        }
    }

    /// Whose side it is on.
    pub fn role(&self) -> ActorRole {
        match self {
            Actor::Network(_) => ActorRole::Network,
            Actor::Advertiser(_) => ActorRole::Advertiser,
        }
    }
}

/// A status that someone wants a conversion to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusMove {
    /// The status that is wanted.
    pub to: Status,
    /// Who wants it.
    pub by: Actor,
    /// Why, in their words.
    pub note: Option<String>,
}

/// The most characters of a note.
pub const MAX_NOTE_CHARS: usize = 1000;

/// A note that is not kept: it would lose its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("`note` has {length} characters; at most {MAX_NOTE_CHARS} are kept")]
pub struct NoteTooLong {
    length: usize,
}

/// The note as it is kept: trimmed, and none where nothing is left of it.
///
/// # Errors
/// It has too many characters.
pub fn note(written: &str) -> Result<Option<String>, NoteTooLong> {
    let note = written.trim();
    match note.chars().count() {
        0 => Ok(None),
        1..=MAX_NOTE_CHARS => Ok(Some(note.to_owned())),
        length => Err(NoteTooLong { length }),
    }
}

codes! {
    /// Why a status may not change.
    MoveRefused = "status_refused" {
        Scrubbed = "scrubbed_by_network",
            "the conversion is scrubbed; only the network can take that back", "ask the network to take it back";
        Rejected = "rejected_by_network",
            "the network rejected the conversion; only the network can take that back", "ask the network to take it back";
        MayNotScrub = "may_not_scrub",
            "only the network can scrub a conversion; an advertiser rejects it", "send approved, rejected or pending";
        TooOften = "changed_too_often",
            "the conversion has changed too often already",
            "leave it as it is, and find out in its history what goes back and forth";
    }
}

impl CodedReason for MoveRefused {
    type Code = MoveRefused;

    fn code(&self) -> MoveRefused {
        *self
    }
}

/// The conversion with another status; `None` when it has it already.
///
/// Approved, pending and rejected lead to each other. The network also scrubs, and takes it back; an
/// advertiser does neither, and takes back no rejection but an advertiser's own. A rejection by the
/// network's people, its sources or the offer's terms is the network's; one that an advertiser made first
/// becomes the network's when the network rejects the conversion too.
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
        if conversion.status == Status::Rejected && !is_rejected_by_advertiser(conversion) {
            // Reported once more it would become the advertiser's, who could then take it back.
            return if order.to == Status::Rejected { Ok(None) } else { Err(MoveRefused::Rejected) };
        }
    }
    let role = order.by.role();
    let is_adopted = role == ActorRole::Network && is_rejected_by_advertiser(conversion);
    if conversion.status == order.to && conversion.disposition.is_none() && !is_adopted {
        return Ok(None);
    }
    let cause = Cause::Person { name: order.by.name().to_owned(), role, note: order.note.clone() };
    Ok(Some(moved(conversion, order.to, cause, now)))
}

/// The conversion after its disposition fell due; `None` while it has not.
pub fn dispose(conversion: &Conversion, now: Time) -> Option<Conversion> {
    let (due, status) = conversion.disposition?;
    (due <= now).then(|| moved(conversion, status, Cause::Disposition, now))
}

/// Whether its status is a rejection, and an advertiser's key gave it.
pub fn is_rejected_by_advertiser(conversion: &Conversion) -> bool {
    let by_advertiser =
        |change: &Change| matches!(change.cause, Cause::Person { role: ActorRole::Advertiser, .. });
    conversion.status == Status::Rejected && set_by(conversion).is_some_and(by_advertiser)
}

/// The change that gave the conversion the status it has; `None` where a postback, a click or the first
/// report did.
fn set_by(conversion: &Conversion) -> Option<&Change> {
    let sets = |change: &&Change| matches!(change.cause, Cause::Person { .. } | Cause::Disposition);
    let (at, set) = conversion.history.iter().enumerate().rev().find(|(_, change)| sets(change))?;
    // What was reported after that and left the status as it was has not set it.
    let later = conversion.history.iter().skip(at);
    later.into_iter().all(|change| change.status == conversion.status).then_some(set)
}

/// Whether a person took a scrub back: from then on nothing that is found out scrubs it again.
pub fn is_taken_back(conversion: &Conversion) -> bool {
    let by_person = |change: &&Change| matches!(change.cause, Cause::Person { .. });
    let unscrubbed =
        |field: &FieldChange| matches!(field, FieldChange::Status(FromTo { from: Status::Scrubbed, .. }));
    conversion.history.iter().filter(by_person).flat_map(|change| &change.fields).any(unscrubbed)
}

fn moved(conversion: &Conversion, to: Status, cause: Cause, now: Time) -> Conversion {
    let mut moved = conversion.clone();
    let mut fields = vec![FieldChange::Status(FromTo { from: conversion.status, to })];
    moved.status = to;
    moved.disposition = None;
    // Why it had its old status is known from now on by the history alone.
    fields.extend(moved.reason.take().map(|had| FieldChange::Reason(FromTo { from: Some(had), to: None })));
    if claim::is_held(conversion) {
        moved.remarks.retain(|remark| !matches!(remark, Remark::SecondSaleOfClick { .. }));
    }
    push_change(&mut moved, now, cause, fields);
    moved
}
