//! What waits in memory for one destination: due deliveries in order, leases, holds. Rebuilt at open.

use std::collections::{BTreeSet, HashMap};
use std::ops::Bound;

use crate::domain::delivery::{Delivery, DeliveryState};
use crate::domain::time::{DAY_MS, HOUR_MS, Time};
use crate::store::table::delivery::DeliverySlot;

/// How far ahead a first attempt can be due: the longest `delay_seconds`, and a day more.
const FARTHEST_FIRST_MS: i64 = 32 * DAY_MS;
/// The same of a retry: longer than any platform's wait and the longest pause of the schedule.
const FARTHEST_RETRY_MS: i64 = 2 * DAY_MS;

/// The same of a question what became of an event: a template has it asked once a day at least.
const FARTHEST_POLL_MS: i64 = DAY_MS + HOUR_MS;

/// A delivery by when it is due, in milliseconds.
pub type DueSlot = (i64, DeliverySlot);

/// The first and the last of a queue; `None`: it is empty.
pub type Ends = Option<(DueSlot, DueSlot)>;

/// The ends of what a person asked for, and of the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PairEnds {
    pub manual: Ends,
    pub due: Ends,
}

impl PairEnds {
    /// What is due, what a person asked for first; or due later than anything can be: a clock that ran ahead wrote
    /// that. `fresh`: of first attempts.
    pub fn next_due(self, now: i64, fresh: bool) -> Option<DueSlot> {
        let farthest = now.saturating_add(if fresh { FARTHEST_FIRST_MS } else { FARTHEST_RETRY_MS });
        let ready = |ends: Ends| ends.map(|(first, _)| first).filter(|(due, _)| *due <= now);
        let misdated = |ends: Ends| ends.map(|(_, last)| last).filter(|(due, _)| *due > farthest);
        let PairEnds { manual, due } = self;
        ready(manual).or_else(|| ready(due)).or_else(|| misdated(manual)).or_else(|| misdated(due))
    }

    /// The earliest, whether or not someone asked for it.
    pub fn oldest(self) -> Option<DueSlot> {
        let first = |ends: Ends| ends.map(|(first, _)| first);
        first(self.manual).into_iter().chain(first(self.due)).min()
    }
}

/// Deliveries by due time; what a person asked for goes first.
#[derive(Debug, Default)]
struct DueQueue {
    manual: BTreeSet<DueSlot>,
    due: BTreeSet<DueSlot>,
}

impl DueQueue {
    fn insert(&mut self, due: DueSlot, manual: bool) {
        if manual {
            self.manual.insert(due)
        } else {
            self.due.insert(due)
        };
    }

    /// Whether it was there, and whether a person had asked for it.
    fn remove(&mut self, due: &DueSlot) -> Option<bool> {
        if self.due.remove(due) {
            return Some(false);
        }
        self.manual.remove(due).then_some(true)
    }

    fn ends(&self) -> PairEnds {
        let of = |set: &BTreeSet<DueSlot>| Some((*set.first()?, *set.last()?));
        PairEnds { manual: of(&self.manual), due: of(&self.due) }
    }

    fn len(&self) -> usize {
        self.manual.len() + self.due.len()
    }

    fn oldest(&self) -> Option<DueSlot> {
        self.ends().oldest()
    }

    /// What may have been handed out by `now`: what is due, or later than anything can be.
    fn claimable(&self, now: i64, farthest: i64) -> impl Iterator<Item = DeliverySlot> + '_ {
        let farthest = (now.saturating_add(farthest), DeliverySlot::LAST);
        let of = move |set: &'_ BTreeSet<DueSlot>| {
            let due = set.range(..=(now, DeliverySlot::LAST));
            due.chain(set.range(farthest..)).copied().collect::<Vec<_>>()
        };
        of(&self.manual).into_iter().chain(of(&self.due)).map(|(_, slot)| slot)
    }

    /// The earliest due time after `now`.
    fn after(&self, now: i64) -> Option<i64> {
        let later = (Bound::Included((now.saturating_add(1), DeliverySlot::FIRST)), Bound::Unbounded);
        let first = |set: &BTreeSet<DueSlot>| set.range(later).next().map(|(due, _)| *due);
        first(&self.manual).into_iter().chain(first(&self.due)).min()
    }

    /// How many fall due after `from` and not after `to`.
    fn between(&self, from: i64, to: i64) -> u64 {
        if from >= to {
            return 0;
        }
        let bounds = (
            Bound::Included((from.saturating_add(1), DeliverySlot::FIRST)),
            Bound::Included((to, DeliverySlot::LAST)),
        );
        (self.manual.range(bounds).count() + self.due.range(bounds).count()) as u64
    }
}

