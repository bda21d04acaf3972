//! The network's side as it is configured: where something belongs, with names, and what partners are sent.

use rust_decimal::Decimal;
use serde::Serialize;
use serde_json::{Value, json};

use crate::config::configuration::Config;
use crate::config::outgoing::Outgoing;
use crate::domain::change_rules::Changes;
use crate::domain::ids::{AffiliateId, CampaignId, CreativeId};
use crate::domain::offer::{Campaign, CampaignRef};
use crate::domain::routing::RouteScope;
use crate::template::destination::rendering::DestinationMode;

/// The URL to paste at a network.
#[derive(Clone)]
pub struct PostbackUrl {
    /// Who has it can report sales: shown only to those who may change things.
    pub whole: String,
    /// The same with its key masked.
    pub masked: String,
}

/// Where a click or conversion belongs, each id with its name where it is configured still.
pub fn named<'a>(config: &'a Config, campaign_ref: &'a CampaignRef) -> NamedCampaignRef<'a> {
    let offer = config.offer(&campaign_ref.offer).map(|offer| offer.name.as_str());
    let campaign = |id: &'a CampaignId| {
        NamedId::of(id.as_str(), config.campaign(id.as_str()).and_then(|found| found.name.as_deref()))
    };
    let affiliate = |id: &'a AffiliateId| {
        let found = config.affiliates.iter().find(|known| known.id == *id);
        NamedId::of(id.as_str(), found.map(|found| found.name.as_str()))
    };
    let creative = |id: &'a CreativeId| {
        NamedId::of(id.as_str(), config.creative(id).map(|creative| creative.name.as_str()))
    };
    NamedCampaignRef {
        offer: NamedId::of(campaign_ref.offer.as_str(), offer),
        campaign: campaign_ref.campaign.as_ref().map(campaign),
        affiliate: campaign_ref.affiliate.as_ref().map(affiliate),
        creative: campaign_ref.creative.as_ref().map(creative),
    }
}

/// Where a click or conversion belongs, with names.
#[derive(Serialize)]
pub struct NamedCampaignRef<'a> {
    offer: NamedId<'a>,
    campaign: Option<NamedId<'a>>,
    affiliate: Option<NamedId<'a>>,
    creative: Option<NamedId<'a>>,
}

/// An id with its name, where that says more.
#[derive(Serialize)]
struct NamedId<'a> {
    id: &'a str,
    name: Option<&'a str>,
}

impl<'a> NamedId<'a> {
    fn of(id: &'a str, name: Option<&'a str>) -> NamedId<'a> {
        NamedId { id, name: name.filter(|name| *name != id) }
    }
}

/// One outgoing postback as the pages show it.
pub fn postback_view(outgoing: &Outgoing) -> Value {
    let route = &outgoing.route;
    let on: Vec<&str> = route.on.iter().flatten().map(|status| status.as_str()).collect();
    let mut terms = Vec::new();
    if route.delay_ms > 0 {
        terms.push(format!("{} s after the conversion", route.delay_ms / 1000));
    }
    if route.percent < 100 {
        terms.push(format!("{} % of the conversions", route.percent));
    }
    if outgoing.scale != Decimal::ONE {
        terms.push(format!("payout × {}", outgoing.scale));
    }
    if outgoing.mode != DestinationMode::Live {
        terms.push(format!("mode {}", outgoing.mode.as_str()));
    }
    if let Some(used) = outgoing.ready.preset() {
        terms.push(format!("preset {}", used.preset().name()));
    }
    json!({
        "id": outgoing.id.as_str(),
        "url": outgoing.url.shown(),
        "whose": whose(&route.scope),
        "on": on.join(" or "),
        "when": match route.changes {
            Changes::Never => "once each",
            Changes::By(_) => "and again at each change",
        },
        "terms": terms,
    })
}

fn whose(scope: &RouteScope) -> String {
    match scope {
        RouteScope::Campaign(id) => format!("the campaign {id}"),
        RouteScope::Affiliate(id) => format!("the affiliate {id}"),
        RouteScope::AnyCampaign | RouteScope::Any => "all campaigns".to_owned(),
        RouteScope::AnySale => "all campaigns and sources".to_owned(),
    }
}

/// Whether an outgoing postback reports conversions of this campaign.
pub fn reports_of(outgoing: &Outgoing, campaign: &Campaign) -> bool {
    match &outgoing.route.scope {
        RouteScope::Campaign(id) => campaign.id == *id,
        RouteScope::Affiliate(id) => campaign.affiliate == *id,
        RouteScope::AnyCampaign | RouteScope::AnySale | RouteScope::Any => true,
    }
}
