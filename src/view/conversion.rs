//! A conversion: what was reported, what it pays, whose click earned it, why it is not sent, and
//! all that belongs to it.

use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::adjustment::Adjustment;
use crate::domain::advertiser_number::AdvertiserNumbers;
use crate::domain::attempt::Attempt;
use crate::domain::attribution::{Attribution, MatchMethod};
use crate::domain::candidate::Considered;
use crate::domain::change::irreversible;
use crate::domain::claim;
use crate::domain::code::{CodedReason, ReasonCode};
use crate::domain::consent::Consent;
use crate::domain::conversion::{Conversion, no_click};
use crate::domain::delivery::{Delivery, sent_before};
use crate::domain::event::EventName;
use crate::domain::history::{Cause, Change, FieldChange, FromTo};
use crate::domain::ids::{ClickId, ConversionId, DestinationId, EventId, SourceId, VisitorId};
use crate::domain::offer::PayoutFrom;
use crate::domain::remark::Remark;
use crate::domain::time::Time;
use crate::domain::unsent::{self, UnsentContext};
use crate::store::contract::lookup::Trace;
use crate::view::click::ClickView;
use crate::view::delivery::{AttemptView, DeliveryView};
use crate::view::postback::PostbackView;
use crate::view::reason::ReasonView;
use crate::view::schema::{ConsentAnswers, StatusWord, TimeText};
use crate::view::value::{CampaignRefView, ItemView, MoneyView, PairsView, answered};

/// What was reported of a conversion: all that is known of one that is only previewed.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Reported")]
pub struct ReportedView<'a> {
    /// The id that ad platforms are sent, by which they know a repeat.
    #[schemars(with = "String")]
    event_id: EventId,
    /// The id of a `[[source]]`, or `pixel`, `tag` or `cake-api`.
    #[schemars(with = "String")]
    source: &'a SourceId,
    #[schemars(with = "String")]
    event: &'a EventName,
    #[schemars(with = "StatusWord")]
    status: &'static str,
    /// The sale's number at who sold it; null where none was reported, or a placeholder.
    transaction_id: Option<&'a str>,
    /// What was sold, where the report says it.
    item_id: Option<&'a str>,
    /// The things of the order, where the report names several.
    items: Vec<ItemView<'a>>,
    /// The rows that its amounts are the sum of, at a source whose rows add up; else empty.
    adjustments: Vec<AdjustmentView<'a>>,
    /// What ad platforms are sent; null where nothing says what the sale is worth.
    value: Option<MoneyView>,
    /// What the affiliate earns.
    payout: Option<MoneyView>,
    /// What the advertiser pays.
    revenue: Option<MoneyView>,
    /// What the customer paid.
    sale_amount: Option<MoneyView>,
    /// When it happened, as reported; else when it was received.
    #[schemars(with = "TimeText")]
    event_time: Time,
    /// What was reported of the customer, such as `email`.
    traits: PairsView<'a>,
    /// The parameters that are kept under their own names.
    params: PairsView<'a>,
}

impl<'a> ReportedView<'a> {
    pub fn of(conversion: &'a Conversion) -> ReportedView<'a> {
        ReportedView {
            event_id: conversion.id.event_id(),
            source: &conversion.source,
            event: &conversion.event,
            status: conversion.status.as_str(),
            transaction_id: conversion.transaction_id.as_deref(),
            item_id: conversion.item_id.as_deref(),
            items: conversion.items.iter().map(ItemView::of).collect(),
            adjustments: conversion.adjustments.iter().map(AdjustmentView::of).collect(),
            value: conversion.value.map(MoneyView::of),
            payout: conversion.payout.map(MoneyView::of),
            revenue: conversion.revenue.map(MoneyView::of),
            sale_amount: conversion.sale_amount.map(MoneyView::of),
            event_time: conversion.event_time,
            traits: PairsView::of_traits(&conversion.traits),
            params: PairsView::of(&conversion.params),
        }
    }
}

/// A row of a sale.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Adjustment")]
struct AdjustmentView<'a> {
    /// The network's id of the row; null of what was reported without one.
    id: Option<&'a str>,
    item_id: Option<&'a str>,
    /// What is `rejected` or `scrubbed` is not part of the sum.
    #[schemars(with = "StatusWord")]
    status: &'static str,
    /// Below 0 where it takes something back.
    value: Option<MoneyView>,
    payout: Option<MoneyView>,
    revenue: Option<MoneyView>,
    sale_amount: Option<MoneyView>,
}

