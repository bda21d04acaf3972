//! From two networks to every platform at once, with faults of theirs and the program killed again and again: every event
//! is delivered once in effect, or dead or skipped with a code.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::io::{Read, Write as _};
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use postbridge::template::catalog::Catalog;
use postbridge::template::destination::definition::DestinationTemplate;
use serde_json::{Value, json};

use crate::support::known_events::{known_click, known_customer, own_events, settings_of};
use crate::support::relay::{Answer, KEY, Relay, Setup, ask, wait_until};
use crate::support::stand_in::StandIn;
use crate::support::token_server;
use crate::support::trial::Chance;

const SALES: usize = 60;
/// Every fifth sale has no click.
const WITHOUT_A_CLICK: usize = 5;
/// How often the program is killed.
const KILLS: usize = 4;
/// Of a hundred events a platform fails so many, each once.
const FAILING: u64 = 25;

/// What the shop of the second network calls what happened, in turn; the last is no name that anyone else has.
const EVENTS: [&str; 12] = [
    "sale",
    "order",
    "Lead",
    "registration",
    "subscription",
    "checkout",
    "AddToCart",
    "AddPaymentInfo",
    "StartTrial",
    "ViewContent",
    "Search",
    "Upsell 2",
];

/// The configuration of the `run`th run, with requests of up to so many events, where the platform takes several.
fn setup(folder: &Path, catalog: &Catalog, stand_ins: &[StandIn], (events, run): (usize, usize)) -> Setup {
    let mut extra = String::new();
    for template in ["cake", "generic"] {
        write!(
            extra,
            "[[source]]\nid = \"{template}-test\"\ntemplate = \"{template}\"\nkey = \"{KEY}\"\ncurrency = \"USD\"\n\
             unmatched = \"forward\"\n"
        )
        .unwrap();
    }
    for stand_in in stand_ins {
        let (name, endpoint) = (&stand_in.name, stand_in.endpoint(run));
        let template = catalog.destination(name).unwrap();
        write!(
            extra,
            "[[destination]]\nid = \"to-{name}\"\ntemplate = \"{name}\"\nendpoint = \"{endpoint}\"\n\
             allow_private_network = true\n"
        )
        .unwrap();
        if events > 1 && template.max_batch() > 1 {
            writeln!(extra, "batch = {{ max_events = {events}, max_wait_ms = 50 }}").unwrap();
        }
        extra.push_str(&account(folder, stand_in, &template));
    }
    Setup { extra, ..Setup::of(folder) }
}

