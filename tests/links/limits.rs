//! Floods of strangers' clicks through a built `serve`: what is recorded, what it costs, and that every visitor
//! is sent on.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::support::link_fixture::noise;
use crate::support::link_fixture::{BROWSER, header, location, relay_with, visit};
use crate::support::relay::{Connection, Relay, ask, wait_until};

const OFF: &str = "[links]\nmax_per_second_per_ip = 0\nmax_kib_per_second = 0\n";

/// A link of 15 KB with a referrer and cookies of 6 KB. No two are alike.
fn long_request(number: u64) -> (String, String) {
    let value = |sort: u64| noise(2000, number * 100 + sort);
    let path = format!(
        "/c/8599?s1={}&s2={}&s3={}&s4={}&fbclid={}&gclid={}&utm_term={}",
        value(1),
        value(2),
        value(3),
        value(4),
        value(5),
        value(6),
        value(7)
    );
    let headers = format!(
        "User-Agent: {BROWSER}\r\nReferer: https://blog.example/{}\r\nCookie: _fbp=fb.1.2.3; _ga={}\r\n",
        noise(4500, number * 100 + 8),
        noise(1500, number * 100 + 9)
    );
    (path, headers)
}

/// Sends so many on 16 connections; every answer is a redirect, or an image.
fn press(address: SocketAddr, count: u64, request: impl Fn(u64) -> (String, String) + Send + Sync + 'static) {
    let request = std::sync::Arc::new(request);
    let threads = (0..16).map(|thread| {
        let request = std::sync::Arc::clone(&request);
        std::thread::spawn(move || {
            let mut connection = Connection::open(address).unwrap();
            for number in (thread..count).step_by(16) {
                let (path, headers) = request(number);
                let answer = connection.get_with(&path, &headers).unwrap();
                assert!(matches!(answer.status, 302 | 200), "{}", answer.text());
                assert!(answer.status == 200 || location(&answer).contains("cid=0"), "{}", answer.head);
            }
        })
    });
    threads.collect::<Vec<_>>().into_iter().for_each(|thread| thread.join().unwrap());
}

/// Every click that is recorded.
fn clicks(relay: &Relay) -> Vec<Value> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = relay.api(&format!("/api/v1/clicks?limit=1000{cursor}"));
        all.extend(page["items"].as_array().unwrap().iter().cloned());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return all,
        }
    }
}

fn folder_bytes(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let size = |entry: std::fs::DirEntry| match entry.file_type().unwrap().is_dir() {
        true => folder_bytes(&entry.path()),
        false => entry.metadata().unwrap().len(),
    };
    entries.map(size).sum()
}

#[test]
fn a_long_click_keeps_six_kib_names_what_is_missing_and_its_visitor_takes_all_along() {
    let folder = tempfile::tempdir().unwrap();
    let relay = relay_with(folder.path(), "", "pass = [\"*\"]", "");
    let (path, headers) = long_request(1);
    let answer = visit(&relay, "GET", path.as_bytes(), &headers);
    let target = location(&answer);
    assert!(target.len() > 14_000, "the offer gets all: {} bytes", target.len());
    let click = relay.api("/api/v1/clicks?limit=1")["items"][0].clone();
    let url = click["landing_url"].as_str().unwrap();
    assert!(target.starts_with(&format!("{url}&")) || target.starts_with(&format!("{url}?")), "{url}");
    assert_eq!(click["cookies"]["_fbp"], "fb.1.2.3");
    let texts = |sort: &str| -> usize {
        click[sort].as_object().unwrap().values().map(|value| value.as_str().unwrap().len()).sum()
    };
    let ids = texts("params") + texts("sub_ids") + texts("cookies");
    assert!((3_000..6_144).contains(&ids), "{ids} bytes of ids are kept: {click}");
    let kept = ["s1", "s2", "s3", "s4"].iter().filter_map(|name| click["sub_ids"][name].as_str());
    assert!(
        kept.chain(click["params"].as_object().unwrap().values().map(|v| v.as_str().unwrap()))
            .all(|value| { value.len() == 2000 && path.contains(value) })
    );
    let omitted = click["omitted"].as_array().unwrap();
    let fields: Vec<&str> = omitted.iter().map(|one| one["field"].as_str().unwrap_or("more")).collect();
    assert!(fields.contains(&"referrer") && fields.contains(&"landing_url"), "{fields:?}");
    assert!(
        omitted.iter().any(|one| one["reason_code"] == "click_too_large" && one["kept_bytes"] == 0),
        "{omitted:?}"
    );
}

