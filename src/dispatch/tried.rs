//! Which destinations were ever sent to: kept in the store once for each, so that a restart does not forget it.

use std::sync::Arc;

use crate::dispatch::tallies::Tallies;
use crate::domain::ids::DestinationId;
use crate::store::contract::Store;
use crate::store::contract::error::StoreError;
use crate::store::contract::operator::ToKeep;

/// Remembers it. Clones share what they know.
#[derive(Clone)]
pub struct TriedDestinations {
    store: Arc<dyn Store>,
    tallies: Tallies,
}

impl TriedDestinations {
    /// Kept in this store; what was seen since the start is among the tallies.
    pub fn new(store: &Arc<dyn Store>, tallies: &Tallies) -> TriedDestinations {
        TriedDestinations { store: Arc::clone(store), tallies: tallies.clone() }
    }

    /// A request was sent to a destination. The first since the start is kept, unless an earlier one was.
    pub async fn note(&self, destination: DestinationId) {
        let was_tried =
            self.tallies.change(&destination, |tally| std::mem::replace(&mut tally.is_tried, true));
        if was_tried {
            return;
        }
        if let Err(error) = self.keep(&destination).await {
            // Only what is shown after a restart depends on it: the next request after that keeps it.
            tracing::debug!(%destination, %error, "that a destination was sent to could not be kept");
        }
    }

    async fn keep(&self, destination: &DestinationId) -> Result<(), StoreError> {
        if was_sent_to(self.store.as_ref(), destination).await? {
            return Ok(());
        }
        let name = name_of(destination);
        self.store.keep(ToKeep::Text { name, text: String::new() }).await
    }
}

/// Whether a request was ever sent to a destination, as far as it is kept.
///
/// # Errors
/// Only the store's.
pub async fn was_sent_to(store: &dyn Store, destination: &DestinationId) -> Result<bool, StoreError> {
    Ok(store.kept_text(name_of(destination)).await?.is_some())
}

/// Its name among the store's texts.
fn name_of(destination: &DestinationId) -> String {
    format!("sent-to:{destination}")
}
