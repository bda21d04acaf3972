//! The tag's endpoint: whose pages it believes, how strictly it reads, and what becomes of what it is sent.

use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest, Sha384};

use crate::support::platform::Platform;
use crate::support::relay::{Answer, Setup, ask, wait_until};
use crate::support::tag_fixture::{TagFixture, message};

const CLICK: &str = "0mwprfhn25sqgpbr2ksobbbg2sqv8";

/// A request with these header lines.
fn request(fixture: &TagFixture, line: &str, headers: &[&str], body: &str) -> Answer {
    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    let text = format!(
        "{line} HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n{body}",
        body.len()
    );
    ask(fixture.relay.address, text.as_bytes()).unwrap()
}

/// A message as a browser sends it from the landing page.
fn receive(fixture: &TagFixture, path: &str, body: &str) -> Answer {
    let origin = format!("Origin: {}", fixture.shop(""));
    let headers = [
        origin.as_str(),
        "Content-Type: text/plain;charset=UTF-8",
        "User-Agent: Mozilla/5.0 (Test) Firefox/140.0",
    ];
    request(fixture, &format!("POST {path}"), &headers, body)
}

fn click(fixture: &TagFixture, more: Value) {
    let reported = receive(fixture, "/t/click", &message(CLICK, more).to_string());
    assert_eq!((reported.status, reported.text()), (204, String::new()));
}

fn event(fixture: &TagFixture, more: Value) {
    let reported = receive(fixture, "/t/event", &message(CLICK, more).to_string());
    assert_eq!((reported.status, reported.text()), (204, String::new()));
}

#[test]
fn only_pages_of_configured_origins_may_report() {
    let fixture = TagFixture::new();
    let body = message(CLICK, json!({})).to_string();
    let from = |headers: &[&str]| {
        let headers: Vec<&str> = headers.iter().copied().chain(["Content-Type: text/plain"]).collect();
        request(&fixture, "POST /t/click", &headers, &body)
    };
    let refused = from(&["Origin: https://other.test"]);
    assert_eq!(refused.status, 403);
    assert!(refused.text().contains("[tag] origins"), "{}", refused.text());
    assert!(!refused.head.to_lowercase().contains("access-control-allow-origin"), "{}", refused.head);
    assert_eq!(from(&["Origin: null"]).status, 403);
    assert_eq!(from(&[]).status, 403);
    assert_eq!(from(&["Referer: https://other.test/lp"]).status, 403);
    assert_eq!(fixture.relay.try_api(&format!("/api/v1/clicks/{CLICK}")), None);

    let taken = from(&[&format!("Referer: {}", fixture.shop("/lp?x=1"))]);
    assert_eq!(taken.status, 204, "where `Origin` is absent the referrer's counts");
    let head = taken.head.to_lowercase();
    assert!(head.contains(&format!("access-control-allow-origin: {}", fixture.shop(""))), "{head}");
    assert!(head.contains("access-control-allow-credentials: true"), "{head}");
}

#[test]
fn without_origins_the_tag_is_off_and_says_so() {
    let (folder, platform) = (tempfile::tempdir().unwrap(), Platform::accepting());
    let relay = Setup::cake_to_meta(folder.path(), platform.address).start();
    let ask = |line: &str| {
        let text =
            format!("{line} HTTP/1.1\r\nHost: test\r\nOrigin: http://x.test\r\nConnection: close\r\n\r\n");
        ask(relay.address, text.as_bytes()).unwrap()
    };
    for (line, status) in [("GET /tag.js", 404), ("POST /t/click", 403), ("POST /t/event", 403)] {
        let answer = ask(line);
        assert_eq!(answer.status, status, "{line}");
        assert!(answer.text().contains("the tag is off"), "{}", answer.text());
    }
}

