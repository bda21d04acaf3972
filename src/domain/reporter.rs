//! Who reported a conversion, as far as that is kept with a report that may count later; and the sources that no
//! one configures.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::domain::ids::VisitorId;

/// A route by which an advertiser reports conversions. The tag's events are no reports: they earn nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReportRoute {
    /// The network's API: each call has a key.
    Api,
    /// A browser, on the page after the sale: an image, a script or a frame. Anyone can call it.
    Pixel,
    /// A server that calls `p.ashx` with `f=pb`. It has no key, either.
    Server,
}

impl ReportRoute {
    pub const ALL: [ReportRoute; 3] = [ReportRoute::Api, ReportRoute::Pixel, ReportRoute::Server];

    /// As the configuration writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            ReportRoute::Api => "api",
            ReportRoute::Pixel => "pixel",
            ReportRoute::Server => "server",
        }
    }
}

/// What is needed to read a report again, next to its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reporter {
    /// One whose key reached the offer.
    Keyed,
    Keyless(Keyless),
}

/// A caller of a route without a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keyless {
    pub route: ReportRoute,
    pub spelling: ParamSpelling,
    /// By the first-party cookie.
    pub visitor: Option<VisitorId>,
    /// Of a browser; a server's says nothing of the customer.
    pub user_agent: Option<String>,
    /// Where a proxy hid the sender: the addresses it was forwarded by, the farthest first, last the
    /// connection's own. All but the last one are what headers said, and no declared proxy confirmed them: such a
    /// proxy may have passed on what a stranger wrote.
    pub hops: Vec<IpAddr>,
}

impl Keyless {
    /// The hops that headers named, the farthest first, and the connection's own; `None` where the sender was
    /// not hidden.
    pub fn hidden(&self) -> Option<(&[IpAddr], IpAddr)> {
        self.hops.split_last().map(|(connection, named)| (named, *connection))
    }
}

/// How the parameters are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ParamSpelling {
    /// `offer`, `transaction_id`…
    Long,
    /// `o`, `t`…, as `p.ashx` names them.
    Short,
}

/// Conversions that advertisers report on the API_SOURCE of [`crate::web`]'s network endpoint.
pub const API_SOURCE: &str = "cake-api";
/// Conversions of the pixels.
pub const PIXEL_SOURCE: &str = "pixel";
/// Events of the tag: clicks on outbound links, and what a page reports.
pub const TAG_SOURCE: &str = "tag";
pub const BUILT_IN_SOURCES: [&str; 3] = [API_SOURCE, PIXEL_SOURCE, TAG_SOURCE];
