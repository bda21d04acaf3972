//! The list of conversions with its filters: is my sale here, and in which state?

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::{Value, json};

use crate::domain::change::irreversible;
use crate::domain::conversion::Conversion;
use crate::domain::delivery::{Delivery, DeliveryStateName};
use crate::domain::event::EventName;
use crate::domain::ids::{CreativeId, DestinationId};
use crate::domain::reporter::BuiltInSource;
use crate::domain::status::Status;
use crate::store::contract::lookup::ConversionFilter;
use crate::view::conversion::ConversionView;
use crate::web::list_query::{self, Query};
use crate::web::pages::list::{Filters, ListTemplate, options};
use crate::web::pages::{PageContent, PageExit, Pages};

const CONVERSIONS: ListTemplate = ListTemplate {
    template: "conversions",
    path: "/conversions",
    title: "Conversions",
    filters: list_query::CONVERSIONS,
    fixed: &[],
};
const IRREVERSIBLE: ListTemplate =
    ListTemplate { path: "/irreversible", title: "Irreversible", fixed: &["irreversible"], ..CONVERSIONS };

impl Pages {
    /// `/conversions`.
    pub(super) async fn conversions(&self, query: &[u8]) -> Result<PageContent, PageExit> {
        self.conversion_list(CONVERSIONS, query).await
    }

    /// `/irreversible`: those that a destination counts otherwise than they are.
    pub(super) async fn irreversible(&self, query: &[u8]) -> Result<PageContent, PageExit> {
        self.conversion_list(IRREVERSIBLE, query).await
    }

    async fn conversion_list(&self, list: ListTemplate, query: &[u8]) -> Result<PageContent, PageExit> {
        let (filters, store) = (Filters::read(query), &self.ops.store);
        let irreversible = list.fixed.contains(&"irreversible");
        let read = |filter: ConversionFilter, page| {
            let irreversible_only = irreversible || filter.irreversible_only;
            store.conversions(ConversionFilter { irreversible_only, ..filter }, page)
        };
        let found = filters.find(list, Query::conversion_filter, read).await?;
        let own = json!({
            "irreversible": irreversible,
            "further": !filters.get("cursor").is_empty(),
            "filter": self.filter_view(&filters),
            "notices": self.notices(),
            "unrecorded": self.unrecorded_clicks(),
        });
        Ok(filters.page(list, &found, |(one, deliveries)| SaleLine::of(one, deliveries), own))
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
        let further =
            ["source", "event", "status", "since", "until", "offer", "campaign", "affiliate", "creative"];
        let sub_ids = ["s1", "s2", "s3", "s4", "s5"].map(|name| (name, filters.get(name)));
        let has_sub_id = sub_ids.iter().any(|(_, value)| !value.is_empty());
        json!({
            "irreversible": filters.get("irreversible") == "true",
            "more": has_sub_id || further.iter().any(|name| !filters.get(name).is_empty()),
            "placed": self.placed_filters(filters),
            "sub_ids": sub_ids.map(|(name, value)| json!({"name": name, "value": value})),
            "sources": options(self.origins(), filters.get("source")),
            "states": options(DeliveryStateName::ALL.map(DeliveryStateName::as_str), filters.get("state")),
            "statuses": options(Status::ALL.map(Status::as_str), filters.get("status")),
            "events": EventName::known().collect::<Vec<_>>(),
            "event": filters.get("event"),
            "transaction_id": filters.get("transaction_id"),
            "click_id": filters.get("click_id"),
            "since": filters.minute("since"),
            "until": filters.minute("until"),
        })
    }

    /// The filters by what a conversion belongs to, each with what the configuration has.
    fn placed_filters(&self, filters: &Filters) -> Value {
        let config = &self.config;
        let filter = |name: &str, label: &str, known: Vec<&str>| json!({"name": name, "label": label, "value": filters.get(name), "known": known});
        let campaigns = || config.campaigns.iter().map(|one| &one.campaign);
        let creatives: BTreeSet<&str> =
            campaigns().flat_map(|campaign| &campaign.creatives).map(CreativeId::as_str).collect();
        json!([
            filter("offer", "Offer", config.offers.iter().map(|one| one.terms.id.as_str()).collect()),
            filter("campaign", "Campaign", campaigns().map(|one| one.id.as_str()).collect()),
            filter("affiliate", "Affiliate", config.affiliates.iter().map(|one| one.id.as_str()).collect()),
            filter("creative", "Creative", creatives.into_iter().collect()),
        ])
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
    /// Destinations that cannot be informed how it is now.
    irreversible: Vec<&'a DestinationId>,
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
            irreversible: irreversible(conversion, deliveries),
        }
    }
}
