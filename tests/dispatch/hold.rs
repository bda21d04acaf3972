//! A destination that asks for a wait: nothing leaves, then one delivery asks, then all go on.

use std::sync::Arc;
use std::time::Duration;

use postbridge::clock::Clock;
use postbridge::dispatch::{Dispatch, DispatchWaits};
use postbridge::domain::destination_state::DestinationState;
use postbridge::store::contract::conformance::fixture::reason::unavailable;
use postbridge::template::destination::rendering::DestinationMode;

use crate::support::dispatch_fixture::{DispatchFixture, TAKEN, Target, plan, quick, until};
use crate::support::outgoing_fixture::{CampaignPostback, fixture, plan as postbacks, sale, words};
use crate::support::platform::{Act, Platform};

/// Waits as long as is promised.
fn patient() -> DispatchWaits {
    DispatchWaits { longest_hold_ms: 900_000, longest_host_hold_ms: 60_000, ..quick() }
}

fn start(fixture: &DispatchFixture, plan: postbridge::dispatch::DispatchPlan) -> Dispatch {
    Dispatch::start_at_pace(Arc::clone(&fixture.store), plan, fixture.clock.clone(), patient())
}

fn state(dispatch: &Dispatch, id: &str) -> DestinationState {
    dispatch.states().into_iter().find(|state| state.destination.as_str() == id).unwrap()
}

/// Refuses with a wait of so many seconds.
fn busy(seconds: &str) -> Act {
    Act::status(429, "slow down").with_header("Retry-After", seconds)
}

async fn taking() -> Platform {
    Platform::start(|_| Act::ok(TAKEN))
}

/// Until nothing of this destination is under way.
async fn quiet(dispatch: &Dispatch, id: &str) {
    until("what was out is back", || state(dispatch, id).in_flight == 0).await;
}

