//! Deletes what is past its time, a bounded number of records at a step. What a purged conversion
//! leaves behind goes with it: what replaced it, its deliveries, its attempts, its place in the index.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::de::DeserializeOwned;

use crate::domain::time::Time;
use crate::store::codec;
use crate::store::commit::aged_out::{AgedOut, NOT_DUE};
use crate::store::commit::purge_clicks::{self, ClickCursor, readable_quietly};
use crate::store::commit::purging::{ClickPurge, Purging};
use crate::store::contract::change::{OldestRecords, PurgeBefore, Purged};
use crate::store::contract::error::StoreError;
use crate::store::engine::kv::Direction;
use crate::store::reader::readable;
use crate::store::records::StoreShared;
use crate::store::table::attempt::remove_attempt;
use crate::store::table::click_log::{self, LogPlace};
use crate::store::table::conversion::{Record, Sketch, remove_overlay};
use crate::store::table::dated_records::{DatedKey, read_some};
use crate::store::table::day::DayRun;
use crate::store::table::delivery::remove_states;
use crate::store::table::exchange::{ExchangePlace, remove_exchange};
use crate::store::table::postback::{HeadAge, RawAge, head_key, put_postback, raw_key, remove_postback};

/// How many records one step looks at, and how many it takes out at least and at most.
const LOOKED_AT: usize = 512;
const TAKEN_OUT: RangeInclusive<usize> = 32..=512;
/// How long the work of a step may take: so short that what is received hardly waits for it. Where the disk takes longer
/// than that to make it durable, as long as the disk takes.
const STEP: Duration = Duration::from_millis(1);

/// How far the present pass has come. A pass is over when every part is.
#[derive(Debug)]
pub struct Cursor {
    /// How many records of a kind the next step takes out at most.
    most: usize,
    /// The number from which raw bytes are looked at next.
    raw: u64,
    raw_done: bool,
    /// The same of postbacks and conversions.
    postbacks: u64,
    postbacks_done: bool,
    /// How many in a row of the present day were not due.
    not_due: usize,
    clicks: ClickCursor,
}

impl Default for Cursor {
    fn default() -> Cursor {
        let clicks = ClickCursor::default();
        let most = *TAKEN_OUT.start();
        let (raw, raw_done, postbacks, postbacks_done, not_due) = Default::default();
        Cursor { most, raw, raw_done, postbacks, postbacks_done, not_due, clicks }
    }
}

impl Cursor {
    /// A step has taken so long to be worked out, and so long to be made durable.
    pub fn fit(&mut self, worked: Duration, synced: Duration) {
        let fair = synced.max(STEP);
        if worked > fair {
            self.most = (self.most / 2).max(*TAKEN_OUT.start());
        } else if worked < fair / 4 {
            self.most = (2 * self.most).min(*TAKEN_OUT.end());
        }
    }
}

/// The same, for those who read ahead and for the writer, who moves it on.
pub type PurgePass = Arc<Mutex<Cursor>>;

/// Reads what the next step is going to take out, so that the writer finds it in memory. What changes meanwhile is read
/// again there, and so is what cannot be read.
pub fn read_ahead(shared: &StoreShared, before: PurgeBefore, pass: &PurgePass) -> Result<(), StoreError> {
    let (most, raw, postbacks, clicks) = {
        let cursor = pass.lock();
        let postbacks = (cursor.raw_done && !cursor.postbacks_done).then_some(cursor.postbacks);
        (cursor.most, (!cursor.raw_done).then_some(cursor.raw), postbacks, cursor.clicks.line())
    };
    let kept = Arc::clone(&shared.index.lock().kept);
    let aged = AgedOut::new(&kept, before);
    let mut left = most;
    if let Some(mut next) = raw {
        let due = |run: &DayRun| aged.raw_of(run);
        walk(shared, (raw_key, &due, most), (&mut next, &mut 0), |_, _: RawAge| {
            left -= 1;
            Ok(Looked { is_due: true, is_enough: left == 0 })
        })?;
    }
    if let Some(mut next) = postbacks {
        let due = |run: &DayRun| aged.conversions_of(run);
        walk(shared, (head_key, &due, most), (&mut next, &mut 0), |(day, number), _: HeadAge| {
            left -= 1;
            if let Some(record) = readable_quietly(shared.records.conversion(day, number))?.flatten() {
                readable_quietly(attempts_of(shared, day, &record))?;
            }
            Ok(Looked { is_due: true, is_enough: left == 0 })
        })?;
    }
    clicks.map_or(Ok(()), |place| purge_clicks::read_ahead(shared, &aged, (place, most)))
}

