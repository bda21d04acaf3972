//! How often one address may ask in a second, in bounded memory.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};

use parking_lot::Mutex;

use crate::domain::time::Time;

/// Counts by address within the running second.
#[derive(Debug)]
pub struct PerAddress {
    most: u32,
    window: Mutex<Window>,
}

/// Addresses counted in one second; beyond, an address is not counted.
const COUNTED: usize = 4096;

#[derive(Debug, Default)]
struct Window {
    second: i64,
    asked: HashMap<IpAddr, u32>,
}

impl PerAddress {
    /// Lets `most` through in each second of the clock.
    pub fn new(most: u32) -> PerAddress {
        PerAddress { most, window: Mutex::default() }
    }

    /// Counts one more, and says whether it may come in.
    pub fn admits(&self, address: IpAddr, now: Time) -> bool {
        let mut window = self.window.lock();
        if window.second != now.as_seconds() {
            window.second = now.as_seconds();
            window.asked.clear();
        }
        let home = home_of(address);
        if window.asked.len() >= COUNTED && !window.asked.contains_key(&home) {
            return true;
        }
        let asked = window.asked.entry(home).or_default();
        *asked = asked.saturating_add(1);
        *asked <= self.most
    }
}

/// Of IPv6 one home has a whole /64: its first half says whose it is.
fn home_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(six) => IpAddr::V6(Ipv6Addr::from_bits(six.to_bits() >> 64 << 64)),
        four => four,
    }
}
