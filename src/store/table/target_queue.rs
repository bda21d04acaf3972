//! The queues of all destinations, by the target that each belongs to as configured now. A target that many share keeps
//! the ends of their queues in order, so that what is due next is found without a look at each of them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use crate::domain::click::Click;
use crate::domain::conversion::Conversion;
use crate::domain::delivery::Delivery;
use crate::domain::expiry::AgeLimits;
use crate::domain::ids::DestinationId;
use crate::domain::routing::Route;
use crate::domain::ruleset::Ruleset;
use crate::domain::sent::DeliveryKind;
use crate::domain::target::TargetId;
use crate::domain::time::Time;
use crate::store::contract::subscription::Subscription;
use crate::store::contract::work::{ClaimRequest, Lease, LeaseToken, WantedWork};
use crate::store::table::delivery::DeliverySlot;
use crate::store::table::delivery_queue::{DestinationQueues, DueSlot, Ends, PairEnds};
use crate::store::table::held_lease::{HeldLeases, Queued};

/// A delivery that was leased, with its lease.
pub type LeasedSlot = (Lease, Queued);

/// Of all queues of a kind that have anything in them, the first and the last delivery.
#[derive(Debug, Default)]
struct SharedQueue {
    firsts: BTreeMap<DueSlot, DestinationId>,
    lasts: BTreeMap<DueSlot, DestinationId>,
}

impl SharedQueue {
    fn turn(&mut self, destination: &DestinationId, before: Ends, after: Ends) {
        if before == after {
            return;
        }
        if let Some((first, last)) = before {
            self.firsts.remove(&first);
            self.lasts.remove(&last);
        }
        if let Some((first, last)) = after {
            self.firsts.insert(first, destination.clone());
            self.lasts.insert(last, destination.clone());
        }
    }

    fn ends(&self) -> Ends {
        Some((*self.firsts.first_key_value()?.0, *self.lasts.last_key_value()?.0))
    }

    fn destination(&self, end: &DueSlot) -> Option<&DestinationId> {
        self.firsts.get(end).or_else(|| self.lasts.get(end))
    }
}

/// The first attempts, or the retries, of the destinations that share a target.
#[derive(Debug, Default)]
struct SharedPair {
    manual: SharedQueue,
    due: SharedQueue,
}

impl SharedPair {
    fn turn(&mut self, destination: &DestinationId, before: PairEnds, after: PairEnds) {
        self.manual.turn(destination, before.manual, after.manual);
        self.due.turn(destination, before.due, after.due);
    }

    fn ends(&self) -> PairEnds {
        PairEnds { manual: self.manual.ends(), due: self.due.ends() }
    }

    fn destination(&self, end: &DueSlot) -> Option<&DestinationId> {
        self.manual.destination(end).or_else(|| self.due.destination(end))
    }

    /// The earliest due time after `now` at which a destination's queue begins.
    fn after(&self, now: i64) -> Option<i64> {
        let later = (now.saturating_add(1), DeliverySlot::FIRST)..;
        let first = |queue: &SharedQueue| queue.firsts.range(later.clone()).next().map(|((due, _), _)| *due);
        first(&self.manual).into_iter().chain(first(&self.due)).min()
    }

    fn is_empty(&self) -> bool {
        self.manual.firsts.is_empty() && self.due.firsts.is_empty()
    }
}

/// The queues of the destinations that share a target.
#[derive(Debug, Default)]
struct SharedQueues {
    fresh: SharedPair,
    retries: SharedPair,
}

impl SharedQueues {
    fn pair(&self, fresh: bool) -> &SharedPair {
        if fresh { &self.fresh } else { &self.retries }
    }
}

/// The ends of a destination's first attempts, and of its retries.
type BothEnds = (PairEnds, PairEnds);

fn both_ends(queues: &DestinationQueues) -> BothEnds {
    (queues.ends(true), queues.ends(false))
}

/// How old what a configured destination takes may be.
#[derive(Debug, Clone, Default)]
pub struct MaxAges(HashMap<DestinationId, MaxAgesOf>);

