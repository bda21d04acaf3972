//! Workers: what is no longer wanted is not sent, starts and stops lose nothing.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use postbridge::domain::attempt::AttemptEffect;
use postbridge::domain::click::CustomerTrait;
use postbridge::domain::consent::Consent;
use postbridge::domain::delivery::DeliveryState;
use postbridge::domain::ids::{DestinationId, Occasion};
use postbridge::domain::remark::Remark;
use postbridge::domain::skip::SkipCode;
use postbridge::domain::status::Status;
use postbridge::domain::target::TargetId;
use postbridge::store::contract::conformance::fixture::history::changed_fields;
use postbridge::store::contract::conformance::fixture::reason::skip_code;
use postbridge::store::contract::operator::ToKeep;
use postbridge::store::contract::work::{ClaimRequest, WantedWork};
use postbridge::store::embedded::Embedded;
use postbridge::store::engine::faulty::{FaultAt, Faulty, ReadFault};
use postbridge::store::engine::memory::Memory;
use serde_json::{Value, json};

use crate::support::dispatch_fixture::{DispatchFixture, TAKEN, Target, draft, plan, until};
use crate::support::platform::{Act, Gate, Platform};

async fn taking() -> Platform {
    Platform::start(|_| Act::ok(TAKEN))
}

/// Does this to every request once its gate is open.
async fn behind_a_gate(act: Act) -> (Platform, Gate) {
    let gate = Gate::shut();
    let kept = gate.clone();
    (Platform::start(move |_| Act::Behind(kept.clone(), Box::new(act.clone()))), gate)
}

