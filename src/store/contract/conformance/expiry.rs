//! What waits past the last moment at which its platform takes it ends, wherever it is in its queue; nothing else does.

use crate::domain::code::{CodedReason, ReasonCode};
use crate::domain::delivery::{DeliveryState, ReplyVerdict};
use crate::domain::delivery_reason::RetryRefused;
use crate::domain::expiry::AgeRule;
use crate::domain::skip::SkipReason;
use crate::domain::status::Status;
use crate::store::contract::Store;
use crate::store::contract::conformance::fixture::attempt::{dead, failed, one};
use crate::store::contract::conformance::fixture::engine::{EngineUnderTest, before_and_after_reopening};
use crate::store::contract::conformance::fixture::received::{
    DAY, HOUR, Sale, at, click, sale, unscreened, wait,
};
use crate::store::contract::conformance::fixture::work::{
    backlog, claim, claim_some, delivery_id, states, trace,
};
use crate::store::contract::work::{Claimed, FallsDue};

/// A sale of this moment whose destination takes events of at most this age.
fn sale_with_age(name: &str, max_age_ms: i64) -> Sale {
    let mut sale = sale(name).forward();
    sale.routes[0].max_age_ms = Some(max_age_ms);
    sale
}

/// How each delivery that expired has ended.
fn expire(store: &dyn Store, millis: i64) -> Vec<(&'static str, &'static str)> {
    let expired = wait(store.fall_due(FallsDue::Expiry, at(millis), 100)).unwrap().deliveries();
    let end = |state: &DeliveryState| match state {
        DeliveryState::Dead { reason, .. } => ("dead", reason.code().as_str()),
        DeliveryState::Skipped { reason, .. } => ("skipped", reason.code().as_str()),
        other => (other.as_str(), ""),
    };
    expired.iter().map(|one| end(&one.state)).collect()
}

pub fn what_waits_too_long_ends_wherever_it_is_and_only_that(engine: &EngineUnderTest) {
    let store = engine.open();
    let young: Vec<_> =
        (0..30).map(|n| sale_with_age(&format!("y{n}"), HOUR).at(at(50)).receive(&*store)).collect();
    let old = sale_with_age("old", HOUR).receive(&*store);
    let late = {
        let mut late = sale_with_age("late", HOUR);
        late.routes[0].delay_ms = HOUR + 1;
        late.receive(&*store)
    };
    assert_eq!(expire(&*store, HOUR), [], "at the last moment it is still sent");
    let mut ended = expire(&*store, HOUR + 1);
    ended.sort_unstable();
    assert_eq!(
        ended,
        [("dead", "too_old"), ("skipped", "too_old")],
        "one could never have been sent in time"
    );
    assert_eq!(expire(&*store, HOUR + 1), []);
    assert_eq!((states(&*store, &old)[0].as_str(), states(&*store, &late)[0].as_str()), ("dead", "skipped"));
    let trace = trace(&*store, &old);
    let (delivery, attempts) = &trace.deliveries[0];
    assert_eq!((delivery.attempts, attempts.len()), (0, 1), "nothing is charged");
    assert!(attempts[0].request().is_none() && matches!(attempts[0].verdict, ReplyVerdict::Dead { .. }));
    assert!(young.iter().all(|young| states(&*store, young)[0].as_str() == "waiting"));
    assert_eq!(claim(&*store, "ads", at(HOUR + 1)).len(), 30);
    let backlog = backlog(&*store, "ads", at(HOUR + 1)).unwrap();
    assert_eq!((backlog.waiting, backlog.dead), (30, 1));
}

pub fn the_first_event_that_will_be_too_old_is_known(engine: &EngineUnderTest) {
    let store = engine.open();
    let first_loss = |store: &dyn Store| backlog(store, "ads", at(50)).and_then(|backlog| backlog.first_loss);
    sale("ageless").forward().receive(&*store);
    assert_eq!(first_loss(&*store), None);
    sale_with_age("later", HOUR).at(at(50)).receive(&*store);
    sale_with_age("first", HOUR).at(at(20)).receive(&*store);
    before_and_after_reopening(engine, store, |store, reopened| {
        assert_eq!(first_loss(store), Some(at(20 + HOUR)));
        if reopened {
            let work = claim(store, "ads", at(50));
            assert_eq!(first_loss(store), Some(at(20 + HOUR)), "leased ones included");
            let is_first = |work: &&Claimed| work.conversion.transaction_id.as_deref() == Some("first");
            wait(store.record(one(dead(work.iter().find(is_first).unwrap(), at(51))))).unwrap();
            assert_eq!(first_loss(store), Some(at(50 + HOUR)), "a dead letter does not wait");
        }
    });
}

