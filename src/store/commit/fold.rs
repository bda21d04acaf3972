//! Folds what the latest commits counted into the rollups.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::ControlFlow;

use crate::store::codec::{self, corrupt};
use crate::store::contract::error::StoreError;
use crate::store::engine::kv::{Batch, Direction, Span};
use crate::store::reader::Reader;
use crate::store::table::rollup::{self, RollupSums};
use crate::store::table::rollup_delta::CountedLines;

/// Fewer lines of a place than this are looked up one by one.
const ONE_BY_ONE: usize = 16;

/// What is added to the line of the rollups under a key.
type Addition<'a> = (Vec<u8>, Cow<'a, RollupSums>);

/// Where something cannot be read: nothing can be put there. See [`rollup::place`].
type DamagedPlaces = BTreeSet<Vec<u8>>;

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
    let mut damaged = DamagedPlaces::new();
    loop {
        let (mut additions, left) = additions(counted, &damaged)?;
        let found = add_known(reader, &mut additions)?;
        if found.is_empty() {
            batch.changes.reserve(additions.len());
            additions.into_iter().try_for_each(|(key, sums)| rollup::put(batch, key, &sums))?;
            return Ok(left);
        }
        // What is of such a place and of another one is to stay out of both.
        damaged.extend(found);
    }
}

/// What is added to each line, by key, and the lines that are left because of damaged places.
fn additions<'a>(
    (earlier, later): (&'a CountedLines, &'a CountedLines),
    damaged: &DamagedPlaces,
) -> Result<(Vec<Addition<'a>>, CountedLines), StoreError> {
    let mut additions: Vec<Addition<'a>> = Vec::with_capacity(2 * (earlier.len() + later.len()));
    let mut left = CountedLines::new();
    let is_damaged = |key: &[u8]| damaged.contains(rollup::place(key));
    for (line, sums) in earlier.iter().chain(later) {
        let (day, quarter_hour) = rollup::keys(line)?;
        if is_damaged(&day) || quarter_hour.as_deref().is_some_and(is_damaged) {
            left.entry(line.clone()).or_default().add(sums);
            continue;
        }
        additions.extend(quarter_hour.into_iter().chain([day]).map(|key| (key, Cow::Borrowed(sums))));
    }
    additions.sort_unstable_by(|one, other| one.0.cmp(&other.0));
    additions.dedup_by(|next, known| {
        let is_same = next.0 == known.0;
        if is_same {
            known.1.to_mut().add(&next.1);
        }
        is_same
    });
    left.retain(|_, sums| !sums.is_nothing());
    Ok((additions, left))
}

/// Adds what is in the lines now. Answers the places where something cannot be read.
fn add_known(reader: &Reader, additions: &mut [Addition<'_>]) -> Result<DamagedPlaces, StoreError> {
    let mut damaged = DamagedPlaces::new();
    for lines in additions.chunk_by_mut(|one, next| rollup::place(&one.0) == rollup::place(&next.0)) {
        let added =
            if lines.len() < ONE_BY_ONE { add_each(reader, lines) } else { add_neighbours(reader, lines) };
        match added {
            Ok(()) => {}
            Err(error @ StoreError::Corrupt { .. }) => {
                tracing::error!(%error, "rollups cannot be read: what is counted of that time stays apart");
                damaged.extend(lines.first().map(|(key, _)| rollup::place(key).to_vec()));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(damaged)
}

/// A few lines of a place that may have very many.
fn add_each(reader: &Reader, lines: &mut [Addition<'_>]) -> Result<(), StoreError> {
    for (key, sums) in lines {
        if let Some(known) = rollup::sums(reader, key)? {
            sums.to_mut().add(&known);
        }
    }
    Ok(())
}

/// Many lines of a place, which are neighbours.
fn add_neighbours(reader: &Reader, lines: &mut [Addition<'_>]) -> Result<(), StoreError> {
    let (Some((first, _)), Some((last, _))) = (lines.first(), lines.last()) else { return Ok(()) };
    let (from, to) = (first.clone(), [last, &[0][..]].concat());
    let (mut lines, mut failed) = (lines.iter_mut().peekable(), None);
    reader.scan(Span { from: &from, to: &to, direction: Direction::Up }, &mut |key, bytes| {
        while lines.next_if(|(wanted, _)| wanted.as_slice() < key).is_some() {}
        let known = bytes.and_then(|bytes| match lines.next_if(|(wanted, _)| wanted == key) {
            Some((_, sums)) => {
                let known = codec::read(bytes).map_err(|error| corrupt(key, &error))?;
                sums.to_mut().add(&known);
                Ok(())
            }
            None => Ok(()),
        });
        match known {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        }
    })?;
    failed.map_or(Ok(()), Err)
}