/// How old an event may be at one destination.
#[derive(Debug, Clone)]
struct MaxAgesOf {
    first: AgeLimits,
    change: AgeLimits,
}

impl MaxAges {
    fn of(rules: &Ruleset) -> MaxAges {
        let of = |route: &Route| MaxAgesOf {
            first: route.age_limits_of(DeliveryKind::Event),
            change: route.age_limits_of(DeliveryKind::Restate),
        };
        MaxAges(rules.routes.iter().map(|route| (route.destination.clone(), of(route))).collect())
    }

    /// The last moment at which a delivery may be sent: by what is configured now, else as it was planned. `click`: its
    /// click, where it is at hand.
    pub fn expires_at(
        &self,
        conversion: &Conversion,
        click: Option<&Click>,
        delivery: &Delivery,
    ) -> Option<Time> {
        match self.0.get(&delivery.destination) {
            Some(limits) => {
                let limits = if delivery.kind.is_change() { &limits.change } else { &limits.first };
                limits.expires_at(conversion, click.map(|click| click.at), delivery.expires_at)
            }
            None => delivery.expires_at,
        }
    }
}

/// What waits, is held or is leased, of every destination, and whom to signal of it.
#[derive(Default)]
pub struct Queues {
    /// Of the destinations that have anything in them.
    destinations: HashMap<DestinationId, DestinationQueues>,
    /// Those of which something waits that expires.
    expiring: BTreeSet<DestinationId>,
    /// As configured now.
    rules: Arc<Ruleset>,
    /// As configured now.
    pub max_ages: Arc<MaxAges>,
    /// Of the targets that several destinations share.
    shared: HashMap<TargetId, SharedQueues>,
    subscriptions: HashMap<TargetId, Subscription>,
    /// Who has what in hand.
    pub held: HeldLeases,
    /// Whether anything is handed out.
    handing_out: HandingOut,
}

/// Whether anything is handed out, and what was before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum HandingOut {
    /// Something may have been.
    #[default]
    Now,
    /// Nothing was yet, and the process before did not close the store. What it had received last, it had received then.
    NotSince(Option<Time>),
    /// Nothing is any more.
    Closed,
}

impl Queues {
    /// Begins after a process that closed the store, with what may have left without a record of it; or did not. `newest`:
    /// when that received something last, by its clock.
    pub fn begin(&mut self, closed: Option<Vec<DeliverySlot>>, newest: Option<Time>) {
        match closed {
            Some(unknown) => unknown.into_iter().for_each(|slot| self.held.note_unknown(slot)),
            None => self.handing_out = HandingOut::NotSince(newest),
        }
    }

    /// Hands out nothing from now on. Answers of which deliveries something may have left without a record of it; `None`:
    /// that is not known of the process before.
    pub fn close(&mut self) -> Option<Vec<DeliverySlot>> {
        let before = std::mem::replace(&mut self.handing_out, HandingOut::Closed);
        (before == HandingOut::Now).then(|| self.held.unknown())
    }

    /// Goes by these rules from now on: queues of destinations that belong to another target than before move there,
    /// and anyone who waits for that is signalled.
    pub fn go_by(&mut self, rules: &Arc<Ruleset>) {
        self.max_ages = Arc::new(MaxAges::of(rules));
        let before = std::mem::replace(&mut self.rules, Arc::clone(rules));
        let moved = |destination: &&DestinationId| {
            before.targets.get(*destination) != rules.targets.get(*destination)
        };
        let moved: Vec<DestinationId> = self.destinations.keys().filter(moved).cloned().collect();
        for destination in moved {
            let Some(queues) = self.destinations.get(&destination) else { continue };
            let (empty, ends) = (Default::default(), both_ends(queues));
            if let Some(target) = before.targets.get(&destination) {
                self.turn(target.clone(), &destination, ends, empty);
            }
            if let Some(target) = rules.targets.get(&destination) {
                self.turn(target.clone(), &destination, empty, ends);
            }
            self.signal(&destination);
        }
    }

