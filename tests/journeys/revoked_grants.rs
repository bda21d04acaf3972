//! Accounts whose grant is revoked in the middle: they are parked and say so, nothing is lost, no other waits for them, and
//! all is sent once when a person has signed in again.

use std::collections::BTreeMap;
use std::time::Duration;

use postbridge::template::catalog::Catalog;
use serde_json::Value;

use crate::journeys::accounts::{DeliveryKey, deliveries, of_sale, setup};
use crate::journeys::sales::{Acknowledged, record_clicks, report};
use crate::journeys::test_events::send_test;
use crate::support::command_line::{err, out};
use crate::support::known_events::settings_of;
use crate::support::relay::{Relay, wait_until};
use crate::support::signed_in::SignedIn;
use crate::support::stand_in::StandIn;

/// One that gives another refresh token each time, one that does not, and one that no one signs in to.
const PLATFORMS: [&str; 3] = ["microsoft-offline", "google-data-manager", "webhook"];
const PATIENCE: Duration = Duration::from_secs(30);
const RELOAD: i32 = 1;
/// What a setup guide says of it.
const GUIDE: &str = "the refresh token was revoked or has expired";

/// How a destination is.
fn destination(relay: &Relay, platform: &str) -> Value {
    let all = relay.api("/api/v1/destinations");
    let found = all["items"].as_array().unwrap().iter().find(|one| one["id"] == format!("to-{platform}"));
    found.unwrap().clone()
}

/// Waits until an account is parked and says so; answers how many deliveries wait for it.
fn assert_parked(relay: &Relay, platform: &str, words: &str) -> u64 {
    let is_parked = wait_until(PATIENCE, || destination(relay, platform)["state"] == "parked");
    let state = destination(relay, platform);
    assert!(is_parked, "{state:#}");
    let parked = &state["parked"];
    assert_eq!(parked["reason_code"], "sign_in_refused", "{state:#}");
    assert!(parked["reason"].as_str().unwrap().contains(words), "{state:#}");
    assert!(parked["hint"].as_str().unwrap().contains("reload"), "{state:#}");
    state["waiting"].as_u64().unwrap()
}

/// Waits until nothing waits for a platform.
fn assert_sent(relay: &Relay, platform: &str, sales: usize) {
    let mut open = Vec::new();
    let is_sent = wait_until(PATIENCE, || {
        let all = deliveries(relay).unwrap_or_default();
        let mine: Vec<_> = all.iter().filter(|(key, _)| key.0 == format!("to-{platform}")).collect();
        let waits = |delivery: &Value| delivery["state"] == "waiting" || delivery["state"] == "dead";
        open = mine.iter().filter(|(_, one)| waits(one)).map(|(_, one)| (*one).clone()).collect();
        mine.len() == sales && open.is_empty()
    });
    assert!(is_sent, "{platform}: {open:#?}");
}

/// Every sale was sent once, but for those that are skipped.
fn assert_each_once(
    stand_in: &StandIn,
    acknowledged: &BTreeMap<String, Acknowledged>,
    all: &BTreeMap<DeliveryKey, Value>,
) {
    let mut sent = 0;
    for (tid, known) in acknowledged {
        // What has no click is known by its customer alone, at a platform that takes no id of ours.
        let of_click = format!("-{}\"", known.number);
        let texts = [known.event_id.as_str(), tid, &of_click];
        let taken = texts.map(|text| stand_in.takings(text).len()).into_iter().find(|taken| *taken > 0);
        let is_skipped = of_sale(all, &stand_in.name, tid).0[0]["state"] == "skipped";
        let most = usize::from(!is_skipped);
        assert!(taken.unwrap_or_default() <= most, "{} {tid}: {taken:?}", stand_in.name);
        sent += usize::from(!is_skipped);
    }
    assert_eq!(stand_in.takings("").len(), sent, "{}", stand_in.name);
    assert!(stand_in.faults().is_empty(), "{:#?}", stand_in.faults());
    let refused = stand_in.tokens.as_ref().map_or(0, |tokens| tokens.refused());
    let skipped = acknowledged.len() - sent;
    println!("{}: {sent} sent once, {skipped} skipped, {refused} times no token was given", stand_in.name);
}

