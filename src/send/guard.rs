//! Which addresses may be reached from here: public ones, unless a destination says otherwise.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use ipnet::{Ipv4Net, Ipv6Net};
use parking_lot::Mutex;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::Semaphore;
use url::{Host, Url};

use crate::domain::exchange::SendRefused;

const fn v4(a: u8, b: u8, c: u8, d: u8, bits: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), bits)
}

const fn v6(a: u16, b: u16, c: u16, bits: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0), bits)
}

/// The special-purpose registry of IPv4 (<https://www.iana.org/assignments/iana-ipv4-special-registry>,
/// 2026-08): everything in it that is not the open internet.
const REFUSED_V4: [Ipv4Net; 15] = [
    v4(0, 0, 0, 0, 8),
    v4(10, 0, 0, 0, 8),
    v4(100, 64, 0, 0, 10),
    v4(127, 0, 0, 0, 8),
    v4(169, 254, 0, 0, 16),
    v4(172, 16, 0, 0, 12),
    v4(192, 0, 0, 0, 24),
    v4(192, 0, 2, 0, 24),
    v4(192, 88, 99, 0, 24),
    v4(192, 168, 0, 0, 16),
    v4(198, 18, 0, 0, 15),
    v4(198, 51, 100, 0, 24),
    v4(203, 0, 113, 0, 24),
    v4(224, 0, 0, 0, 4),
    v4(240, 0, 0, 0, 4),
];

/// The same for IPv6. `::/8` holds loopback, the unspecified address and every IPv4-mapped and
/// IPv4-compatible one; `fc00::/7` holds the metadata address `fd00:ec2::254`.
const REFUSED_V6: [Ipv6Net; 12] = [
    v6(0, 0, 0, 8),
    v6(0x64, 0xff9b, 1, 48),
    v6(0x100, 0, 0, 64),
    v6(0x2001, 0, 0, 23),
    v6(0x2001, 0xdb8, 0, 32),
    v6(0x2002, 0, 0, 16),
    v6(0x3fff, 0, 0, 20),
    v6(0x5f00, 0, 0, 16),
    v6(0xfc00, 0, 0, 7),
    v6(0xfe80, 0, 0, 10),
    v6(0xfec0, 0, 0, 10),
    v6(0xff00, 0, 0, 8),
];

/// NAT64: the last 32 bits are the IPv4 address that is really reached.
const NAT64: Ipv6Net = v6(0x64, 0xff9b, 0, 96);

/// Whether an address is one of the public internet.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !REFUSED_V4.iter().any(|net| net.contains(&address)),
        IpAddr::V6(address) if NAT64.contains(&address) => {
            let [.., a, b, c, d] = address.octets();
            is_public(IpAddr::V4(Ipv4Addr::new(a, b, c, d)))
        }
        IpAddr::V6(address) => !REFUSED_V6.iter().any(|net| net.contains(&address)),
    }
}

/// Reads a URL and refuses what can be refused before a name is resolved. The HTTP client skips its
/// resolver where the host is an address, so an address is classified here.
///
/// # Errors
/// When the URL is no web address, holds credentials, or names an address that may not be reached.
pub fn check_url(text: &str, allow_private_network: bool) -> Result<Url, SendRefused> {
    let url = Url::parse(text).map_err(|cause| SendRefused::Unreadable(cause.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(SendRefused::Scheme(url.scheme().to_owned()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(SendRefused::UserInfo);
    }
    let literal = match url.host() {
        Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
        Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
        Some(Host::Domain(_)) => None,
        None => return Err(SendRefused::Unreadable("it names no host".to_owned())),
    };
    match literal {
        Some(address) if !allow_private_network && !is_public(address) => Err(SendRefused::Private(address)),
        _ => Ok(url),
    }
}

/// Keeps of a name's addresses those that may be reached.
///
/// # Errors
/// When the name has addresses and none of them may be reached.
pub fn filter(found: &[IpAddr], allow_private_network: bool) -> Result<Vec<IpAddr>, SendRefused> {
    let allowed: Vec<IpAddr> =
        found.iter().copied().filter(|address| allow_private_network || is_public(*address)).collect();
    match found.first() {
        Some(first) if allowed.is_empty() => Err(SendRefused::PrivateName(*first, found.len() as u64 - 1)),
        _ => Ok(allowed),
    }
}

/// How many names are looked up at a time, by all destinations. Each look-up takes one of the 512 threads on which
/// the store waits for its disk too, and a name server that hangs must not take them all.
pub const LOOKUPS: usize = 64;

/// Permits to look up a name. What waits for one waits within its attempt's time limit.
pub static LOOKUP_PERMITS: Semaphore = Semaphore::const_new(LOOKUPS);

type Lookup = Shared<BoxFuture<'static, Result<Arc<[IpAddr]>, String>>>;

/// Resolves a name once and hands the client only addresses that may be reached, so that no second
/// look-up can answer otherwise. Look-ups of one name that run at the same time are one look-up, and at most
/// [`LOOKUPS`] names are looked up at a time: a name server that hangs costs no more threads.
#[derive(Clone, Default)]
pub struct Resolver {
    allow_private_network: bool,
    running: Arc<Mutex<HashMap<String, Lookup>>>,
}

impl Resolver {
    /// `allow_private_network` lets names resolve to addresses that are not public, such as an own server's.
    pub fn new(allow_private_network: bool) -> Resolver {
        Resolver { allow_private_network, running: Arc::default() }
    }

    fn look_up(&self, name: &str) -> Lookup {
        let mut running = self.running.lock();
        if let Some(lookup) = running.get(name) {
            return lookup.clone();
        }
        let (owned, table) = (name.to_owned(), Arc::clone(&self.running));
        // Its own task: a look-up whose askers have all gone must still leave the table.
        let task = tokio::spawn(async move {
            let found = system_lookup(&owned).await;
            table.lock().remove(&owned);
            found
        });
        let lookup =
            async move { task.await.unwrap_or_else(|cause| Err(cause.to_string())) }.boxed().shared();
        running.insert(name.to_owned(), lookup.clone());
        lookup
    }
}

async fn system_lookup(name: &str) -> Result<Arc<[IpAddr]>, String> {
    let _permit = LOOKUP_PERMITS.acquire().await.map_err(|closed| closed.to_string())?;
    match tokio::net::lookup_host((name, 0)).await {
        Ok(found) => Ok(found.map(|address| address.ip()).collect()),
        Err(cause) => Err(cause.to_string()),
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let lookup = self.look_up(name.as_str());
        let allow = self.allow_private_network;
        Box::pin(async move {
            let found = lookup.await?;
            let allowed = filter(&found, allow)?;
            let addresses: Addrs = Box::new(allowed.into_iter().map(|address| SocketAddr::new(address, 0)));
            Ok(addresses)
        })
    }
}
