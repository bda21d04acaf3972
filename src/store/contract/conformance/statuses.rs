//! What must hold of statuses that change by hand and by time.

use std::sync::Arc;

use crate::domain::change_rules::Changes;
use crate::domain::history::{ActorRole, Cause};
use crate::domain::ids::{Occasion, Seq};
use crate::domain::offer::{Offer, OfferStatus};
use crate::domain::status::Status;
use crate::domain::status_move::{Actor, MoveRefused, StatusMove};
use crate::domain::status_reason::StatusReason;
use crate::store::contract::Store;
use crate::store::contract::arrival::Receipt;
use crate::store::contract::change::{ConversionRef, StatusChanged};
use crate::store::contract::conformance::fixture::attempt::{delivered, one};
use crate::store::contract::conformance::fixture::engine::{EngineUnderTest, before_and_after_reopening};
use crate::store::contract::conformance::fixture::history::changed_fields;
use crate::store::contract::conformance::fixture::offer::{
    approved_after, arrive, bring_to, by_network, capped, now_of, placed, rules_of, set_status,
};
use crate::store::contract::conformance::fixture::received::{
    DAY, HOUR, account, at, click, go_by, quarantined, sale, unscreened, wait,
};
use crate::store::contract::conformance::fixture::work::{claim, conversion_of, fall_due};
use crate::store::contract::subscription::SignalOf;
use crate::store::contract::work::{AttemptOutcome, FallsDue};

fn deliveries(store: &dyn Store, number: Seq) -> Vec<(Occasion, &'static str)> {
    let found = wait(store.conversion_now(ConversionRef::Number(number))).unwrap().unwrap();
    let trace = wait(store.conversion(found.id)).unwrap().unwrap();
    trace.deliveries.iter().map(|(delivery, _)| (delivery.occasion, delivery.state.as_str())).collect()
}

pub fn a_status_changed_by_hand_keeps_who_changed_it_and_why(engine: &EngineUnderTest) {
    let store = engine.open();
    let reported = sale("t1").forward().status(Status::Pending).receive(&*store);
    let which = ConversionRef::Id(conversion_of(&reported.verdict));
    let wanted = StatusMove {
        to: Status::Rejected,
        by: Actor::Advertiser("shop".to_owned()),
        note: Some("returned".to_owned()),
    };
    let changed = wait(store.set_status(which, wanted, at(5))).unwrap();
    assert!(matches!(&changed, StatusChanged::Changed(now) if now.status == Status::Rejected));
    before_and_after_reopening(engine, store, |store, _| {
        let now = now_of(store, &reported);
        assert_eq!(now.status, Status::Rejected);
        let [change] = now.history.as_slice() else { panic!("{:?}", now.history) };
        let cause = Cause::Person {
            name: "shop".to_owned(),
            role: ActorRole::Advertiser,
            note: Some("returned".to_owned()),
        };
        assert_eq!((change.number, change.at, &change.cause), (1, at(5), &cause));
        assert_eq!(changed_fields(change), [["status", "pending", "rejected"]]);
    });
}

pub fn an_approval_by_hand_sends_the_conversion_and_wakes_its_destination(engine: &EngineUnderTest) {
    let store = engine.open();
    let reported = sale("t1").forward().status(Status::Pending).receive(&*store);
    assert_eq!(deliveries(&*store, reported.postback), []);
    let bell = store.signals(SignalOf::Work(account("ads")));
    set_status(&*store, reported.postback, Status::Approved, at(5));
    // It was signalled before anyone waited: it does not wait now.
    wait(bell.signalled());
    before_and_after_reopening(engine, store, |store, reopened| {
        assert_eq!(deliveries(store, reported.postback), [(Occasion::Change(1), "waiting")]);
        if reopened {
            assert_eq!(claim(store, "ads", at(5)).len(), 1);
        }
    });
}

pub fn the_same_status_again_changes_nothing_and_no_conversion_is_unknown(engine: &EngineUnderTest) {
    let store = engine.open();
    let bad = wait(store.arrive(quarantined("no price", at(0)))).unwrap();
    let reported = sale("t1").forward().receive(&*store);
    let again = set_status(&*store, reported.postback, Status::Approved, at(5));
    assert!(matches!(&again, StatusChanged::Already(now) if now.history.is_empty()));
    assert_eq!(set_status(&*store, bad.postback, Status::Approved, at(5)), StatusChanged::Unknown);
    let later = Seq::new(reported.postback.get() + 1).unwrap();
    assert_eq!(set_status(&*store, later, Status::Approved, at(5)), StatusChanged::Unknown);
}

