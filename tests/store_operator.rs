//! What the store counts and keeps for operators: true at once, and after a restart.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use parking_lot::Mutex;
use postbridge::ambient::Clock;
use postbridge::domain::delivery::{DeliveryState, SkipCode};
use postbridge::domain::ids::DestinationId;
use postbridge::domain::routing::refused;
use postbridge::store::keeping::SourceTally;
use postbridge::store::{Again, Store};
use postbridge::upkeep::{Keep, Signals, Upkeep, watch_clock};
use tokio::sync::watch;

use crate::store_ground::*;

conformance! {
    dead_letters_and_the_oldest_unsent_are_counted_by_destination,
    quarantine_and_the_latest_postback_are_counted_by_source,
    a_destination_that_is_put_back_in_time_goes_on,
    a_destination_that_is_not_put_back_in_time_is_skipped,
}

fn dead_letters_and_the_oldest_unsent_are_counted_by_destination(ground: &Ground) {
    let store = ground.open();
    for n in 0..20 {
        sale(&format!("t{n}")).forward().to(&["ads", "other"]).at(at(n)).tell(&*store);
    }
    for (n, work) in claim(&*store, "ads", at(20)).iter().enumerate() {
        let outcome = match n {
            0 => delivered(work, at(21)),
            1..4 => dead(work, at(21)),
            4 => failed(work, at(21), at(HOUR)),
            _ => continue,
        };
        wait(store.record(outcome)).unwrap();
    }
    before_and_after_reopening(ground, store, |store, reopened| {
        let ads = backlog(store, "ads", at(21)).unwrap();
        assert_eq!((ads.dead, ads.waiting), (3, 16), "reopened: {reopened}");
        let received = |seq| store.received_at(seq).unwrap();
        assert_eq!(ads.oldest_unsent.and_then(received), Some(at(4)), "the one that is retried");
        let other = backlog(store, "other", at(21)).unwrap();
        assert_eq!((other.dead, other.oldest_unsent.and_then(received)), (0, Some(at(0))));
        if reopened {
            let dead = postbridge::store::DeliveryFilter {
                state: Some("dead".to_owned()),
                ..postbridge::store::DeliveryFilter::default()
            };
            for one in wait(store.deliveries(dead, first_page(9))).unwrap().items {
                wait(store.retry(one.id, at(22), None)).unwrap().unwrap();
            }
            assert_eq!(backlog(store, "ads", at(22)).unwrap().dead, 0);
        }
    });
}

fn quarantine_and_the_latest_postback_are_counted_by_source(ground: &Ground) {
    let store = ground.open();
    assert_eq!(store.source_tally(&source()), SourceTally::default());
    let bad: Vec<_> =
        (0..5).map(|n| wait(store.arrive(quarantined("no price", at(n * DAY)))).unwrap().postback).collect();
    sale("good").at(at(5 * DAY)).tell(&*store);
    let mut again = sale("mended").arrival();
    (again.received_at, again.again) = (at(3 * DAY), Some(Again { of: bad[3], now: at(6 * DAY) }));
    wait(store.arrive(again)).unwrap();
    let mut still = quarantined("no price", at(4 * DAY));
    still.again = Some(Again { of: bad[4], now: at(6 * DAY) });
    wait(store.arrive(still)).unwrap();
    before_and_after_reopening(ground, store, |store, reopened| {
        let tally = store.source_tally(&source());
        assert_eq!(tally, SourceTally { open_quarantine: 4, last: Some(at(5 * DAY)) }, "{reopened}");
        if reopened {
            let before = postbridge::store::PurgeBefore {
                postbacks: at(2 * DAY),
                conversions: at(2 * DAY),
                ..never()
            };
            purge_all(store, before);
            assert_eq!(store.source_tally(&source()).open_quarantine, 2);
        }
    });
    let store = ground.open();
    assert_eq!(store.source_tally(&source()).open_quarantine, 2, "also after a purge and a restart");
}

/// Upkeep with a configuration that tests change.
struct Watched {
    upkeep: Upkeep,
    clock: Clock,
    configured: Arc<Mutex<HashSet<DestinationId>>>,
}

impl Watched {
    fn new(store: &Arc<dyn Store>, hours: i64, configured: &[&str]) -> Watched {
        let clock = Clock::fixed(at(hours * HOUR));
        watch_clock(&**store, &clock);
        let configured = Arc::new(Mutex::new(configured.iter().map(|name| destination(name)).collect()));
        let known = Arc::clone(&configured);
        let (_, stop) = watch::channel(false);
        let signals = Signals {
            keep: Keep { conversions_days: 9, postbacks_days: 9, clicks_days: 9, removed_hours: 72 },
            configured: Arc::new(move || HashSet::clone(&known.lock())),
            stop,
            heartbeat: Arc::new(AtomicI64::new(0)),
        };
        let upkeep = Upkeep::new(Arc::clone(store), clock.clone(), signals);
        Watched { upkeep, clock, configured }
    }

    /// Hours in which the loop ticks now and then.
    fn pass(&mut self, hours: i64) {
        for _ in 0..hours * 4 {
            self.clock.run(HOUR / 4);
            wait(self.upkeep.tick()).unwrap();
        }
    }
}

fn a_destination_that_is_put_back_in_time_goes_on(ground: &Ground) {
    let store = ground.open();
    let sold = sale("t").forward().to(&["campaign:8599", "other"]).tell(&*store);
    let mut watched = Watched::new(&store, 0, &["other"]);
    watched.pass(70);
    let since = store.removed().get(&destination("campaign:8599")).copied().unwrap();
    assert_eq!((since, store.removed().len()), (at(HOUR / 4), 1));
    assert!(matches!(states(&*store, &sold)[0], DeliveryState::Waiting { .. }));
    watched.configured.lock().insert(destination("campaign:8599"));
    watched.pass(30);
    assert!(store.removed().is_empty());
    assert_eq!(claim(&*store, "campaign:8599", watched.clock.now()).len(), 1, "it goes on");
}

fn a_destination_that_is_not_put_back_in_time_is_skipped(ground: &Ground) {
    let store = ground.open();
    let sold = sale("t")
        .click("late")
        .to(&["ads", "other"])
        .unmatched(postbridge::domain::routing::Unmatched::Hold { hours: 1000 })
        .tell(&*store);
    Watched::new(&store, 0, &["other"]).pass(40);
    wait(store.close()).unwrap();
    drop(store);
    let store = ground.open();
    assert_eq!(store.removed().get(&destination("ads")), Some(&at(HOUR / 4)), "also after a restart");
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
        matches!(gone, DeliveryState::Skipped { code: Some(SkipCode::DestinationRemoved), at: end, .. }
        if gone == refused(SkipCode::DestinationRemoved, end)),
        "{gone:?}"
    );
    assert!(matches!(states(&*store, &sold)[1], DeliveryState::Held { .. }), "the other is not concerned");
    assert!(store.removed().is_empty());
}
