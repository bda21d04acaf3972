//! The pages of the network's side: clicks, offers, campaigns, and statuses by hand.

use std::sync::Arc;

use http::StatusCode;
use postbridge::domain::conversion::Dedup;
use postbridge::domain::ids::{OfferId, SourceId};
use postbridge::domain::offer::Offer;
use postbridge::domain::postback::RawRequest;
use postbridge::domain::reporter::{BuiltInSource, Keyless, ParamSpelling, ReportRoute, Reporter};
use postbridge::domain::rights::{Right, Rights};
use postbridge::domain::routing::SourcePolicy;
use postbridge::domain::ruleset::{Ruleset, usual};
use postbridge::ingest::submit::{Received, submit};
use postbridge::store::contract::Store;
use postbridge::store::contract::arrival::Finding;
use postbridge::store::contract::conformance::fixture::offer::{offer, offer_id};
use postbridge::store::contract::conformance::fixture::received::{go_by, request, sale};
use postbridge::web::auth::Tokens;

use crate::support::network_pages_fixture::{BOT, FIRST, LIST, OLD, SECOND, VISITOR};
use crate::support::pages_fixture::{PagesFixture, TOKEN, noon};

const PLACES: [&str; 9] = [
    "/clicks",
    "/clicks/mi00000000first0000000000000a",
    "/deliveries",
    "/offers",
    "/offers/565",
    "/campaigns",
    "/generate-link?campaign=8599",
    "/tag",
    "/suppression",
];

/// The path of the list that [`PagesFixture::trading`] has.
const LIST_PATH: &str = "/suppression/fraud%20%2F%202026";

/// A sale's page and the path its status form posts to.
async fn status_path(fixture: &PagesFixture, transaction: &str) -> (String, String) {
    let page = fixture.path_of(transaction).await;
    let form = format!("{page}/status");
    (page, form)
}

#[tokio::test]
async fn every_page_of_the_network_keeps_to_itself_and_shows_what_received_inert() {
    let fixture = PagesFixture::trading().await;
    for place in PLACES.into_iter().chain([LIST_PATH]) {
        let page = fixture.get(place).await;
        assert_eq!(page.status, StatusCode::OK, "{place}: {}", page.text);
        assert!(page.header("content-security-policy").starts_with("default-src 'none'"), "{place}");
        page.hides("<boots>").hides("<script").hides("ORD-<1>").hides(" style=");
    }
}

#[tokio::test]
async fn with_nothing_there_each_page_says_what_to_do_next() {
    let fixture = PagesFixture::new();
    fixture.sign_in().await;
    for (place, wanted) in [
        ("/clicks", "No click has been recorded yet"),
        ("/clicks?marked=true", "No click fits these filters"),
        ("/offers", "No offer is configured"),
        ("/campaigns", "No campaign is configured"),
        ("/generate-link", "No affiliate is configured"),
        ("/tag", "The tag is not served"),
        ("/suppression", "There is no suppression list"),
        ("/deliveries", "No conversion has been sent to a destination yet"),
    ] {
        let page = fixture.get(place).await;
        assert_eq!(page.status, StatusCode::OK, "{place}: {}", page.text);
        page.shows(wanted);
    }
    for (place, wanted) in [
        ("/clicks/nobody", "No click with this id is kept"),
        ("/offers/565", "No offer with this id is configured"),
        ("/suppression/none", "No suppression list with this name is kept"),
    ] {
        let page = fixture.get(place).await;
        assert_eq!(page.status, StatusCode::NOT_FOUND, "{place}");
        page.shows(wanted);
    }
}

#[tokio::test]
async fn the_list_of_clicks_can_be_narrowed_to_those_that_a_filter_hit() {
    let fixture = PagesFixture::trading().await;
    fixture.get("/clicks").await.shows(FIRST).shows(SECOND).shows(OLD).shows(BOT).shows("Chrome 131");
    let marked = fixture.get("/clicks?marked=true").await;
    marked.shows(SECOND).shows("marked</span>").shows(BOT).shows("blocked</span>").hides(FIRST).hides(OLD);
    fixture.get("/clicks?campaign=8600").await.shows("No click fits");
    let since = fixture.get("/clicks?offer=565&since=2026-11-20T11%3A55").await;
    since.shows(SECOND).hides(FIRST).shows("value=\"2026-11-20T11:55\"");
    let wrong = fixture.get("/clicks?since=yesterday").await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST);
    wrong.shows("a time is written 2026-11-20T10:00:00Z");
}

