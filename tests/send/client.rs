//! Sending: what platforms answer that hang, break off, lie and flood.

use std::time::Duration;

use postbridge::clock::stopwatch;

use postbridge::domain::delivery::{OutgoingRequest, PlatformResponse, Reply};
use postbridge::domain::exchange::{NoAnswer, SendRefused};
use postbridge::send::client::{Client, KEPT_BODY, SendPolicy};

use crate::support::platform::{Act, Platform};

fn client() -> Client {
    patient(30_000)
}

fn patient(timeout_ms: u64) -> Client {
    let policy = SendPolicy { allow_private_network: true, timeout_ms, ..SendPolicy::default() };
    Client::new(policy).unwrap()
}

fn post(url: String) -> OutgoingRequest {
    OutgoingRequest {
        method: "POST".to_owned(),
        url,
        headers: vec![
            ("Authorization".to_owned(), "Bearer t0ken".to_owned()),
            ("Content-Type".to_owned(), "application/json".to_owned()),
        ],
        body: br#"{"a":"\u00e9"}"#.to_vec(),
        secrets: vec!["t0ken".to_owned()],
    }
}

async fn sent_to(act: Act, client: Client) -> Reply {
    let platform = Platform::start(move |_| act.clone());
    client.send(&post(platform.url("/v1/s3cret-path?key=s3cret-query"))).await
}

fn answer(reply: Reply) -> PlatformResponse {
    match reply {
        Reply::Answer(answer) => answer,
        other => panic!("an answer was expected, not {other:?}"),
    }
}

fn failure(reply: Reply) -> NoAnswer {
    match reply {
        Reply::Failed(why) => why,
        other => panic!("a failure was expected, not {other:?}"),
    }
}

#[tokio::test]
async fn a_request_is_sent_as_it_was_made_and_the_answer_is_read_whole() {
    let act = Act::status(404, "{\"error\":1}").with_header("Retry-After", "7");
    let platform = Platform::start(move |_| act.clone());
    let answer = answer(client().send(&post(platform.url("/events?x=%23s1%23"))).await);
    assert_eq!(answer.status, 404);
    assert_eq!(answer.body, b"{\"error\":1}");
    assert_eq!(answer.header("retry-after"), Some("7"));
    assert!(!answer.truncated);
    let received = platform.received();
    assert_eq!(received.len(), 1);
    assert_eq!(received[0].method, "POST");
    assert_eq!(received[0].target, "/events?x=%23s1%23");
    assert_eq!(received[0].header("authorization"), Some("Bearer t0ken"));
    assert_eq!(received[0].body, br#"{"a":"\u00e9"}"#);
}

#[tokio::test]
async fn connections_are_used_again() {
    let platform = Platform::start(|_| Act::ok("{}"));
    let client = client();
    for _ in 0..20 {
        answer(client.send(&post(platform.url("/"))).await);
    }
    assert_eq!(platform.connections(), 1);
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let platform = Platform::start(|_| Act::status(302, "").with_header("Location", "/elsewhere"));
    assert_eq!(answer(client().send(&post(platform.url("/"))).await).status, 302);
    assert_eq!(platform.count(), 1);
}

#[tokio::test]
async fn a_platform_that_hangs_costs_the_deadline_and_no_more() {
    let begun = stopwatch();
    let why = failure(sent_to(Act::Hang, patient(150)).await);
    assert_eq!(why, NoAnswer::Timeout { after_ms: 150 });
    assert!(begun.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn a_body_that_drips_ends_at_the_deadline_of_the_whole_attempt() {
    let begun = stopwatch();
    failure(sent_to(Act::Drip, patient(150)).await);
    assert!(begun.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn an_endless_body_is_kept_up_to_64_kib_and_then_dropped() {
    let answer = answer(sent_to(Act::Endless, client()).await);
    assert_eq!(answer.body.len(), KEPT_BODY);
    assert!(answer.truncated);
}

#[tokio::test]
async fn a_body_of_exactly_64_kib_is_whole() {
    let answer = answer(sent_to(Act::ok(&"x".repeat(KEPT_BODY)), client()).await);
    assert_eq!(answer.body.len(), KEPT_BODY);
    assert!(!answer.truncated);
}

#[tokio::test]
async fn a_flood_of_headers_is_kept_up_to_its_bound() {
    let mut act = Act::ok("{}");
    for n in 0..60 {
        act = act.with_header(&format!("x-flood-{n}"), &"y".repeat(1_000));
    }
    let answer = answer(sent_to(act, client()).await);
    let size: usize = answer.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    assert!(size <= 16 * 1024, "{size} bytes kept");
}

#[tokio::test]
async fn a_reset_after_reading_is_sent_once_and_reported_as_a_failure() {
    let platform = Platform::start(|_| Act::Reset);
    let why = failure(client().send(&post(platform.url("/"))).await);
    assert!(matches!(why, NoAnswer::ConnectionEnded { .. }), "{why}");
    assert_eq!(platform.count(), 1, "nothing is sent again behind our log");
}

#[tokio::test]
async fn a_reset_on_a_used_connection_is_not_sent_again_either() {
    let platform = Platform::start(|received| match received.number {
        0 => Act::ok("{}"),
        _ => Act::Reset,
    });
    let client = client();
    answer(client.send(&post(platform.url("/"))).await);
    failure(client.send(&post(platform.url("/"))).await);
    assert_eq!(platform.count(), 2);
}

#[tokio::test]
async fn an_answer_that_breaks_off_or_is_no_http_is_a_failure() {
    let why = failure(sent_to(Act::BreakOff, client()).await);
    assert!(matches!(why, NoAnswer::BrokeOff { status: 200, .. }), "{why}");
    failure(sent_to(Act::Garbage, client()).await);
}

#[tokio::test]
async fn no_failure_names_the_url() {
    let nobody = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}/s3cret-path?key=s3cret-query", listener.local_addr().unwrap())
    };
    let mut reported = vec![failure(client().send(&post(nobody)).await)];
    for act in [Act::Hang, Act::Reset, Act::BreakOff, Act::Garbage] {
        reported.push(failure(sent_to(act, patient(150)).await));
    }
    assert!(matches!(reported[0], NoAnswer::NoConnection { .. }), "{}", reported[0]);
    for why in reported.iter().map(NoAnswer::to_string) {
        assert!(!why.contains("s3cret") && !why.contains("http://"), "{why}");
    }
}

#[tokio::test]
async fn a_header_that_cannot_be_sent_is_refused_by_name_only() {
    let mut request = post("http://127.0.0.1:1/".to_owned());
    request.headers.push(("X-Key".to_owned(), "top\r\nsecret".to_owned()));
    match client().send(&request).await {
        Reply::Forbidden(refused) => assert_eq!(refused, SendRefused::HeaderValue("X-Key".to_owned())),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_get_without_a_body_sends_none() {
    let platform = Platform::start(|_| Act::ok("ok"));
    let request = OutgoingRequest {
        method: "GET".to_owned(),
        url: platform.url("/postback?tid=1"),
        headers: Vec::new(),
        body: Vec::new(),
        secrets: Vec::new(),
    };
    answer(client().send(&request).await);
    let received = platform.received();
    assert_eq!((received[0].method.as_str(), received[0].body.len()), ("GET", 0));
    assert_eq!(received[0].header("user-agent"), Some(concat!("postbridge/", env!("CARGO_PKG_VERSION"))));
}
