//! From two networks to every platform at once, with faults of theirs and the program killed again and again: every event
//! is delivered once in effect, or dead or skipped with a code; and what changes of it later follows it, where the platform
//! can be informed of it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use postbridge::template::catalog::Catalog;
use serde_json::Value;

use crate::journeys::accounts::{DeliveryKey, deliveries, is_event, is_final, setup};
use crate::journeys::ledger::{JourneyFacts, check_ledger};
use crate::journeys::sales::{KILLS, SALES, Wave, change, record_clicks, report};
use crate::support::known_events::settings_of;
use crate::support::relay::wait_until;
use crate::support::stand_in::StandIn;
use crate::support::trial::Chance;

/// The longest that most platforms take to answer.
const ANSWERED: Duration = Duration::from_secs(10);
/// Of a hundred events a platform fails so many, each once.
const FAILING: u64 = 25;

#[test]
fn every_sale_reaches_every_platform_once_in_effect_over_faults_and_kills() {
    journey(1);
}

#[test]
fn so_it_does_in_requests_of_several_events() {
    let most = journey(20);
    assert!(most.iter().filter(|most| **most > 1).count() >= 5, "{most:?}");
}

#[test]
fn the_stand_in_of_every_platform_names_what_is_wrong_with_a_request() {
    let catalog = Catalog::load(None).unwrap();
    for name in catalog.destination_names() {
        let stand_in = StandIn::start(name, &settings_of(&catalog.destination(name).unwrap()), 0, 1);
        for _ in 0..40 {
            let mut stream = TcpStream::connect(stand_in.platform.address).unwrap();
            let wrong = "PUT /run-0/other?extra=1 HTTP/1.1\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}";
            stream.write_all(wrong.as_bytes()).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            stream.read_to_end(&mut Vec::new()).unwrap();
        }
        let faults = stand_in.faults();
        let has = |words: &[&str]| words.iter().any(|word| faults.iter().any(|fault| fault.contains(word)));
        for what in ["the method is", "the path is", "the content type is", "?extra is in no template"] {
            assert!(has(&[what]), "{name}: {what}: {faults:#?}");
        }
        let sign_in = ["bearer is", "header is", "query is", "standard-webhooks is", "the token is"];
        let signs_in = catalog.destination(name).unwrap().auth_kinds() != ["none"];
        assert!(!signs_in || has(&sign_in), "{name}: {faults:#?}");
        assert!(has(&["0 events in a request", "is a required property"]), "{name}: {faults:#?}");
        let rate = catalog.destination(name).unwrap().max_per_second().map_or(1_000, |rate| rate.get());
        assert!(rate > 30 || has(&["a second"]), "{name}: {faults:#?}");
    }
}

