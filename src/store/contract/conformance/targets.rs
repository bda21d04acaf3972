//! Destinations that share a target are claimed together, in one order, and move with their queues when the rules say so.

use std::sync::Arc;

use crate::domain::expiry::AgeRule;
use crate::domain::ruleset::Ruleset;
use crate::domain::target::TargetId;
use crate::domain::time::Time;
use crate::store::contract::Store;
use crate::store::contract::conformance::fixture::attempt::{dead, failed, one};
use crate::store::contract::conformance::fixture::engine::EngineUnderTest;
use crate::store::contract::conformance::fixture::received::{
    DAY, HOUR, account, at, destination, sale, wait,
};
use crate::store::contract::conformance::fixture::work::{backlog, claim_oldest, due_request};
use crate::store::contract::subscription::SignalOf;
use crate::store::contract::subscription::Subscription;
use crate::store::contract::work::Claimed;

fn host(name: &str) -> TargetId {
    TargetId::of_outgoing(name, true)
}

/// From now on each of these destinations belongs to this host.
fn share(store: &dyn Store, shared: &[(&str, &str)]) {
    let names: Vec<&str> = shared.iter().map(|(name, _)| *name).collect();
    let targets = shared.iter().map(|(name, at)| (destination(name), host(at))).collect();
    let rules = sale("any").forward().to(&names).rules();
    wait(store.change_rules(Arc::new(Ruleset { targets, ..Ruleset::clone(&rules) }))).unwrap();
}

/// A sale for one destination of those that share a target, received then.
fn receive(store: &dyn Store, name: &str, to: &str, due: i64, shared: &[(&str, &str)]) {
    let arrival = sale(name).forward().to(&[to]).at(at(due));
    arrival.receive(store);
    share(store, shared);
}

fn ask(store: &dyn Store, target: &TargetId, now: Time, fresh: usize, retries: usize) -> Vec<Claimed> {
    let request = due_request(target.clone(), now, fresh, retries);
    wait(store.claim(request)).unwrap().work
}

fn names(work: &[Claimed]) -> Vec<&str> {
    work.iter().filter_map(|work| work.conversion.transaction_id.as_deref()).collect()
}

const THREE: [(&str, &str); 3] = [("a", "h"), ("b", "h"), ("c", "elsewhere")];

pub fn destinations_of_one_target_are_claimed_together_by_due_time(engine: &EngineUnderTest) {
    let store = engine.open();
    for (name, to, due) in
        [("t3", "a", 30), ("t1", "b", 10), ("t2", "a", 20), ("t0", "c", 0), ("t4", "b", 40)]
    {
        receive(&*store, name, to, due, &THREE);
    }
    assert_eq!(names(&ask(&*store, &host("h"), at(35), 2, 9)), ["t1", "t2"]);
    let request = due_request(host("h"), at(35), 9, 9);
    let claim = wait(store.claim(request)).unwrap();
    assert_eq!((names(&claim.work), claim.next_due), (vec!["t3"], Some(at(40))));
    assert_eq!(names(&ask(&*store, &host("elsewhere"), at(35), 9, 9)), ["t0"]);
    assert!(ask(&*store, &account("a"), at(35), 9, 9).is_empty(), "it has no target alone");
    let counted = |name| backlog(&*store, name, at(35)).map(|backlog| (backlog.waiting, backlog.due));
    assert_eq!((counted("a"), counted("b"), counted("c")), (Some((2, 2)), Some((2, 1)), Some((1, 1))));
}

pub fn a_long_queue_goes_before_another_of_its_target_only_with_what_was_due_earlier(
    engine: &EngineUnderTest,
) {
    let store = engine.open();
    for n in 0..40 {
        sale(&format!("long-{n}")).forward().to(&["a"]).at(at(if n < 5 { 0 } else { 50 })).receive(&*store);
    }
    receive(&*store, "short", "b", 20, &THREE);
    let work = ask(&*store, &host("h"), at(60), 6, 0);
    assert_eq!(names(&work)[5], "short");
}

