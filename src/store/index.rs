//! What is kept in memory so that nothing has to be searched on disk: rebuilt at open, moved on by
//! each commit.

mod backlog;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use crate::domain::delivery::{Delivery, DeliveryState};
use crate::domain::ids::{ConversionId, DestinationId};
use crate::domain::time::Time;
use crate::store::seq_map::SeqMap;
use crate::store::table::click_reference::ClickReferences;
use crate::store::table::conversion::{Record, Sketch};
use crate::store::table::day::Days;
use crate::store::table::delivery::{DeliverySlot, DeliveryStates};
use crate::store::table::disposition::Dispositions;
use crate::store::table::newest_time::NewestTime;
use crate::store::table::operator::OperatorRecords;
use crate::store::table::postback::PostbackHead;
use crate::store::table::report_row::Rows;
use crate::store::table::rollup_count::RollupCounts;
use crate::store::table::suppression::Lists;
use crate::store::table::target_queue::Queues;
use crate::store::table::transaction::{ReusedIds, Reversals};

/// Which postbacks reprocess which earlier ones. A chain is a postback and all that reprocess its bytes.
#[derive(Default)]
struct Remapped {
    /// Postbacks that a later one reprocesses.
    again: HashSet<u64>,
    /// From a postback that reprocesses another, and is quarantined still, to the first of its chain.
    chain: HashMap<u64, u64>,
    /// From the first of a chain to the postback that became a conversion, or a part of one.
    taken: HashMap<u64, u64>,
}

/// Everything kept in memory. One lock guards it; nothing in it waits or reads the disk.
pub struct Index {
    /// Bits of a conversion id's hash that count. All of them but in tests of collisions.
    pub mask: u64,
    conversions: SeqMap,
    /// Those with an unfinished delivery that are no longer as their postback made them.
    changed: HashSet<u64>,
    /// Unmatched conversions by the hash of a click id they wait for.
    unmatched: SeqMap,
    /// Conversions by the hash of their claim on their click.
    claims: SeqMap,
    /// The day of every postback.
    pub days: Days,
    pub queues: Queues,
    /// Holds by the time they end.
    holds: BTreeSet<(i64, u64)>,
    dead: BTreeSet<DeliverySlot>,
    remapped: Remapped,
    pub reused: ReusedIds,
    pub reversals: Reversals,
    needed: ClickReferences,
    pub rows: Rows,
    pub dispositions: Dispositions,
    pub lists: Arc<Lists>,
    pub kept: Arc<OperatorRecords>,
    /// Of the postbacks.
    pub newest: NewestTime,
    /// Moved on by what commits count, not by what they change.
    pub counts: RollupCounts,
}

impl Index {
    pub fn new(mask: u64) -> Index {
        Index {
            mask,
            conversions: SeqMap::default(),
            changed: HashSet::new(),
            unmatched: SeqMap::default(),
            claims: SeqMap::default(),
            days: Days::default(),
            queues: Queues::default(),
            holds: BTreeSet::new(),
            dead: BTreeSet::new(),
            remapped: Remapped::default(),
            reused: ReusedIds::default(),
            reversals: Reversals::default(),
            needed: ClickReferences::default(),
            rows: Rows::default(),
            dispositions: Dispositions::default(),
            lists: Arc::default(),
            kept: Arc::default(),
            newest: NewestTime::default(),
            counts: RollupCounts::default(),
        }
    }

    /// A commit is going to change these conversions, or has: said before it is written, since what reads them meanwhile
    /// may find them as they were, and must not find them so later.
    pub fn will_change(&mut self, numbers: impl IntoIterator<Item = u64>) {
        self.changed.extend(numbers);
    }

    /// Whether a conversion is as its postback made it, of which it is certain that it has an unfinished delivery.
    pub fn is_as_made(&self, number: u64) -> bool {
        !self.changed.contains(&number)
    }

