//! The store's guarantees about leases that run out, attempts that are recorded late or twice, and exchanges that several
//! attempts share, for every implementation.

use std::sync::Arc;

use postbridge::domain::attempt::AttemptEffect;
use postbridge::domain::delivery::DeliveryState;
use postbridge::domain::time::Time;
use postbridge::store::contract::Store;
use postbridge::store::contract::arrival::Receipt;
use postbridge::store::contract::change::PurgeBefore;
use postbridge::store::contract::work::{AttemptOutcome, ClaimRequest, Claimed, LeaseToken, Recorded};

use crate::support::attempt_fixture::{attempt, dead, delivered, exchange, failed, one};
use crate::support::reasons;
use crate::support::store_fixture::{
    DAY, Engine, HOUR, account, at, backlog, before_and_after_reopening, conformance, conversion_of,
    delivery_id, due_request, purge_all, sale, states, trace, wait,
};

conformance! {
    what_was_not_recorded_in_time_is_handed_out_again_as_a_possible_repeat,
    a_lease_that_ran_out_is_its_holders_until_another_has_the_delivery,
    what_is_recorded_once_another_has_the_delivery_is_late_and_changes_nothing,
    a_late_attempt_is_late_also_when_the_other_one_has_ended,
    what_one_lease_records_twice_is_kept_once,
    what_was_given_back_is_no_longer_its_holders,
    a_lease_that_runs_out_wakes_the_worker_of_its_target,
    a_person_who_asks_again_takes_the_delivery_from_no_one,
    an_attempt_without_an_answer_makes_the_next_a_possible_repeat,
    attempts_that_are_recorded_together_share_their_exchange,
    an_exchange_is_kept_as_long_as_the_newest_conversion_it_was_about,
}

/// How long a lease holds here.
const LEASE_MS: i64 = HOUR;

fn claim(store: &dyn Store, name: &str, now: Time) -> Vec<Claimed> {
    claim_up_to(store, name, now, 100)
}

fn claim_up_to(store: &dyn Store, name: &str, now: Time, fresh: usize) -> Vec<Claimed> {
    let request = due_request(account(name), now, fresh, fresh);
    wait(store.claim(ClaimRequest { lease_for_ms: LEASE_MS, ..request })).unwrap().work
}

fn record(store: &dyn Store, outcome: AttemptOutcome) -> Recorded {
    wait(store.record(one(outcome))).unwrap()[0]
}

/// A sale whose delivery was claimed at the beginning, and handed to another once the lease had run out.
fn handed_on(store: &dyn Store) -> (Receipt, Claimed, Claimed) {
    let receipt = sale("t1").forward().receive(store);
    let first = claim(store, "ads", at(0)).remove(0);
    assert!(claim(store, "ads", at(LEASE_MS - 1)).is_empty());
    let second = claim(store, "ads", at(LEASE_MS)).remove(0);
    (receipt, first, second)
}

fn effects(store: &dyn Store, receipt: &Receipt) -> Vec<AttemptEffect> {
    let (_, attempts) = trace(store, receipt).deliveries.remove(0);
    attempts.iter().map(|attempt| attempt.effect).collect()
}

fn what_was_not_recorded_in_time_is_handed_out_again_as_a_possible_repeat(engine: &Engine) {
    let store = engine.open();
    let (receipt, first, second) = handed_on(&*store);
    assert!(!first.delivery.possible_repeat);
    assert!(second.delivery.possible_repeat);
    assert_ne!(first.lease.token, second.lease.token);
    assert_eq!((first.lease.until, second.lease.until), (at(LEASE_MS), at(2 * LEASE_MS)));
    assert_eq!(record(&*store, failed(&second, at(LEASE_MS), at(DAY))), Recorded::Settled);
    before_and_after_reopening(engine, store, |store, _| {
        assert!(trace(store, &receipt).deliveries[0].0.possible_repeat);
    });
}

fn a_lease_that_ran_out_is_its_holders_until_another_has_the_delivery(engine: &Engine) {
    let store = engine.open();
    let receipt = sale("t1").forward().receive(&*store);
    let work = claim(&*store, "ads", at(0)).remove(0);
    // It is found to have run out, and handed to no one.
    assert!(claim_up_to(&*store, "ads", at(2 * LEASE_MS), 0).is_empty());
    assert_eq!(record(&*store, delivered(&work, at(2 * LEASE_MS))), Recorded::Settled);
    assert_eq!(states(&*store, &receipt), [DeliveryState::delivered(at(2 * LEASE_MS))]);
    assert!(claim(&*store, "ads", at(DAY)).is_empty());
}