/// When what waits expires, if it does.
fn expiry(slot: DeliverySlot, delivery: &Delivery) -> Option<DueSlot> {
    let waits = matches!(delivery.state, DeliveryState::Waiting { .. });
    delivery.expires_at.filter(|_| waits).map(|expires_at| (expires_at.as_millis(), slot))
}

#[derive(Debug, Clone, Copy)]
struct LeasedPlace {
    due: i64,
    fresh: bool,
    manual: bool,
}

/// One destination's queues.
#[derive(Debug)]
pub struct DestinationQueues {
    fresh: DueQueue,
    retries: DueQueue,
    leased: HashMap<DeliverySlot, LeasedPlace>,
    held: BTreeSet<DeliverySlot>,
    /// What was accepted and is not confirmed, by when its platform is asked: never leased.
    confirming: BTreeSet<DueSlot>,
    /// What waits for a later attempt, leased or not, by the number of its conversion.
    retried: BTreeSet<DeliverySlot>,
    /// What waits, leased or not, and ends when its event is too old: by the last moment at which it may be sent.
    expiries: BTreeSet<DueSlot>,
    dead: u64,
    /// `passed` of the queued ones are due at `horizon`; both move with time.
    horizon: i64,
    passed: u64,
}

impl Default for DestinationQueues {
    fn default() -> DestinationQueues {
        DestinationQueues {
            fresh: DueQueue::default(),
            retries: DueQueue::default(),
            leased: HashMap::new(),
            held: BTreeSet::new(),
            confirming: BTreeSet::new(),
            retried: BTreeSet::new(),
            expiries: BTreeSet::new(),
            dead: 0,
            horizon: i64::MIN,
            passed: 0,
        }
    }
}

impl DestinationQueues {
    /// Turns from one state of a delivery to another; `None`: there is no delivery. What is leased and goes on waiting
    /// keeps its lease: what someone took between a change's decision and its commit stays in that one's hands.
    /// Answers whether it is so.
    pub fn turn(
        &mut self,
        slot: DeliverySlot,
        old: Option<&Delivery>,
        new: Option<&Delivery>,
        manual: bool,
    ) -> bool {
        if let Some(expiry) = old.and_then(|old| expiry(slot, old)) {
            self.expiries.remove(&expiry);
        }
        self.expiries.extend(new.and_then(|new| expiry(slot, new)));
        if let (Some(_), Some(new)) = (old, new)
            && self.keep_lease(slot, new, manual)
        {
            return true;
        }
        old.into_iter().for_each(|old| self.take_away(slot, old));
        new.into_iter().for_each(|new| self.add(slot, new, manual));
        false
    }

    /// Leaves it out until the next start: it cannot be read.
    pub fn forget_expiry(&mut self, slot: DeliverySlot) {
        self.expiries.retain(|(_, expiring)| *expiring != slot);
    }

    /// The same of what its platform is to be asked about.
    pub fn forget_poll(&mut self, slot: DeliverySlot) {
        self.confirming.retain(|(_, confirming)| *confirming != slot);
    }

