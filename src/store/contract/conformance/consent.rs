//! What must hold of answers about consent, and of what follows from them.

use std::sync::Arc;

use crate::domain::click::{Click, ClickOrigin};
use crate::domain::consent::{Consent, ConsentNeed, ConsentRecord};
use crate::domain::delivery::DeliveryState;
use crate::domain::expiry::AgeRule;
use crate::domain::ids::VisitorId;
use crate::domain::routing::Route;
use crate::domain::skip::SkipCode;
use crate::domain::time::Time;
use crate::store::contract::Store;
use crate::store::contract::arrival::{ConsentArrival, Receipt};
use crate::store::contract::change::PurgeBefore;
use crate::store::contract::conformance::fixture::attempt::{dead, one};
use crate::store::contract::conformance::fixture::engine::{EngineUnderTest, before_and_after_reopening};
use crate::store::contract::conformance::fixture::reason::skip_code;
use crate::store::contract::conformance::fixture::received::{
    DAY, Sale, at, click, click_id, sale, unscreened, wait,
};
use crate::store::contract::conformance::fixture::visit::{VISITOR, by, receive, visit};
use crate::store::contract::conformance::fixture::work::{
    claim, conversion_of, delivery_id, first_page, never, purge_all, states, trace,
};

fn answer(click: &str, visitor: Option<&str>, ad_user_data: bool, time: Time) -> ConsentArrival {
    let consent = Consent { ad_user_data: Some(ad_user_data), ad_personalization: None };
    ConsentArrival {
        click: click_id(click),
        visitor: visitor.map(|id| VisitorId::parse(id).unwrap()),
        consent: consent.said_at(time),
        received_at: time,
    }
}

fn say(store: &dyn Store, arrival: ConsentArrival) {
    wait(store.record_consent(arrival)).unwrap();
}

fn of_click(store: &dyn Store, id: &str) -> Option<bool> {
    let click = wait(store.click(&click_id(id))).unwrap().unwrap();
    click.context.consent.answers().ad_user_data
}

/// A sale to an ad platform.
fn personal(transaction: &str, click: &str) -> Sale {
    let mut sale = sale(transaction).click(click);
    let need = ConsentNeed { personal: true, explicit: false };
    sale.routes = sale.routes.into_iter().map(|route| Route { consent: need, ..route }).collect();
    sale
}

fn code(store: &dyn Store, receipt: &Receipt) -> Option<SkipCode> {
    match states(store, receipt).as_slice() {
        [state] => skip_code(state),
        _ => None,
    }
}

pub fn an_answer_counts_for_every_click_of_its_visitor_also_for_later_ones(engine: &EngineUnderTest) {
    let store = engine.open();
    for id in ["one", "two"] {
        receive(&*store, visit(id, at(0)));
    }
    receive(&*store, by(visit("foreign", at(0)), "visitor-another-01234"));
    say(&*store, answer("two", None, false, at(10)));
    receive(&*store, visit("three", at(20)));
    before_and_after_reopening(engine, store, |store, again| {
        assert_eq!(
            ["one", "two", "three", "foreign"].map(|id| of_click(store, id)),
            [Some(false), Some(false), Some(false), None]
        );
        let listed = wait(store.clicks(Default::default(), first_page(10))).unwrap().items;
        let refused = |click: &&Arc<Click>| click.context.consent.answers().refuses_data();
        assert_eq!(listed.iter().filter(refused).count(), 3);
        for id in ["one", "two", "three"] {
            let receipt = personal(&format!("{id}-{again}"), id).at(at(30)).receive(store);
            assert_eq!(code(store, &receipt), Some(SkipCode::ConsentDenied), "{id}");
        }
        let receipt = personal(&format!("foreign-{again}"), "foreign").at(at(30)).receive(store);
        assert_eq!(states(store, &receipt)[0].as_str(), "waiting");
    });
}

pub fn an_answer_counts_for_more_clicks_than_are_kept_of_a_visitor_by_their_ids(engine: &EngineUnderTest) {
    let store = engine.open();
    for number in 0..80 {
        receive(&*store, visit(&format!("c{number}"), at(number)));
    }
    say(&*store, answer("c79", Some(VISITOR), false, at(100)));
    assert_eq!(of_click(&*store, "c0"), Some(false));
    let receipt = personal("first", "c0").at(at(110)).receive(&*store);
    assert_eq!(code(&*store, &receipt), Some(SkipCode::ConsentDenied));
}

