//! What a step of purging deletes: its part of the batch, and what becomes visible once that is durable.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::domain::click::Click;
use crate::domain::ids::{ClickId, VisitorId};
use crate::store::contract::change::PurgedRecords;
use crate::store::contract::error::StoreError;
use crate::store::decision::counting::Counting;
use crate::store::engine::kv::Batch;
use crate::store::index::Index;
use crate::store::table::click::remove_click;
use crate::store::table::click_log::{self, LogPlace};
use crate::store::table::conversion::Record;
use crate::store::table::conversion::Sketch;
use crate::store::table::recent_click::RecentClicks;
use crate::store::table::store_facts::NumberSequences;
use crate::store::table::visitor::{Visits, put_visits};

/// What a step deletes.
#[derive(Default)]
pub struct Purging {
    /// What becomes of the records.
    pub batch: Batch,
    /// Conversions, by number, as they were.
    pub gone: Vec<(u64, Sketch)>,
    /// Postbacks whose raw bytes are gone.
    pub stripped: Vec<u64>,
    /// Postbacks of which nothing is kept any more.
    pub forgotten: Vec<u64>,
    pub clicks: ClickPurge,
    /// By how much what was looked at last is past its days.
    pub behind_ms: i64,
    /// What was counted of all that is gone is taken back.
    pub counting: Counting,
}

impl Purging {
    /// How many records it deletes.
    pub fn records(&self) -> PurgedRecords {
        let count = |numbers: &[u64]| numbers.len() as u64;
        PurgedRecords {
            raw: count(&self.stripped),
            conversions: self.gone.len() as u64,
            postbacks: count(&self.forgotten),
            clicks: self.clicks.clicks.len() as u64,
        }
    }

    /// Whether there is anything to write.
    pub fn is_empty(&self) -> bool {
        self.gone.is_empty()
            && self.stripped.is_empty()
            && self.forgotten.is_empty()
            && self.clicks.is_empty()
            && self.batch.is_empty()
    }

    /// Moves the deletions into a batch.
    pub fn pack(&mut self, batch: &mut Batch, numbers: NumberSequences) -> Result<(), StoreError> {
        if self.is_empty() {
            return Ok(());
        }
        batch.changes.append(&mut self.batch.changes);
        self.clicks.pack(batch)?;
        numbers.put(batch)
    }

    /// What the cache has to forget.
    pub fn conversions(&self) -> impl Iterator<Item = (u64, Option<Arc<Record>>)> + '_ {
        self.gone.iter().map(|(number, _)| (*number, None))
    }

    /// Takes what is gone out of the index.
    pub fn publish(&self, index: &mut Index) {
        for (number, sketch) in &self.gone {
            index.apply(*number, Some(sketch), None, &Default::default());
        }
        self.stripped.iter().for_each(|number| index.reversals.forget(*number));
        self.forgotten.iter().for_each(|number| index.forget_again(*number));
    }
}

/// What of it are clicks, and what goes as they do.
#[derive(Default)]
pub struct ClickPurge {
    pub clicks: Vec<ClickId>,
    /// The places of their lines in the log.
    pub log: Vec<LogPlace>,
    pub visitors: BTreeMap<VisitorId, Visits>,
    pub days: Vec<Vec<u8>>,
    pub answers: Vec<Vec<u8>>,
    /// By how much the line that was looked at last is past its days.
    pub behind_ms: i64,
    /// The first day whose counters stay.
    pub day: i64,
    pub counting: Counting,
}

impl ClickPurge {
    /// Whether there is anything to write.
    pub fn is_empty(&self) -> bool {
        self.log.is_empty() && self.days.is_empty() && self.answers.is_empty()
    }

    /// Adds the deletions to a batch.
    pub fn pack(&self, batch: &mut Batch) -> Result<(), StoreError> {
        self.clicks.iter().for_each(|id| remove_click(batch, id));
        self.log.iter().for_each(|place| click_log::remove(batch, *place));
        for (visitor, visits) in &self.visitors {
            put_visits(batch, visitor, visits)?;
        }
        self.days.iter().chain(&self.answers).for_each(|key| batch.remove(key.clone()));
        Ok(())
    }

    /// What the cache has to forget.
    pub fn clicks(&self) -> impl Iterator<Item = (ClickId, Option<Arc<Click>>)> + '_ {
        self.clicks.iter().map(|id| (id.clone(), None))
    }

    /// Forgets the counters that are gone.
    pub fn publish(&self, lately: &mut RecentClicks) {
        if !self.days.is_empty() {
            lately.forget_days(self.day);
        }
    }
}
