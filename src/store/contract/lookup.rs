//! What is looked up: filters and pages of lists, a conversion end to end, reports.

use std::sync::Arc;

use crate::domain::attempt::Attempt;
use crate::domain::click::Click;
use crate::domain::conversion::Conversion;
use crate::domain::delivery::{Delivery, DeliveryStateName};
use crate::domain::ids::{
    AffiliateId, CampaignId, CreativeId, DestinationId, OfferId, Seq, SourceId, VisitorId,
};
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
    /// May be fewer than the limit, or none, though more follow.
    pub items: Vec<T>,
    /// Opaque, and good only for the same list. It names the key of the last record, so that the next page is found
    /// there however far into the list it is. `None` at its end.
    pub next_cursor: Option<String>,
}

/// Which clicks to list. Every field given must fit.
#[derive(Debug, Clone, Default)]
pub struct ClickFilter {
    /// The offer of its campaign ref; a click without one fits no value.
    pub offer: Option<OfferId>,
    /// The campaign of its campaign ref.
    pub campaign: Option<CampaignId>,
    /// The affiliate of its campaign ref.
    pub affiliate: Option<AffiliateId>,
    /// By the visitor's cookie, as it was recorded with the click.
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
    /// A configured source, or a built-in one such as `pixel` or `tag`.
    pub source: Option<SourceId>,
    /// The event's name, in its own spelling.
    pub event: Option<String>,
    /// The status that it has now, not one that it had.
    pub status: Option<Status>,
    /// Exactly as the sender wrote it.
    pub transaction_id: Option<String>,
    /// The click that earned it, or the id that it was reported with, whether a click has it or not.
    pub click_id: Option<String>,
    /// By arrival, inclusive.
    pub since: Option<Time>,
    /// By arrival, exclusive.
    pub until: Option<Time>,
    /// The offer of its campaign ref; a conversion without one fits no value.
    pub offer: Option<OfferId>,
    /// The campaign of its campaign ref.
    pub campaign: Option<CampaignId>,
    /// The affiliate of its campaign ref.
    pub affiliate: Option<AffiliateId>,
    /// The creative of its campaign ref.
    pub creative: Option<CreativeId>,
    /// The sub ids `s1` to `s5`, as the conversion's parameters or its click have them.
    pub sub_ids: [Option<String>; 5],
    /// With a delivery in this state.
    pub state: Option<DeliveryStateName>,
    /// Only those of which some destination cannot be informed how they are now.
    pub irreversible_only: bool,
}

/// Which postbacks to list.
#[derive(Debug, Clone, Default)]
pub struct PostbackFilter {
    /// `None` lists those of unknown sources too.
    pub source: Option<SourceId>,
    /// What became of it when it was received; one that was reprocessed keeps its own.
    pub verdict: Option<VerdictName>,
    /// Why it was quarantined or refused.
    pub reason_code: Option<RejectionCode>,
    /// The parameter or field that the reason is about.
    pub field: Option<String>,
    /// Leave out quarantined records that a later record reprocesses.
    pub open_only: bool,
    /// By arrival, inclusive; of one that reprocesses another, by the first arrival.
    pub since: Option<Time>,
    /// By arrival, exclusive.
    pub until: Option<Time>,
}

/// Which deliveries to list. Every field given must fit.
#[derive(Debug, Clone, Default)]
pub struct DeliveryFilter {
    /// Also one that is no longer configured.
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
    /// The code as API and pages write it.
    pub code: UndeliveredCode,
    /// By what the reason of one that waits is worked out: it is not stored.
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
    /// As it is now, not as it was when it was sent.
    pub conversion: Conversion,
    /// Its state and how many attempts counted.
    pub delivery: Delivery,
    /// As of a [`Claimed`](crate::store::contract::work::Claimed).
    pub sent_before: bool,
    /// `None` before the first one, and for what was skipped when it was planned.
    pub last_attempt: Option<Attempt>,
}

/// A conversion end to end.
#[derive(Debug, Clone)]
pub struct Trace {
    /// With its whole history.
    pub conversion: Conversion,
    /// The click that earned it; `None` without one, or when the click is past its days.
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
    /// Who brought the visitor.
    pub affiliate: Option<AffiliateId>,
    /// The status that the conversion has now.
    pub status: Option<Status>,
    /// Only rows behind this one, as an earlier page ended. The total counts those before it too.
    pub after: Option<ReportPlace>,
    /// How many rows to pass over, behind that: for those who ask by the number of a row. To go on from page to page,
    /// `after` costs the same however far into the report it is.
    pub skip: u64,
    /// 1–500.
    pub limit: usize,
}

/// A row's place in reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReportPlace {
    /// The conversion's event time.
    pub event_time: Time,
    /// Its number.
    pub seq: Seq,
}

/// Rows by `event_time`, then by number, ascending.
#[derive(Debug, Clone, Default)]
pub struct ReportPage {
    /// All that fit, not only this page's.
    pub total: u64,
    /// At most the limit of the query.
    pub rows: Vec<Conversion>,
    /// The last row that was looked at, also where it could not be read; `None` on a page without rows.
    pub last: Option<ReportPlace>,
}

/// A transaction id that several conversions have.
#[derive(Debug, Clone)]
pub struct ReusedTransaction {
    /// How many conversions the id had, those purged since included.
    pub conversions: u32,
    /// The one of which a report was received last.
    pub newest: Conversion,
}
