//! `kill -9` at random and at named points, under load: nothing acknowledged is lost, ids never change.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::platform::Platform;
use crate::support::relay::{Connection, KEY, Setup, wait_until};
use crate::support::trial::{Chance, rounds};

/// Where the process ends itself, as if killed between two instructions.
const POINTS: [&str; 6] = [
    "commit.before_write",
    "commit.after_write",
    "commit.after_sync",
    "commit.before_answer",
    "dispatch.after_send",
    "dispatch.before_record",
];
const KILLS: usize = 54;

/// Transaction id → event id, for every postback that was answered 200.
type Acknowledged = Arc<Mutex<HashMap<String, String>>>;

/// The postback of a sale, which names the same click whenever it is fired: its number's.
fn path(tid: &str, price: &str) -> String {
    let number = tid.rsplit('-').next().and_then(|number| number.parse::<usize>().ok()).unwrap();
    format!("/{KEY}/collect/cake-test?s2=click{}&oid=1&tid={tid}&price={price}", number % 20)
}

fn load(
    address: SocketAddr,
    round: usize,
    acknowledged: &Acknowledged,
    stop: &Arc<AtomicBool>,
) -> Vec<std::thread::JoinHandle<()>> {
    (0..6)
        .map(|thread| {
            let (acknowledged, stop) = (Arc::clone(acknowledged), Arc::clone(stop));
            std::thread::spawn(move || {
                let Ok(mut connection) = Connection::open(address) else { return };
                for number in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let tid = format!("r{round}-{thread}-{number}");
                    let Ok(answer) = connection.get(&path(&tid, "2.50")) else { return };
                    if answer.status != 200 {
                        return;
                    }
                    let reported = answer.json();
                    assert_eq!(reported["status"], "accepted", "{tid} is new: {reported}");
                    acknowledged
                        .lock()
                        .unwrap()
                        .insert(tid, reported["event_id"].as_str().unwrap().to_owned());
                }
            })
        })
        .collect()
}

#[test]
fn nothing_acknowledged_is_lost_over_fifty_kills_and_every_event_keeps_its_id() {
    let (folder, platform) = (tempfile::tempdir().unwrap(), Platform::accepting());
    let setup = || Setup::cake_to_meta(folder.path(), platform.address);
    let relay = setup().start();
    for number in 0..20 {
        let click = format!(
            r#"{{"click_id":"click{number}","landing_url":"https://s.example/","ip":"203.0.113.1","user_agent":"UA"}}"#
        );
        assert_eq!(relay.post("/api/v1/clicks", &click).status, 200);
    }
    relay.kill();
    let acknowledged = Acknowledged::default();
    let (mut at_points, mut at_random) = (0, 0);
    let mut chance = Chance::of_this_run();
    for round in 0..rounds(KILLS) {
        let (count, pause) = (chance.byte(), chance.byte());
        let point = (round % 2 == 0).then(|| POINTS[(round / 2) % POINTS.len()]);
        let mut setup = setup();
        if let Some(point) = point {
            setup = setup.env("POSTBRIDGE_CRASH_AT", format!("{point}:{}", u32::from(count) % 60 + 2));
        }
        let Some(relay) = setup.try_start() else {
            // A point may be reached while it starts; that is a kill too.
            at_points += 1;
            continue;
        };
        let stop = Arc::new(AtomicBool::new(false));
        let threads = load(relay.address, round, &acknowledged, &stop);
        if point.is_some() {
            let ended = relay.wait(Duration::from_secs(10));
            assert!(
                ended.is_some_and(|status| !status.success()),
                "the point {point:?} was reached under load"
            );
            at_points += 1;
        } else {
            std::thread::sleep(Duration::from_millis(40 + u64::from(pause) * 2));
            relay.kill();
            at_random += 1;
        }
        stop.store(true, Ordering::Relaxed);
        for thread in threads {
            thread.join().unwrap();
        }
    }
    let acknowledged = acknowledged.lock().unwrap().clone();
    println!(
        "{at_points} kills at named points, {at_random} at random; {} postbacks acknowledged",
        acknowledged.len()
    );
    assert!(at_points + at_random >= 50 && acknowledged.len() > 500);

    let relay = setup().start();
    let settled = wait_until(Duration::from_secs(120), || {
        let sent: HashSet<String> = sent(&platform).into_keys().collect();
        acknowledged.keys().all(|tid| sent.contains(tid))
    });
    let sent = sent(&platform);
    let lost: Vec<&String> = acknowledged.keys().filter(|tid| !sent.contains_key(*tid)).collect();
    assert!(
        settled && lost.is_empty(),
        "{} acknowledged postbacks never reached the platform: {lost:?}",
        lost.len()
    );
    for (tid, event_id) in &acknowledged {
        assert_eq!(
            sent[tid],
            HashSet::from([event_id.clone()]),
            "{tid} always has the event id that was answered"
        );
    }
    let mut again = Connection::open(relay.address).unwrap();
    for (tid, event_id) in acknowledged.iter().take(300) {
        let reported = again.get(&path(tid, "2.5")).unwrap().json();
        assert_eq!(
            (reported["status"].as_str(), reported["event_id"].as_str()),
            (Some("duplicate"), Some(event_id.as_str())),
            "{tid}"
        );
    }
}

/// Transaction id → every event id it was sent with.
fn sent(platform: &Platform) -> HashMap<String, HashSet<String>> {
    let mut sent: HashMap<String, HashSet<String>> = HashMap::new();
    for received in platform.received() {
        let payload = received.json();
        let event = &payload["data"][0];
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        sent.entry(text(&event["custom_data"]["order_id"])).or_default().insert(text(&event["event_id"]));
    }
    sent
}
