//! What the API says of destinations, and the test event that it sends to one.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::platform::{Act, Platform};
use crate::support::relay::{Relay, Setup, wait_until};

/// A destination `meta-main` whose account has a test code, and what is behind it in the configuration.
fn setup(folder: &Path, platform: &Platform, more: &str) -> Setup {
    let mut setup = Setup::cake_to_meta(folder, platform.address);
    setup.extra.push_str("test_event_code = \"TEST12345\"\n");
    setup.extra.push_str(more);
    setup
}

fn of(relay: &Relay, id: &str) -> Value {
    let list = relay.api("/api/v1/destinations");
    let items = list["items"].as_array().unwrap();
    items.iter().find(|item| item["id"] == id).unwrap_or_else(|| panic!("{list:#}")).clone()
}

fn test(relay: &Relay, id: &str, event: &str) -> (u16, Value) {
    let answer = relay.post(&format!("/api/v1/destinations/{id}/test{event}"), "");
    (answer.status, answer.json())
}

/// A sale whose click is known.
fn sale(relay: &Relay, transaction: &str) {
    let click = json!({
        "click_id": "c1", "landing_url": "https://shop.example/?fbclid=IwAR0abc", "ip": "203.0.113.7",
        "user_agent": "Mozilla/5.0",
    });
    assert_eq!(relay.post("/api/v1/clicks", &click.to_string()).status, 200);
    assert_eq!(
        relay.postback("cake-test", format!("s2=c1&tid={transaction}&price=7").as_bytes()).status,
        200
    );
}

#[test]
fn a_test_event_is_shown_with_request_answer_and_verdict_and_is_no_conversion() {
    let (folder, platform) = (tempfile::tempdir().unwrap(), Platform::accepting());
    let relay = setup(folder.path(), &platform, "").start();
    let (status, test) = test(&relay, "meta-main", "?event=Lead&anyway=true");
    assert_eq!(status, 200, "{test:#}");
    assert_eq!(
        (&test["outcome"], &test["event"], &test["event_name"]),
        (&json!("delivered"), &json!("Lead"), &json!("Lead"))
    );
    assert!(test["verdict"].as_str().unwrap().starts_with("delivered"), "{test:#}");
    assert_eq!(
        (&test["setup"], &test["reason_code"], &test["is_probed"]),
        (&Value::Null, &Value::Null, &json!(false))
    );
    assert_eq!(test["response"]["status"], 200);
    let sent: Value = serde_json::from_str(test["request"]["body"].as_str().unwrap()).unwrap();
    let received = platform.received().remove(0);
    assert_eq!(received.json(), sent, "the exact request");
    assert_eq!(
        (&sent["test_event_code"], &sent["data"][0]["event_name"]),
        (&json!("TEST12345"), &json!("Lead"))
    );
    assert_eq!(received.header("authorization"), Some("Bearer meta-secret-token"));
    assert!(!test.to_string().contains("meta-secret-token"), "{test:#}");
    assert_eq!(relay.api("/api/v1/conversions")["items"], json!([]));
    assert_eq!(relay.api("/api/v1/deliveries")["items"], json!([]));
    let destination = of(&relay, "meta-main");
    assert_eq!((&destination["state"], &destination["delivered"]), (&json!("untried"), &json!(0)));
}

#[test]
fn a_refused_token_brings_the_hint_of_the_setup_guide_and_leaves_the_destination_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let platform = Platform::start(|_| {
        Act::status(401, r#"{"error":{"message":"Invalid OAuth access token meta-secret-token","code":190}}"#)
    });
    let relay = setup(folder.path(), &platform, "").start();
    let (status, test) = test(&relay, "meta-main", "?anyway=true");
    assert_eq!(
        (status, &test["outcome"], &test["reason_code"]),
        (200, &json!("park"), &json!("account_refused"))
    );
    assert!(test["setup"].as_str().unwrap().contains("Code 190"), "{test:#}");
    assert!(test["verdict"].as_str().unwrap().contains("account is refused"));
    assert!(!test.to_string().contains("meta-secret-token"), "{test:#}");
    assert_eq!(of(&relay, "meta-main")["parked"], Value::Null);
    sale(&relay, "A-1");
    assert!(wait_until(Duration::from_secs(10), || of(&relay, "meta-main")["state"] == "parked"));
    let parked = &of(&relay, "meta-main")["parked"];
    assert_eq!(parked["reason_code"], "account_refused");
    assert!(parked["since"].is_string() && parked["hint"].is_string(), "{parked:#}");
    assert!(parked["setup"].as_str().unwrap().contains("Code 190"), "{parked:#}");
}

