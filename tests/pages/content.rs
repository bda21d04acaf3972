//! What the pages show: everything that was received, inert, with the reason and the next step.

use std::sync::Arc;

use http::StatusCode;
use postbridge::domain::delivery::ReplyVerdict;
use postbridge::domain::destination_state::{DestinationState, Hold};
use postbridge::domain::ids::{ClickId, DestinationId};
use postbridge::domain::time::Time;
use postbridge::ingest::click::ClickDraft;
use postbridge::store::contract::Store;
use postbridge::store::contract::arrival::{ClickArrival, Screening};
use postbridge::store::contract::conformance::fixture::reason::unavailable;
use postbridge::store::engine::faulty::FaultAt;
use postbridge::web::routes::{Endpoint, table};
use postbridge::web::unrecorded::UnrecordedReason;

use crate::support::pages_fixture::{CLICK, PagesFixture, noon};

const PLACES: [&str; 6] =
    ["/conversions", "/quarantine", "/dead-letters", "/irreversible", "/sources", "/destinations"];

#[tokio::test]
async fn every_page_carries_the_headers_that_keep_it_to_itself() {
    let fixture = PagesFixture::busy().await;
    let sale = fixture.path_of("A-1001").await;
    let missing = format!("/conversions/{}", "0".repeat(32));
    for place in PLACES.into_iter().chain([sale.as_str(), "/sign-in", "/", missing.as_str()]) {
        let answer = fixture.get(place).await;
        let policy = answer.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; style-src 'self';"), "{place}: {policy}");
        assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
        assert_eq!(answer.header("cache-control"), "no-store");
        assert!(!answer.text.contains("<script") && !answer.text.contains(" style="), "{place}");
    }
    let page = fixture.get("/conversions").await.text;
    let style = page.split("href=\"").find(|part| part.starts_with("/pages-")).unwrap();
    let style = fixture.get(style.split('"').next().unwrap()).await;
    assert_eq!((style.status, style.header("content-type")), (StatusCode::OK, "text/css; charset=utf-8"));
    assert!(style.header("cache-control").contains("immutable"));
}

#[tokio::test]
async fn with_nothing_there_every_page_says_what_to_do_next() {
    let fixture = PagesFixture::new();
    fixture.sign_in().await;
    for (place, wanted) in [
        ("/conversions", "No conversions yet"),
        ("/conversions?state=dead", "No conversion fits these filters"),
        ("/quarantine", "Nothing is in quarantine"),
        ("/dead-letters", "No dead letters"),
        ("/irreversible", "No destination counts a sale differently"),
        ("/sources", "none yet"),
        ("/destinations", "No error since start"),
    ] {
        let page = fixture.get(place).await;
        assert_eq!(page.status, StatusCode::OK, "{place}");
        page.shows(wanted);
    }
}

#[tokio::test]
async fn a_list_refuses_a_filter_that_it_does_not_have_or_sets_itself() {
    let fixture = PagesFixture::new();
    fixture.sign_in().await;
    for place in [
        "/quarantine?status=accepted",
        "/quarantine?open=false",
        "/dead-letters?state=held",
        "/irreversible?irreversible=false",
        "/conversions?undreamt=1",
        "/clicks?state=dead",
    ] {
        let page = fixture.get(place).await;
        assert_eq!(page.status, StatusCode::BAD_REQUEST, "{place}");
        page.shows("the parameters here are");
    }
}

#[tokio::test]
async fn with_nothing_configured_the_pages_show_what_to_configure() {
    let mut fixture = PagesFixture::new();
    fixture.pages.ops.networks = Default::default();
    fixture.pages.ops.destinations = Default::default();
    fixture.sign_in().await;
    fixture.get("/sources").await.shows("No source is configured").shows("[[source]]");
    fixture.get("/destinations").await.shows("No destination is configured").shows("postbridge check");
}

#[tokio::test]
async fn a_sale_is_shown_from_its_raw_bytes_to_each_response() {
    let fixture = PagesFixture::busy().await;
    let page = fixture.get(&fixture.path_of("A-1001").await).await;
    page.shows("s1&#x3D;<mark>#</mark>s1<mark>#</mark>&amp;s2&#x3D;");
    page.shows("caf<mark>\\xe9</mark>").shows("byte e9, which is not UTF-8").shows("a raw #");
    page.shows("transaction_id").shows("left out: a macro that was not filled in");
    page.shows(CLICK).shows("https://shop.example.com/?fbclid&#x3D;IwAR2xyz").shows("198.51.100.7");
    page.shows("7.50 USD").shows("meta-main").shows("shop-hook");
    page.shows("HTTP 400: <code>order_id</code> is wrong")
        .shows("Fix what the answer names, then retry")
        .shows("<code>platform_rejected</code>");
    page.shows("&quot;value&quot;: 7.50").shows("Bearer ***").shows("HTTP 400");
    page.shows("look at <code>fbp</code>").shows("<time datetime=\"2026-11-20T12:00:00.000Z\"");
    assert_eq!(page.text.matches("Retry now").count(), 1, "only the dead one can be retried");
}

