//! The heads of many neighbouring blocks at once, brought up to date: for opening and for lists.

use std::collections::HashMap;
use std::ops::ControlFlow;

use crate::store::contract::error::StoreError;
use crate::store::engine::kv::{Direction, Span};
use crate::store::layout::{self, EntryHead, LayoutError, Marks, Sketch, key};
use crate::store::records::{Records, corrupt, standing_in};

/// Blocks by first number, ascending. Their sketches are as of now: marks and overlays are in them.
pub struct Chunk {
    pub blocks: Vec<(u64, Vec<EntryHead>)>,
}

impl Chunk {
    /// Up to `most` blocks that begin in `from..to`.
    pub fn read(records: &Records, from: u64, to: u64, most: usize) -> Result<Chunk, StoreError> {
        let mut blocks: Vec<(u64, Vec<EntryHead>)> =
            collect(records, (&key::heads(from), &key::heads(to)), most, layout::head)?;
        let Some((last, heads)) = blocks.last() else { return Ok(Chunk { blocks }) };
        let end = last + heads.len() as u64;
        let all = usize::MAX;
        let marks: Vec<(u64, Marks)> =
            collect(records, (&key::marks(from), &key::marks(end)), all, layout::body)?;
        let overlays: Vec<(u64, Sketch)> =
            collect(records, (&key::overlay(from), &key::overlay(end)), all, layout::head)?;
        let marks: HashMap<u64, Marks> = marks.into_iter().collect();
        let mut overlays: HashMap<u64, Sketch> = overlays.into_iter().collect();
        for (first, heads) in &mut blocks {
            let marks = marks.get(first);
            if marks.is_none() && overlays.is_empty() {
                continue;
            }
            for (at, head) in (0u64..).zip(heads) {
                if let Some(overlay) = overlays.remove(&(*first + at)) {
                    head.sketch = Some(overlay);
                    continue;
                }
                let Some(marks) = marks else { continue };
                let standing = standing_in(head, marks, at);
                let standing = standing.map_err(|error| corrupt(&key::marks(*first), &error))?;
                if let (Some(standing), Some(sketch)) = (standing, &mut head.sketch) {
                    sketch.standing = standing;
                }
            }
        }
        Ok(Chunk { blocks })
    }

    /// The first number after the last block.
    pub fn end(&self) -> Option<u64> {
        self.blocks.last().map(|(first, heads)| first + heads.len() as u64)
    }
}

/// How a record's part is read from its bytes.
type ReadPart<T> = fn(&[u8]) -> Result<T, LayoutError>;

/// One part of every record in a span, by number.
fn collect<T>(
    records: &Records,
    (from, to): (&[u8], &[u8]),
    most: usize,
    read: ReadPart<T>,
) -> Result<Vec<(u64, T)>, StoreError> {
    let mut found = Vec::new();
    let mut failed = None;
    records.scan(Span { from, to, direction: Direction::Up }, &mut |key, bytes| {
        let Some(number) = key::number(key) else { return ControlFlow::Continue(()) };
        match read(bytes) {
            Ok(value) => found.push((number, value)),
            Err(error) => failed = Some(corrupt(key, &error)),
        }
        let full = found.len() >= most || failed.is_some();
        if full { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    failed.map_or(Ok(found), Err)
}
