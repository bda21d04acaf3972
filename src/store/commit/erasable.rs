//! Which records are of the persons whose data is to be erased, or name them: by walking all of them, since nothing leads
//! from an address to its records.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use serde::Serialize;

use crate::domain::attempt::{Attempt, AttemptPurpose};
use crate::domain::click::Click;
use crate::domain::conversion::Conversion;
use crate::domain::delivery::{ReplyVerdict, SentRequest};
use crate::domain::delivery_reason::{DeathReason, RetryReason};
use crate::domain::erasure::blank::postback_erased_at;
use crate::domain::erasure::find::MaskLength;
use crate::domain::erasure::identity::{IdentityKind, KnownIdentities};
use crate::domain::erasure::persons::{ErasedPart, PersonMarks};
use crate::domain::erasure::report::{ErasedCounts, SentOutcome, SentTo};
use crate::domain::erasure::texts::TextMask;
use crate::domain::exchange::NoAnswer;
use crate::domain::ids::{ClickId, ConversionId};
use crate::domain::postback::Verdict;
use crate::domain::remark::erased_at;
use crate::domain::time::Time;
use crate::store::codec::{self, corrupt};
use crate::store::contract::erasure::FoundRecord;
use crate::store::contract::error::StoreError;
use crate::store::engine::kv::{Direction, Span};
use crate::store::reader::readable;
use crate::store::records::StoreShared;
use crate::store::table::attempt::StoredAttempt;
use crate::store::table::click::{StoredClick, clicks_behind};
use crate::store::table::click_log::{self, LogPlace};
use crate::store::table::conversion::Record;
use crate::store::table::dated_records::read_some;
use crate::store::table::day::DayRun;
use crate::store::table::delivery::DeliveryStates;
use crate::store::table::erasure::ScanPlace;
use crate::store::table::exchange::{ExchangePlace, ReadExchanges};
use crate::store::table::postback::{PostbackBody, RawPostback, body_key};

/// How many records one step looks at, and how many it hands on at most.
const LOOKED_AT: usize = 1024;
const FOUND: usize = 128;
/// How many lines of the log of clicks.
const LINES: usize = 8 * 1024;

/// A record that may have to be changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ErasableRecord {
    /// A postback with the conversion that it made and all that belongs to it, by day and number.
    Postback(i32, u64),
    Click(ClickId),
    /// A line of the log of clicks.
    Line(LogPlace),
}

/// One step: what may be of them and was received until then, and where the next step begins.
pub fn step(
    shared: &StoreShared,
    known: &KnownIdentities,
    place: ScanPlace,
    until: Time,
) -> Result<(Vec<ErasableRecord>, Option<ScanPlace>), StoreError> {
    shared.reader.check()?;
    match place {
        ScanPlace::Postbacks(next) => step_postbacks(shared, known, next, until),
        ScanPlace::Clicks(after) => step_clicks(shared, known, after, until),
        ScanPlace::Lines(day, number) => step_lines(shared, known, LogPlace { day, number }),
    }
}

fn step_postbacks(
    shared: &StoreShared,
    known: &KnownIdentities,
    mut next: u64,
    until: Time,
) -> Result<(Vec<ErasableRecord>, Option<ScanPlace>), StoreError> {
    let (mut found, mut left) = (Vec::new(), LOOKED_AT);
    let runs: Vec<DayRun> = shared.index.lock().days.from(next).collect();
    for run in runs {
        let numbers = run.first.max(next)..run.end;
        let way = (numbers, Direction::Up);
        let some = read_some(&shared.reader, (body_key, run.day), way, left, codec::read::<PostbackBody>)?;
        left = left.saturating_sub(some.found.len());
        for (number, body) in some.found {
            next = number + 1;
            let is_early = body.postback.received_at <= until;
            if is_early
                && readable(may_be_of(shared, known, (run.day, number), &body), "a postback")? == Some(true)
            {
                found.push(ErasableRecord::Postback(run.day, number));
            }
            if found.len() >= FOUND {
                return Ok((found, Some(ScanPlace::Postbacks(next))));
            }
        }
        next = some.rest.start;
        if !some.rest.is_empty() || left == 0 {
            return Ok((found, Some(ScanPlace::Postbacks(next))));
        }
    }
    Ok((found, Some(ScanPlace::Clicks(None))))
}

