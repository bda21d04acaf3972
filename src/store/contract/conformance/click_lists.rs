//! What must hold of lists of clicks, of purging them, and of kept texts.

use crate::domain::click::Click;
use crate::domain::filter::{DuplicateBy, FilterRules};
use crate::domain::filter_verdict::FilterMode;
use crate::domain::ids::{AffiliateId, CampaignId, OfferId, VisitorId};
use crate::domain::offer::{AttributionModel, Offer};
use crate::store::contract::change::PurgeBefore;
use crate::store::contract::conformance::fixture::engine::{EngineUnderTest, before_and_after_reopening};
use crate::store::contract::conformance::fixture::offer::offer;
use crate::store::contract::conformance::fixture::received::{
    DAY, at, click, click_id, go_by, unscreened, wait,
};
use crate::store::contract::conformance::fixture::visit::{
    VISITOR, by, duplicates, earned, listed, on, receive, rules, screened, visit,
};
use crate::store::contract::conformance::fixture::work::{first_page, never, purge_all, trace};
use crate::store::contract::error::StoreError;
use crate::store::contract::lookup::{ClickFilter, PageRequest};
use crate::store::contract::operator::ToKeep;

pub fn click_lists_go_newest_first_page_by_page(engine: &EngineUnderTest) {
    let store = engine.open();
    // Some of them together, some alone.
    let together: Vec<_> =
        (0..150).map(|n| store.record_click(unscreened(click(&format!("c{n}"))))).collect();
    together.into_iter().for_each(|recorded| drop(wait(recorded).unwrap()));
    for n in 150..170 {
        receive(&*store, visit(&format!("c{n}"), at(n)));
    }
    receive(&*store, visit("c7", at(999)));
    let expected: Vec<String> = (0..170).rev().map(|n| format!("c{n}")).collect();
    before_and_after_reopening(engine, store, |store, _| {
        for limit in [7, 64, 1000] {
            assert_eq!(listed(store, &ClickFilter::default(), limit), expected, "by {limit}");
        }
        let nonsense = PageRequest { cursor: Some("nonsense".to_owned()), limit: 3 };
        let refused = wait(store.clicks(ClickFilter::default(), nonsense));
        assert!(matches!(refused, Err(StoreError::Cursor(cursor)) if cursor == "nonsense"));
    });
}

pub fn click_lists_obey_their_filters(engine: &EngineUnderTest) {
    let store = engine.open_by(rules(&[offer("565")], duplicates(FilterMode::Observe, DuplicateBy::Cookie)));
    receive(&*store, visit("a", at(10)));
    receive(&*store, visit("b", at(20)));
    receive(&*store, on(by(visit("c", at(30)), "another-9876543210"), "9"));
    wait(store.record_click(unscreened(Click { recorded_at: at(40), ..click("d") }))).unwrap();
    let mut other = visit("e", at(3 * DAY));
    let campaign_ref = other.context.campaign_ref.as_mut().unwrap();
    campaign_ref.campaign = CampaignId::parse("1").ok();
    campaign_ref.affiliate = AffiliateId::parse("2").ok();
    receive(&*store, other);
    let list = |filter: ClickFilter| listed(&*store, &filter, 2).join("");
    let all = ClickFilter::default;
    assert_eq!(list(all()), "edcba");
    assert_eq!(list(ClickFilter { offer: OfferId::parse("565").ok(), ..all() }), "eba");
    assert_eq!(list(ClickFilter { campaign: CampaignId::parse("8599").ok(), ..all() }), "cba");
    assert_eq!(list(ClickFilter { affiliate: AffiliateId::parse("2").ok(), ..all() }), "e");
    assert_eq!(list(ClickFilter { visitor: VisitorId::parse(VISITOR).ok(), ..all() }), "eba");
    assert_eq!(list(ClickFilter { marked_only: true, ..all() }), "b");
    assert_eq!(list(ClickFilter { since: Some(at(20)), until: Some(at(40)), ..all() }), "cb");
    assert_eq!(list(ClickFilter { since: Some(at(2 * DAY)), ..all() }), "e");
    assert_eq!(list(ClickFilter { since: Some(at(9 * DAY)), ..all() }), "");
}

