//! Takes a person's data out of one record and all that belongs to it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::domain::attempt::{Attempt, AttemptPurpose, Exchange};
use crate::domain::click::Click;
use crate::domain::erasure::blank;
use crate::domain::erasure::find::MaskLength;
use crate::domain::erasure::identity::KnownIdentities;
use crate::domain::erasure::persons::{ErasedPart, PersonMarks};
use crate::domain::erasure::report::ErasedCounts;
use crate::domain::erasure::texts::TextMask;
use crate::domain::ids::{ClickId, ConversionId};
use crate::domain::remark::erased_at;
use crate::domain::time::Time;
use crate::store::codec::{self, corrupt};
use crate::store::commit::embedded_commit::EmbeddedCommit;
use crate::store::commit::erasable::{ErasableRecord, WholePostback, attempts_of, caused, is_named_in};
use crate::store::contract::error::StoreError;
use crate::store::records::StoreShared;
use crate::store::table::attempt::{StoredAttempt, put_attempt};
use crate::store::table::click_log::{self, LogPlace};
use crate::store::table::conversion::Record;
use crate::store::table::delivery::{DeliveryStates, remove_states};
use crate::store::table::exchange::{ExchangePlace, ReadExchanges, put_exchange};
use crate::store::table::postback::{
    PostbackBody, PostbackHead, RawPostback, put_postback, put_raw, raw_key,
};

/// One erasure that is applied.
pub struct AppliedErasure {
    pub number: u64,
    /// What was received later is left.
    pub at: Time,
    pub known: KnownIdentities,
    /// What it has erased in this step.
    pub erased: ErasedCounts,
}

impl AppliedErasure {
    /// What is taken out of the texts of a record of which this part is theirs.
    fn taken_out(&self, part: ErasedPart) -> KnownIdentities {
        match part {
            ErasedPart::Whole => self.known.clone(),
            ErasedPart::Texts => self.known.in_others(),
        }
    }
}

/// What a step changes besides conversions and clicks, which are the group's.
#[derive(Default)]
pub struct ErasedRecords {
    /// Exchanges, as they become: those of several attempts are changed once for each.
    exchanges: BTreeMap<ExchangePlace, Exchange>,
    /// The same of attempts, by the day of their conversion and their number.
    attempts: BTreeMap<(i32, u64), StoredAttempt>,
}

/// A text of this erasure's persons is replaced so in a record; `None`: it has none.
fn masked<T: Serialize + DeserializeOwned>(
    known: &KnownIdentities,
    length: MaskLength,
    record: &T,
) -> Result<Option<T>, StoreError> {
    let mask = TextMask::new(known, length);
    let bytes = codec::record(&mask.of(record)).map_err(|error| corrupt(b"a text", &error))?;
    if !mask.has_found() {
        return Ok(None);
    }
    codec::read(&bytes).map(Some).map_err(|error| corrupt(b"a text", &error))
}

impl ErasedRecords {
    /// Takes the data out of one record.
    ///
    /// # Errors
    /// A record that cannot be read; the store's failure.
    pub fn erase(
        &mut self,
        commit: &mut EmbeddedCommit<'_>,
        record: &ErasableRecord,
        erasures: &mut [AppliedErasure],
    ) -> Result<(), StoreError> {
        match record {
            ErasableRecord::Postback(day, number) => self.postback(commit, (*day, *number), erasures),
            ErasableRecord::Click(id) => click(commit, id, erasures),
            ErasableRecord::Line(place) => line(commit, *place),
        }
    }

    /// Moves attempts and exchanges into the batch.
    ///
    /// # Errors
    /// One that cannot be written down.
    pub fn pack(self, commit: &mut EmbeddedCommit<'_>) -> Result<(), StoreError> {
        let batch = &mut commit.purging.batch;
        for ((day, number), attempt) in &self.attempts {
            put_attempt(batch, *day, *number, attempt)?;
        }
        self.exchanges.iter().try_for_each(|(place, exchange)| put_exchange(batch, *place, exchange))
    }