#[test]
fn a_referrer_of_21_kb_leaves_the_click_pixel_an_ordinary_click() {
    let folder = tempfile::tempdir().unwrap();
    let relay = relay_with(folder.path(), "", "", "");
    let page = format!("https://shop.example/lp?gclid=G1&x={}&fbclid=F1", noise(21_000, 1));
    let answer = visit(&relay, "GET", b"/click.gif?campaign=8599", &format!("Referer: {page}\r\n"));
    assert_eq!((answer.status, header(&answer, "content-type").as_deref()), (200, Some("image/gif")));
    let click = relay.api("/api/v1/clicks?limit=1")["items"][0].clone();
    assert_eq!(click["landing_url"], "https://shop.example/lp?gclid=G1");
    assert_eq!(click["params"], serde_json::json!({"gclid": "G1", "fbclid": "F1"}));
    assert_eq!(click["omitted"][0]["field"], "landing_url");
    assert_eq!(click["omitted"][0]["sent_bytes"], page.len());
}

#[test]
fn a_flood_without_limits_keeps_six_kib_a_click_on_disk_and_a_bounded_part_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    let relay = relay_with(folder.path(), "", "pass = [\"*\"]", OFF);
    const COUNT: u64 = 4_000;
    press(relay.address, COUNT, |number| match number % 4 {
        // What is not UTF-8 grows where it is kept as text and encoded once more.
        0 => {
            let raw = "%E9".repeat(1300);
            let path = format!("/c/8599?s1={raw}&s2={raw}&s3={raw}&n={number}");
            (path, format!("Referer: https://a.example/{number}\r\n"))
        }
        1 => {
            let page = format!("Referer: https://shop.example/{}\r\n", noise(21_000, number));
            ("/click.gif?campaign=8599".to_owned(), page)
        }
        _ => long_request(number),
    });
    assert_eq!(clicks(&relay).len() as u64, COUNT, "every click is recorded");
    let kept = folder_bytes(&folder.path().join("data")) / COUNT;
    assert!(kept < 9_000, "{kept} bytes a click, with all that is around them");
    let rss = relay.peak_rss_kib() / 1024;
    assert!(rss < 400, "{rss} MiB");
}

#[test]
fn over_its_rate_an_address_loses_long_values_then_records_and_never_its_way() {
    let folder = tempfile::tempdir().unwrap();
    let links = "[links]\nmax_per_second_per_ip = 5\nmax_kib_per_second = 0\n";
    let relay = relay_with(folder.path(), "trusted_proxies = [\"127.0.0.1\"]\n", "", links);
    const PRESSED: u64 = 400;
    let from = |address: &str, number: u64| {
        let (fbclid, term) = (noise(150, number), noise(400, number));
        let path = format!("/c/8599?s1=n{number}&fbclid={fbclid}&utm_term={term}");
        (path, format!("X-Forwarded-For: {address}\r\nUser-Agent: {BROWSER}\r\n"))
    };
    press(relay.address, PRESSED, move |number| from("203.0.113.9", number));
    for number in 0..20 {
        let (path, headers) = from(&format!("198.51.100.{number}"), 1_000 + number);
        location(&visit(&relay, "GET", path.as_bytes(), &headers));
    }
    let all = clicks(&relay);
    let of = |address: &str| all.iter().filter(|click| click["ip"] == address).collect::<Vec<_>>();
    let pressed = of("203.0.113.9");
    let is_short = |click: &&&Value| click["omitted"][0]["reason_code"] == "address_rate";
    let short = pressed.iter().filter(is_short).count();
    let whole = pressed.len() - short;
    assert!((50..150).contains(&whole) && (50..150).contains(&short), "{whole} whole, {short} short");
    for click in pressed.iter().filter(is_short) {
        assert_eq!(click["params"]["fbclid"].as_str().map(str::len), Some(150), "{click}");
        assert_eq!(click["params"].get("utm_term"), None);
        assert_eq!(click["omitted"][0]["field"], "params.utm_term");
    }
    let others: Vec<&Value> = (0..20).flat_map(|number| of(&format!("198.51.100.{number}"))).collect();
    assert_eq!(others.len(), 20, "other addresses lose nothing");
    assert!(others.iter().all(|click| click["omitted"] == serde_json::json!([])));
    let unrecorded = PRESSED - pressed.len() as u64;
    assert_eq!(relay.metric("postbridge_unrecorded_clicks_total{reason_code=\"rate\"}"), unrecorded);
    let log = || std::fs::read_to_string(folder.path().join("serve.log")).unwrap();
    assert!(wait_until(Duration::from_secs(10), || log().contains("clicks were not recorded")), "{}", log());
    assert_eq!(log().matches("clicks were not recorded").count(), 1, "{}", log());
}

