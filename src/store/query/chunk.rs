//! The heads of many neighbouring blocks at once, brought up to date: for opening and for lists.

use std::collections::HashMap;
use std::ops::ControlFlow;

use crate::store::codec::{self, LayoutError, corrupt};
use crate::store::contract::error::StoreError;
use crate::store::engine::kv::{Direction, Span};
use crate::store::reader::Reader;
use crate::store::table::conversion::{Sketch, overlay_key};
use crate::store::table::delivery::{Marks, marks_key};
use crate::store::table::postback::{EntryHead, heads_key};

/// Blocks by first number, ascending. Their sketches are as of now: marks and overlays are in them.
pub struct Chunk {
    pub blocks: Vec<(u64, Vec<EntryHead>)>,
}

impl Chunk {
    /// Up to `most` blocks that begin in `from..to`.
    pub fn read(reader: &Reader, from: u64, to: u64, most: usize) -> Result<Chunk, StoreError> {
        let mut blocks: Vec<(u64, Vec<EntryHead>)> =
            collect(reader, (&heads_key(from), &heads_key(to)), most, codec::head)?;
        let Some((last, heads)) = blocks.last() else { return Ok(Chunk { blocks }) };
        let end = last + heads.len() as u64;
        let all = usize::MAX;
        let marks: Vec<(u64, Marks)> =
            collect(reader, (&marks_key(from), &marks_key(end)), all, codec::body)?;
        let overlays: Vec<(u64, Sketch)> =
            collect(reader, (&overlay_key(from), &overlay_key(end)), all, codec::head)?;
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
                let Some(sketch) = &mut head.sketch else { continue };
                let standing = sketch.standing.under(marks, at);
                sketch.standing = standing.map_err(|error| corrupt(&marks_key(*first), &error))?;
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
    reader: &Reader,
    (from, to): (&[u8], &[u8]),
    most: usize,
    read: ReadPart<T>,
) -> Result<Vec<(u64, T)>, StoreError> {
    let mut found = Vec::new();
    let mut failed = None;
    reader.scan(Span { from, to, direction: Direction::Up }, &mut |key, bytes| {
        let Some(number) = codec::number(key) else { return ControlFlow::Continue(()) };
        match read(bytes) {
            Ok(value) => found.push((number, value)),
            Err(error) => failed = Some(corrupt(key, &error)),
        }
        let full = found.len() >= most || failed.is_some();
        if full { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    failed.map_or(Ok(found), Err)
}