    fn postback(
        &mut self,
        commit: &mut EmbeddedCommit<'_>,
        place: (i32, u64),
        erasures: &mut [AppliedErasure],
    ) -> Result<(), StoreError> {
        let Some(before) = StoredPostback::read(commit.shared, place)? else { return Ok(()) };
        let mut left = before.clone();
        let received_at = before.body.postback.received_at;
        for erasure in erasures.iter_mut().filter(|erasure| received_at <= erasure.at) {
            let Some(part) = left.erase(erasure)? else { continue };
            if let Some(record) = &left.record {
                self.attempts(commit, (place.0, &record.standing), part, erasure)?;
            }
        }
        left.write(commit, place, before)
    }

    /// The attempts at a conversion, and what they sent.
    fn attempts(
        &mut self,
        commit: &mut EmbeddedCommit<'_>,
        (day, standing): (i32, &DeliveryStates),
        part: ErasedPart,
        erasure: &mut AppliedErasure,
    ) -> Result<(), StoreError> {
        let all: Vec<Option<u64>> = standing.last_attempts.clone();
        for last in all {
            for (number, stored) in attempts_of(commit.shared, day, last)? {
                // As an erasure before this one leaves it.
                let mut stored = self.attempts.get(&(day, number)).cloned().unwrap_or(stored);
                let is_done = erased_at(&stored.attempt.remarks).is_some_and(|at| at >= erasure.at);
                let is_whole = part == ErasedPart::Whole && !is_done;
                if let Some(place) = stored.exchange {
                    let changed = self.exchange(commit.shared, place, &stored.attempt, is_whole, erasure)?;
                    erasure.erased.exchanges += u64::from(changed);
                }
                let before = stored.attempt.clone();
                if is_whole {
                    stored.attempt = blank::attempt(&stored.attempt, erasure.at);
                    erasure.erased.attempts += 1;
                }
                let known = erasure.taken_out(part);
                stored.attempt =
                    masked(&known, MaskLength::Marker, &stored.attempt)?.unwrap_or(stored.attempt);
                if stored.attempt != before {
                    self.attempts.insert((day, number), stored);
                }
            }
        }
        Ok(())
    }

    /// An exchange: whole, where it was about no one else; else the attempt's own part, and what names its person.
    fn exchange(
        &mut self,
        shared: &StoreShared,
        place: ExchangePlace,
        attempt: &Attempt,
        is_whole: bool,
        erasure: &AppliedErasure,
    ) -> Result<bool, StoreError> {
        let known = match self.exchanges.get(&place) {
            Some(exchange) => Some(exchange.clone()),
            None => {
                shared.reader.exchange(place, &mut ReadExchanges::new())?.map(|exchange| (*exchange).clone())
            }
        };
        let Some(before) = known else { return Ok(false) };
        let mut left = before.clone();
        // Deliveries that are confirmed together share the platform's answer.
        let is_alone = attempt.place.is_none() && attempt.purpose == AttemptPurpose::Report;
        if is_whole && is_alone {
            left = blank::exchange(&left);
        } else if let Some(place) = attempt.place.filter(|_| is_whole) {
            left = blank::parts(&left, [(place.start, place.end)]);
        }
        // Of what is left the other events are other persons'.
        left = masked(&erasure.known.in_others(), MaskLength::Same, &left)?.unwrap_or(left);
        let has_changed = left != before;
        if has_changed {
            self.exchanges.insert(place, left);
        }
        Ok(has_changed)
    }
}

/// A postback with all that it made, as it is stored and as it becomes.
#[derive(Clone)]
struct StoredPostback {
    head: PostbackHead,
    body: PostbackBody,
    caused: Vec<ConversionId>,
    raw: Option<RawPostback<'static>>,
    /// The conversion, as it is now.
    record: Option<Record>,
}

impl StoredPostback {
    fn read(shared: &StoreShared, (day, number): (i32, u64)) -> Result<Option<StoredPostback>, StoreError> {
        let reader = &shared.reader;
        let (head, body) = (reader.head_of(day, number)?, reader.body_of(day, number)?);
        let (Some(head), Some(body)) = (head, body) else { return Ok(None) };
        let record = match body.conversion {
            Some(_) => shared.records.conversion(day, number)?.as_deref().cloned(),
            None => None,
        };
        let caused = caused(shared, (day, number), &body)?;
        Ok(Some(StoredPostback { head, body, caused, raw: reader.raw_of(day, number)?, record }))
    }

