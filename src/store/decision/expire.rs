//! Ends what waited past the last moment at which its platform takes the event.

use std::sync::Arc;

use crate::domain::attempt::Attempt;
use crate::domain::click::Click;
use crate::domain::delivery::{self, Delivery, DeliveryState};
use crate::domain::expiry::EndedUnsent;
use crate::domain::ids::{ClickId, DestinationId};
use crate::domain::send_check::{AtItsTurn, SendRules, ended_unsent};
use crate::domain::time::Time;
use crate::store::contract::error::StoreError;
use crate::store::contract::work::{Expired, RepeatRisk};
use crate::store::decision::delivery::AttemptEnd;
use crate::store::decision::group::CommitGroup;
use crate::store::decision::need::{Known, all, unless_damaged};
use crate::store::decision::stored::UnreadableDue;
use crate::store::table::conversion::Record;
use crate::store::table::delivery::DeliverySlot;
use crate::store::table::visitor::answered;

impl CommitGroup<'_> {
    /// Ends up to `most` deliveries.
    pub fn expire(&mut self, now: Time, most: usize) -> Known<Vec<Expired>> {
        let due = self.facts.expired(now, most)?;
        let due = all(due.iter().map(|(destination, slot)| self.due_to_end(destination, *slot, now)))?;
        let mut ended = Vec::new();
        for mut due in due.into_iter().flatten() {
            // Two may be of one conversion: the second one goes on from what the first one left.
            if let Some(changed) = self.changed.get(&due.slot.seq()) {
                due.record = Arc::clone(&changed.record);
            }
            ended.extend(self.end_unsent(due, now)?);
        }
        Ok(ended)
    }

    /// A delivery that waits past its last moment, and what would end it if its turn was now; `None` where it goes on:
    /// the group has ended it already, or it cannot be read.
    fn due_to_end(
        &self,
        destination: &DestinationId,
        slot: DeliverySlot,
        now: Time,
    ) -> Known<Option<DueToEnd>> {
        let Some(record) = self.readable(slot.seq())? else {
            self.facts.leave_out(UnreadableDue::Expiry(destination, slot));
            return Ok(None);
        };
        let waits = |delivery: &Delivery| {
            delivery.destination == *destination && matches!(delivery.state, DeliveryState::Waiting { .. })
        };
        let delivery = record.standing.deliveries.get(slot.place()).cloned();
        let Some(mut delivery) = delivery.filter(waits) else { return Ok(None) };
        let click: Option<Arc<Click>> = match record.conversion.attribution.click() {
            Some(id) => unless_damaged(self.answered_click(id), "a click")?.flatten(),
            None => None,
        };
        let click = click.as_deref();
        delivery.expires_at = self.max_ages.expires_at(&record.conversion, click, &delivery);
        let end = self.ended_at_its_turn(&record, click, &delivery, now);
        let ran_out = self.ran_out(slot.seq(), slot.place())?;
        Ok(Some(DueToEnd { slot, record, delivery, ran_out, end }))
    }

    /// `None` where it goes on: more time is allowed since it was planned.
    fn end_unsent(&mut self, due: DueToEnd, now: Time) -> Result<Option<Expired>, StoreError> {
        let DueToEnd { slot, record: old, delivery, ran_out, end } = due;
        let Some(end) = end else {
            let mut record = Record::clone(&old);
            if let Some(kept) = record.standing.deliveries.get_mut(slot.place()) {
                *kept = delivery;
            }
            self.change(slot.seq(), &old, record, false);
            return Ok(None);
        };
        let (id, state) = (delivery.id(old.conversion.id), end.state(now));
        let attempt = Attempt::unsent(now, end.verdict());
        let (attempts, repeat) = (delivery.attempts, RepeatRisk::default());
        let end = AttemptEnd { attempt, lease: None, ran_out, state: &state, attempts, repeat };
        self.settle((slot.seq(), old, slot.place()), end, None)?;
        Ok(Some(Expired { id, state }))
    }

    /// What would end the delivery if its turn was now.
    fn ended_at_its_turn(
        &self,
        record: &Record,
        click: Option<&Click>,
        delivery: &Delivery,
        now: Time,
    ) -> Option<EndedUnsent> {
        let route = self.rules.routes.iter().find(|route| route.destination == delivery.destination)?;
        let conversion = &record.conversion;
        let sent_before = delivery::sent_before(&record.standing.deliveries, delivery);
        let turn = AtItsTurn { conversion, delivery, click, sent_before, may_be_known: false };
        let policy = self.rules.policies.get(&conversion.source).map(Arc::as_ref);
        ended_unsent(&SendRules::of(route, policy), turn, now)
    }

    /// The click with its visitor's latest answers, wherever they were given.
    fn answered_click(&self, id: &ClickId) -> Known<Option<Arc<Click>>> {
        let Some(click) = self.click_now(id)? else { return Ok(None) };
        let Some(visitor) = &click.context.visitor else { return Ok(Some(click)) };
        let consent = self.visits(visitor)?.consent;
        Ok(Some(answered(click, consent)))
    }
}

/// A delivery that waits past its last moment.
struct DueToEnd {
    slot: DeliverySlot,
    record: Arc<Record>,
    delivery: Delivery,
    ran_out: bool,
    /// `None`: it may wait longer now than when it was planned.
    end: Option<EndedUnsent>,
}
