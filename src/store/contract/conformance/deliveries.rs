//! What must hold of deliveries, leases and attempts.

use std::sync::Arc;

use crate::domain::change_rules::Changes;
use crate::domain::delivery::{DeliveryState, DeliveryStateName, ReplyVerdict};
use crate::domain::expiry::AgeRule;
use crate::domain::routing::Route;
use crate::domain::sent::{Confirmation, LaterVerdict};
use crate::domain::skip::SkipReason;
use crate::store::contract::Store;
use crate::store::contract::arrival::Receipt;
use crate::store::contract::change::PurgeBefore;
use crate::store::contract::conformance::fixture::attempt::{
    attempt, dead, delivered, exchange, failed, one,
};
use crate::store::contract::conformance::fixture::engine::{EngineUnderTest, before_and_after_reopening};
use crate::store::contract::conformance::fixture::reason::{account_refused, skipped};
use crate::store::contract::conformance::fixture::received::{
    DAY, HOUR, Sale, account, at, click, click_id, destination, sale, unscreened, wait,
};
use crate::store::contract::conformance::fixture::work::{
    backlog, claim, claim_oldest, claim_some, delivery_id, due_request, fall_due, first_page, purge_all,
    states, trace,
};
use crate::store::contract::lookup::DeliveryFilter;
use crate::store::contract::subscription::SignalOf;
use crate::store::contract::subscription::Subscription;
use crate::store::contract::work::{AttemptOutcome, Claimed, FallsDue};

pub fn a_hold_that_ends_is_skipped_and_can_be_retried(engine: &EngineUnderTest) {
    let store = engine.open();
    let held = sale("t1").click("c1").receive(&*store);
    assert_eq!(fall_due(&*store, FallsDue::Holds, at(72 * HOUR - 1), 10), 0);
    drop(store);
    let store = engine.open();
    assert_eq!(fall_due(&*store, FallsDue::Holds, at(72 * HOUR), 10), 1);
    assert_eq!(fall_due(&*store, FallsDue::Holds, at(72 * HOUR), 10), 0);
    let skipped = skipped(at(72 * HOUR), SkipReason::NoClick);
    assert_eq!(states(&*store, &held)[0], skipped);
    wait(store.record_click(unscreened(click("c1")))).unwrap();
    assert_eq!(states(&*store, &held), [skipped], "a click alone does not undo it");
    assert!(trace(&*store, &held).click.is_some(), "yet they are joined");
    let retried =
        wait(store.retry(delivery_id(&held, "ads"), at(73 * HOUR), AgeRule::Counts)).unwrap().unwrap();
    assert_eq!(retried.state, DeliveryState::Waiting { due: at(73 * HOUR) });
    assert_eq!(claim(&*store, "ads", at(73 * HOUR))[0].click.as_ref().unwrap().id, click_id("c1"));
}

pub fn expiring_stops_at_its_limit(engine: &EngineUnderTest) {
    let store = engine.open();
    for n in 0..5 {
        sale(&format!("t{n}")).receive(&*store);
    }
    let expire = |limit| fall_due(&*store, FallsDue::Holds, at(100 * HOUR), limit);
    assert_eq!((expire(2), expire(2), expire(2), expire(2)), (2, 2, 1, 0));
}

pub fn a_claimed_delivery_goes_to_no_one_else_until_it_is_released(engine: &EngineUnderTest) {
    let store = engine.open();
    sale("t1").forward().receive(&*store);
    let work = claim(&*store, "ads", at(0));
    assert_eq!(work.len(), 1);
    assert_eq!(claim(&*store, "ads", at(DAY)).len(), 0);
    assert!(claim_oldest(&*store, account("ads")).is_none());
    wait(store.release(vec![work[0].lease.token])).unwrap();
    let again = claim(&*store, "ads", at(0));
    assert_eq!(again.len(), 1);
    assert_eq!(again[0].delivery, work[0].delivery, "untouched");
    wait(store.record(one(delivered(&again[0], at(1))))).unwrap();
    wait(store.release(vec![again[0].lease.token])).unwrap();
    assert_eq!(claim(&*store, "ads", at(DAY)).len(), 0, "releasing what is done changes nothing");
    assert_eq!(wait(store.backlog(at(0))).unwrap(), vec![]);
}

pub fn leases_end_with_the_process(engine: &EngineUnderTest) {
    let store = engine.open();
    sale("t1").forward().receive(&*store);
    assert_eq!(claim(&*store, "ads", at(0)).len(), 1);
    drop(store);
    assert_eq!(claim(&*engine.open(), "ads", at(0)).len(), 1);
}

