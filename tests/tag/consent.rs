//! Consent from the landing page to the ad platform, over HTTP: given, withdrawn, late, in a postback, at
//! the network's side.

use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::support::platform::Platform;
use crate::support::relay::{Answer, CAMPAIGN, Setup, ask, wait_until};
use crate::support::tag_fixture::TagFixture;

/// Milliseconds of the browser's clock, which is right, that many after the test began.
fn now(after: i64) -> i64 {
    static BEGAN: LazyLock<i64> = LazyLock::new(|| {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        i64::try_from(since.as_millis()).unwrap() - 20_000
    });
    *BEGAN + after
}

const COOKIE: &str = "Cookie: pbv=0123456789abcdef0123456789abcdef\r\n";

/// What a landing page sends.
fn send(fixture: &TagFixture, path: &str, cookie: &str, message: &Value) -> Answer {
    let body = message.to_string();
    let text = format!(
        "POST {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\nOrigin: {}\r\nContent-Type: text/plain\r\n\
         User-Agent: Mozilla/5.0 (Test) Firefox/140.0\r\n{cookie}Content-Length: {}\r\n\r\n{body}",
        fixture.shop(""),
        body.len()
    );
    ask(fixture.relay.address, text.as_bytes()).unwrap()
}

fn click(fixture: &TagFixture, id: &str, cookie: &str, more: &Value) {
    let mut message = json!({
        "click_id": id, "at": now(0), "now": now(20_000),
        "landing_url": "https://www.shop.test/lp?fbclid=abc", "params": {"fbclid": "abc"},
    });
    message.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    assert_eq!(send(fixture, "/t/click", cookie, &message).status, 204);
}

/// An answer alone, given this many milliseconds after the beginning.
fn say(fixture: &TagFixture, id: &str, cookie: &str, consent: Value, after: i64) {
    let message = json!({"click_id": id, "consent": consent, "consent_at": now(after), "now": now(20_000)});
    let answer = send(fixture, "/t/event", cookie, &message);
    assert_eq!((answer.status, answer.text()), (204, String::new()));
}

/// Reports a sale by postback and gives the conversion once its delivery has ended.
fn sell(fixture: &TagFixture, click: &str, transaction: &str) -> Value {
    let query = format!("s2={click}&tid={transaction}&price=7.00");
    let answer = fixture.relay.postback("cake-test", query.as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.text());
    let id = answer.json()["conversion_id"].as_str().unwrap().to_owned();
    ended(fixture, &id)
}

fn ended(fixture: &TagFixture, id: &str) -> Value {
    let path = format!("/api/v1/conversions/{id}");
    let mut found = Value::Null;
    let done = wait_until(Duration::from_secs(15), || {
        found = fixture.relay.api(&path);
        let deliveries = found["deliveries"].as_array().unwrap();
        deliveries.iter().all(|delivery| delivery["state"] != "waiting" && delivery["state"] != "held")
    });
    assert!(done, "{found}");
    found
}

fn verdict(conversion: &Value) -> (&str, &Value) {
    let delivery = &conversion["deliveries"][0];
    (delivery["state"].as_str().unwrap(), &delivery["reason_code"])
}

#[test]
fn a_withdrawal_counts_for_every_click_of_the_visitor_and_a_later_yes_counts_again() {
    let fixture = TagFixture::new();
    let yes = json!({"consent": {"ad_user_data": true}, "consent_at": now(0)});
    click(&fixture, "first-click", COOKIE, &yes);
    click(&fixture, "second-click", COOKIE, &yes);
    assert_eq!(verdict(&sell(&fixture, "first-click", "T1")).0, "delivered");

    say(&fixture, "second-click", COOKIE, json!({"ad_user_data": false}), 1_000);
    for (click, transaction) in [("first-click", "T2"), ("second-click", "T3")] {
        let skipped = sell(&fixture, click, transaction);
        assert_eq!(verdict(&skipped), ("skipped", &json!("consent_denied")));
        assert_eq!(skipped["consent"]["ad_user_data"], false);
    }
    // An older yes from an outbox is received late.
    say(&fixture, "first-click", COOKIE, json!({"ad_user_data": true}), 500);
    assert_eq!(verdict(&sell(&fixture, "first-click", "T4")).0, "skipped");

    let fixture = fixture.again();
    assert_eq!(verdict(&sell(&fixture, "first-click", "T5")).0, "skipped");
    say(&fixture, "second-click", COOKIE, json!({"ad_user_data": true}), 2_000);
    let sent = sell(&fixture, "first-click", "T6");
    assert_eq!(verdict(&sent).0, "delivered");
    assert_eq!(fixture.reported("Purchase", 2).len(), 2, "T1 and T6 alone were sent");
}

#[test]
fn what_was_skipped_can_be_retried_once_consent_is_granted_and_not_before() {
    let fixture = TagFixture::new();
    click(&fixture, "a-click", COOKIE, &json!({"consent": {"ad_user_data": true}, "consent_at": now(0)}));
    say(&fixture, "a-click", "", json!({"ad_user_data": false, "ad_personalization": null}), 1_000);
    let skipped = sell(&fixture, "a-click", "T1");
    let id = skipped["id"].as_str().unwrap().to_owned();
    let delivery = skipped["deliveries"][0]["id"].as_str().unwrap().to_owned();
    let retry = || fixture.relay.post(&format!("/api/v1/deliveries/{delivery}/retry"), "").status;
    assert_eq!(retry(), 200);
    assert_eq!(verdict(&ended(&fixture, &id)), ("skipped", &json!("consent_denied")));
    assert!(fixture.platform.received().is_empty());
    say(&fixture, "a-click", "", json!({"ad_user_data": true}), 2_000);
    assert_eq!(verdict(&ended(&fixture, &id)).0, "skipped", "a later yes alone sends nothing");
    assert_eq!(retry(), 200);
    assert_eq!(verdict(&ended(&fixture, &id)).0, "delivered");
}

