//! Test events: sent whatever the destination's mode is, by the platform's test mode or not at all, kept nowhere, and
//! without a word about how the destination does.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use postbridge::clock::Clock;
use postbridge::dispatch::{DestinationPlan, Dispatch, DispatchPlan};
use postbridge::domain::code::{CodedReason, ReasonCode};
use postbridge::domain::delivery::ReplyVerdict;
use postbridge::domain::event::EventName;
use postbridge::domain::ids::DestinationId;
use postbridge::domain::secret_store::FixedSecrets;
use postbridge::domain::test_event::{TestRefused, TestReport};
use postbridge::domain::time::DAY_MS;
use postbridge::store::contract::lookup::{ConversionFilter, PageRequest};
use postbridge::template::destination::definition::DestinationTemplate;
use postbridge::template::destination::ready::ReadyDestination;
use postbridge::template::destination::rendering::DestinationMode;
use postbridge::template::destination::spec::DestinationSpec;

use crate::support::dispatch_fixture::{DispatchFixture, TAKEN, Target, policy, quick, source, until};
use crate::support::platform::{Act, Platform};

const TEMPLATE: &str = r#"
label = "Stand-in"
landing_params = ["cid"]
[[setting]]
name = "token"
label = "Token"
secret = true
[[setting]]
name = "code"
label = "Test code"
hint = "the page Test"
[events]
Purchase = "purchase"
Lead = "lead"
[request]
url = "https://platform.invalid/events"
auth = { kind = "bearer", setting = "token" }
[reply]
reason = [{ at = "/error" }]
[[reply.rule]]
status = [200]
json = [{ at = "/received", equals = 1 }]
then = "delivered"
warnings = "/warnings"
[[reply.rule]]
status = [200]
then = "dead"
[test]
counts = "no"
needs = ["code"]
[test.click]
cid = "click-of-no-person"
"#;

const EVENT: &str = r#"{"id": {{json event_id}}, "name": {{json event_name}}, "cid": {{json (click_param "cid")}}, "email": {{json traits.email}}, "test": {{json (in_test settings.code)}}}"#;

struct Account<'a> {
    platform: &'a Platform,
    mode: DestinationMode,
    token: &'static str,
    code: Option<&'static str>,
    /// Of its template.
    files: (String, String),
    timeout_ms: u64,
}

impl Account<'_> {
    fn at(platform: &Platform) -> Account<'_> {
        Account {
            platform,
            mode: DestinationMode::Live,
            token: "good",
            code: Some("T-1"),
            files: (TEMPLATE.to_owned(), EVENT.to_owned()),
            timeout_ms: 5_000,
        }
    }

    fn plan(&self) -> DispatchPlan {
        let files = [("destination.toml", &self.files.0), ("event.json.hbs", &self.files.1)];
        let files = files.map(|(name, text)| (name.to_owned(), text.clone())).into_iter().collect();
        let template = DestinationTemplate::parse("standin", "standin", &files);
        let given = [("token", Some(self.token)), ("code", self.code)];
        let spec = DestinationSpec {
            id: id(),
            template: Arc::new(template.unwrap_or_else(|problems| panic!("{problems:?}"))),
            mode: self.mode,
            endpoint: Some(self.platform.url("")),
            token_endpoint: None,
            on_rejected: None,
            settings: given
                .iter()
                .filter_map(|(name, value)| Some(((*name).to_owned(), (*value)?.to_owned())))
                .collect(),
            events: BTreeMap::new(),
        };
        let destination = match ReadyDestination::build(spec) {
            Ok(destination) => Arc::new(destination),
            Err(problems) => panic!("{problems:?}"),
        };
        let plan = DestinationPlan {
            destination,
            batch: Default::default(),
            max_per_second: None,
            max_in_flight: 4,
            allow_private_network: true,
            timeout_ms: self.timeout_ms,
            secrets: Arc::new(FixedSecrets),
            outgoing: None,
        };
        DispatchPlan { destinations: vec![plan], policies: [(source(), policy())].into() }
    }

    /// The dispatch over a store, both with nothing in them, by a clock that a test sets.
    fn start(&self) -> (DispatchFixture, Dispatch) {
        let clock = Clock::fixed(Clock::system().now());
        let fixture = DispatchFixture::by(clock, &[Target::new("a", "http://127.0.0.1:9".to_owned())]);
        let mut pace = quick();
        pace.probe_every_ms = DAY_MS;
        let dispatch =
            Dispatch::start_at_pace(Arc::clone(&fixture.store), self.plan(), fixture.clock.clone(), pace);
        (fixture, dispatch)
    }
}

