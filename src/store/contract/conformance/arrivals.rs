//! What must hold of arrivals and of the clicks that they name.

use std::sync::Arc;

use crate::domain::code::CodedReason;
use crate::domain::conversion::Dedup;
use crate::domain::delivery::DeliveryState;
use crate::domain::history::Cause;
use crate::domain::ids::Seq;
use crate::domain::ignored::IgnoredReason;
use crate::domain::postback::{Verdict, VerdictName};
use crate::domain::rejection::note::ReportNote;
use crate::domain::status::Status;
use crate::store::contract::Store;
use crate::store::contract::arrival::{Arrival, ClickRecorded, Finding, Receipt, Reprocess};
use crate::store::contract::conformance::fixture::engine::{EngineUnderTest, before_and_after_reopening};
use crate::store::contract::conformance::fixture::received::{
    DAY, HOUR, Sale, at, click, click_id, go_by, next_id, quarantined, sale, unscreened, usd, wait,
};
use crate::store::contract::conformance::fixture::work::{
    backlog, claim, claim_some, conversion_of, fall_due, first_page, states, tally, trace, transactions,
};
use crate::store::contract::error::StoreError;
use crate::store::contract::lookup::{ConversionFilter, PostbackFilter};
use crate::store::contract::work::FallsDue;

pub fn an_accepted_sale_is_stored_whole_and_survives_reopening(engine: &EngineUnderTest) {
    let store = engine.open();
    wait(store.record_click(unscreened(click("c1")))).unwrap();
    let reported = sale("t1").click("c1").at(at(5));
    let receipt = reported.clone().receive(&*store);
    assert!(matches!(receipt.verdict, Verdict::Accepted { .. }), "{receipt:?}");
    assert_eq!(receipt.matched, Some(true));
    let before = trace(&*store, &receipt);
    drop(store);
    let store = engine.open();
    for trace in [before, trace(&*store, &receipt)] {
        assert_eq!(trace.conversion.value, Some(usd("7.00")));
        assert_eq!(trace.conversion.seq, receipt.postback);
        assert_eq!(trace.conversion.params, reported.draft.params);
        assert_eq!(trace.click.as_deref(), Some(&click("c1")));
        assert_eq!(trace.deliveries.len(), 1);
        assert_eq!(trace.deliveries[0].0.state, DeliveryState::Waiting { due: at(5) });
        assert_eq!(trace.postbacks.len(), 1);
        let raw = trace.postbacks[0].raw.as_ref().unwrap();
        assert!(raw.line.starts_with(b"GET /***/collect/network?s1=abc&s2=c1&tid=t1"));
    }
}

pub fn of_two_equal_arrivals_one_is_accepted_and_one_a_duplicate(engine: &EngineUnderTest) {
    let store = engine.open();
    let first = sale("t1").receive(&*store);
    assert!(matches!(first.verdict, Verdict::Accepted { .. }));
    let second = sale("t1").at(at(9)).receive(&*store);
    assert_eq!(second.verdict, Verdict::Duplicate { conversion: conversion_of(&first.verdict) });
    assert_eq!(second.postback, Seq::new(2).unwrap());
    drop(store);
    let store = engine.open();
    let third = sale("t1").receive(&*store);
    assert!(matches!(third.verdict, Verdict::Duplicate { .. }), "after reopening");
    assert_eq!(third.postback, Seq::new(3).unwrap());
    assert_eq!(transactions(&*store, ConversionFilter::default()), ["t1"]);
}

pub fn of_64_parallel_equal_arrivals_exactly_one_is_accepted(engine: &EngineUnderTest) {
    let store = engine.open();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).build().unwrap();
    for round in 0..20 {
        let tasks: Vec<_> = (0..64)
            .map(|_| {
                let store = Arc::clone(&store);
                let arrival = sale(&format!("t{round}")).arrival();
                runtime.spawn(async move { store.arrive(arrival).await.unwrap().verdict })
            })
            .collect();
        let verdicts: Vec<Verdict> = tasks.into_iter().map(|task| runtime.block_on(task).unwrap()).collect();
        let accepted = verdicts.iter().filter(|verdict| matches!(verdict, Verdict::Accepted { .. })).count();
        let repeated = verdicts.iter().filter(|verdict| matches!(verdict, Verdict::Duplicate { .. })).count();
        assert_eq!((accepted, repeated), (1, 63));
    }
    assert_eq!(claim_some(&*store, "ads", at(DAY), 1000, 1000).len(), 0, "held without their click");
    assert_eq!(backlog(&*store, "ads", at(0)).unwrap().held, 20);
}

