//! What the store counts and keeps for operators: true at once, and after a restart.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use parking_lot::Mutex;
use postbridge::clock::Clock;
use postbridge::domain::delivery::{DeliveryState, DeliveryStateName};
use postbridge::domain::expiry::AgeRule;
use postbridge::domain::ids::DestinationId;
use postbridge::domain::skip::SkipReason;
use postbridge::maintenance::{Maintenance, MaintenanceSignals, RetentionDays, watch_clock};
use postbridge::store::contract::Store;
use postbridge::store::contract::arrival::Reprocess;
use postbridge::store::contract::operator::SourceTally;
use tokio::sync::watch;

use crate::support::attempt_fixture::{dead, delivered, failed, one};
use crate::support::store_fixture::*;

conformance! {
    dead_letters_and_the_oldest_unsent_are_counted_by_destination,
    quarantine_and_the_latest_postback_are_counted_by_source,
    a_destination_that_is_put_back_in_time_goes_on,
    a_destination_that_is_not_put_back_in_time_is_skipped,
    a_destination_that_is_put_back_at_the_last_moment_is_not_skipped,
    a_destination_that_was_put_back_for_a_moment_has_its_time_anew,
    a_destination_that_was_removed_by_a_wrong_clock_is_not_skipped_when_it_is_right,
    what_is_to_be_sent_later_only_is_not_late,
    what_maps_a_purged_record_again_closes_no_other_after_a_restart,
}

fn dead_letters_and_the_oldest_unsent_are_counted_by_destination(engine: &Engine) {
    let store = engine.open();
    for n in 0..20 {
        sale(&format!("t{n}")).forward().to(&["ads", "other"]).at(at(n)).receive(&*store);
    }
    for (n, work) in claim(&*store, "ads", at(20)).iter().enumerate() {
        let outcome = match n {
            0 => delivered(work, at(21)),
            1..4 => dead(work, at(21)),
            4 => failed(work, at(21), at(HOUR)),
            _ => continue,
        };
        wait(store.record(one(outcome))).unwrap();
    }
    before_and_after_reopening(engine, store, |store, reopened| {
        let ads = backlog(store, "ads", at(21)).unwrap();
        assert_eq!((ads.dead, ads.waiting), (3, 16), "reopened: {reopened}");
        let received = |seq| wait(store.received_at(seq)).unwrap();
        assert_eq!(ads.oldest_unsent.and_then(received), Some(at(4)), "the one that is retried");
        let other = backlog(store, "other", at(21)).unwrap();
        assert_eq!((other.dead, other.oldest_unsent.and_then(received)), (0, Some(at(0))));
        if reopened {
            let dead = postbridge::store::contract::lookup::DeliveryFilter {
                state: Some(DeliveryStateName::Dead),
                ..postbridge::store::contract::lookup::DeliveryFilter::default()
            };
            for one in wait(store.deliveries(dead, first_page(9))).unwrap().items {
                wait(store.retry(one.delivery.id(one.conversion.id), at(22), AgeRule::Counts))
                    .unwrap()
                    .unwrap();
            }
            assert_eq!(backlog(store, "ads", at(22)).unwrap().dead, 0);
        }
    });
}

