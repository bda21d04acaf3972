//! Destinations that are taken out of the configuration and put back, as maintenance sees to them.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use parking_lot::Mutex;
use postbridge::clock::Clock;
use postbridge::domain::delivery::DeliveryState;
use postbridge::domain::ids::DestinationId;
use postbridge::domain::skip::SkipReason;
use postbridge::maintenance::{Maintenance, MaintenanceSignals, RetentionDays, watch_clock};
use postbridge::store::contract::Store;
use postbridge::store::contract::conformance::fixture::engine::EngineUnderTest;
use postbridge::store::contract::conformance::fixture::received::{DAY, HOUR, at, destination, sale, wait};
use postbridge::store::contract::conformance::fixture::work::{claim, states};
use tokio::sync::watch;

use crate::support::engines::on_every_engine;

on_every_engine! {
    a_destination_that_is_put_back_in_time_goes_on,
    a_destination_that_is_not_put_back_in_time_is_skipped,
    a_destination_that_is_put_back_at_the_last_moment_is_not_skipped,
    a_destination_that_was_put_back_for_a_moment_has_its_time_anew,
    a_destination_that_was_removed_by_a_wrong_clock_is_not_skipped_when_it_is_right,
}

/// Maintenance with a configuration that tests change.
struct Watched {
    maintenance: Maintenance,
    clock: Clock,
    configured: Arc<Mutex<HashSet<DestinationId>>>,
    put_back: Arc<Mutex<HashSet<DestinationId>>>,
}

impl Watched {
    fn new(store: &Arc<dyn Store>, hours: i64, configured: &[&str]) -> Watched {
        let clock = Clock::fixed(at(hours * HOUR));
        wait(watch_clock(&**store, &clock)).unwrap();
        let configured = Arc::new(Mutex::new(configured.iter().map(|name| destination(name)).collect()));
        let (known, put_back) = (Arc::clone(&configured), Arc::<Mutex<HashSet<_>>>::default());
        let (_, stop) = watch::channel(false);
        let signals = MaintenanceSignals {
            space: Arc::default(),
            keep: RetentionDays { conversions_days: 9, postbacks_days: 9, clicks_days: 9, removed_hours: 72 },
            configured: Arc::new(move || HashSet::clone(&known.lock())),
            put_back: Arc::clone(&put_back),
            stop,
            heartbeat: Arc::new(AtomicI64::new(0)),
        };
        let maintenance = Maintenance::new(Arc::clone(store), clock.clone(), signals);
        Watched { maintenance, clock, configured, put_back }
    }

    /// Hours in which the loop ticks now and then.
    fn pass(&mut self, hours: i64) {
        for _ in 0..hours * 4 {
            self.clock.run(HOUR / 4);
            wait(self.maintenance.tick()).unwrap();
        }
    }
}

fn a_destination_that_is_put_back_in_time_goes_on(engine: &EngineUnderTest) {
    let store = engine.open();
    let sold = sale("t").forward().to(&["campaign:8599", "other"]).receive(&*store);
    let mut watched = Watched::new(&store, 0, &["other"]);
    watched.pass(70);
    let since =
        wait(store.operator_facts()).unwrap().removed.get(&destination("campaign:8599")).copied().unwrap();
    assert_eq!((since, wait(store.operator_facts()).unwrap().removed.len()), (at(HOUR / 4), 1));
    assert!(matches!(states(&*store, &sold)[0], DeliveryState::Waiting { .. }));
    watched.configured.lock().insert(destination("campaign:8599"));
    watched.pass(30);
    assert!(wait(store.operator_facts()).unwrap().removed.is_empty());
    assert_eq!(claim(&*store, "campaign:8599", watched.clock.now()).len(), 1, "it goes on");
}

