//! What a person can do on the pages: retry a delivery, map a postback again, and read what came of it.

use http::StatusCode;

use crate::pages_ground::World;

/// The id of the delivery of a sale to a destination, from the sale's page.
async fn delivery(world: &World, transaction: &str, destination: &str) -> String {
    let path = world.path_of(transaction).await;
    format!("{}~{destination}~first", path.trim_start_matches("/conversions/"))
}

#[tokio::test]
async fn a_dead_delivery_is_retried_from_its_button() {
    let world = World::busy().await;
    let sale = world.path_of("A-1001").await;
    let id = delivery(&world, "A-1001", "meta-main").await;
    let page = world.get(&sale).await;
    page.shows(&format!("action=\"/deliveries/{id}/retry\""))
        .shows(&format!("name=\"back\" value=\"{sale}\""));
    let pressed = world.post(&format!("/deliveries/{id}/retry"), &[("back", &sale)]).await;
    assert_eq!((pressed.status, pressed.header("location")), (StatusCode::SEE_OTHER, sale.as_str()));
    world.get(&sale).await.shows("The delivery is due now").shows("waiting</span>").hides("Retry now");
    world.get(&sale).await.hides("The delivery is due now");
    world.get("/dead-letters").await.shows("No dead letters");
}

#[tokio::test]
async fn what_cannot_be_retried_says_why() {
    let world = World::busy().await;
    let id = delivery(&world, "A-1001", "shop-hook").await;
    let pressed = world.post(&format!("/deliveries/{id}/retry"), &[("back", "//evil.example")]).await;
    assert_eq!(pressed.header("location"), "/dead-letters", "only our own pages are led back to");
    world.get("/dead-letters").await.shows("Not retried: it was delivered; sending again would count twice");
    world.post("/deliveries/nonsense/retry", &[]).await;
    world.get("/dead-letters").await.shows("Not retried:").shows("<code>nonsense</code>");
}

#[tokio::test]
async fn a_postback_is_mapped_again_when_the_cause_is_mended() {
    let world = World::busy().await;
    let reversal = "/postbacks/4/map-again";
    world.get("/quarantine").await.shows(&format!("action=\"{reversal}\""));
    let still = world.post(reversal, &[("back", "/quarantine")]).await;
    assert_eq!((still.status, still.header("location")), (StatusCode::SEE_OTHER, "/quarantine"));
    let page = world.get("/quarantine").await;
    page.shows("was mapped again and is still quarantined").shows("maps postback 4 again");

    world.receive(b"s2=abc&tid=R-1&price=7.50").await;
    world.post("/postbacks/5/map-again", &[]).await;
    let page = world.get("/quarantine").await;
    page.shows("Postback 5 was mapped again: updated")
        .shows("See the conversion")
        .hides("transaction id <code>R-1");
    let sale = world.get(&world.path_of("R-1").await).await;
    for taken in ["4", "5"] {
        world.post(&format!("/postbacks/{taken}/map-again"), &[]).await;
        let page = world.get("/quarantine").await;
        page.shows(&format!("Postback {taken} was not mapped again: postback 7 has mapped it again already"));
    }
    sale.shows("rejected</span>").shows("status: approved → rejected").shows("maps postback 5 again");
}

#[tokio::test]
async fn only_what_is_quarantined_is_mapped_again() {
    let world = World::busy().await;
    for (seq, wanted) in
        [("1", "only a quarantined postback can be mapped again"), ("99", "no such postback")]
    {
        world.post(&format!("/postbacks/{seq}/map-again"), &[]).await;
        world.get("/quarantine").await.shows("was not mapped again").shows(wanted);
    }
}

#[tokio::test]
async fn a_source_that_is_gone_hinders_mapping_and_the_page_says_so() {
    let mut world = World::busy().await;
    world.pages.networks = Default::default();
    let page = world.get("/quarantine").await;
    page.shows("Its source is not configured any more").hides("Map again with today");
    let sale = world.path_of("A-1001").await;
    world.get(&sale).await.shows("there is no template to read it by");
}