impl<'a> AdjustmentView<'a> {
    fn of(row: &'a Adjustment) -> AdjustmentView<'a> {
        AdjustmentView {
            id: row.id.as_deref(),
            item_id: row.item_id.as_deref(),
            status: row.status.as_str(),
            value: row.value.map(MoneyView::of),
            payout: row.payout.map(MoneyView::of),
            revenue: row.revenue.map(MoneyView::of),
            sale_amount: row.sale_amount.map(MoneyView::of),
        }
    }
}

/// A conversion without its deliveries.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Conversion")]
pub struct ConversionView<'a> {
    /// Derived from what identifies the sale at its source: a repeat has the same one.
    #[schemars(with = "String")]
    id: ConversionId,
    /// The number of the postback that made it.
    sequence: u64,
    #[serde(flatten)]
    reported: ReportedView<'a>,
    /// Why it has its status, or waits for a person; null where the network's word is all there is to say.
    reason_code: Option<&'static str>,
    reason: Option<String>,
    hint: Option<String>,
    /// Null unless it is pending and its offer decides after some days.
    disposition: Option<DispositionView>,
    /// Null where neither its report nor its click names an offer.
    campaign_ref: Option<CampaignRefView<'a>>,
    attribution: AttributionView<'a>,
    remarks: Vec<ReasonView>,
    candidates: Vec<CandidateView<'a>>,
    /// `caller`: reported. `offer_percent`, `offer_fixed`: by the offer's terms. Null without a payout.
    payout_source: Option<&'static str>,
    #[schemars(with = "TimeText")]
    received_at: Time,
    /// Null where nothing was answered.
    #[schemars(with = "Option<ConsentAnswers>")]
    consent: Option<Consent>,
    /// Destinations that take such a conversion from a network and, without `only`, not from an advertiser.
    #[schemars(with = "Vec<String>")]
    not_routed: &'a [DestinationId],
}

impl<'a> ConversionView<'a> {
    pub fn of(conversion: &'a Conversion) -> ConversionView<'a> {
        let reason = conversion.reason.as_ref();
        // One that says nothing else may wait for a person.
        let held = claim::held(conversion).filter(|_| reason.is_none());
        ConversionView {
            id: conversion.id,
            sequence: conversion.seq.get(),
            reported: ReportedView::of(conversion),
            reason_code: reason
                .map(|reason| reason.code().as_str())
                .or(held.map(|remark| remark.code().as_str())),
            reason: reason.map(CodedReason::sentence).or(held.map(Remark::sentence)),
            hint: reason.map(CodedReason::hint).or(held.map(CodedReason::hint)),
            disposition: DispositionView::of(conversion),
            campaign_ref: conversion.campaign_ref.as_ref().map(CampaignRefView::of),
            attribution: AttributionView::of(&conversion.attribution),
            remarks: ReasonView::all(conversion.remarks.iter().chain(&no_click(conversion))),
            candidates: conversion.considered.iter().map(CandidateView::of).collect(),
            payout_source: conversion.payout_from.map(PayoutFrom::as_str),
            received_at: conversion.received_at,
            consent: answered(conversion.consent.answers()),
            not_routed: &conversion.not_routed,
        }
    }

    /// The same with the answers that count, those of its click included.
    pub fn with_consent(self, consent: Consent) -> ConversionView<'a> {
        ConversionView { consent: answered(consent), ..self }
    }
}

/// The status that a pending conversion takes automatically, and when.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Disposition")]
pub struct DispositionView {
    #[schemars(with = "StatusWord")]
    status: &'static str,
    /// When the conversion takes the status, unless another one is reported before.
    #[schemars(with = "TimeText")]
    due: Time,
}

