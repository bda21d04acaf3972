//! What must hold of totals: what is counted and summed by the quarter-hour.

use std::sync::Arc;

use crate::domain::click::ClickKind;
use crate::domain::event::EventName;
use crate::domain::ids::AffiliateId;
use crate::domain::money::{Currency, Money};
use crate::domain::quarter_hour::QuarterHour;
use crate::domain::rejection::code::RejectionCode;
use crate::domain::ruleset::Ruleset;
use crate::domain::status::Status;
use crate::domain::time::Time;
use crate::store::contract::Store;
use crate::store::contract::arrival::{Finding, Reprocess};
use crate::store::contract::conformance::fixture::engine::{EngineUnderTest, before_and_after_reopening};
use crate::store::contract::conformance::fixture::offer::{
    approved_after, arrive, brought_by, capped, ignored, offer, offer_id, rules_of, set_status,
};
use crate::store::contract::conformance::fixture::received::{
    DAY, HOUR, at, click, quarantined, sale, source, unscreened, usd, wait,
};
use crate::store::contract::conformance::fixture::work::tally;
use crate::store::contract::totals::{
    ClickTotals, ConversionTotals, PostbackTotals, TotalLine, TotalsBy, TotalsFilter, TotalsQuery,
    VerdictCode,
};

const QUARTER: i64 = 15 * 60_000;

fn quarter(time: Time) -> QuarterHour {
    QuarterHour::of(time)
}

/// The totals between two moments.
fn between(store: &dyn Store, (from, to): (Time, Time), of: TotalsFilter, by: &[TotalsBy]) -> Vec<TotalLine> {
    let query = TotalsQuery { bounds: vec![quarter(from), quarter(to)], of, by: by.to_vec(), limit: 1000 };
    wait(store.totals(query)).unwrap().lines
}

fn every_conversion() -> TotalsFilter {
    TotalsFilter::Conversions(ConversionTotals::default())
}

fn conversion_rules() -> Arc<Ruleset> {
    rules_of(&[capped("1", 3), approved_after("2", 2), offer("3")])
}

pub fn sums_are_exact_and_apart_by_currency(engine: &EngineUnderTest) {
    let store = engine.open();
    let amounts = [
        ("0.1", "USD"),
        ("0.20", "USD"),
        ("7", "EUR"),
        ("0.001", "USD"),
        ("9999999999999999999999.99", "JPY"),
    ];
    for (n, (amount, currency)) in amounts.into_iter().enumerate() {
        let mut reported = sale(&format!("t{n}")).forward();
        reported.draft.value = Some(Money::new(amount.parse().unwrap(), Currency::parse(currency).unwrap()));
        reported.draft.payout = Some(usd("1.50"));
        reported.receive(&*store);
    }
    before_and_after_reopening(engine, store, |store, _| {
        let [line] = &between(store, (at(0), at(QUARTER)), every_conversion(), &[])[..] else {
            panic!("one")
        };
        let sums = line.money.iter().map(|sums| {
            let text = |sum: &crate::domain::money_sum::MoneySum| sum.amount().unwrap().to_string();
            (sums.currency.to_string(), text(&sums.value), text(&sums.payout), text(&sums.revenue))
        });
        let expected = [
            ("EUR", "7", "0", "0"),
            ("JPY", "9999999999999999999999.99", "0", "0"),
            ("USD", "0.301", "7.50", "0"),
        ];
        let expected = expected.map(|(a, b, c, d)| (a.to_owned(), b.to_owned(), c.to_owned(), d.to_owned()));
        assert_eq!((line.count, sums.collect::<Vec<_>>()), (5, expected.to_vec()));
    });
}

