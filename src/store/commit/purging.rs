//! What a step of purging deletes: its part of the batch, and what becomes visible once that is durable.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use crate::domain::click::Click;
use crate::domain::ids::{ClickId, VisitorId};
use crate::store::contract::error::StoreError;
use crate::store::engine::kv::Batch;
use crate::store::index::Index;
use crate::store::table::attempt::{Attempts, put_attempts};
use crate::store::table::click::remove_click;
use crate::store::table::click_log::{self, LogBlock};
use crate::store::table::conversion::{Sketch, overlay_key};
use crate::store::table::delivery::{Marks, put_marks};
use crate::store::table::postback::{Block, put_block};
use crate::store::table::recent_click::RecentClicks;
use crate::store::table::store_facts::NumberSequences;
use crate::store::table::visitor::{Visits, put_visits};

/// What a step deletes.
#[derive(Default)]
pub struct Purging {
    /// Blocks as they become; an empty one is removed.
    pub rewritten: Vec<Block>,
    pub marks: Vec<(u64, Marks)>,
    pub attempts: BTreeMap<u64, Attempts>,
    /// Conversions: number, appearance, whether it has an overlay.
    pub conversions: Vec<(u64, Sketch, bool)>,
    pub clicks: ClickPurge,
    /// Postbacks of which nothing is kept any more; with their source, where they were quarantined.
    pub forgotten: Vec<(u64, Option<u32>)>,
    pub records: u64,
}

impl Purging {
    /// Whether there is anything to write.
    pub fn is_empty(&self) -> bool {
        self.rewritten.is_empty() && self.clicks.is_empty()
    }

    /// Adds what is due of another block.
    pub fn merge(&mut self, other: Purging) {
        self.rewritten.extend(other.rewritten);
        self.marks.extend(other.marks);
        for (first, attempts) in other.attempts {
            match self.attempts.entry(first) {
                Entry::Vacant(unknown) => drop(unknown.insert(attempts)),
                // Conversions of both blocks have attempts in it: what either blanks is blank.
                Entry::Occupied(mut known) => {
                    let both = known.get_mut().iter_mut().zip(attempts);
                    both.filter(|(_, other)| other.is_none()).for_each(|(attempt, _)| *attempt = None);
                }
            }
        }
        self.conversions.extend(other.conversions);
        self.forgotten.extend(other.forgotten);
        self.records += other.records;
    }

    /// Adds the deletions to a batch.
    pub fn pack(&self, batch: &mut Batch, numbers: NumberSequences) -> Result<(), StoreError> {
        if self.is_empty() {
            return Ok(());
        }
        self.rewritten.iter().try_for_each(|block| put_block(batch, block))?;
        self.marks.iter().try_for_each(|(first, marks)| put_marks(batch, *first, marks.clone()))?;
        self.attempts.iter().try_for_each(|(first, attempts)| put_attempts(batch, *first, attempts))?;
        let overlaid = self.conversions.iter().filter(|(.., overlay)| *overlay);
        overlaid.for_each(|(number, ..)| batch.remove(overlay_key(*number)));
        self.clicks.pack(batch)?;
        numbers.put(batch)
    }

    /// What the caches have to forget.
    pub fn blocks(&self) -> impl Iterator<Item = (u64, Option<Arc<Block>>)> + '_ {
        self.rewritten.iter().map(|block| (block.first, None))
    }

    /// Takes what is gone out of the index.
    pub fn publish(&self, index: &mut Index) {
        for (number, sketch, _) in &self.conversions {
            index.apply(*number, Some(sketch), None, &Default::default());
        }
        for block in self.rewritten.iter().filter(|block| block.is_gone()) {
            index.remove_block(block.first);
        }
        for (number, quarantined) in &self.forgotten {
            index.forget_again(*number, *quarantined);
        }
    }
}

/// What of it are clicks, and what goes as they do.
#[derive(Default)]
pub struct ClickPurge {
    pub clicks: Vec<ClickId>,
    /// Blocks of the log as they become.
    pub log: Vec<(u64, LogBlock)>,
    pub visitors: BTreeMap<VisitorId, Visits>,
    pub days: Vec<Vec<u8>>,
    pub answers: Vec<Vec<u8>>,
    /// The first day whose counters stay.
    pub day: i64,
}

impl ClickPurge {
    /// Whether there is anything to write.
    pub fn is_empty(&self) -> bool {
        self.log.is_empty() && self.days.is_empty() && self.answers.is_empty()
    }

    /// How many clicks it deletes.
    pub fn records(&self) -> u64 {
        self.clicks.len() as u64
    }

    /// Adds the deletions to a batch.
    pub fn pack(&self, batch: &mut Batch) -> Result<(), StoreError> {
        self.clicks.iter().for_each(|id| remove_click(batch, id));
        self.log.iter().try_for_each(|(first, block)| click_log::put_block(batch, *first, block))?;
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
