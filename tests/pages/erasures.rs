//! The pages of erasures: what would be erased, the form that erases it, and what it did.

use http::StatusCode;
use postbridge::ops::erasure;
use postbridge::store::contract::Store;
use postbridge::store::contract::conformance::fixture::received::{click, unscreened};

use crate::support::pages_fixture::{PagesFixture, noon};

/// With a click of someone at `jane@example.com`.
async fn visited() -> PagesFixture {
    let fixture = PagesFixture::new();
    for (id, email) in [("c1", "Jane@Example.com"), ("c2", "adam@example.com")] {
        let mut visited = click(id);
        visited.customer.0.values_mut().for_each(|value| email.clone_into(value));
        (visited.at, visited.recorded_at) = (noon(), noon());
        fixture.store.record_click(unscreened(visited)).await.unwrap();
    }
    fixture.sign_in().await;
    fixture
}

#[tokio::test]
async fn what_would_be_erased_is_shown_first_and_is_erased_once_that_is_meant() {
    let fixture = visited().await;
    let page = fixture.get("/erasures").await;
    page.shows("No data was erased").shows("action=\"/erasures\"");
    fixture.keep_csrf(&page);
    let asked = [("kind", "email"), ("value", "jane@example.com")];
    let preview = fixture.post("/erasures", &asked).await;
    assert_eq!(preview.status, StatusCode::OK);
    preview.shows("What would be erased").shows("<dt>clicks</dt><dd>1</dd>").shows("name=\"sure\"");
    fixture.get("/erasures").await.shows("No data was erased");
    fixture.get("/erasures/work").await.shows("What would be erased").shows("name=\"work\" value=\"1\"");
    let unsure = fixture.post("/erasures", &[("work", "7"), ("apply", "yes"), ("sure", "yes")]).await;
    assert_eq!(unsure.status, StatusCode::NOT_FOUND);
    let done = fixture.post("/erasures", &[("work", "1"), ("apply", "yes"), ("sure", "yes")]).await;
    assert_eq!((done.status, done.header("location")), (StatusCode::SEE_OTHER, "/erasures/1"));
    erasure::finish(fixture.store.as_ref(), noon()).await.unwrap();
    let shown = fixture.get("/erasures/1").await;
    shown.shows("<dt>clicks</dt><dd>1 of 1</dd>").shows("not rewritten yet").hides("jane").hides("Jane");
    fixture.get("/erasures").await.shows("href=\"/erasures/1\"").hides("jane");
    fixture.get("/clicks/c1").await.shows("erased").hides("203.0.113.9").hides("Jane");
    fixture.get("/clicks/c2").await.shows("203.0.113.9");
}

#[tokio::test]
async fn a_value_that_cannot_be_used_or_names_no_one_is_refused_in_words() {
    let fixture = visited().await;
    let page = fixture.get("/erasures").await;
    fixture.keep_csrf(&page);
    for (kind, value, status, words) in [
        ("email", "jane", StatusCode::BAD_REQUEST, "no e-mail address"),
        ("phone", "0171 7654321", StatusCode::BAD_REQUEST, "calling code"),
        ("email", "eve@example.com", StatusCode::NOT_FOUND, "No record of that person"),
        ("name", "Jane", StatusCode::BAD_REQUEST, "not known"),
    ] {
        let refused = fixture.post("/erasures", &[("kind", kind), ("value", value)]).await;
        assert_eq!(refused.status, status, "{value}");
        refused.shows(words).hides(value);
    }
    for path in ["/erasures/7", "/erasures/x"] {
        assert!(fixture.get(path).await.status.is_client_error(), "{path}");
    }
}
