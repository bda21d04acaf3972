//! Parked, proven, kept back: what a destination may be sent after each kind of answer.

use postbridge::dispatch::breaker::BreakerRule;
use postbridge::dispatch::health::{HealthEffect, HealthRule, HealthTracker, Probe, SendGate};
use postbridge::domain::delivery::ReplyVerdict;
use postbridge::domain::delivery_reason::ParkReason;
use postbridge::domain::time::{DAY_MS, Time};
use postbridge::store::contract::conformance::fixture::reason::{
    account_refused, rejected, retry, unavailable,
};

const PLAIN: HealthEffect = HealthEffect { probe: false, current: true };
const PROBE: HealthEffect = HealthEffect { probe: true, current: true };

fn at(millis: i64) -> Time {
    Time::from_millis(1_790_000_000_000 + millis).unwrap()
}

fn park() -> ReplyVerdict {
    ReplyVerdict::Park { reason: account_refused("token expired") }
}

fn delivered() -> ReplyVerdict {
    ReplyVerdict::delivered()
}

/// A limit: nothing is to be sent for so long.
fn wait(hold_ms: i64) -> ReplyVerdict {
    ReplyVerdict::Retry {
        reason: unavailable(429, "slow down"),
        after_ms: Some(hold_ms),
        hold_ms: Some(hold_ms),
    }
}

/// As promised for an ad account.
fn rule() -> HealthRule {
    HealthRule { breaker: BreakerRule::default(), probe_every_ms: 900_000, longest_hold_ms: 900_000 }
}

fn healthy() -> HealthTracker {
    HealthTracker::new(rule(), true)
}

fn parked() -> HealthTracker {
    let mut health = healthy();
    health.classified(&park(), PLAIN, at(0));
    health
}

#[test]
fn after_a_start_one_delivery_goes_first_and_its_answer_opens_the_way() {
    let mut health = HealthTracker::new(rule(), false);
    assert_eq!(health.gate(at(0)), SendGate::Probe(Probe::First));
    health.probe_begins();
    assert_eq!(health.gate(at(0)), SendGate::Shut(None));
    health.classified(&delivered(), PROBE, at(1));
    assert_eq!(health.gate(at(1)), SendGate::Free);
}

#[test]
fn a_first_delivery_that_was_not_sent_lets_another_go_first() {
    let mut health = HealthTracker::new(rule(), false);
    health.probe_begins();
    health.probe_is_void();
    assert_eq!(health.gate(at(0)), SendGate::Probe(Probe::First));
}

#[test]
fn an_auth_failure_parks_and_says_since_when_and_why() {
    let health = parked();
    assert_eq!(health.gate(at(899_999)), SendGate::Shut(Some(at(900_000))));
    assert_eq!(health.parked(), Some((at(0), account_refused("token expired"))));
}

#[test]
fn a_parked_destination_is_probed_every_fifteen_minutes() {
    let mut health = parked();
    for turn in 1..5 {
        let due = at(turn * 900_000);
        assert_eq!(health.gate(due), SendGate::Probe(Probe::Parked));
        health.probe_begins();
        assert_eq!(health.gate(due), SendGate::Shut(None));
        health.classified(&park(), PROBE, due);
    }
    assert_eq!(health.parked().unwrap().0, at(0), "parked since the first refusal");
}

#[test]
fn a_probe_whose_answer_is_about_the_event_ends_the_parking() {
    for verdict in [delivered(), ReplyVerdict::Dead { reason: rejected("bad event") }] {
        let mut health = parked();
        health.probe_begins();
        health.classified(&verdict, PROBE, at(900_000));
        assert_eq!(health.gate(at(900_000)), SendGate::Free, "{verdict:?}");
    }
}

