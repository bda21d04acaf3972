//! The log of clicks in the order in which they were recorded: for lists, for purging, and for what the
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

/// The line of click `number`.
fn log_key(number: u64) -> Vec<u8> {
    codec::numbered(PREFIX, number)
}

/// Puts new clicks into the log; `first` is the number of the first.
pub fn put(batch: &mut Batch, first: u64, clicks: &[LoggedClick]) -> Result<(), StoreError> {
    for (number, click) in (first..).zip(clicks) {
        let key = log_key(number);
        let line = codec::record(click).map_err(|error| corrupt(&key, &error))?;
        batch.add(key, line);
    }
    Ok(())
}

/// Takes a line out.
pub fn remove(batch: &mut Batch, number: u64) {
    batch.remove(log_key(number));
}

/// A line with its number. One that cannot be read is an error of its own, and may stand for its neighbours.
pub type LineRead = (u64, Result<LoggedClick, StoreError>);

/// Up to `most` lines below number `below`, newest first.
pub fn lines_below(reader: &Reader, below: u64, most: usize) -> Result<Vec<LineRead>, StoreError> {
    let (from, to) = (log_key(0), log_key(below));
    lines(reader, Span { from: &from, to: &to, direction: Direction::Down }, most)
}

/// Up to `most` lines from number `from` on, oldest first.
pub fn lines_from(reader: &Reader, from: u64, most: usize) -> Result<Vec<LineRead>, StoreError> {
    let (from, to) = (log_key(from), log_key(u64::MAX));
    lines(reader, Span { from: &from, to: &to, direction: Direction::Up }, most)
}

fn lines(reader: &Reader, span: Span<'_>, most: usize) -> Result<Vec<LineRead>, StoreError> {
    let mut lines = Vec::new();
    reader.scan(span, &mut |key, bytes| {
        let line = bytes.and_then(|bytes| codec::read(bytes).map_err(|error| corrupt(key, &error)));
        lines.extend(codec::number(key).map(|number| (number, line)));
        if lines.len() < most { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    Ok(lines)
}

/// The number that the next click will have.
pub fn end(reader: &Reader) -> Result<u64, StoreError> {
    let last = lines_below(reader, u64::MAX, 1)?.pop();
    Ok(last.map_or(1, |(number, line)| number + if line.is_ok() { 1 } else { GAP }))
}