fn what_is_recorded_once_another_has_the_delivery_is_late_and_changes_nothing(engine: &Engine) {
    let store = engine.open();
    let (receipt, first, second) = handed_on(&*store);
    assert_eq!(record(&*store, delivered(&first, at(LEASE_MS + 1))), Recorded::Late);
    assert_eq!(states(&*store, &receipt), [DeliveryState::Waiting { due: at(0) }]);
    assert!(claim(&*store, "ads", at(LEASE_MS + 2)).is_empty(), "the other one has it still");
    assert_eq!(record(&*store, failed(&second, at(LEASE_MS + 3), at(DAY))), Recorded::Settled);
    before_and_after_reopening(engine, store, |store, _| {
        assert_eq!(effects(store, &receipt), [AttemptEffect::Late, AttemptEffect::Settled]);
        assert_eq!(states(store, &receipt), [DeliveryState::Waiting { due: at(DAY) }]);
        assert_eq!(trace(store, &receipt).deliveries[0].0.attempts, 1, "a late one is not counted");
    });
}

fn a_late_attempt_is_late_also_when_the_other_one_has_ended(engine: &Engine) {
    let store = engine.open();
    let (receipt, first, second) = handed_on(&*store);
    assert_eq!(record(&*store, delivered(&second, at(LEASE_MS + 1))), Recorded::Settled);
    assert_eq!(record(&*store, dead(&first, at(LEASE_MS + 2))), Recorded::Late);
    assert_eq!(states(&*store, &receipt), [DeliveryState::delivered(at(LEASE_MS + 1))]);
    assert_eq!(effects(&*store, &receipt), [AttemptEffect::Settled, AttemptEffect::Late]);
    assert_eq!(backlog(&*store, "ads", at(DAY)).map(|backlog| backlog.dead), None);
}

fn what_one_lease_records_twice_is_kept_once(engine: &Engine) {
    let store = engine.open();
    let (receipt, first, second) = handed_on(&*store);
    let late = delivered(&first, at(LEASE_MS + 1));
    let settled = failed(&second, at(LEASE_MS + 2), at(DAY));
    // Asked for without an answer, as after a connection that was lost: in one group, then after each other.
    let asked =
        [store.record(one(late.clone())), store.record(one(late.clone()))].map(|asked| wait(asked).unwrap());
    assert_eq!(asked, [[Recorded::Late], [Recorded::Late]]);
    let asked = [store.record(one(settled.clone())), store.record(one(settled.clone()))];
    assert_eq!(asked.map(|asked| wait(asked).unwrap()), [[Recorded::Settled], [Recorded::Settled]]);
    before_and_after_reopening(engine, store, |store, _| {
        assert_eq!(record(store, late.clone()), Recorded::Late);
        assert_eq!(record(store, settled.clone()), Recorded::Settled);
        assert_eq!(effects(store, &receipt), [AttemptEffect::Late, AttemptEffect::Settled]);
    });
}

fn what_was_given_back_is_no_longer_its_holders(engine: &Engine) {
    let store = engine.open();
    let receipt = sale("t1").forward().receive(&*store);
    let work = claim(&*store, "ads", at(0)).remove(0);
    wait(store.release(vec![work.lease.token, LeaseToken::new(7), work.lease.token])).unwrap();
    assert_eq!(record(&*store, dead(&work, at(1))), Recorded::Late);
    assert_eq!(states(&*store, &receipt), [DeliveryState::Waiting { due: at(0) }]);
    let again = claim(&*store, "ads", at(2)).remove(0);
    wait(store.release(vec![work.lease.token])).unwrap();
    assert!(claim(&*store, "ads", at(3)).is_empty(), "a lease of before gives nothing back");
    assert!(!again.delivery.possible_repeat, "nothing had left");
}