    /// The queues of a destination that shares its target turn from one state to another.
    fn turn(&mut self, target: TargetId, destination: &DestinationId, before: BothEnds, after: BothEnds) {
        let shared = self.shared.entry(target.clone()).or_default();
        shared.fresh.turn(destination, before.0, after.0);
        shared.retries.turn(destination, before.1, after.1);
        if shared.fresh.is_empty() && shared.retries.is_empty() {
            self.shared.remove(&target);
        }
    }

    /// Signals when the target may have new work.
    pub fn wakeup(&mut self, target: &TargetId) -> Subscription {
        self.subscriptions.entry(target.clone()).or_default().clone()
    }

    /// There may be new work of the destination: its worker is signalled.
    pub fn signal(&self, destination: &DestinationId) {
        let own;
        let target = match self.rules.targets.get(destination) {
            Some(target) => target,
            None => {
                own = TargetId::Account(destination.clone());
                &own
            }
        };
        self.subscriptions.get(target).into_iter().for_each(Subscription::signal);
    }

    /// A destination's queues; `None`: they are empty.
    pub fn of(&self, destination: &DestinationId) -> Option<&DestinationQueues> {
        self.destinations.get(destination)
    }

    /// The queues that are not empty. What a caller changes leaves every queue's ends as they are.
    pub fn each(&mut self) -> impl Iterator<Item = (&DestinationId, &mut DestinationQueues)> {
        self.destinations.iter_mut()
    }

    /// Changes a destination's queues, and what is known of their ends with them.
    pub fn change<T>(
        &mut self,
        destination: &DestinationId,
        change: impl FnOnce(&mut DestinationQueues) -> T,
    ) -> T {
        let target = self.rules.targets.get(destination).cloned();
        let queues = match self.destinations.get_mut(destination) {
            Some(queues) => queues,
            None => self.destinations.entry(destination.clone()).or_default(),
        };
        let (before, expired) = (target.as_ref().map(|_| both_ends(queues)), queues.may_expire());
        let done = change(queues);
        let (after, expires) = (target.as_ref().map(|_| both_ends(queues)), queues.may_expire());
        if queues.is_empty() {
            self.destinations.remove(destination);
        }
        match (expired, expires) {
            (false, true) => drop(self.expiring.insert(destination.clone())),
            (true, false) => drop(self.expiring.remove(destination)),
            _ => {}
        }
        if let (Some(target), Some(before), Some(after)) = (target, before, after) {
            self.turn(target, destination, before, after);
        }
        done
    }

    /// The ends of a target's first attempts, or of its retries. An account whose destination belongs to another
    /// target has none.
    fn ends(&self, target: &TargetId, fresh: bool) -> PairEnds {
        match target {
            TargetId::Account(destination) if self.rules.targets.contains_key(destination) => None,
            TargetId::Account(destination) => self.of(destination).map(|queues| queues.ends(fresh)),
            shared => self.shared.get(shared).map(|shared| shared.pair(fresh).ends()),
        }
        .unwrap_or_default()
    }

    /// Leases what is asked for: of what is due first attempts, then retries, each by due time and what a person asked
    /// for first; or the one that waits longest. The leases begin now, `running` by the store's clock.
    pub fn lease(&mut self, request: &ClaimRequest, running: Duration) -> Vec<LeasedSlot> {
        match self.handing_out {
            HandingOut::Now => {}
            HandingOut::NotSince(newest) => {
                self.note_unknown(newest.map_or(request.now, |newest| newest.max(request.now)));
                self.handing_out = HandingOut::Now;
            }
            HandingOut::Closed => return Vec::new(),
        }
        self.end_what_ran_out(running);
        let until = running.saturating_add(request.lease_for);
        match request.wanted {
            WantedWork::Due { fresh, retries } => {
                let mut leased = self.lease_due(request, until, (fresh, true));
                leased.extend(self.lease_due(request, until, (retries, false)));
                leased
            }
            WantedWork::Oldest => self.lease_oldest(request, until).into_iter().collect(),
        }
    }