pub fn a_change_is_an_update_and_replaces_what_is_shown(engine: &EngineUnderTest) {
    let store = engine.open();
    let first = sale("t1").forward().receive(&*store);
    let second = sale("t1").forward().value("9").at(at(50)).receive(&*store);
    assert_eq!(second.verdict, Verdict::Updated { conversion: conversion_of(&first.verdict) });
    drop(store);
    let store = engine.open();
    let shown = trace(&*store, &first);
    assert_eq!(shown.conversion.value, Some(usd("9")));
    assert_eq!(shown.conversion.history.len(), 1);
    assert_eq!(shown.conversion.history[0].cause, Cause::Postback(second.postback));
    let postbacks: Vec<Seq> = shown.postbacks.iter().map(|postback| postback.seq).collect();
    assert_eq!(postbacks, [first.postback, second.postback]);
    assert_eq!(shown.deliveries.len(), 1, "what waits is sent with the new value");
    assert_eq!(claim(&*store, "ads", at(60))[0].conversion.value, Some(usd("9")));
    let third = sale("t1").forward().value("9.00").receive(&*store);
    assert!(matches!(third.verdict, Verdict::Duplicate { .. }), "9 is 9.00");
}

pub fn a_sale_that_changes_without_end_is_quarantined(engine: &EngineUnderTest) {
    let store = engine.open_by(sale("any").forward().rules());
    let reported: Vec<_> =
        (0..510).map(|n| store.arrive(sale("t1").value(&n.to_string()).arrival())).collect();
    let verdicts: Vec<Verdict> =
        reported.into_iter().map(|reported| wait(reported).unwrap().verdict).collect();
    let count = |word: &str| verdicts.iter().filter(|verdict| verdict.as_str() == word).count();
    assert_eq!((count("accepted"), count("updated"), count("quarantined")), (1, 500, 9));
    assert_eq!(claim(&*store, "ads", at(0))[0].conversion.value, Some(usd("500")));
}

pub fn a_quarantined_postback_is_kept_and_leaves_the_open_list_once_it_is_reprocessed(
    engine: &EngineUnderTest,
) {
    let store = engine.open();
    let bad = wait(store.arrive(quarantined("no price", at(1)))).unwrap();
    assert_eq!(bad.matched, None);
    let open = PostbackFilter {
        verdict: Some(VerdictName::Quarantined),
        open_only: true,
        ..PostbackFilter::default()
    };
    let list = |store: &dyn Store| wait(store.postbacks(open.clone(), first_page(10))).unwrap().items;
    assert_eq!(list(&*store).len(), 1);
    assert!(
        matches!(&list(&*store)[0].verdict, Verdict::Quarantined(rejection) if rejection.sentence() == "no price")
    );
    let mut again = sale("t1").arrival();
    again.again = Some(Reprocess { of: bad.postback, now: at(2) });
    let mapped = wait(store.arrive(again)).unwrap();
    assert_eq!(list(&*store), vec![]);
    drop(store);
    let store = engine.open();
    assert_eq!(list(&*store), vec![], "after reopening");
    assert_eq!(wait(store.postback(mapped.postback)).unwrap().unwrap().again, Some(bad.postback));
    assert!(wait(store.postback(bad.postback)).unwrap().unwrap().raw.is_some());
}

