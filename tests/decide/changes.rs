//! What a change becomes at a destination that knows the conversion, by how far what it knows it by is.

use postbridge::domain::change::{Unchanged, at_its_turn, follow, irreversible, planned};
use postbridge::domain::change_rules::{ChangeRules, Changes, OnRejected, OnValue};
use postbridge::domain::conversion::Conversion;
use postbridge::domain::delivery::{Delivery, DeliveryState};
use postbridge::domain::history::{Cause, Change, FieldChange, FromTo};
use postbridge::domain::ids::{DestinationId, Occasion};
use postbridge::domain::reconcile::{Observed, reconcile};
use postbridge::domain::sent::{DeliveryKind, SentBefore};
use postbridge::domain::skip::{SkipReason, Unneeded};
use postbridge::domain::status::Status;
use postbridge::domain::time::{HOUR_MS, Time};
use postbridge::store::contract::conformance::fixture::reason;
use postbridge::store::contract::conformance::fixture::received::usd;

use crate::support::payload_fixture;

const RULES: ChangeRules = ChangeRules {
    on_value: OnValue::Restate,
    on_rejected: OnRejected::Retract,
    min_age_ms: Some(24 * HOUR_MS),
    ..ChangeRules::NONE
};

fn at(hours: i64) -> Time {
    Time::parse("2026-11-20T12:00:00Z").unwrap().plus_hours(hours)
}

fn delivery(occasion: Occasion, kind: DeliveryKind, state: DeliveryState) -> Delivery {
    Delivery::new(DestinationId::parse("ads").unwrap(), occasion, kind, state)
}

fn first(state: DeliveryState) -> Delivery {
    delivery(Occasion::First, DeliveryKind::Event, state)
}

fn retract(state: DeliveryState) -> Delivery {
    delivery(Occasion::Change(1), DeliveryKind::Retract, state)
}

fn rejected() -> Conversion {
    Conversion { status: Status::Rejected, ..payload_fixture::conversion() }
}

fn confirming() -> DeliveryState {
    let (request_id, accepted_at, poll_at) = ("r-1".to_owned(), at(0), at(1));
    DeliveryState::Confirming { request_id, accepted_at, poll_at, tries: 0, last: None }
}

/// The state of the change that a rejection is at `ads`, which has these.
fn of_rejection(rules: &ChangeRules, mine: &[Delivery], now: Time) -> Option<DeliveryState> {
    let fields = [FieldChange::Status(FromTo { from: Status::Approved, to: Status::Rejected })];
    let mine: Vec<&Delivery> = mine.iter().collect();
    planned(rules, &rejected(), &mine, fields.iter(), now).map(|change| change.state)
}

#[test]
fn a_change_waits_for_its_first_to_be_old_enough_and_no_longer() {
    let first = [first(DeliveryState::delivered(at(0)))];
    assert_eq!(of_rejection(&RULES, &first, at(1)), Some(DeliveryState::Waiting { due: at(24) }));
    assert_eq!(of_rejection(&RULES, &first, at(30)), Some(DeliveryState::Waiting { due: at(30) }));
}

#[test]
fn a_change_of_what_is_not_confirmed_waits_for_the_verdict_even_where_it_will_be_irreversible() {
    for on_rejected in [OnRejected::Retract, OnRejected::None] {
        let rules = ChangeRules { on_rejected, ..RULES };
        let state = of_rejection(&rules, &[first(confirming())], at(1));
        assert!(matches!(state, Some(DeliveryState::Waiting { due }) if due >= at(25)), "{state:?}");
    }
    assert_eq!(at_its_turn(&RULES, &rejected(), &SentBefore::Unconfirmed), Err(Unchanged::Waits));
}

#[test]
fn the_verdict_makes_a_change_due_or_leaves_it_nothing_to_change() {
    let waiting = || retract(DeliveryState::Waiting { due: at(26) });
    let mut delivered = vec![first(DeliveryState::delivered(at(2))), waiting()];
    follow(&mut delivered, 0, Some(RULES));
    assert_eq!(
        (&delivered[1].state, delivered[1].not_before),
        (&DeliveryState::Waiting { due: at(26) }, Some(at(26)))
    );
    let young = ChangeRules { min_age_ms: None, ..RULES };
    follow(&mut delivered, 0, Some(young));
    assert_eq!(
        (&delivered[1].state, delivered[1].not_before),
        (&DeliveryState::Waiting { due: at(2) }, None)
    );
    let mut died = vec![first(reason::dead(at(3))), waiting()];
    follow(&mut died, 0, Some(RULES));
    let reason = SkipReason::NothingToChange(Unneeded::NotDelivered);
    assert_eq!(died[1].state, DeliveryState::Skipped { at: at(3), reason });
    let mut elsewhere = vec![
        first(reason::dead(at(3))),
        Delivery { destination: DestinationId::parse("other").unwrap(), ..waiting() },
    ];
    follow(&mut elsewhere, 0, Some(RULES));
    assert_eq!(elsewhere[1].state, DeliveryState::Waiting { due: at(26) }, "of another destination");
}

#[test]
fn a_rejection_is_nothing_to_a_platform_that_has_taken_the_sale_back() {
    let known = [first(DeliveryState::delivered(at(0))), retract(DeliveryState::delivered(at(1)))];
    assert_eq!(of_rejection(&RULES, &known, at(2)), None);
    let undone = [first(DeliveryState::delivered(at(0))), retract(reason::dead(at(1)))];
    assert!(of_rejection(&RULES, &undone, at(25)).is_some(), "what died took nothing back");
}

