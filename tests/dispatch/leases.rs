//! An attempt that outlives its lease: another is made, and what the first one brings changes nothing.

use std::collections::HashSet;
use std::time::Duration;

use postbridge::clock::Clock;
use postbridge::domain::attempt::AttemptEffect;
use postbridge::domain::time::MINUTE_MS;

use crate::support::dispatch_fixture::{DispatchFixture, TAKEN, Target};
use crate::support::platform::{Act, Gate, Platform};

/// Longer than any lease of these destinations: they wait 10 s for an answer.
const BEYOND_A_LEASE_MS: i64 = 10 * MINUTE_MS;

#[tokio::test]
async fn an_attempt_that_outlives_its_lease_is_recorded_as_late_and_its_delivery_is_a_possible_repeat() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let _bound = metrics::set_default_local_recorder(&recorder);
    let gates = [Gate::shut(), Gate::shut()];
    let [first, second] = gates.clone();
    let platform = Platform::start(move |received| match received.number {
        0 => Act::ok(TAKEN),
        // What it answers in the end would be the end of the delivery, if it were in time.
        1 => Act::Behind(first.clone(), Box::new(Act::status(400, "not like this"))),
        _ => Act::Behind(second.clone(), Box::new(Act::ok(TAKEN))),
    });
    let targets = [Target::new("a", platform.url(""))];
    let fixture = DispatchFixture::by(Clock::fixed(Clock::system().now()), &targets);
    let dispatch = fixture.dispatch(&targets);
    // Once it has taken something, more than one may be out.
    fixture.reaches(fixture.sale("before").await, "delivered").await;
    let sale = fixture.sale("t").await;
    platform.wait_for(2).await;
    assert!(!fixture.delivery(sale).await.0.possible_repeat);
    fixture.clock.run(BEYOND_A_LEASE_MS);
    platform.wait_for(3).await;
    gates[0].open();
    fixture.has_attempts(sale, 1).await;
    let (delivery, attempts) = fixture.delivery(sale).await;
    assert_eq!((delivery.state.as_str(), delivery.attempts), ("waiting", 0), "the second one has it still");
    assert_eq!((attempts[0].effect, attempts[0].verdict.as_str()), (AttemptEffect::Late, "dead"));
    gates[1].open();
    let (delivery, attempts) = fixture.reaches(sale, "delivered").await;
    assert!(delivery.possible_repeat);
    assert_eq!(delivery.attempts, 1, "a late one is not counted");
    let effects: Vec<_> = attempts.iter().map(|attempt| attempt.effect).collect();
    assert_eq!(effects, [AttemptEffect::Late, AttemptEffect::Settled]);
    dispatch.stop(Duration::from_secs(5)).await;
    let ids: HashSet<String> = platform.received()[1..].iter().map(|r| r.json()["id"].to_string()).collect();
    assert_eq!((platform.count(), ids.len()), (3, 1), "both are the same event");
    let counted = recorder.handle().render();
    for line in [
        "postbridge_late_attempts_total{destination=\"a\"} 1",
        "postbridge_attempts_total{destination=\"a\",reason_code=\"delivered\"} 2",
    ] {
        assert!(counted.contains(line), "{line} is not in\n{counted}");
    }
    assert!(
        !counted.contains("postbridge_dead_total{destination=\"a\",reason_code=\"platform_rejected\"} 1")
    );
}
