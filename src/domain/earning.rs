//! Whose click earned a conversion, what it pays, and whether it may convert at all. Pure but for the
//! look-ups it is handed.

use std::sync::Arc;

use crate::domain::attribution::{self, Attribution, FoundClick, by_visitor};
use crate::domain::candidate::Considered;
use crate::domain::click::{Click, CustomerTrait};
use crate::domain::conversion::{Conversion, Draft, EventClaim, push_change, reported_status};
use crate::domain::facts::Facts;
use crate::domain::filter_verdict::FilterMode;
use crate::domain::history::{Cause, FieldChange, FromTo};
use crate::domain::ids::OfferId;
use crate::domain::money::Money;
use crate::domain::offer::{self, CampaignRef, Offer, OfferStatus, Payout, PayoutFrom};
use crate::domain::rejection::note::ReportNote;
use crate::domain::rejection::sale::SaleProblem;
use crate::domain::remark::Remark;
use crate::domain::reporter::{self, BuiltInSource};
use crate::domain::ruleset::Ruleset;
use crate::domain::status::Status;
use crate::domain::status_move::is_taken_back;
use crate::domain::status_reason::StatusReason;
use crate::domain::suppression::{SuppressedKind, SuppressionHit, Traces};
use crate::domain::time::Time;

/// A draft's click, or that it has none, and what else might have been.
pub struct JoinedClick {
    /// What the conversion keeps of it.
    pub attribution: Attribution,
    /// The visitor's clicks that lost; empty where they were not looked at.
    pub considered: Vec<Considered>,
    /// The one that `attribution` names, as it is recorded.
    pub click: Option<Arc<Click>>,
    /// That the visitor's click took the place of one that is not recorded.
    pub note: Option<ReportNote>,
}

/// Finds the click of a draft whose conversion happened at `at`: by its click id, and only where that
/// names no recorded click, by the visitor. Never by an address.
///
/// # Errors
/// The outer ones are the look-ups'; the inner is the caller's fault: a click of another offer, or none
/// where one is needed.
pub fn join_click<F: Facts>(
    rules: &Ruleset,
    draft: &Draft,
    at: Time,
    facts: &F,
) -> Result<Result<JoinedClick, SaleProblem>, F::Error> {
    let given = draft.click_id.as_deref();
    let found = match given {
        Some(given) => facts.click(given)?,
        None => None,
    };
    let wanted = draft.network.offer.as_ref();
    if let (Some(given), Some(found)) = (given, found) {
        return Ok(match misplaced(draft, &found) {
            Some(problem) => Err(problem),
            None => Ok(by_click_id(rules, wanted, given, found, at)),
        });
    }
    let visitor = draft.network.visitor.as_ref().zip(wanted.and_then(|offer| rules.offer(offer)));
    if let Some((visitor, offer)) = visitor {
        let (winner, considered) = by_visitor(offer, &facts.visits(visitor)?, at);
        // Purged since: then nothing is known of it any more.
        let click = match &winner {
            Some(winner) => facts.click(winner.as_str())?.map(|found| found.click),
            None => None,
        };
        if let (Some(winner), Some(click)) = (winner, click) {
            let attribution =
                Attribution::Visitor { visitor: visitor.clone(), click: winner, model: offer.model };
            let note = given.map(|given| ReportNote::VisitorsClickTaken { given: given.to_owned() });
            return Ok(Ok(JoinedClick { attribution, considered, click: Some(click), note }));
        }
        if !draft.network.needs_click {
            return Ok(Ok(JoinedClick { considered, ..unmatched(given) }));
        }
    }
    Ok(if draft.network.needs_click {
        Err(SaleProblem::UnknownClick { click: given.map(str::to_owned) })
    } else {
        Ok(unmatched(given))
    })
}

/// Why the click that a draft names cannot be its own: it is of another offer than the draft.
pub fn misplaced(draft: &Draft, found: &FoundClick) -> Option<SaleProblem> {
    let given = draft.click_id.as_deref()?;
    let wanted = draft.network.offer.as_ref()?;
    let placed = &found.click.context.campaign_ref.as_ref()?.offer;
    (placed != wanted).then(|| another_offer(given, placed, wanted))
}

fn another_offer(given: &str, placed: &OfferId, wanted: &OfferId) -> SaleProblem {
    SaleProblem::ClickOfAnotherOffer {
        click: given.to_owned(),
        offer: placed.clone(),
        wanted: wanted.clone(),
    }
}

