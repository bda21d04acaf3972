//! A disk that takes what is written too slowly, or never: others are refused at once, and then the process ends.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use futures_util::FutureExt;
use postbridge::store::contract::Store;
use postbridge::store::contract::conformance::fixture::received::{sale, wait};
use postbridge::store::contract::conformance::fixture::work::{first_page, transactions};
use postbridge::store::contract::error::StoreError;
use postbridge::store::contract::lookup::ConversionFilter;
use postbridge::store::embedded::{Embedded, EmbeddedSettings};
use postbridge::store::engine::faulty::{FaultAt, Faulty, HeldBack};
use postbridge::store::engine::memory::Memory;
use postbridge::store::writer::{SLOW, STUCK, Watch};

use crate::support::engines::{MovedClock, slow_disk};
use crate::support::patient_caller::PatientCaller;

struct SlowDisk {
    store: Embedded,
    clock: MovedClock,
    syncs: HeldBack,
    stuck: Receiver<StoreError>,
}

fn open() -> SlowDisk {
    let (disk, clock) = (Faulty::over(Memory::new()), MovedClock::default());
    let syncs = disk.hold(FaultAt::BeforeSync);
    let (says, stuck) = channel();
    let watch = Watch {
        clock: clock.clock(),
        report: Arc::new(|_| {}),
        stuck: Arc::new(move |error| says.send(error.clone()).unwrap()),
    };
    syncs.go.send(()).unwrap();
    let settings = EmbeddedSettings { watch: Some(watch), ..EmbeddedSettings::default() };
    let store = Embedded::open_with(Arc::new(disk), sale("any").forward().rules(), settings).unwrap();
    syncs.reached.recv().unwrap();
    SlowDisk { store, clock, syncs, stuck }
}

#[test]
fn while_a_commit_takes_too_long_others_are_refused_at_once_and_taken_again_when_it_has_ended() {
    let disk = open();
    let first = disk.store.arrive(sale("first").arrival());
    disk.syncs.reached.recv().unwrap();
    let queued = disk.store.arrive(sale("queued").arrival());
    disk.clock.pass(SLOW);
    let arrived = disk.store.arrive(sale("refused").arrival()).now_or_never();
    for refused in [arrived.map(|done| done.map(drop)), disk.store.probe().now_or_never()] {
        assert!(matches!(refused, Some(Err(StoreError::Unavailable { .. }))), "{refused:?}");
    }
    assert_eq!(
        transactions(&disk.store, ConversionFilter::default()),
        Vec::<String>::new(),
        "it can be read"
    );
    for _ in 0..3 {
        disk.syncs.go.send(()).unwrap();
    }
    wait(first).unwrap();
    wait(queued).unwrap();
    wait(disk.store.arrive(sale("later").arrival())).unwrap();
    assert_eq!(transactions(&disk.store, ConversionFilter::default()), ["later", "queued", "first"]);
    assert!(disk.stuck.try_recv().is_err());
}

#[test]
fn a_commit_that_never_ends_ends_the_store_and_is_not_waited_for() {
    let disk = open();
    let first = disk.store.arrive(sale("first").arrival());
    disk.syncs.reached.recv().unwrap();
    disk.clock.pass(STUCK);
    let error = disk.stuck.recv_timeout(Duration::from_secs(20)).expect("it is noticed");
    assert!(matches!(&error, StoreError::Broken { cause, .. } if cause.contains("30 s")), "{error}");
    let refused = wait(disk.store.arrive(sale("refused").arrival()));
    assert!(matches!(refused, Err(StoreError::Broken { .. })), "{refused:?}");
    let read = wait(disk.store.conversions(ConversionFilter::default(), first_page(9))).map(drop);
    assert!(matches!(read, Err(StoreError::Broken { .. })), "{read:?}");
    let closed = wait(disk.store.close());
    assert!(matches!(closed, Err(StoreError::Broken { .. })), "{closed:?}");
    drop(first);
    // The writer's thread goes on waiting for the disk: nothing that ends the process waits for it.
    drop(disk.store);
    drop(disk.syncs);
}

#[test]
fn a_disk_that_does_not_answer_a_read_of_a_decision_is_noticed_as_one_that_does_not_write() {
    let (disk, clock) = (Faulty::over(Memory::new()), MovedClock::default());
    let (says, stuck) = channel();
    let watch = Watch {
        clock: clock.clock(),
        report: Arc::new(|_| {}),
        stuck: Arc::new(move |error| says.send(error.clone()).unwrap()),
    };
    let settings = EmbeddedSettings { watch: Some(watch), ..EmbeddedSettings::default() };
    let rules = sale("any").forward().rules();
    let store = Embedded::open_with(Arc::new(disk.clone()), rules, settings).unwrap();
    let reads = disk.hold(FaultAt::Get);
    let first = store.arrive(sale("first").click("c9").arrival());
    reads.reached.recv().unwrap();
    clock.pass(SLOW);
    let refused = store.arrive(sale("refused").arrival()).now_or_never();
    assert!(matches!(refused, Some(Err(StoreError::Unavailable { .. }))), "{refused:?}");
    clock.pass(STUCK - SLOW);
    let error = stuck.recv_timeout(Duration::from_secs(20)).expect("it is noticed");
    assert!(matches!(&error, StoreError::Broken { cause, .. } if cause.contains("30 s")), "{error}");
    drop(first);
    // The writer goes on waiting for the disk.
    drop((store, reads));
}

#[test]
fn who_asks_again_while_syncs_are_slow_is_served_in_order() {
    let (disk, settings) = slow_disk();
    let rules = sale("any").forward().rules();
    let store = PatientCaller::of(Embedded::open_with(Arc::new(disk), rules, settings).unwrap());
    let mut reported = Vec::new();
    while store.refused() == 0 && reported.len() < 100_000 {
        reported.push(store.arrive(sale(&format!("t{}", reported.len())).forward().arrival()));
    }
    assert!(store.refused() > 0, "no sync was waited for");
    let numbers: Vec<u64> =
        reported.into_iter().map(|reported| wait(reported).unwrap().postback.get()).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
}
