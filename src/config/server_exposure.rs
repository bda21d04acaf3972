//! Warnings of a server that lets others read what it is sent, or pretend to be someone else.

use std::net::{Ipv4Addr, SocketAddr};

use ipnet::{IpNet, Ipv4Net};
use url::Url;

use crate::config::configuration::Config;
use crate::config::exposure::{goes_in_clear, oddity};
use crate::domain::address;
use crate::template::diagnostic::{LintCode, Problem};
use crate::template::toml_doc::table::Table;

/// Keeps the warnings of `[server]` and `[api]`. `root` is asked only for lines.
pub fn remark(root: &Table<'_>, config: &Config) {
    if let Some(server) = root.table_or_default("server") {
        warn_of_plain_public_url(&server, config);
        warn_of_wide_proxies(&server, config);
        warn_of_open_ports(&server, config);
    }
    let Some(api) = root.table("api") else { return };
    for (entry, token) in api.tables("tokens").iter().zip(&config.api.tokens) {
        if let Some(oddity) = oddity(token.token.reveal()) {
            let what = format!("the token `{}` {oddity}", token.name);
            entry.warning("token", what, "make a new one: openssl rand -hex 24");
        }
    }
}

fn warn_of_plain_public_url(server: &Table<'_>, config: &Config) {
    let url = &config.server.public_url;
    let is_plain = Url::parse(url).is_ok_and(|url| goes_in_clear(&url));
    if is_plain && server.has("public_url") {
        let what = format!("`public_url` is {url}: keys, tokens and visitors' data travel in clear text");
        let hint = "have a proxy or [server.tls] take https, and begin it with https://";
        let line = server.line_of("public_url");
        server.document().warning(line, Problem::new(what, hint).coded(LintCode::PlainHttp));
    }
}

fn warn_of_wide_proxies(server: &Table<'_>, config: &Config) {
    for network in config.server.trusted_proxies.iter().filter(|network| is_anyone(network)) {
        let what = format!(
            "`trusted_proxies` has {network}: nearly everyone may say which address a request is from"
        );
        server.warning("trusted_proxies", what, "name the addresses of your own proxies: [\"10.0.0.5\"]");
    }
}

fn warn_of_open_ports(server: &Table<'_>, config: &Config) {
    let settings = &config.server;
    if settings.tls.is_some() || !settings.trusted_proxies.is_empty() {
        return;
    }
    let is_open = |address: &SocketAddr| address.ip().is_unspecified() || address::is_visitors(address.ip());
    let ports = [("listen", Some(settings.listen)), ("admin_listen", settings.admin_listen)];
    for (key, address) in ports {
        if let Some(address) = address.filter(is_open) {
            let what = format!(
                "`{key}` is {address}, open to every network, without TLS and without a proxy in front"
            );
            let hint = "add [server.tls]; or listen on 127.0.0.1 behind a proxy that takes https, and name it in \
                        `trusted_proxies`";
            server.warning(key, what, hint);
        }
    }
}

/// Whether a network is so wide that no one's proxies fill it: wider than any network of a large proxy
/// service, and not one of those that are never on the internet.
fn is_anyone(network: &IpNet) -> bool {
    let inner = INNER_NETWORKS.iter().filter_map(|inner| inner.parse::<IpNet>().ok());
    if inner.into_iter().any(|inner| inner.contains(network)) {
        return false;
    }
    match network {
        IpNet::V4(network) => network.prefix_len() < NARROWEST_V4,
        IpNet::V6(network) => match (network.addr().to_ipv4_mapped(), network.prefix_len().checked_sub(96)) {
            // IPv4 within IPv6.
            (Some(address), Some(prefix)) => is_anyone_v4(address, prefix),
            _ => network.prefix_len() < NARROWEST_V6,
        },
    }
}

fn is_anyone_v4(address: Ipv4Addr, prefix: u8) -> bool {
    Ipv4Net::new(address, prefix).is_ok_and(|network| is_anyone(&IpNet::V4(network)))
}

/// Prefixes shorter than these are wider than what the large proxy services publish (2026-11: /13 and /29).
const NARROWEST_V4: u8 = 11;
const NARROWEST_V6: u8 = 20;

const INNER_NETWORKS: [&str; 8] = [
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "100.64.0.0/10",
    "fc00::/7",
    "fe80::/10",
];
