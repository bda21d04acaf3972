//! What a group can say to a decision: all that is stored, and all that the group brings itself.

use std::cell::RefCell;
use std::sync::Arc;

use crate::domain::attribution::{EarlierClick, FoundClick};
use crate::domain::claim::Claim;
use crate::domain::conversion::Conversion;
use crate::domain::facts::{Facts, LaterConversions};
use crate::domain::ids::{ConversionId, OfferId, Seq, VisitorId};
use crate::domain::suppression::{SuppressionHit, Traces};
use crate::store::decision::group::CommitGroup;
use crate::store::decision::need::{Known, Undecided};
use crate::store::table::cap_tally::{Tally, cap_place};
use crate::store::table::conversion::Record;

/// The look-ups of one decision.
pub struct DecisionLookups<'a, 'g> {
    group: &'a CommitGroup<'g>,
    /// How many conversions the group adds where caps count them, those of this very step included.
    tally: &'a Tally,
    /// The records of the conversions that the decision asked for.
    found: RefCell<Vec<(u64, Arc<Record>)>>,
}

impl<'a, 'g> DecisionLookups<'a, 'g> {
    /// Of one decision.
    pub fn new(group: &'a CommitGroup<'g>, tally: &'a Tally) -> DecisionLookups<'a, 'g> {
        DecisionLookups { group, tally, found: RefCell::default() }
    }

    /// With a record that was read before.
    pub fn with(self, number: u64, record: Arc<Record>) -> DecisionLookups<'a, 'g> {
        self.found.borrow_mut().push((number, record));
        self
    }

    /// The record of a conversion that was asked for.
    pub fn looked_up(self, id: &ConversionId) -> Option<(u64, Arc<Record>)> {
        self.found.into_inner().into_iter().find(|(_, record)| record.conversion.id == *id)
    }

    fn keep(&self, found: Option<(u64, Arc<Record>)>) -> Option<Conversion> {
        let found = found?;
        let conversion = found.1.conversion.clone();
        self.found.borrow_mut().push(found);
        Some(conversion)
    }
}

impl Facts for DecisionLookups<'_, '_> {
    type Error = Undecided;

    fn conversion(&self, id: &ConversionId) -> Known<Option<Conversion>> {
        Ok(self.keep(self.group.find(id)?))
    }

    fn made_by(&self, postback: Seq) -> Known<Option<Conversion>> {
        let number = postback.get();
        Ok(self.keep(self.group.peek(number)?.map(|record| (number, record))))
    }

    fn later(&self, first: &ConversionId) -> Known<Option<LaterConversions>> {
        self.group.later(first)
    }

    fn click(&self, given: &str) -> Known<Option<FoundClick>> {
        self.group.find_click(given)
    }

    fn visits(&self, visitor: &VisitorId) -> Known<Vec<EarlierClick>> {
        self.group.visits(visitor).map(|visits| visits.visits)
    }

    fn suppressed(&self, traces: &Traces) -> Known<Option<SuppressionHit>> {
        self.group.listed(traces)
    }

    fn first_of_click(&self, claim: &Claim) -> Known<Option<Conversion>> {
        Ok(self.keep(self.group.first_of_click(claim)?))
    }

    fn waiting_on_click(&self, claim: &Claim) -> Known<usize> {
        self.group.waiting_on_click(claim)
    }

    /// See [`cap_place`] for what counts.
    fn conversions_on(&self, offer: &OfferId, day: i64, besides: &ConversionId) -> Known<u64> {
        let found = self.found.borrow();
        let itself = found.iter().find(|(_, record)| record.conversion.id == *besides);
        let place = itself.and_then(|(_, record)| cap_place(&record.conversion));
        let itself = place.is_some_and(|(its_offer, its_day)| its_offer == *offer && its_day == day);
        let stored = self.group.facts.conversions_on(offer, day)?;
        // Below zero only by scrubs that the group takes back: nothing counts then.
        let count = stored + self.tally.get(offer, day) - i64::from(itself);
        Ok(count.max(0).unsigned_abs())
    }
}