fn a_lease_that_runs_out_wakes_the_worker_of_its_target(engine: &Engine) {
    let store = engine.open();
    sale("t1").forward().receive(&*store);
    let work = claim(&*store, "ads", at(0));
    assert_eq!(work.len(), 1);
    let wakeup = store.wakeup(&account("ads"));
    // Another target's claim finds it.
    assert!(claim(&*store, "elsewhere", at(LEASE_MS)).is_empty());
    wait(wakeup.signalled());
}

fn a_person_who_asks_again_takes_the_delivery_from_no_one(engine: &Engine) {
    let store = engine.open();
    let (receipt, first, second) = handed_on(&*store);
    assert_eq!(record(&*store, dead(&second, at(LEASE_MS + 1))), Recorded::Settled);
    let id = delivery_id(&receipt, "ads");
    let counts = postbridge::domain::expiry::AgeRule::Counts;
    wait(store.retry(id, at(LEASE_MS + 2), counts)).unwrap().unwrap();
    assert_eq!(record(&*store, dead(&first, at(LEASE_MS + 3))), Recorded::Late);
    let third = claim(&*store, "ads", at(LEASE_MS + 4)).remove(0);
    assert_eq!(record(&*store, delivered(&third, at(LEASE_MS + 5))), Recorded::Settled);
    assert_eq!(states(&*store, &receipt), [DeliveryState::delivered(at(LEASE_MS + 5))]);
}

fn an_attempt_without_an_answer_makes_the_next_a_possible_repeat(engine: &Engine) {
    let store = engine.open();
    for (name, verdict, is_possible) in
        [("t1", reasons::retry(), false), ("t2", reasons::no_answer_in_time(), true)]
    {
        let receipt = sale(name).forward().receive(&*store);
        let work = claim(&*store, "ads", at(0)).remove(0);
        let attempt = attempt(at(1), "body", verdict);
        let outcome = AttemptOutcome { attempt, ..failed(&work, at(1), at(DAY)) };
        assert_eq!(record(&*store, outcome), Recorded::Settled);
        assert_eq!(trace(&*store, &receipt).deliveries[0].0.possible_repeat, is_possible, "{name}");
    }
}

/// Outcomes of one request that was about all of this.
fn of_one_request(work: &[Claimed], time: i64) -> Arc<[AttemptOutcome]> {
    let shared = Arc::new(exchange("a batch", b"all were taken"));
    let outcome = |work: &Claimed| {
        let mut outcome = delivered(work, at(time));
        outcome.attempt.exchange = Some(Arc::clone(&shared));
        outcome
    };
    work.iter().map(outcome).collect()
}

fn attempts_that_are_recorded_together_share_their_exchange(engine: &Engine) {
    let store = engine.open();
    let receipts: Vec<Receipt> = (0..5).map(|n| sale(&format!("t{n}")).forward().receive(&*store)).collect();
    let work = claim(&*store, "ads", at(0));
    let recorded = wait(store.record(of_one_request(&work, 1))).unwrap();
    assert_eq!(recorded, [Recorded::Settled; 5]);
    before_and_after_reopening(engine, store, |store, _| {
        for receipt in &receipts {
            let (delivery, attempts) = trace(store, receipt).deliveries.remove(0);
            assert_eq!(delivery.state, DeliveryState::delivered(at(1)));
            assert_eq!(attempts[0].request().unwrap().body, "a batch");
            assert_eq!(attempts[0].answer().unwrap().body, b"all were taken");
        }
    });
}

fn an_exchange_is_kept_as_long_as_the_newest_conversion_it_was_about(engine: &Engine) {
    let store = engine.open();
    let newest = sale("new").at(at(5 * DAY)).forward().receive(&*store);
    let oldest = sale("old").at(at(0)).forward().receive(&*store);
    let mut work = claim(&*store, "ads", at(5 * DAY));
    work.sort_by_key(|work| work.conversion.received_at);
    assert_eq!(work.len(), 2);
    wait(store.record(of_one_request(&work, 6 * DAY))).unwrap();
    purge_all(&*store, PurgeBefore { postbacks: at(3 * DAY), conversions: at(3 * DAY), clicks: at(0) });
    assert!(wait(store.conversion(conversion_of(&oldest.verdict))).unwrap().is_none());
    let (_, attempts) = trace(&*store, &newest).deliveries.remove(0);
    assert_eq!(attempts[0].request().unwrap().body, "a batch");
}