#[test]
fn where_the_platform_can_be_informed_of_nothing_a_dead_first_needs_no_word() {
    let fixed = ChangeRules::NONE;
    assert_eq!(of_rejection(&fixed, &[first(reason::dead(at(0)))], at(1)), None);
    let state = of_rejection(&fixed, &[first(DeliveryState::delivered(at(0)))], at(1));
    let reason = SkipReason::Irreversible { status: Status::Rejected };
    assert_eq!(state, Some(DeliveryState::Skipped { at: at(1), reason }));
}

#[test]
fn a_conversion_is_marked_while_it_is_as_the_platform_could_not_be_informed() {
    let reason = SkipReason::Irreversible { status: Status::Rejected };
    let skipped = retract(DeliveryState::Skipped { at: at(1), reason });
    let mut all = vec![first(DeliveryState::delivered(at(0))), skipped];
    assert_eq!(irreversible(&rejected(), &all).len(), 1);
    assert!(irreversible(&payload_fixture::conversion(), &all).is_empty(), "it counts again");
    all.push(delivery(Occasion::Change(2), DeliveryKind::Retract, DeliveryState::delivered(at(9))));
    assert!(irreversible(&rejected(), &all).is_empty(), "it was taken back after all");
}

#[test]
fn it_is_marked_by_what_the_platform_has_and_not_by_what_failed() {
    let (approved, off) =
        (payload_fixture::conversion(), || DeliveryState::Skipped { at: at(3), reason: SkipReason::Off });
    let change = |number, kind, state| delivery(Occasion::Change(number), kind, state);
    let marks = |conversion: &Conversion, all: &[Delivery]| irreversible(conversion, all).len();
    let event = || first(DeliveryState::delivered(at(0)));
    for end in [off(), reason::dead(at(3))] {
        let undone = [event(), change(1, DeliveryKind::Retract, end.clone())];
        assert_eq!((marks(&rejected(), &undone), marks(&approved, &undone)), (1, 0), "{end:?}");
        let retracted = change(1, DeliveryKind::Retract, DeliveryState::delivered(at(1)));
        let unrestated = [event(), retracted, change(2, DeliveryKind::Restate, end.clone())];
        assert_eq!((marks(&rejected(), &unrestated), marks(&approved, &unrestated)), (0, 1), "{end:?}");
        let never = [first(reason::dead(at(1))), change(1, DeliveryKind::Retract, end.clone())];
        assert_eq!(marks(&rejected(), &never), 0, "the platform never had it: {end:?}");
        let unknown = [Delivery { may_be_known: true, ..first(end.clone()) }];
        assert_eq!((marks(&rejected(), &unknown), marks(&approved, &unknown)), (1, 0), "{end:?}");
    }
    let waits = change(2, DeliveryKind::Retract, DeliveryState::Waiting { due: at(9) });
    assert_eq!(
        marks(&rejected(), &[event(), change(1, DeliveryKind::Retract, off()), waits]),
        0,
        "it is on its way"
    );
    let reason = SkipReason::Irreversible { status: Status::Rejected };
    let late = change(1, DeliveryKind::Retract, DeliveryState::Skipped { at: at(1), reason });
    let first_took_it_back =
        Delivery { kind: DeliveryKind::Retract, ..first(DeliveryState::delivered(at(5))) };
    assert_eq!(marks(&rejected(), &[first_took_it_back, late.clone()]), 0, "a person sent it again");
    let unneeded = SkipReason::NothingToChange(Unneeded::NotDelivered);
    let unneeded = change(2, DeliveryKind::Retract, DeliveryState::Skipped { at: at(4), reason: unneeded });
    assert_eq!(marks(&rejected(), &[event(), late, unneeded]), 1);
}

/// The state of the change that another value is at `ads`, which has these.
fn of_value(mine: &[Delivery], now: Time) -> Option<DeliveryState> {
    let (from, to) = (Some(usd("120.00")), Some(usd("100.00")));
    let fields = [FieldChange::Value(FromTo { from, to })];
    let mine: Vec<&Delivery> = mine.iter().collect();
    planned(&RULES, &payload_fixture::conversion(), &mine, fields.iter(), now).map(|change| change.state)
}

#[test]
fn a_change_waits_for_the_verdict_on_the_change_before_it_whatever_was_delivered_first() {
    let restate = delivery(Occasion::Change(1), DeliveryKind::Restate, confirming());
    let known = [first(DeliveryState::delivered(at(0))), restate];
    for state in [of_value(&known, at(30)), of_rejection(&RULES, &known, at(30))] {
        assert!(matches!(state, Some(DeliveryState::Waiting { due }) if due >= at(54)), "{state:?}");
    }
    let fixed = ChangeRules { on_rejected: OnRejected::None, ..RULES };
    let state = of_rejection(&fixed, &known, at(30));
    let reason = SkipReason::Irreversible { status: Status::Rejected };
    assert_eq!(state, Some(DeliveryState::Skipped { at: at(30), reason }), "no verdict makes it reversible");
}

#[test]
fn what_changed_while_a_request_was_out_that_was_only_accepted_waits_for_the_verdict_on_that() {
    let mut conversion = rejected();
    let fields = vec![FieldChange::Status(FromTo { from: Status::Approved, to: Status::Rejected })];
    let (cause, status) = (Cause::Disposition, Status::Rejected);
    conversion.history.push(Change { number: 1, at: at(0), cause, fields, status });
    let mut deliveries = vec![first(confirming())];
    let observed = Observed { changes: 0, hears: Changes::By(RULES) };
    assert!(reconcile(&conversion, &mut deliveries, 0, observed));
    assert_eq!(deliveries[1].kind, DeliveryKind::Retract);
    assert!(matches!(deliveries[1].state, DeliveryState::Waiting { .. }), "{:?}", deliveries[1]);
}
