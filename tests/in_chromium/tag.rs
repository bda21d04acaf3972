//! The tag in a real browser: landing page → click → offer link → conversion → the payload at a stand-in
//! ad platform; without JavaScript; with consent withheld, given and taken back.
//!
//! Screenshots are left in the target's folder for temporary files, or in `POSTBRIDGE_SCREENSHOTS`.

use std::time::Duration;

use serde_json::Value;

use crate::support::browser::{Browser, Page};
use crate::support::relay::{TOKEN, ask, wait_until};
use crate::support::tag_fixture::{NETWORK, TagFixture, param, pictures};

/// How long anything may take that is waited for.
const PATIENCE: Duration = Duration::from_secs(15);
const FBCLID: &str = "IwAR0-Ab_Cd9xYz";

/// A page with every kind of link, one that is added late, and cookies that are set late.
fn landing(fixture: &TagFixture) -> String {
    let (tag, network) = (fixture.tag("data-campaign=\"8599\""), fixture.network("/"));
    format!(
        r##"<!doctype html><meta charset="utf-8"><title>Landing page</title>
<style>body {{ font: 18px sans-serif; margin: 2em }} a {{ display: block; margin: .4em 0 }} a::after {{ content: ' → ' attr(href); color: #777; font-size: 12px }}</style>
{tag}
<h1>Ten good reasons</h1>
<a id="plain" href="{network}?a=200&amp;c=761&amp;s1=lp%20one&amp;x=%7Eé#terms">To the offer</a>
<a id="kept" href="{network}?a=200&amp;s2=mine">To the offer, with a sub id of the page's own</a>
<a id="empty" href="{network}?s2=&amp;a=200">To the offer, with an empty sub id</a>
<a id="plugin" href="/go/offer">To the offer, by a redirect of this site</a>
<a id="group" href="https://elsewhere.test/x?y=1" data-tracking-group="CAKE">By its tracking group</a>
<a id="rel" href="https://elsewhere.test/x" rel="nofollow cake">By its rel</a>
<a id="placeholder" href="https://elsewhere.test/--CLICK-ID--?z=--CLICK-ID--">By the placeholder</a>
<a id="foreign" href="https://elsewhere.test/x?y=1">To someone else</a>
<a id="inside" href="/about">Inside</a>
<script>
setTimeout(() => {{
  const late = document.createElement('a');
  late.id = 'late';
  late.href = '{network}late';
  late.textContent = 'To the offer, added by a script';
  document.body.append(late);
  document.cookie = '_fbp=fb.1.1790000000000.77; path=/';
}}, 200);
</script>"##
    )
}

/// A fixture whose pages are up.
fn fixture() -> TagFixture {
    let fixture = TagFixture::new();
    fixture.put("/lp", &landing(&fixture));
    fixture.put("/go/*", "<title>Redirect plugin</title><h1>A plugin would send you on</h1>");
    fixture.put("/about", &format!("{}<h1>About us</h1>", fixture.tag("data-campaign=\"8599\"")));
    fixture.put("/", "<title>Offer</title><h1>The offer</h1>");
    fixture.put("/late", "<title>Offer</title><h1>The offer</h1>");
    fixture
}

fn href(page: &mut Page, id: &str) -> String {
    page.text(&format!("document.getElementById('{id}').getAttribute('href')"))
}

fn click_id(page: &mut Page) -> String {
    page.until("!!(window.postbridge && postbridge.clickId && postbridge.clickId())");
    page.text("postbridge.clickId()")
}

fn millis(click: &Value) -> i64 {
    postbridge::domain::time::Time::parse(click["time"].as_str().unwrap()).unwrap().as_millis()
}

/// What the platform must have of a click by this browser.
fn check_payload(reported: &Value, click: &Value, agent: &str) {
    let user = &reported["user_data"];
    assert_eq!(user["fbc"], format!("fb.1.{}.{FBCLID}", millis(click)), "{reported}");
    assert_eq!(user["client_ip_address"], Value::Null, "the browser's is the loopback address: {reported}");
    assert_eq!(user["client_user_agent"], agent, "{reported}");
    assert_eq!(reported["event_source_url"], click["landing_url"], "{reported}");
}

#[test]
fn a_visitors_way_from_the_landing_page_to_the_offer_reaches_the_ad_platform_by_every_endpoint() {
    let Some(browser) = Browser::start() else { return };
    let (fixture, mut page) = (fixture(), browser.page());
    let landing_url = fixture.shop(&format!("/lp?fbclid={FBCLID}&utm_source=fb&s1=lp"));
    page.open(&landing_url);
    let (id, agent) = (click_id(&mut page), page.text("navigator.userAgent"));
    assert!(id.len() == 29 && id.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_lowercase()), "{id}");

    page.until("(document.getElementById('late') || {search: ''}).search.includes('s2=')");
    let network = fixture.network("/");
    assert_eq!(href(&mut page, "plain"), format!("{network}?a=200&c=761&s1=lp%20one&x=%7Eé&s2={id}#terms"));
    assert_eq!(href(&mut page, "kept"), format!("{network}?a=200&s2=mine"));
    assert_eq!(href(&mut page, "empty"), format!("{network}?s2={id}&a=200"));
    assert_eq!(href(&mut page, "plugin"), format!("/go/offer?s2={id}"));
    assert_eq!(href(&mut page, "group"), format!("https://elsewhere.test/x?y=1&s2={id}"));
    assert_eq!(href(&mut page, "rel"), format!("https://elsewhere.test/x?s2={id}"));
    assert_eq!(href(&mut page, "placeholder"), format!("https://elsewhere.test/{id}?z={id}"));
    assert_eq!(href(&mut page, "foreign"), "https://elsewhere.test/x?y=1");
    assert_eq!(href(&mut page, "inside"), "/about");
    assert_eq!(href(&mut page, "late"), format!("{network}late?s2={id}"));
    page.picture(&pictures().join("tag-landing-page.png"));

    page.until("JSON.parse(localStorage.postbridge).click.cookies._fbp === 'fb.1.1790000000000.77'");
    page.press("#plain", "left");
    page.until(&format!("location.hostname === '{NETWORK}' && document.readyState === 'complete'"));
    let arrived = page.text("location.href");
    assert_eq!(param(&arrived, "s2").as_deref(), Some(id.as_str()));
    assert!(arrived.ends_with("#terms"), "{arrived}");

    let click = fixture.click(&id);
    assert_eq!(click["landing_url"], landing_url);
    let seen = fixture.reported("ViewContent", 1).remove(0);
    check_payload(&seen, &click, &agent);
    let outbound = fixture.conversions("tag");
    assert_eq!(outbound.len(), 1);
    assert_eq!(outbound[0]["event"], "OutboundClick");

    let reported =
        fixture.relay.postback("cake-test", format!("s2={id}&oid=565&tid=T-1&price=7.50").as_bytes());
    assert_eq!(reported.json()["attribution"], "matched", "{}", reported.text());
    let bought = fixture.reported("Purchase", 1).remove(0);
    check_payload(&bought, &click, &agent);
    assert_eq!(bought["user_data"]["fbp"], "fb.1.1790000000000.77", "the cookie that was set late: {bought}");
    assert_eq!(bought["custom_data"]["order_id"], "T-1");

    let pixel = fixture.tracker(&format!(
        "/pixel.gif?offer=565&event=Purchase&click_id={id}&transaction_id=P-1&value=8.25&currency=USD"
    ));
    let thanks = format!(
        "<title>Thank you</title><h1>Thank you for your order P-1</h1><img src=\"{pixel}\" alt=\"\">"
    );
    fixture.put("/thanks", &thanks);
    page.open(&fixture.network("/thanks"));
    page.picture(&pictures().join("tag-thank-you-page.png"));
    let by_pixel = fixture.reported("Purchase", 2).remove(1);
    check_payload(&by_pixel, &click, &agent);

    let api = format!(
        "GET /api/2/conversion.json?api_key={TOKEN}&offer_id=565&click_id={id}&unique_id=A-1&amount=9.10 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    );
    let reported = ask(fixture.relay.address, api.as_bytes()).unwrap();
    assert_eq!(reported.status, 200, "{}", reported.text());
    let by_api = fixture.reported("Purchase", 3).remove(2);
    check_payload(&by_api, &click, &agent);
    assert_eq!(by_api["custom_data"]["value"].to_string(), "9.10", "{by_api}");

    let id = outbound[0]["id"].as_str().unwrap();
    page.open(&fixture.tracker(&format!("/sign-in?next=/conversions/{id}")));
    page.value(&format!("document.querySelector('[type=password]').value = '{TOKEN}'"));
    page.value("document.querySelector('form').submit()");
    page.until("location.pathname.startsWith('/conversions') && document.readyState === 'complete'");
    page.picture(&pictures().join("tag-conversion.png"));
}

#[test]
fn a_link_is_reported_once_however_it_is_pressed_and_also_when_it_received_this_moment() {
    let Some(browser) = Browser::start() else { return };
    let (fixture, mut page) = (fixture(), browser.page());
    page.open(&fixture.shop("/lp"));
    let id = click_id(&mut page);
    page.press("#plain", "middle");
    assert!(wait_until(PATIENCE, || fixture.conversions("tag").len() == 1));
    page.enter("#kept");
    page.until(&format!("location.hostname === '{NETWORK}' && document.readyState === 'complete'"));
    assert!(wait_until(PATIENCE, || fixture.conversions("tag").len() == 2));

    page.open(&fixture.shop("/lp"));
    assert_eq!(click_id(&mut page), id, "the same visitor without another landing parameter");
    // Inside a shadow tree, pressed in the same turn in which it was received.
    let network = fixture.network("/late");
    page.value(&format!(
        "void setTimeout(() => {{ const host = document.createElement('p'); document.body.append(host);
        host.attachShadow({{mode: 'open'}}).innerHTML = '<a href=\"{network}\">there</a>';
        host.shadowRoot.querySelector('a').click(); }})"
    ));
    page.until(&format!("location.hostname === '{NETWORK}' && document.readyState === 'complete'"));
    assert_eq!(param(&page.text("location.href"), "s2"), Some(id));
    assert!(wait_until(PATIENCE, || fixture.conversions("tag").len() == 3));
}