#[test]
fn all_addresses_together_have_their_bytes_and_the_image_is_shown_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let links = "[links]\nmax_per_second_per_ip = 0\nmax_kib_per_second = 1\n";
    let relay = relay_with(folder.path(), "trusted_proxies = [\"127.0.0.1\"]\n", "", links);
    press(relay.address, 600, |number| {
        let forwarded = format!("X-Forwarded-For: 2001:db8:0:{number:x}::1\r\n");
        ("/click.gif?campaign=8599".to_owned(), forwarded)
    });
    let recorded = clicks(&relay).len() as u64;
    // Even where the machine takes a minute for them: each takes some hundred bytes of a KiB a second.
    assert!((2..400).contains(&recorded), "{recorded} of 600");
    let reason = "postbridge_unrecorded_clicks_total{reason_code=\"bytes\"}";
    assert_eq!(relay.metric(reason), 600 - recorded);
}

#[test]
fn the_tag_is_asked_to_send_again_what_is_over_the_bytes_of_all() {
    let folder = tempfile::tempdir().unwrap();
    let tables = "[links]\nmax_per_second_per_ip = 1\nmax_kib_per_second = 2\n[tag]\norigins = [\"https://shop.example\"]\nmax_per_second_per_ip = 1000\n";
    let relay = relay_with(folder.path(), "", "", tables);
    let reported = |number: u64| {
        let body = format!(
            "{{\"click_id\":\"tag{number}\",\"landing_url\":\"https://shop.example/{}\"}}",
            noise(500, number)
        );
        let request = format!(
            "POST /t/click HTTP/1.1\r\nHost: test\r\nConnection: close\r\nOrigin: https://shop.example\r\nContent-Type: text/plain\r\nUser-Agent: {BROWSER}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        ask(relay.address, request.as_bytes()).unwrap().status
    };
    let statuses: Vec<u16> = (0..40).map(reported).collect();
    let recorded = statuses.iter().filter(|status| **status == 204).count();
    assert!((1..36).contains(&recorded), "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 429).count(), 40 - recorded);
    assert_eq!(clicks(&relay).len(), recorded);
}

#[test]
fn the_visitor_of_an_unrecorded_click_is_kept_from_an_offer_that_takes_no_one() {
    let folder = tempfile::tempdir().unwrap();
    let offer = "status = \"paused\"\nfallback_url = \"https://example.com/paused\"";
    let links = "[links]\nmax_per_second_per_ip = 1\n";
    let relay = relay_with(folder.path(), "", offer, links);
    for _ in 0..60 {
        assert_eq!(location(&visit(&relay, "GET", b"/c/8599", "")), "https://example.com/paused");
    }
    assert!(clicks(&relay).len() < 50, "most are not recorded");
}

#[test]
fn two_thousand_buyers_behind_one_address_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let relay = relay_with(folder.path(), "", "pass = [\"utm_*\", \"fbclid\"]", "");
    press(relay.address, 2_000, |number| {
        let (fbclid, page) = (noise(180, number), noise(500, number));
        let path = format!("/c/8599?s1=n{number}&fbclid={fbclid}&utm_source=fb&utm_campaign=Spring%20sale");
        let headers = format!(
            "User-Agent: {BROWSER}\r\nReferer: https://social.example/{page}\r\nCookie: _fbp=fb.1.1789980000000.{number}; _ga=GA1.1.{number}.1\r\nAccept: text/html,application/xhtml+xml\r\nAccept-Language: en\r\n"
        );
        (path, headers)
    });
    let all = clicks(&relay);
    assert_eq!(all.len(), 2_000);
    assert!(all.iter().all(|click| click["omitted"] == serde_json::json!([])), "and nothing is cut");
    assert_eq!(relay.metric("postbridge_unrecorded_clicks_total{reason_code=\"rate\"}"), 0);
}