fn id() -> DestinationId {
    DestinationId::parse("a").unwrap()
}

async fn send(dispatch: &Dispatch, event: Option<&str>) -> Result<TestReport, TestRefused> {
    let event = event.map(|event| EventName::parse(event).unwrap());
    dispatch.test_sender(&id()).unwrap().send(event).await
}

fn code(refused: &Result<TestReport, TestRefused>) -> &'static str {
    refused.as_ref().err().map_or("", |refused| refused.code().as_str())
}

/// That nothing is kept, and that the destination is as one that was never sent to.
async fn assert_untouched(fixture: &DispatchFixture, dispatch: &Dispatch) {
    let page = PageRequest { limit: 10, cursor: None };
    let kept = fixture.store.conversions(ConversionFilter::default(), page).await.unwrap();
    assert!(kept.items.is_empty(), "{:?}", kept.items);
    assert_eq!(fixture.store.backlog(fixture.clock.now()).await.unwrap(), []);
    let state = dispatch.states().remove(0);
    assert_eq!((state.parked, state.hold, state.open_until, state.last_error), (None, None, None, None));
    assert_eq!((state.in_flight, state.delivered, state.is_tried), (0, 0, false));
}

#[tokio::test]
async fn a_test_event_is_sent_in_test_mode_whatever_the_mode_is_and_kept_nowhere() {
    let platform = Platform::start(|_| Act::ok(r#"{"received":1,"warnings":["no phone"]}"#));
    for (number, mode) in
        [DestinationMode::Live, DestinationMode::Test, DestinationMode::Shadow, DestinationMode::Off]
            .into_iter()
            .enumerate()
    {
        let (fixture, dispatch) = Account { mode, ..Account::at(&platform) }.start();
        let report = send(&dispatch, None).await.unwrap();
        assert_eq!((report.event.as_str(), report.event_name.as_str()), ("Purchase", "purchase"));
        match &report.attempt.verdict {
            ReplyVerdict::Delivered { warnings, .. } => assert_eq!(*warnings, ["no phone"]),
            other => panic!("{other:?}"),
        }
        let request = report.attempt.request().unwrap();
        assert!(request.headers.contains(&("authorization".to_owned(), "Bearer ***".to_owned())));
        assert_eq!(report.attempt.answer().unwrap().status, 200);
        let received = platform.received().remove(number);
        let event = received.json();
        assert_eq!((&event["test"], &event["name"]), (&"T-1".into(), &"purchase".into()));
        assert_eq!(event["cid"], "click-of-no-person");
        assert_eq!(received.header("authorization"), Some("Bearer good"));
        assert_untouched(&fixture, &dispatch).await;
        dispatch.stop(Duration::from_secs(5)).await;
    }
    let ids: std::collections::BTreeSet<String> =
        platform.received().iter().map(|request| request.json()["id"].to_string()).collect();
    assert_eq!(ids.len(), 4, "each has an id of its own");
}

#[tokio::test]
async fn a_refusal_and_a_platform_that_hangs_are_shown_and_change_nothing() {
    let platform = Platform::start(|_| Act::ok(r#"{"error":"no such event"}"#));
    let (fixture, dispatch) = Account::at(&platform).start();
    let report = send(&dispatch, Some("lead")).await.unwrap();
    assert_eq!(report.event_name, "lead");
    match &report.attempt.verdict {
        ReplyVerdict::Dead { reason } => assert!(reason.sentence().contains("no such event"), "{reason:?}"),
        other => panic!("{other:?}"),
    }
    assert_untouched(&fixture, &dispatch).await;
    dispatch.stop(Duration::from_secs(5)).await;

    for (act, code) in [(Act::Hang, "no_answer"), (Act::status(503, "busy"), "platform_unavailable")] {
        platform.script(move |_| act.clone());
        let (fixture, dispatch) = Account { timeout_ms: 200, ..Account::at(&platform) }.start();
        let report = send(&dispatch, None).await.unwrap();
        match &report.attempt.verdict {
            ReplyVerdict::Retry { reason, .. } => assert_eq!(reason.code().as_str(), code),
            other => panic!("{other:?}"),
        }
        assert_eq!(report.attempt.answer().is_some(), code == "platform_unavailable");
        assert_untouched(&fixture, &dispatch).await;
        dispatch.stop(Duration::from_secs(5)).await;
    }
}

#[tokio::test]
async fn a_test_event_that_would_count_is_never_sent() {
    let platform = Platform::start(|_| Act::ok(TAKEN));
    let without_test = TEMPLATE.split("[test]").next().unwrap().to_owned();
    let says_nothing = EVENT.replace("(in_test settings.code)", "settings.code");
    let needs_nothing = TEMPLATE.replace("needs = [\"code\"]", "needs = []");
    let event = || EVENT.to_owned();
    for (files, given, expected) in [
        ((without_test, event()), Some("T-1"), "no_test_mode"),
        ((TEMPLATE.to_owned(), event()), None, "test_setting_missing"),
        ((TEMPLATE.to_owned(), says_nothing), Some("T-1"), "same_as_live"),
        ((needs_nothing, event()), None, "same_as_live"),
    ] {
        let (fixture, dispatch) = Account { files, code: given, ..Account::at(&platform) }.start();
        let refused = send(&dispatch, None).await;
        assert_eq!(code(&refused), expected);
        assert_untouched(&fixture, &dispatch).await;
        dispatch.stop(Duration::from_secs(5)).await;
    }
    assert_eq!(platform.count(), 0, "{:?}", platform.received());
}

#[tokio::test]
async fn an_event_without_a_name_is_refused_with_those_that_have_one() {
    let platform = Platform::start(|_| Act::ok(TAKEN));
    let (_fixture, dispatch) = Account::at(&platform).start();
    let refused = send(&dispatch, Some("Quiz")).await;
    assert_eq!(code(&refused), "event_without_name");
    assert!(refused.unwrap_err().hint().contains("Lead, Purchase"));
    assert!(dispatch.test_sender(&DestinationId::parse("other").unwrap()).is_none());
    assert_eq!(platform.count(), 0);
    dispatch.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn test_events_to_one_destination_are_seconds_apart() {
    let platform = Platform::start(|_| Act::ok(TAKEN));
    let (fixture, dispatch) = Account::at(&platform).start();
    send(&dispatch, None).await.unwrap();
    let refused = send(&dispatch, None).await;
    assert_eq!(code(&refused), "too_soon");
    assert!(matches!(refused, Err(TestRefused::TooSoon { seconds: 1..=4 })), "{refused:?}");
    fixture.clock.run(3_000);
    send(&dispatch, None).await.unwrap();
    assert_eq!(platform.count(), 2);
    dispatch.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_test_event_that_is_taken_has_a_parked_destination_ask_at_once_and_a_refused_one_leaves_it_parked()
{
    let platform = Platform::start(|_| Act::status(401, "who are you?"));
    let (fixture, dispatch) = Account::at(&platform).start();
    let sale = fixture.sale("t1").await;
    until("parked", || dispatch.states()[0].parked.is_some()).await;
    let since = dispatch.states()[0].parked.clone();
    let refused = send(&dispatch, None).await.unwrap();
    assert!(matches!(refused.attempt.verdict, ReplyVerdict::Park { .. }) && !refused.is_probed);
    assert_eq!(dispatch.states()[0].parked, since);
    let before = platform.count();
    platform.script(|_| Act::ok(TAKEN));
    fixture.clock.run(3_000);
    let taken = send(&dispatch, None).await.unwrap();
    assert!(taken.is_probed);
    fixture.reaches(sale, "delivered").await;
    until("unparked", || dispatch.states()[0].parked.is_none()).await;
    assert_eq!(platform.count(), before + 2, "the test, and what waited");
    dispatch.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn what_was_sent_to_once_is_known_after_a_restart_and_a_test_is_none_of_it() {
    let platform = Platform::start(|_| Act::ok(TAKEN));
    let (fixture, dispatch) = Account::at(&platform).start();
    let destination = id();
    let known = || postbridge::dispatch::tried::was_sent_to(&*fixture.store, &destination);
    send(&dispatch, None).await.unwrap();
    assert!(!dispatch.states()[0].is_tried && !known().await.unwrap());
    let sale = fixture.sale("t1").await;
    fixture.reaches(sale, "delivered").await;
    until("tried", || dispatch.states()[0].is_tried).await;
    let mut is_kept = known().await.unwrap();
    for _ in 0..100 {
        if !is_kept {
            tokio::time::sleep(Duration::from_millis(10)).await;
            is_kept = known().await.unwrap();
        }
    }
    assert!(is_kept);
    let state = dispatch.states().remove(0);
    assert_eq!((state.delivered, state.confirmations.confirmed), (1, 1));
    dispatch.stop(Duration::from_secs(5)).await;
}