pub fn an_older_yes_that_is_received_late_changes_nothing_and_a_newer_one_counts(engine: &EngineUnderTest) {
    let store = engine.open();
    receive(&*store, visit("one", at(0)));
    say(&*store, answer("one", Some(VISITOR), false, at(50)));
    let late = ConsentArrival { received_at: at(90), ..answer("one", Some(VISITOR), true, at(40)) };
    say(&*store, late);
    assert_eq!(of_click(&*store, "one"), Some(false));
    let same = ConsentArrival { received_at: at(91), ..answer("one", Some(VISITOR), true, at(50)) };
    say(&*store, same);
    assert_eq!(of_click(&*store, "one"), Some(false), "of one time the stricter");
    say(&*store, answer("one", Some(VISITOR), true, at(100)));
    before_and_after_reopening(engine, store, |store, _| assert_eq!(of_click(store, "one"), Some(true)));
}

pub fn a_click_without_a_visitor_keeps_its_own_answer(engine: &EngineUnderTest) {
    let store = engine.open();
    wait(store.record_click(unscreened(click("named")))).unwrap();
    say(&*store, answer("named", None, false, at(10)));
    before_and_after_reopening(engine, store, |store, _| assert_eq!(of_click(store, "named"), Some(false)));
}

pub fn an_answer_ahead_of_its_click_waits_for_it(engine: &EngineUnderTest) {
    let store = engine.open();
    say(&*store, answer("late", None, false, at(10)));
    before_and_after_reopening(engine, store, |store, again| {
        if !again {
            assert!(wait(store.click(&click_id("late"))).unwrap().is_none(), "no click is made up");
            return;
        }
        let mut late = visit("late", at(0));
        late.context.origin = ClickOrigin::Tag;
        late.context.consent = Consent { ad_user_data: Some(true), ad_personalization: None }.said_at(at(5));
        receive(store, late);
        assert_eq!(of_click(store, "late"), Some(false), "the later answer counts, though received first");
    });
}

pub fn an_answer_that_a_click_brings_counts_for_its_visitors_other_clicks_too(engine: &EngineUnderTest) {
    const SECOND: &str = "visitor-second-012345";
    let store = engine.open();
    let said =
        |granted, time| Consent { ad_user_data: Some(granted), ad_personalization: None }.said_at(time);
    let of_tag = |mut click: Click| {
        click.context.origin = ClickOrigin::Tag;
        click
    };
    // Ahead of its click, from a browser that was not known then.
    receive(&*store, visit("before", at(0)));
    say(&*store, answer("ahead", None, false, at(10)));
    receive(&*store, of_tag(visit("ahead", at(11))));
    receive(&*store, visit("after", at(12)));
    // With the click itself, or with a report that fills a known one, as an own server sends it.
    receive(&*store, by(visit("plain", at(0)), SECOND));
    receive(&*store, by(visit("filled", at(0)), SECOND));
    let mut filling = visit("filled", at(20));
    (filling.context.visitor, filling.context.consent) = (None, said(false, at(20)));
    receive(&*store, of_tag(filling));
    before_and_after_reopening(engine, store, |store, _| {
        for id in ["before", "ahead", "after", "plain", "filled"] {
            assert_eq!(of_click(store, id), Some(false), "{id}");
        }
    });
    let store = engine.open();
    let mut agreed = of_tag(by(visit("agreed", at(30)), SECOND));
    agreed.context.consent = said(true, at(30));
    receive(&*store, agreed);
    assert_eq!(["plain", "filled"].map(|id| of_click(&*store, id)), [Some(true), Some(true)]);
}

pub fn answers_ahead_of_clicks_that_never_come_are_purged(engine: &EngineUnderTest) {
    let store = engine.open();
    say(&*store, answer("old", None, false, at(0)));
    say(&*store, answer("new", None, false, at(2 * DAY)));
    let before = PurgeBefore { clicks: at(DAY), ..never() };
    purge_all(&*store, before);
    for id in ["old", "new"] {
        let mut late = by(visit(id, at(2 * DAY)), &format!("visitor-{id:0>12}"));
        late.context.origin = ClickOrigin::Tag;
        receive(&*store, late);
    }
    assert_eq!(["old", "new"].map(|id| of_click(&*store, id)), [None, Some(false)]);
}

