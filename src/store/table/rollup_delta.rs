//! What the latest commits count, which is not yet in the rollups: a commit writes one record of it, and many of them
//! are folded into the rollups at once, because those are many keys.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
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
    pub fn add(&mut self, line: RollupLine, sums: &RollupSums) {
        add_line(&mut self.lines, line, sums);
    }

    /// Counts a new conversion.
    pub fn add_conversion(&mut self, conversion: &Conversion) {
        let line = RollupLine::of_conversion(conversion);
        match self.lines.get_mut(&line) {
            Some(known) => {
                known.add_conversion(conversion);
                if known.is_nothing() {
                    self.lines.remove(&line);
                }
            }
            None => drop(self.lines.insert(line, RollupSums::of_conversion(conversion))),
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
            add_line(&mut self.lines, line, &sums);
        }
        self.latest.extend(later.latest);
    }
}

fn add_line(lines: &mut CountedLines, line: RollupLine, sums: &RollupSums) {
    match lines.entry(line) {
        Entry::Vacant(_) if sums.is_nothing() => {}
        Entry::Vacant(unknown) => drop(unknown.insert(sums.clone())),
        Entry::Occupied(mut known) => {
            known.get_mut().add(sums);
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
    /// How many lines were left when it was folded last.
    left: usize,
    delta: RollupDelta,
}

impl Unfolded {
    /// Reads what was not folded when the process ended.
    ///
    /// # Errors
    /// The store's failure. What cannot be read is logged: from then on too little is counted.
    pub fn open(reader: &Reader) -> Result<Unfolded, StoreError> {
        let mut unfolded =
            Unfolded { state: reader.head(FOLDED)?.unwrap_or_default(), ..Unfolded::default() };
        let folds = unfolded.state.folds;
        let (from, to) = (delta_key(0), [PREFIX + 1]);
        reader.scan(Span { from: &from, to: &to, direction: Direction::Up }, &mut |key, bytes| {
            let read = |bytes: &[u8]| -> Result<(u64, RollupDelta), StoreError> {
                codec::read(bytes).map_err(|error| corrupt(key, &error))
            };
            match bytes.and_then(read) {
                Ok((number, delta)) if number == folds => {
                    unfolded.add(delta);
                    ControlFlow::Continue(())
                }
                // Records are used again in order: what follows was folded.
                Ok(_) => ControlFlow::Break(()),
                Err(error) => {
                    tracing::error!(%error, "what a commit counted cannot be read: totals and caps are too low");
                    unfolded.deltas += 1;
                    ControlFlow::Continue(())
                }
            }
        })?;
        Ok(unfolded)
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
        put_delta(batch, self.deltas, self.state.folds, delta)
    }

    /// Takes note of what a commit counted.
    pub fn add(&mut self, delta: RollupDelta) {
        self.deltas += 1;
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
        put_delta(batch, 0, state.folds, &rest)?;
        Ok(state)
    }

    /// Takes note that all is folded, except for the lines that are `left`.
    pub fn folded(&mut self, state: FoldedState, left: CountedLines) {
        *self = Unfolded { state, left: left.len(), ..Unfolded::default() };
        self.add(RollupDelta { lines: left, ..RollupDelta::default() });
    }
}

fn put_delta(batch: &mut Batch, place: u32, folds: u64, delta: &RollupDelta) -> Result<(), StoreError> {
    let key = delta_key(place);
    let record = codec::record(&(folds, delta)).map_err(|error| corrupt(&key, &error))?;
    batch.put(key, record);
    Ok(())
}

/// The record of the commit that was the so many-th since the last fold.
fn delta_key(place: u32) -> Vec<u8> {
    [&[PREFIX][..], &place.to_be_bytes()].concat()
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
        delta.add(cap(1), &RollupSums::of_count(2));
        delta.add(cap(2), &RollupSums::of_count(1));
        let mut later = RollupDelta::default();
        later.add(cap(1), &RollupSums::of_count(-2));
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