fn quarantine_and_the_latest_postback_are_counted_by_source(engine: &Engine) {
    let store = engine.open();
    assert_eq!(wait(store.source_tally(&source())).unwrap(), SourceTally::default());
    let bad: Vec<_> =
        (0..5).map(|n| wait(store.arrive(quarantined("no price", at(n * DAY)))).unwrap().postback).collect();
    sale("good").at(at(5 * DAY)).receive(&*store);
    let mut again = sale("fixed").arrival();
    (again.received_at, again.again) = (at(3 * DAY), Some(Reprocess { of: bad[3], now: at(6 * DAY) }));
    wait(store.arrive(again)).unwrap();
    let mut still = quarantined("no price", at(4 * DAY));
    still.again = Some(Reprocess { of: bad[4], now: at(6 * DAY) });
    wait(store.arrive(still)).unwrap();
    before_and_after_reopening(engine, store, |store, reopened| {
        let tally = wait(store.source_tally(&source())).unwrap();
        assert_eq!(tally, SourceTally { open_quarantine: 4, last: Some(at(5 * DAY)) }, "{reopened}");
        if reopened {
            let before = postbridge::store::contract::change::PurgeBefore {
                postbacks: at(2 * DAY),
                conversions: at(2 * DAY),
                ..never()
            };
            purge_all(store, before);
            assert_eq!(wait(store.source_tally(&source())).unwrap().open_quarantine, 2);
        }
    });
    let store = engine.open();
    assert_eq!(
        wait(store.source_tally(&source())).unwrap().open_quarantine,
        2,
        "also after a purge and a restart"
    );
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

fn a_destination_that_is_put_back_in_time_goes_on(engine: &Engine) {
    let store = engine.open();
    let sold = sale("t").forward().to(&["campaign:8599", "other"]).receive(&*store);
    let mut watched = Watched::new(&store, 0, &["other"]);
    watched.pass(70);
    let since = wait(store.removed()).unwrap().get(&destination("campaign:8599")).copied().unwrap();
    assert_eq!((since, wait(store.removed()).unwrap().len()), (at(HOUR / 4), 1));
    assert!(matches!(states(&*store, &sold)[0], DeliveryState::Waiting { .. }));
    watched.configured.lock().insert(destination("campaign:8599"));
    watched.pass(30);
    assert!(wait(store.removed()).unwrap().is_empty());
    assert_eq!(claim(&*store, "campaign:8599", watched.clock.now()).len(), 1, "it goes on");
}

fn a_destination_that_is_not_put_back_in_time_is_skipped(engine: &Engine) {
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
        wait(store.removed()).unwrap().get(&destination("ads")),
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
    assert!(wait(store.removed()).unwrap().is_empty());
}

fn a_destination_that_is_put_back_at_the_last_moment_is_not_skipped(engine: &Engine) {
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
    assert!(wait(store.removed()).unwrap().is_empty());
}

fn a_destination_that_was_put_back_for_a_moment_has_its_time_anew(engine: &Engine) {
    let store = engine.open();
    let sold = sale("t").forward().to(&["ads", "other"]).receive(&*store);
    let mut watched = Watched::new(&store, 0, &["other"]);
    watched.pass(70);
    // Two reloads between two looks.
    watched.put_back.lock().extend(["ads", "other"].map(destination));
    watched.pass(71);
    assert!(matches!(states(&*store, &sold)[0], DeliveryState::Waiting { .. }));
    assert_eq!(wait(store.removed()).unwrap().get(&destination("ads")), Some(&at(70 * HOUR + HOUR / 4)));
    watched.pass(2);
    assert!(matches!(states(&*store, &sold)[0], DeliveryState::Skipped { .. }));
}

fn a_destination_that_was_removed_by_a_wrong_clock_is_not_skipped_when_it_is_right(engine: &Engine) {
    let store = engine.open();
    let sold = sale("t").forward().to(&["ads", "other"]).receive(&*store);
    let mut watched = Watched::new(&store, -500 * 24, &["other"]);
    watched.pass(2);
    assert_eq!(wait(store.removed()).unwrap().len(), 1);
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

fn what_is_to_be_sent_later_only_is_not_late(engine: &Engine) {
    let store = engine.open();
    let mut delayed = sale("delayed").forward();
    for route in &mut delayed.routes {
        route.delay_ms = 5 * HOUR;
    }
    delayed.receive(&*store);
    sale("fresh").forward().at(at(HOUR)).receive(&*store);
    before_and_after_reopening(engine, store, |store, reopened| {
        let oldest = |now: i64| {
            let oldest = backlog(store, "ads", at(now)).unwrap().oldest_unsent;
            oldest.and_then(|seq| wait(store.received_at(seq)).unwrap())
        };
        assert_eq!([0, HOUR].map(oldest), [None, Some(at(HOUR))], "reopened: {reopened}");
        let work = claim(store, "ads", at(HOUR));
        assert_eq!((work.len(), oldest(HOUR)), (1, Some(at(HOUR))), "it is on its way, and not sent");
        assert_eq!(backlog(store, "ads", at(HOUR)).unwrap().waiting, 2);
        wait(store.release(work.into_iter().map(|work| work.lease.token).collect())).unwrap();
    });
    let store = engine.open();
    let work = claim(&*store, "ads", at(HOUR));
    wait(store.record(one(delivered(&work[0], at(HOUR))))).unwrap();
    let late = claim(&*store, "ads", at(5 * HOUR));
    wait(store.record(one(failed(&late[0], at(5 * HOUR), at(9 * HOUR))))).unwrap();
    let seq = backlog(&*store, "ads", at(6 * HOUR)).unwrap().oldest_unsent.unwrap();
    assert_eq!(
        wait(store.received_at(seq)).unwrap(),
        Some(at(0)),
        "what failed is late, whenever it is tried again"
    );
}

fn what_maps_a_purged_record_again_closes_no_other_after_a_restart(engine: &Engine) {
    let store = engine.open();
    let of = wait(store.arrive(quarantined("no price", at(0)))).unwrap().postback;
    wait(store.arrive(quarantined("no price", at(5 * DAY)))).unwrap();
    // Its delivery is unfinished, so it outlives the record that it reprocesses.
    let mut again = sale("again").forward().arrival();
    again.again = Some(Reprocess { of, now: at(HOUR) });
    wait(store.arrive(again)).unwrap();
    let before = postbridge::store::contract::change::PurgeBefore {
        postbacks: at(DAY),
        conversions: at(DAY),
        ..never()
    };
    purge_all(&*store, before);
    assert!(wait(store.postback(of)).unwrap().is_none(), "it is purged");
    before_and_after_reopening(engine, store, |store, reopened| {
        assert_eq!(wait(store.source_tally(&source())).unwrap().open_quarantine, 1, "reopened: {reopened}");
    });
}
