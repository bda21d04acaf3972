//! The rows of reports, kept in memory in the order of reports: pages are reached without sorting, and
//! only a page's conversions are read from the disk.

use std::collections::HashMap;
use std::hash::Hash;
use std::mem::size_of;
use std::sync::Arc;

use crate::domain::ids::{AffiliateId, OfferId, Seq};
use crate::domain::status::Status;
use crate::domain::time::Time;
use crate::store::contract::lookup::{ReportPlace, ReportQuery};
use crate::store::table::report_line::ReportLine;

/// The most rows in one chunk. An insertion moves half of them at most, once they are found.
const CHUNK_ROWS: usize = 1024;

/// One conversion of an offer, in 24 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct OfferRow {
    /// Milliseconds of its event time.
    at: i64,
    /// The number, and in the two lowest bits the status.
    number: u64,
    offer: u32,
    affiliate: u32,
}

const _: () = assert!(size_of::<OfferRow>() == 24);

impl OfferRow {
    /// What rows are ordered by.
    fn place(&self) -> (i64, u64) {
        (self.at, self.number >> 2)
    }

    fn time(&self) -> Option<Time> {
        Time::from_millis(self.at)
    }

    fn report_place(&self) -> Option<ReportPlace> {
        Some(ReportPlace { event_time: self.time()?, seq: Seq::new(self.number >> 2)? })
    }
}

fn status_bits(status: Status) -> u64 {
    match status {
        Status::Approved => 0,
        Status::Pending => 1,
        Status::Rejected => 2,
        Status::Scrubbed => 3,
    }
}

/// Small numbers for ids, 1 and up, never given back: there are as many as were ever configured.
struct InternedIds<Id>(HashMap<Id, u32>);

/// The number of those ids that no number is left for: no query finds them.
const NUMBERLESS: u32 = 0;

impl<Id: Clone + Eq + Hash> InternedIds<Id> {
    fn number(&mut self, id: &Id) -> u32 {
        if let Some(known) = self.get(id) {
            return known;
        }
        let Some(next) = u32::try_from(self.0.len()).ok().and_then(|count| count.checked_add(1)) else {
            tracing::error!("reports have no number left for an offer or affiliate: its rows are not found");
            return NUMBERLESS;
        };
        self.0.insert(id.clone(), next);
        next
    }

    fn get(&self, id: &Id) -> Option<u32> {
        self.0.get(id).copied()
    }
}

type RowChunk = Arc<Vec<OfferRow>>;

/// Every row, by event time and number, in sorted chunks. A reader takes the chunks along and reads them
/// without any lock; what is changed meanwhile is changed in copies of single chunks.
pub struct Rows {
    chunks: Vec<RowChunk>,
    offers: InternedIds<OfferId>,
    affiliates: InternedIds<AffiliateId>,
}

impl Default for Rows {
    fn default() -> Rows {
        Rows {
            chunks: Vec::new(),
            offers: InternedIds(HashMap::new()),
            affiliates: InternedIds(HashMap::new()),
        }
    }
}

impl Rows {
    /// Moves conversion `number` from one appearance to another.
    pub fn apply(&mut self, number: u64, before: Option<&ReportLine>, after: Option<&ReportLine>) {
        if before == after {
            return;
        }
        if let Some(before) = before {
            self.remove((before.at.as_millis(), number));
        }
        if let Some(after) = after {
            let row = OfferRow {
                at: after.at.as_millis(),
                number: (number << 2) | status_bits(after.status),
                offer: self.offers.number(&after.offer),
                affiliate: after.affiliate.as_ref().map_or(0, |id| self.affiliates.number(id)),
            };
            self.insert(row);
        }
    }

    /// The chunk in which a row of this place is, or would be.
    fn chunk_of(&self, place: (i64, u64)) -> usize {
        let begins_before = |chunk: &RowChunk| chunk.first().is_some_and(|first| first.place() <= place);
        // Nearly everything that is added belongs to the end.
        if self.chunks.last().is_some_and(begins_before) {
            return self.chunks.len() - 1;
        }
        self.chunks.partition_point(begins_before).saturating_sub(1)
    }

    fn insert(&mut self, row: OfferRow) {
        let (at, chunks) = (self.chunk_of(row.place()), self.chunks.len());
        let Some(chunk) = self.chunks.get_mut(at) else {
            self.chunks.push(Arc::new(chunk_with(&[row])));
            return;
        };
        let place = chunk.partition_point(|known| known.place() < row.place());
        if chunk.len() < CHUNK_ROWS {
            let chunk = Arc::make_mut(chunk);
            // A copy that was made just now has no room to spare.
            chunk.reserve_exact(CHUNK_ROWS - chunk.len());
            chunk.insert(place, row);
        } else if place == chunk.len() {
            // What is received in order leaves full chunks behind.
            self.chunks.insert(at + 1, Arc::new(chunk_with(&[row])));
        } else {
            // At the end rows come nearly in order: what is before this one is full enough.
            let half = CHUNK_ROWS / 2;
            let split = if at + 1 == chunks { place.max(half) } else { half };
            let second = Arc::make_mut(chunk).split_off(split);
            self.chunks.insert(at + 1, Arc::new(chunk_with(&second)));
            self.insert(row);
        }
    }

    fn remove(&mut self, place: (i64, u64)) {
        let at = self.chunk_of(place);
        let Some(chunk) = self.chunks.get_mut(at) else { return };
        let Ok(found) = chunk.binary_search_by(|known| known.place().cmp(&place)) else { return };
        if chunk.len() == 1 {
            self.chunks.remove(at);
        } else {
            Arc::make_mut(chunk).remove(found);
        }
    }

