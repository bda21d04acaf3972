//! Reports that may count later: each is read again once its route is open, the oldest first, since of one click
//! the first sale counts. What only a person can decide waits for that person: whose a report is that was received through
//! a proxy that no one had declared, and whether a further sale of a click is one.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use futures_util::future::join_all;
use ipnet::IpNet;
use jiff::tz::TimeZone;

use crate::clock::Clock;
use crate::domain::code::CodedReason;
use crate::domain::forwarding::{self, HidingProxy, Sender};
use crate::domain::ids::{Seq, SourceId};
use crate::domain::offer::Offer;
use crate::domain::postback::{Postback, RawRequest, Verdict, VerdictName};
use crate::domain::rejection::Rejection;
use crate::domain::rejection::code::RejectionCode;
use crate::domain::reporter::{BuiltInSource, Keyless, Reporter};
use crate::domain::reprocess_refusal::ReprocessRefused;
use crate::domain::ruleset::Ruleset;
use crate::domain::time::Time;
use crate::ingest::advertiser::{self, AdvertiserReport};
use crate::ingest::parameters::ParamReader;
use crate::ingest::pixel::{self, PixelCaller};
use crate::ingest::postback::ReprocessError;
use crate::ingest::submit::{Received, mapped, resubmission};
use crate::store::contract::Store;
use crate::store::contract::arrival::{Arrival, Finding, Receipt};
use crate::store::contract::error::StoreError;
use crate::store::contract::lookup::{PageRequest, PostbackFilter};
use crate::store::contract::outage::ASK_AGAIN_AFTER;
use crate::template::source::params::ListReader;
use crate::template::source::request;

/// How many records a list is asked for at a time: each may be as large as a body.
const PAGE: usize = 100;
/// The most that are remembered at a time, to begin with the oldest.
const REMEMBERED: usize = 1_000_000;
/// How many are handed to the store together: it makes them durable in few commits.
const TOGETHER: usize = 64;
/// The sources whose reports may be kept on a closed route.
const SOURCES: [BuiltInSource; 2] = [BuiltInSource::Api, BuiltInSource::Pixel];

/// What reports are read by.
#[derive(Clone)]
pub struct ReportTerms {
    /// The offers, of which each says who may report to it.
    pub rules: Arc<Ruleset>,
    /// Whose days the API's dates are.
    pub zone: TimeZone,
    /// The proxies that say whose a report is.
    pub trusted_proxies: Vec<IpNet>,
}

/// Who wants reports read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ReopenedBy {
    /// Someone who has seen this one report.
    Person,
    /// No one: the configuration changed.
    Configuration,
}

/// What a kept report is by today's terms.
enum CurrentVerdict {
    Keyless(Box<pixel::PixelReport>),
    Keyed(Box<AdvertiserReport>),
    /// It waits on, for this reason: its route is closed, or its offer is not configured now.
    Closed(Rejection),
    /// A person has to fix it.
    Faulty(Rejection),
}

/// Reads one report again, for a person. It keeps the time at which it was received; what it causes counts from
/// `now`.
///
/// # Errors
/// When it is no report that may count later, its route is closed still, or the store fails.
pub async fn again(
    store: &dyn Store,
    terms: &ReportTerms,
    seq: Seq,
    now: Time,
) -> Result<Receipt, ReprocessError> {
    let arrival = prepared(store, (terms, ReopenedBy::Person), seq, now).await?;
    Ok(store.arrive(arrival).await?)
}

/// What one report is to the store by today's terms.
async fn prepared(
    store: &dyn Store,
    (terms, by): (&ReportTerms, ReopenedBy),
    seq: Seq,
    now: Time,
) -> Result<Arrival, ReprocessError> {
    let record = store.postback(seq).await?.ok_or(ReprocessRefused::Unknown)?;
    let source = record.source.clone().ok_or(ReprocessRefused::NoSource(None))?;
    let Verdict::Quarantined(rejection) = &record.verdict else {
        return Err(ReprocessRefused::NotQuarantined(record.verdict.name()).into());
    };
    if record.raw.is_none() && rejection.may_reopen() {
        return Err(ReprocessRefused::without_bytes(&record).into());
    }
    let sender_informed = || ReprocessRefused::SenderInformed(source.to_string());
    let finding = match today(terms, by, &record).ok_or_else(sender_informed)? {
        CurrentVerdict::Closed(rejection) => return Err(ReprocessRefused::Closed(rejection).into()),
        CurrentVerdict::Faulty(rejection) => Finding::Quarantined(rejection),
        CurrentVerdict::Keyless(report) => match pixel::find(store, *report).await? {
            Ok(draft) => Finding::Mapped(Box::new(draft)),
            Err(problem) => Finding::Quarantined(problem.into()),
        },
        CurrentVerdict::Keyed(report) => mapped(store, advertiser::draft(source.clone(), *report)).await?,
    };
    let gone = ReprocessRefused::without_bytes(&record);
    let raw = record.raw.ok_or(gone)?;
    let received = Received { source: Some(source), raw, received_at: record.received_at, mapping: None };
    Ok(resubmission(received, finding, seq, now)?)
}

