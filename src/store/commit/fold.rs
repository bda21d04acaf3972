//! Folds what the latest commits counted into the rollups.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use crate::domain::quarter_hour::QuarterHour;
use crate::store::contract::error::StoreError;
use crate::store::engine::kv::Batch;
use crate::store::reader::Reader;
use crate::store::table::rollup::{self, RollupLine, RollupPeriod, RollupSums, RollupTable};
use crate::store::table::rollup_delta::CountedLines;

/// Fewer lines of a place than this are looked up one by one.
const ONE_BY_ONE: usize = 16;

/// A line of the rollups that counted lines are folded into.
type RollupPart = (RollupPeriod, RollupLine);

/// Where the lines of a table are that begin with one quarter-hour.
type Place = (RollupTable, RollupPeriod, QuarterHour);

/// Puts what becomes of the rollups into the batch that adds both of `counted` to them. Answers the lines that are left
/// as they are, because a neighbour of theirs cannot be read.
///
/// # Errors
/// The store's failure, or a line that cannot be written down.
pub fn fold(
    reader: &Reader,
    counted: (&CountedLines, &CountedLines),
    batch: &mut Batch,
) -> Result<CountedLines, StoreError> {
    let lines = || counted.0.iter().chain(counted.1);
    let wanted: BTreeSet<RollupPart> = lines().flat_map(|(line, _)| parts(line)).collect();
    let (mut known, damaged) = read(reader, &wanted)?;
    let (mut added, mut left) = (BTreeMap::<RollupPart, RollupSums>::new(), CountedLines::new());
    for (line, sums) in lines() {
        if parts(line).iter().any(|part| damaged.contains(&place(part))) {
            left.entry(line.clone()).or_default().add(sums);
            continue;
        }
        for part in parts(line) {
            added.entry(part).or_default().add(sums);
        }
    }
    for (part, mut sums) in added {
        if let Some(known) = known.remove(&part) {
            sums.add(&known);
        }
        rollup::put(batch, rollup::key(part.0, &part.1)?, &sums)?;
    }
    left.retain(|_, sums| !sums.is_nothing());
    Ok(left)
}

/// The lines of a quarter-hour and of its day; what caps count is only of days.
fn parts(line: &RollupLine) -> Vec<RollupPart> {
    let mut parts = vec![(RollupPeriod::UtcDay, line.of_day())];
    if line.table() != RollupTable::Caps {
        parts.push((RollupPeriod::QuarterHour, line.clone()));
    }
    parts
}

fn place((period, line): &RollupPart) -> Place {
    (line.table(), *period, line.at)
}

/// What is in lines of the rollups.
type KnownLines = BTreeMap<RollupPart, RollupSums>;

/// What is in the wanted lines now, and the places where something cannot be read: nothing can be put there.
fn read(reader: &Reader, wanted: &BTreeSet<RollupPart>) -> Result<(KnownLines, BTreeSet<Place>), StoreError> {
    let (mut known, mut damaged) = (KnownLines::new(), BTreeSet::new());
    let mut places = BTreeMap::<Place, Vec<&RollupPart>>::new();
    wanted.iter().for_each(|part| places.entry(place(part)).or_default().push(part));
    for (place, parts) in places {
        let read = if parts.len() < ONE_BY_ONE {
            read_each(reader, &parts, &mut known)
        } else {
            read_all(reader, place, wanted, &mut known)
        };
        match read {
            Ok(()) => {}
            Err(error @ StoreError::Corrupt { .. }) => {
                tracing::error!(%error, "rollups cannot be read: what is counted of that time stays apart");
                damaged.insert(place);
            }
            Err(error) => return Err(error),
        }
    }
    Ok((known, damaged))
}

/// A few lines of a place that may have very many.
fn read_each(reader: &Reader, parts: &[&RollupPart], known: &mut KnownLines) -> Result<(), StoreError> {
    for part in parts {
        if let Some(sums) = rollup::sums(reader, &rollup::key(part.0, &part.1)?)? {
            known.insert((*part).clone(), sums);
        }
    }
    Ok(())
}

/// Most lines of a place, which are neighbours.
fn read_all(
    reader: &Reader,
    (table, period, at): Place,
    wanted: &BTreeSet<RollupPart>,
    known: &mut KnownLines,
) -> Result<(), StoreError> {
    let next = QuarterHour::from_number(at.number().saturating_add(1));
    let mut failed = None;
    rollup::scan(reader, (table, period), (at, next), &mut |read| match read {
        Ok((line, sums)) => {
            let part = (period, line);
            if wanted.contains(&part) {
                known.insert(part, sums);
            }
            ControlFlow::Continue(())
        }
        Err(error) => {
            failed = Some(error);
            ControlFlow::Break(())
        }
    })?;
    failed.map_or(Ok(()), Err)
}