pub fn a_click_list_looks_at_a_bounded_number_of_clicks_and_goes_on(engine: &EngineUnderTest) {
    let store = engine.open();
    drop(store.record_click(screened(on(visit("first", at(0)), "9"))));
    for n in 0..1500 {
        drop(store.record_click(unscreened(click(&format!("c{n}")))));
    }
    wait(store.probe()).unwrap();
    let rare = ClickFilter { offer: OfferId::parse("9").ok(), ..ClickFilter::default() };
    let page = wait(store.clicks(rare.clone(), first_page(5))).unwrap();
    assert!(page.items.is_empty() && page.next_cursor.is_some());
    assert_eq!(listed(&*store, &rare, 5), ["first"]);
}

pub fn purging_takes_clicks_out_of_lists_and_of_their_visitors(engine: &EngineUnderTest) {
    let store = engine.open();
    for n in 0..100 {
        drop(store.record_click(screened(visit(&format!("c{n}"), at(n)))));
    }
    receive(&*store, by(visit("theirs", at(0)), "another-9876543210"));
    assert_eq!(purge_all(&*store, PurgeBefore { clicks: at(90), ..never() }), 91);
    before_and_after_reopening(engine, store, |store, reopened| {
        let left: Vec<String> = (90..100).rev().map(|n| format!("c{n}")).collect();
        assert_eq!(listed(store, &ClickFilter::default(), 3), left);
        let first_touch = Offer { model: AttributionModel::FirstTouch, ..offer("565") };
        go_by(store, rules(&[first_touch], FilterRules::default()));
        let receipt = wait(store.arrive(earned(&format!("t-{reopened}"), at(DAY)).arrival())).unwrap();
        let joined = trace(store, &receipt).conversion;
        assert_eq!(joined.attribution.click(), Some(&click_id("c90")));
        assert_eq!(joined.considered.len(), 9);
        assert_eq!(purge_all(store, PurgeBefore { clicks: at(90), ..never() }), 0);
    });
}

pub fn click_numbers_are_not_given_twice_after_everything_was_purged(engine: &EngineUnderTest) {
    let store = engine.open();
    for n in 0..10 {
        receive(&*store, visit(&format!("c{n}"), at(0)));
    }
    let page = wait(store.clicks(ClickFilter::default(), first_page(1))).unwrap();
    purge_all(&*store, PurgeBefore { clicks: at(DAY), ..never() });
    drop(store);
    let store = engine.open();
    receive(&*store, visit("new", at(DAY)));
    assert_eq!(listed(&*store, &ClickFilter::default(), 9), ["new"]);
    let rest = PageRequest { cursor: page.next_cursor, limit: 9 };
    assert!(wait(store.clicks(ClickFilter::default(), rest)).unwrap().items.is_empty(), "it is no older one");
}

pub fn a_text_is_kept_permanently(engine: &EngineUnderTest) {
    let store = engine.open();
    let long: String = (0..40_000).map(|n| char::from(b'a' + (n * n % 23) as u8)).collect();
    assert_eq!(wait(store.kept_text("tag.1.js".to_owned())).unwrap(), None);
    wait(store.keep(ToKeep::Text { name: "tag.1.js".to_owned(), text: long.clone() })).unwrap();
    wait(store.keep(ToKeep::Text { name: "tag.2.js".to_owned(), text: "two".to_owned() })).unwrap();
    wait(store.keep(ToKeep::Text { name: "tag.1.js".to_owned(), text: "another".to_owned() })).unwrap();
    purge_all(&*store, PurgeBefore { postbacks: at(DAY), conversions: at(DAY), clicks: at(DAY) });
    before_and_after_reopening(engine, store, |store, _| {
        assert_eq!(wait(store.kept_text("tag.1.js".to_owned())).unwrap().as_ref(), Some(&long));
        assert_eq!(wait(store.kept_text("tag.2.js".to_owned())).unwrap().as_deref(), Some("two"));
    });
}
