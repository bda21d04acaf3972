//! The part of the store's contract that is about transaction ids: those that several sales have, and
//! reversals that wait for their sale.

pub(in crate::store) mod reused;
pub(in crate::store) mod reversals;
pub(in crate::store) mod sketch;

use std::sync::Arc;

use tokio::sync::Notify;

use crate::domain::conversion::Conversion;
use crate::domain::ids::{Seq, SourceId};
use crate::store::Later;

/// A transaction id that several conversions have.
#[derive(Debug, Clone)]
pub struct ReusedTransaction {
    /// How many conversions the id had, those purged since included.
    pub conversions: u32,
    pub newest: Conversion,
}

/// What a store knows of transaction ids.
pub trait Transactions {
    /// The transaction ids of a source that were received with three or more different clicks, the most
    /// used first; at most `limit`.
    fn reused_transactions(&self, source: SourceId, limit: usize) -> Later<'_, Vec<ReusedTransaction>>;

    /// Hands out, once, up to `limit` quarantined postbacks that take back a sale that was received since:
    /// they are to be reprocessed. What was not reprocessed is handed out after the next start.
    fn reversals_ready(&self, limit: usize) -> Vec<Seq>;

    /// Rings when [`Transactions::reversals_ready`] may have something to hand out. A hint.
    fn reversals_bell(&self) -> Arc<Notify>;
}
