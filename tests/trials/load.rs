//! A minute of a busy day: 1,000 clicks and 200 postbacks a second through the built `serve`, killed in
//! the middle. Nothing acknowledged is lost, and no sale is sent with another visitor's click.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::support::platform::Platform;
use crate::support::relay::{Answer, CAMPAIGN, Connection, KEY, Setup, wait_until};
use crate::support::trial::rounds;

const SECONDS: usize = 60;
const CLICKERS: u64 = 10;
const CLICKS_PER_SECOND: u64 = 1_000;
const POSTBACKERS: u64 = 4;
const POSTBACKS_PER_SECOND: u64 = 200;

/// What was acknowledged, for the end's reckoning.
#[derive(Default)]
struct Ledger {
    /// Click id → the `fbclid` that its visitor brought.
    clicks: HashMap<String, String>,
    /// Clicks that no sale names yet.
    unsold: Vec<String>,
    /// Transaction id → the click that its postback named.
    sales: HashMap<String, String>,
}

/// What the load's threads share. The address changes with the restart.
#[derive(Clone)]
struct Load {
    address: Arc<Mutex<SocketAddr>>,
    ledger: Arc<Mutex<Ledger>>,
    stop: Arc<AtomicBool>,
}

impl Load {
    /// Runs `turn` at a pace until the stop; a broken connection is opened anew, to wherever serve is then.
    fn at_pace(
        &self,
        per_second: u64,
        turn: impl Fn(&Load, &mut Connection, u64) -> Option<()> + Send + 'static,
    ) -> JoinHandle<()> {
        let load = self.clone();
        std::thread::spawn(move || {
            let (began, mut connection, mut number) = (Instant::now(), None, 0);
            while !load.stop.load(Ordering::Relaxed) {
                let due = began + Duration::from_micros(number * 1_000_000 / per_second);
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                number += 1;
                let opened =
                    connection.take().or_else(|| Connection::open(*load.address.lock().unwrap()).ok());
                let Some(mut open) = opened else { continue };
                if turn(&load, &mut open, number).is_some() {
                    connection = Some(open);
                }
            }
        })
    }

    fn click(&self, connection: &mut Connection, who: u64, number: u64) -> Option<()> {
        let fbclid = format!("fb-{who}-{number}");
        let path = format!("/c/8599?s1=pl{number}&fbclid={fbclid}");
        let answer = connection.get_with(&path, "User-Agent: Mozilla/5.0\r\n").ok()?;
        if answer.status != 302 {
            return None;
        }
        let id = click_id(&answer);
        let mut ledger = self.ledger.lock().unwrap();
        assert_eq!(ledger.clicks.insert(id.clone(), fbclid), None, "a click id is given once");
        ledger.unsold.push(id);
        Some(())
    }

    fn sale(&self, connection: &mut Connection, who: u64, number: u64) -> Option<()> {
        let Some(click) = self.ledger.lock().unwrap().unsold.pop() else { return Some(()) };
        let tid = format!("t-{who}-{number}");
        let path = format!("/{KEY}/collect/cake-test?s2={click}&oid=565&tid={tid}&price=7.00");
        let answer = connection.get(&path).ok()?;
        if answer.status != 200 {
            return None;
        }
        let reported = answer.json();
        assert_eq!(
            (&reported["status"], &reported["attribution"]),
            (&"accepted".into(), &"matched".into()),
            "{reported}"
        );
        self.ledger.lock().unwrap().sales.insert(tid, click);
        Some(())
    }
}

fn click_id(answer: &Answer) -> String {
    let location = answer.head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("location").then(|| value.trim().to_owned())
    });
    let location = location.expect("a redirect names its target");
    let (_, rest) = location.split_once("?cid=").expect("the target carries the click id");
    rest.split('&').next().unwrap().to_owned()
}

#[test]
fn a_busy_minute_with_a_kill_in_the_middle_loses_nothing_and_mistakes_no_visitor() {
    let (folder, platform) = (tempfile::tempdir().unwrap(), Platform::accepting());
    let mut setup = Setup::cake_to_meta(folder.path(), platform.address);
    setup.extra.push_str(CAMPAIGN);
    // One loopback address presses.
    setup.extra.push_str("[links]\nmax_per_second_per_ip = 0\nmax_kib_per_second = 0\n");
    let relay = setup.start();
    let seconds = rounds(SECONDS) as u64;
    let load =
        Load { address: Arc::new(Mutex::new(relay.address)), ledger: Arc::default(), stop: Arc::default() };
    let mut threads = Vec::new();
    for who in 0..CLICKERS {
        let turn = move |load: &Load, open: &mut Connection, number| load.click(open, who, number);
        threads.push(load.at_pace(CLICKS_PER_SECOND / CLICKERS, turn));
    }
    for who in 0..POSTBACKERS {
        let turn = move |load: &Load, open: &mut Connection, number| load.sale(open, who, number);
        threads.push(load.at_pace(POSTBACKS_PER_SECOND / POSTBACKERS, turn));
    }
    std::thread::sleep(Duration::from_secs(seconds / 2));
    relay.kill();
    let relay = setup.start();
    *load.address.lock().unwrap() = relay.address;
    std::thread::sleep(Duration::from_secs(seconds / 2));
    load.stop.store(true, Ordering::Relaxed);
    for thread in threads {
        thread.join().unwrap();
    }
    let ledger = std::mem::take(&mut *load.ledger.lock().unwrap());
    println!("{} clicks and {} sales acknowledged in {seconds} s", ledger.clicks.len(), ledger.sales.len());
    assert!(ledger.clicks.len() > 1_000 && ledger.sales.len() > 200, "there was load");
    every_sale_reached_the_platform_with_its_own_click(&ledger, &platform);
    every_click_is_known(&ledger, relay.address);
}

fn every_sale_reached_the_platform_with_its_own_click(ledger: &Ledger, platform: &Platform) {
    let reported = || -> HashMap<String, String> {
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let event = |payload: &serde_json::Value| payload["data"][0].clone();
        platform
            .received()
            .iter()
            .map(|received| event(&received.json()))
            .map(|event| (text(&event["custom_data"]["order_id"]), text(&event["user_data"]["fbc"])))
            .collect()
    };
    let all = wait_until(Duration::from_secs(60), || {
        let reported: HashSet<String> = reported().into_keys().collect();
        ledger.sales.keys().all(|tid| reported.contains(tid))
    });
    let reported = reported();
    let lost: Vec<&String> = ledger.sales.keys().filter(|tid| !reported.contains_key(*tid)).collect();
    assert!(all, "{} acknowledged sales never reached the platform: {lost:?}", lost.len());
    for (tid, click) in &ledger.sales {
        let fbclid = &ledger.clicks[click];
        assert!(
            reported[tid].ends_with(&format!(".{fbclid}")),
            "{tid} is of {fbclid}, not of {}",
            reported[tid]
        );
    }
}

/// Every click that was answered by a redirect still earns its sale.
fn every_click_is_known(ledger: &Ledger, address: SocketAddr) {
    let sold: HashSet<&String> = ledger.sales.values().collect();
    let mut connection = Connection::open(address).unwrap();
    for (number, click) in ledger.clicks.keys().filter(|click| !sold.contains(click)).enumerate() {
        let path = format!("/{KEY}/collect/cake-test?s2={click}&oid=565&tid=late-{number}&price=1");
        let reported = connection.get(&path).unwrap().json();
        assert_eq!(reported["attribution"], "matched", "the click {click} was acknowledged: {reported}");
    }
}
