//! What must hold of deliveries of what changed, and of those that a person retries.

use crate::domain::attempt::Attempt;
use crate::domain::change_rules::{ChangeRules, Changes, OnRejected, OnValue};
use crate::domain::delivery::{DeliveryState, ReplyVerdict};
use crate::domain::delivery_reason::RetryRefused;
use crate::domain::expiry::AgeRule;
use crate::domain::ids::{DeliveryId, Occasion};
use crate::domain::routing::Unmatched;
use crate::domain::sent::{DeliveryKind, SentBefore, SentEvent};
use crate::domain::skip::{ForwardedBy, SkipReason};
use crate::domain::status::Status;
use crate::domain::time::Time;
use crate::store::contract::Store;
use crate::store::contract::arrival::Receipt;
use crate::store::contract::conformance::fixture::attempt::{attempt, dead, delivered, failed, one};
use crate::store::contract::conformance::fixture::engine::{EngineUnderTest, before_and_after_reopening};
use crate::store::contract::conformance::fixture::received::{DAY, HOUR, at, destination, sale, usd, wait};
use crate::store::contract::conformance::fixture::work::{
    backlog, claim, claim_some, delivery_id, fall_due, first_page, states, trace,
};
use crate::store::contract::lookup::{ConversionFilter, Trace};
use crate::store::contract::work::{AttemptOutcome, Claimed, FallsDue};

pub fn a_claim_says_whether_the_destination_was_sent_something_before(engine: &EngineUnderTest) {
    let store = engine.open();
    let reported = |status, value: &str| {
        let mut reported = sale("t1").forward().to(&["ads", "other"]).status(status).value(value);
        reported.routes.iter_mut().for_each(|route| route.changes = Changes::EACH);
        reported.receive(&*store);
    };
    let claim = |name: &str, at| claim(&*store, name, at).remove(0);
    reported(Status::Pending, "7");
    reported(Status::Approved, "7");
    let first = claim("ads", at(0));
    assert_eq!((first.id.occasion, first.sent_before), (Occasion::Change(1), false), "the first report");
    wait(store.record(one(delivered(&first, at(1))))).unwrap();
    reported(Status::Approved, "8");
    let second = claim("ads", at(1));
    assert_eq!((second.id.occasion, second.sent_before), (Occasion::Change(2), true));
    assert!(!claim("other", at(1)).sent_before, "what another destination got does not count");
    wait(store.record(one(dead(&second, at(2))))).unwrap();
    wait(store.retry(second.id, at(3), AgeRule::Counts)).unwrap().unwrap();
    assert!(claim("ads", at(3)).sent_before);
}

/// What a platform of these rules can be informed of.
const REVERSIBLE: Changes = Changes::By(ChangeRules {
    on_value: OnValue::Restate,
    on_rejected: OnRejected::Retract,
    ..ChangeRules::NONE
});

/// The sale, worth this, goes to `ads`, which hears of changes by such rules.
fn reported(store: &dyn Store, changes: Changes, status: Status, value: &str) -> Receipt {
    let mut reported = sale("t1").forward().status(status).value(value);
    reported.routes[0].changes = changes;
    reported.receive(store)
}

/// What a request said that was worth this.
fn said(kind: DeliveryKind, value: &str, work: &Claimed) -> Box<SentEvent> {
    Box::new(SentEvent {
        kind,
        event: "purchase".to_owned(),
        value: Some(usd(value)),
        event_time: work.conversion.event_time,
        event_id: work.conversion.id.event_id(),
        transaction_id: work.conversion.transaction_id.clone(),
        ids: vec![("fbclid".to_owned(), "F1".to_owned())],
        reply: Vec::new(),
    })
}

/// It was delivered, and said this.
fn delivered_saying(work: &Claimed, time: Time, sent: Box<SentEvent>) -> AttemptOutcome {
    let outcome = delivered(work, time);
    AttemptOutcome { attempt: Attempt { sent: Some(sent), ..outcome.attempt }, ..outcome }
}

