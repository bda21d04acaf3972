//! A cache in front of the engine that never serves what a commit has replaced.

use std::hash::{BuildHasher, Hash, RandomState};

use parking_lot::Mutex;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::store::weight::ByBytes;

const BANDS: usize = 64;

/// A cache of so many bytes in front of the engine. A reader that was overtaken by a commit does not put
/// its old value back: it finds its band's number moved.
pub struct CoherentCache<K, V> {
    cache: Cache<K, WeighedValue<V>, KnownWeight>,
    bands: Vec<Mutex<u64>>,
    hasher: RandomState,
}

/// A value with what it weighs: what is thrown out is weighed again, long after anyone has looked at it.
#[derive(Clone)]
struct WeighedValue<V> {
    value: V,
    weight: u64,
}

/// By what was found when a value was put in.
#[derive(Clone, Copy)]
struct KnownWeight;

impl<K, V> Weighter<K, WeighedValue<V>> for KnownWeight {
    fn weight(&self, _key: &K, weighed: &WeighedValue<V>) -> u64 {
        weighed.weight
    }
}

impl<K: Hash + Eq + Clone, V: Clone> CoherentCache<K, V>
where
    ByBytes: Weighter<K, V>,
{
    pub fn new(items: usize, bytes: u64) -> CoherentCache<K, V> {
        CoherentCache {
            cache: Cache::with_weighter(items, bytes, KnownWeight),
            bands: (0..BANDS).map(|_| Mutex::new(0)).collect(),
            hasher: RandomState::new(),
        }
    }

    pub fn get(&self, key: &K) -> Option<V> {
        self.cache.get(key).map(|weighed| weighed.value)
    }

    pub fn get_or_read<E>(
        &self,
        key: &K,
        read: impl FnOnce() -> Result<Option<V>, E>,
    ) -> Result<Option<V>, E> {
        if let Some(value) = self.get(key) {
            return Ok(Some(value));
        }
        let before = self.band(key).map(|band| *band.lock());
        let read = read()?;
        if let (Some(value), Some(band)) = (&read, self.band(key)) {
            let now = band.lock();
            if Some(*now) == before {
                self.insert(key.clone(), value.clone());
            }
        }
        Ok(read)
    }

    pub fn replace(&self, key: K, value: Option<V>) {
        let Some(band) = self.band(&key) else { return };
        let mut number = band.lock();
        *number = number.wrapping_add(1);
        match value {
            Some(value) => self.insert(key, value),
            None => {
                self.cache.remove(&key);
            }
        }
    }

    fn insert(&self, key: K, value: V) {
        let weight = ByBytes.weight(&key, &value);
        self.cache.insert(key, WeighedValue { value, weight });
    }

    fn band(&self, key: &K) -> Option<&Mutex<u64>> {
        let [.., low] = self.hasher.hash_one(key).to_be_bytes();
        self.bands.get(usize::from(low) % BANDS)
    }
}
