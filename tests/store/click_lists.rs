//! The store's guarantees about lists of clicks, about purging them and about kept texts, for every
//! implementation.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use postbridge::domain::click::Click;
use postbridge::domain::filter::{DuplicateBy, FilterRules};
use postbridge::domain::filter_verdict::FilterMode;
use postbridge::domain::ids::{AffiliateId, CampaignId, OfferId, VisitorId};
use postbridge::domain::offer::AttributionModel;
use postbridge::domain::offer::Offer;
use postbridge::store::contract::Store;
use postbridge::store::contract::change::PurgeBefore;
use postbridge::store::contract::error::StoreError;
use postbridge::store::contract::lookup::{ClickFilter, PageRequest};
use postbridge::store::embedded::Embedded;
use postbridge::store::engine::kv::{Batch, Direction, Kv, Span};

use crate::support::click_fixture::listed;
use crate::support::click_fixture::*;
use crate::support::memory::Memory;
use crate::support::offer_fixture::offer;
use crate::support::store_fixture::*;

conformance! {
    click_lists_go_newest_first_page_by_page,
    click_lists_obey_their_filters,
    a_click_list_looks_at_a_bounded_number_of_clicks_and_goes_on,
    purging_takes_clicks_out_of_lists_and_of_their_visitors,
    click_numbers_are_not_given_twice_after_everything_was_purged,
    a_text_is_kept_permanently,
}

fn click_lists_go_newest_first_page_by_page(engine: &Engine) {
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

fn click_lists_obey_their_filters(engine: &Engine) {
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

fn a_click_list_looks_at_a_bounded_number_of_clicks_and_goes_on(engine: &Engine) {
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

fn purging_takes_clicks_out_of_lists_and_of_their_visitors(engine: &Engine) {
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

fn click_numbers_are_not_given_twice_after_everything_was_purged(engine: &Engine) {
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

fn a_text_is_kept_permanently(engine: &Engine) {
    let store = engine.open();
    let long: String = (0..40_000).map(|n| char::from(b'a' + (n * n % 23) as u8)).collect();
    assert_eq!(wait(store.kept_text("tag.1.js".to_owned())).unwrap(), None);
    wait(store.keep_text("tag.1.js".to_owned(), long.clone())).unwrap();
    wait(store.keep_text("tag.2.js".to_owned(), "two".to_owned())).unwrap();
    wait(store.keep_text("tag.1.js".to_owned(), "another".to_owned())).unwrap();
    purge_all(&*store, PurgeBefore { postbacks: at(DAY), conversions: at(DAY), clicks: at(DAY) });
    before_and_after_reopening(engine, store, |store, _| {
        assert_eq!(wait(store.kept_text("tag.1.js".to_owned())).unwrap().as_ref(), Some(&long));
        assert_eq!(wait(store.kept_text("tag.2.js".to_owned())).unwrap().as_deref(), Some("two"));
    });
}

fn keys(kv: &dyn Kv) -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    let span = Span { from: b"", to: b"\xff", direction: Direction::Up };
    kv.scan(span, &mut |key, _| {
        keys.insert(key.escape_ascii().to_string());
        ControlFlow::Continue(())
    })
    .unwrap();
    keys
}

#[test]
fn purging_removes_every_trace_of_a_screened_click() {
    let memory = Memory::new();
    let store = Embedded::open(
        Arc::new(memory.clone()),
        rules(&[capped(100)], duplicates(FilterMode::Observe, DuplicateBy::Cookie)),
    )
    .unwrap();
    for n in 0..200 {
        let visitor = format!("visitor-number-{:03}", n % 7);
        drop(store.record_click(screened(by(visit(&format!("c{n}"), at(n)), &visitor))));
    }
    wait(store.probe()).unwrap();
    assert!(keys(&memory).len() > 200);
    purge_all(&store, PurgeBefore { clicks: at(DAY), ..never() });
    // What commits counted are numbers: no trace of a click.
    let mut left = keys(&memory);
    left.retain(|key| !key.starts_with('U'));
    assert_eq!(left, ["Mformat", "Mnumbers", "Mprobe"].map(str::to_owned).into());
}

#[test]
fn a_damaged_part_of_the_log_is_left_out_of_lists_and_stops_no_purging_of_others() {
    let memory = Memory::new();
    let store = Embedded::open(Arc::new(memory.clone()), Arc::default()).unwrap();
    for id in ["c1", "c2", "c3"] {
        receive(&store, visit(id, at(0)));
    }
    drop(store);
    let mut batch = Batch::default();
    let day = (postbridge::domain::offer::day_of(at(0)) as i32) ^ i32::MIN;
    let second = [b"G", &day.to_be_bytes()[..], &2u64.to_be_bytes()[..]].concat();
    batch.put(second, b"\x02\x00\x00 not a record".to_vec());
    memory.commit(batch, &mut |_| {}).unwrap();
    let store = Embedded::open(Arc::new(memory), Arc::default()).unwrap();
    assert_eq!(listed(&store, &ClickFilter::default(), 9), ["c3", "c1"]);
    assert_eq!(purge_all(&store, PurgeBefore { clicks: at(DAY), ..never() }), 2);
}