#[test]
fn the_stand_in_of_a_platform_names_what_is_wrong_with_a_change() {
    let catalog = Catalog::load(None).unwrap();
    let name = "microsoft-offline";
    let stand_in = StandIn::start(name, &settings_of(&catalog.destination(name).unwrap()), 0, 1);
    let send = |path: &str, body: &str| {
        let mut stream = TcpStream::connect(stand_in.platform.address).unwrap();
        let (head, length) =
            (format!("POST /run-0/CampaignManagement/v13/{path}/Apply HTTP/1.1"), body.len());
        let request =
            format!("{head}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}");
        stream.write_all(request.as_bytes()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        stream.read_to_end(&mut Vec::new()).unwrap();
    };
    let retract = r#"{"AdjustmentType":"Retract","AdjustmentValue":1,"ConversionName":"Sale"}"#;
    send("OfflineConversionAdjustments", &format!("{{\"OfflineConversionAdjustments\":[{retract}]}}"));
    // A change has an address of its own.
    send("OfflineConversions", &format!("{{\"OfflineConversions\":[{retract}]}}"));
    let faults = stand_in.faults();
    for what in [
        "\"ConversionTime\" is a required",
        "\"AdjustmentTime\" is a required",
        "'AdjustmentType'",
        "the token is",
    ] {
        assert!(faults.iter().any(|fault| fault.contains(what)), "{what}: {faults:#?}");
    }
}

/// Answers the most events that each platform was sent in one request.
fn journey(events: usize) -> Vec<usize> {
    let catalog = Catalog::load(None).unwrap();
    let names = catalog.destination_names();
    let mut chance = Chance::of_this_run();
    let seed = u64::from(chance.byte()) << 8 | u64::from(chance.byte());
    let start =
        |name: &&str| StandIn::start(name, &settings_of(&catalog.destination(name).unwrap()), FAILING, seed);
    let stand_ins: Vec<StandIn> = names.iter().map(start).collect();
    let folder = tempfile::tempdir().unwrap();
    let start = |run: usize| setup(folder.path(), &catalog, &stand_ins, (events, run)).start();
    let mut pause = || std::thread::sleep(Duration::from_millis(20 + u64::from(chance.byte())));
    let mut acknowledged = BTreeMap::new();
    let mut relay = start(0);
    record_clicks(&relay, &catalog, &names);
    let of_round = |round: usize| round * SALES / KILLS..(round + 1) * SALES / KILLS;
    for round in 0..KILLS {
        report(&relay, &mut acknowledged, of_round(round));
        if round > 0 {
            change(&relay, &acknowledged, Wave::Early, of_round(round - 1));
        }
        pause();
        relay.kill();
        relay = start(round + 1);
    }
    change(&relay, &acknowledged, Wave::Early, of_round(KILLS - 1));
    let says_later = |key: &DeliveryKey| catalog.destination(&key.0["to-".len()..]).unwrap().confirms();
    let mut before = BTreeMap::new();
    // Most were answered; the verdicts are a minute later, and what failed twice is tried again half a minute later.
    wait_until(ANSWERED, || {
        before = deliveries(&relay).unwrap_or_default();
        before.iter().all(|(key, delivery)| says_later(key) || is_final(delivery))
    });
    change(&relay, &acknowledged, Wave::Late, 0..SALES);
    pause();
    relay.kill();
    relay = start(KILLS + 1);
    change(&relay, &acknowledged, Wave::Last, 0..SALES);
    let mut last = BTreeMap::new();
    // What becomes of a change that a platform accepted it says another minute later: see `later_verdicts`.
    let is_settled =
        |delivery: &Value| is_final(delivery) || (!is_event(delivery) && delivery["state"] == "confirming");
    // A third attempt is two minutes after the second, where a connection broke off that others had been using.
    let settled = wait_until(Duration::from_secs(220), || {
        last = deliveries(&relay).unwrap_or_default();
        let sent: BTreeSet<_> = last.keys().map(|key| (&key.0, &key.1)).collect();
        sent.len() == SALES * names.len() && last.values().all(is_settled)
    });
    let open: Vec<_> = last.values().filter(|delivery| !is_settled(delivery)).take(5).collect();
    let states = relay.try_api("/api/v1/destinations").unwrap_or_default();
    assert!(settled, "{} deliveries: {open:#?} {states:#}", last.len());
    let facts = JourneyFacts { catalog: &catalog, acknowledged: &acknowledged, before: &before, last: &last };
    let mut faults = BTreeMap::new();
    for stand_in in &stand_ins {
        let wrong = check_ledger(stand_in, &facts);
        faults.extend((!wrong.is_empty()).then_some((&stand_in.name, wrong)));
    }
    assert!(faults.is_empty(), "platforms were sent what they do not take: {faults:#?}");
    for stand_in in &stand_ins {
        // A token lasts for seconds, and no run knows that of the run before.
        let given = stand_in.tokens.as_ref().map(|tokens| tokens.count());
        assert!(given.is_none_or(|given| given > 1), "{}: {given:?} tokens were given", stand_in.name);
    }
    stand_ins.iter().map(StandIn::most_events).collect()
}
