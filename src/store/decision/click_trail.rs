//! What the clicks of a group leave next to their own records: lines of the log, day counters, visits.

use std::collections::{BTreeMap, HashMap};

use crate::domain::ids::{ClickId, OfferId, VisitorId};
use crate::domain::time::Time;
use crate::store::table::click_log::LoggedClick;
use crate::store::table::visitor::Visits;

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
