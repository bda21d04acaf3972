//! A disk that fails: what was not acknowledged never shows, and the store ends rather than guesses.

use std::sync::Arc;

use postbridge::domain::delivery::{DeliveryState, DeliveryStateName};
use postbridge::domain::postback::Verdict;
use postbridge::maintenance::{Maintenance, MaintenanceSignals, RetentionDays};
use postbridge::store::contract::Store;
use postbridge::store::contract::change::PurgeBefore;
use postbridge::store::contract::conformance::fixture::attempt::{dead, delivered, failed, one};
use postbridge::store::contract::conformance::fixture::engine::usual_rules;
use postbridge::store::contract::conformance::fixture::received::{
    DAY, HOUR, Sale, account, at, click, click_id, destination, quarantined, sale, source, unscreened, wait,
};
use postbridge::store::contract::conformance::fixture::work::{
    LEASE, claim, claim_oldest, delivery_id, fall_due, first_page, never, probe_request, purge_all, states,
    transactions,
};
use postbridge::store::contract::error::StoreError;
use postbridge::store::contract::lookup::{ConversionFilter, DeliveryFilter, PostbackFilter};
use postbridge::store::contract::monotonic::{MonotonicClock, stopped_clock};
use postbridge::store::contract::work::{AttemptOutcome, FallsDue, LeaseToken, Recorded};
use postbridge::store::embedded::{Embedded, EmbeddedSettings};
use postbridge::store::engine::faulty::{FaultAt, Faulty, ProcessEnd, ReadFault};
use postbridge::store::engine::kv::{Batch, Direction, Kv, KvError, Span};
use postbridge::store::engine::memory::Memory;
use postbridge::web::health::ProcessHealth;
use tokio::sync::watch;

use crate::support::engines::MovedClock;

const FULL: &str = "No space left on device (os error 28)";

/// A store with one acknowledged sale, whose next context of `at` fails.
fn about_to_fail(at: FaultAt) -> (Faulty, Embedded) {
    let disk = Faulty::over(Memory::new());
    let store = Embedded::open(Arc::new(disk.clone()), usual_rules()).unwrap();
    assert!(matches!(sale("acknowledged").forward().receive(&store).verdict, Verdict::Accepted { .. }));
    disk.fail(at, 0, FULL);
    (disk, store)
}

