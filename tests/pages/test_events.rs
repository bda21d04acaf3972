//! The button that sends a test event, and what the page says of it.

use std::sync::Arc;

use http::StatusCode;
use parking_lot::Mutex;
use postbridge::domain::attempt::{Attempt, Exchange};
use postbridge::domain::delivery::{PlatformResponse, ReplyVerdict, SentRequest};
use postbridge::domain::event::EventName;
use postbridge::domain::secret_store::SecretNotKept;
use postbridge::domain::sent::Confirmation;
use postbridge::domain::test_event::{TestRefused, TestReport};
use postbridge::store::contract::conformance::fixture::reason::account_refused;
use postbridge::template::catalog::Catalog;

use crate::support::pages_fixture::{PagesFixture, destination, noon};
use crate::support::payload_fixture::ready;

/// The box next to the button.
const ANYWAY: (&str, &str) = ("anyway", "true");

/// A test event to `meta-main` that ended so.
fn report(verdict: ReplyVerdict, is_probed: bool) -> TestReport {
    let request = SentRequest {
        method: "POST".to_owned(),
        url: "https://graph.example.com/events".to_owned(),
        headers: vec![("authorization".to_owned(), "Bearer ***".to_owned())],
        body: r#"{"test_event_code":"T-7"}"#.to_owned(),
    };
    let answer = PlatformResponse {
        status: 200,
        headers: Vec::new(),
        body: b"{\"said\":\"<b>hello</b>\"}".to_vec(),
        truncated: false,
    };
    let exchange = Some(Arc::new(Exchange { request, answer: Some(answer), before: Vec::new() }));
    TestReport {
        destination: destination("meta-main"),
        event: EventName::lead(),
        event_name: "Lead".to_owned(),
        attempt: Attempt { exchange, ..Attempt::unsent(noon(), verdict) },
        is_probed,
    }
}

/// Pages whose test events end so; and the events that were chosen.
async fn pages(end: Result<TestReport, TestRefused>) -> (PagesFixture, Arc<Mutex<Vec<String>>>) {
    let mut fixture = PagesFixture::busy().await;
    let chosen: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = Arc::clone(&chosen);
    fixture.pages.ops.send_test = Arc::new(move |id, event| {
        seen.lock().push(format!("{id} {}", event.map(|event| event.to_string()).unwrap_or_default()));
        let end = end.clone();
        Box::pin(async move { end })
    });
    (fixture, chosen)
}

fn delivered(warnings: &[&str]) -> ReplyVerdict {
    let warnings = warnings.iter().map(|warning| (*warning).to_owned()).collect();
    ReplyVerdict::Delivered { warnings, confirmation: Confirmation::Confirmed }
}

