//! How many clicks strangers may have recorded: in a second from one address, and in bytes over all.
//!
//! Each address has three buckets that empty steadily: its clicks, its clicks at twice the rate, and its
//! bytes. Over the first it keeps short records; over the others, or where all addresses together have had
//! their bytes, its clicks are not recorded. An address whose buckets are empty is as good as new, so the table
//! forgets it. One click fills its address's buckets for some milliseconds only: a table full of addresses
//! that are not empty takes more clicks a second than one machine answers. Should it happen all the same,
//! those that find no place share the buckets of one more address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::domain::click::Click;
use crate::domain::click_size::ClickSize;
use crate::domain::time::Time;
use crate::web::per_address::home_of;
use crate::web::unrecorded::{Unrecorded, UnrecordedReason};

/// What is allowed; 0 is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClickLimits {
    /// Clicks of one address in a second.
    pub per_address: u32,
    /// Bytes of all strangers' clicks in a second.
    pub bytes: u64,
}

/// A burst is this many seconds' worth, of one address and of all together: so one never has more than its part.
const BURST_SECONDS: u64 = 10;
/// One address may have this part of all bytes.
const PART_OF_BYTES: u64 = 8;
/// Addresses that are remembered: 10 MiB.
pub const MOST_ADDRESSES: usize = 65_536;
/// The least time between two looks for addresses to forget.
const FORGET_EVERY_MS: i64 = 100;
/// What a click leaves in addition to its texts: its ids, its line in the log, its place among its visitor's.
const BYTES_WITHOUT_TEXTS: usize = 512;

/// Counts strangers' clicks. Outlives a reload of the configuration.
#[derive(Default)]
pub struct ClickBudget {
    state: Mutex<BudgetState>,
    /// What is counted and logged of clicks that are not recorded.
    pub unrecorded: Arc<Unrecorded>,
}

#[derive(Default)]
struct BudgetState {
    limits: ClickLimits,
    addresses: HashMap<IpAddr, Buckets>,
    /// Of addresses that find no place.
    others: Buckets,
    all_bytes: Bucket,
    forgot_at: Option<Time>,
}

/// What one address has had.
#[derive(Debug, Clone, Copy, Default)]
struct Buckets {
    clicks: Bucket,
    /// Its clicks, emptied at twice the rate.
    doubled: Bucket,
    bytes: Bucket,
}

/// Something that is filled and empties steadily.
#[derive(Debug, Clone, Copy, Default)]
struct Bucket {
    /// In thousandths.
    level: u64,
    /// When that was its level, in ms.
    at: i64,
}

/// How a bucket empties; a rate of 0 never fills it.
#[derive(Debug, Clone, Copy)]
struct Rate {
    per_second: u64,
    burst: u64,
}

impl Bucket {
    /// Lets it empty until now. A clock that was set back empties nothing and holds nothing up.
    fn settle(&mut self, rate: Rate, now: Time) {
        let passed = u64::try_from(now.as_millis() - self.at).unwrap_or(0);
        // Thousandths in a millisecond are as many as wholes in a second.
        self.level = self.level.saturating_sub(passed.saturating_mul(rate.per_second));
        self.at = now.as_millis();
    }

    fn has_room(&self, rate: Rate, amount: u64) -> bool {
        rate.per_second == 0 || self.level + amount * 1000 <= rate.burst * 1000
    }

    fn add(&mut self, rate: Rate, amount: u64) {
        if rate.per_second > 0 {
            self.level += amount * 1000;
        }
    }
}

impl ClickLimits {
    fn clicks(self) -> Rate {
        let per_second = u64::from(self.per_address);
        Rate { per_second, burst: per_second * BURST_SECONDS }
    }

    fn doubled(self) -> Rate {
        let per_second = u64::from(self.per_address) * 2;
        Rate { per_second, burst: per_second * BURST_SECONDS }
    }

    fn address_bytes(self) -> Rate {
        let per_second = self.bytes / PART_OF_BYTES;
        Rate { per_second, burst: per_second * BURST_SECONDS }
    }

    fn all_bytes(self) -> Rate {
        Rate { per_second: self.bytes, burst: self.bytes * BURST_SECONDS }
    }
}

impl Buckets {
    fn settle(&mut self, limits: ClickLimits, now: Time) {
        self.clicks.settle(limits.clicks(), now);
        self.doubled.settle(limits.doubled(), now);
        self.bytes.settle(limits.address_bytes(), now);
    }

    fn is_empty(&self) -> bool {
        self.clicks.level == 0 && self.doubled.level == 0 && self.bytes.level == 0
    }

    /// How much of a click this address may have recorded, and with how many bytes it is charged.
    fn admit(
        &self,
        limits: ClickLimits,
        bytes: &ByteCharge<'_>,
    ) -> Result<(ClickSize, u64), UnrecordedReason> {
        let has_room = |bytes| self.bytes.has_room(limits.address_bytes(), bytes);
        let is_within_rate = self.clicks.has_room(limits.clicks(), 1);
        if is_within_rate && has_room(bytes.full) {
            return Ok((ClickSize::Full, bytes.full));
        }
        if !self.doubled.has_room(limits.doubled(), 1) {
            return Err(UnrecordedReason::Rate);
        }
        if !has_room(bytes.short) {
            return Err(UnrecordedReason::AddressBytes);
        }
        // Only a click that would lose its long values is counted exactly.
        let exact = is_within_rate.then(bytes.exact).filter(|exact| has_room(*exact));
        Ok(exact.map_or((ClickSize::Short, bytes.short), |exact| (ClickSize::Full, exact)))
    }

