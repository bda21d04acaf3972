//! What happens inside one commit group: commands that meet before anything of them is stored.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};
use std::task::{Context, Waker};

use parking_lot::Mutex;
use postbridge::clock::Clock;
use postbridge::domain::delivery::DeliveryState;
use postbridge::domain::postback::Verdict;
use postbridge::domain::status::Status;
use postbridge::domain::status_move::{Actor, StatusMove};
use postbridge::store::contract::arrival::ClickRecorded;
use postbridge::store::contract::change::ConversionRef;
use postbridge::store::contract::conformance::fixture::engine::usual_rules;
use postbridge::store::contract::conformance::fixture::received::{
    DAY, at, click, destination, go_by, sale, unscreened, usd, wait,
};
use postbridge::store::contract::conformance::fixture::work::{
    backlog, claim, claim_some, fall_due, first_page, never, states, trace, transactions,
};
use postbridge::store::contract::error::StoreError;
use postbridge::store::contract::lookup::ConversionFilter;
use postbridge::store::contract::work::FallsDue;
use postbridge::store::contract::{Store, StoreFuture};
use postbridge::store::embedded::{Embedded, EmbeddedSettings};
use postbridge::store::engine::faulty::{FaultAt, Faulty, HeldBack, ReadFault};
use postbridge::store::engine::memory::Memory;
use postbridge::store::writer::{CommitReport, Watch};

/// A store whose commits are kept back until each is let go, so that what is queued meanwhile is one group.
struct Gated {
    memory: Memory,
    reached: Receiver<()>,
    pass: Sender<()>,
    groups: Arc<Mutex<Vec<usize>>>,
    /// Dropped last: a writer that waits at the gate then ends, where a failed test would hang.
    store: Arc<Embedded>,
}

impl Gated {
    fn open() -> Gated {
        let memory = Memory::new();
        let disk = Faulty::over(memory.clone());
        let HeldBack { reached, go: pass } = disk.hold(FaultAt::BeforeWrite);
        let groups: Arc<Mutex<Vec<usize>>> = Arc::default();
        let seen = Arc::clone(&groups);
        let watch = Watch {
            clock: Clock::system().monotonic(),
            report: Arc::new(move |report: CommitReport| seen.lock().push(report.commands)),
            stuck: Arc::new(|error| panic!("{error}")),
        };
        pass.send(()).unwrap();
        let settings = EmbeddedSettings { watch: Some(watch), ..EmbeddedSettings::default() };
        let store = Arc::new(Embedded::open_with(Arc::new(disk), usual_rules(), settings).unwrap());
        reached.recv().unwrap();
        Gated { memory, reached, pass, groups, store }
    }

    /// Runs `report` while a commit is held back, lets it and one more pass, and gives what `report` gave.
    fn one_group<T>(&self, receive: impl FnOnce(&dyn Store) -> T) -> T {
        let first = self.store.probe();
        self.reached.recv().unwrap();
        let reported = receive(&*self.store);
        self.pass.send(()).unwrap();
        wait(first).unwrap();
        self.reached.recv().unwrap();
        self.pass.send(()).unwrap();
        reported
    }
}

#[test]
fn repeats_within_one_group_are_duplicates() {
    let gated = Gated::open();
    let store = Arc::clone(&gated.store);
    go_by(&*store, sale("any").forward().rules());
    gated.one_group(|_| {
        for _ in 0..63 {
            drop(store.arrive(sale("t1").forward().arrival()));
        }
        drop(store.arrive(sale("t1").forward().value("9").arrival()));
    });
    for _ in 0..3 {
        gated.pass.send(()).unwrap();
    }
    wait(store.probe()).unwrap();
    assert_eq!(gated.groups.lock()[1], 64);
    let postbacks = wait(store.postbacks(Default::default(), first_page(100))).unwrap().items;
    let count = |word: &str| postbacks.iter().filter(|postback| postback.verdict.as_str() == word).count();
    assert_eq!((count("accepted"), count("duplicate"), count("updated")), (1, 62, 1));
    let work = claim(&*store, "ads", at(0));
    assert_eq!(work.len(), 1);
    assert_eq!(work[0].conversion.value, Some(usd("9")));
}

