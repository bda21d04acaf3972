//! Lists. A list looks at a bounded number of records and says where to go on.

use std::sync::Arc;

use crate::domain::attribution::candidates;
use crate::domain::change::irreversible;
use crate::domain::click::{Pairs, sub_id};
use crate::domain::code::CodedReason;
use crate::domain::conversion::Conversion;
use crate::domain::delivery::{Delivery, DeliveryState, DeliveryStateName, sent_before};
use crate::domain::ids::{Seq, SourceId};
use crate::domain::offer::CampaignRef;
use crate::domain::postback::{Postback, Verdict, VerdictName};
use crate::domain::rejection::RejectionCause;
use crate::domain::time::Time;
use crate::store::codec::tag;
use crate::store::contract::error::StoreError;
use crate::store::contract::lookup::{
    ConversionFilter, DeliveryFilter, ListedDelivery, Page, PageRequest, PostbackFilter, ReasonFilter,
    ReusedTransaction,
};
use crate::store::query::cursor::ListCursor;
use crate::store::query::find;
use crate::store::query::walk::{ListWalk, UNPACK};
use crate::store::reader::readable;
use crate::store::records::StoreShared;
use crate::store::table::conversion::{Record, Sketch};
use crate::store::table::delivery::DeliverySlot;
use crate::store::table::exchange::ReadExchanges;
use crate::store::table::report_line::ReportLine;

/// How many dead letters one call looks at.
const DEAD: usize = 1000;

/// The record of a conversion, if it can be read.
fn record(shared: &StoreShared, number: u64) -> Result<Option<Arc<Record>>, StoreError> {
    Ok(readable(find::record(shared, number), "a conversion")?.flatten())
}

/// The transaction ids of a source that three or more conversions have.
pub fn reused_transactions(
    shared: &StoreShared,
    source: &SourceId,
    limit: usize,
) -> Result<Vec<ReusedTransaction>, StoreError> {
    shared.reader.check()?;
    let often = shared.index.lock().reused.often(tag(source.as_str()), limit);
    let mut reused = Vec::with_capacity(often.len());
    for (number, conversions) in often {
        // Two sources may have one tag.
        let record = record(shared, number)?.filter(|record| record.conversion.source == *source);
        reused.extend(
            record.map(|record| ReusedTransaction { conversions, newest: record.conversion.clone() }),
        );
    }
    Ok(reused)
}

pub fn postbacks(
    shared: &StoreShared,
    filter: &PostbackFilter,
    page: &PageRequest,
) -> Result<Page<Postback>, StoreError> {
    let walk = ListWalk::begin(shared, page, (filter.since, filter.until))?;
    let source = filter.source.as_ref().map(|source| tag(source.as_str()));
    walk.run(|number, head, spent| {
        if source.is_some() && head.source != source {
            return Ok(Vec::new());
        }
        let reprocessed = || shared.index.lock().is_reprocessed(number);
        let open = !filter.open_only || !head.verdict.may_be_reprocessed() || !reprocessed();
        let verdict = filter.verdict.is_none_or(|verdict| verdict == head.verdict);
        let rejected = matches!(head.verdict, VerdictName::Quarantined | VerdictName::Refused);
        let may_fit = rejected || (filter.reason_code.is_none() && filter.field.is_none());
        if !(verdict && open && may_fit && within(head.at, filter.since, filter.until)) {
            return Ok(Vec::new());
        }
        *spent += UNPACK;
        let Some(seq) = Seq::new(number) else { return Ok(Vec::new()) };
        let found = readable(find::postback(shared, seq), "a postback")?.flatten();
        let is_of = |postback: &Postback| filter.source.is_none() || postback.source == filter.source;
        let fits = |postback: &Postback| is_of(postback) && is_rejected_for(&postback.verdict, filter);
        Ok(found.filter(fits).map(|postback| (0, postback)).into_iter().collect())
    })
}

/// Whether one thing that is wrong with it is both of the code and about the field.
fn is_rejected_for(verdict: &Verdict, filter: &PostbackFilter) -> bool {
    let (code, field) = (filter.reason_code, filter.field.as_deref());
    let fits = |cause: &RejectionCause| {
        code.is_none_or(|code| cause.code() == code) && (field.is_none() || cause.field() == field)
    };
    let is_any = code.is_none() && field.is_none();
    is_any || verdict.rejection().is_some_and(|rejection| rejection.causes().any(fits))
}

