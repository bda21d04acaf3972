//! Reads records by what they are, through caches that never serve what a commit has replaced.

use std::collections::VecDeque;
use std::hash::{BuildHasher, Hash, RandomState};
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};

use parking_lot::{Mutex, RwLock};
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use serde::de::DeserializeOwned;

use crate::domain::click::Click;
use crate::domain::conversion::Conversion;
use crate::domain::delivery::Attempt;
use crate::domain::ids::ClickId;
use crate::domain::ruleset::Ruleset;
use crate::store::clicks::StoredClick;
use crate::store::clicks::lately::RecentClicks;
use crate::store::contract::error::StoreError;
use crate::store::engine::kv::{Direction, Kv, KvError, ScanVisitor, Span};
use crate::store::index::Index;
use crate::store::layout::{
    self, Attempts, Block, DeliveryStates, EntryHead, LayoutError, Marks, Sketch, StoredAttempt, key,
};
use crate::store::sources::QuarantineLines;
use crate::store::weight::ByBytes;

/// Clicks kept at hand: about so many, and never more bytes than this.
const CLICKS: usize = 64 * 1024;
const CLICK_BYTES: u64 = 80 * 1024 * 1024;
/// Blocks kept unpacked.
const BLOCKS: usize = 256;
const BLOCK_BYTES: u64 = 32 * 1024 * 1024;
const BANDS: usize = 64;

/// A conversion as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub conversion: Conversion,
    pub standing: DeliveryStates,
    /// Whether it has an overlay.
    pub overlay: bool,
}

/// What reading and writing share.
pub struct StoreShared {
    pub records: Records,
    pub index: Mutex<Index>,
    /// What decisions go by; see [`crate::store::contract::Store::set_rules`].
    pub rules: RwLock<Arc<Ruleset>>,
    /// Only the writer moves it on.
    pub lately: Mutex<RecentClicks>,
    pub quarantine_lines: Arc<Mutex<QuarantineLines>>,
}

/// A read whose panic fails it alone, as a damaged record does: a restart would meet the same bytes. What panicked,
/// and where, is in the log.
pub fn without_panic<T>(read: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_logged| {
        let (key, cause) = ("that was looked for".to_owned(), "reading it panicked; see the log".to_owned());
        Err(StoreError::Corrupt { key, cause })
    })
}

/// All reading of the embedded store.
pub struct Records {
    kv: Arc<dyn Kv>,
    failed: OnceLock<StoreError>,
    blocks: CoherentCache<u64, Arc<Block>>,
    clicks: CoherentCache<ClickId, Arc<Click>>,
}

impl Records {
    pub fn new(kv: Arc<dyn Kv>) -> Records {
        Records {
            kv,
            failed: OnceLock::new(),
            blocks: CoherentCache::new(BLOCKS, BLOCK_BYTES),
            clicks: CoherentCache::new(CLICKS, CLICK_BYTES),
        }
    }

    pub fn kv(&self) -> &dyn Kv {
        self.kv.as_ref()
    }

    /// The failure that ended this store, if one did.
    pub fn check(&self) -> Result<(), StoreError> {
        self.failed.get().map_or(Ok(()), |error| Err(error.clone()))
    }

    /// Ends the store: every later operation fails as this one did.
    pub fn fail(&self, doing: &'static str, cause: impl ToString) -> StoreError {
        let broken = StoreError::Broken { doing, cause: cause.to_string() };
        self.failed.get_or_init(|| broken).clone()
    }

    /// What failed is that one record alone, or the whole store from now on.
    fn failed_read(&self, error: KvError) -> StoreError {
        match error {
            KvError::Damaged { key, cause } => {
                StoreError::Corrupt { key: key.escape_ascii().to_string(), cause }
            }
            KvError::Failed(cause) => self.fail("read", cause),
        }
    }