pub fn an_advertiser_neither_scrubs_nor_takes_a_scrub_back(engine: &EngineUnderTest) {
    let store = engine.open();
    let reported = sale("t1").forward().receive(&*store);
    let by_advertiser = |to| {
        let wanted = StatusMove { to, by: Actor::Advertiser("shop".to_owned()), note: None };
        wait(store.set_status(ConversionRef::Number(reported.postback), wanted, at(5))).unwrap()
    };
    assert_eq!(by_advertiser(Status::Scrubbed), StatusChanged::Refused(MoveRefused::MayNotScrub));
    set_status(&*store, reported.postback, Status::Scrubbed, at(5));
    assert_eq!(by_advertiser(Status::Approved), StatusChanged::Refused(MoveRefused::Scrubbed));
    assert_eq!(now_of(&*store, &reported).history.len(), 1);
}

pub fn what_is_scrubbed_is_planned_for_no_destination(engine: &EngineUnderTest) {
    let store = engine.open_by(rules_of(&[capped("565", 0)]));
    bring_to(&*store, "565");
    let reported = arrive(&*store, sale("t1").brought_to("565").arrival());
    let scrubbed = now_of(&*store, &reported);
    assert_eq!(scrubbed.status, Status::Scrubbed);
    assert!(matches!(scrubbed.reason, Some(StatusReason::ConversionCap { most: 0, observed: false })));
    assert_eq!(deliveries(&*store, reported.postback), []);
    let by_hand = sale("t2").status(Status::Pending).arrival();
    let by_hand = arrive(&*store, by_hand);
    set_status(&*store, by_hand.postback, Status::Scrubbed, at(5));
    assert_eq!(deliveries(&*store, by_hand.postback), []);
}

pub fn a_person_takes_a_scrub_back_and_then_it_is_sent(engine: &EngineUnderTest) {
    let store = engine.open_by(rules_of(&[capped("565", 0)]));
    bring_to(&*store, "565");
    let reported = arrive(&*store, sale("t1").brought_to("565").arrival());
    set_status(&*store, reported.postback, Status::Approved, at(5));
    let taken_back = changed_fields(&now_of(&*store, &reported).history[0]);
    assert_eq!(taken_back, [["status", "scrubbed", "approved"], ["reason", "conversion_cap", "none"]]);
    before_and_after_reopening(engine, store, |store, reopened| {
        let now = now_of(store, &reported);
        assert_eq!((now.status, now.reason), (Status::Approved, None));
        assert_eq!(deliveries(store, reported.postback), [(Occasion::Change(1), "waiting")]);
        if reopened {
            let work = claim(store, "ads", at(5));
            assert_eq!(work[0].conversion.status, Status::Approved);
        }
    });
}

pub fn a_scrub_that_a_person_took_back_stays_so_when_the_click_is_recorded(engine: &EngineUnderTest) {
    let store = engine.open();
    let paused = Offer { status: OfferStatus::Paused, ..capped("565", 0) };
    go_by(&*store, rules_of(&[paused]));
    let reported = arrive(&*store, sale("t1").of("565").click("c2").arrival());
    assert_eq!(now_of(&*store, &reported).status, Status::Scrubbed, "the offer is paused");
    set_status(&*store, reported.postback, Status::Approved, at(1));
    let mut click = click("c2");
    click.context.campaign_ref = Some(placed("565", "8599"));
    wait(store.record_click(unscreened(click))).unwrap();
    let now = now_of(&*store, &reported);
    assert_eq!((now.status, now.attribution.is_matched()), (Status::Approved, true));
}

pub fn a_change_while_a_delivery_is_out_is_reported_after_it(engine: &EngineUnderTest) {
    let store = engine.open_by(rules_of(&[]));
    let reported = arrive(&*store, sale("t1").arrival());
    let work = claim(&*store, "ads", at(1)).remove(0);
    set_status(&*store, reported.postback, Status::Rejected, at(2));
    let mut outcome: AttemptOutcome = delivered(&work, at(3));
    outcome.observed.as_mut().unwrap().hears = Changes::EACH;
    wait(store.record(one(outcome))).unwrap();
    let expected = [(Occasion::First, "delivered"), (Occasion::Change(1), "waiting")];
    assert_eq!(deliveries(&*store, reported.postback), expected);
    let next = claim(&*store, "ads", at(3)).remove(0);
    assert_eq!((next.conversion.status, next.sent_before), (Status::Rejected, true));
}

