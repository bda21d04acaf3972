//! Handing out work: what is leased, and what is read for it. What is not in memory is read on threads where waiting for
//! the disk holds up no one.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::change;
use crate::domain::click::Click;
use crate::domain::delivery::{self, Delivery, DeliveryState};
use crate::domain::sent::SentBefore;
use crate::store::contract::error::StoreError;
use crate::store::contract::work::{ClaimRequest, Claimed, Lease, LeaseToken, LeasedWork, WantedWork};
use crate::store::reader::{readable, without_panic};
use crate::store::records::StoreShared;
use crate::store::table::conversion::Record;
use crate::store::table::delivery::DeliverySlot;
use crate::store::table::target_queue::LeasedSlot;

/// Slots that are leased for a caller. They are given back where no one takes what was read for them.
pub struct Leases {
    shared: Arc<StoreShared>,
    slots: Vec<LeasedSlot>,
}

impl Drop for Leases {
    fn drop(&mut self) {
        release(&self.shared, self.slots.iter().map(|(lease, _)| lease.token));
    }
}

impl Leases {
    /// The caller has this work now. Of the rest, what no longer waits under its lease has none any more; what is not on
    /// record as the queue has it stays leased until the next start, and is in no one's way.
    pub fn hand_over(mut self, work: &[Claimed]) {
        let mut handed = work.iter().map(|claimed| claimed.lease.token).peekable();
        let mut left_out = std::mem::take(&mut self.slots);
        left_out.retain(|(lease, _)| handed.next_if_eq(&lease.token).is_none());
        if left_out.is_empty() {
            return;
        }
        let mut index = self.shared.index.lock();
        for leased @ (lease, _) in &left_out {
            if index.queues.is_held(leased) {
                index.queues.held.leave_out(lease.token);
            } else {
                index.queues.end_lease(lease.token);
            }
        }
    }