#[test]
fn a_revoked_grant_parks_its_account_alone_and_all_is_sent_once_after_a_person_signed_in_again() {
    let catalog = Catalog::load(None).unwrap();
    let start = |name: &&str| StandIn::start(name, &settings_of(&catalog.destination(name).unwrap()), 0, 7);
    let stand_ins: Vec<StandIn> = PLATFORMS.iter().map(start).collect();
    let tokens: Vec<_> = stand_ins[..2].iter().map(|one| one.tokens.as_ref().unwrap()).collect();
    let folder = tempfile::tempdir().unwrap();
    let start = |run| setup(folder.path(), &catalog, &stand_ins, (1, run)).start();
    let [microsoft, google, webhook] = PLATFORMS;
    let mut acknowledged = BTreeMap::new();

    let relay = start(0);
    record_clicks(&relay, &catalog, &PLATFORMS);
    report(&relay, &mut acknowledged, 0..20);
    PLATFORMS.iter().for_each(|platform| assert_sent(&relay, platform, 20));

    // One permanently, one for a while.
    let words = ["AADSTS700082: The refresh token has expired.", "Token has been expired or revoked."];
    tokens.iter().zip(words).for_each(|(tokens, words)| tokens.revoke(words));
    report(&relay, &mut acknowledged, 20..40);
    let waiting = [microsoft, google].map(|platform| assert_parked(&relay, platform, "invalid_grant"));
    assert!(waiting.iter().all(|waiting| *waiting > 5), "{waiting:?}");
    assert_parked(&relay, microsoft, words[0]);
    assert_sent(&relay, webhook, 40);
    assert_eq!(destination(&relay, webhook)["state"], "sending");
    let signed_in = SignedIn::of(relay);
    let page = signed_in.get("/destinations");
    for said in [words[0], words[1], "Sign in again as in step"] {
        assert!(page.contains(said), "`{said}` is not on the page");
    }

    // So says a test event, which is sent to no one.
    let taken = stand_ins[1].platform.count();
    let tested = send_test(folder.path(), &signed_in.relay, &[&format!("to-{google}")]);
    assert_eq!(tested.status.code(), Some(1), "{}", err(&tested));
    for said in ["the account is refused", "sign_in_refused", words[1], "what the setup guide says", GUIDE] {
        assert!(out(&tested).contains(said), "`{said}` is not in {}", out(&tested));
    }
    assert_eq!(stand_ins[1].platform.count(), taken);

    // Neither a kill nor a reload that brings nothing new loses or sends anything.
    signed_in.relay.kill();
    let relay = start(1);
    report(&relay, &mut acknowledged, 40..50);
    relay.signal(RELOAD);
    let waiting = [microsoft, google].map(|platform| assert_parked(&relay, platform, "invalid_grant"));
    assert!(waiting.iter().all(|waiting| *waiting > 10), "{waiting:?}");
    assert_sent(&relay, webhook, 50);
    let refused = tokens.iter().map(|tokens| tokens.refused()).collect::<Vec<_>>();
    assert!(refused.iter().all(|refused| *refused <= 6), "one asks for all: {refused:?}");
    let all = deliveries(&relay).unwrap();
    assert!(all.values().all(|delivery| delivery["state"] != "dead"), "nothing is lost");

    // The one takes its grant again; the other is asked once more, and refuses.
    tokens[1].restore();
    relay.signal(RELOAD);
    assert_sent(&relay, google, 50);
    assert_parked(&relay, microsoft, words[0]);

    let token = tokens[0].sign_in_again();
    std::fs::write(folder.path().join(format!("to-{microsoft}.token")), token).unwrap();
    relay.signal(RELOAD);
    assert_sent(&relay, microsoft, 50);
    for platform in PLATFORMS {
        let state = destination(&relay, platform);
        assert_eq!((&state["state"], &state["parked"]), (&"sending".into(), &Value::Null), "{state:#}");
    }
    let all = deliveries(&relay).unwrap();
    stand_ins.iter().for_each(|stand_in| assert_each_once(stand_in, &acknowledged, &all));
}