#[test]
fn messages_are_read_strictly() {
    let fixture = TagFixture::new();
    let refused = |path: &str, body: &str, status: u16, names: &str| {
        let reported = receive(&fixture, path, body);
        assert_eq!(reported.status, status, "{body}: {}", reported.text());
        let code = if status == 413 { "body_too_large" } else { "invalid_message" };
        assert_eq!(reported.json()["error"]["code"], code, "{body}");
        assert!(reported.text().contains(names), "{body}: {}", reported.text());
    };
    refused("/t/click", "{", 400, "not a JSON object");
    refused("/t/click", &message(CLICK, json!({"ip": "203.0.113.9"})).to_string(), 400, "`ip`");
    refused("/t/click", &message("a b", json!({})).to_string(), 400, "`click_id`");
    refused("/t/click", &message(CLICK, json!({"params": ["x"]})).to_string(), 400, "`params`");
    refused("/t/click", &message(CLICK, json!({"consent": {"ads": true}})).to_string(), 400, "ads");
    refused("/t/event", &message(CLICK, json!({})).to_string(), 400, "`name`");
    refused(
        "/t/event",
        &message(CLICK, json!({"name": "Lead", "value": "7,50"})).to_string(),
        400,
        "`value`",
    );
    let below = json!({"name": "Refund", "value": "-1.00", "currency": "USD"});
    refused("/t/event", &message(CLICK, below).to_string(), 400, "below 0");
    let unlike = json!({"consent": {"ad_user_data": "yes"}});
    refused("/t/click", &message(CLICK, unlike).to_string(), 400, "`consent`: `ad_user_data`: invalid type");
    let deep = json!({"params": {"fbclid": ["x"]}});
    refused("/t/click", &message(CLICK, deep).to_string(), 400, "`params`: `fbclid`");
    let listed = json!({"consent": [true, true]});
    refused("/t/click", &message(CLICK, listed).to_string(), 400, "`consent`");
    refused("/t/click", &"x".repeat(8193), 413, "8192");
    let origin = format!("Origin: {}", fixture.shop(""));
    let as_json = request(&fixture, "POST /t/click", &[&origin, "Content-Type: application/json"], "{}");
    assert_eq!(as_json.status, 415, "{}", as_json.text());
    assert_eq!(request(&fixture, "GET /t/click", &[&origin], "").status, 405);
}

#[test]
fn a_click_has_what_the_page_reports_and_what_the_request_shows() {
    let fixture = TagFixture::new();
    let before = postbridge::clock::Clock::system().now().as_millis();
    click(
        &fixture,
        json!({
            "at": 1_790_000_000_000_i64 - 60_000, "campaign": "8599",
            "landing_url": "https://shop.example/lp?fbclid=Ab_c&utm_source=fb&s1=one&other=1#x",
            "referrer": "https://social.example/", "params": {"fbclid": "Ab_c"},
            "cookies": {"_fbp": "fb.1.2.3", "session": "secret"},
            "consent": {"ad_user_data": true, "ad_personalization": false},
        }),
    );
    let kept = fixture.click(CLICK);
    assert_eq!(kept["params"], json!({"fbclid": "Ab_c", "utm_source": "fb"}), "{kept}");
    assert_eq!(kept["sub_ids"], json!({"s1": "one"}));
    assert_eq!(kept["cookies"], json!({"_fbp": "fb.1.2.3"}), "only what is declared");
    assert_eq!(kept["ip"], "127.0.0.1");
    assert_eq!(kept["user_agent"], "Mozilla/5.0 (Test) Firefox/140.0");
    assert_eq!(kept["origin"], "tag");
    assert_eq!(kept["campaign_ref"]["campaign"], "8599", "{kept}");
    assert_eq!(kept["consent"], json!({"ad_user_data": true, "ad_personalization": false}));
    assert!(kept["visitor"].is_string(), "{kept}");
    let at = postbridge::domain::time::Time::parse(kept["time"].as_str().unwrap()).unwrap().as_millis();
    let late = at - (before - 60_000);
    assert!((0..20_000).contains(&late), "it happened a minute before it was reported, not {late} ms off");
}