#[test]
fn a_click_and_its_sale_meet_in_one_group_in_either_order() {
    for click_first in [true, false] {
        let gated = Gated::open();
        let store = Arc::clone(&gated.store);
        let (receipt, recorded) = gated.one_group(|_| {
            if click_first {
                let recorded = store.record_click(unscreened(click("c1")));
                (store.arrive(sale("t1").click("c1").arrival()), recorded)
            } else {
                let receipt = store.arrive(sale("t1").click("c1").arrival());
                (receipt, store.record_click(unscreened(click("c1"))))
            }
        });
        let receipt = wait(receipt).unwrap();
        assert_eq!(wait(recorded).unwrap().recorded, ClickRecorded::New);
        assert_eq!(receipt.matched, Some(click_first), "as it was when it was decided");
        assert_eq!(states(&*store, &receipt), [DeliveryState::Waiting { due: at(0) }]);
        assert!(trace(&*store, &receipt).click.is_some());
        assert_eq!(claim(&*store, "ads", at(0)).len(), 1);
        // Closing writes too.
        gated.pass.send(()).unwrap();
        wait(store.close()).unwrap();
        assert_eq!(gated.groups.lock()[1], 2, "they were one group");
    }
}

#[test]
fn a_sale_is_changed_and_matched_within_the_group_that_brings_it() {
    let gated = Gated::open();
    let store = Arc::clone(&gated.store);
    let (first, update, expired) = gated.one_group(|_| {
        let first = store.arrive(sale("t1").click("c1").arrival());
        let update = store.arrive(sale("t1").click("c1").value("8").arrival());
        drop(store.record_click(unscreened(click("c1"))));
        (first, update, store.fall_due(FallsDue::Holds, at(DAY * 9), 9))
    });
    let first = wait(first).unwrap();
    assert!(matches!(wait(update).unwrap().verdict, Verdict::Updated { .. }));
    assert_eq!(wait(expired).unwrap().count(), 0);
    let shown = trace(&*store, &first);
    assert_eq!(shown.conversion.history.len(), 2);
    assert_eq!(shown.conversion.value, Some(usd("8")));
    assert_eq!(shown.deliveries[0].0.state, DeliveryState::Waiting { due: at(0) });
}

#[test]
fn a_click_with_very_many_sales_waiting_frees_the_rest_after_a_power_cut_in_between() {
    let gated = Gated::open();
    let store = Arc::clone(&gated.store);
    gated.one_group(|_| {
        for n in 0..2500 {
            drop(store.arrive(sale(&format!("t{n}")).click("c1").arrival()));
        }
    });
    let recorded = store.record_click(unscreened(click("c1")));
    gated.reached.recv().unwrap();
    gated.pass.send(()).unwrap();
    assert_eq!(wait(recorded).unwrap().recorded, ClickRecorded::New);
    gated.reached.recv().unwrap();
    let left = Embedded::open(Arc::new(gated.memory.after_power_cut()), usual_rules()).unwrap();
    wait(left.probe()).unwrap();
    wait(left.probe()).unwrap();
    let backlog = backlog(&left, "ads", at(1)).unwrap();
    assert_eq!((backlog.held, backlog.waiting), (0, 2500));
    for _ in 0..3 {
        gated.pass.send(()).unwrap();
    }
}