#[test]
fn another_landing_parameter_is_another_click_and_a_named_click_is_taken_over() {
    let Some(browser) = Browser::start() else { return };
    let (fixture, mut page) = (fixture(), browser.page());
    page.open(&fixture.shop("/lp?fbclid=One_1"));
    let first = click_id(&mut page);
    page.open(&fixture.shop("/about"));
    assert_eq!(click_id(&mut page), first);
    page.open(&fixture.shop("/lp?fbclid=Two_2"));
    let second = click_id(&mut page);
    assert_ne!(second, first);
    assert_eq!(fixture.click(&second)["params"]["fbclid"], "Two_2");
    assert_eq!(fixture.click(&first)["params"]["fbclid"], "One_1");

    // By the tracking link: the relay minted the id, and the page goes on with it.
    page.call("Page.navigate", serde_json::json!({"url": fixture.tracker("/c/8599?fbclid=Three_3&s1=x")}));
    page.until("location.search.includes('pb_cid=') && document.readyState === 'complete'");
    let third = click_id(&mut page);
    assert_eq!(param(&page.text("location.href"), "pb_cid").as_deref(), Some(third.as_str()));
    let kept = fixture.click(&third);
    assert_eq!(kept["origin"], "link");
    assert_eq!(kept["params"]["fbclid"], "Three_3");
    let filled = || fixture.click(&third)["cookies"]["_fbp"] == "fb.1.1790000000000.77";
    assert!(wait_until(PATIENCE, filled), "the tag adds what the link could not see");
}