pub fn an_ignored_postback_makes_nothing_is_found_by_its_verdict_and_can_be_reprocessed(
    engine: &EngineUnderTest,
) {
    let store = engine.open();
    let reason = IgnoredReason::ByTemplate { field: "event".to_owned(), value: "ping".to_owned() };
    let mut ping = sale("t1").arrival();
    ping.finding = Finding::Ignored { reason: reason.clone(), notes: vec![ReportNote::NoIdentity] };
    let receipt = wait(store.arrive(ping)).unwrap();
    assert_eq!((&receipt.verdict, receipt.matched), (&Verdict::Ignored(reason), None));
    assert_eq!(receipt.notes, [ReportNote::NoIdentity]);
    assert_eq!(wait(store.postback(receipt.postback)).unwrap().unwrap().notes, [ReportNote::NoIdentity]);
    wait(store.arrive(quarantined("no price", at(1)))).unwrap();
    let list = |store: &dyn Store, open_only| {
        let filter =
            PostbackFilter { verdict: Some(VerdictName::Ignored), open_only, ..PostbackFilter::default() };
        let items = wait(store.postbacks(filter, first_page(10))).unwrap().items;
        items.into_iter().map(|one| one.verdict).collect::<Vec<_>>()
    };
    assert_eq!(list(&*store, false), vec![receipt.verdict.clone()]);
    assert_eq!(wait(store.conversions(ConversionFilter::default(), first_page(10))).unwrap().items, vec![]);
    assert_eq!(tally(&*store).open_quarantine, 1, "it does not wait for a fix");
    let mut again = sale("t1").arrival();
    again.again = Some(Reprocess { of: receipt.postback, now: at(2) });
    assert!(matches!(wait(store.arrive(again.clone())).unwrap().verdict, Verdict::Accepted { .. }));
    let refused = wait(store.arrive(Arrival { id: next_id(), ..again }));
    assert!(
        matches!(refused, Err(StoreError::ReprocessedAlready { .. })),
        "its bytes count once: {refused:?}"
    );
    drop(store);
    let store = engine.open();
    assert_eq!((list(&*store, false), list(&*store, true)), (vec![receipt.verdict], vec![]));
    assert_eq!(tally(&*store).open_quarantine, 1);
}

pub fn the_bytes_of_one_postback_become_a_conversion_once_only(engine: &EngineUnderTest) {
    let store = engine.open();
    let bad = wait(store.arrive(quarantined("no price", at(1)))).unwrap();
    let mapping = |of: Seq, mut arrival: Arrival| {
        arrival.again = Some(Reprocess { of, now: at(9) });
        arrival
    };
    // Every postback its own conversion: no transaction id would distinguish the second from the first.
    let mut each = sale("t1").forward();
    each.policy.dedup = Dedup::Each;
    let still = wait(store.arrive(mapping(bad.postback, quarantined("no price", at(1))))).unwrap();
    let queued = [bad.postback, still.postback, bad.postback]
        .map(|of| store.arrive(mapping(of, each.clone().arrival())));
    let reported = queued.map(wait);
    let made = reported[0].as_ref().unwrap();
    assert!(matches!(made.verdict, Verdict::Accepted { .. }));
    let is_refused = |reported: &Result<Receipt, StoreError>| matches!(reported, Err(StoreError::ReprocessedAlready { by }) if *by == made.postback);
    assert!(reported[1..].iter().all(is_refused), "{reported:?}");
    before_and_after_reopening(engine, store, |store, _| {
        for of in [bad.postback, still.postback] {
            assert!(is_refused(&wait(store.arrive(mapping(of, each.clone().arrival())))));
            assert!(is_refused(&wait(store.arrive(mapping(of, quarantined("no price", at(1)))))));
        }
        let kept = wait(store.postbacks(PostbackFilter::default(), first_page(9))).unwrap().items;
        assert_eq!(kept.len(), 3, "a refused mapping leaves no record");
        assert_eq!(transactions(store, ConversionFilter::default()), ["t1"]);
    });
}

