//! What a clock that jumps does to a store with maintenance running: it deletes nothing and ends nothing.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use postbridge::clock::Clock;
use postbridge::domain::delivery::DeliveryState;
use postbridge::domain::status::Status;
use postbridge::domain::time::Time;
use postbridge::maintenance::{Maintenance, MaintenanceSignals, RetentionDays, watch_clock};
use postbridge::store::contract::Store;
use postbridge::store::contract::conformance::clock_jumps::record;
use postbridge::store::contract::conformance::fixture::engine::EngineUnderTest;
use postbridge::store::contract::conformance::fixture::received::{
    DAY, HOUR, at, click, destination, sale, unscreened, wait,
};
use postbridge::store::contract::conformance::fixture::work::{first_page, states, trace};
use postbridge::store::contract::lookup::{ClickFilter, ConversionFilter, PostbackFilter};
use tokio::sync::watch;

use crate::support::engines::on_every_engine;

on_every_engine! {
    a_clock_500_days_ahead_for_10_seconds_deletes_nothing,
    a_clock_500_days_ahead_over_a_restart_deletes_nothing,
    a_clock_that_was_set_back_deletes_nothing_when_it_returns,
    holds_and_foreseen_statuses_do_not_end_by_a_clock_that_is_not_believed,
    retention_goes_on_after_24_hours_of_running,
    retention_goes_on_when_a_person_confirms_the_clock,
}

const KEEP: RetentionDays =
    RetentionDays { conversions_days: 400, postbacks_days: 90, clicks_days: 120, removed_hours: 72 };

fn maintenance(store: &Arc<dyn Store>, clock: &Clock) -> Maintenance {
    let (_, stop) = watch::channel(false);
    let configured = Arc::new(|| HashSet::from(["ads", "other"].map(destination)));
    let heartbeat = Arc::new(AtomicI64::new(0));
    let signals = MaintenanceSignals {
        keep: KEEP,
        configured,
        put_back: Arc::default(),
        space: Arc::default(),
        stop,
        heartbeat,
    };
    wait(watch_clock(&**store, clock)).unwrap();
    Maintenance::new(Arc::clone(store), clock.clone(), signals)
}

/// Ten seconds of running, and ten more so that a look for records to purge falls into them.
fn ten_seconds(maintenance: &mut Maintenance, clock: &Clock, each: impl Fn(Time)) {
    for _ in 0..10 {
        clock.run(1_000);
        each(clock.now());
        wait(maintenance.tick()).unwrap();
    }
}

/// Long enough that purging is tried again.
fn an_hour(maintenance: &mut Maintenance, clock: &Clock) {
    for _ in 0..3_600 {
        clock.run(1_000);
        wait(maintenance.tick()).unwrap();
    }
}

/// Conversions, postbacks with their bytes, and clicks.
fn count(store: &dyn Store) -> (usize, usize, usize) {
    let conversions = wait(store.conversions(ConversionFilter::default(), first_page(1000))).unwrap();
    let postbacks = wait(store.postbacks(PostbackFilter::default(), first_page(1000))).unwrap();
    let clicks = wait(store.clicks(ClickFilter::default(), first_page(1000))).unwrap();
    let with_bytes = postbacks.items.iter().filter(|postback| postback.raw.is_some());
    (conversions.items.len(), with_bytes.count(), clicks.items.len())
}

fn a_clock_500_days_ahead_for_10_seconds_deletes_nothing(engine: &EngineUnderTest) {
    let store = engine.open();
    for n in 0..40 {
        record(&*store, &n.to_string(), at(n * HOUR));
    }
    let clock = Clock::fixed(at(40 * HOUR));
    let mut maintenance = maintenance(&store, &clock);
    an_hour(&mut maintenance, &clock);
    clock.set(at(500 * DAY));
    // Written before maintenance sees the time: it must not make the wrong time right.
    record(&*store, "wrong", clock.now());
    ten_seconds(&mut maintenance, &clock, |now| record(&*store, &format!("wrong-{}", now.as_millis()), now));
    assert_eq!(clock.doubt().map(|doubt| doubt.believed), Some(at(41 * HOUR)));
    clock.set(at(41 * HOUR + 10_000));
    an_hour(&mut maintenance, &clock);
    assert_eq!(clock.doubt(), None);
    assert_eq!(count(&*store), (51, 102, 51));
}