    /// Leases what is asked for, `running` by the store's clock; the work itself is not read yet.
    pub fn take(
        shared: &Arc<StoreShared>,
        request: &ClaimRequest,
        running: Duration,
    ) -> Result<(Leases, LeasedWork), StoreError> {
        shared.reader.check()?;
        let mut index = shared.index.lock();
        let slots = index.queues.lease(request, running);
        let next_due = index.queues.next_due(&request.target, request.now);
        drop(index);
        Ok((Leases { shared: Arc::clone(shared), slots }, LeasedWork { work: Vec::new(), next_due }))
    }

    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// The work behind them. What has changed under the lease is left out, also what was skipped and asked for
    /// again while it was read: that waits in the queue. So is a record that cannot be read.
    pub fn work(&self) -> Result<Vec<Claimed>, StoreError> {
        let mut work = Vec::with_capacity(self.slots.len());
        for leased @ (_, (_, slot)) in &self.slots {
            match without_panic(|| claimed(&self.shared, leased)) {
                Ok(claimed) => work.extend(claimed.map(|claimed| (leased, claimed))),
                Err(error @ StoreError::Corrupt { .. }) => {
                    tracing::error!(postback = slot.seq(), %error, "a delivery cannot be read and is left out");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(self.still_held(work))
    }

    /// The same, where all of it is in memory: what was received or tried lately.
    pub fn work_at_hand(&self) -> Option<Vec<Claimed>> {
        let mut work = Vec::with_capacity(self.slots.len());
        for leased @ (lease, (_, slot)) in &self.slots {
            let record = self.shared.records.conversion_at_hand(slot.seq())?;
            let click = match record.conversion.attribution.click() {
                // A known visitor's answers are on the disk.
                Some(id) => Some(self.shared.records.click_at_hand(id)?),
                None => None,
            };
            if click.as_ref().is_some_and(|click| click.context.visitor.is_some()) {
                return None;
            }
            // What was sent before is on the disk.
            let delivery = record.standing.deliveries.get(slot.place());
            if delivery.is_some_and(|delivery| goes_by_what_was_sent(&record, (slot.place(), delivery))) {
                return None;
            }
            let claimed = claimed_as(&self.shared, &record, (*lease, *slot), click);
            work.extend(claimed.map(|claimed| (leased, claimed)));
        }
        Some(self.still_held(work))
    }

    fn still_held(&self, mut work: Vec<(&LeasedSlot, Claimed)>) -> Vec<Claimed> {
        let index = self.shared.index.lock();
        work.retain(|(leased, _)| index.queues.is_held(leased));
        work.into_iter().map(|(_, claimed)| claimed).collect()
    }
}

/// Leases what is asked for, and reads it. Of a probe: the oldest delivery that waits and can be read.
pub fn claim(
    shared: &Arc<StoreShared>,
    request: &ClaimRequest,
    clock: &dyn Fn() -> Duration,
) -> Result<(Leases, LeasedWork), StoreError> {
    loop {
        let (leases, claim) = Leases::take(shared, request, clock())?;
        let work = leases.work()?;
        if request.wanted != WantedWork::Oldest || leases.is_empty() || !work.is_empty() {
            return Ok((leases, LeasedWork { work, ..claim }));
        }
        // One that cannot be read stays leased, so the next round sees the next oldest.
        leases.hand_over(&work);
    }
}

/// Gives leases back.
pub fn release(shared: &StoreShared, leases: impl IntoIterator<Item = LeaseToken>) {
    let mut leases = leases.into_iter().peekable();
    if leases.peek().is_none() {
        return;
    }
    let mut index = shared.index.lock();
    for token in leases {
        if let Some((destination, _)) = index.queues.end_lease(token) {
            // By other rules it may belong to another target by now, whose worker has not seen it yet.
            index.queues.signal(&destination);
        }
    }
}

fn claimed(shared: &StoreShared, leased: &LeasedSlot) -> Result<Option<Claimed>, StoreError> {
    let (lease, (_, slot)) = leased;
    let Some(day) = shared.index.lock().days.of(slot.seq()) else { return Ok(None) };
    // What is sent was most often not changed before. While the lease holds the conversion is unfinished, so that the
    // index knows.
    let is_as_made = || {
        let index = shared.index.lock();
        index.queues.is_held(leased) && index.is_as_made(slot.seq())
    };
    let Some(record) = shared.records.unfinished(day, slot.seq(), is_as_made)? else { return Ok(None) };
    let click = match record.conversion.attribution.click() {
        Some(click) => shared.records.click_as_answered(click)?,
        None => None,
    };
    let claimed = claimed_as(shared, &record, (*lease, *slot), click);
    claimed
        .map(|claimed| {
            let of = (day, slot.place(), &claimed.delivery);
            Ok(Claimed { before: before(shared, &record, of)?, ..claimed })
        })
        .transpose()
}

/// Whether what a destination was sent before matters to what it is sent at this delivery's turn: it is a change; or it was
/// tried, and its conversion does not count any more.
fn goes_by_what_was_sent(record: &Record, (place, delivery): (usize, &Delivery)) -> bool {
    let was_tried = || record.standing.last_attempts.get(place).copied().flatten().is_some();
    delivery.kind.is_change() || (change::is_taken_back(record.conversion.status) && was_tried())
}

/// What the destination of a change was sent by the delivery that was delivered last; of a first delivery, what of it left
/// without an answer.
fn before(
    shared: &StoreShared,
    record: &Record,
    (day, place, change): (i32, usize, &Delivery),
) -> Result<SentBefore, StoreError> {
    if !goes_by_what_was_sent(record, (place, change)) {
        return Ok(SentBefore::Nothing);
    }
    let standing = &record.standing;
    let all = &standing.deliveries;
    if !change.kind.is_change() {
        let last = standing.last_attempts.get(place).copied().flatten();
        let sent = readable(shared.reader.last_unanswered(day, last), "what left without an answer")?;
        return Ok(sent.flatten().map_or(SentBefore::Nothing, SentBefore::Unanswered));
    }
    if change::is_unconfirmed(all, &change.destination, change.occasion) {
        return Ok(SentBefore::Unconfirmed);
    }
    let Some(place) = change::known_by(all, change) else { return Ok(SentBefore::Nothing) };
    let last = standing.last_attempts.get(place).copied().flatten();
    let sent = readable(shared.reader.last_sent(day, last), "what was sent before a change")?.flatten();
    Ok(sent.map_or(SentBefore::Unreadable, SentBefore::Event))
}

/// `None` where the delivery no longer waits. Of a change without what was sent before.
fn claimed_as(
    shared: &StoreShared,
    record: &Record,
    (lease, slot): (Lease, DeliverySlot),
    click: Option<Arc<Click>>,
) -> Option<Claimed> {
    let deliveries = &record.standing.deliveries;
    let mut delivery = deliveries.get(slot.place()).cloned()?;
    if !matches!(delivery.state, DeliveryState::Waiting { .. }) {
        return None;
    }
    let index = shared.index.lock();
    delivery.expires_at = index.queues.max_ages.expires_at(&record.conversion, click.as_deref(), &delivery);
    let ran_out = index.queues.held.has_run_out(slot);
    delivery.possible_repeat |= ran_out;
    delivery.may_be_known |= ran_out;
    drop(index);
    let (id, sent_before) = (delivery.id(record.conversion.id), delivery::sent_before(deliveries, &delivery));
    let (conversion, before) = (record.conversion.clone(), SentBefore::Nothing);
    Some(Claimed { id, lease, conversion, delivery, click, sent_before, before })
}
