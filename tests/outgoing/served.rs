//! Outgoing postbacks of a built `serve`: from the tracking link to the affiliate's tracker, reloads, previews.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::link_fixture::{browse, location, parameter, relay_with};
use crate::support::platform::{Act, Platform};
use crate::support::relay::{Relay, wait_until};
use crate::support::signed_in::SignedIn;

/// A relay whose campaign 8599 notifies a tracker; `keys` are further ones of its postback.
fn report(folder: &Path, tracker: &Platform, keys: &str) -> Relay {
    let postback = format!(
        "[campaign.postback]\nurl = \"http://{}/pb?cid=#s2#&payout=#price#&tid=#tid#\"\nallow_private_network = true\n{keys}\n",
        tracker.address
    );
    relay_with(folder, "", "", &postback)
}

/// A visitor of the campaign's link buys; the affiliate's own click id is `theirs`.
fn sale(relay: &Relay, theirs: &str, transaction: &str) {
    let target = location(&browse(relay, &format!("/c/8599?s2={theirs}")));
    let click = parameter(&target, "cid").unwrap();
    let answer = relay.postback("cake-test", format!("s2={click}&tid={transaction}&price=7.00").as_bytes());
    assert_eq!(answer.json()["attribution"], "matched", "{}", answer.text());
}

fn deliveries(relay: &Relay, state: &str) -> Vec<Value> {
    let all = relay.api(&format!("/api/v1/deliveries?state={state}"));
    let all = all["items"].as_array().unwrap().iter();
    all.filter(|one| one["destination"] == "campaign:8599").cloned().collect()
}

#[test]
fn a_sale_of_a_tracking_link_is_reported_to_the_affiliates_tracker() {
    let (folder, tracker) = (tempfile::tempdir().unwrap(), Platform::start(|_| Act::ok("ok")));
    let relay = report(folder.path(), &tracker, "scale = \"0.80\"");
    sale(&relay, "their%2Bid%20%26", "T1");
    assert!(wait_until(Duration::from_secs(10), || tracker.count() == 1), "never sent");
    let line = &tracker.received()[0].line;
    assert_eq!(line, "GET /pb?cid=their%2Bid%20%26&payout=5.60&tid=T1 HTTP/1.1");
    assert!(wait_until(Duration::from_secs(10), || deliveries(&relay, "delivered").len() == 1));
    let id = deliveries(&relay, "delivered")[0]["conversion_id"].as_str().unwrap().to_owned();
    let trace = relay.api(&format!("/api/v1/conversions/{id}"));
    let reported =
        trace["deliveries"].as_array().unwrap().iter().find(|one| one["destination"] == "campaign:8599");
    let attempt = &reported.unwrap()["attempt_log"][0];
    let text = "payout 7.00 USD sent as 5.60 USD (scale 0.80)";
    assert_eq!(attempt["remarks"], json!([scaled(text)]));
}

/// The remark that the API shows.
fn scaled(reason: &str) -> Value {
    let hint = "nothing to do: the conversion keeps its own payout";
    json!({"reason_code": "payout_scaled", "field": "payout", "value": null, "reason": reason, "hint": hint})
}