pub fn conversions(
    shared: &StoreShared,
    filter: &ConversionFilter,
    page: &PageRequest,
) -> Result<Page<(Conversion, Vec<Delivery>)>, StoreError> {
    let walk = ListWalk::begin(shared, page, (filter.since, filter.until))?;
    let transaction = filter.transaction_id.as_deref().map(tag);
    let clicks = filter.click_id.as_deref().map(click_tags);
    walk.run(|number, head, spent| {
        let Some(sketch) = &head.sketch else { return Ok(Vec::new()) };
        let click = |tags: &Vec<u32>| sketch.click.is_some_and(|click| tags.contains(&click));
        let tags =
            (transaction.is_none() || sketch.transaction == transaction) && clicks.as_ref().is_none_or(click);
        let state = filter.state.is_none_or(|state| has_state(sketch, state));
        let ended_unsent = [DeliveryStateName::Skipped, DeliveryStateName::Dead];
        let may_be_marked =
            !filter.irreversible_only || ended_unsent.into_iter().any(|state| has_state(sketch, state));
        let line = sketch.report.as_ref().is_none_or(|line| may_fit(line, filter));
        if !(tags && state && may_be_marked && line && within(head.at, filter.since, filter.until)) {
            return Ok(Vec::new());
        }
        *spent += UNPACK;
        let Some(record) = record(shared, number)? else { return Ok(Vec::new()) };
        let deliveries = &record.standing.deliveries;
        let is_marked = || !irreversible(&record.conversion, deliveries).is_empty();
        if !fits(&record.conversion, filter)
            || (filter.irreversible_only && !is_marked())
            || !has_sub_ids(shared, &record.conversion, &filter.sub_ids, spent)?
        {
            return Ok(Vec::new());
        }
        Ok(vec![(0, (record.conversion.clone(), record.standing.deliveries.clone()))])
    })
}

/// The tags of every click id that the text may mean.
fn click_tags(text: &str) -> Vec<u32> {
    let ids = candidates(text);
    ids.iter().map(|(id, _)| tag(id.as_str())).chain(std::iter::once(tag(text))).collect()
}

fn fits(conversion: &Conversion, filter: &ConversionFilter) -> bool {
    let attribution = &conversion.attribution;
    let click = |wanted: &String| {
        let given = attribution.given().is_some_and(|given| given.trim() == wanted.trim());
        given || attribution.click().is_some_and(|click| click.as_str() == wanted)
    };
    let transaction = |wanted: &String| conversion.transaction_id.as_ref() == Some(wanted);
    is_placed(conversion.campaign_ref.as_ref(), filter)
        && filter.source.as_ref().is_none_or(|source| conversion.source == *source)
        && filter.event.as_deref().is_none_or(|event| conversion.event.as_str() == event)
        && filter.status.is_none_or(|status| conversion.status == status)
        && filter.transaction_id.as_ref().is_none_or(transaction)
        && filter.click_id.as_ref().is_none_or(click)
}

/// Whether a conversion with this line in reports can fit: without a look at its record.
fn may_fit(line: &ReportLine, filter: &ConversionFilter) -> bool {
    filter.status.is_none_or(|status| line.status == status)
        && filter.offer.as_ref().is_none_or(|offer| line.offer == *offer)
        && filter.affiliate.as_ref().is_none_or(|affiliate| line.affiliate.as_ref() == Some(affiliate))
}

fn is_placed(placed: Option<&CampaignRef>, filter: &ConversionFilter) -> bool {
    fn is<T: PartialEq>(wanted: Option<&T>, given: Option<&T>) -> bool {
        wanted.is_none_or(|wanted| given == Some(wanted))
    }
    is(filter.offer.as_ref(), placed.map(|placed| &placed.offer))
        && is(filter.campaign.as_ref(), placed.and_then(|placed| placed.campaign.as_ref()))
        && is(filter.affiliate.as_ref(), placed.and_then(|placed| placed.affiliate.as_ref()))
        && is(filter.creative.as_ref(), placed.and_then(|placed| placed.creative.as_ref()))
}

/// Whether the conversion's report, or its click, has every sub id that is wanted. The click is read only for those
/// that the report does not have.
fn has_sub_ids(
    shared: &StoreShared,
    conversion: &Conversion,
    wanted: &[Option<String>; 5],
    spent: &mut usize,
) -> Result<bool, StoreError> {
    let wanted = (1..).zip(wanted).filter_map(|(number, value)| Some((number, value.as_deref()?)));
    let click_sub_id = shared.rules.read().policy(&conversion.source).click_sub_id;
    let given = conversion.attribution.given().map(str::trim);
    let is_click_id =
        |(number, value): (u8, &str)| click_sub_id == Some(number) && given == Some(value.trim());
    let has = |pairs: &Pairs, (number, value): (u8, &str)| sub_id(pairs, number) == Some(value);
    let missing: Vec<(u8, &str)> =
        wanted.filter(|one| !has(&conversion.params, *one) && !is_click_id(*one)).collect();
    if missing.is_empty() {
        return Ok(true);
    }
    let Some(click) = conversion.attribution.click() else { return Ok(false) };
    *spent += UNPACK;
    let click = readable(shared.records.click(click), "a click")?.flatten();
    Ok(click.is_some_and(|click| missing.iter().all(|one| has(&click.sub_ids, *one))))
}

