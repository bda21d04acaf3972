//! From what a group counts to the rollups: in the group's own batch, and shown with it.

use parking_lot::RwLockWriteGuard;

use crate::domain::ids::Seq;
use crate::domain::postback::{Postback, VerdictName};
use crate::store::commit::fold::fold;
use crate::store::commit::group::CommitGroup;
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

impl<'a> CommitGroup<'a> {
    /// The quarantined postback that an arrival with the bytes of `of` settles, unless it is settled already.
    pub fn settled_by(&self, of: Seq) -> Result<Option<Postback>, StoreError> {
        let number = of.get();
        let (day, is_reprocessed) = {
            let index = self.shared.index.lock();
            (index.days.of(number), index.is_reprocessed(number))
        };
        if is_reprocessed || self.counting.reprocessed.contains(&number) {
            return Ok(None);
        }
        let found = match (number.checked_sub(self.first), day) {
            (Some(place), _) => {
                let born = usize::try_from(place).ok().and_then(|place| self.born.get(place));
                born.map(|born| born.body.postback.clone())
            }
            (None, Some(day)) => match self.shared.reader.body_of(day, number) {
                Ok(body) => body.map(|body| body.postback),
                Err(error @ StoreError::Corrupt { .. }) => {
                    tracing::error!(postback = number, %error, "a postback that is reprocessed is counted as open");
                    None
                }
                Err(error) => return Err(error),
            },
            (None, None) => None,
        };
        Ok(found.filter(|postback| postback.verdict.name() == VerdictName::Quarantined))
    }

    /// Puts what the group counts into its batch: one record, or, from time to time, all that was counted lately into
    /// the rollups.
    pub fn pack_counts(&mut self, batch: &mut Batch) -> Result<PackedCounts<'a>, StoreError> {
        let shared = self.shared;
        let delta = self.counting.take();
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
