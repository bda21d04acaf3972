//! What must hold of screened clicks and of visitors.

use std::sync::Arc;

use crate::domain::attribution::Attribution;
use crate::domain::candidate::NotChosen;
use crate::domain::click::{Agent, Click, ClickKind};
use crate::domain::filter::{DuplicateBy, FilterRules};
use crate::domain::filter_verdict::{Filter, FilterHit, FilterMode, FilterVerdict};
use crate::domain::ids::{OfferId, VisitorId};
use crate::domain::offer::{AttributionModel, Offer};
use crate::store::contract::Store;
use crate::store::contract::arrival::{ClickReceipt, ClickRecorded};
use crate::store::contract::conformance::fixture::engine::{EngineUnderTest, before_and_after_reopening};
use crate::store::contract::conformance::fixture::offer::offer;
use crate::store::contract::conformance::fixture::received::{
    DAY, HOUR, at, click_id, go_by, unscreened, wait,
};
use crate::store::contract::conformance::fixture::visit::{
    VISITOR, by, capped, duplicates, earned, on, receive, rules, screened, visit,
};
use crate::store::contract::conformance::fixture::work::trace;

pub fn is_hit(receipt: &ClickReceipt, filter: Filter) -> bool {
    receipt.click.context.verdicts.iter().any(|verdict| verdict.filter == filter && verdict.hit.is_some())
}

/// Reports all at once, from four threads, and gives the receipts.
fn at_once(store: &Arc<dyn Store>, clicks: Vec<Click>) -> Vec<ClickReceipt> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).build().unwrap();
    runtime.block_on(async {
        let mut tasks = tokio::task::JoinSet::new();
        for click in clicks {
            let store = Arc::clone(store);
            tasks.spawn(async move { store.record_click(screened(click)).await.unwrap() });
        }
        tasks.join_all().await
    })
}

pub fn of_equal_clicks_that_come_at_once_all_but_one_are_duplicates(engine: &EngineUnderTest) {
    for (number, rule) in
        [DuplicateBy::Cookie, DuplicateBy::Ip, DuplicateBy::IpAndAgent].into_iter().enumerate()
    {
        let store = engine.open_by(rules(&[offer("565")], duplicates(FilterMode::Enforce, rule)));
        let offer = format!("{number}");
        let clicks = (0..64).map(|n| on(visit(&format!("{number}-{n}"), at(0)), &offer));
        let receipts = at_once(&store, clicks.collect());
        let hit: Vec<bool> = receipts.iter().map(|receipt| is_hit(receipt, Filter::Duplicate)).collect();
        assert_eq!(hit.iter().filter(|hit| **hit).count(), 63, "{rule:?}");
        let blocked: Vec<bool> =
            receipts.iter().map(|reported| reported.click.context.is_blocked()).collect();
        assert_eq!(blocked, hit);
    }
}

pub fn a_duplicate_is_one_within_the_window_only_and_on_the_same_offer_only(engine: &EngineUnderTest) {
    let rules = rules(&[offer("565")], duplicates(FilterMode::Observe, DuplicateBy::Cookie));
    let store = engine.open_by(Arc::clone(&rules));
    assert!(!is_hit(&receive(&*store, visit("first", at(0))), Filter::Duplicate));
    drop(store);
    let store = engine.open_by(rules);
    let reported = |click| is_hit(&receive(&*store, click), Filter::Duplicate);
    assert!(!reported(on(visit("elsewhere", at(1)), "9")));
    assert!(!reported(by(visit("another", at(1)), "another-9876543210")));
    let second = receive(&*store, visit("second", at(HOUR - 1)));
    let duplicate = FilterHit::Duplicate { earlier: click_id("first"), window_ms: HOUR };
    assert_eq!(second.click.context.verdicts[0].hit, Some(duplicate));
    assert!(second.click.context.is_billable(), "it is only observed");
    assert!(reported(visit("third", at(2 * HOUR - 2))), "the second counts, so it begins the window anew");
    assert!(!reported(visit("fourth", at(3 * HOUR - 2))));
}

pub fn a_blocked_duplicate_does_not_lengthen_the_window(engine: &EngineUnderTest) {
    let store =
        engine.open_by(rules(&[offer("565")], duplicates(FilterMode::Enforce, DuplicateBy::IpAndAgent)));
    let reported = |id, time| is_hit(&receive(&*store, visit(id, time)), Filter::Duplicate);
    assert!(!reported("first", at(0)));
    assert!(reported("second", at(HOUR - 1)));
    assert!(!reported("third", at(HOUR)));
    let mut other_agent = visit("fourth", at(HOUR));
    other_agent.user_agent = Some("another".to_owned());
    assert!(!is_hit(&receive(&*store, other_agent), Filter::Duplicate));
}

