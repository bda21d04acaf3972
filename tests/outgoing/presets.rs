//! Presets of outgoing postbacks in a built `serve`: from the landing parameter to the receiver's URL, and its answer.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::support::link_fixture::{browse, location, parameter, relay_with};
use crate::support::platform::{Act, Platform};
use crate::support::relay::{Relay, Setup, ask, wait_until};
use crate::support::signed_in::SignedIn;

const GOAL: &str = "1b9b3786eae526755467c2593d194005";
/// What a traffic source fills in, with what a URL encodes.
const TAG: &str = "ord+RH/N=7";
const TAG_ENCODED: &str = "ord%2BRH%2FN%3D7";

fn exoclick(receiver: &Platform) -> String {
    format!(
        "\n[[postback]]\nid = \"exo\"\npreset = \"exoclick\"\nendpoint = \"http://{}\"\nallow_private_network = true\n\
         [postback.settings]\ngoal = \"{GOAL}\"\n",
        receiver.address
    )
}

/// A relay with a campaign that reports to the receiver by the preset.
fn relay(folder: &Path, receiver: &Platform) -> Relay {
    relay_with(folder, "", "", &exoclick(receiver))
}

/// A visitor of the campaign's link with this query buys; answers our click id.
fn sale(relay: &Relay, query: &str, transaction: &str) -> String {
    let target = location(&browse(relay, &format!("/c/8599?{query}")));
    let click = parameter(&target, "cid").unwrap();
    report(relay, &click, transaction);
    click
}

fn report(relay: &Relay, click: &str, transaction: &str) {
    let answer = relay.postback("cake-test", format!("s2={click}&tid={transaction}&price=9.00").as_bytes());
    assert_eq!(answer.json()["attribution"], "matched", "{}", answer.text());
}

/// Those of the postback in this state, once there is one.
fn delivery(relay: &Relay, destination: &str, state: &str) -> Value {
    let path = format!("/api/v1/deliveries?state={state}&destination={destination}");
    let all = || relay.api(&path)["items"].as_array().unwrap().clone();
    let found = wait_until(Duration::from_secs(15), || !all().is_empty());
    assert!(found, "nothing of {destination} is {state}: {:#}", relay.api("/api/v1/deliveries"));
    all().remove(0)
}

#[test]
fn the_click_id_that_a_tracking_link_brought_is_said_of_the_sale_that_was_joined_to_it() {
    let (folder, receiver) = (tempfile::tempdir().unwrap(), Platform::start(|_| Act::ok("OK\n")));
    let relay = relay(folder.path(), &receiver);
    // Another click of the same visitor, with another id, must not be the one.
    browse(&relay, "/c/8599?exoclick_id=another");
    let click = sale(&relay, &format!("utm_source=exo&ExoClick_ID={TAG_ENCODED}"), "T1");
    assert_eq!(relay.api(&format!("/api/v1/clicks/{click}"))["params"]["exoclick_id"], TAG);
    let delivered = delivery(&relay, "postback:exo", "delivered");
    assert_eq!(delivered["confirmation"], "confirmed", "{delivered:#}");
    let lines: Vec<String> = receiver.received().into_iter().map(|received| received.line).collect();
    // The offer's payout: 9.00 is what the network earns.
    assert_eq!(lines, [format!("GET /tag.php?goal={GOAL}&tag={TAG_ENCODED}&value=7.00 HTTP/1.1")]);
    let trace = relay.api(&format!("/api/v1/conversions/{}", delivered["conversion_id"].as_str().unwrap()));
    let attempt =
        trace["deliveries"].as_array().unwrap().iter().find(|one| one["destination"] == "postback:exo");
    assert_eq!(attempt.unwrap()["attempt_log"][0]["sent"]["ids"]["exoclick_id"], TAG, "{trace:#}");
}