pub fn a_sum_that_no_amount_holds_is_named_and_hides_no_other(engine: &EngineUnderTest) {
    let store = engine.open();
    let receipts: Vec<_> = (0..9)
        .map(|n| sale(&format!("t{n}")).value(&"9".repeat(28)).forward().receive(&*store))
        .chain([sale("small").value("0.0000000000000000000000000001").forward().receive(&*store)])
        .collect();
    assert_eq!(receipts.len(), 10);
    let sum = |store: &dyn Store| {
        let lines = between(store, (at(0), at(QUARTER)), every_conversion(), &[]);
        (lines[0].count, lines[0].money[0].value.amount().ok().map(|amount| amount.to_string()))
    };
    assert_eq!(sum(&*store), (10, None), "it has 29 digits before the mark and 28 behind it");
    for n in 0..9 {
        sale(&format!("t{n}")).value(if n < 5 { "1" } else { "0" }).at(at(1)).forward().receive(&*store);
    }
    before_and_after_reopening(engine, store, |store, _| {
        assert_eq!(sum(store), (10, Some("5.0000000000000000000000000001".to_owned())));
    });
}

pub fn a_conversion_that_changes_moves_from_one_line_to_another(engine: &EngineUnderTest) {
    let store = engine.open_by(conversion_rules());
    let reported = arrive(&*store, sale("t1").of("3").click("c1").arrival());
    let statuses = |store: &dyn Store, of: ConversionTotals| {
        let lines = between(store, (at(0), at(QUARTER)), TotalsFilter::Conversions(of), &[TotalsBy::Status]);
        lines.into_iter().map(|line| (line.key.status.unwrap(), line.count)).collect::<Vec<_>>()
    };
    let all = ConversionTotals::default;
    assert_eq!(statuses(&*store, all()), [(Status::Approved, 1)]);
    set_status(&*store, reported.postback, Status::Rejected, at(1));
    assert_eq!(statuses(&*store, all()), [(Status::Rejected, 1)]);
    let mut clicked = click("c1");
    clicked.context.campaign_ref = Some(brought_by("a", "3"));
    let of_affiliate = || ConversionTotals { affiliate: AffiliateId::parse("a").ok(), ..all() };
    assert_eq!(statuses(&*store, of_affiliate()), []);
    wait(store.record_click(unscreened(clicked))).unwrap();
    before_and_after_reopening(engine, store, |store, _| {
        assert_eq!(statuses(store, of_affiliate()), [(Status::Rejected, 1)]);
        assert_eq!(statuses(store, all()), [(Status::Rejected, 1)], "it is counted once");
    });
}

pub fn days_of_a_zone_with_half_an_hour_are_exact(engine: &EngineUnderTest) {
    let store = engine.open();
    // Days that begin at 18:30 UTC.
    let midnight = |day: i64| at(day * DAY + 18 * HOUR + HOUR / 2);
    let moments =
        [midnight(0).plus_millis(-1), midnight(0), midnight(1).plus_millis(-1), midnight(1), midnight(5)];
    for (n, moment) in moments.into_iter().enumerate() {
        sale(&format!("t{n}")).happened(moment).at(at(9 * DAY)).receive(&*store);
    }
    before_and_after_reopening(engine, store, |store, _| {
        let bounds = (-1..7).map(|day| quarter(midnight(day))).collect();
        let query = TotalsQuery { bounds, of: every_conversion(), by: Vec::new(), limit: 1000 };
        let lines = wait(store.totals(query)).unwrap().lines;
        let counts: Vec<_> = lines.iter().map(|line| (line.from.start(), line.count)).collect();
        assert_eq!(counts, [(midnight(-1), 1), (midnight(0), 2), (midnight(1), 1), (midnight(5), 1)]);
    });
}

pub fn clicks_that_count_for_no_one_are_apart(engine: &EngineUnderTest) {
    let store = engine.open_by(conversion_rules());
    for n in 0..5 {
        let mut clicked = click(&format!("c{n}"));
        clicked.context.campaign_ref = Some(brought_by("a", "1")).filter(|_| n > 0);
        clicked.context.kind = if n < 3 { ClickKind::Visit } else { ClickKind::Prefetch };
        wait(store.record_click(unscreened(clicked))).unwrap();
    }
    before_and_after_reopening(engine, store, |store, _| {
        let around = (at(-DAY), at(DAY));
        let count = |of: ClickTotals, by: &[TotalsBy]| {
            let lines = between(store, around, TotalsFilter::Clicks(of), by);
            lines.iter().map(|line| line.count).collect::<Vec<_>>()
        };
        assert_eq!(count(ClickTotals::default(), &[]), [5]);
        assert_eq!(count(ClickTotals::default(), &[TotalsBy::NotBillable]), [3, 2]);
        let billable = ClickTotals { billable_only: true, ..ClickTotals::default() };
        assert_eq!(count(billable.clone(), &[TotalsBy::Offer, TotalsBy::Affiliate]), [1, 2]);
        assert_eq!(count(ClickTotals { offer: Some(offer_id("1")), ..billable }, &[]), [2]);
    });
}