/// What an account has of its own: where it signs in, its settings, and its names of events.
fn account(folder: &Path, stand_in: &StandIn, template: &DestinationTemplate) -> String {
    let mut account = String::new();
    let mut settings = settings_of(template);
    let file = folder.join(format!("{}.token", stand_in.name));
    if let Some(tokens) = &stand_in.tokens {
        writeln!(account, "token_endpoint = \"{}\"", tokens.platform.url("")).unwrap();
        settings.remove("refresh_token");
        if !file.exists() {
            std::fs::write(&file, token_server::FIRST).unwrap();
        }
    }
    account.push_str("[destination.settings]\n");
    for (setting, value) in settings {
        writeln!(account, "{setting} = \"{value}\"").unwrap();
    }
    if stand_in.tokens.is_some() {
        writeln!(account, "refresh_token = {{ file = \"{}\" }}", file.display()).unwrap();
    }
    account.push_str("[destination.events]\n");
    for (event, name) in own_events(template) {
        writeln!(account, "{event} = \"{name}\"").unwrap();
    }
    account
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

/// Reports sales, every second by the second network: transaction id → event id.
fn report(relay: &Relay, acknowledged: &mut BTreeMap<String, String>, from: usize, to: usize) {
    for number in from..to {
        let tid = format!("tid-{number:05}-x");
        let click = (number % WITHOUT_A_CLICK != 0).then(|| format!("click{number}"));
        let answers = match number % 2 {
            0 => by_cake(relay, number, &tid, click.as_deref()),
            _ => vec![by_a_shop(relay, number, &tid, click.as_deref())],
        };
        for answer in answers {
            let answer = answer.json();
            let is_known = matches!(answer["status"].as_str(), Some("accepted" | "duplicate" | "updated"));
            assert!(is_known, "{answer}");
            acknowledged.insert(tid.clone(), answer["event_id"].as_str().unwrap().to_owned());
        }
    }
}

/// With all that CAKE's postback has, sometimes without a price, and sometimes pending before it is approved.
fn by_cake(relay: &Relay, number: usize, tid: &str, click: Option<&str>) -> Vec<Answer> {
    let click = click.map(|click| format!("&s2={click}")).unwrap_or_default();
    let price = if number % 6 == 2 { "0" } else { "7.50" };
    let words: &[&str] = match number % 10 {
        4 => &["pending", "approved"],
        8 => &["Approved"],
        _ => &[""],
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let post = |status: &&str| {
        let query = format!(
            "tid={tid}&price={price}&oid=565&affid=200&campid=8599&cid=761&s1=a&s3=&leadid=L{number}\
             &sourceip=198.51.100.{number}&utcunixtime={}&status={status}{click}",
            now - 60
        );
        relay.postback("cake-test", query.as_bytes())
    };
    words.iter().map(post).collect()
}

/// With a customer, an answer about ads, and an order of which parts have no whole number.
fn by_a_shop(relay: &Relay, number: usize, tid: &str, click: Option<&str>) -> Answer {
    let turn = number / 2;
    let (value, currency) = [("19.90", "EUR"), ("1990", "JPY"), ("7.505", "KWD")][turn % 3];
    let item = |id: &str, quantity: &str, price: &str| json!({"id": id, "name": format!("Thing {id}"), "category": "things", "quantity": quantity, "price": price});
    let ad_user_data = ["yes", "", "1", "", "granted", "", "", "no"][turn % 8];
    let ad_personalization = ["yes", "no", ""][turn % 3];
    let body = json!({
        "transaction_id": tid,
        "click_id": click,
        "event_name": EVENTS[turn % EVENTS.len()],
        "value": value,
        "currency": currency,
        "customer": known_customer(number),
        "consent": {
            "ad_user_data": ad_user_data,
            "ad_personalization": ad_personalization,
        },
        "items": [item("565", "0.4", "2.50"), item("566", "2.5", "1.333"), item("567", "3", "0")],
    });
    let body = body.to_string();
    let request = format!(
        "POST /{KEY}/collect/generic-test HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    ask(relay.address, request.as_bytes()).unwrap()
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
    let mut acknowledged = BTreeMap::new();
    let mut relay = start(0);
    record_clicks(&relay, &catalog, &names);
    for round in 0..KILLS {
        report(&relay, &mut acknowledged, round * SALES / KILLS, (round + 1) * SALES / KILLS);
        std::thread::sleep(Duration::from_millis(20 + u64::from(chance.byte())));
        relay.kill();
        relay = start(round + 1);
    }
    let mut last = BTreeMap::new();
    let is_final =
        |delivery: &Value| matches!(delivery["state"].as_str(), Some("delivered" | "dead" | "skipped"));
    // A third attempt is two minutes after the second, where a connection broke off that others had been using.
    let settled = wait_until(Duration::from_secs(220), || {
        last = deliveries(&relay).unwrap_or_default();
        last.len() == SALES * names.len() && last.values().all(is_final)
    });
    let open: Vec<_> = last.iter().filter(|(_, delivery)| !is_final(delivery)).take(5).collect();
    let states = relay.try_api("/api/v1/destinations").unwrap_or_default();
    assert!(settled, "{} of {} deliveries: {open:#?} {states:#}", last.len(), SALES * names.len());
    let mut faults = BTreeMap::new();
    for stand_in in &stand_ins {
        let wrong = check_ledger(stand_in, &catalog, &acknowledged, &last);
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

/// Every event once in effect, or dead or skipped with a code; answers what was wrong with the requests.
fn check_ledger(
    stand_in: &StandIn,
    catalog: &Catalog,
    acknowledged: &BTreeMap<String, String>,
    deliveries: &BTreeMap<(String, String), Value>,
) -> Vec<String> {
    let template = catalog.destination(&stand_in.name).unwrap();
    let mut ledger = BTreeMap::<&str, usize>::new();
    let takes_ids = acknowledged.iter().any(|(tid, id)| stand_in.taken(id) > 0 || stand_in.taken(tid) > 0);
    for (tid, event_id) in acknowledged {
        let delivery = &deliveries[&(format!("to-{}", stand_in.name), tid.clone())];
        // Some platforms are sent the one, some the other.
        let number: usize = tid[4..9].parse().unwrap();
        // One that takes no id of ours knows a sale by its click alone.
        let of_click = format!("-{number}\"");
        let is_known = |text: &str| stand_in.taken(text) > 0 || stand_in.refused(text);
        let known = [event_id.as_str(), tid, &of_click].into_iter().find(|text| is_known(text));
        if known.is_none() && !takes_ids {
            // By its customer alone it cannot be distinguished from others.
            *ledger.entry(delivery["state"].as_str().unwrap()).or_default() += 1;
            continue;
        }
        let text = known.unwrap_or(tid);
        let taken = stand_in.taken(text);
        // An event that is sent again in the same run was answered in none of the requests before.
        let needless = stand_in.repeated_without_need(text);
        assert!(needless.is_empty(), "{tid}: taken {taken} times, in vain in {needless:?}: {delivery:#}");
        let state = delivery["state"].as_str().unwrap();
        // What was under way when the program was killed, no one can know.
        let once = template.dedup_ms().is_some()
            || delivery["possible_repeat"] == true
            || stand_in.runs(text) == taken;
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
    let (failed, by_rows, confirmed) = (stand_in.failed(), stand_in.by_rows(), stand_in.confirmed());
    let later = template.confirms().then(|| format!(", asked {confirmed} times what became of it"));
    let later = later.unwrap_or_default();
    println!("{}: {ledger:?}, {failed} failed once, {by_rows} requests in part{later}", stand_in.name);
    assert_eq!(template.confirms(), confirmed > 0, "{}", stand_in.name);
    assert!(ledger["delivered"] > SALES / 2, "{}: {ledger:?}", stand_in.name);
    stand_in.faults()
}