#[test]
fn a_200_with_an_error_in_its_body_is_not_delivered() {
    let (folder, receiver) =
        (tempfile::tempdir().unwrap(), Platform::start(|_| Act::ok("ERROR: Tag is invalid!")));
    let relay = relay(folder.path(), &receiver);
    sale(&relay, "exoclick_id=x1", "T1");
    let dead = delivery(&relay, "postback:exo", "dead");
    assert_eq!(dead["reason_code"], "platform_rejected");
    assert_eq!(dead["reason"], "HTTP 200 (ExoClick did not count it): ERROR: Tag is invalid!");
    assert_eq!(receiver.count(), 1);
}

#[test]
fn a_sale_without_the_click_id_of_the_receiver_is_skipped_and_says_what_is_missing() {
    let (folder, receiver) = (tempfile::tempdir().unwrap(), Platform::start(|_| Act::ok("OK")));
    let relay = relay(folder.path(), &receiver);
    sale(&relay, "exoclick_id={conversions_tracking}&s1=blue", "T1");
    let skipped = delivery(&relay, "postback:exo", "skipped");
    assert_eq!(skipped["reason_code"], "payload_incomplete", "{skipped:#}");
    assert_eq!(skipped["field"], "exoclick_id");
    assert!(skipped["hint"].as_str().unwrap().contains("the landing parameter `exoclick_id`"), "{skipped:#}");
    assert_eq!(receiver.count(), 0);
}