fn has_state(sketch: &Sketch, state: DeliveryStateName) -> bool {
    sketch.standing.deliveries.iter().any(|delivery| delivery.state.name() == state)
}

fn within(at: Time, since: Option<Time>, until: Option<Time>) -> bool {
    since.is_none_or(|since| at >= since) && until.is_none_or(|until| at < until)
}

pub fn deliveries(
    shared: &StoreShared,
    filter: &DeliveryFilter,
    page: &PageRequest,
) -> Result<Page<ListedDelivery>, StoreError> {
    let walk = ListWalk::begin(shared, page, (filter.of.since, filter.of.until))?;
    if filter.state == Some(DeliveryStateName::Dead) {
        return dead(&walk, filter);
    }
    let wanted = |delivery: &Delivery| {
        filter.destination.as_ref().is_none_or(|destination| delivery.destination == *destination)
            && filter.state.is_none_or(|state| delivery.state.name() == state)
            && filter.reason.as_ref().is_none_or(|reason| reason.code.may_be_of(&delivery.state))
    };
    let mut read = ReadExchanges::new();
    walk.run(|number, head, spent| {
        let Some(sketch) = &head.sketch else { return Ok(Vec::new()) };
        let any = sketch.standing.deliveries.iter().any(wanted);
        if !any || !within(head.at, filter.of.since, filter.of.until) {
            return Ok(Vec::new());
        }
        *spent += UNPACK;
        let Some(record) = record(shared, number)? else { return Ok(Vec::new()) };
        if !fits(&record.conversion, &filter.of) {
            return Ok(Vec::new());
        }
        let mut items = Vec::new();
        for (place, delivery) in record.standing.deliveries.iter().enumerate().rev() {
            if wanted(delivery) {
                let listed =
                    listed(shared, (&record, place), &mut read)?.filter(|listed| has_reason(filter, listed));
                items.extend(listed.map(|listed| (place, listed)));
            }
        }
        Ok(items)
    })
}

fn has_reason(filter: &DeliveryFilter, listed: &ListedDelivery) -> bool {
    filter.reason.as_ref().is_none_or(|reason| reason.fits(listed))
}

/// Dead letters are few and looked for among many: the index knows them.
fn dead(walk: &ListWalk<'_>, filter: &DeliveryFilter) -> Result<Page<ListedDelivery>, StoreError> {
    let (mut items, mut read) = (Vec::new(), ReadExchanges::new());
    let slots = walk.shared.index.lock().dead_below(walk.below, DEAD);
    let more = slots.len() == DEAD;
    let end_at = |slot: DeliverySlot| {
        let day = walk.shared.index.lock().days.of(slot.seq())?;
        Some(ListCursor { day, number: slot.seq(), item: slot.place() }.show())
    };
    let mut last = None;
    for slot in slots {
        last = Some(slot);
        let Some(record) = record(walk.shared, slot.seq())? else { continue };
        let of_slot = record.standing.deliveries.get(slot.place());
        let may_fit = |reason: &ReasonFilter| of_slot.is_some_and(|one| reason.code.may_be_of(&one.state));
        if !filter.reason.as_ref().is_none_or(may_fit) {
            continue;
        }
        let Some(listed) = listed(walk.shared, (&record, slot.place()), &mut read)? else { continue };
        let conversion = &listed.conversion;
        let fits = matches!(listed.delivery.state, DeliveryState::Dead { .. })
            && within(conversion.received_at, filter.of.since, filter.of.until)
            && fits(conversion, &filter.of)
            && filter.destination.as_ref().is_none_or(|name| listed.delivery.destination == *name)
            && has_reason(filter, &listed);
        if fits {
            items.push(listed);
        }
        if items.len() == walk.limit {
            return Ok(Page { items, next_cursor: last.and_then(end_at) });
        }
    }
    Ok(Page { items, next_cursor: last.filter(|_| more).and_then(end_at) })
}

/// A delivery as lists have it. Those of one page that shared a request share what is read of it.
fn listed(
    shared: &StoreShared,
    (record, place): (&Record, usize),
    read: &mut ReadExchanges,
) -> Result<Option<ListedDelivery>, StoreError> {
    let standing = &record.standing;
    let (Some(delivery), Some(last)) = (standing.deliveries.get(place), standing.last_attempts.get(place))
    else {
        return Ok(None);
    };
    // A delivery can be seen to, and retried, also where its attempt is damaged.
    let last_attempt = match last {
        Some(number) => {
            let seq = record.conversion.seq.get();
            let day = shared.index.lock().days.of(seq);
            let found = day.map_or(Ok(None), |day| shared.reader.attempt((day, *number), read));
            readable(found, "an attempt")?.flatten()
        }
        None => None,
    };
    Ok(Some(ListedDelivery {
        conversion: record.conversion.clone(),
        delivery: delivery.clone(),
        sent_before: sent_before(&standing.deliveries, delivery),
        last_attempt,
    }))
}