#[test]
fn a_campaign_taken_out_of_the_configuration_keeps_its_waiting_postbacks_and_goes_on_when_it_is_back() {
    let (folder, tracker) = (tempfile::tempdir().unwrap(), Platform::accepting());
    let relay = report(folder.path(), &tracker, "delay_seconds = 3600");
    sale(&relay, "x", "T1");
    assert_eq!(deliveries(&relay, "waiting").len(), 1);
    let config = folder.path().join("postbridge.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.split("[[campaign]]").next().unwrap()).unwrap();
    relay.signal(1);
    let code = || deliveries(&relay, "waiting")[0]["reason_code"].clone();
    assert!(wait_until(Duration::from_secs(20), || code() == "destination_removed"), "{}", code());
    let removed = relay.api("/api/v1/destinations")["removed"].clone();
    assert_eq!((&removed[0]["id"], &removed[0]["waiting"]), (&"campaign:8599".into(), &1.into()));
    let id = deliveries(&relay, "waiting")[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(relay.post(&format!("/api/v1/deliveries/{id}/retry"), "").status, 409, "no one would send it");
    std::fs::write(&config, text).unwrap();
    relay.signal(1);
    assert!(wait_until(Duration::from_secs(20), || code() == "awaits_turn"), "{}", code());
    assert_eq!(relay.post(&format!("/api/v1/deliveries/{id}/retry"), "").status, 200);
    assert!(wait_until(Duration::from_secs(10), || tracker.count() == 1), "it goes on");
}

#[test]
fn a_dead_postback_is_retried_by_hand() {
    let tracker = Platform::start(|received| Act::status(if received.number == 0 { 404 } else { 200 }, "x"));
    let folder = tempfile::tempdir().unwrap();
    let relay = report(folder.path(), &tracker, "");
    sale(&relay, "x", "T1");
    assert!(wait_until(Duration::from_secs(10), || deliveries(&relay, "dead").len() == 1), "never dead");
    let dead = deliveries(&relay, "dead").remove(0);
    assert_eq!(dead["reason_code"], "platform_rejected");
    assert_eq!(dead["reason"], "HTTP 404: x");
    let retried = relay.post(&format!("/api/v1/deliveries/{}/retry", dead["id"].as_str().unwrap()), "");
    assert_eq!(retried.status, 200, "{}", retried.text());
    assert!(wait_until(Duration::from_secs(10), || deliveries(&relay, "delivered").len() == 1));
}

#[test]
fn the_key_in_a_postback_url_from_outside_reaches_only_the_tracker() {
    const KEY: &str = "s3cr3t-of-the-affiliate";
    let tracker = Platform::start(|_| {
        Act::status(404, "no s3cr3t-of-the-affiliate").with_header("x-echo", "s3cr3t-of-the-affiliate")
    });
    let folder = tempfile::tempdir().unwrap();
    let url = format!("http://{}/pb?token={KEY}&cid=#s2#\n", tracker.address);
    std::fs::write(folder.path().join("postback.url"), url).unwrap();
    let relay = relay_with(
        folder.path(),
        "",
        "",
        "[campaign.postback]\nurl = { file = \"postback.url\" }\nallow_private_network = true\n",
    );
    sale(&relay, "x", "T1");
    assert!(wait_until(Duration::from_secs(10), || deliveries(&relay, "dead").len() == 1), "never dead");
    assert_eq!(tracker.received()[0].line, format!("GET /pb?token={KEY}&cid=x HTTP/1.1"));
    let dead = deliveries(&relay, "dead").remove(0);
    assert_eq!(dead["reason"], "HTTP 404: no ***");
    let conversion = format!("/conversions/{}", dead["conversion_id"].as_str().unwrap());
    let trace = relay.api(&format!("/api/v1{conversion}")).to_string();
    assert!(trace.contains("/pb?token=***&cid=x") && !trace.contains(KEY), "{trace}");
    let browser = SignedIn::of(relay);
    for page in [conversion.as_str(), "/campaigns", "/offers/565", "/dead-letters"] {
        let page = browser.get(page);
        assert!(page.contains("token=***&cid=") && !page.contains(KEY), "{page}");
    }
}

#[test]
fn preview_shows_the_postbacks_of_a_campaigns_sale_and_sends_nothing() {
    let (folder, tracker) = (tempfile::tempdir().unwrap(), Platform::accepting());
    drop(report(folder.path(), &tracker, "scale = \"0.5\""));
    std::fs::write(folder.path().join("click.json"), "{\"sub_ids\": {\"s2\": \"their id\"}}").unwrap();
    let preview = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_postbridge"))
            .args(["preview", "--source", "cake-test", "--json"])
            .args(arguments)
            .arg("s2=click-1&tid=T1&price=7.00")
            .current_dir(folder.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    let shown = preview(&["--campaign", "8599", "--click", "click.json", "--destination", "campaign:8599"]);
    let request = &shown["requests"][0];
    let expected = format!("http://{}/pb?cid=their%20id&payout=3.50&tid=T1", tracker.address);
    assert_eq!((&request["method"], &request["url"]), (&"GET".into(), &expected.into()));
    let text = "payout 7.00 USD sent as 3.50 USD (scale 0.5)";
    assert_eq!(request["remarks"], json!([scaled(text)]));
    let without = preview(&["--click", "click.json", "--destination", "campaign:8599"]);
    assert_eq!(without["requests"], Value::Array(Vec::new()), "nobody's click, no one's postback");
    assert_eq!(tracker.count(), 0);
}
