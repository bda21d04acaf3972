//! What the latest commits count, which is not yet in the rollups: a commit writes one record of it, and many of them
//! are folded into the rollups at once, because those are many keys.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use crate::domain::conversion::Conversion;
use crate::domain::ids::SourceId;
use crate::domain::time::Time;
use crate::store::codec::{self, corrupt};
use crate::store::contract::error::StoreError;
use crate::store::engine::kv::{Batch, Direction, Span};
use crate::store::reader::Reader;
use crate::store::table::rollup::{RollupLine, RollupSums};

/// The first byte of the keys of what one commit counts. They are used again once it is folded.
pub const PREFIX: u8 = b'U';

/// The name under `M` of what says which of them are folded.
const FOLDED: &[u8] = b"Mfolded";

/// After so many commits, or with so many lines, what was counted is folded into the rollups.
const MOST_DELTAS: u32 = 2048;
const MOST_LINES: usize = 4096;
/// So many times as much is waited for before readers have to wait.
const PATIENCE: u32 = 4;

/// No ring is longer, places that are passed over counted.
const MOST_PLACES: u32 = 2 * PATIENCE * MOST_DELTAS;

/// Lines with what is to be added to each.
pub type CountedLines = BTreeMap<RollupLine, RollupSums>;

/// What one commit counts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RollupDelta {
    pub lines: CountedLines,
    /// When the latest postback of each source was received.
    pub latest: BTreeMap<SourceId, Time>,
}

impl RollupDelta {
    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.latest.is_empty()
    }

    /// Adds what is to be added to a line.
    pub fn add(&mut self, line: RollupLine, sums: RollupSums) {
        add_line(&mut self.lines, line, sums);
    }

    /// Counts a new conversion.
    pub fn add_conversion(&mut self, conversion: &Conversion) {
        match self.lines.entry(RollupLine::of_conversion(conversion)) {
            Entry::Vacant(unknown) => drop(unknown.insert(RollupSums::of_conversion(conversion))),
            Entry::Occupied(mut known) => {
                known.get_mut().add_conversion(conversion);
                if known.get().is_nothing() {
                    known.remove();
                }
            }
        }
    }

    /// A postback of the source was received, the latest.
    pub fn received(&mut self, source: &SourceId, at: Time) {
        match self.latest.get_mut(source) {
            Some(latest) => *latest = at,
            None => drop(self.latest.insert(source.clone(), at)),
        }
    }

    /// Adds all of a later one.
    pub fn append(&mut self, later: RollupDelta) {
        for (line, sums) in later.lines {
            add_line(&mut self.lines, line, sums);
        }
        self.latest.extend(later.latest);
    }
}

fn add_line(lines: &mut CountedLines, line: RollupLine, sums: RollupSums) {
    match lines.entry(line) {
        Entry::Vacant(_) if sums.is_nothing() => {}
        Entry::Vacant(unknown) => drop(unknown.insert(sums)),
        Entry::Occupied(mut known) => {
            known.get_mut().add(&sums);
            if known.get().is_nothing() {
                known.remove();
            }
        }
    }
}

/// What is folded already.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoldedState {
    /// How often it was folded. What a commit counted is not folded yet where it was written after as many.
    folds: u64,
    /// When the latest postback of each source was received, of what is folded.
    latest: BTreeMap<SourceId, Time>,
}

/// What is counted and not folded yet, in memory.
#[derive(Debug, Default)]
pub struct Unfolded {
    state: FoldedState,
    /// How many records of it there are.
    deltas: u32,
    /// At which place of the ring the next record is written.
    next: u32,
    /// Places of the ring where something cannot be read: nothing can be written over it.
    passed_over: BTreeSet<u32>,
    /// How many lines were left when it was folded last.
    left: usize,
    delta: RollupDelta,
}

impl Unfolded {
    /// Reads what was not folded when the process ended, and which places of the ring cannot be read.
    ///
    /// # Errors
    /// The store's failure. What cannot be read is logged: it may be that from then on too little is counted.
    pub fn open(reader: &Reader) -> Result<Unfolded, StoreError> {
        let mut unfolded =
            Unfolded { state: reader.head(FOLDED)?.unwrap_or_default(), ..Unfolded::default() };
        let mut read: u32 = 0;
        let mut failed = None;
        let (from, to) = (delta_key(0), [PREFIX + 1]);
        let scanned =
            reader.scan(Span { from: &from, to: &to, direction: Direction::Up }, &mut |key, bytes| {
                let Some(place) = place_of(key) else { return ControlFlow::Continue(()) };
                read = place + 1;
                match unfolded.read(place, bytes) {
                    Ok(()) => ControlFlow::Continue(()),
                    Err(error) => {
                        failed = Some(error);
                        ControlFlow::Break(())
                    }
                }
            });
        match failed.map_or(scanned, Err) {
            // No scan goes on behind it.
            Err(StoreError::Corrupt { .. }) => unfolded.read_each(reader, read)?,
            done => done?,
        }
        if let Some(first) = unfolded.passed_over.first() {
            let places = unfolded.passed_over.len();
            tracing::error!(
                places,
                first,
                "what commits counted cannot be read: it may be that totals and caps are too low"
            );
        }
        unfolded.next = unfolded.sound_from(unfolded.next);
        Ok(unfolded)
    }

