//! A small file in MaxMind's format, written here: networks and the countries that they are in.

use std::net::IpAddr;

use ipnet::IpNet;

/// One node of the search tree: where to go by the next bit.
#[derive(Clone, Copy)]
enum Next {
    Nothing,
    Node(usize),
    Data(usize),
}

/// The bytes of a file that knows these networks, each with the country of its addresses.
pub fn of(networks: &[(&str, &str)]) -> Vec<u8> {
    let mut nodes = vec![[Next::Nothing; 2]];
    let mut data = Vec::new();
    for (network, country) in networks {
        let at = data.len();
        map(&mut data, 1);
        text(&mut data, "country");
        map(&mut data, 1);
        text(&mut data, "iso_code");
        text(&mut data, country);
        insert(&mut nodes, &network.parse().unwrap(), at);
    }
    let mut file = Vec::new();
    for node in &nodes {
        for next in node {
            let record = match next {
                Next::Nothing => nodes.len(),
                Next::Node(node) => *node,
                // 16 zero bytes part the tree from the data.
                Next::Data(at) => nodes.len() + 16 + at,
            };
            file.extend_from_slice(&u32::try_from(record).unwrap().to_be_bytes()[1..]);
        }
    }
    file.extend_from_slice(&[0; 16]);
    file.extend_from_slice(&data);
    file.extend_from_slice(b"\xab\xcd\xefMaxMind.com");
    metadata(&mut file, nodes.len());
    file
}

/// The bits of an IPv6 tree; IPv4 is below 96 zero bits.
fn insert(nodes: &mut Vec<[Next; 2]>, network: &IpNet, data: usize) {
    let (bits, length) = match network.network() {
        IpAddr::V4(four) => (u128::from(four.to_bits()), 96 + network.prefix_len()),
        IpAddr::V6(six) => (six.to_bits(), network.prefix_len()),
    };
    let mut node = 0;
    for depth in 0..length {
        let side = usize::from(bits >> (127 - depth) & 1 == 1);
        if depth + 1 == length {
            nodes[node][side] = Next::Data(data);
        } else if let Next::Node(next) = nodes[node][side] {
            node = next;
        } else {
            nodes.push([Next::Nothing; 2]);
            nodes[node][side] = Next::Node(nodes.len() - 1);
            node = nodes.len() - 1;
        }
    }
}

fn metadata(file: &mut Vec<u8>, nodes: usize) {
    map(file, 9);
    text(file, "node_count");
    file.push(6 << 5 | 4);
    file.extend_from_slice(&u32::try_from(nodes).unwrap().to_be_bytes());
    for (name, number) in [
        ("record_size", 24_u16),
        ("ip_version", 6),
        ("binary_format_major_version", 2),
        ("binary_format_minor_version", 0),
    ] {
        text(file, name);
        file.push(5 << 5 | 2);
        file.extend_from_slice(&number.to_be_bytes());
    }
    text(file, "database_type");
    text(file, "Test-Country");
    text(file, "build_epoch");
    file.extend_from_slice(&[8, 2]);
    file.extend_from_slice(&1_790_000_000_u64.to_be_bytes());
    text(file, "languages");
    // An empty list: of an extended type, the 4th.
    file.extend_from_slice(&[0, 4]);
    text(file, "description");
    map(file, 1);
    text(file, "en");
    text(file, "For tests");
}

fn map(file: &mut Vec<u8>, pairs: u8) {
    file.push(7 << 5 | pairs);
}

fn text(file: &mut Vec<u8>, text: &str) {
    assert!(text.len() < 29);
    file.push(2 << 5 | u8::try_from(text.len()).unwrap());
    file.extend_from_slice(text.as_bytes());
}
