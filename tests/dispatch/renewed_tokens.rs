//! Platforms that say in the body of an answer, with whatever status, that the token of the request is over.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use postbridge::clock::Clock;
use postbridge::domain::time::MINUTE_MS;
use serde_json::json;

use crate::support::dispatch_fixture::{DispatchFixture, Target};
use crate::support::later_verdict::{Account, asked};
use crate::support::platform::{Act, Platform, Received};

/// Signs in with what its one setting holds, and knows the code by which its platform says that a token is over.
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
auth = { kind = "oauth2-refresh", client_id = "token", refresh_token = "token", token_url = "https://tokens.invalid/token" }

[batch]
max = 10

[confirm]
id = "/request"
url = "https://platform.invalid/status?id={{request_id}}"

[[confirm.rule]]
json = [{ at = "/code", equals = 9 }]
renew_token = true
then = "retry"

[[confirm.rule]]
json = [{ at = "/status", equals = "done" }]
then = "delivered"

[reply]
reason = [{ at = "/why" }]

[[reply.rule]]
json = [{ at = "/code", equals = 9 }]
renew_token = true
then = "retry"
after_seconds = 300
why = "a new one is over too"

[[reply.rule]]
status = [200]
then = "delivered"
"#,
);

const OVER: &str = r#"{"code":9,"why":"the token is over"}"#;

/// Gives `access-1`, `access-2`… for an hour.
fn giving() -> Platform {
    let given = AtomicUsize::new(0);
    Platform::start(move |_| {
        let number = given.fetch_add(1, Ordering::Relaxed) + 1;
        Act::ok(&json!({"access_token": format!("access-{number}"), "expires_in": 3600}).to_string())
    })
}

fn bearer(request: &Received) -> &str {
    request.header("authorization").unwrap_or_default()
}

fn target(platform: &Platform, tokens: &Platform) -> Target {
    const ENVELOPE: (&str, &str) = ("envelope.json.hbs", "{\"events\": {{events}}}");
    let token_endpoint = Some(tokens.url(""));
    Target { files: &[SIGNED_IN, ENVELOPE], token_endpoint, ..Target::new("a", platform.url("")) }
}

fn fixture(target: &Target) -> DispatchFixture {
    DispatchFixture::by(Clock::fixed(Clock::system().now()), std::slice::from_ref(target))
}

#[tokio::test]
async fn a_token_that_a_body_says_is_over_is_renewed_once_whatever_the_status() {
    for status in [200, 400, 500] {
        let platform = Platform::start(move |request| match bearer(request) {
            "Bearer access-1" => Act::status(status, OVER),
            _ => Act::ok("{}"),
        });
        let tokens = giving();
        let target = target(&platform, &tokens);
        let fixture = fixture(&target);
        let dispatch = fixture.dispatch(std::slice::from_ref(&target));
        let sale = fixture.sale("t").await;
        let (delivery, attempts) = fixture.reaches(sale, "delivered").await;
        assert_eq!((delivery.attempts, attempts.len(), tokens.count(), platform.count()), (1, 1, 2, 2));
        let before = attempts[0].before();
        assert_eq!((before.len(), before[0].answer.as_ref().unwrap().status), (1, status));
        fixture.reaches(fixture.sale("later").await, "delivered").await;
        assert_eq!(tokens.count(), 2, "the new one is used on");
        dispatch.stop(Duration::from_secs(5)).await;
    }
}

#[tokio::test]
async fn where_the_new_token_is_over_too_the_rules_of_the_template_count() {
    let (platform, tokens) = (Platform::start(|_| Act::ok(OVER)), giving());
    let target = target(&platform, &tokens);
    let fixture = fixture(&target);
    let sale = fixture.sale("t").await;
    let dispatch = fixture.dispatch(std::slice::from_ref(&target));
    platform.wait_for(2).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!((platform.count(), tokens.count()), (2, 2), "it is renewed once for each attempt");
    let (delivery, attempts) = fixture.delivery(sale).await;
    assert_eq!((delivery.state.as_str(), delivery.attempts), ("waiting", 1));
    assert_eq!(
        attempts[0].verdict.sentence().as_deref(),
        Some("HTTP 200 (a new one is over too): the token is over")
    );
    dispatch.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_token_that_is_over_when_the_platform_is_asked_later_is_renewed_too() {
    let platform = Platform::start(|request| match (asked(request), bearer(request)) {
        (None, _) => Act::ok(r#"{"request":"r 1"}"#),
        (Some(_), "Bearer access-1") => Act::ok(OVER),
        (Some(_), _) => Act::ok(r#"{"status":"done"}"#),
    });
    let tokens = giving();
    let account = Account::of(target(&platform, &tokens));
    let sale = account.fixture.sale("t").await;
    account.fixture.reaches(sale, "confirming").await;
    account.pass(2 * MINUTE_MS);
    let (_, attempts) = account.fixture.reaches(sale, "delivered").await;
    assert_eq!((tokens.count(), platform.count()), (2, 3));
    assert_eq!(attempts.last().unwrap().before().len(), 1, "both requests are on record");
    account.stop().await;
}