    /// Reads one place of the ring after another from `first` on.
    fn read_each(&mut self, reader: &Reader, first: u32) -> Result<(), StoreError> {
        for place in first..MOST_PLACES {
            match reader.get(&delta_key(place)) {
                Ok(None) => {}
                Ok(Some(bytes)) => self.read(place, Ok(&bytes))?,
                Err(error) => self.read(place, Err(error))?,
            }
        }
        Ok(())
    }

    /// Takes note of what is at a place of the ring: what the last fold was followed by, or what was folded by then.
    fn read(&mut self, place: u32, bytes: Result<&[u8], StoreError>) -> Result<(), StoreError> {
        let bytes = match bytes {
            Ok(bytes) => bytes,
            Err(StoreError::Corrupt { .. }) => {
                self.passed_over.insert(place);
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        // What was folded is only looked at so far.
        if codec::beginning(bytes).is_ok_and(|folds: u64| folds != self.state.folds) {
            return Ok(());
        }
        match codec::read::<(u64, RollupDelta)>(bytes) {
            Ok((_, delta)) => {
                self.add(delta);
                self.next = place + 1;
            }
            // It can be written over.
            Err(error) => {
                let error = corrupt(&delta_key(place), &error);
                tracing::error!(%error, "what a commit counted cannot be read: totals and caps are too low");
            }
        }
        Ok(())
    }

    /// The first place of the ring from this one on over which something can be written.
    fn sound_from(&self, place: u32) -> u32 {
        (place..).find(|place| !self.passed_over.contains(place)).unwrap_or(place)
    }

    /// Passes over a place of the ring from now on, where a commit failed because what is at this key cannot be read.
    /// Answers whether there is another place now: then the same commit may be made again.
    pub fn pass_over(&mut self, key: &[u8]) -> bool {
        let Some(place) = place_of(key) else { return false };
        let is_new = self.passed_over.insert(place);
        if is_new {
            tracing::error!(place, "what a commit counted cannot be written over: its place is used no more");
        }
        self.next = self.sound_from(self.next);
        is_new
    }

    /// The lines, with what is to be added to each.
    pub fn lines(&self) -> &CountedLines {
        &self.delta.lines
    }

    /// When the latest postback of each source was received.
    pub fn latest(&self) -> BTreeMap<SourceId, Time> {
        let mut latest = self.state.latest.clone();
        latest.extend(self.delta.latest.clone());
        latest
    }

    /// Whether it is time to fold, with so many lines more; `Some(true)`: readers have to wait.
    pub fn is_full(&self, more: usize) -> Option<bool> {
        let lines = (self.delta.lines.len() + more).saturating_sub(self.left);
        let is_over = |times: u32| self.deltas >= times * MOST_DELTAS || lines >= times as usize * MOST_LINES;
        is_over(1).then(|| is_over(PATIENCE))
    }

    /// Puts what a commit counts into its batch.
    ///
    /// # Errors
    /// What cannot be written down.
    pub fn put(&self, batch: &mut Batch, delta: &RollupDelta) -> Result<(), StoreError> {
        put_delta(batch, self.next, self.state.folds, delta)
    }

    /// Takes note of what a commit counted.
    pub fn add(&mut self, delta: RollupDelta) {
        self.deltas += 1;
        self.next = self.sound_from(self.next.saturating_add(1));
        self.delta.append(delta);
    }

    /// Puts into a batch that all is folded with this commit's `delta`, except for the lines that are `left`.
    ///
    /// # Errors
    /// What cannot be written down.
    pub fn put_folded(
        &self,
        batch: &mut Batch,
        delta: &RollupDelta,
        left: &CountedLines,
    ) -> Result<FoldedState, StoreError> {
        let mut latest = self.latest();
        latest.extend(delta.latest.clone());
        let state = FoldedState { folds: self.state.folds + 1, latest };
        let packed = codec::pack(&state, &()).map_err(|error| corrupt(FOLDED, &error))?;
        batch.put(FOLDED.to_vec(), packed);
        let rest = RollupDelta { lines: left.clone(), ..RollupDelta::default() };
        put_delta(batch, self.sound_from(0), state.folds, &rest)?;
        Ok(state)
    }

    /// Takes note that all is folded, except for the lines that are `left`.
    pub fn folded(&mut self, state: FoldedState, left: CountedLines) {
        let passed_over = std::mem::take(&mut self.passed_over);
        *self = Unfolded { state, left: left.len(), passed_over, ..Unfolded::default() };
        self.next = self.sound_from(0);
        self.add(RollupDelta { lines: left, ..RollupDelta::default() });
    }
}

fn put_delta(batch: &mut Batch, place: u32, folds: u64, delta: &RollupDelta) -> Result<(), StoreError> {
    let key = delta_key(place);
    let record = codec::record(&(folds, delta)).map_err(|error| corrupt(&key, &error))?;
    batch.put(key, record);
    Ok(())
}

/// Where the record of the commit is that was the so many-th since the last fold, places that are passed over counted.
fn delta_key(place: u32) -> Vec<u8> {
    [&[PREFIX][..], &place.to_be_bytes()].concat()
}

/// The place of the ring that has this key.
fn place_of(key: &[u8]) -> Option<u32> {
    let place = key.strip_prefix(&[PREFIX])?;
    Some(u32::from_be_bytes(place.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::OfferId;

    fn cap(day: i64) -> RollupLine {
        RollupLine::of_cap(OfferId::parse("565").unwrap(), day)
    }

    #[test]
    fn what_is_added_and_taken_again_leaves_no_line() {
        let mut delta = RollupDelta::default();
        delta.add(cap(1), RollupSums::of_count(2));
        delta.add(cap(2), RollupSums::of_count(1));
        let mut later = RollupDelta::default();
        later.add(cap(1), RollupSums::of_count(-2));
        delta.append(later);
        assert_eq!(delta.lines.into_iter().collect::<Vec<_>>(), [(cap(2), RollupSums::of_count(1))]);
    }

    #[test]
    fn a_source_was_heard_of_when_its_last_postback_was_received() {
        let source = SourceId::parse("a-network").unwrap();
        let [earlier, later] = [5, 7].map(|millis| Time::from_millis(millis).unwrap());
        let mut delta = RollupDelta::default();
        delta.received(&source, earlier);
        delta.received(&source, later);
        assert_eq!(delta.latest, BTreeMap::from([(source, later)]));
    }

    #[test]
    fn a_place_that_cannot_be_written_over_is_passed_over_from_then_on() {
        let delta = RollupDelta {
            lines: BTreeMap::from([(cap(1), RollupSums::of_count(1))]),
            ..RollupDelta::default()
        };
        let mut unfolded = Unfolded::default();
        let key_of_next = |unfolded: &Unfolded| {
            let mut batch = Batch::default();
            unfolded.put(&mut batch, &delta).unwrap();
            batch.changes.remove(0).0
        };
        unfolded.add(delta.clone());
        assert_eq!(key_of_next(&unfolded), delta_key(1));
        assert!(unfolded.pass_over(&delta_key(1)));
        assert!(unfolded.pass_over(&delta_key(3)));
        assert_eq!(key_of_next(&unfolded), delta_key(2));
        unfolded.add(delta.clone());
        assert_eq!(key_of_next(&unfolded), delta_key(4));
        assert!(!unfolded.pass_over(&delta_key(3)), "it is known: another try would end as this one");
        assert!(!unfolded.pass_over(b"R"), "no place of the ring");
        assert!(unfolded.pass_over(&delta_key(0)));
        let mut batch = Batch::default();
        let state = unfolded.put_folded(&mut batch, &delta, &CountedLines::new()).unwrap();
        assert_eq!(batch.changes[1].0, delta_key(2), "the first that can be written over");
        unfolded.folded(state, CountedLines::new());
        assert_eq!(key_of_next(&unfolded), delta_key(4));
    }

    #[test]
    fn it_is_folded_after_so_many_commits_or_with_so_many_lines() {
        let mut unfolded = Unfolded::default();
        assert_eq!(unfolded.is_full(0), None);
        assert_eq!(unfolded.is_full(MOST_LINES), Some(false));
        assert_eq!(unfolded.is_full(MOST_LINES * PATIENCE as usize), Some(true));
        for _ in 0..MOST_DELTAS {
            unfolded.add(RollupDelta::default());
        }
        assert_eq!(unfolded.is_full(0), Some(false));
    }
}
