//! Takes a person's data out of one record and all that belongs to it: next to all that is written. What it becomes is written
//! then, where it is still as it was.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::domain::attempt::{Attempt, AttemptPurpose};
use crate::domain::click::Click;
use crate::domain::erasure::blank;
use crate::domain::erasure::find::MaskLength;
use crate::domain::erasure::identity::KnownIdentities;
use crate::domain::erasure::persons::ErasedPart;
use crate::domain::erasure::report::ErasedCounts;
use crate::domain::erasure::texts::TextMask;
use crate::domain::ids::ClickId;
use crate::domain::remark::erased_at;
use crate::domain::time::Time;
use crate::store::codec::{self, corrupt};
use crate::store::commit::erasable::ErasableRecord;
use crate::store::commit::erased_change::{Becomes, ErasedChange};
use crate::store::commit::erasure_detail::attempts_of;
use crate::store::commit::whose::{CausedConversions, WholePostback, caused, part_of_click};
use crate::store::contract::error::StoreError;
use crate::store::engine::kv::Batch;
use crate::store::reader::readable;
use crate::store::records::StoreShared;
use crate::store::table::attempt::{StoredAttempt, put_attempt};
use crate::store::table::conversion::Record;
use crate::store::table::delivery::remove_states;
use crate::store::table::exchange::{ExchangePlace, ReadExchanges, put_exchange};
use crate::store::table::postback::{
    PostbackBody, PostbackHead, RawPostback, body_key, head_key, put_postback, put_raw, raw_key,
};

/// One erasure that is applied.
pub struct AppliedErasure {
    pub number: u64,
    /// What was received later is left.
    pub at: Time,
    pub known: KnownIdentities,
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

/// What is to be written of some records.
#[derive(Default)]
pub struct ErasedRecords {
    /// What attempts sent first: once an attempt is known as erased it is not looked at again.
    pub changes: Vec<ErasedChange>,
    /// How many records cannot be read.
    pub unreadable: u64,
}

/// Takes the data of some erasures out of records.
///
/// # Errors
/// The store's failure.
pub fn erase(
    shared: &StoreShared,
    records: &[ErasableRecord],
    erasures: &[AppliedErasure],
) -> Result<ErasedRecords, StoreError> {
    let (mut changes, mut unreadable) = (Vec::new(), 0);
    let mut erasing = Erasing { shared, erasures, exchanges: BTreeMap::new() };
    for record in records {
        match readable(erasing.record(record), "a record that is to be erased")? {
            Some(change) => changes.extend(change),
            None => unreadable += 1,
        }
    }
    let mut all = Vec::new();
    for (place, touched) in &erasing.exchanges {
        match readable(erasing.exchange(*place, touched), "what was sent to a platform")? {
            Some(change) => all.extend(change),
            None => unreadable += 1,
        }
    }
    all.append(&mut changes);
    Ok(ErasedRecords { changes: all, unreadable })
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

/// What of an exchange is to go.
#[derive(Default)]
struct TouchedExchange {
    /// By the place of the erasure among those that are applied.
    parts: BTreeMap<usize, ErasedParts>,
    /// The records of whose attempts it is.
    of: Vec<ErasableRecord>,
}

/// What of it is one erasure's.
#[derive(Default)]
struct ErasedParts {
    /// Whether it is about no one else.
    is_whole: bool,
    /// Else from where to where in its body.
    own: Vec<(u32, u32)>,
}

struct Erasing<'a> {
    shared: &'a StoreShared,
    erasures: &'a [AppliedErasure],
    /// Those of all records that are looked at: each is changed once.
    exchanges: BTreeMap<ExchangePlace, TouchedExchange>,
}

impl Erasing<'_> {
    fn record(&mut self, record: &ErasableRecord) -> Result<Option<ErasedChange>, StoreError> {
        match record {
            ErasableRecord::Postback(day, number) => self.postback(record, (*day, *number)),
            ErasableRecord::Click(id) => self.click(record, id),
            ErasableRecord::Line(place) => Ok(Some(ErasedChange::of_line(record.clone(), *place))),
        }
    }

