//! How many wrong tokens one address has presented lately, in memory that never grows.
//!
//! The table has a fixed number of places, and an address may stand in `WAYS` of them, chosen by a hash
//! that no one outside knows. Where all of these are taken, the address with the fewest wrong tokens gives
//! way, the longest ago of several: many addresses that try once each displace one another and neither one
//! that is over its limit nor anyone who never tried.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicI64, Ordering};

use parking_lot::Mutex;

use crate::domain::time::Time;
use crate::web::per_address::LimitKey;

/// The most wrong tokens of one address within a minute; after that none of its tokens is looked at.
pub const MOST_WRONG: u32 = 10;
/// The same of all together who come through a proxy that hides their addresses.
pub const MOST_WRONG_BEHIND_PROXY: u32 = 100;

const WINDOW_MS: i64 = 60_000;
/// Places for 32,768 addresses: 1.3 MB, taken when the first wrong token is presented.
const BUCKETS: usize = 4096;
/// How many places an address may stand in.
const WAYS: usize = 8;

/// Wrong tokens by address.
#[derive(Default)]
pub struct Guesses {
    hasher: RandomState,
    /// From this time (ms) on no address is counted any more: until a wrong token is presented, nothing
    /// has to be looked up.
    quiet_from: AtomicI64,
    table: Mutex<Vec<[Option<GuessCount>; WAYS]>>,
}

#[derive(Debug, Clone, Copy)]
struct GuessCount {
    key: LimitKey,
    since: Time,
    wrong: u32,
}

impl GuessCount {
    fn is_over(&self, now: Time) -> bool {
        // A clock that was set back ends the minute too.
        !(0..WINDOW_MS).contains(&now.millis_since(self.since))
    }

    fn seconds_left(&self, now: Time) -> i64 {
        (WINDOW_MS - now.millis_since(self.since) + 999) / 1000
    }
}

impl Guesses {
    /// For how many seconds this address must wait, if it has presented all the wrong tokens it may.
    pub fn wait(&self, key: LimitKey, now: Time) -> Option<i64> {
        if now.as_millis() >= self.quiet_from.load(Ordering::Relaxed) {
            return None;
        }
        let bucket = self.bucket(key);
        let table = self.table.lock();
        let mut live = table.get(bucket)?.iter().flatten().filter(|counted| !counted.is_over(now));
        let counted = live.find(|counted| counted.key == key)?;
        (counted.wrong >= most(key)).then(|| counted.seconds_left(now))
    }

    /// Counts a wrong token. Answers for how many seconds the address must wait, if this was one too many.
    pub fn count(&self, key: LimitKey, now: Time) -> Option<i64> {
        let bucket = self.bucket(key);
        let mut table = self.table.lock();
        if table.is_empty() {
            table.resize(BUCKETS, [None; WAYS]);
        }
        self.quiet_from.fetch_max(now.plus_millis(WINDOW_MS).as_millis(), Ordering::Relaxed);
        let counted = place(table.get_mut(bucket)?, key, now)?;
        counted.wrong = counted.wrong.saturating_add(1);
        (counted.wrong > most(key)).then(|| counted.seconds_left(now))
    }

    fn bucket(&self, key: LimitKey) -> usize {
        let hash = self.hasher.hash_one(key) % BUCKETS as u64;
        usize::try_from(hash).unwrap_or(0)
    }
}

fn most(key: LimitKey) -> u32 {
    match key {
        LimitKey::Address(_) => MOST_WRONG,
        LimitKey::BehindProxy(_) => MOST_WRONG_BEHIND_PROXY,
    }
}

/// The place of an address: its own, a free one, or that of the one that gives way.
fn place(places: &mut [Option<GuessCount>; WAYS], key: LimitKey, now: Time) -> Option<&mut GuessCount> {
    let is_live = |counted: &&GuessCount| !counted.is_over(now);
    let own = places.iter().position(|place| place.as_ref().filter(is_live).is_some_and(|c| c.key == key));
    let at = own.or_else(|| {
        let rank = |place: &Option<GuessCount>| place.as_ref().filter(is_live).map(|c| (c.wrong, c.since));
        let (at, _) = places.iter().enumerate().min_by_key(|(_, place)| rank(place))?;
        Some(at)
    })?;
    let place = places.get_mut(at)?;
    if own.is_none() {
        *place = Some(GuessCount { key, since: now, wrong: 0 });
    }
    place.as_mut()
}