/// `None` where it is no report that may count later, or was not kept whole: of one that was cut no one knows
/// what it said.
fn today(terms: &ReportTerms, by: ReopenedBy, record: &Postback) -> Option<CurrentVerdict> {
    record.verdict.rejection().filter(|rejection| rejection.may_reopen())?;
    let raw = record.raw.as_ref()?;
    let (read, has_offer) = match raw.reporter.as_deref()? {
        Reporter::Keyless(keyless) => {
            let caller = PixelCaller { keyless, sender: sender(terms, by, raw, keyless) };
            let read = pixel::read(&terms.rules, raw.query(), caller)
                .map(|report| CurrentVerdict::Keyless(Box::new(report)));
            (read, pixel::names_offer(&terms.rules, raw.query(), keyless.spelling))
        }
        Reporter::Keyed => {
            let mut has_offer = true;
            let read = keyed(terms, (raw, record.received_at), &mut has_offer);
            (read.map(|report| CurrentVerdict::Keyed(Box::new(report))), has_offer)
        }
    };
    Some(match read {
        Ok(today) => today,
        Err(rejection) if rejection.may_reopen() || !has_offer => CurrentVerdict::Closed(rejection),
        Err(rejection) => CurrentVerdict::Faulty(rejection),
    })
}

/// Whose a report is that was kept, by the proxies that are declared now; but only a person believes what headers
/// said when no declared proxy confirmed them.
fn sender(terms: &ReportTerms, by: ReopenedBy, raw: &RawRequest, keyless: &Keyless) -> Option<Sender> {
    let Some((named, address)) = keyless.hidden() else {
        return raw.peer.map(|address| Sender { address, hidden_by: None });
    };
    if by == ReopenedBy::Configuration && !named.is_empty() {
        return Some(Sender { address, hidden_by: Some(HidingProxy::Undeclared(address)) });
    }
    let hops = named.iter().rev().copied().map(Some);
    // It was kept with its hops because something forwarded it.
    Some(forwarding::sender(address, hops, || true, &terms.trusted_proxies))
}

/// What a call of the API said. Whether its key reached the offer was looked at when it was received.
fn keyed(
    terms: &ReportTerms,
    (raw, received_at): (&RawRequest, Time),
    has_offer: &mut bool,
) -> Result<AdvertiserReport, Rejection> {
    let params = request::read_for(&ListReader(&advertiser::NAMES), raw.query(), None, &[])?;
    let offer = |reader: &ParamReader<'_>| {
        advertiser::named_offer(&terms.rules, reader, |_| true).inspect_err(|_| *has_offer = false)
    };
    advertiser::read(&params, offer, (&terms.zone, received_at))
}

/// Reads again all reports on routes that are open now, the oldest first, but those that wait for a person.
/// Answers how many, and leaves one line in the log. A store that does not answer is asked until it does.
///
/// # Errors
/// Only the store's.
pub async fn all(store: &dyn Store, terms: &ReportTerms, clock: &Clock) -> Result<usize, StoreError> {
    let mut taken = ReopenResult::default();
    let outcome = loop {
        match take_all(store, terms, clock, &mut taken).await {
            // Those that were taken meanwhile are not found again.
            Err(StoreError::Unavailable { .. }) => tokio::time::sleep(ASK_AGAIN_AFTER).await,
            done => break done,
        }
    };
    taken.log();
    outcome.map(|()| taken.count())
}

async fn take_all(
    store: &dyn Store,
    terms: &ReportTerms,
    clock: &Clock,
    taken: &mut ReopenResult,
) -> Result<(), StoreError> {
    // What the store may have, though it did not say so, is known to it by the arrival's id.
    let unanswered = std::mem::take(&mut taken.unanswered);
    hand_over(store, unanswered, taken).await?;
    loop {
        let (open, more) = open_now(store, terms).await?;
        let before = taken.count();
        for together in open.chunks(TOGETHER) {
            take(store, terms, (together, clock.now()), taken).await?;
        }
        if !more || taken.count() == before {
            return Ok(());
        }
    }
}

/// What became of the reports that were read again.
#[derive(Debug, Default)]
struct ReopenResult {
    by_verdict: BTreeMap<&'static str, usize>,
    damaged: usize,
    /// Those that the store was given and did not answer.
    unanswered: Vec<Arrival>,
}

impl ReopenResult {
    /// Counts what became of one.
    ///
    /// # Errors
    /// The store failed.
    fn note(&mut self, outcome: Result<Receipt, ReprocessError>) -> Result<(), StoreError> {
        match outcome {
            Ok(receipt) => *self.by_verdict.entry(receipt.verdict.as_str()).or_default() += 1,
            Err(ReprocessError::Store(StoreError::Corrupt { .. })) => self.damaged += 1,
            Err(ReprocessError::Store(error)) => return Err(error),
            // A person was faster, or its route was closed again: the quarantine says what is left.
            Err(_) => {}
        }
        Ok(())
    }

