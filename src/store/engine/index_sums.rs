//! What proves an index whole: how many keys of each kind it has, and a sum over keys and values that does not depend on
//! their order. It is moved on with each write, and counted again when the index is opened.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use twox_hash::{XxHash3_64, XxHash3_128};

/// Keys by their first byte.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexSums {
    kinds: BTreeMap<u8, KindSum>,
}

/// The keys of one kind.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct KindSum {
    count: u64,
    /// The sum of the hashes of all pairs, which wraps.
    sum: u128,
    /// The bytes of all keys and values.
    bytes: u64,
}

/// How far an index is, as it is kept in the index itself.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexMark {
    /// The last commit of the journal that is in it, with all before.
    pub applied: u64,
    /// Whether the store was closed then, and not opened since.
    pub closed: bool,
    /// What is in it, parts of later commits among them.
    pub sums: IndexSums,
}

impl IndexSums {
    /// There is a pair more.
    pub fn add(&mut self, key: &[u8], value: &[u8]) {
        let kind = self.kind(key);
        kind.count = kind.count.wrapping_add(1);
        kind.sum = kind.sum.wrapping_add(hash(key, value));
        kind.bytes = kind.bytes.wrapping_add(bytes(key, value));
    }

    /// There is a pair less.
    pub fn take(&mut self, key: &[u8], value: &[u8]) {
        let kind = self.kind(key);
        kind.count = kind.count.wrapping_sub(1);
        kind.sum = kind.sum.wrapping_sub(hash(key, value));
        kind.bytes = kind.bytes.wrapping_sub(bytes(key, value));
        let first = key.first().copied().unwrap_or_default();
        if *kind == KindSum::default() {
            self.kinds.remove(&first);
        }
    }

    fn kind(&mut self, key: &[u8]) -> &mut KindSum {
        self.kinds.entry(key.first().copied().unwrap_or_default()).or_default()
    }

    /// The bytes of all keys and values.
    pub fn bytes(&self) -> u64 {
        self.kinds.values().map(|kind| kind.bytes).fold(0, u64::wrapping_add)
    }

    /// How it differs from what was counted, in words; `None`: not at all.
    pub fn difference(&self, counted: &IndexSums) -> Option<String> {
        let kinds = self.kinds.keys().chain(counted.kinds.keys());
        kinds.into_iter().find_map(|kind| {
            let of = |sums: &IndexSums| sums.kinds.get(kind).copied().unwrap_or_default();
            let (own, found) = (of(self), of(counted));
            let name = [*kind].escape_ascii().to_string();
            if own.count != found.count {
                return Some(format!(
                    "it has {} keys of kind {name} and should have {}",
                    found.count, own.count
                ));
            }
            (own.sum != found.sum).then(|| format!("its keys of kind {name} are not those that were written"))
        })
    }
}

fn bytes(key: &[u8], value: &[u8]) -> u64 {
    (key.len() + value.len()) as u64
}

fn hash(key: &[u8], value: &[u8]) -> u128 {
    XxHash3_128::oneshot_with_seed(XxHash3_64::oneshot(key), value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_writes_does_not_matter_and_what_is_taken_away_leaves_nothing() {
        let (mut one, mut other) = (IndexSums::default(), IndexSums::default());
        one.add(b"Ha", b"1");
        one.add(b"Hb", b"2");
        one.add(b"K", b"3");
        other.add(b"K", b"3");
        other.add(b"Hb", b"1");
        other.add(b"Ha", b"1");
        assert!(one.difference(&other).unwrap().contains("are not those"));
        other.take(b"Hb", b"1");
        assert!(one.difference(&other).unwrap().contains("has 1 keys of kind H and should have 2"));
        other.add(b"Hb", b"2");
        assert_eq!(one, other);
        assert_eq!((one.difference(&other), one.bytes()), (None, 8));
        for (key, value) in [(b"Ha", b"1"), (b"Hb", b"2")] {
            one.take(key, value);
        }
        one.take(b"K", b"3");
        assert_eq!(one, IndexSums::default());
    }
}