#[tokio::test]
async fn the_button_shows_request_answer_and_verdict() {
    let (fixture, chosen) = pages(Ok(report(delivered(&["look at `fbp`"]), true))).await;
    // The webhook needs no setting for it; the other account has no test code.
    fixture.get("/destinations").await.shows("action=\"/destinations/shop-hook/test#destination-shop-hook\"");
    let page = fixture.post("/destinations/meta-main/test", &[("event", "Lead"), ANYWAY]).await;
    assert_eq!(page.status, StatusCode::OK);
    page.shows("delivered: the platform took the event in its test mode, with a warning");
    page.shows("look at <code>fbp</code>").shows("https://graph.example.com/events").shows("Bearer ***");
    page.shows("HTTP 200").shows("&lt;b&gt;hello&lt;/b&gt;").hides("<b>hello</b>");
    page.shows("what waits longest is sent now");
    assert_eq!(*chosen.lock(), ["meta-main Lead"]);
    fixture.post("/destinations/shop-hook/test", &[("event", ""), ANYWAY]).await;
    assert_eq!(chosen.lock()[1], "shop-hook ");
    assert_eq!(fixture.post("/destinations/nowhere/test", &[]).await.status, StatusCode::NOT_FOUND);
    let name = "x".repeat(65);
    let wrong = fixture.post("/destinations/shop-hook/test", &[("event", &name)]).await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn where_an_answer_says_nothing_of_the_event_the_verdict_is_that_the_test_was_accepted() {
    for (confirmation, more) in [
        (Confirmation::Unverified, "and says no more of it"),
        (Confirmation::Counted, "and says nothing of the event itself"),
    ] {
        let verdict = ReplyVerdict::Delivered { warnings: Vec::new(), confirmation };
        let (fixture, _) = pages(Ok(report(verdict, false))).await;
        let page = fixture.post("/destinations/meta-main/test", &[("event", "Lead"), ANYWAY]).await;
        page.shows(&format!("delivered: the platform accepted the test, {more}"));
    }
}

#[tokio::test]
async fn a_test_event_that_may_count_is_sent_only_where_the_box_is_ticked() {
    let (fixture, chosen) = pages(Ok(report(delivered(&[]), false))).await;
    let page = fixture.get("/destinations").await;
    page.shows("It is not known whether the platform uses a test event").shows("name=\"anyway\"");
    for unticked in [&[][..], &[("anyway", "")], &[("anyway", "no")]] {
        let page = fixture.post("/destinations/shop-hook/test", unticked).await;
        page.shows("No test event was sent").shows("<code>test_may_count</code>");
    }
    assert!(chosen.lock().is_empty());
    fixture.post("/destinations/shop-hook/test", &[ANYWAY]).await;
    assert_eq!(*chosen.lock(), ["shop-hook "]);
}

#[tokio::test]
async fn a_refused_account_brings_the_setup_guides_words() {
    let reason = account_refused("code 190");
    let (fixture, _) = pages(Ok(report(ReplyVerdict::Park { reason }, false))).await;
    let page = fixture.post("/destinations/meta-main/test", &[ANYWAY]).await;
    page.shows("the account is refused").shows("What the setup guide says").shows("**Code 190**");
    page.hides("what waits longest is sent now");
}

#[tokio::test]
async fn what_was_not_sent_says_why_and_where_it_cannot_be_there_is_no_button() {
    let (fixture, _) = pages(Err(TestRefused::TooSoon { seconds: 3 })).await;
    let page = fixture.post("/destinations/shop-hook/test", &[ANYWAY]).await;
    page.shows("No test event was sent").shows("<code>too_soon</code>").shows("3 s, then send it again");
    let page = fixture.get("/destinations").await;
    page.hides("action=\"/destinations/meta-main/test").shows("No test event can be sent:");
    page.shows("<code>test_event_code</code>").shows("<code>test_setting_missing</code>");
}

#[tokio::test]
async fn a_form_of_another_session_sends_no_test_event() {
    let (fixture, chosen) = pages(Ok(report(delivered(&[]), false))).await;
    let refused = fixture.post_only("/destinations/shop-hook/test", &[("csrf", "wrong")]).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert!(chosen.lock().is_empty());
}

#[tokio::test]
async fn the_page_shows_states_versions_and_certainties() {
    let fixture = PagesFixture::busy().await;
    let page = fixture.get("/destinations").await;
    page.shows("parked</span>").shows("untried</span>");
    page.shows("1200 are confirmed by the platform, 4 were known to it already");
    page.shows("<code>v26.0</code>, taken until").shows("**Code 190**");
}

#[tokio::test]
async fn the_page_warns_of_a_refresh_token_whose_next_one_cannot_be_kept() {
    let mut fixture = PagesFixture::busy().await;
    fixture.get("/destinations").await.hides("another refresh token");
    let template = Catalog::load(None).unwrap().destination("microsoft-offline").unwrap();
    let names = ["developer_token", "customer_id", "account_id", "client_id", "refresh_token"];
    let account = ready(template, &names.map(|name| (name, "7")));
    let unkept = SecretNotKept::NoFile { setting: "refresh_token".to_owned() };
    fixture.pages.ops.destinations = Arc::new(vec![Arc::new(account.with_unkept_token(Some(unkept)))]);
    let page = fixture.get("/destinations").await;
    page.shows("The platform gives another refresh token again and again")
        .shows("<code>refresh_token</code>");
    page.shows("Keep it in a file that postbridge may write").shows("<code>token_in_no_file</code>");
}

#[tokio::test]
async fn a_preview_shows_of_what_each_value_is_made() {
    let fixture = PagesFixture::busy().await;
    let pasted = [("source", "cake-test"), ("pasted", "tid=1&price=7&s2=jxWUv1dyfyUCQnUF808u4iM7b0tMSpb88t")];
    let page = fixture.post("/sources", &pasted).await;
    page.shows("What each value is made of").shows("<code>/data/0/custom_data/value</code>");
    page.shows("<code>click.params.fbclid</code>").shows("own text");
}
