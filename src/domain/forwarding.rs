//! Whose a request is that proxies forwarded, and which of them keeps that from us. Pure.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::domain::address;

/// A proxy that keeps from us whose requests it forwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum HidingProxy {
    /// It has a private address and forwards, and no one declared it: what it says does not count.
    Undeclared(IpAddr),
    /// It is declared, and names no one in `X-Forwarded-For`.
    Silent(IpAddr),
}

impl HidingProxy {
    /// The proxy's own.
    pub fn address(self) -> IpAddr {
        match self {
            HidingProxy::Undeclared(address) | HidingProxy::Silent(address) => address,
        }
    }
}

/// Whose a request is, as far as declared proxies say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sender {
    /// The visitor's, or that of the proxy that hides the visitor.
    pub address: IpAddr,
    /// `None`: the address is the visitor's.
    pub hidden_by: Option<HidingProxy>,
}

/// Whether `address` is one of those that may forward.
pub fn is_declared(address: IpAddr, trusted: &[IpNet]) -> bool {
    trusted.iter().any(|network| network.contains(&address))
}

/// Follows a request back through declared proxies. `hops` are the entries of `X-Forwarded-For`, the last one
/// first; one without an address (`unknown`) is passed over: behind a declared proxy it can only be another
/// proxy's. `peer_forwards` answers whether other headers say that the connection's own end forwards. Addresses
/// are in their one spelling (`IpAddr::to_canonical`).
pub fn sender(
    peer: IpAddr,
    mut hops: impl Iterator<Item = Option<IpAddr>>,
    peer_forwards: impl FnOnce() -> bool,
    trusted: &[IpNet],
) -> Sender {
    let mut address = peer;
    while is_declared(address, trusted) {
        match hops.find_map(|hop| hop) {
            Some(next) => address = next,
            None => return Sender { address, hidden_by: silent(address, trusted) },
        }
    }
    // Whatever a visitor on the internet writes, it is a visitor.
    let forwards =
        !address::is_visitors(address) && (hops.next().is_some() || (address == peer && peer_forwards()));
    Sender { address, hidden_by: forwards.then_some(HidingProxy::Undeclared(address)) }
}

/// The declared proxy that named no one. One that is declared by a whole network of public addresses may as well
/// be a visitor from there.
fn silent(address: IpAddr, trusted: &[IpNet]) -> Option<HidingProxy> {
    let is_itself = |network: &IpNet| network.prefix_len() == network.max_prefix_len();
    let is_proxy = !address::is_visitors(address)
        || trusted.iter().any(|network| is_itself(network) && network.contains(&address));
    is_proxy.then_some(HidingProxy::Silent(address))
}
