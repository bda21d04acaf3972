//! Platforms that misbehave: every event arrives in the end, under one event id, or is visibly dead.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use postbridge::clock::stopwatch;
use postbridge::domain::code::CodedReason;
use postbridge::domain::delivery::{DeliveryState, ReplyVerdict};
use postbridge::domain::skip::SkipCode;
use postbridge::domain::status::Status;
use postbridge::domain::time::DAY_MS;
use postbridge::store::contract::conformance::fixture::reason::skip_code;
use postbridge::template::destination::rendering::DestinationMode;

use crate::support::dispatch_fixture::{DispatchFixture, TAKEN, Target, until};
use crate::support::platform::{Act, Platform, Received};

/// Event ids by transaction, as the platform heard them.
fn ledger(received: &[Received]) -> HashMap<String, HashSet<String>> {
    let mut ledger: HashMap<String, HashSet<String>> = HashMap::new();
    for request in received {
        let body = request.json();
        let text = |name: &str| body[name].as_str().unwrap().to_owned();
        ledger.entry(text("transaction")).or_default().insert(text("id"));
    }
    ledger
}

/// A platform that does `first` with the first two tellings of each event, then takes it.
async fn stubborn(first: Act) -> Platform {
    let reported = parking_lot::Mutex::new(HashMap::<String, u32>::new());
    Platform::start(move |received| {
        let id = received.json()["id"].as_str().unwrap_or_default().to_owned();
        let mut reported = reported.lock();
        let count = reported.entry(id).or_default();
        *count += 1;
        if *count <= 2 { first.clone() } else { Act::ok(TAKEN) }
    })
}

