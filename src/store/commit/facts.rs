//! What a group can say to a decision: all that is stored, and all that the group brings itself.

use std::cell::RefCell;
use std::sync::Arc;

use crate::domain::attribution::{EarlierClick, FoundClick, candidates};
use crate::domain::claim::Claim;
use crate::domain::conversion::Conversion;
use crate::domain::facts::{Facts, LaterConversions};
use crate::domain::ids::{ConversionId, OfferId, Seq, VisitorId};
use crate::domain::suppression::{SuppressionHit, Traces};
use crate::store::commit::group::CommitGroup;
use crate::store::contract::error::StoreError;
use crate::store::table::cap_tally::{Tally, cap_place};
use crate::store::table::conversion::Record;

/// The look-ups of one decision.
pub struct DecisionLookups<'a, 'g> {
    group: &'a CommitGroup<'g>,
    /// How many conversions the group adds where caps count them, those of this very step included.
    tally: &'a Tally,
    /// The records of the conversions that the decision asked for.
    found: RefCell<Vec<(u64, Arc<Record>)>>,
    /// The click that was looked up before.
    click: Option<&'a FoundClick>,
}

impl<'a, 'g> DecisionLookups<'a, 'g> {
    /// `click` was looked up before, so that the one writer thread need not.
    pub fn new(
        group: &'a CommitGroup<'g>,
        tally: &'a Tally,
        click: Option<&'a FoundClick>,
    ) -> DecisionLookups<'a, 'g> {
        DecisionLookups { group, tally, found: RefCell::default(), click }
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
    type Error = StoreError;

    fn conversion(&self, id: &ConversionId) -> Result<Option<Conversion>, StoreError> {
        Ok(self.keep(self.group.find(id)?))
    }

    fn made_by(&self, postback: Seq) -> Result<Option<Conversion>, StoreError> {
        let number = postback.get();
        Ok(self.keep(self.group.peek(number)?.map(|record| (number, record))))
    }

    fn later(&self, first: &ConversionId) -> Result<Option<LaterConversions>, StoreError> {
        Ok(self.group.later(first))
    }

    fn click(&self, given: &str) -> Result<Option<FoundClick>, StoreError> {
        let known = self.click.filter(|known| candidates(given).iter().any(|(id, _)| *id == known.click.id));
        match known {
            Some(click) => Ok(Some(click.clone())),
            None => self.group.find_click(given),
        }
    }

    fn visits(&self, visitor: &VisitorId) -> Result<Vec<EarlierClick>, StoreError> {
        self.group.visits(visitor).map(|visits| visits.visits)
    }

    fn suppressed(&self, traces: &Traces) -> Result<Option<SuppressionHit>, StoreError> {
        self.group.listed(traces)
    }

    fn first_of_click(&self, claim: &Claim) -> Result<Option<Conversion>, StoreError> {
        Ok(self.keep(self.group.first_of_click(claim)?))
    }

    fn waiting_on_click(&self, claim: &Claim) -> Result<usize, StoreError> {
        Ok(self.group.waiting_on_click(claim))
    }

    /// See [`cap_place`] for what counts.
    fn conversions_on(&self, offer: &OfferId, day: i64, besides: &ConversionId) -> Result<u64, StoreError> {
        let found = self.found.borrow();
        let itself = found.iter().find(|(_, record)| record.conversion.id == *besides);
        let place = itself.and_then(|(_, record)| cap_place(&record.conversion));
        let itself = place.is_some_and(|(its_offer, its_day)| its_offer == *offer && its_day == day);
        let stored = self.group.shared.index.lock().counts.caps.get(offer, day);
        // Below zero only by scrubs that the group takes back: nothing counts then.
        let count = stored + self.tally.get(offer, day) - i64::from(itself);
        Ok(count.max(0).unsigned_abs())
    }
}
