//! Whether every record is there that another one names: postbacks, conversions, deliveries, attempts, exchanges, clicks.

use std::ops::ControlFlow;

use crate::store::codec;
use crate::store::contract::error::StoreError;
use crate::store::contract::verification::{StoreFinding, StoreVerification};
use crate::store::engine::kv::{Direction, Span};
use crate::store::reader::Reader;
use crate::store::table::click_log::{self, LogPlace};
use crate::store::table::{attempt, conversion, delivery, exchange, postback};

/// How many keys are held in memory at a time.
const CHUNK: usize = 1024;

/// A record by day and number.
type DatedPlace = (i32, u64);

/// Follows the references of one record. Answers how many there were; what is missing is added.
type Follow = fn(&Reader, DatedPlace, &mut Vec<StoreFinding>) -> Result<u64, StoreError>;

/// The tables whose records name others.
const FOLLOWED: [(u8, Follow); 7] = [
    (postback::HEAD_PREFIX, of_head),
    (postback::BODY_PREFIX, |reader, place, missing| to_head(reader, place, "the body of", missing)),
    (postback::RAW_PREFIX, |reader, place, missing| to_head(reader, place, "the raw bytes of", missing)),
    (conversion::PREFIX, |reader, place, missing| {
        to_head(reader, place, "the changed conversion of", missing)
    }),
    (delivery::PREFIX, |reader, place, missing| to_head(reader, place, "the deliveries of", missing)),
    (attempt::PREFIX, of_attempt),
    (exchange::PREFIX, of_exchange),
];

/// Follows every reference. Commits may go on meanwhile: what is missing is looked for again.
///
/// # Errors
/// Only of the store as a whole: a record that cannot be read is a finding.
pub fn check(reader: &Reader, verification: &mut StoreVerification) -> Result<(), StoreError> {
    for (prefix, follow) in FOLLOWED {
        let mut from = vec![prefix];
        let end = [prefix + 1];
        loop {
            let (places, next) = some_places(reader, (&from, &end), verification)?;
            for place in places {
                one(reader, place, follow, verification)?;
            }
            match next {
                Some(next) => from = next,
                None => break,
            }
        }
    }
    clicks(reader, verification)
}

/// Places and, unless there are no more, where to go on.
type SomePlaces = (Vec<DatedPlace>, Option<Vec<u8>>);

fn some_places(
    reader: &Reader,
    (from, to): (&[u8], &[u8]),
    verification: &mut StoreVerification,
) -> Result<SomePlaces, StoreError> {
    let (mut places, mut next) = (Vec::new(), None);
    let scanned = reader.scan(Span { from, to, direction: Direction::Up }, &mut |key, value| {
        match value {
            Ok(_) => places.extend(codec::date(key)),
            Err(error) => verification.add(unreadable(key, &error)),
        }
        if places.len() < CHUNK {
            return ControlFlow::Continue(());
        }
        next = Some([key, &[0]].concat());
        ControlFlow::Break(())
    });
    match scanned {
        Err(error @ StoreError::Corrupt { .. }) => {
            verification.add(unreadable(from, &error));
            Ok((places, None))
        }
        done => done.map(|()| (places, next)),
    }
}

fn unreadable(key: &[u8], error: &StoreError) -> StoreFinding {
    StoreFinding::RecordUnreadable { key: key.to_vec(), cause: error.to_string() }
}

