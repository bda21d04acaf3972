//! From a decided group to one batch, and from the committed batch to what everyone sees.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::domain::attempt::Exchange;
use crate::store::commit::embedded_commit::EmbeddedCommit;
use crate::store::commit::pack_counts::PackedCounts;
use crate::store::contract::error::StoreError;
use crate::store::contract::work::Recorded;
use crate::store::decision::click_trail::Trail;
use crate::store::decision::list_changes::Suppressing;
use crate::store::decision::pending::{NewAttempt, NewPostback};
use crate::store::engine::kv::Batch;
use crate::store::table::attempt::add_attempt;
use crate::store::table::click::{put_click, put_matching};
use crate::store::table::click_day;
use crate::store::table::click_log;
use crate::store::table::conversion::{Record, Sketch, put_overlay};
use crate::store::table::day::day;
use crate::store::table::delivery::put_states;
use crate::store::table::early_answer::put_ahead;
use crate::store::table::exchange::{ExchangePlace, add_exchange};
use crate::store::table::postback::{POSTBACK_RECORDS, PostbackHead, add_postback};
use crate::store::table::store_facts::put_probe;
use crate::store::table::suppression::{put_entry, put_list};
use crate::store::table::text::put_text;
use crate::store::table::visitor::put_visits;

/// A group's batch, with what becomes visible once it is durable.
#[derive(Default)]
pub struct PreparedCommit<'a> {
    pub batch: Batch,
    /// Of the new postbacks, in order.
    #[expect(
        clippy::vec_box,
        reason = "many large ones together are moved each time when there is one more"
    )]
    heads: Vec<Box<PostbackHead>>,
    /// Conversions that are new or changed, as they are now.
    conversions: Vec<(u64, Arc<Record>)>,
    pub counts: PackedCounts<'a>,
}