pub fn retries_and_what_a_person_asked_for_are_found_wherever_they_are(engine: &EngineUnderTest) {
    let store = engine.open();
    for (name, to) in [("t1", "a"), ("t2", "b"), ("t3", "a"), ("t4", "b")] {
        receive(&*store, name, to, 0, &THREE);
    }
    let mut work = ask(&*store, &host("h"), at(0), 9, 0);
    work.sort_by(|one, other| one.conversion.transaction_id.cmp(&other.conversion.transaction_id));
    for (work, due) in work.iter().zip([400, 300, 200]) {
        wait(store.record(one(failed(work, at(1), at(due))))).unwrap();
    }
    wait(store.record(one(dead(&work[3], at(1))))).unwrap();
    assert!(ask(&*store, &host("h"), at(100), 9, 9).is_empty());
    wait(store.retry(work[3].id.clone(), at(450), AgeRule::Counts)).unwrap().unwrap();
    assert_eq!(names(&ask(&*store, &host("h"), at(450), 9, 2)), ["t4", "t3"]);
    assert_eq!(names(&ask(&*store, &host("h"), at(450), 9, 9)), ["t2", "t1"]);
}

pub fn the_oldest_of_a_target_is_found_before_it_is_due(engine: &EngineUnderTest) {
    let store = engine.open();
    receive(&*store, "t1", "a", 0, &THREE);
    receive(&*store, "t2", "b", 0, &THREE);
    for work in ask(&*store, &host("h"), at(0), 9, 0) {
        let due = if work.conversion.transaction_id.as_deref() == Some("t1") { DAY } else { HOUR };
        wait(store.record(one(failed(&work, at(1), at(due))))).unwrap();
    }
    let oldest = || claim_oldest(&*store, host("h"));
    let order = [oldest(), oldest()].map(|claimed| claimed.unwrap().conversion.transaction_id);
    assert_eq!(order, ["t2", "t1"].map(|name| Some(name.to_owned())));
    assert!(oldest().is_none());
}

pub fn a_destination_that_moves_takes_its_queue_along_and_what_is_out_returns_to_its_new_target(
    engine: &EngineUnderTest,
) {
    let store = engine.open();
    receive(&*store, "t1", "a", 0, &THREE);
    receive(&*store, "t2", "a", 1, &THREE);
    receive(&*store, "t3", "b", 2, &THREE);
    let out = ask(&*store, &host("h"), at(5), 1, 0);
    assert_eq!(names(&out), ["t1"]);
    let bell = store.signals(SignalOf::Work(host("new")));
    let rung = |bell: &Subscription| {
        let mut future = std::pin::pin!(bell.signalled());
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        std::future::Future::poll(future.as_mut(), &mut context).is_ready()
    };
    assert!(!rung(&bell));
    share(&*store, &[("a", "new"), ("b", "h")]);
    assert!(rung(&bell), "it has work now");
    wait(store.release(vec![out[0].lease.token])).unwrap();
    assert!(rung(&bell), "what was out is back, and it is the one to send it");
    assert_eq!(names(&ask(&*store, &host("h"), at(5), 9, 9)), ["t3"]);
    assert_eq!(names(&ask(&*store, &host("new"), at(5), 9, 9)), ["t1", "t2"]);
    // And back to a target alone.
    receive(&*store, "t4", "a", 6, &[("a", "new")]);
    share(&*store, &[("b", "h")]);
    assert!(ask(&*store, &host("new"), at(9), 9, 9).is_empty());
    assert_eq!(names(&ask(&*store, &account("a"), at(9), 9, 9)), ["t4"]);
}

pub fn what_a_clock_that_ran_ahead_planned_is_found_in_a_shared_target(engine: &EngineUnderTest) {
    let store = engine.open();
    for (name, to) in [("t1", "a"), ("t2", "b")] {
        receive(&*store, name, to, 0, &THREE);
    }
    for work in ask(&*store, &host("h"), at(0), 9, 0) {
        let due = if work.conversion.transaction_id.as_deref() == Some("t1") { 900 * DAY } else { DAY };
        wait(store.record(one(failed(&work, at(1), at(due))))).unwrap();
    }
    assert_eq!(names(&ask(&*store, &host("h"), at(5), 0, 9)), ["t1"], "due later than anything can be");
}
