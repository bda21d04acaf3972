//! Parked, proven, kept back: what a destination may be sent after each kind of answer.

use postbridge::dispatch::breaker::BreakerRule;
use postbridge::dispatch::health::{Gate, Health, Probe, Standing};
use postbridge::domain::delivery::Judgement;
use postbridge::domain::time::Time;

const PLAIN: Standing = Standing { probe: false, current: true };
const PROBE: Standing = Standing { probe: true, current: true };

fn at(millis: i64) -> Time {
    Time::from_millis(1_790_000_000_000 + millis).unwrap()
}

fn park() -> Judgement {
    Judgement::Park { reason: "token expired".to_owned() }
}

fn delivered() -> Judgement {
    Judgement::Delivered { warnings: Vec::new() }
}

fn retry() -> Judgement {
    Judgement::Retry { reason: "503".to_owned(), after_ms: None }
}

fn healthy() -> Health {
    Health::new(BreakerRule::default(), 900_000, true)
}

fn parked() -> Health {
    let mut health = healthy();
    health.judged(&park(), PLAIN, at(0));
    health
}

#[test]
fn after_a_start_one_delivery_goes_first_and_its_answer_opens_the_way() {
    let mut health = Health::new(BreakerRule::default(), 900_000, false);
    assert_eq!(health.gate(at(0)), Gate::Probe(Probe::First));
    health.probe_begins();
    assert_eq!(health.gate(at(0)), Gate::Shut(None));
    health.judged(&delivered(), PROBE, at(1));
    assert_eq!(health.gate(at(1)), Gate::Free);
}

#[test]
fn a_first_delivery_that_was_not_sent_lets_another_go_first() {
    let mut health = Health::new(BreakerRule::default(), 900_000, false);
    health.probe_begins();
    health.probe_is_void();
    assert_eq!(health.gate(at(0)), Gate::Probe(Probe::First));
}

#[test]
fn an_auth_failure_parks_and_says_since_when_and_why() {
    let health = parked();
    assert_eq!(health.gate(at(899_999)), Gate::Shut(Some(at(900_000))));
    assert_eq!(health.parked(), Some((at(0), "token expired".to_owned())));
}

#[test]
fn a_parked_destination_is_probed_every_fifteen_minutes() {
    let mut health = parked();
    for turn in 1..5 {
        let due = at(turn * 900_000);
        assert_eq!(health.gate(due), Gate::Probe(Probe::Parked));
        health.probe_begins();
        assert_eq!(health.gate(due), Gate::Shut(None));
        health.judged(&park(), PROBE, due);
    }
    assert_eq!(health.parked().unwrap().0, at(0), "parked since the first refusal");
}

#[test]
fn a_probe_whose_answer_is_about_the_event_ends_the_parking() {
    for judgement in [delivered(), Judgement::Dead { reason: "bad event".to_owned() }] {
        let mut health = parked();
        health.probe_begins();
        health.judged(&judgement, PROBE, at(900_000));
        assert_eq!(health.gate(at(900_000)), Gate::Free, "{judgement:?}");
    }
}

#[test]
fn a_probe_that_failed_on_the_way_says_nothing_about_the_account() {
    let mut health = parked();
    for turn in 1..20 {
        let due = at(turn * 900_000);
        assert_eq!(health.gate(due), Gate::Probe(Probe::Parked));
        health.probe_begins();
        health.judged(&retry(), PROBE, due);
        assert_eq!(health.parked(), Some((at(0), "token expired".to_owned())));
        assert_eq!(health.gate(due.plus_millis(899_999)), Gate::Shut(Some(due.plus_millis(900_000))));
    }
    health.probe_begins();
    health.renewed(false, at(20 * 900_000));
    health.judged(&retry(), Standing { probe: true, current: false }, at(20 * 900_000 + 5));
    assert_eq!(
        health.gate(at(20 * 900_000 + 5)),
        Gate::Probe(Probe::Parked),
        "new settings are tried at once"
    );
}

#[test]
fn what_had_left_before_the_parking_does_not_end_it() {
    let mut health = parked();
    health.judged(&delivered(), PLAIN, at(5));
    assert!(health.parked().is_some());
}

#[test]
fn new_settings_are_tried_at_once() {
    let mut health = parked();
    health.renewed(false, at(10));
    assert_eq!(health.gate(at(10)), Gate::Probe(Probe::Parked));
}

#[test]
fn a_refusal_of_settings_that_were_replaced_does_not_park() {
    let mut health = healthy();
    health.judged(&park(), Standing { probe: false, current: false }, at(0));
    assert_eq!(health.gate(at(0)), Gate::Free);
}

#[test]
fn an_open_breaker_asks_with_one_request() {
    let mut health = healthy();
    for _ in 0..10 {
        health.judged(&retry(), PLAIN, at(0));
    }
    assert_eq!(health.gate(at(0)), Gate::Shut(Some(at(30_000))));
    assert_eq!(health.gate(at(30_000)), Gate::Probe(Probe::Breaker));
    health.probe_begins();
    health.judged(&delivered(), PROBE, at(30_001));
    assert_eq!(health.gate(at(30_001)), Gate::Free);
}
