//! IP addresses as senders write them, and which of them can be a visitor's.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::domain::text::trim;

/// An address however a proxy or a sender writes it: in brackets or quotes, with a port, with a zone, as
/// IPv4 within IPv6. In one spelling: IPv4 wherever it is one.
pub fn parse(text: &str) -> Option<IpAddr> {
    let text = trim(text);
    let text = text.strip_prefix('"').and_then(|inner| inner.strip_suffix('"')).map_or(text, trim);
    let bare = match text.strip_prefix('[') {
        Some(inner) => {
            let (address, port) = inner.split_once(']')?;
            (port.is_empty() || port.strip_prefix(':').is_some_and(is_port)).then_some(address)?
        }
        // A second colon: then it is IPv6, which has no port without brackets.
        None => match text.split_once(':') {
            Some((address, port)) if address.contains('.') && is_port(port) => address,
            _ => text,
        },
    };
    let bare = bare.split_once('%').map_or(bare, |(address, _)| address);
    bare.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

fn is_port(text: &str) -> bool {
    (1..=5).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
}

/// Whether a visitor on the internet can have this address. Private networks, this machine, links,
/// carriers' inner networks, multicast and the like cannot: such a one is a proxy's or a server's. The
/// ranges for documentation are as good as any other.
pub fn is_visitors(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_visitors_v4(address),
        IpAddr::V6(address) => is_visitors_v6(address),
    }
}

fn is_visitors_v4(address: Ipv4Addr) -> bool {
    let [first, second, third, _] = address.octets();
    let is_this_network = first == 0;
    let is_carriers = first == 100 && (64..128).contains(&second);
    let is_protocols = first == 192 && second == 0 && third == 0;
    // Reserved, and at its end the broadcast address.
    let is_reserved = first >= 240;
    !(is_this_network
        || address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || is_carriers
        || is_protocols
        || address.is_multicast()
        || is_reserved)
}

fn is_visitors_v6(address: Ipv6Addr) -> bool {
    let [first, ..] = address.segments();
    let is_site_local = first & 0xffc0 == 0xfec0;
    !(address.is_unspecified()
        || address.is_loopback()
        || address.is_unicast_link_local()
        || address.is_unique_local()
        || is_site_local
        || address.is_multicast())
}

/// The first address of a text, or of a list of them divided by commas, that can be a visitor's.
pub fn visitors(text: &str) -> Option<IpAddr> {
    text.split(',').filter_map(parse).find(|address| is_visitors(*address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_however_a_proxy_writes_it_and_has_one_spelling() {
        for (text, expected) in [
            ("198.51.100.7", "198.51.100.7"),
            (" 198.51.100.7:51008 ", "198.51.100.7"),
            ("\"198.51.100.7\"", "198.51.100.7"),
            ("[2001:db8::7]:51008", "2001:db8::7"),
            ("\"[2001:DB8::7]:51008\"", "2001:db8::7"),
            ("[2001:db8:0:0::7]", "2001:db8::7"),
            ("2001:db8::7", "2001:db8::7"),
            ("fe80::1%eth0", "fe80::1"),
            ("::ffff:198.51.100.7", "198.51.100.7"),
            ("[::ffff:c633:6407]:80", "198.51.100.7"),
            ("\u{feff}198.51.100.7\u{200b}", "198.51.100.7"),
        ] {
            assert_eq!(parse(text).map(|ip| ip.to_string()).as_deref(), Some(expected), "{text}");
        }
        for not in [
            "",
            "unknown",
            "_hidden",
            "198.51.100",
            "198.51.100.7:",
            "[2001:db8::7",
            "[]",
            "[::1]x",
            "1.2.3.4:x",
            "1.2.3.4.5",
            "for=1.2.3.4",
        ] {
            assert_eq!(parse(not), None, "{not}");
        }
    }

    #[test]
    fn an_address_of_an_inner_network_is_no_visitors() {
        for not in [
            "10.0.0.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "127.0.0.1",
            "169.254.1.1",
            "100.64.0.1",
            "100.127.255.255",
            "0.0.0.0",
            "0.1.2.3",
            "224.0.0.1",
            "239.1.1.1",
            "255.255.255.255",
            "240.0.0.1",
            "192.0.0.1",
            "::",
            "::1",
            "fe80::1",
            "fc00::1",
            "fd12::1",
            "ff02::1",
            "fec0::1",
            "::ffff:10.0.0.3",
            "::ffff:127.0.0.1",
        ] {
            assert!(!is_visitors(not.parse().unwrap()), "{not}");
        }
        for visitor in [
            "198.51.100.7",
            "203.0.113.9",
            "192.0.2.1",
            "2001:db8::7",
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.1",
            "172.32.0.1",
            "2a00:1450::1",
            "::ffff:8.8.8.8",
            "192.0.1.1",
        ] {
            assert!(is_visitors(visitor.parse().unwrap()), "{visitor}");
        }
        assert_eq!(visitors("10.0.0.3, unknown, 198.51.100.7, 203.0.113.9"), "198.51.100.7".parse().ok());
        assert_eq!(visitors("10.0.0.3,::1"), None);
    }
}
