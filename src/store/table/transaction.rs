//! Transaction ids: those that several sales have, and reversals that wait for their sale.
//!
//! Reused ids are counted as conversions are added and purged; there is nothing here of an id that one conversion
//! has. Reversals are rebuilt at open from the records alone.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};

use crate::domain::facts;
use crate::domain::ids::{ConversionId, Seq};
use crate::store::contract::subscription::Subscription;
use crate::store::table::conversion::{Sketch, SketchedReuse};

/// From how many conversions on a transaction id is one to warn of.
const OFTEN: u32 = 3;

/// What is counted of one transaction id.
#[derive(Debug, Clone, Copy)]
struct ReuseCount {
    newest: u64,
    /// The highest that any of its conversions has, or had.
    nth: u32,
    kept: u32,
}

/// Every reused transaction id, by the id of its first conversion. The ids are whole, so no two
/// transaction ids meet in one entry.
#[derive(Default)]
pub struct ReusedIds {
    counts: HashMap<ConversionId, ReuseCount>,
    /// Those to warn of: the tag of the source, the most used first.
    often: BTreeSet<(u32, Reverse<u32>, ConversionId)>,
}

impl ReusedIds {
    /// Moves a conversion from one appearance to another. Which transaction it is of never changes.
    pub fn apply(&mut self, number: u64, before: Option<&Sketch>, after: Option<&Sketch>) {
        let of = |sketch: Option<&Sketch>| sketch.and_then(|sketch| sketch.reuse);
        match (of(before), of(after)) {
            (None, Some(reuse)) => self.add(number, reuse),
            (Some(reuse), None) => self.remove(number, reuse),
            _ => {}
        }
    }

    fn add(&mut self, number: u64, reuse: SketchedReuse) {
        let count = self.counts.entry(reuse.first).or_insert(ReuseCount { newest: number, nth: 0, kept: 0 });
        let before = count.nth;
        count.kept += 1;
        count.newest = count.newest.max(number);
        count.nth = before.max(reuse.nth);
        let nth = count.nth;
        self.rank(reuse, before, nth);
    }

    fn remove(&mut self, number: u64, reuse: SketchedReuse) {
        let Some(count) = self.counts.get_mut(&reuse.first) else { return };
        count.kept = count.kept.saturating_sub(1);
        if count.newest == number {
            count.newest = reuse.previous.unwrap_or(number);
        }
        let ReuseCount { nth, kept, .. } = *count;
        if kept == 0 {
            self.counts.remove(&reuse.first);
            self.rank(reuse, nth, 0);
        }
    }

    fn rank(&mut self, reuse: SketchedReuse, before: u32, after: u32) {
        if before == after {
            return;
        }
        self.often.remove(&(reuse.source, Reverse(before), reuse.first));
        if after >= OFTEN {
            self.often.insert((reuse.source, Reverse(after), reuse.first));
        }
    }

    /// What is kept of a transaction id besides its first conversion.
    pub fn get(&self, first: &ConversionId) -> Option<facts::LaterConversions> {
        let count = self.counts.get(first)?;
        Some(facts::LaterConversions { newest: Seq::new(count.newest)?, nth: count.nth, kept: count.kept })
    }

    /// Up to `most` ids of the sources with this tag that are to be warned of, the most used first: the
    /// number of the newest conversion, and how many there were.
    pub fn often(&self, source: u32, most: usize) -> Vec<(u64, u32)> {
        let from = (source, Reverse(u32::MAX), ConversionId::LEAST);
        let of_source = self.often.range(from..).take_while(|(tag, ..)| *tag == source);
        let newest = |first: &ConversionId| self.counts.get(first).map(|count| count.newest);
        of_source.filter_map(|(_, nth, first)| Some((newest(first)?, nth.0))).take(most).collect()
    }
}

/// Quarantined postbacks that take back a sale that is not known yet, and those whose sale was received since.
#[derive(Default)]
pub struct Reversals {
    /// By the id that the sale's first conversion will have.
    waiting: BTreeSet<(ConversionId, u64)>,
    /// The sales that each waits for.
    sales: HashMap<u64, Vec<ConversionId>>,
    /// Those whose sale was received, to be reprocessed.
    ready: BTreeSet<u64>,
    bell: Subscription,
}

impl Reversals {
    /// Takes note that postback `number` waits for one of these sales.
    pub fn wait(&mut self, number: u64, sales: &[ConversionId]) {
        if sales.is_empty() {
            return;
        }
        self.waiting.extend(sales.iter().map(|sale| (*sale, number)));
        self.sales.insert(number, sales.to_vec());
    }

    /// Takes note of a new conversion: what waits for it is ready.
    pub fn received(&mut self, sketch: &Sketch) {
        if self.waiting.is_empty() {
            return;
        }
        let sale = sketch.reuse.map_or(sketch.id, |reuse| reuse.first);
        let waiting = self.waiting.range((sale, 0)..=(sale, u64::MAX));
        let numbers: Vec<u64> = waiting.map(|(_, number)| *number).collect();
        for number in &numbers {
            self.forget(*number);
        }
        if !numbers.is_empty() {
            self.ready.extend(numbers);
            self.bell.signal();
        }
    }

    /// Takes note of a postback whose sale was received since.
    pub fn make_ready(&mut self, number: u64) {
        self.ready.insert(number);
        self.bell.signal();
    }

    /// Drops a postback that was reprocessed or purged.
    pub fn forget(&mut self, number: u64) {
        for sale in self.sales.remove(&number).into_iter().flatten() {
            self.waiting.remove(&(sale, number));
        }
        self.ready.remove(&number);
    }

    /// Hands out up to `most` that are ready, the oldest first. Each is handed out once; one that was not
    /// reprocessed is ready again after the next start.
    pub fn take(&mut self, most: usize) -> Vec<u64> {
        let taken: Vec<u64> = self.ready.iter().take(most).copied().collect();
        for number in &taken {
            self.ready.remove(number);
        }
        taken
    }

    /// Signals when something may be ready.
    pub fn bell(&self) -> Subscription {
        self.bell.clone()
    }
}