impl<'a> EmbeddedCommit<'a> {
    /// Packs everything the group brings into one batch; what it brings new moves on into that.
    pub fn pack(&mut self) -> Result<PreparedCommit<'a>, StoreError> {
        let mut ready = PreparedCommit::default();
        self.pack_postbacks(&mut ready)?;
        self.pack_changes(&mut ready)?;
        self.pack_attempts(&mut ready.batch)?;
        let (batch, group) = (&mut ready.batch, &self.group);
        for clicked in group.clicks.values() {
            put_click(batch, &clicked.click, clicked.is_new)?;
        }
        pack_trail(batch, &group.trail, group.numbers.next_click)?;
        for (click, ahead) in &group.ahead {
            put_ahead(batch, click, ahead)?;
        }
        for (name, text) in &group.texts {
            put_text(batch, name, text)?;
        }
        for (id, rest) in &group.matching {
            put_matching(batch, id, rest.is_some());
        }
        if group.probe {
            put_probe(batch);
        }
        pack_lists(batch, &group.suppressing)?;
        self.purging.pack(batch, group.numbers)?;
        if let Some(kept) = &self.group.kept {
            kept.pack(batch, &self.group.kept_before)?;
        }
        ready.counts = self.pack_counts(&mut ready.batch)?;
        Ok(ready)
    }

    /// What is new, as the whole group leaves it.
    fn pack_postbacks(&mut self, ready: &mut PreparedCommit<'a>) -> Result<(), StoreError> {
        let born = std::mem::take(&mut self.group.born);
        ready.batch.changes.reserve(POSTBACK_RECORDS * born.len());
        ready.heads.reserve(born.len());
        for (number, born) in (self.group.first..).zip(born) {
            let NewPostback { mut body, raw, mut sketch, sales } = *born;
            if let Some(changed) = self.group.changed.get(&number) {
                let Record { conversion, standing, .. } = &*changed.record;
                sketch = Some(Sketch::of(conversion, standing.clone()));
                body.conversion = Some(conversion.clone());
            }
            let head = PostbackHead::of(&body.postback, sketch, sales);
            add_postback(&mut ready.batch, &head, &body, raw)?;
            if let (Some(conversion), Some(sketch)) = (body.conversion, &head.sketch) {
                let record = Record { conversion, standing: sketch.standing.clone(), overlay: false };
                ready.conversions.push((number, Arc::new(record)));
            }
            ready.heads.push(Box::new(head));
        }
        Ok(())
    }

    /// What was there before.
    fn pack_changes(&self, ready: &mut PreparedCommit<'a>) -> Result<(), StoreError> {
        self.shared
            .index
            .lock()
            .will_change(self.group.changed.range(..self.group.first).map(|(number, _)| *number));
        for (number, changed) in self.group.changed.range(..self.group.first) {
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

    fn pack_attempts(&mut self, batch: &mut Batch) -> Result<(), StoreError> {
        let places = self.exchange_places()?;
        let mut attempts = std::mem::take(&mut self.group.attempts);
        for NewAttempt { number, stored } in &mut attempts {
            let exchange = stored.attempt.exchange.clone();
            stored.exchange =
                exchange.as_ref().and_then(|exchange| places.get(&Arc::as_ptr(exchange)).copied());
            add_attempt(batch, self.day_of(stored.seq)?, *number, stored)?;
            // One of those that share it brings it along.
            let own = stored.exchange.filter(|place| place.attempt == *number);
            if let Some((place, exchange)) = own.zip(exchange) {
                add_exchange(batch, place, &exchange)?;
            }
        }
        Ok(())
    }

    /// Where each exchange goes: under the newest day of the conversions that it was about, since it goes with that one.
    fn exchange_places(&self) -> Result<HashMap<*const Exchange, ExchangePlace>, StoreError> {
        let mut places: HashMap<*const Exchange, ExchangePlace> = HashMap::new();
        for NewAttempt { number, stored } in &self.group.attempts {
            let Some(exchange) = &stored.attempt.exchange else { continue };
            let place = ExchangePlace { day: self.day_of(stored.seq)?, attempt: *number };
            let known = places.entry(Arc::as_ptr(exchange)).or_insert(place);
            if known.day < place.day {
                *known = place;
            }
        }
        Ok(places)
    }

    /// Shows the committed group to everyone, and signals the destinations with new work.
    pub fn publish(&self, ready: PreparedCommit<'a>) {
        let PreparedCommit { heads, conversions, counts, .. } = ready;
        let conversions = conversions.into_iter().map(|(number, record)| (number, Some(record)));
        let clicks =
            self.group.clicks.iter().map(|(id, clicked)| (id.clone(), Some(Arc::clone(&clicked.click))));
        self.shared.records.replaced(
            conversions.chain(self.purging.conversions()),
            clicks.chain(self.purging.clicks.clicks()),
        );
        let mut lately = self.shared.lately.lock();
        lately.add(&self.group.trail.logged, &self.group.trail.days);
        self.purging.clicks.publish(&mut lately);
        *self.shared.newest_click.lock() = lately.newest();
        drop(lately);
        self.shared.arrived.lock().note(&self.group.arrived);
        let mut woken = BTreeSet::new();
        let mut index = self.shared.index.lock();
        for (number, head) in (self.group.first..).zip(&heads) {
            index.days.note(number, day(head.at));
            index.note_time(head);
            index.note_head(number, head);
            index.reversals.wait(number, &head.sales);
            if let Some(sketch) = &head.sketch {
                woken.extend(index.apply(number, None, Some(sketch), &self.group.manual));
            }
        }
        for (token, recorded) in &self.group.settled {
            // The lease of what is damaged does not end: no one is to have it.
            if matches!(recorded, Recorded::Settled | Recorded::Gone)
                && let Some((_, slot)) = index.queues.end_lease(*token)
            {
                index.queues.held.recorded(slot);
            }
        }
        for (number, changed) in self.group.changed.range(..self.group.first) {
            let Some(before) = &changed.before else { continue };
            woken.extend(index.apply_change(
                *number,
                before,
                (&changed.record, changed.whole),
                &self.group.manual,
            ));
        }
        if let Some(lists) = self.group.suppressing.changed() {
            index.lists = lists;
        }
        self.purging.publish(&mut index);
        self.publish_counts(counts, &mut index);
        if let Some(kept) = &self.group.kept {
            index.kept = Arc::new(kept.clone());
        }
        for destination in woken {
            index.queues.signal(&destination);
        }
    }
}

/// What the clicks of a group leave next to their own records; `end` is the number after the last click.
fn pack_trail(batch: &mut Batch, trail: &Trail, end: u64) -> Result<(), StoreError> {
    click_log::put(batch, end - trail.logged.len() as u64, &trail.logged)?;
    for ((day, offer), count) in &trail.days {
        click_day::put(batch, *day, offer, *count)?;
    }
    trail.visitors.iter().try_for_each(|(visitor, visits)| put_visits(batch, visitor, visits))
}

/// What a group changes on lists.
fn pack_lists(batch: &mut Batch, changes: &Suppressing) -> Result<(), StoreError> {
    for ((token, list), added) in &changes.entries {
        put_entry(batch, list, token, added.as_ref())?;
    }
    for list in &changes.touched {
        put_list(batch, list, changes.lists.get(list))?;
    }
    changes.lists.key.iter().filter(|_| changes.minted).try_for_each(|key| key.put(batch))
}
