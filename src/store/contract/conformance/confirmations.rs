//! What must hold of what a platform accepted and is asked about.

use std::sync::Arc;

use crate::domain::attempt::{Attempt, AttemptPurpose};
use crate::domain::delivery::{DeliveryState, ReplyVerdict};
use crate::domain::expiry::AgeRule;
use crate::domain::sent::{Confirmation, LaterVerdict};
use crate::domain::time::Time;
use crate::store::contract::Store;
use crate::store::contract::arrival::Receipt;
use crate::store::contract::conformance::fixture::attempt::{attempt, delivered, one};
use crate::store::contract::conformance::fixture::engine::{EngineUnderTest, before_and_after_reopening};
use crate::store::contract::conformance::fixture::reason::retry;
use crate::store::contract::conformance::fixture::received::{account, at, destination, sale, wait};
use crate::store::contract::conformance::fixture::work::{
    backlog, claim, claim_some, delivery_id, due_request, states, trace,
};
use crate::store::contract::work::{
    AttemptOutcome, ClaimRequest, ConfirmOutcome, Recorded, RepeatRisk, UnconfirmedWork, WantedWork,
};

fn confirming(request: &str, poll_at: Time, tries: u32) -> DeliveryState {
    let (request_id, accepted_at) = (request.to_owned(), at(1));
    DeliveryState::Confirming { request_id, accepted_at, poll_at, tries, last: None }
}

/// A sale that was accepted by this request, and is asked about then.
fn accepted(store: &dyn Store, transaction: &str, request: &str, poll_at: Time) -> Receipt {
    let receipt = sale(transaction).forward().receive(store);
    let work = claim(store, "ads", at(0)).remove(0);
    let state = confirming(request, poll_at, 0);
    wait(store.record(one(AttemptOutcome { state, ..delivered(&work, at(1)) }))).unwrap();
    receipt
}

fn unconfirmed(store: &dyn Store, now: Time, limit: usize) -> UnconfirmedWork {
    wait(store.unconfirmed(destination("ads"), now, limit)).unwrap()
}

/// By the names of their requests.
fn requests(work: &UnconfirmedWork) -> Vec<String> {
    let request = |state: &DeliveryState| match state {
        DeliveryState::Confirming { request_id, .. } => request_id.clone(),
        other => panic!("{other:?}"),
    };
    work.deliveries.iter().map(|one| request(&one.delivery.state)).collect()
}

fn outcome(receipt: &Receipt, tries: u32, state: DeliveryState, attempt: Option<Attempt>) -> ConfirmOutcome {
    let (id, request_id) = (delivery_id(receipt, "ads"), "r-1".to_owned());
    ConfirmOutcome { id, request_id, tries, state, attempt, repeat: RepeatRisk::CountedOnce }
}

fn confirm(store: &dyn Store, outcomes: Vec<ConfirmOutcome>) -> Vec<Recorded> {
    wait(store.confirm(Arc::from(outcomes))).unwrap()
}

fn asked(time: Time, body: &str, verdict: ReplyVerdict) -> Option<Attempt> {
    Some(Attempt { purpose: AttemptPurpose::Confirm, ..attempt(time, body, verdict) })
}

pub fn what_is_to_be_confirmed_is_handed_out_to_no_one_who_sends(engine: &EngineUnderTest) {
    let store = engine.open();
    let receipt = accepted(&*store, "t1", "r-1", at(60_000));
    wait(store.retry(delivery_id(&receipt, "ads"), at(5), AgeRule::Counts)).unwrap().unwrap();
    before_and_after_reopening(engine, store, |store, _| {
        for now in [5, 60_000, 400 * 24 * 3_600_000] {
            assert_eq!(claim_some(store, "ads", at(now), 9, 9).len(), 0);
            let oldest =
                ClaimRequest { wanted: WantedWork::Oldest, ..due_request(account("ads"), at(now), 0, 0) };
            assert_eq!(wait(store.claim(oldest)).unwrap().work.len(), 0);
        }
        assert_eq!(states(store, &receipt), [confirming("r-1", at(60_000), 0)]);
    });
}

