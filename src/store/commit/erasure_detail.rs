//! What is found in the place of a record that may have to be erased: by what it names its person, how much of it is theirs,
//! and who was sent it.

use std::collections::BTreeSet;

use crate::domain::attempt::{Attempt, AttemptPurpose};
use crate::domain::click::Click;
use crate::domain::delivery::{ReplyVerdict, SentRequest};
use crate::domain::delivery_reason::{DeathReason, RetryReason};
use crate::domain::erasure::blank::postback_erased_at;
use crate::domain::erasure::identity::{IdentityKind, KnownIdentities};
use crate::domain::erasure::persons::{ErasedPart, PersonMarks};
use crate::domain::erasure::report::{ErasedCounts, SentOutcome, SentTo};
use crate::domain::exchange::NoAnswer;
use crate::domain::remark::erased_at;
use crate::store::commit::erasable::ErasableRecord;
use crate::store::commit::whose::{WholePostback, caused, part_of_click};
use crate::store::contract::erasure::FoundRecord;
use crate::store::contract::error::StoreError;
use crate::store::records::StoreShared;
use crate::store::table::attempt::StoredAttempt;
use crate::store::table::conversion::Record;
use crate::store::table::exchange::{ExchangePlace, ReadExchanges};

/// What is found in the place of a record; `None` where it is gone, or is not theirs after all.
pub fn detail(
    shared: &StoreShared,
    record: &ErasableRecord,
    known: &KnownIdentities,
) -> Result<Option<FoundRecord>, StoreError> {
    match record {
        ErasableRecord::Postback(day, number) => postback_detail(shared, (*day, *number), known),
        ErasableRecord::Click(id) => {
            let Some(click) = shared.records.click(id)? else { return Ok(None) };
            let Some(part) = part_of_click(&click, known)? else { return Ok(None) };
            let marks = PersonMarks::of_click(&click);
            let is_erased = click.context.omitted.erased_at().is_some();
            let counts = match part {
                ErasedPart::Whole => {
                    ErasedCounts { clicks: u64::from(!is_erased), ..ErasedCounts::default() }
                }
                ErasedPart::Texts => ErasedCounts { others: 1, ..ErasedCounts::default() },
            };
            Ok(Some(FoundRecord { marks, part, is_erased, counts, sent: Vec::new() }))
        }
        ErasableRecord::Line(_) => Ok(None),
    }
}

fn postback_detail(
    shared: &StoreShared,
    (day, number): (i32, u64),
    known: &KnownIdentities,
) -> Result<Option<FoundRecord>, StoreError> {
    let Some(body) = shared.reader.body_of(day, number)? else { return Ok(None) };
    let record = match body.conversion {
        Some(_) => shared.records.conversion(day, number)?,
        None => None,
    };
    let raw = shared.reader.raw_of(day, number)?;
    let caused = caused(shared, (day, number), &body)?;
    let whole = WholePostback {
        body: &body,
        caused: &caused,
        raw: raw.as_ref(),
        conversion: record.as_ref().map(|record| &record.conversion),
        standing: record.as_ref().map(|record| &record.standing),
    };
    let Some(part) = whole.part(known)? else { return Ok(None) };
    if part == ErasedPart::Texts {
        let counts = ErasedCounts { others: 1, ..ErasedCounts::default() };
        let marks = PersonMarks::default();
        return Ok(Some(FoundRecord { marks, part, is_erased: false, counts, sent: Vec::new() }));
    }
    let is_erased = postback_erased_at(&body.postback).is_some();
    let mut counts = ErasedCounts { postbacks: u64::from(!is_erased), ..ErasedCounts::default() };
    let (mut sent, mut marks) = (Vec::new(), PersonMarks::default());
    if let Some(record) = &record {
        let is_left = erased_at(&record.conversion.remarks).is_none();
        counts.conversions = u64::from(is_left);
        marks = PersonMarks::of_conversion(&record.conversion);
        sent = what_was_sent(shared, (day, record), known, &mut counts)?;
    } else {
        // Those of a sale that is not known are none of which there are records.
        marks.conversion = caused.only();
        let is_by_id_alone = caused.conversions.is_empty() && !whole.is_named(known)?;
        marks.unsettled = is_by_id_alone.then_some(number);
    }
    Ok(Some(FoundRecord { marks, part, is_erased, counts, sent }))
}

