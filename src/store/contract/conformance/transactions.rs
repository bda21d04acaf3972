//! What must hold of transaction ids that several sales have, and of reversals whose sale is received later.

use crate::domain::code::CodedReason;
use crate::domain::conversion::EventClaim;
use crate::domain::event::EventName;
use crate::domain::ids::{Seq, VisitorId};
use crate::domain::postback::Verdict;
use crate::domain::rejection::code::RejectionCode;
use crate::domain::rejection::note::ReportNote;
use crate::domain::routing::Unmatched;
use crate::store::contract::Store;
use crate::store::contract::arrival::{Receipt, Reprocess};
use crate::store::contract::change::PurgeBefore;
use crate::store::contract::conformance::fixture::engine::{EngineUnderTest, before_and_after_reopening};
use crate::store::contract::conformance::fixture::received::{DAY, Sale, at, click, sale, unscreened, wait};
use crate::store::contract::conformance::fixture::work::{
    claim, conversion_of, first_page, never, purge_all, trace,
};
use crate::store::contract::lookup::ConversionFilter;

pub fn is_accepted(receipt: &Receipt) -> bool {
    matches!(receipt.verdict, Verdict::Accepted { .. })
}

pub fn sales_of_one_transaction_id_with_other_clicks_are_conversions_of_their_own(engine: &EngineUnderTest) {
    let store = engine.open();
    let reported = |store: &dyn Store, id: &str, click: &str| sale(id).click(click).forward().receive(store);
    let first: Vec<Receipt> = ["c1", "c2", "c3"].map(|click| reported(&*store, "PURCHASE", click)).into();
    let other = reported(&*store, "4711", "c1");
    assert!(first.iter().chain([&other]).all(is_accepted), "{first:?}");
    let named = conversion_of(&first[0].verdict);
    assert!(
        matches!(first[2].notes[..], [ReportNote::TransactionReused { first, .. }] if first == named),
        "it names the first: {:?}",
        first[2].notes
    );
    before_and_after_reopening(engine, store, |store, _| {
        for (receipt, click) in first.iter().zip([" c1", "c2", "%633"]) {
            let again = reported(store, "PURCHASE", click);
            assert_eq!(again.verdict, Verdict::Duplicate { conversion: conversion_of(&receipt.verdict) });
        }
        let third = trace(store, &first[2]).conversion.reuse.unwrap();
        assert_eq!((third.nth, third.previous), (3, Some(first[1].postback)));
        let work = claim(store, "ads", at(0));
        assert_eq!(work.len(), 4, "each is sent");
        wait(store.release(work.iter().map(|work| work.lease.token).collect())).unwrap();
    });
}

pub fn of_equal_arrivals_under_a_reused_id_exactly_one_is_accepted(engine: &EngineUnderTest) {
    let store = engine.open();
    // All are queued at once, so that they are decided together.
    let clicks = ["c1", "c2", "c2", "c3", "c1", "c3", "c2"];
    let reported: Vec<_> =
        clicks.iter().map(|click| store.arrive(sale("t").click(click).arrival())).collect();
    let receipts: Vec<Receipt> = reported.into_iter().map(|reported| wait(reported).unwrap()).collect();
    let accepted: Vec<&str> =
        receipts.iter().zip(clicks).filter(|(one, _)| is_accepted(one)).map(|(_, click)| click).collect();
    assert_eq!(accepted, ["c1", "c2", "c3"]);
    let third = trace(&*store, &receipts[3]).conversion.reuse.unwrap();
    assert_eq!((third.nth, third.previous), (3, Some(receipts[1].postback)));
}

pub fn two_recorded_clicks_of_one_visitor_are_one_sale(engine: &EngineUnderTest) {
    let store = engine.open();
    for (id, visitor) in [("a1", "ann"), ("a2", "ann"), ("b1", "bob"), ("b2", "bob")] {
        let mut click = click(id);
        click.context.visitor = Some(VisitorId::parse(&format!("visitor-{visitor}-0001")).unwrap());
        wait(store.record_click(unscreened(click))).unwrap();
    }
    let verdicts = ["a1", "a2", "b1", "b2"].map(|click| sale("t").click(click).receive(&*store));
    assert_eq!(verdicts.each_ref().map(is_accepted), [true, false, true, false]);
    let of = |place: usize| conversion_of(&verdicts[place].verdict);
    assert_eq!((of(1), of(3)), (of(0), of(2)));
}