/// Decides one step: what it deletes, and how far that is.
pub fn step(
    shared: &StoreShared,
    before: PurgeBefore,
    pass: &PurgePass,
) -> Result<(Purging, Purged), StoreError> {
    let cursor = &mut *pass.lock();
    let mut purging = Purging::default();
    let kept = Arc::clone(&shared.index.lock().kept);
    let aged = AgedOut::new(&kept, before);
    // Raw bytes first: what is left of a postback goes when they have gone.
    if !cursor.raw_done {
        step_raw(shared, &aged, cursor, &mut purging)?;
    } else if !cursor.postbacks_done {
        step_postbacks(shared, &aged, cursor, &mut purging)?;
    }
    if !cursor.clicks.is_done() {
        purging.clicks = ClickPurge::step(shared, &aged, (&mut cursor.clicks, cursor.most))?;
    }
    let more = !(cursor.raw_done && cursor.postbacks_done && cursor.clicks.is_done());
    if !more {
        *cursor = Cursor { most: cursor.most, ..Cursor::default() };
    }
    let behind_ms = purging.behind_ms.max(purging.clicks.behind_ms);
    let purged = Purged { records: purging.records(), behind_ms, more, oldest: None };
    Ok((purging, purged))
}

/// The oldest records that there are. What cannot be read is left out.
pub fn oldest(shared: &StoreShared) -> Result<OldestRecords, StoreError> {
    let runs: Vec<DayRun> = shared.index.lock().days.from(0).collect();
    let lines =
        readable(click_log::lines_up(&shared.reader, (LogPlace::FIRST, LogPlace::END), 1), "a click")?;
    let line = lines.and_then(|mut lines| lines.pop()).map(|(_, line)| line).transpose();
    Ok(OldestRecords {
        raw: first(shared, &runs, raw_key, |age: RawAge| age.at)?,
        postback: first(shared, &runs, head_key, |age: HeadAge| age.at)?,
        click: readable(line, "a click")?.flatten().map(|line| line.at),
    })
}

/// The time of the first record of a kind.
fn first<T: DeserializeOwned>(
    shared: &StoreShared,
    runs: &[DayRun],
    key: DatedKey,
    at: impl Fn(T) -> Time,
) -> Result<Option<Time>, StoreError> {
    for run in runs {
        let way = (run.first..run.end, Direction::Up);
        let some = read_some(&shared.reader, (key, run.day), way, 1, codec::beginning::<T>)?;
        if let Some((_, age)) = some.found.into_iter().next() {
            return Ok(Some(at(age)));
        }
    }
    Ok(None)
}

fn step_raw(
    shared: &StoreShared,
    aged: &AgedOut<'_>,
    cursor: &mut Cursor,
    purging: &mut Purging,
) -> Result<(), StoreError> {
    let due = |run: &DayRun| aged.raw_of(run);
    let (place, most) = ((&mut cursor.raw, &mut cursor.not_due), cursor.most);
    cursor.raw_done = walk(shared, (raw_key, &due, most), place, |(day, number), kept: RawAge| {
        purging.behind_ms = aged.believed.postbacks.millis_since(kept.at).max(0);
        let is_due = aged.entry(shared, number, (kept.at, kept.again)).raw;
        if is_due {
            purging.batch.remove(raw_key(day, number));
            purging.stripped.push(number);
        }
        Ok(Looked { is_due: is_due || kept.again.is_some(), is_enough: purging.stripped.len() >= most })
    })?;
    Ok(())
}

fn step_postbacks(
    shared: &StoreShared,
    aged: &AgedOut<'_>,
    cursor: &mut Cursor,
    purging: &mut Purging,
) -> Result<(), StoreError> {
    let due = |run: &DayRun| aged.conversions_of(run);
    let (place, most) = ((&mut cursor.postbacks, &mut cursor.not_due), cursor.most);
    cursor.postbacks_done = walk(shared, (head_key, &due, most), place, |place, age: HeadAge| {
        purging.behind_ms = aged.believed.conversions.millis_since(age.at).max(0);
        let due = aged.entry(shared, place.1, (age.at, age.again));
        if due.conversion {
            readable(purging.postback(shared, place, due.raw), "a postback that is to be purged")?;
        }
        let is_enough = purging.gone.len() + purging.forgotten.len() >= most;
        Ok(Looked { is_due: due.conversion || age.again.is_some(), is_enough })
    })?;
    Ok(())
}

/// The key of a record by its day and number, whether records of a day may be due, and how many are read at a time.
type DueRecords<'a> = (DatedKey, &'a dyn Fn(&DayRun) -> bool, usize);

/// What a record is to a walk.
struct Looked {
    /// Whether it is past its time, or may be while those next to it are not: one that reprocesses another ages by that.
    is_due: bool,
    /// Whether the step has enough.
    is_enough: bool,
}

