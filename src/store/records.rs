//! Records through caches, and all that reading and writing share.

use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

use crate::domain::click::Click;
use crate::domain::ids::ClickId;
use crate::domain::ruleset::Ruleset;
use crate::store::cache::CoherentCache;
use crate::store::codec::corrupt;
use crate::store::commit::quarantine_line::QuarantineLines;
use crate::store::contract::error::StoreError;
use crate::store::index::Index;
use crate::store::reader::Reader;
use crate::store::table::conversion::Record;
use crate::store::table::delivery::marks_key;
use crate::store::table::postback::{Block, EntryHead, heads_key, record_in};
use crate::store::table::recent_click::RecentClicks;

/// Clicks kept at hand: about so many, and never more bytes than this.
const CLICKS: usize = 64 * 1024;

const CLICK_BYTES: u64 = 80 * 1024 * 1024;

/// Blocks kept unpacked.
const BLOCKS: usize = 256;

const BLOCK_BYTES: u64 = 32 * 1024 * 1024;

/// What reading and writing share.
pub struct StoreShared {
    pub reader: Arc<Reader>,
    pub records: Records,
    pub index: Mutex<Index>,
    /// What decisions go by; see [`crate::store::contract::Store::change_rules`].
    pub rules: RwLock<Arc<Ruleset>>,
    /// Only the writer moves it on.
    pub lately: Mutex<RecentClicks>,
    pub quarantine_lines: Arc<Mutex<QuarantineLines>>,
}

/// What is read often, and kept at hand.
pub struct Records {
    reader: Arc<Reader>,
    blocks: CoherentCache<u64, Arc<Block>>,
    clicks: CoherentCache<ClickId, Arc<Click>>,
}

impl Records {
    pub fn new(reader: Arc<Reader>) -> Records {
        Records {
            reader,
            blocks: CoherentCache::new(BLOCKS, BLOCK_BYTES),
            clicks: CoherentCache::new(CLICKS, CLICK_BYTES),
        }
    }

    /// The heads of the block that begins at `first`.
    pub fn block_heads(&self, first: u64) -> Result<Option<Vec<EntryHead>>, StoreError> {
        if let Some(block) = self.blocks.get(&first) {
            return Ok(Some(block.heads.clone()));
        }
        self.reader.head(&heads_key(first))
    }

    /// The block that begins at `first`.
    pub fn block(&self, first: u64) -> Result<Option<Arc<Block>>, StoreError> {
        self.blocks.get_or_read(&first, || self.reader.block_afresh(first).map(|found| found.map(Arc::new)))
    }

    /// Conversion `seq` of the block that begins at `first`, as it is now.
    pub fn record(&self, first: u64, seq: u64) -> Result<Option<Record>, StoreError> {
        if let Some(record) = self.reader.overlay(seq)? {
            return Ok(Some(record));
        }
        let Some(block) = self.block(first)? else { return Ok(None) };
        let marks = self.reader.marks(first)?;
        record_in(&block, &marks, seq).map_err(|error| corrupt(&marks_key(first), &error))
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

    /// The click with its visitor's latest answers, wherever they were given.
    pub fn click_as_answered(&self, id: &ClickId) -> Result<Option<Arc<Click>>, StoreError> {
        let Some(click) = self.click(id)? else { return Ok(None) };
        let Some(visitor) = &click.context.visitor else { return Ok(Some(click)) };
        let consent = click.context.consent.latest(self.reader.consent_of(visitor)?);
        if consent == click.context.consent {
            return Ok(Some(click));
        }
        let mut answered = Click::clone(&click);
        answered.context.consent = consent;
        Ok(Some(Arc::new(answered)))
    }
}