pub fn what_repeats_are_reported_by_can_be_changed_at_any_time(engine: &EngineUnderTest) {
    let store = engine.open_by(rules(&[offer("565")], FilterRules::default()));
    receive(&*store, visit("first", at(0)));
    let mut again = by(visit("second", at(1)), "another-9876543210");
    go_by(&*store, rules(&[offer("565")], duplicates(FilterMode::Observe, DuplicateBy::Cookie)));
    assert!(!is_hit(&receive(&*store, again.clone()), Filter::Duplicate), "another cookie");
    go_by(&*store, rules(&[offer("565")], duplicates(FilterMode::Observe, DuplicateBy::Ip)));
    again.id = click_id("third");
    assert!(is_hit(&receive(&*store, again), Filter::Duplicate), "the same address");
}

pub fn a_cap_lets_exactly_as_many_clicks_through_as_it_says(engine: &EngineUnderTest) {
    let rules = rules(&[capped(10)], FilterRules::default());
    let batch = |name: &str| (0..25).map(|n| visit(&format!("{name}{n}"), at(n))).collect::<Vec<Click>>();
    let billable = |receipts: &[ClickReceipt]| {
        receipts.iter().filter(|receipt| receipt.click.context.is_billable()).count()
    };
    let store = engine.open_by(Arc::clone(&rules));
    let reported = at_once(&store, batch("a").into_iter().take(4).collect());
    assert_eq!(billable(&reported), 4);
    drop(store);
    let store = engine.open_by(Arc::clone(&rules));
    assert_eq!(billable(&at_once(&store, batch("b"))), 6);
    drop(store);
    let store = engine.open_by(rules);
    let reported = at_once(&store, batch("c"));
    assert_eq!(billable(&reported), 0);
    assert_eq!(reported[0].click.context.verdicts[0].hit, Some(FilterHit::Cap { most: 10 }));
    assert!(receive(&*store, on(visit("other", at(0)), "9")).click.context.is_billable());
}

pub fn a_cap_begins_anew_with_every_utc_day(engine: &EngineUnderTest) {
    let store = engine.open_by(rules(&[capped(1)], FilterRules::default()));
    let reported = |id, time| is_hit(&receive(&*store, visit(id, time)), Filter::Cap);
    assert!(!reported("a", at(DAY - 1)));
    assert!(reported("b", at(DAY - 1)));
    assert!(!reported("c", at(DAY)));
    assert!(reported("d", at(DAY)));
    assert!(reported("e", at(DAY - 1)), "one that was late is of its own day");
}

pub fn a_click_that_is_reported_again_is_not_counted_again(engine: &EngineUnderTest) {
    let store = engine.open_by(rules(&[capped(2)], duplicates(FilterMode::Observe, DuplicateBy::Cookie)));
    let first = receive(&*store, visit("a", at(0)));
    let mut fuller = visit("a", at(5));
    fuller.referrer = Some("https://blog.example/".to_owned());
    let filled = receive(&*store, fuller);
    assert_eq!(filled.recorded, ClickRecorded::Filled);
    assert_eq!(filled.click.context, first.click.context, "it is no duplicate of itself");
    assert_eq!(receive(&*store, visit("a", at(6))).recorded, ClickRecorded::Known);
    assert!(!is_hit(&receive(&*store, visit("b", at(7))), Filter::Cap));
    assert!(is_hit(&receive(&*store, visit("c", at(8))), Filter::Cap));
}

pub fn what_is_no_visit_counts_for_nothing(engine: &EngineUnderTest) {
    let store = engine.open_by(rules(&[capped(1)], duplicates(FilterMode::Enforce, DuplicateBy::Ip)));
    for (id, kind) in [("h", ClickKind::Head), ("p", ClickKind::Prefetch), ("v", ClickKind::Preview)] {
        let mut looked = visit(id, at(0));
        looked.context.kind = kind;
        assert!(!receive(&*store, looked).click.context.is_billable());
    }
    let visited = receive(&*store, visit("a", at(1)));
    assert!(!is_hit(&visited, Filter::Duplicate) && !is_hit(&visited, Filter::Cap));
}

pub fn verdicts_are_kept_and_a_second_report_changes_none(engine: &EngineUnderTest) {
    let store = engine.open();
    let filters = FilterRules { bot: Some(FilterMode::Enforce), ..FilterRules::default() };
    go_by(&*store, rules(&[offer("565")], filters));
    let mut bot = visit("a", at(0));
    bot.context.agent = Some(Agent {
        device: "bot".to_owned(),
        system: None,
        browser: None,
        bot: Some("Examplebot".to_owned()),
    });
    let reported = receive(&*store, bot);
    let verdict = FilterVerdict {
        filter: Filter::Bot,
        mode: FilterMode::Enforce,
        hit: Some(FilterHit::Bot { name: "Examplebot".to_owned() }),
    };
    assert_eq!(reported.click.context.verdicts, std::slice::from_ref(&verdict));
    go_by(&*store, rules(&[offer("565")], FilterRules::default()));
    let mut again = visit("a", at(9));
    again.context.country = Some("DE".to_owned());
    assert_eq!(receive(&*store, again).recorded, ClickRecorded::Filled);
    before_and_after_reopening(engine, store, |store, _| {
        let kept = wait(store.click(&click_id("a"))).unwrap().unwrap();
        assert_eq!(kept.context.verdicts, std::slice::from_ref(&verdict));
        assert_eq!(kept.context.country.as_deref(), Some("DE"));
    });
}