/// Shows the beginnings of records of the days that are due to `visit`, from number `next` on, which moves on with them:
/// of a bounded number of them, and of none once it has enough. Answers whether none is left.
fn walk<T: DeserializeOwned>(
    shared: &StoreShared,
    (key, is_due, some_at_once): DueRecords<'_>,
    (next, not_due): (&mut u64, &mut usize),
    mut visit: impl FnMut((i32, u64), T) -> Result<Looked, StoreError>,
) -> Result<bool, StoreError> {
    let mut left = LOOKED_AT;
    let runs: Vec<DayRun> = shared.index.lock().days.from(*next).collect();
    for run in runs.iter().filter(|run| is_due(run)) {
        if *next <= run.first {
            *not_due = 0;
        }
        loop {
            let way = (run.first.max(*next)..run.end, Direction::Up);
            // Not more than are taken out: what is left would be read again by the next step.
            let most = left.min(some_at_once);
            let some = read_some(&shared.reader, (key, run.day), way, most, codec::beginning::<T>)?;
            let looked_up = usize::try_from(some.looked_up).unwrap_or(LOOKED_AT);
            left = left.saturating_sub(some.found.len().max(looked_up));
            for (number, age) in some.found {
                *next = number + 1;
                let looked = visit((run.day, number), age)?;
                *not_due = if looked.is_due { 0 } else { *not_due + 1 };
                if looked.is_enough {
                    return Ok(false);
                }
            }
            let is_over = some.rest.is_empty() || *not_due >= NOT_DUE;
            *next = if is_over { run.end } else { some.rest.start };
            if left == 0 {
                return Ok(false);
            }
            if is_over {
                break;
            }
        }
    }
    Ok(true)
}

/// The attempts at the deliveries of a conversion, each with where its exchange is stored, if that is its own.
fn attempts_of(
    shared: &StoreShared,
    day: i32,
    record: &Record,
) -> Result<Vec<(u64, Option<ExchangePlace>)>, StoreError> {
    let mut attempts = Vec::new();
    for last in &record.standing.last_attempts {
        let mut next = *last;
        while let Some(attempt) = next {
            let Some(stored) = shared.reader.stored_attempt(day, attempt)? else { break };
            attempts.push((attempt, stored.exchange.filter(|place| place.attempt == attempt)));
            next = stored.before(attempt);
        }
    }
    Ok(attempts)
}

impl Purging {
    /// Takes the conversion of a postback out, unless a delivery of it is unfinished; and the postback itself, where
    /// its raw bytes are past their days too.
    fn postback(
        &mut self,
        shared: &StoreShared,
        (day, number): (i32, u64),
        is_raw_due: bool,
    ) -> Result<(), StoreError> {
        let Some(mut head) = shared.reader.head_of(day, number)? else { return Ok(()) };
        let record = if head.sketch.is_some() { shared.records.conversion(day, number)? } else { None };
        if record.as_ref().is_some_and(|record| record.standing.is_unfinished()) {
            return Ok(());
        }
        let body = match shared.reader.body_of(day, number) {
            // It goes without being read; what was counted of it stays.
            damaged if is_raw_due => readable(damaged, "a postback that is to be purged")?.flatten(),
            read => read?,
        };
        let had_conversion = record.is_some();
        if let Some(record) = record {
            self.conversion(shared, (day, number), record)?;
        }
        if is_raw_due {
            remove_postback(&mut self.batch, day, number);
            self.batch.remove(raw_key(day, number));
            if let Some(body) = body {
                let reprocessed = shared.index.lock().is_reprocessed(number);
                self.counting.forget(&body.postback, reprocessed);
            }
            self.forgotten.push(number);
        } else if let Some(mut body) = body.filter(|_| had_conversion) {
            (head.sketch, body.conversion) = (None, None);
            put_postback(&mut self.batch, number, &head, &body)?;
        }
        Ok(())
    }

    fn conversion(
        &mut self,
        shared: &StoreShared,
        (day, number): (i32, u64),
        record: Arc<Record>,
    ) -> Result<(), StoreError> {
        for (attempt, exchange) in attempts_of(shared, day, &record)? {
            remove_attempt(&mut self.batch, day, attempt);
            exchange.into_iter().for_each(|place| remove_exchange(&mut self.batch, place));
        }
        if record.overlay {
            remove_overlay(&mut self.batch, day, number);
        }
        remove_states(&mut self.batch, day, number);
        self.counting.conversion(&record.conversion, None);
        self.gone.push((number, Sketch::of(&record.conversion, record.standing.clone())));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_takes_out_as_much_as_its_share_of_time_allows() {
        let micros = Duration::from_micros;
        let mut cursor = Cursor::default();
        let mut most_after = |worked, synced| {
            (0..10).for_each(|_| cursor.fit(micros(worked), micros(synced)));
            cursor.most
        };
        assert_eq!(most_after(400, 250), 32, "a quick disk needs no longer steps");
        assert_eq!(most_after(400, 8000), 512, "where each step waits long for the disk it takes out more");
        assert_eq!(most_after(5000, 8000), 512);
        assert_eq!(most_after(9000, 250), 32, "what is received does not wait for the work");
    }
}