    fn postback(
        &mut self,
        of: &ErasableRecord,
        place: (i32, u64),
    ) -> Result<Option<ErasedChange>, StoreError> {
        let (day, number) = place;
        // Before it is read: what is otherwise when it is to be written was changed since.
        let keys = [head_key(day, number), body_key(day, number), raw_key(day, number)];
        let seen = ErasedChange::see(&self.shared.reader, keys)?;
        let Some(before) = StoredPostback::read(self.shared, place)? else { return Ok(None) };
        let (mut left, mut attempts) = (before.clone(), BTreeMap::new());
        let mut counts = Vec::new();
        let received_at = before.body.postback.received_at;
        for (index, erasure) in self.erasures.iter().enumerate() {
            if received_at > erasure.at {
                continue;
            }
            let mut erased = ErasedCounts::default();
            let Some(part) = left.erase(erasure, &mut erased)? else { continue };
            if let Some(record) = &left.record {
                let last = record.standing.last_attempts.clone();
                self.attempts((of, day, &last), (index, part), &mut attempts, &mut erased)?;
            }
            counts.push((erasure.number, erased));
        }
        let mut batch = Batch::default();
        for (number, stored) in &attempts {
            put_attempt(&mut batch, day, *number, stored)?;
        }
        let becomes = left.write(&mut batch, place, before)?;
        if batch.is_empty() && matches!(becomes, Becomes::Written) {
            return Ok(None);
        }
        let change = ErasedChange { of: vec![of.clone()], seen, batch, becomes, counts };
        change.with_the_rest_seen(&self.shared.reader).map(Some)
    }

    /// The attempts at a conversion, and what they sent.
    fn attempts(
        &mut self,
        (of, day, all): (&ErasableRecord, i32, &[Option<u64>]),
        (index, part): (usize, ErasedPart),
        changed: &mut BTreeMap<u64, StoredAttempt>,
        erased: &mut ErasedCounts,
    ) -> Result<(), StoreError> {
        let Some(erasure) = self.erasures.get(index) else { return Ok(()) };
        let known = erasure.taken_out(part);
        for last in all {
            for (number, stored) in attempts_of(self.shared, day, *last)? {
                // As an erasure before this one leaves it.
                let mut stored = changed.get(&number).cloned().unwrap_or(stored);
                let is_done = erased_at(&stored.attempt.remarks).is_some_and(|at| at >= erasure.at);
                let is_whole = part == ErasedPart::Whole && !is_done;
                if let Some(place) = stored.exchange {
                    let touched = self.exchanges.entry(place).or_default();
                    touched.add(&stored.attempt, (index, is_whole), of);
                }
                let before = stored.attempt.clone();
                if is_whole {
                    stored.attempt = blank::attempt(&stored.attempt, erasure.at);
                    erased.attempts += 1;
                }
                stored.attempt =
                    masked(&known, MaskLength::Marker, &stored.attempt)?.unwrap_or(stored.attempt);
                if stored.attempt != before {
                    changed.insert(number, stored);
                }
            }
        }
        Ok(())
    }

    /// An exchange: whole, where it was about no one else; else the persons' own parts, and what names them.
    fn exchange(
        &self,
        place: ExchangePlace,
        touched: &TouchedExchange,
    ) -> Result<Option<ErasedChange>, StoreError> {
        let read = self.shared.reader.exchange(place, &mut ReadExchanges::new())?;
        let Some(before) = read else { return Ok(None) };
        let (mut left, mut counts) = ((*before).clone(), Vec::new());
        for (index, parts) in &touched.parts {
            let Some(erasure) = self.erasures.get(*index) else { continue };
            let was = left.clone();
            if parts.is_whole {
                left = blank::exchange(&left);
            }
            left = blank::parts(&left, parts.own.iter().copied());
            // Of what is left the other events are other persons'; an answer may name hers by whatever it was sent with.
            left = masked(&erasure.known.in_others(), MaskLength::Same, &left)?.unwrap_or(left);
            let all = erasure.known.with_ids();
            for answer in left.answers_mut() {
                if let Some(masked) = masked(&all, MaskLength::Same, answer)? {
                    *answer = masked;
                }
            }
            if left != was {
                counts.push((erasure.number, ErasedCounts { exchanges: 1, ..ErasedCounts::default() }));
            }
        }
        if left == *before {
            return Ok(None);
        }
        let mut batch = Batch::default();
        put_exchange(&mut batch, place, &left)?;
        let (of, seen) = (touched.of.clone(), Vec::new());
        let change = ErasedChange { of, seen, batch, becomes: Becomes::Written, counts };
        change.with_the_rest_seen(&self.shared.reader).map(Some)
    }