#[test]
fn a_probe_that_failed_on_the_way_says_nothing_about_the_account() {
    let mut health = parked();
    for turn in 1..20 {
        let due = at(turn * 900_000);
        assert_eq!(health.gate(due), SendGate::Probe(Probe::Parked));
        health.probe_begins();
        health.classified(&retry(), PROBE, due);
        assert_eq!(health.parked(), Some((at(0), account_refused("token expired"))));
        assert_eq!(health.gate(due.plus_millis(899_999)), SendGate::Shut(Some(due.plus_millis(900_000))));
    }
    health.probe_begins();
    health.renewed(false, at(20 * 900_000));
    health.classified(&retry(), HealthEffect { probe: true, current: false }, at(20 * 900_000 + 5));
    assert_eq!(
        health.gate(at(20 * 900_000 + 5)),
        SendGate::Probe(Probe::Parked),
        "new settings are tried at once"
    );
}

#[test]
fn what_had_left_before_the_parking_does_not_end_it() {
    let mut health = parked();
    health.classified(&delivered(), PLAIN, at(5));
    assert!(health.parked().is_some());
}

#[test]
fn new_settings_are_tried_at_once() {
    let mut health = parked();
    health.renewed(false, at(10));
    assert_eq!(health.gate(at(10)), SendGate::Probe(Probe::Parked));
}

#[test]
fn a_refusal_of_settings_that_were_replaced_does_not_park() {
    let mut health = healthy();
    health.classified(&park(), HealthEffect { probe: false, current: false }, at(0));
    assert_eq!(health.gate(at(0)), SendGate::Free);
}

#[test]
fn an_open_breaker_asks_with_one_request() {
    let mut health = healthy();
    for _ in 0..10 {
        health.classified(&retry(), PLAIN, at(0));
    }
    assert_eq!(health.gate(at(0)), SendGate::Shut(Some(at(30_000))));
    assert_eq!(health.gate(at(30_000)), SendGate::Probe(Probe::Breaker));
    health.probe_begins();
    health.classified(&delivered(), PROBE, at(30_001));
    assert_eq!(health.gate(at(30_001)), SendGate::Free);
}

#[test]
fn a_wait_that_was_asked_for_holds_all_then_one_probe_goes_and_a_good_answer_frees_the_rest() {
    for taken in [delivered(), ReplyVerdict::Dead { reason: rejected("bad event") }] {
        let mut health = healthy();
        health.classified(&wait(120_000), PLAIN, at(0));
        assert_eq!(health.gate(at(0)), SendGate::Shut(Some(at(120_000))));
        assert_eq!(health.gate(at(119_999)), SendGate::Shut(Some(at(120_000))));
        assert_eq!(health.hold(at(0)).unwrap().reason, unavailable(429, "slow down"));
        assert_eq!(health.gate(at(120_000)), SendGate::Probe(Probe::Hold));
        health.probe_begins();
        assert_eq!(health.gate(at(120_000)), SendGate::Shut(None), "one probe, no second");
        health.classified(&taken, PROBE, at(120_050));
        assert_eq!(health.gate(at(120_050)), SendGate::Free, "{taken:?}");
        assert_eq!(health.hold(at(120_050)), None);
    }
}

#[test]
fn a_hold_lasts_fifteen_minutes_at_most_and_is_asked_about_again_as_often_as_it_is_refused() {
    let mut health = healthy();
    health.classified(&wait(DAY_MS), PLAIN, at(0));
    for turn in 1..10 {
        let due = at(turn * 900_000);
        assert_eq!(health.gate(due.plus_millis(-1)), SendGate::Shut(Some(due)));
        assert_eq!(health.gate(due), SendGate::Probe(Probe::Hold));
        health.probe_begins();
        health.classified(&wait(DAY_MS), PROBE, due);
        assert_eq!(health.hold(due).unwrap().since, at(0), "held since the first refusal");
    }
    assert_eq!(health.open_until(), None, "one that says when to come again does not fail");
}