/// Whether a postback, the conversion that it made, as it was then and as it is now, or their bytes are of them or name
/// them.
fn may_be_of(
    shared: &StoreShared,
    known: &KnownIdentities,
    (day, number): (i32, u64),
    body: &PostbackBody,
) -> Result<bool, StoreError> {
    let is_theirs = |conversion: &Conversion| PersonMarks::of_conversion(conversion).may_be_of(known);
    if caused(shared, (day, number), body)?.iter().any(|id| known.knows_conversion(id)) {
        return Ok(true);
    }
    if body.conversion.as_ref().is_some_and(is_theirs) || is_named_in(known, body)? {
        return Ok(true);
    }
    if body.conversion.is_some() {
        let record = shared.records.conversion(day, number)?;
        if let Some(Record { conversion, standing, .. }) = record.as_deref()
            && (is_theirs(conversion) || is_named_in(known, &(conversion, standing))?)
        {
            return Ok(true);
        }
    }
    Ok(shared.reader.raw_of(day, number)?.map(|raw| is_named_in(known, &raw)).transpose()? == Some(true))
}

/// The conversions that a postback is about: the one that it made, changed or repeated, or that was made of its bytes once
/// they were reprocessed; of one that takes back a sale that is not known, those that the sale may be.
pub fn caused(
    shared: &StoreShared,
    (day, number): (i32, u64),
    body: &PostbackBody,
) -> Result<Vec<ConversionId>, StoreError> {
    if let Some(id) = body.postback.verdict.conversion() {
        return Ok(vec![id]);
    }
    let taken = {
        let index = shared.index.lock();
        let taken = index.taken_by(index.first_of(number));
        taken.and_then(|by| Some((index.days.of(by)?, by)))
    };
    let mut found = match body.postback.verdict {
        Verdict::Quarantined(_) => {
            shared.reader.head_of(day, number)?.map(|head| head.sales).unwrap_or_default()
        }
        _ => Vec::new(),
    };
    if let Some((day, by)) = taken {
        let by = shared.reader.body_of(day, by)?;
        found.extend(by.and_then(|by| by.postback.verdict.conversion()));
    }
    Ok(found)
}

/// Whether a text of a record names any of them.
pub fn is_named_in<T: Serialize>(known: &KnownIdentities, record: &T) -> Result<bool, StoreError> {
    let mask = TextMask::new(known, MaskLength::Marker);
    codec::record(&mask.of(record)).map_err(|error| corrupt(b"a text", &error))?;
    Ok(mask.has_found())
}

fn step_clicks(
    shared: &StoreShared,
    known: &KnownIdentities,
    after: Option<ClickId>,
    until: Time,
) -> Result<(Vec<ErasableRecord>, Option<ScanPlace>), StoreError> {
    let (mut found, mut last, mut looked_at) = (Vec::new(), None, 0);
    let (from, to) = clicks_behind(after.as_ref());
    shared.reader.scan(Span { from: &from, to: &to, direction: Direction::Up }, &mut |key, bytes| {
        let id =
            key.get(1..).and_then(|id| std::str::from_utf8(id).ok()).and_then(|id| ClickId::parse(id).ok());
        let Some(id) = id else { return ControlFlow::Continue(()) };
        let read =
            |bytes: &[u8]| codec::body::<StoredClick<'static>>(bytes).and_then(StoredClick::into_click);
        let click = bytes.and_then(|bytes| read(bytes).map_err(|error| corrupt(key, &error)));
        match click {
            Ok(click) if click.recorded_at <= until && is_of(known, &click) => {
                found.push(ErasableRecord::Click(id.clone()));
            }
            Ok(_) => {}
            Err(error) => tracing::error!(%error, "a click cannot be read"),
        }
        looked_at += 1;
        if looked_at >= LOOKED_AT || found.len() >= FOUND {
            last = Some(id);
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    })?;
    let next = last.map_or(ScanPlace::Lines(i32::MIN, 0), |id| ScanPlace::Clicks(Some(id)));
    Ok((found, Some(next)))
}

fn is_of(known: &KnownIdentities, click: &Click) -> bool {
    PersonMarks::of_click(click).may_be_of(known) || is_named_in(known, click).unwrap_or(true)
}

fn step_lines(
    shared: &StoreShared,
    known: &KnownIdentities,
    from: LogPlace,
) -> Result<(Vec<ErasableRecord>, Option<ScanPlace>), StoreError> {
    let lines = click_log::lines_up(&shared.reader, (from, LogPlace::END), LINES)?;
    let is_last = lines.len() < LINES;
    let next = lines.last().map(|(place, _)| ScanPlace::Lines(place.day, place.number + 1));
    let mut found = Vec::new();
    for (place, line) in lines {
        let line = readable(line, "a line of the log of clicks")?;
        let Some(line) = line.filter(|line| known.knows_click(&line.id)) else { continue };
        if line.likeness.is_some() {
            found.push(ErasableRecord::Line(place));
        }
        found.push(ErasableRecord::Click(line.id));
    }
    Ok((found, next.filter(|_| !is_last)))
}

/// What is found in the place of a record; `None` where it is gone, or is not theirs after all.
pub fn detail(
    shared: &StoreShared,
    record: &ErasableRecord,
    known: &KnownIdentities,
) -> Result<Option<FoundRecord>, StoreError> {
    match record {
        ErasableRecord::Postback(day, number) => postback_detail(shared, (*day, *number), known),
        ErasableRecord::Click(id) => {
            let Some(click) = shared.records.click(id)? else { return Ok(None) };
            let marks = PersonMarks::of_click(&click);
            let part = marks.part(known);
            if part == ErasedPart::Texts && !is_named_in(&known.in_others(), &*click)? {
                return Ok(None);
            }
            let is_erased = click.context.omitted.erased_at().is_some();
            let counts = match part {
                ErasedPart::Whole => {
                    ErasedCounts { clicks: u64::from(!is_erased), ..ErasedCounts::default() }
                }
                ErasedPart::Texts => ErasedCounts { others: 1, ..ErasedCounts::default() },
            };
            Ok(Some(FoundRecord { marks, part, is_erased, counts, sent: Vec::new() }))
        }
        ErasableRecord::Line(_) => Ok(None),
    }
}

/// A postback with the conversion that it made and its bytes, as far as they are kept.
#[derive(Clone, Copy)]
pub struct WholePostback<'a> {
    pub body: &'a PostbackBody,
    /// See [`caused`].
    pub caused: &'a [ConversionId],
    pub raw: Option<&'a RawPostback<'static>>,
    /// As it is now.
    pub conversion: Option<&'a Conversion>,
    pub standing: Option<&'a DeliveryStates>,
}

