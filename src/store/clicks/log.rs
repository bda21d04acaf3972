//! The log of clicks in the order in which they were recorded: for lists, for purging, and for what the
//! click filters have to remember. A click's own record knows nothing of it.

use std::ops::ControlFlow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::domain::click::Click;
use crate::domain::filter::DuplicateBy;
use crate::domain::ids::ClickId;
use crate::domain::time::Time;
use crate::store::contract::error::StoreError;
use crate::store::contract::lookup::{ClickFilter, Page, PageRequest};
use crate::store::engine::kv::{Batch, Direction, Span};
use crate::store::layout::{self, key};
use crate::store::records::StoreShared;
use crate::store::records::{Records, corrupt};
use crate::store::runs::{OlderThanKept, Runs};
use crate::store::walk::UNPACK;

/// The most clicks in one record.
const BLOCK: usize = 64;
/// Blocks read together.
const CHUNK: usize = 32;
/// What one list call may spend: 1 for a block, [`UNPACK`] for a click read.
const BUDGET: usize = 6000;

/// A click as it was when it was recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoggedClick {
    pub id: ClickId,
    /// When it was recorded.
    pub at: Time,
    /// By what a repeat of it is known, where it counted as a click on an offer.
    pub likeness: Option<VisitorLikeness>,
}

/// Clicks in order; a purged one is `None`.
pub type LogBlock = Vec<Option<LoggedClick>>;

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

/// Puts new clicks into the log; `first` is the number of the first.
pub fn put(batch: &mut Batch, mut first: u64, clicks: &[LoggedClick]) -> Result<(), StoreError> {
    for block in clicks.chunks(BLOCK) {
        let lines: Vec<Option<&LoggedClick>> = block.iter().map(Some).collect();
        let key = key::log(first);
        let packed = layout::pack(&(), &lines).map_err(|error| corrupt(&key, &error))?;
        batch.add(key, packed);
        first += block.len() as u64;
    }
    Ok(())
}

/// A block with its first number; one that cannot be read is an error of its own.
pub type BlockRead = (u64, Result<LogBlock, StoreError>);

/// Up to `most` blocks that begin below `below`, newest first.
pub fn blocks_below(records: &Records, below: u64, most: usize) -> Result<Vec<BlockRead>, StoreError> {
    let (from, to) = (key::log(0), key::log(below));
    read(records, Span { from: &from, to: &to, direction: Direction::Down }, most)
}

/// Up to `most` blocks that begin at `from` or later, oldest first.
pub fn blocks_from(records: &Records, from: u64, most: usize) -> Result<Vec<BlockRead>, StoreError> {
    let (from, to) = (key::log(from), key::log(u64::MAX));
    read(records, Span { from: &from, to: &to, direction: Direction::Up }, most)
}

fn read(records: &Records, span: Span<'_>, most: usize) -> Result<Vec<BlockRead>, StoreError> {
    let mut blocks = Vec::new();
    records.scan(span, &mut |key, bytes| {
        let block = layout::body(bytes).map_err(|error| corrupt(key, &error));
        blocks.extend(key::number(key).map(|first| (first, block)));
        if blocks.len() < most { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    Ok(blocks)
}

/// The number that the next click will have.
pub fn end(records: &Records) -> Result<u64, StoreError> {
    let last = blocks_below(records, u64::MAX, 1)?.pop();
    // A damaged block may hold as many as any.
    Ok(last.map_or(1, |(first, block)| first + block.map_or(BLOCK, |block| block.len()) as u64))
}

/// Lists clicks, newest first.
pub fn clicks(
    shared: &StoreShared,
    filter: &ClickFilter,
    page: &PageRequest,
) -> Result<Page<Arc<Click>>, StoreError> {
    shared.records.check()?;
    let end = shared.lately.lock().end();
    let mut below = match &page.cursor {
        None => end,
        Some(cursor) => cursor.parse::<u64>().map_err(|_| StoreError::Cursor(cursor.clone()))?.min(end),
    };
    let ends = filter.since.map(|since| (since, Runs::end_of(since)));
    let is_past = |line: &LoggedClick| ends.is_some_and(|(_, end)| line.at < end);
    let mut list =
        ClickListing { shared, filter, limit: page.limit.clamp(1, 1000), items: Vec::new(), spent: 0 };
    'chunks: loop {
        let blocks = blocks_below(&shared.records, below, CHUNK)?;
        if blocks.is_empty() {
            return Ok(Page { items: list.items, next_cursor: None });
        }
        for (first, block) in blocks {
            let lines = readable(block)?.unwrap_or_default();
            let all_past = !lines.is_empty() && lines.iter().flatten().all(is_past);
            if let Some((since, _)) = ends.filter(|_| all_past) {
                match shared.lately.lock().older(first, since) {
                    OlderThanKept::Nothing => return Ok(Page { items: list.items, next_cursor: None }),
                    OlderThanKept::Below(number) => {
                        below = number;
                        continue 'chunks;
                    }
                    OlderThanKept::Unknown => {}
                }
            }
            if let Some(stopped_at) = list.block(first, &lines, below)? {
                return Ok(Page { items: list.items, next_cursor: Some(stopped_at.to_string()) });
            }
            below = first;
        }
    }
}

/// What cannot be read is left out; what is behind it is not.
pub fn readable<T>(found: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
    found.map(Some).or_else(|error| match error {
        StoreError::Corrupt { .. } => {
            tracing::error!(%error, "a click cannot be read and is left out");
            Ok(None)
        }
        error => Err(error),
    })
}

/// One list call.
struct ClickListing<'a> {
    shared: &'a StoreShared,
    filter: &'a ClickFilter,
    limit: usize,
    items: Vec<Arc<Click>>,
    spent: usize,
}

impl ClickListing<'_> {
    /// Goes through a block below number `below`. Answers the number at which the page ends, if it does.
    fn block(&mut self, first: u64, lines: &LogBlock, below: u64) -> Result<Option<u64>, StoreError> {
        self.spent += 1;
        for (place, line) in lines.iter().enumerate().rev() {
            let number = first + place as u64;
            let within = |line: &&LoggedClick| {
                self.filter.since.is_none_or(|since| line.at >= since)
                    && self.filter.until.is_none_or(|until| line.at < until)
            };
            let Some(line) = line.as_ref().filter(|line| number < below && within(line)) else { continue };
            self.spent += UNPACK;
            let click = readable(self.shared.records.click_as_answered(&line.id))?.flatten();
            self.items.extend(click.filter(|click| fits(click, self.filter)));
            if self.items.len() == self.limit || self.spent >= BUDGET {
                return Ok(Some(number));
            }
        }
        Ok((self.spent >= BUDGET).then_some(first))
    }
}

fn fits(click: &Click, filter: &ClickFilter) -> bool {
    let context = &click.context;
    let placed = context.campaign_ref.as_ref();
    let campaign = placed.and_then(|placed| placed.campaign.as_ref());
    let affiliate = placed.and_then(|placed| placed.affiliate.as_ref());
    let is_marked = || context.verdicts.iter().any(|verdict| verdict.hit.is_some());
    filter.offer.as_ref().is_none_or(|offer| placed.is_some_and(|placed| placed.offer == *offer))
        && filter.campaign.as_ref().is_none_or(|wanted| campaign == Some(wanted))
        && filter.affiliate.as_ref().is_none_or(|wanted| affiliate == Some(wanted))
        && filter.visitor.as_ref().is_none_or(|wanted| context.visitor.as_ref() == Some(wanted))
        && (!filter.marked_only || is_marked())
}
