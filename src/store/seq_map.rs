//! From a 64-bit hash to every postback number that has it, in few bytes a number.

use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasherDefault, Hasher};

const SHARDS: usize = 64;

/// Hashes that are random already hash to themselves.
#[derive(Default)]
pub struct IdentityHasher(u64);

impl Hasher for IdentityHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

/// From a 64-bit hash to every postback number that has it. At most 39 bytes for each number, as the
/// tables are between 7/16 and 7/8 full; in shards, so that growing copies little at a time.
pub struct SeqMap {
    shards: Vec<HashMap<u64, u64, BuildHasherDefault<IdentityHasher>>>,
    /// The further numbers where a hash has several.
    more: HashMap<u64, BTreeSet<u64>>,
}

impl Default for SeqMap {
    fn default() -> SeqMap {
        SeqMap { shards: (0..SHARDS).map(|_| HashMap::default()).collect(), more: HashMap::new() }
    }
}

impl SeqMap {
    fn shard(hash: u64) -> usize {
        // Not the lowest bits, which choose the place in the table, nor the highest, its tag.
        let [_, _, byte, ..] = hash.to_be_bytes();
        usize::from(byte) % SHARDS
    }

    pub fn insert(&mut self, hash: u64, seq: u64) {
        let Some(shard) = self.shards.get_mut(SeqMap::shard(hash)) else { return };
        let first = *shard.entry(hash).or_insert(seq);
        if first != seq {
            self.more.entry(hash).or_default().insert(seq);
        }
    }

    pub fn remove(&mut self, hash: u64, seq: u64) {
        let further = self.more.get_mut(&hash);
        let Some(shard) = self.shards.get_mut(SeqMap::shard(hash)) else { return };
        let Some(further) = further else {
            if shard.get(&hash) == Some(&seq) {
                shard.remove(&hash);
            }
            return;
        };
        if !further.remove(&seq)
            && shard.get(&hash) == Some(&seq)
            && let Some(next) = further.pop_first()
        {
            shard.insert(hash, next);
        }
        if further.is_empty() {
            self.more.remove(&hash);
        }
    }

    /// Every number with this hash.
    pub fn find(&self, hash: u64) -> impl Iterator<Item = u64> + '_ {
        let first = self.shards.get(SeqMap::shard(hash)).and_then(|shard| shard.get(&hash));
        first.into_iter().chain(self.more.get(&hash).into_iter().flatten()).copied()
    }

    /// Up to `most` numbers above `after` with this hash, ascending.
    pub fn find_after(&self, hash: u64, after: u64, most: usize) -> Vec<u64> {
        let first = self.shards.get(SeqMap::shard(hash)).and_then(|shard| shard.get(&hash)).copied();
        let further = self.more.get(&hash).into_iter().flat_map(|more| more.range(after + 1..)).copied();
        let mut found: Vec<u64> = first.filter(|seq| *seq > after).into_iter().collect();
        found.extend(further.take(most));
        found.sort_unstable();
        found.truncate(most);
        found
    }
}
