//! A conversion's status changed by hand: by the network's people on pages and API, by advertisers' programs.

use crate::domain::conversion::Conversion;
use crate::domain::status::Status;
use crate::domain::status_move::{Actor, MoveRefused, NoteTooLong, StatusMove, note};
use crate::domain::time::Time;
use crate::ops::missing::Missing;
use crate::store::contract::Store;
use crate::store::contract::change::{ConversionRef, StatusChanged};
use crate::store::contract::error::StoreError;

/// A status that someone wants a conversion to have, with a note that is kept whole or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusWish(StatusMove);

impl StatusWish {
    /// With the note as it was written; empty where there is none.
    ///
    /// # Errors
    /// A note that would lose its end.
    pub fn new(to: Status, by: Actor, written_note: &str) -> Result<StatusWish, NoteTooLong> {
        Ok(StatusWish(StatusMove { to, by, note: note(written_note)? }))
    }
}

/// What became of a wish that was not refused; with the conversion as it is then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StatusOutcome {
    /// It has it now.
    Changed(Box<Conversion>),
    /// It had the status already.
    Already(Box<Conversion>),
}

/// Why a conversion keeps its status.
#[derive(Debug)]
pub enum StatusError {
    /// No such conversion is kept.
    Missing(Missing),
    /// The actor may not make this move.
    Refused(MoveRefused),
    /// The store failed.
    Store(StoreError),
}

/// Gives a conversion another status, with all that it causes: deliveries, caps, what its advertiser sees.
///
/// # Errors
/// No such conversion is kept; the move is one that this actor may not make; the store fails.
pub async fn set_status(
    store: &dyn Store,
    which: ConversionRef,
    wish: StatusWish,
    now: Time,
) -> Result<StatusOutcome, StatusError> {
    match store.set_status(which, wish.0, now).await.map_err(StatusError::Store)? {
        StatusChanged::Changed(conversion) => Ok(StatusOutcome::Changed(conversion)),
        StatusChanged::Already(conversion) => Ok(StatusOutcome::Already(conversion)),
        StatusChanged::Refused(refused) => Err(StatusError::Refused(refused)),
        StatusChanged::Unknown => Err(StatusError::Missing(Missing::Conversion)),
    }
}