    /// What waits past its last moment and is in no one's hands, the longest expired first.
    pub fn expired(&self, now: Time) -> impl Iterator<Item = DeliverySlot> + '_ {
        let over = self.expiries.range(..(now.as_millis(), DeliverySlot::FIRST));
        over.map(|(_, slot)| *slot).filter(|slot| !self.is_leased(*slot))
    }

    /// What its platform is to be asked about by now, the longest due first; and what is to be asked about later than
    /// can be: a clock that ran ahead wrote that.
    pub fn unconfirmed(&self, now: Time) -> impl Iterator<Item = DueSlot> + '_ {
        let (now, farthest) = (now.as_millis(), now.as_millis().saturating_add(FARTHEST_POLL_MS));
        let due = self.confirming.range(..=(now, DeliverySlot::LAST));
        due.chain(self.confirming.range((farthest, DeliverySlot::LAST)..)).copied()
    }

    /// When a platform is to be asked next, after `now`.
    pub fn next_poll(&self, now: Time) -> Option<Time> {
        let later = self.confirming.range((now.as_millis().saturating_add(1), DeliverySlot::FIRST)..).next();
        later.and_then(|(due, _)| Time::from_millis(*due))
    }

    /// Takes note of a delivery in this state.
    fn add(&mut self, slot: DeliverySlot, delivery: &Delivery, manual: bool) {
        match delivery.state {
            DeliveryState::Held { .. } => {
                self.held.insert(slot);
            }
            DeliveryState::Waiting { due } => {
                self.note_retried(slot, delivery);
                self.enqueue((due.as_millis(), slot), delivery.attempts == 0, manual);
            }
            DeliveryState::Confirming { poll_at, .. } => {
                self.confirming.insert((poll_at.as_millis(), slot));
            }
            DeliveryState::Dead { .. } => self.dead += 1,
            DeliveryState::Delivered { .. } | DeliveryState::Skipped { .. } => {}
        }
    }

    /// Forgets a delivery that is no longer in this state; a lease on it ends.
    fn take_away(&mut self, slot: DeliverySlot, delivery: &Delivery) {
        match delivery.state {
            DeliveryState::Held { .. } => {
                self.held.remove(&slot);
            }
            DeliveryState::Waiting { due } => {
                self.retried.remove(&slot);
                if self.leased.remove(&slot).is_none() {
                    self.dequeue(&(due.as_millis(), slot), delivery.attempts == 0);
                }
            }
            DeliveryState::Confirming { poll_at, .. } => {
                self.confirming.remove(&(poll_at.as_millis(), slot));
            }
            DeliveryState::Dead { .. } => self.dead = self.dead.saturating_sub(1),
            DeliveryState::Delivered { .. } | DeliveryState::Skipped { .. } => {}
        }
    }

    /// Where the delivery is leased and goes on waiting, notes in the lease how it waits from now on.
    /// Answers whether it is so.
    fn keep_lease(&mut self, slot: DeliverySlot, now: &Delivery, manual: bool) -> bool {
        match (now.state.clone(), self.leased.get_mut(&slot)) {
            (DeliveryState::Waiting { due }, Some(lease)) => {
                *lease = LeasedPlace { due: due.as_millis(), fresh: now.attempts == 0, manual };
                self.note_retried(slot, now);
                true
            }
            _ => false,
        }
    }

    /// Ends a lease; the delivery is claimable again.
    pub fn release(&mut self, slot: DeliverySlot) {
        if let Some(lease) = self.leased.remove(&slot) {
            self.enqueue((lease.due, slot), lease.fresh, lease.manual);
        }
    }

    /// The ends of the first attempts, or of the retries.
    pub fn ends(&self, fresh: bool) -> PairEnds {
        if fresh { self.fresh.ends() } else { self.retries.ends() }
    }

    /// Whether anything waits that expires.
    pub fn may_expire(&self) -> bool {
        !self.expiries.is_empty()
    }

    /// The first moment at which something that waits expires.
    pub fn first_expiry(&self) -> Option<Time> {
        self.expiries.first().and_then(|(expiry, _)| Time::from_millis(*expiry))
    }

    /// Whether there is nothing to keep.
    pub fn is_empty(&self) -> bool {
        !self.has_unfinished() && self.dead == 0 && self.expiries.is_empty()
    }

    /// Leases one of the first attempts, or of the retries.
    pub fn lease(&mut self, due: DueSlot, fresh: bool) {
        if let Some(manual) = self.dequeue(&due, fresh) {
            self.leased.insert(due.1, LeasedPlace { due: due.0, fresh, manual });
        }
    }

    /// Whether someone has it in hand.
    pub fn is_leased(&self, slot: DeliverySlot) -> bool {
        self.leased.contains_key(&slot)
    }

    /// The earliest due time after `now` of what is not leased.
    pub fn next_due(&self, now: Time) -> Option<Time> {
        let now = now.as_millis();
        let next = self.fresh.after(now).into_iter().chain(self.retries.after(now)).min();
        next.and_then(Time::from_millis)
    }

    /// What may have been handed out by `now`, and is not leased: as a probe also what waits longest.
    pub fn claimable(&self, now: Time) -> impl Iterator<Item = DeliverySlot> + '_ {
        let fresh = self.fresh.claimable(now.as_millis(), FARTHEST_FIRST_MS);
        let retries = self.retries.claimable(now.as_millis(), FARTHEST_RETRY_MS);
        let probe = self.fresh.oldest().into_iter().chain(self.retries.oldest()).min();
        fresh.chain(retries).chain(probe.map(|(_, slot)| slot))
    }

    pub fn waiting(&self) -> u64 {
        (self.fresh.len() + self.retries.len() + self.leased.len()) as u64
    }

    /// The number of the oldest conversion that waits to be sent: not of one that is to be sent later, and has
    /// not been tried yet. Of first attempts it is the one that is due for longest.
    pub fn oldest_unsent(&self, now: Time) -> Option<u64> {
        let is_due = |(due, _): &DueSlot| *due <= now.as_millis();
        let first = self.fresh.oldest().filter(is_due).map(|(_, slot)| slot);
        let leased =
            self.leased.iter().filter(|(_, lease)| lease.due <= now.as_millis()).map(|(slot, _)| *slot);
        let oldest = first.into_iter().chain(leased).chain(self.retried.first().copied()).min();
        oldest.map(DeliverySlot::seq)
    }

    fn note_retried(&mut self, slot: DeliverySlot, delivery: &Delivery) {
        if delivery.attempts == 0 {
            self.retried.remove(&slot);
        } else {
            self.retried.insert(slot);
        }
    }

    pub fn dead(&self) -> u64 {
        self.dead
    }

    pub fn held(&self) -> u64 {
        self.held.len() as u64
    }

    pub fn confirming(&self) -> u64 {
        self.confirming.len() as u64
    }

    /// Whether something is to be sent or to be confirmed.
    pub fn has_unfinished(&self) -> bool {
        self.waiting() + self.held() + self.confirming() > 0
    }

    /// How many are due at `now`, leased ones included. Costs what time has moved, not what waits.
    pub fn due(&mut self, now: Time) -> u64 {
        let now = now.as_millis();
        let count = |from, to| self.fresh.between(from, to) + self.retries.between(from, to);
        if now >= self.horizon {
            self.passed += count(self.horizon, now);
        } else {
            self.passed = self.passed.saturating_sub(count(now, self.horizon));
        }
        self.horizon = now;
        self.passed + self.leased.values().filter(|lease| lease.due <= now).count() as u64
    }

    /// The earliest due time at or before `now`, leased ones included.
    pub fn oldest_due(&self, now: Time) -> Option<Time> {
        let queued = self.fresh.oldest().into_iter().chain(self.retries.oldest()).map(|(due, _)| due);
        let leased = self.leased.values().map(|lease| lease.due);
        let oldest = queued.chain(leased).min()?;
        Time::from_millis(oldest).filter(|due| *due <= now)
    }

    /// Up to `most` unfinished deliveries, for withdrawing them.
    pub fn unfinished(&self, most: usize) -> Vec<DeliverySlot> {
        let queued = [&self.fresh.manual, &self.fresh.due, &self.retries.manual, &self.retries.due];
        let queued = queued.into_iter().flatten().map(|(_, slot)| *slot);
        let confirming = self.confirming.iter().map(|(_, slot)| *slot);
        let queued = self.held.iter().copied().chain(confirming).chain(queued);
        queued.chain(self.leased.keys().copied()).take(most).collect()
    }

    fn enqueue(&mut self, due: DueSlot, fresh: bool, manual: bool) {
        if due.0 <= self.horizon {
            self.passed += 1;
        }
        let queue = if fresh { &mut self.fresh } else { &mut self.retries };
        queue.insert(due, manual);
    }

    fn dequeue(&mut self, due: &DueSlot, fresh: bool) -> Option<bool> {
        let queue = if fresh { &mut self.fresh } else { &mut self.retries };
        let manual = queue.remove(due)?;
        if due.0 <= self.horizon {
            self.passed = self.passed.saturating_sub(1);
        }
        Some(manual)
    }
}
