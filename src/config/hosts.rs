//! Hosts that are named in the configuration.

use url::Host;

/// Whether the host surely is at a private or loopback address, as far as its name says.
pub fn is_private(host: &Host) -> bool {
    match host {
        Host::Ipv4(ip) => ip.is_private() || ip.is_loopback() || ip.is_link_local(),
        Host::Ipv6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
        Host::Domain(name) => name == "localhost" || name.ends_with(".localhost"),
    }
}
