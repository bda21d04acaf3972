//! A relay with one tracking link, and the requests of its visitors.

use std::path::Path;

use crate::support::relay::{Answer, Relay, Setup, ask};

/// What a browser says it is.
pub const BROWSER: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36";

/// A relay with an offer, a campaign of it, and further lines.
pub fn relay_with(folder: &Path, server: &str, offer: &str, extra: &str) -> Relay {
    with_offer(folder, server, offer, extra).start()
}

pub fn with_offer(folder: &Path, server: &str, offer: &str, extra: &str) -> Setup {
    let mut setup = Setup::cake_to_meta(folder, "127.0.0.1:9".parse().unwrap());
    setup.server = server.to_owned();
    setup.extra.push_str(&format!(
        r#"
[[affiliate]]
id = "200"
name = "Example Media"

[[offer]]
id = "565"
url = "https://advertiser.example/lp?cid={{click_id}}&s1={{s1}}"
currency = "USD"
payout = "7.00"
{offer}

[[campaign]]
id = "8599"
offer = "565"
affiliate = "200"
creative = "761"
{extra}"#
    ));
    setup
}

/// A visitor's request with these further header lines, each with its line end.
pub fn visit(relay: &Relay, method: &str, target: &[u8], headers: &str) -> Answer {
    let mut request = format!("{method} ").into_bytes();
    request.extend_from_slice(target);
    request.extend_from_slice(b" HTTP/1.1\r\nHost: test\r\nConnection: close\r\n");
    request.extend_from_slice(headers.as_bytes());
    request.extend_from_slice(b"\r\n");
    ask(relay.address, &request).unwrap()
}

/// As a browser asks.
pub fn browse(relay: &Relay, target: &str) -> Answer {
    visit(relay, "GET", target.as_bytes(), &format!("User-Agent: {BROWSER}\r\n"))
}

/// A header of an answer.
pub fn header(answer: &Answer, name: &str) -> Option<String> {
    answer.head.lines().find_map(|line| {
        let (known, value) = line.split_once(':')?;
        known.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
    })
}

/// Where an answer sends the visitor.
pub fn location(answer: &Answer) -> String {
    assert_eq!(answer.status, 302, "{}", answer.text());
    header(answer, "location").unwrap()
}

/// The value of a parameter of a URL, decoded once.
pub fn parameter(url: &str, name: &str) -> Option<String> {
    let url = url::Url::parse(url).unwrap();
    url.query_pairs().find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
}

/// Text that does not compress: `number` distinguishes one from another.
pub fn noise(length: usize, number: u64) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut state = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut letter = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(LETTERS[(state >> 40) as usize % 64])
    };
    (0..length).map(|_| letter()).collect()
}
