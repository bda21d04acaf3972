//! Which addresses are reached: every spelling of a private one is refused before a byte leaves.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use postbridge::domain::delivery::{OutgoingRequest, Reply};
use postbridge::domain::exchange::SendRefused;
use postbridge::send::client::{Client, SendPolicy};
use postbridge::send::guard::{LOOKUP_PERMITS, LOOKUPS, filter, is_public};

/// Hosts as a URL may spell them; `{port}` is where the canary listens.
const REFUSED: &[&str] = &[
    "127.0.0.1",
    "127.0.0.2",
    "127.1",
    "127.0.1",
    "127.255.255.254",
    "2130706433",
    "0x7f000001",
    "0x7f.1",
    "0x7f.0x0.0x0.0x1",
    "0X7F.0.0.1",
    "017700000001",
    "0177.0.0.1",
    "0177.0.0.01",
    "127.0.0.1.",
    "%31%32%37.0.0.1",
    "１２７.0.0.1",
    "127。0。0。1",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "0",
    "0.0.0.0",
    "0x0",
    "[::]",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[0000:0000:0000:0000:0000:0000:0000:0001]",
    "[::127.0.0.1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[0:0:0:0:0:ffff:127.0.0.1]",
    "[::ffff:0:127.0.0.1]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b::10.0.0.1]",
    "[64:ff9b:1::1]",
    "[2002:7f00:1::]",
    "[2002:a00:1::1]",
    "[2001:0:7f00:1::]",
    "10.0.0.1",
    "10.255.255.255",
    "167772161",
    "100.64.0.1",
    "169.254.169.254",
    "0xa9fea9fe",
    "2852039166",
    "0251.0376.0251.0376",
    "[::ffff:169.254.169.254]",
    "[fd00:ec2::254]",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.1",
    "192.168.257",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "4294967295",
    "[100::1]",
    "[2001:db8::1]",
    "[3fff::1]",
    "[5f00::1]",
    "[fc00::1]",
    "[fe80::1]",
    "[febf::1]",
    "[fec0::1]",
    "[ff02::1]",
];

fn request(url: String) -> OutgoingRequest {
    OutgoingRequest {
        method: "POST".to_owned(),
        url,
        headers: Vec::new(),
        body: b"{}".to_vec(),
        secrets: Vec::new(),
    }
}

fn strict() -> Client {
    Client::new(SendPolicy { timeout_ms: 5_000, ..SendPolicy::default() }).unwrap()
}

/// Listens on IPv4 and, where there is one, IPv6 loopback at one port, and counts who connects.
async fn canary() -> (u16, Arc<AtomicUsize>) {
    let received_text = Arc::new(AtomicUsize::new(0));
    let four = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = four.local_addr().unwrap().port();
    let six = tokio::net::TcpListener::bind(("::1", port)).await.ok();
    for listener in [Some(four), six].into_iter().flatten() {
        let received_text = Arc::clone(&received_text);
        tokio::spawn(async move {
            while listener.accept().await.is_ok() {
                received_text.fetch_add(1, Ordering::SeqCst);
            }
        });
    }
    (port, received_text)
}

#[tokio::test]
async fn no_spelling_of_a_private_address_reaches_the_canary() {
    assert!(REFUSED.len() >= 40);
    let (port, received_text) = canary().await;
    let client = strict();
    for host in REFUSED {
        for scheme in ["http", "https"] {
            let reply = client.send(&request(format!("{scheme}://{host}:{port}/"))).await;
            // Not every resolver knows the rooted name; then nothing is reached either.
            let unknown = *host == "localhost." && matches!(reply, Reply::Failed(_));
            assert!(unknown || matches!(reply, Reply::Forbidden(_)), "{scheme}://{host}: {reply:?}");
        }
    }
    assert_eq!(received_text.load(Ordering::SeqCst), 0, "the canary was reached");
}