pub fn what_is_to_be_confirmed_is_handed_out_when_it_is_due_with_all_of_its_request(
    engine: &EngineUnderTest,
) {
    let store = engine.open();
    assert_eq!(unconfirmed(&*store, at(100), 10).next_poll, None);
    for (transaction, request, poll_at) in
        [("t1", "r-1", 60), ("t2", "r-2", 90), ("t3", "r-2", 90), ("t4", "r-2", 90), ("t5", "r-3", 200)]
    {
        accepted(&*store, transaction, request, at(poll_at));
    }
    before_and_after_reopening(engine, store, |store, _| {
        let early = unconfirmed(store, at(59), 10);
        assert_eq!((early.deliveries.len(), early.next_poll), (0, Some(at(60))));
        let due = unconfirmed(store, at(100), 2);
        assert_eq!(requests(&due), ["r-1", "r-2", "r-2", "r-2"], "a request is not cut in parts");
        assert_eq!(due.next_poll, Some(at(200)));
        assert_eq!(requests(&unconfirmed(store, at(100), 1)), ["r-1"]);
        let first = &due.deliveries[0];
        assert_eq!((first.accepted.purpose, first.accepted.at), (AttemptPurpose::Report, at(1)));
        assert_eq!(first.conversion.transaction_id.as_deref(), Some("t1"));
    });
}

pub fn what_asking_became_is_kept_once_and_only_where_it_was_waited_for(engine: &EngineUnderTest) {
    let store = engine.open();
    let receipt = accepted(&*store, "t1", "r-1", at(60));
    let again = outcome(&receipt, 0, confirming("r-1", at(300), 1), None);
    assert_eq!(confirm(&*store, vec![again.clone(), again]), [Recorded::Settled, Recorded::Late]);
    assert_eq!(unconfirmed(&*store, at(299), 10).deliveries.len(), 0);
    let later = LaterVerdict { request_id: "r-1".to_owned(), tries: 2, at: at(301) };
    let state = DeliveryState::Delivered {
        at: at(1),
        confirmation: Confirmation::Confirmed,
        later: Some(Box::new(later)),
    };
    let done = outcome(&receipt, 1, state.clone(), asked(at(301), "", ReplyVerdict::delivered()));
    let other = ConfirmOutcome { request_id: "r-9".to_owned(), ..done.clone() };
    let outcomes = vec![other, done.clone(), done];
    assert_eq!(confirm(&*store, outcomes), [Recorded::Late, Recorded::Settled, Recorded::Late]);
    drop(store);
    let store = engine.open();
    assert_eq!(states(&*store, &receipt), [state]);
    let purposes: Vec<AttemptPurpose> =
        trace(&*store, &receipt).deliveries[0].1.iter().map(|attempt| attempt.purpose).collect();
    assert_eq!(purposes, [AttemptPurpose::Report, AttemptPurpose::Confirm]);
    assert_eq!(backlog(&*store, "ads", at(302)), None);
}

pub fn what_is_not_confirmed_can_be_sent_again_and_counts_no_attempt_for_being_asked_about(
    engine: &EngineUnderTest,
) {
    let store = engine.open();
    let receipt = accepted(&*store, "t1", "r-1", at(60));
    let state = DeliveryState::Waiting { due: at(500) };
    let verdict = asked(at(61), "", retry());
    assert_eq!(confirm(&*store, vec![outcome(&receipt, 0, state, verdict)]), [Recorded::Settled]);
    assert_eq!(unconfirmed(&*store, at(600), 10).deliveries.len(), 0);
    assert_eq!(claim(&*store, "ads", at(499)).len(), 0);
    let work = claim(&*store, "ads", at(500)).remove(0);
    assert_eq!(work.delivery.attempts, 1);
    let state = confirming("r-1", at(900), 0);
    wait(store.record(one(AttemptOutcome { state, ..delivered(&work, at(501)) }))).unwrap();
    assert_eq!(unconfirmed(&*store, at(900), 10).deliveries[0].accepted.at, at(501), "the newest report");
}

pub fn a_time_to_ask_that_is_too_far_ahead_is_not_waited_for(engine: &EngineUnderTest) {
    let store = engine.open();
    accepted(&*store, "t1", "r-1", at(40 * 24 * 3_600_000));
    assert_eq!(requests(&unconfirmed(&*store, at(100), 10)), ["r-1"], "a clock that ran ahead wrote it");
}
