//! What must hold of leases that run out, of attempts that are recorded late or twice, and of exchanges that attempts share.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::attempt::AttemptEffect;
use crate::domain::delivery::DeliveryState;
use crate::domain::time::Time;
use crate::store::contract::Store;
use crate::store::contract::arrival::Receipt;
use crate::store::contract::change::PurgeBefore;
use crate::store::contract::conformance::fixture::attempt::{
    attempt, dead, delivered, exchange, failed, one,
};
use crate::store::contract::conformance::fixture::engine::{EngineUnderTest, before_and_after_reopening};
use crate::store::contract::conformance::fixture::reason;
use crate::store::contract::conformance::fixture::received::{DAY, HOUR, account, at, sale, wait};
use crate::store::contract::conformance::fixture::work::{
    LEASE, backlog, claim, claim_some, conversion_of, delivery_id, due_request, purge_all, states, trace,
};
use crate::store::contract::subscription::SignalOf;
use crate::store::contract::work::{
    AttemptOutcome, ClaimRequest, Claimed, LeaseToken, Recorded, RepeatRisk, WantedWork,
};

/// [`LEASE`] in milliseconds.
const LEASE_MS: i64 = HOUR;

fn record(store: &dyn Store, outcome: AttemptOutcome) -> Recorded {
    wait(store.record(one(outcome))).unwrap()[0]
}

/// A sale whose delivery was claimed at the beginning, and handed to another once the lease had run out.
fn handed_on(engine: &EngineUnderTest, store: &dyn Store) -> (Receipt, Claimed, Claimed) {
    let receipt = sale("t1").forward().receive(store);
    let first = claim(store, "ads", at(0)).remove(0);
    engine.pass(LEASE - Duration::from_millis(1));
    assert!(claim(store, "ads", at(LEASE_MS - 1)).is_empty());
    engine.pass(Duration::from_millis(1));
    let second = claim(store, "ads", at(LEASE_MS)).remove(0);
    (receipt, first, second)
}

fn effects(store: &dyn Store, receipt: &Receipt) -> Vec<AttemptEffect> {
    let (_, attempts) = trace(store, receipt).deliveries.remove(0);
    attempts.iter().map(|attempt| attempt.effect).collect()
}

pub fn what_was_not_recorded_in_time_is_handed_out_again_as_a_possible_repeat(engine: &EngineUnderTest) {
    let store = engine.open();
    let (receipt, first, second) = handed_on(engine, &*store);
    assert!(!first.delivery.possible_repeat);
    assert!(second.delivery.possible_repeat);
    assert_ne!(first.lease.token, second.lease.token);
    assert_eq!((first.lease.lasts, second.lease.lasts), (LEASE, LEASE));
    assert_eq!(record(&*store, failed(&second, at(LEASE_MS), at(DAY))), Recorded::Settled);
    before_and_after_reopening(engine, store, |store, _| {
        assert!(trace(store, &receipt).deliveries[0].0.possible_repeat);
    });
}

pub fn a_wall_clock_that_is_set_ends_no_lease_and_holds_none_up(engine: &EngineUnderTest) {
    let store = engine.open();
    let receipt = sale("t1").forward().at(at(-DAY)).receive(&*store);
    let work = claim(&*store, "ads", at(0)).remove(0);
    for time in [1000 * DAY, -DAY] {
        assert!(claim(&*store, "ads", at(time)).is_empty(), "it is set to {time}");
    }
    let later = sale("t2").forward().at(at(-DAY)).receive(&*store);
    assert!(!claim(&*store, "ads", at(1000 * DAY)).remove(0).delivery.possible_repeat);
    assert_eq!(record(&*store, delivered(&work, at(1000 * DAY))), Recorded::Settled);
    assert!(!trace(&*store, &receipt).deliveries[0].0.possible_repeat);
    engine.pass(LEASE);
    let again = claim(&*store, "ads", at(-DAY)).remove(0);
    assert_eq!(again.id, delivery_id(&later, "ads"));
    assert!(again.delivery.possible_repeat);
}

pub fn a_lease_that_ran_out_is_its_holders_until_another_has_the_delivery(engine: &EngineUnderTest) {
    let store = engine.open();
    let receipt = sale("t1").forward().receive(&*store);
    let work = claim(&*store, "ads", at(0)).remove(0);
    engine.pass(2 * LEASE);
    // It is found to have run out, and handed to no one.
    assert!(claim_some(&*store, "ads", at(2 * LEASE_MS), 0, 0).is_empty());
    assert_eq!(record(&*store, delivered(&work, at(2 * LEASE_MS))), Recorded::Settled);
    assert_eq!(states(&*store, &receipt), [DeliveryState::delivered(at(2 * LEASE_MS))]);
    assert!(claim(&*store, "ads", at(DAY)).is_empty());
}

