//! Who reported a conversion, as far as that is kept with a report that may count later; and the sources that no
//! one configures.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::domain::ids::{SourceId, VisitorId};

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
    /// Every route, in the order in which `report_by` is written.
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

/// The line of the configuration that opens `route` in addition to the routes that are `open`.
pub fn report_by_line(open: &[ReportRoute], route: ReportRoute) -> String {
    let all = ReportRoute::ALL.into_iter().filter(|one| *one == route || open.contains(one));
    format!("`report_by = {:?}`", all.map(ReportRoute::as_str).collect::<Vec<_>>())
}

/// What is needed to read a report again, next to its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reporter {
    /// One whose key reached the offer.
    Keyed,
    /// One who had none, so what is known of the caller is kept too.
    Keyless(Keyless),
}

/// A caller of a route without a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keyless {
    /// [`ReportRoute::Pixel`] or [`ReportRoute::Server`]: the API has keys.
    pub route: ReportRoute,
    /// The names by which the parameters are read again.
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

/// A source that no one configures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BuiltInSource {
    /// Conversions that advertisers report by the network's API.
    Api,
    /// Conversions of the pixels, and of servers that call the same route.
    Pixel,
    /// Events of the tag: clicks on outbound links, and what a page reports.
    Tag,
}

impl BuiltInSource {
    /// Every one; they are there whatever is configured.
    pub const ALL: [BuiltInSource; 3] = [BuiltInSource::Api, BuiltInSource::Pixel, BuiltInSource::Tag];

    /// Its id, as API, pages and configuration write it.
    pub fn as_str(self) -> &'static str {
        match self {
            BuiltInSource::Api => "cake-api",
            BuiltInSource::Pixel => "pixel",
            BuiltInSource::Tag => "tag",
        }
    }

    /// Its id, which no configured source may have.
    pub fn id(self) -> SourceId {
        SourceId::built_in(self.as_str())
    }

    /// Which of them the id is of; `None`: of a configured source.
    pub fn of(source: &SourceId) -> Option<BuiltInSource> {
        BuiltInSource::ALL.into_iter().find(|known| known.as_str() == source.as_str())
    }
}

/// Whether the source's conversions can be an offer's: the tag's events earn nothing.
pub fn earns(source: &SourceId) -> bool {
    BuiltInSource::of(source) != Some(BuiltInSource::Tag)
}

/// Whether advertisers report by the source: this program is the network there.
pub fn is_of_advertisers(source: &SourceId) -> bool {
    matches!(BuiltInSource::of(source), Some(BuiltInSource::Api | BuiltInSource::Pixel))
}