pub fn two_changes_at_once_see_each_other(engine: &EngineUnderTest) {
    let store = engine.open();
    let reported = sale("t1").forward().receive(&*store);
    let which = ConversionRef::Number(reported.postback);
    let first = store.set_status(which, by_network(Status::Rejected), at(5));
    let second = store.set_status(which, by_network(Status::Rejected), at(6));
    assert!(matches!(wait(first).unwrap(), StatusChanged::Changed(_)));
    assert!(matches!(wait(second).unwrap(), StatusChanged::Already(_)));
    assert_eq!(now_of(&*store, &reported).history.len(), 1);
}

pub fn a_conversion_changes_five_hundred_times_and_no_more(engine: &EngineUnderTest) {
    let store = engine.open();
    let reported = sale("t1").forward().receive(&*store);
    let which = ConversionRef::Number(reported.postback);
    let to = |n: i64| if n % 2 == 0 { Status::Rejected } else { Status::Approved };
    let changes: Vec<_> = (0..501).map(|n| store.set_status(which, by_network(to(n)), at(n))).collect();
    let mut changes: Vec<StatusChanged> = changes.into_iter().map(|done| wait(done).unwrap()).collect();
    assert_eq!(changes.pop(), Some(StatusChanged::Refused(MoveRefused::TooOften)));
    assert!(changes.iter().all(|done| matches!(done, StatusChanged::Changed(_))));
    assert_eq!(now_of(&*store, &reported).history.len(), 500);
}

pub fn a_pending_conversion_takes_its_offers_status_when_it_is_due(engine: &EngineUnderTest) {
    let store = engine.open();
    let rules = rules_of(&[approved_after("565", 2)]);
    go_by(&*store, Arc::clone(&rules));
    let reported = arrive(&*store, sale("t1").of("565").arrival());
    assert_eq!(now_of(&*store, &reported).status, Status::Pending);
    assert_eq!(deliveries(&*store, reported.postback), []);
    assert_eq!(fall_due(&*store, FallsDue::Dispositions, at(2 * HOUR - 1), 9), 0);
    wait(store.close()).unwrap();
    drop(store);
    let store = engine.open_by(rules);
    assert_eq!(fall_due(&*store, FallsDue::Dispositions, at(2 * HOUR), 9), 1);
    assert_eq!(fall_due(&*store, FallsDue::Dispositions, at(2 * HOUR), 9), 0, "it is settled");
    before_and_after_reopening(engine, store, |store, _| {
        let now = now_of(store, &reported);
        assert_eq!((now.status, now.disposition), (Status::Approved, None));
        assert_eq!(now.history[0].cause, Cause::Disposition);
        assert_eq!(deliveries(store, reported.postback), [(Occasion::Change(1), "waiting")]);
        assert_eq!(fall_due(store, FallsDue::Dispositions, at(DAY), 9), 0);
    });
}

pub fn a_status_set_by_hand_ends_what_was_foreseen(engine: &EngineUnderTest) {
    let store = engine.open_by(rules_of(&[approved_after("565", 2)]));
    let rejected = arrive(&*store, sale("t1").of("565").arrival());
    let kept = arrive(&*store, sale("t2").of("565").arrival());
    set_status(&*store, rejected.postback, Status::Rejected, at(5));
    let pending = set_status(&*store, kept.postback, Status::Pending, at(5));
    assert!(
        matches!(pending, StatusChanged::Changed(_)),
        "pending permanently is another thing: {pending:?}"
    );
    assert_eq!(fall_due(&*store, FallsDue::Dispositions, at(DAY), 9), 0);
    assert_eq!(now_of(&*store, &rejected).status, Status::Rejected);
    assert_eq!(now_of(&*store, &kept).status, Status::Pending);
}

pub fn dispositions_are_done_the_longest_due_first_and_no_more_than_asked_for(engine: &EngineUnderTest) {
    let store = engine.open_by(rules_of(&[approved_after("565", 2)]));
    let late = arrive(&*store, sale("late").of("565").at(at(500)).arrival());
    let early: Vec<_> =
        (0..3).map(|n| arrive(&*store, sale(&format!("t{n}")).of("565").at(at(n)).arrival())).collect();
    let approved = |reported: &&Receipt| now_of(&*store, reported).status == Status::Approved;
    assert_eq!(fall_due(&*store, FallsDue::Dispositions, at(DAY), 2), 2);
    assert_eq!(
        early.iter().filter(approved).map(|reported| reported.postback).collect::<Vec<_>>(),
        [early[0].postback, early[1].postback]
    );
    let (one, other) = (
        store.fall_due(FallsDue::Dispositions, at(DAY), 9),
        store.fall_due(FallsDue::Dispositions, at(DAY), 9),
    );
    assert_eq!(
        wait(one).unwrap().count() + wait(other).unwrap().count(),
        2,
        "at once too each is given its status once"
    );
    assert_eq!(early.iter().chain([&late]).filter(approved).count(), 4);
}
