//! The latest arrivals by their ids, so that one that is asked for again is known. In memory alone: only this process can
//! ask again.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};

use crate::store::contract::arrival::ArrivalId;

/// How many are known: more than can wait for an answer at a time.
const KNOWN: usize = 65_536;

/// The bits of an id are as good as random: half of them are its hash.
#[derive(Default)]
pub struct ArrivalHasher(u64);

impl Hasher for ArrivalHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = self.0.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u128(&mut self, bits: u128) {
        self.0 = bits as u64;
    }
}

/// From arrivals to the numbers of their postbacks.
pub type ArrivalNumbers = HashMap<ArrivalId, u64, BuildHasherDefault<ArrivalHasher>>;

/// The latest arrivals, and the numbers of their postbacks.
#[derive(Default)]
pub struct RecentArrivals {
    numbers: ArrivalNumbers,
    /// The first is forgotten first.
    order: VecDeque<ArrivalId>,
}

impl RecentArrivals {
    /// The number of its postback, where it is one of the latest.
    pub fn find(&self, id: ArrivalId) -> Option<u64> {
        self.numbers.get(&id).copied()
    }

    /// Notes what a commit brought.
    pub fn note(&mut self, brought: &ArrivalNumbers) {
        let mut brought: Vec<(u64, ArrivalId)> = brought.iter().map(|(id, number)| (*number, *id)).collect();
        brought.sort_unstable_by_key(|(number, _)| *number);
        for (number, id) in brought {
            // One whose postback was purged may be received again.
            if self.numbers.insert(id, number).is_none() {
                self.order.push_back(id);
            }
            if self.order.len() > KNOWN
                && let Some(first) = self.order.pop_front()
            {
                self.numbers.remove(&first);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_are_known_and_no_more() {
        let mut recent = RecentArrivals::default();
        let group = |numbers: std::ops::Range<u64>| numbers.map(|n| (ArrivalId::new(n.into()), n)).collect();
        let more = 1010;
        // The last group is forgotten in part: the first of its numbers.
        for from in (0..KNOWN as u64).step_by(4096) {
            recent.note(&group(from..from + 4096));
        }
        recent.note(&group(KNOWN as u64..KNOWN as u64 + more));
        recent.note(&group(more..more + 1));
        let known = |number: u64| recent.find(ArrivalId::new(number.into()));
        assert_eq!(
            (known(more - 1), known(more), known(KNOWN as u64 + more - 1)),
            (None, Some(more), Some(KNOWN as u64 + more - 1))
        );
        assert_eq!((recent.numbers.len(), recent.order.len()), (KNOWN, KNOWN));
    }
}