    /// What a query looks at, as it is now.
    pub fn view(&self, query: &ReportQuery) -> RowView {
        let offers = query.offers.as_ref().map(|wanted| {
            let mut numbers: Vec<u32> = wanted.iter().filter_map(|id| self.offers.get(id)).collect();
            numbers.sort_unstable();
            numbers
        });
        let affiliate = query.affiliate.as_ref().map(|id| self.affiliates.get(id));
        let ended = |time: Time| self.chunks.partition_point(|chunk| ends_before(chunk, time));
        let first = query.from.map_or(0, ended);
        let until = |until: Time| move |chunk: &&RowChunk| begins_before(chunk, until);
        let chunks = self.chunks.iter().skip(first);
        let chunks = match query.until {
            Some(end) => chunks.take_while(until(end)).cloned().collect(),
            None => chunks.cloned().collect(),
        };
        let status = query.status.map(status_bits);
        let after = query.after.map(|after| (after.event_time.as_millis(), after.seq.get()));
        RowView { chunks, from: query.from, until: query.until, offers, affiliate, status, after }
    }
}

fn chunk_with(rows: &[OfferRow]) -> Vec<OfferRow> {
    let mut chunk = Vec::with_capacity(CHUNK_ROWS);
    chunk.extend_from_slice(rows);
    chunk
}

fn ends_before(chunk: &RowChunk, time: Time) -> bool {
    chunk.last().is_some_and(|last| last.at < time.as_millis())
}

fn begins_before(chunk: &RowChunk, time: Time) -> bool {
    chunk.first().is_some_and(|first| first.at < time.as_millis())
}

/// The rows of one moment, and which of them are wanted.
pub struct RowView {
    chunks: Vec<RowChunk>,
    from: Option<Time>,
    until: Option<Time>,
    /// Sorted.
    offers: Option<Vec<u32>>,
    /// `Some(None)`: an affiliate of whom there is no row.
    affiliate: Option<Option<u32>>,
    /// As the two bits of a row.
    status: Option<u64>,
    /// Behind which place a page begins.
    after: Option<(i64, u64)>,
}

impl RowView {
    /// How many rows fit.
    pub fn total(&self) -> u64 {
        self.chunks.iter().map(|chunk| self.count(chunk) as u64).sum()
    }

    /// The places of up to `limit` rows that fit, after the first `skip`.
    pub fn page(&self, skip: u64, limit: usize) -> Vec<ReportPlace> {
        let is_before = |chunk: &RowChunk| !self.reaches_behind(chunk);
        let first = self.chunks.partition_point(is_before);
        self.pass(first, skip, limit, |found| found < limit).1
    }

    /// The same, and how many rows fit in all.
    pub fn page_of_total(&self, skip: u64, limit: usize) -> (u64, Vec<ReportPlace>) {
        self.pass(0, skip, limit, |_| true)
    }

    /// Goes through the chunks while there is reason to go on with so many found.
    fn pass(
        &self,
        first: usize,
        skip: u64,
        limit: usize,
        goes_on: impl Fn(usize) -> bool,
    ) -> (u64, Vec<ReportPlace>) {
        let (mut total, mut behind, mut places) = (0, 0, Vec::new());
        for chunk in self.chunks.iter().skip(first) {
            if !goes_on(places.len()) {
                break;
            }
            let fitting = self.count(chunk) as u64;
            let fitting_behind = if chunk.first().is_none_or(|row| self.is_behind(row)) {
                fitting
            } else if self.reaches_behind(chunk) {
                chunk.iter().filter(|row| self.is_behind(row) && self.fits(row)).count() as u64
            } else {
                0
            };
            if places.len() < limit && behind + fitting_behind > skip {
                // Fewer than the chunk has: it has at least one more that fits.
                let mut passed = skip.saturating_sub(behind);
                let fit = chunk.iter().filter(|row| self.is_behind(row) && self.fits(row)).skip_while(|_| {
                    let is_passed = passed > 0;
                    passed = passed.saturating_sub(1);
                    is_passed
                });
                places.extend(fit.take(limit - places.len()).filter_map(OfferRow::report_place));
            }
            total += fitting;
            behind += fitting_behind;
        }
        (total, places)
    }

    fn is_behind(&self, row: &OfferRow) -> bool {
        self.after.is_none_or(|after| row.place() > after)
    }

    fn reaches_behind(&self, chunk: &RowChunk) -> bool {
        chunk.last().is_some_and(|last| self.is_behind(last))
    }

    fn count(&self, chunk: &RowChunk) -> usize {
        let every = self.offers.is_none() && self.affiliate.is_none() && self.status.is_none();
        let ends = chunk.first().into_iter().chain(chunk.last());
        if every && ends.map(OfferRow::time).all(|time| time.is_some_and(|time| self.covers(time))) {
            return chunk.len();
        }
        chunk.iter().filter(|row| self.fits(row)).count()
    }

    fn covers(&self, time: Time) -> bool {
        self.from.is_none_or(|from| time >= from) && self.until.is_none_or(|until| time < until)
    }

    fn fits(&self, row: &OfferRow) -> bool {
        self.from.is_none_or(|from| row.at >= from.as_millis())
            && self.until.is_none_or(|until| row.at < until.as_millis())
            && self.status.is_none_or(|status| row.number & 3 == status)
            && self.affiliate.is_none_or(|affiliate| affiliate == Some(row.affiliate))
            && self.offers.as_ref().is_none_or(|offers| match offers.as_slice() {
                [one] => row.offer == *one,
                some => some.binary_search(&row.offer).is_ok(),
            })
    }
}