pub fn a_click_that_an_own_server_reports_is_not_screened(engine: &EngineUnderTest) {
    let store = engine.open_by(rules(&[capped(1)], duplicates(FilterMode::Enforce, DuplicateBy::Cookie)));
    for id in ["a", "b"] {
        let reported = wait(store.record_click(unscreened(visit(id, at(0))))).unwrap();
        assert_eq!(reported.click.context.verdicts, []);
    }
    let third = receive(&*store, visit("c", at(1)));
    assert!(is_hit(&third, Filter::Duplicate) && is_hit(&third, Filter::Cap), "yet it counts");
}

pub fn a_visitors_last_click_earns_by_last_touch_and_the_first_by_first_touch(engine: &EngineUnderTest) {
    let store = engine.open();
    for (id, time) in [("a", 0), ("b", DAY), ("c", 2 * DAY)] {
        receive(&*store, visit(id, at(time)));
    }
    receive(&*store, on(visit("elsewhere", at(3 * DAY)), "9"));
    before_and_after_reopening(engine, store, |store, reopened| {
        for (model, first) in [(AttributionModel::LastTouch, "c"), (AttributionModel::FirstTouch, "a")] {
            go_by(store, rules(&[Offer { model, ..offer("565") }], FilterRules::default()));
            let receipt = wait(store.arrive(earned(&format!("{first}-{reopened}"), at(4 * DAY)).arrival()));
            let receipt = receipt.unwrap();
            assert_eq!(receipt.matched, Some(true));
            let trace = trace(store, &receipt);
            let visitor = VisitorId::parse(VISITOR).unwrap();
            let joined = Attribution::Visitor { visitor, click: click_id(first), model };
            assert_eq!(trace.conversion.attribution, joined);
            assert_eq!(trace.conversion.campaign_ref, visit("a", at(0)).context.campaign_ref);
            assert_eq!(trace.conversion.considered.len(), 3);
            assert_eq!(
                trace.conversion.considered[0].why,
                NotChosen::OtherOffer { of: OfferId::parse("9").ok() }
            );
            assert_eq!(trace.click.unwrap().id, click_id(first));
        }
    });
}

pub fn a_click_and_its_visitors_sale_meet_however_close_they_come(engine: &EngineUnderTest) {
    let store = engine.open_by(rules(&[offer("565")], FilterRules::default()));
    let recorded = store.record_click(screened(visit("a", at(0))));
    let receipt = store.arrive(earned("t1", at(0)).arrival());
    wait(recorded).unwrap();
    assert_eq!(wait(receipt).unwrap().matched, Some(true));
}

pub fn a_blocked_click_earns_nothing_for_its_visitor(engine: &EngineUnderTest) {
    let store = engine.open_by(rules(&[capped(1)], FilterRules::default()));
    receive(&*store, visit("a", at(0)));
    assert!(receive(&*store, visit("b", at(1))).click.context.is_blocked());
    let receipt = wait(store.arrive(earned("t1", at(2)).arrival())).unwrap();
    let trace = trace(&*store, &receipt);
    assert_eq!(trace.conversion.attribution.click(), Some(&click_id("a")));
    assert_eq!(trace.conversion.considered[0].why, NotChosen::Blocked);
}

pub fn of_very_many_clicks_of_a_visitor_the_newest_that_count_are_looked_at(engine: &EngineUnderTest) {
    let store = engine.open_by(rules(&[capped(70)], FilterRules::default()));
    for n in 0..200 {
        drop(store.record_click(screened(visit(&format!("c{n}"), at(n)))));
    }
    receive(&*store, visit("last", at(200)));
    // By last touch the first click is as good as none; the 64 that are kept are those that counted last.
    let first_touch = Offer { model: AttributionModel::FirstTouch, ..capped(70) };
    go_by(&*store, rules(&[first_touch], FilterRules::default()));
    let receipt = wait(store.arrive(earned("t1", at(DAY)).arrival())).unwrap();
    let joined = trace(&*store, &receipt).conversion.attribution;
    assert_eq!(joined.click(), Some(&click_id("c6")), "64 of the 70 that counted, and no blocked one");
}

pub fn however_many_clicks_a_visitor_makes_the_first_that_still_counts_earns_by_first_touch(
    engine: &EngineUnderTest,
) {
    let store = engine.open();
    let first_touch = Offer { model: AttributionModel::FirstTouch, ..offer("565") };
    go_by(&*store, rules(&[first_touch], FilterRules::default()));
    let reported = |id: &str, time| drop(store.record_click(screened(visit(id, time))));
    reported("too-old", at(0));
    reported("first", at(2 * DAY));
    for n in 0..100 {
        reported(&format!("c{n}"), at(31 * DAY + n));
    }
    let receipt = wait(store.arrive(earned("t1", at(31 * DAY + HOUR)).arrival())).unwrap();
    let joined = trace(&*store, &receipt).conversion.attribution;
    assert_eq!(joined.click(), Some(&click_id("first")));
}