pub fn an_ambiguous_reversal_names_at_most_ten_and_says_how_many_more(engine: &EngineUnderTest) {
    let store = engine.open();
    for number in 0..25 {
        sale("t").click(&format!("c{number}")).receive(&*store);
    }
    before_and_after_reopening(engine, store, |store, _| {
        let reversal = wait(store.arrive(reversal("t").arrival())).unwrap();
        let Verdict::Quarantined(rejection) = &reversal.verdict else { panic!("{reversal:?}") };
        assert_eq!(rejection.code(), RejectionCode::AmbiguousTransaction);
        let reason = rejection.sentence();
        for wanted in ["has 25 conversions", "`c0`", "`c24`", "`c16`", "and 15 more"] {
            assert!(reason.contains(wanted), "{wanted}: {reason}");
        }
        assert!(!reason.contains("`c15`"), "{reason}");
    });
}

pub fn a_later_conversion_is_found_when_the_first_is_purged(engine: &EngineUnderTest) {
    let store = engine.open();
    let reported = |store: &dyn Store, click: &str, day: i64| {
        sale("t").click(click).unmatched(Unmatched::Drop).at(at(day * DAY)).receive(store)
    };
    let first = reported(&*store, "c1", 0);
    // Blocks are purged whole or in part: the rest of the first's block is as old.
    for day in [5, 6] {
        assert!(is_accepted(&reported(&*store, &format!("c{day}"), day)));
    }
    let before = PurgeBefore { conversions: at(3 * DAY), ..never() };
    assert_eq!(purge_all(&*store, before), 1);
    before_and_after_reopening(engine, store, |store, reopened| {
        assert!(wait(store.conversion(conversion_of(&first.verdict))).unwrap().is_none());
        for day in [5, 6] {
            assert!(!is_accepted(&reported(store, &format!("c{day}"), day)), "found by its click");
        }
        let new = reported(store, if reopened { "d2" } else { "d1" }, 7);
        assert!(is_accepted(&new));
        let reuse = trace(store, &new).conversion.reuse.unwrap();
        assert_eq!(reuse.first, conversion_of(&first.verdict));
        assert_eq!(reuse.nth, if reopened { 5 } else { 4 });
    });
}

pub fn ids_that_are_used_again_and_again_are_listed_by_source(engine: &EngineUnderTest) {
    let store = engine.open();
    for (id, times) in [("once", 1), ("twice", 2), ("thrice", 3), ("PURCHASE", 6)] {
        for number in 0..times {
            sale(id).click(&format!("c{number}")).receive(&*store);
        }
    }
    let listed = |store: &dyn Store, name: &str, limit| {
        let name = crate::domain::ids::SourceId::parse(name).unwrap();
        let reused = wait(store.reused_transactions(name, limit)).unwrap();
        let one = |one: crate::store::contract::lookup::ReusedTransaction| {
            (one.newest.transaction_id.unwrap(), one.conversions)
        };
        reused.into_iter().map(one).collect::<Vec<_>>()
    };
    before_and_after_reopening(engine, store, |store, _| {
        let both = [("PURCHASE".to_owned(), 6), ("thrice".to_owned(), 3)];
        assert_eq!(listed(store, "network", 5), both);
        assert_eq!(listed(store, "network", 1), both[..1]);
        assert_eq!(listed(store, "other", 5), []);
    });
}

/// A sale whose event is inferred from its value.
fn by_value(transaction: &str, value: &str) -> Sale {
    let mut reported = sale(transaction).forward().value(value);
    let event = |name: &str| EventName::parse(name).unwrap();
    reported.draft.event = EventClaim::ByValue { positive: event("Purchase"), zero: event("Lead") };
    reported
}

fn reversal(transaction: &str) -> Sale {
    let mut reported = sale(transaction);
    reported.draft.status = Some(crate::domain::status::Status::Rejected);
    reported.draft.item_id = None;
    reported
}

/// A quarantined postback that takes back a sale.
fn early(store: &dyn Store, transaction: &str) -> Seq {
    let receipt = wait(store.arrive(by_value(transaction, "-7").arrival())).unwrap();
    let Verdict::Quarantined(rejection) = &receipt.verdict else { panic!("{receipt:?}") };
    assert_eq!(rejection.code(), RejectionCode::UnknownTransaction);
    receipt.postback
}

