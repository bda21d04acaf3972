//! Whether what is counted is what a recount of the records finds: each line of the rollups, for each quarter-hour and day.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use crate::domain::click::Click;
use crate::domain::conversion::Conversion;
use crate::store::codec::{self, LayoutError, corrupt};
use crate::store::contract::error::StoreError;
use crate::store::contract::verification::{StoreFinding, StoreVerification};
use crate::store::engine::kv::{Direction, Span};
use crate::store::reader::{Reader, readable};
use crate::store::table::cap_tally::Tally;
use crate::store::table::click::{StoredClick, clicks_behind};
use crate::store::table::postback::{BODY_PREFIX, HEAD_PREFIX, PostbackBody, PostbackHead};
use crate::store::table::rollup::{self, RollupLine, RollupSums};
use crate::store::table::rollup_delta::Unfolded;

/// How many records are held in memory at a time.
const CHUNK: usize = 1024;

/// Recounts the records of a store to which nothing is written meanwhile. Where one cannot be read, or commits are lost,
/// nothing is compared: that is found elsewhere, and without them no count is right.
///
/// # Errors
/// The store's failure.
pub fn check(reader: &Reader, verification: &mut StoreVerification) -> Result<(), StoreError> {
    let is_lost = |finding: &StoreFinding| matches!(finding, StoreFinding::JournalDamaged { .. });
    if verification.findings.iter().any(is_lost) {
        return Ok(());
    }
    let Some(lines) = readable(recount(reader), "a record that is to be counted")? else { return Ok(()) };
    verification.counts += lines.len() as u64;
    for (key, _) in lines.into_iter().filter(|(_, more)| !more.is_nothing()) {
        let line = match rollup::line_at(&key) {
            Ok(line) => format!("{:?} at {:?}", line.of, line.at),
            Err(_) => String::new(),
        };
        verification.add(StoreFinding::CountDiffers { key, line });
    }
    Ok(())
}

/// By the keys of the rollups: by how much a recount is more than what is stored.
fn recount(reader: &Reader) -> Result<BTreeMap<Vec<u8>, RollupSums>, StoreError> {
    let mut recount = Recount::default();
    recount.postbacks(reader)?;
    recount.clicks(reader)?;
    recount.take_stored(reader)?;
    Ok(recount.lines)
}

#[derive(Default)]
struct Recount {
    lines: BTreeMap<Vec<u8>, RollupSums>,
}

impl Recount {
    /// Adds to a line, of its quarter-hour and of its day.
    fn add(&mut self, line: &RollupLine, sums: &RollupSums) -> Result<(), StoreError> {
        let (day, quarter_hour) = rollup::keys(line)?;
        for key in [Some(day), quarter_hour].into_iter().flatten() {
            self.lines.entry(key).or_default().add(sums);
        }
        Ok(())
    }

    fn postbacks(&mut self, reader: &Reader) -> Result<(), StoreError> {
        // What a later one has reprocessed, and which have a conversion.
        let (mut reprocessed, mut converted) = (BTreeSet::new(), BTreeSet::new());
        let (from, to) = table(HEAD_PREFIX);
        each(reader, (from, to), codec::read::<PostbackHead>, |key, head| {
            reprocessed.extend(head.again.map(|again| again.get()));
            converted.extend(codec::date(key).filter(|_| head.sketch.is_some()));
            Ok(())
        })?;
        let mut caps = Tally::default();
        let (from, to) = table(BODY_PREFIX);
        each(reader, (from, to), codec::read::<PostbackBody>, |key, body| {
            let Some((day, number)) = codec::date(key) else { return Ok(()) };
            let line = RollupLine::of_postback(&body.postback, reprocessed.contains(&number));
            self.add(&line, &RollupSums::of_count(1))?;
            match body.conversion.filter(|_| converted.contains(&(day, number))) {
                None => Ok(()),
                Some(made) => {
                    let changed = reader.overlay(day, number)?;
                    self.conversion(&changed.map_or(made, |changed| changed.conversion), &mut caps)
                }
            }
        })?;
        caps.each().try_for_each(|((offer, day), count)| {
            self.add(&RollupLine::of_cap(offer.clone(), *day), &RollupSums::of_count(count))
        })
    }

    fn conversion(&mut self, conversion: &Conversion, caps: &mut Tally) -> Result<(), StoreError> {
        caps.apply(None, Some(conversion));
        self.add(&RollupLine::of_conversion(conversion), &RollupSums::of_conversion(conversion))
    }

    fn clicks(&mut self, reader: &Reader) -> Result<(), StoreError> {
        let read =
            |bytes: &[u8]| codec::body::<StoredClick<'static>>(bytes).and_then(StoredClick::into_click);
        each(reader, clicks_behind(None), read, |_, click: Click| {
            self.add(&RollupLine::of_click(&click), &RollupSums::of_count(1))
        })
    }

    /// Takes away what is stored: the rollups, and what is not folded into them yet.
    fn take_stored(&mut self, reader: &Reader) -> Result<(), StoreError> {
        each(reader, table(rollup::PREFIX), codec::read::<RollupSums>, |key, sums| {
            self.lines.entry(key.to_vec()).or_default().add(&sums.negated());
            Ok(())
        })?;
        let unfolded = Unfolded::open(reader)?;
        unfolded.lines().iter().try_for_each(|(line, sums)| self.add(line, &sums.negated()))
    }
}

/// The keys of a table.
fn table(prefix: u8) -> (Vec<u8>, Vec<u8>) {
    (vec![prefix], vec![prefix + 1])
}

/// Shows every record of a span of keys, some at a time.
///
/// # Errors
/// The first record that cannot be read.
fn each<T>(
    reader: &Reader,
    (mut from, to): (Vec<u8>, Vec<u8>),
    read: impl Fn(&[u8]) -> Result<T, LayoutError>,
    mut show: impl FnMut(&[u8], T) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    loop {
        let (mut some, mut unread) = (Vec::new(), Ok(()));
        reader.scan(Span { from: &from, to: &to, direction: Direction::Up }, &mut |key, bytes| {
            match bytes.and_then(|bytes| read(bytes).map_err(|error| corrupt(key, &error))) {
                Ok(record) => some.push((key.to_vec(), record)),
                Err(error) => unread = Err(error),
            }
            let is_over = unread.is_err() || some.len() >= CHUNK;
            if is_over { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        unread?;
        let Some((last, _)) = some.last() else { return Ok(()) };
        from = [last.as_slice(), &[0]].concat();
        some.into_iter().try_for_each(|(key, record)| show(&key, record))?;
    }
}