pub fn a_claim_of_a_change_says_what_was_sent_by_what_was_delivered_last(engine: &EngineUnderTest) {
    let store = engine.open();
    reported(&*store, REVERSIBLE, Status::Approved, "7");
    let first = claim(&*store, "ads", at(0)).remove(0);
    assert_eq!(first.before, SentBefore::Nothing, "of a first nothing was sent before");
    let failing = failed(&first, at(1), at(2));
    let sent = Some(said(DeliveryKind::Event, "6", &first));
    wait(store.record(one(AttemptOutcome { attempt: Attempt { sent, ..failing.attempt }, ..failing })))
        .unwrap();
    let again = claim_some(&*store, "ads", at(2), 0, 1).remove(0);
    let event = said(DeliveryKind::Event, "7", &again);
    wait(store.record(one(delivered_saying(&again, at(3), event.clone())))).unwrap();
    reported(&*store, REVERSIBLE, Status::Approved, "8");
    let restate = claim(&*store, "ads", at(4)).remove(0);
    assert_eq!(restate.before, SentBefore::Event(event), "what was delivered, and not what failed");
    let restated = said(DeliveryKind::Restate, "8", &restate);
    wait(store.record(one(delivered_saying(&restate, at(5), restated.clone())))).unwrap();
    reported(&*store, REVERSIBLE, Status::Rejected, "8");
    before_and_after_reopening(engine, store, |store, _| {
        let leased = claim(store, "ads", at(6));
        assert_eq!(leased[0].before, SentBefore::Event(restated.clone()));
        assert_eq!(leased[0].delivery.kind, DeliveryKind::Retract);
        wait(store.release(vec![leased[0].lease.token])).unwrap();
    });
}

pub fn a_delivery_is_of_the_kind_that_was_sent(engine: &EngineUnderTest) {
    let store = engine.open();
    let receipt = reported(&*store, REVERSIBLE, Status::Approved, "7");
    let first = claim(&*store, "ads", at(0)).remove(0);
    wait(store.record(one(delivered_saying(&first, at(1), said(DeliveryKind::Event, "7", &first))))).unwrap();
    reported(&*store, REVERSIBLE, Status::Approved, "8");
    let change = claim(&*store, "ads", at(2)).remove(0);
    assert_eq!(change.delivery.kind, DeliveryKind::Restate);
    wait(store.record(one(delivered_saying(&change, at(3), said(DeliveryKind::Retract, "7", &change)))))
        .unwrap();
    let kinds = |trace: Trace| trace.deliveries.iter().map(|(one, _)| one.kind).collect::<Vec<_>>();
    assert_eq!(kinds(trace(&*store, &receipt)), [DeliveryKind::Event, DeliveryKind::Retract]);
}

pub fn a_change_of_what_is_not_confirmed_waits_and_says_so(engine: &EngineUnderTest) {
    let store = engine.open();
    let receipt = reported(&*store, REVERSIBLE, Status::Approved, "7");
    let first = claim(&*store, "ads", at(0)).remove(0);
    let (request_id, accepted_at, poll_at) = ("r-1".to_owned(), at(1), at(60));
    let state = DeliveryState::Confirming { request_id, accepted_at, poll_at, tries: 0, last: None };
    wait(store.record(one(AttemptOutcome { state, ..delivered(&first, at(1)) }))).unwrap();
    reported(&*store, REVERSIBLE, Status::Rejected, "7");
    assert_eq!(states(&*store, &receipt)[1].as_str(), "waiting");
    assert_eq!(claim(&*store, "ads", at(HOUR)).len(), 0, "the verdict makes it due");
    let change = DeliveryId { occasion: Occasion::Change(1), ..delivery_id(&receipt, "ads") };
    let hurried = wait(store.retry(change, at(10), AgeRule::Counts)).unwrap();
    assert_eq!(hurried, Err(RetryRefused::Superseded), "no one hurries it before its first");
    let late = claim(&*store, "ads", at(48 * HOUR));
    assert_eq!(late.iter().map(|one| &one.before).collect::<Vec<_>>(), [&SentBefore::Unconfirmed]);
}

pub fn conversions_that_cannot_be_taken_back_are_listed_alone(engine: &EngineUnderTest) {
    let store = engine.open();
    let fixed = Changes::By(ChangeRules::NONE);
    reported(&*store, fixed, Status::Approved, "7");
    sale("t2").forward().receive(&*store);
    for work in claim(&*store, "ads", at(0)) {
        wait(store.record(one(delivered(&work, at(1))))).unwrap();
    }
    let marked = || {
        let filter = ConversionFilter { irreversible_only: true, ..ConversionFilter::default() };
        let page = wait(store.conversions(filter, first_page(100))).unwrap();
        page.items.into_iter().filter_map(|(sale, _)| sale.transaction_id).collect::<Vec<_>>()
    };
    assert!(marked().is_empty());
    reported(&*store, fixed, Status::Rejected, "7");
    assert_eq!(marked(), ["t1"]);
    reported(&*store, fixed, Status::Approved, "7");
    assert!(marked().is_empty(), "it counts again, as the platform has it");
}

