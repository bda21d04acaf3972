//! Requests with tokens, without, and from other addresses of this machine.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use crate::support::relay::{Answer, CAMPAIGN, Setup, parse};

pub const WRONG: &str = "another-token-0123456789";
/// The tokens of [`tokens`], each with one right.
pub const NETWORK: &str = "token-of-the-network-8841";
pub const READER: &str = "token-of-a-reader-8842-xy";
pub const ADVERTISER: &str = "token-of-an-advertiser-8843";
pub const TAG: &str = "\n[tag]\norigins = [\"https://shop.example\"]\n";

pub fn setup(folder: &Path, server: &str) -> Setup {
    let mut setup = Setup::cake_to_meta(folder, "127.0.0.1:9".parse().unwrap());
    setup.extra.push_str(&[CAMPAIGN, TAG].concat());
    setup.server = server.to_owned();
    setup
}

/// The table of an API that has a token for each right.
pub fn tokens() -> String {
    let of_advertiser = "rights = [\"advertiser\"], advertiser = \"31\"";
    let token = |name: &str, token: &str, rights: &str| {
        format!("    {{ name = \"{name}\", token = \"{token}\", {rights} }},\n")
    };
    let all = [
        token("ops", NETWORK, "rights = [\"network\"]"),
        token("eyes", READER, "rights = [\"read\"]"),
        token("acme", ADVERTISER, of_advertiser),
    ];
    format!("[api]\ntokens = [\n{}]", all.concat())
}

/// Sends bytes from an address of this machine's own.
pub fn ask_from(local: [u8; 4], address: SocketAddr, request: &str) -> Answer {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let connect = async {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind((Ipv4Addr::from(local), 0).into()).unwrap();
        socket.connect(address).await.unwrap().into_std().unwrap()
    };
    let mut stream = runtime.block_on(connect);
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    parse(answer).unwrap()
}

pub fn get(path: &str, headers: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n{headers}\r\n")
}

pub fn bearer(path: &str, token: &str) -> String {
    get(path, &format!("Authorization: Bearer {token}\r\n"))
}

pub fn sign_in(token: &str, headers: &str) -> String {
    let form = format!("token={token}");
    format!(
        "POST /sign-in HTTP/1.1\r\nHost: test\r\nContent-Type: application/x-www-form-urlencoded\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n{form}",
        form.len()
    )
}

pub fn header<'a>(answer: &'a Answer, name: &str) -> &'a str {
    let line = answer.head.lines().find_map(|line| {
        let (known, value) = line.split_once(": ")?;
        known.eq_ignore_ascii_case(name).then_some(value)
    });
    line.unwrap_or("")
}

pub fn pixel(headers: &str, number: usize) -> String {
    get(&format!("/pixel.gif?offer=565&transaction_id=T{number}"), headers)
}

pub fn log(folder: &Path) -> String {
    fs::read_to_string(folder.join("serve.log")).unwrap()
}
