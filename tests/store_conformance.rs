//! The guarantees of `Store`, as plain functions that every implementation has to pass.

use std::sync::Arc;

use postbridge::domain::conversion::{Cause, Dedup, Status};
use postbridge::domain::delivery::{DeliveryState, Judgement, NO_CLICK, RetryRefused, Unmatched};
use postbridge::domain::ids::{ConversionId, Seq};
use postbridge::domain::postback::Verdict;
use postbridge::store::{
    Backlog, ClaimRequest, ClickRecorded, ConversionFilter, DeliveryFilter, PageRequest, PostbackFilter,
    PurgeBefore, Store, StoreError,
};

use crate::store_ground::*;

macro_rules! conformance {
    ($($name:ident),* $(,)?) => {
        mod in_memory {
            $(#[test] fn $name() { super::$name(&crate::store_ground::Ground::memory()); })*
        }
        mod on_sled {
            $(#[test] fn $name() { super::$name(&crate::store_ground::Ground::sled()); })*
        }
        mod with_colliding_hashes {
            $(#[test] fn $name() { super::$name(&crate::store_ground::Ground::colliding()); })*
        }
    };
}

conformance! {
    an_accepted_sale_is_stored_whole_and_survives_reopening,
    of_two_equal_arrivals_one_is_accepted_and_one_a_duplicate,
}

fn conversion_of(verdict: &Verdict) -> ConversionId {
    verdict.conversion().unwrap()
}

fn an_accepted_sale_is_stored_whole_and_survives_reopening(ground: &Ground) {
    let store = ground.open();
    wait(store.record_click(click("c1"))).unwrap();
    let told = sale("t1").click("c1").at(at(5));
    let receipt = told.clone().tell(&*store);
    let Verdict::Accepted { conversion: id } = receipt.verdict else { panic!("{receipt:?}") };
    assert_eq!(receipt.matched, Some(true));
    let before = wait(store.conversion(id)).unwrap().unwrap();
    drop(store);
    let store = ground.open();
    let after = wait(store.conversion(id)).unwrap().unwrap();
    for trace in [&before, &after] {
        assert_eq!(trace.conversion.value, Some(usd("7.00")));
        assert_eq!(trace.conversion.seq, receipt.postback);
        assert_eq!(trace.conversion.params, told.draft.params);
        assert_eq!(trace.click.as_deref(), Some(&click("c1")));
        assert_eq!(trace.deliveries.len(), 1);
        assert_eq!(trace.deliveries[0].0.state, DeliveryState::Waiting { due: at(5) });
        assert_eq!(trace.postbacks.len(), 1);
        let raw = trace.postbacks[0].raw.as_ref().unwrap();
        assert!(raw.line.starts_with(b"GET /***/collect/network?s1=abc&s2=c1&tid=t1"));
    }
}

fn of_two_equal_arrivals_one_is_accepted_and_one_a_duplicate(ground: &Ground) {
    let store = ground.open();
    let first = sale("t1").tell(&*store);
    assert!(matches!(first.verdict, Verdict::Accepted { .. }));
    let second = sale("t1").at(at(9)).tell(&*store);
    assert_eq!(second.verdict, Verdict::Duplicate { conversion: conversion_of(&first.verdict) });
    assert_eq!(second.postback, Seq::new(2).unwrap());
    drop(store);
    let store = ground.open();
    let third = sale("t1").tell(&*store);
    assert!(matches!(third.verdict, Verdict::Duplicate { .. }), "after reopening");
    assert_eq!(third.postback, Seq::new(3).unwrap());
}
