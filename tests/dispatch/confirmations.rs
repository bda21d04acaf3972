//! Platforms that accept a request and say later what became of its events: when they are asked, what their answers mean,
//! and that nothing is sent meanwhile.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use postbridge::clock::Clock;
use postbridge::domain::attempt::AttemptPurpose;
use postbridge::domain::code::{CodedReason, ReasonCode};
use postbridge::domain::delivery::DeliveryState;
use postbridge::domain::sent::Confirmation;
use postbridge::domain::time::{HOUR_MS, MINUTE_MS};
use postbridge::template::destination::batch::BatchSize;
use postbridge::template::destination::confirm::{LastAsked, PollSchedule};
use postbridge::template::destination::rendering::DestinationMode;

use crate::support::dispatch_fixture::{Target, plan, until};
use crate::support::later_verdict::{Account, accepting, asked, done, polls, processing, sent};
use crate::support::platform::{Act, Platform};

#[tokio::test]
async fn what_is_accepted_is_asked_about_after_1_5_and_30_minutes_then_hourly_and_not_sent_meanwhile() {
    let platform = accepting(|poll| if poll < 5 { processing() } else { done() });
    let account = Account::at(&platform);
    let sale = account.fixture.sale("t").await;
    account.fixture.reaches(sale, "confirming").await;
    let mut passed = 0;
    for (tries, minutes) in [(1, 1), (2, 5), (3, 30), (4, 90), (5, 150)] {
        account.pass(minutes * MINUTE_MS - passed - 1_000);
        tokio::time::sleep(Duration::from_millis(30)).await;
        assert_eq!(account.tries(sale).await, tries - 1, "a second too early");
        account.pass(2_000);
        account.was_asked(sale, tries).await;
        passed = minutes * MINUTE_MS + 1_000;
    }
    account.pass(HOUR_MS);
    let (delivery, attempts) = account.fixture.reaches(sale, "delivered").await;
    let DeliveryState::Delivered { at, confirmation, later: Some(later) } = delivery.state else { panic!() };
    assert_eq!((confirmation, later.request_id.as_str(), later.tries), (Confirmation::Confirmed, "r 1", 6));
    assert!(later.at.millis_since(at) > 3 * HOUR_MS, "when it was accepted, and when that was confirmed");
    assert_eq!((delivery.attempts, sent(&platform), polls(&platform)), (1, 1, 6));
    let purposes: Vec<AttemptPurpose> = attempts.iter().map(|attempt| attempt.purpose).collect();
    assert_eq!(purposes, [AttemptPurpose::Report, AttemptPurpose::Confirm], "only the last answer is kept");
    let request = attempts[1].request().unwrap();
    assert_eq!((request.method.as_str(), request.body.as_str()), ("GET", ""));
    assert!(request.url.ends_with("/status?id=r%201"), "{request:?}");
    assert!(request.headers.iter().all(|(_, value)| !value.contains("t0p-s3cret")), "{request:?}");
    assert_eq!(platform.received()[1].header("authorization"), Some("Bearer t0p-s3cret"));
    account.stop().await;
}

