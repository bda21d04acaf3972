//! By which routes the conversions of an offer may be reported here, and what they may say there.

use ipnet::IpNet;

use crate::domain::event::EventName;
use crate::domain::forwarding::{HidingProxy, Sender};
use crate::domain::ids::OfferId;
use crate::domain::rejection::access::AccessProblem;
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
    /// [`FurtherSales::Count`] where the offer's table has `repeat = true`.
    pub further: FurtherSales,
}

impl Reporting {
    /// Whether reports by this route are taken at all, from whatever address.
    pub fn opens(&self, route: ReportRoute) -> bool {
        self.by.contains(&route)
    }

    /// Why the offer takes no reports by this route from this sender, where it takes none.
    pub fn closed(&self, offer: &OfferId, route: ReportRoute, from: Option<Sender>) -> Option<AccessProblem> {
        let offer = offer.clone();
        if !self.opens(route) {
            return Some(AccessProblem::RouteClosed { offer, route, open: self.by.clone() });
        }
        if route != ReportRoute::Server || self.from.is_empty() || from.is_some_and(|from| self.lists(from)) {
            return None;
        }
        Some(match from.and_then(|from| from.hidden_by) {
            Some(proxy) => AccessProblem::SenderBehindProxy { offer, proxy },
            None => AccessProblem::AddressNotListed { offer },
        })
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
    pub fn closed_to_event(&self, offer: &OfferId, event: &EventName, field: &str) -> Option<AccessProblem> {
        (!self.events.contains(event)).then(|| AccessProblem::EventClosed {
            field: field.to_owned(),
            offer: offer.clone(),
            event: event.clone(),
            open: self.events.clone(),
        })
    }
}