#[tokio::test]
async fn what_a_network_sent_is_inert_wherever_it_is_shown() {
    let fixture = PagesFixture::busy().await;
    let sale = fixture.path_of("A-1001").await;
    let filtered = "/conversions?transaction_id=%22%3E%3Cscript%3Ealert(1)%3C/script%3E";
    for place in PLACES.into_iter().chain([sale.as_str(), filtered]) {
        let page = fixture.get(place).await;
        page.hides("<script").hides("<b>order_id</b>").hides("\" onmouseover=\"x");
    }
    let page = fixture.get(&sale).await;
    page.shows("&lt;script&gt;alert(1)&lt;/script&gt;").shows("&quot; onmouseover&#x3D;&quot;x");
    fixture.get(filtered).await.shows("value=\"&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;\"");
    let pasted = [("source", "cake-test"), ("pasted", "tid=</textarea><script>alert(1)</script>&price=1")];
    let page = fixture.post("/sources", &pasted).await;
    assert_eq!(page.status, StatusCode::OK);
    page.hides("<script").shows("&lt;/textarea&gt;&lt;script&gt;");
}

#[tokio::test]
async fn the_list_can_be_narrowed_and_says_so_when_a_filter_is_wrong() {
    let fixture = PagesFixture::busy().await;
    fixture.get("/conversions").await.shows("A-1001").shows("A-1000");
    for (query, shown, hidden) in [
        ("state=held", "A-1000", "A-1001"),
        ("state=dead", "A-1001", "A-1000"),
        ("event=Lead", "A-1000", "A-1001"),
        ("click_id=jxWUv1dyfyUCQnUF808u4iM7b0tMSpb88t", "A-1001", "A-1000"),
        ("source=cake-test&status=approved&transaction_id=A-1000", "A-1000", "A-1001"),
        ("since=2026-11-20T12%3A00&until=2026-11-20T12%3A01&event=Lead", "A-1000", "A-1001"),
    ] {
        fixture.get(&format!("/conversions?{query}")).await.shows(shown).hides(hidden);
    }
    fixture.get("/conversions?since=2026-11-20T12%3A01").await.shows("No conversion fits").hides("A-1001");
    let wrong = fixture.get("/conversions?since=yesterday").await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST);
    wrong.shows("a time is written 2026-11-20T10:00:00Z");
    for list in ["/quarantine", "/deliveries", "/dead-letters", "/irreversible"] {
        let wrong = fixture.get(&format!("{list}?since=yesterday")).await;
        assert_eq!(wrong.status, StatusCode::BAD_REQUEST, "{list}");
        wrong.shows("<code>since</code> is <code>yesterday</code>").shows(">Filter</button>");
    }
}

#[tokio::test]
async fn a_long_list_goes_on_by_the_older_link() {
    let fixture = PagesFixture::busy().await;
    let first = fixture.get("/conversions?limit=1").await;
    let older = first.text.split("href=\"").find(|part| part.contains("cursor")).expect("an Older link");
    let older = older.split('"').next().unwrap().replace("&amp;", "&").replace("&#x3D;", "=");
    let second = fixture.get(&older).await;
    assert_ne!(first.text.contains("A-1001"), second.text.contains("A-1001"));
    second.shows("Newest").shows("limit&#x3D;1");
}

#[tokio::test]
async fn the_quarantine_shows_bytes_reason_and_fix() {
    let fixture = PagesFixture::busy().await;
    let page = fixture.get("/quarantine").await;
    page.shows("cake-test?s1&#x3D; HTTP/1.1").shows("caf<mark>\\xe9</mark>");
    page.shows("is below 0 and no earlier conversion has the transaction id <code>R-1</code>");
    page.shows("reprocessed automatically").shows("Reprocess with current");
    assert_eq!(page.text.matches("Reprocess with current").count(), 2);
}

#[tokio::test]
async fn a_dead_letter_shows_request_response_reason_and_next_step() {
    let fixture = PagesFixture::busy().await;
    let page = fixture.get("/dead-letters?destination=meta-main").await;
    page.shows("HTTP 400: <code>order_id</code> is wrong").shows("https://graph.example.com/events");
    page.shows("&lt;b&gt;order_id&lt;/b&gt;").shows("Fix what the answer names").shows("Retry now");
    page.shows("in a request (events in it: 8)").shows("&lt;b&gt;one&lt;/b&gt; of them is wrong");
    page.shows("So it was sent again").hides("<b>one</b>");
    fixture.get("/dead-letters?destination=shop-hook").await.shows("No dead letters");
    let by_code = "/dead-letters?reason_code=platform_rejected";
    fixture.get(by_code).await.shows("https://graph.example.com/events").shows("selected>platform_rejected");
    fixture.get("/dead-letters?reason_code=gave_up").await.shows("No dead letters");
    let page = fixture.get("/deliveries?reason_code=gave_upp").await;
    page.shows("there is no such code here; did you mean").shows("gave_up");
}