#[test]
fn what_cannot_be_tested_says_why_and_nothing_is_sent() {
    let (folder, platform) = (tempfile::tempdir().unwrap(), Platform::accepting());
    let own = format!(
        "[templates]\npath = \"templates\"\n[[destination]]\nid = \"plain\"\ntemplate = \"plain\"\nendpoint = \"http://{0}\"\n\
         allow_private_network = true\n[[postback]]\nid = \"all\"\nurl = \"http://{0}/pb?c={{click_id}}\"\nmacro = \"{{}}\"\n\
         allow_private_network = true\n",
        platform.address
    );
    let template = folder.path().join("templates/destinations/plain");
    std::fs::create_dir_all(&template).unwrap();
    let toml =
        "label = \"Plain\"\n[events]\nPurchase = \"p\"\n[request]\nurl = \"https://plain.example/e\"\n";
    std::fs::write(template.join("destination.toml"), toml).unwrap();
    std::fs::write(template.join("event.json.hbs"), "{\"id\": {{json event_id}}}").unwrap();
    let mut setup = Setup::cake_to_meta(folder.path(), platform.address);
    setup.extra.push_str(&own);
    let relay = setup.start();
    for (id, event, status, code) in [
        ("plain", "", 409, "no_test_mode"),
        ("postback:all", "", 409, "no_test_mode"),
        ("meta-main", "", 409, "test_setting_missing"),
        ("nowhere", "", 404, "not_found"),
        ("plain", "?event=", 409, "no_test_mode"),
        ("plain", "?events=Lead", 400, "bad_parameter"),
    ] {
        let (answered, refused) = test(&relay, id, event);
        assert_eq!((answered, &refused["error"]["code"]), (status, &json!(code)), "{id}: {refused:#}");
        assert!(!refused["error"]["hint"].as_str().unwrap().is_empty());
    }
    let (_, refused) = test(&relay, "meta-main", "");
    assert!(refused["error"]["message"].as_str().unwrap().contains("test_event_code"), "{refused:#}");
    let (_, refused) = test(&relay, "plain", "");
    let hint = refused["error"]["hint"].as_str().unwrap();
    assert!(hint.contains("preview") && hint.contains("shadow"), "{hint}");
    assert_eq!(platform.count(), 0, "{:?}", platform.received());
}

#[test]
fn a_test_event_that_counts_is_refused_until_the_caller_says_anyway() {
    let (folder, platform) = (tempfile::tempdir().unwrap(), Platform::accepting());
    let relay = setup(folder.path(), &platform, "").start();
    for (query, status, code) in [
        ("", 409, "test_counts"),
        ("?anyway=false", 409, "test_counts"),
        ("?anyway=", 409, "test_counts"),
        ("?anyway=perhaps", 400, "bad_parameter"),
    ] {
        let (answered, refused) = test(&relay, "meta-main", query);
        assert_eq!((answered, &refused["error"]["code"]), (status, &json!(code)), "{query}: {refused:#}");
    }
    assert_eq!(platform.count(), 0);
    let (status, sent) = test(&relay, "meta-main", "?anyway=true");
    assert_eq!((status, &sent["counts"], &sent["note"]), (200, &json!("yes"), &Value::Null), "{sent:#}");
}

/// The names of an object's members.
fn members(value: &Value) -> String {
    let mut names: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    names.join(" ")
}

