//! A disk that fails: what was not acknowledged never shows, and the store ends rather than guesses.

use std::sync::Arc;

use postbridge::domain::postback::Verdict;
use postbridge::store::embedded::Embedded;
use postbridge::store::memory::{FaultAt, Memory};
use postbridge::store::{ConversionFilter, Store, StoreError};

use crate::store_ground::*;

const FULL: &str = "No space left on device (os error 28)";

/// A store with one acknowledged sale, whose next passage of `at` fails.
fn about_to_fail(at: FaultAt) -> (Memory, Embedded) {
    let memory = Memory::new();
    let store = Embedded::open(Arc::new(memory.clone())).unwrap();
    assert!(matches!(sale("acknowledged").forward().tell(&store).verdict, Verdict::Accepted { .. }));
    memory.fail(at, 0, FULL);
    (memory, store)
}

fn is_broken<T: std::fmt::Debug>(done: Result<T, StoreError>) {
    match done {
        Err(StoreError::Broken { cause, .. }) => assert_eq!(cause, FULL),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_commit_that_fails_acknowledges_nothing_and_leaves_nothing_behind() {
    for step in [FaultAt::BeforeWrite, FaultAt::BeforeSync] {
        let (memory, store) = about_to_fail(step);
        let (sale_told, click_told) =
            (store.arrive(sale("lost").forward().arrival()), store.record_click(click("lost")));
        is_broken(wait(sale_told));
        is_broken(wait(click_told));
        drop(store);
        let store = Embedded::open(Arc::new(memory.after_power_cut())).unwrap();
        assert_eq!(transactions(&store, ConversionFilter::default()), ["acknowledged"], "{step:?}");
        assert_eq!(wait(store.click(&click_id("lost"))).unwrap(), None);
        assert_eq!(claim(&store, "ads", at(0)).len(), 1);
        assert!(matches!(sale("lost").tell(&store).verdict, Verdict::Accepted { .. }));
    }
}

#[test]
fn after_a_failed_commit_every_later_operation_fails() {
    for step in [FaultAt::BeforeWrite, FaultAt::BeforeSync] {
        let (_memory, store) = about_to_fail(step);
        is_broken(wait(store.probe()));
        is_broken(wait(store.probe()));
        is_broken(wait(store.arrive(sale("later").arrival())));
        is_broken(wait(store.record_click(click("later"))));
        is_broken(wait(store.conversions(ConversionFilter::default(), first_page(9))));
        is_broken(wait(store.click(&click_id("acknowledged"))));
        is_broken(wait(store.claim_oldest(destination("ads"))));
        is_broken(wait(store.withdraw(destination("ads"), "gone".to_owned(), at(1))));
        is_broken(wait(store.purge(never())));
    }
}

#[test]
fn a_read_that_fails_ends_the_store_too() {
    let (memory, store) = about_to_fail(FaultAt::Get);
    is_broken(wait(store.click(&click_id("any"))));
    is_broken(wait(store.probe()));
    drop(store);
    let store = Embedded::open(Arc::new(memory.after_power_cut())).unwrap();
    assert_eq!(transactions(&store, ConversionFilter::default()), ["acknowledged"]);
}

#[test]
fn a_group_whose_decision_cannot_read_is_refused_whole() {
    let (memory, store) = about_to_fail(FaultAt::Get);
    // To decide about it the writer looks for its click.
    is_broken(wait(store.arrive(sale("unseen").click("c1").arrival())));
    drop(store);
    let store = Embedded::open(Arc::new(memory.after_power_cut())).unwrap();
    assert_eq!(transactions(&store, ConversionFilter::default()), ["acknowledged"]);
}

#[test]
fn a_store_that_cannot_be_read_does_not_open() {
    let memory = Memory::new();
    drop(Embedded::open(Arc::new(memory.clone())).unwrap());
    memory.fail(FaultAt::Scan, 0, "Input/output error (os error 5)");
    let Err(error) = Embedded::open(Arc::new(memory)) else { panic!("it opened") };
    assert!(error.to_string().contains("Input/output error"), "{error}");
}