#[test]
fn what_a_click_has_is_never_changed_only_filled() {
    let fixture = TagFixture::new();
    click(&fixture, json!({"landing_url": "https://shop.example/one?fbclid=A", "params": {"fbclid": "A"}}));
    click(
        &fixture,
        json!({
            "landing_url": "https://shop.example/two?fbclid=B", "params": {"fbclid": "B", "gclid": "G"},
            "cookies": {"_fbp": "fb.1.2.3"},
        }),
    );
    let kept = fixture.click(CLICK);
    assert_eq!(kept["landing_url"], "https://shop.example/one?fbclid=A");
    assert_eq!(kept["params"], json!({"fbclid": "A", "gclid": "G"}));
    assert_eq!(kept["cookies"], json!({"_fbp": "fb.1.2.3"}));
}

#[test]
fn a_click_that_is_filled_again_and_again_stays_within_bounds() {
    let fixture = TagFixture::new();
    for round in 0..3 {
        let params: serde_json::Map<String, Value> =
            (0..50).map(|n| (format!("utm_{round}_{n}"), json!("x"))).collect();
        click(&fixture, json!({"params": params}));
    }
    assert_eq!(fixture.click(CLICK)["params"].as_object().unwrap().len(), 64);
}

/// A browser reports a click; the visitor cookie that it gets.
fn cookie_of(fixture: &TagFixture, click: &str, headers: &[&str]) -> String {
    let origin = format!("Origin: {}", fixture.shop(""));
    let mut all = vec![origin.as_str(), "Content-Type: text/plain"];
    all.extend(headers);
    let reported = request(fixture, "POST /t/click", &all, &message(click, json!({})).to_string());
    assert_eq!(reported.status, 204, "{}", reported.text());
    let cookie = reported.head.lines().find_map(|line| line.strip_prefix("set-cookie: pbv=")).unwrap();
    cookie.split(';').next().unwrap().to_owned()
}

#[test]
fn anyone_who_knows_a_clicks_id_does_not_become_its_visitor() {
    let fixture = TagFixture::new();
    let first = cookie_of(&fixture, CLICK, &["User-Agent: One/1.0"]);
    let again = cookie_of(&fixture, CLICK, &["User-Agent: One/1.0"]);
    assert_eq!(again, first, "a second message of the same page, sent before it had its cookie");
    let stranger = cookie_of(&fixture, CLICK, &["User-Agent: Two/2.0"]);
    assert_ne!(stranger, first);
    let known = "0123456789abcdef0123456789abcdef";
    let friend = cookie_of(&fixture, CLICK, &["User-Agent: One/1.0", &format!("Cookie: pbv={known}")]);
    assert_eq!(friend, known, "a browser that is known stays who it is");
    assert_eq!(fixture.click(CLICK)["visitor"], first);
}

#[test]
fn of_a_visitor_who_does_not_agree_nothing_is_recorded() {
    let fixture = TagFixture::new();
    let no = json!({"consent": {"ad_user_data": false}, "landing_url": "https://shop.example/"});
    click(&fixture, no);
    assert_eq!(fixture.relay.try_api(&format!("/api/v1/clicks/{CLICK}")), None);
}

#[test]
fn a_consent_can_be_taken_back_and_given_again_and_nothing_else_of_a_refusal_is_taken() {
    let fixture = TagFixture::new();
    let at = |said: i64| json!(1_790_000_000_000_i64 - 10_000_000 + said);
    click(
        &fixture,
        json!({"consent": {"ad_user_data": true, "ad_personalization": true}, "consent_at": at(0)}),
    );
    let no = json!({"consent": {"ad_user_data": false}, "consent_at": at(5_000_000), "landing_url": "https://shop.example/"});
    click(&fixture, no);
    let both = json!({"ad_user_data": false, "ad_personalization": true});
    let kept = fixture.click(CLICK);
    assert_eq!((&kept["consent"], &kept["landing_url"]), (&both, &Value::Null), "nothing else is taken");
    click(&fixture, json!({"consent": {"ad_user_data": true}, "consent_at": at(1)}));
    assert_eq!(fixture.click(CLICK)["consent"], both, "an older yes that is received late");
    click(&fixture, json!({"consent": {"ad_user_data": true}, "consent_at": at(9_000_000)}));
    assert_eq!(fixture.click(CLICK)["consent"]["ad_user_data"], true);
}

