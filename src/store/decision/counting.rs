//! What a group counts, as its commands are decided.

use std::collections::BTreeSet;

use crate::domain::click::Click;
use crate::domain::conversion::Conversion;
use crate::domain::ids::Seq;
use crate::domain::postback::{Postback, VerdictName};
use crate::store::table::cap_tally::Tally;
use crate::store::table::rollup::{RollupLine, RollupSums};
use crate::store::table::rollup_delta::RollupDelta;

/// What a group counts: written in the group's own commit, so that it always equals a recount of what is kept.
#[derive(Default)]
pub struct Counting {
    delta: RollupDelta,
    /// How many conversions the group adds where caps count them.
    pub caps: Tally,
    /// Postbacks that the group reprocesses.
    pub reprocessed: BTreeSet<u64>,
}

impl Counting {
    /// Counts a new conversion.
    pub fn new_conversion(&mut self, conversion: &Conversion) {
        self.caps.apply(None, Some(conversion));
        self.delta.add_conversion(conversion);
    }

    /// Moves a conversion from one appearance to another.
    pub fn conversion(&mut self, before: &Conversion, after: Option<&Conversion>) {
        self.caps.apply(Some(before), after);
        let of = |conversion: &Conversion| {
            (RollupLine::of_conversion(conversion), RollupSums::of_conversion(conversion))
        };
        let (before, after) = (of(before), after.map(of));
        if after.as_ref() == Some(&before) {
            return;
        }
        self.add(before.0, before.1.negated());
        after.into_iter().for_each(|(line, sums)| self.add(line, sums));
    }

    /// Moves a click from one appearance to another.
    pub fn click(&mut self, before: Option<&Click>, after: Option<&Click>) {
        let (before, after) = (before.map(RollupLine::of_click), after.map(RollupLine::of_click));
        if before == after {
            return;
        }
        before.into_iter().for_each(|line| self.add(line, RollupSums::of_count(-1)));
        after.into_iter().for_each(|line| self.add(line, RollupSums::of_count(1)));
    }

    /// Counts a new postback.
    pub fn postback(&mut self, postback: &Postback) {
        self.add(RollupLine::of_postback(postback, false), RollupSums::of_count(1));
        // What reprocesses an earlier one has the time of that one.
        let is_received = postback.again.is_none() && postback.verdict.name() != VerdictName::Refused;
        if let Some(source) = postback.source.as_ref().filter(|_| is_received) {
            self.delta.received(source, postback.received_at);
        }
        self.reprocessed.extend(postback.again.map(Seq::get));
    }

    /// A quarantined postback is reprocessed: no one has to look at it any more.
    pub fn settle(&mut self, postback: &Postback) {
        self.add(RollupLine::of_postback(postback, false), RollupSums::of_count(-1));
        self.add(RollupLine::of_postback(postback, true), RollupSums::of_count(1));
    }

    /// A postback is gone; `reprocessed` says whether a later record had its bytes.
    pub fn forget(&mut self, postback: &Postback, reprocessed: bool) {
        self.add(RollupLine::of_postback(postback, reprocessed), RollupSums::of_count(-1));
    }

    fn add(&mut self, line: RollupLine, sums: RollupSums) {
        self.delta.add(line, sums);
    }

    /// Adds what another counted of what is gone.
    pub fn append(&mut self, other: Counting) {
        self.delta.append(other.delta);
        other.caps.each().for_each(|(place, count)| self.caps.add(place.clone(), count));
    }

    /// All of it, to be written.
    pub fn take(&mut self) -> RollupDelta {
        let mut delta = std::mem::take(&mut self.delta);
        for ((offer, day), count) in self.caps.each() {
            delta.add(RollupLine::of_cap(offer.clone(), *day), RollupSums::of_count(count));
        }
        delta
    }
}