    fn add(&mut self, limits: ClickLimits, size: ClickSize, bytes: u64) {
        if size == ClickSize::Full {
            self.clicks.add(limits.clicks(), 1);
        }
        self.doubled.add(limits.doubled(), 1);
        self.bytes.add(limits.address_bytes(), bytes);
    }
}

/// What a click's texts take, in bytes.
pub trait TextBytes {
    /// At most so many: what is found at little cost.
    fn at_most(&self) -> usize;
    /// So many as are stored.
    fn exactly(&self) -> usize;
}

impl TextBytes for &Click {
    fn at_most(&self) -> usize {
        self.most_text_bytes()
    }

    fn exactly(&self) -> usize {
        self.text_bytes()
    }
}

impl TextBytes for usize {
    fn at_most(&self) -> usize {
        *self
    }

    fn exactly(&self) -> usize {
        *self
    }
}

/// The bytes with which something is charged.
struct ByteCharge<'a> {
    full: u64,
    short: u64,
    /// In full, counted exactly.
    exact: &'a dyn Fn() -> u64,
}

impl ClickBudget {
    /// From now on this is allowed.
    pub fn set(&self, limits: ClickLimits) {
        self.state.lock().limits = limits;
    }

    /// How much of a click with these texts is recorded; `None`: nothing, and it is counted as
    /// unrecorded. `address` is `None` where it is not known whose the click is: then only what all may have
    /// together limits it.
    pub fn admit(&self, address: Option<IpAddr>, texts: impl TextBytes, now: Time) -> Option<ClickSize> {
        self.admit_by(|limits| limits, (address, texts), now)
    }

    /// The same of a click whose endpoint limits the clicks of an address itself: only its bytes count.
    pub fn admit_bytes(
        &self,
        address: Option<IpAddr>,
        texts: impl TextBytes,
        now: Time,
    ) -> Option<ClickSize> {
        self.admit_by(|limits| ClickLimits { per_address: 0, ..limits }, (address, texts), now)
    }

    /// Whether something else that strangers have recorded, of so many bytes, is recorded: as a click is by its
    /// bytes, but whole or not at all.
    pub fn admit_whole(&self, address: Option<IpAddr>, bytes: usize, now: Time) -> bool {
        let mut state = self.state.lock();
        let counted = ClickLimits { per_address: 0, ..state.limits };
        let bytes = (bytes + BYTES_WITHOUT_TEXTS) as u64;
        let charge = ByteCharge { full: bytes, short: bytes, exact: &|| bytes };
        state.admit(counted, (address, &charge), now).is_ok()
    }

    /// How many addresses are remembered.
    pub fn addresses(&self) -> usize {
        self.state.lock().addresses.len()
    }

    fn admit_by(
        &self,
        counted: fn(ClickLimits) -> ClickLimits,
        (address, texts): (Option<IpAddr>, impl TextBytes),
        now: Time,
    ) -> Option<ClickSize> {
        let mut state = self.state.lock();
        let counted = counted(state.limits);
        let of = |texts: usize, size: ClickSize| (texts.min(size.most_texts()) + BYTES_WITHOUT_TEXTS) as u64;
        let charge = ByteCharge {
            full: of(texts.at_most(), ClickSize::Full),
            short: of(texts.at_most(), ClickSize::Short),
            exact: &|| of(texts.exactly(), ClickSize::Full),
        };
        let admitted = state.admit(counted, (address, &charge), now);
        drop(state);
        admitted.inspect_err(|reason| self.unrecorded.count(*reason, now)).ok()
    }
}

impl BudgetState {
    /// How much is recorded of what is charged so.
    fn admit(
        &mut self,
        counted: ClickLimits,
        (address, charge): (Option<IpAddr>, &ByteCharge<'_>),
        now: Time,
    ) -> Result<ClickSize, UnrecordedReason> {
        let limits = self.limits;
        if limits == ClickLimits::default() {
            return Ok(ClickSize::Full);
        }
        self.all_bytes.settle(limits.all_bytes(), now);
        let all_bytes = self.all_bytes;
        let mut unknown = Buckets::default();
        let buckets = match address {
            Some(address) => self.buckets(home_of(address), now),
            None => &mut unknown,
        };
        buckets.settle(limits, now);
        let (size, charged) = buckets.admit(counted, charge)?;
        if !all_bytes.has_room(limits.all_bytes(), charged) {
            return Err(UnrecordedReason::Bytes);
        }
        buckets.add(counted, size, charged);
        self.all_bytes.add(limits.all_bytes(), charged);
        Ok(size)
    }

    /// Those of an address; of the others together where the table is full.
    fn buckets(&mut self, address: IpAddr, now: Time) -> &mut Buckets {
        if self.addresses.len() >= MOST_ADDRESSES && !self.addresses.contains_key(&address) {
            self.forget(now);
            if self.addresses.len() >= MOST_ADDRESSES {
                return &mut self.others;
            }
        }
        self.addresses.entry(address).or_default()
    }

    /// Forgets the addresses whose buckets are empty.
    fn forget(&mut self, now: Time) {
        if self.forgot_at.is_some_and(|at| now.millis_since(at).abs() < FORGET_EVERY_MS) {
            return;
        }
        self.forgot_at = Some(now);
        let limits = self.limits;
        self.addresses.retain(|_, buckets| {
            buckets.settle(limits, now);
            !buckets.is_empty()
        });
    }
}