#[test]
fn an_outbound_click_counts_once_for_a_click_id_and_link() {
    let fixture = TagFixture::new();
    click(&fixture, json!({"landing_url": "https://shop.example/lp"}));
    for link in ["https://network.test/?a=1", "https://network.test/?a=1", "https://network.test/?a=2"] {
        event(&fixture, json!({"name": "OutboundClick", "link": link}));
    }
    let conversions = fixture.conversions("tag");
    assert_eq!(conversions.len(), 2, "{conversions:?}");
    assert!(conversions.iter().all(|one| one["event"] == "OutboundClick"));
    assert_eq!(fixture.reported("ViewContent", 2).len(), 2);
    let records = fixture.relay.api("/api/v1/postbacks?source=tag");
    let records = records["items"].as_array().unwrap();
    assert_eq!(records.len(), 3, "each message leaves its record");
    assert!(records[0]["raw"].to_string().contains("network.test"), "{}", records[0]);
}

#[test]
fn another_event_counts_once_for_its_name_and_transaction_id() {
    let fixture = TagFixture::new();
    click(&fixture, json!({"landing_url": "https://shop.example/lp"}));
    // As JavaScript would not write it, but a page may.
    let sale = message(CLICK, json!({"name": "Purchase", "transaction_id": "T1", "currency": "USD"}));
    let sale = sale.to_string().replacen('{', "{\"value\":7.50,", 1);
    for _ in 0..2 {
        assert_eq!(receive(&fixture, "/t/event", &sale).status, 204);
    }
    event(&fixture, json!({"name": "Purchase", "transaction_id": "T2", "value": "8.00", "currency": "USD"}));
    event(&fixture, json!({"name": "Newsletter"}));
    event(&fixture, json!({"name": "Newsletter"}));
    let conversions = fixture.conversions("tag");
    assert_eq!(conversions.len(), 3, "{conversions:?}");
    let first = fixture
        .reported("Purchase", 2)
        .into_iter()
        .find(|reported| reported["custom_data"]["order_id"] == "T1");
    assert_eq!(first.unwrap()["custom_data"]["value"].to_string(), "7.50", "its digits are kept");
    assert_eq!(fixture.reported("Newsletter", 1).len(), 1);
}

#[test]
fn a_transaction_id_that_is_none_is_left_out_and_an_exponent_is_applied() {
    let fixture = TagFixture::new();
    click(&fixture, json!({"landing_url": "https://shop.example/lp"}));
    let sale = message(CLICK, json!({"name": "Purchase", "transaction_id": "ORDER_ID", "currency": "USD"}));
    let sale = sale.to_string().replacen('{', "{\"value\":2.5e1,", 1);
    assert_eq!(receive(&fixture, "/t/event", &sale).status, 204);
    event(&fixture, json!({"name": "Lead", "transaction_id": " T-1\u{200b}"}));
    let conversions = fixture.conversions("tag");
    assert_eq!(conversions.len(), 2, "{conversions:?}");
    let of = |name: &str| conversions.iter().find(|one| one["event"] == name).unwrap().clone();
    assert_eq!(
        (&of("Purchase")["transaction_id"], &of("Purchase")["value"]["amount"]),
        (&Value::Null, &json!("25"))
    );
    assert_eq!(of("Lead")["transaction_id"], "T-1");
    let notes = fixture.relay.api("/api/v1/postbacks?limit=2")["items"][1]["notes"].clone();
    assert_eq!(
        (&notes[0]["reason_code"], &notes[0]["value"]),
        (&"placeholder".into(), &"ORDER_ID".into()),
        "{notes}"
    );
}

#[test]
fn an_event_waits_for_its_click() {
    let fixture = TagFixture::new();
    event(&fixture, json!({"name": "OutboundClick", "link": "https://network.test/"}));
    let held = || fixture.relay.api("/api/v1/deliveries?state=held")["items"].as_array().unwrap().len();
    assert_eq!(held(), 1);
    assert_eq!(fixture.platform.count(), 0);
    click(&fixture, json!({"landing_url": "https://shop.example/lp"}));
    assert_eq!(fixture.reported("ViewContent", 1).len(), 1);
    assert_eq!(held(), 0);
}