#[test]
fn the_parameter_is_kept_while_the_preset_is_used_and_not_after() {
    let (folder, receiver) = (tempfile::tempdir().unwrap(), Platform::start(|_| Act::ok("OK")));
    let relay = relay(folder.path(), &receiver);
    let kept = |relay: &Relay| {
        let target = location(&browse(relay, "/c/8599?exoclick_id=x1&richads_id=y1"));
        let click = parameter(&target, "cid").unwrap();
        relay.api(&format!("/api/v1/clicks/{click}"))["params"].clone()
    };
    let params = kept(&relay);
    assert_eq!((&params["exoclick_id"], &params["richads_id"]), (&"x1".into(), &Value::Null), "{params}");
    let config = folder.path().join("postbridge.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.split("[[postback]]").next().unwrap()).unwrap();
    relay.signal(1);
    let is_gone = || kept(&relay)["exoclick_id"].is_null();
    assert!(wait_until(Duration::from_secs(20), is_gone), "still kept: {}", kept(&relay));
}

#[test]
fn the_tag_keeps_the_parameter_and_a_sale_of_no_campaign_is_reported_with_what_it_is_worth() {
    let (folder, receiver) = (tempfile::tempdir().unwrap(), Platform::start(|_| Act::ok("OK")));
    let mut setup = Setup::cake_to_meta(folder.path(), "127.0.0.1:9".parse().unwrap());
    setup.extra += &format!("[tag]\norigins = [\"https://shop.test\"]\n{}", exoclick(&receiver));
    let relay = setup.start();
    let script = relay.send("GET", "/tag.js", "", "").text();
    assert!(script.contains("exoclick_id"), "{script}");
    let click = "0mwprfhn25sqgpbr2ksobbbg2sqv8";
    let message = serde_json::json!({
        "click_id": click,
        "landing_url": "https://shop.test/lp",
        "params": {"exoclick_id": TAG},
    })
    .to_string();
    let text = format!(
        "POST /t/click HTTP/1.1\r\nHost: test\r\nConnection: close\r\nOrigin: https://shop.test\r\n\
         Content-Type: text/plain\r\nContent-Length: {}\r\n\r\n{message}",
        message.len()
    );
    assert_eq!(ask(relay.address, text.as_bytes()).unwrap().status, 204);
    report(&relay, click, "T1");
    delivery(&relay, "postback:exo", "delivered");
    let line = receiver.received().remove(0).line;
    assert_eq!(line, format!("GET /tag.php?goal={GOAL}&tag={TAG_ENCODED}&value=9.00 HTTP/1.1"));
}

#[test]
fn a_script_without_a_preset_in_use_knows_none_of_their_parameters() {
    let folder = tempfile::tempdir().unwrap();
    let mut setup = Setup::cake_to_meta(folder.path(), "127.0.0.1:9".parse().unwrap());
    setup.extra += "[tag]\norigins = [\"https://shop.test\"]\n";
    let script = setup.start().send("GET", "/tag.js", "", "").text();
    assert!(script.contains("fbclid") && !script.contains("exoclick_id"), "{script}");
}

#[test]
fn an_affiliates_tracker_is_reported_by_the_sub_id_of_its_link_and_its_key_reaches_no_one_else() {
    const KEY: &str = "s3cr3t-of-the-affiliate";
    let (folder, tracker) = (
        tempfile::tempdir().unwrap(),
        Platform::start(|_| Act::status(404, "no s3cr3t-of-the-affiliate here")),
    );
    std::fs::write(folder.path().join("postback.key"), KEY).unwrap();
    let postback = format!(
        "[campaign.postback]\npreset = \"keitaro\"\nallow_private_network = true\n[campaign.postback.settings]\n\
         address = \"http://{}\"\npostback_key = {{ file = \"postback.key\" }}\nclick_param = \"s2\"\n",
        tracker.address
    );
    let relay = relay_with(folder.path(), "", "", &postback);
    sale(&relay, "s2=a%20click%207", "T1");
    let dead = delivery(&relay, "campaign:8599", "dead");
    let line = tracker.received().remove(0).line;
    let expected = format!(
        "GET /{KEY}/postback?subid=a%20click%207&status=sale&payout=7.00&currency=USD&tid=T1 HTTP/1.1"
    );
    assert_eq!(line, expected);
    assert_eq!(dead["reason"], "HTTP 404: no *** here");
    let conversion = format!("/conversions/{}", dead["conversion_id"].as_str().unwrap());
    let trace = relay.api(&format!("/api/v1{conversion}")).to_string();
    assert!(trace.contains("/***/postback?subid=a%20click%207") && !trace.contains(KEY), "{trace}");
    let browser = SignedIn::of(relay);
    for page in [conversion.as_str(), "/campaigns", "/destinations", "/dead-letters"] {
        assert!(!browser.get(page).contains(KEY), "{page}");
    }
    assert!(browser.get("/campaigns").contains("/***/postback?subid="));
    assert!(browser.get("/destinations").contains("<code>s2={subid}</code>"));
}

#[test]
fn a_users_own_preset_takes_the_place_of_the_built_in_one() {
    let (folder, receiver) = (tempfile::tempdir().unwrap(), Platform::start(|_| Act::ok("OK")));
    let own = folder.path().join("templates/presets");
    std::fs::create_dir_all(&own).unwrap();
    let text = "label = \"Mine\"\nurl = \"{settings.address}/mine?c={landing_click_id}&ip={sourceip}&e={event}\"\n\
                [click]\nparam = \"exoclick_id\"\n\
                [[setting]]\nname = \"address\"\nlabel = \"Address\"\nkind = \"url\"\nrequired = true\n";
    std::fs::write(own.join("exoclick.toml"), text).unwrap();
    let postback = format!(
        "\n[[postback]]\nid = \"exo\"\npreset = \"exoclick\"\nallow_private_network = true\n\
         [postback.settings]\naddress = \"http://{}\"\n\n[templates]\npath = \"templates\"\n",
        receiver.address
    );
    let relay = relay_with(folder.path(), "", "", &postback);
    sale(&relay, "exoclick_id=x1", "T1");
    delivery(&relay, "postback:exo", "delivered");
    // The visitor's address is a loopback one here: what no visitor has is left out with its parameter.
    assert_eq!(receiver.received().remove(0).line, "GET /mine?c=x1&e=Purchase HTTP/1.1");
}

#[test]
fn what_is_rejected_later_is_said_where_the_postback_says_so_and_irreversible_where_no_word_is_known() {
    let (folder, tracker) = (tempfile::tempdir().unwrap(), Platform::start(|_| Act::ok("Success")));
    let source = Platform::start(|_| Act::ok("OK"));
    let keitaro = format!(
        "\n[[postback]]\nid = \"tracker\"\npreset = \"keitaro\"\non = [\"approved\", \"rejected\"]\nwhen = \"each_change\"\nallow_private_network = true\n[postback.settings]\n\
         address = \"http://{}\"\npostback_key = \"k1\"\n",
        tracker.address
    );
    let relay = relay_with(folder.path(), "", "", &format!("{}{keitaro}", exoclick(&source)));
    sale(&relay, "exoclick_id=x1&keitaro_id=y1", "T1");
    let delivered = delivery(&relay, "postback:tracker", "delivered");
    let conversion = delivered["conversion_id"].as_str().unwrap();
    delivery(&relay, "postback:exo", "delivered");
    let reject = format!("/api/v1/conversions/{conversion}/status");
    let answer = relay.post(&reject, r#"{"status": "rejected"}"#);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let skipped = delivery(&relay, "postback:exo", "skipped");
    assert_eq!(skipped["reason_code"], "irreversible", "{skipped:#}");
    assert!(wait_until(Duration::from_secs(15), || tracker.count() == 2), "{:?}", tracker.received());
    let said =
        |number: usize, word: &str| tracker.received()[number].line.contains(&format!("status={word}"));
    assert!(said(0, "sale") && said(1, "rejected"), "{:?}", tracker.received());
    assert_eq!(source.count(), 1);
}

#[test]
fn a_receiver_with_a_word_for_it_is_sent_what_no_longer_counts_of_what_it_was_sent() {
    let (folder, tracker) = (tempfile::tempdir().unwrap(), Platform::start(|_| Act::ok("Success")));
    let keitaro = format!(
        "\n[[postback]]\nid = \"tracker\"\npreset = \"keitaro\"\nallow_private_network = true\n[postback.settings]\n\
         address = \"http://{}\"\npostback_key = \"k1\"\n",
        tracker.address
    );
    let relay = relay_with(folder.path(), "", "", &keitaro);
    let set = |conversion: &str, status: &str| {
        let path = format!("/api/v1/conversions/{conversion}/status");
        let answer = relay.post(&path, &format!("{{\"status\": \"{status}\"}}"));
        assert_eq!(answer.status, 200, "{}", answer.text());
    };
    let words = || -> Vec<String> {
        let word = |line: &str| line.split("status=").nth(1).unwrap().split('&').next().unwrap().to_owned();
        tracker.received().iter().map(|request| word(&request.line)).collect()
    };
    sale(&relay, "keitaro_id=y1", "T1");
    let delivered = delivery(&relay, "postback:tracker", "delivered");
    let conversion = delivered["conversion_id"].as_str().unwrap();
    for (status, word) in [("rejected", "rejected"), ("approved", "sale"), ("scrubbed", "rejected")] {
        let before = tracker.count();
        // What is pending is not reported, and in the end it counts again all the same.
        if status == "approved" {
            set(conversion, "pending");
        }
        set(conversion, status);
        let is_said = || words().get(before).is_some_and(|said| said == word);
        assert!(wait_until(Duration::from_secs(15), is_said), "{status}: {:?}", tracker.received());
    }
    assert!(relay.api(&format!("/api/v1/conversions/{conversion}"))["irreversible"] == serde_json::json!([]));
    // What was never approved was never sent, and says nothing of another sale of the same click.
    let target = location(&browse(&relay, "/c/8599?keitaro_id=y2"));
    let click = parameter(&target, "cid").unwrap();
    let query = |status: &str| format!("s2={click}&tid=T2&price=9.00&status={status}");
    for status in ["pending", "rejected"] {
        relay.postback("cake-test", query(status).as_bytes());
    }
    report(&relay, &click, "T3");
    assert!(wait_until(Duration::from_secs(15), || tracker.count() == 5), "{:?}", tracker.received());
    assert_eq!(words(), ["sale", "rejected", "sale", "rejected", "sale"]);
}
