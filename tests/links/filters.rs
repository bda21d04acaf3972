//! Click filters through a built `serve`: what is odd is marked, and kept from the offer where that is said.

use std::path::Path;

use serde_json::Value;

use crate::support::country_file;
use crate::support::link_fixture::{header, location, parameter, relay_with, visit};
use crate::support::relay::{Answer, Relay};

const BROWSER: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36";
const FALLBACK: &str = "https://advertiser.example/closed";

fn relay(folder: &Path, offer: &str, filters: &str) -> Relay {
    let offer = format!("fallback_url = \"{FALLBACK}\"\n{offer}");
    relay_with(folder, "trusted_proxies = [\"127.0.0.1/32\"]\n", &offer, &format!("[filters]\n{filters}\n"))
}

fn click(relay: &Relay, headers: &str) -> Answer {
    visit(relay, "GET", b"/c/8599", headers)
}

fn agent(user_agent: &str) -> String {
    format!("User-Agent: {user_agent}\r\n")
}

fn reaches_offer(answer: &Answer) -> bool {
    let target = location(answer);
    assert!(target == FALLBACK || target.starts_with("https://advertiser.example/lp?"), "{target}");
    target != FALLBACK
}

fn newest_click(relay: &Relay) -> Value {
    relay.api("/api/v1/clicks?limit=1")["items"][0].clone()
}

#[test]
fn a_bot_is_marked_where_it_is_only_observed_and_sent_away_where_that_is_enforced() {
    let folder = tempfile::tempdir().unwrap();
    let observing = relay(folder.path(), "", "bot = { mode = \"observe\" }");
    assert!(reaches_offer(&click(&observing, &agent("curl/8.5.0"))));
    let marked = newest_click(&observing).to_string();
    assert!(marked.contains("the user agent is of a bot: curl"), "{marked}");
    drop(observing);
    let folder = tempfile::tempdir().unwrap();
    let enforcing = relay(folder.path(), "", "bot = { mode = \"enforce\" }");
    assert!(!reaches_offer(&click(&enforcing, &agent("curl/8.5.0"))));
    assert!(newest_click(&enforcing).to_string().contains("curl"), "the click is kept");
    assert!(reaches_offer(&click(&enforcing, &agent(BROWSER))));
}

#[test]
fn a_visitor_who_clicks_again_too_soon_is_a_duplicate() {
    let folder = tempfile::tempdir().unwrap();
    let filters = "duplicate = { mode = \"enforce\", window_seconds = 3600, by = \"cookie\" }";
    let relay = relay(folder.path(), "", filters);
    let first = click(&relay, &agent(BROWSER));
    assert!(reaches_offer(&first));
    let cookie = header(&first, "set-cookie").unwrap();
    let cookie = format!("{}Cookie: {}\r\n", agent(BROWSER), cookie.split(';').next().unwrap());
    assert!(!reaches_offer(&click(&relay, &cookie)));
    assert!(reaches_offer(&click(&relay, &agent(BROWSER))), "another visitor");
}

#[test]
fn a_country_is_classified_by_the_users_file_and_an_unknown_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("countries.mmdb");
    std::fs::write(&file, country_file::of(&[("203.0.113.0/24", "DE"), ("198.51.100.0/24", "US")])).unwrap();
    let filters = "country_file = \"countries.mmdb\"\ncountry = { mode = \"enforce\", allow = [\"DE\"] }";
    let relay = relay(folder.path(), "", filters);
    let from = |address: &str| click(&relay, &format!("{}X-Forwarded-For: {address}\r\n", agent(BROWSER)));
    assert!(reaches_offer(&from("203.0.113.9")));
    assert!(!reaches_offer(&from("198.51.100.9")));
    assert!(reaches_offer(&from("192.0.2.1")), "no verdict");

    std::fs::write(&file, country_file::of(&[("198.51.100.0/24", "DE")])).unwrap();
    relay.signal(libc::SIGHUP);
    assert!(
        crate::support::relay::wait_until(std::time::Duration::from_secs(10), || reaches_offer(&from(
            "198.51.100.9"
        ))),
        "a reload reads the file again"
    );
}

#[test]
fn a_country_file_that_is_none_keeps_the_relay_from_starting() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("countries.mmdb"), "network,country\n").unwrap();
    let mut setup = crate::support::relay::Setup::cake_to_meta(folder.path(), "127.0.0.1:9".parse().unwrap());
    setup.extra.push_str("[filters]\ncountry_file = \"countries.mmdb\"\n");
    assert!(setup.try_start().is_none());
}

#[test]
fn devices_and_referrers_are_classified_by_their_lists() {
    let folder = tempfile::tempdir().unwrap();
    let filters = "device = { mode = \"enforce\", deny = [\"desktop\"] }\nreferrer = { mode = \"enforce\", deny = [\"spam.example\"] }";
    let relay = relay(folder.path(), "", filters);
    let phone = agent(
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1",
    );
    assert!(!reaches_offer(&click(&relay, &agent(BROWSER))));
    assert!(reaches_offer(&click(&relay, &phone)));
    assert!(!reaches_offer(&click(&relay, &format!("{phone}Referer: https://www.spam.example/x\r\n"))));
    assert!(reaches_offer(&click(&relay, &format!("{phone}Referer: https://fine.example/\r\n"))));
}

#[test]
fn a_cap_lets_through_as_many_as_it_says_and_looking_costs_none() {
    let folder = tempfile::tempdir().unwrap();
    let relay = relay(folder.path(), "caps = { clicks_per_day = 2 }", "");
    let browser = agent(BROWSER);
    for (method, headers) in [
        ("HEAD", browser.clone()),
        ("GET", format!("{browser}Sec-Purpose: prefetch;prerender\r\n")),
        ("GET", format!("{browser}X-Moz: prefetch\r\n")),
        ("GET", agent("facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)")),
    ] {
        assert!(reaches_offer(&visit(&relay, method, b"/c/8599", &headers)), "{headers}");
    }
    let kinds: Vec<Value> = relay.api("/api/v1/clicks")["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|click| click["kind"].clone())
        .collect();
    assert_eq!(kinds, ["preview", "prefetch", "prefetch", "head"]);
    let reached: Vec<bool> = (0..4).map(|_| reaches_offer(&click(&relay, &browser))).collect();
    assert_eq!(reached, [true, true, false, false]);
}

#[test]
fn an_offer_that_is_paused_takes_no_one_and_keeps_every_click() {
    let folder = tempfile::tempdir().unwrap();
    let relay = relay(folder.path(), "status = \"paused\"", "");
    assert!(!reaches_offer(&click(&relay, &agent(BROWSER))));
    assert!(newest_click(&relay).to_string().contains("the offer is paused"));
}

#[test]
fn without_a_fallback_of_its_own_an_offer_uses_the_servers() {
    let folder = tempfile::tempdir().unwrap();
    let server = "fallback_url = \"https://example.com/\"\n";
    let relay = relay_with(folder.path(), server, "status = \"expired\"", "");
    assert_eq!(location(&click(&relay, &agent(BROWSER))), "https://example.com/");
}

#[test]
fn a_blocked_click_still_has_its_id_and_converts_by_it() {
    let folder = tempfile::tempdir().unwrap();
    let relay = relay(folder.path(), "", "bot = { mode = \"observe\" }");
    let answer = click(&relay, &agent("curl/8.5.0"));
    let id = parameter(&location(&answer), "cid").unwrap();
    let reported = relay.postback("cake-test", format!("s2={id}&tid=T1&price=7").as_bytes()).json();
    assert_eq!(reported["attribution"], "matched");
}
