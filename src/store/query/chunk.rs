//! The heads of many neighbouring postbacks at once, brought up to date: for opening and for lists.

use std::collections::HashMap;
use std::iter::Peekable;
use std::ops::{ControlFlow, Range};
use std::vec::IntoIter;

use serde::de::DeserializeOwned;

use crate::store::codec::{self, LayoutError, corrupt};
use crate::store::contract::error::StoreError;
use crate::store::engine::kv::{Direction, Span};
use crate::store::reader::Reader;
use crate::store::table::conversion::{Sketch, overlay_span};
use crate::store::table::dated_records::read_some;
use crate::store::table::delivery::{DeliveryStates, states_span};
use crate::store::table::postback::{PostbackHead, head_key};

/// How many changes of a kind are read at a time.
const CHANGES: usize = 1024;

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

/// Neighbouring heads of one day, and the numbers below them that were not looked at.
pub struct HeadsOfDay {
    /// Descending.
    pub heads: Vec<DatedHead>,
    pub rest: Range<u64>,
    /// How many records were looked up one by one.
    pub looked_up: u64,
}

/// Shows every head, by day and number. Any that cannot be read fails them all.
pub fn each_head(reader: &Reader, visit: &mut dyn FnMut(&DatedHead)) -> Result<(), StoreError> {
    let mut from = Some((i32::MIN, 0));
    while let Some(start) = from {
        from = some_heads(reader, start, visit)?;
    }
    Ok(())
}

/// Shows the heads from a place on while it is known what became of them; as much of that is held in memory at a time.
/// Answers where to go on.
fn some_heads(
    reader: &Reader,
    from: DatedNumber,
    visit: &mut dyn FnMut(&DatedHead),
) -> Result<Option<DatedNumber>, StoreError> {
    let mut changes = NextChanges::read(reader, from)?;
    let (from, to) = (head_key(from.0, from.1), head_key(i32::MAX, u64::MAX));
    let mut ended = Ok(None);
    reader.scan(Span { from: &from, to: &to, direction: Direction::Up }, &mut |key, bytes| {
        let Some((day, number)) = codec::date(key) else { return ControlFlow::Continue(()) };
        let Some((changed, states)) = changes.of((day, number)) else {
            ended = Ok(Some((day, number)));
            return ControlFlow::Break(());
        };
        let head = bytes.and_then(|bytes| codec::read(bytes).map_err(|error| corrupt(key, &error)));
        match head.map(|head| DatedHead { day, number, head, is_changed: false }) {
            Ok(mut head) => {
                head.bring_up_to_date(changed, states);
                visit(&head);
                ControlFlow::Continue(())
            }
            Err(error) => {
                ended = Err(error);
                ControlFlow::Break(())
            }
        }
    })?;
    ended
}

/// The last `most` heads of one day with these numbers. What cannot be read is logged and left out: a head, or the
/// conversion of one whose changes cannot be read.
pub fn heads_of_day(
    reader: &Reader,
    day: i32,
    numbers: Range<u64>,
    most: usize,
) -> Result<HeadsOfDay, StoreError> {
    let way = (numbers, Direction::Down);
    let some = read_some(reader, (head_key, day), way, most, codec::read::<PostbackHead>)?;
    let (mut looked_up, rest) = (some.looked_up, some.rest);
    let mut found: Vec<Dated<PostbackHead>> =
        some.found.into_iter().map(|(number, head)| ((day, number), head)).collect();
    let Some((states, overlays)) = spans(found.iter().map(|(place, _)| *place)) else {
        return Ok(HeadsOfDay { heads: Vec::new(), rest, looked_up });
    };
    let (states, overlays) = (collect_states(reader, &states)?, collect_sketches(reader, &overlays)?);
    let damaged = (states.damage, overlays.damage);
    let mut changes = LaterStates { states: by_place(states.found), overlays: by_place(overlays.found) };
    if damaged.0.is_some() || damaged.1.is_some() {
        for (place, head) in found.iter_mut().filter(|(_, head)| head.sketch.is_some()) {
            looked_up += 1;
            if !changes.look_up(reader, *place, (damaged.0.is_some(), damaged.1.is_some()))? {
                head.sketch = None;
            }
        }
        for damage in [damaged.0, damaged.1].into_iter().flatten() {
            tracing::error!(error = %damage, "changes of conversions cannot be read: those are left out");
        }
    }
    let heads = found.into_iter().map(|(place, head)| changes.bring_up_to_date(place, head)).collect();
    Ok(HeadsOfDay { heads, rest, looked_up })
}

/// What became of the conversions of neighbouring postbacks, by the postback.
struct LaterStates {
    states: HashMap<DatedNumber, DeliveryStates>,
    overlays: HashMap<DatedNumber, Sketch>,
}