#[tokio::test]
async fn while_it_waits_nothing_leaves_no_attempt_is_charged_and_no_other_destination_is_delayed() {
    let (limited, well) = (Platform::start(|_| busy("120")), taking().await);
    let targets = [Target::new("limited", limited.url("")), Target::new("well", well.url(""))];
    let clock = Clock::fixed(Clock::system().now());
    let fixture = DispatchFixture::by(clock.clone(), &targets);
    let dispatch = start(&fixture, plan(&targets));
    let first = fixture.sale("first").await;
    until("held", || state(&dispatch, "limited").hold.is_some()).await;
    quiet(&dispatch, "limited").await;
    let hold = state(&dispatch, "limited").hold.unwrap();
    assert_eq!(hold.until.millis_since(clock.now()), 120_000);
    assert_eq!(hold.reason, unavailable(429, "slow down"));
    assert_eq!(state(&dispatch, "well").hold, None);
    let asked = limited.count();
    assert_eq!(asked, 1, "the first after the start asks alone");
    let fresh = fixture.sales("fresh", 20).await;
    well.wait_for(21).await;
    assert_eq!(limited.count(), asked, "nothing is sent to who asked for a wait");
    for id in &fresh {
        let all = fixture.deliveries(*id).await;
        let (delivery, attempts) =
            all.iter().find(|(delivery, _)| delivery.destination.as_str() == "limited").unwrap();
        assert_eq!((delivery.state.as_str(), delivery.attempts, attempts.len()), ("waiting", 0, 0));
    }
    limited.script(|_| Act::ok(TAKEN));
    clock.set(clock.now().plus_millis(120_001));
    limited.wait_for(asked + 21).await;
    until("free", || state(&dispatch, "limited").hold.is_none()).await;
    let all = fixture.deliveries(first).await;
    assert!(all.iter().all(|(delivery, _)| delivery.attempts <= 2), "{all:?}");
    dispatch.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn when_the_wait_is_over_one_delivery_asks_and_is_followed_by_none_until_it_is_answered() {
    let (limited, well) = (Platform::start(|_| busy("60")), taking().await);
    let targets = [Target::new("limited", limited.url("")), Target::new("well", well.url(""))];
    let clock = Clock::fixed(Clock::system().now());
    let fixture = DispatchFixture::by(clock.clone(), &targets);
    let dispatch = start(&fixture, plan(&targets));
    fixture.sales("t", 10).await;
    until("held", || state(&dispatch, "limited").hold.is_some()).await;
    quiet(&dispatch, "limited").await;
    let asked = limited.count();
    // The same refusal once more, by one probe.
    clock.set(clock.now().plus_millis(60_000));
    limited.wait_for(asked + 1).await;
    until("held again", || {
        state(&dispatch, "limited").hold.is_some_and(|hold| hold.until.millis_since(clock.now()) == 60_000)
    })
    .await;
    quiet(&dispatch, "limited").await;
    assert_eq!(limited.count(), asked + 1);
    // A probe that is not answered yet keeps the others back.
    limited.script(|_| Act::Hang);
    clock.set(clock.now().plus_millis(60_000));
    limited.wait_for(asked + 2).await;
    well.wait_for(10).await;
    fixture.sale("later").await;
    well.wait_for(11).await;
    assert_eq!(limited.count(), asked + 2, "one probe, no second");
    dispatch.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn a_hold_is_kept_over_a_reload_and_a_stop_in_it_loses_nothing() {
    let limited = Platform::start(|_| busy("600"));
    let targets = [Target::new("limited", limited.url(""))];
    let fixture = DispatchFixture::new(&targets);
    let dispatch = start(&fixture, plan(&targets));
    let sales = fixture.sales("t", 10).await;
    until("held", || state(&dispatch, "limited").hold.is_some()).await;
    quiet(&dispatch, "limited").await;
    let before = state(&dispatch, "limited").hold;
    dispatch.reload(plan(&[Target { max_in_flight: 3, ..targets[0].clone() }]));
    assert_eq!(state(&dispatch, "limited").hold, before);
    let asked = limited.count();
    let begun = postbridge::clock::stopwatch();
    dispatch.stop(Duration::from_secs(60)).await;
    assert!(begun.elapsed() < Duration::from_secs(20), "a stop does not wait for the end of a hold");
    assert_eq!(limited.count(), asked);
    // The next process knows of no hold; its first delivery asks.
    limited.script(|_| Act::ok(TAKEN));
    let dispatch = start(&fixture, plan(&targets));
    let fresh: Vec<_> = sales.iter().skip(1).copied().collect();
    fixture.all_reach(&fresh, "delivered").await;
    dispatch.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_wait_of_a_second_is_waited_for_without_work() {
    let limited = Platform::start(|received| match received.number {
        0 => busy("1"),
        _ => Act::ok(TAKEN),
    });
    let targets = [Target::new("limited", limited.url(""))];
    let fixture = DispatchFixture::new(&targets);
    let dispatch = start(&fixture, plan(&targets));
    let sales = fixture.sales("t", 50).await;
    until("held", || state(&dispatch, "limited").hold.is_some()).await;
    let begun = (postbridge::clock::stopwatch(), crate::support::outgoing_fixture::wake_ups());
    limited.wait_for(51).await;
    let (took, woken) = (begun.0.elapsed(), crate::support::outgoing_fixture::wake_ups() - begun.1);
    println!("woke up {woken} times in {took:?}");
    assert!(took > Duration::from_millis(700), "{took:?}");
    assert!(woken < 400, "{woken} wake-ups");
    fixture.all_reach(&sales, "delivered").await;
    dispatch.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_host_that_asks_for_a_wait_is_left_alone_by_all_its_campaigns_for_a_minute_at_most() {
    let (limited, well) = (Platform::start(|_| busy("3600")), taking().await);
    let reported = [
        CampaignPostback::to("1", &limited),
        CampaignPostback::to("2", &limited),
        CampaignPostback::to("3", &well),
    ];
    let clock = Clock::fixed(Clock::system().now());
    let fixture = DispatchFixture { clock: clock.clone(), ..fixture(&reported) };
    let dispatch = start(&fixture, postbacks(&reported));
    sale(&fixture, "a", "1").await;
    until("held", || state(&dispatch, "campaign:1").hold.is_some()).await;
    quiet(&dispatch, "campaign:1").await;
    let hold = state(&dispatch, "campaign:2").hold.unwrap();
    assert_eq!(hold.until.millis_since(clock.now()), 60_000);
    assert_eq!(state(&dispatch, "campaign:3").hold, None);
    let asked = limited.count();
    let kept_back = sale(&fixture, "b", "2").await;
    let healthy = sale(&fixture, "c", "3").await;
    fixture.reaches(healthy, "delivered").await;
    assert_eq!(words(&fixture.deliveries(kept_back).await), ["waiting"]);
    assert_eq!(limited.count(), asked);
    limited.script(|_| Act::ok(""));
    clock.set(clock.now().plus_millis(60_001));
    fixture.reaches(kept_back, "delivered").await;
    dispatch.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn what_waits_for_its_turn_at_a_host_does_not_leave_once_the_host_asks_for_a_wait() {
    let limited = Platform::start(|received| match received.number {
        0 => Act::ok(""),
        _ => busy("60"),
    });
    let reported: Vec<CampaignPostback> = ["1", "2", "3"]
        .map(|id| CampaignPostback { max_per_second: Some(2), ..CampaignPostback::to(id, &limited) })
        .into();
    let clock = Clock::fixed(Clock::system().now());
    let fixture = DispatchFixture { clock: clock.clone(), ..fixture(&reported) };
    let dispatch = start(&fixture, postbacks(&reported));
    let mut sales = Vec::new();
    for (n, campaign) in ["1", "2", "3", "1", "2", "3"].into_iter().enumerate() {
        sales.push(sale(&fixture, &format!("s{n}"), campaign).await);
    }
    until("held", || state(&dispatch, "campaign:1").hold.is_some()).await;
    for id in ["campaign:1", "campaign:2", "campaign:3"] {
        quiet(&dispatch, id).await;
    }
    // One that was taken and one that was refused; a third where its turn was before the refusal was read.
    let left = limited.count();
    assert!((2..=3).contains(&left), "{left} of 6");
    let mut charged = 0;
    for id in &sales {
        let (delivery, attempts) = fixture.delivery(*id).await;
        assert_eq!(delivery.attempts as usize, attempts.len());
        charged += attempts.len();
    }
    assert_eq!(charged, left);
    dispatch.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_destination_in_shadow_has_no_hold_and_one_that_is_taken_out_ends_in_it() {
    let limited = Platform::start(|_| busy("600"));
    let live = [Target::new("limited", limited.url(""))];
    let fixture = DispatchFixture::new(&live);
    let dispatch = start(&fixture, plan(&live));
    let first = fixture.sale("first").await;
    until("held", || state(&dispatch, "limited").hold.is_some()).await;
    quiet(&dispatch, "limited").await;
    let second = fixture.sale("second").await;
    dispatch.reload(plan(&[Target { mode: DestinationMode::Shadow, ..live[0].clone() }]));
    fixture.reaches(second, "skipped").await;
    assert_eq!(fixture.delivery(first).await.0.state.as_str(), "waiting", "its own wait is not over");
    dispatch.reload(plan(&[]));
    assert!(dispatch.states().is_empty());
    dispatch.stop(Duration::from_secs(5)).await;
}
