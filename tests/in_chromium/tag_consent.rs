//! The visitor's answer in a real browser: withdrawn on a later page, offline, in another tab, given again.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::browser::{Browser, Page};
use crate::support::relay::wait_until;
use crate::support::tag_fixture::{RECORDER, TagFixture, sent};

const PATIENCE: Duration = Duration::from_secs(15);
const NO: &str = "postbridge.consent({ad_user_data: false, ad_personalization: false})";
const YES: &str = "postbridge.consent({ad_user_data: true, ad_personalization: true})";
const NOTHING_KEPT: &str = "localStorage.length === 0 && document.cookie === ''";

/// Pages that wait for consent (`/waits*`), pages that do not (`/asks*`), and one whose consent tool speaks
/// before the tag is there (`/refuses`).
fn fixture() -> TagFixture {
    let fixture = TagFixture::new();
    let link = format!("<h1>A page</h1><a id=\"plain\" href=\"{}\">To the offer</a>", offer(&fixture));
    let early = "<script>(window.postbridge = window.postbridge || []).push(['consent', {ad_user_data: false}]);</script>";
    let waiting = fixture.tag("data-campaign=\"8599\" data-consent=\"wait\"");
    let asking = fixture.tag("data-campaign=\"8599\"");
    fixture.put("/waits*", &format!("{RECORDER}{waiting}{link}"));
    fixture.put("/asks*", &format!("{RECORDER}{asking}{link}"));
    fixture.put("/refuses", &format!("{RECORDER}{early}{waiting}{link}"));
    fixture.put("/never", &format!("{RECORDER}{early}{asking}{link}"));
    fixture.put("/", "<title>Offer</title><h1>The offer</h1>");
    fixture
}

fn offer(fixture: &TagFixture) -> String {
    fixture.network("/?a=200")
}

fn href(page: &mut Page) -> String {
    page.text("document.getElementById('plain').getAttribute('href')")
}

/// The id of the page's click, once it has one.
fn click_id(page: &mut Page) -> String {
    page.until("!!(window.postbridge && postbridge.clickId && postbridge.clickId())");
    page.text("postbridge.clickId()")
}

/// Opens a page that waits, and agrees.
fn agree(fixture: &TagFixture, page: &mut Page, path: &str) -> String {
    page.open(&fixture.shop(path));
    page.value(YES);
    let id = click_id(page);
    fixture.answered(&id, true);
    id
}

/// Refused it is: nothing on the link, no click, and whatever the page does sends nothing.
fn check_silent(fixture: &TagFixture, page: &mut Page) {
    let before = sent(page).len();
    assert_eq!(href(page), offer(fixture));
    assert_eq!(page.value("postbridge.clickId()"), Value::Null);
    page.value("postbridge.event('Newsletter', {})");
    page.value("document.querySelector('#plain').dispatchEvent(new MouseEvent('auxclick', {bubbles: true, composed: true, button: 1}))");
    page.value("document.body.append(Object.assign(document.createElement('a'), {href: document.querySelector('#plain').href}))");
    // Longer than the tag waits before it looks at new links.
    page.value("new Promise(done => setTimeout(done, 150))");
    assert_eq!(page.value("document.links[document.links.length - 1].search"), "?a=200");
    assert_eq!(sent(page).len(), before, "{:?}", sent(page));
}

fn is_refusal(message: &Value, id: &str) {
    let body = &message["body"];
    assert_eq!((message["path"].as_str(), body["click_id"].as_str()), (Some("/t/event"), Some(id)));
    assert_eq!(body["consent"]["ad_user_data"], false, "{message}");
    assert!(body["consent_at"].is_i64() && body["now"].as_i64() >= body["consent_at"].as_i64(), "{message}");
    let mut members: Vec<&str> = body.as_object().unwrap().keys().map(String::as_str).collect();
    members.sort_unstable();
    assert_eq!(members, ["click_id", "consent", "consent_at", "now"], "the refusal and no more");
}

