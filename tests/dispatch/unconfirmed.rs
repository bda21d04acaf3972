//! What is accepted and not confirmed, where something else happens meanwhile: changes, kills, reloads, clocks that are set,
//! accounts that get no token, platforms that hang.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use postbridge::clock::Clock;
use postbridge::domain::conversion::Draft;
use postbridge::domain::delivery::{Delivery, DeliveryState};
use postbridge::domain::ids::{ConversionId, DestinationId};
use postbridge::domain::sent::Confirmation;
use postbridge::domain::status::Status;
use postbridge::domain::target::TargetId;
use postbridge::domain::time::{DAY_MS, HOUR_MS, MINUTE_MS};
use postbridge::store::contract::Store;
use postbridge::store::contract::conformance::fixture::received::usd;
use postbridge::store::contract::work::{ClaimRequest, WantedWork};
use postbridge::store::embedded::{Embedded, EmbeddedSettings};
use postbridge::store::engine::kv::Kv;
use postbridge::store::engine::memory::Memory;

use crate::support::dispatch_fixture::{DispatchFixture, Target, draft, plan, until};
use crate::support::later_verdict::{Account, accepting, asked, done, polls, processing, sent};
use crate::support::platform::{Act, Gate, Platform};

const EVENT: (&str, &str) =
    ("event.json.hbs", r#"{"kind": {{json kind}}, "id": {{json event_id}}, "value": {{number value}}}"#);

const CHANGE: (&str, &str) = (
    "change.json.hbs",
    r#"{"kind": {{json kind}}, "id": {{json sent.event_id}}, "value": {{number (default (in_restate value) sent.value)}},
        "before": {{number sent.value}}}"#,
);

/// An account whose platform can be informed of other values, and that a sale does not count.
fn reversible(platform: &Platform) -> Account {
    let changes = "on_value = \"restate\"\non_rejected = \"retract\"";
    Account::of(Target { changes, files: &[EVENT, CHANGE], ..Account::target(platform) })
}

async fn reported(account: &Account, status: Status, value: &str) -> ConversionId {
    account.fixture.arrive(Draft { value: Some(usd(value)), ..draft("t", status) }).await
}

async fn deliveries(account: &Account, id: ConversionId) -> Vec<Delivery> {
    account.fixture.deliveries(id).await.into_iter().map(|(delivery, _)| delivery).collect()
}

