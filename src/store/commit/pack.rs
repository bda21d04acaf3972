//! From a decided group to one batch, and from the committed batch to what everyone sees.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::store::codec::{LayoutError, corrupt};
use crate::store::commit::group::CommitGroup;
use crate::store::commit::pack_counts::PackedCounts;
use crate::store::commit::pending::NewAttempt;
use crate::store::contract::error::StoreError;
use crate::store::contract::work::Recorded;
use crate::store::engine::kv::Batch;
use crate::store::table::attempt::add_attempt;
use crate::store::table::click::{put_click, put_matching};
use crate::store::table::conversion::{Record, Sketch, put_overlay};
use crate::store::table::day::day;
use crate::store::table::delivery::put_states;
use crate::store::table::early_answer::put_ahead;
use crate::store::table::exchange::add_exchange;
use crate::store::table::postback::{PostbackHead, add_postback};
use crate::store::table::store_facts::put_probe;
use crate::store::table::text::put_text;

/// A group's batch, with what becomes visible once it is durable.
#[derive(Default)]
pub struct PreparedCommit<'a> {
    pub batch: Batch,
    /// Of the new postbacks, in order.
    heads: Vec<PostbackHead>,
    /// Conversions that are new or changed, as they are now.
    conversions: Vec<(u64, Arc<Record>)>,
    pub counts: PackedCounts<'a>,
}

impl<'a> CommitGroup<'a> {
    /// Packs everything the group brings into one batch; what it brings new moves on into that.
    pub fn pack(&mut self) -> Result<PreparedCommit<'a>, StoreError> {
        let mut ready = PreparedCommit::default();
        self.pack_postbacks(&mut ready)?;
        self.pack_changes(&mut ready)?;
        let batch = &mut ready.batch;
        for NewAttempt { number, stored } in &self.attempts {
            add_attempt(batch, self.day_of(stored.seq)?, *number, stored)?;
            // One of those that share it brings it along.
            let own = stored.exchange.filter(|place| place.attempt == *number);
            if let (Some(place), Some(exchange)) = (own, &stored.attempt.exchange) {
                add_exchange(batch, place, exchange)?;
            }
        }
        for clicked in self.clicks.values() {
            put_click(batch, &clicked.click, clicked.is_new)?;
        }
        self.trail.pack(batch, self.numbers.next_click)?;
        for (click, ahead) in &self.ahead {
            put_ahead(batch, click, ahead)?;
        }
        for (name, text) in &self.texts {
            put_text(batch, name, text)?;
        }
        for (id, begins) in &self.matching {
            put_matching(batch, id, *begins);
        }
        if self.probe {
            put_probe(batch);
        }
        self.suppressing.pack(batch)?;
        self.purging.pack(batch, self.numbers)?;
        if let Some(kept) = &mut self.kept {
            let before = Arc::clone(&self.shared.index.lock().kept);
            kept.pack(batch, &before)?;
        }
        ready.counts = self.pack_counts(&mut ready.batch)?;
        Ok(ready)
    }

    /// What is new, as the whole group leaves it.
    fn pack_postbacks(&mut self, ready: &mut PreparedCommit<'a>) -> Result<(), StoreError> {
        for (number, born) in (self.first..).zip(std::mem::take(&mut self.born)) {
            let (mut body, mut sketch) = (born.body, born.sketch);
            if let Some(changed) = self.changed.get(&number) {
                let Record { conversion, standing, .. } = &*changed.record;
                sketch = Some(Sketch::of(conversion, standing.clone()));
                body.conversion = Some(conversion.clone());
            }
            let head = PostbackHead::of(&body.postback, sketch, born.sales);
            add_postback(&mut ready.batch, &head, &mut body)?;
            if let (Some(conversion), Some(sketch)) = (body.conversion, &head.sketch) {
                let record = Record { conversion, standing: sketch.standing.clone(), overlay: false };
                ready.conversions.push((number, Arc::new(record)));
            }
            ready.heads.push(head);
        }
        Ok(())
    }

    /// What was there before.
    fn pack_changes(&self, ready: &mut PreparedCommit<'a>) -> Result<(), StoreError> {
        self.shared.index.lock().will_change(self.changed.range(..self.first).map(|(number, _)| *number));
        for (number, changed) in self.changed.range(..self.first) {
            let (day, record) = (self.day_of(*number)?, &changed.record);
            let overlay = changed.whole || record.overlay;
            if overlay {
                put_overlay(&mut ready.batch, day, *number, record)?;
            } else {
                put_states(&mut ready.batch, day, *number, &record.standing)?;
            }
            let record = match record.overlay == overlay {
                true => Arc::clone(record),
                false => Arc::new(Record { overlay, ..Record::clone(record) }),
            };
            ready.conversions.push((*number, record));
        }
        Ok(())
    }

    /// The UTC day of a postback that is kept.
    pub fn day_of(&self, number: u64) -> Result<i32, StoreError> {
        let day = self.shared.index.lock().days.of(number);
        day.ok_or_else(|| corrupt(number.to_string().as_bytes(), &LayoutError::Missing))
    }

    /// Shows the committed group to everyone, and signals the destinations with new work.
    pub fn publish(&self, ready: PreparedCommit<'a>) {
        let PreparedCommit { heads, conversions, counts, .. } = ready;
        let conversions = conversions.into_iter().map(|(number, record)| (number, Some(record)));
        let clicks = self.clicks.iter().map(|(id, clicked)| (id.clone(), Some(Arc::clone(&clicked.click))));
        self.shared.records.replaced(
            conversions.chain(self.purging.conversions()),
            clicks.chain(self.purging.clicks.clicks()),
        );
        let mut lately = self.shared.lately.lock();
        self.trail.publish(&mut lately);
        self.purging.clicks.publish(&mut lately);
        drop(lately);
        let mut woken = BTreeSet::new();
        let mut index = self.shared.index.lock();
        for (number, head) in (self.first..).zip(&heads) {
            index.days.note(number, day(head.at));
            index.note_time(head);
            index.note_head(number, head);
            index.reversals.wait(number, &head.sales);
            if let Some(sketch) = &head.sketch {
                woken.extend(index.apply(number, None, Some(sketch), &self.manual));
            }
        }
        for (token, recorded) in &self.settled {
            // The lease of what is damaged does not end: no one is to have it.
            if matches!(recorded, Recorded::Settled | Recorded::Gone)
                && let Some((_, slot)) = index.queues.end_lease(*token)
            {
                index.queues.held.recorded(slot);
            }
        }
        for (number, changed) in self.changed.range(..self.first) {
            let Some(before) = &changed.before else { continue };
            woken.extend(index.apply_change(*number, before, (&changed.record, changed.whole), &self.manual));
        }
        if let Some(lists) = self.suppressing.changed() {
            index.lists = lists;
        }
        self.purging.publish(&mut index);
        self.publish_counts(counts, &mut index);
        if let Some(kept) = &self.kept {
            index.kept = Arc::new(kept.clone());
        }
        for destination in woken {
            index.queues.signal(&destination);
        }
    }
}
