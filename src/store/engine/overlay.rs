//! What is durable in the journal and not in the index yet: records in memory, over those of the index.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use bytes::Bytes;
use parking_lot::RwLock;

use crate::store::engine::kv::{Batch, Direction, KeyChange};

/// What an entry takes in memory next to its bytes, about.
const ENTRY: usize = 96;

/// A record by its key; `None`: it is gone.
pub type LayerEntry = (Vec<u8>, Option<Bytes>);

/// Changes to records, by key.
#[derive(Default)]
pub struct Layer {
    records: RwLock<BTreeMap<Vec<u8>, Option<Bytes>>>,
    bytes: AtomicUsize,
}

impl Layer {
    /// Takes the changes of a commit, all at once for those who read.
    pub fn take(&self, batch: Batch) {
        let mut records = self.records.write();
        let mut bytes = 0;
        for (key, change) in batch.changes {
            let value = match change {
                KeyChange::Add(value) | KeyChange::Put(value) => Some(Bytes::from(value)),
                KeyChange::Remove => None,
            };
            bytes += ENTRY + key.len() + value.as_ref().map_or(0, Bytes::len);
            records.insert(key, value);
        }
        drop(records);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Takes one change.
    pub fn put(&self, key: Vec<u8>, value: Option<Bytes>) {
        let size = |value: &Option<Bytes>| value.as_ref().map_or(0, Bytes::len);
        let (own, new) = (ENTRY + key.len(), size(&value));
        match self.records.write().insert(key, value) {
            Some(before) => {
                self.bytes.fetch_add(new, Ordering::Relaxed);
                self.bytes.fetch_sub(size(&before), Ordering::Relaxed);
            }
            None => drop(self.bytes.fetch_add(own + new, Ordering::Relaxed)),
        }
    }

    /// About how many bytes of memory were taken.
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Whether nothing is changed.
    pub fn is_empty(&self) -> bool {
        self.records.read().is_empty()
    }

    /// What becomes of a key; `None`: nothing.
    pub fn get(&self, key: &[u8]) -> Option<Option<Bytes>> {
        self.records.read().get(key).cloned()
    }

    /// Up to `limit` changes within the bounds, in this direction.
    fn some(&self, (from, to): KeyBounds<'_>, direction: Direction, limit: usize) -> Vec<LayerEntry> {
        let is_empty = match (from, to) {
            (Bound::Included(from), Bound::Excluded(to)) | (Bound::Excluded(from), Bound::Excluded(to)) => {
                from >= to
            }
            _ => false,
        };
        if is_empty {
            return Vec::new();
        }
        let records = self.records.read();
        let range = records.range::<[u8], _>((from, to));
        let own = |(key, value): (&Vec<u8>, &Option<Bytes>)| (key.clone(), value.clone());
        match direction {
            Direction::Up => range.take(limit).map(own).collect(),
            Direction::Down => range.rev().take(limit).map(own).collect(),
        }
    }
}

/// Between which keys.
type KeyBounds<'a> = (Bound<&'a [u8]>, Bound<&'a [u8]>);

/// Layers that lie over each other, the newest first.
pub type LayerStack = Vec<Arc<Layer>>;

/// The layers over the index.
pub struct Overlay {
    layers: RwLock<OverlayLayers>,
    /// The last commit that was taken.
    last: AtomicU64,
}

#[derive(Default)]
struct OverlayLayers {
    /// Takes what is committed.
    active: Arc<Layer>,
    /// Is being written to the index.
    frozen: Option<Arc<Layer>>,
    /// What the index could not take or give, since it is damaged there.
    pinned: Arc<Layer>,
}

impl Overlay {
    /// Nothing is over an index that has all commits up to `applied`.
    pub fn new(applied: u64) -> Overlay {
        Overlay { layers: RwLock::default(), last: AtomicU64::new(applied) }
    }

    /// Takes the changes of commit `lsn`.
    pub fn take(&self, batch: Batch, lsn: u64) {
        // Under the lock, so that nothing is added to what is frozen.
        let layers = self.layers.read();
        layers.active.take(batch);
        self.last.store(lsn, Ordering::Release);
    }

    /// How much was taken since the last freeze.
    pub fn active_bytes(&self) -> usize {
        self.layers.read().active.bytes()
    }

    /// Whether what was frozen is still being written.
    pub fn is_freezing(&self) -> bool {
        self.layers.read().frozen.is_some()
    }

    /// What is to be written to the index next, and the last commit in it. It can be read here until [`Overlay::thawed`].
    pub fn freeze(&self) -> (Arc<Layer>, u64) {
        let mut layers = self.layers.write();
        let frozen = std::mem::take(&mut layers.active);
        layers.frozen = Some(Arc::clone(&frozen));
        (frozen, self.last.load(Ordering::Acquire))
    }

