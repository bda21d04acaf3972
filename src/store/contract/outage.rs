//! A store that does not answer for a while: one line in the log when that begins, and one when it is over.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::store::contract::error::StoreError;

/// How long those who cannot do without an answer wait before they ask again.
pub const ASK_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// What one part of the program has seen of it.
#[derive(Debug, Default)]
pub struct Outage {
    lasts: AtomicBool,
}

impl Outage {
    /// Takes note of how an operation went. Answers whether it is to be asked for again later.
    pub fn note<T>(&self, done: &Result<T, StoreError>) -> bool {
        match done {
            Err(error @ StoreError::Unavailable { .. }) => {
                if !self.lasts.swap(true, Ordering::Relaxed) {
                    tracing::error!(%error, "the store is unavailable: it is asked again until it answers");
                }
                true
            }
            Err(_) => false,
            Ok(_) => {
                if self.lasts.load(Ordering::Relaxed) && self.lasts.swap(false, Ordering::Relaxed) {
                    tracing::info!("the store answers again");
                }
                false
            }
        }
    }
}