pub fn what_is_recorded_once_another_has_the_delivery_is_late_and_changes_nothing(engine: &EngineUnderTest) {
    let store = engine.open();
    let (receipt, first, second) = handed_on(engine, &*store);
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

pub fn a_late_attempt_is_late_also_when_the_other_one_has_ended(engine: &EngineUnderTest) {
    let store = engine.open();
    let (receipt, first, second) = handed_on(engine, &*store);
    assert_eq!(record(&*store, delivered(&second, at(LEASE_MS + 1))), Recorded::Settled);
    assert_eq!(record(&*store, dead(&first, at(LEASE_MS + 2))), Recorded::Late);
    assert_eq!(states(&*store, &receipt), [DeliveryState::delivered(at(LEASE_MS + 1))]);
    assert_eq!(effects(&*store, &receipt), [AttemptEffect::Settled, AttemptEffect::Late]);
    assert_eq!(backlog(&*store, "ads", at(DAY)).map(|backlog| backlog.dead), None);
}

pub fn what_one_lease_records_twice_is_kept_once(engine: &EngineUnderTest) {
    let store = engine.open();
    let (receipt, first, second) = handed_on(engine, &*store);
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

pub fn what_was_given_back_is_no_longer_its_holders(engine: &EngineUnderTest) {
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

pub fn what_was_in_hand_when_a_process_ended_without_closing_is_a_possible_repeat(engine: &EngineUnderTest) {
    let store = engine.open();
    let sold = |name| delivery_id(&sale(name).forward().receive(&*store), "ads");
    let (sent, queued, failed_before) = (sold("t1"), sold("t2"), sold("t3"));
    let work = claim_some(&*store, "ads", at(0), 3, 0);
    assert_eq!(work.len(), 3);
    assert_eq!(record(&*store, failed(&work[2], at(1), at(DAY))), Recorded::Settled);
    wait(store.release(vec![work[1].lease.token])).unwrap();
    drop(store);
    // Which of what was due had left no one knows. What was not due had not.
    let store = engine.open();
    let claimed = claim_some(&*store, "ads", at(2), 3, 3);
    assert_eq!(claimed.iter().map(|work| &work.id).collect::<Vec<_>>(), [&sent, &queued]);
    assert!(claimed.iter().all(|work| work.delivery.possible_repeat));
    sale("t4").forward().receive(&*store);
    assert!(!claim(&*store, "ads", at(3)).remove(0).delivery.possible_repeat, "it was received since");
    let retried = claim_some(&*store, "ads", at(DAY), 0, 3).remove(0);
    assert_eq!((&retried.id, retried.delivery.possible_repeat), (&failed_before, false));
    assert_eq!(record(&*store, failed(&claimed[0], at(4), at(2 * DAY))), Recorded::Settled);
    assert!(claim_some(&*store, "ads", at(2 * DAY), 0, 1).remove(0).delivery.possible_repeat, "it is kept");
}

/// Closes the store, opens it again, and claims what is due then.
fn claimed_after_closing(
    engine: &EngineUnderTest,
    store: Arc<dyn Store>,
    now: Time,
) -> (Arc<dyn Store>, Vec<Claimed>) {
    wait(store.close()).unwrap();
    drop(store);
    let store = engine.open();
    let work = claim_some(&*store, "ads", now, 9, 9);
    (store, work)
}

pub fn a_store_that_was_closed_knows_of_what_it_may_have_let_go(engine: &EngineUnderTest) {
    let store = engine.open();
    let sold = |store: &dyn Store, name| delivery_id(&sale(name).forward().receive(store), "ads");
    let given_back = sold(&*store, "t1");
    let work = claim(&*store, "ads", at(0)).remove(0);
    wait(store.release(vec![work.lease.token])).unwrap();
    let (store, work) = claimed_after_closing(engine, store, at(1));
    assert!(!work[0].delivery.possible_repeat, "nothing had left");
    wait(store.release(vec![work[0].lease.token])).unwrap();
    // One is in someone's hands when it is closed.
    let in_hand = sold(&*store, "t2");
    let leased = claim_some(&*store, "ads", at(2), 9, 9);
    let kept: Vec<LeaseToken> =
        leased.iter().filter(|work| work.id != in_hand).map(|work| work.lease.token).collect();
    wait(store.release(kept)).unwrap();
    let (store, work) = claimed_after_closing(engine, store, at(3));
    let repeats = |work: &[Claimed]| -> Vec<_> {
        let repeats = work.iter().filter(|work| work.delivery.possible_repeat);
        repeats.map(|work| work.id.clone()).collect()
    };
    assert_eq!((work.len(), repeats(&work)), (2, vec![in_hand.clone()]));
    // It was closed, and the next process is killed.
    drop(store);
    let store = engine.open();
    let work = claim_some(&*store, "ads", at(4), 9, 9);
    let mut both = vec![given_back, in_hand];
    assert_eq!(repeats(&work), both);
    // What is on record since is known; what is not stays so.
    let recorded = AttemptOutcome { repeat: RepeatRisk::CountedOnce, ..failed(&work[0], at(5), at(6)) };
    assert_eq!(record(&*store, recorded), Recorded::Settled);
    wait(store.release(vec![work[1].lease.token])).unwrap();
    let (_store, work) = claimed_after_closing(engine, store, at(7));
    assert_eq!((work.len(), repeats(&work)), (2, both.split_off(1)));
}

pub fn a_closed_store_hands_out_nothing(engine: &EngineUnderTest) {
    let store = engine.open();
    sale("t1").forward().receive(&*store);
    wait(store.close()).unwrap();
    let late = due_request(account("ads"), at(1), 9, 9);
    assert!(wait(store.claim(late)).map_or(true, |leased| leased.work.is_empty()));
}

pub fn what_left_before_the_clock_was_set_back_or_as_a_probe_is_a_possible_repeat(engine: &EngineUnderTest) {
    for is_probe in [false, true] {
        let store = engine.open();
        let name = if is_probe { "t1" } else { "t2" };
        let receipt = sale(name).forward().at(at(HOUR)).receive(&*store);
        if is_probe {
            let work = claim(&*store, "ads", at(HOUR)).remove(0);
            assert_eq!(record(&*store, failed(&work, at(HOUR), at(DAY))), Recorded::Settled);
            let oldest =
                ClaimRequest { wanted: WantedWork::Oldest, ..due_request(account("ads"), at(HOUR), 0, 0) };
            assert_eq!(wait(store.claim(oldest)).unwrap().work.len(), 1);
        } else {
            assert_eq!(claim(&*store, "ads", at(HOUR)).len(), 1);
        }
        drop(store);
        let store = engine.open();
        assert!(claim_some(&*store, "ads", at(0), 9, 9).is_empty(), "it is not due yet by this clock");
        let work = claim_some(&*store, "ads", at(DAY), 9, 9).remove(0);
        assert_eq!(
            (&work.id, work.delivery.possible_repeat),
            (&delivery_id(&receipt, "ads"), true),
            "{is_probe}"
        );
        assert_eq!(record(&*store, delivered(&work, at(DAY))), Recorded::Settled);
    }
}

pub fn a_lease_that_runs_out_wakes_the_worker_of_its_target(engine: &EngineUnderTest) {
    let store = engine.open();
    sale("t1").forward().receive(&*store);
    let work = claim(&*store, "ads", at(0));
    assert_eq!(work.len(), 1);
    let wakeup = store.signals(SignalOf::Work(account("ads")));
    engine.pass(LEASE);
    // Another target's claim finds it.
    assert!(claim(&*store, "elsewhere", at(LEASE_MS)).is_empty());
    wait(wakeup.signalled());
}

pub fn a_person_who_asks_again_takes_the_delivery_from_no_one(engine: &EngineUnderTest) {
    let store = engine.open();
    let (receipt, first, second) = handed_on(engine, &*store);
    assert_eq!(record(&*store, dead(&second, at(LEASE_MS + 1))), Recorded::Settled);
    let id = delivery_id(&receipt, "ads");
    let counts = crate::domain::expiry::AgeRule::Counts;
    wait(store.retry(id, at(LEASE_MS + 2), counts)).unwrap().unwrap();
    assert_eq!(record(&*store, dead(&first, at(LEASE_MS + 3))), Recorded::Late);
    let third = claim(&*store, "ads", at(LEASE_MS + 4)).remove(0);
    assert_eq!(record(&*store, delivered(&third, at(LEASE_MS + 5))), Recorded::Settled);
    assert_eq!(states(&*store, &receipt), [DeliveryState::delivered(at(LEASE_MS + 5))]);
}

pub fn an_attempt_without_an_answer_makes_the_next_a_possible_repeat(engine: &EngineUnderTest) {
    let store = engine.open();
    for (name, verdict, is_possible) in
        [("t1", reason::retry(), false), ("t2", reason::no_answer_in_time(), true)]
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

pub fn attempts_that_are_recorded_together_share_their_exchange(engine: &EngineUnderTest) {
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

pub fn an_exchange_is_kept_as_long_as_the_newest_conversion_it_was_about(engine: &EngineUnderTest) {
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
