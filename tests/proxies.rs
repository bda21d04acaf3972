//! Which peers are proxies that no one declared, and whose word on https counts.

use http::{HeaderMap, HeaderName, HeaderValue};
use ipnet::IpNet;
use postbridge::domain::time::Time;
use postbridge::web::per_address::{BEHIND_PROXY, LimitKey, PerAddress};
use postbridge::web::proxy::{UndeclaredProxies, is_undeclared, limit_key, says_https};

fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
        .collect()
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
            assert_eq!(
                is_undeclared(peer, &headers(&[(header, "198.51.100.1")]), &trusted()),
                expected,
                "{peer} {header}"
            );
        }
        for others in [headers(&[]), headers(&[("x-forwarded-proto", "https"), ("via", "1.1 x")])] {
            assert!(!is_undeclared(peer, &others, &trusted()), "{peer}");
        }
    }
}

#[test]
fn all_visitors_of_an_undeclared_proxy_share_a_hundred_times_the_rate_of_one() {
    let (peer, client) = ("10.9.9.9".parse().unwrap(), "10.9.9.9".parse().unwrap());
    let forwards = headers(&[("x-forwarded-for", "198.51.100.1")]);
    let (shared, own) =
        (limit_key(peer, client, &forwards, &[]), limit_key(peer, client, &headers(&[]), &[]));
    assert_eq!((shared, own), (LimitKey::UndeclaredProxy(peer), LimitKey::of(client)));
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

#[test]
fn undeclared_proxies_are_named_for_a_day_and_until_they_are_declared() {
    let (proxies, now) = (UndeclaredProxies::default(), Time::parse("2026-11-20T12:00:00Z").unwrap());
    let (one, two) = ("10.0.0.5".parse().unwrap(), "10.0.1.5".parse().unwrap());
    proxies.note(one, now);
    proxies.note(two, now.plus_hours(1));
    proxies.note(one, now.plus_hours(2));
    assert_eq!(proxies.named(now.plus_hours(3)), [one, two]);
    assert_eq!(proxies.named(now.plus_hours(25)), [one], "the other forwarded nothing for a day");
    proxies.forget(&trusted());
    assert_eq!(proxies.named(now.plus_hours(3)), [two]);
    for number in 0..1000u32 {
        proxies.note(std::net::Ipv4Addr::from_bits(0x0a01_0000 + number).into(), now);
    }
    assert_eq!(proxies.named(now).len(), 16, "no more are kept");
}