#[test]
fn without_javascript_the_click_pixel_and_the_tracking_link_do_the_same() {
    let Some(browser) = Browser::start() else { return };
    let (fixture, mut page) = (fixture(), browser.page());
    let (pixel, link) = (fixture.tracker("/click.gif?campaign=8599"), fixture.tracker("/c/8599?s1=plain"));
    let html = format!(
        "{}<title>Plain</title><h1>No script runs here</h1><noscript><img src=\"{pixel}\" alt=\"\"></noscript><a id=\"go\" href=\"{link}\">To the offer</a>",
        fixture.tag("")
    );
    fixture.put("/plain", &html);
    let agent = page.text("navigator.userAgent");
    page.without_scripts();
    page.open(&fixture.shop(&format!("/plain?fbclid={FBCLID}")));
    page.picture(&pictures().join("tag-without-javascript.png"));
    let clicks = || fixture.relay.api("/api/v1/clicks")["items"].as_array().unwrap().clone();
    assert!(wait_until(PATIENCE, || clicks().len() == 1), "the click pixel records it");
    assert_eq!(clicks()[0]["origin"], "pixel");

    page.press("#go", "left");
    page.until("location.pathname === '/lp' && document.readyState === 'complete'");
    let id = param(&page.text("location.href"), "pb_cid").unwrap();
    assert!(!href(&mut page, "plain").contains("s2="), "no script has touched the page");
    assert_eq!(fixture.click(&id)["origin"], "link");
    let reported = fixture.relay.postback("cake-test", format!("s2={id}&oid=565&tid=J-1&price=7").as_bytes());
    assert_eq!(reported.json()["attribution"], "matched", "{}", reported.text());
    let bought = fixture.reported("Purchase", 1).remove(0);
    assert_eq!(bought["user_data"]["client_user_agent"], agent, "{bought}");
    assert_eq!(
        bought["user_data"]["client_ip_address"],
        Value::Null,
        "the browser's is the loopback address"
    );
}

/// Everything that a page leaves behind in the browser, and the link as it is.
fn traces(page: &mut Page) -> (i64, String, String) {
    let kept = page.value("localStorage.length").as_i64().unwrap();
    (kept, page.text("document.cookie"), href(page, "plain"))
}

