//! Sixty sales, no two alike, as two networks report them, and what becomes of some of them later.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::ops::Range;
use std::time::{SystemTime, UNIX_EPOCH};

use postbridge::template::catalog::Catalog;
use serde_json::json;

use crate::support::known_events::{known_click, known_customer};
use crate::support::relay::{Answer, KEY, Relay, ask};

pub const SALES: usize = 60;
/// How often the program is killed while sales are reported; it is once more after some of them changed.
pub const KILLS: usize = 4;

/// The run of the program in which a sale is reported.
pub fn reported_in(number: usize) -> usize {
    number * KILLS / SALES
}

/// Every fifth sale has no click.
const WITHOUT_A_CLICK: usize = 5;

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

/// Records clicks that have what every platform wants to know.
pub fn record_clicks(relay: &Relay, catalog: &Catalog, names: &[&str]) {
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

/// The id of a sale as its network writes it.
pub fn transaction_id(number: usize) -> String {
    format!("tid-{number:05}-x")
}

/// What a sale is known by.
#[derive(Debug, Clone)]
pub struct Acknowledged {
    pub number: usize,
    pub event_id: String,
    pub conversion_id: String,
}

/// What becomes of a sale after it was reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SaleChange {
    Value,
    Rejection,
}

/// When that is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wave {
    /// Soon: no one knows who was sent the sale already.
    Early,
    /// When most platforms have answered.
    Late,
    /// After that, once more.
    Last,
}

/// What becomes of a sale in that wave.
pub fn change_of(number: usize, wave: Wave) -> Option<SaleChange> {
    match (number % 12, wave) {
        (4, Wave::Early) | (0 | 1 | 3, Wave::Late) => Some(SaleChange::Value),
        (6, Wave::Early) | (9 | 10, Wave::Late) | (0, Wave::Last) => Some(SaleChange::Rejection),
        _ => None,
    }
}

/// How a sale is in the end: whether its value is another, and whether it is rejected.
pub fn end_of(number: usize) -> (bool, bool) {
    let has = |change| {
        [Wave::Early, Wave::Late, Wave::Last].iter().any(|wave| change_of(number, *wave) == Some(change))
    };
    (has(SaleChange::Value), has(SaleChange::Rejection))
}

fn click(number: usize) -> Option<String> {
    (!number.is_multiple_of(WITHOUT_A_CLICK)).then(|| format!("click{number}"))
}

/// Reports sales, every second by the second network: what each is known by, by its transaction id.
pub fn report(relay: &Relay, acknowledged: &mut BTreeMap<String, Acknowledged>, numbers: Range<usize>) {
    for number in numbers {
        let answers = match number % 2 {
            0 => {
                let words: &[&str] = match number % 10 {
                    4 => &["pending", "approved"],
                    8 => &["Approved"],
                    _ => &[""],
                };
                let price = if number % 6 == 2 { "0" } else { "7.50" };
                words.iter().map(|word| by_cake(relay, number, price, word)).collect()
            }
            _ => vec![by_a_shop(relay, number, worth(number).0, None)],
        };
        for answer in answers {
            let answer = answer.json();
            let is_known = matches!(answer["status"].as_str(), Some("accepted" | "duplicate" | "updated"));
            assert!(is_known, "{answer}");
            let id = |name: &str| answer[name].as_str().unwrap().to_owned();
            let known = Acknowledged { number, event_id: id("event_id"), conversion_id: id("conversion_id") };
            acknowledged.insert(transaction_id(number), known);
        }
    }
}

/// Has sales changed as far as that is their wave: by their network, or by a person who rejects them.
pub fn change(
    relay: &Relay,
    acknowledged: &BTreeMap<String, Acknowledged>,
    wave: Wave,
    numbers: Range<usize>,
) {
    for number in numbers {
        let is_by_a_person = number / 12 % 2 == 0;
        let answer = match (change_of(number, wave), number % 2) {
            (None, _) => continue,
            (Some(SaleChange::Rejection), _) if is_by_a_person => {
                let id = &acknowledged[&transaction_id(number)].conversion_id;
                let wish = json!({"status": "rejected", "note": "returned"}).to_string();
                let answer = relay.post(&format!("/api/v1/conversions/{id}/status"), &wish);
                assert_eq!(
                    (answer.status, &answer.json()["status"]),
                    (200, &json!("rejected")),
                    "{}",
                    answer.text()
                );
                continue;
            }
            // What had another value before is rejected with that.
            (Some(change), 0) => {
                let price = if end_of(number).0 { "9.25" } else { "7.50" };
                let word = if change == SaleChange::Rejection { "rejected" } else { "approved" };
                by_cake(relay, number, price, word)
            }
            (Some(SaleChange::Rejection), _) => by_a_shop(relay, number, worth(number).0, Some("rejected")),
            (Some(SaleChange::Value), _) => by_a_shop(relay, number, worth(number).1, None),
        };
        assert_eq!(answer.json()["status"], "updated", "{number}: {}", answer.text());
    }
}

/// What an order of a shop is worth, what it is worth later, and its currency.
fn worth(number: usize) -> (&'static str, &'static str, &'static str) {
    [("19.90", "24.90", "EUR"), ("1990", "2490", "JPY"), ("7.505", "9.125", "KWD")][number / 2 % 3]
}

/// With all that CAKE's postback has, sometimes without a price, sometimes hours late, and sometimes pending before it is
/// approved.
fn by_cake(relay: &Relay, number: usize, price: &str, status: &str) -> Answer {
    let tid = transaction_id(number);
    let click = click(number).map(|click| format!("&s2={click}")).unwrap_or_default();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let query = format!(
        "tid={tid}&price={price}&oid=565&affid=200&campid=8599&cid=761&s1=a&s3=&leadid=L{number}\
         &sourceip=198.51.100.{number}&utcunixtime={}&status={status}{click}",
        now - if number % 10 == 6 { 7_200 } else { 60 }
    );
    relay.postback("cake-test", query.as_bytes())
}

/// With a customer, an answer about ads, and an order of which parts have no whole number.
fn by_a_shop(relay: &Relay, number: usize, value: &str, status: Option<&str>) -> Answer {
    let turn = number / 2;
    let item = |id: &str, quantity: &str, price: &str| json!({"id": id, "name": format!("Thing {id}"), "category": "things", "quantity": quantity, "price": price});
    let ad_user_data = ["yes", "", "1", "", "granted", "", "", "no"][turn % 8];
    let ad_personalization = ["yes", "no", ""][turn % 3];
    let mut body = json!({
        "transaction_id": transaction_id(number),
        "click_id": click(number),
        "event_name": EVENTS[turn % EVENTS.len()],
        "value": value,
        "currency": worth(number).2,
        "customer": known_customer(number),
        "consent": {
            "ad_user_data": ad_user_data,
            "ad_personalization": ad_personalization,
        },
        "items": [item("565", "0.4", "2.50"), item("566", "2.5", "1.333"), item("567", "3", "0")],
    });
    if let Some(status) = status {
        body["status"] = status.into();
    }
    let body = body.to_string();
    let request = format!(
        "POST /{KEY}/collect/generic-test HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    ask(relay.address, request.as_bytes()).unwrap()
}
