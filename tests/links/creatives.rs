//! Tracking links to several creatives of a campaign, through a built `serve`.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::link_fixture::{browse, location, parameter, relay_with};
use crate::support::platform::{Act, Platform};
use crate::support::relay::{Relay, wait_until};

/// A second and a third creative of the offer 565, and other campaigns. The campaign 8599 lists 761 alone.
const MORE: &str = r#"
[[creative]]
id = "761"
offer = "565"
name = "Spring"

[[creative]]
id = "762"
offer = "565"
url = "https://summer.example/{creative_id}/lp?clickid={click_id}&aff={affiliate_id}"

[[creative]]
id = "763"
offer = "565"

[[affiliate]]
id = "201"

[[campaign]]
id = "8600"
offer = "565"
affiliate = "201"
creative = ["763", "762", "761"]

[[campaign]]
id = "8601"
offer = "565"
affiliate = "201"
"#;

fn relay(offer: &str) -> (Relay, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (relay_with(folder.path(), "", offer, MORE), folder)
}

/// The click that a link records, and where it leads.
fn click(relay: &Relay, link: &str) -> (Value, String) {
    let target = location(&browse(relay, link));
    let id = parameter(&target, "cid").or_else(|| parameter(&target, "clickid")).unwrap();
    (relay.api(&format!("/api/v1/clicks/{id}")), target)
}

#[test]
fn each_creative_leads_to_its_own_page_and_is_kept_with_the_click() {
    let (relay, _folder) = relay("");
    for (link, creative, host) in [
        ("/c/8600", "763", "advertiser.example"),
        ("/c/8600?c=763", "763", "advertiser.example"),
        ("/c/8600?c=762", "762", "summer.example"),
        ("/c/8600?s1=x&C=762", "762", "summer.example"),
        ("/c/8600/?c=761&c=762", "761", "advertiser.example"),
        ("/?a=201&c=762", "762", "summer.example"),
        ("/?a=201&c=761", "761", "advertiser.example"),
        ("/?a=200&c=761", "761", "advertiser.example"),
    ] {
        let (click, target) = click(&relay, link);
        assert_eq!(click["campaign_ref"]["creative"], creative, "{link}: {click}");
        assert_eq!(url::Url::parse(&target).unwrap().host_str(), Some(host), "{link}: {target}");
        let affiliate = if link.contains("a=200") { "200" } else { "201" };
        assert_eq!(click["campaign_ref"]["affiliate"], affiliate, "{link}");
        assert!(click["params"].get("c").is_none(), "{click}");
    }
    let (_, target) = click(&relay, "/c/8600?c=762");
    assert!(target.starts_with("https://summer.example/762/lp?clickid="), "{target}");
    assert!(target.ends_with("&aff=201"), "{target}");
}

#[test]
fn a_creative_that_the_campaign_does_not_show_leads_to_its_first_and_is_noted_at_the_click() {
    let (relay, _folder) = relay("");
    // 763 is configured, and not the campaign's; the others are none at all.
    for named in ["763", "999", "%23cid%23", "{creative_id}", "762/", " "] {
        let link = format!("/c/8599?c={}", named.replace(' ', "%20"));
        let (click, target) = click(&relay, &link);
        assert!(target.starts_with("https://advertiser.example/lp?cid="), "{target}");
        assert_eq!(click["campaign_ref"]["creative"], "761", "{link}: {click}");
        assert_eq!(click["params"]["c"], named.replace("%23", "#"), "{link}: {click}");
    }
    for link in [format!("/c/8599?c={}", "7".repeat(65)), "/c/8599?c=".to_owned(), "/c/8599?c".to_owned()] {
        let (click, _) = click(&relay, &link);
        assert_eq!(
            (&click["campaign_ref"]["creative"], &click["params"]),
            (&json!("761"), &json!({})),
            "{link}"
        );
    }
    let (bare, _) = click(&relay, "/c/8601?c=762");
    assert_eq!((&bare["campaign_ref"]["creative"], &bare["params"]["c"]), (&Value::Null, &json!("762")));
}

#[test]
fn a_link_by_affiliate_and_creative_names_a_campaign_of_that_affiliate_or_none() {
    let (relay, _folder) = relay("");
    for link in ["/?a=200&c=762", "/?a=200&c=763", "/?a=201&c=999", "/?a=202&c=761", "/?a=201&c="] {
        assert_eq!(browse(&relay, link).status, 404, "{link}");
    }
}

#[test]
fn affiliate_and_creative_of_the_link_are_never_handed_on() {
    let (relay, _folder) = relay("pass = [\"*\"]");
    for link in
        ["/c/8600?c=763&x=1", "/c/8600?a=200&C=763&x=1", "/?a=201&c=763&x=1", "/?a=201&A=5&c=763&C=6&x=1"]
    {
        let target = location(&browse(&relay, link));
        assert!(target.ends_with("&s1=&x=1"), "{link}: {target}");
    }
    let target = location(&browse(&relay, "/c/8600?c=762&aff=forged&x=1"));
    assert!(target.ends_with("&aff=201&x=1"), "{target}");
}

#[test]
fn the_creative_goes_on_to_the_conversion_and_to_the_affiliates_tracker() {
    let tracker = Platform::start(|_| Act::ok("ok"));
    let folder = tempfile::tempdir().unwrap();
    let extra = format!(
        "{MORE}[[postback]]\nid = \"all\"\nurl = \"http://{}/pb?c=#cid#&k=#campid#\"\nallow_private_network = true\n",
        tracker.address
    );
    let relay = relay_with(folder.path(), "", "", &extra);
    let id = parameter(&location(&browse(&relay, "/c/8600?c=762")), "clickid").unwrap();
    let accepted = relay.postback("cake-test", format!("s2={id}&tid=T1&price=7").as_bytes()).json();
    assert_eq!(accepted["attribution"], "matched", "{accepted}");
    let trace = relay.api(&format!("/api/v1/conversions/{}", accepted["conversion_id"].as_str().unwrap()));
    assert_eq!(trace["campaign_ref"]["creative"], "762", "{trace}");
    assert!(wait_until(Duration::from_secs(10), || tracker.count() == 1), "never sent");
    assert_eq!(tracker.received()[0].line, "GET /pb?c=762&k=8600 HTTP/1.1");
}
