//! The API's clicks and suppression lists, asked of a relay that runs.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::support::relay::{Answer, Relay, Setup, TOKEN, ask};

const CLICK: &str = "jxWUv1dyfyUCQnUF808u4iM7b0tMSpb88t";

fn nobody() -> SocketAddr {
    "127.0.0.1:9".parse().unwrap()
}

/// A relay with one click and the sale that names it.
fn relay(folder: &std::path::Path) -> Relay {
    let relay = Setup::cake_to_meta(folder, nobody()).start();
    let click = json!({"click_id": CLICK, "params": {"fbclid": "IwAR2xyz"}, "ip": "198.51.100.7"});
    assert_eq!(relay.post("/api/v1/clicks", &click.to_string()).status, 200);
    assert_eq!(relay.postback("cake-test", format!("s2={CLICK}&tid=A-1&price=7.50").as_bytes()).status, 200);
    relay
}

fn send(relay: &Relay, method: &str, path: &str, (media, body): (&str, &str)) -> Answer {
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {TOKEN}\r\nContent-Type: {media}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    ask(relay.address, request.as_bytes()).unwrap()
}

#[test]
fn clicks_are_listed_and_one_is_shown_with_its_conversions() {
    let folder = tempfile::tempdir().unwrap();
    let relay = relay(folder.path());
    let list = relay.api("/api/v1/clicks?limit=10");
    assert_eq!(list["items"][0]["click_id"], CLICK);
    assert_eq!(list["items"][0]["origin"], "api");
    assert_eq!(list["items"][0]["verdicts"], json!([]));
    assert_eq!(list["next_cursor"], Value::Null);
    for none in ["offer=565", "campaign=1", "affiliate=2", "marked=true", "until=2020-01-01T00:00:00Z"] {
        assert_eq!(relay.api(&format!("/api/v1/clicks?{none}"))["items"], json!([]), "{none}");
    }
    let click = relay.api(&format!("/api/v1/clicks/{CLICK}"));
    assert_eq!(click["params"]["fbclid"], "IwAR2xyz");
    assert_eq!(click["billable"], true);
    let sale = &click["conversions"][0];
    assert_eq!(sale["transaction_id"], "A-1");
    assert_eq!(
        sale["attribution"],
        json!({
            "state": "matched", "raw_click_id": CLICK, "click_id": CLICK, "match_method": "exact", "visitor": null, "model": null,
        })
    );
    for nothing in ["campaign_ref", "payout_source", "reason", "disposition"] {
        assert_eq!(sale[nothing], Value::Null, "{nothing}");
    }
    assert_eq!(sale["candidates"], json!([]));
}

#[test]
fn a_filter_of_clicks_that_is_not_known_is_refused_with_those_that_are() {
    let folder = tempfile::tempdir().unwrap();
    let relay = relay(folder.path());
    for (path, status, wanted) in [
        ("/api/v1/clicks?click_id=x", 400, "the parameters here are offer, campaign, affiliate"),
        ("/api/v1/clicks?marked=maybe", 400, "it is true or false"),
        ("/api/v1/clicks?offer=%20%3C", 400, "no id in the configuration is written so"),
        ("/api/v1/clicks/nobody", 404, "no click with this id is kept"),
        ("/api/v1/clicks/%3Cx%3E", 400, "a click id is 1–100 characters"),
    ] {
        let answer = send(&relay, "GET", path, ("", ""));
        assert_eq!(answer.status, status, "{path}");
        assert!(answer.text().contains(wanted), "{path}: {}", answer.text());
    }
    assert_eq!(send(&relay, "DELETE", "/api/v1/clicks", ("", "")).status, 405);
}

