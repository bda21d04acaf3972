//! The commands that change what is stored already: clicks, attempts, retries, ended holds.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::domain::click::Click;
use crate::domain::conversion::Conversion;
use crate::domain::delivery::{Delivery, DeliveryState};
use crate::domain::delivery_reason::RetryRefused;
use crate::domain::earning::matched_by;
use crate::domain::expiry::{AgeRule, expired};
use crate::domain::ids::{ClickId, DeliveryId};
use crate::domain::reconcile::{reconcile, superseded};
use crate::domain::routing;
use crate::domain::skip::SkipReason;
use crate::domain::time::Time;
use crate::store::clicks::trail::Footprint;
use crate::store::command::{Retry, StoreCommand, Withdraw};
use crate::store::contract::arrival::{ClickArrival, ClickReceipt, ClickRecorded};
use crate::store::contract::error::StoreError;
use crate::store::contract::work::AttemptOutcome;
use crate::store::group::CommitGroup;
use crate::store::group_facts::DecisionLookups;
use crate::store::layout::{LayoutError, StoredAttempt, hash, key};
use crate::store::network::line::{ReportLine, Tally};
use crate::store::queues::{DeliverySlot, MAX_DELIVERIES};
use crate::store::records::{Record, corrupt};

/// How many conversions one step of a long command changes.
pub const STEP: usize = 1024;

/// How far withdrawing a destination has come.
pub enum Withdrawn {
    All(u64),
    Some(Withdraw),
}

