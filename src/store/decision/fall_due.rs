//! What falls due by the passing of time.

use crate::domain::time::Time;
use crate::store::contract::work::{FallsDue, FellDue};
use crate::store::decision::group::CommitGroup;
use crate::store::decision::need::Known;
use crate::store::decision::order::{Decided, Order, STEP};

/// Does up to `limit` of what is due, in one group at most [`STEP`].
pub struct FallDueOrder {
    pub what: FallsDue,
    pub now: Time,
    pub limit: usize,
}

impl Order for FallDueOrder {
    type Answer = FellDue;

    fn decide<'a>(&'a self, group: &mut CommitGroup<'a>) -> Known<Decided<FallDueOrder>> {
        let (now, most) = (self.now, STEP.min(self.limit));
        Ok(Decided::Whole(match self.what {
            FallsDue::Expiry => group.expire(now, most).map(FellDue::Deliveries)?,
            FallsDue::Holds => group.end_holds(now, most).map(FellDue::Conversions)?,
            FallsDue::Dispositions => group.dispose(now, most).map(FellDue::Conversions)?,
        }))
    }
}