fn a_destination_that_is_not_put_back_in_time_is_skipped(engine: &EngineUnderTest) {
    let store = engine.open();
    let sold = sale("t")
        .click("late")
        .to(&["ads", "other"])
        .unmatched(postbridge::domain::routing::Unmatched::Hold { hours: 1000 })
        .receive(&*store);
    Watched::new(&store, 0, &["other"]).pass(40);
    wait(store.close()).unwrap();
    drop(store);
    let store = engine.open();
    assert_eq!(
        wait(store.operator_facts()).unwrap().removed.get(&destination("ads")),
        Some(&at(HOUR / 4)),
        "also after a restart"
    );
    let mut watched = Watched::new(&store, 40, &["other"]);
    // A clock that is not believed ends nothing.
    watched.clock.set(at(500 * DAY));
    watched.pass(1);
    watched.clock.set(at(41 * HOUR));
    watched.pass(31);
    assert!(matches!(states(&*store, &sold)[0], DeliveryState::Held { .. }));
    watched.pass(1);
    let gone = states(&*store, &sold).remove(0);
    assert!(
        matches!(gone, DeliveryState::Skipped { reason: SkipReason::DestinationRemoved, .. }),
        "{gone:?}"
    );
    assert!(matches!(states(&*store, &sold)[1], DeliveryState::Held { .. }), "the other is not concerned");
    assert!(wait(store.operator_facts()).unwrap().removed.is_empty());
}

fn a_destination_that_is_put_back_at_the_last_moment_is_not_skipped(engine: &EngineUnderTest) {
    let store = engine.open();
    let sold = sale("t").forward().to(&["ads", "other"]).receive(&*store);
    Watched::new(&store, 0, &["other"]).pass(70);
    let clock = Clock::fixed(at(80 * HOUR));
    wait(watch_clock(&*store, &clock)).unwrap();
    // A reload between the look at what is configured and what is done about it.
    let looks = AtomicI64::new(0);
    let configured = move || match looks.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
        0 => HashSet::from([destination("other")]),
        _ => HashSet::from(["ads", "other"].map(destination)),
    };
    let (_, stop) = watch::channel(false);
    let signals = MaintenanceSignals {
        space: Arc::default(),
        keep: RetentionDays { conversions_days: 9, postbacks_days: 9, clicks_days: 9, removed_hours: 72 },
        configured: Arc::new(configured),
        put_back: Arc::default(),
        stop,
        heartbeat: Arc::new(AtomicI64::new(0)),
    };
    let mut maintenance = Maintenance::new(Arc::clone(&store), clock.clone(), signals);
    for _ in 0..3 {
        wait(maintenance.tick()).unwrap();
        clock.run(6_000);
    }
    assert!(matches!(states(&*store, &sold)[0], DeliveryState::Waiting { .. }));
    assert!(wait(store.operator_facts()).unwrap().removed.is_empty());
}

fn a_destination_that_was_put_back_for_a_moment_has_its_time_anew(engine: &EngineUnderTest) {
    let store = engine.open();
    let sold = sale("t").forward().to(&["ads", "other"]).receive(&*store);
    let mut watched = Watched::new(&store, 0, &["other"]);
    watched.pass(70);
    // Two reloads between two looks.
    watched.put_back.lock().extend(["ads", "other"].map(destination));
    watched.pass(71);
    assert!(matches!(states(&*store, &sold)[0], DeliveryState::Waiting { .. }));
    assert_eq!(
        wait(store.operator_facts()).unwrap().removed.get(&destination("ads")),
        Some(&at(70 * HOUR + HOUR / 4))
    );
    watched.pass(2);
    assert!(matches!(states(&*store, &sold)[0], DeliveryState::Skipped { .. }));
}

fn a_destination_that_was_removed_by_a_wrong_clock_is_not_skipped_when_it_is_right(engine: &EngineUnderTest) {
    let store = engine.open();
    let sold = sale("t").forward().to(&["ads", "other"]).receive(&*store);
    let mut watched = Watched::new(&store, -500 * 24, &["other"]);
    watched.pass(2);
    assert_eq!(wait(store.operator_facts()).unwrap().removed.len(), 1);
    watched.clock.set(at(HOUR));
    watched.clock.confirm();
    watched.pass(71);
    assert!(
        matches!(states(&*store, &sold)[0], DeliveryState::Waiting { .. }),
        "removed three days ago only"
    );
    watched.pass(3);
    assert!(matches!(states(&*store, &sold)[0], DeliveryState::Skipped { .. }));
}