impl CommitGroup<'_> {
    /// Records a click, or fills a known one, and matches what waits for it.
    pub fn click(&mut self, arrival: ClickArrival) -> Result<ClickReceipt, StoreError> {
        let ClickArrival { mut click, screening } = arrival;
        let known = self.click_to_change(&click.id)?;
        let (done, click, footprint) = match known {
            None => {
                self.join_answers(&mut click)?;
                let footprint = self.admit(&mut click, screening)?;
                (ClickRecorded::New, click, footprint)
            }
            Some(mut known) => {
                let had_visitor = known.context.visitor.is_some();
                match known.fill(&click) {
                    true => {
                        // What a stranger refused for this click alone is not its visitor's word.
                        let answered = if had_visitor { &click } else { &known }.context.consent;
                        let footprint = self.admit_again(&known, answered)?;
                        (ClickRecorded::Filled, known, footprint)
                    }
                    false => (ClickRecorded::Known, known, Footprint::default()),
                }
            }
        };
        let step = self.step_of_matching(&click, 0)?;
        let click = Arc::new(click);
        let matched = self.matched(&click, step.found)?;
        if done != ClickRecorded::Known {
            self.put_click(Arc::clone(&click), done == ClickRecorded::Filled);
            self.leave(footprint);
        }
        self.match_all(matched);
        if let Some(after) = step.rest {
            self.matching.insert(click.id.clone(), true);
            self.again.push(StoreCommand::Match { click: click.id.clone(), after });
        }
        Ok(ClickReceipt { recorded: done, click })
    }

    /// The next step of matching a click that has very many conversions waiting.
    pub fn go_on_matching(&mut self, id: &ClickId, after: u64) -> Result<(), StoreError> {
        let Some(click) = self.shared.records.click(id)? else {
            self.matching.insert(id.clone(), false);
            return Ok(());
        };
        let step = self.step_of_matching(&click, after)?;
        let matched = self.matched(&click, step.found)?;
        self.match_all(matched);
        match step.rest {
            Some(after) => self.again.push(StoreCommand::Match { click: id.clone(), after }),
            None => {
                self.matching.insert(id.clone(), false);
            }
        }
        Ok(())
    }

    /// Reads what the click frees. Changes nothing, so that a failed read leaves nothing half done.
    fn step_of_matching(&self, click: &Click, after: u64) -> Result<Matching, StoreError> {
        let stored = self.shared.index.lock().waiting_for(hash(click.id.as_str()), after, STEP);
        let rest = (stored.len() == STEP).then(|| stored.last().copied()).flatten();
        let here = self.awaiting.get(&click.id).into_iter().flatten().copied();
        let numbers: BTreeSet<u64> = stored.into_iter().chain(here).collect();
        let mut found = Vec::new();
        for number in numbers {
            if let Some(record) = self.readable(number)? {
                found.push((number, record));
            }
        }
        Ok(Matching { found, rest })
    }

    /// Those of the found conversions that the click is joined to, as they become. Reads only.
    fn matched(&self, click: &Arc<Click>, found: Vec<(u64, Record)>) -> Result<Vec<Matched>, StoreError> {
        let mut matched = Vec::new();
        // Nothing is changed before all of it is decided; a cap counts those decided before all the same.
        let mut tally = if found.is_empty() { Tally::default() } else { self.tally.clone() };
        for (number, old) in found {
            let memory = DecisionLookups::new(self, &tally, None).with(number, old.clone());
            let joined = matched_by(&self.rules, &old.conversion, click, click.recorded_at, &memory)?;
            let Some(mut conversion) = joined else { continue };
            let earlier = &old.standing.deliveries;
            let planned = self.planned_with(&mut conversion, earlier, (Some(click), click.recorded_at))?;
            let line = ReportLine::of;
            tally.apply(line(&old.conversion).as_ref(), line(&conversion).as_ref());
            matched.push((number, old, conversion, planned));
        }
        Ok(matched)
    }

    fn match_all(&mut self, matched: Vec<Matched>) {
        for (number, old, conversion, mut planned) in matched {
            let earlier = &old.standing.deliveries;
            if conversion.status == old.conversion.status {
                // That a click was received is no news to a destination that has a delivery already, whatever
                // became of it: only those that the click's campaign brings are new.
                let is_known = |added: &Delivery| {
                    earlier.iter().any(|delivery| delivery.destination == added.destination)
                };
                let added = planned.split_off(earlier.len().min(planned.len()));
                planned.extend(added.into_iter().filter(|added| !is_known(added)));
            }
            let mut record = old.clone();
            record.conversion = conversion;
            record.standing.replan(planned);
            self.change(number, &old, record, true);
        }
    }

    /// Keeps a text permanently. One that is kept already is not written again.
    pub fn keep(&mut self, name: String, text: String) -> Result<(), StoreError> {
        if self.shared.records.text(&name)?.is_none() {
            self.texts.entry(name).or_insert(text);
        }
        Ok(())
    }

    /// Remembers an attempt and where it leads.
    pub fn record(&mut self, outcome: AttemptOutcome) -> Result<(), StoreError> {
        let Some((number, old, place)) = self.find_delivery(&outcome.id)? else {
            tracing::warn!(delivery.id = %outcome.id, "an attempt at a delivery that is not kept was left out");
            return Ok(());
        };
        let delivery = u32::try_from(place).map_err(|_| {
            let too_great = LayoutError::TooGreat { what: "delivery", number: place as u64 };
            corrupt(&key::overlay(number), &too_great)
        })?;
        let mut record = old.clone();
        let attempt = self.numbers.next_attempt;
        let mut previous = None;
        if let Some(last) = record.standing.last_attempts.get_mut(place) {
            previous = last.replace(attempt);
        }
        if let Some(delivery) = record.standing.deliveries.get_mut(place) {
            delivery.state = outcome.state;
            delivery.attempts = outcome.attempts;
            delivery.expires_at = self.shared.index.lock().expires_at(&record.conversion, delivery);
        }
        let Record { conversion, standing, .. } = &mut record;
        let added = outcome.observed.is_some_and(|observed| {
            standing.deliveries.len() < MAX_DELIVERIES
                && reconcile(conversion, &mut standing.deliveries, place, observed)
        });
        standing.last_attempts.resize(standing.deliveries.len(), None);
        self.numbers.next_attempt += 1;
        self.attempts.push(StoredAttempt { seq: number, delivery, previous, attempt: outcome.attempt });
        self.ended.extend(DeliverySlot::new(number, place).map(|slot| (outcome.id.destination, slot)));
        self.change(number, &old, record, added);
        Ok(())
    }

    /// Makes a delivery due because a person asked.
    pub fn retry(&mut self, retry: &Retry) -> Result<Result<Delivery, RetryRefused>, StoreError> {
        let Some((number, old, place)) = self.find_delivery(&retry.id)? else {
            return Ok(Err(RetryRefused::Unknown));
        };
        let mut record = old.clone();
        let superseded = superseded(&record.standing.deliveries, &retry.id);
        let Some(delivery) = record.standing.deliveries.get_mut(place) else {
            return Ok(Err(RetryRefused::Unknown));
        };
        delivery.expires_at = self.shared.index.lock().expires_at(&record.conversion, delivery);
        let too_old = retry.age == AgeRule::Counts
            && expired(delivery, record.conversion.event_time, retry.now).is_some();
        let leased = DeliverySlot::new(number, place)
            .is_some_and(|slot| self.shared.index.lock().queues(&retry.id.destination).is_leased(slot));
        match delivery.state {
            DeliveryState::Delivered { .. } => return Ok(Err(RetryRefused::Delivered)),
            // Due already, or on its way this very moment: nothing to hurry.
            DeliveryState::Waiting { due } if due <= retry.now || leased => return Ok(Ok(delivery.clone())),
            _ if superseded => return Ok(Err(RetryRefused::Superseded)),
            _ if too_old => return Ok(Err(RetryRefused::TooOld)),
            _ => delivery.state = DeliveryState::Waiting { due: retry.now },
        }
        let delivery = delivery.clone();
        self.manual.extend(DeliverySlot::new(number, place));
        self.change(number, &old, record, false);
        Ok(Ok(delivery))
    }

    /// Skips up to [`STEP`] deliveries of a destination that is gone.
    pub fn withdraw(&mut self, mut withdraw: Withdraw) -> Result<Withdrawn, StoreError> {
        let slots = self.shared.index.lock().queues(&withdraw.destination).unfinished(STEP);
        let mut records = Vec::new();
        for slot in &slots {
            if let Some(record) = self.readable(slot.seq())? {
                records.push((slot.seq(), record));
            }
        }
        records.sort_by_key(|(number, _)| *number);
        records.dedup_by_key(|(number, _)| *number);
        let done_before = withdraw.done;
        for (number, old) in records {
            let mut record = old.clone();
            let mine = record.standing.deliveries.iter_mut().filter(|delivery| {
                delivery.destination == withdraw.destination && delivery.state.is_unfinished()
            });
            let mut count = 0;
            for delivery in mine {
                let reason = SkipReason::DestinationRemoved;
                delivery.state = DeliveryState::Skipped { at: withdraw.now, reason };
                count += 1;
            }
            if count > 0 {
                withdraw.done += count;
                self.change(number, &old, record, false);
            }
        }
        // Where nothing was done, all that is left cannot be read.
        let more = slots.len() == STEP && withdraw.done > done_before;
        Ok(if more { Withdrawn::Some(withdraw) } else { Withdrawn::All(withdraw.done) })
    }

    /// Skips what was held too long. Answers of how many conversions.
    pub fn end_holds(&mut self, now: Time, limit: usize) -> Result<u64, StoreError> {
        let numbers = self.shared.index.lock().ended_holds(now, limit.min(STEP));
        let mut records = Vec::new();
        for number in numbers {
            match self.readable(number)? {
                Some(record) => records.push((number, record)),
                // It would come first again and again.
                None => self.shared.index.lock().forget_holds(number),
            }
        }
        let mut expired = 0;
        for (number, old) in records {
            let mut record = old.clone();
            if routing::expire_holds(&mut record.standing.deliveries, now) {
                expired += 1;
                self.change(number, &old, record, false);
            }
        }
        Ok(expired)
    }

    /// As [`CommitGroup::peek`], for commands that go through many: one that cannot be read stops no one.
    pub fn readable(&self, number: u64) -> Result<Option<Record>, StoreError> {
        self.peek(number).or_else(|error| match error {
            StoreError::Corrupt { .. } => {
                tracing::error!(postback = number, %error, "a conversion cannot be read and is left out");
                Ok(None)
            }
            error => Err(error),
        })
    }

    fn find_delivery(&self, id: &DeliveryId) -> Result<Option<(u64, Record, usize)>, StoreError> {
        let Some((number, record)) = self.find(&id.conversion)? else { return Ok(None) };
        let is_it =
            |delivery: &Delivery| delivery.destination == id.destination && delivery.occasion == id.occasion;
        let place = record.standing.deliveries.iter().position(is_it);
        Ok(place.map(|place| (number, record, place)))
    }
}

/// A conversion's number, what it was, and what it becomes with its click: itself and its deliveries.
type Matched = (u64, Record, Conversion, Vec<Delivery>);

struct Matching {
    found: Vec<(u64, Record)>,
    /// Where the next step begins, if there is one.
    rest: Option<u64>,
}
