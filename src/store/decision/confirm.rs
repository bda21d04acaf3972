//! What platforms say later of what they accepted.

use std::sync::Arc;

use crate::domain::attempt::AttemptEffect;
use crate::domain::delivery::DeliveryState;
use crate::store::contract::error::StoreError;
use crate::store::contract::work::{ConfirmOutcome, Recorded};
use crate::store::decision::delivery::AttemptEnd;
use crate::store::decision::group::{CommitGroup, FoundDelivery};
use crate::store::decision::need::{Known, Undecided, all, unless_damaged};
use crate::store::decision::order::{Decided, Order};
use crate::store::table::conversion::Record;
use crate::store::weight::of_exchange;

/// What asking a platform became.
pub struct ConfirmDeliveries(pub Arc<[ConfirmOutcome]>);

impl Order for ConfirmDeliveries {
    type Answer = Vec<Recorded>;

    fn decide<'a>(&'a self, group: &mut CommitGroup<'a>) -> Known<Decided<ConfirmDeliveries>> {
        // Each is decided after the one before it, once all is at hand.
        self.look_ahead(group)?;
        group.confirm(&self.0).map(Decided::Whole)
    }

    fn look_ahead(&self, group: &CommitGroup<'_>) -> Known<()> {
        let find = |outcome: &ConfirmOutcome| {
            unless_damaged(group.find_delivery(&outcome.id), "a delivery that was asked about")
        };
        all(self.0.iter().map(find)).map(drop)
    }

    fn weight(&self) -> usize {
        let attempts = self.0.iter().filter_map(|outcome| outcome.attempt.as_ref());
        attempts.filter_map(|attempt| attempt.exchange.as_deref()).map(of_exchange).max().unwrap_or_default()
    }
}

impl CommitGroup<'_> {
    /// Remembers what became of asking. One whose delivery is damaged is left out alone.
    fn confirm(&mut self, outcomes: &[ConfirmOutcome]) -> Known<Vec<Recorded>> {
        let mut recorded = Vec::with_capacity(outcomes.len());
        for outcome in outcomes {
            recorded.push(match self.confirm_one(outcome) {
                Err(Undecided::Failed(error @ StoreError::Corrupt { .. })) => {
                    tracing::error!(delivery.id = %outcome.id, %error, "what a platform confirmed could not be recorded");
                    Recorded::Damaged
                }
                recorded => recorded?,
            });
        }
        Ok(recorded)
    }

    fn confirm_one(&mut self, outcome: &ConfirmOutcome) -> Known<Recorded> {
        let Some(found) = self.find_delivery(&outcome.id)? else { return Ok(Recorded::Gone) };
        let (_, old, place) = &found;
        let Some(delivery) = old.standing.deliveries.get(*place) else { return Ok(Recorded::Gone) };
        let waits_for_it = |state: &DeliveryState| match state {
            DeliveryState::Confirming { request_id, tries, .. } => {
                *request_id == outcome.request_id && *tries == outcome.tries
            }
            _ => false,
        };
        if !waits_for_it(&delivery.state) {
            return Ok(Recorded::Late);
        }
        match outcome.attempt.clone() {
            Some(mut attempt) => {
                attempt.effect = AttemptEffect::Settled;
                let (attempts, repeat) = (delivery.attempts, outcome.repeat);
                let (lease, ran_out, state) = (None, false, &outcome.state);
                self.settle(found, AttemptEnd { attempt, lease, ran_out, state, attempts, repeat }, None)?;
            }
            None => self.go_on(&found, outcome.state.clone()),
        }
        Ok(Recorded::Settled)
    }

    /// The delivery takes another state, and nothing is kept of why.
    fn go_on(&mut self, (number, old, place): &FoundDelivery, state: DeliveryState) {
        let mut record = Record::clone(old);
        if let Some(delivery) = record.standing.deliveries.get_mut(*place) {
            delivery.state = state;
        }
        self.follow(&mut record, *place);
        self.change(*number, old, record, false);
    }
}
