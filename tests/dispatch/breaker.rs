//! The breaker: when it opens, for how long, and what one probe changes.

use postbridge::dispatch::breaker::{Breaker, BreakerPermit, BreakerRule};
use postbridge::domain::time::Time;

fn at(millis: i64) -> Time {
    Time::from_millis(1_790_000_000_000 + millis).unwrap()
}

fn breaker() -> Breaker {
    Breaker::new(BreakerRule::default())
}

fn opened() -> Breaker {
    let mut breaker = breaker();
    for _ in 0..10 {
        breaker.note(true, at(0));
    }
    breaker
}

#[test]
fn nine_failures_say_nothing_and_the_tenth_opens_for_thirty_seconds() {
    let mut breaker = breaker();
    for _ in 0..9 {
        breaker.note(true, at(0));
        assert_eq!(breaker.permits(at(0)), BreakerPermit::Free);
    }
    breaker.note(true, at(0));
    assert_eq!(breaker.permits(at(29_999)), BreakerPermit::Shut(at(30_000)));
    assert_eq!(breaker.permits(at(30_000)), BreakerPermit::Probe);
}

#[test]
fn below_seventy_percent_failures_it_stays_closed() {
    let mut breaker = breaker();
    for turn in 0..1_000 {
        breaker.note(turn % 10 >= 4, at(turn));
    }
    assert_eq!(breaker.permits(at(1_000)), BreakerPermit::Free, "60 % failed");
}

#[test]
fn failures_older_than_the_window_are_forgotten() {
    let mut breaker = breaker();
    for _ in 0..9 {
        breaker.note(true, at(0));
    }
    for _ in 0..9 {
        breaker.note(true, at(301_000));
    }
    assert_eq!(breaker.permits(at(301_000)), BreakerPermit::Free);
}

#[test]
fn a_failed_probe_doubles_the_wait_up_to_fifteen_minutes() {
    let mut breaker = opened();
    let mut now = at(0);
    let mut spans = Vec::new();
    for _ in 0..7 {
        let until = breaker.open_until().unwrap();
        spans.push(until.millis_since(now) / 1_000);
        now = until;
        breaker.note_probe(true, now);
    }
    assert_eq!(spans, [30, 60, 120, 240, 480, 900, 900]);
}

#[test]
fn a_probe_that_is_answered_closes_it_and_forgets_the_failures() {
    let mut breaker = opened();
    breaker.note_probe(false, at(30_000));
    assert_eq!(breaker.permits(at(30_000)), BreakerPermit::Free);
    for _ in 0..9 {
        breaker.note(true, at(30_001));
    }
    assert_eq!(breaker.permits(at(30_001)), BreakerPermit::Free, "nine are too few again");
}

#[test]
fn what_left_before_it_opened_changes_nothing_once_it_is_open() {
    let mut breaker = opened();
    let until = breaker.open_until();
    breaker.note(true, at(10_000));
    breaker.note(false, at(10_000));
    assert_eq!(breaker.open_until(), until);
}