pub fn what_a_postback_that_is_reprocessed_causes_counts_from_then(engine: &EngineUnderTest) {
    let store = engine.open();
    let retry_postback = |reported: Sale| {
        let bad = wait(store.arrive(quarantined("no price", reported.at))).unwrap();
        go_by(&*store, reported.rules());
        let mut arrival = reported.arrival();
        arrival.again = Some(Reprocess { of: bad.postback, now: at(100 * HOUR) });
        wait(store.arrive(arrival)).unwrap()
    };
    let held = retry_postback(sale("held").click("c1"));
    assert_eq!(states(&*store, &held), [DeliveryState::Held { until: at(172 * HOUR) }]);
    assert_eq!(fall_due(&*store, FallsDue::Holds, at(100 * HOUR), 9), 0);
    let sent = retry_postback(sale("sent").forward());
    assert_eq!(states(&*store, &sent), [DeliveryState::Waiting { due: at(100 * HOUR) }]);
    let conversion = trace(&*store, &sent).conversion;
    assert_eq!(
        (conversion.event_time, conversion.received_at),
        (at(0), at(0)),
        "it happened when it was received"
    );
    let changed = retry_postback(sale("sent").forward().value("9").at(at(5)));
    assert_eq!(trace(&*store, &changed).conversion.history[0].at, at(100 * HOUR));
}

pub fn a_large_body_is_kept_byte_for_byte(engine: &EngineUnderTest) {
    let store = engine.open();
    let sizes = [0, 1, 6_000, 7_100, 7_200, 65_536, 300_000];
    let receipts: Vec<Receipt> =
        sizes.iter().map(|size| sale(&format!("t{size}")).body(*size).receive(&*store)).collect();
    before_and_after_reopening(engine, store, |store, _| {
        for (receipt, size) in receipts.iter().zip(sizes) {
            let postback = wait(store.postback(receipt.postback)).unwrap().unwrap();
            assert!(postback.raw.unwrap().body == sale("x").body(size).body, "{size} bytes");
        }
    });
}

pub fn a_click_frees_what_was_held_for_it(engine: &EngineUnderTest) {
    let store = engine.open();
    let held = sale("t1").click(" c1 ").to(&["ads", "other"]).receive(&*store);
    let elsewhere = sale("t2").click("c2").receive(&*store);
    assert_eq!(held.matched, Some(false));
    assert_eq!(states(&*store, &held)[0], DeliveryState::Held { until: at(72 * HOUR) });
    drop(store);
    let store = engine.open();
    let mut received_text = click("c1");
    received_text.recorded_at = at(700);
    assert_eq!(wait(store.record_click(unscreened(received_text))).unwrap().recorded, ClickRecorded::New);
    for _ in 0..2 {
        let due = DeliveryState::Waiting { due: at(700) };
        assert_eq!(states(&*store, &held), [due.clone(), due]);
        assert!(matches!(states(&*store, &elsewhere)[0], DeliveryState::Held { .. }));
    }
    drop(store);
    let store = engine.open();
    let work = claim(&*store, "ads", at(800));
    assert_eq!(work.len(), 1);
    assert_eq!(work[0].click.as_ref().unwrap().id, click_id("c1"));
    assert_eq!(trace(&*store, &held).conversion.history[0].cause, Cause::Click(click_id("c1")));
}

pub fn a_click_frees_what_only_an_update_named(engine: &EngineUnderTest) {
    let store = engine.open();
    let first = sale("t1").receive(&*store);
    let second = sale("t1").click("c1").receive(&*store);
    assert!(matches!(second.verdict, Verdict::Updated { .. }), "{second:?}");
    assert_eq!(second.matched, Some(false));
    wait(store.record_click(unscreened(click("c1")))).unwrap();
    assert_eq!(states(&*store, &first), [DeliveryState::Waiting { due: at(0) }]);
}

pub fn a_click_that_is_received_first_matches_at_once(engine: &EngineUnderTest) {
    let store = engine.open();
    wait(store.record_click(unscreened(click("c1")))).unwrap();
    let id = wait(store.find_click("c1 ")).unwrap().unwrap().click.id.clone();
    assert_eq!(id, click_id("c1"));
    assert_eq!(wait(store.find_click("c2")).unwrap(), None);
    assert_eq!(sale("t1").click("c1").receive(&*store).matched, Some(true));
    drop(store);
    let store = engine.open();
    assert_eq!(wait(store.click(&click_id("c1"))).unwrap().as_deref(), Some(&click("c1")));
    assert_eq!(sale("t2").click("c1").receive(&*store).matched, Some(true));
}

