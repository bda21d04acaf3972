//! What a network is answered by its template: by verdict, to a challenge, and to what is ignored; a header is read,
//! and none of a query in its place.

use std::fs;
use std::path::Path;
use std::sync::Barrier;
use std::thread;

use serde_json::{Value, json};

use crate::support::relay::{KEY, Relay, Setup};

const SHOP: &str = r#"
name = "shop"
macro = "{{}}"
postback = ["id", "click_id", "total"]
[map]
transaction_id = "id"
click_id = ["click_id", "attributes[click_id]"]
value = "total"
event = "header:x-shop-topic"
[event]
names = { paid = "Purchase" }
ignore = "*"
[reply]
text = "OK"
quarantined = "success=false"
challenge = "challenge"
"#;

fn relay(folder: &Path) -> Relay {
    fs::create_dir_all(folder.join("templates/sources")).unwrap();
    fs::write(folder.join("templates/sources/shop.toml"), SHOP).unwrap();
    let source = format!(
        "[[source]]\nid = \"my-shop\"\ntemplate = \"shop\"\nkey = \"{KEY}\"\ncurrency = \"USD\"\n\
         events = {{ refunded = \"Refund\" }}\n"
    );
    let setup = Setup::of(folder);
    setup.run(&format!("{}\n[templates]\npath = \"templates\"\n{source}", setup.text())).unwrap()
}

fn newest(relay: &Relay) -> Value {
    relay.api("/api/v1/postbacks")["items"][0].take()
}

const JSON: &str = "Content-Type: application/json\r\n";

fn order(relay: &Relay, topic: &str, body: &str) -> String {
    let headers = format!("{JSON}X-Shop-Topic: {topic}\r\n");
    let answer = relay.send("POST", &format!("/{KEY}/collect/my-shop"), &headers, body);
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.text()
}

#[test]
fn each_verdict_has_its_answer_and_what_is_ignored_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let relay = relay(folder.path());
    let body = r#"{"id": "1001", "total": "7.50", "attributes": [{"name": "click_id", "value": "abc"}]}"#;
    assert_eq!(order(&relay, "paid", body), "OK");
    assert_eq!(newest(&relay)["status"], "accepted");
    assert_eq!(order(&relay, "updated", body), "OK");
    let kept = newest(&relay);
    assert_eq!((&kept["status"], &kept["reason_code"]), (&json!("ignored"), &json!("ignored_by_template")));
    assert_eq!((&kept["field"], &kept["conversion_id"]), (&json!("header:x-shop-topic"), &Value::Null));
    assert_eq!(order(&relay, "refunded", body), "OK");
    let conversions = relay.api("/api/v1/conversions");
    let events: Vec<&Value> =
        conversions["items"].as_array().unwrap().iter().map(|one| &one["event"]).collect();
    assert_eq!(events, [&json!("Refund"), &json!("Purchase")], "an account names its own events");
    assert_eq!(order(&relay, "paid", r#"{"id": "1002", "total": "x"}"#), "OK", "no event needs its value");
    // The topic in the query is none.
    let target = format!("/{KEY}/collect/my-shop?header:x-shop-topic=paid&x-shop-topic=paid&id=1003&total=7");
    assert_eq!(relay.get(&target).text(), "success=false");
    let kept = newest(&relay);
    assert_eq!((&kept["status"], &kept["reason_code"]), (&json!("quarantined"), &json!("missing_event")));
}

#[test]
fn a_challenge_is_answered_and_is_no_sale() {
    let folder = tempfile::tempdir().unwrap();
    let relay = relay(folder.path());
    let answer = relay.get(&format!("/{KEY}/collect/my-shop?id=1&total=7&challenge=%3Cb%3E1+2"));
    assert_eq!((answer.status, answer.text().as_str()), (200, "<b>1 2"));
    let headers = answer.head.to_lowercase();
    assert!(headers.contains("content-type: text/plain") && headers.contains("nosniff"), "{headers}");
    let kept = newest(&relay);
    assert_eq!((&kept["status"], &kept["reason_code"]), (&json!("ignored"), &json!("challenge_answered")));
    assert_eq!(relay.api("/api/v1/conversions")["items"], json!([]));
    // An empty one asks nothing, and a POST is a postback.
    assert_eq!(relay.get(&format!("/{KEY}/collect/my-shop?id=1&total=7&challenge=")).text(), "success=false");
    let posted = relay.send(
        "POST",
        &format!("/{KEY}/collect/my-shop?challenge=1"),
        "X-Shop-Topic: paid\r\n",
        "id=7&total=7",
    );
    assert_eq!(posted.text(), "OK");
    assert_eq!(newest(&relay)["status"], "accepted");
}

#[test]
fn sixty_four_identical_requests_at_once_make_one_conversion() {
    let folder = tempfile::tempdir().unwrap();
    let relay = relay(folder.path());
    let body = r#"{"id": "1001", "total": "7.50"}"#;
    let together = Barrier::new(64);
    thread::scope(|scope| {
        for _ in 0..64 {
            scope.spawn(|| {
                together.wait();
                assert_eq!(order(&relay, "paid", body), "OK");
            });
        }
    });
    assert_eq!(relay.api("/api/v1/conversions")["items"].as_array().unwrap().len(), 1);
    let kept = relay.api("/api/v1/postbacks?limit=1000");
    let with =
        |status: &str| kept["items"].as_array().unwrap().iter().filter(|one| one["status"] == status).count();
    assert_eq!((with("accepted"), with("duplicate")), (1, 63));
}
