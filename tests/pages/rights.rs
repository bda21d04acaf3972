//! What a token's rights let its holder do on the pages.

use http::StatusCode;
use postbridge::domain::ids::AdvertiserId;
use postbridge::domain::rights::{Right, Rights};
use postbridge::web::auth::Tokens;

use crate::support::pages_fixture::PagesFixture;

fn tokens(reader: Vec<Right>) -> Tokens {
    let advertiser = Right::Advertiser(AdvertiserId::parse("31").unwrap());
    Tokens::new([
        ("ops", "a-token-of-the-network", Rights::new(vec![Right::Network])),
        ("eyes", "a-token-that-looks", Rights::new(reader)),
        ("acme", "a-token-of-an-advertiser", Rights::new(vec![advertiser])),
    ])
}

async fn busy() -> PagesFixture {
    let mut fixture = PagesFixture::busy().await;
    fixture.pages.tokens = tokens(vec![Right::Read]);
    fixture.forget_cookie();
    fixture
}

/// The path that the form of the dead letter is sent to.
async fn retry_path(fixture: &PagesFixture) -> String {
    let sale = fixture.path_of("A-1001").await;
    format!("/deliveries/{}~meta-main~first/retry", sale.trim_start_matches("/conversions/"))
}

#[tokio::test]
async fn a_token_that_looks_sees_every_page_and_changes_nothing() {
    let fixture = busy().await;
    fixture.sign_in_by("a-token-that-looks").await;
    for place in
        ["/conversions", "/quarantine", "/dead-letters", "/irreversible", "/sources", "/destinations"]
    {
        assert_eq!(fixture.get(place).await.status, StatusCode::OK, "{place}");
    }
    let retry = retry_path(&fixture).await;
    for place in [retry.as_str(), "/postbacks/3/reprocess"] {
        let refused = fixture.post(place, &[]).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{place}");
        refused.shows("The token <code>eyes</code> may change nothing here").shows("Use a token with <code>");
    }
    // The dead letter is as it was.
    fixture.get("/dead-letters").await.shows("A-1001").shows("dead</span>").hides(&retry);
    let preview = fixture.post("/sources", &[("source", "cake-test"), ("query", "s2=x&tid=1&price=2")]).await;
    assert_eq!(preview.status, StatusCode::OK, "a preview changes nothing");
    assert_eq!(fixture.post("/sign-out", &[]).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn the_networks_token_and_the_operators_link_may_change() {
    let fixture = busy().await;
    fixture.sign_in_by("a-token-of-the-network").await;
    let retry = retry_path(&fixture).await;
    assert_eq!(fixture.post(&retry, &[]).await.status, StatusCode::SEE_OTHER);
    fixture.forget_cookie();
    fixture.sign_in().await;
    assert_eq!(fixture.post("/postbacks/3/reprocess", &[]).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn an_advertisers_token_does_not_sign_in() {
    let fixture = busy().await;
    let refused = fixture.post_only("/sign-in", &[("token", "a-token-of-an-advertiser")]).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    refused.shows("reaches only the network").hides("a-token-of-an-advertiser");
    assert_eq!(refused.header("set-cookie"), "");
}

#[tokio::test]
async fn rights_that_are_taken_away_end_at_once_also_in_an_open_session() {
    let mut fixture = busy().await;
    fixture.sign_in_by("a-token-that-looks").await;
    fixture.pages.tokens = tokens(Vec::new());
    let refused = fixture.get("/conversions").await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    refused.shows("The token <code>eyes</code> reaches only the network");
}