    /// The record at `key`.
    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.check()?;
        self.kv.get(key).map_err(|error| self.failed_read(error))
    }

    /// Visits values upwards or downwards, as [`Kv::scan`].
    pub fn scan(&self, span: Span<'_>, visit: ScanVisitor<'_>) -> Result<(), StoreError> {
        self.check()?;
        self.kv.scan(span, visit).map_err(|error| self.failed_read(error))
    }

    /// The body of the record at `key`, past every cache.
    pub fn body<B: DeserializeOwned>(&self, key: &[u8]) -> Result<Option<B>, StoreError> {
        let body = |bytes: Vec<u8>| layout::body(&bytes).map_err(|error| corrupt(key, &error));
        self.get(key)?.map(body).transpose()
    }

    /// The head of the record at `key`, past every cache.
    pub fn head<H: DeserializeOwned>(&self, key: &[u8]) -> Result<Option<H>, StoreError> {
        let head = |bytes: Vec<u8>| layout::head(&bytes).map_err(|error| corrupt(key, &error));
        self.get(key)?.map(head).transpose()
    }

    /// The heads of the block that begins at `first`.
    pub fn block_heads(&self, first: u64) -> Result<Option<Vec<EntryHead>>, StoreError> {
        if let Some(block) = self.blocks.get(&first) {
            return Ok(Some(block.heads.clone()));
        }
        self.head(&key::heads(first))
    }

    /// The block that begins at `first`.
    pub fn block(&self, first: u64) -> Result<Option<Arc<Block>>, StoreError> {
        self.blocks.get_or_read(&first, || self.block_afresh(first).map(|found| found.map(Arc::new)))
    }

    /// The block as stored, past the cache.
    pub fn block_afresh(&self, first: u64) -> Result<Option<Block>, StoreError> {
        let Some(heads) = self.head(&key::heads(first))? else { return Ok(None) };
        let Some(entries) = self.body(&key::block(first))? else { return Ok(None) };
        Ok(Some(Block { first, heads, entries }))
    }

    /// The marks next to the block that begins at `first`.
    pub fn marks(&self, first: u64) -> Result<Marks, StoreError> {
        Ok(self.body(&key::marks(first))?.unwrap_or_default())
    }

    /// What replaced conversion `seq` of its block.
    pub fn overlay(&self, seq: u64) -> Result<Option<Record>, StoreError> {
        let key = key::overlay(seq);
        let Some(bytes) = self.get(&key)? else { return Ok(None) };
        let unpack = || {
            let sketch: Sketch = layout::head(&bytes)?;
            Ok(Record { conversion: layout::body(&bytes)?, standing: sketch.standing, overlay: true })
        };
        unpack().map(Some).map_err(|error| corrupt(&key, &error))
    }

    /// Conversion `seq` of the block that begins at `first`, as it is now.
    pub fn record(&self, first: u64, seq: u64) -> Result<Option<Record>, StoreError> {
        if let Some(record) = self.overlay(seq)? {
            return Ok(Some(record));
        }
        let Some(block) = self.block(first)? else { return Ok(None) };
        let marks = self.marks(first)?;
        record_in(&block, &marks, seq).map_err(|error| corrupt(&key::marks(first), &error))
    }

    /// The text kept under this name.
    pub fn text(&self, name: &str) -> Result<Option<String>, StoreError> {
        self.body(&key::text(name))
    }

    /// The click with this id, where it is in memory.
    pub fn click_at_hand(&self, id: &ClickId) -> Option<Arc<Click>> {
        self.clicks.get(id)
    }

    /// The click with this id.
    pub fn click(&self, id: &ClickId) -> Result<Option<Arc<Click>>, StoreError> {
        self.check()?;
        self.clicks.get_or_read(id, || self.click_afresh(id).map(|found| found.map(Arc::new)))
    }

    /// The click as stored, past the cache.
    pub fn click_afresh(&self, id: &ClickId) -> Result<Option<Click>, StoreError> {
        let key = key::click(id);
        let stored: Option<StoredClick<'static>> = self.body(&key)?;
        stored.map(|stored| stored.into_click().map_err(|error| corrupt(&key, &error))).transpose()
    }

    /// The block of attempts that holds attempt `number`: its first number, and the attempts.
    pub fn attempt_block(&self, number: u64) -> Result<Option<(u64, Attempts)>, StoreError> {
        let mut found = None;
        let (from, to) = (key::attempts(0), key::attempts(number.saturating_add(1)));
        let span = Span { from: &from, to: &to, direction: Direction::Down };
        self.scan(span, &mut |key, bytes| {
            found = key::number(key).map(|first| (first, bytes.to_vec()));
            ControlFlow::Break(())
        })?;
        let Some((first, bytes)) = found else { return Ok(None) };
        let attempts = layout::body(&bytes).map_err(|error| corrupt(&key::attempts(first), &error))?;
        Ok(Some((first, attempts)))
    }

    /// Attempt `number` of delivery `delivery` of conversion `seq`; `None` when it is purged.
    pub fn attempt(&self, number: u64) -> Result<Option<StoredAttempt>, StoreError> {
        let Some((first, mut block)) = self.attempt_block(number)? else { return Ok(None) };
        let place = usize::try_from(number - first).ok();
        Ok(place.and_then(|at| block.get_mut(at)).and_then(Option::take))
    }

    /// The attempts that end with number `last`, in order.
    pub fn attempts(&self, last: Option<u64>) -> Result<Vec<Attempt>, StoreError> {
        let mut found = VecDeque::new();
        let mut next = last;
        while let Some(number) = next {
            let Some(stored) = self.attempt(number)? else { break };
            found.push_front(stored.attempt);
            // A chain leads back in time; anything else would be a circle.
            next = stored.previous.filter(|previous| *previous < number);
        }
        Ok(found.into())
    }

    /// What a commit replaced: `None` is removed.
    pub fn replaced(
        &self,
        blocks: impl IntoIterator<Item = (u64, Option<Arc<Block>>)>,
        clicks: impl IntoIterator<Item = (ClickId, Option<Arc<Click>>)>,
    ) {
        for (first, block) in blocks {
            self.blocks.replace(first, block);
        }
        for (id, click) in clicks {
            self.clicks.replace(id, click);
        }
    }
}

