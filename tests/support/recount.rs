//! Counts and sums up what a store lists, and compares that with its totals.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;

use postbridge::domain::ids::SourceId;
use postbridge::domain::money::{Currency, Money};
use postbridge::domain::postback::{Postback, VerdictName};
use postbridge::domain::quarter_hour::QuarterHour;
use postbridge::domain::reporter::BuiltInSource;
use postbridge::domain::time::Time;
use postbridge::store::contract::Store;
use postbridge::store::contract::conformance::fixture::received::wait;
use postbridge::store::contract::error::StoreError;
use postbridge::store::contract::lookup::{
    ClickFilter, ConversionFilter, Page, PageRequest, PostbackFilter, ReportQuery,
};
use postbridge::store::contract::totals::{
    ClickTotals, ConversionTotals, PostbackTotals, QuarantineState, TotalKey, Totals, TotalsBy, TotalsFilter,
    TotalsQuery, VerdictCode,
};
use rust_decimal::Decimal;

/// How many there are, and value, payout and revenue by currency.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Recounted {
    count: u64,
    money: BTreeMap<Currency, [Decimal; 3]>,
}

/// By the quarter-hour, or where a longer stretch begins.
type Lines = BTreeMap<(QuarterHour, TotalKey), Recounted>;

/// Everything that is counted of conversions, clicks and postbacks is what a recount of the lists finds, by the
/// quarter-hour, by the day, and over all; so are the totals of reports and what is counted of sources.
pub fn assert_recounted(store: &dyn Store) {
    let kinds = [
        (
            conversions(store),
            TotalsFilter::Conversions(ConversionTotals::default()),
            vec![TotalsBy::Source, TotalsBy::Offer, TotalsBy::Affiliate, TotalsBy::Event, TotalsBy::Status],
        ),
        (
            clicks(store),
            TotalsFilter::Clicks(ClickTotals::default()),
            vec![TotalsBy::Offer, TotalsBy::Affiliate, TotalsBy::NotBillable],
        ),
        (
            postbacks(store),
            TotalsFilter::Postbacks(PostbackTotals::default()),
            vec![TotalsBy::Source, TotalsBy::Verdict, TotalsBy::Code, TotalsBy::Quarantine],
        ),
    ];
    for (lines, of, by) in kinds {
        let (quarters, days, all) = bounds(&lines);
        for bounds in [quarters, days, all] {
            let query =
                TotalsQuery { bounds: bounds.clone(), of: of.clone(), by: by.clone(), limit: usize::MAX };
            let found = by_key(wait(store.totals(query)).unwrap());
            let expected = within(&lines, &bounds);
            let differs = |key: &&(QuarterHour, TotalKey)| found.get(key) != expected.get(key);
            let keys = found.keys().chain(expected.keys());
            let different: Vec<_> =
                keys.filter(differs).map(|key| (key, found.get(key), expected.get(key))).take(3).collect();
            assert!(different.is_empty(), "counted, and recounted: {different:#?}");
        }
    }
    assert_report_total(store);
}

/// As many quarter-hours as are looked at one by one.
const QUARTERS: usize = 500;

/// Every quarter-hour in which something is, or the last ones; every day; and all of it at once; with what is around.
fn bounds(lines: &Lines) -> (Vec<QuarterHour>, Vec<QuarterHour>, Vec<QuarterHour>) {
    let next = |at: QuarterHour| QuarterHour::from_number(at.number() + 1);
    let (mut quarters, mut days) = (BTreeSet::new(), BTreeSet::new());
    for (at, _) in lines.keys() {
        quarters.extend([*at, next(*at)]);
        days.extend([at.day(), next(*at).next_day()]);
    }
    let (Some(first), Some(last)) = (days.first().copied(), days.last().copied()) else {
        let bounds = vec![QuarterHour::of_day(0), QuarterHour::of_day(100_000)];
        return (bounds.clone(), bounds.clone(), bounds);
    };
    let around = [QuarterHour::of_day(first.utc_day() - 40), QuarterHour::from_number(last.number() + 37)];
    days.extend(around);
    quarters = quarters.into_iter().rev().take(QUARTERS).chain(around).collect();
    (quarters.into_iter().collect(), days.into_iter().collect(), around.to_vec())
}

fn within(lines: &Lines, bounds: &[QuarterHour]) -> Lines {
    let mut found = Lines::new();
    for ((at, key), recounted) in lines {
        let stretch = bounds[bounds.partition_point(|bound| bound <= at) - 1];
        let sums = found.entry((stretch, key.clone())).or_default();
        sums.count += recounted.count;
        for (currency, amounts) in &recounted.money {
            let known = sums.money.entry(*currency).or_default();
            known.iter_mut().zip(amounts).for_each(|(known, amount)| *known += amount);
        }
    }
    found
}