#[tokio::test]
async fn the_canary_is_reached_where_the_destination_allows_it() {
    let (port, received_text) = canary().await;
    let policy = SendPolicy { allow_private_network: true, timeout_ms: 200, ..SendPolicy::default() };
    let client = Client::new(policy).unwrap();
    for host in ["127.0.0.1", "2130706433", "localhost"] {
        let reply = client.send(&request(format!("http://{host}:{port}/"))).await;
        assert!(matches!(reply, Reply::Failed(_)), "the canary never answers: {reply:?}");
    }
    assert!(received_text.load(Ordering::SeqCst) >= 3);
}

#[tokio::test]
async fn names_are_looked_up_a_few_at_a_time_and_wait_within_their_attempts_time() {
    let (port, received_text) = canary().await;
    let policy = SendPolicy { allow_private_network: true, timeout_ms: 200, ..SendPolicy::default() };
    let client = Client::new(policy).unwrap();
    let most = u32::try_from(LOOKUPS).unwrap();
    let others = LOOKUP_PERMITS.acquire_many(most).await.unwrap();
    let reply = client.send(&request(format!("http://localhost:{port}/"))).await;
    assert!(matches!(reply, Reply::Failed(_)), "{reply:?}");
    assert_eq!(received_text.load(Ordering::SeqCst), 0, "the name was looked up beyond the most");
    client.send(&request(format!("http://127.0.0.1:{port}/"))).await;
    assert_eq!(received_text.load(Ordering::SeqCst), 1, "an address waits for no look-up");
    drop(others);
    client.send(&request(format!("http://localhost:{port}/"))).await;
    assert_eq!(received_text.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn what_is_no_plain_web_address_is_refused_even_where_private_ones_are_allowed() {
    let (port, received_text) = canary().await;
    let policy = SendPolicy { allow_private_network: true, ..SendPolicy::default() };
    let client = Client::new(policy).unwrap();
    for url in [
        format!("http://user:pass@127.0.0.1:{port}/"),
        format!("http://user@127.0.0.1:{port}/"),
        format!("http://:pass@127.0.0.1:{port}/"),
        format!("ftp://127.0.0.1:{port}/"),
        format!("gopher://127.0.0.1:{port}/"),
        format!("ws://127.0.0.1:{port}/"),
        "file:///etc/passwd".to_owned(),
        "data:text/plain,hello".to_owned(),
        "http://".to_owned(),
        "//127.0.0.1/".to_owned(),
        "not a url".to_owned(),
        String::new(),
    ] {
        let reply = client.send(&request(url.clone())).await;
        assert!(matches!(reply, Reply::Forbidden(_)), "{url}: {reply:?}");
    }
    assert_eq!(received_text.load(Ordering::SeqCst), 0);
}

#[test]
fn public_addresses_are_public() {
    for address in [
        "1.1.1.1",
        "8.8.8.8",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "192.0.1.0",
        "198.17.255.255",
        "198.20.0.0",
        "223.255.255.255",
        "2606:4700:4700::1111",
        "2a03:2880:f12f:83:face:b00c:0:25de",
        "2001:4860:4860::8888",
        "64:ff9b::8.8.8.8",
    ] {
        assert!(is_public(address.parse().unwrap()), "{address}");
    }
}

#[test]
fn of_a_name_with_both_only_the_public_addresses_are_used() {
    let found: Vec<IpAddr> =
        ["10.0.0.1", "1.1.1.1", "::1"].iter().map(|text| text.parse().unwrap()).collect();
    assert_eq!(filter(&found, false).unwrap(), [found[1]]);
    assert_eq!(filter(&found, true).unwrap(), found);
    let refused = filter(&found[..1], false).unwrap_err();
    assert_eq!(refused, SendRefused::PrivateName(found[0], 0));
}

proptest::proptest! {
    #[test]
    fn an_ipv6_address_that_embeds_a_private_ipv4_one_is_never_public(tail in 0u32..=u32::MAX, nat64 in proptest::bool::ANY) {
        let prefix: u128 = if nat64 { 0x0064_ff9b << 96 } else { 0xffff << 32 };
        let six = IpAddr::V6((prefix | u128::from(tail)).into());
        let four = IpAddr::V4(tail.into());
        proptest::prop_assert_eq!(is_public(six), nat64 && is_public(four));
    }
}
