//! What the writer remembers of the clicks recorded lately, so that a repeat is known and caps are
//! counted. All of it can be read again from the stored records.

use std::collections::{HashMap, VecDeque};

use crate::domain::filter::{DuplicateBy, DuplicateRule};
use crate::domain::ids::{ClickId, OfferId};
use crate::domain::time::Time;
use crate::store::contract::error::StoreError;
use crate::store::reader::{Reader, readable};
use crate::store::table::click_day;
use crate::store::table::click_log::{self, LogPlace, LoggedClick};
use crate::store::table::newest_time::NewestTime;

/// The most clicks that repeats are looked for among, and the most bytes that they take, whatever the window:
/// the oldest go first. 145 clicks a second for an hour, with ids as they are minted here.
const MOST: usize = 512 * 1024;

const MOST_BYTES: usize = 80 * 1024 * 1024;

/// What one of them takes besides its id.
const BYTES: usize = 112;

/// The most day counters at hand; the others are read when they are needed.
const DAYS: usize = 4096;

/// Lines of the log read together.
const CHUNK: usize = 4096;

/// Moved on by each commit; a commit that fails leaves it as it was.
pub struct RecentClicks {
    /// The number that the next click will have.
    end: u64,
    repeats: Option<LatestClicks>,
    days: HashMap<(i64, OfferId), u64>,
    newest: NewestTime,
}

impl RecentClicks {
    /// Before the click of number `end`; `latest`: the day of the click before it, where one is kept.
    pub fn open(reader: &Reader, end: u64, latest: Option<i32>) -> Result<RecentClicks, StoreError> {
        let mut newest = NewestTime::default();
        if let Some(day) = latest {
            let of_day = (LogPlace::start_of(day), LogPlace::start_of(day).next_day());
            let lines = click_log::lines_down(reader, of_day, CHUNK)?;
            lines.into_iter().filter_map(|(_, line)| line.ok()).for_each(|line| newest.note(line.at));
        }
        Ok(RecentClicks { end, repeats: None, days: HashMap::new(), newest })
    }

    /// The newest time of the clicks recorded lately.
    pub fn newest(&self) -> Option<Time> {
        self.newest.get()
    }

    /// From now on repeats are recognized by this rule. Where it looks at other things than before, or further
    /// back, the log is read again.
    pub fn go_by(&mut self, reader: &Reader, rule: Option<DuplicateRule>) -> Result<(), StoreError> {
        let Some(rule) = rule else {
            self.repeats = None;
            return Ok(());
        };
        let (by, window) = (rule.by, rule.window_ms);
        match &mut self.repeats {
            Some(known) if known.by == by && known.window >= window => known.window = window,
            _ => self.repeats = Some(LatestClicks::read(reader, self.newest.get(), (by, window))?),
        }
        Ok(())
    }

    /// The latest click of this key, if it was received less than the window before `at`.
    pub fn earlier(&self, key: u64, at: Time) -> Option<&ClickId> {
        self.repeats.as_ref()?.earlier(key, at)
    }

    /// How many clicks on the offer have counted on that day, where that is at hand.
    pub fn counted_at_hand(&self, day: i64, offer: &OfferId) -> Option<u64> {
        self.days.get(&(day, offer.clone())).copied()
    }

    /// How many clicks on the offer have counted on that day.
    pub fn counted(&mut self, reader: &Reader, day: i64, offer: &OfferId) -> Result<u64, StoreError> {
        let place = (day, offer.clone());
        if let Some(count) = self.days.get(&place) {
            return Ok(*count);
        }
        let count = click_day::count(reader, day, offer)?;
        self.days.insert(place, count);
        Ok(count)
    }

