//! Raises a store of format 1 to today's: its clicks get their lines in the log. Records are read in
//! either format, so nothing else has to be written again.

use std::ops::ControlFlow;

use crate::domain::ids::ClickId;
use crate::domain::time::Time;
use crate::store::StoreError;
use crate::store::clicks::log::{self, BLOCK, LoggedClick, readable};
use crate::store::kv::{Batch, Direction, Span};
use crate::store::layout::{ClickHead, VERSION, key};
use crate::store::shelf::Shelf;

/// How many clicks are written together, and how many keys are read together.
const STEP: usize = 64 * BLOCK;

/// Writes the log, then the new format. An end in between does no harm: the next start writes the same
/// again.
pub fn from_format_1(shelf: &Shelf) -> Result<(), StoreError> {
    let mut clicks = Vec::new();
    let mut from = b"K".to_vec();
    loop {
        let read = clicks_from(shelf, &from)?;
        for (key, first) in &read {
            let id = key.get(1..).and_then(|id| std::str::from_utf8(id).ok());
            let Some(id) = id.and_then(|id| ClickId::parse(id).ok()) else { continue };
            if let Some(head) = readable(shelf.head::<ClickHead>(key, first.clone()))? {
                clicks.push((head.recorded_at, id));
            }
        }
        let Some((last, _)) = read.last().filter(|_| read.len() == STEP) else { break };
        from = [&last[..], &[0]].concat();
    }
    clicks.sort();
    let mut first = 1;
    for step in clicks.chunks(STEP) {
        let mut batch = Batch::default();
        let lines: Vec<LoggedClick> = step.iter().map(line).collect();
        log::put(&mut batch, first, &lines)?;
        first += lines.len() as u64;
        commit(shelf, batch)?;
    }
    let mut batch = Batch::default();
    batch.put(key::FORMAT.to_vec(), vec![VERSION]);
    commit(shelf, batch)
}

type Pair = (Vec<u8>, Vec<u8>);

fn clicks_from(shelf: &Shelf, from: &[u8]) -> Result<Vec<Pair>, StoreError> {
    let mut read = Vec::new();
    let span = Span { from, to: b"L", direction: Direction::Up };
    shelf.scan(span, &mut |key, first| {
        read.push((key.to_vec(), first.to_vec()));
        if read.len() < STEP { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    Ok(read)
}

/// Format 1 knew no offers, so nothing is a repeat of these clicks.
fn line((at, id): &(Time, ClickId)) -> LoggedClick {
    LoggedClick { id: id.clone(), at: *at, likeness: None }
}

fn commit(shelf: &Shelf, batch: Batch) -> Result<(), StoreError> {
    shelf.kv().commit(batch, &mut |_| {}).map_err(|error| shelf.fail("write", &error))
}