    fn click(&self, of: &ErasableRecord, id: &ClickId) -> Result<Option<ErasedChange>, StoreError> {
        let Some(before) = self.shared.records.click(id)? else { return Ok(None) };
        let (mut now, mut counts) = (Click::clone(&before), Vec::new());
        for erasure in self.erasures.iter().filter(|erasure| before.recorded_at <= erasure.at) {
            let mut erased = ErasedCounts::default();
            let is_done = now.context.omitted.erased_at().is_some_and(|at| at >= erasure.at);
            let Some(part) = part_of_click(&now, &erasure.known)? else { continue };
            match part {
                ErasedPart::Whole if !is_done => {
                    now = blank::click(&now, erasure.at);
                    erased.clicks += 1;
                }
                ErasedPart::Whole => {}
                ErasedPart::Texts => erased.others += 1,
            }
            now = masked(&erasure.taken_out(part), MaskLength::Marker, &now)?.unwrap_or(now);
            counts.push((erasure.number, erased));
        }
        if now == *before {
            return Ok(None);
        }
        let becomes = Becomes::Click { before, after: Arc::new(now) };
        let (seen, batch) = Default::default();
        Ok(Some(ErasedChange { of: vec![of.clone()], seen, batch, becomes, counts }))
    }
}

impl TouchedExchange {
    /// An attempt of which it is: `is_whole`, where it is one of the persons'.
    fn add(&mut self, attempt: &Attempt, (index, is_whole): (usize, bool), of: &ErasableRecord) {
        let parts = self.parts.entry(index).or_default();
        // Deliveries that are confirmed together share the platform's answer.
        let is_alone = attempt.place.is_none() && attempt.purpose == AttemptPurpose::Report;
        parts.is_whole |= is_whole && is_alone;
        parts.own.extend(attempt.place.filter(|_| is_whole).map(|place| (place.start, place.end)));
        if !self.of.contains(of) {
            self.of.push(of.clone());
        }
    }
}

/// A postback with all that it made, as it is stored and as it becomes.
#[derive(Clone)]
struct StoredPostback {
    head: PostbackHead,
    body: PostbackBody,
    caused: CausedConversions,
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
    fn erase(
        &mut self,
        erasure: &AppliedErasure,
        erased: &mut ErasedCounts,
    ) -> Result<Option<ErasedPart>, StoreError> {
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
            ErasedPart::Whole if !is_done => self.blank(erasure.at, erased),
            ErasedPart::Whole => {}
            ErasedPart::Texts => erased.others += 1,
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

    fn blank(&mut self, at: Time, erased: &mut ErasedCounts) {
        self.body.postback = blank::postback(&self.body.postback, at);
        self.body.conversion = self.body.conversion.as_ref().map(|made| blank::conversion(made, at));
        self.raw = None;
        erased.postbacks += 1;
        if let Some(record) = &mut self.record {
            record.conversion = blank::conversion(&record.conversion, at);
            record.standing.deliveries.iter_mut().for_each(|one| blank::state(&mut one.state));
            erased.conversions += 1;
        }
    }

    /// Writes down what is otherwise than `before`.
    fn write(
        self,
        batch: &mut Batch,
        (day, number): (i32, u64),
        before: StoredPostback,
    ) -> Result<Becomes, StoreError> {
        let mut is_stripped = false;
        if self.raw != before.raw {
            match &self.raw {
                Some(raw) => put_raw(batch, (day, number), raw)?,
                None => {
                    batch.remove(raw_key(day, number));
                    is_stripped = true;
                }
            }
        }
        if self.body != before.body {
            put_postback(batch, number, &self.head, &self.body)?;
        }
        let record = match (before.record, self.record) {
            (Some(old), Some(now)) if old != now => {
                remove_states(batch, day, number);
                Some((Arc::new(old), now))
            }
            _ => None,
        };
        if !is_stripped && record.is_none() {
            return Ok(Becomes::Written);
        }
        Ok(Becomes::Postback { day, number, is_stripped, record: record.map(Box::new) })
    }
}

/// Takes out of a record what names the persons.
fn mask<T: Serialize + DeserializeOwned>(known: &KnownIdentities, record: &mut T) -> Result<(), StoreError> {
    if let Some(left) = masked(known, MaskLength::Marker, record)? {
        *record = left;
    }
    Ok(())
}