fn unmatched(given: Option<&str>) -> JoinedClick {
    let attribution =
        given.map_or(Attribution::NoClickId, |given| Attribution::Unmatched { given: given.to_owned() });
    JoinedClick { attribution, considered: Vec::new(), click: None, note: None }
}

fn by_click_id(
    rules: &Ruleset,
    wanted: Option<&OfferId>,
    given: &str,
    found: FoundClick,
    at: Time,
) -> JoinedClick {
    let FoundClick { click, reading } = found;
    let offer = click.context.campaign_ref.as_ref().map(|placed| &placed.offer).or(wanted);
    let over = offer.and_then(|id| rules.offer(id)).is_some_and(|offer| !offer.is_in_session(click.at, at));
    let (given, id) = (given.to_owned(), click.id.clone());
    let attribution = if over {
        Attribution::Expired { given, click: id, reading }
    } else {
        Attribution::Matched { given, click: id, reading }
    };
    JoinedClick { attribution, considered: Vec::new(), click: Some(click), note: None }
}

/// Completes a new conversion: whose it is, what it pays, what it is called and its status.
///
/// # Errors
/// Only those of the look-ups.
pub fn settle<F: Facts>(
    rules: &Ruleset,
    conversion: &mut Conversion,
    draft: &Draft,
    joined: JoinedClick,
    facts: &F,
) -> Result<(), F::Error> {
    let reported_offer = draft.network.offer.clone().map(CampaignRef::of_offer);
    let placed = joined.click.as_ref().and_then(|click| click.context.campaign_ref.clone());
    conversion.campaign_ref = placed.or(reported_offer);
    conversion.attribution = joined.attribution;
    conversion.considered = joined.considered;
    disbelieve(rules, conversion);
    let offer = offer_of(rules, conversion).cloned();
    if let Some(offer) = &offer {
        price(conversion, offer);
    }
    if draft.network.offer.is_some() && conversion.value.is_none() {
        conversion.value = conversion.revenue.or(conversion.payout);
    }
    if let EventClaim::ByValue { positive, zero } = &draft.event {
        let event = if conversion.value.is_some_and(Money::is_above_zero) { positive } else { zero };
        conversion.event = event.clone();
    }
    if reported_status(draft).is_none()
        && let Some(offer) = &offer
    {
        dispose(conversion, offer);
    }
    let own_endpoint = draft.network.offer.is_some();
    screen(rules, conversion, joined.click.as_deref(), own_endpoint, facts)
}

/// Of an offer's sale a page's word for the price counts only where the offer says so.
fn disbelieve(rules: &Ruleset, conversion: &mut Conversion) {
    let Some(placed) = &conversion.campaign_ref else { return };
    let believed = rules.offer(&placed.offer).is_some_and(|offer| offer.accept_pixel_value);
    let by_page = BuiltInSource::of(&conversion.source) == Some(BuiltInSource::Tag);
    if by_page && !believed && conversion.value.take().is_some() {
        conversion.reason = Some(StatusReason::PageValueIgnored);
    }
}

/// The offer's terms, where the conversion is one that earns: events of the tag are not.
fn offer_of<'a>(rules: &'a Ruleset, conversion: &Conversion) -> Option<&'a Arc<Offer>> {
    let earns = reporter::earns(&conversion.source);
    conversion.campaign_ref.as_ref().filter(|_| earns).and_then(|placed| rules.offer(&placed.offer))
}

/// What the advertiser pays, and what the affiliate earns whose click it was: where no one's is known,
/// only what the caller reported is paid.
fn price(conversion: &mut Conversion, offer: &Offer) {
    if conversion.revenue.is_none() {
        conversion.revenue = offer.revenue.map(|amount| Money::new(amount, offer.currency));
    }
    if conversion.payout.is_none() && !is_brought(conversion) {
        return;
    }
    let sale = conversion.sale_amount.or(conversion.value);
    if let Some((payout, from)) = offer::effective_payout(offer, conversion.payout, sale) {
        conversion.payout = Some(payout);
        conversion.payout_from = Some(from);
    }
    remark_on_share(conversion, offer, sale);
}

/// Adds a remark where the offer pays a share of the sale and its amount was not reported, and removes it once
/// that is no longer so: the affiliate would earn nothing and not know why.
fn remark_on_share(conversion: &mut Conversion, offer: &Offer, sale: Option<Money>) {
    conversion.remarks.retain(|remark| !matches!(remark, Remark::PercentWithoutAmount { .. }));
    let is_share = matches!(offer.payout, Some(Payout::Percent(_)));
    if is_share && sale.is_none() && conversion.payout.is_none() {
        conversion.remarks.push(Remark::PercentWithoutAmount { offer: offer.id.clone() });
    }
}