/// Conversion `seq` of a block under the marks next to it; an overlay is not looked for.
fn record_in(block: &Block, marks: &Marks, seq: u64) -> Result<Option<Record>, LayoutError> {
    let Some((head, entry)) = block.entry(seq) else { return Ok(None) };
    let Some(conversion) = entry.conversion.clone() else { return Ok(None) };
    let standing = standing_in(head, marks, seq - block.first)?;
    Ok(standing.map(|standing| Record { conversion, standing, overlay: false }))
}

/// The deliveries of entry number `at` of a block under the marks next to it.
///
/// # Errors
/// A mark of a delivery that the conversion does not have.
pub fn standing_in(head: &EntryHead, marks: &Marks, at: u64) -> Result<Option<DeliveryStates>, LayoutError> {
    let Some(sketch) = &head.sketch else { return Ok(None) };
    let mut standing = sketch.standing.clone();
    for mark in marks.iter().filter(|mark| u64::from(mark.entry) == at) {
        let place = usize::try_from(mark.delivery).ok();
        let (Some(delivery), Some(last)) = (
            place.and_then(|place| standing.deliveries.get_mut(place)),
            place.and_then(|place| standing.last_attempts.get_mut(place)),
        ) else {
            return Err(LayoutError::Dangling { what: "delivery", number: u64::from(mark.delivery) });
        };
        delivery.state = mark.state.clone();
        delivery.expires_at = mark.expires_at;
        delivery.attempts = mark.attempts;
        *last = mark.last_attempt;
    }
    Ok(Some(standing))
}

/// A stored record that cannot be read.
pub fn corrupt(key: &[u8], error: &LayoutError) -> StoreError {
    StoreError::Corrupt { key: key.escape_ascii().to_string(), cause: error.to_string() }
}

/// A cache of so many bytes in front of the engine. A reader that was overtaken by a commit does not put
/// its old value back: it finds its band's number moved.
struct CoherentCache<K, V> {
    cache: Cache<K, V, ByBytes>,
    bands: Vec<Mutex<u64>>,
    hasher: RandomState,
}

impl<K: Hash + Eq + Clone, V: Clone> CoherentCache<K, V>
where
    ByBytes: Weighter<K, V>,
{
    fn new(items: usize, bytes: u64) -> CoherentCache<K, V> {
        CoherentCache {
            cache: Cache::with_weighter(items, bytes, ByBytes),
            bands: (0..BANDS).map(|_| Mutex::new(0)).collect(),
            hasher: RandomState::new(),
        }
    }

    fn get(&self, key: &K) -> Option<V> {
        self.cache.get(key)
    }

    fn get_or_read<E>(&self, key: &K, read: impl FnOnce() -> Result<Option<V>, E>) -> Result<Option<V>, E> {
        if let Some(value) = self.cache.get(key) {
            return Ok(Some(value));
        }
        let before = self.band(key).map(|band| *band.lock());
        let read = read()?;
        if let (Some(value), Some(band)) = (&read, self.band(key)) {
            let now = band.lock();
            if Some(*now) == before {
                self.cache.insert(key.clone(), value.clone());
            }
        }
        Ok(read)
    }

    fn replace(&self, key: K, value: Option<V>) {
        let Some(band) = self.band(&key) else { return };
        let mut number = band.lock();
        *number = number.wrapping_add(1);
        match value {
            Some(value) => self.cache.insert(key, value),
            None => {
                self.cache.remove(&key);
            }
        }
    }

    fn band(&self, key: &K) -> Option<&Mutex<u64>> {
        let [.., low] = self.hasher.hash_one(key).to_be_bytes();
        self.bands.get(usize::from(low) % BANDS)
    }
}
