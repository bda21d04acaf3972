//! What must hold when a clock has jumped: what it planned is due in time, and lists by time are complete.

use crate::domain::delivery::DeliveryState;
use crate::domain::time::Time;
use crate::store::contract::Store;
use crate::store::contract::conformance::fixture::attempt::{delivered, failed, one};
use crate::store::contract::conformance::fixture::engine::{EngineUnderTest, before_and_after_reopening};
use crate::store::contract::conformance::fixture::received::{
    DAY, HOUR, at, click, quarantined, sale, unscreened, wait,
};
use crate::store::contract::conformance::fixture::work::{claim, first_page, states, transactions};
use crate::store::contract::lookup::{ClickFilter, ConversionFilter, PostbackFilter};
use crate::store::contract::work::Claimed;

/// Sales, clicks and a quarantined postback at `time`; their number is in their names.
pub fn record(store: &dyn Store, name: &str, time: Time) {
    let mut clicked = click(&format!("c-{name}"));
    (clicked.at, clicked.recorded_at) = (time, time);
    wait(store.record_click(unscreened(clicked))).unwrap();
    let sold = sale(&format!("t-{name}")).click(&format!("c-{name}")).at(time).receive(store);
    for work in claim(store, "ads", time) {
        wait(store.record(one(delivered(&work, time)))).unwrap();
    }
    assert!(matches!(states(store, &sold)[..], [DeliveryState::Delivered { .. }]));
    wait(store.arrive(quarantined("no price", time))).unwrap();
}

pub fn a_retry_planned_by_a_clock_that_ran_ahead_is_due_when_the_clock_is_right_again(
    engine: &EngineUnderTest,
) {
    let store = engine.open();
    sale("first").forward().at(at(500 * DAY)).receive(&*store);
    sale("retried").forward().at(at(0)).receive(&*store);
    let is_retried = |work: &Claimed| work.conversion.transaction_id.as_deref() == Some("retried");
    let (retried, others): (Vec<_>, Vec<_>) = claim(&*store, "ads", at(0)).into_iter().partition(is_retried);
    wait(store.release(others.into_iter().map(|work| work.lease.token).collect())).unwrap();
    wait(store.record(one(failed(&retried[0], at(500 * DAY), at(500 * DAY + HOUR))))).unwrap();
    before_and_after_reopening(engine, store, |store, reopened| {
        let work = claim(store, "ads", at(HOUR));
        assert_eq!(work.len(), 2, "reopened: {reopened}");
        assert!(claim(store, "ads", at(HOUR)).is_empty(), "each once");
        wait(store.release(work.into_iter().map(|work| work.lease.token).collect())).unwrap();
    });
}

pub fn lists_by_time_look_past_what_a_wrong_clock_wrote(engine: &EngineUnderTest) {
    let store = engine.open();
    let times =
        [("first", 0), ("ahead", 500 * DAY), ("second", DAY), ("behind", -90 * DAY), ("third", 2 * DAY)];
    for (name, time) in times {
        record(&*store, name, at(time));
    }
    before_and_after_reopening(engine, store, |store, _| {
        let named = |since: i64| {
            let filter = ConversionFilter { since: Some(at(since)), ..ConversionFilter::default() };
            let mut names = transactions(store, filter);
            names.sort_unstable();
            names
        };
        assert_eq!(named(400 * DAY), ["t-ahead"]);
        assert_eq!(named(2 * DAY), ["t-ahead", "t-third"]);
        assert_eq!(named(-DAY), ["t-ahead", "t-first", "t-second", "t-third"]);
        assert_eq!(named(-91 * DAY).len(), 5);
        let clicks = |since: i64| {
            let filter = ClickFilter { since: Some(at(since)), ..ClickFilter::default() };
            wait(store.clicks(filter, first_page(100))).unwrap().items.len()
        };
        assert_eq!([400 * DAY, 2 * DAY, -DAY, -91 * DAY].map(clicks), [1, 2, 4, 5]);
        let postbacks = |since: i64| {
            let filter = PostbackFilter { since: Some(at(since)), ..PostbackFilter::default() };
            wait(store.postbacks(filter, first_page(100))).unwrap().items.len()
        };
        assert_eq!([400 * DAY, 2 * DAY, -DAY, -91 * DAY].map(postbacks), [2, 4, 8, 10]);
    });
}
