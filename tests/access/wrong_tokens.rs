//! Wrong tokens by address: limited, in a table that neither grows nor locks anyone out.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use postbridge::domain::time::Time;
use postbridge::web::guesses::{Guesses, MOST_WRONG, MOST_WRONG_BEHIND_PROXY};
use postbridge::web::per_address::LimitKey;

fn at(seconds: i64) -> Time {
    Time::parse("2026-11-20T12:00:00Z").unwrap().plus_millis(seconds * 1000)
}

fn four(number: u32) -> LimitKey {
    LimitKey::of(IpAddr::V4(Ipv4Addr::from_bits(number)))
}

fn six(prefix: u128) -> LimitKey {
    LimitKey::of(IpAddr::V6(Ipv6Addr::from_bits((0x2001_0db8 << 96) + (prefix << 64) + 1)))
}

fn lock(guesses: &Guesses, key: LimitKey) {
    for _ in 0..MOST_WRONG {
        assert_eq!((guesses.wait(key, at(0)), guesses.count(key, at(0))), (None, None));
    }
    assert_eq!(guesses.wait(key, at(0)), Some(60));
}

#[test]
fn the_minute_begins_with_the_first_wrong_token() {
    let guesses = Guesses::default();
    let key = four(1);
    for second in [50, 55, 59] {
        guesses.count(key, at(second));
    }
    for _ in 3..MOST_WRONG {
        assert_eq!(guesses.count(key, at(60)), None);
    }
    assert_eq!(guesses.count(key, at(60)), Some(50), "the eleventh is one too many");
    assert_eq!((guesses.wait(key, at(109)), guesses.wait(key, at(110))), (Some(1), None));
    assert_eq!(guesses.count(key, at(110)), None, "it begins anew");
    assert_eq!(guesses.wait(key, at(20)), None, "a clock that was set back locks no one out");
}

#[test]
fn ten_thousand_addresses_that_try_once_lock_no_one_out_and_free_no_one() {
    for key in [four as fn(u32) -> LimitKey, |number| six(u128::from(number))] {
        let guesses = Guesses::default();
        lock(&guesses, key(0));
        for number in 1..=10_000 {
            assert_eq!((guesses.wait(key(number), at(1)), guesses.count(key(number), at(1))), (None, None));
        }
        assert!((1..=20_000).all(|number| guesses.wait(key(number), at(2)).is_none()));
        assert!(guesses.wait(key(0), at(2)).is_some(), "who was over the limit still waits");
        lock_late(&guesses, key(10_000));
    }
}

/// One of them that goes on is limited as ever.
fn lock_late(guesses: &Guesses, key: LimitKey) {
    let tries = (0..20).filter(|_| guesses.wait(key, at(3)).is_none() && guesses.count(key, at(3)).is_none());
    assert!(tries.count() <= MOST_WRONG as usize);
    assert!(guesses.wait(key, at(3)).is_some());
}

#[test]
fn a_million_addresses_do_not_displace_one_that_waits() {
    let guesses = Guesses::default();
    lock(&guesses, four(0));
    for number in 1..=1_000_000 {
        guesses.count(four(number), at(1));
    }
    assert!(guesses.wait(four(0), at(2)).is_some());
    lock_late(&guesses, four(1_000_001));
}

#[test]
fn visitors_of_an_undeclared_proxy_are_counted_apart_and_together() {
    let guesses = Guesses::default();
    let proxy = LimitKey::BehindProxy("127.0.0.1".parse().unwrap());
    lock(&guesses, LimitKey::of("127.0.0.1".parse().unwrap()));
    for _ in 0..MOST_WRONG_BEHIND_PROXY {
        assert_eq!((guesses.wait(proxy, at(0)), guesses.count(proxy, at(0))), (None, None));
    }
    assert!(guesses.wait(proxy, at(0)).is_some());
}
