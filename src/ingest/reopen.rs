//! Reports on routes that were closed: each is read again once its route is open, the oldest first, since of one
//! click the first sale counts.

use std::collections::VecDeque;
use std::sync::Arc;

use jiff::tz::TimeZone;

use crate::ambient::Clock;
use crate::domain::ids::{Seq, SourceId};
use crate::domain::offer::Offer;
use crate::domain::postback::{Fault, Postback, RawRequest, Verdict};
use crate::domain::rejection::RejectionCode;
use crate::domain::reporter::Reporter;
use crate::domain::rulebook::{Rulebook, built_in};
use crate::domain::time::Time;
use crate::ingest::network::{self, Told};
use crate::ingest::pixel::{self, Caller};
use crate::ingest::postback::AgainRefused;
use crate::store::{
    Again, Arrival, Finding, MappedArrival, PageRequest, PostbackFilter, Receipt, Store, StoreError,
};
use crate::template::params::{self, Listed, Params};

/// How many records a list is asked for at a time: each may be as large as a body.
const PAGE: usize = 100;
/// The most that are remembered at a time, to begin with the oldest.
const REMEMBERED: usize = 1_000_000;

/// What reports are read by.
#[derive(Clone)]
pub struct Terms {
    pub rules: Arc<Rulebook>,
    /// Whose days the API's dates are.
    pub zone: TimeZone,
}

/// Reads one report again. It keeps the time at which it was received; what it causes counts from `now`.
///
/// # Errors
/// When it is no report on a closed route, the route is closed still, or the store fails.
pub async fn again(store: &dyn Store, terms: &Terms, seq: Seq, now: Time) -> Result<Receipt, AgainRefused> {
    let record = store.postback(seq).await?.ok_or(AgainRefused::Unknown)?;
    let source = record.source.clone().ok_or_else(|| AgainRefused::NoSource("unknown".to_owned()))?;
    match &record.verdict {
        Verdict::Quarantined(fault) if is_closed(fault) => {}
        Verdict::Quarantined(_) => return Err(AgainRefused::ToldAgain(source.to_string())),
        other => return Err(AgainRefused::NotQuarantined(other.word())),
    }
    let raw = record.raw.ok_or(AgainRefused::Purged)?;
    let mapped = match map(store, terms, &raw, record.received_at).await? {
        Some(Ok(mapped)) => Ok(mapped),
        Some(Err(fault)) if is_closed(&fault) => return Err(AgainRefused::Closed(fault.reason)),
        Some(Err(fault)) => Err(fault),
        // Of one that was cut nobody knows what it said.
        None => return Err(AgainRefused::ToldAgain(source.to_string())),
    };
    let finding = match mapped {
        Ok(mapped) => Finding::Mapped(Box::new(mapped)),
        Err(fault) => Finding::Quarantined(fault),
    };
    let again = Some(Again { of: seq, now });
    let arrival = Arrival { raw, received_at: record.received_at, source: Some(source), finding, again };
    store.arrive(arrival).await.map_err(|error| match error {
        StoreError::MappedAlready { by } => AgainRefused::MappedAlready { by },
        error => AgainRefused::Store(error),
    })
}

/// What the report says by today's terms; `None` where it was not kept whole.
async fn map(
    store: &dyn Store,
    terms: &Terms,
    raw: &RawRequest,
    received_at: Time,
) -> Result<Option<Result<MappedArrival, Fault>>, StoreError> {
    Ok(match raw.reporter.as_deref() {
        None => None,
        Some(Reporter::Keyless(keyless)) => {
            let caller = Caller { keyless, address: raw.peer };
            match pixel::read(&terms.rules, raw.query(), caller) {
                Ok(told) => Some(pixel::find(store, told).await?),
                Err(fault) => Some(Err(fault)),
            }
        }
        Some(Reporter::Keyed) => match (keyed(terms, raw, received_at), SourceId::parse(built_in::API)) {
            (Ok(told), Ok(source)) => Some(Ok(network::mapped(store, source, told).await?)),
            (Err(fault), _) => Some(Err(fault)),
            (_, Err(error)) => Some(Err(Fault::new(error.to_string(), ""))),
        },
    })
}

