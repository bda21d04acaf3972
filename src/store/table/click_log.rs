//! The log of clicks, by the day on which they were recorded and in their order: for lists, for purging, and for what the
//! click filters have to remember. A click's own record knows nothing of it. The engine packs its lines.

use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::domain::click::Click;
use crate::domain::filter::DuplicateBy;
use crate::domain::ids::ClickId;
use crate::domain::time::Time;
use crate::store::codec::{self, corrupt};
use crate::store::contract::error::StoreError;
use crate::store::engine::kv::{Batch, Direction, Span};
use crate::store::reader::Reader;
use crate::store::table::day::day;

/// The first byte of its keys.
pub const PREFIX: u8 = b'G';

/// How many numbers are left out behind a last line that cannot be read: it may stand for a block of them.
const GAP: u64 = 1024;

/// A click as it was when it was recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoggedClick {
    pub id: ClickId,
    /// When it was recorded.
    pub at: Time,
    /// By what a repeat of it is known, where it counted as a click on an offer.
    pub likeness: Option<VisitorLikeness>,
}

/// By what two clicks on one offer are known to be one visitor's, as hashes with the offer in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct VisitorLikeness {
    cookie: Option<u64>,
    ip: Option<u64>,
    ip_and_agent: Option<u64>,
}

impl VisitorLikeness {
    /// `None` without an offer: then no other click is a repeat of it.
    pub fn of(click: &Click) -> Option<VisitorLikeness> {
        let offer = click.context.campaign_ref.as_ref()?.offer.as_str();
        let visitor = click.context.visitor.as_ref().map(|visitor| visitor.as_str());
        let ip = click.ip.map(|ip| ip.to_canonical().to_string());
        let agent = click.user_agent.as_deref().unwrap_or_default();
        Some(VisitorLikeness {
            cookie: visitor.map(|visitor| secure_hash(&[offer, "cookie", visitor])),
            ip: ip.as_deref().map(|ip| secure_hash(&[offer, "ip", ip])),
            ip_and_agent: ip.as_deref().map(|ip| secure_hash(&[offer, "ip+agent", ip, agent])),
        })
    }

    /// `None` where the click lacks what the rule looks at.
    pub fn by(&self, rule: DuplicateBy) -> Option<u64> {
        match rule {
            DuplicateBy::Cookie => self.cookie,
            DuplicateBy::Ip => self.ip,
            DuplicateBy::IpAndAgent => self.ip_and_agent,
        }
    }
}

/// No one can choose a user agent that makes another's click look like a repeat. Stored: never changes.
fn secure_hash(parts: &[&str]) -> u64 {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    let [a, b, c, d, e, f, g, h, ..]: [u8; 32] = digest.finalize().into();
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

/// Where a line is: under the UTC day on which its click was recorded, by the click's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogPlace {
    pub day: i32,
    pub number: u64,
}

impl LogPlace {
    /// Before every line.
    pub const FIRST: LogPlace = LogPlace { day: i32::MIN, number: 0 };
    /// Behind every line.
    pub const END: LogPlace = LogPlace { day: i32::MAX, number: u64::MAX };

    /// Of a click that was recorded then.
    pub fn of(at: Time, number: u64) -> LogPlace {
        LogPlace { day: day(at), number }
    }

    /// Before every line of a day.
    pub fn start_of(day: i32) -> LogPlace {
        LogPlace { day, number: 0 }
    }

    /// Before every line of the next day.
    pub fn next_day(self) -> LogPlace {
        LogPlace::start_of(self.day.saturating_add(1))
    }

    fn key(self) -> Vec<u8> {
        codec::dated(PREFIX, self.day, self.number)
    }
}

/// Puts new clicks into the log; `first` is the number of the first.
pub fn put(batch: &mut Batch, first: u64, clicks: &[LoggedClick]) -> Result<(), StoreError> {
    for (number, click) in (first..).zip(clicks) {
        let key = LogPlace::of(click.at, number).key();
        let line = codec::record(click).map_err(|error| corrupt(&key, &error))?;
        batch.add(key, line);
    }
    Ok(())
}

/// Puts a line over what was kept of it.
pub fn replace(batch: &mut Batch, place: LogPlace, click: &LoggedClick) -> Result<(), StoreError> {
    let key = place.key();
    let line = codec::record(click).map_err(|error| corrupt(&key, &error))?;
    batch.put(key, line);
    Ok(())
}

/// Takes a line out.
pub fn remove(batch: &mut Batch, place: LogPlace) {
    batch.remove(place.key());
}

/// A line with its place. One that cannot be read is an error of its own, and may stand for its neighbours.
pub type LineRead = (LogPlace, Result<LoggedClick, StoreError>);

/// Up to `most` lines from a place on and before another, the newest day first, on each the highest number first.
pub fn lines_down(
    reader: &Reader,
    span: (LogPlace, LogPlace),
    most: usize,
) -> Result<Vec<LineRead>, StoreError> {
    lines(reader, span, Direction::Down, most)
}

/// The same, the oldest day first, on each the lowest number first.
pub fn lines_up(
    reader: &Reader,
    span: (LogPlace, LogPlace),
    most: usize,
) -> Result<Vec<LineRead>, StoreError> {
    lines(reader, span, Direction::Up, most)
}

fn lines(
    reader: &Reader,
    (from, to): (LogPlace, LogPlace),
    direction: Direction,
    most: usize,
) -> Result<Vec<LineRead>, StoreError> {
    let mut lines = Vec::new();
    let (from, to) = (from.key(), to.key());
    reader.scan(Span { from: &from, to: &to, direction }, &mut |key, bytes| {
        let line = bytes.and_then(|bytes| codec::read(bytes).map_err(|error| corrupt(key, &error)));
        lines.extend(codec::date(key).map(|(day, number)| (LogPlace { day, number }, line)));
        if lines.len() < most { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    Ok(lines)
}

/// Where the log goes on: the number that the next click will have, and the day of the click before it. Looks at one
/// line of each day, since a clock that ran ahead gave a later day low numbers.
pub fn end(reader: &Reader) -> Result<(u64, Option<i32>), StoreError> {
    let (mut next, mut latest) = (1, None);
    let mut to = LogPlace::END;
    while let Some((place, line)) = lines_down(reader, (LogPlace::FIRST, to), 1)?.pop() {
        let after = place.number.saturating_add(if line.is_ok() { 1 } else { GAP });
        if after > next {
            (next, latest) = (after, Some(place.day));
        }
        to = LogPlace::start_of(place.day);
    }
    Ok((next, latest))
}
