//! The heads of many neighbouring postbacks at once, brought up to date: for opening and for lists.

use std::collections::HashMap;
use std::ops::ControlFlow;

use serde::de::DeserializeOwned;

use crate::store::codec::{self, LayoutError, corrupt};
use crate::store::contract::error::StoreError;
use crate::store::engine::kv::{Direction, Span};
use crate::store::reader::Reader;
use crate::store::table::conversion::{Sketch, overlay_span};
use crate::store::table::delivery::{DeliveryStates, states_span};
use crate::store::table::postback::{PostbackHead, head_key};

/// The day of a postback, and its number.
type DatedNumber = (i32, u64);

/// What is kept of it.
type Dated<T> = (DatedNumber, T);

/// The head of a postback as it is now: what changed since is in its sketch.
pub struct DatedHead {
    pub day: i32,
    pub number: u64,
    pub head: PostbackHead,
    /// Whether the conversion that it made is no longer as it made it.
    pub is_changed: bool,
}

/// The first `most` heads by day and number from `from` on, ascending.
pub fn heads_from(reader: &Reader, from: DatedNumber, most: usize) -> Result<Vec<DatedHead>, StoreError> {
    let span = (head_key(from.0, from.1), head_key(i32::MAX, u64::MAX));
    heads(reader, (&span.0, &span.1, Direction::Up), most)
}

/// The last `most` heads of one day whose numbers are in `first..end`, descending.
pub fn heads_of_day(
    reader: &Reader,
    day: i32,
    (first, end): (u64, u64),
    most: usize,
) -> Result<Vec<DatedHead>, StoreError> {
    heads(reader, (&head_key(day, first), &head_key(day, end), Direction::Down), most)
}

fn heads(
    reader: &Reader,
    (from, to, direction): (&[u8], &[u8], Direction),
    most: usize,
) -> Result<Vec<DatedHead>, StoreError> {
    let found: Vec<Dated<PostbackHead>> = collect(reader, Span { from, to, direction }, most, codec::read)?;
    let places = || found.iter().map(|(place, _)| *place);
    let (Some(least), Some((day, number))) = (places().min(), places().max()) else { return Ok(Vec::new()) };
    let behind = (day, number.saturating_add(1));
    let (from, to) = states_span(least, behind);
    let states: Vec<(_, DeliveryStates)> = collect(reader, up(&from, &to), usize::MAX, codec::read)?;
    let (from, to) = overlay_span(least, behind);
    let changed: Vec<(_, Sketch)> = collect(reader, up(&from, &to), usize::MAX, codec::head)?;
    let mut states: HashMap<DatedNumber, DeliveryStates> = states.into_iter().collect();
    let mut changed: HashMap<DatedNumber, Sketch> = changed.into_iter().collect();
    let up_to_date = |((day, number), mut head): (DatedNumber, PostbackHead)| {
        let (changed, states) = (changed.remove(&(day, number)), states.remove(&(day, number)));
        let is_changed = changed.is_some() || states.is_some();
        if let Some(sketch) = changed {
            head.sketch = Some(sketch);
        } else if let (Some(states), Some(sketch)) = (states, &mut head.sketch) {
            sketch.standing = states;
        }
        DatedHead { day, number, head, is_changed }
    };
    Ok(found.into_iter().map(up_to_date).collect())
}

fn up<'a>(from: &'a [u8], to: &'a [u8]) -> Span<'a> {
    Span { from, to, direction: Direction::Up }
}

/// How a record's part is read from its bytes.
type ReadPart<T> = fn(&[u8]) -> Result<T, LayoutError>;

/// One part of every record in a span, by day and number.
fn collect<T: DeserializeOwned>(
    reader: &Reader,
    span: Span<'_>,
    most: usize,
    read: ReadPart<T>,
) -> Result<Vec<Dated<T>>, StoreError> {
    let mut found = Vec::new();
    let mut failed = None;
    reader.scan(span, &mut |key, bytes| {
        let Some(place) = codec::date(key) else { return ControlFlow::Continue(()) };
        match bytes.and_then(|bytes| read(bytes).map_err(|error| corrupt(key, &error))) {
            Ok(value) => found.push((place, value)),
            Err(error) => failed = Some(error),
        }
        let full = found.len() >= most || failed.is_some();
        if full { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    failed.map_or(Ok(found), Err)
}
