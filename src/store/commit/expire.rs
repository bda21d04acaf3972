//! The command that ends what waited past the last moment at which its platform takes the event.

use std::sync::Arc;

use crate::domain::attempt::Attempt;
use crate::domain::click::Click;
use crate::domain::delivery::{self, Delivery, DeliveryState};
use crate::domain::expiry::EndedUnsent;
use crate::domain::ids::DestinationId;
use crate::domain::send_check::{AtItsTurn, SendRules, ended_unsent};
use crate::domain::time::Time;
use crate::store::commit::command::STEP;
use crate::store::commit::delivery::AttemptEnd;
use crate::store::commit::group::CommitGroup;
use crate::store::contract::error::StoreError;
use crate::store::contract::work::Expired;
use crate::store::table::click::readable;
use crate::store::table::conversion::Record;
use crate::store::table::delivery::DeliverySlot;

impl CommitGroup<'_> {
    /// Ends up to `limit` deliveries, in one group at most [`STEP`].
    pub fn expire(&mut self, now: Time, limit: usize) -> Result<Vec<Expired>, StoreError> {
        let found = self.shared.index.lock().queues.expired(now, limit.min(STEP));
        let mut ended = Vec::new();
        for (destination, slot) in found {
            let Some(record) = self.readable(slot.seq())? else {
                // It would come first again and again.
                let mut index = self.shared.index.lock();
                index.queues.change(&destination, |queues| queues.forget_expiry(slot));
                continue;
            };
            ended.extend(self.expire_one(&destination, slot, record, now)?);
        }
        Ok(ended)
    }

    /// `None` where it goes on: the group has ended it already, or more time is allowed since it was planned.
    fn expire_one(
        &mut self,
        destination: &DestinationId,
        slot: DeliverySlot,
        old: Arc<Record>,
        now: Time,
    ) -> Result<Option<Expired>, StoreError> {
        let waits = |delivery: &Delivery| {
            delivery.destination == *destination && matches!(delivery.state, DeliveryState::Waiting { .. })
        };
        let delivery = old.standing.deliveries.get(slot.place()).cloned();
        let Some(mut delivery) = delivery.filter(waits) else { return Ok(None) };
        delivery.expires_at = self.shared.index.lock().queues.expires_at(&old.conversion, &delivery);
        let Some(end) = self.ended_at_its_turn(&old, &delivery, now)? else {
            let mut record = Record::clone(&old);
            if let Some(kept) = record.standing.deliveries.get_mut(slot.place()) {
                *kept = delivery;
            }
            self.change(slot.seq(), &old, record, false);
            return Ok(None);
        };
        let (id, state) = (delivery.id(old.conversion.id), end.state(now));
        let attempt = Attempt::unsent(now, end.verdict());
        let end = AttemptEnd { attempt, lease: None, state: &state, attempts: delivery.attempts };
        self.settle((slot.seq(), old, slot.place()), end, None)?;
        Ok(Some(Expired { id, state }))
    }

    /// What would end the delivery if its turn was now.
    fn ended_at_its_turn(
        &self,
        record: &Record,
        delivery: &Delivery,
        now: Time,
    ) -> Result<Option<EndedUnsent>, StoreError> {
        let route = self.rules.routes.iter().find(|route| route.destination == delivery.destination);
        let Some(route) = route else { return Ok(None) };
        let conversion = &record.conversion;
        let click: Option<Arc<Click>> = match conversion.attribution.click() {
            Some(id) => readable(self.shared.records.click_as_answered(id))?.flatten(),
            None => None,
        };
        let sent_before = delivery::sent_before(&record.standing.deliveries, delivery);
        let turn = AtItsTurn { conversion, delivery, click: click.as_deref(), sent_before };
        let policy = self.rules.policies.get(&conversion.source).map(Arc::as_ref);
        Ok(ended_unsent(&SendRules::of(route, policy), turn, now))
    }
}
