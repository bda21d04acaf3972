//! What is rejected before anyone knows whether the platform took it.

use std::time::Duration;

use postbridge::clock::Clock;
use postbridge::dispatch::schedule::Schedule;
use postbridge::dispatch::{Dispatch, DispatchWaits};
use postbridge::domain::ids::ConversionId;
use postbridge::domain::sent::DeliveryKind;
use postbridge::domain::skip::SkipReason;
use postbridge::domain::status::Status;
use postbridge::domain::time::HOUR_MS;

use crate::support::change_relay::{REVERSIBLE, Relay, pairs, reason, stop};
use crate::support::dispatch_fixture::{TAKEN, quick};
use crate::support::platform::{Act, Platform};

/// Its first request is lost, and it takes what follows.
fn losing_the_first(act: Act) -> Platform {
    Platform::start(move |received| if received.number == 0 { act.clone() } else { Act::ok(TAKEN) })
}

/// A sale worth 7 whose first attempt ends so, and which is rejected before the next.
async fn rejected_after(changes: &'static str, act: Act) -> (Relay, ConversionId) {
    let relay = Relay::with(changes, losing_the_first(act));
    let slow = DispatchWaits { schedule: Schedule { steps: vec![300], then_every: 300 }, ..quick() };
    let dispatch = relay.start_by(slow);
    let sale = relay.reported(Status::Approved, "7").await;
    relay.fixture.has_attempts(sale, 1).await;
    relay.reported(Status::Rejected, "7").await;
    for _ in 0..1_000 {
        if relay.deliveries(sale).await[0].state.as_str() != "waiting" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    stop(dispatch).await;
    (relay, sale)
}

#[tokio::test]
async fn what_is_rejected_while_no_one_knows_whether_it_was_taken_is_taken_back() {
    let (relay, sale) = rejected_after(REVERSIBLE, Act::BreakOff).await;
    assert_eq!(relay.said(), pairs(&[("event", 7), ("retract", 7)]));
    let all = relay.deliveries(sale).await;
    assert_eq!((all.len(), all[0].kind, all[0].state.as_str()), (1, DeliveryKind::Retract, "delivered"));
    assert_eq!(relay.marked(sale).await, 0);
}

#[tokio::test]
async fn where_it_cannot_be_taken_back_that_is_irreversible_and_marks_it() {
    let (relay, sale) = rejected_after("", Act::BreakOff).await;
    assert_eq!(relay.said(), pairs(&[("event", 7)]));
    let all = relay.deliveries(sale).await;
    assert_eq!(reason(&all[0]), Some(&SkipReason::Irreversible { status: Status::Rejected }));
    assert_eq!(relay.marked(sale).await, 1);
}

#[tokio::test]
async fn of_what_the_platform_did_not_take_a_rejection_says_nothing() {
    for changes in [REVERSIBLE, ""] {
        let (relay, sale) = rejected_after(changes, Act::status(503, "{}")).await;
        assert_eq!(relay.said(), pairs(&[("event", 7)]));
        let all = relay.deliveries(sale).await;
        let is_it = matches!(reason(&all[0]), Some(SkipReason::StatusNotForwarded { .. }));
        assert!(is_it && relay.marked(sale).await == 0, "{all:?}");
    }
}

/// A sale whose event and whose retraction got no answer.
async fn unanswered_twice(acts: &'static [Act]) -> (Relay, ConversionId, Dispatch) {
    let platform = Platform::start(move |received| match acts.get(received.number) {
        Some(act) => act.clone(),
        None => Act::ok(TAKEN),
    });
    let relay = Relay::with(REVERSIBLE, platform);
    let slow = DispatchWaits { schedule: Schedule { steps: vec![250], then_every: 250 }, ..quick() };
    let dispatch = relay.start_by(slow);
    let sale = relay.reported(Status::Approved, "7").await;
    relay.fixture.has_attempts(sale, 1).await;
    relay.reported(Status::Rejected, "7").await;
    relay.fixture.has_attempts(sale, acts.len()).await;
    (relay, sale, dispatch)
}

#[tokio::test]
async fn what_takes_it_back_is_sent_until_it_is_answered() {
    let (relay, sale, dispatch) = unanswered_twice(&[Act::BreakOff, Act::BreakOff, Act::Reset]).await;
    let all = relay.reach(sale, &["delivered"]).await;
    stop(dispatch).await;
    assert_eq!(all[0].kind, DeliveryKind::Retract);
    let said = relay.said();
    assert_eq!((&said[0], said.last().unwrap()), (&pairs(&[("event", 7)])[0], &pairs(&[("retract", 7)])[0]));
}

#[tokio::test]
async fn what_is_approved_again_before_it_was_taken_back_is_sent() {
    let (relay, sale, dispatch) = unanswered_twice(&[Act::BreakOff, Act::BreakOff]).await;
    relay.reported(Status::Approved, "7").await;
    let all = relay.reach(sale, &["delivered"]).await;
    stop(dispatch).await;
    assert_eq!((all[0].kind, all.len()), (DeliveryKind::Event, 1));
    assert_eq!(relay.said(), pairs(&[("event", 7), ("retract", 7), ("event", 7)]));
}

#[tokio::test]
async fn what_died_without_an_answer_is_marked_when_it_is_rejected() {
    for act in [Act::BreakOff, Act::status(503, "{}")] {
        let is_unknown = matches!(act, Act::BreakOff);
        let clock = Clock::fixed(Clock::system().now());
        let relay = Relay::by(clock.clone(), REVERSIBLE, None, Platform::start(move |_| act.clone()));
        let hourly =
            DispatchWaits { schedule: Schedule { steps: vec![HOUR_MS], then_every: HOUR_MS }, ..quick() };
        let dispatch = relay.start_by(hourly);
        let sale = relay.reported(Status::Approved, "7").await;
        relay.fixture.has_attempts(sale, 1).await;
        clock.run(8 * 24 * HOUR_MS);
        relay.fixture.expire().await;
        relay.reach(sale, &["dead"]).await;
        relay.reported(Status::Rejected, "7").await;
        let all = relay.reach(sale, &["dead", "skipped"]).await;
        stop(dispatch).await;
        let irreversible = SkipReason::Irreversible { status: Status::Rejected };
        assert_eq!(reason(&all[1]) == Some(&irreversible), is_unknown, "{all:?}");
        assert_eq!(relay.marked(sale).await, usize::from(is_unknown));
    }
}
