//! What falls due by the passing of time.

use crate::domain::time::Time;
use crate::store::contract::work::{FallsDue, FellDue};
use crate::store::decision::group::CommitGroup;
use crate::store::decision::need::Known;
use crate::store::decision::order::{Decided, Order, STEP};

/// Does up to `limit` of what is due, in one group at most [`STEP`].
pub struct DueOrder {
    pub what: FallsDue,
    pub now: Time,
    pub limit: usize,
}

impl Order for DueOrder {
    type Answer = FellDue;

    fn decide<'a>(&'a self, group: &mut CommitGroup<'a>) -> Known<Decided<DueOrder>> {
        let (now, most) = (self.now, STEP.min(self.limit));
        let changed = |count| FellDue { count, expired: Vec::new() };
        Ok(Decided::Whole(match self.what {
            FallsDue::Expiry => {
                group.expire(now, most).map(|expired| FellDue { count: expired.len(), expired })?
            }
            FallsDue::Holds => group.end_holds(now, most).map(changed)?,
            FallsDue::Dispositions => group.dispose(now, most).map(changed)?,
        }))
    }
}