#[tokio::test]
async fn a_conversion_that_is_rejected_before_it_was_sent_is_skipped() {
    let platform = taking().await;
    let targets = [Target::new("a", platform.url(""))];
    let fixture = DispatchFixture::new(&targets);
    let sale = fixture.sale("t").await;
    assert_eq!(fixture.receive("t", Status::Rejected, None).await, sale);
    let dispatch = fixture.dispatch(&targets);
    let (delivery, _) = fixture.reaches(sale, "skipped").await;
    assert_eq!(skip_code(&delivery.state), Some(SkipCode::StatusNotForwarded));
    assert_eq!(platform.count(), 0);
    dispatch.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_second_approval_never_sends_twice() {
    let platform = taking().await;
    let targets = [Target::new("a", platform.url(""))];
    let fixture = DispatchFixture::new(&targets);
    let dispatch = fixture.dispatch(&targets);
    let sale = fixture.sale("t").await;
    fixture.reaches(sale, "delivered").await;
    for status in [Status::Rejected, Status::Approved, Status::Pending, Status::Approved] {
        fixture.receive("t", status, None).await;
    }
    // Another sale goes through the same worker after all that.
    let marker = fixture.sale("marker").await;
    fixture.reaches(marker, "delivered").await;
    let reported = platform.received();
    assert_eq!(reported.iter().filter(|request| request.json()["transaction"] == "t").count(), 1);
    dispatch.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_destination_that_hears_of_changes_is_reported_of_a_rejection_and_not_before_it_knew() {
    let platform = taking().await;
    let targets = [Target { changes: "send", ..Target::new("a", platform.url("")) }];
    let fixture = DispatchFixture::new(&targets);
    let dispatch = fixture.dispatch(&targets);
    let sale = fixture.sale("t").await;
    fixture.reaches(sale, "delivered").await;
    fixture.receive("t", Status::Rejected, None).await;
    platform.wait_for(2).await;
    let ids: HashSet<String> =
        platform.received().iter().map(|request| request.json()["id"].to_string()).collect();
    assert_eq!(ids.len(), 1, "one event id over all occasions");
    dispatch.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn after_a_withdrawal_a_change_of_what_was_sent_names_ids_alone_and_nothing_new_is_sent() {
    let platform = taking().await;
    let targets = [Target { changes: "send", ..Target::new("a", platform.url("")) }];
    let fixture = DispatchFixture::new(&targets);
    let dispatch = fixture.dispatch(&targets);
    let reported = |transaction: &str, status: Status, ad_user_data: bool| {
        let mut reported = draft(transaction, status);
        reported.traits.0.insert(CustomerTrait::Email, "ann@example.com".to_owned());
        reported.consent = Consent { ad_user_data: Some(ad_user_data), ad_personalization: None };
        reported
    };
    let sold = fixture.arrive(reported("t", Status::Approved, true)).await;
    fixture.reaches(sold, "delivered").await;
    fixture.arrive(reported("t", Status::Rejected, false)).await;
    platform.wait_for(2).await;
    let fresh = fixture.arrive(reported("u", Status::Approved, false)).await;
    let (delivery, _) = fixture.reaches(fresh, "skipped").await;
    assert_eq!(skip_code(&delivery.state), Some(SkipCode::ConsentDenied));
    dispatch.stop(Duration::from_secs(5)).await;
    let bodies: Vec<Value> = platform.received().iter().map(|request| request.json()).collect();
    assert_eq!(bodies.len(), 2, "{bodies:?}");
    assert_eq!((&bodies[0]["email"], &bodies[1]["email"]), (&json!("ann@example.com"), &Value::Null));
    assert_eq!((&bodies[0]["id"], &bodies[0]["transaction"]), (&bodies[1]["id"], &bodies[1]["transaction"]));
    let history = fixture.store.conversion(sold).await.unwrap().unwrap().conversion.history;
    assert!(
        changed_fields(&history[0]).contains(&["ad_user_data", "granted", "denied"].map(str::to_owned)),
        "{history:?}"
    );
}

#[tokio::test]
async fn a_template_that_cannot_say_that_personalization_was_refused_leaves_a_remark() {
    let platform = taking().await;
    let targets = [Target::new("a", platform.url(""))];
    let fixture = DispatchFixture::new(&targets);
    let dispatch = fixture.dispatch(&targets);
    let mut reported = draft("t", Status::Approved);
    reported.consent = Consent { ad_user_data: Some(true), ad_personalization: Some(false) };
    let sold = fixture.arrive(reported).await;
    let (_, attempts) = fixture.reaches(sold, "delivered").await;
    assert_eq!(attempts[0].remarks, [Remark::PersonalizationNotExpressed]);
    let agreed = fixture.sale("u").await;
    assert_eq!(fixture.reaches(agreed, "delivered").await.1[0].remarks, []);
    dispatch.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_change_during_the_first_delivery_is_sent_after_it() {
    let (platform, gate) = behind_a_gate(Act::ok(TAKEN)).await;
    let targets = [Target { changes: "send", ..Target::new("a", platform.url("")) }];
    let fixture = DispatchFixture::new(&targets);
    let dispatch = fixture.dispatch(&targets);
    let sale = fixture.sale("t").await;
    platform.wait_for(1).await;
    fixture.receive("t", Status::Rejected, None).await;
    gate.open();
    platform.wait_for(2).await;
    dispatch.stop(Duration::from_secs(5)).await;
    let reported: Vec<(Occasion, &str)> =
        fixture.deliveries(sale).await.iter().map(|(one, _)| (one.occasion, one.state.as_str())).collect();
    assert_eq!(reported, [(Occasion::First, "delivered"), (Occasion::Change(1), "delivered")]);
}

#[tokio::test]
async fn a_destination_that_hears_of_changes_is_not_reported_of_the_rejection_of_what_it_never_knew() {
    let platform = taking().await;
    let targets = [Target { changes: "send", ..Target::new("a", platform.url("")) }];
    let fixture = DispatchFixture::new(&targets);
    let sale = fixture.receive("t", Status::Pending, None).await;
    fixture.receive("t", Status::Approved, None).await;
    fixture.receive("t", Status::Rejected, None).await;
    let dispatch = fixture.dispatch(&targets);
    let (delivery, _) = fixture.reaches(sale, "skipped").await;
    assert_eq!(delivery.occasion, Occasion::Change(1), "approved was the first that would be sent");
    assert_eq!(platform.count(), 0);
    dispatch.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn two_claims_never_hand_out_the_same_delivery() {
    let targets = [Target::new("a", "http://127.0.0.1:1".to_owned())];
    let fixture = DispatchFixture::new(&targets);
    fixture.sales("t", 200).await;
    let claim = || {
        let request = ClaimRequest {
            target: TargetId::Account(DestinationId::parse("a").unwrap()),
            now: fixture.clock.now().plus_millis(1),
            lease_for: Duration::from_secs(60),
            wanted: WantedWork::Due { fresh: 30, retries: 30 },
        };
        fixture.store.claim(request)
    };
    let claims = futures_util::future::join_all((0..10).map(|_| claim())).await;
    let handed: Vec<String> =
        claims.into_iter().flat_map(|claim| claim.unwrap().work).map(|work| work.id.to_string()).collect();
    assert_eq!(handed.len(), 200);
    assert_eq!(handed.iter().collect::<HashSet<_>>().len(), 200);
}

#[tokio::test]
async fn two_dispatches_over_one_store_send_every_delivery_once() {
    let platform = taking().await;
    let targets = [Target::new("a", platform.url(""))];
    let fixture = DispatchFixture::new(&targets);
    let sales = fixture.sales("t", 200).await;
    let (one, other) = (fixture.dispatch(&targets), fixture.dispatch(&targets));
    fixture.all_reach(&sales, "delivered").await;
    assert_eq!(platform.count(), 200);
    one.stop(Duration::from_secs(5)).await;
    other.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_stop_waits_for_what_is_in_flight() {
    let (platform, gate) = behind_a_gate(Act::ok(TAKEN)).await;
    let targets = [Target { max_in_flight: 1, ..Target::new("a", platform.url("")) }];
    let fixture = DispatchFixture::new(&targets);
    let dispatch = fixture.dispatch(&targets);
    let sales = fixture.sales("t", 5).await;
    platform.wait_for(1).await;
    // The stop has begun when the answer is let go: until then the one place is taken.
    let answered = async { gate.open() };
    futures_util::future::join(dispatch.stop(Duration::from_secs(5)), answered).await;
    let mut words = Vec::new();
    for sale in sales {
        words.push(fixture.delivery(sale).await.0.state.as_str());
    }
    assert_eq!(words.iter().filter(|word| **word == "delivered").count(), 1, "{words:?}");
    assert_eq!(words.iter().filter(|word| **word == "waiting").count(), 4, "{words:?}");
    assert_eq!(platform.count(), 1, "nothing more was claimed");
}

#[tokio::test]
async fn a_stop_whose_grace_ends_gives_the_rest_back() {
    let platform = Platform::start(|_| Act::Hang);
    let targets = [Target::new("a", platform.url(""))];
    let fixture = DispatchFixture::new(&targets);
    let dispatch = fixture.dispatch(&targets);
    let sale = fixture.sale("t").await;
    platform.wait_for(1).await;
    dispatch.stop(Duration::from_millis(20)).await;
    assert_eq!(fixture.delivery(sale).await.0.attempts, 0);
    platform.script(|_| Act::ok(TAKEN));
    let again = fixture.dispatch(&targets);
    fixture.reaches(sale, "delivered").await;
    let ids: HashSet<String> = platform.received().iter().map(|r| r.json()["id"].to_string()).collect();
    assert_eq!((platform.count(), ids.len()), (2, 1));
    again.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn what_a_platform_took_before_the_grace_ended_is_recorded_and_not_sent_again() {
    let (platform, gate) = behind_a_gate(Act::ok(TAKEN)).await;
    let targets = [Target::new("a", platform.url(""))];
    let disk = Faulty::over(Memory::new());
    let store = Embedded::open(Arc::new(disk.clone()), Arc::default()).unwrap();
    let fixture = DispatchFixture::on(Arc::new(store), &targets);
    let dispatch = fixture.dispatch(&targets);
    let sale = fixture.sale("t").await;
    platform.wait_for(1).await;
    let syncs = disk.hold(FaultAt::BeforeSync);
    let earlier = fixture.store.keep(ToKeep::Text { name: "name".to_owned(), text: "text".to_owned() });
    syncs.reached.recv().unwrap();
    gate.open();
    until("the answer is in", || dispatch.states()[0].in_flight == 0).await;
    dispatch.stop(Duration::from_millis(20)).await;
    drop(syncs);
    earlier.await.unwrap();
    let (delivery, attempts) = fixture.reaches(sale, "delivered").await;
    assert_eq!((delivery.attempts, attempts[0].effect), (1, AttemptEffect::Settled));
    let again = fixture.dispatch(&targets);
    let other = fixture.sale("u").await;
    fixture.reaches(other, "delivered").await;
    assert_eq!(platform.count(), 2, "one request for each sale");
    again.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_reload_adds_changes_and_ends_workers_without_losing_what_is_in_flight() {
    let (slow, gate) = behind_a_gate(Act::ok(TAKEN)).await;
    let (fine, moved) = (taking().await, taking().await);
    let targets = [
        Target::new("slow", slow.url("")),
        Target::new("fine", fine.url("")),
        Target::new("new", moved.url("")),
    ];
    let fixture = DispatchFixture::new(&targets);
    let dispatch = fixture.dispatch(&targets[..2]);
    let sale = fixture.sale("one").await;
    slow.wait_for(1).await;
    fine.wait_for(1).await;
    // `slow` is taken out while it answers, `fine` moves, `new` is added.
    dispatch.reload(plan(&[Target::new("fine", moved.url("")), targets[2].clone()]));
    let names: Vec<String> = dispatch.states().iter().map(|state| state.destination.to_string()).collect();
    assert_eq!(names, ["fine", "new"]);
    fixture.sale("two").await;
    moved.wait_for(3).await;
    assert_eq!(fine.count(), 1);
    assert_eq!(slow.count(), 1);
    gate.open();
    let delivered = || async {
        let all = fixture.deliveries(sale).await;
        all.iter().filter(|(delivery, _)| delivery.state.as_str() == "delivered").count()
    };
    for _ in 0..1_000 {
        if delivered().await == 3 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(delivered().await, 3, "what was in flight at `slow` was recorded");
    dispatch.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn what_would_be_tried_again_at_a_destination_that_is_gone_waits_and_goes_on_when_it_is_put_back() {
    let (platform, gate) = behind_a_gate(Act::status(503, "")).await;
    let targets = [Target::new("a", platform.url(""))];
    let fixture = DispatchFixture::new(&targets);
    let dispatch = fixture.dispatch(&targets);
    let sale = fixture.sale("t").await;
    platform.wait_for(1).await;
    dispatch.reload(plan(&[]));
    gate.open();
    fixture.has_attempts(sale, 1).await;
    let (delivery, attempts) = fixture.delivery(sale).await;
    assert_eq!((delivery.attempts, attempts[0].verdict.as_str()), (1, "retry"));
    assert!(matches!(delivery.state, DeliveryState::Waiting { .. }), "{delivery:?}");
    let gentle = taking().await;
    dispatch.reload(plan(&[Target::new("a", gentle.url(""))]));
    fixture.reaches(sale, "delivered").await;
    dispatch.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_worker_claims_what_was_waiting_before_it_started() {
    let platform = taking().await;
    let targets = [Target::new("a", platform.url(""))];
    let fixture = DispatchFixture::new(&targets);
    let sales = fixture.sales("t", 500).await;
    let dispatch = fixture.dispatch(&targets);
    fixture.all_reach(&sales, "delivered").await;
    assert_eq!(platform.count(), 500);
    until("counted", || dispatch.states()[0].delivered == 500).await;
    dispatch.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_store_that_fails_is_reported_and_ends_every_worker() {
    let platform = taking().await;
    let targets = [Target::new("a", platform.url("")), Target::new("b", platform.url(""))];
    let disk = Faulty::over(Memory::new());
    let store = Embedded::open(Arc::new(disk.clone()), Arc::default()).unwrap();
    let fixture = DispatchFixture::on(Arc::new(store), &targets);
    fixture.sale("t").await;
    disk.fail(FaultAt::BeforeWrite, 0, "no space left on device");
    let dispatch = fixture.dispatch(&targets);
    let mut faults = dispatch.faults();
    let fault = tokio::time::timeout(Duration::from_secs(5), faults.wait_for(Option::is_some)).await;
    let reported = fault.unwrap().unwrap().clone().unwrap().to_string();
    assert!(reported.contains("no space left on device"), "{reported}");
    let begun = postbridge::clock::stopwatch();
    dispatch.stop(Duration::from_secs(5)).await;
    assert!(begun.elapsed() < Duration::from_secs(4), "the workers had ended before");
}

#[tokio::test]
async fn a_delivery_whose_record_is_damaged_while_it_is_out_ends_no_worker() {
    let disk = Faulty::over(Memory::new());
    let (damaged, is_met) = (disk.clone(), Arc::new(AtomicBool::new(false)));
    let met = Arc::clone(&is_met);
    let platform = Platform::start(move |received| {
        if received.number == 0 {
            // What becomes of deliveries is written there.
            let met = Arc::clone(&met);
            damaged.cannot_read(ReadFault::DamagedPage, move |key| {
                let is_there = key.starts_with(b"X");
                met.fetch_or(is_there, Ordering::SeqCst);
                is_there
            });
        }
        Act::ok(TAKEN)
    });
    let targets = [Target::new("a", platform.url(""))];
    let store = Embedded::open(Arc::new(disk.clone()), Arc::default()).unwrap();
    let fixture = DispatchFixture::on(Arc::new(store), &targets);
    let dispatch = fixture.dispatch(&targets);
    fixture.sale("damaged").await;
    platform.wait_for(1).await;
    until("the damage is met", || is_met.load(Ordering::SeqCst)).await;
    disk.can_read();
    let sales = fixture.sales("t", 20).await;
    fixture.all_reach(&sales, "delivered").await;
    assert!(dispatch.faults().borrow().is_none());
    dispatch.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn counters_say_what_happened_by_destination_and_class() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let _bound = metrics::set_default_local_recorder(&recorder);
    let platform = Platform::start(|received| match received.number {
        0 => Act::status(503, "busy"),
        1 => Act::ok(TAKEN),
        _ => Act::status(400, "a reason of many words"),
    });
    let targets = [Target { max_in_flight: 1, ..Target::new("a", platform.url("")) }];
    let fixture = DispatchFixture::new(&targets);
    let dispatch = fixture.dispatch(&targets);
    let first = fixture.sale("t").await;
    fixture.reaches(first, "delivered").await;
    let second = fixture.sale("u").await;
    fixture.reaches(second, "dead").await;
    dispatch.stop(Duration::from_secs(5)).await;
    let text = recorder.handle().render();
    for line in [
        "postbridge_attempts_total{destination=\"a\",reason_code=\"platform_unavailable\"} 1",
        "postbridge_attempts_total{destination=\"a\",reason_code=\"delivered\"} 1",
        "postbridge_attempts_total{destination=\"a\",reason_code=\"platform_rejected\"} 1",
        "postbridge_dead_total{destination=\"a\",reason_code=\"platform_rejected\"} 1",
        "postbridge_delivery_seconds_count{destination=\"a\",try=\"retry\"} 1",
        "postbridge_in_flight{destination=\"a\"} 0",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    assert!(!text.contains("many words"));
}
