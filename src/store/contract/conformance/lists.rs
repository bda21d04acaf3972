//! What must hold of lists and of purging.

use crate::domain::conversion::EventClaim;
use crate::domain::delivery::{DeliveryState, DeliveryStateName, ReplyVerdict};
use crate::domain::event::EventName;
use crate::domain::expiry::AgeRule;
use crate::domain::ids::{AffiliateId, CampaignId, CreativeId, OfferId, SourceId};
use crate::domain::postback::{Verdict, VerdictName};
use crate::domain::rejection::code::RejectionCode;
use crate::domain::status::Status;
use crate::domain::time::Time;
use crate::domain::unsent::{UndeliveredCode, UnsentContext};
use crate::store::contract::arrival::{Receipt, Reprocess};
use crate::store::contract::change::PurgeBefore;
use crate::store::contract::conformance::fixture::attempt::{dead, delivered, failed, one};
use crate::store::contract::conformance::fixture::engine::{EngineUnderTest, before_and_after_reopening};
use crate::store::contract::conformance::fixture::offer::placed;
use crate::store::contract::conformance::fixture::reason::rejected;
use crate::store::contract::conformance::fixture::received::{
    DAY, HOUR, at, click, click_id, destination, quarantined, sale, source, unscreened, usd, wait,
};
use crate::store::contract::conformance::fixture::work::{
    claim, conversion_of, fall_due, first_page, never, purge_all, states, trace, transactions,
};
use crate::store::contract::error::StoreError;
use crate::store::contract::lookup::{
    ConversionFilter, DeliveryFilter, ListedDelivery, PageRequest, PostbackFilter, ReasonFilter,
};
use crate::store::contract::work::{AttemptOutcome, Claimed, FallsDue};