impl LaterStates {
    /// Looks again for what a scan may have passed over: in states, in overlays. Answers whether it can be read.
    fn look_up(
        &mut self,
        reader: &Reader,
        (day, number): DatedNumber,
        (states, overlays): (bool, bool),
    ) -> Result<bool, StoreError> {
        let is_known = self.overlays.contains_key(&(day, number));
        if overlays && !is_known {
            match reader.overlay_sketch(day, number) {
                Ok(found) => self.overlays.extend(found.map(|sketch| ((day, number), sketch))),
                Err(StoreError::Corrupt { .. }) => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        // A conversion that was replaced has its deliveries with it.
        let is_known = [self.overlays.contains_key(&(day, number)), self.states.contains_key(&(day, number))];
        if states && is_known == [false, false] {
            match reader.states(day, number) {
                Ok(found) => self.states.extend(found.map(|states| ((day, number), states))),
                Err(StoreError::Corrupt { .. }) => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    fn bring_up_to_date(&mut self, place: DatedNumber, head: PostbackHead) -> DatedHead {
        let (day, number) = place;
        let mut head = DatedHead { day, number, head, is_changed: false };
        head.bring_up_to_date(self.overlays.remove(&place), self.states.remove(&place));
        head
    }
}

impl DatedHead {
    /// Takes in what became of the conversion, whole or in its deliveries.
    fn bring_up_to_date(&mut self, changed: Option<Sketch>, states: Option<DeliveryStates>) {
        self.is_changed = changed.is_some() || states.is_some();
        match (&mut self.head.sketch, changed, states) {
            // What changed cannot be read, or there was no conversion.
            (None, None, _) => {}
            (sketch, Some(changed), _) => *sketch = Some(changed),
            (Some(sketch), None, Some(states)) => sketch.standing = states,
            (Some(_), None, None) => {}
        }
    }
}

/// What became of conversions from a place on, in order: as much as is held in memory at a time.
struct NextChanges {
    states: Peekable<IntoIter<Dated<DeliveryStates>>>,
    overlays: Peekable<IntoIter<Dated<Sketch>>>,
    /// The last place of which it is known; `None`: every place.
    last: Option<DatedNumber>,
}

impl NextChanges {
    fn read(reader: &Reader, from: DatedNumber) -> Result<NextChanges, StoreError> {
        let behind_all = (i32::MAX, u64::MAX);
        let (states, overlays) = (states_span(from, behind_all), overlay_span(from, behind_all));
        let states = collect(reader, &states, CHANGES, codec::read)?.sound()?;
        let overlays = collect(reader, &overlays, CHANGES, codec::head)?.sound()?;
        let last_of = |length, last: Option<DatedNumber>| last.filter(|_| length == CHANGES);
        let last = [
            last_of(states.len(), states.last().map(|(place, _)| *place)),
            last_of(overlays.len(), overlays.last().map(|(place, _)| *place)),
        ];
        let last = last.into_iter().flatten().min();
        Ok(NextChanges {
            states: states.into_iter().peekable(),
            overlays: overlays.into_iter().peekable(),
            last,
        })
    }

    /// What became of the conversion of the next place, whole or in its deliveries; `None`: that is not known.
    fn of(&mut self, place: DatedNumber) -> Option<(Option<Sketch>, Option<DeliveryStates>)> {
        let is_known = self.last.is_none_or(|last| place <= last);
        is_known.then(|| (at(place, &mut self.overlays), at(place, &mut self.states)))
    }
}

/// What is at a place, which is behind that of the last call.
fn at<T>(place: DatedNumber, found: &mut Peekable<IntoIter<Dated<T>>>) -> Option<T> {
    // Of a postback that is gone.
    while found.next_if(|(known, _)| *known < place).is_some() {}
    found.next_if(|(known, _)| *known == place).map(|(_, value)| value)
}

/// A span of keys.
type KeySpan = (Vec<u8>, Vec<u8>);

/// Where the changes are of what these postbacks made: of deliveries, and of whole conversions.
fn spans(places: impl Iterator<Item = DatedNumber> + Clone) -> Option<(KeySpan, KeySpan)> {
    let (least, (day, number)) = (places.clone().min()?, places.max()?);
    let behind = (day, number.saturating_add(1));
    Some((states_span(least, behind), overlay_span(least, behind)))
}

fn collect_states(reader: &Reader, span: &KeySpan) -> Result<Collected<DeliveryStates>, StoreError> {
    collect(reader, span, usize::MAX, codec::read)
}

fn collect_sketches(reader: &Reader, span: &KeySpan) -> Result<Collected<Sketch>, StoreError> {
    collect(reader, span, usize::MAX, codec::head)
}

fn by_place<T>(found: Vec<Dated<T>>) -> HashMap<DatedNumber, T> {
    found.into_iter().collect()
}

/// How a record's part is read from its bytes.
type ReadPart<T> = fn(&[u8]) -> Result<T, LayoutError>;

/// What of a span could be read, and the first damage.
struct Collected<T> {
    found: Vec<Dated<T>>,
    damage: Option<StoreError>,
}

impl<T> Collected<T> {
    fn sound(self) -> Result<Vec<Dated<T>>, StoreError> {
        self.damage.map_or(Ok(self.found), Err)
    }
}

/// One part of the first records in a span, by day and number.
fn collect<T: DeserializeOwned>(
    reader: &Reader,
    (from, to): &KeySpan,
    most: usize,
    read: ReadPart<T>,
) -> Result<Collected<T>, StoreError> {
    let (mut found, mut damage) = (Vec::new(), None);
    let scanned = reader.scan(Span { from, to, direction: Direction::Up }, &mut |key, bytes| {
        let Some(place) = codec::date(key) else { return ControlFlow::Continue(()) };
        match bytes.and_then(|bytes| read(bytes).map_err(|error| corrupt(key, &error))) {
            Ok(value) => found.push((place, value)),
            Err(error) => drop(damage.get_or_insert(error)),
        }
        if found.len() >= most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    if let Err(error) = scanned {
        damage.get_or_insert(error);
    }
    reader.check()?;
    Ok(Collected { found, damage })
}