#[test]
fn what_arrives_during_a_long_command_goes_along_with_its_next_step() {
    let gated = Gated::open();
    let store = Arc::clone(&gated.store);
    go_by(&*store, sale("any").forward().rules());
    gated.one_group(|_| {
        for n in 0..3500 {
            drop(store.arrive(sale(&format!("t{n}")).forward().arrival()));
        }
    });
    let withdrawn = store.withdraw(destination("ads"), at(1));
    gated.reached.recv().unwrap();
    // A purge that finds nothing writes nothing; what is queued behind it does not wait for the long one.
    let purged = store.purge(never());
    let meanwhile = sale("meanwhile").to(&["other"]);
    go_by(&*store, meanwhile.rules());
    let reported = store.arrive(meanwhile.arrival());
    for _ in 0..2 {
        gated.pass.send(()).unwrap();
        gated.reached.recv().unwrap();
    }
    // The third step is held back now, so the second group has been answered.
    assert!(is_done(purged));
    assert!(is_done(reported), "it waits for the end of the long command");
    for _ in 0..2 {
        gated.pass.send(()).unwrap();
    }
    assert_eq!(wait(withdrawn).unwrap(), 3500);
}

#[test]
fn a_change_of_rules_has_its_place_between_what_is_asked_before_it_and_after() {
    let gated = Gated::open();
    let store = Arc::clone(&gated.store);
    let (before, changed, after) = gated.one_group(|_| {
        let before = store.arrive(sale("t1").arrival());
        let changed = store.change_rules(sale("any").forward().rules());
        (before, changed, store.arrive(sale("t2").arrival()))
    });
    wait(changed).unwrap();
    // What is asked after it is in a group of its own.
    gated.reached.recv().unwrap();
    gated.pass.send(()).unwrap();
    let reported = [before, after].map(|reported| wait(reported).unwrap());
    assert!(matches!(states(&*store, &reported[0])[0], DeliveryState::Held { .. }));
    assert!(matches!(states(&*store, &reported[1])[0], DeliveryState::Waiting { .. }));
}

#[test]
fn what_a_damaged_record_stops_stops_no_one_else_of_its_group_who_are_decided_by_what_is_stored_then() {
    let disk = Faulty::over(Memory::new());
    let store = Embedded::open(Arc::new(disk.clone()), sale("any").forward().rules()).unwrap();
    let change = |to| StatusMove { to, by: Actor::Network("ops".to_owned()), note: None };
    let known = wait(store.arrive(sale("t1").arrival())).unwrap();
    let known = ConversionRef::Number(known.postback);
    wait(store.set_status(known, change(Status::Pending), at(1))).unwrap();
    // What it became is known without the disk, and cannot be written there.
    disk.cannot_read(ReadFault::Damaged, |key| key.first() == Some(&b'C'));
    let held = disk.hold(FaultAt::BeforeWrite);
    let first = store.probe();
    held.reached.recv().unwrap();
    let sold = store.arrive(sale("t2").click("c1").arrival());
    let clicked = store.record_click(unscreened(click("c2")));
    let damaged = store.set_status(known, change(Status::Approved), at(2));
    let matched = store.arrive(sale("t3").click("c2").arrival());
    let repeated = store.arrive(sale("t2").click("c1").arrival());
    drop(held);
    wait(first).unwrap();
    assert!(matches!(wait(damaged), Err(StoreError::Corrupt { .. })));
    assert_eq!(wait(clicked).unwrap().recorded, ClickRecorded::New);
    assert_eq!(wait(sold).unwrap().matched, Some(false));
    assert_eq!(wait(matched).unwrap().matched, Some(true), "the click was recorded before it");
    assert!(matches!(wait(repeated).unwrap().verdict, Verdict::Duplicate { .. }));
    disk.can_read();
    assert_eq!(transactions(&store, ConversionFilter::default()).len(), 3);
}

