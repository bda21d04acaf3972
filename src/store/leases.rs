//! Handing out work: what is leased, what is read for it, and how a lease is given back. What is not in memory is read
//! on threads where waiting for the disk holds up no one.

use std::sync::Arc;

use crate::domain::click::Click;
use crate::domain::delivery::{self, Delivery, DeliveryState};
use crate::domain::ids::DeliveryId;
use crate::domain::target::TargetId;
use crate::store::contract::error::StoreError;
use crate::store::contract::work::{ClaimRequest, Claimed, LeasedWork};
use crate::store::query::find;
use crate::store::reader::without_panic;
use crate::store::records::StoreShared;
use crate::store::table::conversion::Record;
use crate::store::table::delivery::DeliverySlot;
use crate::store::table::target_queue::Queued;

/// Slots that are leased for a caller. They are given back where no one takes what was read for them.
pub struct Leases {
    shared: Arc<StoreShared>,
    queued: Vec<Queued>,
}

impl Drop for Leases {
    fn drop(&mut self) {
        unlease(&self.shared, &self.queued);
    }
}

impl Leases {
    /// The caller has them now.
    pub fn hand_over(mut self) {
        self.queued.clear();
    }

    /// Leases what is due; the work itself is not read yet.
    pub fn due(shared: &Arc<StoreShared>, request: ClaimRequest) -> Result<(Leases, LeasedWork), StoreError> {
        shared.reader.check()?;
        let ClaimRequest { target, now, fresh, retries } = request;
        let mut index = shared.index.lock();
        let mut queued = index.queues.lease_due(&target, now, fresh, true);
        queued.extend(index.queues.lease_due(&target, now, retries, false));
        let next_due = index.queues.next_due(&target, now);
        drop(index);
        Ok((Leases { shared: Arc::clone(shared), queued }, LeasedWork { work: Vec::new(), next_due }))
    }

    /// Leases the oldest that waits, due or not; `None` where nothing does.
    pub fn oldest(shared: &Arc<StoreShared>, target: &TargetId) -> Option<Leases> {
        let queued = shared.index.lock().queues.lease_oldest(target)?;
        Some(Leases { shared: Arc::clone(shared), queued: vec![queued] })
    }

    pub fn is_empty(&self) -> bool {
        self.queued.is_empty()
    }

    /// The work behind them. What has changed under the lease is left out, also what was skipped and asked for
    /// again while it was read: that waits in the queue. So is a record that cannot be read, which stays leased
    /// until the next start and is in no one's way.
    pub fn work(&self) -> Result<Vec<Claimed>, StoreError> {
        let mut work = Vec::with_capacity(self.queued.len());
        for (_, slot) in &self.queued {
            match without_panic(|| claimed(&self.shared, *slot)) {
                Ok(claimed) => work.extend(claimed.map(|claimed| (*slot, claimed))),
                Err(error @ StoreError::Corrupt { .. }) => {
                    tracing::error!(postback = slot.seq(), %error, "a delivery cannot be read and is left out");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(self.still_leased(work))
    }

    /// The same, where all of it is in memory: what was received or tried lately.
    pub fn work_at_hand(&self) -> Option<Vec<Claimed>> {
        let mut work = Vec::with_capacity(self.queued.len());
        for (_, slot) in &self.queued {
            let record = self.shared.records.conversion_at_hand(slot.seq())?;
            let click = match record.conversion.attribution.click() {
                // A known visitor's answers are on the disk.
                Some(id) => Some(self.shared.records.click_at_hand(id)?),
                None => None,
            };
            if click.as_ref().is_some_and(|click| click.context.visitor.is_some()) {
                return None;
            }
            work.extend(claimed_as(&self.shared, &record, *slot, click).map(|claimed| (*slot, claimed)));
        }
        Some(self.still_leased(work))
    }

    fn still_leased(&self, mut work: Vec<(DeliverySlot, Claimed)>) -> Vec<Claimed> {
        let index = self.shared.index.lock();
        work.retain(|(slot, claimed)| index.is_leased(&claimed.id.destination, *slot));
        work.into_iter().map(|(_, claimed)| claimed).collect()
    }
}

/// Leases the oldest delivery that waits and can be read, and reads it.
pub fn claim_oldest(
    shared: &Arc<StoreShared>,
    target: &TargetId,
) -> Result<Option<(Leases, Claimed)>, StoreError> {
    shared.reader.check()?;
    while let Some(leases) = Leases::oldest(shared, target) {
        if let Some(claimed) = leases.work()?.pop() {
            return Ok(Some((leases, claimed)));
        }
        // One that cannot be read stays leased, so the next round sees the next oldest.
        leases.hand_over();
    }
    Ok(None)
}

/// Gives leases back by the deliveries' ids.
pub fn release(shared: &StoreShared, ids: &[DeliveryId]) -> Result<(), StoreError> {
    for id in ids {
        let found = match without_panic(|| find::find(shared, &id.conversion)) {
            Err(error @ StoreError::Corrupt { .. }) => {
                tracing::error!(delivery.id = %id, %error, "a lease cannot be given back and stays");
                continue;
            }
            found => found?,
        };
        let Some((number, record)) = found else { continue };
        let is_it =
            |delivery: &Delivery| delivery.destination == id.destination && delivery.occasion == id.occasion;
        let place = record.standing.deliveries.iter().position(is_it);
        let slot = place.and_then(|place| DeliverySlot::new(number, place));
        let queued: Option<Queued> = slot.map(|slot| (id.destination.clone(), slot));
        unlease(shared, queued.as_slice());
    }
    Ok(())
}

fn unlease(shared: &StoreShared, queued: &[Queued]) {
    if queued.is_empty() {
        return;
    }
    let mut index = shared.index.lock();
    for (destination, slot) in queued {
        index.queues.change(destination, |queues| queues.release(*slot));
        // By other rules it may belong to another target by now, whose worker has not seen it yet.
        index.queues.signal(destination);
    }
}

fn claimed(shared: &StoreShared, slot: DeliverySlot) -> Result<Option<Claimed>, StoreError> {
    let Some(record) = find::record(shared, slot.seq())? else { return Ok(None) };
    let click = match record.conversion.attribution.click() {
        Some(click) => shared.records.click_as_answered(click)?,
        None => None,
    };
    Ok(claimed_as(shared, &record, slot, click))
}

/// `None` where the delivery no longer waits.
fn claimed_as(
    shared: &StoreShared,
    record: &Record,
    slot: DeliverySlot,
    click: Option<Arc<Click>>,
) -> Option<Claimed> {
    let deliveries = &record.standing.deliveries;
    let mut delivery = deliveries.get(slot.place()).cloned()?;
    if !matches!(delivery.state, DeliveryState::Waiting { .. }) {
        return None;
    }
    delivery.expires_at = shared.index.lock().queues.expires_at(&record.conversion, &delivery);
    let (id, sent_before) = (delivery.id(record.conversion.id), delivery::sent_before(deliveries, &delivery));
    Some(Claimed { id, conversion: record.conversion.clone(), delivery, click, sent_before })
}