fn is_closed(fault: &Fault) -> bool {
    fault.code == Some(RejectionCode::EndpointClosed)
}

/// Reads again all reports on routes that are open now, the oldest first. Answers how many.
///
/// # Errors
/// Only the store's.
pub async fn all(store: &dyn Store, terms: &Terms, clock: &Clock) -> Result<usize, StoreError> {
    let mut taken = 0;
    loop {
        let (open, more) = open_now(store, terms).await?;
        let before = taken;
        for seq in open {
            taken += usize::from(take(store, terms, (seq, clock.now())).await?);
        }
        if !more || taken == before {
            return Ok(taken);
        }
    }
}

/// Whether it was read again.
async fn take(store: &dyn Store, terms: &Terms, (seq, now): (Seq, Time)) -> Result<bool, StoreError> {
    match again(store, terms, seq, now).await {
        Ok(receipt) => {
            let verdict = receipt.verdict.word();
            tracing::info!(postback = %seq, verdict, "a report whose route is open now was reprocessed");
            Ok(true)
        }
        Err(AgainRefused::Store(error @ StoreError::Corrupt { .. })) => {
            tracing::error!(postback = %seq, %error, "a report cannot be read and was not reprocessed");
            Ok(false)
        }
        Err(AgainRefused::Store(error)) => Err(error),
        // A person was faster, or its route was closed again: the quarantine says what is left.
        Err(_) => Ok(false),
    }
}

/// The oldest reports whose route is open now, the oldest first, and whether there are more.
async fn open_now(store: &dyn Store, terms: &Terms) -> Result<(Vec<Seq>, bool), StoreError> {
    let mut found = VecDeque::new();
    let (mut more, mut cursor) = (false, None);
    loop {
        let filter = PostbackFilter {
            verdict: Some("quarantined".to_owned()),
            open_only: true,
            ..PostbackFilter::default()
        };
        let page = store.postbacks(filter, PageRequest { cursor, limit: PAGE }).await?;
        found.extend(page.items.iter().filter(|one| is_open_now(one, terms)).map(|one| one.seq));
        while found.len() > REMEMBERED {
            more = true;
            found.pop_front();
        }
        cursor = page.next_cursor;
        if cursor.is_none() {
            return Ok((found.into_iter().rev().collect(), more));
        }
    }
}

/// Whether it is a whole report on a route that was closed and is open now.
fn is_open_now(record: &Postback, terms: &Terms) -> bool {
    let was_closed = record.verdict.fault().is_some_and(is_closed);
    let Some(raw) = record.raw.as_ref().filter(|_| was_closed) else { return false };
    let is_still = match raw.reporter.as_deref() {
        None => return false,
        Some(Reporter::Keyless(keyless)) => {
            let caller = Caller { keyless, address: raw.peer };
            pixel::read(&terms.rules, raw.query(), caller).is_err_and(|fault| is_closed(&fault))
        }
        Some(Reporter::Keyed) => keyed(terms, raw, record.received_at).is_err_and(|fault| is_closed(&fault)),
    };
    !is_still
}

/// What a call of the API said. Whether its key reached the offer was looked at when it was received.
fn keyed(terms: &Terms, raw: &RawRequest, received_at: Time) -> Result<Told, Fault> {
    let params = params::read_for(&Listed(&network::NAMES), raw.query(), None, &[])?;
    let offer = |params: &Params| network::named_offer(&terms.rules, params, |_| true);
    network::read(&params, offer, (&terms.zone, received_at))
}

/// Whether offers take other reports by `now` than by `before`.
pub fn differ(before: &Rulebook, now: &Rulebook) -> bool {
    let had = |offer: &Offer| before.offer(&offer.id).map(|had| had.reports.clone());
    now.offers.values().any(|offer| had(offer).as_ref() != Some(&offer.reports))
}
