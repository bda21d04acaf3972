//! Which peers are proxies that no one declared, and whose word on https counts.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue};
use ipnet::IpNet;
use postbridge::domain::forwarding::HidingProxy::{self, Silent, Undeclared};
use postbridge::domain::time::Time;
use postbridge::web::per_address::{BEHIND_PROXY, LimitKey, PerAddress};
use postbridge::web::proxy::{self, HidingProxies, says_https};

fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
        .collect()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn trusted() -> [IpNet; 1] {
    ["10.0.0.0/24".parse().unwrap()]
}

#[test]
fn a_private_peer_that_forwards_and_is_not_declared_cannot_be_limited_by_address() {
    for (peer, expected) in [
        ("127.0.0.1", true),
        ("127.8.8.8", true),
        ("::1", true),
        ("10.0.1.5", true),
        ("172.20.0.3", true),
        ("192.168.1.1", true),
        ("169.254.7.7", true),
        ("100.64.0.9", true),
        ("fd00::5", true),
        ("fe80::5", true),
        // Declared.
        ("10.0.0.5", false),
        // Anyone on the internet can write the header.
        ("203.0.113.7", false),
        ("2001:db8::7", false),
        ("8.8.8.8", false),
    ] {
        let peer = peer.parse().unwrap();
        for header in ["x-forwarded-for", "forwarded", "x-real-ip"] {
            let hidden_by = hidden_by(peer, &[(header, "198.51.100.1")]);
            assert_eq!(matches!(hidden_by, Some(Undeclared(_))), expected, "{peer} {header}");
        }
        for others in [&[][..], &[("x-forwarded-proto", "https"), ("via", "1.1 x")]] {
            assert!(!matches!(hidden_by(peer, others), Some(Undeclared(_))), "{peer}");
        }
    }
}

fn hidden_by(peer: IpAddr, pairs: &[(&'static str, &'static str)]) -> Option<HidingProxy> {
    proxy::sender(peer, &headers(pairs), &trusted()).hidden_by
}

#[test]
fn every_hop_behind_declared_proxies_is_looked_at_and_not_the_connection_alone() {
    let far = ip("10.9.0.7");
    for (forwarded, address, hidden_by) in [
        // A balancer that no one declared, in front of the declared proxy.
        ("198.51.100.1, 10.9.0.7", far, Some(Undeclared(far))),
        ("198.51.100.1, 10.9.0.7, 10.0.0.6", far, Some(Undeclared(far))),
        ("unknown, 10.9.0.7", far, Some(Undeclared(far))),
        ("10.9.9.9, 10.9.0.7, unknown", far, Some(Undeclared(far))),
        ("198.51.100.1, [fd00::7]:80", ip("fd00::7"), Some(Undeclared(ip("fd00::7")))),
        // A program of one's own network forwards nothing.
        ("10.9.0.7", far, None),
        (" , 10.9.0.7", far, None),
        // Whatever a visitor writes, it is one.
        ("10.9.0.7, 198.51.100.1", ip("198.51.100.1"), None),
        ("203.0.113.1, 10.9.0.7, 198.51.100.1, 10.0.0.6", ip("198.51.100.1"), None),
        // The last proxy that is known names no one.
        ("10.0.0.6", ip("10.0.0.6"), Some(Silent(ip("10.0.0.6")))),
        ("unknown", ip("10.0.0.5"), Some(Silent(ip("10.0.0.5")))),
        ("", ip("10.0.0.5"), Some(Silent(ip("10.0.0.5")))),
    ] {
        let seen = proxy::sender(ip("10.0.0.5"), &headers(&[("x-forwarded-for", forwarded)]), &trusted());
        assert_eq!((seen.address, seen.hidden_by), (address, hidden_by), "{forwarded}");
        let key = hidden_by.map_or(LimitKey::of(address), |_| LimitKey::BehindProxy(address));
        assert_eq!(LimitKey::of_sender(seen), key, "{forwarded}");
    }
    for others in [&[][..], &[("x-real-ip", "198.51.100.1")], &[("forwarded", "for=198.51.100.1")]] {
        assert_eq!(hidden_by(ip("10.0.0.5"), others), Some(Silent(ip("10.0.0.5"))), "{others:?}");
    }
    // Who is declared by a whole public network may be a visitor from there.
    let wide: [IpNet; 3] = ["0.0.0.0/0", "203.0.113.7/32", "2001:db8::/32"].map(|net| net.parse().unwrap());
    for (peer, expected) in [("198.51.100.1", false), ("203.0.113.7", true), ("2001:db8::7", false)] {
        let silent = proxy::sender(ip(peer), &headers(&[]), &wide).hidden_by;
        assert_eq!(silent.is_some(), expected, "{peer}");
    }
}