pub fn due_work_is_handed_out_oldest_first_and_retries_apart(engine: &EngineUnderTest) {
    let store = engine.open();
    for (name, time) in [("t3", 30), ("t1", 10), ("t4", 40), ("t2", 20)] {
        sale(name).forward().at(at(time)).receive(&*store);
    }
    let name = |work: &[Claimed]| -> Vec<String> {
        work.iter().filter_map(|work| work.conversion.transaction_id.clone()).collect()
    };
    let work = claim_some(&*store, "ads", at(35), 2, 9);
    assert_eq!(name(&work), ["t1", "t2"]);
    wait(store.record(one(failed(&work[0], at(36), at(90))))).unwrap();
    wait(store.record(one(failed(&work[1], at(36), at(80))))).unwrap();
    assert_eq!(name(&claim_some(&*store, "ads", at(79), 0, 9)), Vec::<String>::new());
    assert_eq!(name(&claim_some(&*store, "ads", at(100), 9, 0)), ["t3", "t4"]);
    assert_eq!(name(&claim_some(&*store, "ads", at(100), 0, 9)), ["t2", "t1"]);
}

pub fn a_claim_hands_out_no_more_than_asked_and_says_what_falls_due_next(engine: &EngineUnderTest) {
    let store = engine.open();
    for n in 0..5 {
        sale(&format!("t{n}")).forward().receive(&*store);
    }
    let ask = |fresh, retries, now| {
        let request = due_request(account("ads"), now, fresh, retries);
        wait(store.claim(request)).unwrap()
    };
    let claim = ask(3, 0, at(0));
    assert_eq!(claim.work.len(), 3);
    for work in &claim.work {
        wait(store.record(one(failed(work, at(1), at(5000))))).unwrap();
    }
    assert_eq!(ask(9, 9, at(10)).work.len(), 2);
    let nothing = ask(9, 9, at(10));
    assert_eq!((nothing.work.len(), nothing.next_due), (0, Some(at(5000))));
    assert_eq!(ask(0, 2, at(5000)).work.len(), 2);
    assert_eq!(ask(9, 9, at(5000)).work.len(), 1);
    assert_eq!(ask(9, 9, at(5000)).next_due, None);
}

pub fn the_oldest_waiting_delivery_can_be_claimed_before_it_is_due(engine: &EngineUnderTest) {
    let store = engine.open();
    sale("t1").forward().receive(&*store);
    sale("t2").forward().receive(&*store);
    for work in claim(&*store, "ads", at(0)) {
        let due = if work.conversion.transaction_id.as_deref() == Some("t1") { DAY } else { HOUR };
        wait(store.record(one(failed(&work, at(1), at(due))))).unwrap();
    }
    let oldest = claim_oldest(&*store, account("ads")).unwrap();
    assert_eq!(oldest.conversion.transaction_id.as_deref(), Some("t2"));
    let next = claim_oldest(&*store, account("ads")).unwrap();
    assert_eq!(next.conversion.transaction_id.as_deref(), Some("t1"));
    assert!(claim_oldest(&*store, account("ads")).is_none());
}

pub fn attempts_are_kept_in_order_with_what_was_sent_and_answered(engine: &EngineUnderTest) {
    let store = engine.open();
    let receipts: Vec<Receipt> = (0..20).map(|n| sale(&format!("t{n}")).forward().receive(&*store)).collect();
    for round in 0..4i64 {
        for work in claim(&*store, "ads", at(1000 * round)) {
            let mut outcome = failed(&work, at(1000 * round), at(1000 * (round + 1)));
            let body = format!("{}: {round} {}", work.id, "x".repeat(3000 * round as usize));
            outcome.attempt.exchange = Some(Arc::new(exchange(&body, b"")));
            wait(store.record(one(outcome))).unwrap();
        }
    }
    drop(store);
    let store = engine.open();
    for work in claim(&*store, "ads", at(4000)) {
        assert_eq!(work.delivery.attempts, 4);
        wait(store.record(one(delivered(&work, at(4001))))).unwrap();
    }
    for receipt in &receipts {
        let trace = trace(&*store, receipt);
        let (delivery, attempts) = &trace.deliveries[0];
        assert_eq!(delivery.state, DeliveryState::delivered(at(4001)));
        assert_eq!(delivery.attempts, 5);
        let id = delivery_id(receipt, "ads");
        for (round, attempt) in attempts[..4].iter().enumerate() {
            let body = &attempt.request().unwrap().body;
            assert!(body.starts_with(&format!("{id}: {round} ")), "{body}");
        }
        assert_eq!(attempts.len(), 5);
        assert_eq!(attempts[4].verdict, ReplyVerdict::delivered());
    }
}