    fn count(&self) -> usize {
        self.by_verdict.values().sum()
    }

    fn log(&self) {
        let of = |verdict: &str| self.by_verdict.get(verdict).copied().unwrap_or_default();
        if self.count() > 0 {
            tracing::info!(
                reports = self.count(),
                accepted = of("accepted"),
                duplicate = of("duplicate"),
                quarantined = of("quarantined"),
                "reports whose route is open now were reprocessed"
            );
        }
        if self.damaged > 0 {
            tracing::error!(reports = self.damaged, "reports cannot be read and were not reprocessed");
        }
    }
}

/// Hands some reports to the store at once. It decides on them in their order.
async fn take(
    store: &dyn Store,
    terms: &ReportTerms,
    (reports, now): (&[Seq], Time),
    taken: &mut ReopenResult,
) -> Result<(), StoreError> {
    let (mut arrivals, mut failed) = (Vec::with_capacity(reports.len()), None);
    for seq in reports {
        match prepared(store, (terms, ReopenedBy::Configuration), *seq, now).await {
            Ok(arrival) => arrivals.push(arrival),
            Err(refused) => failed = taken.note(Err(refused)).err().or(failed),
        }
    }
    hand_over(store, arrivals, taken).await?;
    failed.map_or(Ok(()), Err)
}

/// All are handed over before the first is waited for. Those that are not answered are kept.
async fn hand_over(
    store: &dyn Store,
    arrivals: Vec<Arrival>,
    taken: &mut ReopenResult,
) -> Result<(), StoreError> {
    let waiting: Vec<_> = arrivals.iter().map(|arrival| store.arrive(arrival.clone())).collect();
    let mut failed = None;
    for (arrival, answer) in arrivals.into_iter().zip(join_all(waiting).await) {
        if let Err(StoreError::Unavailable { .. }) = &answer {
            taken.unanswered.push(arrival);
        }
        failed = taken.note(answer.map_err(ReprocessError::from)).err().or(failed);
    }
    failed.map_or(Ok(()), Err)
}

/// The oldest reports whose route is open now, the oldest first, and whether there are more.
async fn open_now(store: &dyn Store, terms: &ReportTerms) -> Result<(Vec<Seq>, bool), StoreError> {
    let (sources, facts) = (SOURCES.into_iter().map(BuiltInSource::id), store.operator_facts().await?);
    let (mut found, mut more) = (Vec::new(), false);
    for source in sources {
        if facts.source(&source).open_quarantine == 0 {
            continue;
        }
        let (open, left) = open_of(store, terms, source).await?;
        found.extend(open);
        more |= left;
    }
    found.sort_unstable();
    more |= found.len() > REMEMBERED;
    found.truncate(REMEMBERED);
    Ok((found, more))
}

/// The same of one source, in no order.
async fn open_of(
    store: &dyn Store,
    terms: &ReportTerms,
    source: SourceId,
) -> Result<(VecDeque<Seq>, bool), StoreError> {
    let filter = PostbackFilter {
        source: Some(source),
        verdict: Some(VerdictName::Quarantined),
        open_only: true,
        ..PostbackFilter::default()
    };
    let mut found = VecDeque::new();
    let (mut more, mut cursor) = (false, None);
    loop {
        let page = store.postbacks(filter.clone(), PageRequest { cursor, limit: PAGE }).await?;
        found.extend(page.items.iter().filter(|one| is_ready(one, terms)).map(|one| one.seq));
        while found.len() > REMEMBERED {
            more = true;
            found.pop_front();
        }
        cursor = page.next_cursor;
        if cursor.is_none() {
            return Ok((found, more));
        }
    }
}

/// Whether it is a whole report that is more today than one on a closed route, and no person has to look at it.
fn is_ready(record: &Postback, terms: &ReportTerms) -> bool {
    !waits_for_a_person(record)
        && today(terms, ReopenedBy::Configuration, record)
            .is_some_and(|today| !matches!(today, CurrentVerdict::Closed(_)))
}

/// Whether only a person takes it: it was refused for its sender, whom headers name that no declared proxy
/// confirmed; or it found no room among the further sales of its click, which is a person's to make.
fn waits_for_a_person(record: &Postback) -> bool {
    let reporter = record.raw.as_ref().and_then(|raw| raw.reporter.as_deref());
    let is_named = || match reporter {
        Some(Reporter::Keyless(keyless)) => keyless.hidden().is_some_and(|(named, _)| !named.is_empty()),
        Some(Reporter::Keyed) | None => false,
    };
    match record.verdict.rejection().map(CodedReason::code) {
        Some(RejectionCode::TooManyFurtherSales) => true,
        Some(RejectionCode::SenderBehindProxy) => is_named(),
        _ => false,
    }
}

/// Whether reports may be taken by `now` that were not by `before`.
pub fn differ(before: &Ruleset, now: &Ruleset) -> bool {
    let had = |offer: &Offer| before.offer(&offer.id).map(|had| &had.reports);
    now.offers.values().any(|offer| had(offer) != Some(&offer.reports))
}