#[tokio::test]
async fn a_click_is_shown_with_every_verdict_and_what_it_received_to() {
    let fixture = PagesFixture::trading().await;
    let page = fixture.get(&format!("/clicks/{SECOND}")).await;
    page.shows("Example Media")
        .shows("Shoes &amp; &lt;boots&gt;")
        .shows(VISITOR)
        .shows("Windows 10")
        .shows("DE");
    page.shows("ad user data: given · ad personalization: refused");
    page.shows("duplicate").shows("observe").shows("is of the same visitor, less than 3600 s before");
    page.shows("passed</span>").shows("V-1").hides("S-1");
    let bot = fixture.get(&format!("/clicks/{BOT}")).await;
    bot.shows("the user agent is of a bot: Examplebot")
        .shows("enforce")
        .shows("No conversion names this click");
    fixture.get(&format!("/clicks/{FIRST}")).await.shows("S-1").shows("campaign:8599").hides("V-1");
}

#[tokio::test]
async fn a_conversion_shows_what_its_campaigns_postback_would_say() {
    let fixture = PagesFixture::trading().await;
    let page = fixture.get(&fixture.path_of("S-1").await).await;
    page.shows("Outgoing postbacks, as they would be sent now").shows("https://aff.example/pb?cid&#x3D;");
    page.shows("sent as 6.30 USD");
    fixture.get(&fixture.path_of("A-1001").await).await.hides("What the outgoing postbacks");
}

#[tokio::test]
async fn a_conversion_names_the_source_of_its_payout_and_the_clicks_that_lost() {
    let fixture = PagesFixture::trading().await;
    let seen = fixture.get(&fixture.path_of("V-1").await).await;
    seen.shows("the offer&#x27;s fixed payout").shows("7.00 USD").shows("12.00 USD").shows("Example Media");
    seen.shows("the model <code>last_touch</code> chose").shows(SECOND);
    seen.shows("Other candidate clicks").shows(FIRST).shows("a later click of the visitor earns: last touch");
    let late = fixture.get(&fixture.path_of("X-1").await).await;
    late.shows("scrubbed</span>").shows("had expired").shows("its session was over").shows(OLD);
}

#[tokio::test]
async fn a_pixels_conversion_without_its_click_says_so_once_next_to_the_click() {
    let fixture = PagesFixture::trading().await;
    for (transaction, click, said) in [
        ("N-1", None, "by the offer&#x27;s postback URL"),
        ("N-2", Some("gone"), "that it names is not recorded"),
    ] {
        let mut sale = sale(transaction).at(noon());
        sale.draft.source = BuiltInSource::Pixel.id();
        sale.draft.network.offer = Some(OfferId::parse("565").unwrap());
        sale.draft.click_id = click.map(str::to_owned);
        fixture.store.arrive(sale.arrival()).await.unwrap();
        let page = fixture.get(&fixture.path_of(transaction).await).await;
        page.shows("<code>no_click</code>");
        assert_eq!(page.text.matches(said).count(), 1, "{}", page.text);
        page.hides("the URL under");
    }
}

#[tokio::test]
async fn a_status_is_changed_by_a_person_with_a_note_and_the_history_names_both() {
    let fixture = PagesFixture::trading().await;
    let (page, form) = status_path(&fixture, "V-1").await;
    fixture.get(&page).await.shows(&format!("action=\"{form}\"")).shows("<option value=\"rejected\">");
    let sent = fixture.post(&form, &[("status", "rejected"), ("note", " double <order> ")]).await;
    assert_eq!((sent.status, sent.header("location")), (StatusCode::SEE_OTHER, page.as_str()));
    let after = fixture.get(&page).await;
    after.shows("The conversion is rejected now").shows("status: approved → rejected");
    after.shows("<small>set by one-time link: double &lt;order&gt;</small>");
    fixture.post(&form, &[("status", "rejected")]).await;
    fixture.get(&page).await.shows("The conversion is rejected already");
    fixture.post(&form, &[("status", "paid")]).await;
    fixture.get(&page).await.shows("Choose the new status").hides("<code>paid");
    fixture.post(&form, &[("status", "pending"), ("note", &"x".repeat(1001))]).await;
    fixture
        .get(&page)
        .await
        .shows("<code>note</code> has 1001 characters; at most 1000 are kept")
        .shows("status: approved → rejected")
        .hides("→ pending");
}