pub fn a_parked_attempt_ends_the_lease_and_charges_nothing(engine: &EngineUnderTest) {
    let store = engine.open();
    sale("t1").forward().receive(&*store);
    let work = claim(&*store, "ads", at(0)).remove(0);
    let parked = AttemptOutcome {
        attempt: attempt(at(1), "body", ReplyVerdict::Park { reason: account_refused("token") }),
        state: work.delivery.state.clone(),
        attempts: 0,
        ..delivered(&work, at(1))
    };
    wait(store.record(one(parked))).unwrap();
    let again = claim_some(&*store, "ads", at(2), 1, 0);
    assert_eq!(again[0].delivery, work.delivery);
    assert_eq!(wait(store.conversion(work.id.conversion)).unwrap().unwrap().deliveries[0].1.len(), 1);
}

pub fn withdrawing_a_destination_skips_what_waits_and_what_is_held(engine: &EngineUnderTest) {
    let store = engine.open();
    let held = sale("held").to(&["ads", "other"]).receive(&*store);
    let waits = sale("waits").forward().to(&["ads", "other"]).receive(&*store);
    let many: Vec<_> = (0..1500).map(|n| store.arrive(sale(&format!("t{n}")).forward().arrival())).collect();
    for receipt in many {
        wait(receipt).unwrap();
    }
    assert_eq!(wait(store.withdraw(destination("ads"), at(9))).unwrap(), 1502);
    before_and_after_reopening(engine, store, |store, _| {
        let gone = skipped(at(9), SkipReason::DestinationRemoved);
        assert_eq!(states(store, &held), [gone.clone(), DeliveryState::Held { until: at(72 * HOUR) }]);
        assert_eq!(states(store, &waits), [gone, DeliveryState::Waiting { due: at(0) }]);
        assert_eq!(backlog(store, "ads", at(9)), None);
        assert!(backlog(store, "other", at(9)).is_some());
    });
}

fn confirming(tries: u32) -> DeliveryState {
    let (request_id, accepted_at, poll_at) = ("batch-7".to_owned(), at(1), at(60_000));
    DeliveryState::Confirming { request_id, accepted_at, poll_at, tries, last: None }
}

/// A sale that the platform accepted and has not confirmed.
fn accepted(store: &dyn Store) -> Receipt {
    let receipt = sale("t1").forward().receive(store);
    let work = claim(store, "ads", at(0)).remove(0);
    wait(store.record(one(AttemptOutcome { state: confirming(0), ..delivered(&work, at(1)) }))).unwrap();
    receipt
}

pub fn what_is_to_be_confirmed_is_unfinished_and_in_no_ones_hands(engine: &EngineUnderTest) {
    let store = engine.open();
    let receipt = accepted(&*store);
    drop(store);
    let store = engine.open();
    assert_eq!(states(&*store, &receipt), [confirming(0)]);
    assert_eq!(claim(&*store, "ads", at(100 * DAY)).len(), 0, "it is never sent again");
    let retried = wait(store.retry(delivery_id(&receipt, "ads"), at(2), AgeRule::Counts)).unwrap().unwrap();
    assert_eq!(retried.state, confirming(0), "not by a person either");
    let now = backlog(&*store, "ads", at(2)).unwrap();
    assert_eq!((now.confirming, now.waiting, now.held, now.due, now.dead), (1, 0, 0, 0, 0));
    let before = PurgeBefore { postbacks: at(DAY), conversions: at(DAY), clicks: at(DAY) };
    purge_all(&*store, before);
    assert_eq!(states(&*store, &receipt), [confirming(0)], "its conversion is not purged");
    let filter = DeliveryFilter { state: Some(DeliveryStateName::Confirming), ..DeliveryFilter::default() };
    let found = wait(store.deliveries(filter, first_page(10))).unwrap().items;
    assert_eq!(found.iter().map(|one| one.delivery.state.clone()).collect::<Vec<_>>(), vec![confirming(0)]);
}

