//! How retention keeps up: by a share of each second, not by a step.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use postbridge::clock::Clock;
use postbridge::maintenance::{Maintenance, MaintenanceSignals, RetentionDays, watch_clock};
use postbridge::store::contract::Store;
use postbridge::store::contract::change::{OldestRecords, PurgeBefore, PurgedRecords};
use postbridge::store::contract::conformance::clock_jumps::record;
use postbridge::store::contract::conformance::fixture::received::{DAY, HOUR, at, wait};
use postbridge::store::contract::conformance::fixture::work::first_page;
use postbridge::store::contract::lookup::{ClickFilter, ConversionFilter};
use postbridge::store::embedded::Embedded;
use postbridge::store::engine::memory::Memory;
use tokio::sync::watch;

/// One step takes 512 records out, at most.
#[test]
fn a_day_of_more_records_than_a_step_takes_goes_in_one_look() {
    let store: Arc<dyn Store> = Arc::new(Embedded::open(Arc::new(Memory::new()), Arc::default()).unwrap());
    for number in 0..1_300 {
        record(&*store, &number.to_string(), at(number));
    }
    record(&*store, "young", at(DAY));
    let clock = Clock::fixed(at(DAY + HOUR));
    let (_, stop) = watch::channel(false);
    let signals = MaintenanceSignals {
        space: Arc::default(),
        keep: RetentionDays { conversions_days: 1, postbacks_days: 1, clicks_days: 1, removed_hours: 72 },
        configured: Arc::new(HashSet::new),
        put_back: Arc::default(),
        stop,
        heartbeat: Arc::new(AtomicI64::new(0)),
    };
    wait(watch_clock(&*store, &clock)).unwrap();
    wait(Maintenance::new(Arc::clone(&store), clock, signals).tick()).unwrap();
    let conversions = wait(store.conversions(ConversionFilter::default(), first_page(1000))).unwrap();
    let clicks = wait(store.clicks(ClickFilter::default(), first_page(1000))).unwrap();
    assert_eq!((conversions.items.len(), clicks.items.len()), (1, 1));
}

#[test]
fn a_pass_says_what_it_deleted_by_kind_how_far_it_is_behind_and_what_is_the_oldest_left() {
    let store: Arc<dyn Store> = Arc::new(Embedded::open(Arc::new(Memory::new()), Arc::default()).unwrap());
    for number in 0..1_300 {
        record(&*store, &number.to_string(), at(number));
    }
    record(&*store, "young", at(DAY));
    let (mut deleted, mut steps) = (PurgedRecords::default(), 0);
    let before = PurgeBefore { postbacks: at(2 * HOUR), conversions: at(2 * HOUR), clicks: at(2 * HOUR) };
    let oldest = loop {
        let purged = wait(store.purge(before)).unwrap();
        deleted.add(purged.records);
        steps += 1;
        if !purged.more {
            break purged.oldest.unwrap();
        }
        assert_eq!(purged.oldest, None);
        assert!((2 * HOUR - 1_300..=2 * HOUR).contains(&purged.behind_ms), "{}", purged.behind_ms);
    };
    assert!(steps > 2);
    // To each conversion there is a postback that was quarantined.
    assert_eq!(deleted, PurgedRecords { raw: 2_600, conversions: 1_300, postbacks: 2_600, clicks: 1_300 });
    let young = Some(at(DAY));
    assert_eq!(oldest, OldestRecords { raw: young, postback: young, click: young });
    loop {
        let again = wait(store.purge(before)).unwrap();
        assert_eq!((again.records.total(), again.behind_ms), (0, 0));
        if !again.more {
            break;
        }
    }
}

/// A day that is partly due is looked through at each pass, and has many records.
#[test]
fn what_is_not_due_yet_of_a_day_is_not_looked_at() {
    let store: Arc<dyn Store> = Arc::new(Embedded::open(Arc::new(Memory::new()), Arc::default()).unwrap());
    // Nearly in order: clocks and senders are not exact.
    let times = (0..100).chain((0..300).map(|number| 3 * HOUR + number)).chain([50]);
    for (number, time) in times.chain((0..4_000).map(|number| 10 * HOUR + number)).enumerate() {
        record(&*store, &number.to_string(), at(time));
    }
    let pass = |time| {
        let before = PurgeBefore { postbacks: at(time), conversions: at(time), clicks: at(time) };
        let mut deleted = PurgedRecords::default();
        for steps in 1.. {
            let purged = wait(store.purge(before)).unwrap();
            deleted.add(purged.records);
            if !purged.more {
                return (deleted.conversions, deleted.clicks, steps);
            }
        }
        unreachable!()
    };
    let (conversions, clicks, steps) = pass(HOUR);
    assert_eq!((conversions, clicks), (101, 101));
    // A step takes out 32 at least; looking at all 8,802 raw postbacks and heads, 512 a step, takes 34 more.
    assert!(steps < 30, "{steps} steps");
    let (conversions, clicks, _) = pass(11 * HOUR);
    assert_eq!((conversions, clicks), (4_300, 4_300));
}