#[tokio::test]
async fn an_offer_shows_what_its_advertiser_pastes_and_no_key() {
    let fixture = PagesFixture::trading().await;
    let page = fixture.get("/offers/565").await;
    page.shows("https://t.example.com/api/2/conversion.json?api_key&#x3D;API_KEY&amp;offer_id&#x3D;565&amp;click_id&#x3D;REPLACE</code>");
    page.shows("&lt;img src&#x3D;&quot;https://t.example.com/pixel.gif?offer&#x3D;565&amp;transaction_id&#x3D;ORDER_ID&quot;");
    page.shows("https://t.example.com/pixel.js?offer&#x3D;565")
        .shows("/p.ashx?o&#x3D;565")
        .hides("value&#x3D;SALE_AMOUNT");
    page.shows("advertiser = \"31\"")
        .shows("10000 clicks a day")
        .shows("720 hours")
        .shows("30 days, last_touch");
    page.shows("<dt>Billable clicks today</dt><dd>2</dd>").shows("<dt>Conversions today</dt><dd>3</dd>");
    page.shows("https://t.example.com/c/8599").hides("/c/8600").hides(TOKEN);
    fixture.get("/offers").await.shows("paused</span>").shows("12 % of the sale").shows("7.00 USD");
    page.hides("<h3>Closed</h3>");
    fixture.get("/offers/566").await.shows("this offer pays a part of it");
}

#[tokio::test]
async fn an_offer_shows_only_what_it_opens_and_the_line_that_opens_the_rest() {
    let fixture = PagesFixture::trading().await;
    let page = fixture.get("/offers/566").await;
    page.shows("/api/2/conversion.json").shows("f&#x3D;pb").shows("Purchase, Lead");
    page.hides("/pixel.gif?offer").hides("/pixel.js?offer").hides("f&#x3D;img");
    page.shows("<h3>Closed</h3>").shows("endpoint_closed");
    page.shows("report_by &#x3D; [&quot;api&quot;, &quot;pixel&quot;, &quot;server&quot;]");
}

#[tokio::test]
async fn one_button_approves_a_further_sale_of_a_click() {
    let fixture = PagesFixture::trading().await;
    let mut rules = Ruleset::clone(&fixture.network.rules);
    let pixel = BuiltInSource::Pixel.id();
    let policy = SourcePolicy { dedup: Dedup::Click, ..usual(pixel.clone()) };
    rules.policies.insert(pixel.clone(), Arc::new(policy));
    rules.offers.insert(offer_id("565"), Arc::new(offer("565")));
    go_by(&*fixture.store, Arc::new(rules));
    let mut last = None;
    for transaction in ["P-1", "P-2"] {
        let mut seen = sale(transaction).at(noon()).click(FIRST).of("565");
        seen.draft.source = pixel.clone();
        let receipt = fixture.store.arrive(seen.arrival()).await.unwrap();
        last = receipt.verdict.conversion();
    }
    let page = format!("/conversions/{}", last.unwrap());
    let waits = fixture.get(&page).await;
    waits.shows("Approve: it is another sale").shows("its click has had its sale").shows("pending</span>");
    let answer = fixture.post(&format!("{page}/status"), &[("status", "approved")]).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    let approved = fixture.get(&page).await;
    approved
        .shows("approved</span>")
        .hides("Approve: it is another sale")
        .hides("its click has had its sale");
}

#[tokio::test]
async fn a_report_on_a_closed_endpoint_has_a_button_that_takes_it_once_that_is_open() {
    let mut fixture = PagesFixture::trading().await;
    let mut closed = offer("565");
    closed.reports.by.clear();
    let keyless = Keyless {
        route: ReportRoute::Server,
        spelling: ParamSpelling::Short,
        visitor: None,
        user_agent: None,
        hops: ["203.0.113.9", "10.9.0.7"].map(|hop| hop.parse().unwrap()).into(),
    };
    let closed_route = closed.reports.closed(&closed.id, keyless.route, None).unwrap();
    let reporter = Some(Box::new(Reporter::Keyless(keyless)));
    let raw = RawRequest { reporter, ..request(b"GET /p.ashx?o=565&r=later&t=C-1&f=pb HTTP/1.1") };
    let receipt = {
        let source = SourceId::parse("pixel").ok();
        let received = Received { source, raw, received_at: noon(), mapping: None };
        submit(fixture.store.as_ref(), received, Finding::Quarantined(closed_route.into())).await.unwrap()
    };
    let again = format!("/postbacks/{}/reprocess", receipt.postback);
    let offers = |offer: Offer| {
        Arc::new(Ruleset { offers: [(offer.id.clone(), Arc::new(offer))].into(), ..Ruleset::default() })
    };
    fixture.pages.ops.reports.rules = offers(closed);
    fixture.get("/quarantine").await.shows(&again).shows("takes no reports by <code>server</code>");
    fixture
        .get("/quarantine")
        .await
        .shows("Forwarded for <code>203.0.113.9</code>: according to its headers");
    fixture.post(&again, &[]).await;
    fixture.get("/quarantine").await.shows(&again).shows("was not reprocessed");
    fixture.pages.ops.reports.rules = offers(offer("565"));
    fixture.post(&again, &[]).await;
    fixture.get("/quarantine").await.hides(&again);
    fixture
        .get("/conversions?source=pixel&offer=565")
        .await
        .shows("C-1")
        .shows("<details class=\"plain\" open>");
    fixture.get("/conversions?offer=9").await.hides("C-1").shows("No conversion fits");
    fixture.get("/conversions?s3=nothing").await.hides("C-1").shows("value=\"nothing\"");
}