impl DispositionView {
    fn of(conversion: &Conversion) -> Option<DispositionView> {
        conversion.disposition.map(|(due, status)| DispositionView { status: status.as_str(), due })
    }
}

/// A conversion with its deliveries, as lists show it.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ListedConversion")]
pub struct ListedConversionView<'a> {
    #[serde(flatten)]
    conversion: ConversionView<'a>,
    /// Why no destination gets it.
    unsent: Option<ReasonView>,
    /// Destinations that count it otherwise than it is now, and cannot be informed, or were not in the end: one that it was
    /// sent to before it was rejected, or that has taken it back before it was approved again.
    #[schemars(with = "Vec<String>")]
    irreversible: Vec<&'a DestinationId>,
    deliveries: Vec<DeliveryView<'a>>,
}

impl<'a> ListedConversionView<'a> {
    pub fn of(
        conversion: &'a Conversion,
        deliveries: &'a [Delivery],
        circumstances: &UnsentContext,
    ) -> ListedConversionView<'a> {
        let unsent = unsent::of_conversion(conversion, deliveries, &circumstances.rules);
        let view = |one| DeliveryView::of(conversion, (one, sent_before(deliveries, one)), circumstances);
        ListedConversionView {
            conversion: ConversionView::of(conversion),
            unsent: unsent.as_ref().map(ReasonView::of),
            irreversible: irreversible(conversion, deliveries),
            deliveries: deliveries.iter().map(view).collect(),
        }
    }
}

/// One change in a conversion's history.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Change")]
pub struct ChangeView<'a> {
    /// From 1; a delivery's `occasion` names it.
    number: u32,
    #[schemars(with = "TimeText")]
    at: Time,
    cause: CauseView<'a>,
    changes: Vec<FieldChangeView>,
}

