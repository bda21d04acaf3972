//! What is looked up: filters and pages of lists, a conversion end to end, reports.

use std::sync::Arc;

use crate::domain::click::Click;
use crate::domain::conversion::Conversion;
use crate::domain::delivery::{Attempt, Delivery, DeliveryStateName};
use crate::domain::ids::{AffiliateId, CampaignId, CreativeId, DestinationId, OfferId, SourceId, VisitorId};
use crate::domain::postback::{Postback, VerdictName};
use crate::domain::rejection::code::RejectionCode;
use crate::domain::status::Status;
use crate::domain::time::Time;
use crate::domain::unsent::{self, UndeliveredCode, UnsentContext};

/// Where a page begins, and how long it is.
#[derive(Debug, Clone)]
pub struct PageRequest {
    /// As an earlier [`Page`] gave it.
    pub cursor: Option<String>,
    /// 1–1000.
    pub limit: usize,
}

/// Newest first. `next_cursor` is set when there may be more, even after an empty page: a read looks
/// at a bounded number of records.
#[derive(Debug, Clone)]
pub struct Page<T> {
    pub items: Vec<T>,
    pub next_cursor: Option<String>,
}

/// Which clicks to list. Every field given must fit.
#[derive(Debug, Clone, Default)]
pub struct ClickFilter {
    pub offer: Option<OfferId>,
    pub campaign: Option<CampaignId>,
    pub affiliate: Option<AffiliateId>,
    pub visitor: Option<VisitorId>,
    /// By when it was recorded, inclusive.
    pub since: Option<Time>,
    /// Exclusive.
    pub until: Option<Time>,
    /// Only clicks that some filter hit.
    pub marked_only: bool,
}

/// Which conversions to list. Every field given must fit.
#[derive(Debug, Clone, Default)]
pub struct ConversionFilter {
    pub source: Option<SourceId>,
    pub event: Option<String>,
    pub status: Option<Status>,
    pub transaction_id: Option<String>,
    pub click_id: Option<String>,
    /// By arrival, inclusive.
    pub since: Option<Time>,
    /// By arrival, exclusive.
    pub until: Option<Time>,
    pub offer: Option<OfferId>,
    pub campaign: Option<CampaignId>,
    pub affiliate: Option<AffiliateId>,
    pub creative: Option<CreativeId>,
    /// The sub ids `s1` to `s5`, as the conversion's parameters or its click have them.
    pub sub_ids: [Option<String>; 5],
    /// With a delivery in this state.
    pub state: Option<DeliveryStateName>,
}

/// Which postbacks to list.
#[derive(Debug, Clone, Default)]
pub struct PostbackFilter {
    pub source: Option<SourceId>,
    pub verdict: Option<VerdictName>,
    /// Why it was quarantined or refused.
    pub reason_code: Option<RejectionCode>,
    /// The parameter or field that the reason is about.
    pub field: Option<String>,
    /// Leave out quarantined records that a later record reprocesses.
    pub open_only: bool,
    pub since: Option<Time>,
    pub until: Option<Time>,
}

/// Which deliveries to list. Every field given must fit.
#[derive(Debug, Clone, Default)]
pub struct DeliveryFilter {
    pub destination: Option<DestinationId>,
    /// The delivery's own state.
    pub state: Option<DeliveryStateName>,
    /// Why it is not delivered.
    pub reason: Option<ReasonFilter>,
    /// Of which conversions; its `state` is not read.
    pub of: ConversionFilter,
}

/// A reason for which deliveries are not delivered, and what the reasons of those that wait depend on.
#[derive(Debug, Clone)]
pub struct ReasonFilter {
    pub code: UndeliveredCode,
    pub circumstances: UnsentContext,
}

impl ReasonFilter {
    /// Whether it is the reason that holds for this delivery now.
    pub fn fits(&self, listed: &ListedDelivery) -> bool {
        let delivery = (&listed.delivery, listed.sent_before);
        let reason = unsent::of_delivery(&listed.conversion, delivery, &self.circumstances);
        reason.is_some_and(|reason| self.code.is_of(&reason))
    }
}

/// A line of the delivery list.
#[derive(Debug, Clone)]
pub struct ListedDelivery {
    pub conversion: Conversion,
    pub delivery: Delivery,
    /// As of a [`Claimed`](crate::store::Claimed).
    pub sent_before: bool,
    pub last_attempt: Option<Attempt>,
}

/// A conversion end to end.
#[derive(Debug, Clone)]
pub struct Trace {
    pub conversion: Conversion,
    pub click: Option<Arc<Click>>,
    /// The deliveries, each with its attempts in order.
    pub deliveries: Vec<(Delivery, Vec<Attempt>)>,
    /// The postbacks that made and changed it, in order, while they are kept.
    pub postbacks: Vec<Postback>,
}

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
