//! Deletes clicks that are past their date, with every trace: their lines in the log, their places among
//! their browsers' clicks, and the counters of their days.

use std::sync::Arc;

use crate::domain::ids::{ClickId, VisitorId};
use crate::domain::offer::day_of;
use crate::store::commit::aged_out::{AgedOut, NOT_DUE};
use crate::store::commit::purging::ClickPurge;
use crate::store::contract::error::StoreError;
use crate::store::reader::readable;
use crate::store::records::StoreShared;
use crate::store::table::age::AgeKey;
use crate::store::table::click_day;
use crate::store::table::click_log::{self, LogPlace, LoggedClick};
use crate::store::table::early_answer::{self, FIRST_ANSWER};

/// How many lines of the log and how many counters one step looks at: so few that what is received hardly waits for it,
/// since a day that is partly due has many lines that are not.
const LINES: usize = 1024;

const DAYS: usize = 512;

/// How many answers ahead of their clicks.
const ANSWERS: usize = 512;

/// How far the present pass has come.
#[derive(Debug)]
pub struct ClickCursor {
    /// The place at which the log is looked at next.
    log: LogPlace,
    log_done: bool,
    /// How many lines in a row of the present day were not due.
    not_due: usize,
    days_done: bool,
    /// From which key on answers ahead of their clicks are looked at; `None`: from the first.
    answers: Option<Vec<u8>>,
    answers_done: bool,
}

impl Default for ClickCursor {
    fn default() -> ClickCursor {
        ClickCursor {
            log: LogPlace::FIRST,
            log_done: false,
            not_due: 0,
            days_done: false,
            answers: None,
            answers_done: false,
        }
    }
}

impl ClickCursor {
    pub fn is_done(&self) -> bool {
        self.log_done && self.days_done && self.answers_done
    }

    /// The line of the log from which on it is looked next; `None`: at none.
    pub fn line(&self) -> Option<LogPlace> {
        (!self.log_done).then_some(self.log)
    }
}

/// Reads the clicks of the lines from a place on that the next step takes out.
pub fn read_ahead(
    shared: &StoreShared,
    aged: &AgedOut<'_>,
    (from, most): (LogPlace, usize),
) -> Result<(), StoreError> {
    let lines = click_log::lines_up(&shared.reader, (from, LogPlace::END), most);
    let lines = readable_quietly(lines)?.unwrap_or_default();
    for (place, line) in lines {
        let Some(line) = readable_quietly(line)? else { continue };
        if aged.click(AgeKey::Click(place.number), line.at) {
            let click = readable_quietly(shared.records.click(&line.id))?.flatten();
            if let Some(visitor) = click.as_ref().and_then(|click| click.context.visitor.as_ref()) {
                readable_quietly(shared.reader.visits(visitor))?;
            }
        }
    }
    Ok(())
}

/// What could be read; what could not is named by the writer, who meets it too.
pub fn readable_quietly<T>(read: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(StoreError::Corrupt { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

impl ClickPurge {
    /// Decides one step.
    pub fn step(
        shared: &StoreShared,
        aged: &AgedOut<'_>,
        (cursor, most): (&mut ClickCursor, usize),
    ) -> Result<ClickPurge, StoreError> {
        let mut purge = ClickPurge { day: day_of(aged.believed.clicks), ..ClickPurge::default() };
        if !cursor.log_done {
            purge.step_log(shared, aged, (cursor, most))?;
        }
        if !cursor.days_done {
            purge.days = click_day::before(&shared.reader, purge.day, DAYS)?;
            cursor.days_done = purge.days.len() < DAYS;
        }
        if !cursor.answers_done {
            let from = cursor.answers.as_deref().unwrap_or(FIRST_ANSWER);
            (purge.answers, cursor.answers) = early_answer::ended(&shared.reader, from, ANSWERS, |ahead| {
                aged.click(AgeKey::Marks(ahead.marks), ahead.received_at)
            })?;
            cursor.answers_done = cursor.answers.is_none();
        }
        Ok(purge)
    }

    /// Goes through the days that are due, each from its first line on.
    fn step_log(
        &mut self,
        shared: &StoreShared,
        aged: &AgedOut<'_>,
        (cursor, most): (&mut ClickCursor, usize),
    ) -> Result<(), StoreError> {
        let reader = &shared.reader;
        let (mut left, mut looked_at) = (LINES, 0);
        while let Some((first, line)) = click_log::lines_up(reader, (cursor.log, LogPlace::END), 1)?.pop() {
            // What cannot be read may have begun before.
            let first = first.max(cursor.log);
            if first.day != cursor.log.day {
                cursor.not_due = 0;
            }
            if !aged.clicks_of(first) {
                // What cannot be read may go on to the end of the log, and is met again on every day.
                if line.is_err() {
                    break;
                }
                cursor.log = first.next_day();
                continue;
            }
            let some = left.min(most);
            let lines = click_log::lines_up(reader, (first, first.next_day()), some)?;
            let (is_whole_day, before) = (lines.len() < some, cursor.log);
            for (place, line) in lines {
                if looked_at >= most {
                    cursor.log = place.max(cursor.log);
                    return Ok(());
                }
                cursor.log = LogPlace { number: place.number.saturating_add(1), ..place }.max(cursor.log);
                left -= 1;
                if let Ok(line) = &line {
                    self.behind_ms = aged.believed.clicks.millis_since(line.at).max(0);
                }
                let Some(line) = readable(line, "a click")? else { continue };
                if !aged.click(AgeKey::Click(place.number), line.at) {
                    cursor.not_due += 1;
                    continue;
                }
                (looked_at, cursor.not_due) = (looked_at + 1, 0);
                if self.click(shared, &line)? {
                    self.log.push(place);
                }
            }
            // No step goes on behind what cannot be read and names no place of its own: the next pass looks again.
            if is_whole_day || cursor.not_due >= NOT_DUE || cursor.log == before {
                (cursor.log, cursor.not_due) = (first.next_day(), 0);
            }
            if left == 0 {
                return Ok(());
            }
        }
        cursor.log_done = true;
        Ok(())
    }

    /// Takes a click out, unless a delivery needs it. One that cannot be read stays, and so does its line.
    fn click(&mut self, shared: &StoreShared, line: &LoggedClick) -> Result<bool, StoreError> {
        if shared.index.lock().needs_click(line.id.as_str()) {
            return Ok(false);
        }
        let found = match shared.records.click_at_hand(&line.id) {
            Some(click) => Some(click),
            None => match readable(shared.reader.click_afresh(&line.id), "a click")? {
                Some(found) => found.map(Arc::new),
                None => return Ok(false),
            },
        };
        let Some(click) = found else { return Ok(true) };
        if let Some(visitor) = &click.context.visitor {
            self.forget_visit(shared, visitor, &line.id)?;
        }
        self.counting.click(Some(&click), None);
        self.clicks.push(line.id.clone());
        Ok(true)
    }

    fn forget_visit(
        &mut self,
        shared: &StoreShared,
        visitor: &VisitorId,
        click: &ClickId,
    ) -> Result<(), StoreError> {
        let known = self.visitors.get(visitor).cloned();
        let read = || shared.reader.visits(visitor).map(Option::unwrap_or_default);
        let Some(mut visits) = readable(known.map_or_else(read, Ok), "a visitor")? else { return Ok(()) };
        let before = visits.visits.len();
        visits.visits.retain(|visit| visit.click != *click);
        if visits.visits.len() < before {
            self.visitors.insert(visitor.clone(), visits);
        }
        Ok(())
    }
}
