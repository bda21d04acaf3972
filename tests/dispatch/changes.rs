//! What becomes of a conversion's changes at a platform that was sent it: restated, taken back, or skipped and said so.

use postbridge::clock::Clock;
use postbridge::domain::change_rules::OnRejected;
use postbridge::domain::click::CustomerTrait;
use postbridge::domain::consent::Consent;
use postbridge::domain::conversion::Draft;
use postbridge::domain::delivery::{Delivery, DeliveryState};
use postbridge::domain::delivery_reason::RetryRefused;
use postbridge::domain::expiry::AgeRule;
use postbridge::domain::ids::Occasion;
use postbridge::domain::money::{Currency, Money};
use postbridge::domain::sent::DeliveryKind;
use postbridge::domain::skip::{SkipReason, Unneeded};
use postbridge::domain::status::Status;
use postbridge::domain::time::HOUR_MS;
use postbridge::store::contract::conformance::fixture::received::usd;
use serde_json::{Value, json};

use crate::support::change_relay::{REVERSIBLE, Relay, behind_a_gate, pairs, reason, stop, taking, worth};
use crate::support::dispatch_fixture::{TAKEN, draft};
use crate::support::platform::Act;

#[tokio::test]
async fn a_change_before_its_first_was_sent_is_in_the_first_and_is_not_sent_on_its_own() {
    let relay = Relay::with(REVERSIBLE, taking());
    let sale = relay.reported(Status::Approved, "7").await;
    relay.reported(Status::Approved, "9").await;
    let dispatch = relay.start();
    let all = relay.reach(sale, &["delivered"]).await;
    assert_eq!((all[0].kind, all[0].occasion), (DeliveryKind::Event, Occasion::First));
    stop(dispatch).await;
    assert_eq!(relay.said(), pairs(&[("event", 9)]));
}

#[tokio::test]
async fn a_change_while_its_first_is_out_is_sent_once_that_is_delivered() {
    let (platform, gate) = behind_a_gate(Act::ok(TAKEN));
    let relay = Relay::with(REVERSIBLE, platform);
    let dispatch = relay.start();
    let sale = relay.reported(Status::Approved, "7").await;
    relay.platform.wait_for(1).await;
    relay.reported(Status::Approved, "9").await;
    assert_eq!(relay.deliveries(sale).await.len(), 1, "nothing is planned before the first has ended");
    gate.open();
    let all = relay.reach(sale, &["delivered", "delivered"]).await;
    assert_eq!(all[1].kind, DeliveryKind::Restate);
    stop(dispatch).await;
    assert_eq!(relay.said(), pairs(&[("event", 7), ("restate", 9)]));
    let bodies = relay.bodies();
    assert_eq!((&bodies[1]["before"], &bodies[1]["name"]), (&json!(7), &json!("purchase")));
    assert_eq!(bodies[1]["id"], bodies[0]["id"]);
}

#[tokio::test]
async fn a_change_of_what_died_has_nothing_to_change_and_a_retry_of_that_sends_todays_value() {
    let (platform, gate) = behind_a_gate(Act::status(400, "{}"));
    let relay = Relay::with(REVERSIBLE, platform);
    let dispatch = relay.start();
    let sale = relay.reported(Status::Approved, "7").await;
    relay.platform.wait_for(1).await;
    relay.reported(Status::Approved, "8").await;
    gate.open();
    let all = relay.reach(sale, &["dead", "skipped"]).await;
    let unneeded = SkipReason::NothingToChange(Unneeded::NotDelivered);
    assert_eq!(reason(&all[1]), Some(&unneeded), "that was received while it was out");
    relay.reported(Status::Approved, "9").await;
    let all = relay.deliveries(sale).await;
    assert_eq!(all.len(), 2, "it is said once: {all:?}");
    let retry =
        |one: &Delivery| relay.fixture.store.retry(one.id(sale), relay.fixture.clock.now(), AgeRule::Counts);
    retry(&all[0]).await.unwrap().unwrap();
    let all = relay.reach(sale, &["delivered", "skipped"]).await;
    assert_eq!(retry(&all[1]).await.unwrap(), Err(RetryRefused::Superseded));
    stop(dispatch).await;
    assert_eq!(relay.said(), pairs(&[("event", 7), ("event", 9)]));
}

