//! When a delivery is tried again: the waits, the jitter, what a platform may ask, and the end.

use postbridge::dispatch::schedule::{LONGEST_ASKED_MS, Schedule};
use postbridge::domain::ids::{ConversionId, DeliveryId, DestinationId, Occasion, SourceId};
use postbridge::domain::time::Time;
use proptest::prelude::*;

fn delivery(number: u32) -> DeliveryId {
    let source = SourceId::parse("s").unwrap();
    DeliveryId {
        conversion: ConversionId::derive(&source, "Purchase", &number.to_string()),
        destination: DestinationId::parse("d").unwrap(),
        occasion: Occasion::First,
    }
}

fn now() -> Time {
    Time::from_millis(1_790_000_000_000).unwrap()
}

#[test]
fn the_waits_are_those_promised() {
    let schedule = Schedule::default();
    let seconds: Vec<i64> = (1..=12).map(|attempt| schedule.wait_ms(attempt) / 1_000).collect();
    assert_eq!(seconds, [5, 30, 120, 600, 1_800, 3_600, 7_200, 14_400, 28_800, 43_200, 43_200, 43_200]);
}

#[test]
fn a_thousand_deliveries_that_fail_together_do_not_come_back_together() {
    let schedule = Schedule::default();
    let dues: std::collections::HashSet<i64> =
        (0..1_000).map(|n| schedule.next(&delivery(n), 4, now(), None).as_millis()).collect();
    assert!(dues.len() > 950, "{} different moments", dues.len());
}

proptest! {
    #[test]
    fn the_next_try_is_never_early_and_never_a_quarter_late(number in any::<u32>(), attempt in 0u32..1_000) {
        let schedule = Schedule::default();
        let wait = schedule.wait_ms(attempt);
        let next = schedule.next(&delivery(number), attempt, now(), None).millis_since(now());
        prop_assert!(next >= wait && next <= wait + wait / 4, "{next} for {wait}");
    }

    #[test]
    fn the_same_delivery_and_attempt_have_the_same_next_try(number in any::<u32>(), attempt in any::<u32>()) {
        let schedule = Schedule::default();
        let one = schedule.next(&delivery(number), attempt, now(), None);
        prop_assert_eq!(one, schedule.next(&delivery(number), attempt, now(), None));
    }

    #[test]
    fn what_a_platform_asks_is_a_lower_bound_of_at_most_a_day(attempt in 1u32..40, after in any::<i64>()) {
        let schedule = Schedule::default();
        let plain = schedule.next(&delivery(1), attempt, now(), None);
        let asked = schedule.next(&delivery(1), attempt, now(), Some(after));
        let bound = now().plus_millis(after.clamp(0, LONGEST_ASKED_MS));
        prop_assert_eq!(asked, plain.max(bound));
    }

    #[test]
    fn no_schedule_overflows(steps in prop::collection::vec(any::<i64>(), 0..4), every in any::<i64>(), attempt in any::<u32>()) {
        let schedule = Schedule { steps, then_every: every };
        let next = schedule.next(&delivery(9), attempt, now(), Some(i64::MAX));
        prop_assert!(next >= now());
    }
}