#[tokio::test]
async fn only_the_sources_page_shows_a_key_and_no_page_a_secret() {
    let fixture = PagesFixture::busy().await;
    let sale = fixture.path_of("A-1001").await;
    let pasted = [("source", "cake-test"), ("pasted", "tid=1&price=7&s2=jxWUv1dyfyUCQnUF808u4iM7b0tMSpb88t")];
    let preview = fixture.post("/sources", &pasted).await;
    preview.shows("Bearer ***").hides("meta-secret-token").hides("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    for place in PLACES.into_iter().chain([sale.as_str()]) {
        let page = fixture.get(place).await;
        page.hides("meta-secret-token").hides("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        assert_eq!(page.text.contains("the-key"), place == "/sources", "{place}");
    }
    fixture
        .get("/sources")
        .await
        .shows("s1&#x3D;#s1#&amp;s2&#x3D;#s2#&amp;tid&#x3D;#tid#&amp;price&#x3D;#price#");
}

#[tokio::test]
async fn a_parked_destination_says_since_when_why_and_what_to_do() {
    let fixture = PagesFixture::busy().await;
    let page = fixture.get("/destinations").await;
    page.shows("Parked since")
        .shows("code 190: the token has expired")
        .shows("account_refused")
        .shows("setup guide says, then reload");
    page.shows("<dt>Held for a click</dt><dd>1</dd>").shows("1204").shows("Setup guide");
}

#[tokio::test]
async fn a_destination_on_hold_says_until_when_and_why() {
    let mut fixture = PagesFixture::busy().await;
    let reason = unavailable(429, "slow <down>");
    let hold = Hold { since: noon(), until: noon().plus_hours(1), reason: reason.clone() };
    let mut worker = DestinationState {
        destination: DestinationId::parse("meta-main").unwrap(),
        parked: None,
        open_until: None,
        hold: Some(hold.clone()),
        in_flight: 0,
        is_tried: true,
        delivered: 0,
        confirmations: Default::default(),
        last_error: None,
    };
    let known = worker.clone();
    fixture.pages.ops.workers = Arc::new(move || vec![known.clone()]);
    let page = fixture.get("/destinations").await;
    page.shows("On hold until").shows("HTTP 429: slow &lt;down&gt;").shows("on hold");
    page.shows("Nothing to do: waiting counts as no attempt").hides("Parked since");

    worker.last_error = Some((noon(), ReplyVerdict::Retry { reason, after_ms: None, hold_ms: None }));
    fixture.pages.ops.workers = Arc::new(move || vec![worker.clone()]);
    let page = fixture.get("/destinations").await;
    assert_eq!(page.text.matches("HTTP 429").count(), 1, "once, where it is also the last error");
}

#[tokio::test]
async fn a_destination_says_how_sure_its_facts_are_and_which_setting_expires() {
    let fixture = PagesFixture::busy().await;
    let page = fixture.get("/destinations").await;
    page.shows("Facts of the template: verified; in doubt: replies (doubtful)").hides("takes until");
    page.shows("Presets of outgoing postbacks").shows("ExoClick <code>exoclick</code>");
    page.shows("level doubtful; in doubt: ").shows("exoclick_id&#x3D;{conversions_tracking}");
    fixture.pages.ops.clock.set(Time::parse("2028-04-02T00:00:00Z").unwrap());
    let page = fixture.get("/destinations").await;
    page.shows(
        "The setting <code>version</code> is <code>v26.0</code>, which the platform takes until 2028-06-01",
    );
}

#[tokio::test]
async fn a_preview_shows_the_exact_request_and_stores_nothing() {
    let fixture = PagesFixture::busy().await;
    let url = "https://t.example.com/the-key/collect/cake-test?s1=#s1#&s2=jxWUv1dyfyUCQnUF808u4iM7b0tMSpb88t&tid=P-7&price=7.50&oid=12";
    for pasted in [url, &url[url.find('?').unwrap() + 1..], &format!("GET {} HTTP/1.1", &url[21..])] {
        let source = if pasted == url { "" } else { "cake-test" };
        let page = fixture.post("/sources", &[("pasted", pasted), ("source", source)]).await;
        assert_eq!(page.status, StatusCode::OK, "{pasted}");
        page.shows("This would be sent").hides("It would be kept in quarantine");
        page.shows("&quot;value&quot;: 7.50").shows("IwAR2xyz").shows("https://hooks.example.com/in");
    }
    fixture.get("/conversions?transaction_id=P-7").await.shows("No conversion fits");
}

#[tokio::test]
async fn a_preview_says_why_a_postback_would_be_quarantined() {
    let fixture = PagesFixture::busy().await;
    let page = fixture.post("/sources", &[("pasted", "tid=1&price=#price#"), ("source", "cake-test")]).await;
    page.shows("It would be kept in quarantine").shows("<code>price</code>");
    let lost = fixture.post("/sources", &[("pasted", "tid=1&price=1"), ("source", "")]).await;
    assert_eq!(lost.status, StatusCode::BAD_REQUEST);
    lost.shows("names no configured source");
}

#[tokio::test]
async fn a_preview_reads_a_body_too() {
    let fixture = PagesFixture::busy().await;
    let fields = [("pasted", ""), ("source", "cake-test"), ("body", "{\"tid\":\"B-1\",\"price\":\"3\"}")];
    fixture.post("/sources", &fields).await.shows("B-1").shows("3 USD");
}

#[tokio::test]
async fn what_is_not_there_is_a_page_that_says_so() {
    let fixture = PagesFixture::busy().await;
    for id in ["0".repeat(32), "nonsense".to_owned(), "%3Cscript%3E".to_owned()] {
        let page = fixture.get(&format!("/conversions/{id}")).await;
        assert_eq!(page.status, StatusCode::NOT_FOUND);
        page.shows("No conversion with this id is kept").shows("keep_conversions_days");
    }
}

#[tokio::test]
async fn a_store_that_fails_is_a_503_with_words() {
    let fixture = PagesFixture::busy().await;
    fixture.receive(b"tid=X-1&price=-1").await;
    fixture.disk.fail(FaultAt::BeforeSync, 0, "no space left on device");
    let answer = fixture.post("/postbacks/3/reprocess", &[]).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    answer.shows("The store failed");
    assert_eq!(answer.header("retry-after"), "5");
}

#[tokio::test]
async fn clicks_that_were_not_recorded_stand_on_the_first_page_for_a_day() {
    let fixture = PagesFixture::new();
    fixture.sign_in().await;
    let wanted = "clicks were not recorded";
    assert!(!fixture.get("/conversions").await.text.contains(wanted));
    fixture.pages.unrecorded.count(UnrecordedReason::Rate, noon().plus_hours(-2));
    fixture.pages.unrecorded.count(UnrecordedReason::Bytes, noon().plus_hours(-1));
    let page = fixture.get("/conversions").await;
    page.shows("In the last 24 hours 2 clicks were not recorded");
    page.shows("max_kib_per_second");
    fixture.clock.set(noon().plus_hours(24));
    assert!(!fixture.get("/conversions").await.text.contains(wanted));
}

#[tokio::test]
async fn what_is_missing_of_a_click_is_on_its_page_and_with_its_sale() {
    let fixture = PagesFixture::busy().await;
    let mut draft = ClickDraft { id: ClickId::parse("long-click").ok(), ..ClickDraft::default() };
    draft.referrer = Some(format!("https://blog.example/{}", "r".repeat(8000)));
    draft.cookies = vec![("_ga".to_owned(), "g".repeat(5000))];
    let click = draft.into_click(ClickId::parse("other").unwrap(), noon());
    fixture.store.record_click(ClickArrival { click, screening: Screening::None }).await.unwrap();
    fixture.receive(b"s2=long-click&tid=A-77&price=7.50").await;
    for page in ["/clicks/long-click".to_owned(), fixture.path_of("A-77").await] {
        let page = fixture.get(&page).await;
        page.shows("Not kept whole");
        page.shows("has 8021 bytes");
        page.shows("has 5000 bytes");
    }
}

#[tokio::test]
async fn the_page_of_the_api_shows_every_call_with_what_it_reads_and_answers() {
    let fixture = PagesFixture::busy().await;
    let page = fixture.get("/api").await;
    assert_eq!(page.status, StatusCode::OK);
    for row in table::ROUTES.iter().filter(|row| matches!(row.endpoint, Endpoint::Api(_))) {
        page.shows(&format!("{} {}<", row.methods[0], row.path));
    }
    for named in ["transaction_id", "next_cursor", "schema-Trace", "at most 100,000 lines", "409"] {
        page.shows(named);
    }
    assert!(
        !page.text.contains("<script") && !page.text.contains("href=\"http"),
        "it needs nothing from elsewhere"
    );
    let links: Vec<&str> =
        page.text.split("href=\"#").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    for link in links.into_iter().filter(|link| link.starts_with("schema-")) {
        page.shows(&format!("id=\"{link}\""));
    }
}
