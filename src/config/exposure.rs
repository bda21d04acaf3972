//! Warnings of what lets others read secrets or pretend to be someone else: plain http over the internet,
//! proxies that may be anyone, secrets that were pasted with more than themselves.

use std::net::IpAddr;

use url::{Host, Url};

use crate::domain::address;
use crate::template::destination::ready::ReadyDestination;
use crate::template::macros::url::MacroUrl;
use crate::template::toml_doc::table::Table;

/// Warns of a destination whose token is sent in clear text. `key` is where the file says so.
pub fn warn_of_plain_secrets(section: &Table<'_>, key: &str, destination: &ReadyDestination) {
    let sends = destination.mode().sends();
    if let Some(url) = destination.secrets_go_to().into_iter().find(|url| sends && goes_in_clear(url)) {
        let host = url.host_str().unwrap_or_default();
        let what = format!("`{key}` leads to {host} by http: tokens and keys are sent there in clear text");
        section.warning(key, what, "begin the address with https://");
    }
}

/// Warns of a secret that holds what no platform's token does. It is not shown.
pub fn warn_of_odd_secret(section: &Table<'_>, key: &str, secret: &str) {
    if let Some(oddity) = oddity(secret) {
        section.warning(key, format!("`{key}` {oddity}"), "paste the token again, alone and whole");
    }
}

/// As [`warn_of_odd_secret`], of the parts of a URL that are secret.
pub fn warn_of_odd_url(section: &Table<'_>, key: &str, url: &MacroUrl) {
    if let Some(oddity) = url.secrets().iter().find_map(|secret| oddity(secret)) {
        section.warning(key, format!("`{key}` {oddity}"), "paste the address again, alone and whole");
    }
}

/// What of a secret no platform's token has: nothing of the secret itself is in it.
pub(super) fn oddity(secret: &str) -> Option<String> {
    let lower = secret.to_ascii_lowercase();
    if let Some(word) = HEADER_WORDS.into_iter().find(|word| lower.starts_with(&word.to_ascii_lowercase())) {
        return Some(format!("begins with `{}`, which is of the header and not of the token", word.trim()));
    }
    let odd = secret.chars().find(|c| !c.is_ascii_graphic() || matches!(c, '"' | '\'' | '`'))?;
    Some(match odd {
        '"' | '\'' | '`' => "holds a quotation mark".to_owned(),
        odd if odd.is_whitespace() => "holds white space".to_owned(),
        odd => format!("holds U+{:04X}, which is not a character of any token", u32::from(odd)),
    })
}

/// What is pasted with a token where it was taken from a request.
const HEADER_WORDS: [&str; 4] = ["Bearer ", "Basic ", "Token ", "Authorization:"];

/// Whether what is sent there can be read on its way: plain http, and not within a network of one's own.
pub(super) fn goes_in_clear(url: &Url) -> bool {
    url.scheme() == "http" && url.host().is_some_and(|host| is_public(&host))
}

/// Whether a host is out on the internet, as far as its name says.
fn is_public(host: &Host<&str>) -> bool {
    match host {
        Host::Ipv4(ip) => address::is_visitors(IpAddr::V4(*ip)),
        Host::Ipv6(ip) => address::is_visitors(IpAddr::V6(*ip)),
        Host::Domain(name) => {
            let name = name.trim_end_matches('.');
            name.contains('.') && !INNER_NAMES.iter().any(|inner| name.ends_with(inner))
        }
    }
}

/// How names end that are no one's on the internet (RFC 6761, RFC 6762, RFC 8375, RFC 9476 and custom).
const INNER_NAMES: [&str; 7] =
    [".localhost", ".local", ".internal", ".home.arpa", ".lan", ".test", ".localdomain"];

/// Whether the host surely is at a private or loopback address, as far as its name says.
pub fn is_private(host: &Host) -> bool {
    match host {
        Host::Ipv4(ip) => ip.is_private() || ip.is_loopback() || ip.is_link_local(),
        Host::Ipv6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
        Host::Domain(name) => name == "localhost" || name.ends_with(".localhost"),
    }
}
