//! Unpacked blocks that were read lately: their neighbours are often read next.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

use parking_lot::RwLock;
use quick_cache::unsync::Cache;
use quick_cache::{DefaultHashBuilder, Lifecycle, Weighter};

use crate::store::engine::block::PackedBlock;

/// How many bytes of unpacked blocks are kept at hand, and about how many blocks. Those of one long record are not among
/// them.
const BYTES: u64 = 16 * 1024 * 1024;
const BLOCKS: usize = 2048;

/// Blocks by the key of each one's first record. Readers of what is kept share the lock.
#[derive(Default)]
pub struct RecentBlocks(RwLock<KeptBlocks>);

struct KeptBlocks {
    blocks: Cache<Vec<u8>, Arc<PackedBlock>, BlockBytes, DefaultHashBuilder, EvictedKeys>,
    /// The keys of those blocks, in order: a record is looked for by the last one that is not behind it.
    keys: BTreeSet<Vec<u8>>,
    /// How many commits have changed blocks.
    commits: u64,
}

impl Default for KeptBlocks {
    fn default() -> KeptBlocks {
        let blocks = Cache::with(BLOCKS, BYTES, BlockBytes, DefaultHashBuilder::default(), EvictedKeys);
        KeptBlocks { blocks, keys: BTreeSet::new(), commits: 0 }
    }
}

impl KeptBlocks {
    /// The block that has a record with this key, or has none of it between two of its own.
    fn of(&self, key: &[u8]) -> Option<Arc<PackedBlock>> {
        let up_to = (Bound::Unbounded, Bound::Included(key));
        let block = self.blocks.get(self.keys.range::<[u8], _>(up_to).next_back()?)?;
        let is_within = block.records().next_back().is_some_and(|(last, _)| key <= last);
        is_within.then(|| Arc::clone(block))
    }
}

impl RecentBlocks {
    /// The block that has a record with this key, or has none of it between two of its own; or how many commits have
    /// changed blocks, for [`RecentBlocks::keep`].
    pub fn of(&self, key: &[u8]) -> Result<Arc<PackedBlock>, u64> {
        let kept = self.0.read();
        kept.of(key).ok_or(kept.commits)
    }

    /// Keeps a block that was read when there had been so many commits.
    pub fn keep(&self, first: Vec<u8>, block: &Arc<PackedBlock>, commits: u64) {
        if !block.is_short() {
            return;
        }
        let mut kept = self.0.write();
        if commits != kept.commits {
            return;
        }
        kept.keys.insert(first.clone());
        for evicted in kept.blocks.insert_with_lifecycle(first, Arc::clone(block)) {
            kept.keys.remove(&evicted);
        }
    }

    /// Forgets what a commit changes.
    pub fn forget(&self, changed: &[Vec<u8>]) {
        let mut kept = self.0.write();
        kept.commits += 1;
        if kept.keys.is_empty() {
            return;
        }
        for first in changed {
            if kept.keys.remove(first) {
                kept.blocks.remove(first);
            }
        }
    }
}

/// Weighs a block by its bytes.
#[derive(Clone, Copy)]
struct BlockBytes;

impl Weighter<Vec<u8>, Arc<PackedBlock>> for BlockBytes {
    fn weight(&self, first: &Vec<u8>, block: &Arc<PackedBlock>) -> u64 {
        // The key is there twice.
        (2 * first.len() + block.bytes_in_memory()) as u64
    }
}

/// Answers the keys of what had to go for what is kept.
struct EvictedKeys;

impl Lifecycle<Vec<u8>, Arc<PackedBlock>> for EvictedKeys {
    type RequestState = Vec<Vec<u8>>;

    fn begin_request(&self) -> Vec<Vec<u8>> {
        Vec::new()
    }

    fn on_evict(&self, evicted: &mut Vec<Vec<u8>>, first: Vec<u8>, _block: Arc<PackedBlock>) {
        evicted.push(first);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::engine::block::BlockPacker;

    fn key(number: u64) -> Vec<u8> {
        [b"B", &number.to_be_bytes()[..]].concat()
    }

    /// Two records, ten numbers apart.
    fn block(first: u64, length: usize) -> Arc<PackedBlock> {
        let (keys, value) = ([key(first), key(first + 10)], vec![7; length]);
        let packed = BlockPacker::default().pack(&keys.each_ref().map(|key| (&key[..], &value[..]))).unwrap();
        Arc::new(PackedBlock::open(&key(first), Ok(&packed)).unwrap())
    }

    #[test]
    fn blocks_are_kept_up_to_so_many_bytes_and_their_keys_go_with_them() {
        let recent = RecentBlocks::default();
        for number in 0..4096 {
            recent.keep(key(number * 100), &block(number * 100, 8000), 0);
        }
        let kept = recent.0.read();
        assert!(kept.blocks.weight() <= BYTES, "{}", kept.blocks.weight());
        assert!(kept.blocks.weight() > BYTES / 2, "{}", kept.blocks.weight());
        assert_eq!(kept.keys.len(), kept.blocks.len());
        assert!(kept.keys.iter().all(|first| kept.blocks.peek(first).is_some()));
    }

    #[test]
    fn a_block_is_found_by_what_is_between_its_records_and_not_by_what_is_behind() {
        let recent = RecentBlocks::default();
        recent.keep(key(100), &block(100, 9), 0);
        recent.keep(key(300), &block(300, 9), 0);
        assert!([100, 105, 110, 300, 310].iter().all(|number| recent.of(&key(*number)).is_ok()));
        assert!([99, 111, 299, 311].iter().all(|number| recent.of(&key(*number)).is_err()));
    }

    #[test]
    fn what_was_read_before_a_commit_is_not_kept_after_it() {
        let recent = RecentBlocks::default();
        let Err(commits) = recent.of(&key(100)) else { panic!("nothing was kept") };
        recent.forget(&[key(100)]);
        recent.keep(key(100), &block(100, 9), commits);
        assert!(recent.of(&key(100)).is_err());
        recent.keep(key(100), &block(100, 9), commits + 1);
        assert!(recent.of(&key(100)).is_ok());
        recent.forget(&[key(100)]);
        assert!(recent.of(&key(100)).is_err());
    }
}