#[test]
fn an_answer_alone_needs_a_click_id_an_answer_and_a_whole_time() {
    let fixture = TagFixture::new();
    let refused = |message: Value, word: &str| {
        let answer = send(&fixture, "/t/event", "", &message);
        assert_eq!(answer.status, 400, "{message}");
        assert!(answer.text().contains(word), "{}", answer.text());
    };
    let no = json!({"ad_user_data": false});
    refused(json!({"consent": no}), "click_id");
    refused(json!({"click_id": "x", "consent": {}}), "name");
    refused(json!({"click_id": "x", "consent": {"ads": true}}), "ads");
    refused(json!({"click_id": "x", "consent": no, "consent_at": "soon"}), "consent_at");
    refused(json!({"click_id": "x", "consent": no, "consent_at": 1.5}), "consent_at");
    refused(json!({"click_id": "x", "consent": no, "value": "7"}), "value");
    // Far off, before time began, and of a click that no one has seen.
    for at in [i64::MAX, i64::MIN, 0] {
        let message = json!({"click_id": "not-recorded-yet", "consent": no, "consent_at": at});
        assert_eq!(send(&fixture, "/t/event", "", &message).status, 204, "{at}");
    }
    assert!(fixture.conversions("tag").is_empty(), "an answer is no event");
    click(
        &fixture,
        "not-recorded-yet",
        "",
        &json!({"consent": {"ad_user_data": true}, "consent_at": now(0)}),
    );
    assert_eq!(verdict(&sell(&fixture, "not-recorded-yet", "T1")), ("skipped", &json!("consent_denied")));
}

#[test]
fn personalization_alone_that_is_refused_is_sent_with_the_platforms_own_field() {
    let fixture = TagFixture::new();
    let answers = json!({"ad_user_data": true, "ad_personalization": false});
    click(&fixture, "a-click", COOKIE, &json!({"consent": answers, "consent_at": now(0)}));
    assert_eq!(verdict(&sell(&fixture, "a-click", "T1")).0, "delivered");
    assert_eq!(fixture.reported("Purchase", 1)[0]["opt_out"], true);
    say(&fixture, "a-click", COOKIE, json!({"ad_personalization": true}), 5);
    sell(&fixture, "a-click", "T2");
    assert_eq!(fixture.reported("Purchase", 2)[1]["opt_out"], Value::Null);
}

#[test]
fn what_a_pixel_reports_goes_to_no_destination_that_does_not_name_it() {
    let folder = tempfile::tempdir().unwrap();
    let platform = Platform::accepting();
    let mut setup = Setup::cake_to_meta(folder.path(), platform.address);
    setup.extra += CAMPAIGN;
    let relay = setup.start();
    let body = json!({"click_id": "a-click", "landing_url": "https://shop.example/lp?fbclid=abc",
        "ip": "203.0.113.9", "user_agent": "Mozilla/5.0", "params": {"fbclid": "abc"}});
    assert_eq!(relay.post("/api/v1/clicks", &body.to_string()).status, 200);
    for path in [
        "/pixel.gif?offer=565&click_id=a-click&transaction_id=T-1&value=7.00&currency=USD",
        "/p.ashx?o=565&r=a-click&t=T-2&p=7.00&f=pb",
    ] {
        let text = format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
        assert_eq!(ask(relay.address, text.as_bytes()).unwrap().status, 200, "{path}");
    }
    let reported = relay.api("/api/v1/conversions?source=pixel");
    let reported = reported["items"].as_array().unwrap();
    assert_eq!(reported.len(), 2, "{reported:?}");
    for conversion in reported {
        assert_eq!(conversion["not_routed"], json!(["meta-main"]));
        assert_eq!(conversion["deliveries"], json!([]));
    }
    let reported = relay.postback("cake-test", b"s2=a-click&tid=T-3&price=7.00").json();
    let path = format!("/api/v1/conversions/{}", reported["conversion_id"].as_str().unwrap());
    assert!(wait_until(Duration::from_secs(15), || platform.received().len() == 1));
    assert_eq!(relay.api(&path)["not_routed"], json!([]));
}

#[test]
fn a_destination_that_names_the_offer_is_sent_what_advertisers_report_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let platform = Platform::accepting();
    let mut setup = Setup::cake_to_meta(folder.path(), platform.address);
    setup.extra += &format!("[destination.only]\noffer = [\"565\"]\n{CAMPAIGN}");
    let relay = setup.start();
    let body = json!({"click_id": "a-click", "landing_url": "https://shop.example/lp?fbclid=abc",
        "ip": "203.0.113.9", "user_agent": "Mozilla/5.0", "params": {"fbclid": "abc"}});
    assert_eq!(relay.post("/api/v1/clicks", &body.to_string()).status, 200);
    let text = "GET /pixel.gif?offer=565&click_id=a-click&transaction_id=T-1 HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n";
    assert_eq!(ask(relay.address, text.as_bytes()).unwrap().status, 200);
    assert!(wait_until(Duration::from_secs(15), || platform.received().len() == 1));
    let reported = relay.api("/api/v1/conversions?source=pixel");
    assert_eq!(reported["items"][0]["not_routed"], json!([]));
}
