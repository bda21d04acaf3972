//! How often one address may ask in a second, in bounded memory.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};

use parking_lot::Mutex;

use crate::domain::forwarding::Sender;
use crate::domain::time::Time;

/// Whose requests a limit per address counts together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LimitKey {
    /// One address; of IPv6 its /64, which one home has.
    Address(IpAddr),
    /// All who come through a proxy that hides their addresses.
    BehindProxy(IpAddr),
}

impl LimitKey {
    /// Of a visitor whose address is known.
    pub fn of(address: IpAddr) -> LimitKey {
        LimitKey::Address(home_of(address))
    }

    /// The address, or the proxy that hides it.
    pub fn of_sender(sender: Sender) -> LimitKey {
        match sender.hidden_by {
            Some(proxy) => LimitKey::BehindProxy(proxy.address()),
            None => LimitKey::of(sender.address),
        }
    }

    /// The address, where visitors can be distinguished by it.
    pub fn address(self) -> Option<IpAddr> {
        match self {
            LimitKey::Address(address) => Some(address),
            LimitKey::BehindProxy(_) => None,
        }
    }
}

/// Counts by address within the running second.
#[derive(Debug)]
pub struct PerAddress {
    most: u32,
    window: Mutex<Window>,
}

/// Addresses counted in one second; those beyond are counted together.
const COUNTED: usize = 4096;
/// So many times the rate of one address is let through for all visitors of a proxy that hides them, and
/// for all addresses that are counted together.
pub const BEHIND_PROXY: u32 = 100;

#[derive(Debug, Default)]
struct Window {
    second: i64,
    asked: HashMap<LimitKey, u32>,
    /// Of the addresses beyond those.
    others: u32,
}

impl PerAddress {
    /// Lets `most` through in each second of the clock.
    pub fn new(most: u32) -> PerAddress {
        PerAddress { most, window: Mutex::default() }
    }

    /// Counts one more, and says whether it may come in.
    pub fn admits(&self, key: LimitKey, now: Time) -> bool {
        let mut window = self.window.lock();
        if window.second != now.as_seconds() {
            window.second = now.as_seconds();
            window.asked.clear();
            window.others = 0;
        }
        let of_many = self.most.saturating_mul(BEHIND_PROXY);
        if window.asked.len() >= COUNTED && !window.asked.contains_key(&key) {
            window.others = window.others.saturating_add(1);
            return window.others <= of_many;
        }
        let asked = window.asked.entry(key).or_default();
        *asked = asked.saturating_add(1);
        *asked
            <= match key {
                LimitKey::Address(_) => self.most,
                LimitKey::BehindProxy(_) => of_many,
            }
    }
}

/// Of IPv6 one home has a whole /64: its first half says whose it is.
pub fn home_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(six) => IpAddr::V6(Ipv6Addr::from_bits(six.to_bits() >> 64 << 64)),
        four => four,
    }
}
