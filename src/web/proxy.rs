//! What is in front of us: whose a forwarded request is, proxies that hide it, and whether a connection is https.

use std::collections::BTreeMap;
use std::net::IpAddr;

use http::{HeaderMap, HeaderName, header};
use ipnet::IpNet;
use parking_lot::Mutex;
use tracing::warn;

use crate::domain::address;
use crate::domain::forwarding::{self, HidingProxy, Sender, is_declared};
use crate::domain::time::{HOUR_MS, Time};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// The headers in which proxies name the visitor's address.
const FORWARDED: [HeaderName; 3] = [FORWARDED_FOR, header::FORWARDED, HeaderName::from_static("x-real-ip")];
const PROTOCOL: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Whose a request is. `peer` is in its one spelling (`IpAddr::to_canonical`).
pub fn sender(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> Sender {
    // Few headers come with a request: to compare their names is faster than to look three up.
    let peer_forwards = || headers.keys().any(|name| FORWARDED.contains(name));
    forwarding::sender(peer, hops_back(headers), peer_forwards, trusted)
}

/// The entries of `X-Forwarded-For`, the last one first; `None` where there is no address in one.
fn hops_back(headers: &HeaderMap) -> impl Iterator<Item = Option<IpAddr>> {
    let values = headers.get_all(FORWARDED_FOR).into_iter().rev();
    let entries = values.flat_map(|value| value.as_bytes().rsplit(|byte| *byte == b','));
    let entries = entries.filter(|entry| !entry.trim_ascii().is_empty());
    entries.map(|entry| std::str::from_utf8(entry).ok().and_then(address::parse))
}

/// The most hops that are kept of a request.
const MOST_HOPS: usize = 8;

/// The addresses that a request was forwarded by, as far as they are named: the farthest first, last the
/// connection's own.
pub fn hops(peer: IpAddr, headers: &HeaderMap) -> Vec<IpAddr> {
    let mut hops: Vec<IpAddr> =
        std::iter::once(peer).chain(hops_back(headers).flatten()).take(MOST_HOPS).collect();
    hops.reverse();
    hops
}

/// Whether a declared proxy says that the visitor's request reached it by https.
pub fn says_https(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> bool {
    if !is_declared(peer.to_canonical(), trusted) {
        return false;
    }
    let said = headers.get(PROTOCOL).and_then(|value| value.to_str().ok()).unwrap_or_default();
    // Of several proxies the first one spoke with the visitor.
    said.split(',').next().is_some_and(|first| first.trim().eq_ignore_ascii_case("https"))
}

/// The proxies that lately forwarded requests and hid whose they are. Each is warned of once.
#[derive(Default)]
pub struct HidingProxies(Mutex<KnownProxies>);

#[derive(Default)]
struct KnownProxies {
    trusted: Vec<IpNet>,
    seen: BTreeMap<HidingProxy, Time>,
}

/// The most that are named.
const MOST_NAMED: usize = 16;
/// One that forwards nothing for so long is not named any more.
const NAMED_MS: i64 = 24 * HOUR_MS;

impl HidingProxies {
    /// From now on these proxies are declared: what is not true of them any more is forgotten.
    pub fn set_trusted(&self, trusted: &[IpNet]) {
        let mut known = self.0.lock();
        trusted.clone_into(&mut known.trusted);
        let KnownProxies { trusted, seen } = &mut *known;
        seen.retain(|proxy, _| is_true(*proxy, trusted));
    }

    /// Notes a request of such a proxy; the first one leaves a line in the log. A request that began before a
    /// reload may be noted after it: what the reload made untrue is not.
    pub fn note(&self, proxy: HidingProxy, now: Time) {
        let mut known = self.0.lock();
        let KnownProxies { trusted, seen } = &mut *known;
        if !is_true(proxy, trusted) {
            return;
        }
        if seen.len() >= MOST_NAMED && !seen.contains_key(&proxy) {
            seen.retain(|_, at| now.millis_since(*at) < NAMED_MS);
            if seen.len() >= MOST_NAMED {
                return;
            }
        }
        if seen.insert(proxy, now).is_none() {
            log(proxy, &fix(proxy, trusted));
        }
    }

    /// Those that forwarded lately, each with what to write into the configuration: ours, or its own.
    pub fn named(&self, now: Time) -> Vec<(HidingProxy, String)> {
        let known = self.0.lock();
        let lately = known.seen.iter().filter(|(_, at)| now.millis_since(**at) < NAMED_MS);
        lately.map(|(proxy, _)| (*proxy, fix(*proxy, &known.trusted))).collect()
    }
}

/// Whether what is said of the proxy holds where these are declared.
fn is_true(proxy: HidingProxy, trusted: &[IpNet]) -> bool {
    match proxy {
        HidingProxy::Undeclared(address) => !is_declared(address, trusted),
        HidingProxy::Silent(address) => is_declared(address, trusted),
    }
}

fn log(proxy: HidingProxy, fix: &str) {
    let address = proxy.address();
    match proxy {
        HidingProxy::Undeclared(_) => warn!(
            proxy = %address,
            "requests are forwarded by a proxy that is not declared: its visitors' addresses are not known, and \
             limits by address are off for them; declare it under [server]: {fix}"
        ),
        HidingProxy::Silent(_) => warn!(
            proxy = %address,
            "a declared proxy sends requests without X-Forwarded-For: its visitors' addresses are not known, and \
             limits by address are off for them; write into its own configuration, if it is nginx: {fix} (nothing is \
             wrong if you asked from its own machine)"
        ),
    }
}

/// The line of configuration that ends it: of an undeclared proxy ours, with those that are declared already.
fn fix(proxy: HidingProxy, trusted: &[IpNet]) -> String {
    let HidingProxy::Undeclared(address) = proxy else {
        return "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;".to_owned();
    };
    let shown = |network: &IpNet| match network.prefix_len() == network.max_prefix_len() {
        true => network.addr().to_string(),
        false => network.to_string(),
    };
    let all: Vec<String> = trusted.iter().map(shown).chain([address.to_string()]).collect();
    format!("trusted_proxies = {all:?}")
}