    /// Takes note of what a committed group brought.
    pub fn add<'a>(
        &mut self,
        logged: &[LoggedClick],
        days: impl IntoIterator<Item = (&'a (i64, OfferId), &'a u64)>,
    ) {
        for line in logged {
            self.newest.note(line.at);
            if let Some(repeats) = &mut self.repeats {
                repeats.add(self.end, line);
            }
            self.end += 1;
        }
        if self.days.len() > DAYS {
            self.days.clear();
        }
        self.days.extend(days.into_iter().map(|(place, count)| (place.clone(), *count)));
    }

    /// Forgets the counters before a day: they are purged.
    pub fn forget_days(&mut self, before: i64) {
        self.days.retain(|(day, _), _| *day >= before);
    }
}

/// The latest counted click of every key.
struct LatestClicks {
    by: DuplicateBy,
    window: i64,
    latest: HashMap<u64, (u64, Time, ClickId)>,
    /// Keys and click numbers, in order of recording.
    order: VecDeque<(u64, u64)>,
    /// How many bytes of ids the latest have.
    id_bytes: usize,
    newest: Time,
}

impl LatestClicks {
    /// From the log, as far back from the `newest` click as the window and the bound reach.
    fn read(
        reader: &Reader,
        newest: Option<Time>,
        (by, window): (DuplicateBy, i64),
    ) -> Result<LatestClicks, StoreError> {
        let mut lines: Vec<(u64, LoggedClick)> = Vec::new();
        let mut to = newest.map(|newest| LogPlace::of(newest, 0).next_day());
        'lines: while let (Some(newest), Some(before)) = (newest, to) {
            let from = LogPlace::of(newest.plus_millis(-window), 0);
            let chunk = click_log::lines_down(reader, (from, before), CHUNK)?;
            to = chunk.last().map(|(place, _)| *place);
            for (place, line) in chunk {
                let Some(line) = readable(line, "a click")? else { continue };
                if newest.millis_since(line.at) >= window || lines.len() >= MOST {
                    break 'lines;
                }
                if line.likeness.is_some() {
                    lines.push((place.number, line));
                }
            }
        }
        // A day is in the order of its numbers, and days need not be.
        lines.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
        let mut repeats = LatestClicks {
            by,
            window,
            latest: HashMap::new(),
            order: VecDeque::new(),
            id_bytes: 0,
            newest: Time::EPOCH,
        };
        lines.iter().rev().for_each(|(number, line)| repeats.add(*number, line));
        Ok(repeats)
    }

    fn earlier(&self, key: u64, at: Time) -> Option<&ClickId> {
        let (_, earlier, id) = self.latest.get(&key)?;
        is_within(*earlier, at, self.window).then_some(id)
    }

    fn add(&mut self, number: u64, line: &LoggedClick) {
        let Some(key) = line.likeness.and_then(|likeness| likeness.by(self.by)) else { return };
        // Not the greatest: after a clock that ran ahead nothing would be remembered.
        self.newest = line.at;
        self.id_bytes += line.id.as_str().len();
        let before = self.latest.insert(key, (number, line.at, line.id.clone()));
        self.forget(before);
        self.order.push_back((key, number));
        while self.front_is_done() || self.order.len() > MOST || self.bytes() > MOST_BYTES {
            let Some((key, number)) = self.order.pop_front() else { break };
            if self.latest.get(&key).is_some_and(|(latest, ..)| *latest == number) {
                let gone = self.latest.remove(&key);
                self.forget(gone);
            }
        }
    }

    fn bytes(&self) -> usize {
        self.id_bytes + self.order.len() * BYTES
    }

    fn forget(&mut self, gone: Option<(u64, Time, ClickId)>) {
        self.id_bytes -= gone.map_or(0, |(_, _, id)| id.as_str().len());
    }

    /// Whether the oldest was followed by another of its key, or is before the window.
    fn front_is_done(&self) -> bool {
        let Some((key, number)) = self.order.front() else { return false };
        match self.latest.get(key) {
            Some((latest, at, _)) if latest == number => !is_within(*at, self.newest, self.window),
            _ => true,
        }
    }
}

/// Whether two clicks are less than the window apart. Two that come at once are recorded in either order.
pub fn is_within(earlier: Time, at: Time, window: i64) -> bool {
    at.millis_since(earlier).abs() < window
}
