//! Who has which delivery in hand: by the token of the lease, and until when by the clock that no one sets. In memory
//! alone.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use crate::domain::ids::DestinationId;
use crate::store::contract::work::LeaseToken;
use crate::store::table::delivery::DeliverySlot;

/// A delivery, and the destination whose it is.
pub type Queued = (DestinationId, DeliverySlot);

#[derive(Debug)]
struct HeldLease {
    queued: Queued,
    until: Duration,
    /// It no longer runs out.
    is_kept: bool,
    /// Whether anyone has the delivery, so that something may have left: not where it cannot be read.
    is_handed: bool,
}

/// The leases that were given and not ended. One that runs out stays its holder's until another has the delivery.
#[derive(Debug, Default)]
pub struct HeldLeases {
    /// What distinguishes the tokens of this process from those of every other that recorded an attempt.
    epoch: u64,
    given: u64,
    by_token: HashMap<LeaseToken, HeldLease>,
    by_slot: HashMap<DeliverySlot, LeaseToken>,
    /// Those that run out, by when.
    ends: BTreeSet<(Duration, LeaseToken)>,
    /// Deliveries of which a lease ran out, or ended with the process before, and nothing was recorded since.
    ran_out: HashSet<DeliverySlot>,
}

impl HeldLeases {
    /// `epoch`: the number that the next attempt will have. An attempt that is recorded by a token of this process has
    /// that number or a later one, so that the next process begins with another.
    pub fn begin(&mut self, epoch: u64) {
        self.epoch = epoch;
    }

    /// A new lease. An earlier one of the same delivery says nothing from now on.
    pub fn grant(&mut self, queued: Queued, until: Duration) -> LeaseToken {
        self.given += 1;
        let token = LeaseToken::new((u128::from(self.epoch) << 64) | u128::from(self.given));
        if let Some(earlier) = self.by_slot.insert(queued.1, token) {
            self.forget(earlier);
        }
        self.ends.insert((until, token));
        self.by_token.insert(token, HeldLease { queued, until, is_kept: false, is_handed: true });
        token
    }

    /// Whether the lease is the delivery's latest, and has not ended.
    pub fn holds(&self, token: LeaseToken) -> bool {
        self.by_token.contains_key(&token)
    }

    /// It no longer runs out, nor is its delivery given to another where it has: what is recorded by it is being
    /// written, or its delivery cannot be read. Answers whether it holds.
    pub fn keep(&mut self, token: LeaseToken) -> bool {
        let Some(held) = self.by_token.get_mut(&token) else { return false };
        held.is_kept = true;
        self.ends.remove(&(held.until, token));
        true
    }

    /// As [`HeldLeases::keep`], of a delivery that no one has: it cannot be read.
    pub fn leave_out(&mut self, token: LeaseToken) {
        self.keep(token);
        if let Some(held) = self.by_token.get_mut(&token) {
            held.is_handed = false;
        }
    }

    /// Whether the delivery is its holder's until that has ended its lease.
    pub fn is_kept(&self, slot: DeliverySlot) -> bool {
        let token = self.by_slot.get(&slot);
        token.and_then(|token| self.by_token.get(token)).is_some_and(|held| held.is_kept)
    }

    /// Ends a lease; `None` where it has ended.
    pub fn end(&mut self, token: LeaseToken) -> Option<Queued> {
        let queued = self.forget(token)?;
        self.by_slot.remove(&queued.1);
        Some(queued)
    }

    fn forget(&mut self, token: LeaseToken) -> Option<Queued> {
        let HeldLease { queued, until, .. } = self.by_token.remove(&token)?;
        self.ends.remove(&(until, token));
        Some(queued)
    }

    /// The next delivery whose lease has run out by `running`.
    pub fn run_out(&mut self, running: Duration) -> Option<Queued> {
        let (until, token) = *self.ends.first()?;
        if until > running {
            return None;
        }
        self.ends.remove(&(until, token));
        let queued = self.by_token.get(&token)?.queued.clone();
        self.ran_out.insert(queued.1);
        Some(queued)
    }

    /// A lease of the delivery may have ended with the process before.
    pub fn note_unknown(&mut self, slot: DeliverySlot) {
        self.ran_out.insert(slot);
    }

    /// The deliveries of which something may have left without a record of it.
    pub fn unknown(&self) -> Vec<DeliverySlot> {
        let handed = self.by_token.values().filter(|held| held.is_handed).map(|held| held.queued.1);
        self.ran_out.iter().copied().chain(handed).collect()
    }

    /// Whether a lease of the delivery ran out, and nothing was recorded since.
    pub fn has_run_out(&self, slot: DeliverySlot) -> bool {
        self.ran_out.contains(&slot)
    }

    /// An attempt at the delivery is on record.
    pub fn recorded(&mut self, slot: DeliverySlot) {
        self.ran_out.remove(&slot);
    }

    /// The delivery is not kept any more: nothing is known of its leases.
    pub fn gone(&mut self, slot: DeliverySlot) {
        self.ran_out.remove(&slot);
        if let Some(token) = self.by_slot.remove(&slot) {
            self.forget(token);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queued(number: u64) -> Queued {
        (DestinationId::parse("ads").unwrap(), DeliverySlot::new(number, 0).unwrap())
    }

    const fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_lease_that_ran_out_is_its_holders_until_another_has_the_delivery() {
        let mut leases = HeldLeases::default();
        let first = leases.grant(queued(1), at(10));
        assert_eq!(leases.run_out(at(9)), None);
        assert_eq!(leases.run_out(at(10)), Some(queued(1)));
        assert_eq!(leases.run_out(at(10)), None, "it runs out once");
        assert!(leases.holds(first));
        assert!(leases.has_run_out(queued(1).1));
        let second = leases.grant(queued(1), at(20));
        assert!(!leases.holds(first));
        assert_eq!(leases.end(first), None);
        assert_eq!(leases.end(second), Some(queued(1)));
        assert!(leases.by_slot.is_empty() && leases.by_token.is_empty() && leases.ends.is_empty());
    }

    #[test]
    fn what_is_being_recorded_does_not_run_out() {
        let mut leases = HeldLeases::default();
        let token = leases.grant(queued(1), at(10));
        assert!(leases.keep(token));
        assert_eq!(leases.run_out(at(99)), None);
        assert!(leases.holds(token) && leases.is_kept(queued(1).1));
        leases.end(token);
        assert!(!leases.is_kept(queued(1).1));
    }

    #[test]
    fn nothing_is_left_of_the_leases_of_a_delivery_that_is_gone() {
        let mut leases = HeldLeases::default();
        leases.grant(queued(1), at(10));
        leases.run_out(at(10));
        leases.gone(queued(1).1);
        leases.grant(queued(2), at(10));
        leases.gone(queued(2).1);
        assert!(leases.by_slot.is_empty() && leases.by_token.is_empty());
        assert!(leases.ends.is_empty() && leases.ran_out.is_empty());
    }

    #[test]
    fn no_two_processes_give_the_same_token() {
        let mut leases = HeldLeases::default();
        leases.begin(7);
        let first = leases.grant(queued(1), at(10));
        let mut next = HeldLeases::default();
        next.begin(8);
        assert_ne!(next.grant(queued(1), at(10)), first);
    }
}