/// Reprocesses a record as ingest does.
fn reprocessed(store: &dyn Store, of: Seq, reported: Sale) -> Receipt {
    let mut arrival = reported.arrival();
    arrival.again = Some(Reprocess { of, now: at(9) });
    wait(store.arrive(arrival)).unwrap()
}

pub fn a_reversal_is_ready_when_its_sale_is_received_and_only_once(engine: &EngineUnderTest) {
    let store = engine.open();
    let (mine, others) = (early(&*store, "t"), early(&*store, "u"));
    let second = early(&*store, "t");
    assert_eq!(wait(store.reversals_ready(9)).unwrap(), []);
    let purchase = by_value("t", "7").receive(&*store);
    assert_eq!(wait(store.reversals_ready(1)).unwrap(), [mine]);
    assert_eq!(wait(store.reversals_ready(9)).unwrap(), [second]);
    assert_eq!(wait(store.reversals_ready(9)).unwrap(), []);
    let done = reprocessed(&*store, mine, by_value("t", "-7"));
    assert_eq!(done.verdict, Verdict::Updated { conversion: conversion_of(&purchase.verdict) });
    let done = reprocessed(&*store, second, by_value("t", "-7"));
    assert!(matches!(done.verdict, Verdict::Duplicate { .. }), "{done:?}");
    before_and_after_reopening(engine, store, |store, reopened| {
        assert_eq!(wait(store.reversals_ready(9)).unwrap(), [], "those are done");
        if reopened {
            by_value("u", "0").receive(store);
            assert_eq!(
                wait(store.reversals_ready(9)).unwrap(),
                [others],
                "a Lead is a sale that is taken back too"
            );
        }
    });
}

pub fn a_reversal_that_was_not_reprocessed_is_ready_after_the_next_start(engine: &EngineUnderTest) {
    let store = engine.open();
    let mine = early(&*store, "t");
    by_value("t", "7").receive(&*store);
    before_and_after_reopening(engine, store, |store, _| {
        assert_eq!(wait(store.reversals_ready(9)).unwrap(), [mine]);
        assert_eq!(wait(store.reversals_ready(9)).unwrap(), []);
    });
}

pub fn a_reversal_of_a_later_sale_under_its_id_is_ready_too(engine: &EngineUnderTest) {
    let store = engine.open();
    let first = sale("t").click("c1").receive(&*store);
    assert!(is_accepted(&first));
    // Under another event there is nothing to take back yet.
    let mut refund = by_value("t", "-7");
    let event = |name: &str| EventName::parse(name).unwrap();
    refund.draft.event = EventClaim::ByValue { positive: event("Subscribe"), zero: event("Lead") };
    let refund = wait(store.arrive(refund.arrival())).unwrap().postback;
    sale("t").click("c2").receive(&*store);
    assert_eq!(wait(store.reversals_ready(9)).unwrap(), []);
    let mut other = sale("t").click("c3");
    other.draft.event = EventClaim::Named(event("Subscribe"));
    other.receive(&*store);
    assert_eq!(wait(store.reversals_ready(9)).unwrap(), [refund]);
}

pub fn a_reversal_that_a_person_reprocessed_is_not_handed_out(engine: &EngineUnderTest) {
    let store = engine.open();
    let mine = early(&*store, "t");
    let still = reprocessed(&*store, mine, by_value("t", "-7"));
    assert!(matches!(still.verdict, Verdict::Quarantined(_)));
    by_value("t", "7").receive(&*store);
    before_and_after_reopening(engine, store, |store, _| {
        assert_eq!(
            wait(store.reversals_ready(9)).unwrap(),
            [still.postback],
            "the one that waits now, not the first"
        );
    });
    let store = engine.open();
    purge_all(&*store, PurgeBefore { postbacks: at(DAY), conversions: at(DAY), clicks: at(DAY) });
    assert_eq!(wait(store.conversions(ConversionFilter::default(), first_page(9))).unwrap().items.len(), 1);
    assert_eq!(wait(store.reversals_ready(9)).unwrap(), [], "one whose bytes are purged is not handed out");
}