pub fn lists_go_newest_first_page_by_page(engine: &EngineUnderTest) {
    let store = engine.open();
    let mut reported: Vec<String> = Vec::new();
    for n in 0..50 {
        reported.push(format!("t{n}"));
        sale(&format!("t{n}")).forward().to(&["ads", "other"]).receive(&*store);
    }
    reported.reverse();
    let mut seen = Vec::new();
    let mut cursor = None;
    loop {
        let page = PageRequest { cursor, limit: 7 };
        let page = wait(store.conversions(ConversionFilter::default(), page)).unwrap();
        assert!(page.items.len() <= 7);
        seen.extend(page.items.into_iter().filter_map(|(conversion, _)| conversion.transaction_id));
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen, reported);
    let (mut deliveries, mut cursor) = (Vec::new(), None);
    loop {
        let page = PageRequest { cursor, limit: 3 };
        let page = wait(store.deliveries(DeliveryFilter::default(), page)).unwrap();
        deliveries.extend(page.items.into_iter().map(|listed| listed.delivery.id(listed.conversion.id)));
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    let distinct: std::collections::BTreeSet<_> = deliveries.iter().collect();
    assert_eq!((deliveries.len(), distinct.len()), (100, 100));
    let postbacks = wait(store.postbacks(PostbackFilter::default(), first_page(1000))).unwrap();
    let numbers: Vec<u64> = postbacks.items.iter().map(|postback| postback.seq.get()).collect();
    assert_eq!(numbers, (1..=50).rev().collect::<Vec<u64>>());
    let nonsense = PageRequest { cursor: Some("nonsense".to_owned()), limit: 3 };
    let refused = wait(store.conversions(ConversionFilter::default(), nonsense));
    assert!(matches!(refused, Err(StoreError::Cursor(cursor)) if cursor == "nonsense"));
}

pub fn lists_obey_their_filters(engine: &EngineUnderTest) {
    let store = engine.open();
    wait(store.record_click(unscreened(click("c1")))).unwrap();
    sale("a").click("c1").at(at(10)).receive(&*store);
    sale("b").status(Status::Pending).at(at(20)).receive(&*store);
    sale("c").click("unseen").at(at(30)).receive(&*store);
    sale("d").forward().at(at(40)).receive(&*store);
    sale("d").forward().click("late").at(at(41)).receive(&*store);
    let mut elsewhere = sale("e").at(at(50));
    elsewhere.draft.source = SourceId::parse("shop").unwrap();
    elsewhere.draft.event = EventClaim::Named(EventName::parse("Lead").unwrap());
    elsewhere.receive(&*store);
    let list = |filter: ConversionFilter| transactions(&*store, filter);
    let all = ConversionFilter::default;
    assert_eq!(list(all()), ["e", "d", "c", "b", "a"]);
    assert_eq!(list(ConversionFilter { transaction_id: Some("c".to_owned()), ..all() }), ["c"]);
    assert_eq!(list(ConversionFilter { click_id: Some("c1".to_owned()), ..all() }), ["a"]);
    assert_eq!(list(ConversionFilter { click_id: Some("unseen".to_owned()), ..all() }), ["c"]);
    assert_eq!(list(ConversionFilter { click_id: Some("late".to_owned()), ..all() }), ["d"]);
    assert_eq!(list(ConversionFilter { status: Some(Status::Pending), ..all() }), ["b"]);
    assert_eq!(list(ConversionFilter { event: Some("Lead".to_owned()), ..all() }), ["e"]);
    assert_eq!(list(ConversionFilter { source: Some(source()), ..all() }), ["d", "c", "b", "a"]);
    assert_eq!(list(ConversionFilter { state: Some(DeliveryStateName::Held), ..all() }), ["e", "c"]);
    assert_eq!(list(ConversionFilter { state: Some(DeliveryStateName::Waiting), ..all() }), ["d", "a"]);
    assert_eq!(list(ConversionFilter { since: Some(at(20)), until: Some(at(40)), ..all() }), ["c", "b"]);
    let verdict = |verdict| PostbackFilter { verdict: Some(verdict), ..PostbackFilter::default() };
    let postbacks = |filter| wait(store.postbacks(filter, first_page(100))).unwrap().items.len();
    assert_eq!((postbacks(verdict(VerdictName::Accepted)), postbacks(verdict(VerdictName::Updated))), (5, 1));
    let shop = PostbackFilter { source: SourceId::parse("shop").ok(), ..PostbackFilter::default() };
    assert_eq!(postbacks(shop), 1);
    let waiting = DeliveryFilter { state: Some(DeliveryStateName::Waiting), ..DeliveryFilter::default() };
    assert_eq!(wait(store.deliveries(waiting, first_page(100))).unwrap().items.len(), 2);
}

pub fn conversions_are_listed_by_where_they_belong_and_by_their_sub_ids(engine: &EngineUnderTest) {
    let store = engine.open();
    let clicked = |id: &str, offer: &str, campaign: &str, s1: &str| {
        let mut clicked = click(id);
        clicked.context.campaign_ref = Some(placed(offer, campaign));
        clicked.sub_ids = vec![("sub1".to_owned(), s1.to_owned()), ("s2".to_owned(), "same".to_owned())];
        wait(store.record_click(unscreened(clicked))).unwrap();
    };
    clicked("c1", "565", "8599", "blue");
    clicked("c2", "9", "7", "red");
    sale("a").click("c1").receive(&*store);
    sale("b").click("c2").receive(&*store);
    let mut own = sale("c");
    own.draft.params = vec![("s1".to_owned(), "blue".to_owned())];
    own.receive(&*store);
    sale("d").receive(&*store);
    before_and_after_reopening(engine, store, |store, _| {
        let list = |filter: ConversionFilter| transactions(store, filter);
        let all = ConversionFilter::default;
        assert_eq!(list(ConversionFilter { offer: OfferId::parse("565").ok(), ..all() }), ["a"]);
        assert_eq!(list(ConversionFilter { campaign: CampaignId::parse("7").ok(), ..all() }), ["b"]);
        let found = placed("565", "8599");
        assert_eq!(list(ConversionFilter { affiliate: found.affiliate.clone(), ..all() }), ["b", "a"]);
        let other = AffiliateId::parse("no-ones").ok();
        assert_eq!(list(ConversionFilter { affiliate: other, ..all() }), [""; 0]);
        let creative = CreativeId::parse("no-ones").ok();
        assert_eq!(list(ConversionFilter { creative, ..all() }), [""; 0]);
        let sub_ids = |values: [&str; 5]| {
            let sub_ids = values.map(|value| Some(value.to_owned()).filter(|value| !value.is_empty()));
            list(ConversionFilter { sub_ids, ..all() })
        };
        assert_eq!(sub_ids(["blue", "", "", "", ""]), ["c", "a"]);
        assert_eq!(sub_ids(["", "same", "", "", ""]), ["b", "a"]);
        assert_eq!(sub_ids(["blue", "same", "", "", ""]), ["a"]);
        assert_eq!(sub_ids(["", "", "same", "", ""]), [""; 0]);
    });
}

pub fn postbacks_are_listed_by_why_they_were_rejected(engine: &EngineUnderTest) {
    let store = engine.open();
    sale("a").receive(&*store);
    let mut reversal = sale("unheard-of");
    reversal.draft.event = EventClaim::sale_or_lead();
    reversal.draft.value = Some(usd("-5"));
    let reversal = reversal.receive(&*store).postback;
    before_and_after_reopening(engine, store, |store, _| {
        let list = |reason_code: Option<RejectionCode>, field: Option<&str>| {
            let field = field.map(str::to_owned);
            let filter = PostbackFilter { reason_code, field, ..PostbackFilter::default() };
            let found = wait(store.postbacks(filter, first_page(9))).unwrap().items;
            found.iter().map(|postback| postback.seq).collect::<Vec<_>>()
        };
        let unknown = Some(RejectionCode::UnknownTransaction);
        assert_eq!(list(unknown, None), [reversal]);
        assert_eq!(list(unknown, Some("transaction_id")), [reversal]);
        assert_eq!(list(None, Some("transaction_id")), [reversal]);
        assert_eq!(list(unknown, Some("price")), []);
        assert_eq!(list(Some(RejectionCode::AmbiguousTransaction), None), []);
    });
}

pub fn a_list_goes_on_past_an_old_record_that_was_reprocessed_lately(engine: &EngineUnderTest) {
    let store = engine.open();
    let bad = wait(store.arrive(quarantined("no price", at(0)))).unwrap();
    sale("young").at(at(9 * DAY)).receive(&*store);
    let mut again = sale("old").arrival();
    again.again = Some(Reprocess { of: bad.postback, now: at(9 * DAY) });
    wait(store.arrive(again)).unwrap();
    let since = ConversionFilter { since: Some(at(8 * DAY)), ..ConversionFilter::default() };
    assert_eq!(transactions(&*store, since), ["young"]);
}

pub fn dead_letters_are_listed_with_their_last_attempt(engine: &EngineUnderTest) {
    let store = engine.open();
    for n in 0..30 {
        sale(&format!("t{n}")).forward().to(&["ads", "other"]).receive(&*store);
    }
    for (n, work) in claim(&*store, "ads", at(0)).iter().enumerate() {
        let outcome = if n % 10 == 3 { dead(work, at(1)) } else { delivered(work, at(1)) };
        wait(store.record(one(outcome))).unwrap();
    }
    let filter = DeliveryFilter { state: Some(DeliveryStateName::Dead), ..DeliveryFilter::default() };
    before_and_after_reopening(engine, store, |store, reopened| {
        let page = wait(store.deliveries(filter.clone(), first_page(2))).unwrap();
        let name = |listed: &ListedDelivery| listed.conversion.transaction_id.clone().unwrap();
        assert_eq!(page.items.iter().map(name).collect::<Vec<_>>(), ["t23", "t13"]);
        let classified = &page.items[0].last_attempt.as_ref().unwrap().verdict;
        assert_eq!(*classified, ReplyVerdict::Dead { reason: rejected("bad token") });
        let rest = PageRequest { cursor: page.next_cursor, limit: 2 };
        let rest = wait(store.deliveries(filter.clone(), rest)).unwrap();
        assert_eq!(rest.items.iter().map(name).collect::<Vec<_>>(), ["t3"]);
        if reopened {
            wait(store.retry(rest.items[0].delivery.id(rest.items[0].conversion.id), at(5), AgeRule::Counts))
                .unwrap()
                .unwrap();
            assert_eq!(wait(store.deliveries(filter.clone(), first_page(9))).unwrap().items.len(), 2);
        }
    });
}

pub fn deliveries_are_listed_by_the_code_that_holds_now(engine: &EngineUnderTest) {
    let store = engine.open();
    let rules = sale("any").forward().to(&["ads", "other"]).rules();
    sale("late").click("late").to(&["ads"]).receive(&*store);
    sale("lost").click("lost").to(&["ads"]).receive(&*store);
    fall_due(&*store, FallsDue::Holds, at(73 * HOUR), 9);
    wait(store.record_click(unscreened(click("late")))).unwrap();
    sale("waits").forward().to(&["ads"]).receive(&*store);
    sale("waits").forward().to(&["ads"]).status(Status::Pending).receive(&*store);
    sale("removed").forward().to(&["gone"]).receive(&*store);
    sale("lookup").click("lookup").to(&["ads"]).receive(&*store);
    sale("untried").forward().to(&["ads"]).receive(&*store);
    for (name, outcome) in [("dead", dead as fn(&Claimed, Time) -> AttemptOutcome), ("sent", delivered)] {
        sale(name).forward().to(&["other"]).receive(&*store);
        let work = claim(&*store, "other", at(0)).remove(0);
        wait(store.record(one(outcome(&work, at(1))))).unwrap();
    }
    let removed = [(destination("gone"), at(9))].into();
    let circumstances = UnsentContext { rules, removed, ..UnsentContext::default() };
    before_and_after_reopening(engine, store, |store, _| {
        for (word, state, expected) in [
            ("platform_rejected", None, &["dead"][..]),
            ("platform_rejected", Some(DeliveryStateName::Dead), &["dead"]),
            ("platform_rejected", Some(DeliveryStateName::Skipped), &[]),
            ("gave_up", Some(DeliveryStateName::Dead), &[]),
            ("no_click", None, &["lost"]),
            ("click_too_late", None, &["late"]),
            ("pending", None, &["waits"]),
            ("destination_removed", None, &["removed"]),
            ("status_not_forwarded", None, &[]),
            ("awaits_turn", None, &["untried"]),
            ("awaits_click", None, &["lookup"]),
            ("awaits_retry", None, &[]),
        ] {
            let code = UndeliveredCode::parse(word).unwrap();
            let reason = Some(ReasonFilter { code, circumstances: circumstances.clone() });
            let filter = DeliveryFilter { state, reason, ..DeliveryFilter::default() };
            let found = wait(store.deliveries(filter, first_page(9))).unwrap().items;
            let names: Vec<_> =
                found.iter().filter_map(|one| one.conversion.transaction_id.as_deref()).collect();
            assert_eq!(names, expected, "{word}");
        }
    });
}

pub fn purging_strips_raw_bytes_and_keeps_the_conversion(engine: &EngineUnderTest) {
    let store = engine.open();
    let old: Vec<Receipt> = (0..40).map(|n| sale(&format!("t{n}")).body(9000).receive(&*store)).collect();
    let young = sale("young").at(at(DAY)).receive(&*store);
    let before = PurgeBefore { postbacks: at(DAY), ..never() };
    assert_eq!(purge_all(&*store, before), 40);
    assert_eq!(purge_all(&*store, before), 0, "nothing is stripped twice");
    before_and_after_reopening(engine, store, |store, _| {
        for receipt in &old {
            let trace = trace(store, receipt);
            assert_eq!(trace.postbacks[0].raw, None);
            assert_eq!(trace.conversion.value, Some(usd("7.00")));
        }
        assert!(trace(store, &young).postbacks[0].raw.is_some());
    });
}

pub fn purging_goes_past_any_number_of_records_that_are_stripped_already(engine: &EngineUnderTest) {
    let store = engine.open();
    // Bodies so long that each has a block of its own, as postbacks have that come one at a time.
    let receive = |day: i64, count: i64| {
        let reported = (0..count).map(|n| {
            let name = format!("d{day}-{n}");
            store.arrive(sale(&name).at(at(day * DAY)).body(15_000).arrival())
        });
        let reported: Vec<_> = reported.collect();
        reported.into_iter().map(|reported| wait(reported).unwrap()).collect::<Vec<Receipt>>()
    };
    receive(0, 300);
    let second = receive(1, 10);
    receive(2, 100);
    assert_eq!(purge_all(&*store, PurgeBefore { postbacks: at(DAY), ..never() }), 300);
    assert_eq!(purge_all(&*store, PurgeBefore { postbacks: at(2 * DAY), ..never() }), 10);
    for receipt in &second {
        assert_eq!(trace(&*store, receipt).postbacks[0].raw, None);
    }
}

pub fn purging_removes_a_finished_conversion_with_all_it_left(engine: &EngineUnderTest) {
    let store = engine.open();
    let receipts: Vec<Receipt> =
        (0..40).map(|n| sale(&format!("t{n}")).forward().body(5000).receive(&*store)).collect();
    sale("t7").forward().value("8").receive(&*store);
    wait(store.arrive(quarantined("no price", at(2)))).unwrap();
    for work in claim(&*store, "ads", at(0)) {
        wait(store.record(one(failed(&work, at(1), at(2))))).unwrap();
    }
    for work in claim(&*store, "ads", at(2)) {
        wait(store.record(one(delivered(&work, at(3))))).unwrap();
    }
    let young = sale("young").at(at(DAY)).receive(&*store);
    let before = PurgeBefore { postbacks: at(DAY), conversions: at(DAY), clicks: at(-DAY) };
    assert!(purge_all(&*store, before) >= 40);
    before_and_after_reopening(engine, store, |store, reopened| {
        for receipt in &receipts {
            assert!(wait(store.conversion(conversion_of(&receipt.verdict))).unwrap().is_none());
            assert!(wait(store.postback(receipt.postback)).unwrap().is_none());
        }
        assert_eq!(transactions(store, ConversionFilter::default()), ["young"]);
        let left = wait(store.postbacks(PostbackFilter::default(), first_page(100))).unwrap().items;
        assert_eq!(left.iter().map(|left| left.seq).collect::<Vec<_>>(), [young.postback]);
        if reopened {
            let again = sale("t7").at(at(DAY)).receive(store);
            assert!(matches!(again.verdict, Verdict::Accepted { .. }), "it is forgotten");
        }
    });
}

pub fn purging_never_takes_a_conversion_with_an_unfinished_delivery(engine: &EngineUnderTest) {
    let store = engine.open();
    let done = sale("done").forward().receive(&*store);
    let work = claim(&*store, "ads", at(0)).remove(0);
    wait(store.record(one(delivered(&work, at(1))))).unwrap();
    let half = sale("half").forward().to(&["ads", "other"]).receive(&*store);
    let work = claim(&*store, "ads", at(0)).remove(0);
    wait(store.record(one(delivered(&work, at(1))))).unwrap();
    let held = sale("held").receive(&*store);
    let all = PurgeBefore { postbacks: at(DAY), conversions: at(DAY), clicks: at(DAY) };
    purge_all(&*store, all);
    assert!(wait(store.conversion(conversion_of(&done.verdict))).unwrap().is_none());
    assert_eq!(trace(&*store, &half).deliveries[0].1.len(), 1, "its attempts stay too");
    assert_eq!(states(&*store, &held), [DeliveryState::Held { until: at(72 * HOUR) }]);
    let work = claim(&*store, "other", at(DAY)).remove(0);
    wait(store.record(one(delivered(&work, at(DAY))))).unwrap();
    fall_due(&*store, FallsDue::Holds, at(100 * HOUR), 9);
    purge_all(&*store, all);
    assert_eq!(transactions(&*store, ConversionFilter::default()), Vec::<String>::new());
}

pub fn purging_takes_clicks_past_their_time_only(engine: &EngineUnderTest) {
    let store = engine.open();
    let queued: Vec<_> = (0..1200i64)
        .map(|n| {
            let mut click = click(&format!("c{n}"));
            click.recorded_at = at(n);
            store.record_click(unscreened(click))
        })
        .collect();
    for recorded in queued {
        wait(recorded).unwrap();
    }
    assert_eq!(purge_all(&*store, PurgeBefore { clicks: at(1000), ..never() }), 1000);
    assert_eq!(wait(store.click(&click_id("c999"))).unwrap(), None);
    assert!(wait(store.click(&click_id("c1000"))).unwrap().is_some());
    assert_eq!(sale("t1").click("c5").receive(&*store).matched, Some(false));
}

pub fn purging_never_takes_a_click_that_a_delivery_still_needs(engine: &EngineUnderTest) {
    let store = engine.open();
    for id in ["c1", "c2", "c3", "c4"] {
        wait(store.record_click(unscreened(click(id)))).unwrap();
    }
    let all = PurgeBefore { clicks: at(DAY), ..never() };
    // Two sales of one click, a sale whose click is named by an update, and one that is done already.
    sale("t1").click("c1").to(&["ads", "other"]).receive(&*store);
    sale("t2").click("c1").receive(&*store);
    sale("t3").forward().to(&["other"]).receive(&*store);
    sale("t3").forward().to(&["other"]).click("c2").receive(&*store);
    sale("t4").click("c4").to(&["third"]).receive(&*store);
    let work = claim(&*store, "third", at(0)).remove(0);
    wait(store.record(one(delivered(&work, at(1))))).unwrap();
    assert_eq!(purge_all(&*store, all), 2, "no one needs c3 and c4");
    before_and_after_reopening(engine, store, |store, reopened| {
        assert_eq!(purge_all(store, all), 0);
        if reopened {
            for work in claim(store, "ads", at(2)) {
                assert!(work.click.is_some(), "it is sent with its click");
                wait(store.record(one(delivered(&work, at(2))))).unwrap();
            }
            assert_eq!(purge_all(store, all), 0, "c1 is needed elsewhere");
            let work = claim(store, "other", at(2));
            wait(store.record(one(failed(&work[0], at(2), at(3))))).unwrap();
            wait(store.record(one(delivered(&work[1], at(2))))).unwrap();
            assert_eq!(purge_all(store, all), 1);
            for work in claim(store, "other", at(3)) {
                wait(store.record(one(delivered(&work, at(3))))).unwrap();
            }
            assert_eq!(purge_all(store, all), 1);
        }
    });
}

pub fn numbers_are_not_given_twice_after_everything_was_purged(engine: &EngineUnderTest) {
    let store = engine.open();
    wait(store.arrive(quarantined("no price", at(1)))).unwrap();
    let last = wait(store.arrive(quarantined("no price", at(1)))).unwrap().postback;
    purge_all(&*store, PurgeBefore { postbacks: at(DAY), conversions: at(DAY), clicks: at(DAY) });
    drop(store);
    let store = engine.open();
    assert_eq!(sale("t1").receive(&*store).postback.get(), last.get() + 1);
    assert_eq!(transactions(&*store, ConversionFilter::default()), ["t1"]);
}
