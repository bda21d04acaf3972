//! The tag in a real browser: landing page → click → offer link → conversion → the payload at a stand-in
//! ad platform; without JavaScript; with consent withheld, given and taken back.
//!
//! Screenshots are left in the target's folder for temporary files, or in `POSTBRIDGE_SCREENSHOTS`.

use serde_json::{Value, json};

use crate::browser::{Browser, Page};
use crate::relay::{TOKEN, ask, wait_until};
use crate::tag_ground::{NETWORK, World, param, pictures};

const FBCLID: &str = "IwAR0-Ab_Cd9xYz";

/// A page with every kind of link, one that comes late, and cookies that come late.
fn landing(world: &World) -> String {
    let (tag, network) = (world.tag("data-campaign=\"8599\""), world.network("/"));
    format!(
        r##"<!doctype html><meta charset="utf-8"><title>Landing page</title>
<style>body {{ font: 18px sans-serif; margin: 2em }} a {{ display: block; margin: .4em 0 }}</style>
{tag}
<h1>Ten good reasons</h1>
<a id="plain" href="{network}?a=200&amp;c=761&amp;s1=lp%20one&amp;x=%7Eé#terms">To the offer</a>
<a id="kept" href="{network}?a=200&amp;s2=mine">To the offer, with a sub id of the page's own</a>
<a id="empty" href="{network}?s2=&amp;a=200">To the offer, with an empty sub id</a>
<a id="plugin" href="/go/offer">To the offer, by a redirect of this site</a>
<a id="group" href="https://elsewhere.test/x?y=1" data-tracking-group="CAKE">By its tracking group</a>
<a id="rel" href="https://elsewhere.test/x" rel="nofollow cake">By its rel</a>
<a id="placeholder" href="https://elsewhere.test/--CLICK-ID--?z=--CLICK-ID--">By the placeholder</a>
<a id="foreign" href="https://elsewhere.test/x?y=1">To somebody else</a>
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

/// A world whose pages are up.
fn world() -> World {
    let world = World::new();
    world.put("/lp", &landing(&world));
    world.put("/go/*", "<title>Redirect plugin</title><h1>A plugin would send you on</h1>");
    world.put("/about", &format!("{}<h1>About us</h1>", world.tag("data-campaign=\"8599\"")));
    world.put("/", "<title>Offer</title><h1>The offer</h1>");
    world.put("/late", "<title>Offer</title><h1>The offer</h1>");
    world
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
fn check_payload(told: &Value, click: &Value, agent: &str) {
    let user = &told["user_data"];
    assert_eq!(user["fbc"], format!("fb.1.{}.{FBCLID}", millis(click)), "{told}");
    assert_eq!(user["client_ip_address"], "127.0.0.1", "{told}");
    assert_eq!(user["client_user_agent"], agent, "{told}");
    assert_eq!(told["event_source_url"], click["landing_url"], "{told}");
}

#[test]
fn a_visitors_way_from_the_landing_page_to_the_offer_reaches_the_ad_platform_by_every_door() {
    let Some(browser) = Browser::start() else { return };
    let (world, mut page) = (world(), browser.page());
    let landing_url = world.shop(&format!("/lp?fbclid={FBCLID}&utm_source=fb&s1=lp"));
    page.open(&landing_url);
    let (id, agent) = (click_id(&mut page), page.text("navigator.userAgent"));
    assert!(id.len() == 29 && id.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_lowercase()), "{id}");

    page.until("(document.getElementById('late') || {search: ''}).search.includes('s2=')");
    let network = world.network("/");
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

    let click = world.click(&id);
    assert_eq!(click["landing_url"], landing_url);
    let seen = world.told("ViewContent", 1).remove(0);
    check_payload(&seen, &click, &agent);
    let outbound = world.conversions("tag");
    assert_eq!(outbound.len(), 1);
    assert_eq!(outbound[0]["event"], "OutboundClick");

    let told = world.relay.postback("cake-test", format!("s2={id}&oid=565&tid=T-1&price=7.50").as_bytes());
    assert_eq!(told.json()["attribution"], "matched", "{}", told.text());
    let bought = world.told("Purchase", 1).remove(0);
    check_payload(&bought, &click, &agent);
    assert_eq!(bought["user_data"]["fbp"], "fb.1.1790000000000.77", "the cookie that came late: {bought}");
    assert_eq!(bought["custom_data"]["order_id"], "T-1");

    let pixel = world.tracker(&format!(
        "/pixel.gif?offer=565&event=Purchase&click_id={id}&transaction_id=P-1&value=8.25&currency=USD"
    ));
    let thanks = format!(
        "<title>Thank you</title><h1>Thank you for your order P-1</h1><img src=\"{pixel}\" alt=\"\">"
    );
    world.put("/thanks", &thanks);
    page.open(&world.network("/thanks"));
    page.picture(&pictures().join("tag-thank-you-page.png"));
    let by_pixel = world.told("Purchase", 2).remove(1);
    check_payload(&by_pixel, &click, &agent);

    let api = format!(
        "GET /api/2/conversion.json?api_key={TOKEN}&offer_id=565&click_id={id}&unique_id=A-1&amount=9.10 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    );
    let told = ask(world.relay.address, api.as_bytes()).unwrap();
    assert_eq!(told.status, 200, "{}", told.text());
    let by_api = world.told("Purchase", 3).remove(2);
    check_payload(&by_api, &click, &agent);
    assert_eq!(by_api["custom_data"]["value"].to_string(), "9.10", "{by_api}");

    let entrance = format!(
        "http://t.shop.test:{}/conversions/{}",
        world.relay.address.port(),
        outbound[0]["id"].as_str().unwrap_or_default()
    );
    page.open(&entrance.replace("/conversions/", "/sign-in?next=/conversions/"));
    page.value(&format!("document.querySelector('[type=password]').value = '{TOKEN}'"));
    page.value("document.querySelector('form').submit()");
    page.until("location.pathname.startsWith('/conversions') && document.readyState === 'complete'");
    page.picture(&pictures().join("tag-conversion.png"));
}