    fn lease_due(
        &mut self,
        request: &ClaimRequest,
        until: Duration,
        (most, fresh): (usize, bool),
    ) -> Vec<LeasedSlot> {
        let mut leased = Vec::new();
        while leased.len() < most {
            let first = |queues: &Queues| {
                let ends = queues.ends(&request.target, fresh);
                Some((ends.next_due(request.now.as_millis(), fresh)?, fresh))
            };
            let Some(one) = self.lease_first(request, until, first) else { break };
            leased.push(one);
        }
        leased
    }

    fn lease_oldest(&mut self, request: &ClaimRequest, until: Duration) -> Option<LeasedSlot> {
        self.lease_first(request, until, |queues| {
            let oldest = |fresh| queues.ends(&request.target, fresh).oldest().map(|due| (due, fresh));
            oldest(true).into_iter().chain(oldest(false)).min()
        })
    }

    /// Leases what is first. What someone is recording, though their lease has run out, is out of the queue from then
    /// on: the end of that lease puts it back, if it still waits.
    fn lease_first(
        &mut self,
        request: &ClaimRequest,
        until: Duration,
        first: impl Fn(&Queues) -> Option<(DueSlot, bool)>,
    ) -> Option<LeasedSlot> {
        loop {
            let (due, fresh) = first(self)?;
            let destination = match &request.target {
                TargetId::Account(destination) => destination.clone(),
                shared => self.shared.get(shared)?.pair(fresh).destination(&due)?.clone(),
            };
            self.change(&destination, |queues| queues.lease(due, fresh));
            if self.held.is_kept(due.1) {
                continue;
            }
            let queued = (destination, due.1);
            let token = self.held.grant(queued.clone(), until);
            return Some((Lease { token, lasts: request.lease_for }, queued));
        }
    }

    /// What the process before may have had in hand by then: its leases ended without a word.
    fn note_unknown(&mut self, now: Time) {
        for queues in self.destinations.values() {
            queues.claimable(now).for_each(|slot| self.held.note_unknown(slot));
        }
    }

    /// What someone has in hand whose lease has run out waits again, of whatever target.
    fn end_what_ran_out(&mut self, running: Duration) {
        let mut count = 0_u64;
        while let Some((destination, slot)) = self.held.run_out(running) {
            self.change(&destination, |queues| queues.release(slot));
            self.signal(&destination);
            count += 1;
        }
        if count > 0 {
            tracing::warn!(
                count,
                "deliveries were not recorded before their lease ran out: they may be sent again"
            );
        }
    }

    /// Ends a lease; what waits still waits in its place again. Answers whose it was, where it had not ended.
    pub fn end_lease(&mut self, token: LeaseToken) -> Option<Queued> {
        let (destination, slot) = self.held.end(token)?;
        self.change(&destination, |queues| queues.release(slot));
        Some((destination, slot))
    }

    /// Whether the lease holds, and its delivery waits.
    pub fn is_held(&self, (lease, (destination, slot)): &LeasedSlot) -> bool {
        let is_leased = |queues: &DestinationQueues| queues.is_leased(*slot);
        self.held.holds(lease.token) && self.of(destination).is_some_and(is_leased)
    }

    /// The earliest due time after `now` of what is not leased; of a target that many share, of what is first in its
    /// queue.
    pub fn next_due(&self, target: &TargetId, now: Time) -> Option<Time> {
        match target {
            TargetId::Account(destination) => self.of(destination)?.next_due(now),
            shared => {
                let SharedQueues { fresh, retries } = self.shared.get(shared)?;
                let next = [fresh.after(now.as_millis()), retries.after(now.as_millis())];
                next.into_iter().flatten().min().and_then(Time::from_millis)
            }
        }
    }

    /// Up to `most` deliveries to configured destinations that wait past their last moment, by destination.
    pub fn expired(&self, now: Time, most: usize) -> Vec<Queued> {
        let configured =
            self.expiring.iter().filter(|destination| self.max_ages.0.contains_key(*destination));
        let queues = configured.filter_map(|destination| Some((destination, self.of(destination)?)));
        let expired = queues.flat_map(|(destination, queues)| {
            queues.expired(now).map(move |slot| (destination.clone(), slot))
        });
        expired.take(most).collect()
    }
}
