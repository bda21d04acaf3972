//! What is in front of us: proxies that forward without being declared, and whether a connection is https.

use std::collections::BTreeMap;
use std::net::IpAddr;

use http::{HeaderMap, HeaderName, header};
use ipnet::IpNet;
use parking_lot::Mutex;
use tracing::warn;

use crate::domain::address;
use crate::domain::time::{HOUR_MS, Time};
use crate::web::per_address::LimitKey;

/// The headers in which proxies name the visitor's address.
const FORWARDED: [HeaderName; 3] =
    [HeaderName::from_static("x-forwarded-for"), header::FORWARDED, HeaderName::from_static("x-real-ip")];
const PROTOCOL: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Whether `peer` is one of those that may forward.
fn is_declared(peer: IpAddr, trusted: &[IpNet]) -> bool {
    trusted.iter().any(|net| net.contains(&peer))
}

/// Whether no limit by address can be kept for this peer: it has a private or loopback address and
/// forwards, so it is a proxy, and as no one declared it, what it says of its visitors does not count.
/// `peer` is in its one spelling (`IpAddr::to_canonical`).
pub fn is_undeclared(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> bool {
    !address::is_visitors(peer)
        && FORWARDED.iter().any(|name| headers.contains_key(name))
        && !is_declared(peer, trusted)
}

/// Whose requests a limit counts together: those of one `client`, or of all who come through a proxy that
/// is not declared.
pub fn limit_key(peer: IpAddr, client: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> LimitKey {
    match is_undeclared(peer, headers, trusted) {
        true => LimitKey::UndeclaredProxy(peer),
        false => LimitKey::of(client),
    }
}

/// Whether a declared proxy says that the visitor came to it by https.
pub fn says_https(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> bool {
    let Some(said) = headers.get(PROTOCOL).and_then(|value| value.to_str().ok()) else { return false };
    // Of several proxies the first one spoke with the visitor.
    let first = said.split(',').next().unwrap_or_default().trim();
    first.eq_ignore_ascii_case("https") && is_declared(peer.to_canonical(), trusted)
}

/// The proxies that forwarded lately without being declared. Each is warned of once.
#[derive(Default)]
pub struct UndeclaredProxies(Mutex<BTreeMap<IpAddr, Time>>);

/// The most that are named.
const MOST_NAMED: usize = 16;
/// One that forwards nothing for so long is not named any more.
const NAMED_MS: i64 = 24 * HOUR_MS;

impl UndeclaredProxies {
    /// Notes a request of such a proxy; the first one leaves a line in the log.
    pub fn note(&self, proxy: IpAddr, now: Time) {
        let mut seen = self.0.lock();
        if seen.len() >= MOST_NAMED && !seen.contains_key(&proxy) {
            seen.retain(|_, at| now.millis_since(*at) < NAMED_MS);
            if seen.len() >= MOST_NAMED {
                return;
            }
        }
        if seen.insert(proxy, now).is_none() {
            warn!(
                %proxy,
                "requests are forwarded by a proxy that is not declared: its visitors' addresses are not \
                 known, and limits by address are off for them; declare it under [server]: {}",
                fix(proxy)
            );
        }
    }

    /// Those that forwarded lately.
    pub fn named(&self, now: Time) -> Vec<IpAddr> {
        let seen = self.0.lock();
        seen.iter().filter(|(_, at)| now.millis_since(**at) < NAMED_MS).map(|(proxy, _)| *proxy).collect()
    }

    /// Forgets those that are declared now.
    pub fn forget(&self, trusted: &[IpNet]) {
        self.0.lock().retain(|proxy, _| !is_declared(*proxy, trusted));
    }
}

/// What to write into the configuration.
pub fn fix(proxy: IpAddr) -> String {
    format!("trusted_proxies = [\"{proxy}\"]")
}