/// Waits until the deliveries of a sale are in these states.
async fn reach(account: &Account, id: ConversionId, words: &[&str]) -> Vec<Delivery> {
    for _ in 0..1_000 {
        let all = deliveries(account, id).await;
        if all.iter().map(|one| one.state.as_str()).eq(words.iter().copied()) {
            return all;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("never {words:?}: {:?}", deliveries(account, id).await)
}

/// Waits until the first delivery of a sale is in this state.
async fn reach_first(account: &Account, id: ConversionId, word: &str) {
    for _ in 0..1_000 {
        if deliveries(account, id).await[0].state.as_str() == word {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("never {word}: {:?}", deliveries(account, id).await)
}

/// The kind and the value of each event that was sent.
fn said(platform: &Platform) -> Vec<String> {
    let sent = platform.received().into_iter().filter(|request| asked(request).is_none());
    let event = |body: serde_json::Value| body["events"][0].clone();
    sent.map(|request| event(request.json()))
        .map(|event| format!("{} {}", event["kind"], event["value"]))
        .collect()
}

#[tokio::test]
async fn a_change_waits_for_the_verdict_and_is_then_sent_once_and_asked_about() {
    let platform = accepting(|_| done());
    let account = reversible(&platform);
    let sale = reported(&account, Status::Approved, "7").await;
    reach(&account, sale, &["confirming"]).await;
    reported(&account, Status::Approved, "9").await;
    reported(&account, Status::Approved, "11").await;
    account.pass(30_000);
    reach(&account, sale, &["confirming", "waiting"]).await;
    assert_eq!(said(&platform), ["\"event\" 7"], "no one knows yet what it is a change of");
    account.pass(MINUTE_MS);
    let all = reach(&account, sale, &["delivered", "confirming"]).await;
    assert_eq!(said(&platform), ["\"event\" 7", "\"restate\" 11"]);
    assert!(all.iter().all(|one| !one.possible_repeat));
    account.pass(2 * MINUTE_MS);
    reach(&account, sale, &["delivered", "delivered"]).await;
    assert_eq!((sent(&platform), polls(&platform)), (2, 2));
    account.stop().await;
}

#[tokio::test]
async fn of_what_the_platform_did_not_take_in_the_end_nothing_is_changed() {
    let platform =
        accepting(|_| Act::ok(r#"{"status":"failed","failed":[{"why":"no","count":1,"events":[0]}]}"#));
    let account = reversible(&platform);
    let sale = reported(&account, Status::Approved, "7").await;
    reach(&account, sale, &["confirming"]).await;
    reported(&account, Status::Rejected, "7").await;
    reach(&account, sale, &["confirming", "waiting"]).await;
    account.pass(2 * MINUTE_MS);
    reach(&account, sale, &["dead", "skipped"]).await;
    account.pass(DAY_MS);
    tokio::time::sleep(Duration::from_millis(30)).await;
    assert_eq!(said(&platform), ["\"event\" 7"]);
    account.stop().await;
}

#[tokio::test]
async fn what_is_sent_again_after_a_verdict_says_what_is_so_by_then() {
    let early = r#"{"status":"failed","failed":[{"why":"early","count":1,"events":[0]}]}"#;
    let platform = accepting(move |poll| if poll == 0 { Act::ok(early) } else { done() });
    let account = reversible(&platform);
    let sale = reported(&account, Status::Approved, "7").await;
    reach(&account, sale, &["confirming"]).await;
    reported(&account, Status::Approved, "9").await;
    account.pass(2 * MINUTE_MS);
    reach_first(&account, sale, "waiting").await;
    account.pass(2 * HOUR_MS);
    reach_first(&account, sale, "confirming").await;
    assert_eq!(said(&platform), ["\"event\" 7", "\"event\" 9"]);
    account.pass(2 * HOUR_MS);
    reach_first(&account, sale, "delivered").await;
    let all = deliveries(&account, sale).await;
    account.pass(DAY_MS);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(sent(&platform), 2, "there is nothing to restate: {all:?}");
    account.stop().await;
}

/// The store of a process that was killed after it had sent what it had claimed.
async fn killed_in_flight(target: &Target, kv: &Arc<dyn Kv>, clock: &Clock) -> ConversionId {
    let fixture = DispatchFixture::on(open(kv, clock), std::slice::from_ref(target));
    let sale = fixture.sale("t").await;
    let claim = ClaimRequest {
        target: TargetId::Account(DestinationId::parse("a").unwrap()),
        now: fixture.clock.now(),
        lease_for: Duration::from_secs(60),
        wanted: WantedWork::Due { fresh: 1, retries: 0 },
    };
    assert_eq!(fixture.store.claim(claim).await.unwrap().work.len(), 1);
    sale
}

fn open(kv: &Arc<dyn Kv>, clock: &Clock) -> Arc<dyn Store> {
    let settings = EmbeddedSettings { clock: clock.monotonic(), ..EmbeddedSettings::default() };
    Arc::new(Embedded::open_with(Arc::clone(kv), Arc::default(), settings).unwrap())
}

#[tokio::test]
async fn what_had_left_when_the_process_was_killed_is_a_duplicate_and_not_another_senders() {
    let platform =
        accepting(|_| Act::ok(r#"{"status":"failed","failed":[{"why":"twice","count":1,"events":[0]}]}"#));
    let target = Account::target(&platform);
    let (kv, clock) = (Arc::new(Memory::new()) as Arc<dyn Kv>, Clock::fixed(Clock::system().now()));
    let sale = killed_in_flight(&target, &kv, &clock).await;
    clock.run(1_000);
    let fixture = DispatchFixture::on(open(&kv, &clock), std::slice::from_ref(&target));
    let fixture = DispatchFixture { clock, ..fixture };
    let dispatch = fixture.dispatch(std::slice::from_ref(&target));
    fixture.reaches(sale, "confirming").await;
    fixture.clock.run(2 * MINUTE_MS);
    dispatch.reload(plan(std::slice::from_ref(&target)));
    let (delivery, _) = fixture.reaches(sale, "delivered").await;
    assert_eq!(
        (delivery.state.confirmation(), delivery.possible_repeat),
        (Some(Confirmation::Duplicate), true)
    );
    dispatch.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn one_request_of_which_the_platform_says_nothing_keeps_no_other_from_being_asked_about() {
    let platform = accepting(|poll| if poll == 0 { Act::Hang } else { done() });
    let account = Account::at(&platform);
    let sales = account.fixture.sales("t", 5).await;
    account.fixture.all_reach(&sales, "confirming").await;
    account.pass(2 * MINUTE_MS);
    until("all were asked about", || polls(&platform) == 5).await;
    let is_delivered = |state: &DeliveryState| state.as_str() == "delivered";
    let mut delivered = 0;
    for _ in 0..400 {
        delivered = 0;
        for sale in &sales {
            delivered += usize::from(is_delivered(&account.now(*sale).await.0.state));
        }
        if delivered == 4 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(delivered, 4, "the one that hangs is waited for");
    account.stop().await;
}

#[tokio::test]
async fn a_platform_that_is_asked_in_vain_is_not_asked_once_for_each_request() {
    for act in [Act::status(429, "{}"), Act::status(503, "{}"), Act::status(403, "{}"), Act::Reset] {
        let platform = accepting(move |_| act.clone());
        let account = Account::at(&platform);
        let sales = account.fixture.sales("t", 30).await;
        account.fixture.all_reach(&sales, "confirming").await;
        account.pass(2 * MINUTE_MS);
        until("it is asked", || polls(&platform) > 0).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(polls(&platform) <= 12, "{}", polls(&platform));
        account.stop().await;
    }
}

#[tokio::test]
async fn after_a_long_outage_what_the_platform_has_not_decided_is_asked_about_once_more() {
    let platform = accepting(|poll| match poll {
        0 => Act::status(503, "{}"),
        1 => processing(),
        _ => done(),
    });
    let account = Account::at(&platform);
    let sale = account.fixture.sale("t").await;
    account.fixture.reaches(sale, "confirming").await;
    for tries in [1, 2] {
        account.pass(30 * HOUR_MS);
        account.was_asked(sale, tries).await;
    }
    account.pass(2 * HOUR_MS);
    let (delivery, _) = account.fixture.reaches(sale, "delivered").await;
    assert_eq!(delivery.state.confirmation(), Some(Confirmation::Confirmed));
    account.stop().await;
}

#[tokio::test]
async fn a_reload_while_the_platform_is_asked_neither_loses_its_answer_nor_asks_twice() {
    let gate = Gate::shut();
    let kept = gate.clone();
    let platform = accepting(move |_| Act::Behind(kept.clone(), Box::new(done())));
    let account = Account::at(&platform);
    let sale = account.fixture.sale("t").await;
    account.fixture.reaches(sale, "confirming").await;
    account.pass(2 * MINUTE_MS);
    until("it is asked", || polls(&platform) == 1).await;
    for _ in 0..5 {
        account.pass(1);
    }
    tokio::time::sleep(Duration::from_millis(30)).await;
    gate.open();
    account.fixture.reaches(sale, "delivered").await;
    assert_eq!((sent(&platform), polls(&platform)), (1, 1));
    account.stop().await;
}

#[tokio::test]
async fn a_clock_that_is_set_back_keeps_no_one_from_asking() {
    let platform = accepting(|poll| if poll == 0 { processing() } else { done() });
    let account = Account::at(&platform);
    let sale = account.fixture.sale("t").await;
    account.fixture.reaches(sale, "confirming").await;
    account.fixture.clock.set(account.fixture.clock.now().plus_millis(-400 * DAY_MS));
    account.pass(2 * MINUTE_MS);
    account.was_asked(sale, 1).await;
    account.pass(HOUR_MS);
    account.fixture.reaches(sale, "delivered").await;
    assert_eq!(sent(&platform), 1);
    account.stop().await;
}

/// Signs in with what its one setting holds.
const SIGNED_IN: (&str, &str) = (
    "destination.toml",
    r#"
label = "Stand-in"
max_age_hours = 720

[[setting]]
name = "token"
label = "Token"
required = true
secret = true

[events]
Purchase = "purchase"

[request]
method = "POST"
url = "https://platform.invalid/events"
auth = { kind = "oauth2-refresh", client_id = "token", client_secret = "token", refresh_token = "token", token_url = "https://tokens.invalid/token" }

[batch]
max = 10

[confirm]
id = "/request"
url = "https://platform.invalid/status?id={{request_id}}"

[[confirm.rule]]
json = [{ at = "/status", equals = "done" }]
then = "delivered"

[[reply.rule]]
status = [200]
then = "delivered"

[[reply.rule]]
status = [401]
then = "park"
"#,
);

/// An account that signs in, and has a sale accepted before it is refused a token.
struct RefusedAccount {
    account: Account,
    platform: Platform,
    tokens: Platform,
    /// Whether it is given one.
    is_given: Arc<AtomicBool>,
    sale: ConversionId,
}

impl RefusedAccount {
    async fn new() -> RefusedAccount {
        let (is_given, platform) = (Arc::new(AtomicBool::new(true)), accepting(|_| done()));
        let gives = Arc::clone(&is_given);
        let tokens = Platform::start(move |_| match gives.load(Ordering::Relaxed) {
            true => Act::ok(r#"{"access_token":"t-1","token_type":"Bearer","expires_in":90}"#),
            false => Act::status(400, r#"{"error":"invalid_grant"}"#),
        });
        let (files, token_endpoint): (&[_], _) = (&[SIGNED_IN], Some(tokens.url("")));
        let account = Account::of(Target { files, token_endpoint, ..Account::target(&platform) });
        let sale = account.fixture.sale("t").await;
        account.fixture.reaches(sale, "confirming").await;
        is_given.store(false, Ordering::Relaxed);
        RefusedAccount { account, platform, tokens, is_given, sale }
    }
}

#[tokio::test]
async fn an_account_without_a_token_is_parked_and_its_platform_asked_once_there_is_one_again() {
    let RefusedAccount { account, platform, tokens, is_given, sale } = RefusedAccount::new().await;
    // Six days, in which no one may ask.
    for tries in 1..=6 {
        account.pass(DAY_MS);
        account.was_asked(sale, tries).await;
    }
    assert!(account.dispatch.states()[0].parked.is_some(), "nothing could be sent either");
    assert!(tokens.count() <= 20, "{}", tokens.count());
    assert_eq!(polls(&platform), 0);
    is_given.store(true, Ordering::Relaxed);
    account.pass(2 * HOUR_MS);
    let (delivery, _) = account.fixture.reaches(sale, "delivered").await;
    assert_eq!(delivery.state.confirmation(), Some(Confirmation::Confirmed));
    assert!(account.dispatch.states()[0].parked.is_none());
    assert_eq!(sent(&platform), 1);
    account.stop().await;
}

#[tokio::test]
async fn what_could_not_be_asked_about_for_a_week_is_unverified() {
    let RefusedAccount { account, platform, sale, tokens, .. } = RefusedAccount::new().await;
    account.pass(6 * DAY_MS);
    account.was_asked(sale, 1).await;
    account.pass(DAY_MS + HOUR_MS);
    let (delivery, attempts) = account.fixture.reaches(sale, "delivered").await;
    assert_eq!(delivery.state.confirmation(), Some(Confirmation::Unverified));
    assert!(attempts[1].verdict.sentence().unwrap().contains("invalid_grant"), "{:?}", attempts[1]);
    assert_eq!((polls(&platform), tokens.count() > 2), (0, true));
    account.stop().await;
}

#[tokio::test]
async fn a_change_that_the_platform_says_later_it_knew_is_refused_also_where_it_may_have_been_sent_before() {
    let number = AtomicUsize::new(0);
    let platform = Platform::start(move |request| match asked(request) {
        Some("r%201") => done(),
        Some(_) => Act::ok(r#"{"status":"failed","failed":[{"why":"twice","count":1,"events":[0]}]}"#),
        None => match number.fetch_add(1, Ordering::Relaxed) {
            // What became of the first try at the change no one knows.
            1 => Act::Reset,
            earlier => Act::ok(&format!(r#"{{"received":1,"request":"r {}"}}"#, earlier + 1)),
        },
    });
    let account = reversible(&platform);
    let sale = reported(&account, Status::Approved, "7").await;
    reach(&account, sale, &["confirming"]).await;
    account.pass(2 * MINUTE_MS);
    reach(&account, sale, &["delivered"]).await;
    reported(&account, Status::Approved, "9").await;
    // The clock goes on once the first try is on record.
    while deliveries(&account, sale).await.get(1).is_none_or(|change| change.attempts == 0) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    account.pass(MINUTE_MS);
    let all = reach(&account, sale, &["delivered", "confirming"]).await;
    assert!(all[1].possible_repeat, "{all:?}");
    account.pass(2 * MINUTE_MS);
    reach(&account, sale, &["delivered", "dead"]).await;
    assert_eq!(said(&platform), ["\"event\" 7", "\"restate\" 9", "\"restate\" 9"]);
    account.stop().await;
}
