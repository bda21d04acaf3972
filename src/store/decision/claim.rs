//! Which conversion counts for its click, offer and event, and how many wait: see [`Claim`].

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::domain::claim::{Claim, ClaimRole};
use crate::domain::once::MOST_WAITING;
use crate::store::codec::hash;
use crate::store::decision::group::CommitGroup;
use crate::store::decision::need::Known;
use crate::store::table::conversion::Record;

/// How many stored conversions are looked at together. One is enough unless hashes meet.
const TOGETHER: usize = 8;

impl CommitGroup<'_> {
    /// The first conversion that counts for this claim, as it is after the commands so far.
    pub fn first_of_click(&self, claim: &Claim) -> Known<Option<(u64, Arc<Record>)>> {
        let hash = hash(&claim.text(ClaimRole::Counts));
        let mut here = self.claims.get(&hash).into_iter().flatten().copied().peekable();
        let mut after = 0;
        loop {
            let stored = self.facts.claimants(hash, after, TOGETHER)?;
            let is_last = stored.len() < TOGETHER;
            for number in &stored {
                while let Some(earlier) = here.next_if(|here| here < number) {
                    if let Some(found) = self.claimant(earlier, claim)? {
                        return Ok(Some(found));
                    }
                }
                if let Some(found) = self.claimant(*number, claim)? {
                    return Ok(Some(found));
                }
                after = *number;
            }
            if is_last {
                break;
            }
        }
        for number in here {
            if let Some(found) = self.claimant(number, claim)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// How many conversions wait as further sales of this claim, counted up to [`MOST_WAITING`]. One that the
    /// commands so far have settled may be counted still.
    pub fn waiting_on_click(&self, claim: &Claim) -> Known<usize> {
        let hash = hash(&claim.text(ClaimRole::Waits));
        let mut waiting: BTreeSet<u64> = self.facts.claimants(hash, 0, MOST_WAITING)?.into_iter().collect();
        waiting.extend(self.claims.get(&hash).into_iter().flatten());
        Ok(waiting.len())
    }

    fn claimant(&self, number: u64, claim: &Claim) -> Known<Option<(u64, Arc<Record>)>> {
        let record = self.peek(number)?;
        let fits = |record: &Arc<Record>| {
            Claim::held_by(&record.conversion)
                .is_some_and(|(held, role)| held == *claim && role == ClaimRole::Counts)
        };
        Ok(record.filter(fits).map(|record| (number, record)))
    }
}