#[test]
fn a_withdrawal_on_a_later_page_is_reported_once_also_where_it_is_older_than_the_script() {
    let Some(browser) = Browser::start() else { return };
    let (fixture, mut page) = (fixture(), browser.page());
    for path in ["/waits/later", "/refuses"] {
        let id = agree(&fixture, &mut page, "/waits?fbclid=One_1");
        page.value("delete sessionStorage.sent");
        page.open(&fixture.shop(path));
        if path != "/refuses" {
            page.until("!!(window.postbridge && postbridge.clickId)");
            assert_eq!(sent(&mut page), Vec::<Value>::new(), "before it is asked the page sends nothing");
            page.value(NO);
        }
        page.until(NOTHING_KEPT);
        fixture.answered(&id, false);
        check_silent(&fixture, &mut page);
        page.value(NO);
        page.open(&fixture.shop("/refuses"));
        check_silent(&fixture, &mut page);
        let reported = sent(&mut page);
        assert_eq!(reported.len(), 1, "{reported:?}");
        is_refusal(&reported[0], &id);
    }
}

#[test]
fn a_withdrawal_is_reported_for_the_cookie_where_nothing_else_is_left() {
    let Some(browser) = Browser::start() else { return };
    let (fixture, mut page) = (fixture(), browser.page());
    let id = agree(&fixture, &mut page, "/waits");
    // As on another host of the same site.
    page.value("localStorage.clear()");
    page.value("delete sessionStorage.sent");
    page.open(&fixture.shop("/refuses"));
    page.until(NOTHING_KEPT);
    is_refusal(&sent(&mut page)[0], &id);
    fixture.answered(&id, false);
}