pub fn verdicts_and_codes_are_counted_by_source(engine: &EngineUnderTest) {
    let store = engine.open();
    sale("t1").receive(&*store);
    sale("t1").receive(&*store);
    let bad: Vec<_> = (0..3).map(|_| arrive(&*store, quarantined("no price", at(0))).postback).collect();
    let mut again = sale("fixed").arrival();
    again.again = Some(Reprocess { of: bad[0], now: at(1) });
    arrive(&*store, again);
    let mut refused = quarantined("", at(0));
    let Finding::Quarantined(rejection) = refused.finding else { unreachable!() };
    (refused.finding, refused.source) = (Finding::Refused(rejection), None);
    arrive(&*store, refused);
    before_and_after_reopening(engine, store, |store, _| {
        let around = (at(0), at(QUARTER));
        let of_source = PostbackTotals { source: Some(source()), ..PostbackTotals::default() };
        let lines = between(store, around, TotalsFilter::Postbacks(of_source.clone()), &[TotalsBy::Verdict]);
        let counts: Vec<_> =
            lines.iter().map(|line| (line.key.verdict.unwrap().as_str(), line.count)).collect();
        assert_eq!(counts, [("accepted", 2), ("duplicate", 1), ("quarantined", 3)]);
        let code = Some(VerdictCode::Rejected(RejectionCode::InvalidMessage));
        let open = PostbackTotals { open_only: true, code, ..of_source };
        let by = [TotalsBy::Source, TotalsBy::Code];
        let [line] = &between(store, around, TotalsFilter::Postbacks(open), &by)[..] else { panic!("one") };
        assert_eq!((line.count, &line.key.source, line.key.code), (2, &Some(source()), code));
        let all = between(store, around, TotalsFilter::Postbacks(PostbackTotals::default()), &[]);
        assert_eq!(all[0].count, 7, "one of no source with them");
    });
}

pub fn reprocessing_what_was_ignored_closes_no_quarantine(engine: &EngineUnderTest) {
    let store = engine.open();
    arrive(&*store, quarantined("no price", at(0)));
    let mut passed_over = quarantined("", at(0));
    passed_over.finding = ignored();
    let passed_over = arrive(&*store, passed_over);
    let mut again = sale("t1").arrival();
    again.again = Some(Reprocess { of: passed_over.postback, now: at(1) });
    arrive(&*store, again);
    before_and_after_reopening(engine, store, |store, reopened| {
        let tally = tally(store);
        assert_eq!(tally.open_quarantine, 1, "reopened: {reopened}");
    });
}

pub fn a_query_goes_on_where_its_limit_ended_it(engine: &EngineUnderTest) {
    let store = engine.open();
    for n in 0..6 {
        let mut reported = sale(&format!("t{n}")).happened(at(-(n / 2) * QUARTER)).forward();
        reported.draft.event = crate::domain::conversion::EventClaim::Named(
            EventName::parse(if n % 2 == 0 { "Purchase" } else { "Lead" }).unwrap(),
        );
        reported.receive(&*store);
    }
    let bounds: Vec<_> = (-3..=1).map(|n| quarter(at(n * QUARTER))).collect();
    let ask = |bounds: Vec<QuarterHour>, limit| {
        let query = TotalsQuery { bounds, of: every_conversion(), by: vec![TotalsBy::Event], limit };
        wait(store.totals(query)).unwrap()
    };
    let first = ask(bounds.clone(), 3);
    assert_eq!((first.lines.len(), first.next), (4, Some(bounds[3])), "a stretch is never cut");
    let rest = ask(bounds.into_iter().filter(|bound| Some(*bound) >= first.next).collect(), 3);
    assert_eq!((rest.lines.len(), rest.next), (2, None));
    assert_eq!(ask(Vec::new(), 3).lines, []);
}
