//! Which records are of the persons whose data is to be erased, or name them: by walking all of them, since nothing leads
//! from an address to its records.

use std::ops::ControlFlow;

use crate::domain::click::Click;
use crate::domain::conversion::Conversion;
use crate::domain::erasure::identity::KnownIdentities;
use crate::domain::erasure::persons::PersonMarks;
use crate::domain::ids::ClickId;
use crate::domain::time::Time;
use crate::store::codec::{self, corrupt};
use crate::store::commit::whose::{caused, is_named_in};
use crate::store::contract::error::StoreError;
use crate::store::engine::kv::{Direction, Span};
use crate::store::reader::readable;
use crate::store::records::StoreShared;
use crate::store::table::click::{StoredClick, clicks_behind};
use crate::store::table::click_log::{self, LogPlace};
use crate::store::table::conversion::Record;
use crate::store::table::dated_records::read_some;
use crate::store::table::day::DayRun;
use crate::store::table::erasure::ScanPlace;
use crate::store::table::postback::{PostbackBody, body_key};

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

/// What a step has found.
#[derive(Debug, Default)]
pub struct FoundRecords {
    pub records: Vec<ErasableRecord>,
    /// Where the next step begins; `None`: every record was looked at.
    pub next: Option<ScanPlace>,
    /// How many cannot be read: no one knows whose they are.
    pub unreadable: u64,
}

/// One step: what may be of them and was received until then.
pub fn step(
    shared: &StoreShared,
    known: &KnownIdentities,
    place: ScanPlace,
    until: Time,
) -> Result<FoundRecords, StoreError> {
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
) -> Result<FoundRecords, StoreError> {
    let (mut found, mut left) = (FoundRecords::default(), LOOKED_AT);
    let runs: Vec<DayRun> = shared.index.lock().days.from(next).collect();
    for run in runs {
        let numbers = run.first.max(next)..run.end;
        let way = (numbers, Direction::Up);
        let some = read_some(&shared.reader, (body_key, run.day), way, left, codec::read::<PostbackBody>)?;
        left = left.saturating_sub(some.found.len());
        found.unreadable += some.unreadable;
        for (number, body) in some.found {
            next = number + 1;
            if body.postback.received_at <= until {
                match readable(may_be_of(shared, known, (run.day, number), &body), "a postback")? {
                    Some(true) => found.records.push(ErasableRecord::Postback(run.day, number)),
                    Some(false) => {}
                    None => found.unreadable += 1,
                }
            }
            if found.records.len() >= FOUND {
                return Ok(FoundRecords { next: Some(ScanPlace::Postbacks(next)), ..found });
            }
        }
        next = some.rest.start;
        if !some.rest.is_empty() || left == 0 {
            return Ok(FoundRecords { next: Some(ScanPlace::Postbacks(next)), ..found });
        }
    }
    Ok(FoundRecords { next: Some(ScanPlace::Clicks(None)), ..found })
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
    let caused = caused(shared, (day, number), body)?;
    if caused.is_known(known) {
        return Ok(true);
    }
    // Of what nothing was made of an id is enough.
    let known = &if caused.is_settled { known.clone() } else { known.with_ids() };
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

fn step_clicks(
    shared: &StoreShared,
    known: &KnownIdentities,
    after: Option<ClickId>,
    until: Time,
) -> Result<FoundRecords, StoreError> {
    let (mut found, mut last, mut looked_at) = (FoundRecords::default(), None, 0);
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
                found.records.push(ErasableRecord::Click(id.clone()));
            }
            Ok(_) => {}
            Err(error) => {
                tracing::error!(%error, "a click cannot be read");
                found.unreadable += 1;
            }
        }
        looked_at += 1;
        if looked_at >= LOOKED_AT || found.records.len() >= FOUND {
            last = Some(id);
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    })?;
    let next = last.map_or(ScanPlace::Lines(i32::MIN, 0), |id| ScanPlace::Clicks(Some(id)));
    Ok(FoundRecords { next: Some(next), ..found })
}

fn is_of(known: &KnownIdentities, click: &Click) -> bool {
    PersonMarks::of_click(click).may_be_of(known) || is_named_in(known, click).unwrap_or(true)
}

fn step_lines(
    shared: &StoreShared,
    known: &KnownIdentities,
    from: LogPlace,
) -> Result<FoundRecords, StoreError> {
    let lines = click_log::lines_up(&shared.reader, (from, LogPlace::END), LINES)?;
    let is_last = lines.len() < LINES;
    let next = lines.last().map(|(place, _)| ScanPlace::Lines(place.day, place.number + 1));
    let mut found = FoundRecords { next: next.filter(|_| !is_last), ..FoundRecords::default() };
    for (place, line) in lines {
        let Some(line) = readable(line, "a line of the log of clicks")? else {
            found.unreadable += 1;
            continue;
        };
        if known.knows_click(&line.id) {
            found.records.extend(line.likeness.is_some().then_some(ErasableRecord::Line(place)));
            found.records.push(ErasableRecord::Click(line.id));
        }
    }
    Ok(found)
}