    /// Takes one erasure's persons out. Answers how much of it is theirs.
    fn erase(&mut self, erasure: &mut AppliedErasure) -> Result<Option<ErasedPart>, StoreError> {
        let whole = WholePostback {
            body: &self.body,
            caused: &self.caused,
            raw: self.raw.as_ref(),
            conversion: self.record.as_ref().map(|record| &record.conversion),
            standing: self.record.as_ref().map(|record| &record.standing),
        };
        let Some(part) = whole.part(&erasure.known)? else { return Ok(None) };
        let is_done = blank::postback_erased_at(&self.body.postback).is_some_and(|at| at >= erasure.at);
        match part {
            ErasedPart::Whole if !is_done => self.blank(erasure),
            ErasedPart::Whole => {}
            ErasedPart::Texts => erasure.erased.others += 1,
        }
        let known = &erasure.taken_out(part);
        mask(known, &mut self.body)?;
        if let Some(raw) = &mut self.raw {
            mask(known, raw)?;
        }
        if let Some(record) = &mut self.record {
            mask(known, &mut record.conversion)?;
            mask(known, &mut record.standing)?;
        }
        Ok(Some(part))
    }

    fn blank(&mut self, erasure: &mut AppliedErasure) {
        let at = erasure.at;
        self.body.postback = blank::postback(&self.body.postback, at);
        self.body.conversion = self.body.conversion.as_ref().map(|made| blank::conversion(made, at));
        self.raw = None;
        erasure.erased.postbacks += 1;
        if let Some(record) = &mut self.record {
            record.conversion = blank::conversion(&record.conversion, at);
            record.standing.deliveries.iter_mut().for_each(|one| blank::state(&mut one.state));
            erasure.erased.conversions += 1;
        }
    }

    /// Writes what is otherwise than `before`.
    fn write(
        self,
        commit: &mut EmbeddedCommit<'_>,
        (day, number): (i32, u64),
        before: StoredPostback,
    ) -> Result<(), StoreError> {
        let batch = &mut commit.purging.batch;
        if self.raw != before.raw {
            match &self.raw {
                Some(raw) => put_raw(batch, (day, number), raw)?,
                None => {
                    batch.remove(raw_key(day, number));
                    commit.purging.stripped.push(number);
                }
            }
        }
        if self.body != before.body {
            put_postback(batch, number, &self.head, &self.body)?;
        }
        if let (Some(old), Some(now)) = (before.record, self.record)
            && old != now
        {
            remove_states(batch, day, number);
            commit.group.change(number, &Arc::new(old), now, true);
        }
        Ok(())
    }
}

/// Takes out of a record what names the persons.
fn mask<T: Serialize + DeserializeOwned>(known: &KnownIdentities, record: &mut T) -> Result<(), StoreError> {
    if let Some(left) = masked(known, MaskLength::Marker, record)? {
        *record = left;
    }
    Ok(())
}

fn click(
    commit: &mut EmbeddedCommit<'_>,
    id: &ClickId,
    erasures: &mut [AppliedErasure],
) -> Result<(), StoreError> {
    let Some(old) = commit.shared.records.click(id)? else { return Ok(()) };
    let mut now = Click::clone(&old);
    for erasure in erasures.iter_mut().filter(|erasure| old.recorded_at <= erasure.at) {
        let is_done = now.context.omitted.erased_at().is_some_and(|at| at >= erasure.at);
        let part = PersonMarks::of_click(&now).part(&erasure.known);
        if part == ErasedPart::Whole {
            if !is_done {
                now = blank::click(&now, erasure.at);
                erasure.erased.clicks += 1;
            }
        } else if is_named_in(&erasure.known.in_others(), &now)? {
            erasure.erased.others += 1;
        }
        now = masked(&erasure.taken_out(part), MaskLength::Marker, &now)?.unwrap_or(now);
    }
    if now != *old {
        let now = Arc::new(now);
        commit.group.counting.click(Some(&old), Some(&now));
        commit.group.put_click(now, true);
    }
    Ok(())
}

/// The address by which a repeat of the click would be known.
fn line(commit: &mut EmbeddedCommit<'_>, place: LogPlace) -> Result<(), StoreError> {
    let behind = LogPlace { number: place.number + 1, ..place };
    let Some((_, line)) = click_log::lines_up(&commit.shared.reader, (place, behind), 1)?.pop() else {
        return Ok(());
    };
    let mut line = line?;
    line.likeness = None;
    click_log::replace(&mut commit.purging.batch, place, &line)
}