async fn arrives_on_the_third_attempt(first: Act) {
    let platform = stubborn(first.clone()).await;
    let targets = [Target { timeout_ms: 60, ..Target::new("a", platform.url("")) }];
    let fixture = DispatchFixture::new(&targets);
    let dispatch = fixture.dispatch(&targets);
    let sales = fixture.sales("t", 3).await;
    for sale in &sales {
        let (delivery, attempts) = fixture.reaches(*sale, "delivered").await;
        assert_eq!(delivery.attempts, 3, "{first:?}");
        let words: Vec<&str> = attempts.iter().map(|attempt| attempt.verdict.as_str()).collect();
        assert_eq!(words, ["retry", "retry", "delivered"], "{first:?}");
        assert!(attempts.iter().all(|attempt| attempt.request().is_some()));
    }
    let ledger = ledger(&platform.received());
    assert_eq!(ledger.len(), 3);
    assert!(ledger.values().all(|ids| ids.len() == 1), "one event id over all attempts: {ledger:?}");
    assert_eq!(platform.count(), 9, "the log of attempts equals the wire");
    dispatch.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_platform_that_hangs_gets_the_event_again() {
    arrives_on_the_third_attempt(Act::Hang).await;
}

#[tokio::test]
async fn a_platform_that_resets_after_reading_gets_the_same_event_id_again() {
    arrives_on_the_third_attempt(Act::Reset).await;
}

#[tokio::test]
async fn an_error_inside_a_200_is_no_delivery() {
    arrives_on_the_third_attempt(Act::ok(r#"{"received":0,"error":"later"}"#)).await;
}

#[tokio::test]
async fn garbage_a_broken_off_answer_and_a_slow_drip_are_no_delivery() {
    arrives_on_the_third_attempt(Act::Garbage).await;
    arrives_on_the_third_attempt(Act::BreakOff).await;
    arrives_on_the_third_attempt(Act::Drip).await;
}

#[tokio::test]
async fn an_endless_body_costs_64_kib_and_a_retry() {
    arrives_on_the_third_attempt(Act::Endless).await;
}

#[tokio::test]
async fn a_server_fault_is_tried_again() {
    arrives_on_the_third_attempt(Act::status(503, "busy")).await;
}

#[tokio::test]
async fn retry_after_in_seconds_and_as_a_date_is_a_lower_bound() {
    let date = "Sat, 31 Dec 2089 23:59:59 GMT";
    for (value, at_least_ms) in [("3600", 3_599_000), (date, DAY_MS - 1_000)] {
        let act = Act::status(429, "slow down").with_header("Retry-After", value);
        let platform = Platform::start(move |_| act.clone());
        let targets = [Target::new("a", platform.url(""))];
        let fixture = DispatchFixture::new(&targets);
        let dispatch = fixture.dispatch(&targets);
        let before = fixture.clock.now();
        let sale = fixture.sale("t").await;
        platform.wait_for(1).await;
        until("recorded", || dispatch.states()[0].last_error.is_some()).await;
        dispatch.stop(Duration::from_secs(5)).await;
        let (delivery, _) = fixture.delivery(sale).await;
        match delivery.state {
            DeliveryState::Waiting { due } => {
                let wait = due.millis_since(before);
                assert!((at_least_ms..=DAY_MS + 60_000).contains(&wait), "{value}: {wait} ms");
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(platform.count(), 1);
    }
}

#[tokio::test]
async fn a_permanent_refusal_is_a_dead_letter_with_request_and_response_and_no_secret() {
    let platform = Platform::start(|_| {
        Act::status(400, r#"{"error":"bad token t0p-s3cret"}"#).with_header("x-echo", "t0p-s3cret")
    });
    let targets = [Target::new("a", platform.url(""))];
    let fixture = DispatchFixture::new(&targets);
    let dispatch = fixture.dispatch(&targets);
    let sale = fixture.sale("t").await;
    let (delivery, attempts) = fixture.reaches(sale, "dead").await;
    assert_eq!((delivery.attempts, attempts.len()), (1, 1));
    let attempt = &attempts[0];
    assert_eq!(attempt.answer().unwrap().status, 400);
    assert!(attempt.request().unwrap().body.contains("transaction"));
    let reported = format!("{delivery:?}{attempts:?}{:?}", dispatch.states());
    let bytes = String::from_utf8_lossy(&attempt.answer().unwrap().body).into_owned();
    assert!(!reported.contains("t0p-s3cret") && !bytes.contains("t0p-s3cret"), "{reported} {bytes}");
    assert_eq!(platform.received()[0].header("authorization"), Some("Bearer t0p-s3cret"));
    dispatch.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_sick_destination_delays_no_healthy_one() {
    let sick = Platform::start(|_| Act::Hang);
    let healthy = Platform::start(|_| Act::ok(TAKEN));
    let targets = [Target::new("sick", sick.url("")), Target::new("healthy", healthy.url(""))];
    let fixture = DispatchFixture::new(&targets);
    let dispatch = fixture.dispatch(&targets);
    let begun = stopwatch();
    fixture.sales("t", 300).await;
    healthy.wait_for(300).await;
    assert!(begun.elapsed() < Duration::from_secs(5), "while the sick one hangs for 10 s");
    assert_eq!(ledger(&healthy.received()).len(), 300);
    assert!(sick.count() <= 64);
    dispatch.stop(Duration::from_millis(10)).await;
}

#[tokio::test]
async fn retries_that_hang_do_not_starve_first_attempts() {
    // Every `old` event fails once, then hangs: 200 retries are due and take what they may.
    let seen = parking_lot::Mutex::new(HashSet::<String>::new());
    let platform = Platform::start(move |received| {
        let body = received.json();
        let transaction = body["transaction"].as_str().unwrap().to_owned();
        match transaction.starts_with("old") {
            true if seen.lock().insert(transaction) => Act::status(503, ""),
            true => Act::Hang,
            false => Act::ok(TAKEN),
        }
    });
    let targets = [Target { max_in_flight: 8, ..Target::new("a", platform.url("")) }];
    let fixture = DispatchFixture::new(&targets);
    let mut pace = crate::support::dispatch_fixture::quick();
    pace.breaker.least = u32::MAX;
    let plan = crate::support::dispatch_fixture::plan(&targets);
    let dispatch = postbridge::dispatch::Dispatch::start_at_pace(
        std::sync::Arc::clone(&fixture.store),
        plan,
        fixture.clock.clone(),
        pace,
    );
    fixture.sales("old", 50).await;
    // 50 first attempts have failed, and six retries hang in the six places that retries may take.
    platform.wait_for(56).await;
    let fresh = fixture.sales("new", 100).await;
    fixture.all_reach(&fresh, "delivered").await;
    assert_eq!(platform.count(), 156, "no retry ended meanwhile, and none took a seventh place");
    dispatch.stop(Duration::from_millis(10)).await;
}

#[tokio::test]
async fn a_platform_that_fails_nearly_always_is_left_alone_and_attempts_are_not_burnt() {
    let platform = Platform::start(|_| Act::status(500, ""));
    let targets = [Target { max_in_flight: 1, ..Target::new("a", platform.url("")) }];
    let fixture = DispatchFixture::new(&targets);
    let dispatch = fixture.dispatch(&targets);
    let sales = fixture.sales("t", 40).await;
    until("the breaker is open", || dispatch.states()[0].open_until.is_some()).await;
    dispatch.stop(Duration::from_secs(5)).await;
    assert_eq!(platform.count(), 10, "the tenth failure opens it");
    let mut untouched = 0;
    for sale in sales {
        untouched += usize::from(fixture.delivery(sale).await.0.attempts == 0);
    }
    assert!(untouched >= 30, "{untouched}");
}

#[tokio::test]
async fn when_the_platform_is_back_one_probe_opens_the_way_for_all() {
    let platform = Platform::start(|_| Act::status(500, ""));
    let targets = [Target::new("a", platform.url(""))];
    let fixture = DispatchFixture::new(&targets);
    let mut pace = crate::support::dispatch_fixture::quick();
    pace.breaker.open_ms = 20;
    pace.breaker.longest_ms = 40;
    let dispatch = postbridge::dispatch::Dispatch::start_at_pace(
        std::sync::Arc::clone(&fixture.store),
        crate::support::dispatch_fixture::plan(&targets),
        fixture.clock.clone(),
        pace,
    );
    let sales = fixture.sales("t", 40).await;
    until("the breaker is open", || dispatch.states()[0].open_until.is_some()).await;
    platform.script(|_| Act::ok(TAKEN));
    fixture.all_reach(&sales, "delivered").await;
    assert_eq!(dispatch.states()[0].open_until, None);
    dispatch.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_rate_limit_is_kept() {
    let platform = Platform::start(|_| Act::ok(TAKEN));
    let targets = [Target { max_per_second: Some(50), ..Target::new("a", platform.url("")) }];
    let fixture = DispatchFixture::new(&targets);
    fixture.sales("t", 30).await;
    let begun = stopwatch();
    let dispatch = fixture.dispatch(&targets);
    platform.wait_for(30).await;
    // 50 a second, at most two at once: the 30th leaves no earlier than 28 fiftieths of a second.
    assert!(begun.elapsed() >= Duration::from_millis(540), "{:?}", begun.elapsed());
    dispatch.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn shadow_renders_and_never_sends() {
    let platform = Platform::start(|_| Act::ok(TAKEN));
    let targets = [Target { mode: DestinationMode::Shadow, ..Target::new("a", platform.url("")) }];
    let fixture = DispatchFixture::new(&targets);
    let dispatch = fixture.dispatch(&targets);
    let sale = fixture.sale("t").await;
    let (delivery, attempts) = fixture.reaches(sale, "skipped").await;
    assert_eq!(delivery.attempts, 0);
    let request = attempts[0].request().unwrap();
    assert!(request.body.contains("\"t\""), "{request:?}");
    assert!(!format!("{request:?}").contains("t0p-s3cret"));
    assert_eq!(platform.count(), 0);
    dispatch.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn off_takes_nothing_and_says_so() {
    let platform = Platform::start(|_| Act::ok(TAKEN));
    let targets = [Target { mode: DestinationMode::Off, ..Target::new("a", platform.url("")) }];
    let fixture = DispatchFixture::new(&targets);
    let dispatch = fixture.dispatch(&targets);
    let sale = fixture.sale("t").await;
    let (delivery, _) = fixture.reaches(sale, "skipped").await;
    assert_eq!(skip_code(&delivery.state), Some(SkipCode::Off));
    assert_eq!(platform.count(), 0);
    dispatch.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn an_event_that_is_too_old_for_the_platform_is_skipped_naming_the_field() {
    let platform = Platform::start(|_| Act::ok(TAKEN));
    let targets = [Target::new("a", platform.url(""))];
    let fixture = DispatchFixture::new(&targets);
    let dispatch = fixture.dispatch(&targets);
    let old = fixture.clock.now().plus_millis(-8 * DAY_MS);
    let sale = fixture.receive("t", Status::Approved, Some(old)).await;
    let (_, attempts) = fixture.reaches(sale, "skipped").await;
    let ReplyVerdict::Skipped { reason } = &attempts[0].verdict else { panic!("{attempts:?}") };
    assert_eq!((reason.code(), reason.field()), (SkipCode::TooOld, Some("event_time")));
    assert_eq!(platform.count(), 0);
    dispatch.stop(Duration::from_secs(5)).await;
}
