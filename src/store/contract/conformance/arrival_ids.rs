//! What must hold of an arrival that is asked for again by its id, because its answer was lost.

use crate::domain::conversion::Dedup;
use crate::domain::delivery::DeliveryState;
use crate::domain::postback::Verdict;
use crate::store::contract::Store;
use crate::store::contract::arrival::{Arrival, Finding, Receipt, Reprocess};
use crate::store::contract::change::PurgeBefore;
use crate::store::contract::conformance::fixture::engine::EngineUnderTest;
use crate::store::contract::conformance::fixture::offer::{arrive, arrive_together, ignored};
use crate::store::contract::conformance::fixture::received::{
    DAY, Sale, at, click, next_id, quarantined, sale, unscreened, wait,
};
use crate::store::contract::conformance::fixture::work::{
    claim, first_page, purge_all, states, tally, transactions,
};
use crate::store::contract::lookup::{ConversionFilter, PostbackFilter};

/// A sale of a source each of whose postbacks is a sale of its own.
fn each(transaction: &str) -> Sale {
    let mut sale = sale(transaction).forward();
    sale.policy.dedup = Dedup::Each;
    sale
}

/// One of every kind, under their names, and what they are decided as.
fn of_every_kind() -> Vec<(&'static str, Arrival)> {
    let mut passed_over = sale("ping").arrival();
    passed_over.finding = ignored();
    let mut refused = quarantined("a wrong key", at(3));
    if let Finding::Quarantined(rejection) = refused.finding {
        refused.finding = Finding::Refused(rejection);
    }
    vec![
        ("accepted", sale("t1").click("c1").arrival()),
        ("duplicate", sale("t1").click("c1").at(at(1)).arrival()),
        ("updated", sale("t1").click("c1").value("9").at(at(2)).arrival()),
        ("quarantined", quarantined("no price", at(3))),
        ("ignored", passed_over),
        ("refused", refused),
    ]
}

fn postbacks(store: &dyn Store) -> usize {
    wait(store.postbacks(PostbackFilter::default(), first_page(100))).unwrap().items.len()
}

pub fn an_arrival_asked_for_again_is_answered_what_became_of_it_and_counts_once(engine: &EngineUnderTest) {
    let store = engine.open();
    wait(store.record_click(unscreened(click("c1")))).unwrap();
    let mut asked: Vec<(Arrival, Receipt)> = Vec::new();
    for (word, arrival) in of_every_kind() {
        let receipt = arrive(&*store, arrival.clone());
        assert_eq!(receipt.verdict.as_str(), word);
        asked.push((arrival, receipt));
    }
    let kept = postbacks(&*store);
    for (arrival, receipt) in &asked {
        assert_eq!(arrive(&*store, arrival.clone()), *receipt);
    }
    assert_eq!(postbacks(&*store), kept);
    assert_eq!(tally(&*store).open_quarantine, 1);
    assert_eq!(claim(&*store, "ads", at(DAY)).len(), 1);
    let next = arrive(&*store, quarantined("no price", at(4)));
    assert_eq!(next.postback.get(), kept as u64 + 1, "no number was used up");
}

pub fn an_arrival_asked_for_twice_at_the_same_moment_counts_once(engine: &EngineUnderTest) {
    let store = engine.open();
    let kinds = of_every_kind();
    let kept = kinds.len();
    let twice = kinds.into_iter().flat_map(|(_, arrival)| [arrival.clone(), arrival]);
    let receipts = arrive_together(&*store, twice);
    for pair in receipts.chunks(2) {
        assert_eq!(pair[0], pair[1]);
    }
    assert_eq!(postbacks(&*store), kept);
}

pub fn where_each_postback_is_a_sale_one_asked_for_again_is_the_same_and_another_with_its_bytes_is_not(
    engine: &EngineUnderTest,
) {
    let store = engine.open_by(each("any").rules());
    let first = each("t1").arrival();
    let other = Arrival { id: next_id(), ..first.clone() };
    let together = [first.clone(), first.clone(), other.clone()];
    let receipts = arrive_together(&*store, together);
    assert_eq!(receipts[0], receipts[1]);
    assert_ne!(receipts[0], receipts[2]);
    for (arrival, receipt) in [(&first, &receipts[0]), (&other, &receipts[2])] {
        assert!(matches!(receipt.verdict, Verdict::Accepted { .. }));
        assert_eq!(arrive(&*store, arrival.clone()), *receipt);
        assert_eq!(states(&*store, receipt), [DeliveryState::Waiting { due: at(0) }]);
    }
    assert_eq!(transactions(&*store, ConversionFilter::default()), ["t1", "t1"]);
}

pub fn what_reprocesses_a_postback_is_answered_the_same_when_it_is_asked_for_again(engine: &EngineUnderTest) {
    let store = engine.open();
    let mut of = arrive(&*store, quarantined("no price", at(1))).postback;
    for arrival in [quarantined("no price still", at(1)), sale("t1").arrival()] {
        let arrival = Arrival { again: Some(Reprocess { of, now: at(2) }), ..arrival };
        let receipt = arrive(&*store, arrival.clone());
        assert_eq!(arrive(&*store, arrival), receipt);
        of = receipt.postback;
    }
    assert_eq!(postbacks(&*store), 3);
    assert_eq!(tally(&*store).open_quarantine, 0);
}

pub fn whether_a_click_earned_it_is_answered_as_it_is_when_it_is_asked_for_again(engine: &EngineUnderTest) {
    let store = engine.open();
    let arrival = sale("t1").click("c1").arrival();
    let receipt = arrive(&*store, arrival.clone());
    assert_eq!(receipt.matched, Some(false));
    wait(store.record_click(unscreened(click("c1")))).unwrap();
    assert_eq!(arrive(&*store, arrival), Receipt { matched: Some(true), ..receipt });
}

pub fn an_arrival_of_which_nothing_is_kept_any_more_is_not_known(engine: &EngineUnderTest) {
    let store = engine.open();
    let arrival = quarantined("no price", at(0));
    let receipt = arrive(&*store, arrival.clone());
    purge_all(&*store, PurgeBefore { postbacks: at(DAY), conversions: at(DAY), clicks: at(DAY) });
    assert_eq!(postbacks(&*store), 0);
    assert_ne!(arrive(&*store, arrival).postback, receipt.postback);
    assert_eq!(postbacks(&*store), 1);
}
