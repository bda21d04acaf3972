//! Reports over conversions: what is asked and what is answered.

use crate::domain::conversion::Conversion;
use crate::domain::ids::{AffiliateId, OfferId};
use crate::domain::status::Status;
use crate::domain::time::Time;

/// A report over the conversions of offers. Every field given must fit. Events of the tag are not in it.
#[derive(Debug, Clone, Default)]
pub struct ReportQuery {
    /// By `event_time`, inclusive.
    pub from: Option<Time>,
    /// Exclusive.
    pub until: Option<Time>,
    /// Any of these.
    pub offers: Option<Vec<OfferId>>,
    pub affiliate: Option<AffiliateId>,
    pub status: Option<Status>,
    /// How many rows to pass over.
    pub skip: u64,
    /// 1–500.
    pub limit: usize,
}

/// Rows by `event_time`, then by number, ascending.
#[derive(Debug, Clone)]
pub struct ReportPage {
    /// All that fit, not only this page's.
    pub total: u64,
    pub rows: Vec<Conversion>,
}