#[test]
fn an_event_that_cannot_be_read_is_kept_with_the_reason() {
    let fixture = TagFixture::new();
    let reported = receive(&fixture, "/t/event", &message(CLICK, json!({"nmae": "Lead"})).to_string());
    assert_eq!(reported.status, 400);
    let kept = fixture.relay.api("/api/v1/postbacks?source=tag&status=quarantined");
    assert!(kept["items"][0].to_string().contains("nmae"), "{kept}");
    receive(&fixture, "/t/event?api_key=SECRET", "{");
    let kept = fixture.relay.api("/api/v1/postbacks?source=tag&status=quarantined");
    assert!(kept["items"][0]["raw"]["line"].to_string().contains("api_key=***"), "{kept}");
}

#[test]
fn one_address_reports_only_so_much_in_a_second() {
    let fixture = TagFixture::new();
    let answers: Vec<Answer> = (0..200).map(|_| receive(&fixture, "/t/click", "{")).collect();
    let turned = answers.iter().find(|answer| answer.status == 429).expect("some are turned away");
    assert!(turned.head.to_lowercase().contains("retry-after: 1"), "{}", turned.head);
    assert!(answers.iter().filter(|answer| answer.status == 400).count() >= 50);
}

#[test]
fn the_click_filters_look_at_the_tags_clicks() {
    let fixture = TagFixture::new();
    let origin = format!("Origin: {}", fixture.shop(""));
    let bot = "User-Agent: Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)";
    let body = message(CLICK, json!({"campaign": "8599"})).to_string();
    let reported = request(&fixture, "POST /t/click", &[&origin, bot, "Content-Type: text/plain"], &body);
    assert_eq!(reported.status, 204);
    let kept = fixture.click(CLICK);
    let verdict = kept["verdicts"].as_array().unwrap().iter().find(|one| one["filter"] == "bot").cloned();
    assert_eq!(verdict.expect("the bot filter spoke")["hit"], true, "{kept}");
}

#[test]
fn the_script_is_cached_for_an_hour_and_asked_again_by_its_etag() {
    let fixture = TagFixture::new();
    let plain = request(&fixture, "GET /tag.js", &[], "");
    let head = plain.head.to_lowercase();
    assert_eq!(plain.status, 200);
    for wanted in [
        "content-type: text/javascript; charset=utf-8",
        "cache-control: public, max-age=3600",
        "access-control-allow-origin: *",
        "vary: accept-encoding",
    ] {
        assert!(head.contains(wanted), "{wanted} is not in {head}");
    }
    let etag = plain.head.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap().to_owned();
    let again = request(&fixture, "GET /tag.js", &[&format!("If-None-Match: {etag}")], "");
    assert_eq!((again.status, again.body.len()), (304, 0));
    let packed = request(&fixture, "GET /tag.js", &["Accept-Encoding: br, gzip"], "");
    assert!(packed.head.to_lowercase().contains("content-encoding: gzip"), "{}", packed.head);
    let mut text = String::new();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(packed.body.as_slice()), &mut text)
        .unwrap();
    assert_eq!(text, plain.text());
}

#[test]
fn a_version_keeps_its_url_when_the_script_changes() {
    let fixture = TagFixture::new();
    let text = request(&fixture, "GET /tag.js", &[], "").text();
    let digest = Sha384::digest(text.as_bytes());
    let hash: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let path = format!("GET /tag.{hash}.js");
    let kept = || request(&fixture, &path, &[], "");
    assert!(wait_until(Duration::from_secs(5), || kept().status == 200));
    assert!(kept().head.contains("immutable"), "{}", kept().head);

    // The relay's port is part of what the script is informed: after the next start it is another version.
    let fixture = fixture.again();
    assert_ne!(request(&fixture, "GET /tag.js", &[], "").text(), text);
    let old = request(&fixture, &path, &[], "");
    assert_eq!((old.status, old.text()), (200, text));
    assert_eq!(request(&fixture, "GET /tag.0011223344556677.js", &[], "").status, 404);
}

