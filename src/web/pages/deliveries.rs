//! Deliveries: those that gave up, with the request, the response, the reason and the retry; and all others.

use serde::Serialize;
use serde_json::json;

use crate::domain::code::ReasonCode;
use crate::domain::delivery::DeliveryStateName;
use crate::domain::delivery_reason::DeathCode;
use crate::domain::unsent::UndeliveredCode;
use crate::ops;
use crate::store::contract::lookup::{DeliveryFilter, ListedDelivery};
use crate::view::conversion::ReportedView;
use crate::web::list_query;
use crate::web::pages::exchange::{DeliveryCard, DeliveryContext};
use crate::web::pages::list::{Filters, ListTemplate, options};
use crate::web::pages::{PageContent, PageExit, Pages};

const ALL: ListTemplate = ListTemplate {
    template: "deliveries",
    path: "/deliveries",
    title: "Deliveries",
    filters: list_query::DELIVERIES,
    fixed: &[],
};
const DEAD: ListTemplate =
    ListTemplate { path: "/dead-letters", title: "Dead letters", fixed: &["state"], ..ALL };

impl Pages {
    /// `/dead-letters`, newest first.
    pub(super) async fn dead_letters(&self, query: &[u8]) -> Result<PageContent, PageExit> {
        self.delivery_list(true, query).await
    }

    /// `/deliveries`, newest first.
    pub(super) async fn deliveries(&self, query: &[u8]) -> Result<PageContent, PageExit> {
        self.delivery_list(false, query).await
    }

    async fn delivery_list(&self, is_dead_only: bool, query: &[u8]) -> Result<PageContent, PageExit> {
        let (filters, list) = (Filters::read(query), if is_dead_only { DEAD } else { ALL });
        let read = |filter: DeliveryFilter, page| {
            let state = if is_dead_only { Some(DeliveryStateName::Dead) } else { filter.state };
            self.ops.store.deliveries(DeliveryFilter { state, ..filter }, page)
        };
        let circumstances = ops::circumstances(&self.ops).await?;
        let found = filters.find(list, |query| query.delivery_filter(&circumstances), read).await?;
        let present = DeliveryContext { now: self.ops.clock.now(), circumstances: &circumstances };
        let destinations = self.ops.destinations.iter().map(|destination| destination.id().as_str());
        let states = DeliveryStateName::ALL.map(DeliveryStateName::as_str);
        let codes = if is_dead_only { DeathCode::words().collect() } else { UndeliveredCode::words() };
        let own = json!({
            "dead_only": is_dead_only,
            "states": options(states, filters.get("state")),
            "reason_codes": options(codes, filters.get("reason_code")),
            "sources": options(self.origins(), filters.get("source")),
            "destinations": options(destinations, filters.get("destination")),
        });
        Ok(filters.page(list, &found, |one| DeliveryLine::of(one, &present), own))
    }
}

/// A delivery with the conversion it is of and its last attempt.
#[derive(Serialize)]
struct DeliveryLine<'a> {
    path: String,
    conversion: ReportedView<'a>,
    delivery: DeliveryCard<'a>,
}

impl<'a> DeliveryLine<'a> {
    fn of(listed: &'a ListedDelivery, present: &DeliveryContext<'_>) -> DeliveryLine<'a> {
        let (conversion, delivery) = (&listed.conversion, (&listed.delivery, listed.sent_before));
        DeliveryLine {
            path: format!("/conversions/{}", conversion.id),
            conversion: ReportedView::of(conversion),
            delivery: DeliveryCard::of(conversion, delivery, listed.last_attempt.as_slice(), present),
        }
    }
}
