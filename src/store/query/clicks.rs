//! The list of clicks.

use std::sync::Arc;

use crate::domain::click::Click;
use crate::store::contract::error::StoreError;
use crate::store::contract::lookup::{ClickFilter, Page, PageRequest};
use crate::store::query::cursor::ListCursor;
use crate::store::query::walk::UNPACK;
use crate::store::reader::readable;
use crate::store::records::StoreShared;
use crate::store::table::click_log::{self, LineRead, LogPlace, LoggedClick};

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
    let mut below = match &page.cursor {
        None => LogPlace::END,
        Some(cursor) => {
            let ListCursor { day, number, .. } = ListCursor::parse(cursor)?;
            LogPlace { day, number }
        }
    };
    let from = filter.since.map_or(LogPlace::FIRST, |since| LogPlace::of(since, 0));
    if let Some(until) = filter.until {
        below = below.min(LogPlace::of(until, 0).next_day());
    }
    let mut list =
        ClickListing { shared, filter, limit: page.limit.clamp(1, 1000), items: Vec::new(), spent: 0 };
    loop {
        let lines = click_log::lines_down(&shared.reader, (from, below), CHUNK)?;
        let Some((first, _)) = lines.last() else {
            return Ok(Page { items: list.items, next_cursor: None });
        };
        below = *first;
        if let Some(end) = list.lines(lines)? {
            let next = ListCursor { day: end.day, number: end.number, item: 0 }.show();
            return Ok(Page { items: list.items, next_cursor: Some(next) });
        }
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
    /// Goes through lines, newest first. Answers the place at which the page ends, if it does.
    fn lines(&mut self, lines: Vec<LineRead>) -> Result<Option<LogPlace>, StoreError> {
        self.spent += 1;
        let first = lines.last().map(|(place, _)| *place);
        for (place, line) in lines {
            let is_within = |line: &LoggedClick| {
                self.filter.since.is_none_or(|since| line.at >= since)
                    && self.filter.until.is_none_or(|until| line.at < until)
            };
            let Some(line) = readable(line, "a click")?.filter(is_within) else { continue };
            self.spent += UNPACK;
            let click = readable(self.shared.records.click_as_answered(&line.id), "a click")?.flatten();
            self.items.extend(click.filter(|click| fits(click, self.filter)));
            if self.items.len() == self.limit || self.spent >= BUDGET {
                return Ok(Some(place));
            }
        }
        Ok(first.filter(|_| self.spent >= BUDGET))
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