#[tokio::test]
async fn it_goes_on_being_asked_about_after_a_restart_and_is_not_sent_again() {
    let platform = accepting(|poll| if poll < 1 { processing() } else { done() });
    let account = Account::at(&platform);
    let sales = account.fixture.sales("t", 3).await;
    account.fixture.all_reach(&sales, "confirming").await;
    let Account { fixture, target, dispatch } = account;
    dispatch.stop(Duration::from_secs(5)).await;
    // Much later than it was to be asked.
    fixture.clock.run(3 * HOUR_MS);
    let dispatch = fixture.dispatch(std::slice::from_ref(&target));
    fixture.clock.run(1);
    until("all were asked about", || polls(&platform) >= 3).await;
    // The clock goes on once what was said is on record.
    let is_recorded = |state: &DeliveryState| match state {
        DeliveryState::Confirming { tries, .. } => *tries == 1,
        state => state.as_str() == "delivered",
    };
    for sale in &sales {
        while !is_recorded(&fixture.delivery(*sale).await.0.state) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    fixture.clock.run(2 * MINUTE_MS);
    dispatch.reload(plan(std::slice::from_ref(&target)));
    fixture.all_reach(&sales, "delivered").await;
    assert_eq!((sent(&platform), polls(&platform)), (3, 4));
    dispatch.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn the_events_of_a_request_are_asked_about_together_and_each_has_its_own_verdict() {
    let answer = r#"{"status":"done","failed":[{"why":"unknown","count":1,"events":[1]},{"why":"early","count":"2","events":[3,4]}]}"#;
    let platform = accepting(move |poll| if poll == 0 { done() } else { Act::ok(answer) });
    let batch = BatchSize { max_events: 5, max_wait_ms: 400 };
    let account = Account::sending(&platform, batch);
    // What is sent first after a start is alone.
    let first = account.fixture.sale("first").await;
    account.fixture.reaches(first, "confirming").await;
    account.pass(50 * MINUTE_MS);
    account.is_settled(first).await;
    let (polled, sales) = (polls(&platform), account.fixture.sales("t", 5).await);
    account.fixture.all_reach(&sales, "confirming").await;
    account.pass(MINUTE_MS + 1_000);
    for sale in &sales {
        account.is_settled(*sale).await;
    }
    assert_eq!((sent(&platform), polls(&platform) - polled), (2, 1), "of all that the request carried");
    let mut words = BTreeMap::<&str, usize>::new();
    for sale in &sales {
        let (delivery, attempts) = account.now(*sale).await;
        let position = attempts[0].place.unwrap().position;
        let expected = match position {
            2 => "dead",
            4 | 5 => "waiting",
            _ => "delivered",
        };
        assert_eq!(delivery.state.as_str(), expected, "event {position}: {delivery:?}");
        *words.entry(delivery.state.as_str()).or_default() += 1;
        if let DeliveryState::Dead { reason, .. } = &delivery.state {
            assert_eq!(reason.code().as_str(), "platform_rejected");
            assert!(reason.sentence().contains("unknown"), "{}", reason.sentence());
        }
    }
    assert_eq!(words, BTreeMap::from([("dead", 1), ("delivered", 2), ("waiting", 2)]));
    account.pass(HOUR_MS + 1_000);
    until("those that were early are sent again", || sent(&platform) >= 3).await;
    account.stop().await;
}

#[tokio::test]
async fn where_no_row_names_the_first_event_it_is_in_doubt_which_are_meant() {
    for (named, confirmation, is_in_doubt) in
        [("0", Confirmation::Confirmed, false), ("1", Confirmation::Counted, true)]
    {
        let answer =
            format!(r#"{{"status":"done","failed":[{{"why":"early","count":1,"events":[{named}]}}]}}"#);
        let platform = accepting(move |poll| if poll == 0 { done() } else { Act::ok(&answer) });
        let account = Account::sending(&platform, BatchSize { max_events: 3, max_wait_ms: 400 });
        let first = account.fixture.sale("first").await;
        account.fixture.reaches(first, "confirming").await;
        account.pass(50 * MINUTE_MS);
        account.is_settled(first).await;
        let sales = account.fixture.sales("t", 3).await;
        account.fixture.all_reach(&sales, "confirming").await;
        account.pass(MINUTE_MS + 1_000);
        let mut again = 0;
        for sale in &sales {
            account.is_settled(*sale).await;
            let (delivery, _) = account.now(*sale).await;
            match delivery.state.confirmation() {
                Some(found) => {
                    assert_eq!((found, delivery.possible_repeat), (confirmation, false), "{named}")
                }
                None => {
                    again += 1;
                    assert_eq!(delivery.possible_repeat, is_in_doubt, "{named}: {delivery:?}");
                }
            }
        }
        assert_eq!(again, 1);
        account.stop().await;
    }
}

#[tokio::test]
async fn what_a_platform_never_says_is_unverified_after_a_day_with_its_last_answer() {
    let platform = accepting(|_| processing());
    let account = Account::at(&platform);
    let sale = account.fixture.sale("t").await;
    account.fixture.reaches(sale, "confirming").await;
    account.pass(23 * HOUR_MS);
    account.was_asked(sale, 1).await;
    assert_eq!(account.tries(sale).await, 1, "what was missed is not made up for");
    account.pass(2 * HOUR_MS);
    let (delivery, attempts) = account.fixture.reaches(sale, "delivered").await;
    assert_eq!(delivery.state.confirmation(), Some(Confirmation::Unverified));
    assert_eq!((attempts.len(), attempts[1].purpose, sent(&platform)), (2, AttemptPurpose::Confirm, 1));
    assert_eq!(attempts[1].answer().unwrap().body, br#"{"status":"processing"}"#);
    account.stop().await;
}

#[tokio::test]
async fn an_answer_that_says_nothing_is_asked_for_again_and_says_why() {
    let platform = accepting(|poll| match poll {
        0 => Act::status(403, r#"{"status":"no right to ask"}"#),
        1 => Act::Reset,
        2 => Act::Garbage,
        3 => Act::ok("<html>"),
        4 => Act::ok(r#"{"status":"weather"}"#),
        _ => done(),
    });
    let account = Account::at(&platform);
    let sale = account.fixture.sale("t").await;
    account.fixture.reaches(sale, "confirming").await;
    for (tries, words) in
        [(1, "HTTP 403: no right to ask"), (2, "connection"), (3, ""), (4, "<html>"), (5, "weather")]
    {
        account.pass(2 * HOUR_MS);
        account.was_asked(sale, tries).await;
        let DeliveryState::Confirming { last: Some(last), .. } = account.now(sale).await.0.state else {
            panic!()
        };
        assert!(last.sentence().unwrap().contains(words), "{last:?}");
    }
    assert!(account.dispatch.states()[0].parked.is_none(), "the account may send all the same");
    account.pass(2 * HOUR_MS);
    account.fixture.reaches(sale, "delivered").await;
    assert_eq!(sent(&platform), 1);
    account.stop().await;
}

#[tokio::test]
async fn what_the_platform_had_already_is_a_duplicate_only_after_an_attempt_of_which_no_one_knows() {
    for (is_unknown, expected) in [(true, "delivered"), (false, "dead")] {
        let requests = Arc::new(AtomicUsize::new(0));
        let platform = Platform::start(move |request| match asked(request) {
            Some(_) => Act::ok(r#"{"status":"failed","failed":[{"why":"twice","count":1,"events":[0]}]}"#),
            None if is_unknown && requests.fetch_add(1, Ordering::Relaxed) == 0 => Act::BreakOff,
            None => Act::ok(r#"{"received":1,"request":"r"}"#),
        });
        let account = Account::at(&platform);
        let sale = account.fixture.sale("t").await;
        if is_unknown {
            account.fixture.has_attempts(sale, 1).await;
            account.pass(MINUTE_MS);
        }
        account.fixture.reaches(sale, "confirming").await;
        account.pass(MINUTE_MS + 1_000);
        let (delivery, _) = account.fixture.reaches(sale, expected).await;
        assert_eq!(delivery.possible_repeat, is_unknown);
        let duplicate = delivery.state.confirmation() == Some(Confirmation::Duplicate);
        assert_eq!(duplicate, is_unknown, "{delivery:?}");
        account.stop().await;
    }
}

#[tokio::test]
async fn a_platform_that_hangs_when_it_is_asked_keeps_neither_sending_nor_a_stop() {
    let platform = accepting(|_| Act::Hang);
    let account = Account::at(&platform);
    let first = account.fixture.sale("t1").await;
    account.fixture.reaches(first, "confirming").await;
    account.pass(MINUTE_MS + 1_000);
    until("it is asked", || polls(&platform) == 1).await;
    let second = account.fixture.sale("t2").await;
    account.fixture.reaches(second, "confirming").await;
    let fixture = account.fixture;
    let began = std::time::Instant::now();
    account.dispatch.stop(Duration::from_secs(5)).await;
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    assert_eq!(fixture.delivery(first).await.0.state.as_str(), "confirming");
}

#[tokio::test]
async fn where_the_template_no_longer_says_how_to_ask_what_was_accepted_is_unverified() {
    let platform = accepting(|_| processing());
    let account = Account::at(&platform);
    let sale = account.fixture.sale("t").await;
    account.fixture.reaches(sale, "confirming").await;
    account.fixture.clock.run(MINUTE_MS + 1_000);
    let target = Target { batching: "", ..account.target.clone() };
    account.dispatch.reload(plan(&[target]));
    let (delivery, _) = account.fixture.reaches(sale, "delivered").await;
    assert_eq!(delivery.state.confirmation(), Some(Confirmation::Unverified));
    assert_eq!((sent(&platform), polls(&platform)), (1, 0));
    account.stop().await;
}

#[test]
fn what_a_clock_that_ran_ahead_accepted_is_asked_about_in_a_while_and_not_without_end() {
    let (polls, now) = (PollSchedule::default(), Clock::system().now());
    let ahead = now.plus_hours(96);
    let mut tries = 1;
    while let Some(next) = polls.next(ahead, (tries, LastAsked::Answered), now) {
        assert!((MINUTE_MS..=HOUR_MS).contains(&next.millis_since(now)), "{next} after {tries} tries");
        tries += 1;
        assert!(tries < 100, "without end");
    }
    assert!(tries > 24, "{tries}");
}

#[tokio::test]
async fn what_was_accepted_has_its_verdict_also_once_the_destination_is_switched_off() {
    let platform = accepting(|_| done());
    let account = Account::at(&platform);
    let sale = account.fixture.sale("t").await;
    account.fixture.reaches(sale, "confirming").await;
    account.fixture.clock.run(MINUTE_MS + 1_000);
    let target = Target { mode: DestinationMode::Off, ..account.target.clone() };
    account.dispatch.reload(plan(&[target]));
    account.fixture.reaches(sale, "delivered").await;
    assert_eq!(sent(&platform), 1);
    account.stop().await;
}