pub fn a_change_that_is_received_during_an_attempt_is_reported_where_changes_are_heard(
    engine: &EngineUnderTest,
) {
    type End = fn(&Claimed, Time) -> AttemptOutcome;
    let store = engine.open();
    let ends: [(&str, End); 3] = [("delivered", delivered), ("dead", dead), ("gone", delivered)];
    for (name, end) in ends {
        let reported = |value: &str| {
            let mut reported = sale(name).forward().value(value);
            reported.routes[0].changes = Changes::EACH;
            reported.receive(&*store)
        };
        let receipt = reported("7");
        let work = claim(&*store, "ads", at(0)).remove(0);
        reported("8");
        reported("9");
        let mut outcome = end(&work, at(5));
        outcome.observed.as_mut().unwrap().hears = Changes::EACH;
        outcome.observed = outcome.observed.filter(|_| name != "gone");
        wait(store.record(one(outcome))).unwrap();
        let work = claim(&*store, "ads", at(5));
        if name == "gone" {
            assert_eq!(work.len(), 0, "no one is there to be notified");
            continue;
        }
        assert_eq!(work.len(), 1, "{name}");
        assert_eq!(work[0].id, DeliveryId { occasion: Occasion::Change(2), ..delivery_id(&receipt, "ads") });
        assert_eq!((&work[0].conversion.value, work[0].sent_before), (&Some(usd("9")), true));
        let mut outcome = delivered(&work[0], at(6));
        outcome.observed.as_mut().unwrap().hears = Changes::EACH;
        wait(store.record(one(outcome))).unwrap();
        assert_eq!(claim(&*store, "ads", at(DAY)).len(), 0, "once");
    }
    let ignored = sale("t4").forward().receive(&*store);
    let work = claim(&*store, "ads", at(0)).remove(0);
    sale("t4").forward().value("8").receive(&*store);
    wait(store.record(one(delivered(&work, at(5))))).unwrap();
    before_and_after_reopening(engine, store, |store, _| {
        assert_eq!(states(store, &ignored), [DeliveryState::delivered(at(5))]);
        let reported = transactions_of_changes(store);
        assert_eq!(reported, ["delivered", "dead"], "with all its attempts, also once opened again");
    });
}

/// The sales with a delivered second reporting, oldest first.
fn transactions_of_changes(store: &dyn Store) -> Vec<String> {
    let page = wait(store.conversions(Default::default(), first_page(100))).unwrap();
    let twice = page.items.into_iter().rev().filter(|(_, deliveries)| {
        deliveries.len() == 2 && deliveries[1].state == DeliveryState::delivered(at(6))
    });
    twice.filter_map(|(conversion, _)| conversion.transaction_id).collect()
}

pub fn a_delivery_skipped_for_what_changed_meanwhile_waits_again(engine: &EngineUnderTest) {
    let store = engine.open();
    let receipt = sale("t1").forward().receive(&*store);
    sale("t1").forward().status(Status::Rejected).receive(&*store);
    let work = claim(&*store, "ads", at(0)).remove(0);
    sale("t1").forward().receive(&*store);
    let skipped = |work: &Claimed| {
        let reason = SkipReason::StatusNotForwarded { status: Status::Rejected, by: ForwardedBy::Source };
        let verdict = ReplyVerdict::Skipped { reason: reason.clone() };
        let state = DeliveryState::Skipped { at: at(5), reason };
        AttemptOutcome { attempt: attempt(at(5), "", verdict), state, attempts: 0, ..delivered(work, at(5)) }
    };
    wait(store.record(one(skipped(&work)))).unwrap();
    let again = claim(&*store, "ads", at(5));
    assert_eq!(again.len(), 1, "it is approved again, and nothing else would send it");
    assert_eq!(again[0].conversion.status, Status::Approved);
    wait(store.record(one(skipped(&again[0])))).unwrap();
    assert_eq!(states(&*store, &receipt)[0].as_str(), "skipped", "nothing is new");
}

pub fn a_delivery_withdrawn_under_its_lease_takes_the_state_reported(engine: &EngineUnderTest) {
    let store = engine.open();
    let receipt = sale("t1").forward().receive(&*store);
    let work = claim(&*store, "ads", at(0)).remove(0);
    assert_eq!(wait(store.withdraw(destination("ads"), at(1))).unwrap(), 1);
    assert_eq!(wait(store.backlog(at(9))).unwrap(), vec![]);
    wait(store.record(one(delivered(&work, at(2))))).unwrap();
    assert_eq!(states(&*store, &receipt), [DeliveryState::delivered(at(2))]);
    assert_eq!(trace(&*store, &receipt).deliveries[0].1.len(), 1);
    assert_eq!(wait(store.backlog(at(9))).unwrap(), vec![]);
}