/// Whether some affiliate's click earned it.
fn is_brought(conversion: &Conversion) -> bool {
    conversion.campaign_ref.as_ref().is_some_and(|placed| placed.affiliate.is_some())
}

fn dispose(conversion: &mut Conversion, offer: &Offer) {
    let disposition = offer.disposition;
    if disposition.after_hours == 0 || disposition.status == Status::Pending {
        conversion.status = disposition.status;
        return;
    }
    conversion.status = Status::Pending;
    let due = conversion.received_at.plus_hours(i64::from(disposition.after_hours));
    conversion.disposition = Some((due, disposition.status));
}

/// Scrubs what may not convert, with the reason.
fn screen<F: Facts>(
    rules: &Ruleset,
    conversion: &mut Conversion,
    click: Option<&Click>,
    own_endpoint: bool,
    facts: &F,
) -> Result<(), F::Error> {
    let offer = offer_of(rules, conversion).cloned();
    let mut reason = too_late(conversion, click, offer.as_deref());
    if reason.is_none() {
        let listed = facts.suppressed(&traces(conversion, click))?;
        reason = listed.map(|SuppressionHit { list, kind }| StatusReason::Suppressed { list, kind });
    }
    if let Some(offer) =
        offer.as_ref().filter(|offer| reason.is_none() && own_endpoint && offer.status != OfferStatus::Active)
    {
        reason = Some(StatusReason::OfferNotActive { status: offer.status });
    }
    if let Some((offer, most)) =
        offer.as_ref().and_then(|offer| Some((offer, offer.caps.conversions_per_day?)))
        && reason.is_none()
        && is_brought(conversion)
        && facts.conversions_on(&offer.id, offer::day_of(conversion.received_at), &conversion.id)? >= most
    {
        let over = |observed| Some(StatusReason::ConversionCap { most, observed });
        match rules.filters.cap {
            FilterMode::Enforce => reason = over(false),
            FilterMode::Observe => conversion.reason = over(true),
        }
    }
    if let Some(reason) = reason {
        conversion.status = Status::Scrubbed;
        conversion.disposition = None;
        conversion.reason = Some(reason);
    }
    Ok(())
}

fn too_late(conversion: &Conversion, click: Option<&Click>, offer: Option<&Offer>) -> Option<StatusReason> {
    let Attribution::Expired { click: id, .. } = &conversion.attribution else { return None };
    let session_hours = offer.map(|offer| offer.session_hours);
    Some(StatusReason::ClickExpired {
        click: id.clone(),
        clicked_at: click.map(|click| click.at),
        session_hours,
    })
}

fn traces(conversion: &Conversion, click: Option<&Click>) -> Traces {
    let mut traces = Traces::default();
    let customer = click.map(|click| &click.customer);
    for (kind, name) in [
        (SuppressedKind::Email, CustomerTrait::Email),
        (SuppressedKind::Phone, CustomerTrait::Phone),
        (SuppressedKind::Ip, CustomerTrait::Ip),
    ] {
        traces.add(kind, conversion.traits.get(name));
        traces.add(kind, customer.and_then(|customer| customer.get(name)));
    }
    traces.ip.extend(click.and_then(|click| click.ip));
    traces.add(SuppressedKind::OrderId, conversion.order_id());
    traces.add(SuppressedKind::OrderId, conversion.transaction_id.as_deref());
    traces.add(
        SuppressedKind::ClickId,
        click.map(|click| click.id.as_str()).or(conversion.attribution.given()),
    );
    traces
}

