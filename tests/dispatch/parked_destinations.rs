//! Refused accounts: their queue is parked, burns no attempts, is probed, and still dies of age.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use postbridge::clock::Clock;
use postbridge::domain::status::Status;
use postbridge::domain::time::DAY_MS;

use crate::support::dispatch_fixture::{DispatchFixture, PROBE_EVERY_MS, TAKEN, Target, plan, until};
use crate::support::platform::{Act, Platform};

/// Takes events from those who know the good token.
async fn guarded() -> Platform {
    Platform::start(|received| match received.header("authorization") {
        Some("Bearer good") => Act::ok(TAKEN),
        _ => Act::status(401, "who are you?"),
    })
}

#[tokio::test]
async fn a_refused_account_parks_the_queue_burns_no_attempts_and_a_probe_frees_it() {
    let platform = guarded().await;
    let targets = [Target { token: "bad", ..Target::new("a", platform.url("")) }];
    let clock = Clock::fixed(Clock::system().now());
    let fixture = DispatchFixture::by(clock.clone(), &targets);
    let dispatch = fixture.dispatch(&targets);
    let sales = fixture.sales("t", 20).await;
    until("parked", || dispatch.states()[0].parked.is_some()).await;
    // Two probes, each when the one before is on record: until then its delivery is still in hand, and the
    // next oldest would ask. The rest of the queue stays untouched.
    for asked in 1..=2 {
        fixture.has_attempts(sales[0], asked).await;
        clock.set(clock.now().plus_millis(PROBE_EVERY_MS));
    }
    fixture.has_attempts(sales[0], 3).await;
    for sale in &sales {
        let (delivery, _) = fixture.delivery(*sale).await;
        assert_eq!((delivery.state.as_str(), delivery.attempts), ("waiting", 0));
    }
    let asked: HashSet<String> =
        platform.received().iter().map(|request| request.json()["transaction"].to_string()).collect();
    assert_eq!((platform.count(), asked.len()), (3, 1), "the oldest asks: {asked:?}");
    platform.script(|_| Act::ok(TAKEN));
    clock.set(clock.now().plus_millis(PROBE_EVERY_MS));
    fixture.all_reach(&sales, "delivered").await;
    assert_eq!(dispatch.states()[0].parked, None);
    dispatch.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_reload_with_a_good_token_probes_a_parked_destination_at_once() {
    let platform = guarded().await;
    let bad = [Target { token: "bad", ..Target::new("a", platform.url("")) }];
    let fixture = DispatchFixture::new(&bad);
    let mut pace = crate::support::dispatch_fixture::quick();
    pace.probe_every_ms = DAY_MS;
    let dispatch = postbridge::dispatch::Dispatch::start_at_pace(
        Arc::clone(&fixture.store),
        plan(&bad),
        fixture.clock.clone(),
        pace,
    );
    let sale = fixture.sale("t").await;
    until("parked", || dispatch.states()[0].parked.is_some()).await;
    dispatch.reload(plan(&[Target { token: "good", ..bad[0].clone() }]));
    let (delivery, attempts) = fixture.reaches(sale, "delivered").await;
    assert_eq!((delivery.attempts, attempts.len()), (1, 2), "the refused attempt is kept, not counted");
    until("unparked", || dispatch.states()[0].parked.is_none()).await;
    dispatch.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn what_waits_at_a_parked_destination_still_dies_of_age() {
    let platform = guarded().await;
    let targets = [Target { token: "bad", ..Target::new("a", platform.url("")) }];
    let clock = Clock::fixed(Clock::system().now());
    let fixture = DispatchFixture::by(clock.clone(), &targets);
    let dispatch = fixture.dispatch(&targets);
    let sales = fixture.sales("t", 100).await;
    until("parked", || dispatch.states()[0].parked.is_some()).await;
    // The probe that asked is on record: nothing is in hand.
    fixture.has_attempts(sales[0], 1).await;
    clock.set(clock.now().plus_millis(7 * DAY_MS + 1));
    // Some may be in hand, and end at their own turn while this waits for the disk: together they are all.
    let asked = platform.count();
    fixture.expire().await;
    fixture.all_reach(&sales, "dead").await;
    assert_eq!(platform.count(), asked, "what is too old is not sent");
    let young = fixture.sale("young").await;
    assert_eq!(fixture.delivery(young).await.0.state.as_str(), "waiting");
    assert!(dispatch.states()[0].parked.is_some());
    dispatch.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn all_that_waits_at_a_parked_destination_is_ended_at_once_where_nothing_is_in_hand() {
    let platform = guarded().await;
    let targets = [Target { token: "bad", ..Target::new("a", platform.url("")) }];
    let clock = Clock::fixed(Clock::system().now());
    let fixture = DispatchFixture::by(clock.clone(), &targets);
    let dispatch = fixture.dispatch(&targets);
    let sales = fixture.sales("t", 100).await;
    until("parked", || dispatch.states()[0].parked.is_some()).await;
    dispatch.stop(Duration::from_secs(5)).await;
    clock.set(clock.now().plus_millis(7 * DAY_MS + 1));
    assert_eq!(fixture.expire().await, 100);
    assert_eq!(fixture.expire().await, 0);
    fixture.all_reach(&sales, "dead").await;
}

#[tokio::test]
async fn what_is_too_old_dies_at_a_parked_destination_also_behind_what_can_wait() {
    let platform = guarded().await;
    let targets = [Target { token: "bad", ..Target::new("a", platform.url("")) }];
    let clock = Clock::fixed(Clock::system().now());
    let fixture = DispatchFixture::by(clock.clone(), &targets);
    let dispatch = fixture.dispatch(&targets);
    fixture.sale("parks").await;
    until("parked", || dispatch.states()[0].parked.is_some()).await;
    // Two hundred of one moment and two hundred of as many, all young; then one about an old event.
    let young = fixture.sales("young", 200).await;
    for n in 0..200 {
        clock.set(clock.now().plus_millis(1));
        fixture.sale(&format!("younger-{n}")).await;
    }
    clock.set(clock.now().plus_millis(1));
    let happened = clock.now().plus_millis(-6 * DAY_MS);
    let old = fixture.receive("old", Status::Approved, Some(happened)).await;
    clock.set(clock.now().plus_millis(DAY_MS + 1));
    assert_eq!(fixture.expire().await, 1);
    fixture.reaches(old, "dead").await;
    assert_eq!(fixture.delivery(young[0]).await.0.state.as_str(), "waiting");
    assert_eq!(fixture.store.backlog(clock.now()).await.unwrap()[0].waiting, 401);
    // Once the account is good, all that is left leaves.
    platform.script(|_| Act::ok(TAKEN));
    clock.set(clock.now().plus_millis(1_000));
    fixture.all_reach(&young, "delivered").await;
    dispatch.stop(Duration::from_secs(5)).await;
}