/// What is kept of an event's request, its line and body, and the whole record as text.
fn kept_of(record: &Value) -> (usize, String) {
    let length = |member: &str| record["raw"][member].as_str().unwrap_or_default().len();
    (length("line") + length("body"), record.to_string())
}

#[test]
fn of_an_events_request_two_kibibytes_are_kept_and_the_record_says_so() {
    let fixture = TagFixture::new();
    click(&fixture, json!({"landing_url": "https://shop.example/lp"}));
    let link = format!("https://network.test/?x={}", "y".repeat(4_000));
    let long = message(CLICK, json!({"name": "OutboundClick", "link": link})).to_string();
    let short = message(CLICK, json!({"name": "Lead"})).to_string();
    let path = format!("/t/event?{}", "q".repeat(15_000));
    for (path, body, status) in [
        ("/t/event", long.as_str(), 204),
        (path.as_str(), short.as_str(), 204),
        (path.as_str(), &format!("{{\"{}\": 1}}", "z".repeat(7_000)), 400),
        ("/t/event", &long.replace("OutboundClick\"", "Lead\",\"value\":\"1,5\",\"currency\":\"USD\""), 400),
    ] {
        let reported = receive(&fixture, path, body);
        assert_eq!(reported.status, status, "{}", reported.text());
        let records = fixture.relay.api("/api/v1/postbacks?source=tag&limit=1");
        let (bytes, record) = kept_of(&records["items"][0]);
        assert!(bytes <= 2048, "{bytes} bytes are kept");
        assert!(record.contains(" bytes ") && record.contains(" are kept"), "{record}");
        assert!(record.len() < 12_000, "{}", record.len());
    }
    event(&fixture, json!({"name": "Subscribe"}));
    let records = fixture.relay.api("/api/v1/postbacks?source=tag&limit=1");
    assert!(!records.to_string().contains(" are kept"), "an ordinary one is kept whole: {records}");
    assert_eq!(fixture.conversions("tag").len(), 3);
}

#[test]
fn events_that_cannot_be_read_leave_as_many_records_as_other_strangers_calls() {
    let fixture = TagFixture::new();
    let began = std::time::Instant::now();
    for number in 0..40 {
        let body = if number % 2 == 0 { "{".to_owned() } else { message(CLICK, json!({})).to_string() };
        let reported = receive(&fixture, "/t/event", &body);
        assert_eq!(reported.status, 400, "the answer is the same, kept or not: {}", reported.text());
    }
    let kept = fixture.relay.api("/api/v1/postbacks?source=tag&limit=1000");
    let kept = kept["items"].as_array().unwrap().len() as u64;
    let most = 11 + 10 * (began.elapsed().as_secs() + 1);
    assert!((1..=most).contains(&kept), "{kept} of at most {most}");
}

#[test]
fn events_count_against_the_bytes_that_strangers_may_have_recorded() {
    // An address has an eighth of it: 1 KiB a second, and ten at once.
    let fixture = TagFixture::with("\n[links]\nmax_kib_per_second = 8\n");
    let link = |number: i32| format!("https://network.test/?n={number}&x={}", "y".repeat(2_500));
    let receive = |number: i32| {
        let body = message(CLICK, json!({"name": "OutboundClick", "link": link(number)})).to_string();
        receive(&fixture, "/t/event", &body)
    };
    let answers: Vec<Answer> = (0..12).map(receive).collect();
    assert_eq!(answers[0].status, 204, "{}", answers[0].text());
    let refused = answers.iter().find(|answer| answer.status == 429).expect("not all of them are recorded");
    assert!(refused.text().contains("max_kib_per_second"), "{}", refused.text());
    assert!(refused.head.to_lowercase().contains("access-control-allow-origin"), "{}", refused.head);
    let taken = answers.iter().filter(|answer| answer.status == 204).count();
    assert_eq!(fixture.conversions("tag").len(), taken, "each 204 is recorded, and no other");
}
