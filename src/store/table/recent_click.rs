//! What the writer remembers of the clicks recorded lately, so that a repeat is known and caps are
//! counted. All of it can be read again from the stored records.

use std::collections::{HashMap, VecDeque};

use crate::domain::filter::{DuplicateBy, DuplicateRule};
use crate::domain::ids::{ClickId, OfferId};
use crate::domain::time::Time;
use crate::store::codec::{self, corrupt};
use crate::store::contract::error::StoreError;
use crate::store::engine::kv::Batch;
use crate::store::reader::Reader;
use crate::store::table::click::readable;
use crate::store::table::click_day;
use crate::store::table::click_log::{self, LoggedClick};
use crate::store::table::time_run::{OlderThanKept, Runs};

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
    /// Where the times of the log go back.
    runs: Runs,
}

impl RecentClicks {
    /// Before the click of number `end`.
    pub fn open(reader: &Reader, end: u64) -> Result<RecentClicks, StoreError> {
        let kept = reader.body::<Runs>(CLICK_RUNS)?;
        let is_one_run = kept.is_none();
        let mut runs = kept.unwrap_or_default();
        let lines = click_log::lines_below(reader, end, CHUNK)?;
        let first = lines.last().map_or(0, |(number, _)| *number);
        if let Some(newest) = lines.into_iter().filter_map(|(_, line)| Some(line.ok()?.at)).max() {
            runs.note(if is_one_run { 0 } else { first }, newest);
        }
        Ok(RecentClicks { end, repeats: None, days: HashMap::new(), runs })
    }

    /// The newest time of the clicks recorded lately.
    pub fn newest(&self) -> Option<Time> {
        self.runs.newest()
    }

    pub fn end(&self) -> u64 {
        self.end
    }

    /// See [`Runs::older`].
    pub fn older(&self, number: u64, since: Time) -> OlderThanKept {
        self.runs.older(number, since)
    }

    /// What is to be kept where the times of these clicks, the next ones of the log, go back.
    pub fn new_runs(&self, logged: &[LoggedClick]) -> Option<Runs> {
        let first = logged.first()?;
        let mut newest = self.runs.newest().unwrap_or(first.at);
        let goes_back = logged.iter().any(|line| {
            let goes_back = Runs::goes_back(newest, line.at);
            newest = newest.max(line.at);
            goes_back
        });
        goes_back.then(|| {
            let mut runs = self.runs.clone();
            (self.end..).zip(logged).for_each(|(number, line)| {
                runs.note(number, line.at);
            });
            runs
        })
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
            _ => self.repeats = Some(LatestClicks::read(reader, self.end, (by, window))?),
        }
        Ok(())
    }

    /// The latest click of this key, if it was received less than the window before `at`.
    pub fn earlier(&self, key: u64, at: Time) -> Option<&ClickId> {
        self.repeats.as_ref()?.earlier(key, at)
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
            self.runs.note(self.end, line.at);
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
    /// From the log, as far back as the window and the bound reach.
    fn read(reader: &Reader, end: u64, (by, window): (DuplicateBy, i64)) -> Result<LatestClicks, StoreError> {
        let mut lines: Vec<(u64, LoggedClick)> = Vec::new();
        let mut newest = None;
        let mut below = end;
        'lines: loop {
            let chunk = click_log::lines_below(reader, below, CHUNK)?;
            if chunk.is_empty() {
                break;
            }
            for (number, line) in chunk {
                below = number;
                let Some(line) = readable(line)? else { continue };
                let newest = *newest.get_or_insert(line.at);
                if newest.millis_since(line.at) >= window || lines.len() >= MOST {
                    break 'lines;
                }
                if line.likeness.is_some() {
                    lines.push((number, line));
                }
            }
        }
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

/// The name under `M` of where the times of clicks go back.
const CLICK_RUNS: &[u8] = b"Mclickruns";

/// Keeps where the times of clicks go back.
pub fn put_runs(batch: &mut Batch, runs: &Runs) -> Result<(), StoreError> {
    let packed = codec::pack(&(), runs).map_err(|error| corrupt(CLICK_RUNS, &error))?;
    batch.put(CLICK_RUNS.to_vec(), packed);
    Ok(())
}
