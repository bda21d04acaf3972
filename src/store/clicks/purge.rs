//! Deletes clicks that are past their date, with every trace: their lines in the log, their places among
//! their browsers' clicks, and the counters of their days.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use crate::domain::click::Click;
use crate::domain::ids::{ClickId, VisitorId};
use crate::domain::offer::day_of;
use crate::store::ages::AgeKey;
use crate::store::clicks::consent;
use crate::store::clicks::lately::RecentClicks;
use crate::store::clicks::log::{self, LogBlock, LoggedClick, readable};
use crate::store::clicks::trail::{Visits, put_visits};
use crate::store::contract::error::StoreError;
use crate::store::engine::kv::{Batch, Direction, Span};
use crate::store::group::CommitGroup;
use crate::store::layout::{self, key};
use crate::store::purge::AgedOut;
use crate::store::records::corrupt;

/// How many blocks of the log, how many due clicks and how many counters one step looks at.
const BLOCKS: usize = 512;
const CLICKS: usize = 512;
const DAYS: usize = 512;
/// How many answers ahead of their clicks.
const ANSWERS: usize = 4096;

/// How far the present pass has come.
#[derive(Debug, Default)]
pub struct ClickCursor {
    /// The number at which the log is looked at next.
    log: u64,
    log_done: bool,
    days_done: bool,
    /// From which key on answers ahead of their clicks are looked at; `None`: from the first.
    answers: Option<Vec<u8>>,
    answers_done: bool,
}

impl ClickCursor {
    pub fn is_done(&self) -> bool {
        self.log_done && self.days_done && self.answers_done
    }
}

/// What a step deletes.
#[derive(Default)]
pub struct ClickPurge {
    clicks: Vec<ClickId>,
    /// Blocks of the log as they become.
    log: Vec<(u64, LogBlock)>,
    visitors: BTreeMap<VisitorId, Visits>,
    days: Vec<Vec<u8>>,
    answers: Vec<Vec<u8>>,
    /// The first day whose counters stay.
    day: i64,
}

impl ClickPurge {
    /// Decides one step.
    pub fn step(
        group: &CommitGroup<'_>,
        aged: &AgedOut<'_>,
        cursor: &mut ClickCursor,
    ) -> Result<ClickPurge, StoreError> {
        let mut purge = ClickPurge { day: day_of(aged.believed.clicks), ..ClickPurge::default() };
        if !cursor.log_done {
            purge.step_log(group, aged, cursor)?;
        }
        if !cursor.days_done {
            purge.step_days(group)?;
            cursor.days_done = purge.days.len() < DAYS;
        }
        if !cursor.answers_done {
            let from = cursor.answers.as_deref().unwrap_or(key::ANSWERS);
            (purge.answers, cursor.answers) =
                consent::ended(&group.shared.records, from, ANSWERS, |ahead| {
                    aged.click(AgeKey::Marks(ahead.marks), ahead.received_at)
                })?;
            cursor.answers_done = cursor.answers.is_none();
        }
        Ok(purge)
    }

    fn step_log(
        &mut self,
        group: &CommitGroup<'_>,
        aged: &AgedOut<'_>,
        cursor: &mut ClickCursor,
    ) -> Result<(), StoreError> {
        let blocks = log::blocks_from(&group.shared.records, cursor.log, BLOCKS)?;
        let all = blocks.len() < BLOCKS;
        let mut looked_at = 0;
        for (first, block) in blocks {
            if looked_at >= CLICKS {
                cursor.log = first;
                return Ok(());
            }
            cursor.log = first + 1;
            let Some(mut block) = readable(block)? else { continue };
            let mut changed = false;
            for (number, line) in (first..).zip(&mut block) {
                let is_due = |line: &LoggedClick| aged.click(AgeKey::Click(number), line.at);
                if !line.as_ref().is_some_and(is_due) {
                    continue;
                }
                looked_at += 1;
                if self.click(group, line.as_ref())? {
                    *line = None;
                    changed = true;
                }
            }
            if changed {
                self.log.push((first, block));
            }
        }
        cursor.log_done = all;
        Ok(())
    }

    /// Takes a click out, unless a delivery needs it. One that cannot be read stays, and so does its line.
    fn click(&mut self, group: &CommitGroup<'_>, line: Option<&LoggedClick>) -> Result<bool, StoreError> {
        let Some(line) = line else { return Ok(false) };
        if group.shared.index.lock().needs_click(line.id.as_str()) {
            return Ok(false);
        }
        let Some(found) = readable(group.shared.records.click_afresh(&line.id))? else { return Ok(false) };
        let Some(click) = found else { return Ok(true) };
        if let Some(visitor) = &click.context.visitor {
            self.forget_visit(group, visitor, &line.id)?;
        }
        self.clicks.push(line.id.clone());
        Ok(true)
    }

    fn forget_visit(
        &mut self,
        group: &CommitGroup<'_>,
        visitor: &VisitorId,
        click: &ClickId,
    ) -> Result<(), StoreError> {
        let known = self.visitors.get(visitor).cloned();
        let Some(mut visits) = readable(known.map_or_else(|| group.visits(visitor), Ok))? else {
            return Ok(());
        };
        let before = visits.visits.len();
        visits.visits.retain(|visit| visit.click != *click);
        if visits.visits.len() < before {
            self.visitors.insert(visitor.clone(), visits);
        }
        Ok(())
    }

    fn step_days(&mut self, group: &CommitGroup<'_>) -> Result<(), StoreError> {
        let (from, to) = (key::day(i64::MIN, None), key::day(self.day, None));
        let span = Span { from: &from, to: &to, direction: Direction::Up };
        group.shared.records.scan(span, &mut |key, _| {
            self.days.push(key.to_vec());
            if self.days.len() < DAYS { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })
    }

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
        self.clicks.iter().for_each(|id| batch.remove(key::click(id)));
        for (first, block) in &self.log {
            let key = key::log(*first);
            if block.iter().all(Option::is_none) {
                batch.remove(key);
            } else {
                let packed = layout::pack(&(), block).map_err(|error| corrupt(&key, &error))?;
                batch.put(key, packed);
            }
        }
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

    pub fn publish(&self, lately: &mut RecentClicks) {
        if !self.days.is_empty() {
            lately.forget_days(self.day);
        }
    }
}
