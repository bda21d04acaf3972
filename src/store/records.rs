//! Records through caches, and all that reading and writing share.

use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

use crate::domain::click::Click;
use crate::domain::ids::ClickId;
use crate::domain::ruleset::Ruleset;
use crate::domain::time::Time;
use crate::store::cache::CoherentCache;
use crate::store::contract::error::StoreError;
use crate::store::decision::group::Beginning;
use crate::store::decision::quarantine_line::QuarantineLines;
use crate::store::index::Index;
use crate::store::reader::Reader;
use crate::store::table::conversion::Record;
use crate::store::table::delivery::DeliveryStates;
use crate::store::table::recent_arrival::RecentArrivals;
use crate::store::table::recent_click::RecentClicks;
use crate::store::table::rollup_delta::Unfolded;
use crate::store::table::store_facts::NumberSequences;
use crate::store::table::visitor::answered;

/// Clicks kept at hand: about so many, and never more bytes than this.
const CLICKS: usize = 64 * 1024;

const CLICK_BYTES: u64 = 80 * 1024 * 1024;

/// Conversions kept at hand: about so many, and never more bytes than this. So what was received within the last minute
/// or so is sent, and what became of it written, without a look at the disk.
const CONVERSIONS: usize = 32 * 1024;

const CONVERSION_BYTES: u64 = 64 * 1024 * 1024;

/// What of the store is known before it is fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AtHand {
    /// What is in memory.
    #[default]
    Memory,
    /// Nothing, as where the store is on another machine. For tests of decisions that go on once it is fetched.
    Nothing,
}

/// What reading and writing share.
pub struct StoreShared {
    pub reader: Arc<Reader>,
    pub records: Records,
    pub index: Mutex<Index>,
    /// What decisions go by; see [`crate::store::contract::Store::change_rules`].
    pub rules: RwLock<Arc<Ruleset>>,
    /// Only the writer moves it on. It is held while the log of clicks is read.
    pub lately: Mutex<RecentClicks>,
    /// The newest time of the clicks recorded lately, for those who cannot wait for that.
    pub newest_click: Mutex<Option<Time>>,
    /// What was received lately, for those who ask again. Only the writer looks at it.
    pub arrived: Mutex<RecentArrivals>,
    pub quarantine_lines: Arc<Mutex<QuarantineLines>>,
    /// What is counted, and not in the rollups yet. Only the writer moves it on.
    pub unfolded: Mutex<Unfolded>,
    /// Held while rollups are read, and by the writer while it folds into them, until what is in memory fits them.
    pub folding: RwLock<()>,
    pub at_hand: AtHand,
}

impl StoreShared {
    /// What a group begins with now.
    pub fn beginning(&self, numbers: NumberSequences) -> Beginning {
        let rules = Arc::clone(&self.rules.read());
        let index = self.index.lock();
        let (lists, kept) = (Arc::clone(&index.lists), Arc::clone(&index.kept));
        Beginning { rules, max_ages: Arc::clone(&index.queues.max_ages), numbers, lists, kept }
    }
}

/// What is read often, and kept at hand.
pub struct Records {
    reader: Arc<Reader>,
    conversions: CoherentCache<u64, Arc<Record>>,
    clicks: CoherentCache<ClickId, Arc<Click>>,
}

impl Records {
    pub fn new(reader: Arc<Reader>) -> Records {
        Records {
            reader,
            conversions: CoherentCache::new(CONVERSIONS, CONVERSION_BYTES),
            clicks: CoherentCache::new(CLICKS, CLICK_BYTES),
        }
    }

    /// The conversion that postback `number` of that day made, as it is now, where it is in memory.
    pub fn conversion_at_hand(&self, number: u64) -> Option<Arc<Record>> {
        self.conversions.get(&number)
    }

    /// The conversion that postback `number` of that day made, as it is now.
    pub fn conversion(&self, day: i32, number: u64) -> Result<Option<Arc<Record>>, StoreError> {
        self.reader.check()?;
        self.conversions.get_or_read(&number, || self.read(day, number).map(|found| found.map(Arc::new)))
    }

    /// The same; `is_as_made`: whether it is certain that it is as its postback made it. Then no change of it is looked
    /// for.
    pub fn unfinished(
        &self,
        day: i32,
        number: u64,
        is_as_made: impl FnOnce() -> bool,
    ) -> Result<Option<Arc<Record>>, StoreError> {
        self.reader.check()?;
        // Asked for behind the cache: what is changed from here on is not kept there.
        let read = || if is_as_made() { self.read_made(day, number) } else { self.read(day, number) };
        self.conversions.get_or_read(&number, || read().map(|found| found.map(Arc::new)))
    }

    fn read_made(&self, day: i32, number: u64) -> Result<Option<Record>, StoreError> {
        let body = self.reader.body_of(day, number)?;
        let Some(conversion) = body.and_then(|body| body.conversion) else { return Ok(None) };
        let standing = self.planned(day, number)?;
        Ok(Some(Record { conversion, standing, overlay: false }))
    }

    /// A conversion's deliveries as its postback planned them.
    fn planned(&self, day: i32, number: u64) -> Result<DeliveryStates, StoreError> {
        let sketch = self.reader.head_of(day, number)?.and_then(|head| head.sketch);
        Ok(sketch.map(|sketch| sketch.standing).unwrap_or_default())
    }

    fn read(&self, day: i32, number: u64) -> Result<Option<Record>, StoreError> {
        if let Some(record) = self.reader.overlay(day, number)? {
            return Ok(Some(record));
        }
        let body = self.reader.body_of(day, number)?;
        let Some(conversion) = body.and_then(|body| body.conversion) else { return Ok(None) };
        let standing = match self.reader.states(day, number)? {
            Some(states) => states,
            None => self.planned(day, number)?,
        };
        Ok(Some(Record { conversion, standing, overlay: false }))
    }

    /// The click with this id, where it is in memory.
    pub fn click_at_hand(&self, id: &ClickId) -> Option<Arc<Click>> {
        self.clicks.get(id)
    }

    /// The click with this id.
    pub fn click(&self, id: &ClickId) -> Result<Option<Arc<Click>>, StoreError> {
        self.reader.check()?;
        self.clicks.get_or_read(id, || self.reader.click_afresh(id).map(|found| found.map(Arc::new)))
    }

    /// What a commit replaced: `None` is removed.
    pub fn replaced(
        &self,
        conversions: impl IntoIterator<Item = (u64, Option<Arc<Record>>)>,
        clicks: impl IntoIterator<Item = (ClickId, Option<Arc<Click>>)>,
    ) {
        for (number, record) in conversions {
            self.conversions.replace(number, record);
        }
        for (id, click) in clicks {
            self.clicks.replace(id, click);
        }
    }

    /// The click with its visitor's latest answers, wherever they were given.
    pub fn click_as_answered(&self, id: &ClickId) -> Result<Option<Arc<Click>>, StoreError> {
        let Some(click) = self.click(id)? else { return Ok(None) };
        let Some(visitor) = &click.context.visitor else { return Ok(Some(click)) };
        let consent = self.reader.consent_of(visitor)?;
        Ok(Some(answered(click, consent)))
    }
}
