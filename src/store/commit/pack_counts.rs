//! From what a group counts to the rollups: in the group's own batch, and shown with it.

use parking_lot::RwLockWriteGuard;

use crate::store::commit::embedded_commit::EmbeddedCommit;
use crate::store::commit::fold::fold;
use crate::store::contract::error::StoreError;
use crate::store::engine::kv::Batch;
use crate::store::index::Index;
use crate::store::table::rollup_delta::{CountedLines, FoldedState, RollupDelta};

/// What a group counts, once it is in the group's batch.
#[derive(Default)]
pub struct PackedCounts<'a> {
    delta: RollupDelta,
    folding: Option<Folding<'a>>,
}

impl PackedCounts<'_> {
    /// Whether what was counted lately goes into the rollups.
    pub fn folds(&self) -> bool {
        self.folding.is_some()
    }
}

/// The group folds what was counted before, and what it counts.
struct Folding<'a> {
    state: FoldedState,
    left: CountedLines,
    /// Until all of it is shown no one reads rollups, who would find some of it counted twice.
    guard: RwLockWriteGuard<'a, ()>,
}

impl<'a> EmbeddedCommit<'a> {
    /// Puts what the group counts into its batch: one record, or, from time to time, all that was counted lately into
    /// the rollups.
    pub fn pack_counts(&mut self, batch: &mut Batch) -> Result<PackedCounts<'a>, StoreError> {
        let shared = self.shared;
        let delta = self.group.counting.take();
        if delta.is_empty() {
            return Ok(PackedCounts::default());
        }
        let full = shared.unfolded.lock().is_full(delta.lines.len());
        let guard = match full {
            None => None,
            Some(true) => Some(shared.folding.write()),
            Some(false) => shared.folding.try_write(),
        };
        let unfolded = shared.unfolded.lock();
        let Some(guard) = guard else {
            unfolded.put(batch, &delta)?;
            return Ok(PackedCounts { delta, folding: None });
        };
        let left = fold(&shared.reader, (unfolded.lines(), &delta.lines), batch)?;
        let state = unfolded.put_folded(batch, &delta, &left)?;
        Ok(PackedCounts { delta, folding: Some(Folding { state, left, guard }) })
    }

    /// Shows what was counted.
    pub fn publish_counts(&self, counts: PackedCounts<'a>, index: &mut Index) {
        let PackedCounts { delta, folding } = counts;
        if delta.is_empty() {
            return;
        }
        index.counts.apply(&delta);
        let mut unfolded = self.shared.unfolded.lock();
        match folding {
            None => unfolded.add(delta),
            Some(Folding { state, left, guard }) => {
                unfolded.folded(state, left);
                drop(guard);
            }
        }
    }
}