/// After a repeat: a payout that it reported is the reported one from now on; otherwise the offer's percentage is
/// taken of what the sale is worth now. Answers what became of the payout, if it is not what was reported.
pub fn reprice(
    rules: &Ruleset,
    conversion: &mut Conversion,
    draft: &Draft,
    before: &Conversion,
) -> Option<FieldChange> {
    let offer = offer_of(rules, conversion).cloned()?;
    if draft.payout.is_some() {
        conversion.payout_from = Some(PayoutFrom::Caller);
        remark_on_share(conversion, &offer, None);
        return None;
    }
    if !is_brought(conversion) {
        return None;
    }
    // What is paid for one sale, whatever it is worth, stays as it was when the sale was received.
    let sale = |conversion: &Conversion| conversion.sale_amount.or(conversion.value);
    let is_share = matches!(conversion.payout_from, None | Some(PayoutFrom::Percent));
    let worth = sale(conversion).filter(|now| is_share && Some(*now) != sale(before));
    // A sale that is taken back keeps what it paid: its status says that no one is paid.
    let worth = worth.filter(|now| now.amount.is_zero() || now.is_above_zero())?;
    let (payout, from) = offer::effective_payout(&offer, None, Some(worth))?;
    remark_on_share(conversion, &offer, Some(worth));
    if from != PayoutFrom::Percent || conversion.payout == Some(payout) {
        return None;
    }
    conversion.payout_from = Some(from);
    let had = conversion.payout.replace(payout);
    Some(FieldChange::Payout(FromTo { from: had, to: Some(payout) }))
}

/// Joins a conversion that was without a click to one that was received later, and so to its offer. Answers
/// what became of the status.
///
/// # Errors
/// Only those of the look-ups.
pub fn rejoin<F: Facts>(
    rules: &Ruleset,
    conversion: &mut Conversion,
    joined: JoinedClick,
    facts: &F,
) -> Result<Option<FieldChange>, F::Error> {
    let before = conversion.status;
    conversion.attribution = joined.attribution;
    let placed = joined.click.as_ref().and_then(|click| click.context.campaign_ref.clone());
    if placed.is_some() {
        conversion.campaign_ref = placed;
    }
    disbelieve(rules, conversion);
    if conversion.payout_from.is_none()
        && let Some(offer) = offer_of(rules, conversion).cloned()
    {
        price(conversion, &offer);
    }
    if before == Status::Scrubbed || is_taken_back(conversion) {
        return Ok(None);
    }
    screen(rules, conversion, joined.click.as_deref(), false, facts)?;
    let now = conversion.status;
    Ok((now != before).then_some(FieldChange::Status(FromTo { from: before, to: now })))
}

/// Joins the click that a conversion waited for. `None` when it is matched already or waits for
/// another click. One that is of another offer is not joined: the conversion says so. Whether it is a further
/// sale of the click was decided when it was received, by the id that it named.
///
/// # Errors
/// Only those of the look-ups.
pub fn matched_by<F: Facts>(
    rules: &Ruleset,
    conversion: &Conversion,
    click: &Arc<Click>,
    at: Time,
    facts: &F,
) -> Result<Option<Conversion>, F::Error> {
    let Attribution::Unmatched { given } = &conversion.attribution else { return Ok(None) };
    let reading = attribution::candidates(given).into_iter().find(|(id, _)| *id == click.id);
    let Some((_, reading)) = reading else { return Ok(None) };
    let wanted = conversion.campaign_ref.as_ref().map(|placed| placed.offer.clone());
    let placed = click.context.campaign_ref.as_ref().map(|placed| &placed.offer);
    if let Some((placed, wanted)) = placed.zip(wanted.as_ref()).filter(|(placed, wanted)| placed != wanted) {
        let (of, wanted) = (placed.clone(), wanted.clone());
        let reason = StatusReason::ClickOfAnotherOffer { click: given.clone(), of, wanted };
        return Ok(why_not(conversion, click, at, reason));
    }
    let mut now = conversion.clone();
    let found = FoundClick { click: Arc::clone(click), reading };
    let joined = by_click_id(rules, wanted.as_ref(), given, found, conversion.event_time);
    let (from, to) = (conversion.attribution.state(), joined.attribution.state());
    let mut fields = vec![FieldChange::Attribution(FromTo { from, to })];
    fields.extend(rejoin(rules, &mut now, joined, facts)?);
    if now.value != conversion.value {
        fields.push(FieldChange::Value(FromTo { from: conversion.value, to: now.value }));
    }
    push_change(&mut now, at, Cause::Click(click.id.clone()), fields);
    Ok(Some(now))
}

/// A conversion whose click was received and cannot earn it: it says so, once, and stays as it was.
fn why_not(conversion: &Conversion, click: &Click, at: Time, reason: StatusReason) -> Option<Conversion> {
    if conversion.reason.as_ref() == Some(&reason) {
        return None;
    }
    let mut now = conversion.clone();
    let from = now.reason.replace(reason.clone());
    let said = FieldChange::Reason(FromTo { from, to: Some(reason) });
    push_change(&mut now, at, Cause::Click(click.id.clone()), vec![said]);
    Some(now)
}