pub fn a_click_matches_a_pending_sale_that_is_approved_later(engine: &EngineUnderTest) {
    let store = engine.open();
    let pending = sale("t1").click("c1").status(Status::Pending).receive(&*store);
    assert_eq!(states(&*store, &pending), []);
    wait(store.record_click(unscreened(click("c1")))).unwrap();
    let approved = sale("t1").click("c1").at(at(10)).receive(&*store);
    assert_eq!(approved.matched, Some(true));
    assert_eq!(states(&*store, &pending), [DeliveryState::Waiting { due: at(10) }]);
}

pub fn a_known_click_only_fills_what_it_lacks(engine: &EngineUnderTest) {
    let store = engine.open();
    wait(store.record_click(unscreened(click("c1")))).unwrap();
    let mut more = click("c1");
    more.landing_url = Some("https://other.example/".to_owned());
    assert_eq!(wait(store.record_click(unscreened(more.clone()))).unwrap().recorded, ClickRecorded::Known);
    more.referrer = Some("https://search.example/".to_owned());
    more.params.push(("gclid".to_owned(), "x".repeat(20_000)));
    assert_eq!(wait(store.record_click(unscreened(more))).unwrap().recorded, ClickRecorded::Filled);
    let known = wait(store.click(&click_id("c1"))).unwrap().unwrap();
    assert_eq!(known.landing_url, click("c1").landing_url);
    assert_eq!(known.referrer.as_deref(), Some("https://search.example/"));
    drop(store);
    let store = engine.open();
    assert_eq!(wait(store.click(&click_id("c1"))).unwrap().as_deref(), Some(&*known));
}

pub fn a_click_with_very_many_sales_waiting_frees_them_all(engine: &EngineUnderTest) {
    let store = engine.open();
    let queued: Vec<_> =
        (0..2500).map(|n| store.arrive(sale(&format!("t{n}")).click("c1").arrival())).collect();
    for receipt in queued {
        wait(receipt).unwrap();
    }
    assert_eq!(backlog(&*store, "ads", at(0)).unwrap().held, 2500);
    wait(store.record_click(unscreened(click("c1")))).unwrap();
    // The answer is given with the first step; each write after it goes along with one that follows.
    for _ in 0..2 {
        wait(store.probe()).unwrap();
    }
    let backlog = backlog(&*store, "ads", at(0)).unwrap();
    assert_eq!((backlog.held, backlog.waiting), (0, 2500));
}

pub fn a_dropped_future_does_not_undo_the_operation(engine: &EngineUnderTest) {
    let store = engine.open();
    drop(store.arrive(sale("t1").forward().arrival()));
    drop(store.record_click(unscreened(click("c1"))));
    wait(store.probe()).unwrap();
    assert_eq!(transactions(&*store, ConversionFilter::default()), ["t1"]);
    assert!(wait(store.click(&click_id("c1"))).unwrap().is_some());
}

pub fn a_closed_store_finishes_what_is_queued_and_refuses_later_commands(engine: &EngineUnderTest) {
    let store = engine.open();
    let queued: Vec<_> = (0..300).map(|n| store.arrive(sale(&format!("t{n}")).arrival())).collect();
    wait(store.close()).unwrap();
    for receipt in queued {
        assert!(matches!(wait(receipt).unwrap().verdict, Verdict::Accepted { .. }));
    }
    let late = wait(store.arrive(sale("late").arrival()));
    assert!(matches!(late, Err(StoreError::Closed)), "{late:?}");
    drop(store);
    assert_eq!(wait(engine.open().backlog(at(0))).unwrap()[0].held, 300);
}

pub fn a_probe_is_answered(engine: &EngineUnderTest) {
    let store = engine.open();
    wait(store.probe()).unwrap();
    wait(store.probe()).unwrap();
    assert_eq!(transactions(&*store, ConversionFilter::default()), Vec::<String>::new());
}
