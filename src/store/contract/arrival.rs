//! What is received: postbacks and reports, clicks, answers about consent; and what became of each.

use std::sync::Arc;

use crate::domain::attribution::FoundClick;
use crate::domain::click::Click;
use crate::domain::consent::ConsentRecord;
use crate::domain::conversion::Draft;
use crate::domain::ids::{ClickId, Seq, SourceId, VisitorId};
use crate::domain::postback::{RawRequest, Verdict};
use crate::domain::rejection::Rejection;
use crate::domain::rejection::note::ReportNote;
use crate::domain::time::Time;

/// Something that arrived on a postback URL.
#[derive(Debug, Clone)]
pub struct Arrival {
    pub raw: RawRequest,
    pub received_at: Time,
    pub source: Option<SourceId>,
    pub finding: Finding,
    /// Set when an earlier arrival is reprocessed.
    pub again: Option<Reprocess>,
}

/// A quarantined record is reprocessed: the arrival keeps the time at which it was received, what it causes
/// counts from now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reprocess {
    /// The record.
    pub of: Seq,
    pub now: Time,
}

/// What the template made of an arrival.
#[derive(Debug, Clone)]
pub enum Finding {
    Mapped(Box<MappedArrival>),
    Quarantined(Rejection),
    Refused(Rejection),
}

/// A mapped arrival. What the decision about it goes by is the ruleset of [`Store::set_rules`](crate::store::Store::set_rules).
#[derive(Debug, Clone)]
pub struct MappedArrival {
    pub draft: Draft,
    /// The click that was found before the commit. When `None`, the commit looks again.
    pub click: Option<FoundClick>,
}

/// What became of an arrival, after it is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    pub postback: Seq,
    pub verdict: Verdict,
    /// Whether a click earned the conversion. `None` without a conversion.
    pub matched: Option<bool>,
    pub notes: Vec<ReportNote>,
}

/// A click that arrived.
#[derive(Debug, Clone)]
pub struct ClickArrival {
    pub click: Click,
    pub screening: Screening,
}

/// Whether the click filters of the ruleset look at a click.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Screening {
    /// They do, at the commit; the verdicts are kept with the click and answered.
    Filters,
    /// They do not: an own server reported the click.
    None,
}

/// What became of a recorded click, after it is durable.
#[derive(Debug, Clone)]
pub struct ClickReceipt {
    pub recorded: ClickRecorded,
    /// The click as it is kept now, with its verdicts.
    pub click: Arc<Click>,
}

/// What became of a recorded click.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClickRecorded {
    New,
    /// The id was known; absent fields were filled from what was received.
    Filled,
    /// The id was known and nothing new was received.
    Known,
}

/// What a visitor answered to the question of consent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsentArrival {
    /// The click of the page on which the answer was given.
    pub click: ClickId,
    /// Whom the browser is known as, where it is known.
    pub visitor: Option<VisitorId>,
    pub consent: ConsentRecord,
    pub received_at: Time,
}
