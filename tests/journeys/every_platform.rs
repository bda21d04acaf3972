//! From a network to every platform at once, with faults of theirs and the program killed again and again: every event
//! is delivered once in effect, or dead or skipped with a code.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use postbridge::template::catalog::Catalog;
use serde_json::Value;

use crate::support::known_events::{known_click, settings_of};
use crate::support::relay::{KEY, Relay, Setup, wait_until};
use crate::support::stand_in::StandIn;
use crate::support::trial::Chance;

const SALES: usize = 60;
/// Every fourth sale has no click.
const WITHOUT_A_CLICK: usize = 4;
/// Of a hundred events a platform fails so many, each once.
const FAILING: u64 = 25;

/// With requests of up to so many events, where the platform takes several.
fn setup(folder: &std::path::Path, catalog: &Catalog, stand_ins: &[StandIn], events: usize) -> Setup {
    let mut extra = format!(
        "[[source]]\nid = \"cake-test\"\ntemplate = \"cake\"\nkey = \"{KEY}\"\ncurrency = \"USD\"\nunmatched = \"forward\"\n"
    );
    for stand_in in stand_ins {
        let (name, address) = (&stand_in.name, stand_in.platform.address);
        let template = catalog.destination(name).unwrap();
        write!(
            extra,
            "[[destination]]\nid = \"to-{name}\"\ntemplate = \"{name}\"\nendpoint = \"http://{address}\"\n\
             allow_private_network = true\n"
        )
        .unwrap();
        if events > 1 && template.max_batch() > 1 {
            writeln!(extra, "batch = {{ max_events = {events}, max_wait_ms = 50 }}").unwrap();
        }
        extra.push_str("[destination.settings]\n");
        for (setting, value) in settings_of(&template) {
            writeln!(extra, "{setting} = \"{value}\"").unwrap();
        }
    }
    Setup { extra, ..Setup::of(folder) }
}

/// Records clicks that have what every platform wants to know.
fn record_clicks(relay: &Relay, catalog: &Catalog, names: &[&str]) {
    for number in 0..SALES {
        let (mut query, mut cookies) = (String::new(), BTreeMap::new());
        for name in names {
            let click = known_click(&catalog.destination(name).unwrap());
            for (name, value) in click.params {
                write!(query, "&{name}={value}-{number}").unwrap();
            }
            cookies.extend(click.cookies);
        }
        let click = serde_json::json!({
            "click_id": format!("click{number}"),
            "landing_url": format!("https://shop.example/lp?x=1{query}"),
            "ip": "203.0.113.9",
            "user_agent": "Mozilla/5.0 X",
            "cookies": cookies,
        });
        let answer = relay.post("/api/v1/clicks", &click.to_string());
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
}

/// Transaction id → event id.
fn report(relay: &Relay, acknowledged: &mut BTreeMap<String, String>, from: usize, to: usize) {
    for number in from..to {
        let tid = format!("tid-{number:05}-x");
        let click = if number % WITHOUT_A_CLICK == 0 { String::new() } else { format!("&s2=click{number}") };
        let query = format!("tid={tid}&price=7.50&oid=1{click}");
        let answer = relay.postback("cake-test", query.as_bytes()).json();
        assert!(matches!(answer["status"].as_str(), Some("accepted" | "duplicate")), "{answer}");
        acknowledged.insert(tid, answer["event_id"].as_str().unwrap().to_owned());
    }
}

/// Every delivery, by destination and transaction id.
fn deliveries(relay: &Relay) -> Option<BTreeMap<(String, String), Value>> {
    let mut found = BTreeMap::new();
    let mut cursor = String::new();
    loop {
        let page = relay.try_api(&format!("/api/v1/deliveries?limit=500{cursor}"))?;
        for delivery in page["items"].as_array()? {
            let key = |name: &str| delivery[name].as_str().map(str::to_owned);
            found.insert((key("destination")?, key("transaction_id")?), delivery.clone());
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Some(found),
        }
    }
}

#[test]
fn every_sale_reaches_every_platform_once_in_effect_over_faults_and_kills() {
    journey(1);
}

#[test]
fn so_it_does_in_requests_of_several_events() {
    let most = journey(20);
    assert!(most.iter().filter(|most| **most > 1).count() >= 5, "{most:?}");
}

/// Answers the most events that each platform was sent in one request.
fn journey(events: usize) -> Vec<usize> {
    let catalog = Catalog::load(None).unwrap();
    let names = catalog.destination_names();
    let mut chance = Chance::of_this_run();
    let seed = u64::from(chance.byte()) << 8 | u64::from(chance.byte());
    let stand_ins: Vec<StandIn> = names.iter().map(|name| StandIn::start(name, FAILING, seed)).collect();
    let folder = tempfile::tempdir().unwrap();
    let setup = || setup(folder.path(), &catalog, &stand_ins, events);
    let mut acknowledged = BTreeMap::new();
    let mut relay = setup().start();
    record_clicks(&relay, &catalog, &names);
    for round in 0..4 {
        report(&relay, &mut acknowledged, round * SALES / 4, (round + 1) * SALES / 4);
        std::thread::sleep(Duration::from_millis(20 + u64::from(chance.byte())));
        relay.kill();
        relay = setup().start();
    }
    let mut last = BTreeMap::new();
    let is_final =
        |delivery: &Value| matches!(delivery["state"].as_str(), Some("delivered" | "dead" | "skipped"));
    let settled = wait_until(Duration::from_secs(100), || {
        last = deliveries(&relay).unwrap_or_default();
        last.len() == SALES * names.len() && last.values().all(is_final)
    });
    let open: Vec<_> = last.iter().filter(|(_, delivery)| !is_final(delivery)).take(5).collect();
    assert!(settled, "{} of {} deliveries: {open:#?}", last.len(), SALES * names.len());
    for stand_in in &stand_ins {
        let faults = stand_in.faults();
        assert!(faults.is_empty(), "{} was sent what it does not take: {faults:#?}", stand_in.name);
        let template = catalog.destination(&stand_in.name).unwrap();
        let mut ledger = BTreeMap::<&str, usize>::new();
        for (tid, event_id) in &acknowledged {
            let delivery = &last[&(format!("to-{}", stand_in.name), tid.clone())];
            // Some platforms are sent the one, some the other.
            let is_known = stand_in.taken(event_id) > 0 || stand_in.refused(event_id);
            let text = if is_known { event_id } else { tid };
            let taken = stand_in.taken(text);
            let state = delivery["state"].as_str().unwrap();
            let once = template.dedup_ms().is_some() || delivery["possible_repeat"] == true;
            match state {
                "delivered" => {
                    assert!(taken == 1 || (taken > 1 && once), "{tid}: taken {taken}: {delivery:#}")
                }
                "dead" => {
                    assert!(stand_in.refused(text) && delivery["reason_code"].is_string(), "{delivery:#}")
                }
                _ => assert!(taken == 0 && delivery["reason_code"].is_string(), "{delivery:#}"),
            }
            *ledger.entry(state).or_default() += 1;
        }
        println!("{}: {ledger:?}, {} failed once", stand_in.name, stand_in.failed());
        assert!(ledger["delivered"] > SALES / 2, "{}: {ledger:?}", stand_in.name);
    }
    stand_ins.iter().map(StandIn::most_events).collect()
}