pub fn retry_makes_dead_and_skipped_deliveries_due_and_refuses_the_rest(engine: &EngineUnderTest) {
    let store = engine.open();
    let receipt = sale("t1").forward().receive(&*store);
    let id = delivery_id(&receipt, "ads");
    let retry = |now| wait(store.retry(id.clone(), now, AgeRule::Counts)).unwrap();
    let waiting = retry(at(1)).unwrap();
    assert!(
        matches!(waiting.state, DeliveryState::Waiting { .. }),
        "one that waits is due no later than now"
    );
    let work = claim(&*store, "ads", at(0)).remove(0);
    wait(store.record(one(dead(&work, at(5))))).unwrap();
    let due = retry(at(10)).unwrap();
    assert_eq!((due.state, due.attempts), (DeliveryState::Waiting { due: at(10) }, 1));
    let work = claim_some(&*store, "ads", at(10), 0, 1).remove(0);
    wait(store.record(one(delivered(&work, at(11))))).unwrap();
    assert_eq!(retry(at(20)), Err(RetryRefused::Delivered));
    let unknown = DeliveryId { destination: destination("unknown"), ..id.clone() };
    assert_eq!(wait(store.retry(unknown, at(1), AgeRule::Counts)).unwrap(), Err(RetryRefused::Unknown));
    let held = sale("t2").receive(&*store);
    let now = wait(store.retry(delivery_id(&held, "ads"), at(30), AgeRule::Counts)).unwrap().unwrap();
    assert_eq!(now.state, DeliveryState::Waiting { due: at(30) }, "a held one need not wait");
    assert_eq!(fall_due(&*store, FallsDue::Holds, at(100 * HOUR), 9), 0);
    let dropped = sale("t3").unmatched(Unmatched::Drop).receive(&*store);
    assert!(matches!(states(&*store, &dropped)[0], DeliveryState::Skipped { .. }));
    assert!(wait(store.retry(delivery_id(&dropped, "ads"), at(30), AgeRule::Counts)).unwrap().is_ok());
    assert_eq!(claim_some(&*store, "ads", at(30), 9, 0).len(), 2);
}

pub fn a_retry_is_refused_where_another_delivery_reports_the_same(engine: &EngineUnderTest) {
    let store = engine.open();
    let reported = sale("t1").click("c1").receive(&*store);
    assert_eq!(fall_due(&*store, FallsDue::Holds, at(72 * HOUR), 10), 1);
    let first = delivery_id(&reported, "ads");
    let second = DeliveryId { occasion: Occasion::Change(1), ..first.clone() };
    let retry = |id: &DeliveryId| wait(store.retry(id.clone(), at(74 * HOUR), AgeRule::Counts)).unwrap();
    // The skipped first report is made up for by the change.
    sale("t1").click("c1").value("8").forward().at(at(73 * HOUR)).receive(&*store);
    assert_eq!(retry(&first), Err(RetryRefused::Superseded), "it waits to be sent");
    let work = claim(&*store, "ads", at(73 * HOUR)).remove(0);
    assert_eq!(work.id, second);
    wait(store.record(one(dead(&work, at(73 * HOUR))))).unwrap();
    assert!(retry(&second).is_ok(), "the latest one can be retried");
    let work = claim_some(&*store, "ads", at(74 * HOUR), 0, 9).remove(0);
    wait(store.record(one(delivered(&work, at(74 * HOUR))))).unwrap();
    assert_eq!(retry(&first), Err(RetryRefused::Superseded), "it was sent");
    assert_eq!(wait(store.backlog(at(80 * HOUR))).unwrap(), vec![]);
    // Neither was reported: whichever is asked for first is the one that reports it.
    let both = two_that_died(&*store);
    assert!(retry(&both[0]).is_ok());
    assert_eq!(retry(&both[1]), Err(RetryRefused::Superseded), "the other one is on its way");
}

/// The first delivery of a sale and that of its change, both dead.
fn two_that_died(store: &dyn Store) -> [DeliveryId; 2] {
    let reported = |value: &str| {
        let mut reported = sale("t2").forward().value(value);
        reported.routes[0].changes = Changes::EACH;
        reported.receive(store);
        let work = claim(store, "ads", at(0)).remove(0);
        wait(store.record(one(dead(&work, at(1))))).unwrap();
        work.id
    };
    [reported("7"), reported("8")]
}

pub fn a_persons_retry_goes_before_older_retries(engine: &EngineUnderTest) {
    let store = engine.open();
    for n in 0..10 {
        sale(&format!("t{n}")).forward().receive(&*store);
    }
    let mut work = claim(&*store, "ads", at(0));
    let last = work.pop().unwrap();
    for work in &work {
        wait(store.record(one(failed(work, at(1), at(100))))).unwrap();
    }
    wait(store.record(one(dead(&last, at(1))))).unwrap();
    wait(store.retry(last.id.clone(), at(5000), AgeRule::Counts)).unwrap().unwrap();
    assert_eq!(claim_some(&*store, "ads", at(5000), 0, 1)[0].id, last.id);
    assert_eq!(backlog(&*store, "ads", at(5000)).unwrap().oldest_due, Some(at(100)));
}