/// Follows the references of one record; where something is missing twice it is.
fn one(
    reader: &Reader,
    place: DatedPlace,
    follow: Follow,
    verification: &mut StoreVerification,
) -> Result<(), StoreError> {
    for is_again in [false, true] {
        let mut missing = Vec::new();
        match follow(reader, place, &mut missing) {
            Ok(count) if missing.is_empty() => {
                verification.references += count;
                return Ok(());
            }
            Ok(_) if !is_again => {}
            Ok(_) => missing.into_iter().for_each(|finding| verification.add(finding)),
            Err(error @ StoreError::Corrupt { .. }) => {
                if is_again {
                    verification.add(unreadable(&[], &error));
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn missing(from: impl Into<String>, to: impl Into<String>) -> StoreFinding {
    StoreFinding::ReferenceMissing { from: from.into(), to: to.into() }
}

/// What a part of a postback is of.
fn to_head(
    reader: &Reader,
    (day, number): DatedPlace,
    part: &str,
    found: &mut Vec<StoreFinding>,
) -> Result<u64, StoreError> {
    if reader.head_of(day, number)?.is_none() {
        let is_there = match part {
            "the body of" => reader.body_of(day, number)?.is_some(),
            "the raw bytes of" => reader.has_raw(day, number)?,
            "the deliveries of" => reader.states(day, number)?.is_some(),
            _ => reader.overlay_sketch(day, number)?.is_some(),
        };
        if is_there {
            found.push(missing(format!("{part} postback {number}"), format!("postback {number}")));
        }
    }
    Ok(1)
}

/// A postback names its body, and with a conversion its attempts and, while it is to be sent, its click.
fn of_head(
    reader: &Reader,
    (day, number): DatedPlace,
    found: &mut Vec<StoreFinding>,
) -> Result<u64, StoreError> {
    let Some(head) = reader.head_of(day, number)? else { return Ok(0) };
    let from = format!("postback {number}");
    let Some(body) = reader.body_of(day, number)? else {
        found.push(missing(from, "its body"));
        return Ok(1);
    };
    let (Some(sketch), Some(made)) = (&head.sketch, body.conversion.as_ref()) else {
        if head.sketch.is_some() != body.conversion.is_some() {
            found.push(missing(from, "its conversion"));
        }
        return Ok(1);
    };
    let (conversion, standing) = match reader.overlay(day, number)? {
        Some(changed) => (changed.conversion, changed.standing),
        None => (made.clone(), reader.states(day, number)?.unwrap_or_else(|| sketch.standing.clone())),
    };
    let from = format!("conversion {}", conversion.id);
    let mut count = 2;
    for last in standing.last_attempts.iter().copied() {
        let mut next = last;
        while let Some(attempt) = next {
            count += 1;
            let Some(stored) = reader.stored_attempt(day, attempt)? else {
                found.push(missing(&from, format!("attempt {attempt}")));
                break;
            };
            if stored.seq != number {
                found.push(missing(&from, format!("attempt {attempt} of its own")));
            }
            next = stored.before(attempt);
        }
    }
    if let Some(click) = conversion.attribution.click().filter(|_| standing.is_unfinished()) {
        count += 1;
        if reader.click_afresh(click)?.is_none() {
            found.push(missing(&from, format!("click {}", click.as_str())));
        }
    }
    Ok(count)
}

/// An attempt names its conversion, and the exchange that it was in, which its first attempt keeps.
fn of_attempt(
    reader: &Reader,
    (day, number): DatedPlace,
    found: &mut Vec<StoreFinding>,
) -> Result<u64, StoreError> {
    let Some(stored) = reader.stored_attempt(day, number)? else { return Ok(0) };
    let from = format!("attempt {number}");
    if reader.head_of(day, stored.seq)?.is_none_or(|head| head.sketch.is_none()) {
        found.push(missing(&from, format!("the conversion of postback {}", stored.seq)));
    }
    let Some(place) = stored.exchange else { return Ok(1) };
    // One that is kept with a conversion that is past its days is gone with that.
    let is_kept = reader.stored_attempt(place.day, place.attempt)?.is_some();
    if is_kept && reader.exchange(place, &mut exchange::ReadExchanges::new())?.is_none() {
        found.push(missing(from, format!("the exchange of attempt {}", place.attempt)));
    }
    Ok(2)
}

/// An exchange is kept with an attempt.
fn of_exchange(
    reader: &Reader,
    (day, number): DatedPlace,
    found: &mut Vec<StoreFinding>,
) -> Result<u64, StoreError> {
    let place = exchange::ExchangePlace { day, attempt: number };
    if reader.stored_attempt(day, number)?.is_none()
        && reader.exchange(place, &mut exchange::ReadExchanges::new())?.is_some()
    {
        found.push(missing(format!("the exchange of attempt {number}"), format!("attempt {number}")));
    }
    Ok(1)
}

/// A line of the log of clicks names its click.
fn clicks(reader: &Reader, verification: &mut StoreVerification) -> Result<(), StoreError> {
    let mut from = LogPlace::FIRST;
    loop {
        let lines = click_log::lines_up(reader, (from, LogPlace::END), CHUNK)?;
        let is_last = lines.len() < CHUNK;
        for (place, line) in lines {
            from = LogPlace { number: place.number.saturating_add(1), ..place };
            let Ok(line) = line else { continue };
            verification.references += 1;
            // Looked for again: it may have been removed with its line meanwhile.
            let is_there = reader.click_afresh(&line.id);
            let is_missing = |found: &Result<_, StoreError>| matches!(found, Ok(None));
            if is_missing(&is_there) && !click_log::lines_up(reader, (place, from), 1)?.is_empty() {
                verification.add(missing(format!("line {} of the clicks", place.number), line.id.as_str()));
            }
        }
        if is_last {
            return Ok(());
        }
    }
}
