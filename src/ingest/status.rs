//! A conversion's status changed by someone: the one way for the API, the pages and the network's API.

use crate::domain::status_move::StatusMove;
use crate::domain::time::Time;
use crate::store::{ConversionRef, StatusChanged, Store, StoreError};

/// The most characters of a note.
pub const MAX_NOTE_CHARS: usize = 1000;

/// The note as it is kept: trimmed, and none where nothing is left of it.
///
/// # Errors
/// How many characters it has, where these are too many.
pub fn note(written: &str) -> Result<Option<String>, usize> {
    let note = written.trim();
    match note.chars().count() {
        0 => Ok(None),
        1..=MAX_NOTE_CHARS => Ok(Some(note.to_owned())),
        length => Err(length),
    }
}

/// Gives a conversion the status that someone wants, with all that this causes, and answers when that
/// is durable.
///
/// # Errors
/// Only the store's.
pub async fn change(
    store: &dyn Store,
    which: ConversionRef,
    order: StatusMove,
    now: Time,
) -> Result<StatusChanged, StoreError> {
    store.set_status(which, order, now).await
}