fn a_clock_500_days_ahead_over_a_restart_deletes_nothing(engine: &EngineUnderTest) {
    let store = engine.open();
    for n in 0..20 {
        record(&*store, &n.to_string(), at(n * HOUR));
    }
    let clock = Clock::fixed(at(20 * HOUR));
    an_hour(&mut maintenance(&store, &clock), &clock);
    wait(store.close()).unwrap();
    drop(store);
    // The machine starts with a wrong time, twice; what is recorded then bears it.
    for start in 0..2 {
        let store = engine.open();
        let clock = Clock::fixed(at(500 * DAY + start * HOUR));
        let mut maintenance = maintenance(&store, &clock);
        ten_seconds(&mut maintenance, &clock, |now| {
            record(&*store, &format!("wrong-{}", now.as_millis()), now)
        });
        assert!(clock.doubt().is_some(), "also with the newest record 500 days ahead");
        wait(store.close()).unwrap();
    }
    let store = engine.open();
    let clock = Clock::fixed(at(21 * HOUR));
    let mut maintenance = maintenance(&store, &clock);
    an_hour(&mut maintenance, &clock);
    assert_eq!(clock.doubt(), None);
    assert_eq!(count(&*store), (40, 80, 40));
}

fn a_clock_that_was_set_back_deletes_nothing_when_it_returns(engine: &EngineUnderTest) {
    let store = engine.open();
    record(&*store, "before", at(0));
    let clock = Clock::fixed(at(HOUR));
    let mut maintenance = maintenance(&store, &clock);
    an_hour(&mut maintenance, &clock);
    clock.set(at(-500 * DAY));
    record(&*store, "wrong", clock.now());
    ten_seconds(&mut maintenance, &clock, |now| record(&*store, &format!("wrong-{}", now.as_millis()), now));
    clock.set(at(2 * HOUR));
    an_hour(&mut maintenance, &clock);
    assert_eq!(clock.doubt(), None);
    assert_eq!(count(&*store), (12, 24, 12), "received today, whatever time they bear");
    wait(store.close()).unwrap();
    drop((store, maintenance));
    let store = engine.open();
    let mut again = self::maintenance(&store, &clock);
    an_hour(&mut again, &clock);
    assert_eq!(count(&*store), (12, 24, 12), "also after a restart");
    // And they are purged when their days are over.
    for day in 1..=402 {
        clock.run(DAY);
        wait(again.tick()).unwrap();
        if day % 100 == 0 || day > 400 {
            an_hour(&mut again, &clock);
        }
    }
    assert_eq!(count(&*store), (0, 0, 0));
}

fn holds_and_foreseen_statuses_do_not_end_by_a_clock_that_is_not_believed(engine: &EngineUnderTest) {
    let store = engine.open();
    let held = sale("held").click("late").receive(&*store);
    let clock = Clock::fixed(at(HOUR));
    let mut maintenance = maintenance(&store, &clock);
    ten_seconds(&mut maintenance, &clock, |_| ());
    clock.set(at(500 * DAY));
    ten_seconds(&mut maintenance, &clock, |_| ());
    assert_eq!(states(&*store, &held), [DeliveryState::Held { until: at(72 * HOUR) }]);
    clock.set(at(2 * HOUR));
    ten_seconds(&mut maintenance, &clock, |_| ());
    wait(store.record_click(unscreened(click("late")))).unwrap();
    assert!(matches!(states(&*store, &held)[..], [DeliveryState::Waiting { .. }]), "its click frees it");
    assert_eq!(trace(&*store, &held).conversion.status, Status::Approved);
}

fn retention_goes_on_after_24_hours_of_running(engine: &EngineUnderTest) {
    let (store, clock, mut maintenance) = paused_500_days_ahead(engine);
    (0..24).for_each(|_| an_hour(&mut maintenance, &clock));
    assert_eq!(count(&*store), (0, 0, 0));
}

fn retention_goes_on_when_a_person_confirms_the_clock(engine: &EngineUnderTest) {
    let (store, clock, mut maintenance) = paused_500_days_ahead(engine);
    assert!(clock.confirm().is_some());
    an_hour(&mut maintenance, &clock);
    assert_eq!(count(&*store), (0, 0, 0));
}

fn paused_500_days_ahead(engine: &EngineUnderTest) -> (Arc<dyn Store>, Clock, Maintenance) {
    let store = engine.open();
    record(&*store, "old", at(0));
    let clock = Clock::fixed(at(HOUR));
    let mut maintenance = maintenance(&store, &clock);
    ten_seconds(&mut maintenance, &clock, |_| ());
    clock.set(at(500 * DAY));
    an_hour(&mut maintenance, &clock);
    assert_eq!(count(&*store).0, 1, "nothing yet");
    (store, clock, maintenance)
}
