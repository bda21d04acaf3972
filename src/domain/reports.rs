//! By which routes the conversions of an offer may be reported here, and what they may say there.

use ipnet::IpNet;

use crate::domain::event::EventName;
use crate::domain::forwarding::{HidingProxy, Sender};
use crate::domain::ids::OfferId;
use crate::domain::postback::{Fault, RejectionCode};
use crate::domain::reporter::ReportRoute;

/// What a further sale of one click, offer and event is that a route without a key reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FurtherSales {
    /// Pending, until a person approves it.
    Wait,
    /// A sale like the first.
    Count,
}

/// What an offer lets be reported, by whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reporting {
    /// The routes that are open.
    pub by: Vec<ReportRoute>,
    /// The only addresses that may report by [`ReportRoute::Server`]; none named: all.
    pub from: Vec<IpNet>,
    /// The events that the routes without a key may report.
    pub events: Vec<EventName>,
    pub further: FurtherSales,
}

impl Reporting {
    pub fn opens(&self, route: ReportRoute) -> bool {
        self.by.contains(&route)
    }

    /// Why the offer takes no reports by this route from this sender, where it takes none.
    pub fn closed(&self, offer: &OfferId, route: ReportRoute, from: Option<Sender>) -> Option<Fault> {
        let name = route.as_str();
        if !self.opens(route) {
            let what = format!("the offer {offer} takes no reports by `{name}`");
            return Some(closed(
                what,
                &format!("put {} into the offer's table", self.line_with(route)),
                name,
            ));
        }
        if route != ReportRoute::Server || self.from.is_empty() || from.is_some_and(|from| self.lists(from)) {
            return None;
        }
        let what =
            format!("the offer {offer} takes reports by `{name}` only from the addresses of `report_from`");
        let field = "report_from";
        match from.and_then(|from| from.hidden_by) {
            Some(proxy) => Some(behind_proxy(&what, proxy, field)),
            None => {
                Some(closed(what, "add the sender's address to `report_from` in the offer's table", field))
            }
        }
    }

    /// Whether the sender's address is one of [`Reporting::from`]. One that a proxy hides has none: where the
    /// proxy's own network is named, everyone would come from there. A declared proxy that names no one may be a
    /// program on its machine.
    fn lists(&self, sender: Sender) -> bool {
        !matches!(sender.hidden_by, Some(HidingProxy::Undeclared(_)))
            && self.from.iter().any(|network| network.contains(&sender.address.to_canonical()))
    }

    /// Why the offer takes no reports of this event on a route without a key, where it takes none. `field` is
    /// the parameter that names it.
    pub fn closed_to_event(&self, offer: &OfferId, event: &EventName, field: &str) -> Option<Fault> {
        if self.events.contains(event) {
            return None;
        }
        let what = format!("the offer {offer} takes no `{event}` by pixel or server");
        let all: Vec<&str> = self.events.iter().chain([event]).map(EventName::as_str).collect();
        let line = format!("`pixel_events = {all:?}`");
        Some(closed(what, &format!("put {line} into the offer's table"), field))
    }

    /// The line of the configuration that opens this route, too.
    pub fn line_with(&self, route: ReportRoute) -> String {
        let all = ReportRoute::ALL.into_iter().filter(|one| *one == route || self.opens(*one));
        format!("`report_by = {:?}`", all.map(ReportRoute::as_str).collect::<Vec<_>>())
    }
}

/// The caller learns nothing of our network: the proxy's address is in the log, on the first page and with the
/// record.
fn behind_proxy(what: &str, proxy: HidingProxy, field: &str) -> Fault {
    let (why, opens) = match proxy {
        HidingProxy::Undeclared(_) => (
            "a proxy that was not declared when it was received hides whose this one is",
            "declare the proxy in `trusted_proxies` under [server] (the log and the first page name it), and then \
             to reprocess this report, where it believes the addresses that it named",
        ),
        HidingProxy::Silent(_) => (
            "the proxy in front does not say whose this one is",
            "have the proxy send `X-Forwarded-For`; then the sender has to send the report again",
        ),
    };
    Fault::new(format!("{what}, and {why}"), format!("to open it, the network has to {opens}"))
        .coded(RejectionCode::SenderBehindProxy, Some(field))
}

fn closed(what: String, opens: &str, field: &str) -> Fault {
    Fault::new(what, format!("to open it, the network has to {opens}"))
        .coded(RejectionCode::EndpointClosed, Some(field))
}