#[test]
fn all_visitors_of_an_undeclared_proxy_share_a_hundred_times_the_rate_of_one() {
    let peer = ip("10.9.9.9");
    let key = |pairs| LimitKey::of_sender(proxy::sender(peer, &headers(pairs), &[]));
    let (shared, own) = (key(&[("x-forwarded-for", "198.51.100.1")]), key(&[]));
    assert_eq!((shared, own), (LimitKey::BehindProxy(peer), LimitKey::of(peer)));
    let (limit, now) = (PerAddress::new(3), Time::parse("2026-11-20T12:00:00Z").unwrap());
    let admitted = |key| (0..1000).filter(|_| limit.admits(key, now)).count();
    assert_eq!((admitted(own), admitted(shared)), (3, 3 * BEHIND_PROXY as usize));
}

#[test]
fn addresses_beyond_those_that_are_counted_share_one_limit() {
    let (limit, now) = (PerAddress::new(3), Time::parse("2026-11-20T12:00:00Z").unwrap());
    let key = |number: u32| LimitKey::of(std::net::IpAddr::from(number.to_be_bytes()));
    for number in 0..4096 {
        assert!(limit.admits(key(0x0100_0000 + number), now));
    }
    let admitted = (0..10_000).filter(|number| limit.admits(key(0x0900_0000 + number % 5), now)).count();
    assert_eq!(admitted, 3 * BEHIND_PROXY as usize, "many addresses are no way around it");
    assert!(limit.admits(key(0x0100_0000), now), "who is counted is limited alone");
}

#[test]
fn only_a_declared_proxy_says_that_a_connection_is_https() {
    for (peer, said, expected) in [
        ("10.0.0.5", "https", true),
        ("10.0.0.5", "HTTPS", true),
        ("10.0.0.5", "https, http", true),
        ("::ffff:10.0.0.5", "https", true),
        ("10.0.0.5", "http", false),
        ("10.0.0.5", "http, https", false),
        ("10.0.0.5", "", false),
        ("10.0.1.5", "https", false),
        ("203.0.113.7", "https", false),
    ] {
        let said_headers = headers(&[("x-forwarded-proto", said)]);
        assert_eq!(says_https(peer.parse().unwrap(), &said_headers, &trusted()), expected, "{peer} {said}");
    }
}

fn named(proxies: &HidingProxies, now: Time) -> Vec<HidingProxy> {
    proxies.named(now).into_iter().map(|(proxy, _)| proxy).collect()
}

#[test]
fn undeclared_proxies_are_named_for_a_day_and_until_they_are_declared() {
    let (proxies, now) = (HidingProxies::default(), Time::parse("2026-11-20T12:00:00Z").unwrap());
    let (one, two) = (Undeclared(ip("10.0.0.5")), Undeclared(ip("10.0.1.5")));
    proxies.note(one, now);
    proxies.note(two, now.plus_hours(1));
    proxies.note(one, now.plus_hours(2));
    assert_eq!(named(&proxies, now.plus_hours(3)), [one, two]);
    assert_eq!(named(&proxies, now.plus_hours(25)), [one], "the other forwarded nothing for a day");
    proxies.set_trusted(&trusted());
    assert_eq!(named(&proxies, now.plus_hours(3)), [two]);
    // A request that was under way when that was declared.
    proxies.note(one, now.plus_hours(3));
    assert_eq!(named(&proxies, now.plus_hours(3)), [two]);
    let line = "trusted_proxies = [\"10.0.0.0/24\", \"10.0.1.5\"]".to_owned();
    assert_eq!(proxies.named(now.plus_hours(3)), [(two, line)], "the line keeps what is declared");
    for number in 0..1000u32 {
        proxies.note(Undeclared(std::net::Ipv4Addr::from_bits(0x0a01_0000 + number).into()), now);
    }
    assert_eq!(named(&proxies, now).len(), 16, "no more are kept");
}

#[test]
fn a_declared_proxy_that_names_no_one_is_named_as_long_as_it_is_declared() {
    let (proxies, now) = (HidingProxies::default(), Time::parse("2026-11-20T12:00:00Z").unwrap());
    let silent = Silent(ip("10.0.0.5"));
    proxies.note(silent, now);
    assert_eq!(named(&proxies, now), [], "it was undeclared while the request was under way");
    proxies.set_trusted(&trusted());
    proxies.note(silent, now);
    let fix = "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;".to_owned();
    assert_eq!(proxies.named(now), [(silent, fix)]);
    proxies.set_trusted(&[]);
    assert_eq!(named(&proxies, now), []);
}