    /// What was frozen is in the index.
    pub fn thawed(&self) {
        self.layers.write().frozen = None;
    }

    /// Keeps a record here, under whatever is committed later.
    pub fn pin(&self, key: Vec<u8>, value: Option<Bytes>) {
        let pinned = Arc::clone(&self.layers.read().pinned);
        pinned.put(key, value);
    }

    /// How many bytes of memory are kept so, about.
    pub fn pinned_bytes(&self) -> usize {
        self.layers.read().pinned.bytes()
    }

    /// What is pinned of these keys is as they are changed now.
    pub fn keep_pinned_current(&self, changed: &Batch) {
        let pinned = Arc::clone(&self.layers.read().pinned);
        for (key, change) in changed.changes.iter().filter(|(key, _)| pinned.get(key).is_some()) {
            let value = match change {
                KeyChange::Add(value) | KeyChange::Put(value) => Some(Bytes::from(value.clone())),
                KeyChange::Remove => None,
            };
            pinned.put(key.clone(), value);
        }
    }

    /// What becomes of a key; `None`: nothing.
    pub fn get(&self, key: &[u8]) -> Option<Option<Bytes>> {
        let layers = self.layers.read();
        let frozen = || layers.frozen.as_ref().and_then(|frozen| frozen.get(key));
        layers.active.get(key).or_else(frozen).or_else(|| layers.pinned.get(key))
    }

    /// The layers as they are now. Those who hold them see what is committed to the newest meanwhile, and lose nothing that
    /// is written to the index.
    pub fn stack(&self) -> LayerStack {
        let layers = self.layers.read();
        let all = [Some(&layers.active), layers.frozen.as_ref(), Some(&layers.pinned)];
        all.into_iter().flatten().cloned().collect()
    }
}

/// How many changes are looked at together: few at first, since many who look need no more.
const FIRST_CHUNK: usize = 8;
const MOST_CHUNK: usize = 128;

/// The changes of several layers within a span, in order, of each key the newest.
pub struct LayerCursor {
    layers: LayerStack,
    from: Bound<Vec<u8>>,
    to: Bound<Vec<u8>>,
    direction: Direction,
    /// How many changes are looked up next.
    some: usize,
    /// What was looked up and not taken, the next one last.
    chunk: Vec<LayerEntry>,
    ended: bool,
}

impl LayerCursor {
    /// From `from` (inclusive) to `to` (exclusive).
    pub fn new(layers: LayerStack, from: &[u8], to: &[u8], direction: Direction) -> LayerCursor {
        LayerCursor {
            layers,
            from: Bound::Included(from.to_vec()),
            to: Bound::Excluded(to.to_vec()),
            direction,
            some: FIRST_CHUNK,
            chunk: Vec::new(),
            ended: false,
        }
    }

    /// The next change, which stays the next one.
    pub fn peek(&mut self) -> Option<&LayerEntry> {
        if self.chunk.is_empty() && !self.ended {
            self.fill();
        }
        self.chunk.last()
    }

    /// The next change.
    pub fn take_next(&mut self) -> Option<LayerEntry> {
        self.peek()?;
        self.chunk.pop()
    }

    fn fill(&mut self) {
        let bounds = (self.from.as_ref().map(Vec::as_slice), self.to.as_ref().map(Vec::as_slice));
        let is_before = |one: &[u8], other: &[u8]| match self.direction {
            Direction::Up => one < other,
            Direction::Down => one > other,
        };
        // No further than where a layer has more that was not looked at.
        let mut limit: Option<Vec<u8>> = None;
        let mut found: BTreeMap<Vec<u8>, Option<Bytes>> = BTreeMap::new();
        for layer in &self.layers {
            let some = layer.some(bounds, self.direction, self.some);
            if let Some((last, _)) = some.last().filter(|_| some.len() == self.some)
                && limit.as_ref().is_none_or(|limit| is_before(last, limit))
            {
                limit = Some(last.clone());
            }
            for (key, value) in some {
                found.entry(key).or_insert(value);
            }
        }
        if let Some(limit) = &limit {
            found.retain(|key, _| !is_before(limit, key));
        }
        let in_order: Box<dyn Iterator<Item = LayerEntry>> = match self.direction {
            Direction::Up => Box::new(found.into_iter().rev()),
            Direction::Down => Box::new(found.into_iter()),
        };
        self.chunk = in_order.collect();
        self.some = MOST_CHUNK.min(2 * self.some);
        match limit {
            None => self.ended = true,
            Some(limit) => match self.direction {
                Direction::Up => self.from = Bound::Excluded(limit),
                Direction::Down => self.to = Bound::Excluded(limit),
            },
        }
    }
}