#[tokio::test]
async fn a_campaign_shows_its_links_and_its_postback_as_written() {
    let fixture = PagesFixture::trading().await;
    let page = fixture.get("/campaigns").await;
    page.shows("https://t.example.com/c/8599").shows("https://t.example.com/?a&#x3D;200&amp;c&#x3D;761");
    page.shows("https://aff.example/pb?cid&#x3D;#s2#&amp;payout&#x3D;#price#&amp;tid&#x3D;#tid#");
    page.shows("80 % of the conversions")
        .shows("payout × 0.90")
        .shows("No postback: the affiliate is not notified");
    page.shows("href=\"/deliveries?destination=campaign:8599\"");
    fixture.get("/deliveries?destination=campaign:8599").await.shows("S-1").hides("A-1001");
}

#[tokio::test]
async fn a_campaign_shows_the_links_to_its_other_creatives_and_a_click_the_creatives_name() {
    let fixture = PagesFixture::trading().await;
    let page = fixture.get("/campaigns").await;
    page.shows("To the creative 762").shows("https://t.example.com/c/8599?c&#x3D;762");
    page.shows("href=\"/generate-link?campaign&#x3D;8599\"").shows("Spring &lt;banner&gt;");
    fixture.get("/offers/565").await.shows("https://advertiser.example/spring?cid&#x3D;{click_id}");
    for place in [format!("/clicks/{FIRST}"), fixture.path_of("S-1").await] {
        fixture.get(&place).await.shows("<dt>Creative</dt><dd>761 <small>Spring &lt;banner&gt;</small>");
    }
}

#[tokio::test]
async fn a_link_is_generated_by_affiliate_then_campaign_then_creative() {
    let fixture = PagesFixture::trading().await;
    let start = fixture.get("/generate-link").await;
    start
        .shows("Other &amp; Sons")
        .shows("name=\"affiliate\"")
        .hides("name=\"campaign\"")
        .hides("Tracking link</h2>");
    let affiliate = fixture.get("/generate-link?affiliate=200").await;
    affiliate.shows("<option value=\"200\" selected>").shows("<option value=\"8600\">").hides("8601");
    affiliate.hides("name=\"creative\"").hides("Tracking link</h2>");
    let campaign = fixture.get("/generate-link?affiliate=200&campaign=8599&creative=").await;
    campaign
        .shows("<option value=\"8599\" selected>")
        .shows("<option value=\"762\">")
        .hides("Tracking link</h2>");
    let links = fixture.get("/generate-link?affiliate=200&campaign=8599&creative=761").await;
    links.shows("<option value=\"761\" selected>").shows("<code>https://t.example.com/c/8599</code>");
    links.shows("<code>https://t.example.com/?a&#x3D;200&amp;c&#x3D;761</code>");
    links.shows("<code>https://advertiser.example/spring?a&#x3D;200&amp;c&#x3D;761</code>");
    links.shows("add <code>\"https://advertiser.example\"</code> to <code>[tag] origins</code>");
    links.shows("&lt;img src&#x3D;&quot;https://t.example.com/click.gif?campaign&#x3D;8599&quot;");
    let other = fixture.get("/generate-link?affiliate=200&campaign=8599&creative=762").await;
    other.shows("/c/8599?c&#x3D;762</code>").shows("click.gif?campaign&#x3D;8599&amp;c&#x3D;762&quot;");
    other.shows("<code>https://advertiser.example/{click_id}</code> holds <code>{click_id}</code> outside");
    other.shows("give the creative a <code>url</code> without it");
}