#[test]
fn of_several_waits_the_longest_counts_and_what_left_before_ends_none() {
    let mut health = healthy();
    health.classified(&wait(60_000), PLAIN, at(0));
    health.classified(&wait(5_000), PLAIN, at(10));
    assert_eq!(health.gate(at(20)), SendGate::Shut(Some(at(60_000))));
    health.classified(&wait(90_000), PLAIN, at(30));
    health.classified(&delivered(), PLAIN, at(40));
    assert_eq!(health.gate(at(50)), SendGate::Shut(Some(at(90_030))));
}

#[test]
fn a_probe_of_a_hold_that_failed_on_the_way_is_followed_by_another_not_by_all() {
    let mut health = healthy();
    health.classified(&wait(10_000), PLAIN, at(0));
    health.probe_begins();
    health.classified(&retry(), PROBE, at(10_000));
    assert_eq!(health.gate(at(10_001)), SendGate::Shut(Some(at(40_000))));
    assert_eq!(health.gate(at(40_000)), SendGate::Probe(Probe::Hold));
}

#[test]
fn a_hold_outlives_new_settings_and_an_old_accounts_limit_makes_none() {
    let mut health = healthy();
    health.classified(&wait(60_000), PLAIN, at(0));
    health.renewed(false, at(10));
    assert_eq!(health.gate(at(10)), SendGate::Shut(Some(at(60_000))));
    let mut health = healthy();
    health.classified(&wait(60_000), HealthEffect { probe: false, current: false }, at(0));
    assert_eq!(health.gate(at(0)), SendGate::Free);
}

#[test]
fn a_parked_destination_that_asked_for_a_wait_is_probed_when_both_have_passed() {
    let mut health = healthy();
    health.classified(&wait(900_000), PLAIN, at(0));
    health.classified(&park(), PLAIN, at(10));
    health.renewed(false, at(20));
    assert_eq!(health.gate(at(20)), SendGate::Shut(Some(at(900_000))));
    assert_eq!(health.gate(at(900_000)), SendGate::Probe(Probe::Parked));
    health.probe_begins();
    health.classified(&delivered(), PROBE, at(900_001));
    assert_eq!(health.gate(at(900_001)), SendGate::Free);
}

#[test]
fn a_clock_that_is_set_back_does_not_make_a_hold_longer() {
    let mut health = healthy();
    health.classified(&wait(60_000), PLAIN, at(DAY_MS));
    assert_eq!(health.gate(at(0)), SendGate::Probe(Probe::Hold));
    // The next answer's wait is kept as any other, and so is the pause after a probe that failed on the way.
    health.probe_begins();
    health.classified(&wait(60_000), PROBE, at(1));
    assert_eq!(health.gate(at(2)), SendGate::Shut(Some(at(60_001))));
    health.classified(&wait(60_000), PLAIN, at(DAY_MS));
    health.probe_begins();
    health.classified(&retry(), PROBE, at(2));
    assert_eq!(health.gate(at(3)), SendGate::Shut(Some(at(30_002))));
}

#[test]
fn an_account_that_gets_a_token_again_is_parked_no_more_unless_the_platform_refused_it() {
    let reason = ParkReason::SignInImpossible("its key is no key".to_owned());
    let sign_in = ReplyVerdict::Park { reason };
    let standing = HealthEffect { probe: false, current: true };
    let mut health = healthy();
    assert_eq!(health.awaits_token(at(0)), None);
    health.classified(&sign_in, standing, at(0));
    let next = at(rule().probe_every_ms);
    assert_eq!(health.awaits_token(at(1)), Some(next));
    assert_eq!(health.awaits_token(next), None, "it is asked again");
    assert_eq!(health.awaits_token(at(-1_000_000_000)), None, "and where the clock was set back");
    health.signed_in();
    assert_eq!((health.parked(), health.gate(at(1))), (None, SendGate::Free));
    let mut health = parked();
    assert_eq!(health.awaits_token(at(1)), None);
    health.signed_in();
    assert!(health.parked().is_some(), "a token says nothing of what the platform refuses");
}
