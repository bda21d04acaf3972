//! Whether the wall clock is believed.

use postbridge::domain::age_clock::FAR_MS;
use postbridge::domain::clock_rule::{AGREE_MS, ClockChange, ClockReading, ClockRule, Reminder};
use postbridge::domain::time::{DAY_MS, HOUR_MS, MINUTE_MS, Time};

fn at(millis: i64) -> Time {
    Time::parse("2026-01-01T00:00:00Z").unwrap().plus_millis(millis)
}

fn reading(wall: i64, running_ms: i64) -> ClockReading {
    ClockReading { wall: at(wall), running_ms }
}

/// A rule that has believed `at(0)`.
fn settled() -> ClockRule {
    let mut rule = ClockRule::new(None, Some(at(0)), at(0));
    assert_eq!(rule.observe(reading(0, 0)), None);
    rule
}

#[test]
fn a_clock_is_believed_up_to_48_hours_past_the_newest_time_on_record() {
    let mut rule = settled();
    assert!(rule.believes(at(FAR_MS)) && !rule.believes(at(FAR_MS + 1)));
    assert_eq!(rule.observe(reading(FAR_MS, 5)), None, "a night without power");
    assert!(rule.believes(at(2 * FAR_MS)), "it goes on from there");
}

#[test]
fn a_clock_500_days_ahead_for_10_seconds_is_never_believed_and_then_is_itself_again() {
    let mut rule = settled();
    let ahead = 500 * DAY_MS;
    assert!(!rule.believes(at(ahead)), "not even before it was observed");
    assert_eq!(rule.observe(reading(ahead, 1_000)), Some(ClockChange::Doubted));
    for second in 2..10 {
        assert_eq!(rule.observe(reading(ahead + second * 1_000, second * 1_000)), None);
        assert!(!rule.believes(at(ahead + second * 1_000)));
    }
    assert_eq!(rule.observe(reading(10_000, 10_000)), Some(ClockChange::Believed));
    assert!(rule.believes(at(10_000)) && !rule.believes(at(ahead)));
}

#[test]
fn what_was_stored_under_the_wrong_clock_does_not_make_it_right_at_the_next_start() {
    let mut rule = settled();
    rule.observe(reading(500 * DAY_MS, 1_000));
    let record = rule.record(reading(500 * DAY_MS, 1_000));
    let newest = Some(at(500 * DAY_MS));
    let mut rule = ClockRule::new(Some(record), newest, at(500 * DAY_MS + 2_000));
    rule.observe(reading(500 * DAY_MS + 2_000, 0));
    assert!(!rule.believes(at(500 * DAY_MS + 2_000)));
    let mut rule = ClockRule::new(Some(record), newest, at(9_000));
    assert_eq!(rule.observe(reading(9_000, 0)), Some(ClockChange::Believed));
}

#[test]
fn both_clocks_must_agree_for_24_hours_of_running() {
    let mut rule = settled();
    let ahead = 9 * DAY_MS;
    rule.observe(reading(ahead, 0));
    assert_eq!(rule.observe(reading(ahead + AGREE_MS - 1, AGREE_MS - 1)), None);
    let doubt = rule.doubt(reading(ahead + AGREE_MS - 1, AGREE_MS - 1)).unwrap();
    assert_eq!((doubt.believed, doubt.until), (at(0), at(ahead + AGREE_MS)));
    assert_eq!(rule.observe(reading(ahead + AGREE_MS, AGREE_MS)), Some(ClockChange::Believed));
    assert!(rule.believes(at(ahead + AGREE_MS)));
}

#[test]
fn a_clock_that_runs_faster_than_time_passes_is_not_believed_however_long() {
    let mut rule = settled();
    for hour in 0..200 {
        rule.observe(reading(9 * DAY_MS + 2 * hour * HOUR_MS, hour * HOUR_MS));
    }
    assert!(!rule.believes(at(9 * DAY_MS + 400 * HOUR_MS)));
}

#[test]
fn a_restart_does_not_begin_the_24_hours_anew_where_the_clock_goes_on() {
    let mut rule = settled();
    let ahead = 9 * DAY_MS;
    rule.observe(reading(ahead, 0));
    rule.observe(reading(ahead + 20 * HOUR_MS, 20 * HOUR_MS));
    let record = rule.record(reading(ahead + 20 * HOUR_MS, 20 * HOUR_MS));
    let start = ahead + 21 * HOUR_MS;
    let mut on = ClockRule::new(Some(record), None, at(start));
    assert_eq!(on.observe(reading(start, 77)), None);
    assert_eq!(on.observe(reading(start + 4 * HOUR_MS, 77 + 4 * HOUR_MS)), Some(ClockChange::Believed));
    let elsewhere = start + 300 * DAY_MS;
    let mut anew = ClockRule::new(Some(record), None, at(elsewhere));
    anew.observe(reading(elsewhere, 77));
    assert_eq!(anew.observe(reading(elsewhere + 4 * HOUR_MS, 77 + 4 * HOUR_MS)), None);
}

#[test]
fn a_person_ends_the_doubt() {
    let mut rule = settled();
    rule.observe(reading(9 * DAY_MS, 5));
    rule.confirm(at(9 * DAY_MS));
    assert!(rule.believes(at(9 * DAY_MS)) && rule.doubt(reading(9 * DAY_MS, 6)).is_none());
    assert_eq!(rule.record(reading(9 * DAY_MS, 6)).believed, at(9 * DAY_MS));
}