#[tokio::test]
async fn a_rejection_of_what_was_skipped_has_nothing_to_take_back() {
    let relay = Relay::with(REVERSIBLE, taking());
    let refused = Consent { ad_user_data: Some(false), ad_personalization: None };
    let dispatch = relay.start();
    let sale = relay.fixture.arrive(Draft { consent: refused, ..worth(Status::Approved, "7") }).await;
    relay.reach(sale, &["skipped"]).await;
    stop(dispatch).await;
    relay.reported(Status::Rejected, "7").await;
    let all = relay.deliveries(sale).await;
    let unneeded = SkipReason::NothingToChange(Unneeded::NotDelivered);
    assert_eq!((all.len(), reason(&all[1])), (2, Some(&unneeded)), "{all:?}");
}

#[tokio::test]
async fn a_change_waits_until_its_first_is_old_enough() {
    let clock = Clock::fixed(Clock::system().now());
    let changes = "on_value = \"restate\"\non_rejected = \"retract\"\nmin_age_hours = 24";
    let relay = Relay::by(clock.clone(), changes, None, taking());
    let dispatch = relay.start();
    let sale = relay.reported(Status::Approved, "7").await;
    let all = relay.reach(sale, &["delivered"]).await;
    let DeliveryState::Delivered { at, .. } = all[0].state else { panic!("{all:?}") };
    clock.set(clock.now().plus_millis(HOUR_MS));
    relay.reported(Status::Approved, "8").await;
    let due = at.plus_millis(24 * HOUR_MS);
    assert_eq!(relay.deliveries(sale).await[1].state, DeliveryState::Waiting { due });
    relay.reported(Status::Rejected, "8").await;
    let all = relay.deliveries(sale).await;
    assert_eq!((all.len(), all[1].kind), (2, DeliveryKind::Retract), "what waits becomes the latest change");
    clock.set(due);
    // A worker looks at its clock when it is woken.
    relay.fixture.sale("other").await;
    relay.reach(sale, &["delivered", "delivered"]).await;
    stop(dispatch).await;
    let said = relay.said().into_iter().filter(|(_, value)| !value.is_null()).collect::<Vec<_>>();
    assert_eq!(said, pairs(&[("event", 7), ("retract", 7)]));
}

#[tokio::test]
async fn a_change_that_is_as_it_was_again_at_its_turn_is_not_sent() {
    let clock = Clock::fixed(Clock::system().now());
    let changes = "on_value = \"restate\"\non_rejected = \"retract\"\nmin_age_hours = 1";
    let relay = Relay::by(clock.clone(), changes, None, taking());
    let (dispatch, sale) = relay.sold().await;
    relay.reported(Status::Rejected, "7").await;
    relay.reported(Status::Approved, "7").await;
    clock.set(clock.now().plus_millis(HOUR_MS));
    relay.fixture.sale("other").await;
    let all = relay.reach(sale, &["delivered", "skipped"]).await;
    assert_eq!(reason(&all[1]), Some(&SkipReason::NothingToChange(Unneeded::AsSent)));
    stop(dispatch).await;
    assert!(relay.said().iter().all(|(kind, _)| kind == "event"));
}

#[tokio::test]
async fn a_change_of_an_event_that_is_too_old_for_changes_is_skipped() {
    let clock = Clock::fixed(Clock::system().now());
    let changes = "on_value = \"restate\"\non_rejected = \"retract\"\nmax_age_hours = 24";
    let relay = Relay::by(clock.clone(), changes, None, taking());
    let dispatch = relay.start();
    let happened = clock.now();
    let sale = relay.reported(Status::Approved, "7").await;
    relay.reach(sale, &["delivered"]).await;
    clock.set(clock.now().plus_millis(24 * HOUR_MS + 1));
    relay.reported(Status::Rejected, "7").await;
    let all = relay.reach(sale, &["delivered", "skipped"]).await;
    let too_old = SkipReason::TooOld { event_time: happened, max_age_ms: 24 * HOUR_MS };
    assert_eq!(reason(&all[1]), Some(&too_old));
    stop(dispatch).await;
    assert_eq!(relay.platform.count(), 1);
    assert_eq!(relay.marked(sale).await, 1, "the platform still counts it");
    relay.reported(Status::Approved, "7").await;
    assert_eq!(relay.marked(sale).await, 0);
}

