//! What the clicks of a group leave next to their own records: lines of the log, day counters, visits.

use std::collections::{BTreeMap, HashMap};

use crate::domain::ids::{ClickId, OfferId, VisitorId};
use crate::domain::time::Time;
use crate::store::contract::error::StoreError;
use crate::store::engine::kv::Batch;
use crate::store::table::click_day;
use crate::store::table::click_log::{self, LoggedClick};
use crate::store::table::recent_click::RecentClicks;
use crate::store::table::visitor::{Visits, put_visits};

/// All that the clicks of one group leave.
#[derive(Default)]
pub struct Trail {
    /// The clicks that are new, in order.
    pub logged: Vec<LoggedClick>,
    /// The latest counted click of the group by what a repeat of it is known by.
    pub repeats: HashMap<u64, (Time, ClickId)>,
    /// Counters as they become.
    pub days: BTreeMap<(i64, OfferId), u64>,
    pub visitors: BTreeMap<VisitorId, Visits>,
}

/// What one click leaves.
#[derive(Default)]
pub struct Footprint {
    pub logged: Option<LoggedClick>,
    pub repeat: Option<u64>,
    pub day: Option<((i64, OfferId), u64)>,
    pub visitor: Option<(VisitorId, Visits)>,
}

impl Trail {
    /// Adds it all to the batch; `end` is the number after the last click.
    pub fn pack(&self, batch: &mut Batch, end: u64) -> Result<(), StoreError> {
        click_log::put(batch, end - self.logged.len() as u64, &self.logged)?;
        for ((day, offer), count) in &self.days {
            click_day::put(batch, *day, offer, *count)?;
        }
        for (visitor, visits) in &self.visitors {
            put_visits(batch, visitor, visits)?;
        }
        Ok(())
    }

    /// Shows the committed clicks to what follows.
    pub fn publish(&self, lately: &mut RecentClicks) {
        lately.add(&self.logged, &self.days);
    }
}