#[test]
fn a_destination_and_a_test_event_have_all_their_members() {
    let (folder, platform) = (tempfile::tempdir().unwrap(), Platform::accepting());
    let relay = setup(folder.path(), &platform, "").start();
    assert_eq!(
        members(&of(&relay, "meta-main")),
        "confirmations confirming delivered doubts due first_loss_at held id in_flight last_error mode oldest_due \
         oldest_due_seconds on_hold open_until parked queue sign_in_warning state template verified version version_expires_at waiting"
    );
    assert_eq!(
        members(&test(&relay, "meta-main", "?anyway=true").1),
        "at batch counts destination earlier_requests event event_name field hint is_probed late note outcome purpose reason \
         reason_code remarks request response sent setup template took_ms value verdict warnings"
    );
}

#[test]
fn two_test_events_at_once_are_one() {
    let (folder, platform) = (tempfile::tempdir().unwrap(), Platform::accepting());
    let relay = setup(folder.path(), &platform, "").start();
    assert_eq!(test(&relay, "meta-main", "?anyway=true").0, 200);
    let (status, refused) = test(&relay, "meta-main", "?anyway=true");
    assert_eq!((status, &refused["error"]["code"]), (409, &json!("too_soon")), "{refused:#}");
    assert_eq!(platform.count(), 1);
}

#[test]
fn a_destination_is_listed_with_all_that_a_person_wants_to_know_of_it() {
    let (folder, platform) = (tempfile::tempdir().unwrap(), Platform::accepting());
    let postback = format!(
        "[[postback]]\nid = \"all\"\nurl = \"http://{}/pb?c={{click_id}}\"\nmacro = \"{{}}\"\nallow_private_network = true\n",
        platform.address
    );
    let setup = setup(folder.path(), &platform, &postback);
    let relay = setup.start();
    let untried = of(&relay, "meta-main");
    assert_eq!((&untried["state"], &untried["oldest_due_seconds"]), (&json!("untried"), &Value::Null));
    assert_eq!(
        (&untried["version"], &untried["version_expires_at"]),
        (&json!("v26.0"), &json!("2028-06-01T00:00:00.000Z"))
    );
    assert_eq!(
        (&untried["verified"], &untried["doubts"]),
        (&json!(true), &json!([{"about": "replies", "reason": "doubtful"}]))
    );
    let postback = of(&relay, "postback:all");
    assert_eq!(
        (&postback["version"], &postback["verified"], &postback["doubts"]),
        (&Value::Null, &Value::Null, &json!([]))
    );
    sale(&relay, "A-1");
    assert!(wait_until(Duration::from_secs(10), || of(&relay, "meta-main")["delivered"] == 1));
    let tried = of(&relay, "meta-main");
    assert_eq!(tried["state"], "sending");
    assert_eq!(
        tried["confirmations"],
        json!({"confirmed": 1, "duplicate": 0, "counted": 0, "unverified": 0})
    );
    // A restart remembers that it was sent to, and nothing of how much.
    assert!(wait_until(Duration::from_secs(10), || of(&relay, "meta-main")["queue"] == 0));
    relay.signal(15);
    assert!(relay.wait(Duration::from_secs(20)).is_some());
    let relay = setup.start();
    let again = of(&relay, "meta-main");
    assert_eq!((&again["state"], &again["delivered"]), (&json!("sending"), &json!(0)), "{again:#}");
}

#[test]
fn what_waits_says_for_how_long_and_when_the_first_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let platform = Platform::start(|_| Act::status(503, "busy"));
    let relay = setup(folder.path(), &platform, "").start();
    sale(&relay, "A-1");
    assert!(wait_until(Duration::from_secs(10), || of(&relay, "meta-main")["first_loss_at"].is_string()));
    let waiting = of(&relay, "meta-main");
    assert_eq!(
        (&waiting["queue"], &waiting["held"], &waiting["confirming"]),
        (&json!(1), &json!(0), &json!(0))
    );
    assert_eq!(waiting["waiting"], 1);
    let sale = relay.api("/api/v1/conversions")["items"][0].clone();
    let time = |value: &Value| postbridge::domain::time::Time::parse(value.as_str().unwrap()).unwrap();
    let lost = time(&waiting["first_loss_at"]).millis_since(time(&sale["event_time"]));
    assert_eq!(lost, 7 * 24 * 3_600_000, "the platform takes events of seven days");
}