#[tokio::test]
async fn what_is_taken_back_is_what_was_sent_and_not_what_is_so_today() {
    let relay = Relay::with("on_rejected = \"retract\"", taking());
    let dispatch = relay.start();
    let happened = relay.fixture.clock.now().plus_millis(-HOUR_MS);
    let sold = Draft { event_time: Some(happened), ..worth(Status::Approved, "7.00") };
    let sale = relay.fixture.arrive(sold).await;
    relay.reach(sale, &["delivered"]).await;
    relay.reported(Status::Approved, "9.50").await;
    assert_eq!(relay.deliveries(sale).await.len(), 1, "the platform cannot be informed of another value");
    relay.reported(Status::Rejected, "9.50").await;
    let all = relay.reach(sale, &["delivered", "delivered"]).await;
    assert_eq!((all[1].kind, all[1].occasion), (DeliveryKind::Retract, Occasion::Change(2)));
    stop(dispatch).await;
    let taken_back = relay.platform.received().remove(1);
    assert!(String::from_utf8_lossy(&taken_back.body).contains("\"value\":7.00"), "digit for digit");
    let taken_back = taken_back.json();
    assert_eq!((&taken_back["kind"], &taken_back["transaction"]), (&json!("retract"), &json!("t")));
    assert_eq!(taken_back["time"], json!(happened.as_millis()));
}

#[tokio::test]
async fn what_is_taken_back_is_the_value_that_was_sent_last() {
    let relay = Relay::with(REVERSIBLE, taking());
    let (dispatch, sale) = relay.sold().await;
    relay.reported(Status::Approved, "9").await;
    relay.reach(sale, &["delivered"; 2]).await;
    relay.reported(Status::Scrubbed, "5").await;
    relay.reach(sale, &["delivered"; 3]).await;
    stop(dispatch).await;
    assert_eq!(relay.said(), pairs(&[("event", 7), ("restate", 9), ("retract", 9)]));
}

#[tokio::test]
async fn a_sale_that_is_approved_again_after_it_was_taken_back_is_irreversible() {
    let relay = Relay::with(REVERSIBLE, taking());
    let (dispatch, sale) = relay.sold().await;
    relay.reported(Status::Rejected, "7").await;
    relay.reach(sale, &["delivered"; 2]).await;
    relay.reported(Status::Approved, "7").await;
    let all = relay.reach(sale, &["delivered", "delivered", "skipped"]).await;
    assert_eq!(reason(&all[2]), Some(&SkipReason::Irreversible { status: Status::Approved }));
    assert_eq!(relay.marked(sale).await, 1);
    relay.reported(Status::Rejected, "7").await;
    let known = (relay.deliveries(sale).await.len(), relay.marked(sale).await);
    assert_eq!(known, (3, 0), "it is as the platform has it");
    stop(dispatch).await;
    assert_eq!(relay.platform.count(), 2);
}

#[tokio::test]
async fn a_platform_that_restates_what_was_taken_back_is_sent_the_value_again() {
    let changes = "on_value = \"restate\"\non_rejected = \"retract\"\nafter_retract = \"restate\"";
    let relay = Relay::with(changes, taking());
    let (dispatch, sale) = relay.sold().await;
    relay.reported(Status::Rejected, "7").await;
    relay.reach(sale, &["delivered"; 2]).await;
    relay.reported(Status::Approved, "8").await;
    relay.reach(sale, &["delivered"; 3]).await;
    stop(dispatch).await;
    assert_eq!(relay.said(), pairs(&[("event", 7), ("retract", 7), ("restate", 8)]));
}