impl<'a> ChangeView<'a> {
    pub fn of(change: &'a Change) -> ChangeView<'a> {
        ChangeView {
            number: change.number,
            at: change.at,
            cause: CauseView::of(&change.cause),
            changes: change.fields.iter().map(FieldChangeView::of).collect(),
        }
    }
}

/// What one field was before a change and what it is after it; null where it has no value.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "FieldChange")]
struct FieldChangeView {
    field: &'static str,
    from: Option<String>,
    to: Option<String>,
    /// `status: pending → approved` and the like.
    text: String,
}

impl FieldChangeView {
    fn of(change: &FieldChange) -> FieldChangeView {
        let FromTo { from, to } = change.values();
        FieldChangeView { field: change.code().as_str(), from, to, text: change.sentence() }
    }
}

/// What brought a change about: the member that is there says which kind of cause it is.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Cause")]
#[serde(untagged)]
enum CauseView<'a> {
    Postback { postback: String },
    Click { click: &'a str },
    Person { person: &'a str, role: &'static str, note: Option<&'a str> },
    Disposition { disposition: bool },
}

impl<'a> CauseView<'a> {
    fn of(cause: &'a Cause) -> CauseView<'a> {
        match cause {
            Cause::Postback(seq) => CauseView::Postback { postback: seq.to_string() },
            Cause::Click(click) => CauseView::Click { click: click.as_str() },
            Cause::Person { name, role, note } => {
                CauseView::Person { person: name, role: role.as_str(), note: note.as_deref() }
            }
            Cause::Disposition => CauseView::Disposition { disposition: true },
        }
    }
}

/// How the click was found, or that none was.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Attribution")]
pub struct AttributionView<'a> {
    /// `matched`, `expired` or `unmatched`.
    state: &'static str,
    /// The click id as it was received.
    raw_click_id: Option<&'a str>,
    /// The click that earned it.
    #[schemars(with = "Option<String>")]
    click_id: Option<&'a ClickId>,
    /// How the received id names the click: `exact`, `trimmed`, `decoded_twice` or `repeated`.
    match_method: Option<&'static str>,
    /// Where no click id was received and one of the visitor's clicks was chosen: whose, and by which model.
    #[schemars(with = "Option<String>")]
    visitor: Option<&'a VisitorId>,
    /// `last_touch` or `first_touch`, as the offer has it.
    model: Option<&'static str>,
}

impl<'a> AttributionView<'a> {
    pub fn of(attribution: &'a Attribution) -> AttributionView<'a> {
        let reading = match attribution {
            Attribution::Matched { reading, .. } | Attribution::Expired { reading, .. } => Some(*reading),
            _ => None,
        };
        let chosen = match attribution {
            Attribution::Visitor { visitor, model, .. } => Some((visitor, *model)),
            _ => None,
        };
        AttributionView {
            state: attribution.state().as_str(),
            raw_click_id: attribution.given(),
            click_id: attribution.click(),
            match_method: reading.map(MatchMethod::as_str),
            visitor: chosen.map(|(visitor, _)| visitor),
            model: chosen.map(|(_, model)| model.as_str()),
        }
    }
}

/// A click that might have earned the conversion and did not.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Candidate")]
pub struct CandidateView<'a> {
    #[schemars(with = "String")]
    click_id: &'a ClickId,
    #[schemars(with = "TimeText")]
    time: Time,
    /// Why not.
    #[serde(flatten)]
    why: ReasonView,
}

impl<'a> CandidateView<'a> {
    pub fn of(candidate: &'a Considered) -> CandidateView<'a> {
        let Considered { click, at, why } = candidate;
        CandidateView { click_id: click, time: *at, why: ReasonView::of(why) }
    }
}

/// One conversion with all that belongs to it.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Trace")]
pub struct TraceView<'a> {
    #[serde(flatten)]
    conversion: ConversionView<'a>,
    /// Why no destination gets it.
    unsent: Option<ReasonView>,
    /// Destinations that count it otherwise than it is now, and cannot be informed, or were not in the end: one that it was
    /// sent to before it was rejected, or that has taken it back before it was approved again.
    #[schemars(with = "Vec<String>")]
    irreversible: Vec<DestinationId>,
    deliveries: Vec<TracedDeliveryView<'a>>,
    /// The number by which its advertiser knows it, once an advertiser was given one.
    advertiser_number: Option<u64>,
    /// The oldest change first.
    history: Vec<ChangeView<'a>>,
    /// The click that earned it; null without one, or when it is past `keep_clicks_days`.
    click: Option<ClickView<'a>>,
    /// Those that made and changed it, in order, while they are kept.
    postbacks: Vec<PostbackView<'a>>,
}

/// A delivery with its attempts in their order.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "TracedDelivery")]
struct TracedDeliveryView<'a> {
    #[serde(flatten)]
    delivery: DeliveryView<'a>,
    /// The first attempt first.
    attempt_log: Vec<AttemptView<'a>>,
}

impl<'a> TraceView<'a> {
    pub fn of(
        trace: &'a Trace,
        circumstances: &UnsentContext,
        numbers: Option<&AdvertiserNumbers>,
    ) -> TraceView<'a> {
        let conversion = &trace.conversion;
        let all: Vec<Delivery> = trace.deliveries.iter().map(|(delivery, _)| delivery.clone()).collect();
        let unsent = unsent::of_conversion(conversion, &all, &circumstances.rules);
        let delivery = |(one, attempts): &'a (Delivery, Vec<Attempt>)| TracedDeliveryView {
            delivery: DeliveryView::of(conversion, (one, sent_before(&all, one)), circumstances),
            attempt_log: attempts.iter().map(AttemptView::of).collect(),
        };
        let consent = conversion.consent_with(trace.click.as_deref());
        TraceView {
            conversion: ConversionView::of(conversion).with_consent(consent),
            unsent: unsent.as_ref().map(ReasonView::of),
            irreversible: irreversible(conversion, &all).into_iter().cloned().collect(),
            deliveries: trace.deliveries.iter().map(delivery).collect(),
            advertiser_number: numbers.and_then(|numbers| numbers.of(conversion)),
            history: conversion.history.iter().map(ChangeView::of).collect(),
            click: trace.click.as_deref().map(ClickView::of),
            postbacks: trace.postbacks.iter().map(PostbackView::of).collect(),
        }
    }
}