fn by_key(totals: Totals) -> Lines {
    assert_eq!(totals.next, None);
    let mut found = Lines::new();
    for line in totals.lines {
        let sums = line.money.iter().map(|sums| {
            let amounts = [&sums.value, &sums.payout, &sums.revenue].map(|sum| sum.amount().unwrap());
            (sums.currency, amounts)
        });
        let recounted = Recounted { count: line.count, money: sums.collect() };
        assert!(found.insert((line.from, line.key), recounted).is_none(), "each line once");
    }
    found
}

/// Every item of a list.
fn all<'a, T, F>(list: impl Fn(PageRequest) -> F + 'a) -> Vec<T>
where
    F: Future<Output = Result<Page<T>, StoreError>>,
{
    let (mut found, mut cursor) = (Vec::new(), None);
    loop {
        let page = wait(list(PageRequest { cursor, limit: 1000 })).unwrap();
        found.extend(page.items);
        cursor = page.next_cursor;
        if cursor.is_none() {
            return found;
        }
    }
}

fn count(lines: &mut Lines, at: Time, key: TotalKey) -> &mut Recounted {
    let recounted = lines.entry((QuarterHour::of(at), key)).or_default();
    recounted.count += 1;
    recounted
}

fn conversions(store: &dyn Store) -> Lines {
    let mut lines = Lines::new();
    for (conversion, _) in all(|page| store.conversions(ConversionFilter::default(), page)) {
        let placed = conversion.campaign_ref.as_ref();
        let key = TotalKey {
            source: Some(conversion.source.clone()),
            offer: placed.map(|placed| placed.offer.clone()),
            affiliate: placed.and_then(|placed| placed.affiliate.clone()),
            event: Some(conversion.event.clone()),
            status: Some(conversion.status),
            ..TotalKey::default()
        };
        let recounted = count(&mut lines, conversion.event_time, key);
        let amounts = [conversion.value, conversion.payout, conversion.revenue];
        for (place, Money { amount, currency }) in
            amounts.into_iter().enumerate().filter_map(|(place, money)| Some((place, money?)))
        {
            // A sum of nothing but zeros is none.
            if !amount.is_zero() {
                recounted.money.entry(currency).or_default()[place] += amount;
            }
        }
    }
    lines
}

fn clicks(store: &dyn Store) -> Lines {
    let mut lines = Lines::new();
    for click in all(|page| store.clicks(ClickFilter::default(), page)) {
        let placed = click.context.campaign_ref.as_ref();
        let key = TotalKey {
            offer: placed.map(|placed| placed.offer.clone()),
            affiliate: placed.and_then(|placed| placed.affiliate.clone()),
            not_billable: click.context.not_billable(),
            ..TotalKey::default()
        };
        count(&mut lines, click.at, key);
    }
    lines
}

fn postbacks(store: &dyn Store) -> Lines {
    let open = PostbackFilter {
        verdict: Some(VerdictName::Quarantined),
        open_only: true,
        ..PostbackFilter::default()
    };
    let open: BTreeSet<u64> =
        all(|page| store.postbacks(open.clone(), page)).iter().map(|postback| postback.seq.get()).collect();
    let kept: Vec<Postback> = all(|page| store.postbacks(PostbackFilter::default(), page));
    let (mut lines, mut open_by_source) = (Lines::new(), BTreeMap::<SourceId, u64>::new());
    for postback in kept {
        let is_open = open.contains(&postback.seq.get());
        let quarantine = if is_open { QuarantineState::Open } else { QuarantineState::Settled };
        let key = TotalKey {
            source: postback.source.clone(),
            verdict: Some(postback.verdict.name()),
            code: VerdictCode::of(&postback.verdict),
            quarantine: Some(quarantine),
            ..TotalKey::default()
        };
        count(&mut lines, postback.received_at, key);
        if let Some(source) = postback.source {
            *open_by_source.entry(source).or_default() += u64::from(is_open);
        }
    }
    let facts = wait(store.operator_facts()).unwrap();
    for (source, open) in open_by_source {
        assert_eq!(facts.source(&source).open_quarantine, open, "{source}");
    }
    lines
}

fn assert_report_total(store: &dyn Store) {
    let total = wait(store.report(ReportQuery { limit: 1, ..ReportQuery::default() })).unwrap().total;
    let lines = conversions(store);
    let is_of_offer = |key: &TotalKey| {
        let by_tag = key.source.as_ref().and_then(BuiltInSource::of) == Some(BuiltInSource::Tag);
        key.offer.is_some() && !by_tag
    };
    let of_offers = lines.iter().filter(|((_, key), _)| is_of_offer(key));
    assert_eq!(total, of_offers.map(|(_, recounted)| recounted.count).sum::<u64>());
}
