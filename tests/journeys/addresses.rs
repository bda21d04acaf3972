//! Addresses and click ids as they are damaged on their way, and that no proxy's takes a visitor's place.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue};
use ipnet::IpNet;
use postbridge::domain::attribution::{MatchMethod, candidates};
use postbridge::domain::click::Click;
use postbridge::web::proxy;
use serde_json::json;

use crate::support::platform::Platform;
use crate::support::relay::{Setup, ask, wait_until};
use crate::support::tag_fixture::{TagFixture, message};

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// The address seen behind a proxy at 10.0.0.2, which is trusted as its whole network is.
fn seen(forwarded: &[&str]) -> String {
    let mut headers = HeaderMap::new();
    for value in forwarded {
        let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
        headers.append(HeaderName::from_static("x-forwarded-for"), value);
    }
    let trusted: [IpNet; 2] = ["10.0.0.0/8".parse().unwrap(), "2001:db8:ffff::/48".parse().unwrap()];
    proxy::sender(address("10.0.0.2"), &headers, &trusted).address.to_string()
}

#[test]
fn the_visitors_address_is_read_however_proxies_write_it() {
    for (forwarded, expected) in [
        ("[2001:db8::7]:51008", "2001:db8::7"),
        ("\"[2001:db8::7]:51008\"", "2001:db8::7"),
        ("198.51.100.7:4711", "198.51.100.7"),
        ("\"198.51.100.7\"", "198.51.100.7"),
        ("198.51.100.7,", "198.51.100.7"),
        (" , 198.51.100.7, , 10.0.0.9:80", "198.51.100.7"),
        ("198.51.100.7, unknown", "198.51.100.7"),
        ("198.51.100.7, _hidden, 10.0.0.9", "198.51.100.7"),
        ("198.51.100.7, [2001:db8:ffff::1]:443", "198.51.100.7"),
        ("::ffff:198.51.100.7", "198.51.100.7"),
        // What the visitor wrote itself is to the left of what a proxy saw.
        ("203.0.113.1, 198.51.100.7", "198.51.100.7"),
        ("unknown", "10.0.0.2"),
        ("", "10.0.0.2"),
    ] {
        assert_eq!(seen(&[forwarded]), expected, "{forwarded}");
    }
    assert_eq!(seen(&["203.0.113.1", "198.51.100.7, 10.0.0.9"]), "198.51.100.7");
    assert_eq!(seen(&["198.51.100.7, caf\u{e9}"]), "198.51.100.7");
    let forged = HeaderMap::from_iter([(
        HeaderName::from_static("x-forwarded-for"),
        HeaderValue::from_static("198.51.100.7"),
    )]);
    assert_eq!(proxy::sender(address("203.0.113.1"), &forged, &[]).address, address("203.0.113.1"));
}

#[test]
fn a_visitors_address_takes_the_place_of_a_proxys_and_never_the_other_way() {
    let of = |ip: Option<&str>| Click {
        ip: ip.map(address),
        ..postbridge::store::contract::conformance::fixture::received::click("c1")
    };
    for (mine, other, expected) in [
        (Some("10.0.0.3"), Some("198.51.100.7"), Some("198.51.100.7")),
        (Some("::1"), Some("2001:db8::7"), Some("2001:db8::7")),
        (Some("198.51.100.7"), Some("10.0.0.3"), Some("198.51.100.7")),
        (Some("198.51.100.7"), Some("203.0.113.9"), Some("198.51.100.7")),
        (Some("10.0.0.3"), None, Some("10.0.0.3")),
        (None, Some("10.0.0.3"), Some("10.0.0.3")),
    ] {
        let mut click = of(mine);
        click.fill(&of(other));
        assert_eq!(click.ip, expected.map(address), "{mine:?} {other:?}");
    }
}

#[test]
fn a_click_id_is_read_without_what_no_click_id_holds() {
    for (given, reading) in [
        ("\u{feff}c1\u{200b}", MatchMethod::Trimmed),
        ("c\u{ad}1", MatchMethod::Trimmed),
        ("{c1}", MatchMethod::Trimmed),
        ("c1,c1", MatchMethod::Repeated),
        ("%20c1%E2%80%8B", MatchMethod::Decoded),
    ] {
        let found = candidates(given);
        assert_eq!(found.len(), 1, "{given:?}");
        assert_eq!((found[0].0.as_str(), found[0].1), ("c1", reading), "{given:?}");
    }
    assert!(candidates("c1,c2").is_empty());
}

#[test]
fn a_tags_click_keeps_ids_behind_a_second_question_mark_and_in_capitals() {
    let fixture = TagFixture::new();
    let id = "0mwprfhn25sqgpbr2ksobbbg2sqv8";
    let body = message(id, json!({"landing_url": fixture.shop("/lp?x=1?gclid=G1&FBCLID=F1")})).to_string();
    let request = format!(
        "POST /t/click HTTP/1.1\r\nHost: test\r\nConnection: close\r\nOrigin: {}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{body}",
        fixture.shop(""),
        body.len()
    );
    assert_eq!(ask(fixture.relay.address, request.as_bytes()).unwrap().status, 204);
    assert_eq!(fixture.click(id)["params"], json!({"gclid": "G1", "fbclid": "F1"}));
}

#[test]
fn a_postbacks_inner_address_reaches_no_platform_and_the_clicks_does() {
    let (folder, platform) = (tempfile::tempdir().unwrap(), Platform::accepting());
    let relay = Setup::cake_to_meta(folder.path(), platform.address).start();
    for (number, (reported, sent)) in [
        ("10.0.0.3", "198.51.100.7"),
        ("0.0.0.0", "198.51.100.7"),
        ("%3A%3A1", "198.51.100.7"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
    ]
    .into_iter()
    .enumerate()
    {
        let click = json!({"click_id": format!("click-{number}"), "ip": "198.51.100.7", "user_agent": "Mozilla/5.0", "landing_url": "https://shop.example/lp", "params": {"fbclid": "IwAR0"}});
        assert_eq!(relay.post("/api/v1/clicks", &click.to_string()).status, 200);
        let query = format!("s2=click-{number}&tid=T-{number}&price=7&sourceip={reported}");
        assert_eq!(relay.postback("cake-test", query.as_bytes()).status, 200);
        assert!(
            wait_until(std::time::Duration::from_secs(10), || platform.count() == number + 1),
            "{reported}: {}",
            relay.api("/api/v1/conversions?limit=1")
        );
        let event = platform.received().remove(number).json();
        assert_eq!(event["data"][0]["user_data"]["client_ip_address"], sent, "{reported}");
    }
}
