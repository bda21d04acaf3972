//! Transaction ids that several conversions have: how many, and which is the newest. Counted as
//! conversions are added and purged; there is nothing here of an id that one conversion has.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};

use crate::domain::facts::Later;
use crate::domain::ids::{ConversionId, Seq};
use crate::store::layout::Sketch;
use crate::store::transactions::sketch::SketchedReuse;

/// From how many conversions on a transaction id is one to warn of.
const OFTEN: u32 = 3;

/// What is counted of one transaction id.
#[derive(Debug, Clone, Copy)]
struct Count {
    newest: u64,
    /// The highest that any of its conversions has, or had.
    nth: u32,
    kept: u32,
}

/// Every reused transaction id, by the id of its first conversion. The ids are whole, so no two
/// transaction ids meet in one entry.
#[derive(Default)]
pub struct Reused {
    counts: HashMap<ConversionId, Count>,
    /// Those to warn of: the tag of the source, the most used first.
    often: BTreeSet<(u32, Reverse<u32>, ConversionId)>,
}

impl Reused {
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
        let count = self.counts.entry(reuse.first).or_insert(Count { newest: number, nth: 0, kept: 0 });
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
        let Count { nth, kept, .. } = *count;
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
    pub fn get(&self, first: &ConversionId) -> Option<Later> {
        let count = self.counts.get(first)?;
        Some(Later { newest: Seq::new(count.newest)?, nth: count.nth, kept: count.kept })
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