#[test]
fn a_clock_that_was_set_back_far_is_not_believed_either_and_can_return() {
    let mut rule = settled();
    assert_eq!(rule.observe(reading(-500 * DAY_MS, 1_000)), Some(ClockChange::Doubted));
    assert_eq!(rule.observe(reading(2_000, 2_000)), Some(ClockChange::Believed));
    assert!(rule.believes(at(2_000)));
    rule.observe(reading(-500 * DAY_MS, 3_000));
    assert_eq!(rule.observe(reading(400 * DAY_MS, 4_000)), None, "from one wrong time to another");
    assert!(!rule.believes(at(400 * DAY_MS)));
}

#[test]
fn an_empty_store_believes_the_first_time_it_sees() {
    let rule = ClockRule::new(None, None, at(0));
    assert!(rule.believes(at(0)) && !rule.believes(at(3 * DAY_MS)));
}

#[test]
fn a_machine_that_is_suspended_every_day_counts_its_running_in_total() {
    let mut rule = settled();
    let (mut wall, mut running, mut days) = (9 * DAY_MS, 0, 0);
    rule.observe(reading(wall, running));
    loop {
        // Eight hours of work, in ticks of ten minutes; then it sleeps.
        for _ in 0..48 {
            (wall, running) = (wall + 10 * MINUTE_MS, running + 10 * MINUTE_MS);
            if rule.observe(reading(wall, running)) == Some(ClockChange::Believed) {
                assert_eq!(days, 3, "on the fourth day: what passes together with a sleep does not count");
                return;
            }
        }
        wall += 16 * HOUR_MS;
        days += 1;
        assert!(days < 5, "never");
    }
}

#[test]
fn a_clock_that_is_set_back_every_day_or_runs_fast_does_not_collect_its_running() {
    for (each_tick, each_day) in [(0, -HOUR_MS), (MINUTE_MS / 2, 0)] {
        let mut rule = settled();
        let (mut wall, mut running) = (400 * DAY_MS, 0);
        for _ in 0..20 {
            for _ in 0..8 * 60 {
                (wall, running) = (wall + MINUTE_MS + each_tick, running + MINUTE_MS);
                assert_eq!(
                    rule.observe(reading(wall, running)).filter(|change| *change == ClockChange::Believed),
                    None
                );
            }
            wall += each_day;
        }
    }
}

#[test]
fn what_ages_never_goes_back_and_counts_running_while_the_clock_is_not_believed() {
    let mut rule = settled();
    rule.observe(reading(-500 * DAY_MS, 0));
    rule.observe(reading(-500 * DAY_MS + 10 * HOUR_MS, 10 * HOUR_MS));
    let age = |rule: &ClockRule| rule.record(reading(0, 0)).age;
    assert_eq!(age(&rule).now, at(10 * HOUR_MS));
    rule.observe(reading(11 * HOUR_MS, 11 * HOUR_MS));
    assert_eq!(age(&rule).now, at(11 * HOUR_MS), "nothing counts twice");
    rule.confirm(at(-500 * DAY_MS));
    assert_eq!(age(&rule).now, at(11 * HOUR_MS));
    rule.observe(reading(-500 * DAY_MS + HOUR_MS, 12 * HOUR_MS));
    assert_eq!(age(&rule).now, at(12 * HOUR_MS), "it goes on from there");
    rule.confirm(at(3 * DAY_MS));
    let jumped = age(&rule);
    assert_eq!((jumped.now, jumped.ahead_ms, jumped.jumped_ms), (at(3 * DAY_MS), 0, 60 * HOUR_MS));
}

#[test]
fn what_ages_waits_for_a_clock_that_was_set_back_a_little_also_over_a_doubt() {
    let mut rule = ClockRule::new(None, Some(at(0)), at(0));
    rule.observe(reading(12 * HOUR_MS, 0));
    rule.observe(reading(5 * HOUR_MS, 0));
    let age = |rule: &ClockRule| rule.record(reading(0, 0)).age.now;
    assert_eq!(age(&rule), at(12 * HOUR_MS));
    // What was received at 5 h is not older than the running since then.
    rule.observe(reading(-500 * DAY_MS, 0));
    rule.observe(reading(-500 * DAY_MS + 6 * HOUR_MS, 6 * HOUR_MS));
    assert_eq!(age(&rule), at(12 * HOUR_MS));
    rule.observe(reading(-500 * DAY_MS + 10 * HOUR_MS, 10 * HOUR_MS));
    assert_eq!(age(&rule), at(15 * HOUR_MS));
}

#[test]
fn a_doubt_that_goes_on_is_logged_once_a_day_also_on_a_machine_that_sleeps() {
    let mut reminder = Reminder::default();
    let lines = (0..72).filter(|hour| reminder.is_due(reading(hour * HOUR_MS, hour * HOUR_MS))).count();
    assert_eq!(lines, 3);
    let mut reminder = Reminder::default();
    let asleep = |hour: i64| reading(hour * HOUR_MS + hour / 8 * 16 * HOUR_MS, hour * HOUR_MS);
    let lines = (0..24).filter(|hour| reminder.is_due(asleep(*hour))).count();
    assert_eq!(lines, 3, "eight hours of running a day");
    let mut reminder = Reminder::default();
    let to_and_fro = |second: i64| reading(second % 2 * 500 * DAY_MS, second * 1_000);
    assert_eq!((0..3_000).filter(|second| reminder.is_due(to_and_fro(*second))).count(), 1);
}
