//! What a person can do on the pages: retry a delivery, reprocess a postback, and read what was received of it.

use http::StatusCode;

use crate::support::pages_fixture::PagesFixture;

/// The id of the delivery of a sale to a destination, from the sale's page.
async fn delivery(fixture: &PagesFixture, transaction: &str, destination: &str) -> String {
    let path = fixture.path_of(transaction).await;
    format!("{}~{destination}~first", path.trim_start_matches("/conversions/"))
}

#[tokio::test]
async fn a_dead_delivery_is_retried_from_its_button() {
    let fixture = PagesFixture::busy().await;
    let sale = fixture.path_of("A-1001").await;
    let id = delivery(&fixture, "A-1001", "meta-main").await;
    let page = fixture.get(&sale).await;
    page.shows(&format!("action=\"/deliveries/{id}/retry\""))
        .shows(&format!("name=\"back\" value=\"{sale}\""));
    let pressed = fixture.post(&format!("/deliveries/{id}/retry"), &[("back", &sale)]).await;
    assert_eq!((pressed.status, pressed.header("location")), (StatusCode::SEE_OTHER, sale.as_str()));
    fixture.get(&sale).await.shows("The delivery is due now").shows("waiting</span>").hides("Retry now");
    fixture.get(&sale).await.hides("The delivery is due now");
    fixture.get("/dead-letters").await.shows("No dead letters");
}

#[tokio::test]
async fn what_cannot_be_retried_says_why() {
    let fixture = PagesFixture::busy().await;
    let id = delivery(&fixture, "A-1001", "shop-hook").await;
    let pressed = fixture.post(&format!("/deliveries/{id}/retry"), &[("back", "//evil.example")]).await;
    assert_eq!(pressed.header("location"), "/dead-letters", "only our own pages are led back to");
    fixture
        .get("/dead-letters")
        .await
        .shows("Not retried: it was delivered; sending again would count twice");
    fixture.post("/deliveries/nonsense/retry", &[]).await;
    fixture.get("/dead-letters").await.shows("Not retried:").shows("<code>nonsense</code>");
}

#[tokio::test]
async fn a_postback_is_reprocessed_when_the_cause_is_fixed() {
    let fixture = PagesFixture::busy().await;
    let reversal = "/postbacks/4/reprocess";
    fixture.get("/quarantine").await.shows(&format!("action=\"{reversal}\""));
    let still = fixture.post(reversal, &[("back", "/quarantine")]).await;
    assert_eq!((still.status, still.header("location")), (StatusCode::SEE_OTHER, "/quarantine"));
    let page = fixture.get("/quarantine").await;
    page.shows("was reprocessed and is still quarantined").shows("reprocesses postback 4");

    fixture.receive(b"s2=abc&tid=R-1&price=7.50").await;
    fixture.post("/postbacks/5/reprocess", &[]).await;
    let page = fixture.get("/quarantine").await;
    page.shows("Postback 5 was reprocessed: updated")
        .shows("See the conversion")
        .hides("transaction id <code>R-1");
    let sale = fixture.get(&fixture.path_of("R-1").await).await;
    for taken in ["4", "5"] {
        fixture.post(&format!("/postbacks/{taken}/reprocess"), &[]).await;
        let page = fixture.get("/quarantine").await;
        page.shows(&format!("Postback {taken} was not reprocessed: postback 7 has reprocessed it already"));
    }
    sale.shows("rejected</span>").shows("status: approved → rejected").shows("reprocesses postback 5");
}

#[tokio::test]
async fn only_what_is_quarantined_is_reprocessed() {
    let fixture = PagesFixture::busy().await;
    for (seq, wanted) in [
        ("1", "only a quarantined or ignored postback can be reprocessed"),
        ("99", "no postback with this id is kept"),
    ] {
        fixture.post(&format!("/postbacks/{seq}/reprocess"), &[]).await;
        fixture.get("/quarantine").await.shows("was not reprocessed").shows(wanted);
    }
}

#[tokio::test]
async fn a_source_that_is_gone_hinders_mapping_and_the_page_says_so() {
    let mut fixture = PagesFixture::busy().await;
    fixture.pages.ops.networks = Default::default();
    let page = fixture.get("/quarantine").await;
    page.shows("is not configured any more").hides("Reprocess with current");
    let sale = fixture.path_of("A-1001").await;
    fixture.get(&sale).await.shows("there is no template to read it with");
}
