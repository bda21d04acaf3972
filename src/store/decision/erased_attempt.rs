//! Attempts that had left when their person's data was erased: they are kept without it.

use std::sync::Arc;

use crate::domain::attempt::{Attempt, AttemptPurpose, Exchange};
use crate::domain::conversion::Conversion;
use crate::domain::erasure::blank;
use crate::domain::remark::erased_at;
use crate::store::decision::group::CommitGroup;

fn place_in_memory(exchange: &Arc<Exchange>) -> usize {
    Arc::as_ptr(exchange) as usize
}

impl CommitGroup<'_> {
    /// What is kept of an attempt at this conversion. Of an exchange that several share, those recorded before in the
    /// group too are given what is left.
    pub fn left_of(&mut self, conversion: &Conversion, attempt: Attempt) -> Attempt {
        let known = |group: &Self, exchange: &Arc<Exchange>| {
            group.erased_exchanges.get(&place_in_memory(exchange)).map(Arc::clone)
        };
        let Some(at) = erased_at(&conversion.remarks) else {
            let left = attempt.exchange.as_ref().and_then(|exchange| known(self, exchange));
            return Attempt { exchange: left.or_else(|| attempt.exchange.clone()), ..attempt };
        };
        let mut left = blank::attempt(&attempt, at);
        let Some(exchange) = &attempt.exchange else { return left };
        let now = known(self, exchange).unwrap_or_else(|| Arc::clone(exchange));
        let blanked = match attempt.place {
            Some(place) => blank::parts(&now, [(place.start, place.end)]),
            None if attempt.purpose == AttemptPurpose::Report => blank::exchange(&now),
            None => return left,
        };
        let blanked = Arc::new(blanked);
        for new in &mut self.attempts {
            let shares = |of: &Arc<Exchange>| Arc::ptr_eq(of, exchange) || Arc::ptr_eq(of, &now);
            if new.stored.attempt.exchange.as_ref().is_some_and(shares) {
                new.stored.attempt.exchange = Some(Arc::clone(&blanked));
            }
        }
        self.erased_exchanges.insert(place_in_memory(exchange), Arc::clone(&blanked));
        left.exchange = Some(blanked);
        left
    }
}