/// The deliveries of which something left. Counts attempts and exchanges that are not erased.
fn what_was_sent(
    shared: &StoreShared,
    (day, record): (i32, &Record),
    known: &KnownIdentities,
    counts: &mut ErasedCounts,
) -> Result<Vec<SentTo>, StoreError> {
    let mut exchanges: BTreeSet<ExchangePlace> = BTreeSet::new();
    let click = match record.conversion.attribution.click() {
        Some(click) => shared.records.click(click)?,
        None => None,
    };
    let mut sent = Vec::new();
    for (delivery, last) in record.standing.deliveries.iter().zip(&record.standing.last_attempts) {
        let mut newest: Option<SentTo> = None;
        for (_, stored) in attempts_of(shared, day, *last)? {
            if erased_at(&stored.attempt.remarks).is_none() {
                counts.attempts += 1;
                exchanges.extend(stored.exchange);
            }
            if newest.is_some() || !has_left(&stored) {
                continue;
            }
            let request = match stored.exchange {
                Some(place) => shared.reader.exchange(place, &mut ReadExchanges::new())?,
                None => None,
            };
            let text =
                request.map(|exchange| request_text(&stored.attempt, &exchange.request)).unwrap_or_default();
            let event = stored.attempt.sent.as_ref().map(|sent| sent.event.clone());
            newest = Some(SentTo {
                destination: delivery.destination.clone(),
                conversion: record.conversion.id,
                occasion: delivery.occasion,
                event: event.unwrap_or_else(|| record.conversion.event.as_str().to_owned()),
                at: stored.attempt.at,
                outcome: SentOutcome::of(&delivery.state),
                fields: fields_in(known, click.as_deref(), &stored.attempt, &text),
            });
        }
        sent.extend(newest);
    }
    counts.exchanges += exchanges.len() as u64;
    Ok(sent)
}

/// The attempts that end with number `last`, the newest first.
pub fn attempts_of(
    shared: &StoreShared,
    day: i32,
    last: Option<u64>,
) -> Result<Vec<(u64, StoredAttempt)>, StoreError> {
    let (mut found, mut next) = (Vec::new(), last);
    while let Some(number) = next {
        let Some(stored) = shared.reader.stored_attempt(day, number)? else { break };
        next = stored.before(number);
        found.push((number, stored));
    }
    Ok(found)
}

/// Whether what an attempt was to report went out, or may have.
fn has_left(StoredAttempt { attempt, exchange, .. }: &StoredAttempt) -> bool {
    let has_request = exchange.is_some() || attempt.sent.is_some();
    let stayed = match &attempt.verdict {
        ReplyVerdict::Skipped { .. } => true,
        ReplyVerdict::Retry { reason: RetryReason::NoAnswer(why), .. } => {
            matches!(why, NoAnswer::ConnectTimeout | NoAnswer::NoConnection { .. })
        }
        ReplyVerdict::Dead { reason } => !matches!(
            reason,
            DeathReason::PlatformRejected(_) | DeathReason::Redirected(_) | DeathReason::GaveUp { .. }
        ),
        ReplyVerdict::Delivered { .. } | ReplyVerdict::Retry { .. } | ReplyVerdict::Park { .. } => false,
    };
    attempt.purpose == AttemptPurpose::Report && has_request && !stayed
}

fn request_text(attempt: &Attempt, request: &SentRequest) -> String {
    let own = attempt.place.and_then(|place| place.own_part(&request.body));
    match own {
        Some(own) => own.to_owned(),
        None => format!("{}\n{}", request.url, request.body),
    }
}

fn fields_in(known: &KnownIdentities, click: Option<&Click>, attempt: &Attempt, text: &str) -> Vec<String> {
    let of = |kinds: [IdentityKind; 2]| known.only(&kinds).is_named_in(text.as_bytes());
    let ip = click.and_then(|click| click.ip).map(|ip| ip.to_string());
    let agent = click.and_then(|click| click.user_agent.as_deref());
    let found = [
        ("email", of([IdentityKind::Email, IdentityKind::EmailHash])),
        ("phone", of([IdentityKind::Phone, IdentityKind::PhoneHash])),
        ("ip", ip.is_some_and(|ip| text.contains(&ip))),
        ("user_agent", agent.is_some_and(|agent| text.contains(agent))),
    ];
    let ids = attempt.sent.iter().flat_map(|sent| &sent.ids).map(|(name, _)| name.clone());
    found.into_iter().filter(|(_, is_in)| *is_in).map(|(name, _)| name.to_owned()).chain(ids).collect()
}