#[test]
fn an_order_that_goes_through_many_goes_on_past_one_that_is_known_and_cannot_be_written() {
    let disk = Faulty::over(Memory::new());
    let store = Embedded::open(Arc::new(disk.clone()), sale("any").rules()).unwrap();
    // What was changed is in one block, and what is new in none.
    let old = wait(store.arrive(sale("old").click("c1").arrival())).unwrap();
    let withdraw = |name: &str| wait(store.withdraw(destination(name), at(1)));
    go_by(&store, sale("any").to(&["gone"]).rules());
    wait(store.arrive(sale("old").click("c1").value("8").arrival())).unwrap();
    wait(store.arrive(sale("young").click("c1").at(at(1)).arrival())).unwrap();
    disk.cannot_read(ReadFault::Damaged, |key| key.first() == Some(&b'C'));
    assert!(matches!(wait(store.fall_due(FallsDue::Holds, at(DAY * 9), 9)), Err(StoreError::Corrupt { .. })));
    assert_eq!(fall_due(&store, FallsDue::Holds, at(DAY * 9), 9), 1, "the other one");
    assert_eq!(fall_due(&store, FallsDue::Holds, at(DAY * 9), 9), 0);
    assert_eq!(withdraw("gone").unwrap(), 0);
    disk.can_read();
    assert!(matches!(states(&store, &old)[0], DeliveryState::Held { .. }));
}

/// Whether the answer is there already.
fn is_done<T>(mut answer: StoreFuture<'_, T>) -> bool {
    answer.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready()
}

fn pairs_meet(store: Arc<dyn Store>, pairs: usize) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).build().unwrap();
    runtime.block_on(async {
        let mut tasks = tokio::task::JoinSet::new();
        for pair in 0..pairs {
            let (sales, clicks) = (Arc::clone(&store), Arc::clone(&store));
            let name = format!("c{pair}");
            let reported = sale(&format!("t{pair}")).click(&name);
            if pair % 2 == 0 {
                tasks.spawn(async move { sales.arrive(reported.arrival()).await.map(drop) });
                tasks.spawn(async move { clicks.record_click(unscreened(click(&name))).await.map(drop) });
            } else {
                tasks.spawn(async move { clicks.record_click(unscreened(click(&name))).await.map(drop) });
                tasks.spawn(async move { sales.arrive(reported.arrival()).await.map(drop) });
            }
        }
        while let Some(done) = tasks.join_next().await {
            done.unwrap().unwrap();
        }
    });
    let backlog = backlog(&*store, "ads", at(1)).unwrap();
    assert_eq!((backlog.held, backlog.waiting, backlog.due), (0, pairs as u64, pairs as u64));
    let work = claim_some(&*store, "ads", at(1), pairs, 0);
    assert_eq!(work.len(), pairs);
    assert!(work.iter().all(|work| work.click.is_some()));
}

#[test]
fn ten_thousand_clicks_and_sales_that_arrive_together_all_meet() {
    pairs_meet(Arc::new(Embedded::open(Arc::new(Memory::new()), usual_rules()).unwrap()), 10_000);
}

#[test]
fn a_thousand_clicks_and_sales_that_arrive_together_all_meet_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    pairs_meet(Arc::new(Embedded::open_sled(&folder.path().join("data"), usual_rules()).unwrap()), 1_000);
}

#[test]
fn every_commit_that_writes_is_reported_with_its_size_and_times() {
    let reports: Arc<Mutex<Vec<CommitReport>>> = Arc::default();
    let seen = Arc::clone(&reports);
    let watch = Watch {
        clock: Clock::system().monotonic(),
        report: Arc::new(move |report| seen.lock().push(report)),
        stuck: Arc::new(|error| panic!("{error}")),
    };
    let folder = tempfile::tempdir().unwrap();
    let settings = EmbeddedSettings { watch: Some(watch), ..EmbeddedSettings::default() };
    let store = Embedded::open_sled_with(&folder.path().join("data"), usual_rules(), settings).unwrap();
    assert_eq!(fall_due(&store, FallsDue::Holds, at(DAY), 9), 0);
    wait(store.arrive(sale("t1").arrival())).unwrap();
    assert_eq!(wait(store.purge(never())).unwrap().records.total(), 0);
    wait(store.close()).unwrap();
    let reports = reports.lock();
    assert_eq!(reports.len(), 1, "what wrote nothing is no commit: {reports:?}");
    assert_eq!(reports[0].commands, 1);
    assert!(reports[0].sync.as_nanos() > 0 && reports[0].sync <= reports[0].took);
    assert_eq!(transactions(&store, ConversionFilter::default()), ["t1"], "a closed store can be read");
}
