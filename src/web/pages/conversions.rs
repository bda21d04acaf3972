//! The list of conversions with its filters: is my sale here, and in which state?

use serde::Serialize;
use serde_json::{Value, json};

use crate::domain::conversion::Conversion;
use crate::domain::delivery::Delivery;
use crate::domain::event::EventName;
use crate::domain::ids::DestinationId;
use crate::domain::reporter::BuiltInSource;
use crate::domain::status::Status;
use crate::view::conversion::ConversionView;
use crate::web::list_query::Query;
use crate::web::pages::list::{Filters, ListTemplate, options};
use crate::web::pages::{PageContent, PageExit, Pages};

const CONVERSIONS: ListTemplate =
    ListTemplate { template: "conversions", path: "/conversions", title: "Conversions" };

impl Pages {
    /// `/conversions`.
    pub(super) async fn conversions(&self, query: &[u8]) -> Result<PageContent, PageExit> {
        let (filters, store) = (Filters::read(query), &self.ops.store);
        let read = |filter, page| store.conversions(filter, page);
        let found = filters.find(Query::conversion_filter, read).await?;
        let own = json!({
            "filter": self.filter_view(&filters),
            "notices": self.notices(),
            "unrecorded": self.unrecorded_clicks(),
        });
        Ok(filters.page(CONVERSIONS, &found, |(one, deliveries)| SaleLine::of(one, deliveries), own))
    }

    /// The clicks of the last day of which no record is kept; null where there were none.
    fn unrecorded_clicks(&self) -> Value {
        let now = self.ops.clock.now();
        self.unrecorded.last_day(now).map_or(Value::Null, |day| {
            json!({
                "count": day.count,
                "last": day.last,
                "reason": day.reason.sentence(),
            })
        })
    }

    fn filter_view(&self, filters: &Filters) -> Value {
        let further = ["source", "event", "status", "since", "until"];
        json!({
            "more": further.iter().any(|name| !filters.get(name).is_empty()),
            "sources": options(self.origins(), filters.get("source")),
            "states": options(["held", "waiting", "delivered", "dead", "skipped"], filters.get("state")),
            "statuses": options(Status::ALL.map(Status::as_str), filters.get("status")),
            "events": EventName::STANDARD,
            "event": filters.get("event"),
            "transaction_id": filters.get("transaction_id"),
            "click_id": filters.get("click_id"),
            "since": filters.minute("since"),
            "until": filters.minute("until"),
        })
    }

    /// Where conversions come from: the configured sources, and the endpoints of the network's side.
    pub(super) fn origins(&self) -> Vec<&str> {
        self.source_ids().into_iter().chain(BuiltInSource::ALL.map(BuiltInSource::as_str)).collect()
    }

    /// The configured sources, in the order of their ids.
    pub(super) fn source_ids(&self) -> Vec<&str> {
        let mut ids: Vec<&str> = self.ops.networks.keys().map(|id| id.as_str()).collect();
        ids.sort_unstable();
        ids
    }
}

/// One line of the list.
#[derive(Serialize)]
pub struct SaleLine<'a> {
    path: String,
    #[serde(flatten)]
    conversion: ConversionView<'a>,
    deliveries: Vec<DeliveryBadge<'a>>,
}

#[derive(Serialize)]
struct DeliveryBadge<'a> {
    destination: &'a DestinationId,
    state: &'static str,
}

impl<'a> SaleLine<'a> {
    pub fn of(conversion: &'a Conversion, deliveries: &'a [Delivery]) -> SaleLine<'a> {
        let badge =
            |one: &'a Delivery| DeliveryBadge { destination: &one.destination, state: one.state.as_str() };
        SaleLine {
            path: format!("/conversions/{}", conversion.id),
            conversion: ConversionView::of(conversion),
            deliveries: deliveries.iter().map(badge).collect(),
        }
    }
}