#[test]
fn entries_are_suppressed_by_text_csv_or_json_with_a_verdict_for_every_line() {
    let folder = tempfile::tempdir().unwrap();
    let relay = relay(folder.path());
    let path = "/api/v1/suppression/fraud%20%2F%202026";
    let reported = send(&relay, "POST", path, ("text/plain", "jo@example.com\n# why\n12\n10.0.0.0/8")).json();
    assert_eq!((&reported["added"], &reported["refused"]), (&json!(2), &json!(1)));
    assert_eq!(reported["list"], "fraud / 2026");
    assert_eq!(
        reported["lines"][0],
        json!({
            "line": 1, "received": "jo@example.com", "kind": "email", "outcome": "added", "reason_code": null,
            "field": null, "value": null, "reason": null, "hint": null,
        })
    );
    assert_eq!(
        (&reported["lines"][1]["line"], &reported["lines"][1]["outcome"]),
        (&json!(3), &json!("refused"))
    );
    let csv = send(&relay, "POST", path, ("text/csv; charset=utf-8", "email,order_id\njo@example.com,A-1\n"))
        .json();
    assert_eq!((&csv["added"], &csv["already_there"]), (&json!(1), &json!(1)));
    let entries = json!({"entries": [{"kind": "order_id", "value": "A-1"}, {"value": "x"}, {"kind": "shoe", "value": "x"}]});
    let removed =
        send(&relay, "POST", &format!("{path}/remove"), ("application/json", &entries.to_string())).json();
    assert_eq!((&removed["removed"], &removed["refused"]), (&json!(1), &json!(2)));
    assert_eq!(removed["lines"][1]["reason_code"], "kind_missing");
    assert_eq!(removed["lines"][2]["reason_code"], "unknown_kind");

    assert_eq!(relay.api("/api/v1/suppression")["items"][0]["entries"], 2);
    let listed = relay.api(path);
    assert_eq!(listed["items"][0]["value"], "10.0.0.0/8");
    assert_eq!(listed["items"][0]["actor"], "test");
    assert_eq!(
        listed["items"][1],
        json!({
            "kind": "email", "value": null, "hashed": true,
            "added_at": listed["items"][1]["added_at"], "actor": "test",
        })
    );
    assert_eq!(send(&relay, "DELETE", path, ("", "")).json()["removed"], 2);
    for (method, gone) in [("GET", path), ("DELETE", path)] {
        assert_eq!(send(&relay, method, gone, ("", "")).status, 404);
    }
}

#[test]
fn what_is_suppressed_does_not_convert_any_more() {
    let folder = tempfile::tempdir().unwrap();
    let relay = relay(folder.path());
    assert_eq!(
        send(&relay, "POST", "/api/v1/suppression/ips", ("text/plain", "198.51.100.0/24")).status,
        200
    );
    relay.postback("cake-test", format!("s2={CLICK}&tid=A-2&price=7.50").as_bytes());
    let sale = &relay.api("/api/v1/conversions?transaction_id=A-2")["items"][0];
    assert_eq!(sale["status"], "scrubbed");
    assert_eq!(sale["reason"], "its ip is on the suppression list `ips`");
    assert_eq!(sale["deliveries"], json!([]));
}

#[test]
fn a_body_that_is_no_list_of_entries_is_refused_with_what_to_send() {
    let folder = tempfile::tempdir().unwrap();
    let relay = relay(folder.path());
    for (path, sent, wanted) in [
        ("x", ("application/json", "[1]"), "the body has no list `entries`"),
        ("x", ("application/json", "{"), "the body is not JSON"),
        ("x", ("text/csv", "email\na@b.example"), "names no column `ip`"),
        ("%20", ("text/plain", "a@b.example"), "1 to 64 visible characters"),
    ] {
        let answer = send(&relay, "POST", &format!("/api/v1/suppression/{path}?kind=ip"), sent);
        assert_eq!(answer.status, 400, "{}", answer.text());
        assert!(answer.text().contains(wanted), "{}", answer.text());
    }
    let kind = send(&relay, "POST", "/api/v1/suppression/x?kind=shoe", ("text/plain", "1"));
    assert!(kind.text().contains("a kind is email, phone, ip, order_id or click_id"), "{}", kind.text());
    assert_eq!(relay.api("/api/v1/suppression")["items"], json!([]));
}