fn is_broken<T: std::fmt::Debug>(done: Result<T, StoreError>) {
    match done {
        Err(StoreError::Broken { cause, .. }) => assert_eq!(cause, FULL),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_commit_that_fails_acknowledges_nothing_and_leaves_nothing_behind() {
    for step in [FaultAt::BeforeWrite, FaultAt::BeforeSync] {
        let (disk, store) = about_to_fail(step);
        let (sale_reported, click_reported) =
            (store.arrive(sale("lost").forward().arrival()), store.record_click(unscreened(click("lost"))));
        is_broken(wait(sale_reported));
        is_broken(wait(click_reported));
        drop(store);
        let store =
            Embedded::open(Arc::new(disk.after(ProcessEnd::PowerCut).unwrap()), usual_rules()).unwrap();
        assert_eq!(transactions(&store, ConversionFilter::default()), ["acknowledged"], "{step:?}");
        assert_eq!(wait(store.click(&click_id("lost"))).unwrap(), None);
        assert_eq!(claim(&store, "ads", at(0)).len(), 1);
        assert!(matches!(sale("lost").receive(&store).verdict, Verdict::Accepted { .. }));
    }
}

#[test]
fn after_a_failed_commit_every_later_operation_fails() {
    for step in [FaultAt::BeforeWrite, FaultAt::BeforeSync] {
        let (_disk, store) = about_to_fail(step);
        is_broken(wait(store.probe()));
        is_broken(wait(store.probe()));
        is_broken(wait(store.arrive(sale("later").arrival())));
        is_broken(wait(store.record_click(unscreened(click("later")))));
        is_broken(wait(store.conversions(ConversionFilter::default(), first_page(9))));
        is_broken(wait(store.click(&click_id("acknowledged"))));
        is_broken(wait(store.claim(probe_request(account("ads"), at(0)))));
        is_broken(wait(store.withdraw(destination("ads"), at(1))));
        is_broken(wait(store.purge(never())));
    }
}

#[test]
fn a_read_that_fails_ends_the_store_too() {
    let (disk, store) = about_to_fail(FaultAt::Get);
    is_broken(wait(store.click(&click_id("any"))));
    is_broken(wait(store.probe()));
    drop(store);
    let store = Embedded::open(Arc::new(disk.after(ProcessEnd::PowerCut).unwrap()), usual_rules()).unwrap();
    assert_eq!(transactions(&store, ConversionFilter::default()), ["acknowledged"]);
}

#[test]
fn a_group_whose_decision_cannot_read_is_refused_whole() {
    let (disk, store) = about_to_fail(FaultAt::Get);
    // To decide about it the writer looks for its click.
    is_broken(wait(store.arrive(sale("unseen").click("c1").arrival())));
    drop(store);
    let store = Embedded::open(Arc::new(disk.after(ProcessEnd::PowerCut).unwrap()), usual_rules()).unwrap();
    assert_eq!(transactions(&store, ConversionFilter::default()), ["acknowledged"]);
}

#[test]
fn a_store_that_cannot_be_read_does_not_open() {
    let disk = Faulty::over(Memory::new());
    drop(Embedded::open(Arc::new(disk.clone()), Arc::default()).unwrap());
    disk.fail(FaultAt::Scan, 0, "Input/output error (os error 5)");
    let Err(error) = Embedded::open(Arc::new(disk), Arc::default()) else { panic!("it opened") };
    assert!(error.to_string().contains("Input/output error"), "{error}");
}

/// Overwrites postback `number` as a failing disk would.
fn damage(memory: &Memory, number: u64) {
    overwrite(memory, &dated_key(memory, b'B', number));
}

/// The key of a record, whatever its day.
fn dated_key(memory: &Memory, table: u8, number: u64) -> Vec<u8> {
    let mut found = None;
    let span = Span { from: &[table], to: &[table + 1], direction: Direction::Up };
    memory
        .scan(span, &mut |key, _| {
            found = found.take().or_else(|| key.ends_with(&number.to_be_bytes()).then(|| key.to_vec()));
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
    found.expect("there is such a record")
}

fn overwrite(memory: &Memory, key: &[u8]) {
    assert!(memory.get(key).unwrap().is_some(), "there is such a record");
    let mut batch = Batch::default();
    batch.put(key.to_vec(), b"\x01\x00\x00 not a record".to_vec());
    memory.commit(batch, &mut |_| {}).unwrap();
}

fn is_corrupt<T: std::fmt::Debug>(done: Result<T, StoreError>) -> StoreError {
    match done {
        Err(error @ StoreError::Corrupt { .. }) => error,
        other => panic!("{other:?}"),
    }
}

/// A store in which the first of three sales is damaged on disk.
fn with_a_damaged_sale(receive: impl Fn(&str) -> Sale) -> (Memory, Embedded) {
    with_a_damaged_sale_by(stopped_clock(), receive)
}

/// The same, with leases that run out by this clock.
fn with_a_damaged_sale_by(clock: MonotonicClock, receive: impl Fn(&str) -> Sale) -> (Memory, Embedded) {
    let memory = Memory::new();
    let store = Embedded::open(Arc::new(memory.clone()), usual_rules()).unwrap();
    for name in ["damaged", "second", "third"] {
        receive(name).receive(&store);
    }
    drop(store);
    damage(&memory, 1);
    let settings = EmbeddedSettings { clock, ..EmbeddedSettings::default() };
    let store = Embedded::open_with(Arc::new(memory.clone()), usual_rules(), settings).unwrap();
    (memory, store)
}

#[test]
fn a_damaged_delivery_is_set_aside_and_the_rest_is_handed_out() {
    let clock = MovedClock::default();
    let (_memory, store) = with_a_damaged_sale_by(clock.clock(), |name| sale(name).forward());
    let oldest = claim_oldest(&store, account("ads")).unwrap();
    assert_eq!(oldest.conversion.transaction_id.as_deref(), Some("second"), "the oldest that can be read");
    let work = claim(&store, "ads", at(0));
    assert_eq!(work.len(), 1);
    let gone = postbridge::domain::ids::DeliveryId {
        conversion: postbridge::domain::ids::ConversionId::derive(
            &source(),
            "Purchase",
            "transaction:damaged",
        ),
        ..work[0].id.clone()
    };
    wait(store.release(vec![work[0].lease.token])).unwrap();
    assert_eq!(claim(&store, "ads", at(0)).len(), 1, "it was given back");
    let unread = AttemptOutcome { id: gone, lease: LeaseToken::new(0), ..delivered(&oldest, at(1)) };
    let together: Arc<[AttemptOutcome]> = Arc::new([unread, delivered(&oldest, at(1))]);
    assert_eq!(wait(store.record(together)).unwrap(), [Recorded::Damaged, Recorded::Settled]);
    clock.pass(2 * LEASE);
    assert_eq!(claim(&store, "ads", at(DAY)).len(), 1, "what cannot be read is handed out at no time");
}

#[test]
fn a_repeat_of_a_damaged_sale_fails_alone_and_ends_nothing() {
    let (_memory, store) = with_a_damaged_sale(|name| sale(name).forward());
    let error = is_corrupt(wait(store.arrive(sale("damaged").value("8").arrival())));
    assert!(matches!(sale("second").receive(&store).verdict, Verdict::Duplicate { .. }));
    let health = ProcessHealth::default();
    health.store_failed(&error);
    let clock = postbridge::clock::Clock::fixed(at(0));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let readiness = || runtime.block_on(health.readyz(&store, &clock)).status();
    assert_eq!(readiness(), 200, "it goes on");
    health.store_failed(&StoreError::Closed);
    assert_eq!(readiness(), 503);
}

#[test]
fn what_goes_through_many_leaves_a_damaged_one_out() {
    let (_memory, store) = with_a_damaged_sale(|name| sale(name).click("c1"));
    assert_eq!(fall_due(&store, FallsDue::Holds, at(73 * HOUR), 1), 0, "the damaged one is first");
    assert_eq!(fall_due(&store, FallsDue::Holds, at(73 * HOUR), 1), 1, "and is not met again");
    wait(store.record_click(unscreened(click("c1")))).unwrap();
    assert_eq!(claim(&store, "ads", at(73 * HOUR)).len(), 1, "freed by its click");
    assert_eq!(wait(store.withdraw(destination("ads"), at(1))).unwrap(), 1);
}

#[tokio::test]
async fn maintenance_goes_on_past_a_damaged_record() {
    let (_memory, store) =
        tokio::task::spawn_blocking(|| with_a_damaged_sale(|name| sale(name).forward())).await.unwrap();
    let keep = RetentionDays { conversions_days: 1, postbacks_days: 1, clicks_days: 1, removed_hours: 72 };
    let (stop, stopping) = watch::channel(false);
    let heartbeat = Arc::new(std::sync::atomic::AtomicI64::new(0));
    let clock = postbridge::clock::Clock::fixed(at(9 * DAY));
    let configured = Arc::new(std::collections::HashSet::new);
    let signals = MaintenanceSignals {
        space: Arc::default(),
        keep,
        configured,
        put_back: Arc::default(),
        stop: stopping,
        heartbeat: Arc::clone(&heartbeat),
    };
    let running = tokio::spawn(Maintenance::new(Arc::new(store), clock, signals).run());
    crate::support::dispatch_fixture::until("a step", || {
        heartbeat.load(std::sync::atomic::Ordering::Relaxed) != 0
    })
    .await;
    stop.send_replace(true);
    running.await.unwrap().unwrap();
}

#[test]
fn a_damaged_click_stops_no_purging_of_others() {
    let memory = Memory::new();
    let store = Embedded::open(Arc::new(memory.clone()), usual_rules()).unwrap();
    for id in ["c1", "c2", "c3"] {
        wait(store.record_click(unscreened(click(id)))).unwrap();
    }
    wait(store.arrive(quarantined("no price", at(0)))).unwrap();
    drop(store);
    overwrite(&memory, b"Kc2");
    let store = Embedded::open(Arc::new(memory), usual_rules()).unwrap();
    let all = PurgeBefore { postbacks: at(DAY), conversions: at(DAY), clicks: at(DAY) };
    assert_eq!(purge_all(&store, all), 3, "two clicks and the postback");
    assert_eq!(wait(store.click(&click_id("c1"))).unwrap(), None);
    assert_eq!(wait(store.click(&click_id("c3"))).unwrap(), None);
    is_corrupt(wait(store.click(&click_id("c2"))));
}

#[test]
fn a_damaged_block_stops_no_purging_of_those_around_it() {
    let memory = Memory::new();
    let store = Embedded::open(Arc::new(memory.clone()), usual_rules()).unwrap();
    let [first, second, _] =
        [1, 2, 3].map(|_| wait(store.arrive(quarantined("no price", at(0)))).unwrap().postback);
    drop(store);
    damage(&memory, second.get());
    let store = Embedded::open(Arc::new(memory), usual_rules()).unwrap();
    let all = PurgeBefore { postbacks: at(DAY), conversions: at(DAY), clicks: at(DAY) };
    assert_eq!(purge_all(&store, all), 3, "also its raw bytes, which are apart");
    assert_eq!(wait(store.postback(first)).unwrap(), None);
    is_corrupt(wait(store.postback(second)));
}

#[test]
fn purging_leaves_no_attempt_behind_where_conversions_of_many_blocks_share_a_record() {
    let memory = Memory::new();
    let store = Embedded::open(Arc::new(memory.clone()), usual_rules()).unwrap();
    for n in 0..20 {
        sale(&format!("t{n}")).forward().receive(&store);
    }
    let done: Vec<_> =
        claim(&store, "ads", at(0)).iter().map(|work| store.record(one(delivered(work, at(1))))).collect();
    done.into_iter().for_each(|done| drop(wait(done).unwrap()));
    let all = PurgeBefore { postbacks: at(DAY), conversions: at(DAY), clicks: at(DAY) };
    purge_all(&store, all);
    let mut left = 0;
    let span = Span { from: b"A", to: b"B", direction: Direction::Up };
    let mut count = |_: &[u8], _: Result<&[u8], &KvError>| {
        left += 1;
        std::ops::ControlFlow::Continue(())
    };
    memory.scan(span, &mut count).unwrap();
    assert_eq!(left, 0);
}

#[test]
fn a_list_leaves_a_damaged_record_out_and_goes_on() {
    let (_memory, store) = with_a_damaged_sale(|name| sale(name).forward());
    assert_eq!(transactions(&store, ConversionFilter::default()), ["third", "second"]);
    let postbacks = wait(store.postbacks(PostbackFilter::default(), first_page(9))).unwrap();
    assert_eq!(postbacks.items.iter().map(|postback| postback.seq.get()).collect::<Vec<_>>(), [3, 2]);
    let deliveries = wait(store.deliveries(DeliveryFilter::default(), first_page(9))).unwrap();
    assert_eq!(deliveries.items.len(), 2);
}

#[test]
fn dead_letters_are_listed_without_what_is_damaged() {
    let memory = Memory::new();
    let store = Embedded::open(Arc::new(memory.clone()), usual_rules()).unwrap();
    for name in ["damaged", "second", "third"] {
        sale(name).forward().receive(&store);
        let work = claim(&store, "ads", at(0)).remove(0);
        wait(store.record(one(dead(&work, at(1))))).unwrap();
    }
    drop(store);
    damage(&memory, 1);
    overwrite(&memory, &dated_key(&memory, b'A', 2));
    let store = Embedded::open(Arc::new(memory), usual_rules()).unwrap();
    for state in [Some(DeliveryStateName::Dead), None] {
        let filter = DeliveryFilter { state, ..DeliveryFilter::default() };
        let listed = wait(store.deliveries(filter, first_page(9))).unwrap().items;
        let shown: Vec<_> = listed
            .iter()
            .map(|listed| (listed.conversion.transaction_id.as_deref(), listed.last_attempt.is_some()))
            .collect();
        assert_eq!(shown, [(Some("third"), true), (Some("second"), false)]);
    }
}

#[test]
fn a_write_over_what_cannot_be_read_is_refused_whole_and_ends_nothing() {
    let disk = Faulty::over(Memory::new());
    let store = Embedded::open(Arc::new(disk.clone()), sale("any").forward().rules()).unwrap();
    let receipt = sale("t1").forward().receive(&store);
    let work = claim(&store, "ads", at(0)).remove(0);
    disk.cannot_read(ReadFault::DamagedPage, |key| key.starts_with(b"X"));
    is_corrupt(wait(store.record(one(delivered(&work, at(1))))));
    wait(store.probe()).unwrap();
    disk.can_read();
    assert_eq!(states(&store, &receipt), [DeliveryState::Waiting { due: at(0) }]);
    wait(store.record(one(delivered(&work, at(1))))).unwrap();
    assert_eq!(states(&store, &receipt), [DeliveryState::delivered(at(1))]);
}

#[test]
fn an_attempt_whose_deliverys_earlier_attempts_cannot_be_read_is_left_out_and_spares_those_it_is_recorded_with()
 {
    let disk = Faulty::over(Memory::new());
    let clock = MovedClock::default();
    let settings = EmbeddedSettings { clock: clock.clock(), ..EmbeddedSettings::default() };
    let store = Embedded::open_with(Arc::new(disk.clone()), usual_rules(), settings).unwrap();
    let [damaged, sound] = ["damaged", "sound"].map(|name| sale(name).forward().receive(&store));
    let claim = |now| {
        let work = claim(&store, "ads", now);
        [&damaged, &sound]
            .map(|sale| work.iter().find(|work| work.id == delivery_id(sale, "ads")).unwrap().clone())
    };
    let [first, first_of_sound] = claim(at(0));
    clock.pass(LEASE);
    let [second, second_of_sound] = claim(at(HOUR));
    wait(store.record(one(failed(&second, at(HOUR), at(DAY))))).unwrap();
    disk.cannot_read(ReadFault::Damaged, |key| key.starts_with(b"A"));
    let outcomes = [&first, &second_of_sound, &first_of_sound].map(|work| delivered(work, at(HOUR + 1)));
    let recorded = wait(store.record(outcomes.into())).unwrap();
    assert_eq!(recorded, [Recorded::Damaged, Recorded::Settled, Recorded::Late]);
    disk.can_read();
    assert_eq!(states(&store, &sound), [DeliveryState::delivered(at(HOUR + 1))]);
    assert_eq!(states(&store, &damaged), [DeliveryState::Waiting { due: at(DAY) }]);
    let again = wait(store.record(one(delivered(&first, at(HOUR + 1))))).unwrap();
    assert_eq!(again, [Recorded::Late]);
}