pub fn a_browser_that_is_known_as_another_may_refuse_for_a_click_and_not_grant(engine: &EngineUnderTest) {
    const OTHER: &str = "visitor-another-01234";
    let store = engine.open();
    receive(&*store, visit("one", at(0)));
    receive(&*store, visit("two", at(0)));
    receive(&*store, by(visit("own", at(0)), OTHER));
    say(&*store, answer("one", Some(OTHER), true, at(10)));
    assert_eq!(of_click(&*store, "one"), None);
    assert_eq!(of_click(&*store, "own"), Some(true), "for its own clicks it may");
    say(&*store, answer("one", Some(OTHER), false, at(20)));
    assert_eq!(["one", "two", "own"].map(|id| of_click(&*store, id)), [Some(false), None, Some(false)]);
}

pub fn what_waits_or_is_dead_or_changes_meets_the_latest_answer(engine: &EngineUnderTest) {
    let store = engine.open();
    receive(&*store, visit("one", at(0)));
    let waiting = personal("waiting", "one").at(at(1)).receive(&*store);
    let dying = personal("dead", "one").at(at(2)).receive(&*store);
    let held = personal("held", "to-come").at(at(3)).receive(&*store);
    let work = claim(&*store, "ads", at(5));
    let of = |receipt: &Receipt| {
        let id = conversion_of(&receipt.verdict);
        work.iter().find(|work| work.conversion.id == id).unwrap()
    };
    wait(store.record(one(dead(of(&dying), at(6))))).unwrap();
    wait(store.release(vec![of(&waiting).lease.token])).unwrap();
    say(&*store, answer("one", Some(VISITOR), false, at(10)));
    wait(store.retry(delivery_id(&dying, "ads"), at(20), AgeRule::Counts)).unwrap().unwrap();
    let work = claim(&*store, "ads", at(30));
    assert_eq!(work.len(), 2, "what waits is decided when it is sent");
    for work in &work {
        assert!(work.conversion.consent_with(work.click.as_deref()).refuses_data());
    }
    receive(&*store, visit("to-come", at(40)));
    assert_eq!(code(&*store, &held), Some(SkipCode::ConsentDenied), "what was held is not freed");
    let changed = personal("held", "to-come").value("9.00").at(at(50)).receive(&*store);
    assert_eq!(states(&*store, &changed).len(), 1, "a change plans nothing either");
    say(&*store, answer("one", Some(VISITOR), true, at(60)));
    let changed = personal("held", "to-come").value("11.00").at(at(70)).receive(&*store);
    let words: Vec<&str> = states(&*store, &changed).iter().map(DeliveryState::as_str).collect();
    assert_eq!(words, ["skipped", "waiting"], "a later yes counts");
}

pub fn an_answer_and_a_sale_meet_however_close_they_come(engine: &EngineUnderTest) {
    let store = engine.open_by(personal("any", "any").rules());
    let receipts = wait(async {
        let mut all = Vec::new();
        for number in 0..32 {
            let id = format!("c{number}");
            let clicked =
                store.record_click(unscreened(by(visit(&id, at(0)), &format!("visitor-{number:012}"))));
            let said = store.record_consent(answer(&id, None, false, at(1)));
            let sold = store.arrive(personal(&id, &id).at(at(2)).arrival());
            all.push(async { (clicked.await, said.await, sold.await) });
        }
        futures_util::future::join_all(all).await
    });
    for (clicked, said, sold) in receipts {
        clicked.unwrap();
        said.unwrap();
        assert_eq!(code(&*store, &sold.unwrap()), Some(SkipCode::ConsentDenied));
    }
}

pub fn what_an_advertiser_reports_is_listed_as_not_routed(engine: &EngineUnderTest) {
    let store = engine.open();
    let mut reported = sale("reported").to(&["ads", "more"]);
    reported.draft.source = crate::domain::ids::SourceId::parse("cake-api").unwrap();
    let receipt = reported.receive(&*store);
    before_and_after_reopening(engine, store, |store, _| {
        let trace = trace(store, &receipt);
        let names: Vec<&str> = trace.conversion.not_routed.iter().map(|id| id.as_str()).collect();
        assert_eq!((names, trace.deliveries.len()), (vec!["ads", "more"], 0));
        assert_eq!(trace.conversion.consent, ConsentRecord::default());
    });
}
