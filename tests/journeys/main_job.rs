//! The main job from outside: the built `serve`, real sockets, random values, every field compared.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::platform::{Act, Platform};
use crate::support::relay::{KEY, Setup, TOKEN, ask, wait_until};

fn random(label: &str) -> String {
    let bytes = postbridge::clock::entropy::<8>().unwrap();
    format!("{label}{}", bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

fn sha256(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_cake_sale_reaches_meta_with_every_field_of_its_click() {
    let (folder, platform) = (tempfile::tempdir().unwrap(), Platform::accepting());
    let relay = Setup::cake_to_meta(folder.path(), platform.address).start();
    let (click, tid, oid, fbclid) = (random("Cl"), random("t"), random("o"), random("IwAR-_"));
    let cents = u32::from(postbridge::clock::entropy::<1>().unwrap()[0]) + 100;
    let price = format!("{}.{:02}", cents / 100, cents % 100);
    let landing = format!("https://shop.example/lp?fbclid={fbclid}");
    let recorded = relay.post(
        "/api/v1/clicks",
        &json!({
            "click_id": click, "time": "2026-01-05T10:00:00.123Z", "landing_url": landing, "ip": "203.0.113.77",
            "user_agent": "Mozilla/5.0 Journey", "params": {"fbclid": fbclid}, "cookies": {"_fbp": "fb.1.1767607100000.42"},
            "customer": {"email": " Ann.Lee@Example.COM ", "phone": "+1 (415) 555-0100"},
        })
        .to_string(),
    );
    assert_eq!((recorded.status, recorded.json()), (200, json!({"click_id": click, "notes": []})));

    let reported = relay.postback(
        "cake-test",
        format!("s1=yes&s2={click}&s3=&oid={oid}&affid=200&campid=8599&cid=761&tid={tid}&price={price}")
            .as_bytes(),
    );
    let reported = reported.json();
    assert_eq!(reported["status"], "accepted");
    assert_eq!(reported["attribution"], "matched");
    assert_eq!(
        reported.as_object().unwrap().keys().collect::<Vec<_>>(),
        [
            "status",
            "conversion_id",
            "event_id",
            "attribution",
            "reason_code",
            "field",
            "value",
            "reason",
            "hint"
        ]
    );

    assert!(
        wait_until(Duration::from_secs(10), || platform.count() == 1),
        "the event arrives at the platform"
    );
    let received = platform.received().remove(0);
    assert!(received.line.starts_with("POST /v"), "{}", received.line);
    assert!(received.line.contains("/1234567890/events"), "{}", received.line);
    assert_eq!(received.header("authorization"), Some("Bearer meta-secret-token"));
    let payload = received.json();
    let sent_at = payload["data"][0]["event_time"].as_i64().unwrap();
    let now = postbridge::clock::Clock::system().now().as_seconds();
    assert!((now - 60..=now).contains(&sent_at), "the postback named no time: it happened when it arrived");
    let wanted = json!({"data": [{
        "event_name": "Purchase",
        "event_time": sent_at,
        "event_id": reported["event_id"],
        "action_source": "website",
        "event_source_url": landing,
        "user_data": {
            "em": [sha256("ann.lee@example.com")],
            "ph": [sha256("14155550100")],
            "external_id": [sha256(&click)],
            "client_ip_address": "203.0.113.77",
            "client_user_agent": "Mozilla/5.0 Journey",
            "fbc": format!("fb.1.1767607200123.{fbclid}"),
            "fbp": "fb.1.1767607100000.42",
        },
        "custom_data": {
            "value": serde_json::from_str::<Value>(&price).unwrap(),
            "currency": "USD",
            "order_id": tid,
            "content_ids": [oid],
            "content_type": "product",
        },
    }]});
    assert_eq!(payload, wanted);
    let body = String::from_utf8(received.body).unwrap();
    assert!(body.contains(&format!("\"value\":{price}")), "the price leaves with its digits: {body}");

    let id = reported["conversion_id"].as_str().unwrap();
    let delivered =
        || relay.api(&format!("/api/v1/conversions/{id}"))["deliveries"][0]["state"] == "delivered";
    assert!(wait_until(Duration::from_secs(5), delivered));
    let trace = relay.api(&format!("/api/v1/conversions/{id}"));
    assert_eq!(
        trace["postbacks"][0]["raw"]["line"].as_str().unwrap().split(' ').nth(1).unwrap().split('?').next(),
        Some("/***/collect/cake-test")
    );
    let attempt = &trace["deliveries"][0]["attempt_log"][0];
    assert_eq!(attempt["response"]["status"], 200);
    assert_eq!(attempt["outcome"], "delivered");
    let all = trace.to_string();
    assert!(!all.contains("meta-secret-token") && !all.contains(KEY), "no secret is stored");
}

#[test]
fn the_whole_unexpanded_url_arrives_byte_for_byte_and_is_quarantined_with_the_fix() {
    let (folder, platform) = (tempfile::tempdir().unwrap(), Platform::accepting());
    let relay = Setup::cake_to_meta(folder.path(), platform.address).start();
    let query = b"s1=#s1#&s2=#s2#&s3=#s3#&s4=#s4#&s5=#s5#&oid=#oid#&affid=#affid#&campid=#campid#&cid=#cid#&tid=#tid#&price=#price#";
    let reported = relay.postback("cake-test", query).json();
    assert_eq!(reported["status"], "quarantined");
    assert_eq!(reported["reason_code"], "unexpanded_macro");
    assert!(reported["value"].as_str().unwrap().starts_with('#'), "{reported}");
    let kept = relay.api("/api/v1/postbacks?status=quarantined");
    let line = kept["items"][0]["raw"]["line"].as_str().unwrap();
    assert_eq!(line, format!("GET /***/collect/cake-test?{} HTTP/1.1", std::str::from_utf8(query).unwrap()));
    let cut = relay.postback("cake-test", b"s1=").json();
    assert_eq!(cut["status"], "quarantined");
    assert_eq!(cut["reason_code"], "cut_at_fragment", "{cut}");
}

#[test]
fn a_sub_id_left_unexpanded_does_not_stop_a_good_sale() {
    let (folder, platform) = (tempfile::tempdir().unwrap(), Platform::accepting());
    let relay = Setup::cake_to_meta(folder.path(), platform.address).start();
    let reported = relay.postback("cake-test", b"s1=#s1#&s2=abc123&oid=565&tid=T9&price=7").json();
    assert_eq!(reported["status"], "accepted", "{reported}");
    let notes = relay.api("/api/v1/postbacks")["items"][0]["notes"].clone();
    assert_eq!((notes.as_array().unwrap().len(), &notes[0]["field"]), (1, &json!("s1")), "{notes:#}");
}

#[test]
fn a_client_that_hangs_up_after_its_request_does_not_cancel_the_write() {
    let (folder, platform) = (tempfile::tempdir().unwrap(), Platform::accepting());
    let relay = Setup::cake_to_meta(folder.path(), platform.address).start();
    for number in 0..50 {
        let mut stream = TcpStream::connect(relay.address).unwrap();
        let request = format!(
            "GET /{KEY}/collect/cake-test?s2=gone{number}&tid=hang{number}&price=1 HTTP/1.1\r\nHost: t\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).unwrap();
        drop(stream);
    }
    let count = || relay.api("/api/v1/conversions?limit=1000")["items"].as_array().unwrap().len();
    assert!(wait_until(Duration::from_secs(10), || count() == 50), "{} of 50 were kept", count());
}

#[test]
fn bad_keys_and_unknown_sources_are_turned_away_and_leave_at_most_ten_records_a_second() {
    let (folder, platform) = (tempfile::tempdir().unwrap(), Platform::accepting());
    let relay = Setup::cake_to_meta(folder.path(), platform.address).start();
    let get = |path: &str| {
        ask(relay.address, format!("GET {path} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n").as_bytes())
            .unwrap()
    };
    assert_eq!(get("/wrong-key-000/collect/cake-test?tid=1&price=1").status, 403);
    assert_eq!(get("/wrong-key-000/collect/nobody?tid=1&price=1").status, 404);
    let head = ask(
        relay.address,
        format!("HEAD /{KEY}/collect/cake-test?tid=1 HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
            .as_bytes(),
    )
    .unwrap();
    assert_eq!(head.status, 405);
    let started = std::time::Instant::now();
    let statuses: Vec<u16> = (0..60).map(|_| get("/wrong-key-000/collect/cake-test?tid=1").status).collect();
    assert!(statuses.contains(&429), "an address that guesses keys is asked to wait: {statuses:?}");
    let kept = relay.api("/api/v1/postbacks?status=refused&limit=1000")["items"].as_array().unwrap().len();
    let most = 10 * (started.elapsed().as_secs() as usize + 3);
    assert!(kept <= most, "{kept} records, at most {most}");
    let listed = relay.api("/api/v1/postbacks?status=refused").to_string();
    assert!(!listed.contains("wrong-key-000"), "a key that was tried is not kept: {listed}");
}

#[test]
fn a_dead_letter_keeps_request_and_response_and_can_be_retried() {
    let platform = Platform::start(|received| {
        if received.number == 0 {
            Act::status(
                400,
                r#"{"error":{"message":"Invalid parameter","code":100,"error_subcode":2804007,"fbtrace_id":"X"}}"#,
            )
        } else {
            Act::ok(r#"{"events_received":1}"#)
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let relay = Setup::cake_to_meta(folder.path(), platform.address).start();
    relay.post(
        "/api/v1/clicks",
        r#"{"click_id":"c1","landing_url":"https://s.example/","ip":"203.0.113.1","user_agent":"UA"}"#,
    );
    relay.postback("cake-test", b"s2=c1&tid=dead1&price=3");
    let dead = || relay.api("/api/v1/deliveries?state=dead")["items"].as_array().unwrap().clone();
    assert!(wait_until(Duration::from_secs(10), || dead().len() == 1));
    let letter = dead().remove(0);
    assert_eq!(letter["reason_code"], "platform_rejected");
    assert_eq!(letter["last_attempt"]["reason_code"], "platform_rejected");
    assert!(letter["hint"].is_string(), "{letter}");
    let by_code = |code: &str| relay.api(&format!("/api/v1/deliveries?reason_code={code}"))["items"].clone();
    assert_eq!(
        (by_code("platform_rejected")[0]["id"].clone(), by_code("gave_up")),
        (letter["id"].clone(), json!([]))
    );
    assert!(
        letter["reason"].as_str().unwrap().contains("Invalid parameter"),
        "the platform's own words: {letter}"
    );
    assert_eq!(letter["last_attempt"]["response"]["status"], 400);
    assert!(letter["last_attempt"]["request"]["body"].as_str().unwrap().contains("dead1"));
    let id = letter["id"].as_str().unwrap();
    assert_eq!(relay.post(&format!("/api/v1/deliveries/{id}/retry"), "").status, 200);
    assert!(wait_until(Duration::from_secs(10), || platform.count() == 2 && dead().is_empty()));
    let again = || relay.post(&format!("/api/v1/deliveries/{id}/retry"), "");
    assert!(wait_until(Duration::from_secs(5), || again().json()["error"]["code"] == "delivered"));
    assert_eq!(again().status, 409);
    let ids: Vec<Value> =
        platform.received().iter().map(|r| r.json()["data"][0]["event_id"].clone()).collect();
    assert_eq!(ids[0], ids[1], "a retry carries the same event id");
}

#[test]
fn a_sale_that_waits_for_its_click_is_sent_when_the_click_arrives() {
    let (folder, platform) = (tempfile::tempdir().unwrap(), Platform::accepting());
    let relay = Setup::cake_to_meta(folder.path(), platform.address).start();
    let reported = relay.postback("cake-test", b"s2=late1&tid=L1&price=5").json();
    assert_eq!((&reported["status"], &reported["attribution"]), (&json!("accepted"), &json!("unmatched")));
    let held = |filter: &str| {
        relay.api(&format!("/api/v1/deliveries?state=held{filter}"))["items"].as_array().unwrap().len()
    };
    assert_eq!((held(""), held("&transaction_id=L1&click_id=late1"), held("&transaction_id=L2")), (1, 1, 0));
    let refused = ask(relay.address, format!("GET /api/v1/postbacks?click_id=x HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer {TOKEN}\r\nConnection: close\r\n\r\n").as_bytes());
    assert_eq!(
        refused.unwrap().json()["error"]["code"],
        "bad_parameter",
        "a filter that a list does not read"
    );
    relay.post(
        "/api/v1/clicks",
        r#"{"click_id":"late1","landing_url":"https://s.example/","ip":"203.0.113.1","user_agent":"UA"}"#,
    );
    assert!(wait_until(Duration::from_secs(10), || platform.count() == 1));
    assert_eq!(platform.received()[0].json()["data"][0]["user_data"]["client_user_agent"], "UA");
}

#[test]
fn a_stop_finishes_what_is_on_its_way_and_exits_0() {
    let (folder, platform) = (tempfile::tempdir().unwrap(), Platform::accepting());
    let relay = Setup::cake_to_meta(folder.path(), platform.address).start();
    relay.postback("cake-test", b"s2=x&tid=stop1&price=5");
    relay.signal(15);
    let status = relay.wait(Duration::from_secs(30)).expect("it ends");
    assert_eq!(status.code(), Some(0));
}

#[test]
fn a_click_without_an_offer_goes_to_the_fallback_url() {
    let (folder, platform) = (tempfile::tempdir().unwrap(), Platform::accepting());
    let mut setup = Setup::cake_to_meta(folder.path(), platform.address);
    setup.server = "fallback_url = \"https://example.com/elsewhere\"\n".to_owned();
    let relay = setup.start();
    let get = |path: &str| {
        ask(relay.address, format!("GET {path} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n").as_bytes())
            .unwrap()
    };
    for link in ["/c/8599?s1=x", "/?a=200&c=761&s1=x"] {
        let answer = get(link);
        assert_eq!(answer.status, 302);
        assert!(
            answer.head.to_ascii_lowercase().contains("location: https://example.com/elsewhere"),
            "{}",
            answer.head
        );
    }
}