#[tokio::test]
async fn where_only_one_is_left_to_choose_it_is_chosen() {
    let fixture = PagesFixture::trading().await;
    let one = fixture.get("/generate-link?affiliate=201").await;
    one.shows("<option value=\"8601\" selected>").shows("<option value=\"763\" selected>");
    one.shows("Tracking link</h2>");
    // From the campaign's card.
    fixture.get("/generate-link?campaign=8599").await.shows("<option value=\"200\" selected>");
    let bare = fixture.get("/generate-link?campaign=8600").await;
    bare.shows("https://t.example.com/c/8600").shows("The campaign has no creative");
    fixture.get("/generate-link?affiliate=202").await.shows("This affiliate has no campaign");
}

#[tokio::test]
async fn what_was_chosen_before_another_choice_is_asked_for_again_and_what_is_not_configured_is_named() {
    let fixture = PagesFixture::trading().await;
    let stale = fixture.get("/generate-link?affiliate=200&campaign=8601&creative=763").await;
    stale.hides("role=\"alert\"").hides("Tracking link</h2>").shows("<option value=\"8599\">");
    let stale = fixture.get("/generate-link?affiliate=200&campaign=8599&creative=763").await;
    stale.hides("role=\"alert\"").hides("Tracking link</h2>");
    for (query, named) in [
        ("affiliate=nope", "No affiliate with the id <code>nope</code>"),
        ("affiliate=200&campaign=%3Cb%3E", "No campaign with the id <code>&lt;b&gt;</code>"),
        ("campaign=9", "No campaign with the id <code>9</code>"),
        ("campaign=8599&creative=9", "No campaign has a creative with the id <code>9</code>"),
    ] {
        let page = fixture.get(&format!("/generate-link?{query}")).await;
        assert_eq!(page.status, StatusCode::BAD_REQUEST, "{query}");
        page.shows(named).shows("role=\"alert\"").hides("Tracking link</h2>");
    }
}

#[tokio::test]
async fn the_tag_page_shows_the_snippets_with_their_hash() {
    let page = PagesFixture::trading().await.get("/tag").await;
    page.shows("src&#x3D;&quot;https://t.example.com/tag.js&quot;");
    page.shows("/tag.0011223344556677.js").shows("integrity&#x3D;&quot;sha384-abcdef&quot;");
    page.shows("https://shop.example")
        .shows("/click.gif?campaign&#x3D;8599")
        .shows("referrerpolicy&#x3D;&quot;unsafe-url&quot;")
        .shows("data-consent&#x3D;&quot;wait&quot;");
}

#[tokio::test]
async fn a_list_that_is_asked_to_go_on_from_nowhere_says_so() {
    let fixture = PagesFixture::trading().await;
    for place in ["/clicks", "/conversions", "/deliveries", LIST_PATH] {
        let reported = fixture.get(&format!("{place}?cursor=nowhere")).await;
        assert_eq!(reported.status, StatusCode::BAD_REQUEST, "{place}");
        reported.shows("first page of the list");
    }
}

#[tokio::test]
async fn who_may_only_look_sees_no_button_and_is_refused_with_the_fix() {
    let mut fixture = PagesFixture::trading().await;
    fixture.pages.tokens = Tokens::new([("eyes", TOKEN, Rights::new(vec![Right::Read]))]);
    let (sale, form) = status_path(&fixture, "A-1001").await;
    fixture.keep_cookie(&fixture.post_only("/sign-in", &[("token", TOKEN)]).await);
    let page = fixture.get(&sale).await;
    page.hides("Retry now").hides("Change the status");
    fixture.keep_csrf(&page);
    fixture.get("/dead-letters").await.shows("A-1001").hides("Retry now");
    fixture.get("/quarantine").await.hides("Reprocess with");
    fixture.get("/suppression").await.shows(LIST).hides("Add entries");
    fixture.get(LIST_PATH).await.hides("Take off").hides("Remove the");
    for path in [form.as_str(), "/suppression", &format!("{LIST_PATH}/remove"), &format!("{LIST_PATH}/add")] {
        let fields = [("status", "rejected"), ("sure", "yes"), ("entries", "a@b.example"), ("list", "x")];
        let refused = fixture.post(path, &fields).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{path}");
        refused.shows("may change nothing here").shows("rights &#x3D; [&quot;network&quot;]");
    }
    fixture.get(LIST_PATH).await.shows("2 entries");
}
