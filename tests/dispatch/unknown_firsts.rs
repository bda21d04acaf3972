//! What is rejected before anyone knows whether the platform took it.

use std::time::Duration;

use postbridge::dispatch::DispatchWaits;
use postbridge::dispatch::schedule::Schedule;
use postbridge::domain::ids::ConversionId;
use postbridge::domain::sent::DeliveryKind;
use postbridge::domain::skip::SkipReason;
use postbridge::domain::status::Status;

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