#[test]
fn a_no_on_the_page_that_a_tracking_link_led_to_is_reported_for_the_links_click() {
    let Some(browser) = Browser::start() else { return };
    let (fixture, mut page) = (fixture(), browser.page());
    assert_eq!(fixture.relay.post("/api/v1/clicks", r#"{"click_id": "of-the-link"}"#).status, 200);
    page.open(&fixture.shop("/waits?pb_cid=of-the-link"));
    page.until("!!(window.postbridge && postbridge.clickId)");
    page.value(NO);
    fixture.answered("of-the-link", false);
    page.until(NOTHING_KEPT);
    is_refusal(&sent(&mut page)[0], "of-the-link");
    check_silent(&fixture, &mut page);
}

#[test]
fn of_a_visitor_who_was_never_recorded_a_no_is_neither_kept_nor_sent() {
    let Some(browser) = Browser::start() else { return };
    let (fixture, mut page) = (fixture(), browser.page());
    page.open(&fixture.shop("/refuses"));
    check_silent(&fixture, &mut page);
    assert_eq!(page.value(NOTHING_KEPT), true);
    // Also where the page does not wait: the consent tool spoke before the tag was there.
    page.open(&fixture.shop("/never"));
    check_silent(&fixture, &mut page);
    assert_eq!(page.text("localStorage.postbridge"), r#"{"outbox":[],"refused":true}"#);
    assert_eq!(sent(&mut page), Vec::<Value>::new());
    assert_eq!(fixture.relay.api("/api/v1/clicks")["items"].as_array().unwrap().len(), 0);
}

#[test]
fn a_withdrawal_while_offline_is_kept_over_pages_and_confirmed_after_coming_back() {
    let Some(browser) = Browser::start() else { return };
    let (fixture, mut page) = (fixture(), browser.page());
    let id = agree(&fixture, &mut page, "/waits");
    page.call("Network.enable", json!({}));
    let offline = |page: &mut Page, offline: bool| {
        let conditions =
            json!({"offline": offline, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1});
        page.call("Network.emulateNetworkConditions", conditions);
        page.until(&format!("navigator.onLine === {}", !offline));
    };
    offline(&mut page, true);
    page.value("postbridge.event('Newsletter', {})");
    page.value(NO);
    let kept = || "JSON.parse(localStorage.postbridge)";
    let outbox = page.value(&format!("{}.outbox", kept()));
    assert_eq!(outbox.as_array().unwrap().len(), 1, "nothing but the refusal: {outbox}");
    assert_eq!(outbox[0]["click_id"], id.as_str());
    assert_eq!(page.value(&format!("{}.click", kept())), Value::Null);
    check_silent(&fixture, &mut page);
    let at = outbox[0]["consent_at"].clone();

    // The next pages cannot reach the relay either; then one that can, and is asked nothing.
    page.value("sessionStorage.relay = 'down'");
    offline(&mut page, false);
    for path in ["/waits/two", "/waits/three"] {
        page.value("delete sessionStorage.sent");
        page.open(&fixture.shop(path));
        page.until("!!sessionStorage.sent");
        is_refusal(&sent(&mut page)[0], &id);
        assert_eq!(
            page.value(&format!("{}.outbox[0].consent_at", kept())),
            at,
            "the time of the answer stays"
        );
    }
    page.value("delete sessionStorage.relay; delete sessionStorage.sent");
    page.open(&fixture.shop("/waits/four"));
    page.until(NOTHING_KEPT);
    assert_eq!(sent(&mut page)[0]["body"]["consent_at"], at);
    fixture.answered(&id, false);
    assert_eq!(fixture.conversions("tag").len(), 0, "what waited with the refusal is not sent");
}

#[test]
fn a_page_that_is_online_again_delivers_its_withdrawal_without_being_loaded_again() {
    let Some(browser) = Browser::start() else { return };
    let (fixture, mut page) = (fixture(), browser.page());
    let id = agree(&fixture, &mut page, "/waits");
    page.value("sessionStorage.relay = 'down'");
    page.value(NO);
    page.value("new Promise(done => setTimeout(done, 50))");
    assert_eq!(page.value("localStorage.length"), 1);
    page.value("delete sessionStorage.relay; void dispatchEvent(new Event('online'))");
    page.until(NOTHING_KEPT);
    fixture.answered(&id, false);
}

#[test]
fn only_a_success_ends_a_withdrawal() {
    let Some(browser) = Browser::start() else { return };
    let (fixture, mut page) = (fixture(), browser.page());
    let id = agree(&fixture, &mut page, "/waits");
    page.value("sessionStorage.relay = '503'");
    page.value(NO);
    for status in [503, 429, 400, 404, 500] {
        page.value(&format!("sessionStorage.relay = '{status}'; delete sessionStorage.sent"));
        page.open(&fixture.shop("/waits/next"));
        page.until("!!sessionStorage.sent");
        page.value("new Promise(done => setTimeout(done, 50))");
        assert_eq!(page.value("JSON.parse(localStorage.postbridge).outbox.length"), 1, "{status}");
    }
    page.value("delete sessionStorage.relay");
    page.open(&fixture.shop("/waits"));
    page.until(NOTHING_KEPT);
    fixture.answered(&id, false);
}

#[test]
fn a_later_yes_works_again_at_once_behind_the_no_that_it_follows() {
    let Some(browser) = Browser::start() else { return };
    let (fixture, mut page) = (fixture(), browser.page());
    let id = agree(&fixture, &mut page, "/waits?fbclid=One_1");
    let tagged = href(&mut page);
    assert_eq!(tagged, format!("{}&s2={id}", offer(&fixture)));
    page.value("delete sessionStorage.sent");
    // In one turn, as a tool does that first sets its default.
    page.value(&format!("{NO}, {YES}"));
    assert_eq!(click_id(&mut page), id, "on the same page it is the same click");
    page.until("JSON.parse(localStorage.postbridge).outbox.length === 0");
    let reported = sent(&mut page);
    is_refusal(&reported[0], &id);
    assert_eq!(
        (reported[1]["path"].as_str(), &reported[1]["body"]["consent"]["ad_user_data"]),
        (Some("/t/click"), &json!(true))
    );
    assert!(
        reported[1]["body"]["consent_at"].as_i64() > reported[0]["body"]["consent_at"].as_i64(),
        "{reported:?}"
    );
    assert_eq!(reported[1]["body"]["params"]["fbclid"], "One_1");
    fixture.answered(&id, true);
    page.until(&format!("document.getElementById('plain').getAttribute('href') === '{tagged}'"));

    // On a later page, with the no not yet confirmed: a new click, behind it.
    page.value("sessionStorage.relay = 'down'");
    page.value(NO);
    page.open(&fixture.shop("/waits/later"));
    page.value("delete sessionStorage.relay; delete sessionStorage.sent");
    page.value(YES);
    let second = click_id(&mut page);
    assert_ne!(second, id);
    page.until("JSON.parse(localStorage.postbridge).outbox.length === 0");
    let paths: Vec<Value> = sent(&mut page).iter().map(|reported| reported["path"].clone()).collect();
    assert_eq!(paths, ["/t/event", "/t/click"], "{:?}", sent(&mut page));
    fixture.answered(&second, true);
}

#[test]
fn an_answer_that_is_repeated_keeps_its_time_and_is_not_sent_again() {
    let Some(browser) = Browser::start() else { return };
    let (fixture, mut page) = (fixture(), browser.page());
    agree(&fixture, &mut page, "/waits?fbclid=One_1");
    let at = page.value("JSON.parse(localStorage.postbridge).click.consent_at");
    assert_eq!(sent(&mut page)[0]["body"]["consent_at"], at);
    page.open(&fixture.shop("/waits?fbclid=Two_2"));
    page.value(YES);
    click_id(&mut page);
    assert_eq!(
        page.value("JSON.parse(localStorage.postbridge).click.consent_at"),
        at,
        "also for the next click"
    );
    page.until("JSON.parse(localStorage.postbridge).outbox.length === 0");
    let before = sent(&mut page).len();
    page.value(YES);
    // A member that is left out stays as it was; one that is said counts.
    page.value("postbridge.consent({})");
    assert_eq!(sent(&mut page).len(), before);
    page.value("postbridge.consent({ad_personalization: 'denied'})");
    let last = sent(&mut page).pop().unwrap();
    assert_eq!(last["body"]["consent"], json!({"ad_user_data": true, "ad_personalization": false}), "{last}");
    assert!(last["body"]["consent_at"].as_i64() > at.as_i64(), "{last}");
}

#[test]
fn a_page_that_does_not_wait_remembers_a_no_until_a_yes() {
    let Some(browser) = Browser::start() else { return };
    let (fixture, mut page) = (fixture(), browser.page());
    page.open(&fixture.shop("/asks?fbclid=One_1"));
    let id = click_id(&mut page);
    fixture.click(&id);
    page.value(NO);
    page.until("localStorage.postbridge === '{\"outbox\":[],\"refused\":true}' && document.cookie === ''");
    check_silent(&fixture, &mut page);
    fixture.answered(&id, false);
    for path in ["/asks/two", "/asks/three?fbclid=Three_3"] {
        page.open(&fixture.shop(path));
        check_silent(&fixture, &mut page);
    }
    page.value(YES);
    let second = click_id(&mut page);
    assert_eq!(fixture.click(&second)["params"]["fbclid"], "Three_3");
    page.open(&fixture.shop("/asks/four"));
    assert_eq!(click_id(&mut page), second);
}

#[test]
fn a_withdrawal_in_another_tab_or_on_the_page_after_stops_this_one_too() {
    let Some(browser) = Browser::start() else { return };
    let (fixture, mut page, mut other) = (fixture(), browser.page(), browser.page());
    let id = agree(&fixture, &mut page, "/waits");
    other.open(&fixture.shop("/waits/other"));
    other.value(NO);
    page.until("postbridge.clickId() === undefined");
    check_silent(&fixture, &mut page);
    fixture.answered(&id, false);
    page.until(NOTHING_KEPT);

    // A later yes in this tab goes on with the same click, and the relay hears it too.
    page.value(YES);
    assert_eq!(click_id(&mut page), id);
    fixture.answered(&id, true);
    assert_eq!(page.text("JSON.parse(localStorage.postbridge).click.click_id"), id);

    // A page that is shown again as it was left.
    page.value("localStorage.clear(); document.cookie = 'pb_cid=; path=/; domain=shop.test; max-age=0'");
    assert_eq!(page.text("document.cookie"), "");
    page.value("void dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))");
    check_silent(&fixture, &mut page);
}

#[test]
fn an_early_answer_about_personalization_alone_keeps_no_click_back_where_the_page_does_not_wait() {
    let Some(browser) = Browser::start() else { return };
    let (fixture, mut page) = (fixture(), browser.page());
    let early = "<script>(window.postbridge = window.postbridge || []).push(['consent', {ad_personalization: false}]);</script>";
    fixture.put("/early", &format!("{RECORDER}{early}{}<h1>A page</h1>", fixture.tag("")));
    page.open(&fixture.shop("/early"));
    let id = click_id(&mut page);
    assert!(wait_until(PATIENCE, || fixture.click(&id)["consent"]["ad_personalization"] == false));
    assert_eq!(fixture.click(&id)["consent"]["ad_user_data"], Value::Null);
    // Where the page waits, it is no yes.
    let early = format!("{RECORDER}{early}{}<h1>A page</h1>", fixture.tag("data-consent=\"wait\""));
    fixture.put("/early-waits", &early);
    page.value("localStorage.clear(); document.cookie = 'pb_cid=; path=/; domain=shop.test; max-age=0'");
    page.open(&fixture.shop("/early-waits"));
    page.until("!!(window.postbridge && postbridge.push)");
    assert_eq!(page.value("postbridge.clickId()"), Value::Null);
    assert_eq!(page.value(NOTHING_KEPT), true);
}

#[test]
fn a_page_that_empties_its_storage_withdraws_nothing() {
    let Some(browser) = Browser::start() else { return };
    let (fixture, mut page) = (fixture(), browser.page());
    let id = agree(&fixture, &mut page, "/waits");
    page.value(
        "localStorage.clear(); void dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))",
    );
    assert_eq!(page.text("postbridge.clickId()"), id);
    page.open(&fixture.shop("/waits/later"));
    page.value(YES);
    assert_eq!(click_id(&mut page), id, "by its cookie");
}

#[test]
fn where_the_browser_keeps_nothing_the_page_itself_remembers() {
    let Some(browser) = Browser::start() else { return };
    let (fixture, mut page) = (fixture(), browser.page());
    let blocked = "<script>Object.defineProperty(window, 'localStorage', {get() { throw new DOMException('', 'SecurityError'); }});
        Object.defineProperty(Document.prototype, 'cookie', {get: () => '', set() {}});</script>";
    let link = format!("<a id=\"plain\" href=\"{}\">To the offer</a>", offer(&fixture));
    fixture.put("/blocked", &format!("{blocked}{RECORDER}{}{link}", fixture.tag("")));
    page.open(&fixture.shop("/blocked"));
    let id = click_id(&mut page);
    fixture.click(&id);
    page.until(&format!("document.getElementById('plain').search.endsWith('{id}')"));
    page.value("sessionStorage.relay = 'down'");
    page.value("postbridge.event('Newsletter', {})");
    page.value(NO);
    page.value("new Promise(done => setTimeout(done, 50))");
    page.value("delete sessionStorage.relay; void dispatchEvent(new Event('online'))");
    fixture.answered(&id, false);
    check_silent(&fixture, &mut page);
    assert_eq!(fixture.conversions("tag").len(), 0);
}

#[test]
fn a_message_that_the_browser_takes_no_beacon_for_goes_at_once() {
    let Some(browser) = Browser::start() else { return };
    let (fixture, mut page) = (fixture(), browser.page());
    for refusing in [
        "navigator.sendBeacon = () => false",
        "navigator.sendBeacon = () => { throw 1; }",
        "navigator.sendBeacon = undefined",
    ] {
        let tag = fixture.tag("data-campaign=\"8599\"");
        fixture.put("/nobeacon", &format!("<script>{refusing}</script>{tag}<h1>No beacons</h1>"));
        page.open(&fixture.shop("/nobeacon"));
        let id = click_id(&mut page);
        fixture.click(&id);
        let before = fixture.conversions("tag").len();
        page.value("postbridge.event('Newsletter', {transaction_id: String(Math.random())})");
        assert!(wait_until(PATIENCE, || fixture.conversions("tag").len() == before + 1), "{refusing}");
        page.until("JSON.parse(localStorage.postbridge).outbox.length === 0");
    }
}

#[test]
fn what_a_page_calls_wrongly_breaks_neither_it_nor_the_tag() {
    let Some(browser) = Browser::start() else { return };
    let (fixture, mut page) = (fixture(), browser.page());
    let early = "<script>window.postbridge = [null, 7, ['consent'], ['nothing'], ['event', 'Early'], [], ['consent', {ad_user_data: 'granted'}]];</script>";
    fixture.put("/odd", &format!("{RECORDER}{early}{}<h1>Odd</h1>", fixture.tag("")));
    page.open(&fixture.shop("/odd"));
    let id = click_id(&mut page);
    fixture.answered(&id, true);
    assert!(
        wait_until(PATIENCE, || fixture.conversions("tag").len() == 1),
        "an event behind the answer counts"
    );
    for odd in
        ["postbridge.push()", "postbridge.push(['nothing'])", "postbridge.event()", "postbridge.consent()"]
    {
        page.value(&format!("void {odd}"));
    }
    assert_eq!(click_id(&mut page), id);
}