#[test]
fn without_consent_nothing_is_kept_decorated_or_sent_and_with_it_all_is() {
    let Some(browser) = Browser::start() else { return };
    let (fixture, mut page) = (TagFixture::new(), browser.page());
    let link = fixture.network("/?a=200");
    let body = format!("<h1>May we?</h1><a id=\"plain\" href=\"{link}\">To the offer</a>");
    fixture.put("/waits", &format!("{}{body}", fixture.tag("data-consent=\"wait\"")));
    fixture.put("/", "<title>Offer</title><h1>The offer</h1>");
    page.open(&fixture.shop(&format!("/waits?fbclid={FBCLID}")));
    page.until("!!window.postbridge");
    page.value("postbridge.event('Newsletter', {})");
    page.press("#plain", "middle");
    page.value("postbridge.consent({ad_user_data: false, ad_personalization: false})");
    // Long enough for whatever was begun to have been sent.
    page.value("new Promise(done => setTimeout(done, 300))");
    assert_eq!(traces(&mut page), (0, String::new(), link.clone()));
    assert_eq!(page.value("postbridge.clickId()"), Value::Null);
    let sent = "performance.getEntriesByType('resource').filter(one => one.name.includes('/t/')).length";
    assert_eq!(page.value(sent), 0);
    assert_eq!(fixture.relay.api("/api/v1/clicks")["items"].as_array().unwrap().len(), 0);
    page.picture(&pictures().join("tag-consent-withheld.png"));

    page.value("postbridge.consent({ad_user_data: true, ad_personalization: false})");
    let id = click_id(&mut page);
    let (kept, cookie, decorated) = traces(&mut page);
    assert_eq!((kept, cookie), (1, format!("pb_cid={id}")));
    assert_eq!(decorated, format!("{link}&s2={id}"));
    fixture.answered(&id, true);
    let click = fixture.click(&id);
    assert_eq!(click["consent"]["ad_personalization"], false);
    assert_eq!(click["params"]["fbclid"], FBCLID);

    page.value("postbridge.consent({ad_user_data: false})");
    page.until("localStorage.length === 0");
    assert_eq!(traces(&mut page), (0, String::new(), link));
    fixture.answered(&id, false);
}

#[test]
fn a_click_that_could_not_be_sent_is_sent_by_the_next_page() {
    let Some(browser) = Browser::start() else { return };
    let (fixture, mut page) = (fixture(), browser.page());
    let asleep =
        "<script>navigator.sendBeacon = () => false; window.fetch = () => Promise.reject(1)</script>";
    fixture.put("/asleep", &format!("{asleep}{}<h1>Nothing can be sent</h1>", fixture.tag("")));
    page.open(&fixture.shop(&format!("/asleep?fbclid={FBCLID}")));
    let id = click_id(&mut page);
    page.value("postbridge.event('Newsletter', {})");
    assert_eq!(fixture.relay.try_api(&format!("/api/v1/clicks/{id}")), None);

    page.open(&fixture.shop("/about"));
    assert_eq!(fixture.click(&id)["params"]["fbclid"], FBCLID);
    assert!(wait_until(PATIENCE, || fixture.conversions("tag").len() == 1));
    page.until("JSON.parse(localStorage.postbridge).outbox.length === 0");
}

#[test]
fn calls_that_a_page_left_before_the_script_was_there_are_made() {
    let Some(browser) = Browser::start() else { return };
    let (fixture, mut page) = (TagFixture::new(), browser.page());
    let early = "<script>(window.postbridge = window.postbridge || []).push(['consent', {ad_user_data: 'granted'}]);</script>";
    let tag = fixture.tag("data-consent=\"wait\"");
    fixture.put("/early", &format!("{early}{tag}{tag}<h1>Early</h1>"));
    page.open(&fixture.shop("/early"));
    let id = click_id(&mut page);
    fixture.answered(&id, true);
}

#[test]
fn a_page_that_pins_a_version_by_its_hash_gets_it() {
    let Some(browser) = Browser::start() else { return };
    let (fixture, mut page) = (TagFixture::new(), browser.page());
    let served =
        ask(fixture.relay.address, b"GET /tag.js HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let script = postbridge::template::tag_script::TagScript::of(served.text());
    let url = fixture.tracker(&format!("/{}", script.file_name()));
    let pinned = |integrity: &str| {
        format!(
            "<script src=\"{url}\" integrity=\"{integrity}\" crossorigin=\"anonymous\"></script><h1>Pinned</h1>"
        )
    };
    fixture.put("/pinned", &pinned(&script.integrity));
    let another = postbridge::template::tag_script::TagScript::of("another".to_owned());
    fixture.put("/other", &pinned(&another.integrity));
    page.open(&fixture.shop("/other"));
    assert_eq!(page.value("typeof window.postbridge"), "undefined", "another script is refused");
    page.open(&fixture.shop("/pinned"));
    click_id(&mut page);
}