pub fn what_is_confirmed_is_delivered_and_says_when_and_by_which_request(engine: &EngineUnderTest) {
    let store = engine.open();
    let receipt = sale("t1").forward().receive(&*store);
    let work = claim(&*store, "ads", at(0)).remove(0);
    let later = LaterVerdict { request_id: "batch-7".to_owned(), tries: 3, at: at(90_000) };
    let state = DeliveryState::Delivered {
        at: at(1),
        confirmation: Confirmation::Confirmed,
        later: Some(Box::new(later)),
    };
    wait(store.record(one(AttemptOutcome { state: state.clone(), ..delivered(&work, at(1)) }))).unwrap();
    drop(store);
    let store = engine.open();
    assert_eq!(states(&*store, &receipt), [state]);
    assert_eq!(backlog(&*store, "ads", at(2)), None);
}

pub fn what_is_to_be_confirmed_at_a_destination_that_is_gone_counts_as_delivered(engine: &EngineUnderTest) {
    let store = engine.open();
    let receipt = accepted(&*store);
    assert_eq!(wait(store.withdraw(destination("ads"), at(5))).unwrap(), 1);
    assert_eq!(states(&*store, &receipt), [DeliveryState::unverified(at(1))]);
    assert_eq!(backlog(&*store, "ads", at(6)), None);
}

pub fn a_change_is_planned_also_while_what_was_sent_is_to_be_confirmed(engine: &EngineUnderTest) {
    let store = engine.open();
    let mut route = Route::to(destination("ads"));
    route.changes = Changes::EACH;
    let sale = |value: &str| Sale { routes: vec![route.clone()], ..sale("t1").forward().value(value) };
    let receipt = sale("7.00").receive(&*store);
    let work = claim(&*store, "ads", at(0)).remove(0);
    wait(store.record(one(AttemptOutcome { state: confirming(0), ..delivered(&work, at(1)) }))).unwrap();
    sale("5.00").receive(&*store);
    let states = states(&*store, &receipt);
    assert_eq!(states[0], confirming(0));
    assert!(matches!(states[1..], [DeliveryState::Waiting { .. }]), "{states:?}");
}

pub fn a_wakeup_rings_when_work_arrives(engine: &EngineUnderTest) {
    let store = engine.open();
    let bell = store.signals(SignalOf::Work(account("ads")));
    sale("t1").to(&["other"]).forward().receive(&*store);
    sale("t2").receive(&*store);
    let rung = |bell: &Subscription| {
        let mut future = std::pin::pin!(bell.signalled());
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        std::future::Future::poll(future.as_mut(), &mut context).is_ready()
    };
    assert!(!rung(&bell), "other work, or held");
    sale("t3").forward().receive(&*store);
    assert!(rung(&bell));
    sale("t4").click("c1").receive(&*store);
    wait(store.record_click(unscreened(click("c1")))).unwrap();
    assert!(rung(&bell), "freed by its click");
    let work = claim(&*store, "ads", at(0)).remove(0);
    wait(store.record(one(dead(&work, at(1))))).unwrap();
    assert!(!rung(&bell));
    wait(store.retry(work.id, at(2), AgeRule::Counts)).unwrap().unwrap();
    assert!(rung(&bell), "asked for by a person");
}

pub fn the_backlog_counts_held_waiting_and_due(engine: &EngineUnderTest) {
    let store = engine.open();
    for n in 0..6i64 {
        sale(&format!("t{n}")).forward().at(at(n * 10)).receive(&*store);
    }
    sale("held").receive(&*store);
    before_and_after_reopening(engine, store, |store, reopened| {
        let counted = |now| {
            let backlog = backlog(store, "ads", now).unwrap();
            (backlog.held, backlog.waiting, backlog.due, backlog.oldest_due)
        };
        assert_eq!(counted(at(-1)), (1, 6, 0, None));
        assert_eq!(counted(at(25)), (1, 6, 3, Some(at(0))));
        assert_eq!(counted(at(5)), (1, 6, 1, Some(at(0))), "time may be asked backwards");
        assert_eq!(counted(at(100)), (1, 6, 6, Some(at(0))));
        if reopened {
            let work = claim_some(store, "ads", at(100), 2, 0);
            assert_eq!(counted(at(100)), (1, 6, 6, Some(at(0))), "leased ones included");
            wait(store.record(one(delivered(&work[0], at(101))))).unwrap();
            wait(store.record(one(failed(&work[1], at(101), at(500))))).unwrap();
            assert_eq!(counted(at(100)), (1, 5, 4, Some(at(20))));
            assert_eq!(counted(at(500)), (1, 5, 5, Some(at(20))));
            sale("late").forward().at(at(15)).receive(store);
            assert_eq!(counted(at(100)), (1, 6, 5, Some(at(15))));
        }
    });
}
