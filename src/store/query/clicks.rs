//! The list of clicks.

use std::sync::Arc;

use crate::domain::click::Click;
use crate::store::contract::error::StoreError;
use crate::store::contract::lookup::{ClickFilter, Page, PageRequest};
use crate::store::query::walk::UNPACK;
use crate::store::records::StoreShared;
use crate::store::table::click::readable;
use crate::store::table::click_log::{self, LoggedClick};
use crate::store::table::time_run::{OlderThanKept, Runs};

/// Lines read together.
const CHUNK: usize = 256;

/// What one list call may spend: 1 for lines read together, [`UNPACK`] for a click read.
const BUDGET: usize = 6000;

/// Lists clicks, newest first.
pub fn clicks(
    shared: &StoreShared,
    filter: &ClickFilter,
    page: &PageRequest,
) -> Result<Page<Arc<Click>>, StoreError> {
    shared.reader.check()?;
    let end = shared.lately.lock().end();
    let mut below = match &page.cursor {
        None => end,
        Some(cursor) => cursor.parse::<u64>().map_err(|_| StoreError::Cursor(cursor.clone()))?.min(end),
    };
    let ends = filter.since.map(|since| (since, Runs::end_of(since)));
    let is_past = |line: &LoggedClick| ends.is_some_and(|(_, end)| line.at < end);
    let mut list =
        ClickListing { shared, filter, limit: page.limit.clamp(1, 1000), items: Vec::new(), spent: 0 };
    loop {
        let lines = click_log::lines_below(&shared.reader, below, CHUNK)?;
        let Some((first, _)) = lines.last() else {
            return Ok(Page { items: list.items, next_cursor: None });
        };
        let first = *first;
        let mut readable_lines = Vec::with_capacity(lines.len());
        for (number, line) in lines {
            readable_lines.extend(readable(line)?.map(|line| (number, line)));
        }
        let all_past = !readable_lines.is_empty() && readable_lines.iter().all(|(_, line)| is_past(line));
        if let Some((since, _)) = ends.filter(|_| all_past) {
            match shared.lately.lock().older(first, since) {
                OlderThanKept::Nothing => return Ok(Page { items: list.items, next_cursor: None }),
                OlderThanKept::Below(number) => {
                    below = number;
                    continue;
                }
                OlderThanKept::Unknown => {}
            }
        }
        if let Some(stopped_at) = list.lines(first, &readable_lines)? {
            return Ok(Page { items: list.items, next_cursor: Some(stopped_at.to_string()) });
        }
        below = first;
    }
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
    /// Goes through lines, newest first, of which the last has number `first`. Answers the number at which the page
    /// ends, if it does.
    fn lines(&mut self, first: u64, lines: &[(u64, LoggedClick)]) -> Result<Option<u64>, StoreError> {
        self.spent += 1;
        for (number, line) in lines {
            let is_within = self.filter.since.is_none_or(|since| line.at >= since)
                && self.filter.until.is_none_or(|until| line.at < until);
            if !is_within {
                continue;
            }
            self.spent += UNPACK;
            let click = readable(self.shared.records.click_as_answered(&line.id))?.flatten();
            self.items.extend(click.filter(|click| fits(click, self.filter)));
            if self.items.len() == self.limit || self.spent >= BUDGET {
                return Ok(Some(*number));
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