impl WholePostback<'_> {
    fn is_named(&self, known: &KnownIdentities) -> Result<bool, StoreError> {
        is_named_in(known, &(self.body, self.raw, self.conversion, self.standing))
    }

    /// How much of it is theirs; `None`: nothing.
    pub fn part(&self, known: &KnownIdentities) -> Result<Option<ErasedPart>, StoreError> {
        let is_whole =
            |conversion: &Conversion| PersonMarks::of_conversion(conversion).part(known) == ErasedPart::Whole;
        if [self.body.conversion.as_ref(), self.conversion].into_iter().flatten().any(is_whole) {
            return Ok(Some(ErasedPart::Whole));
        }
        let is_theirs = match self.caused {
            // Nothing was made of it: no one else's data is in it, as far as is known.
            [] => self.is_named(known)?,
            caused => self.body.conversion.is_none() && caused.iter().any(|id| known.knows_conversion(id)),
        };
        if is_theirs {
            return Ok(Some(ErasedPart::Whole));
        }
        Ok(self.is_named(&known.in_others())?.then_some(ErasedPart::Texts))
    }
}

fn postback_detail(
    shared: &StoreShared,
    (day, number): (i32, u64),
    known: &KnownIdentities,
) -> Result<Option<FoundRecord>, StoreError> {
    let Some(body) = shared.reader.body_of(day, number)? else { return Ok(None) };
    let record = match body.conversion {
        Some(_) => shared.records.conversion(day, number)?,
        None => None,
    };
    let raw = shared.reader.raw_of(day, number)?;
    let caused = caused(shared, (day, number), &body)?;
    let whole = WholePostback {
        body: &body,
        caused: &caused,
        raw: raw.as_ref(),
        conversion: record.as_ref().map(|record| &record.conversion),
        standing: record.as_ref().map(|record| &record.standing),
    };
    let Some(part) = whole.part(known)? else { return Ok(None) };
    if part == ErasedPart::Texts {
        let counts = ErasedCounts { others: 1, ..ErasedCounts::default() };
        let marks = PersonMarks::default();
        return Ok(Some(FoundRecord { marks, part, is_erased: false, counts, sent: Vec::new() }));
    }
    let is_erased = postback_erased_at(&body.postback).is_some();
    let mut counts = ErasedCounts { postbacks: u64::from(!is_erased), ..ErasedCounts::default() };
    let (mut sent, mut marks) = (Vec::new(), PersonMarks::default());
    if let Some(record) = &record {
        let is_left = erased_at(&record.conversion.remarks).is_none();
        counts.conversions = u64::from(is_left);
        marks = PersonMarks::of_conversion(&record.conversion);
        sent = what_was_sent(shared, (day, record), known, &mut counts)?;
    } else {
        // Those of a sale that is not known are none of which there are records.
        marks.conversion = caused.first().copied().filter(|_| caused.len() == 1);
    }
    Ok(Some(FoundRecord { marks, part, is_erased, counts, sent }))
}