#[tokio::test]
async fn what_a_platform_cannot_take_back_is_skipped_and_marks_the_conversion_until_it_counts_again() {
    let relay = Relay::with("", taking());
    let (dispatch, sale) = relay.sold().await;
    relay.reported(Status::Approved, "8").await;
    assert_eq!(relay.deliveries(sale).await.len(), 1, "of another value nothing is said");
    relay.reported(Status::Rejected, "8").await;
    let all = relay.deliveries(sale).await;
    assert_eq!(reason(&all[1]), Some(&SkipReason::Irreversible { status: Status::Rejected }));
    assert_eq!((all[1].kind, relay.marked(sale).await), (DeliveryKind::Retract, 1));
    relay.reported(Status::Rejected, "9").await;
    assert_eq!(relay.deliveries(sale).await.len(), 2, "it counts no less than before");
    assert_eq!(relay.marked(sale).await, 1);
    relay.reported(Status::Approved, "9").await;
    assert_eq!(relay.marked(sale).await, 0);
    stop(dispatch).await;
    assert_eq!(relay.platform.count(), 1);
}

/// Rejected sales are zeroed by the choice of a destination alone.
const ZERO_BY_CHOICE: &str = "on_value = \"restate\"\non_rejected_choices = [\"zero\"]";

#[tokio::test]
async fn what_a_destination_zeroes_by_choice_is_worth_its_value_again_once_it_is_approved() {
    let relay = Relay::by(Clock::system(), ZERO_BY_CHOICE, Some(OnRejected::Zero), taking());
    let (dispatch, sale) = relay.sold().await;
    relay.reported(Status::Rejected, "7").await;
    relay.reach(sale, &["delivered"; 2]).await;
    relay.reported(Status::Approved, "7").await;
    relay.reach(sale, &["delivered"; 3]).await;
    stop(dispatch).await;
    assert_eq!(relay.said(), pairs(&[("event", 7), ("restate", 0), ("restate", 7)]));
}

#[tokio::test]
async fn without_that_choice_a_rejected_sale_is_irreversible() {
    let relay = Relay::with(ZERO_BY_CHOICE, taking());
    let (dispatch, sale) = relay.sold().await;
    relay.reported(Status::Rejected, "7").await;
    let all = relay.reach(sale, &["delivered", "skipped"]).await;
    assert_eq!(reason(&all[1]), Some(&SkipReason::Irreversible { status: Status::Rejected }));
    stop(dispatch).await;
}

#[tokio::test]
async fn a_change_of_a_visitor_who_refused_since_names_ids_alone() {
    let relay = Relay::with(REVERSIBLE, taking());
    let dispatch = relay.start();
    let by = |status, ad_user_data| {
        let mut reported = worth(status, "7");
        reported.traits.0.insert(CustomerTrait::Email, "ann@example.com".to_owned());
        Draft { consent: Consent { ad_user_data: Some(ad_user_data), ad_personalization: None }, ..reported }
    };
    let sale = relay.fixture.arrive(by(Status::Approved, true)).await;
    relay.reach(sale, &["delivered"]).await;
    relay.fixture.arrive(by(Status::Rejected, false)).await;
    relay.reach(sale, &["delivered"; 2]).await;
    stop(dispatch).await;
    assert_eq!(relay.said(), pairs(&[("event", 7), ("retract", 7)]));
    let emails: Vec<Value> = relay.bodies().iter().map(|body| body["email"].clone()).collect();
    assert_eq!(emails, [json!("ann@example.com"), Value::Null]);
}

#[tokio::test]
async fn a_change_that_is_received_again_is_sent_once() {
    let relay = Relay::with(REVERSIBLE, taking());
    let (dispatch, sale) = relay.sold().await;
    for _ in 0..3 {
        relay.reported(Status::Rejected, "7").await;
        relay.reach(sale, &["delivered"; 2]).await;
    }
    let marker = relay.fixture.sale("marker").await;
    relay.fixture.reaches(marker, "delivered").await;
    stop(dispatch).await;
    assert_eq!(relay.said().iter().filter(|(kind, _)| kind == "retract").count(), 1);
}

#[tokio::test]
async fn another_currency_is_another_value() {
    let relay = Relay::with(REVERSIBLE, taking());
    let (dispatch, sale) = relay.sold().await;
    let value = Money { currency: Currency::parse("EUR").unwrap(), ..usd("7") };
    relay.fixture.arrive(Draft { value: Some(value), ..draft("t", Status::Approved) }).await;
    let all = relay.reach(sale, &["delivered"; 2]).await;
    assert_eq!(all[1].kind, DeliveryKind::Restate);
    stop(dispatch).await;
}
