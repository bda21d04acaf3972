//! Conversions that a platform counts otherwise than they are: named in documents, found by a filter, shown on pages.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::platform::{Act, Platform};
use crate::support::relay::{Relay, Setup, wait_until};
use crate::support::signed_in::SignedIn;

const CLICK: &str = "0mwpksvhilar8xlr3p1necay2ja82";

fn sold(relay: &Relay, transaction: &str) -> String {
    let query = format!("s2={CLICK}&tid={transaction}&price=7.50");
    let receipt = relay.postback("cake-test", query.as_bytes()).json();
    receipt["conversion_id"].as_str().unwrap_or_else(|| panic!("{receipt}")).to_owned()
}

fn ids(list: &Value) -> Vec<&str> {
    list["items"].as_array().unwrap().iter().filter_map(|one| one["id"].as_str()).collect()
}

#[test]
fn a_rejected_sale_that_was_sent_is_marked_listed_and_shown_as_still_counted() {
    let folder = tempfile::tempdir().unwrap();
    let platform = Platform::start(|_| Act::ok(r#"{"events_received":1}"#));
    let signed_in = SignedIn::of(Setup::cake_to_meta(folder.path(), platform.address).start());
    let relay = &signed_in.relay;
    let click = json!({"click_id": CLICK, "params": {"fbclid": "IwAR2xyz"}, "ip": "198.51.100.7", "user_agent": "Mozilla/5.0",
        "landing_url": "https://shop.example/lp"});
    assert_eq!(relay.post("/api/v1/clicks", &click.to_string()).status, 200);
    let (kept, taken_back) = (sold(relay, "A-1"), sold(relay, "A-2"));
    let trace = |id: &str| relay.api(&format!("/api/v1/conversions/{id}"));
    for id in [&kept, &taken_back] {
        let is_delivered = || trace(id)["deliveries"][0]["state"] == "delivered";
        assert!(wait_until(Duration::from_secs(10), is_delivered), "{:#}", trace(id));
    }
    let destination = trace(&kept)["deliveries"][0]["destination"].clone();
    assert_eq!(trace(&kept)["irreversible"], json!([]));
    let set = |status: &str| {
        let path = format!("/api/v1/conversions/{taken_back}/status");
        assert_eq!(relay.post(&path, &json!({"status": status}).to_string()).status, 200);
    };
    set("rejected");
    let marked = trace(&taken_back);
    assert_eq!(marked["irreversible"], json!([destination]));
    let change = &marked["deliveries"][1];
    assert_eq!((&change["kind"], &change["reason_code"]), (&json!("retract"), &json!("irreversible")));
    assert_eq!(ids(&relay.api("/api/v1/conversions?irreversible=true")), [&taken_back]);
    assert_eq!(ids(&relay.api("/api/v1/conversions?irreversible=false")).len(), 2);
    let deliveries = relay.api("/api/v1/deliveries?reason_code=irreversible");
    assert_eq!(deliveries["items"][0]["conversion_id"], json!(taken_back));
    assert_eq!(deliveries["items"].as_array().unwrap().len(), 1);
    let page = signed_in.get(&format!("/conversions/{taken_back}"));
    assert!(page.contains("Still counted by") && page.contains("cannot take it back"), "{page}");
    assert!(!signed_in.get(&format!("/conversions/{kept}")).contains("Still counted by"));
    let list = signed_in.get("/conversions?irreversible=true");
    assert!(list.contains("Counted otherwise by") && list.contains("A-2") && !list.contains("A-1"), "{list}");
    let page = signed_in.get("/irreversible");
    assert!(page.contains("Counted otherwise by") && page.contains("A-2") && !page.contains("A-1"), "{page}");
    assert!(page.contains("href=\"/irreversible\" aria-current=\"page\""), "{page}");
    assert!(signed_in.get("/irreversible?transaction_id=A-1").contains("action=\"/irreversible\""));
    set("approved");
    assert_eq!(trace(&taken_back)["irreversible"], json!([]), "the platform has it as it is");
    let page = signed_in.get("/irreversible");
    assert!(page.contains("No destination counts a sale differently") && !page.contains("A-2"), "{page}");
    assert!(ids(&relay.api("/api/v1/conversions?irreversible=true")).is_empty());
}