pub fn what_is_leased_or_held_or_for_a_removed_destination_does_not_expire(engine: &EngineUnderTest) {
    let store = engine.open();
    let leased = sale_with_age("leased", HOUR).receive(&*store);
    let work = claim(&*store, "ads", at(0));
    let mut held = sale("held").click("c1");
    held.routes[0].max_age_ms = Some(HOUR);
    let held = held.receive(&*store);
    assert_eq!(expire(&*store, DAY), []);
    assert_eq!(
        (states(&*store, &leased)[0].as_str(), states(&*store, &held)[0].as_str()),
        ("waiting", "held")
    );
    wait(store.release(vec![work[0].lease.token])).unwrap();
    // Now another destination is the only one.
    sale("elsewhere").forward().to(&["other"]).at(at(DAY)).receive(&*store);
    assert_eq!(expire(&*store, 2 * DAY), [], "it may be put back");
    sale_with_age("young", HOUR).at(at(2 * DAY)).receive(&*store);
    assert_eq!(expire(&*store, 2 * DAY), [("dead", "too_old")]);
}

pub fn what_is_no_longer_sent_is_skipped_as_at_its_turn(engine: &EngineUnderTest) {
    let store = engine.open();
    let receipt = sale_with_age("t1", HOUR).receive(&*store);
    sale_with_age("t1", HOUR).status(Status::Rejected).receive(&*store);
    assert_eq!(expire(&*store, HOUR + 1), [("skipped", "status_not_forwarded")]);
    let state = &states(&*store, &receipt)[0];
    assert!(matches!(state, DeliveryState::Skipped { reason: SkipReason::StatusNotForwarded { .. }, .. }));
}

pub fn another_maximum_age_counts_for_what_is_unfinished(engine: &EngineUnderTest) {
    let store = engine.open();
    let receipt = sale_with_age("t1", HOUR).receive(&*store);
    // The next sale brings other rules with it, as a reload does.
    sale_with_age("t2", 3 * HOUR).at(at(HOUR)).receive(&*store);
    assert_eq!(expire(&*store, 2 * HOUR), []);
    let work = claim_some(&*store, "ads", at(2 * HOUR), 1, 0).remove(0);
    assert_eq!(work.delivery.expires_at, Some(at(3 * HOUR)));
    wait(store.record(one(failed(&work, at(2 * HOUR), at(4 * HOUR))))).unwrap();
    sale_with_age("t3", 5 * HOUR).at(at(HOUR)).receive(&*store);
    assert_eq!(expire(&*store, 4 * HOUR), []);
    sale_with_age("t4", HOUR).at(at(4 * HOUR)).receive(&*store);
    let work = claim_some(&*store, "ads", at(4 * HOUR), 0, 1).remove(0);
    assert_eq!(work.delivery.expires_at, Some(at(HOUR)), "one that is shorter is seen at the next turn");
    wait(store.release(vec![work.lease.token])).unwrap();
    assert!(expire(&*store, 6 * HOUR).contains(&("dead", "too_old")));
    assert_eq!(states(&*store, &receipt)[0].as_str(), "dead");
}

pub fn an_expiry_outlives_a_restart_and_an_attempt(engine: &EngineUnderTest) {
    let store = engine.open();
    let receipt = sale_with_age("t1", HOUR).receive(&*store);
    let work = claim(&*store, "ads", at(0)).remove(0);
    wait(store.record(one(failed(&work, at(1), at(5 * HOUR))))).unwrap();
    drop(store);
    let store = engine.open_by(sale_with_age("any", HOUR).rules());
    assert_eq!(
        expire(&*store, HOUR + 1),
        [("dead", "too_old")],
        "a retry that fell due too late is no first attempt"
    );
    assert_eq!(states(&*store, &receipt)[0].as_str(), "dead");
}

pub fn what_waits_too_long_for_its_click_ends_by_the_age_of_the_click(engine: &EngineUnderTest) {
    let store = engine.open();
    wait(store.record_click(unscreened(click("c1")))).unwrap();
    let receipt = {
        let mut sale = sale_with_age("t1", DAY).click("c1");
        sale.routes[0].max_click_age_ms = Some(HOUR);
        sale.receive(&*store)
    };
    // The click was a second before.
    let end = HOUR - 1_000;
    assert_eq!(expire(&*store, end), [], "at the last moment it is still sent");
    let work = claim(&*store, "ads", at(0)).remove(0);
    assert_eq!(work.delivery.expires_at, Some(at(end)));
    wait(store.record(one(failed(&work, at(1), at(5 * HOUR))))).unwrap();
    assert_eq!(expire(&*store, end + 1), [("dead", "stale_click")]);
    assert_eq!(states(&*store, &receipt)[0].as_str(), "dead");
}

pub fn a_retry_is_refused_when_the_event_is_too_old(engine: &EngineUnderTest) {
    let store = engine.open();
    let receipt = sale_with_age("t1", HOUR).receive(&*store);
    let id = delivery_id(&receipt, "ads");
    let work = claim(&*store, "ads", at(0)).remove(0);
    wait(store.record(one(dead(&work, at(5))))).unwrap();
    let retry = |id: &_, now, age| wait(store.retry(Clone::clone(id), now, age)).unwrap();
    assert_eq!(retry(&id, at(HOUR + 1), AgeRule::Counts), Err(RetryRefused::TooOld));
    assert!(
        retry(&id, at(HOUR + 1), AgeRule::Suspended).is_ok(),
        "by a clock that is not believed nothing is"
    );
}