/// The deliveries of which something left. Counts attempts and exchanges that are not erased.
fn what_was_sent(
    shared: &StoreShared,
    (day, record): (i32, &Record),
    known: &KnownIdentities,
    counts: &mut ErasedCounts,
) -> Result<Vec<SentTo>, StoreError> {
    let mut exchanges: BTreeSet<ExchangePlace> = BTreeSet::new();
    let click = match record.conversion.attribution.click() {
        Some(click) => shared.records.click(click)?,
        None => None,
    };
    let mut sent = Vec::new();
    for (delivery, last) in record.standing.deliveries.iter().zip(&record.standing.last_attempts) {
        let mut newest: Option<SentTo> = None;
        for (_, stored) in attempts_of(shared, day, *last)? {
            if erased_at(&stored.attempt.remarks).is_none() {
                counts.attempts += 1;
                exchanges.extend(stored.exchange);
            }
            if newest.is_some() || !has_left(&stored) {
                continue;
            }
            let request = match stored.exchange {
                Some(place) => shared.reader.exchange(place, &mut ReadExchanges::new())?,
                None => None,
            };
            let text =
                request.map(|exchange| request_text(&stored.attempt, &exchange.request)).unwrap_or_default();
            let event = stored.attempt.sent.as_ref().map(|sent| sent.event.clone());
            newest = Some(SentTo {
                destination: delivery.destination.clone(),
                conversion: record.conversion.id,
                occasion: delivery.occasion,
                event: event.unwrap_or_else(|| record.conversion.event.as_str().to_owned()),
                at: stored.attempt.at,
                outcome: SentOutcome::of(&delivery.state),
                fields: fields_in(known, click.as_deref(), &stored.attempt, &text),
            });
        }
        sent.extend(newest);
    }
    counts.exchanges += exchanges.len() as u64;
    Ok(sent)
}

/// The attempts that end with number `last`, the newest first.
pub fn attempts_of(
    shared: &StoreShared,
    day: i32,
    last: Option<u64>,
) -> Result<Vec<(u64, StoredAttempt)>, StoreError> {
    let (mut found, mut next) = (Vec::new(), last);
    while let Some(number) = next {
        let Some(stored) = shared.reader.stored_attempt(day, number)? else { break };
        next = stored.before(number);
        found.push((number, stored));
    }
    Ok(found)
}

/// Whether what an attempt was to report went out, or may have.
fn has_left(StoredAttempt { attempt, exchange, .. }: &StoredAttempt) -> bool {
    let has_request = exchange.is_some() || attempt.sent.is_some();
    let stayed = match &attempt.verdict {
        ReplyVerdict::Skipped { .. } => true,
        ReplyVerdict::Retry { reason: RetryReason::NoAnswer(why), .. } => {
            matches!(why, NoAnswer::ConnectTimeout | NoAnswer::NoConnection { .. })
        }
        ReplyVerdict::Dead { reason } => !matches!(
            reason,
            DeathReason::PlatformRejected(_) | DeathReason::Redirected(_) | DeathReason::GaveUp { .. }
        ),
        ReplyVerdict::Delivered { .. } | ReplyVerdict::Retry { .. } | ReplyVerdict::Park { .. } => false,
    };
    attempt.purpose == AttemptPurpose::Report && has_request && !stayed
}

fn request_text(attempt: &Attempt, request: &SentRequest) -> String {
    let own = attempt.place.and_then(|place| place.own_part(&request.body));
    match own {
        Some(own) => own.to_owned(),
        None => format!("{}\n{}", request.url, request.body),
    }
}

fn fields_in(known: &KnownIdentities, click: Option<&Click>, attempt: &Attempt, text: &str) -> Vec<String> {
    let of = |kinds: [IdentityKind; 2]| known.only(&kinds).is_named_in(text.as_bytes());
    let ip = click.and_then(|click| click.ip).map(|ip| ip.to_string());
    let agent = click.and_then(|click| click.user_agent.as_deref());
    let found = [
        ("email", of([IdentityKind::Email, IdentityKind::EmailHash])),
        ("phone", of([IdentityKind::Phone, IdentityKind::PhoneHash])),
        ("ip", ip.is_some_and(|ip| text.contains(&ip))),
        ("user_agent", agent.is_some_and(|agent| text.contains(agent))),
    ];
    let ids = attempt.sent.iter().flat_map(|sent| &sent.ids).map(|(name, _)| name.clone());
    found.into_iter().filter(|(_, is_in)| *is_in).map(|(name, _)| name.to_owned()).chain(ids).collect()
}
