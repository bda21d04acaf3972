//! Where deliveries go: what owns limits, health and a worker.

use std::fmt;
use std::sync::Arc;

use crate::domain::ids::DestinationId;

/// One receiver: deliveries to it share its limits and its health, whichever destination they are of.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TargetId {
    /// The ad account of a configured destination, which has it alone.
    Account(DestinationId),
    /// The host of outgoing postbacks, in lower case, with the port where their URLs name one.
    Host(Arc<str>),
    /// No one: what outgoing postbacks are made for that send nothing (shadow, off). The health and the rate of their
    /// hosts are no matter to them.
    NoHost,
}

impl TargetId {
    /// That of an outgoing postback to this host.
    pub fn of_outgoing(host: &str, sends: bool) -> TargetId {
        if sends { TargetId::Host(Arc::from(host)) } else { TargetId::NoHost }
    }
}

/// As logs name it.
impl fmt::Display for TargetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TargetId::Account(destination) => write!(f, "{destination}"),
            TargetId::Host(host) => f.write_str(host),
            TargetId::NoHost => f.write_str("postbacks that are not sent"),
        }
    }
}