    /// The hash that the dedup map keeps: the id is one already.
    pub fn hash(&self, id: &ConversionId) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = *id.as_bytes();
        u64::from_be_bytes([a, b, c, d, e, f, g, h]) & self.mask
    }

    /// The numbers that may be this conversion's; each has to be confirmed on its record.
    pub fn candidates(&self, id: &ConversionId) -> Vec<u64> {
        self.conversions.find(self.hash(id)).collect()
    }

    /// Up to `most` unmatched conversions after `after`, ascending, that may wait for the click with
    /// this hash; to be confirmed.
    pub fn waiting_for(&self, click: u64, after: u64, most: usize) -> Vec<u64> {
        self.unmatched.find_after(click, after, most)
    }

    /// Up to `most` conversions after `after`, ascending, that may have the claim with this hash; to be
    /// confirmed.
    pub fn claimants(&self, claim: u64, after: u64, most: usize) -> Vec<u64> {
        self.claims.find_after(claim & self.mask, after, most)
    }

    /// Takes note of postback `seq`, by number.
    pub fn note_head(&mut self, seq: u64, head: &PostbackHead) {
        if let Some(of) = head.again {
            self.note_again(seq, of.get(), head.verdict.is_conversion());
        }
    }

    /// Takes note of when a postback was received, by number. What reprocesses another bears the time of that.
    pub fn note_time(&mut self, head: &PostbackHead) {
        if head.again.is_none() {
            self.newest.note(head.at);
        }
    }

    /// Takes note that postback `seq` reprocesses `of`, and whether it is of a conversion now.
    fn note_again(&mut self, seq: u64, of: u64, is_conversion: bool) {
        let first = self.first_of(of);
        self.reversals.forget(of);
        self.remapped.again.insert(of);
        if is_conversion {
            self.remapped.taken.entry(first).or_insert(seq);
        } else {
            self.remapped.chain.insert(seq, first);
        }
    }

    pub fn is_reprocessed(&self, seq: u64) -> bool {
        self.remapped.again.contains(&seq)
    }

    /// The postback whose bytes `seq` has, through however many mappings; itself when it maps none.
    pub fn first_of(&self, seq: u64) -> u64 {
        self.remapped.chain.get(&seq).copied().unwrap_or(seq)
    }

    /// The postback by which the bytes of `first` became part of a conversion.
    pub fn taken_by(&self, first: u64) -> Option<u64> {
        self.remapped.taken.get(&first).copied()
    }

    /// Takes a postback out that is gone.
    pub fn forget_again(&mut self, seq: u64) {
        self.remapped.again.remove(&seq);
        self.remapped.chain.remove(&seq);
        self.remapped.taken.remove(&seq);
        self.reversals.forget(seq);
    }

    /// Whether an unfinished delivery may be sent with the click of this id.
    pub fn needs_click(&self, id: &str) -> bool {
        self.needed.contains(id)
    }

    /// Moves a conversion from one appearance to another. Deliveries that stand as before, or wait
    /// as before until another time, keep their lease. `manual` names those that a person wants sent.
    /// Answers who has new work.
    pub fn apply<'a>(
        &mut self,
        seq: u64,
        before: Option<&'a Sketch>,
        after: Option<&'a Sketch>,
        manual: &HashSet<DeliverySlot>,
    ) -> Vec<DestinationId> {
        if before.map(|sketch| sketch.id) != after.map(|sketch| sketch.id) {
            if let Some(sketch) = before {
                self.conversions.remove(self.hash(&sketch.id), seq);
            }
            if let Some(sketch) = after {
                self.conversions.insert(self.hash(&sketch.id), seq);
                self.reversals.received(sketch);
            }
        }
        self.reused.apply(seq, before, after);
        for click in before.into_iter().flat_map(|sketch| &sketch.waits_for) {
            self.unmatched.remove(*click, seq);
        }
        for click in after.into_iter().flat_map(|sketch| &sketch.waits_for) {
            self.unmatched.insert(*click, seq);
        }
        let claim = |sketch: Option<&Sketch>| sketch.and_then(|sketch| sketch.claim);
        if claim(before) != claim(after) {
            claim(before).into_iter().for_each(|claim| self.claims.remove(claim & self.mask, seq));
            claim(after).into_iter().for_each(|claim| self.claims.insert(claim & self.mask, seq));
        }
        self.needed.apply(before, after);
        self.dispositions.apply(seq, before, after);
        let line = |sketch: Option<&'a Sketch>| sketch.and_then(|sketch| sketch.report.as_ref());
        self.rows.apply(seq, line(before), line(after));
        let nothing = DeliveryStates::default();
        let before = before.map_or(&nothing, |sketch| &sketch.standing);
        let after = after.map_or(&nothing, |sketch| &sketch.standing);
        self.apply_holds(seq, before, after);
        self.apply_deliveries(seq, &before.deliveries, &after.deliveries, manual)
    }

    /// As [`Index::apply`], of a conversion that was there before. Where only its deliveries have changed, as most often,
    /// nothing else is looked at.
    pub fn apply_change(
        &mut self,
        seq: u64,
        before: &Record,
        (after, is_whole): (&Record, bool),
        manual: &HashSet<DeliverySlot>,
    ) -> Vec<DestinationId> {
        if !after.standing.is_unfinished() {
            self.changed.remove(&seq);
        }
        if is_whole {
            let of = |record: &Record| Sketch::of(&record.conversion, record.standing.clone());
            return self.apply(seq, Some(&of(before)), Some(&of(after)), manual);
        }
        self.needed.apply_standing(&after.conversion, &before.standing, &after.standing);
        self.apply_holds(seq, &before.standing, &after.standing);
        self.apply_deliveries(seq, &before.standing.deliveries, &after.standing.deliveries, manual)
    }

    fn apply_holds(&mut self, seq: u64, before: &DeliveryStates, after: &DeliveryStates) {
        let until = |delivery: &Delivery| match delivery.state {
            DeliveryState::Held { until } => Some((until.as_millis(), seq)),
            _ => None,
        };
        for hold in before.deliveries.iter().filter_map(until) {
            self.holds.remove(&hold);
        }
        self.holds.extend(after.deliveries.iter().filter_map(until));
    }

    fn apply_deliveries(
        &mut self,
        seq: u64,
        before: &[Delivery],
        after: &[Delivery],
        manual: &HashSet<DeliverySlot>,
    ) -> Vec<DestinationId> {
        let mut woken = Vec::new();
        for place in 0..before.len().max(after.len()) {
            let (old, new) = (before.get(place), after.get(place));
            let Some(slot) = DeliverySlot::new(seq, place).filter(|_| old != new) else { continue };
            if self.turn(slot, (old, new), manual.contains(&slot)) {
                continue;
            }
            self.dead.remove(&slot);
            match new.map(|new| (&new.state, &new.destination)) {
                Some((DeliveryState::Waiting { .. }, destination)) => woken.push(destination.clone()),
                Some((DeliveryState::Dead { .. }, _)) => {
                    self.dead.insert(slot);
                }
                _ => {}
            }
        }
        woken
    }

    /// The queues of a delivery turn from one state of it to another. Answers whether it goes on waiting in the hands
    /// of who has it.
    fn turn(
        &mut self,
        slot: DeliverySlot,
        (old, new): (Option<&Delivery>, Option<&Delivery>),
        manual: bool,
    ) -> bool {
        match new.map(|new| &new.state) {
            None => self.queues.held.gone(slot),
            Some(DeliveryState::Waiting { .. }) => {}
            // From now on its record says whether anything may have left.
            Some(_) => self.queues.held.recorded(slot),
        }
        let elsewhere = old.filter(|old| new.is_some_and(|new| new.destination != old.destination));
        if let Some(old) = elsewhere {
            self.queues.change(&old.destination, |queues| queues.turn(slot, Some(old), None, manual));
        }
        let old = old.filter(|_| elsewhere.is_none());
        let Some(delivery) = new.or(old) else { return false };
        self.queues.change(&delivery.destination, |queues| queues.turn(slot, old, new, manual))
    }

    /// Whether someone has the delivery in hand.
    pub fn is_leased(&self, destination: &DestinationId, slot: DeliverySlot) -> bool {
        self.queues.of(destination).is_some_and(|queues| queues.is_leased(slot))
    }

    /// Up to `most` conversions with a hold that has ended, the longest ended first.
    pub fn ended_holds(&self, now: Time, most: usize) -> Vec<u64> {
        let ended = self.holds.iter().take_while(|(until, _)| *until <= now.as_millis());
        let mut found: Vec<u64> = Vec::new();
        for (_, seq) in ended {
            if found.len() == most {
                break;
            }
            if found.last() != Some(seq) {
                found.push(*seq);
            }
        }
        found
    }

    /// Leaves a conversion's holds out until the next start: it cannot be read.
    pub fn forget_holds(&mut self, seq: u64) {
        self.holds.retain(|(_, held)| *held != seq);
    }

    /// Up to `most` dead deliveries below a postback number and a place there, newest first.
    pub fn dead_below(&self, (seq, place): (u64, usize), most: usize) -> Vec<DeliverySlot> {
        let Some(end) = DeliverySlot::new(seq.min(1 << 53), place) else { return Vec::new() };
        self.dead.range(..end).rev().take(most).copied().collect()
    }
}
